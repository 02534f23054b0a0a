"""Who owns the ends of connections and where this machine listens: real sockets, and what is kept of those gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from analyzer.explain import processes
from analyzer.explain.processes import Census, End, Owned, Programs, owned_sockets_of_proc, packed, program
from analyzer.tables import KNOWN_SERVER, Protocol, Rows

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs Linux's /proc")

TCP, UDP = Protocol.TCP, Protocol.UDP
NOBODY = (b"", 0)

listings = pytest.mark.parametrize("listed", [processes.owned_sockets, owned_sockets_of_proc])


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


@pytest.fixture(autouse=True)
def psutil_is_there(request: pytest.FixtureRequest) -> None:
    if (
        getattr(request.node, "callspec", None)
        and request.node.callspec.params.get("listed") is processes.owned_sockets
    ):
        pytest.importorskip("psutil")


@listings
def test_this_process_owns_its_sockets(conversation: Conversation, listed: Callable[[], Iterator[Owned]]) -> None:
    ours = {(local, remote) for protocol, local, remote, pid in listed() if (protocol, pid) == (TCP, os.getpid())}
    ends = conversation.client_end, conversation.server_end
    assert ends in ours
    assert ends[::-1] in ours
    assert {local[1] for local, remote in ours if remote == NOBODY} >= {conversation.port}


def test_an_owner_is_kept_when_the_socket_is_gone(conversation: Conversation) -> None:
    programs = Programs(["::1"])
    client, server = conversation.client_end, conversation.server_end
    assert programs.of(TCP, client, server) == ""
    programs.look()
    conversation.close()
    programs.look()
    assert programs.of(TCP, client, server) == programs.of(TCP, server, client) == program(os.getpid())
    assert f"({os.getpid()})" in programs.of(TCP, client, server)
    assert programs.of(UDP, client, server) == ""


@listings
@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_a_udp_socket_is_known_by_its_local_end_or_by_both(bound: str, listed: Callable[[], Iterator[Owned]]) -> None:
    address = "::1" if bound == "::1" else "127.0.0.1"
    with datagrams(bound) as server, datagrams(address) as client:
        port = server.getsockname()[1]
        client.connect((address, port))
        programs = Programs(["::1"], listed)
        programs.look()
        ends = (packed(address), client.getsockname()[1]), (packed(address), port)
        ours = {(local, remote) for protocol, local, remote, pid in listed() if (protocol, pid) == (UDP, os.getpid())}
        assert ends in ours
        assert ((packed(bound), port), NOBODY) in ours
        assert programs.of(UDP, *ends) == programs.of(UDP, *ends[::-1]) == program(os.getpid())
        assert programs.of(TCP, *ends) == programs.of(TCP, *ends[::-1]) == ""


def datagrams(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind((address, 0))
    except OSError as error:
        made.close()
        pytest.skip(f"no such address here: {error}")
    return made


def owned(*given: Owned, rows: Sequence[Owned] = ()) -> Programs:
    return Programs(["192.0.2.1"], lambda: iter([*given, *rows]))


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look finds a new socket, and every process but 0 has a name."""
    inodes = map(str, range(1, 1_000))
    monkeypatch.setattr(processes, "census", lambda: Census({next(inodes)}, set()))
    monkeypatch.setattr(processes, "program", lambda pid: f"p ({pid})" if pid else "")


FAR: End = (packed("198.51.100.7"), 40_000)


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("place", [bytes(4), bytes(16), packed("192.0.2.1")])
def test_who_listens_owns_the_server_s_end(place: bytes, protocol: Protocol) -> None:
    programs = owned(Owned(protocol, (place, 80), NOBODY, 7))
    programs.look()
    assert programs.of(protocol, (packed("192.0.2.1"), 80), FAR) == "p (7)"
    assert programs.of(protocol, (packed("192.0.2.1"), 81), FAR) == ""
    assert programs.of(protocol, (packed("192.0.2.9"), 80), FAR) == "", "another machine's port"
    assert programs.of(UDP if protocol == TCP else TCP, (packed("192.0.2.1"), 80), FAR) == ""


@pytest.mark.usefixtures("made_up")
def test_an_ipv4_wildcard_takes_no_ipv6() -> None:
    programs = Programs(["2001:db8::1"], lambda: iter([Owned(TCP, (bytes(4), 80), NOBODY, 7)]))
    programs.look()
    assert programs.of(TCP, (packed("2001:db8::1"), 80), FAR) == ""


@pytest.mark.usefixtures("made_up")
def test_a_port_belongs_to_different_programs() -> None:
    here = (packed("192.0.2.1"), 53)
    programs = owned(*(Owned(protocol, here, remote, 10 * protocol + (remote == FAR))
                       for protocol in (TCP, UDP) for remote in (FAR, NOBODY)))  # fmt: skip
    programs.look()
    near = (packed("192.0.2.7"), 5)
    assert [programs.of(UDP, here, remote) for remote in (FAR, near)] == [f"p ({10 * UDP + 1})", f"p ({10 * UDP})"]
    assert [programs.of(TCP, here, remote) for remote in (FAR, near)] == [f"p ({10 * TCP + 1})", f"p ({10 * TCP})"]


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_the_latest_owner_counts_and_processes_that_are_gone_do_not(protocol: Protocol) -> None:
    here = (packed("192.0.2.1"), 5)
    for remote in (FAR, NOBODY):
        rows = [Owned(protocol, here, remote, 1)]
        programs = owned(rows=rows)
        programs.look()
        rows[:] = [Owned(protocol, here, remote, 2)]
        programs.look()
        assert programs.of(protocol, here, FAR) == "p (2)"
        rows[:] = [Owned(protocol, here, remote, 0)]
        programs.look()
        assert programs.of(protocol, here, FAR) == "p (2)"


@pytest.mark.usefixtures("made_up")
def test_who_listens_everywhere_now_comes_before_who_once_listened_here() -> None:
    here, anywhere = (packed("192.0.2.1"), 5), (bytes(16), 5)
    rows = [Owned(TCP, here, NOBODY, 1), Owned(TCP, anywhere, NOBODY, 2)]
    programs = owned(rows=rows)
    programs.look()
    assert programs.of(TCP, here, FAR) == "p (1)", "both listen: Linux asks the more particular one"
    del rows[0]
    programs.look()
    assert programs.of(TCP, here, FAR) == "p (2)"


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("remote", [FAR, NOBODY])
def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch, remote: End) -> None:
    monkeypatch.setattr(processes, "MOST_REMEMBERED", 3)
    ends = [(packed("192.0.2.1"), port) for port in range(5)]
    programs = owned(*(Owned(UDP, end, remote, 1) for end in ends))
    programs.look()
    assert [bool(programs.of(UDP, end, FAR)) for end in ends] == [False, False, True, True, True]


def test_nothing_is_listed_while_no_socket_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    inodes = {"5", "6"}
    monkeypatch.setattr(processes, "census", lambda: Census(set(inodes), set()))
    looks: list[int] = []

    def listed() -> Iterator[Owned]:
        looks.append(1)
        return iter(())

    programs = Programs([], listed)
    programs.look()
    programs.look()
    inodes.remove("5")
    programs.look()
    assert len(looks) == 1
    inodes.add("7")
    programs.look()
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["{script}"], "server1.py"),
        (["-u", "{script}", "--port", "5"], "server1.py"),
        (["-c", "print(flush=True); input()", "{script}"], os.path.basename(sys.executable)),
    ],
)
def test_a_program_is_named_after_its_script(tmp_path: Path, command: list[str], expected: str) -> None:
    script = tmp_path / "server1.py"
    script.write_text("print(flush=True); input()")
    command = [word.format(script=script) for word in command]
    with subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        assert processes.program(process.pid) == f"{expected} ({process.pid})"
        process.communicate(b"\n")
    assert processes.program(process.pid) == ""


# ---------------------------------------------------------------- known servers


@contextmanager
def listening(address: str, *, ipv6_alone: bool | None = None) -> Iterator[int]:
    """The port on which a socket listens."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as server:
        if ipv6_alone is not None:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, ipv6_alone)
        try:
            server.bind((address, 0))
        except OSError as error:
            pytest.skip(f"no such address here: {error}")
        server.listen()
        yield server.getsockname()[1]


def serves(rows: Rows, address: str, port: int) -> int:
    """How many rows an end matches."""
    octets = packed(address)
    words = np.frombuffer(octets.rjust(16, b"\0"), ">u4").astype(np.uint32)
    matches = (words & rows["mask"] == rows["address"]).all(axis=1)
    return int((matches & (rows["port"] == port) & (rows["ip_version"] == (6 if len(octets) == 16 else 4))).sum())


PLACES = "127.0.0.1", "127.9.8.7", "192.0.2.1", "192.0.2.9", "::1", "2001:db8::1", "2001:db8::9"
IPV4, IPV6 = ["127.0.0.1", "127.9.8.7", "192.0.2.1"], ["::1", "2001:db8::1"]


@pytest.mark.parametrize(
    ("bound", "ipv6_alone", "expected"),
    [
        ("127.0.0.1", None, ["127.0.0.1"]),
        ("::1", None, ["::1"]),
        ("::ffff:127.0.0.1", False, ["127.0.0.1"]),
        ("0.0.0.0", None, IPV4),
        ("::", False, IPV4 + IPV6),
        ("::", True, IPV4 + IPV6),  # nobody tells that it takes no IPv4
    ],
)
def test_where_a_socket_listens(bound: str, ipv6_alone: bool | None, expected: list[str]) -> None:
    programs = Programs(["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1%eth0"])
    with listening(bound, ipv6_alone=ipv6_alone) as port:
        assert not (programs.known_servers()["port"] == port).any()
        programs.look_for_servers()
        rows = programs.known_servers()
        assert rows.dtype == KNOWN_SERVER
        assert not rows.flags.writeable
        assert (np.diff(rows["port"].astype(int)) >= 0).all()
        assert [place for place in PLACES if serves(rows, place, port)] == expected
        assert max(serves(rows, place, port) for place in PLACES) == 1
        assert not any(serves(rows, place, port + 1) for place in PLACES if port + 1 not in rows["port"])
        programs.look()
        assert programs.known_servers() is rows or len(programs.known_servers()) != len(rows)
    programs.look()
    assert not (programs.known_servers()["port"] == port).any()


def test_who_does_not_listen_is_no_server(conversation: Conversation) -> None:
    programs = Programs(["::1"])
    with datagrams("127.0.0.1") as other, listening("127.0.0.1") as port:
        other_port = other.getsockname()[1]
        programs.look_for_servers()
        ports = set(programs.known_servers()["port"].tolist())
    assert ports >= {conversation.port, port}
    assert conversation.client_end[1] not in ports
    assert other_port not in ports - {conversation.port, port}


def test_the_known_servers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_REMEMBERED", 3)
    monkeypatch.setattr(processes, "census", lambda: Census(set(), {(bytes(4), 80), (bytes(4), 81)}))
    programs = Programs(["192.0.2.1", "192.0.2.2"])
    programs.look()
    assert programs.known_servers()["port"].tolist() == [80, 80, 80]
