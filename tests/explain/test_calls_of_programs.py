"""Truth from programs: a server and a client with real sockets write down each call that they make, and what is
inferred as certain from their packets must all have happened, in that order."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable

import pytest

from analyzer.decode.packets import decode
from analyzer.explain.calls import Call, Certainty, Kind, inferred
from analyzer.pipeline import Lives
from analyzer.tables import Batch, Side
from analyzer.tcp.reconstruct import Reconstruction
from tests.script import batch
from tests.tcp.test_kernel_states import CLIENT_PORT, PATIENCE, SERVER_PORT, Lab, in_a_namespace

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="a network namespace and a packet socket need Linux and root"
)

SO_RCVBUFFORCE = 33
"""socket(7)."""

DEEDS = {
    Kind.LISTEN: {"listen"}, Kind.CONNECT: {"connect"}, Kind.CONNECTED: {"connect = 0"}, Kind.ACCEPT: {"accept = ok"},
    Kind.REFUSED: {"connect = ECONNREFUSED"}, Kind.END_OF_FILE: {"read = 0"}, Kind.SHUTDOWN: {"shutdown"},
    Kind.CLOSE: {"close", "shutdown"},
}  # fmt: skip
"""What a program that did it has written down; of a READ that depends on how much."""


class Program:
    """One side: its calls by their names, before them and, with ``=``, after them."""

    def __init__(self, made: socket.socket, log: list[str]) -> None:
        self._socket, self.log = made, log

    def listen(self, address: str, port: int) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self.log.append("listen")
        self._socket.listen(5)

    def connect(self, address: str, port: int) -> None:
        self.log.append("connect")
        try:
            self._socket.connect((address, port))
        except ConnectionRefusedError:
            self.log.append("connect = ECONNREFUSED")
        else:
            self.log.append("connect = 0")

    def accept(self) -> Program:
        made, _ = self._socket.accept()
        made.settimeout(PATIENCE)
        self.log.append("accept = ok")
        return Program(made, self.log)

    def write(self, octets: bytes) -> None:
        self.log.append(f"write {len(octets)}")
        self._socket.sendall(octets)

    def read(self, most: int) -> None:
        """So many octets, in as many calls as it takes, or the end."""
        while most:
            got = len(self._socket.recv(most))
            self.log.append(f"read = {got}")
            most = most - got if got else 0

    def shutdown(self) -> None:
        self.log.append("shutdown")
        self._socket.shutdown(socket.SHUT_WR)

    def close(self, *, linger: bool = False) -> None:
        if linger:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.log.append("close")
        self._socket.close()


def client_of(lab: Lab, logs: list[list[str]]) -> Program:
    made = Program(lab.bound(CLIENT_PORT), logs[Side.CLIENT])
    made.connect(lab.address, SERVER_PORT)
    return made


def connected(lab: Lab, logs: list[list[str]]) -> tuple[Program, Program]:
    """The client's program and the server's."""
    with lab.bound() as made:
        listening = Program(made, logs[Side.SERVER])
        listening.listen(lab.address, SERVER_PORT)
        client = client_of(lab, logs)
        return client, listening.accept()


def echo(lab: Lab, logs: list[list[str]]) -> None:
    client, server = connected(lab, logs)
    client.write(b"hello")
    server.read(5)
    server.write(b"hello, you")
    client.read(10)
    client.close()
    server.read(1)
    server.close()


def greeting(lab: Lab, logs: list[list[str]]) -> None:
    client, server = connected(lab, logs)
    server.write(b"welcome")
    client.read(7)
    client.write(b"quit")
    server.read(4)
    server.close()
    client.read(1)
    client.close()


def half_close(lab: Lab, logs: list[list[str]]) -> None:
    client, server = connected(lab, logs)
    client.write(b"3 1 2")
    client.shutdown()
    server.read(5)
    server.read(1)
    server.write(b"1 2 3")
    client.read(5)
    server.close()
    client.read(1)
    client.close()


def write_after_close(lab: Lab, logs: list[list[str]]) -> None:
    client, server = connected(lab, logs)
    server.close()
    client.read(1)
    client.write(b"too late")
    client.close()


def abort(lab: Lab, logs: list[list[str]]) -> None:
    client, server = connected(lab, logs)
    client.write(b"hello")
    server.read(5)
    server.close(linger=True)
    client.close()


def refused(lab: Lab, logs: list[list[str]]) -> None:
    client_of(lab, logs).close()


def big(lab: Lab, logs: list[list[str]]) -> None:
    """Far more than a segment, and than the receiver's buffer."""
    client, server = connected(lab, logs)
    for _ in range(40):
        client.write(bytes(100_000))
        server.read(100_000)
    client.close()
    server.read(1)
    server.close()


EXPERIMENTS: dict[str, tuple[Callable[[Lab, list[list[str]]], None], dict[Side, set[Kind]]]] = {
    "echo": (echo, {Side.CLIENT: {Kind.CONNECT, Kind.CONNECTED, Kind.READ, Kind.CLOSE},
                    Side.SERVER: {Kind.LISTEN, Kind.READ, Kind.END_OF_FILE}}),
    "greeting": (greeting, {Side.CLIENT: {Kind.CONNECT, Kind.CONNECTED, Kind.READ, Kind.END_OF_FILE},
                            Side.SERVER: {Kind.LISTEN, Kind.ACCEPT, Kind.READ, Kind.CLOSE}}),
    "half_close": (half_close, {Side.CLIENT: {Kind.CONNECT, Kind.CONNECTED, Kind.READ, Kind.SHUTDOWN, Kind.END_OF_FILE},
                                Side.SERVER: {Kind.LISTEN, Kind.READ, Kind.END_OF_FILE}}),
    "write_after_close": (write_after_close, {Side.CLIENT: {Kind.CONNECT, Kind.CONNECTED, Kind.END_OF_FILE},
                                              Side.SERVER: {Kind.LISTEN, Kind.ACCEPT, Kind.CLOSE}}),
    "abort": (abort, {Side.CLIENT: {Kind.CONNECT, Kind.CONNECTED}, Side.SERVER: {Kind.LISTEN, Kind.READ}}),
    "refused": (refused, {Side.CLIENT: {Kind.CONNECT, Kind.REFUSED}, Side.SERVER: set()}),
    "big": (big, {Side.CLIENT: {Kind.CONNECT, Kind.CONNECTED, Kind.CLOSE},
                  Side.SERVER: {Kind.LISTEN, Kind.READ, Kind.END_OF_FILE}}),
}  # fmt: skip
"""The conversations, and the kinds of calls that must be certain."""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_certain_has_happened(name: str, family: socket.AddressFamily) -> None:
    experiment, kinds = EXPERIMENTS[name]

    def run(lab: Lab) -> None:
        lab.packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        logs: list[list[str]] = [[], []]
        experiment(lab, logs)
        calls = calls_of(lab)
        for side in Side:
            own = [call for call in calls if call.side == side and call.certainty == Certainty.CERTAIN]
            assert {call.kind for call in own} == kinds[side]
            check(own, logs[side])
        for side in Side:
            written = sum(call.octets for call in calls if call.side == side and call.kind == Kind.WRITE)
            assert written == sum(int(line[6:]) for line in logs[side] if line.startswith("write"))

    in_a_namespace(run, family)


def calls_of(lab: Lab) -> list[Call]:
    """What the captured packets of the only connection tell."""
    octets = []
    lab.packets.settimeout(0.05)
    try:
        while True:
            octets.append(lab.packets.recv(1 << 17))
    except TimeoutError:
        pass
    frames = batch(octets)
    decoded = decode(frames)
    reconstruction = Reconstruction()
    labels = reconstruction.feed(frames, decoded)
    kept = Lives([1], 10**9)
    kept.add(Batch(frames, decoded, labels))
    assert reconstruction.count == 1
    return inferred(reconstruction.connections[0], reconstruction.endpoints[0], kept.found()[1])


def check(calls: list[Call], log: list[str]) -> None:
    """Each call has its line in the log, behind that of the call before; reads may have taken more at a time."""
    at = can_read = has_read = 0
    for call in calls:
        if call.kind == Kind.READ:
            can_read += call.octets
            continue
        while at < len(log) and log[at] not in DEEDS[call.kind]:
            if log[at].startswith("read = "):
                has_read += int(log[at][7:])
                assert has_read <= can_read
            at += 1
        assert at < len(log), f"{call.told} is not in the log, or too early"
        at += 1
    read = sum(int(line[7:]) for line in log if line.startswith("read = "))
    assert read <= can_read or not any(call.kind == Kind.READ for call in calls)
