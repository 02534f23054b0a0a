"""Packets inside packets, written by scapy: every tunnel and what stands before a network layer, nested and alone."""

from __future__ import annotations

import random
import struct
from typing import Any, NamedTuple

import pytest

from analyzer.tables import Tunnel

scapy = pytest.importorskip("scapy.all")
erspan = pytest.importorskip("scapy.contrib.erspan")
geneve = pytest.importorskip("scapy.contrib.geneve")
gtp = pytest.importorskip("scapy.contrib.gtp")
mpls = pytest.importorskip("scapy.contrib.mpls")
l2tp = pytest.importorskip("scapy.layers.l2tp")
vxlan = pytest.importorskip("scapy.layers.vxlan")

Ether, Dot1Q, Dot1AD, IP, IPv6, TCP, UDP, Raw = (
    scapy.Ether, scapy.Dot1Q, scapy.Dot1AD, scapy.IP, scapy.IPv6, scapy.TCP, scapy.UDP, scapy.Raw
)  # fmt: skip
GRE, ICMP, PPPoE = scapy.GRE, scapy.ICMP, scapy.PPPoE

OUTER4, OUTER6 = ("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "2001:db8:ffff::2")
INNER4, INNER6 = ("10.1.2.3", "172.16.254.255"), ("fd00:1:2:3:4:5:6:7", "fe80::ff")

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


def ip(version: int, inner: bool) -> Any:
    """An IP header between the outer or the inner addresses."""
    if version == 4:
        source, destination = INNER4 if inner else OUTER4
        return IP(src=source, dst=destination, id=77 if inner else 3, ttl=9 if inner else 64)
    source, destination = INNER6 if inner else OUTER6
    return IPv6(src=source, dst=destination, hlim=9 if inner else 64)


def segment(version: int = 4) -> Any:
    """The packet inside: a TCP segment with 7 octets."""
    options = [("NOP", None), ("NOP", None), ("Timestamp", (5, 6))]
    return (
        ip(version, True) / TCP(sport=40000, dport=443, seq=7, ack=9, flags="PA", window=5, options=options) / "payload"
    )


def ether() -> Any:
    return Ether(**MACS)


def udp(port: int) -> Any:
    return UDP(sport=50505, dport=port)


def raw(*words: int) -> Any:
    """Octets, a word of 16 bits each."""
    return Raw(struct.pack(f"!{len(words)}H", *words))


class Way(NamedTuple):
    """How a packet is carried inside an IP packet."""

    head: Any
    """From what follows the outer IP header to what stands before the inner one."""
    tunnel: Tunnel
    about: str = ""
    """What identifies it."""
    number: int = 0
    """IP protocol, where scapy cannot tell."""
    versions: tuple[int, ...] = (4, 6)
    """What it can carry."""


def session(flags: int, *words: int) -> Any:
    """L2TP of version 2 with these flags, and PPP with its address field."""
    return udp(1701) / raw(flags | 2, *words, 0xFF03)


WAYS = {
    "IP": Way(None, Tunnel.IP),
    "GRE": Way(GRE(), Tunnel.GRE),
    "GRE, checksum": Way(GRE(chksum_present=1), Tunnel.GRE),
    "GRE, key": Way(GRE(key_present=1, key=0x12345678), Tunnel.GRE, "key 305419896"),
    "GRE, checksum, key, sequence": Way(
        GRE(chksum_present=1, key_present=1, key=8, seqnum_present=1, sequence_number=5), Tunnel.GRE, "key 8"
    ),
    "GRE, Ethernet": Way(GRE(proto=0x6558) / ether(), Tunnel.GRE),
    "GRE, Ethernet, VLAN": Way(GRE(proto=0x6558) / ether() / Dot1Q(vlan=5), Tunnel.GRE),
    "GRE, MPLS": Way(GRE(proto=0x8847) / mpls.MPLS(label=33), Tunnel.GRE),
    "ERSPAN I": Way(GRE(proto=0x88BE) / ether(), Tunnel.ERSPAN),
    "ERSPAN II": Way(
        GRE(proto=0x88BE, seqnum_present=1, sequence_number=1) / erspan.ERSPAN_II(session_id=99) / ether(),
        Tunnel.ERSPAN, "session 99",
    ),
    "ERSPAN III": Way(
        GRE(proto=0x22EB, seqnum_present=1, sequence_number=1) / erspan.ERSPAN_III(session_id=98) / ether(),
        Tunnel.ERSPAN, "session 98",
    ),
    "ERSPAN III, platform": Way(
        GRE(proto=0x22EB, seqnum_present=1, sequence_number=1)
        / erspan.ERSPAN_III(session_id=97, o=1) / erspan.ERSPAN_PlatformSpecific() / ether(),
        Tunnel.ERSPAN, "session 97",
    ),
    "PPTP": Way(raw(0x3001, 0x880B, 0, 21, 0, 1, 0xFF03), Tunnel.PPTP, "call 21", 47),
    "PPTP, acknowledgement": Way(raw(0x3081, 0x880B, 0, 21, 0, 1, 0, 2), Tunnel.PPTP, "call 21", 47),
    "VXLAN": Way(udp(4789) / vxlan.VXLAN(vni=42) / ether(), Tunnel.VXLAN, "VNI 42"),
    "VXLAN, group policy": Way(udp(4789) / vxlan.VXLAN(vni=42, flags=0x88, gpid=7) / ether(), Tunnel.VXLAN, "VNI 42"),
    "VXLAN, VLAN": Way(udp(4789) / vxlan.VXLAN(vni=42) / ether() / Dot1Q(vlan=5), Tunnel.VXLAN, "VNI 42"),
    "VXLAN, answered": Way(UDP(sport=4789, dport=60000) / vxlan.VXLAN(vni=42) / ether(), Tunnel.VXLAN, "VNI 42"),
    "Geneve": Way(udp(6081) / geneve.GENEVE(vni=43) / ether(), Tunnel.GENEVE, "VNI 43"),
    "Geneve, options": Way(
        udp(6081) / geneve.GENEVE(vni=43, options=geneve.GeneveOptions(data=bytes(8))) / ether(),
        Tunnel.GENEVE, "VNI 43",
    ),
    "GTP": Way(udp(2152) / gtp.GTP_U_Header(teid=0xABCDEF01), Tunnel.GTP, "TEID 2882400001"),
    "GTP, sequence": Way(udp(2152) / gtp.GTP_U_Header(teid=1, S=1, seq=9), Tunnel.GTP, "TEID 1"),
    "GTP, extension": Way(
        udp(2152) / gtp.GTP_U_Header(teid=1, E=1, next_ex=0x85) / gtp.GTPPDUSessionContainer(type=0, QFI=1),
        Tunnel.GTP, "TEID 1",
    ),
    "L2TP": Way(session(0x0000, 7, 8), Tunnel.L2TP, "tunnel 7, session 8"),
    "L2TP, sequence, offset": Way(session(0x0A00, 7, 8, 1, 2, 4, 0, 0), Tunnel.L2TP, "tunnel 7, session 8"),
    **{
        f"L2TPv3 in {what}, {len(octets)} octets, Ethernet": Way(
            head / Raw(octets) / ether(), Tunnel.L2TPV3, "session 5", number
        )
        for what, head, number in (("IP", raw(0, 5), 115), ("UDP", udp(1701) / raw(3, 0, 0, 5), 0))
        for octets in (b"", bytes(4), b"cookie\x08\0", b"\x45\0\0\x40cook" + bytes(4))
    },
    "L2TPv3, Ethernet, VLAN": Way(raw(0, 6) / Raw(bytes(4)) / ether() / Dot1Q(vlan=5), Tunnel.L2TPV3, "session 6", 115),
    "L2TPv3, PPP": Way(udp(1701) / raw(3, 0, 0, 7, 0xFF03), Tunnel.L2TPV3, "session 7"),
    "L2TPv3, IP": Way(raw(0, 8, 1, 2), Tunnel.L2TPV3, "session 8", 115),
    "Teredo": Way(udp(3544), Tunnel.TEREDO, versions=(6,)),
    "Teredo, origin": Way(udp(3544) / raw(0, 1, 2, 3), Tunnel.TEREDO, versions=(6,)),
    "Teredo, authentication, origin": Way(
        udp(3544) / raw(1, 0x0102) / Raw(b"abb" + bytes(9)) / raw(0, 1, 2, 3), Tunnel.TEREDO, versions=(6,)
    ),
}  # fmt: skip


def ppp_protocol(way: str, version: int) -> bytes:
    """PPP's protocol field, which scapy does not write behind octets of our own."""
    has_ppp = way.startswith(("PPTP", "L2TP,")) or way in ("L2TP", "L2TPv3, PPP")
    return struct.pack("!H", 0x21 if version == 4 else 0x57) if has_ppp else b""


def carried(way: str, payload: Any, version: int, outer: int = 4, *, outer_inside: bool = False) -> Any:
    """``payload``, an IP packet of ``version``, inside an IP packet of version ``outer``."""
    head, _, _, number, _ = WAYS[way]
    around = ip(outer, outer_inside)
    if ppp := ppp_protocol(way, version):
        payload = Raw(ppp + bytes(payload))
    if number:
        around.payload_guess = []
        setattr(around, "proto" if outer == 4 else "nh", number)
    return around / head / payload if head is not None else around / payload


SINGLE = [(way, version, outer) for way in WAYS for version in WAYS[way].versions for outer in (4, 6)]
"""Every way with every inner and outer IP version."""


def single(way: str, version: int, outer: int) -> bytes:
    """An Ethernet frame with a segment inside."""
    return bytes(ether() / carried(way, segment(version), version, outer))


def nested(dice: random.Random, depth: int) -> tuple[bytes, int]:
    """An Ethernet frame with a segment in ``depth`` tunnels of all kinds, and the segment's IP version."""
    version = innermost = dice.choice((4, 6))
    packet = segment(version)
    for level in range(depth):
        way = dice.choice([way for way in WAYS if version in WAYS[way].versions])
        outer = dice.choice((4, 6))
        packet = bytes(carried(way, packet, version, outer, outer_inside=level % 2 == 0))
        packet = IP(packet) if outer == 4 else IPv6(packet)
        version = outer
    kind = 0x0800 if version == 4 else 0x86DD
    link = dice.choice((Ether(**MACS, type=kind), ether() / Dot1Q(vlan=9, type=kind)))
    return bytes(link / packet), innermost
