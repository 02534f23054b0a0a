"""What commands write about several connections that come mixed: one connection after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Self

_MOST_KEPT = 16 << 20
"""Octets in memory, of all connections together; the others wait in a temporary file."""

_PIECE = 1 << 20
"""Octets read at once."""


class Aside:
    """A context manager that keeps what is written by number until it is wanted."""

    def __init__(self, most_kept: int = _MOST_KEPT) -> None:
        self._most_kept = most_kept
        self._kept: dict[int, bytearray] = {}
        self._kept_len = 0
        self._extents: dict[int, list[tuple[int, int]]] = {}
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def write(self, number: int, octets: bytes) -> None:
        """Keep octets behind those that this number has already."""
        self._kept.setdefault(number, bytearray()).extend(octets)
        self._kept_len += len(octets)
        if self._kept_len > self._most_kept:
            self._put_away()

    def write_out(self, number: int, out: BinaryIO) -> None:
        """Write to ``out`` what a number has, once."""
        for start, length in self._extents.pop(number, ()):
            assert self._file
            self._file.seek(start)
            out.write(self._file.read(length))
        octets = self._kept.pop(number, b"")
        self._kept_len -= len(octets)
        out.write(octets)

    def pieces(self, number: int) -> Iterator[bytes]:
        """The same in pieces, as often as it is wanted."""
        for start, length in self._extents.get(number, ()):
            assert self._file
            for at in range(start, start + length, _PIECE):
                self._file.seek(at)
                yield self._file.read(min(_PIECE, start + length - at))
        if kept := self._kept.get(number):
            yield bytes(kept)

    def _put_away(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
        at = self._file.seek(0, 2)
        for number, octets in self._kept.items():
            self._extents.setdefault(number, []).append((at, len(octets)))
            at += self._file.write(octets)
        self._kept.clear()
        self._kept_len = 0
