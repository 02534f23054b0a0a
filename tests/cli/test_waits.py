"""Servers of their own, watched by ``live``: one that forgets to close, and one that closes first."""

from __future__ import annotations

import errno
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from analyzer.explain.processes import tcp_sockets
from analyzer.explain.waiting import LASTING_NS
from analyzer.render.live import Heading, LiveTable
from analyzer.render.screen import Screen
from analyzer.render.watched import Watched
from analyzer.render.words import LOUD, Word
from analyzer.tables import CONNECTION, ENDPOINT
from analyzer.tcp.states import State
from tests.capture.namespaces import PATIENCE, namespace, needs_root, wait_for
from tests.cli.test_live import PORT, converse, ended, live, run

FORGETFUL = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
    while kept[-1].recv(128):
        pass
    print("end of file", flush=True)
"""


def summary_of(process: subprocess.Popen[str]) -> str:
    """What ``live`` says after its last line of a table, as one line."""
    process.send_signal(signal.SIGINT)
    status, out, _ = ended(process)
    assert status == 0
    return " ".join(out.split())


def come_and_go(server: subprocess.Popen[str]) -> None:
    """A client that closes at once; the server says that it has seen so."""
    assert server.stdout is not None
    socket.create_connection(("127.0.0.1", PORT), PATIENCE).close()
    assert server.stdout.readline() == "end of file\n"


def in_state(state: State) -> int:
    return sum(one.state == state for one in tcp_sockets())


@needs_root
def test_a_server_that_forgets_to_close(tmp_path: Path) -> None:
    script, saved = tmp_path / "forgetful.py", tmp_path / "saved.pcap"
    script.write_text(FORGETFUL)
    with (
        namespace(),
        subprocess.Popen([sys.executable, script, str(PORT)], stdout=subprocess.PIPE, text=True) as server,
        live("-i", "lo", "-w", saved, "port", PORT) as process,
    ):
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "listening\n"
            for _ in range(3):
                come_and_go(server)
            closed_ns = time.time_ns()
            assert in_state(State.CLOSE_WAIT) == 3
            wait_for(lambda: time.time_ns() - closed_ns > LASTING_NS)
            come_and_go(server)
            said = summary_of(process)
        finally:
            server.kill()
    assert f"CLOSE-WAIT: forgetful.py ({server.pid}) on port {PORT} has 3 connections in it, the oldest for 1." in said
    assert "a leak of sockets." in said
    assert "TIME-WAIT:" not in said
    read = " ".join(run("read", saved).stdout.split())
    assert f"CLOSE-WAIT at the end of the capture: the server 127.0.0.1:{PORT} has 4, the oldest for 1." in read
    assert "a leak of sockets." in read


@needs_root
def test_a_server_that_closes_first_and_cannot_come_back() -> None:
    with namespace(), live("-i", "lo", "port", PORT) as process:
        converse()
        wait_for(lambda: in_state(State.TIME_WAIT) == 1)
        with socket.socket() as hasty, pytest.raises(OSError, match="in use") as refused:
            hasty.bind(("127.0.0.1", PORT))
        assert refused.value.errno == errno.EADDRINUSE
        with socket.socket() as wise:
            wise.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wise.bind(("127.0.0.1", PORT))
        said = summary_of(process)
    assert "left 1, which lasts until " in said
    assert f"a new server's bind() to port {PORT} fails with EADDRINUSE, unless it and the old one set" in said
    assert "CLOSE-WAIT:" not in said


def test_the_old_server_has_to_allow_it_too() -> None:
    """Linux asks both sockets: SO_REUSEADDR of the new one alone is not enough."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = server.getsockname()
        with socket.create_connection(address, PATIENCE) as client, server.accept()[0] as accepted:
            accepted.close()
            client.recv(1)
    with socket.socket() as new:
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            new.bind(address)


@pytest.mark.parametrize(("room", "lines"), [(3, 1), (4, 2), (5, 3), (9, 3)])
def test_a_finding_has_a_line_on_the_screen(room: int, lines: int) -> None:
    heading = Heading("lo", "", 0, 0, 0, "", finding=Word("CLOSE-WAIT: " + "x" * 100, LOUD, "✗"))
    table = LiveTable(Watched(), lambda _: ("", ""))
    empty = np.zeros(0, CONNECTION), np.zeros((0, 2), ENDPOINT)
    shown = table.lines(heading, *empty, 0, Screen(80, terminal=True), room)
    assert len(shown) == lines
    assert all(len(line) <= 80 for line in shown)
    assert any("✗ CLOSE-WAIT" in line for line in shown) == (lines > 2)
