"""Opening and reading: files, pipes, standard input, any object; batches and windows of any size; what is refused."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer import jit
from analyzer.capture.source import open_capture
from analyzer.errors import CaptureFormatError, CaptureOpenError
from tests.capture.written import Read, block, enhanced, interface, obsolete, packets, pcap, rows, section, simple

PCAP = pcap(packets(300))
PCAPNG = (
    section()
    + interface()
    + b"".join(enhanced(p.octets, i, origlen=p.origlen) + block("<", 5, bytes(i)) for i, p in enumerate(packets(90)))
    + section(">")
    + interface(">", 113)
    + interface(">", 101)
    + b"".join(
        enhanced(p.octets, i, order=">", number=i % 2) + simple(p.octets, order=">") + obsolete(b"", i, order=">")
        for i, p in enumerate(packets(90))
    )
)
BOTH = {"pcap": PCAP, "pcapng": PCAPNG}
both = pytest.mark.parametrize("octets", BOTH.values(), ids=BOTH)


def read(octets: bytes, **options: Any) -> list[Read]:
    with open_capture(io.BytesIO(octets), **options) as capture:
        got = list(rows(capture))
        assert capture.damage is None
        return got


class Chunks(io.RawIOBase):
    """A stream that gives its octets in chunks of given sizes, over and over."""

    def __init__(self, octets: bytes, sizes: list[int]) -> None:
        self._rest = octets
        self._sizes = sizes
        self._turn = 0

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._sizes[self._turn % len(self._sizes)])
        self._turn += 1
        chunk, self._rest = self._rest[:size], self._rest[size:]
        return chunk


@both
@pytest.mark.parametrize("batch_packets", [1, 2, 7, 65_536])
@pytest.mark.parametrize("window", [1, 24, 100, 5000, 1 << 20])
def test_batches_and_windows_of_any_size(tmp_path: Path, octets: bytes, batch_packets: int, window: int) -> None:
    path = tmp_path / "capture"
    path.write_bytes(octets)
    expected = read(octets)
    assert [row.number for row in expected] == list(range(1, len(expected) + 1))
    assert read(octets, batch_packets=batch_packets, window=window) == expected
    with open_capture(path, batch_packets=batch_packets, window=window) as capture:
        assert list(rows(capture)) == expected
        assert capture.position == capture.size == len(octets)
        assert capture.packets == len(expected)


@both
@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=8), batch_packets=st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_a_stream_in_chunks(octets: bytes, sizes: list[int], batch_packets: int) -> None:
    with open_capture(Chunks(octets, sizes), batch_packets=batch_packets) as capture:  # type: ignore[arg-type]
        assert list(rows(capture)) == read(octets)
        assert (capture.size, capture.damage) == (None, None)


def test_a_batch_has_at_most_so_many_packets() -> None:
    with open_capture(io.BytesIO(PCAP), batch_packets=70) as capture:
        assert [len(frames.number) for frames in capture] == [70, 70, 70, 70, 20]


@both
def test_batches_keep_to_the_tables(octets: bytes) -> None:
    kinds = [np.uint8, np.int64, np.uint32, np.uint32, np.int64, np.uint16, np.uint16, np.int64]
    for filter_expression in ("", "len > 20"):
        with open_capture(io.BytesIO(octets), filter_expression, batch_packets=50) as capture:
            for frames in capture:
                assert [column.dtype for column in frames] == kinds
                assert not frames.data.flags.writeable
                assert all(column.flags.c_contiguous for column in frames)
                assert len({len(column) for column in frames[1:]}) == 1
                assert (frames.start + frames.caplen <= len(frames.data)).all()


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"")
@example(PCAP[:24] + b"\xff" * 64)
@example(b"\x0a\x0d\x0d\x0a" + bytes(40))
def test_any_octets(octets: bytes) -> None:
    try:
        capture = open_capture(io.BytesIO(octets))
    except CaptureFormatError:
        return
    with capture:
        list(rows(capture))


@both
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_capture_with_octets_changed(octets: bytes, data: st.DataObject) -> None:
    changed = bytearray(octets[:2000])
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    whole: list[Read] = []
    for window in (1, 1 << 20):
        try:
            capture = open_capture(io.BytesIO(bytes(changed)), window=window)
        except CaptureFormatError:
            assert not whole
            continue
        with capture:
            got = list(rows(capture))
            assert not whole or got == whole
            whole = got


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "not a capture: it is empty"),
        (b"\n", "not a capture: neither pcap nor pcapng"),
        (b"GET / HTTP/1.1\r\n\r\n" * 9, "not a capture: neither pcap nor pcapng"),
        (b"\x0a\x0d\x0d\x0a" + bytes(60), "not a capture: neither pcap nor pcapng"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "object"])
def test_what_is_no_capture(tmp_path: Path, octets: bytes, reason: str, kind: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(octets)
    with pytest.raises(CaptureFormatError) as refused:
        open_capture(path if kind == "file" else io.BytesIO(octets))
    assert (refused.value.expected, refused.value.offset) == (reason, 0)
    if kind == "file":
        assert str(refused.value) == f"{path}: {reason} (at byte 0)"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CaptureOpenError, match="missing: no such file; check the name"):
        open_capture(tmp_path / "missing")
    with pytest.raises(CaptureOpenError, match="this is a folder; name a capture file in it"):
        open_capture(tmp_path)
    with pytest.raises(CaptureOpenError, match="cannot be opened"):
        open_capture("a\0b")
    with pytest.raises(CaptureOpenError, match="cannot be opened: File name too long"):
        open_capture("x" * 5000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(PCAP)
    path.chmod(0)
    with pytest.raises(CaptureOpenError, match="no permission to read it"):
        open_capture(path)


def test_no_permission_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(CaptureOpenError, match="capture: no permission to read it; run as its owner"):
        open_capture("capture")


def test_a_file_is_closed_and_an_object_left_open(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(PCAP)
    before = os.listdir("/dev/fd")
    with open_capture(path) as capture:
        list(capture)
    for content in (b"nothing", b""):
        path.write_bytes(content)
        with pytest.raises(CaptureFormatError):
            open_capture(path)
    path.write_bytes(PCAP)
    assert os.listdir("/dev/fd") == before
    with path.open("rb") as file:
        with open_capture(file) as capture:
            assert (capture.path, capture.size) == (str(path), len(PCAP))
            assert list(rows(capture)) == read(PCAP)
        assert not file.closed


def test_an_object_that_can_read_and_nothing_else() -> None:
    class Reader:
        def __init__(self) -> None:
            self.read = io.BytesIO(PCAP).read

    with open_capture(Reader()) as capture:  # type: ignore[arg-type]
        assert (capture.path, capture.size) == ("<stream>", None)
        assert list(rows(capture)) == read(PCAP)


def test_a_buffered_file_from_where_it_stands() -> None:
    file = io.BufferedReader(io.BytesIO(b"before" + PCAP))  # type: ignore[arg-type]
    assert file.read(6) == b"before"
    with open_capture(file) as capture:
        assert list(rows(capture)) == read(PCAP)


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(pcap(packets(3000)))
    with open_capture(path, window=8192) as capture:
        batches = iter(capture)
        next(batches)
        os.truncate(path, 4096)
        assert list(batches) == []
        assert 0 < capture.packets < 3000
        assert capture.damage is not None


def test_a_file_that_is_still_written(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(PCAP[:7000])
    with open_capture(path, window=4096) as capture:
        batches = iter(capture)
        count = len(next(batches).number)
        path.write_bytes(PCAP)
        count += sum(len(frames.number) for frames in batches)
        assert (count, capture.damage) == (300, None)


class Failing(io.RawIOBase):
    """A stream that ends in an error of the device."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def read(self, size: int = -1) -> bytes:
        if not self._octets:
            raise OSError(5, "Input/output error")
        chunk, self._octets = self._octets[:size], self._octets[size:]
        return chunk


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_an_error_of_the_device_is_damage(compression: str) -> None:
    octets = gzip.compress(PCAP)[:-9] if compression else PCAP
    with open_capture(Failing(octets)) as capture:  # type: ignore[arg-type]
        assert capture.compression == compression
        assert list(rows(capture)) == read(PCAP)
        assert capture.damage is not None
        assert capture.damage.expected == "cannot be read further: Input/output error"


def test_an_error_of_the_device_at_once() -> None:
    with pytest.raises(CaptureFormatError, match="cannot be read further: Input/output error"):
        open_capture(Failing(b""))  # type: ignore[arg-type]


@pytest.fixture
def pipe() -> Iterator[tuple[io.FileIO, io.FileIO]]:
    reading, writing = os.pipe()
    with io.FileIO(reading, "rb") as read_end, io.FileIO(writing, "wb") as write_end:
        yield read_end, write_end


@both
@pytest.mark.parametrize("compression", ["", "gzip"])
def test_packets_of_a_slow_pipe_come_out_as_they_arrive(
    pipe: tuple[io.FileIO, io.FileIO], octets: bytes, compression: str
) -> None:
    """Nothing more is written until what was written came out, so a reader that waits for more hangs here."""
    reading, writing = pipe
    record = enhanced(b"later", 7) if octets is PCAPNG else pcap(packets(2))[24 + 16 :]
    head = section() + interface() if octets is PCAPNG else pcap([])
    compressor = zlib.compressobj(wbits=31)

    def write(part: bytes) -> None:
        if compression:
            part = compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)
        writing.write(part)

    write(head)
    with open_capture(reading) as capture:  # type: ignore[arg-type]
        assert capture.compression == compression
        batches = iter(capture)
        for number in range(1, 6):
            write(record)
            assert next(batches).number.tolist() == [number]
        write(record[:10])
        write(record[10:])
        assert next(batches).number.tolist() == [6]
        write(record * 3)
        assert next(batches).number.tolist() == [7, 8, 9]
        if compression:
            writing.write(compressor.flush())
        writing.close()
        assert list(batches) == []
        assert (capture.size, capture.damage) == (None, None)


def test_a_pipe_that_does_not_block(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reading, writing = pipe
    os.set_blocking(reading.fileno(), False)
    halves = [PCAP[:100], PCAP[100:]]
    writer = threading.Thread(target=lambda: [writing.write(half) for half in halves] and writing.close())
    writer.start()
    with open_capture(reading) as capture:  # type: ignore[arg-type]
        assert list(rows(capture)) == read(PCAP)
    writer.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(PCAPNG,))
    writer.start()
    with open_capture(path) as capture:
        assert capture.size is None
        assert list(rows(capture)) == read(PCAPNG)
    writer.join()


def test_standard_input(pipe: tuple[io.FileIO, io.FileIO], monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pipe
    writing.write(PCAP)
    writing.close()
    with io.TextIOWrapper(io.BufferedReader(reading)) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with open_capture("-") as capture:
            assert (capture.path, capture.size) == ("-", None)
            assert list(rows(capture)) == read(PCAP)
        assert not stdin.closed


def test_standard_input_that_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(CaptureOpenError, match=r"standard input is a terminal; send a capture: tcpdump -U -w - \|"):
        open_capture("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CaptureOpenError, match="standard input is closed"):
        open_capture("-")


def test_the_expected_packets_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(jit, "expect", told.append)
    path = tmp_path / "capture"
    path.write_bytes(PCAP)
    with open_capture(path) as capture:
        assert told == []
        packets = sum(len(frames.number) for frames in capture)
        assert len(told) == 1
        assert packets <= told[0] <= packets * 1.1
    told.clear()
    with open_capture(io.BytesIO(PCAP), "len > 1000", batch_packets=200) as capture:
        assert list(capture) == []
        assert told == [200, 100]
