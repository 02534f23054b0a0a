"""pcap files of every variant, written by hand, and libpcap's way with odd ones."""

from __future__ import annotations

import io
import struct

import pytest
from scapy.utils import RawPcapReader

from analyzer.capture.interface import Interface
from analyzer.capture.source import open_capture
from analyzer.errors import CaptureFormatError
from tests.capture.written import Packet, Read, origlen_of, packets, pcap, rows

MICROSECONDS, NANOSECONDS, KUZNETZOV = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34


def read(octets: bytes) -> tuple[list[Read], CaptureFormatError | None]:
    with open_capture(io.BytesIO(octets)) as capture:
        return list(rows(capture)), capture.damage


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit_ns"), [(MICROSECONDS, 1000), (NANOSECONDS, 1), (KUZNETZOV, 1000)])
def test_every_variant(order: str, magic: int, unit_ns: int) -> None:
    written = packets(40)
    got, damage = read(pcap(written, order=order, magic=magic))
    assert damage is None
    assert got == [
        Read(i + 1, p.seconds * 10**9 + p.fraction * unit_ns, p.octets, origlen_of(p), 1, 0)
        for i, p in enumerate(written)
    ]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [MICROSECONDS, NANOSECONDS])
def test_as_scapy_reads_it(order: str, magic: int) -> None:
    octets = pcap(packets(50), order=order, magic=magic)
    got, _ = read(octets)
    unit_ns = 1 if magic == NANOSECONDS else 1000
    theirs = [
        (data, meta.sec * 10**9 + meta.usec * unit_ns, meta.wirelen) for data, meta in RawPcapReader(io.BytesIO(octets))
    ]
    assert [(row.octets, row.ts_ns, row.origlen) for row in got] == theirs


def test_the_header_alone_is_a_capture() -> None:
    with open_capture(io.BytesIO(pcap([], magic=NANOSECONDS, snaplen=96, linktype=113))) as capture:
        assert (capture.format, capture.compression) == ("pcap", "")
        assert capture.interfaces == [Interface(113, 96, "", "", True)]
        assert list(capture) == []
        assert (capture.damage, capture.packets) == (None, 0)


@pytest.mark.parametrize(
    ("in_file", "linktype"),
    [
        (1, 1),
        (0x1C00_0001, 1),  # length of the frame check sequence above the link type
        (0xFC00_0000 | 276, 276),
        (12, 101),
        (14, 101),
        (101, 101),
        (11, 100),
        (15, 102),
        (16, 103),
        (19, 106),
        (18, 246),
        (50, 50),
        (113, 113),
    ],
)
def test_linktype(in_file: int, linktype: int) -> None:
    got, _ = read(pcap(packets(1), linktype=in_file))
    assert got[0].linktype == linktype


@pytest.mark.parametrize(("snaplen", "taken_as"), [(0, 262_144), (1 << 31, 262_144), (65_535, 65_535)])
def test_snaplen(snaplen: int, taken_as: int) -> None:
    with open_capture(io.BytesIO(pcap([], snaplen=snaplen))) as capture:
        assert capture.interfaces[0].snaplen == taken_as


def test_what_a_record_has_beyond_the_snapshot_length_is_dropped() -> None:
    got, damage = read(pcap([Packet(b"0123456789"), Packet(b"abc")], snaplen=4))
    assert [(row.octets, row.origlen) for row in got] == [(b"0123", 10), (b"abc", 3)]
    assert damage is None


def test_kuznetzov_allows_an_ethernet_header_more() -> None:
    got, _ = read(pcap([Packet(bytes(40))], magic=KUZNETZOV, snaplen=20))
    assert len(got[0].octets) == 34


def test_an_original_length_below_the_captured_is_kept() -> None:
    got, damage = read(pcap([Packet(b"0123456789", origlen=3)]))
    assert (got[0].octets, got[0].origlen, damage) == (b"0123456789", 3, None)


@pytest.mark.parametrize("version", [(2, 0), (2, 2), (543, 0)])
def test_old_versions_have_the_original_length_first(version: tuple[int, int]) -> None:
    octets = pcap([], version=version) + struct.pack("<IIII", 7, 8, 60, 4) + b"abcd"
    got, damage = read(octets)
    assert (got[0].octets, got[0].origlen, damage) == (b"abcd", 60, None)


@pytest.mark.parametrize("lengths", [(4, 60), (60, 4)])
def test_version_2_3_has_them_in_either_order(lengths: tuple[int, int]) -> None:
    got, damage = read(pcap([], version=(2, 3)) + struct.pack("<IIII", 7, 8, *lengths) + b"abcd")
    assert (got[0].octets, got[0].origlen, damage) == (b"abcd", 60, None)


@pytest.mark.parametrize("version", [(1, 4), (2, 5), (3, 0), (543, 1)])
def test_other_versions_are_refused(version: tuple[int, int]) -> None:
    with pytest.raises(CaptureFormatError, match=r"pcap version \d+\.\d is not supported") as refused:
        read(pcap(packets(2), version=version))
    assert refused.value.offset == 0


@pytest.mark.parametrize(("linktype", "longest"), [(1, 262_144), (231, 128 << 20), (279, 8 << 20)])
def test_an_impossible_length_is_damage(linktype: int, longest: int) -> None:
    whole = pcap(packets(3), linktype=linktype)
    record = struct.pack("<IIII", 1, 2, longest + 1, 60)
    got, damage = read(whole + record + bytes(100))
    assert len(got) == 3
    assert damage is not None
    assert damage.offset == len(whole)
    assert f"a record of {longest + 1:,} octets" in damage.expected


def test_the_longest_packet_is_read() -> None:
    got, damage = read(pcap([Packet(bytes(262_144)), Packet(b"next")]))
    assert [len(row.octets) for row in got] == [262_144, 4]
    assert damage is None


def test_times_at_the_ends_of_their_range() -> None:
    latest = 0xFFFF_FFFF
    got, _ = read(pcap([Packet(b"", latest, latest), Packet(b"", 0, 0)]))
    assert [row.ts_ns for row in got] == [latest * 10**9 + latest * 1000, 0]


@pytest.mark.parametrize("magic", [MICROSECONDS, KUZNETZOV])
def test_every_truncation_gives_the_packets_before_it(magic: int) -> None:
    written = packets(6, 20)
    whole = pcap(written, magic=magic)
    ends = {len(pcap(written[:i], magic=magic)): i for i in range(len(written) + 1)}
    complete, _ = read(whole)
    begin = 0
    for length in range(24, len(whole) + 1):
        got, damage = read(whole[:length])
        begin = length if length in ends else begin
        assert got == complete[: ends[begin]]
        assert (damage is None) == (length in ends)
        if damage is not None:
            assert damage.offset == begin
            assert damage.expected == "the capture is cut in the middle of a record"


@pytest.mark.parametrize("length", [4, 10, 23])
def test_a_cut_file_header_is_no_capture(length: int) -> None:
    with pytest.raises(CaptureFormatError, match="cut in the middle of the file header"):
        read(pcap([])[:length])
