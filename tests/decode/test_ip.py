"""IPv4 and IPv6 headers as scapy writes them, and as nobody should; UDP and what else IP carries."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from analyzer.decode.packets import decode
from analyzer.tables import Packets, Protocol, Status
from tests.script import batch, read_only

scapy = pytest.importorskip("scapy.all")
inet6 = pytest.importorskip("scapy.layers.inet6")
ipsec = pytest.importorskip("scapy.layers.ipsec")

IP, IPv6, TCP, UDP, Raw = scapy.IP, scapy.IPv6, scapy.TCP, scapy.UDP, scapy.Raw

HERE, THERE = "10.1.2.3", "172.16.254.255"
HERE6, THERE6 = "2001:db8:1:2:3:4:5:6", "fe80::ff"

SEGMENT = TCP(sport=40000, dport=443, seq=7, ack=9, flags="PA", window=123) / Raw(b"payload")


def read(packet: Any, *, wire_len: int | None = None) -> Packets:
    """One packet without a link layer (LINKTYPE_RAW)."""
    frames = batch([bytes(packet)], linktype=101)
    if wire_len is not None:
        frames = read_only(frames._replace(origlen=frames.origlen * 0 + wire_len))
    return decode(frames)


def said(row: Packets) -> tuple[str, str]:
    return Status(int(row.status[0])).name, Protocol(int(row.protocol[0])).name


def addresses(row: Packets) -> tuple[str, str]:
    """The two addresses as text: an IPv4 address is the last word of its four."""
    words = row.address[0].tolist()
    if row.ip_version[0] == 4:
        assert words[:3] == words[4:7] == [0, 0, 0]
        return str(ipaddress.IPv4Address(words[3])), str(ipaddress.IPv4Address(words[7]))
    halves = (sum(word << 32 * (3 - k) for k, word in enumerate(words[at : at + 4])) for at in (0, 4))
    source, destination = (str(ipaddress.IPv6Address(half)) for half in halves)
    return source, destination


def assert_segment(row: Packets, payload_len: int = 7) -> None:
    assert said(row) == ("WHOLE", "TCP")
    assert (row.src_port[0], row.dst_port[0], row.seq[0], row.ack[0]) == (40000, 443, 7, 9)
    assert (row.flags[0], row.window[0], row.payload_len[0]) == (0x18, 123, payload_len)


# ---------------------------------------------------------------- IPv4


def test_ipv4_header() -> None:
    row = read(IP(src=HERE, dst=THERE, ttl=77, id=0xBEEF, flags="DF") / SEGMENT)
    assert_segment(row)
    assert addresses(row) == (HERE, THERE)
    assert (row.ip_version[0], row.ttl[0], row.ip_id[0]) == (4, 77, 0xBEEF)


@pytest.mark.parametrize("octets", [4, 8, 40])
def test_ipv4_options(octets: int) -> None:
    row = read(IP(src=HERE, dst=THERE, options=[scapy.IPOption(b"\x01" * octets)]) / SEGMENT)
    assert_segment(row)
    assert row.payload_start[0] == 20 + octets + 20


def test_ipv4_header_whose_options_are_cut() -> None:
    whole = bytes(IP(src=HERE, dst=THERE, proto=1, options=[scapy.IPOption(b"\x01" * 8)]) / Raw(bytes(8)))
    rows = decode(batch([whole[:n] for n in (20, 24, 27, 28, 36)], linktype=101))
    assert [Status(status).name for status in rows.status.tolist()] == ["CUT", "CUT", "CUT", "WHOLE", "WHOLE"]


def test_ipv4_length_zero_means_the_frames_length() -> None:
    """What the segmentation offload writes: the frame's length on the wire counts, though the capture cut it."""
    packet = bytes(IP(src=HERE, dst=THERE, len=0) / SEGMENT)
    assert_segment(read(packet))
    assert_segment(read(packet, wire_len=70_000), 70_000 - 40)


def test_ipv4_length_leaves_the_padding_out() -> None:
    row = read(bytes(IP(src=HERE, dst=THERE) / SEGMENT) + bytes(30))
    assert_segment(row)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param(IP(len=19) / SEGMENT, ("BAD", "IPV4"), id="shorter than its header"),
        pytest.param(IP(ihl=4) / SEGMENT, ("BAD", "IPV4"), id="header length 16"),
        pytest.param(IP(ihl=15, len=50) / SEGMENT, ("BAD", "IPV4"), id="header longer than the packet"),
        pytest.param(IP(len=39) / SEGMENT, ("BAD", "TCP"), id="no room for a TCP header"),
        pytest.param(IP(len=27) / UDP(), ("BAD", "UDP"), id="no room for a UDP header"),
    ],
)
def test_ipv4_lengths_that_cannot_be(packet: Any, expected: tuple[str, str]) -> None:
    row = read(packet)
    assert said(row) == expected
    assert row.src_port[0] == row.payload_len[0] == 0


def test_version_that_is_not_the_ethertypes() -> None:
    for ethertype, packet in ((0x0800, IPv6() / SEGMENT), (0x86DD, IP() / SEGMENT)):
        row = decode(batch([bytes(12) + ethertype.to_bytes(2) + bytes(packet) + bytes(40)]))
        assert Status(int(row.status[0])) == Status.BAD
        assert row.ip_version[0] == 0


@pytest.mark.parametrize(("proto", "name"), [(6, "TCP"), (17, "UDP"), (1, "ICMP"), (132, "SCTP"), (47, "IPV4")])
def test_ipv4_fragments(proto: int, name: str) -> None:
    for frag in (0, 1, 0x1FFF):
        later = read(IP(src=HERE, dst=THERE, proto=proto, flags="MF", frag=frag) / Raw(bytes(SEGMENT)))
        assert said(later) == ("FRAGMENT", name)
        assert addresses(later) == (HERE, THERE)
        assert later.src_port[0] == later.payload_len[0] == 0


@pytest.mark.parametrize("version", [4, 6])
def test_first_fragment_that_is_cut_is_read_as_far_as_it_goes(version: int) -> None:
    head = IP(src=HERE, dst=THERE, flags="MF") if version == 4 else IPv6() / inet6.IPv6ExtHdrFragment(m=1, id=5)
    whole = bytes(head / SEGMENT)
    assert said(read(whole))[0] == "FRAGMENT"
    assert_segment(read(whole[:-1]))


@pytest.mark.parametrize(
    ("proto", "name"),
    [(1, "ICMP"), (2, "IGMP"), (6, "TCP"), (17, "UDP"), (58, "ICMPV6"), (132, "SCTP"), (47, "IPV4"), (255, "IPV4")],
)
def test_ipv4_protocols(proto: int, name: str) -> None:
    assert said(read(IP(proto=proto) / Raw(bytes(12) + b"\x50" + bytes(7)))) == ("WHOLE", name)


# ---------------------------------------------------------------- IPv6


def test_ipv6_header() -> None:
    row = read(IPv6(src=HERE6, dst=THERE6, hlim=99) / SEGMENT)
    assert_segment(row)
    assert addresses(row) == (HERE6, THERE6)
    assert (row.ip_version[0], row.ttl[0], row.ip_id[0]) == (6, 99, 0)


EXTENSIONS = {
    "hop by hop": inet6.IPv6ExtHdrHopByHop(options=[inet6.PadN(optdata=bytes(12))]),
    "routing": inet6.IPv6ExtHdrRouting(addresses=["::1", "::2"]),
    "destination options": inet6.IPv6ExtHdrDestOpt(),
    "fragment that is the whole": inet6.IPv6ExtHdrFragment(),
    "authentication": ipsec.AH(nh=6, spi=1, seq=2, payloadlen=4, icv=bytes(12)),
    "mobility": Raw(bytes.fromhex("0600040000000000")),
    "all of them": (
        inet6.IPv6ExtHdrHopByHop() / inet6.IPv6ExtHdrDestOpt() / inet6.IPv6ExtHdrRouting() / inet6.IPv6ExtHdrFragment()
        / inet6.IPv6ExtHdrDestOpt()
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXTENSIONS)
def test_ipv6_extension_headers(name: str) -> None:
    head = IPv6(src=HERE6, dst=THERE6)
    if name == "mobility":
        head.nh = 135
    packet = head / EXTENSIONS[name] / SEGMENT
    row = read(packet)
    assert_segment(row)
    assert row.payload_start[0] == len(packet) - 7
    whole = bytes(packet)
    cut = decode(batch([whole[:n] for n in range(len(whole) - 7)], linktype=101))
    assert set(cut.status.tolist()) == {Status.CUT}


def test_ipv6_extension_header_that_is_cut_before_something_without_a_header_of_ours() -> None:
    whole = bytes(IPv6() / inet6.IPv6ExtHdrDestOpt(options=[inet6.PadN(optdata=bytes(12))], nh=58) / Raw(bytes(8)))
    rows = decode(batch([whole[:n] for n in (48, 50, 55, 56, 64)], linktype=101))
    assert [Status(status).name for status in rows.status.tolist()] == ["CUT", "CUT", "CUT", "WHOLE", "WHOLE"]


@pytest.mark.parametrize(("nh", "name"), [(6, "TCP"), (17, "UDP"), (58, "ICMPV6"), (47, "IPV6"), (60, "IPV6")])
def test_ipv6_later_fragments(nh: int, name: str) -> None:
    row = read(IPv6(src=HERE6, dst=THERE6) / inet6.IPv6ExtHdrFragment(offset=3, nh=nh) / Raw(bytes(SEGMENT)))
    assert said(row) == ("FRAGMENT", name)
    assert addresses(row) == (HERE6, THERE6)


def test_ipv6_length_zero_means_the_frames_length() -> None:
    """A jumbogram, or what the segmentation offload writes (BIG TCP)."""
    packet = bytes(IPv6(src=HERE6, dst=THERE6, plen=0) / SEGMENT)
    assert_segment(read(packet))
    assert_segment(read(packet, wire_len=200_000), 200_000 - 60)
    jumbo = bytes(IPv6(plen=0) / inet6.IPv6ExtHdrHopByHop(options=[inet6.Jumbo(jumboplen=100_000)]) / SEGMENT)
    assert_segment(read(jumbo, wire_len=100_040), 100_000 - 8 - 20)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param(IPv6(plen=4) / inet6.IPv6ExtHdrDestOpt() / SEGMENT, ("BAD", "IPV6"), id="extension too long"),
        pytest.param(IPv6(plen=19) / SEGMENT, ("BAD", "TCP"), id="no room for a TCP header"),
        pytest.param(IPv6(nh=60) / Raw((b"\x3c\0" + bytes(6)) * 40), ("BAD", "IPV6"), id="a chain that does not end"),
    ],
)
def test_ipv6_lengths_that_cannot_be(packet: Any, expected: tuple[str, str]) -> None:
    assert said(read(packet)) == expected


@pytest.mark.parametrize(("nh", "name"), [(58, "ICMPV6"), (132, "SCTP"), (59, "IPV6"), (50, "IPV6")])
def test_ipv6_next_headers(nh: int, name: str) -> None:
    assert said(read(IPv6(nh=nh) / Raw(bytes(20)))) == ("WHOLE", name)


# ---------------------------------------------------------------- UDP


@pytest.mark.parametrize("head", [IP(src=HERE, dst=THERE), IPv6(src=HERE6, dst=THERE6)], ids=["IPv4", "IPv6"])
def test_udp(head: Any) -> None:
    whole = bytes(head / UDP(sport=53, dport=5353) / Raw(b"hello"))
    row = read(whole)
    assert said(row) == ("WHOLE", "UDP")
    assert (row.src_port[0], row.dst_port[0], row.payload_len[0]) == (53, 5353, 5)
    assert row.payload_start[0] == len(whole) - 5
    rows = decode(batch([whole[:n] for n in range(len(whole))], linktype=101))
    assert [Status(status) for status in rows.status.tolist()] == [Status.CUT] * (len(whole) - 5) + [Status.WHOLE] * 5
