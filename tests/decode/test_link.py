"""From every kind of frame to its network layer: link types, tags, labels, PPP, LLC."""

from __future__ import annotations

import struct

import pytest

from analyzer.decode.packets import decode
from analyzer.tables import Protocol, Status
from tests.script import batch

IPV4 = bytes.fromhex("4500002800070000400600000a0000010a000002") + bytes.fromhex(
    "9c400050000000640000012c5010040000000000"
)
"""10.0.0.1:40000 > 10.0.0.2:80, seq 100, ack 300, ACK; identification 7."""

IPV6 = bytes.fromhex("600000000014063f") + bytes(15) + b"\1" + bytes(15) + b"\2" + IPV4[20:]

ARP = bytes.fromhex("0001080006040001") + bytes(20)

MAC = bytes(12)


def ether(ethertype: int, payload: bytes) -> bytes:
    return MAC + struct.pack("!H", ethertype) + payload


def vlan(ethertype: int, tag: int = 5) -> bytes:
    """A tag, as it stands after the EtherType that announces it."""
    return struct.pack("!HH", tag, ethertype)


def label(number: int, bottom: bool) -> bytes:
    return struct.pack("!I", number << 12 | bottom << 8 | 64)


def pppoe(payload: bytes, protocol: bytes = b"\x00\x21") -> bytes:
    return struct.pack("!BBHH", 0x11, 0, 1, len(payload) + 2) + protocol + payload


def wireless(kind: int, flags: int = 0, sequence: int = 0x70) -> bytes:
    """The first 24 octets of an IEEE 802.11 header."""
    return bytes([kind, flags]) + bytes(20) + struct.pack("<H", sequence)


SLL, SLL2 = bytes(14), bytes(18)
SNAP = b"\xaa\xaa\x03\0\0\0"
LENGTH_802_3 = MAC + struct.pack("!H", 43)

WAYS = {
    "Ethernet": (1, ether(0x0800, b""), ""),
    "Ethernet, IPv6": (1, ether(0x86DD, b""), "6"),
    "802.1Q": (1, ether(0x8100, vlan(0x0800)), ""),
    "802.1Q, IPv6": (1, ether(0x8100, vlan(0x86DD)), "6"),
    "802.1ad": (1, ether(0x88A8, vlan(0x8100) + vlan(0x0800)), ""),
    "QinQ by its old number": (1, ether(0x9100, vlan(0x8100) + vlan(0x0800)), ""),
    "MPLS": (1, ether(0x8847, label(16, True)), ""),
    "MPLS, three labels, IPv6": (1, ether(0x8847, label(16, False) + label(17, False) + label(0, True)), "6"),
    "MPLS multicast": (1, ether(0x8848, label(16, True)), ""),
    "MPLS in 802.1Q": (1, ether(0x8100, vlan(0x8847) + label(16, True)), ""),
    "PPPoE": (1, ether(0x8864, pppoe(b"")), ""),
    "PPPoE, IPv6": (1, ether(0x8864, pppoe(b"", b"\x00\x57")), "6"),
    "PPPoE in 802.1Q": (1, ether(0x8100, vlan(0x8864) + pppoe(b"")), ""),
    "PPPoE in QinQ, IPv6": (1, ether(0x88A8, vlan(0x8100) + vlan(0x8864) + pppoe(b"", b"\x00\x57")), "6"),
    "PPPoE, short protocol": (1, ether(0x8864, pppoe(b"", b"\x21")), ""),
    "FabricPath": (1, ether(0x8903, b"\0\1" + ether(0x0800, b"")), ""),
    "FabricPath, 802.1Q": (1, ether(0x8903, b"\0\1" + ether(0x8100, vlan(0x0800))), ""),
    "LLC": (1, LENGTH_802_3 + b"\x06\x06\x03", ""),
    "LLC and SNAP": (1, LENGTH_802_3 + SNAP + b"\x08\x00", ""),
    "LLC and SNAP, IPv6": (1, LENGTH_802_3 + SNAP + b"\x86\xdd", "6"),
    "LLC in 802.1Q": (1, ether(0x8100, vlan(48) + SNAP + b"\x08\x00"), ""),
    "NULL, little endian": (0, b"\2\0\0\0", ""),
    "NULL, big endian": (0, b"\0\0\0\2", ""),
    "NULL, IPv6 of Linux": (0, b"\x0a\0\0\0", "6"),
    "NULL, IPv6 of NetBSD": (0, b"\x18\0\0\0", "6"),
    "NULL, IPv6 of FreeBSD": (0, b"\x1c\0\0\0", "6"),
    "NULL, IPv6 of macOS": (0, b"\0\0\0\x1e", "6"),
    "LOOP": (108, b"\0\0\0\2", ""),
    "LOOP, IPv6": (108, b"\0\0\0\x18", "6"),
    "RAW": (101, b"", ""),
    "RAW, IPv6": (101, b"", "6"),
    "IPV4": (228, b"", ""),
    "IPV6": (229, b"", "6"),
    "LINUX_SLL": (113, SLL + b"\x08\x00", ""),
    "LINUX_SLL, 802.1Q": (113, SLL + b"\x81\x00" + vlan(0x86DD), "6"),
    "LINUX_SLL2": (276, b"\x08\x00" + SLL2, ""),
    "LINUX_SLL2, IPv6": (276, b"\x86\xdd" + SLL2, "6"),
    "PPP": (9, b"\xff\x03\x00\x21", ""),
    "PPP without address": (9, b"\x00\x57", "6"),
    "PPP, short protocol": (9, b"\xff\x03\x21", ""),
    "PPP, MPLS": (9, b"\xff\x03\x02\x81" + label(16, False) + label(17, True), ""),
    "PPP in HDLC": (50, b"\xff\x03\x00\x21", ""),
    "Cisco's HDLC, under PPP's link type": (50, b"\x0f\x00\x08\x00", ""),
    "Cisco's HDLC, under PPP's link type, broadcast": (50, b"\x8f\x00\x86\xdd", "6"),
    "PPP_ETHER": (51, pppoe(b""), ""),
    "C_HDLC": (104, b"\x0f\x00\x08\x00", ""),
    "FDDI": (10, b"\x50" + MAC + SNAP + b"\x08\x00", ""),
    "802.11": (105, wireless(0x08) + SNAP + b"\x08\x00", ""),
    "802.11, quality of service, IPv6": (105, wireless(0x88, 0x01) + bytes(2) + SNAP + b"\x86\xdd", "6"),
    "802.11, between access points": (105, wireless(0x08, 0x03) + bytes(6) + SNAP + b"\x08\x00", ""),
    "802.11, high throughput": (105, wireless(0x88, 0x82) + bytes(6) + SNAP + b"\x08\x00", ""),
    "802.11, radiotap": (127, b"\0\0\x0a\0" + bytes(6) + wireless(0x08) + SNAP + b"\x08\x00", ""),
    "802.11, PPI": (192, b"\0\0\x08\0" + bytes(4) + wireless(0x08) + SNAP + b"\x86\xdd", "6"),
    "C_HDLC, IPv6": (104, b"\x0f\x00\x86\xdd", "6"),
}
"""Link type, what stands before the network layer, IP version when it is not 4."""


@pytest.mark.parametrize(("linktype", "head", "version"), WAYS.values(), ids=WAYS)
def test_way_to_the_network_layer(linktype: int, head: bytes, version: str) -> None:
    row = decode(batch([head + (IPV6 if version else IPV4)], linktype=linktype))
    assert row.status.tolist() == [Status.WHOLE]
    assert row.protocol.tolist() == [Protocol.TCP]
    assert row.ip_version.tolist() == [6 if version else 4]
    assert (row.src_port[0], row.dst_port[0], row.seq[0], row.ack[0]) == (40000, 80, 100, 300)
    assert row.payload_start[0] == len(head) + (60 if version else 40)


@pytest.mark.parametrize(("linktype", "head", "version"), WAYS.values(), ids=WAYS)
def test_way_cut_short(linktype: int, head: bytes, version: str) -> None:
    """Wherever the octets end before the transport header does, the row says CUT."""
    whole = head + (IPV6 if version else IPV4)
    rows = decode(batch([whole[:n] for n in range(len(whole))], linktype=linktype))
    assert rows.status.tolist() == [Status.CUT] * len(whole)


@pytest.mark.parametrize(
    ("linktype", "octets"),
    [
        pytest.param(1, ether(0x0806, ARP), id="Ethernet"),
        pytest.param(1, ether(0x8100, vlan(0x0806) + ARP), id="802.1Q"),
        pytest.param(1, LENGTH_802_3 + SNAP + b"\x08\x06" + ARP, id="SNAP"),
        pytest.param(113, SLL + b"\x08\x06" + ARP, id="LINUX_SLL"),
        pytest.param(276, b"\x08\x06" + SLL2 + ARP, id="LINUX_SLL2"),
    ],
)
def test_arp(linktype: int, octets: bytes) -> None:
    row = decode(batch([octets], linktype=linktype))
    assert (row.protocol[0], row.status[0], row.ip_version[0]) == (Protocol.ARP, Status.WHOLE, 0)


@pytest.mark.parametrize(
    ("linktype", "octets"),
    [
        pytest.param(1, ether(0x88CC, IPV4), id="LLDP"),
        pytest.param(1, ether(0x8863, pppoe(IPV4)), id="PPPoE discovery"),
        pytest.param(1, ether(0x8864, pppoe(IPV4, b"\xc0\x21")), id="PPPoE, LCP"),
        pytest.param(1, ether(0x8847, label(16, True) + b"\0" + IPV4), id="MPLS over something else"),
        pytest.param(1, LENGTH_802_3 + b"\x42\x42\x03" + IPV4, id="LLC, spanning tree"),
        pytest.param(1, LENGTH_802_3 + b"\x06\x06\x13" + IPV4, id="LLC, IP's service access point, not unnumbered"),
        pytest.param(1, LENGTH_802_3 + SNAP + b"\x80\x9b" + IPV4, id="SNAP, AppleTalk"),
        pytest.param(1, LENGTH_802_3 + b"\xaa\xaa\x13" + IPV4, id="SNAP, not unnumbered"),
        pytest.param(0, b"\7\0\0\0" + IPV4, id="NULL, another family"),
        pytest.param(101, b"\x50" + IPV4[1:], id="RAW, IP version 5"),
        pytest.param(9, b"\xff\x03\xc0\x21" + IPV4, id="PPP, LCP"),
        pytest.param(105, wireless(0x80) + SNAP + b"\x08\0" + IPV4, id="802.11, a beacon"),
        pytest.param(105, wireless(0x48) + SNAP + b"\x08\0" + IPV4, id="802.11, no data"),
        pytest.param(105, wireless(0x08, 0x40) + SNAP + b"\x08\0" + IPV4, id="802.11, encrypted"),
        pytest.param(105, wireless(0x08, 0x04) + SNAP + b"\x08\0" + IPV4, id="802.11, first fragment"),
        pytest.param(105, wireless(0x08, 0, 0x71) + SNAP + b"\x08\0" + IPV4, id="802.11, later fragment"),
        pytest.param(119, ether(0x0800, IPV4), id="a radio's own header"),
        pytest.param(147, ether(0x0800, IPV4), id="a user's own"),
    ],
)
def test_what_is_not_ours_to_read(linktype: int, octets: bytes) -> None:
    row = decode(batch([octets], linktype=linktype))
    assert (row.protocol[0], row.status[0], row.ip_version[0]) == (Protocol.OTHER, Status.WHOLE, 0)


def test_a_batch_may_mix_link_types() -> None:
    frames = batch([ether(0x0800, IPV4), IPV6, b"\2\0\0\0" + IPV4])
    linktypes = frames.linktype.copy()
    linktypes[:] = [1, 101, 0]
    linktypes.flags.writeable = False
    rows = decode(frames._replace(linktype=linktypes))
    assert rows.ip_version.tolist() == [4, 6, 4]
    assert rows.src_port.tolist() == [40000] * 3
    assert rows.payload_start.tolist() == [54, 54 + 60, 114 + 44]
