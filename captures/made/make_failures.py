"""How connections fail, stall and end otherwise: one capture for each, between real sockets of the Linux kernel.

    sudo python captures/made/make_failures.py [NAME…]

``hear_nothing`` puts a filter on a socket that drops whatever comes for it, as a firewall does.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

from conversation import CLIENT_PORT, bound, connect, listen, make, read_until_end, wait_for_peer
from network import in_new_namespace, plug, set_sysctl, wire
from recorder import ACK, SYN, Recorder

HOST, PORT = "127.0.0.1", 1235

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27


def hear_nothing(sk: socket.socket) -> None:
    """Classic BPF's program ``ret #0``: of every packet keep no octet."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    sk.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def accepted(address: str = HOST) -> tuple[socket.socket, socket.socket]:
    """Both ends of a new connection: client's, server's."""
    listener = listen(address, PORT, family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    client = connect(address, PORT)
    server, _ = listener.accept()
    listener.close()
    return client, server


def refused(recorder: Recorder) -> None:
    with contextlib.suppress(ConnectionRefusedError):
        connect(HOST, PORT)
    recorder.until_closed()


def refused_udp(recorder: Recorder) -> None:
    sk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sk.bind((HOST, CLIENT_PORT))
    sk.connect((HOST, PORT))
    sk.send(b"anybody there?\n")
    with contextlib.suppress(ConnectionRefusedError):
        sk.recv(1024)
    sk.close()
    recorder.until_packets(2)


def unanswered(address: str, family: socket.AddressFamily, recorder: Recorder) -> None:
    """Without linear timeouts (Linux 6.5) the kernel doubles its patience from the first SYN on."""
    set_sysctl("ipv4/tcp_syn_linear_timeouts", 0)
    listener = listen(address, PORT, family=family)
    hear_nothing(listener)
    client = bound(address, family=family)
    client.setblocking(False)
    client.connect_ex((address, PORT))
    recorder.until_packets(4)
    client.close()
    listener.close()


def accept_queue_full(recorder: Recorder) -> None:
    """While TCP_DEFER_ACCEPT keeps one connection waiting for data, another takes the only place in the queue."""
    listener = listen(HOST, PORT, backlog=0)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    late = connect(HOST, PORT)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0)
    early = connect(HOST, PORT, client_port=CLIENT_PORT + 1)
    late.sendall(b"is there room?\n")
    recorder.until(lambda: sum(one.flags == SYN | ACK for one in recorder.segments) == 3)
    for client in (early, late):
        server, _ = listener.accept()
        client.shutdown(socket.SHUT_WR)
        read_until_end(server)
        server.close()
        client.close()
    listener.close()
    recorder.until_closed(2)


def reset_unread(recorder: Recorder) -> None:
    client, server = accepted()
    client.sendall(b"nobody reads this\n")
    wait_for_peer(server)
    server.close()
    recorder.until_closed()
    client.close()


def reset_linger(recorder: Recorder) -> None:
    client, server = accepted()
    client.sendall(b"hello\n")
    server.recv(1024)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    recorder.until_closed()
    client.close()


def write_after_close(recorder: Recorder) -> None:
    client, server = accepted()
    server.close()
    read_until_end(client)
    client.sendall(b"too late\n")
    recorder.until_closed()
    with contextlib.suppress(BrokenPipeError):
        client.sendall(b"this never leaves the host\n")
    client.close()


def half_close(recorder: Recorder) -> None:
    client, server = accepted()
    client.sendall(b"3\n1\n2\n")
    client.shutdown(socket.SHUT_WR)
    for line in sorted(read_until_end(server).splitlines(keepends=True)):
        server.sendall(line)
    server.close()
    read_until_end(client)
    client.close()
    recorder.until_closed()


def keep_alive_reset(recorder: Recorder) -> None:
    client, server = accepted()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2), (socket.TCP_KEEPIDLE, 1)):
        client.setsockopt(socket.IPPROTO_TCP, option, value)
    client.sendall(b"hello\n")
    server.recv(1024)
    recorder.until_packets(7)  # a keep-alive and its answer
    hear_nothing(server)
    recorder.until_closed()
    client.close()
    server.close()


def zero_window(recorder: Recorder) -> None:
    listener = listen(HOST, PORT)
    client = bound(HOST)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel makes it the smallest it allows
    client.connect((HOST, PORT))
    server, _ = listener.accept()
    server.sendall(bytes(2400))
    server.close()
    recorder.until(lambda: sum(one.source == CLIENT_PORT and one.window == 0 for one in recorder.segments) >= 3)
    read_until_end(client)
    client.close()
    listener.close()
    recorder.until_closed()


def echo_ipv6(recorder: Recorder) -> None:
    client, server = accepted("::1")
    client.sendall(b"hello over IPv6\n")
    server.sendall(server.recv(1024))
    client.recv(1024)
    client.close()
    server.recv(1024)
    server.close()
    recorder.until_closed()


NEAR, FAR = "10.0.0.1", "10.0.0.2"


def far_host(mtu: int) -> tuple[int, socket.socket]:
    """A second host in a namespace of its own: its end of the wire, its client socket."""
    return in_new_namespace(lambda: (plug(FAR, NEAR, mtu), bound(FAR)))


def simultaneous_close(path: Path) -> int:
    """A wire of 20 ms, recorded at the server: each end sends its FIN before it sees the other's."""
    far, client = far_host(mtu=1500)
    near = plug(NEAR, FAR, mtu=1500)
    recorder = Recorder("tun0", outgoing=True)
    listener = listen(NEAR, PORT)
    with wire((near, far), delay=0.02):
        client.connect((NEAR, PORT))
        server, _ = listener.accept()
        client.sendall(b"bye\n")
        server.sendall(b"bye\n")
        client.recv(1024)
        server.recv(1024)
        recorder.until_packets(7)  # both texts are acknowledged
        client.close()
        server.close()
        recorder.until_closed()
    return recorder.write(path)


def fast_retransmission(path: Path) -> int:
    """A wire of 20 ms, recorded at the server, that loses the third of its eight data segments once."""
    mtu, payload_len = 576, 524
    far, client = far_host(mtu)
    near = plug(NEAR, FAR, mtu)
    recorder = Recorder("tun0", outgoing=True, snaplen=96)
    listener = listen(NEAR, PORT)
    full_packets = 0

    def is_third_full(packet: bytes) -> bool:
        nonlocal full_packets
        full_packets += len(packet) == mtu
        return len(packet) == mtu and full_packets == 3

    with wire((near, far), 0.02, is_third_full):
        client.connect((NEAR, PORT))
        server, _ = listener.accept()
        server.sendall(bytes(8 * payload_len))
        server.close()
        read_until_end(client)
        client.close()
        recorder.until_closed()
    return recorder.write(path)


def record(conversation: Callable[[Recorder], None], path: Path, *, snaplen: int = 262144) -> int:
    recorder = Recorder(snaplen=snaplen)
    conversation(recorder)
    return recorder.write(path)


CAPTURES: dict[str, Callable[[Path], int]] = {
    "refused.pcap": partial(record, refused),
    "refused-udp.pcap": partial(record, refused_udp),
    "syn-unanswered.pcap": partial(record, partial(unanswered, HOST, socket.AF_INET)),
    "syn-unanswered-ipv6.pcap": partial(record, partial(unanswered, "::1", socket.AF_INET6)),
    "accept-queue-full.pcap": partial(record, accept_queue_full),
    "reset-unread.pcap": partial(record, reset_unread),
    "reset-linger.pcap": partial(record, reset_linger),
    "write-after-close.pcap": partial(record, write_after_close),
    "half-close.pcap": partial(record, half_close),
    "keep-alive-reset.pcap": partial(record, keep_alive_reset),
    "zero-window.pcap": partial(record, zero_window, snaplen=96),
    "echo-ipv6.pcap": partial(record, echo_ipv6),
    "simultaneous-close.pcap": simultaneous_close,
    "fast-retransmission.pcapng": fast_retransmission,
}

if __name__ == "__main__":
    make(CAPTURES)
