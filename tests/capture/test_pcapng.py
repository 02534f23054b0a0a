"""pcapng: sections, interfaces, the packet blocks, times of every resolution, and damage."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from analyzer.capture.interface import Interface
from analyzer.capture.pcapng import LATEST_NS
from analyzer.capture.source import open_capture
from analyzer.errors import CaptureFormatError
from tests.capture.written import (
    Read,
    block,
    enhanced,
    interface,
    obsolete,
    option,
    packets,
    rows,
    section,
    simple,
)

NAME, DESCRIPTION, TSRESOL, TSOFFSET = 2, 3, 9, 14
SECOND = 10**9


def read(octets: bytes) -> tuple[list[Read], CaptureFormatError | None]:
    with open_capture(io.BytesIO(octets)) as capture:
        return list(rows(capture)), capture.damage


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_three_packet_blocks(order: str) -> None:
    octets = (
        section(order)
        + interface(order, 1, 65_535)
        + interface(order, 113, 0)
        + enhanced(b"first", 5_000_001, order=order, origlen=90)
        + obsolete(b"second", 6_000_002, order=order, number=1)
        + simple(b"third..", order=order)
        + enhanced(b"", 7_000_003, order=order, number=1)
    )
    got, damage = read(octets)
    assert damage is None
    assert got == [
        Read(1, 5_000_001_000, b"first", 90, 1, 0),
        Read(2, 6_000_002_000, b"second", 6, 113, 1),
        Read(3, 0, b"third..", 7, 1, 0),
        Read(4, 7_000_003_000, b"", 0, 113, 1),
    ]


def test_as_scapy_reads_it() -> None:
    octets = section() + interface()
    for i, packet in enumerate(packets(30)):
        octets += enhanced(packet.octets, 10**15 + i, origlen=packet.origlen)
    got, _ = read(octets)
    theirs = [
        (data, ((meta.tshigh << 32) + meta.tslow) * 1000, meta.wirelen)
        for data, meta in RawPcapNgReader(io.BytesIO(octets))
    ]
    assert [(row.octets, row.ts_ns, row.origlen) for row in got] == theirs


def test_sections_have_their_own_byte_order_and_interfaces() -> None:
    octets = (
        section("<", length=200)
        + interface("<", 1)
        + interface("<", 101)
        + enhanced(b"a", 1, number=1)
        + section(">")
        + interface(">", 276)
        + enhanced(b"b", 2, order=">")
        + section("<")
        + interface("<", 12)
        + simple(b"c")
    )
    with open_capture(io.BytesIO(octets)) as capture:
        got = [(row.octets, row.linktype, row.interface) for row in rows(capture)]
        assert got == [(b"a", 101, 1), (b"b", 276, 2), (b"c", 101, 3)]
        assert [described.linktype for described in capture.interfaces] == [1, 101, 276, 101]
        assert capture.damage is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_interface_tells_its_name(order: str) -> None:
    options = {1: b"a comment", NAME: b"lo", DESCRIPTION: "prüf \xff".encode("latin-1"), TSRESOL: b"\x09"}
    with open_capture(io.BytesIO(section(order) + interface(order, 1, 96, options))) as capture:
        assert capture.interfaces == [Interface(1, 96, "lo", "pr\ufffdf \ufffd", True)]
        assert list(capture) == []


@pytest.mark.parametrize(
    ("resolution", "finer"), [(0, False), (6, False), (7, True), (9, True), (0x80, False), (0x93, False), (0x94, True)]
)
def test_whether_times_are_finer_than_microseconds(resolution: int, finer: bool) -> None:
    with open_capture(io.BytesIO(section() + interface(options={TSRESOL: bytes([resolution])}))) as capture:
        assert capture.interfaces[0].nanoseconds == finer


def expected_ns(ticks: int, resolution: int, offset: int) -> int:
    base = 2 if resolution & 0x80 else 10
    ns = int(ticks * SECOND / Fraction(base ** (resolution & 0x7F)))
    return max(-LATEST_NS, min(min(ns, LATEST_NS) + max(-LATEST_NS, min(offset * SECOND, LATEST_NS)), LATEST_NS))


@settings(deadline=None)
@given(
    st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]),
    st.integers(0, 19) | st.integers(0x80, 0x80 + 63),
    st.sampled_from([0, 0, 1, -1, 3600, -(2**63), 2**63 - 1, 9_223_372_036, 10**10, -(10**10)]),
    st.sampled_from("<>"),
)
def test_times_are_exact_to_the_nanosecond(ticks: int, resolution: int, offset: int, order: str) -> None:
    options = {TSRESOL: bytes([resolution]), TSOFFSET: struct.pack(order + "q", offset)}
    octets = section(order) + interface(order, options=options) + enhanced(b"x", ticks, order=order)
    got, damage = read(octets)
    assert damage is None
    assert got[0].ts_ns == expected_ns(ticks, resolution, offset)


def test_a_simple_packet_is_cut_at_the_snapshot_length() -> None:
    got, damage = read(section() + interface(snaplen=4) + simple(b"abcd", origlen=90))
    assert (got[0].octets, got[0].origlen, damage) == (b"abcd", 90, None)


def test_an_enhanced_packet_beyond_the_snapshot_length_is_whole() -> None:
    got, damage = read(section() + interface(snaplen=4) + enhanced(b"abcdefgh", 1))
    assert (got[0].octets, damage) == (b"abcdefgh", None)


@pytest.mark.parametrize("kind", [4, 5, 10, 0xBAD, 0x8000_0001, 0xFFFF_FFFF])
def test_other_blocks_are_skipped(kind: int) -> None:
    other = block("<", kind, b"whatever it is")
    empty = block("<", kind, b"")
    got, damage = read(section() + other + interface() + empty + enhanced(b"a", 1) + other + enhanced(b"b", 2) + other)
    assert [row.octets for row in got] == [b"a", b"b"]
    assert damage is None


STATISTICS, IFDROP, OSDROP, USRDELIV = 5, 5, 7, 8


def statistics(order: str, number: int, **options: int) -> bytes:
    body = struct.pack(order + "III", number, 0, 0)
    for name, value in options.items():
        body += option(order, globals()[name], struct.pack(order + "Q", value))
    return block(order, STATISTICS, body)


def dropped(*blocks: bytes) -> int:
    with open_capture(io.BytesIO(b"".join(blocks))) as capture:
        got = list(rows(capture))
        assert (len(got), capture.damage) == (1, None)
        return capture.dropped


@pytest.mark.parametrize("order", ["<", ">"])
def test_statistics_tell_how_many_packets_were_missed(order: str) -> None:
    packet = enhanced(b"packet", 0, order=order)
    begin = section(order) + interface(order) + interface(order)
    early, late = statistics(order, 0, IFDROP=3), statistics(order, 0, IFDROP=4, OSDROP=10, USRDELIV=7)
    assert dropped(begin, packet) == 0
    assert dropped(begin, early, packet, late) == 14
    assert dropped(begin, packet, late, statistics(order, 1, OSDROP=2**40)) == 14 + 2**40
    assert dropped(begin, late, packet, section(order), interface(order), statistics(order, 0, IFDROP=1)) == 15


@pytest.mark.parametrize(
    "body", [b"", struct.pack("<III", 0, 0, 0), struct.pack("<IIIHH", 0, 0, 0, IFDROP, 8),
             struct.pack("<III", 0, 0, 0) + option("<", IFDROP, b"1234")]
)  # fmt: skip
def test_statistics_that_cannot_be_read_do_no_harm(body: bytes) -> None:
    assert dropped(section(), interface(), block("<", STATISTICS, body), enhanced(b"packet", 0)) == 0


def test_options_of_packets_and_sections_are_skipped() -> None:
    comment = option("<", 1, b"seen at noon") + option("<", 0, b"")
    got, damage = read(section(options=comment) + interface() + enhanced(b"abc", 1, options=comment))
    assert ([row.octets for row in got], damage) == ([b"abc"], None)


def test_a_length_without_the_padding() -> None:
    body = struct.pack("<IIIII", 0, 0, 1, 2, 2) + b"ab"
    unpadded = struct.pack("<II", 6, 34) + body + bytes(2) + struct.pack("<I", 34)
    got, damage = read(section() + interface() + unpadded + enhanced(b"c", 2))
    assert ([row.octets for row in got], damage) == ([b"ab", b"c"], None)


def test_many_interfaces() -> None:
    octets = section() + b"".join(interface(linktype=i % 300, options={NAME: b"%d" % i}) for i in range(500))
    got, _ = read(octets + b"".join(enhanced(b"", i, number=i) for i in range(500)))
    assert [row.interface for row in got] == list(range(500))
    # 12 and its like are the DLT_ values of old, see test_pcap.py
    assert all(row.linktype == row.interface % 300 for row in got if row.interface % 300 > 50)


WHOLE = section() + interface() + enhanced(b"good", 1)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (struct.pack("<II", 6, 8) + bytes(40), "a block with an impossible length (8 octets)"),
        (struct.pack("<II", 5, 1 << 31) + bytes(40), "a block with an impossible length (2,147,483,648 octets)"),
        (struct.pack("<II", 1, 16) + bytes(40), "a block with an impossible length (16 octets)"),
        (struct.pack("<II", 5, 16) + bytes(4) + struct.pack("<I", 20), "a block whose two lengths differ"),
        (struct.pack("<II", 4, 16) + bytes(4) + struct.pack("<I", 20), "a block whose two lengths differ"),
        (interface()[:-4] + bytes(4), "a block whose two lengths differ"),
        (block("<", 6, bytes(16)), "a block too short for what it says it holds"),
        (block("<", 2, bytes(12)), "a block too short for what it says it holds"),
        (block("<", 3, b""), "a block too short for what it says it holds"),
        (simple(b"abcd", origlen=9), "a block too short for what it says it holds"),
        (block("<", 6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + bytes(8)), "a block too short for what it says it holds"),
        (block("<", 6, struct.pack("<IIIII", 0, 0, 0, 1 << 31, 9)), "a packet longer than possible"),
        (enhanced(b"x", 1, number=1), "a packet of an interface that was not described"),
        (enhanced(b"x", 1, number=0xFFFF_FFFF), "a packet of an interface that was not described"),
        (section() + enhanced(b"x", 1), "a packet of an interface that was not described"),
        (section() + simple(b"x"), "a packet of an interface that was not described"),
        (section(version=(2, 0)), "a section of pcapng version 2.0, which is not supported"),
        (block("<", 0x0A0D0D0A, bytes(16)), "a section whose byte order cannot be told"),
        (interface(options={TSRESOL: b"\x14"}), "an interface description with a time resolution of 10^-20 s"),
        (interface(options={TSRESOL: b"\xc0"}), "an interface description with a time resolution of 2^-64 s"),
        (
            interface(options={TSRESOL: b"\x06\x06"}),
            "an interface description with a time resolution of the wrong size",
        ),
        (interface(options={TSOFFSET: b"\x06"}), "an interface description with a time offset of the wrong size"),
        (block("<", 1, struct.pack("<HHIHH", 1, 0, 0, NAME, 9)), "an interface description whose options exceed it"),
    ],
)
def test_damage(damaged: bytes, reason: str) -> None:
    got, damage = read(WHOLE + damaged + enhanced(b"after", 2))
    assert [row.octets for row in got] == [b"good"]
    assert damage is not None
    assert damage.expected == reason
    offset = len(WHOLE) + (28 if damaged.startswith(section()) else 0)
    assert damage.offset == offset


def test_every_truncation_gives_the_packets_before_it() -> None:
    blocks = [
        (section(), 0),
        (interface(options={NAME: b"lo"}), 0),
        (enhanced(b"one", 1), 1),
        (block("<", 5, b"statistics"), 0),
        (simple(b"two"), 1),
        (section(">"), 0),
        (interface(">"), 0),
        (obsolete(b"three", 3, order=">"), 1),
    ]
    whole = b"".join(octets for octets, _ in blocks)
    complete, damage = read(whole)
    assert (len(complete), damage) == (3, None)
    ends = {0: 0}
    end = 0
    for octets, packets_in_it in blocks:
        ends[end + len(octets)] = ends[end] + packets_in_it
        end += len(octets)
    begin = 0
    for length in range(12, len(whole) + 1):
        got, damage = read(whole[:length])
        begin = length if length in ends else begin
        assert got == complete[: ends[begin]]
        assert (damage is None) == (length in ends)
        if damage is not None:
            assert damage.offset == begin
            assert damage.expected == "the capture is cut in the middle of a block"


def test_a_section_without_interfaces_is_a_capture() -> None:
    with open_capture(io.BytesIO(section()), "tcp port 80") as capture:
        assert (capture.format, capture.interfaces, list(capture), capture.damage) == ("pcapng", [], [], None)
