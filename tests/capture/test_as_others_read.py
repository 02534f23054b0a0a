"""The same captures read by libpcap, and captures that Wireshark's tools wrote."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cypcap
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.capture.source import open_capture
from analyzer.errors import CaptureFormatError
from tests.capture.written import Packet, enhanced, interface, packets, pcap, rows, section

Contents = list[tuple[bytes, int]]
"""Octets and original length of each packet."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("captures") / "capture"


def read(path: Path) -> tuple[Contents, bool]:
    """What we read, and whether there is damage."""
    try:
        with open_capture(path) as capture:
            return [(row.octets, row.origlen) for row in rows(capture)], capture.damage is not None
    except CaptureFormatError:
        return [], True


def read_by_libpcap(path: Path) -> tuple[Contents, bool]:
    contents = []
    try:
        with cypcap.open_offline(path) as capture:
            for header, octets in capture:
                contents.append((octets, header.len))
    except cypcap.Error:
        return contents, True
    return contents, False


written_packets = st.lists(
    st.builds(
        Packet,
        octets=st.binary(max_size=60),
        seconds=st.just(1_700_000_000),
        fraction=st.just(5),
        origlen=st.integers(0, 2**32 - 1),
    ),
    max_size=5,
)
numbers = st.integers(0, 300) | st.sampled_from([262_144, 262_145, 2**31 - 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32)


@given(
    written_packets,
    st.sampled_from("<>"),
    st.sampled_from([0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34, 0xA1B2C3D5]),
    st.sampled_from([(2, 4), (2, 4), (2, 3), (2, 2), (2, 5), (543, 0), (1, 0)]),
    numbers.map(lambda number: number & 0xFFFF_FFFF),
    st.sampled_from([1, 12, 101, 147, 249, 279, 0x1C00_0001]),
    st.lists(st.tuples(st.integers(24, 400), numbers.map(lambda number: number & 0xFF)), max_size=3),
    st.integers(1, 500),
)
@settings(max_examples=300, deadline=None)
def test_pcap_as_libpcap_reads_it(
    file: Path,
    written: list[Packet],
    order: str,
    magic: int,
    version: tuple[int, int],
    snaplen: int,
    linktype: int,
    changes: list[tuple[int, int]],
    length: int,
) -> None:
    octets = bytearray(pcap(written, order=order, magic=magic, version=version, snaplen=snaplen, linktype=linktype))
    for at, value in changes:
        if at < len(octets):
            octets[at] = value
    file.write_bytes(octets[:length])
    assert read(file) == read_by_libpcap(file)


@given(
    written_packets,
    st.sampled_from("<>"),
    st.lists(st.tuples(st.integers(48, 400), st.integers(0, 255)), max_size=2),
    st.integers(48, 500),
)
@settings(max_examples=200, deadline=None)
def test_what_libpcap_reads_of_a_pcapng_we_read(
    file: Path, written: list[Packet], order: str, changes: list[tuple[int, int]], length: int
) -> None:
    """And maybe more: a change of one octet can make what only we understand (see pcapng.py)."""
    octets = bytearray(section(order) + interface(order))
    for packet in written:
        octets += enhanced(packet.octets, 1, order=order, origlen=packet.origlen)
    for at, value in changes:
        if at < len(octets):
            octets[at] = value
    file.write_bytes(octets[:length])
    theirs, damaged = read_by_libpcap(file)
    ours, damage = read(file)
    assert ours[: len(theirs)] == theirs
    if not changes:
        assert (ours, damage) == (theirs, damaged)


@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")
@pytest.mark.parametrize("form", ["pcap", "nsecpcap", "modpcap", "pcapng"])
def test_what_editcap_wrote(tmp_path: Path, form: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(pcap(packets(60), magic=0xA1B23C4D))
    subprocess.run(["editcap", "-F", form, source, target], check=True, capture_output=True)
    unit_ns = 1000 if form in ("pcap", "modpcap") else 1
    with open_capture(source) as before, open_capture(target) as after:
        expected = [row._replace(ts_ns=row.ts_ns // unit_ns * unit_ns) for row in rows(before)]
        assert list(rows(after)) == expected
        assert after.format == ("pcapng" if form == "pcapng" else "pcap")
        assert after.damage is None


@pytest.mark.skipif(shutil.which("mergecap") is None, reason="mergecap is not installed")
@pytest.mark.parametrize("mode", ["none", "all", "any"])
def test_what_mergecap_wrote(tmp_path: Path, mode: str) -> None:
    parts = []
    for i, linktype in enumerate((1, 101, 1)):
        parts.append(tmp_path / f"part{i}")
        written = [packet._replace(seconds=1_700_000_000 + 3 * k + i) for k, packet in enumerate(packets(20))]
        parts[i].write_bytes(pcap(written, linktype=linktype))
    target = tmp_path / "target"
    subprocess.run(["mergecap", "-I", mode, "-w", target, *parts], check=True, capture_output=True)
    with open_capture(target) as capture:
        got = list(rows(capture))
        assert capture.damage is None
    assert [row.ts_ns // 10**9 - 1_700_000_000 for row in got] == list(range(60))
    assert [row.linktype for row in got] == [1, 101, 1] * 20
    assert [row.octets for row in got] == [packet.octets for packet in packets(20) for _ in range(3)]
