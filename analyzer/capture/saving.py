"""Writing captures: pcap with nanoseconds, or pcapng where the name ends in ``.pcapng``; into one file, or into several
of bounded size or time, the oldest of which are removed.

Rotated files are numbered: ``capture.pcap`` becomes ``capture-0001.pcap``, ``capture-0002.pcap`` … The numbers go on
after the highest that is there, so that no file of an earlier run is overwritten; only files of this run are removed.
Each of them is a whole capture.

A batch of packets is one write at the end of a file, and nothing is ever changed before it. So whatever ends the run,
a file can be read up to its last whole packet; and when the disk is full, what was half written is taken back.
"""

from __future__ import annotations

import errno
import os
import re
import struct
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from analyzer import jit
from analyzer.capture.interface import MAXIMUM_SNAPLEN
from analyzer.capture.pcap import NANOSECONDS
from analyzer.capture.pcapng import BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, SECTION_HEADER, padded
from analyzer.errors import AnalyzerError
from analyzer.jit import fastest, kernel, wide
from analyzer.language import _, counted, reason
from analyzer.tables import I64, U8, U16, U32, Frames

_SECOND = 1_000_000_000

_LONG = 2_048
"""Octets of a record from which on it costs less to write it from where it is than to copy it."""

_MOST_PIECES = 1_024
"""Pieces that one write takes (IOV_MAX)."""

_RECORD = np.dtype([(name, "<u4") for name in ("seconds", "nanoseconds", "caplen", "origlen")])
_BLOCK = np.dtype([(name, "<u4") for name in ("type", "length", "interface", "ts_high", "ts_low", "caplen", "origlen")])
_OPTION_END, _OPTION_NAME, _OPTION_TSRESOL = 0, 2, 9


class _Records(NamedTuple):
    """What stands before and behind the octets of each frame in a file: uint8[n, …], and the records' lengths."""

    heads: U8
    tails: U8
    multiple: int
    """The octets of a frame are padded to a multiple of this."""
    lengths: I64

    def rows(self, first: int, last: int) -> _Records:
        return _Records(self.heads[first:last], self.tails[first:last], self.multiple, self.lengths[first:last])


class CaptureWriter:
    """Writes batches of frames, all of one link type; in pcapng of several, where ``mixes_linktypes`` says so.

    Attributes: ``paths`` the files there are, the one being written last; ``packets`` written so far;
    ``has_latest_only`` whether files may have been removed.

    ``rotate_bytes`` is the most that a file may have (a longer packet gets one for itself), ``rotate_ns`` the time that
    it spans, counted from the first packet; ``keep_files`` how many files are kept; 0 is no limit. ``interface`` is
    the name of the interface, which pcapng keeps.

    Raises ``AnalyzerError`` where a file cannot be made or written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        linktype: int,
        snaplen: int = MAXIMUM_SNAPLEN,
        *,
        interface: str = "",
        rotate_bytes: int = 0,
        rotate_ns: int = 0,
        keep_files: int = 0,
        mixes_linktypes: bool = False,
    ) -> None:
        self.paths: list[Path] = []
        self.packets = 0
        self.has_latest_only = keep_files > 0
        self._path = Path(path)
        self._pcapng = self._path.suffix.lower() == ".pcapng"
        self._linktypes, self._snaplen = [linktype], snaplen
        self._mixes_linktypes = mixes_linktypes
        if self._pcapng:
            self._header = _pcapng_header(linktype, snaplen, interface)
        else:
            self._header = struct.pack("<IHHIIII", NANOSECONDS, 2, 4, 0, 0, snaplen, linktype)
        self._rotate_bytes, self._rotate_ns, self._keep_files = rotate_bytes, rotate_ns, keep_files
        self._number = self._highest_number()
        self._first_ns = -1  # of the first packet of all
        self._until_ns = 0  # when the file at hand is to be ended
        self._file = -1
        self._size = 0
        self._next_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def write(self, frames: Frames) -> None:
        """Append a batch: when this returns, its packets can be read from the file."""
        records = (_pcapng_records if self._pcapng else _pcap_records)(frames)
        if self._mixes_linktypes:
            self._describe(frames.linktype)
            records = _pcapng_records(frames, np.argmax(frames.linktype[:, np.newaxis] == self._linktypes, axis=1))
        first, count = 0, len(frames.start)
        while first < count:
            last = self._last_that_fits(frames.ts_ns, records.lengths, first)
            if last == first:
                self._next_file()
                continue
            part = records.rows(first, last)
            self._append(_pieces(part, frames.data, frames.start[first:last], frames.caplen[first:last]))
            self.packets += last - first
            first = last

    def _describe(self, linktypes: U16) -> None:
        """Describe an interface for each link type that has none."""
        for linktype in np.setdiff1d(linktypes, self._linktypes).tolist():
            self._linktypes.append(linktype)
            description = _description(linktype, self._snaplen, "")
            self._header += description
            self._append([memoryview(description)])

    def _last_that_fits(self, ts_ns: I64, lengths: I64, first: int) -> int:
        """One after the last row, from ``first`` on, that belongs into the file at hand."""
        last = len(lengths)
        is_empty = self._size <= len(self._header)
        if self._rotate_ns:
            now = int(ts_ns[first])
            if self._first_ns < 0:
                self._first_ns = now
            if is_empty:
                spans = max(0, now - self._first_ns) // self._rotate_ns
                self._until_ns = self._first_ns + (spans + 1) * self._rotate_ns
            late = np.flatnonzero(ts_ns[first:] >= self._until_ns)
            last = first + int(late[0]) if len(late) else last
        if self._rotate_bytes:
            room = self._rotate_bytes - self._size
            fit = int(np.searchsorted(np.cumsum(lengths[first:]), room, "right"))
            last = min(last, first + max(fit, int(is_empty)))
        return last

    def _append(self, pieces: list[memoryview]) -> None:
        whole = self._size
        try:
            for first in range(0, len(pieces), _MOST_PIECES):
                self._write_whole(pieces[first : first + _MOST_PIECES])
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, whole)
            self.close()
            raise self._trouble(error, is_begun=True) from None

    def _write_whole(self, pieces: list[memoryview]) -> None:
        while pieces:
            count = os.writev(self._file, pieces)
            self._size += count
            while pieces and count >= len(pieces[0]):
                count -= len(pieces.pop(0))
            if count:
                pieces[0] = pieces[0][count:]

    def _next_file(self) -> None:
        """Begin the next file, or the only one, having made room for it."""
        self.close()
        path = self._path
        if self._rotate_bytes or self._rotate_ns:
            self._number += 1
            path = path.with_name(f"{path.stem}-{self._number:04}{path.suffix}")
        while self._keep_files and len(self.paths) >= self._keep_files:
            with suppress(OSError):
                self.paths.pop(0).unlink()
        self.paths.append(path)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise self._trouble(error, is_begun=False) from None
        self._size = 0
        self._append([memoryview(self._header)])

    def _highest_number(self) -> int:
        name = re.compile(re.escape(self._path.stem) + r"-(\d{4,})" + re.escape(self._path.suffix))
        with suppress(OSError):
            return max(
                (int(found[1]) for one in os.listdir(self._path.parent) if (found := name.fullmatch(one))), default=0
            )
        return 0

    def _trouble(self, error: OSError, *, is_begun: bool) -> AnalyzerError:
        why = _("the disk is full") if error.errno in (errno.ENOSPC, errno.EDQUOT) else reason(error)
        told = _("{path}: cannot be written: {reason}")
        if is_begun:
            told = counted(
                "{path}: cannot be written: {reason}; the {n} packet before is saved",
                "{path}: cannot be written: {reason}; the {n} packets before are saved",
                self.packets,
            )
        return AnalyzerError(told.format(path=self.paths[-1], reason=why, n=f"{self.packets:,}"))


def _pcapng_header(linktype: int, snaplen: int, interface: str) -> bytes:
    """A section header and the description of the interface."""
    section = struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1)
    return _block(SECTION_HEADER, section) + _description(linktype, snaplen, interface)


def _description(linktype: int, snaplen: int, interface: str) -> bytes:
    """The description of an interface, with times in nanoseconds."""
    description = struct.pack("<HHI", linktype, 0, snaplen)
    for code, value in ((_OPTION_NAME, interface.encode()), (_OPTION_TSRESOL, b"\x09"), (_OPTION_END, b"")):
        if value or code == _OPTION_END:
            description += struct.pack("<HH", code, len(value)) + value.ljust(padded(len(value)), b"\0")
    return _block(INTERFACE_DESCRIPTION, description)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _pcap_records(frames: Frames) -> _Records:
    heads = np.empty(len(frames.start), _RECORD)
    heads["seconds"], heads["nanoseconds"] = np.divmod(frames.ts_ns, _SECOND)
    heads["caplen"], heads["origlen"] = frames.caplen, frames.origlen
    lengths = frames.caplen.astype(np.int64) + _RECORD.itemsize
    return _Records(_rows(heads), np.empty((len(heads), 0), np.uint8), 1, lengths)


def _pcapng_records(frames: Frames, interfaces: I64 | int = 0) -> _Records:
    heads = np.empty(len(frames.start), _BLOCK)
    lengths = (frames.caplen.astype(np.int64) + 3) // 4 * 4 + _BLOCK.itemsize + 4
    heads["type"], heads["length"] = ENHANCED_PACKET, lengths
    heads["interface"] = interfaces
    heads["ts_high"], heads["ts_low"] = np.divmod(frames.ts_ns, 1 << 32)
    heads["caplen"], heads["origlen"] = frames.caplen, frames.origlen
    return _Records(_rows(heads), _rows(lengths.astype("<u4")), 4, lengths)


def _rows(table: np.ndarray[Any, Any]) -> U8:
    return table.view(np.uint8).reshape(len(table), -1)


def _pieces(records: _Records, data: U8, start: I64, caplen: U32) -> list[memoryview]:
    """The octets of the records, one after the other: in one piece, or long frames where they are."""
    heads, tails, multiple, lengths = records
    if int(lengths.sum()) < _LONG * len(lengths) and jit.compiles(put_records):
        out = np.empty(int(lengths.sum()), np.uint8)
        fastest(put_records)(heads, tails, multiple, data, start, caplen, out)
        return [out.data]
    octets, head, tail = data.data, memoryview(heads.tobytes()), memoryview(tails.tobytes())
    head_len, tail_len = heads.shape[1], tails.shape[1]
    pieces: list[memoryview] = []
    for row, (first, length) in enumerate(zip(start.tolist(), caplen.tolist(), strict=True)):
        pieces.append(head[row * head_len : (row + 1) * head_len])
        pieces.append(octets[first : first + length])
        if tail_len:
            pieces.append(memoryview(bytes(-length % multiple)))
            pieces.append(tail[row * tail_len : (row + 1) * tail_len])
    return pieces


@kernel
def put_records(heads: U8, tails: U8, multiple: int, data: U8, start: I64, caplen: U32, out: U8) -> int:
    """Put each frame's head, octets, padding and tail into ``out``, which has room for them; gives their length."""
    head_len = wide(heads.shape[1])
    tail_len = wide(tails.shape[1])
    at = 0
    for row in range(len(start)):
        for k in range(head_len):
            out[at + k] = heads[row, k]
        at += head_len
        first = wide(start[row])
        length = wide(caplen[row])
        for k in range(length):
            out[at + k] = data[first + k]
        at += length
        for _pad in range(-length % multiple):
            out[at] = 0
            at += 1
        for k in range(tail_len):
            out[at + k] = tails[row, k]
        at += tail_len
    return at
