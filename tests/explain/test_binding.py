"""Why bind() failed with EADDRINUSE."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from analyzer.explain.binding import FailedBind, Held, held_in_capture, held_now
from analyzer.pipeline import survey
from analyzer.render.binding import not_bound
from analyzer.tables import Protocol
from analyzer.tcp.states import State
from tests.cli.spoken import CLIENT, OPENING, SERVER, Said, closing, write
from tests.explain.test_seen_calls import ECHO, seen

BIND = '7 {} bind(4, {{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr("0.0.0.0")}}, 16) = {}\n'
IN_USE = "-1 EADDRINUSE (Address already in use)"
REUSE = "7 {} setsockopt(4, SOL_SOCKET, SO_REUSEADDR, [{}], 4) = 0\n"
SOCKET = "7 {} socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4\n"

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's own tables")


@pytest.mark.parametrize(("options", "reuses"), [("", False), (REUSE.format(2, 1), True), (REUSE.format(2, 0), False)])
def test_binds_that_failed(options: str, reuses: bool) -> None:
    tries = BIND.format(3, 99, IN_USE) + BIND.format(4, 99, IN_USE) + BIND.format(5, 98, "0")
    found = seen(ECHO, SOCKET.format(1) + options + tries)
    [[first, second]] = found.failed_binds
    assert (first.pid, first.protocol, first.local, first.reuses) == (7, Protocol.TCP, (bytes(4), 99), reuses)
    assert first.line + 1 == second.line


def failed(*, reuses: bool, protocol: Protocol = Protocol.TCP, local: tuple[bytes, int] = (bytes(4), 99)) -> FailedBind:
    return FailedBind(0, 7, 3, 0, protocol, local, reuses)


@pytest.mark.parametrize(
    ("reuses", "held", "expected"),
    [
        (False, Held("php (3)", True), "php (3) listens there"),
        (True, Held("", True), "Another program listens there (ss -ltnp shows which)"),
        (False, Held(states=((State.TIME_WAIT, 2),)), "2 × TIME-WAIT. strace saw no SO_REUSEADDR on this socket: set"),
        (True, Held(states=((State.FIN_WAIT_2, 1),)), "1 × FIN-WAIT-2. This socket had SO_REUSEADDR, which helps only"),
        (False, Held(), "Another socket has the port"),
        (True, Held(), "it helps only where the earlier one had it too"),
    ],
)
def test_the_sentence(reuses: bool, held: Held, expected: str) -> None:
    told = not_bound(failed(reuses=reuses), held, "server.php (7)")
    assert told.startswith("server.php (7) could not bind() TCP port 99: EADDRINUSE. ")
    assert expected in told
    assert "port 99, 1,200 times: EADDRINUSE" in not_bound(failed(reuses=reuses), held, "x", 1_200)


def test_the_sentence_of_udp() -> None:
    one = failed(reuses=False, protocol=Protocol.UDP)
    assert not_bound(one, Held("dns (3)", True), "x").endswith("UDP port 99: EADDRINUSE. dns (3) has it.")
    assert "Another socket has it" in not_bound(one, Held("", True), "x")


def test_what_a_capture_shows(tmp_path: Path) -> None:
    said = [*OPENING, Said(SERVER, 0, b"hi"), Said(CLIENT, 0, flags=0x10, ack=2)]
    server_first = [Said(SERVER, 2, flags=0x11), Said(CLIENT, 0, flags=0x10, ack=3)]
    client_too = [Said(CLIENT, 0, flags=0x11, ack=3), Said(SERVER, 3, flags=0x10, ack=1)]
    for name, ending, state in (
        ("a", server_first, State.FIN_WAIT_2),
        ("b", server_first + client_too, State.TIME_WAIT),
    ):
        run = survey(str(write(tmp_path / name, said + ending)))
        rows = run.connections[: run.count], run.endpoints[: run.count]
        one = failed(reuses=False, local=(bytes(4), int(run.connections[0]["server_port"])))
        assert held_in_capture(one, run.last_ns, *rows) == Held(states=((state, 1),))
        assert held_in_capture(one, run.first_ns, *rows) == Held()
        assert held_in_capture(failed(reuses=False), run.last_ns, *rows) == Held()
        if state == State.TIME_WAIT:
            assert held_in_capture(one, run.last_ns + 61 * 10**9, *rows) == Held()


def test_who_closed_first_alone_has_it(tmp_path: Path) -> None:
    run = survey(str(write(tmp_path / "a", [*OPENING, *closing(0, 0)])))
    rows = run.connections[: run.count], run.endpoints[: run.count]
    server = failed(reuses=False, local=(bytes(4), int(run.connections[0]["server_port"])))
    client = failed(reuses=False, local=(bytes(4), int(run.connections[0]["client_port"])))
    assert held_in_capture(server, run.last_ns, *rows) == Held()
    assert held_in_capture(client, run.last_ns, *rows).states == ((State.TIME_WAIT, 1),)


@needs_linux
def test_who_has_a_port_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        held = held_now(Protocol.TCP, (bytes(4), port))
        assert held.listens
        assert f"({os.getpid()})" in held.program
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.recv(1)
    held = held_now(Protocol.TCP, (bytes([127, 0, 0, 1]), port))
    assert (held.listens, sum(number for _state, number in held.states)) == (False, 1)
    client.close()
    held = held_now(Protocol.TCP, (bytes([127, 0, 0, 1]), port))
    assert held.states == ((State.TIME_WAIT, 1),)
