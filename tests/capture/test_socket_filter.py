"""Filters for Linux: on a cooked socket, every expression lets through what it lets through of the finished frames."""

from __future__ import annotations

import socket
import struct

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet as ScapyPacket
from scapy.packet import Raw

from analyzer.capture.filter import Filter, compile_filter
from analyzer.capture.live import LiveCapture
from analyzer.capture.ring import COOKED, NOTHING_OFF, VLAN_OFF
from analyzer.capture.socket_filter import NOTHING, asks_linux, attach, everything, socket_program
from tests.capture.namespaces import needs_root, pair, within
from tests.capture.written import rows
from tests.script import batch

SLL2 = 276

IN_LINUX = [
    "tcp", "udp port 53", "icmp", "arp", "ip6", "host 10.0.0.1", "src net 10.0.0.0/8 and not tcp",
    "ip6 and tcp port 80", "tcp[tcpflags] & tcp-syn != 0",
    "tcp[20] = 65", "ip[6:2] & 0x1fff != 0", "inbound", "outbound", "ifindex {near} and tcp",
    "inbound and udp", "portrange 50-90", "ip protochain 17",
]  # fmt: skip
IN_FRAMES = ["len > 80", "less 60 and tcp", "ether[10] = 4", "link[11] = 6 and udp"]


def frames() -> list[bytes]:
    """Packets of many kinds, from one station to another."""
    mac = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    four, six = IP(src="10.0.0.1", dst="192.168.3.4"), IPv6(src="fe80::1", dst="2001:db8::2")
    kinds: list[ScapyPacket] = [
        four / TCP(sport=80, dport=999, flags="S"),
        four / TCP(sport=999, dport=80, flags="A") / Raw(b"A" * 50),
        IP(src="10.0.0.2", dst="10.0.0.1", options=[IPOption_NOP()] * 4) / TCP(sport=53, dport=80) / Raw(b"AB"),
        four / UDP(sport=53, dport=53) / Raw(b"x" * 20),
        IP(src="10.0.0.1", dst="10.0.0.9", frag=9) / Raw(b"y" * 16),
        four / ICMP(),
        ARP(hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", pdst="10.0.0.2"),
        six / TCP(sport=80, dport=1),
        six / UDP(sport=7, dport=53) / Raw(b"z" * 60),
    ]
    return [bytes(mac / kind) for kind in kinds]


@needs_root
@pytest.mark.parametrize("expression", IN_LINUX + IN_FRAMES)
def test_as_over_the_finished_frames(expression: str) -> None:
    with pair() as there:
        with within(there):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            raw.bind(("far", 0))
        here = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        here.bind(("near", 0))
        expression = expression.format(near=socket.if_nametoindex("near"))
        with raw, here, LiveCapture("any") as everywhere, LiveCapture("any", expression) as capture:
            for frame in frames():
                raw.send(frame)
                here.send(frame)
            for one in (everywhere, capture):
                one.stop()
            packets = list(rows(everywhere))
            kept = list(rows(capture))
            received = capture.received
    assert len(packets) >= 2 * len(frames())
    finished = batch([packet.octets for packet in packets], linktype=SLL2)
    finished = finished._replace(origlen=finished.origlen)
    matching = Filter(expression, [SLL2], "").apply(finished).number
    assert 0 < len(matching) < len(packets)
    assert [packet.octets for packet in kept] == [packets[number - 1].octets for number in matching.tolist()]
    in_linux = (
        socket_program(compile_filter(expression, SLL2), COOKED, 1) is not None and "protochain" not in expression
    )
    assert (received == len(kept)) == in_linux


@pytest.mark.parametrize(
    ("expression", "linktype", "taken_off", "runs"),
    [
        ("tcp port 80", 1, VLAN_OFF, True),
        ("inbound", 1, VLAN_OFF, True),
        ("vlan 5", 1, VLAN_OFF, False),
        ("ether proto 0x88a8", 1, VLAN_OFF, False),
        ("len > 80", 1, VLAN_OFF, True),
        ("tcp port 80", 101, NOTHING_OFF, True),
        ("tcp port 80", SLL2, COOKED, True),
        ("ifindex 3", SLL2, COOKED, True),
        ("len > 80", SLL2, COOKED, False),
        ("ether[0] = 1", SLL2, COOKED, False),
        ("ether[6:2] = 1", SLL2, COOKED, False),
    ],
)
def test_what_linux_can_decide(expression: str, linktype: int, taken_off: int, runs: bool) -> None:
    program = compile_filter(expression, linktype)
    rewritten = socket_program(program, taken_off, 77)
    assert (rewritten is not None) == runs
    if rewritten is not None:
        assert {k for code, _, _, k in rewritten if code & 7 == 6} == {0, 77}


def test_what_is_asked_of_linux() -> None:
    assert asks_linux(compile_filter("tcp and outbound", 1))
    assert asks_linux(compile_filter("ifindex 3", 1))
    assert not asks_linux(compile_filter("vlan 5 and tcp", 1))
    assert not asks_linux(compile_filter("inbound", SLL2))


def test_a_filter_takes_the_place_of_the_one_before() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        assert attach(ours, NOTHING)
        theirs.send(b"not wanted")
        assert attach(ours, everything(3))
        theirs.send(b"wanted")
        assert ours.recv(100) == b"wan"
        assert attach(ours, ((0x28, 0, 0, 0), (0x15, 0, 1, struct.unpack("!H", b"ab")[0]), (6, 0, 0, 9), (6, 0, 0, 0)))
        theirs.send(b"ba")
        theirs.send(b"abc")
        assert ours.recv(100) == b"abc"


def test_what_linux_refuses() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        assert not attach(ours, compile_filter("ip6 protochain 6", 1).instructions)
        assert not attach(ours, everything(1) * 5_000)
    with pytest.raises(OSError, match="Bad file descriptor"):
        attach(ours, NOTHING)
