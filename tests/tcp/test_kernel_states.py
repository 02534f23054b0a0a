"""Truth from the kernel: real sockets on loopback, its own states in /proc/net/tcp against ours from the packets.

Each conversation has a network namespace of its own, so that nothing else speaks on its loopback. The packets come
from a packet socket on ``lo``, which sees each once when what goes out is left away.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from analyzer.decode.packets import decode
from analyzer.tables import Protocol
from analyzer.tcp.reconstruct import Reconstruction
from analyzer.tcp.states import State
from tests.script import batch

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="a network namespace and a packet socket need Linux and root"
)

KERNEL_STATES = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECEIVED", 4: "FIN_WAIT_1", 5: "FIN_WAIT_2", 6: "TIME_WAIT", 7: "CLOSED",
    8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING", 12: "SYN_RECEIVED",
}  # fmt: skip
"""Linux's numbers (include/net/tcp_states.h)."""

CLONE_NEWNET, ETH_P_ALL, SOL_PACKET, PACKET_IGNORE_OUTGOING = 0x40000000, 3, 263, 23

CLIENT_PORT, SERVER_PORT = 45000, 1235

PATIENCE = 20.0


class Lab:
    """A namespace's loopback: its sockets, its packets, and both opinions about their states."""

    def __init__(self, family: socket.AddressFamily) -> None:
        self.family = family
        self.address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self.packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.packets.bind(("lo", ETH_P_ALL))
        self.reconstruction = Reconstruction()
        self.ours = ("CLOSED", "LISTEN")

    def listener(self, backlog: int = 5) -> socket.socket:
        listening = self.bound()
        listening.bind((self.address, SERVER_PORT))
        listening.listen(backlog)
        return listening

    def bound(self, port: int = 0) -> socket.socket:
        made = socket.socket(self.family, socket.SOCK_STREAM)
        made.settimeout(PATIENCE)
        if port:
            made.bind((self.address, port))
        return made

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """The client's socket and the server's."""
        with self.listener() as listening:
            client = self.bound(CLIENT_PORT)
            client.connect((self.address, SERVER_PORT))
            server, _ = listening.accept()
        return client, server

    def kernels(self) -> tuple[str, str]:
        """The kernel's states of client and server; a socket that is gone is CLOSED."""
        states = {}
        table = Path("/proc/thread-self/net/tcp" + "6" * (self.family == socket.AF_INET6))
        for line in table.read_text().splitlines()[1:]:
            _, local, remote, state = line.split()[:4]
            states[int(local.split(":")[1], 16), int(remote.split(":")[1], 16)] = KERNEL_STATES[int(state, 16)]
        ends = (CLIENT_PORT, SERVER_PORT), (SERVER_PORT, CLIENT_PORT)
        client, server = (states.get(end, "CLOSED") for end in ends)
        return client, server

    def take(self, seconds: float) -> None:
        """Wait so long for a packet and label it."""
        self.packets.settimeout(seconds)
        try:
            octets = self.packets.recv(1 << 17)
        except TimeoutError:
            return
        frames = batch([octets])
        decoded = decode(frames)
        labels = self.reconstruction.feed(frames, decoded)
        ports = {int(decoded.src_port[0]), int(decoded.dst_port[0])}
        if decoded.protocol[0] == Protocol.TCP and ports == {CLIENT_PORT, SERVER_PORT}:
            self.ours = State(int(labels.client_state[0])).name, State(int(labels.server_state[0])).name

    def both_say(self, client: str, server: str) -> None:
        """The kernel comes to these states, and so do we."""
        deadline = time.monotonic() + PATIENCE
        while not (self.kernels() == self.ours == (client, server)) and time.monotonic() < deadline:
            self.take(0.01)
        assert self.kernels() == (client, server)
        assert self.ours == (client, server)


def in_a_namespace(experiment: Callable[[Lab], None], family: socket.AddressFamily = socket.AF_INET) -> None:
    def run() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET):
            pytest.skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"loopback stays down: {error}")
        lab = Lab(family)
        with lab.packets:
            experiment(lab)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("first", ["client", "server"])
def test_normal_close(first: str, family: socket.AddressFamily) -> None:
    def say(lab: Lab, mine: str, other: str) -> None:
        lab.both_say(*((mine, other) if first == "client" else (other, mine)))

    def experiment(lab: Lab) -> None:
        client, server = lab.connected()
        lab.both_say("ESTABLISHED", "ESTABLISHED")
        closing, other = (client, server) if first == "client" else (server, client)
        closing.sendall(b"hello")
        assert other.recv(5, socket.MSG_WAITALL) == b"hello"
        say(lab, "ESTABLISHED", "ESTABLISHED")
        closing.close()
        say(lab, "FIN_WAIT_2", "CLOSE_WAIT")
        assert other.recv(1) == b""
        other.close()
        say(lab, "TIME_WAIT", "CLOSED")

    in_a_namespace(experiment, family)


def test_half_close() -> None:
    def experiment(lab: Lab) -> None:
        client, server = lab.connected()
        with client, server:
            client.shutdown(socket.SHUT_WR)
            lab.both_say("FIN_WAIT_2", "CLOSE_WAIT")
            server.sendall(b"still here")
            assert client.recv(10, socket.MSG_WAITALL) == b"still here"
            lab.both_say("FIN_WAIT_2", "CLOSE_WAIT")
            server.shutdown(socket.SHUT_WR)
            lab.both_say("TIME_WAIT", "CLOSED")

    in_a_namespace(experiment)


@pytest.mark.parametrize("who", ["client", "server"])
def test_abort(who: str) -> None:
    def experiment(lab: Lab) -> None:
        client, server = lab.connected()
        aborting, other = (client, server) if who == "client" else (server, client)
        aborting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        aborting.close()
        lab.both_say("CLOSED", "CLOSED")
        other.close()

    in_a_namespace(experiment)


def test_close_with_data_unread() -> None:
    def experiment(lab: Lab) -> None:
        client, server = lab.connected()
        with client:
            client.sendall(b"nobody reads this")
            assert server.recv(1) == b"n"
            server.close()
            lab.both_say("CLOSED", "CLOSED")

    in_a_namespace(experiment)


def test_write_after_close() -> None:
    def experiment(lab: Lab) -> None:
        client, server = lab.connected()
        with client:
            server.close()
            lab.both_say("CLOSE_WAIT", "FIN_WAIT_2")
            client.sendall(b"too late")
            lab.both_say("CLOSED", "CLOSED")

    in_a_namespace(experiment)


def test_refused() -> None:
    def experiment(lab: Lab) -> None:
        with lab.bound(CLIENT_PORT) as client:
            with pytest.raises(ConnectionRefusedError):
                client.connect((lab.address, SERVER_PORT))
            lab.both_say("CLOSED", "CLOSED")

    in_a_namespace(experiment)


def test_unanswered() -> None:
    """The accept queue is full, so the second SYN is dropped: our server's state is early, the client's is right."""

    def experiment(lab: Lab) -> None:
        with lab.listener(0), lab.bound(CLIENT_PORT + 1) as first, lab.bound(CLIENT_PORT) as client:
            first.connect((lab.address, SERVER_PORT))
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.connect((lab.address, SERVER_PORT))
            deadline = time.monotonic() + PATIENCE
            while lab.ours[0] != "SYN_SENT" and time.monotonic() < deadline:
                lab.take(0.01)
            assert lab.ours[0] == lab.kernels()[0] == "SYN_SENT"

    in_a_namespace(experiment)
