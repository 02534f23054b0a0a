"""Who owns the ends of what a capture shows, and who listens, while and after sockets are there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analyzer.cli import owners as owners_module
from analyzer.cli.owners import Owners
from analyzer.explain.processes import packed
from analyzer.tables import CONNECTION, Protocol, Rows
from tests.capture.namespaces import needs_root, wait_for

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs Linux's /proc")


def conversation(client: socket.socket, server: socket.socket) -> Rows:
    """The row of two sockets' connection or conversation, IPv4 over loopback."""
    rows = np.zeros(1, CONNECTION)
    rows["protocol"] = Protocol.TCP if client.type == socket.SOCK_STREAM else Protocol.UDP
    rows["ip_version"] = 4
    rows["address"][:, [3, 7]] = int.from_bytes(packed("127.0.0.1"))
    rows["client_port"], rows["server_port"] = client.getsockname()[1], server.getsockname()[1]
    return rows[0]


def test_both_ends_of_tcp_and_of_udp() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        socket.socket(type=socket.SOCK_DGRAM) as asked,
        socket.socket(type=socket.SOCK_DGRAM) as asking,
    ):
        asked.bind(("127.0.0.1", 0))
        asking.connect(asked.getsockname())
        rows = conversation(client, server), conversation(asking, asked)
        with Owners() as owners:
            pass
    for row in rows:
        ends = owners.of(row)
        assert ends[0] == ends[1]
        assert ends[0].endswith(f" ({os.getpid()})")
        assert owners.sentence(row) == f"The client was {ends[0]}, the server was {ends[0]}."


def test_a_new_connection_is_looked_at_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sockets may soon be gone."""
    monkeypatch.setattr(owners_module, "_PAUSE_S", 1_000)
    with Owners() as owners:
        wait_for(lambda: owners._ended > 0 and (owners.tick(), owners._looking is None)[1])
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as client,
        ):
            row = conversation(client, server)
            owners.tick()
            assert owners._looking is None
            owners.tick(is_news=True)
            wait_for(lambda: (owners.tick(), owners.of(row)[0] != "")[1])
    assert owners.of(row)[0].endswith(f" ({os.getpid()})")


def test_servers_are_known_before_the_first_look_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Owners, "tick", lambda owners: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with Owners() as owners:
            assert port in owners.known_servers()["port"]
            server.close()
    assert port not in owners.known_servers()["port"], "the look at the end"


AS_NOBODY = """
import os, socket, sys
import psutil, scapy.arch.linux
import analyzer.explain.processes as processes
from analyzer.cli import owners as owners_module
from analyzer.cli.owners import Owners
if sys.argv[1] == "proc":
    processes.owned_sockets = processes.owned_sockets_of_proc
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
mine = socket.create_server(("127.0.0.1", 0))
with Owners() as owners:
    pass
ports = int(sys.argv[2]), mine.getsockname()[1]
known = owners.known_servers()["port"].tolist()
far = processes.packed("192.0.2.1"), 9
here = processes.packed("127.0.0.1")
print(*(port in known for port in ports))
print(*(bool(owners._programs.of(processes.Protocol.TCP, (here, port), far)) for port in ports))
"""


@needs_root
@pytest.mark.parametrize("by", ["psutil", "proc"])
def test_without_root_others_servers_are_known_and_their_programs_are_not(by: str) -> None:
    if by == "psutil":
        pytest.importorskip("psutil")
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = [sys.executable, "-c", AS_NOBODY, by, str(server.getsockname()[1])]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["True", "True", "False", "True"], "")
