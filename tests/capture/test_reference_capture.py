"""``live -w`` beside tcpdump, which had room for everything: each packet once, in order; the same connections told.

The two are ready before the first packet and go on until each has written the last one. Linux hands a packet to one
socket after the other, and each takes the time for itself: so times differ by little, and nothing else does.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
import scapy.arch.linux  # noqa: F401 (a namespace that ends has scapy list the interfaces)

from analyzer.capture.source import open_capture
from tests.capture.namespaces import (
    MARK,
    MARK_PORT,
    PATIENCE,
    Reference,
    ip,
    namespace,
    needs_root,
    needs_tcpdump,
    pair,
    send,
    within,
)
from tests.capture.written import rows

pytestmark = [needs_root, needs_tcpdump]

ROOT = Path(__file__).parents[2]
PORT = 1235
AT_ONCE = 8
CONNECTIONS = 200
TRANSFER = 200_000_000

ROOM_KIB = 512 << 10
"""tcpdump's ring: twice the transfer, for on loopback it takes in each packet twice before it leaves one away."""

QUIET = "tcp or udp"
"""Linux tells of its addresses, and asks for others', when it likes: perhaps when only one of the two listens."""

CLIENT_CLOSES, SERVER_CLOSES, CLIENT_ABORTS = range(3)


class Link(NamedTuple):
    """Where there is traffic: the interface, both IP versions' addresses to speak to, the namespace that has them."""

    interface: str
    addresses: tuple[str, str]
    there: int


@pytest.fixture(params=["lo", "veth"])
def link(request: pytest.FixtureRequest) -> Iterator[Link]:
    """With somebody who takes the marks."""
    if request.param == "lo":
        with namespace() as here, taking_marks("127.0.0.1"):
            yield Link("lo", ("127.0.0.1", "::1"), here)
        return
    with pair() as there:
        ip("address", "add", "fd00::1/64", "dev", "near", "nodad")
        with within(there):
            ip("address", "add", "fd00::2/64", "dev", "far", "nodad")
            sink = taking_marks("10.9.0.2")
        with sink:
            yield Link("near", ("10.9.0.2", "fd00::2"), there)


def taking_marks(address: str) -> socket.socket:
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((address, MARK_PORT))
    return sink


def serving(link: Link, address: str) -> socket.socket:
    with within(link.there):
        server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    server.settimeout(PATIENCE)
    server.bind((address, PORT))
    server.listen(AT_ONCE)
    return server


class Program:
    """``live -w``, as a user runs it, from when it listens; a context manager."""

    def __init__(self, folder: Path, interface: str) -> None:
        self.path = folder / "ours.pcap"
        self._said = folder / "said"
        command = [sys.executable, "-m", "analyzer", "live", "-i", interface, "-w", str(self.path), QUIET]
        environment = os.environ | {"TCPFLOW_VIEW_JIT": "auto", "LC_ALL": "C.UTF-8", "COLUMNS": "100"}
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.PIPE, text=True
            )
        assert self._process.stderr is not None
        assert "listening on" in self._process.stderr.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> str:
        """What it tells when it is ended."""
        self._process.send_signal(signal.SIGINT)
        _, errors = self._process.communicate(timeout=PATIENCE)
        assert (self._process.returncode, errors) == (0, "")
        return self._said.read_text(encoding="utf-8")


# ---------------------------------------------------------------- traffic


def speak(link: Link, address: str, count: int) -> None:
    """So many connections, several at once: each carries a message there and back, then ends in its own way."""
    with serving(link, address) as server, ThreadPoolExecutor(AT_ONCE) as asking, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [pool.submit(lambda: answer(server.accept()[0])) for _ in range(count)]
        for one in [*(asking.submit(ask, address, number) for number in range(count)), *answers]:
            one.result()


def ask(address: str, number: int) -> None:
    ending = number % 3
    message = struct.pack("!BI", ending, number * 997 % 60_000) + bytes([number % 256]) * (number * 997 % 60_000)
    with socket.create_connection((address, PORT), PATIENCE) as client:
        client.sendall(message)
        assert received(client, len(message)) == message
        if ending == SERVER_CLOSES:
            assert client.recv(1) == b""
        elif ending == CLIENT_ABORTS:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(accepted: socket.socket) -> None:
    with accepted:
        accepted.settimeout(PATIENCE)
        head = received(accepted, 5)
        ending, length = struct.unpack("!BI", head)
        accepted.sendall(head + received(accepted, length))
        if ending == CLIENT_CLOSES:
            assert accepted.recv(1) == b""
        elif ending == CLIENT_ABORTS:
            with pytest.raises(ConnectionResetError):
                accepted.recv(1)


def received(sock: socket.socket, length: int) -> bytes:
    parts = b""
    while len(parts) < length:
        part = sock.recv(length - len(parts))
        assert part
        parts += part
    return parts


def transfer(link: Link, address: str) -> None:
    """One connection that carries much in one direction, as fast as it can."""

    def sink() -> None:
        with server.accept()[0] as accepted:
            room = bytearray(1 << 20)
            while accepted.recv_into(room):
                pass

    with serving(link, address) as server:
        sinking = threading.Thread(target=sink)
        sinking.start()
        part = os.urandom(1_000_000)
        with socket.create_connection((address, PORT), PATIENCE) as client:
            for _ in range(TRANSFER // len(part)):
                client.sendall(part)
        sinking.join()


# ---------------------------------------------------------------- what was captured


class Copy(NamedTuple):
    """A packet of a capture, in short."""

    digest: bytes
    ts_ns: int


Ends = tuple[bytes, bytes]
"""Addresses and ports of who speaks, the lower first; of ARP and the like, some octets that stand there."""


def conversations(path: Path) -> dict[Ends, list[Copy]]:
    """The packets of a capture, in order, by who speaks."""
    found: dict[Ends, list[Copy]] = defaultdict(list)
    with open_capture(path) as capture:
        for packet in rows(capture):
            octets = packet.octets
            at, length = (22, 16) if octets[12:14] == b"\x86\xdd" else (26, 4)
            ports = at + 2 * length
            source = octets[at : at + length] + octets[ports : ports + 2]
            destination = octets[at + length : ports] + octets[ports + 2 : ports + 4]
            digest = blake2b(struct.pack("!I", packet.origlen) + octets, digest_size=16).digest()
            found[min(source, destination), max(source, destination)].append(Copy(digest, packet.ts_ns))
    return found


def records(path: Path) -> dict[Ends, Any]:
    """The records of a capture's connections, without times and numbers in the capture."""
    command = [sys.executable, "-m", "analyzer", "export", "--records", "connections", str(path)]
    environment = os.environ | {"TCPFLOW_VIEW_JIT": "never"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    found = {}
    for record in map(json.loads, done.stdout.splitlines()):
        client, server = (end_of(**record[side]) for side in ("client", "server"))
        found[min(client, server), max(client, server)] = by_itself(record)
    return found


def end_of(address: str, port: int) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address) + struct.pack("!H", port)


def by_itself(value: Any) -> Any:
    """Without what depends on when a packet came, and on packets of other connections before it."""
    if isinstance(value, dict):
        kept = {
            name: each
            for name, each in value.items()
            if name not in ("connection", "evidence") and not name.endswith(("_ns", "_bps"))
        }
        return {name: by_itself(each) for name, each in kept.items()}
    return re.sub(r"packet \d+", "packet", value) if isinstance(value, str) else value


@pytest.mark.parametrize("kind", ["many connections", "a large transfer"])
def test_as_the_reference_has_it(link: Link, kind: str, tmp_path: Path) -> None:
    with (
        Reference(tmp_path, link.interface, "-B", str(ROOM_KIB), QUIET) as reference,
        Program(tmp_path, link.interface) as program,
    ):
        if kind == "many connections":
            for address in link.addresses:
                speak(link, address, CONNECTIONS // 2)
        else:
            transfer(link, link.addresses[0])
        send(link.addresses[0], MARK_PORT, MARK)
        reference.end()
        said = program.end()
    assert not re.search(r"✗ [\d,]+ lost:", said)
    ours, theirs = conversations(program.path), conversations(reference.path)
    assert ours.keys() == theirs.keys()
    assert f"{link.interface} · {sum(map(len, ours.values())):,} packets · " in said
    for ends in ours:
        check_same_order(ours[ends], theirs[ends])
    told, expected = records(program.path), records(reference.path)
    assert told.keys() == expected.keys()
    assert len(told) == (CONNECTIONS if kind == "many connections" else 1) + 1
    for ends in told:
        if digests(ours[ends]) == digests(theirs[ends]):
            assert told[ends] == expected[ends]
    for path in (program.path, reference.path):
        path.unlink()


def check_same_order(ours: list[Copy], theirs: list[Copy]) -> None:
    """Each packet once, at the same time and in the same order, but for what two processors did at once: that comes to
    one socket in this order, to the other in that."""
    assert Counter(digests(ours)) == Counter(digests(theirs))
    moments = {copy.digest: copy.ts_ns for copy in theirs}
    latest = 0
    for copy in ours:
        assert abs(copy.ts_ns - moments[copy.digest]) < 100_000_000
        assert moments[copy.digest] > latest - 1_000_000
        latest = max(latest, moments[copy.digest])


def digests(copies: list[Copy]) -> list[bytes]:
    return [copy.digest for copy in copies]
