"""Compressed captures, whole and damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable

import pytest
import zstandard

from analyzer.capture.source import open_capture
from analyzer.errors import CaptureFormatError
from tests.capture.written import Read, packets, pcap, rows

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
every_compression = pytest.mark.parametrize("compression", COMPRESS)

PLAIN = pcap(packets(3000))


def read(octets: bytes) -> tuple[list[Read], CaptureFormatError | None]:
    with open_capture(io.BytesIO(octets)) as capture:
        return list(rows(capture)), capture.damage


EXPECTED = read(PLAIN)[0]


@every_compression
def test_as_without_compression(compression: str) -> None:
    stored = COMPRESS[compression](PLAIN)
    with open_capture(io.BytesIO(stored)) as capture:
        assert capture.compression == compression
        assert list(rows(capture)) == EXPECTED
        assert capture.damage is None
        assert capture.position == len(stored)


@every_compression
@pytest.mark.parametrize("cut", [1, 24, 30, 100_000])
def test_members_one_after_another(compression: str, cut: int) -> None:
    compress = COMPRESS[compression]
    got, damage = read(compress(PLAIN[:cut]) + compress(b"") + compress(PLAIN[cut:]))
    assert (got, damage) == (EXPECTED, None)


@pytest.mark.parametrize("compression", ["gzip", "xz"])
def test_padding_after_a_member(compression: str) -> None:
    stored = COMPRESS[compression](PLAIN) + bytes(10_000)
    assert read(stored) == (EXPECTED, None)


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_skippable_frame(at: str) -> None:
    frame = bytes.fromhex("502a4d18") + (7).to_bytes(4, "little") + b"comment"
    stored = COMPRESS["zstd"](PLAIN)
    assert read(frame + stored if at == "before" else stored + frame) == (EXPECTED, None)


def test_a_zstd_frame_without_its_size_and_checksum() -> None:
    compressor = zstandard.ZstdCompressor(write_checksum=False, write_content_size=False).compressobj()
    assert read(compressor.compress(PLAIN) + compressor.flush()) == (EXPECTED, None)


def test_a_gzip_member_with_a_name() -> None:
    file = io.BytesIO()
    with gzip.GzipFile("capture.pcap", "wb", fileobj=file) as member:
        member.write(PLAIN)
    assert read(file.getvalue()) == (EXPECTED, None)


@every_compression
def test_a_cut_stream_gives_what_is_before(compression: str) -> None:
    first, second = (COMPRESS[compression](part) for part in (PLAIN[:100_000], PLAIN[100_000:]))
    certain = len(read(PLAIN[:100_000])[0])
    for length in range(6, len(second), 499):
        got, damage = read(first + second[:length])
        assert got == EXPECTED[: len(got)]
        assert len(got) >= certain
        assert damage is not None
        assert damage.expected == f"the {compression} stream is cut"
        assert damage.offset == len(pcap(packets(3000)[: len(got)]))


@every_compression
def test_a_stream_cut_before_anything_can_be_decompressed(compression: str) -> None:
    with pytest.raises(CaptureFormatError, match=f"the {compression} stream is cut"):
        read(COMPRESS[compression](PLAIN)[:8])


def test_a_cut_gzip_stream_gives_about_as_much_as_is_there() -> None:
    stored = gzip.compress(PLAIN)
    got, _ = read(stored[: len(stored) // 2])
    assert len(got) > 1000


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_missing_trailer_is_damage(cut: int) -> None:
    got, damage = read(gzip.compress(PLAIN)[:-cut])
    assert got == EXPECTED
    assert damage is not None
    assert (damage.expected, damage.offset) == ("the gzip stream is cut", len(PLAIN))


def test_a_wrong_check_of_gzip_comes_after_all_packets() -> None:
    stored = bytearray(gzip.compress(PLAIN))
    stored[-8] ^= 1
    got, damage = read(bytes(stored))
    assert got == EXPECTED
    assert damage is not None
    assert damage.expected.startswith("the gzip stream is damaged (")


@every_compression
def test_a_damaged_second_member(compression: str) -> None:
    first, second = (COMPRESS[compression](part) for part in (PLAIN[:100_000], PLAIN[100_000:]))
    middle = len(second) // 2
    damaged = second[:middle] + bytes(b ^ 0xFF for b in second[middle : middle + 40]) + second[middle + 40 :]
    got, damage = read(first + damaged)
    certain = len(read(PLAIN[:100_000])[0])
    assert got[:certain] == EXPECTED[:certain]
    assert len(got) < len(EXPECTED)  # deflate gives nonsense for a while, where others notice at once
    assert damage is not None


@every_compression
@pytest.mark.parametrize("rest", [b"something else", b"x"])
def test_something_else_after_it(compression: str, rest: bytes) -> None:
    got, damage = read(COMPRESS[compression](PLAIN) + rest)
    assert got == EXPECTED
    assert damage is not None
    assert damage.expected == f"the {compression} stream is followed by something else"
    assert damage.offset == len(PLAIN)


@every_compression
def test_what_is_compressed_must_be_a_capture(compression: str) -> None:
    with pytest.raises(CaptureFormatError, match="not a capture: neither pcap nor pcapng"):
        read(COMPRESS[compression](b"Once upon a time there was a file."))


@every_compression
def test_nothing_compressed_is_empty(compression: str) -> None:
    with pytest.raises(CaptureFormatError, match="not a capture: it is empty"):
        read(COMPRESS[compression](b""))


@pytest.mark.parametrize("start", [b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x52\x2a\x4d\x18"])
def test_a_compression_s_magic_alone(start: bytes) -> None:
    for rest in (b"", b"\xff" * 40, bytes(40)):
        with pytest.raises(CaptureFormatError):
            read(start + rest)


def test_names_do_not_matter(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "capture.zip"
    path.write_bytes(zlib.compress(PLAIN, wbits=31))
    with open_capture(path) as capture:
        assert (capture.compression, capture.size) == ("gzip", path.stat().st_size)
        assert list(rows(capture)) == EXPECTED
        assert capture.position == capture.size
