"""Two hosts of a test's own, and the wire between them: what passes is captured there, kept back, dropped or made up.

Each host is a network namespace with a TUN interface; its sockets and its kernel are real. The wire is a thread that
reads from one interface and writes to the other, and asks a rule what to do with each packet. Time on the capture's
clock can be let pass without waiting.
"""

from __future__ import annotations

import ipaddress
import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analyzer.decode.packets import decode
from analyzer.explain.calls import Call, inferred
from analyzer.explain.causes import Cause, actor_of, cause_of
from analyzer.explain.circumstances import Remark, remarks_on
from analyzer.explain.why import evidence_of, why
from analyzer.pipeline import Lives
from analyzer.tables import FIN, RST, SYN, Batch, Packets, Protocol, Rows, Side
from analyzer.tcp.reconstruct import Reconstruction
from tests.capture.namespaces import FAR, NEAR, PATIENCE, ip, namespace, tunnel, wait_for, within
from tests.export.rows import kernels
from tests.script import batch

ADDRESSES = {4: ("10.9.0.1", "10.9.0.2"), 6: ("fd00:9::1", "fd00:9::2")}
"""Of the hosts NEAR, where the client is, and FAR."""

BEYOND = {4: "10.9.9.", 6: "fd00:99::"}
"""Networks that FAR has no way to."""

LINKTYPE_RAW = 101

Rule = Callable[[int, Packets, bytes], bool]
"""Whether a packet goes on: called with the host that it goes to, the packet's one row, its octets."""


class Told(NamedTuple):
    """What is said of a connection."""

    cause: Cause
    actor: Side
    remarks: frozenset[Remark]
    text: str
    evidence: list[int]


class Lab:
    """The hosts and their wire.

    Attributes: ``version`` of IP; ``random`` from the seed; ``near`` and ``far`` the hosts' namespaces; ``rule`` for
    what is on the wire.
    """

    def __init__(self, version: int, seed: int, near: int, far: int, ends: tuple[int, int]) -> None:
        self.version = version
        self.family = socket.AF_INET if version == 4 else socket.AF_INET6
        self.random = random.Random(seed)
        self.near, self.far = near, far
        self.port = self.random.randrange(2_000, 20_000)
        self.rule: Rule = lambda to, packet, octets: True
        self.held: list[tuple[int, bytes]] = []
        self._ends = ends
        self._passed: list[tuple[int, bytes]] = []
        self._ahead_ns = 0
        self._lock = threading.RLock()
        self._came = threading.Condition(self._lock)
        self._until, self._end = os.pipe()
        self._carrying = threading.Thread(target=self._carry)
        self._carrying.start()

    # ------------------------------------------------------------ hosts

    def made(self, host: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A socket of a host."""
        with within(self.near if host == NEAR else self.far):
            made = socket.socket(self.family, kind)
        made.settimeout(PATIENCE)
        return made

    def listener(self, backlog: int = 5) -> socket.socket:
        """A listening socket of FAR."""
        made = self.made(FAR)
        made.bind((ADDRESSES[self.version][FAR], self.port))
        made.listen(backlog)
        return made

    def client(self) -> socket.socket:
        """A socket of NEAR, with a port that the seed chose."""
        made = self.made(NEAR)
        made.bind((ADDRESSES[self.version][NEAR], self.random.randrange(33_000, 60_000)))
        return made

    @property
    def server_end(self) -> tuple[str, int]:
        """Where the listener is."""
        return ADDRESSES[self.version][FAR], self.port

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """A client's and a server's socket, once the ACK of the handshake was carried."""
        with self.listener() as listening:
            client = self.client()
            client.connect(self.server_end)
            server, _ = listening.accept()
        server.settimeout(PATIENCE)
        return client, server

    def setting(self, host: int, name: str, value: int) -> None:
        """A sysctl of a host."""
        with within(self.near if host == NEAR else self.far):
            Path("/proc/sys/net", name).write_text(str(value), encoding="ascii")

    # ------------------------------------------------------------ the wire

    def hold(self, is_held: Rule) -> None:
        """Keep back what is such, until ``release``."""

        def rule(to: int, packet: Packets, octets: bytes) -> bool:
            if is_held(to, packet, octets):
                self.held.append((to, octets))
                return False
            return True

        self.rule = rule

    def release(self) -> None:
        """Let everything through, first what was kept back."""
        with self._lock:
            self.rule = lambda to, packet, octets: True
            for to, octets in self.held:
                os.write(self._ends[to], octets)
            self.held.clear()

    def put(self, to: int, octets: bytes) -> None:
        """Carry a packet that no host sent."""
        with self._lock:
            self._keep(octets)
            os.write(self._ends[to], octets)

    def pass_time(self, seconds: float) -> None:
        """Set the capture's clock on."""
        with self._lock:
            self._ahead_ns += round(seconds * 1e9)

    def captured(self) -> Packets:
        """What was on the wire until now."""
        with self._lock:
            passed = list(self._passed)
        return decode(batch([octets for _, octets in passed], linktype=LINKTYPE_RAW))

    def wait_until(self, count: int, what: Callable[[Packets], np.ndarray[tuple[int], np.dtype[np.bool_]]]) -> None:
        """Until so many packets were on the wire of which ``what`` is true."""
        with self._came:
            came = self._came.wait_for(lambda: int(what(self.captured()).sum()) >= count, PATIENCE)
        assert came, "waited too long"

    def span_ns(self, what: Callable[[Packets], np.ndarray[tuple[int], np.dtype[np.bool_]]]) -> int:
        """From the first to the last packet of which ``what`` is true; -1 where there is none."""
        with self._lock:
            times = np.array([ts_ns for ts_ns, _ in self._passed])
        chosen = times[what(self.captured())[: len(times)]]
        return int(chosen[-1] - chosen[0]) if len(chosen) else -1

    def reconstructed(self) -> Reconstruction:
        """What was made of it."""
        with self._lock:
            passed = list(self._passed)
        frames = batch([octets for _, octets in passed], [ts_ns for ts_ns, _ in passed], LINKTYPE_RAW)
        reconstruction = Reconstruction()
        reconstruction.feed(frames, decode(frames))
        return reconstruction

    def told(self, number: int = 1) -> Told:
        """What is said of a connection."""
        reconstruction = self.reconstructed()
        assert reconstruction.count >= number
        return tell(reconstruction.connections[number - 1], reconstruction.endpoints[number - 1])

    def inferred(self) -> list[Call]:
        """The socket calls of the first connection."""
        with self._lock:
            passed = list(self._passed)
        frames = batch([octets for _, octets in passed], [ts_ns for ts_ns, _ in passed], LINKTYPE_RAW)
        reconstruction, packets = Reconstruction(), decode(frames)
        kept = Lives([1], 10**9)
        kept.add(Batch(frames, packets, reconstruction.feed(frames, packets)))
        return inferred(reconstruction.connections[0], reconstruction.endpoints[0], kept.found()[1])

    def end(self) -> None:
        os.close(self._end)
        self._carrying.join()
        for descriptor in (*self._ends, self._until):
            os.close(descriptor)

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([*self._ends, self._until], [], [])
            if self._until in ready:
                return
            for to in (NEAR, FAR):
                if self._ends[1 - to] in ready:
                    octets = os.read(self._ends[1 - to], 1 << 16)
                    with self._lock:
                        self._keep(octets)
                        if self.rule(to, decode(batch([octets], linktype=LINKTYPE_RAW)), octets):
                            os.write(self._ends[to], octets)

    def _keep(self, octets: bytes) -> None:
        self._passed.append((time.time_ns() + self._ahead_ns, octets))
        self._came.notify_all()


def tell(connection: Rows, endpoints: Rows) -> Told:
    cause = Cause(cause_of(connection, *endpoints))
    actor = Side(actor_of(cause, connection, *endpoints))
    bits = remarks_on(cause, actor, connection, *endpoints)
    remarks = frozenset(remark for remark in Remark if bits >> remark & 1)
    return Told(cause, actor, remarks, why(connection, *endpoints), evidence_of(connection, *endpoints))


def is_syn(packet: Packets) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (packet.flags & SYN) != 0


def is_fin(packet: Packets) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (packet.flags & FIN) != 0


def is_rst(packet: Packets) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (packet.flags & RST) != 0


def closes_window(packet: Packets) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    plain = (packet.protocol == Protocol.TCP) & ((packet.flags & (SYN | RST)) == 0)
    return plain & (packet.window == 0)


def has_data(packet: Packets) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return packet.payload_len > 0


def _is_here(address: str) -> bool:
    """Whether this host takes packets for an IPv6 address: Linux makes its route some time after it was given."""
    route = f"{ipaddress.IPv6Address(address).packed.hex()} 80 "
    return route in Path("/proc/thread-self/net/ipv6_route").read_text(encoding="ascii")


@contextmanager
def lab(version: int, seed: int) -> Iterator[Lab]:
    """Hosts that know each other's addresses; this thread is in NEAR."""
    if not os.path.exists("/dev/net/tun"):
        import pytest

        pytest.skip("there is no /dev/net/tun")
    # Hosts wait for the wire, not for a compiler.
    with kernels("never"), namespace() as far, namespace() as near:
        ends = []
        for host, name in ((NEAR, "near"), (FAR, "far")):
            with within((near, far)[host]):
                ends.append(tunnel(name, ADDRESSES[4][host]))
                ip("-6", "address", "add", f"{ADDRESSES[6][host]}/64", "dev", name, "nodad")
                wait_for(lambda: _is_here(ADDRESSES[6][host]))  # noqa: B023 (it is called at once)
                Path("/proc/sys/net/ipv6/icmp/ratelimit").write_text("0", encoding="ascii")
        made = Lab(version, seed, near, far, (ends[0], ends[1]))
        try:
            yield made
        finally:
            made.end()
