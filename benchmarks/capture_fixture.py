"""How often the pytest fixture tcp_capture misses something, and how long a test takes with it.

    python benchmarks/capture_fixture.py --runs 1000 [--burners 2]

Each run is a test of its own: a server that nobody joins, a client, and what the capture has right after. The lives
take turns: closed by the client, by the server, by a RST, refused, and left open with an ACK that is still to come.
``--burners`` starts processes that do nothing but keep a processor busy.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]

TESTS = """
import os, socket, struct, threading
import pytest
from analyzer.testing import assert_lifecycle, cause, no, opened_once, said, states

RUNS = int(os.environ["RUNS"])
FIRST = "CLOSED SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT"
OTHER = "LISTEN SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED"

def echo(taken):
    with taken:
        while octets := taken.recv(100):
            taken.sendall(octets)

def answer(taken):
    with taken:
        taken.sendall(taken.recv(100))

def abort(taken):
    taken.recv(100)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    taken.close()

held = []

def serve(listener, life):
    with listener:
        life(listener.accept()[0])

def client(port):
    return socket.create_connection(("127.0.0.1", port))

def test_client_closes(tcp_capture, port_of):
    port = port_of(echo)
    with client(port) as one:
        one.sendall(b"hello")
        assert one.recv(5) == b"hello"
    [connection] = tcp_capture.connections.of(port=port)
    states(connection, client=FIRST, server=OTHER)
    said(connection, client=b"hello", server=b"hello")
    return connection

def test_server_closes(tcp_capture, port_of):
    port = port_of(answer)
    with client(port) as one:
        one.sendall(b"hello")
        while one.recv(5):
            pass
    [connection] = tcp_capture.connections.of(port=port)
    states(connection, client="… CLOSE-WAIT LAST-ACK CLOSED", server="… FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT")
    return connection

def test_reset(tcp_capture, port_of):
    port = port_of(abort)
    with client(port) as one:
        one.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            one.recv(5)
    [connection] = tcp_capture.connections.of(port=port)
    states(connection, client="… ESTABLISHED CLOSED", server="… ESTABLISHED CLOSED")
    return connection

def test_refused(tcp_capture, port_of):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            client(port)
    [connection] = tcp_capture.connections.of(port=port)
    cause(connection, "refused")
    return connection

def test_left_open(tcp_capture, port_of):
    port = port_of(held.append)
    with client(port) as one:
        one.sendall(b"hello")
        [connection] = tcp_capture.connections.of(port=port)
        states(connection, client="CLOSED SYN-SENT ESTABLISHED", server="LISTEN SYN-RECEIVED ESTABLISHED")
        said(connection, client=b"hello")
        assert connection.packets[-1].sender == "server"
        return connection

LIVES = [test_client_closes, test_server_closes, test_reset, test_refused, test_left_open]
for life in LIVES:
    life.__test__ = False

@pytest.fixture
def port_of():
    threads = []
    def started(life):
        listener = socket.create_server(("127.0.0.1", 0))
        threads.append(threading.Thread(target=serve, args=(listener, life)))
        threads[-1].start()
        return listener.getsockname()[1]
    yield started
    for thread in threads:
        thread.join()
    while held:
        held.pop().close()

@pytest.mark.parametrize("run", range(RUNS))
def test_life(run, tcp_capture, port_of):
    connection = LIVES[run % len(LIVES)](tcp_capture, port_of)
    assert connection.packets[0].flags == "S"
    no(connection, "retransmission", "lost_segment", "ack_lost_segment")
    assert tcp_capture.unsettled == () and tcp_capture.dropped == 0
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=1000)
    arguments.add_argument("--burners", type=int, default=0)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, burning(chosen.burners):
        print(outcome(run_tests(Path(folder), chosen.runs), chosen.runs))


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """So many processors kept busy."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def run_tests(folder: Path, runs: int) -> str:
    """pytest's output."""
    (folder / "test_lives.py").write_text(TESTS, encoding="utf-8")
    plugin = ["-p", "no:tcpflow_view", "-p", "analyzer.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *plugin, "--tcp-capture=require", "--durations=3"]
    ran = subprocess.run(
        [*command, "-p", "no:cacheprovider", "test_lives.py"],
        cwd=folder, env=os.environ | {"RUNS": str(runs), "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    return ran.stdout + ran.stderr


def outcome(output: str, runs: int) -> str:
    """One line; what failed stands before it."""
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|errors?)", output.splitlines()[-1])}
    seconds = float(re.findall(r"in ([\d.]+)s", output)[-1])
    flakes = runs - counts.get("passed", 0)
    told = f"{runs} runs, {flakes} flakes, {seconds / runs * 1000:.0f} ms a run\n"
    return (output if flakes else re.sub(r"(?m)^\.*.*%\]$\n?", "", output)) + told


if __name__ == "__main__":
    main()
