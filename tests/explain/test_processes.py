"""Who owns the ends of connections: real sockets of this process, and what is kept of sockets that are gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from analyzer.explain import kernel_states, processes
from analyzer.explain.kernel_states import KernelStates
from analyzer.explain.processes import End, Owned, Programs, Socket, ends_of, owned_sockets_of_proc, packed, program
from analyzer.tables import CONNECTION, ENDPOINT, Protocol, Rows, Side
from analyzer.tcp.states import State

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs Linux's /proc")

LISTING = (b"", 0)


class Conversation:
    """A server, a client and what the server accepted."""

    def __init__(self, server_address: str, client_address: str) -> None:
        family = socket.AF_INET6 if ":" in server_address else socket.AF_INET
        self.server = socket.socket(family)
        self.server.bind((server_address, 0))
        self.server.listen()
        self.port = self.server.getsockname()[1]
        self.client = socket.create_connection((client_address, self.port))
        self.accepted = self.server.accept()[0]
        address = packed(client_address)
        self.client_end: End = (address, self.client.getsockname()[1])
        self.server_end: End = (address, self.port)

    def close(self) -> None:
        for one in (self.client, self.accepted, self.server):
            one.close()


@pytest.fixture(params=[("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")], ids=["4", "6", "mapped"])
def conversation(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    try:
        made = Conversation(*request.param)
    except OSError as error:
        pytest.skip(f"no such address here: {error}")
    yield made
    made.close()


@pytest.mark.parametrize("listed", [processes.owned_sockets, owned_sockets_of_proc])
def test_this_process_owns_its_sockets(conversation: Conversation, listed: object) -> None:
    if listed is processes.owned_sockets:
        pytest.importorskip("psutil")
    assert callable(listed)
    ours = {(local, remote) for local, remote, pid in listed() if pid == os.getpid()}
    ends = conversation.client_end, conversation.server_end
    assert ends in ours
    assert ends[::-1] in ours
    assert {local[1] for local, remote in ours if remote == LISTING} >= {conversation.port}


def test_an_owner_is_kept_when_the_socket_is_gone(conversation: Conversation) -> None:
    programs = Programs(["::1"])
    client, server = conversation.client_end, conversation.server_end
    assert programs.of(client, server) == ""
    programs.look()
    conversation.close()
    programs.look()
    assert programs.of(client, server) == programs.of(server, client) == program(os.getpid())
    assert f"({os.getpid()})" in programs.of(client, server)


def owned(*rows: Owned) -> Programs:
    return Programs(["192.0.2.1"], lambda: iter(rows))


@pytest.fixture(autouse=True)
def every_look_finds_a_socket(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "conversation" not in request.fixturenames:
        inodes = iter(range(1, 1_000))
        end: End = (bytes(4), 0)
        monkeypatch.setattr(processes, "tcp_sockets", lambda: [Socket(end, end, State.LISTEN, next(inodes))])
        monkeypatch.setattr(processes, "program", lambda pid: f"p ({pid})" if pid else "")


FAR: End = (packed("198.51.100.7"), 40_000)


@pytest.mark.parametrize("place", [bytes(4), bytes(16), packed("192.0.2.1")])
def test_who_listens_owns_the_server_s_end(place: bytes) -> None:
    programs = owned(Owned((place, 80), LISTING, 7))
    programs.look()
    assert programs.of((packed("192.0.2.1"), 80), FAR) == "p (7)"
    assert programs.of((packed("192.0.2.1"), 81), FAR) == ""
    assert programs.of((packed("192.0.2.9"), 80), FAR) == "", "another machine's port"


def test_the_latest_owner_counts_and_processes_that_are_gone_do_not() -> None:
    here = (packed("192.0.2.1"), 5)
    rows = [Owned(here, FAR, 1)]
    programs = Programs([], lambda: iter(rows))
    programs.look()
    rows[:] = [Owned(here, FAR, 2)]
    programs.look()
    assert programs.of(here, FAR) == "p (2)"
    rows[:] = [Owned(here, FAR, 0)]
    programs.look()
    assert programs.of(here, FAR) == "p (2)"


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_REMEMBERED", 3)
    ends = [(packed("192.0.2.1"), port) for port in range(5)]
    programs = owned(*(Owned(end, FAR, 1) for end in ends))
    programs.look()
    assert [bool(programs.of(end, FAR)) for end in ends] == [False, False, True, True, True]


def test_nothing_is_listed_while_no_socket_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    end: End = (bytes(4), 0)
    monkeypatch.setattr(processes, "tcp_sockets", lambda: [Socket(end, end, State.LISTEN, 5)])
    looks: list[int] = []

    def listed() -> Iterator[Owned]:
        looks.append(1)
        return iter(())

    programs = Programs([], listed)
    programs.look()
    programs.look()
    assert looks == [1]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["{script}"], "server1.py"),
        (["-u", "{script}", "--port", "5"], "server1.py"),
        (["-c", "input()", "{script}"], os.path.basename(sys.executable)),
    ],
)
def test_a_program_is_named_after_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], expected: str
) -> None:
    monkeypatch.undo()
    script = tmp_path / "server1.py"
    script.write_text("print(flush=True); input()")
    command = [word.format(script=script) for word in command]
    with subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if "-c" not in command:
            assert process.stdout is not None
            process.stdout.read(1)
        assert processes.program(process.pid) == f"{expected} ({process.pid})"
        process.communicate(b"\n")
    assert processes.program(process.pid) == ""


# ---------------------------------------------------------------- states


def rows(client: State, server: State, *, last_ns: int = 0, count: int = 1) -> tuple[Rows, Rows]:
    """Connections from FAR to 192.0.2.1:80."""
    connections, endpoints = np.zeros(count, CONNECTION), np.zeros((count, 2), ENDPOINT)
    connections["number"] = np.arange(1, count + 1)
    connections["protocol"], connections["ip_version"] = Protocol.TCP, 4
    connections["address"][:, 3], connections["address"][:, 7] = 0xC6336407, 0xC0000201
    connections["client_port"], connections["server_port"] = 40_000, 80
    connections["last_ns"], connections["last_packet"] = last_ns, 9
    endpoints["state"] = client, server
    return connections, endpoints


HERE: End = (packed("192.0.2.1"), 80)
INSTANT = 1_000_000_000
LATER = 2 * INSTANT


def compared(connections: Rows, endpoints: Rows, *sockets: Socket) -> KernelStates:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_states, "tcp_sockets", lambda: list(sockets))
        states = KernelStates(lambda address: address == HERE[0])
        states.tick(connections, endpoints, INSTANT)
        assert states.states == 0
        states.tick(connections, endpoints, LATER)
    return states


def test_ends_of_a_row() -> None:
    connections, _ = rows(State.CLOSED, State.CLOSED)
    assert ends_of(connections[0]) == (FAR, HERE)


def test_states_that_agree() -> None:
    states = compared(*rows(State.CLOSE_WAIT, State.FIN_WAIT_2), Socket(HERE, FAR, State.FIN_WAIT_2, 1))
    assert (states.instants, states.states, states.agreed, states.differences) == (1, 1, 1, {})


@pytest.mark.parametrize("state", [State.CLOSED, State.LISTEN])
def test_no_socket_is_closed(state: State) -> None:
    assert compared(*rows(State.CLOSED, state)).agreed == 1


def test_states_that_differ() -> None:
    states = compared(*rows(State.CLOSED, State.TIME_WAIT))
    assert states.agreed == 0
    assert list(states.differences.values()) == [(1, Side.SERVER, State.TIME_WAIT, State.CLOSED, 9)]


def test_who_had_a_packet_just_now_is_not_compared() -> None:
    assert compared(*rows(State.CLOSED, State.CLOSED, last_ns=INSTANT - 1_000_000)).states == 0
    assert compared(*rows(State.CLOSED, State.CLOSED, last_ns=INSTANT - 3_000_000)).states == 1


def test_only_the_latest_incarnation_is_compared() -> None:
    connections, endpoints = rows(State.ESTABLISHED, State.ESTABLISHED, count=2)
    endpoints["state"][0] = State.SYN_SENT
    states = compared(connections, endpoints, Socket(HERE, FAR, State.ESTABLISHED, 1))
    assert (states.states, states.agreed) == (1, 1)
