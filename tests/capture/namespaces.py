"""Network namespaces of a test's own, where nothing else speaks; and tcpdump as the reference for what was there."""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from scapy.config import conf

from analyzer.capture.source import open_capture
from tests.capture.written import Read, rows

needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="a network namespace and a packet socket need Linux and root"
)
needs_tcpdump = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")

PATIENCE = 20.0
MARK = b"the last packet"
MARK_PORT = 65_000

NEAR, FAR = 0, 1
"""The ends of a wire."""

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000
_CLONE_NEWNET = 0x4000_0000


def _libc(call: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), call)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def namespace() -> Iterator[int]:
    """This thread, and processes that it starts, in a new namespace with loopback up; gives its descriptor."""
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is not installed")
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _libc("unshare", _CLONE_NEWNET)
    except OSError as error:
        os.close(before)
        pytest.skip(f"no network namespace can be made: {error.strerror}")
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        ip("link", "set", "lo", "up")
        yield here
    finally:
        _libc("setns", before, _CLONE_NEWNET)
        os.close(before)
        os.close(here)
        conf.ifaces.reload()


@contextmanager
def within(descriptor: int) -> Iterator[None]:
    """This thread in another namespace; sockets made there stay there."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    _libc("setns", descriptor, _CLONE_NEWNET)
    try:
        yield
    finally:
        _libc("setns", before, _CLONE_NEWNET)
        os.close(before)


@contextmanager
def pair() -> Iterator[int]:
    """A namespace with ``near`` (10.9.0.1); gives the one that has its other end, ``far`` (10.9.0.2)."""
    with namespace() as other, namespace():
        ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        ip("link", "set", "far", "netns", f"/proc/{os.getpid()}/fd/{other}")
        quiet("near")
        ip("address", "add", "10.9.0.1/24", "dev", "near")
        ip("link", "set", "near", "up")
        with within(other):
            quiet("far")
            ip("address", "add", "10.9.0.2/24", "dev", "far")
            ip("link", "set", "far", "up")
        yield other


@contextmanager
def wired() -> Iterator[tuple[int, int, Wire]]:
    """Like ``pair``, with bare IP packets over a wire; gives both namespaces, and the wire."""
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("there is no /dev/net/tun")
    with namespace() as there, namespace() as here:
        near = tunnel("near", "10.9.0.1")
        with within(there):
            far = tunnel("far", "10.9.0.2")
        wire = Wire(near, far)
        try:
            yield here, there, wire
        finally:
            wire.end()


def tunnel(name: str, address: str) -> int:
    """An interface whose packets are read and written through a descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    quiet(name)
    ip("address", "add", f"{address}/24", "dev", name)
    ip("link", "set", name, "up")
    return descriptor


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
        """Keep what goes to ``NEAR``, or to ``FAR``."""
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


def quiet(interface: str) -> None:
    """Let Linux say nothing about IPv6 of its own accord."""
    ip("link", "set", interface, "addrgenmode", "none")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"


def send(address: str, port: int, *payloads: bytes) -> None:
    """Datagrams to a port where, on loopback, somebody must listen lest ICMP answers."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for payload in payloads:
            sender.sendto(payload, (address, port))


def converse(address: str, count: int, there: int = -1) -> None:
    """TCP connections that carry messages of many sizes; the server is in the namespace ``there``, if one is given."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) if there < 0 else _made(family, there) as server:
        server.bind((address, 1235))
        server.listen()
        for i in range(count):
            with socket.create_connection((address, 1235), PATIENCE) as client, server.accept()[0] as accepted:
                message = bytes([i % 256]) * (1 + i * 997 % 150_000)
                for sender, receiver in ((client, accepted), (accepted, client)):
                    sender.sendall(message)
                    remaining = len(message)
                    while remaining:
                        remaining -= len(receiver.recv(remaining))


def _made(family: socket.AddressFamily, there: int) -> socket.socket:
    with within(there):
        return socket.socket(family, socket.SOCK_STREAM)


class Reference:
    """tcpdump, capturing to a file from when this is made; a context manager where a test may fail before its end."""

    def __init__(self, folder: Path, interface: str, *words: str) -> None:
        self.path = folder / f"reference-{interface}.pcap"
        options = ["-U", "-n", "-B", "65536", "--time-stamp-precision=nano"]
        command = ["tcpdump", "-i", interface, "-w", str(self.path), *options, *words]
        self._process = subprocess.Popen([*command, "-Z", "root"], stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        while "listening on" not in self._process.stderr.readline():
            assert self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> None:
        """End it when it has the packet with ``MARK``, which was sent last; it must have lost none."""
        wait_for(self._has_mark)
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=PATIENCE)
        assert re.search(r"\b0 packets dropped by kernel", said), said

    def packets(self) -> list[Read]:
        """All packets, when it has come to its end."""
        self.end()
        with open_capture(self.path) as capture:
            return list(rows(capture))

    def _has_mark(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 10_000))
            return MARK in file.read()


def check_same(packets: list[Read], others: list[Read]) -> None:
    """Two captures of the same packets: each is in both exactly as often, at the same time but for what passed between
    one socket and the next."""
    assert Counter(map(_content, packets)) == Counter(map(_content, others))
    for one, other in zip(sorted(packets, key=_content), sorted(others, key=_content), strict=True):
        assert abs(one.ts_ns - other.ts_ns) < 100_000_000


def _content(packet: Read) -> tuple[bytes, int]:
    return packet.octets, packet.origlen
