"""Filters: libpcap's answers, which packets pass, and what is refused."""

from __future__ import annotations

import builtins
import ctypes.util
import io
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import cypcap
import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet as ScapyPacket
from scapy.packet import Raw

from analyzer.capture.bpf import MEMORY_WORDS, match_frames
from analyzer.capture.filter import Program, compile_filter
from analyzer.capture.source import open_capture
from analyzer.errors import FilterError
from analyzer.jit import fastest
from tests.capture.written import Packet, enhanced, interface, pcap, rows, section

EXPRESSIONS = [
    "tcp",
    "udp",
    "icmp",
    "arp",
    "ip6",
    "host 10.0.0.1",
    "src host 10.0.0.2 and dst port 1235",
    "net 192.168.0.0/16",
    "ip6 net fe80::/10",
    "port 53",
    "portrange 1000-1300",
    "tcp portrange 1-1024 or udp src port 53",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[tcpflags] == tcp-syn|tcp-ack",
    "tcp[4:4] & 1 = 1",
    "(ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2) != 0",
    "ip[8] / (ip[9] - 6) > 1",
    "ip[8] % 7 = 1",
    "ip[8] ^ ip[9] > 60",
    "ip[6:2] & 0x1fff != 0",
    "len / 3 >= 30",
    "less 60",
    "greater 100",
    "vlan",
    "vlan 7 and tcp port 1235",
    "ether host 02:00:00:00:00:01",
    "ether broadcast",
    "ether proto 0x86dd",
    "ip proto 17",
    "ip6 proto 6",
    "ip protochain 6",
    "ip6 protochain 17",
    "ip broadcast",
    "not (tcp or udp)",
    "tcp port 1235 and not host 10.0.0.2 or icmp[icmptype] = icmp-echo",
    "port http",
]


def conversation() -> list[Packet]:
    """Packets of many kinds, some cut, some with octets changed."""
    chance = random.Random(9293)
    mac = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    tagged = mac / Dot1Q(vlan=7)
    four = IP(src="10.0.0.1", dst="10.0.0.2", ttl=63)
    back = IP(src="10.0.0.2", dst="192.168.3.4", options=[IPOption_NOP()] * 4)
    six = IPv6(src="fe80::1", dst="2001:db8::2")
    kinds: list[ScapyPacket] = [
        mac / four / TCP(sport=40_000, dport=1235, flags="S", seq=11),
        mac / back / TCP(sport=1235, dport=40_000, flags="SA", seq=12) / Raw(b"x" * 90),
        mac / four / TCP(sport=80, dport=1235, flags="PA") / Raw(b"GET"),
        mac / four / UDP(sport=53, dport=5353) / Raw(b"?" * 30),
        mac / back / ICMP(),
        mac / IP(src="10.0.0.1", dst="10.0.0.9", frag=9, proto=6) / Raw(b"fragment"),
        Ether(src="02:00:00:00:00:02", dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="10.0.0.1"),
        Ether(dst="ff:ff:ff:ff:ff:ff") / IP(src="10.0.0.1", dst="255.255.255.255") / UDP(sport=67, dport=68),
        mac / six / TCP(sport=1001, dport=443, flags="F"),
        mac / six / UDP(sport=53, dport=53) / Raw(b"!" * 70),
        tagged / four / TCP(sport=1235, dport=9, flags="R"),
        tagged / six / UDP(sport=1, dport=2),
    ]
    written = []
    for _ in range(8):
        for kind in kinds:
            octets = bytearray(bytes(kind))
            for _ in range(chance.choice([0, 0, 1, 3])):
                octets[chance.randrange(12, len(octets))] = chance.randrange(256)
            caplen = chance.choice([len(octets)] * 3 + [chance.randrange(len(octets))])
            written.append(Packet(bytes(octets[:caplen]), origlen=len(octets)))
    return written


WRITTEN = conversation()


def passing(octets: bytes, expression: str, **options: Any) -> list[int]:
    """Numbers of the packets that pass."""
    with open_capture(io.BytesIO(octets), expression, **options) as capture:
        numbers = [row.number for row in rows(capture)]
        assert (capture.damage, capture.packets) == (None, len(WRITTEN))
        return numbers


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_tcpdump(tmp_path: Path, expression: str) -> None:
    path = tmp_path / "capture.pcap"
    octets = pcap([packet._replace(seconds=i + 1, fraction=0) for i, packet in enumerate(WRITTEN)])
    path.write_bytes(octets)
    kept = tmp_path / "kept.pcap"
    subprocess.run(["tcpdump", "-r", path, "-w", kept, expression], check=True, capture_output=True)
    with open_capture(kept) as capture:
        theirs = [row.ts_ns // 10**9 for row in rows(capture)]
    assert passing(octets, expression) == theirs


def interpreted_by_libpcap(expression: str) -> tuple[Program, list[bool]]:
    """A program, and which packets libpcap's own machine takes with it."""
    with cypcap.open_dead(cypcap.DatalinkType.EN10MB, 262_144) as dead:
        filtered = dead.compile(expression, True, 0)
    taken = [
        bool(filtered.offline_filter(cypcap.Pkthdr(0, len(packet.octets), packet.origlen), packet.octets))
        for packet in WRITTEN
    ]
    return Program(tuple(tuple(instruction) for instruction in filtered)), taken


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_libpcap_s_interpreter(expression: str) -> None:
    program, expected = interpreted_by_libpcap(expression)
    data = np.frombuffer(b"".join(packet.octets for packet in WRITTEN), np.uint8)
    caplen = np.array([len(packet.octets) for packet in WRITTEN], np.uint32)
    origlen = np.array([packet.origlen for packet in WRITTEN], np.uint32)
    start = np.cumsum(caplen, dtype=np.int64) - caplen
    keep = np.zeros(len(WRITTEN), np.uint8)
    memory = np.zeros(MEMORY_WORDS, np.int64)
    count = fastest(match_frames)(program.table(), data, start, caplen, origlen, memory, keep)
    assert keep.view(np.bool_).tolist() == expected
    assert count == sum(expected)


@pytest.mark.parametrize("batch_packets", [1, 5])
def test_batches_of_any_size(batch_packets: int) -> None:
    whole = pcap(WRITTEN)
    assert passing(whole, "tcp", batch_packets=batch_packets) == passing(whole, "tcp")
    assert passing(whole, "", batch_packets=batch_packets) == list(range(1, len(WRITTEN) + 1))
    assert passing(whole, "  ") == list(range(1, len(WRITTEN) + 1))


def test_each_link_type_has_its_program() -> None:
    segment = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=1235))
    frame = bytes(Ether())[:12] + b"\x08\x00" + segment
    cooked = struct.pack(">HHH8sH", 0, 1, 6, bytes(8), 0x800) + segment
    octets = section() + interface(linktype=1) + interface(linktype=101)
    octets += enhanced(frame, 1) + enhanced(segment, 2, number=1) + enhanced(segment, 3) + enhanced(frame, 4, number=1)
    octets += interface(linktype=113) + enhanced(cooked, 5, number=2) + enhanced(frame, 6, number=2)
    octets += interface(linktype=252) + enhanced(frame, 7, number=3) + enhanced(frame, 8)
    with open_capture(io.BytesIO(octets), "tcp dst port 1235") as capture:
        got = list(rows(capture))
    assert [row.number for row in got] == [1, 2, 5, 8]
    assert [row.linktype for row in got] == [1, 101, 113, 1]
    assert [row.octets for row in got] == [frame, segment, cooked, frame]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("family", "expression"), [(2, "ip"), (30, "ip6"), (24, "ip6"), (28, "ip6")])
def test_the_family_of_a_loopback_frame_is_in_the_file_s_byte_order(order: str, family: int, expression: str) -> None:
    octets = pcap([Packet(struct.pack(order + "I", family) + bytes(40))], order=order, linktype=0)
    with open_capture(io.BytesIO(octets), expression) as capture:
        assert len(list(rows(capture))) == 1


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("tcp port", "can't parse filter expression: syntax error"),
        ("tcp poort 80", "can't parse filter expression: syntax error"),
        ("host 10.0.0.256", "10.0.0.256"),
        ("wlan type mgt", "802.11 link-layer types supported only on 802.11"),
        ("inbound", "inbound/outbound not supported on Ethernet when reading savefiles"),
        ("tcp\0", "a NUL character in it"),
        ("port 99999", "illegal port number"),
    ],
)
@pytest.mark.parametrize("octets", [pcap(WRITTEN), section() + interface()], ids=["pcap", "pcapng"])
def test_a_bad_filter_is_refused_at_open(octets: bytes, expression: str, reason: str) -> None:
    with pytest.raises(FilterError, match=reason):
        open_capture(io.BytesIO(octets), expression)


def test_the_message_names_the_filter() -> None:
    with pytest.raises(FilterError) as refused:
        compile_filter("tcp port", 1)
    assert str(refused.value) == "filter “tcp port”: can't parse filter expression: syntax error"


def test_a_filter_for_the_live_socket() -> None:
    program = compile_filter("tcp port 1235", 1, 128)
    assert program.instructions[-2:] == ((6, 0, 0, 128), (6, 0, 0, 0))
    assert all(len(instruction) == 4 for instruction in program.instructions)
    assert compile_filter("inbound", 1).instructions[0] == (0x28, 0, 0, 0xFFFF_F004)
    assert compile_filter("ip", 101).instructions[0] == (0x30, 0, 0, 0)


@pytest.fixture
def no_cypcap(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation on which there is no wheel of cypcap."""
    import_module = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "cypcap":
            raise ImportError(name)
        return import_module(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "cypcap", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)


needs_system = pytest.mark.skipif(ctypes.util.find_library("pcap") is None, reason="no libpcap of the system")


@needs_system
@pytest.mark.usefixtures("no_cypcap")
@pytest.mark.parametrize("expression", ["tcp port 1235", "ip6", "vlan and host 10.0.0.1", "len > 100"])
def test_the_system_s_libpcap_serves(expression: str) -> None:
    octets = pcap(WRITTEN)
    served = passing(octets, expression)
    live = compile_filter(expression, 1)
    _, expected = interpreted_by_libpcap(expression)
    assert served == [i + 1 for i, taken in enumerate(expected) if taken]
    assert live.instructions[-1] == (6, 0, 0, 0)


@needs_system
@pytest.mark.usefixtures("no_cypcap")
@pytest.mark.parametrize("saved", ["", "<"])
def test_the_system_s_libpcap_refuses(saved: str) -> None:
    with pytest.raises(FilterError, match="filter “tcp port”: can't parse filter expression: syntax error"):
        compile_filter("tcp port", 1, saved=saved)


@pytest.mark.usefixtures("no_cypcap")
def test_without_any_libpcap(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (None, "libpcap-that-is-gone.so"):
        monkeypatch.setattr(ctypes.util, "find_library", lambda name, found=found: found)
        with pytest.raises(FilterError, match="pip install cypcap, or install the system's libpcap"):
            compile_filter("tcp", 1)
