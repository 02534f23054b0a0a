"""The states that a live capture infers against those of Linux's own sockets, asked for many times a second.

Conversations of real sockets stand still again and again while Linux's tables are read. Afterwards each reading is
compared with the states after the latest packet before it; an instant counts when no packet of the connection is within
``MARGIN_NS`` of it. What moves a state without a packet cannot be seen by anybody who looks at packets: a timer that
ends TIME-WAIT or a SYN that nobody answers, or a close whose FIN waits behind data. Readings end before.

On loopback and between two namespaces both ends are compared. Over a wire that is held or cut in one direction, the end
that the capture is next to.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import scapy.arch.linux  # noqa: F401 (a namespace that ends has scapy list the interfaces)

from analyzer.capture.live import LiveCapture
from analyzer.explain.processes import ends_of
from analyzer.pipeline import Run
from analyzer.tables import Protocol, Side, rows_of
from analyzer.tcp.states import State
from tests.capture.namespaces import FAR, NEAR, PATIENCE, Wire, namespace, needs_root, pair, wired, within
from tests.cli.test_live import live

pytestmark = needs_root

PORT, FIRST_CLIENT_PORT = 1235, 45_000
AT_ONCE = 10
"""Connections that a conversation has side by side."""

READINGS = 10
"""Of the tables while everything stands still."""

PAUSE_S = 0.002
MARGIN_NS = 2_000_000
LEAST_SHARE = 0.995

LINUX = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECEIVED", 4: "FIN_WAIT_1", 5: "FIN_WAIT_2", 6: "TIME_WAIT", 7: "CLOSED",
    8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING", 12: "SYN_RECEIVED",
}  # fmt: skip
"""Linux's numbers (include/net/tcp_states.h)."""

End = tuple[bytes, int]


class Reading(NamedTuple):
    """Linux's tables at an instant between two times."""

    began_ns: int
    ended_ns: int
    tables: str


class Reader(threading.Thread):
    """Reads the socket tables of the namespace that it was started in, until it is ended."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.readings: list[Reading] = []
        self._enough = threading.Event()
        self._has_read = threading.Condition()
        self.start()

    def run(self) -> None:
        while not self._enough.wait(PAUSE_S):
            began_ns = time.time_ns()
            tables = "".join(Path(f"/proc/thread-self/net/{name}").read_text() for name in ("tcp", "tcp6"))
            with self._has_read:
                self.readings.append(Reading(began_ns, time.time_ns(), tables))
                self._has_read.notify_all()

    def go_on(self, count: int) -> None:
        """Wait for so many readings more."""
        wanted = len(self.readings) + count
        with self._has_read:
            assert self._has_read.wait_for(lambda: len(self.readings) >= wanted, PATIENCE)

    def end(self) -> None:
        self._enough.set()
        self.join()


def states_of(tables: str) -> dict[tuple[End, End], str]:
    """The state of each socket, by its own end and the other."""
    found = {}
    for line in tables.splitlines():
        if ":" in line.split()[0]:
            _, local, remote, state = line.split()[:4]
            found[end_of(local), end_of(remote)] = LINUX[int(state, 16)]
    return found


def end_of(text: str) -> End:
    address, port = text.split(":")
    words = [int(address[k : k + 8], 16) for k in range(0, len(address), 8)]
    return struct.pack(f"={len(words)}I", *words), int(port, 16)


class Place(NamedTuple):
    """Where conversations are: the client is near, unless it is said otherwise."""

    interface: str
    addresses: tuple[str, str]
    namespaces: tuple[int, int]
    wire: Wire | None = None

    @property
    def is_one(self) -> bool:
        """Whether both ends are in one namespace."""
        return self.namespaces[NEAR] == self.namespaces[FAR]


@contextmanager
def loopback(address: str) -> Iterator[Place]:
    with namespace() as here:
        yield Place("lo", (address, address), (here, here))


@contextmanager
def veth() -> Iterator[Place]:
    with pair() as there:
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        yield Place("near", ("10.9.0.1", "10.9.0.2"), (here, there))
        os.close(here)


@contextmanager
def slow() -> Iterator[Place]:
    with wired() as (here, there, wire):
        yield Place("near", ("10.9.0.1", "10.9.0.2"), (here, there), wire)


class Figures:
    """How often Linux and the packets agree."""

    def __init__(self) -> None:
        self.compared = self.agreed = 0
        self.states: Counter[str] = Counter()
        self.differences: Counter[str] = Counter()

    def add(self, what: str, inferred: str, linux: str) -> None:
        inferred = inferred.replace("LISTEN", "CLOSED")  # the socket that listens is another one
        self.compared += 1
        self.agreed += inferred == linux
        self.states[inferred] += 1
        if inferred != linux:
            self.differences[f"{what}: {inferred} here, {linux} in the kernel"] += 1


class Lab:
    """A place with a live capture, where the tables of both namespaces are read."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.wire = place.wire
        self.first_port = FIRST_CLIENT_PORT
        self.readers: dict[int, Reader] = {}
        for at in (NEAR,) if place.is_one or place.wire else (NEAR, FAR):
            with within(place.namespaces[at]):
                self.readers[at] = Reader()
        self.capture = LiveCapture(place.interface, "tcp")
        self._held = ExitStack()

    def stand_still(self) -> None:
        """Until the tables were read again and again."""
        for reader in self.readers.values():
            reader.go_on(READINGS)

    def socket(self, at: int, port: int) -> socket.socket:
        """A socket of one end, closed in the end."""
        address = self.place.addresses[at]
        with within(self.place.namespaces[at]):
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self._held.enter_context(made)
        made.settimeout(PATIENCE)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        return made

    def clients(self, at: int = NEAR) -> list[socket.socket]:
        return [self.socket(at, self.first_port + k) for k in range(AT_ONCE)]

    def listener(self, at: int = FAR) -> socket.socket:
        made = self.socket(at, PORT)
        made.listen(AT_ONCE)
        return made

    def connected(self, at: int = NEAR) -> tuple[list[socket.socket], list[socket.socket]]:
        """Clients at one end, and the servers' sockets at the other."""
        clients, servers = self.clients(at), []
        with self.listener(1 - at) as listening:
            for client in clients:
                client.connect((self.place.addresses[1 - at], PORT))
                servers.append(self._held.enter_context(listening.accept()[0]))
        self.stand_still()
        return clients, servers

    def call(self, client: socket.socket, at: int = NEAR, port: int = PORT) -> None:
        """Begin to connect."""
        client.setblocking(False)
        assert client.connect_ex((self.place.addresses[1 - at], port)) == errno.EINPROGRESS

    def figures(self) -> Figures:
        """Compare all readings with the packets; the end of everything."""
        for reader in self.readers.values():
            reader.end()
        with self.capture as capture:
            capture.stop()
            found = self._compare(Run(capture))
        self._held.close()
        return found

    def close(self) -> None:
        for reader in self.readers.values():
            reader.end()
        self.capture.close()
        self._held.close()

    def _compare(self, run: Run) -> Figures:
        times: dict[tuple[End, End], list[int]] = defaultdict(list)
        states: dict[tuple[End, End], list[tuple[str, str]]] = defaultdict(list)
        for batch in run:
            assert (batch.packets.protocol == Protocol.TCP).all()
            numbers = batch.labels.connection
            rows = run.connections[rows_of(run.connections[: run.count], numbers)]
            for k, row in enumerate(rows):
                ends = ends_of(row)
                times[ends].append(int(batch.frames.ts_ns[k]))
                labels = batch.labels.client_state[k], batch.labels.server_state[k]
                states[ends].append((State(int(labels[0])).name, State(int(labels[1])).name))
        assert times
        found = Figures()
        for at, reader in self.readers.items():
            for reading in reader.readings:
                linux = states_of(reading.tables)
                for ends, moments in times.items():
                    before = bisect_right(moments, reading.began_ns - MARGIN_NS)
                    if not before or before != bisect_right(moments, reading.ended_ns + MARGIN_NS):
                        continue
                    for side in Side:
                        if self.place.is_one or ends[side][0] == socket.inet_aton(self.place.addresses[at]):
                            state = linux.get((ends[side], ends[1 - side]), "CLOSED")
                            what = f"{side.name} of {ends[0][1]} after its packet {before}"
                            found.add(what, states[ends][before - 1][side], state)
        return found


# ---------------------------------------------------------------- conversations over any link


def client_closes(lab: Lab, closing: int = 0) -> None:
    sockets = lab.connected()
    for one in sockets[closing]:
        one.sendall(b"hello")
    lab.stand_still()
    for one in sockets[closing]:
        one.close()
    lab.stand_still()
    for other in sockets[1 - closing]:
        assert other.recv(9, socket.MSG_WAITALL) == b"hello"
        other.close()
    lab.stand_still()


def server_closes(lab: Lab) -> None:
    client_closes(lab, 1)


def client_half_closes(lab: Lab, closing: int = 0) -> None:
    sockets = lab.connected()
    for one, other in zip(sockets[closing], sockets[1 - closing], strict=True):
        one.shutdown(socket.SHUT_WR)
        assert other.recv(1) == b""
    lab.stand_still()
    for one, other in zip(sockets[closing], sockets[1 - closing], strict=True):
        other.sendall(bytes(100_000))
        missing = 100_000  # MSG_WAITALL may give less on a socket with a timeout
        while missing:
            octets = one.recv(missing)
            assert octets
            missing -= len(octets)
    lab.stand_still()
    for one, other in zip(sockets[closing], sockets[1 - closing], strict=True):
        other.close()
        assert one.recv(1) == b""
    lab.stand_still()


def server_half_closes(lab: Lab) -> None:
    client_half_closes(lab, 1)


def client_aborts(lab: Lab, aborting: int = 0) -> None:
    sockets = lab.connected()
    for one in sockets[aborting]:
        abort(one)
    lab.stand_still()


def server_aborts(lab: Lab) -> None:
    client_aborts(lab, 1)


def abort(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def aborted_half_closed(lab: Lab) -> None:
    clients, servers = lab.connected()
    for client in clients:
        client.shutdown(socket.SHUT_WR)
    lab.stand_still()
    for server in servers:
        abort(server)
    lab.stand_still()


def written_after_close(lab: Lab) -> None:
    """The server has closed for good, and answers data with RST."""
    clients, servers = lab.connected()
    for server in servers:
        server.close()
    lab.stand_still()
    for client in clients:
        client.sendall(b"too late")
    lab.stand_still()


def refused(lab: Lab) -> None:
    for client in lab.clients():
        with pytest.raises(ConnectionRefusedError):
            client.connect((lab.place.addresses[FAR], PORT))
    lab.stand_still()


def port_reused(lab: Lab) -> None:
    """The same two ends again: after RST, and while the server is in TIME-WAIT."""
    client_aborts(lab)
    server_closes(lab)
    client_closes(lab)


ANYWHERE = [
    client_closes, server_closes, client_half_closes, server_half_closes, client_aborts, server_aborts,
    aborted_half_closed, written_after_close, refused, port_reused,
]  # fmt: skip


# ---------------------------------------------------------------- conversations that need a wire


def both_close(lab: Lab) -> None:
    """FINs cross: FIN-WAIT-1, CLOSING, TIME-WAIT."""
    wire, sockets = wire_of(lab), lab.connected()
    wire.hold(NEAR, FAR)
    for one in (*sockets[0], *sockets[1]):
        one.shutdown(socket.SHUT_WR)
    lab.stand_still()
    wire.release(NEAR)
    lab.stand_still()
    wire.release(FAR)
    lab.stand_still()


def both_open(lab: Lab) -> None:
    """SYNs cross: SYN-SENT, SYN-RECEIVED, ESTABLISHED; then the one that called first closes."""
    wire = wire_of(lab)
    wire.hold(NEAR, FAR)
    clients = lab.clients()
    others = [lab.socket(FAR, 2_000 + k) for k in range(AT_ONCE)]
    for k in range(AT_ONCE):
        lab.call(clients[k], NEAR, 2_000 + k)
    lab.stand_still()
    for k in range(AT_ONCE):
        lab.call(others[k], FAR, FIRST_CLIENT_PORT + k)
    wire.release(NEAR)
    lab.stand_still()
    wire.release(FAR)
    lab.stand_still()
    for client in clients:
        client.close()
    lab.stand_still()


def slow_client(lab: Lab) -> None:
    """Near a client whose packets take their time: SYN-SENT, FIN-WAIT-1 until they arrive."""
    wire, clients = wire_of(lab), lab.clients()
    with lab.listener() as listening:
        wire.hold(FAR)
        for client in clients:
            lab.call(client)
        lab.stand_still()
        wire.release(FAR)
        servers = [listening.accept()[0] for _ in clients]
        lab.stand_still()
    wire.hold(FAR)
    for client in clients:
        client.close()
    lab.stand_still()
    wire.release(FAR)
    lab.stand_still()
    for server in servers:
        server.close()
    lab.stand_still()


def slow_server(lab: Lab) -> None:
    """Near a server whose client's packets take their time: SYN-RECEIVED, LAST-ACK."""
    wire, clients = wire_of(lab), lab.clients(FAR)
    with lab.listener(NEAR) as listening:
        wire.hold(FAR)
        for client in clients:
            lab.call(client, FAR)
        lab.stand_still()
        wire.release(FAR)
        servers = [listening.accept()[0] for _ in clients]
        lab.stand_still()
    for client in clients:
        client.close()
    lab.stand_still()
    wire.hold(FAR)
    for server in servers:
        server.close()
    lab.stand_still()
    wire.release(FAR)
    lab.stand_still()


def nobody_answers(lab: Lab) -> None:
    """A SYN and its first repetition are lost."""
    wire_of(lab).is_cut = True
    clients = lab.clients()
    for client in clients:
        lab.call(client)
    lab.stand_still()
    time_to_repeat(lab, 1.1)


def nobody_acknowledges(lab: Lab) -> None:
    """Data that is lost, and its repetitions."""
    clients, _ = lab.connected()
    wire_of(lab).is_cut = True
    for client in clients:
        client.sendall(b"is anybody there?")
    time_to_repeat(lab, 0.7)


def time_to_repeat(lab: Lab, seconds: float) -> None:
    """Read on until the timers of retransmission have run out."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        lab.stand_still()


def wire_of(lab: Lab) -> Wire:
    assert lab.wire is not None
    return lab.wire


WIRED = {
    both_close: {"FIN_WAIT_1", "CLOSING", "TIME_WAIT"},
    both_open: {"SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_2"},
    slow_client: {"SYN_SENT", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "TIME_WAIT"},
    slow_server: {"SYN_RECEIVED", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSED"},
    nobody_answers: {"SYN_SENT"},
    nobody_acknowledges: {"ESTABLISHED"},
}
"""And the states that the near end must have been found in."""


# ---------------------------------------------------------------- comparisons


def check(place: Place, conversation: Callable[[Lab], None]) -> Figures:
    lab = Lab(place)
    try:
        conversation(lab)
        found = lab.figures()
    finally:
        lab.close()
    share = found.agreed / found.compared
    sys.stderr.write(f"{conversation.__name__}: {found.compared:,} states compared, {share:.2%} agree\n")
    assert found.compared >= AT_ONCE * READINGS
    assert share >= LEAST_SHARE, found.differences.most_common(5)
    return found


@pytest.mark.parametrize("conversation", ANYWHERE, ids=lambda one: one.__name__)
@pytest.mark.parametrize("where", ["lo", "lo-6", "veth"])
def test_states_are_linux_s(where: str, conversation: Callable[[Lab], None]) -> None:
    with veth() if where == "veth" else loopback("::1" if where == "lo-6" else "127.0.0.1") as place:
        check(place, conversation)


@pytest.mark.parametrize("conversation", WIRED, ids=lambda one: one.__name__)
def test_states_are_linux_s_next_to_a_slow_wire(conversation: Callable[[Lab], None]) -> None:
    with slow() as place:
        found = check(place, conversation)
    assert set(found.states) >= WIRED[conversation]


def test_the_program_finds_so_too() -> None:
    """``--check-kernel``, which compares by itself and less often."""
    with loopback("127.0.0.1") as place, live("-i", "lo", "--check-kernel", "tcp") as process:
        reading = threading.Thread(target=lambda: said.extend(process.stdout or ()))
        said: list[str] = []
        reading.start()
        lab = Lab(place)
        try:
            for conversation in (server_closes, server_half_closes, aborted_half_closed, refused, client_closes):
                conversation(lab)
                lab.first_port += AT_ONCE
            time_to_repeat(lab, 0.5)
        finally:
            lab.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        reading.join()
    (told,) = (line for line in said if line.startswith(" kernel: "))
    compared, different = (
        int(word.replace(",", "")) for word in re.findall(r"([\d,]+) (?:states compared|different)", told)
    )
    assert compared >= 2 * AT_ONCE
    assert different <= (1 - LEAST_SHARE) * compared, said[-10:]
