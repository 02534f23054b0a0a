"""The states that a live capture infers against those of Linux's own sockets, asked for many times a second.

Conversations of real sockets stand still again and again while Linux's tables are read. Afterwards each reading is
compared with the states after the latest packet before it; an instant counts when no packet of the connection is within
``MARGIN_NS`` of it. What ends without a packet (TIME-WAIT after its minute, a SYN that nobody answers after its last
repetition) cannot be seen by anybody who looks at packets: readings end before.

On loopback and between two namespaces both ends are compared. Over a wire that is held or cut in one direction, the end
that the capture is next to.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import scapy.arch.linux  # noqa: F401 (a namespace that ends has scapy list the interfaces)

from analyzer.capture.live import LiveCapture
from analyzer.explain.processes import ends_of
from analyzer.pipeline import Run
from analyzer.tables import Protocol, rows_of
from analyzer.tcp.states import State
from tests.capture.namespaces import PATIENCE, ip, namespace, needs_root, pair, wait_for, within

pytestmark = needs_root

ROOT = Path(__file__).parents[2]
PORT, FIRST_CLIENT_PORT = 1235, 45_000
AT_ONCE = 5
"""Connections that a conversation has side by side."""

READINGS = 20
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
        super().__init__()
        self.readings: list[Reading] = []
        self._enough = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._enough.wait(PAUSE_S):
            began_ns = time.time_ns()
            tables = "".join(Path(f"/proc/thread-self/net/{name}").read_text() for name in ("tcp", "tcp6"))
            self.readings.append(Reading(began_ns, time.time_ns(), tables))

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


class Wire:
    """Two interfaces of bare IP packets, and what one sends arrives at the other; unless it is held, or cut."""

    def __init__(self, near: int, far: int) -> None:
        self._ends = near, far
        self._is_held = [False, False]
        self._waiting: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self.is_cut = False
        self._lock = threading.Lock()
        self._enough, self._end = os.pipe()
        self._carrying = threading.Thread(target=self._carry)
        self._carrying.start()

    def hold(self, *to: int) -> None:
        """Keep what goes to NEAR, or to FAR."""
        for side in to:
            self._is_held[side] = True

    def release(self, *to: int) -> None:
        with self._lock:
            for side in to:
                self._is_held[side] = False
                while self._waiting[side]:
                    os.write(self._ends[side], self._waiting[side].popleft())

    def end(self) -> None:
        os.close(self._end)
        self._carrying.join()
        for descriptor in (*self._ends, self._enough):
            os.close(descriptor)

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([*self._ends, self._enough], [], [])
            if self._enough in ready:
                return
            for side in (NEAR, FAR):
                if self._ends[1 - side] in ready:
                    packet = os.read(self._ends[1 - side], 1 << 16)
                    with self._lock:
                        if self._is_held[side]:
                            self._waiting[side].append(packet)
                        elif not self.is_cut:
                            os.write(self._ends[side], packet)


NEAR, FAR = 0, 1


class Place(NamedTuple):
    """Where conversations are: the client is near, unless it is said otherwise."""

    interface: str
    addresses: tuple[str, str]
    namespaces: tuple[int, int]
    wire: Wire | None = None


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
def wired() -> Iterator[Place]:
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("there is no /dev/net/tun")
    with namespace() as there, namespace() as here:
        near = tunnel("near", "10.8.0.1")
        with within(there):
            far = tunnel("far", "10.8.0.2")
        wire = Wire(near, far)
        try:
            yield Place("near", ("10.8.0.1", "10.8.0.2"), (here, there), wire)
        finally:
            wire.end()


def tunnel(name: str, address: str) -> int:
    """An interface whose packets are read and written through a descriptor (TUN without packet information)."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH", name.encode(), 0x1001))
    ip("link", "set", name, "addrgenmode", "none")
    ip("address", "add", f"{address}/24", "dev", name)
    ip("link", "set", name, "up")
    return descriptor


class Figures:
    """How often Linux and the packets agree."""

    def __init__(self) -> None:
        self.compared = self.agreed = 0
        self.states: Counter[tuple[str, str]] = Counter()
        self.differences: Counter[str] = Counter()

    def add(self, what: str, pair_of_states: tuple[str, str], side: int, linux: str) -> None:
        inferred = pair_of_states[side].replace("LISTEN", "CLOSED")  # the socket that listens is another one
        self.compared += 1
        self.agreed += inferred == linux
        self.states[pair_of_states] += 1
        if inferred != linux:
            self.differences[f"{what}, {('client', 'server')[side]}: {inferred} here, {linux} in the kernel"] += 1


class Lab:
    """A place with a live capture, where the tables of both namespaces are read."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.wire = place.wire
        self.sides: dict[int, Reader] = {}
        for k in (NEAR, FAR):
            with within(place.namespaces[k]):
                self.sides[k] = Reader()
        self.capture = LiveCapture(place.interface, "tcp")
        self._held = ExitStack()

    def stand_still(self) -> None:
        """Until the tables were read again and again."""
        wanted = [len(reader.readings) + READINGS for reader in self.sides.values()]
        for reader, count in zip(self.sides.values(), wanted, strict=True):
            wait_for(lambda: time.sleep(PAUSE_S) is None and len(reader.readings) >= count)  # noqa: B023 (used at once)

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
        return [self.socket(at, FIRST_CLIENT_PORT + k) for k in range(AT_ONCE)]

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
        for reader in self.sides.values():
            reader.end()
        with self.capture as capture:
            capture.stop()
            found = self._compare(Run(capture))
        self._held.close()
        return found

    def close(self) -> None:
        for reader in self.sides.values():
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
                pair_of_states = (int(batch.labels.client_state[k]), int(batch.labels.server_state[k]))
                states[ends].append((State(pair_of_states[0]).name, State(pair_of_states[1]).name))
        assert times
        found = Figures()
        for at, reader in self.sides.items():
            for reading in reader.readings:
                linux = states_of(reading.tables)
                for ends, moments in times.items():
                    before = bisect_right(moments, reading.began_ns - MARGIN_NS)
                    if not before or before != bisect_right(moments, reading.ended_ns + MARGIN_NS):
                        continue
                    for side in (0, 1):
                        if self._is_at(ends[side][0], at):
                            state = linux.get((ends[side], ends[1 - side]), "CLOSED")
                            found.add(f"{ends[0][1]} after packet {before}", states[ends][before - 1], side, state)
        return found

    def _is_at(self, address: bytes, at: int) -> bool:
        """Whether an address is compared in this namespace: both on loopback, where one reader suffices."""
        if self.wire and at == FAR:
            return False
        if self.place.addresses[NEAR] == self.place.addresses[FAR]:
            return at == NEAR
        return address == socket.inet_aton(self.place.addresses[at])


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
        assert len(one.recv(100_000, socket.MSG_WAITALL)) == 100_000
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
    """Data and FIN, repeated again and again: ESTABLISHED, FIN-WAIT-1."""
    clients, _ = lab.connected()
    wire_of(lab).is_cut = True
    for client in clients:
        client.sendall(b"is anybody there?")
    time_to_repeat(lab, 0.5)
    for client in clients:
        client.close()
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
    nobody_acknowledges: {"ESTABLISHED", "FIN_WAIT_1"},
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
    print(f"{conversation.__name__} on {place.interface}: {found.agreed:,} of {found.compared:,} states agree "
          f"({100 * found.agreed / found.compared:.2f} %)")  # fmt: skip
    assert found.compared >= AT_ONCE * READINGS / 2
    assert found.agreed >= LEAST_SHARE * found.compared, found.differences.most_common(5)
    return found


@pytest.mark.parametrize("conversation", ANYWHERE, ids=lambda one: one.__name__)
@pytest.mark.parametrize("where", ["lo", "lo-6", "veth"])
def test_states_are_linux_s(where: str, conversation: Callable[[Lab], None]) -> None:
    with veth() if where == "veth" else loopback("::1" if where == "lo-6" else "127.0.0.1") as place:
        check(place, conversation)


@pytest.mark.parametrize("conversation", WIRED, ids=lambda one: one.__name__)
def test_states_are_linux_s_next_to_a_slow_wire(conversation: Callable[[Lab], None]) -> None:
    with wired() as place:
        found = check(place, conversation)
    assert {state for states in found.states for state in states} >= WIRED[conversation]
