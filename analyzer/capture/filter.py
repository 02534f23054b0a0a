"""Filters: libpcap compiles the expression, our kernel (bpf.py) runs what comes out.

cypcap brings libpcap in its wheel; where there is no such wheel, the system's libpcap serves (libpcap.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.capture.bpf import MEMORY_WORDS, match_frames
from analyzer.capture.interface import MAXIMUM_SNAPLEN, dlt_of
from analyzer.capture.pcap import file_header
from analyzer.errors import FilterError
from analyzer.jit import fastest
from analyzer.language import _
from analyzer.tables import I64, Frames

_ETHERNET = 1
_NETMASK = 0
"""As tcpdump has it for files: no netmask is known, a broadcast address is all ones or all zeros."""

Instruction = tuple[int, int, int, int]
"""(code, jt, jf, k): classic BPF, as a socket takes it."""


class Program(NamedTuple):
    """A filter compiled for one link type."""

    instructions: tuple[Instruction, ...]

    def table(self) -> I64:
        """The instructions as the kernel wants them: a row each."""
        return np.array(self.instructions, np.int64).reshape(-1, 4)


def compile_filter(expression: str, linktype: int, snaplen: int = MAXIMUM_SNAPLEN, saved: str = "") -> Program:
    """Compile a filter expression (pcap-filter(7)) for packets of a link type (a LINKTYPE_ value).

    ``saved`` is the byte order, ``<`` or ``>``, of the file that holds the packets, and empty for live ones: libpcap
    refuses what only a live capture knows, and reads the address family of LINKTYPE_NULL as the file has it.

    Raises ``FilterError`` with libpcap's message where it refuses the expression.
    """
    try:
        if "\0" in expression:
            raise ValueError(_("a NUL character in it"))
        if not saved:
            return Program(_compile(expression, "", dlt_of(linktype), snaplen))
        with _header_only(linktype, snaplen, saved) as path:
            return Program(_compile(expression, path, 0, snaplen))
    except ValueError as error:
        raise FilterError(_("filter “{filter}”: {reason}").format(filter=expression, reason=error)) from None


def _compile(expression: str, path: str, dlt: int, snaplen: int) -> tuple[Instruction, ...]:
    """Compile for the capture at ``path``, or for live packets where it is empty; ``ValueError`` with what is wrong."""
    try:
        import cypcap
    except ImportError:
        from analyzer.capture.libpcap import compile_by_system

        return tuple(compile_by_system(expression, path, dlt, snaplen, _NETMASK))
    try:
        with cypcap.open_offline(path) if path else cypcap.open_dead(dlt, snaplen) as handle:
            return tuple(tuple(instruction) for instruction in handle.compile(expression, True, _NETMASK))
    except cypcap.Error as error:
        raise ValueError(error.args[-1]) from None


class Filter:
    """A filter over the frames of a capture, compiled once for each link type met."""

    def __init__(self, expression: str, linktypes: Iterable[int], byte_order: str) -> None:
        """Raises ``FilterError`` where the expression fits none of the link types known from the start."""
        self._expression = expression.strip()
        self._byte_order = byte_order
        self._tables: dict[int, I64 | None] = {}
        self._memory = np.zeros(MEMORY_WORDS, np.int64)
        if not self._expression:
            return
        refusal: FilterError | None = None
        for linktype in list(linktypes) or [_ETHERNET]:
            try:
                self._tables[linktype] = self._compile(linktype)
            except FilterError as error:
                self._tables[linktype] = None
                refusal = error
        if refusal is not None and not any(table is not None for table in self._tables.values()):
            raise refusal

    def apply(self, frames: Frames) -> Frames:
        """The frames that match, of one or more; those of a link type that the filter does not fit do not."""
        if not self._expression:
            return frames
        first = int(frames.linktype[0])
        if (frames.linktype == first).all():
            kept = self._matches(first, frames)
        else:
            kept = np.zeros(len(frames.number), np.bool_)
            for linktype in np.unique(frames.linktype).tolist():
                rows = np.flatnonzero(frames.linktype == linktype)
                kept[rows] = self._matches(linktype, _rows(frames, rows))
        return frames if kept.all() else _rows(frames, np.flatnonzero(kept))

    def _compile(self, linktype: int) -> I64:
        return compile_filter(self._expression, linktype, saved=self._byte_order).table()

    def _matches(self, linktype: int, frames: Frames) -> npt.NDArray[np.bool_]:
        if linktype not in self._tables:
            try:
                self._tables[linktype] = self._compile(linktype)
            except FilterError:
                self._tables[linktype] = None
        table = self._tables[linktype]
        keep = np.zeros(len(frames.number), np.uint8)
        if table is not None:
            columns = (frames.start, frames.caplen, frames.origlen)
            fastest(match_frames)(table, frames.data, *columns, self._memory, keep)
        return keep.view(np.bool_)


def _rows(frames: Frames, rows: npt.NDArray[np.intp]) -> Frames:
    return Frames(
        frames.data,
        frames.start[rows],
        frames.caplen[rows],
        frames.origlen[rows],
        frames.ts_ns[rows],
        frames.linktype[rows],
        frames.interface[rows],
        frames.number[rows],
    )


@contextmanager
def _header_only(linktype: int, snaplen: int, byte_order: str) -> Iterator[str]:
    """The name of a pcap file without packets, for libpcap to open."""
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as file:
            file.write(file_header(linktype, snaplen, byte_order))
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
