"""Compressed captures: gzip, bzip2, xz and zstd, told by their first octets, members one after another included.

The stored octets are decompressed piece by piece as they come. A stream that is damaged or cut gives all that can be
decompressed before, and says so in ``trouble``.
"""

from __future__ import annotations

import zlib
from typing import Any

from analyzer.capture.windows import Octets
from analyzer.language import _

MAGIC_LEN = 6

EXPECTED_RATIO = {"": 1, "gzip": 4, "bzip2": 5, "xz": 6, "zstd": 4}
"""How many times larger a capture is than stored; a guess."""

_PIECE = 4096
"""Octets decompressed at once: few, since a piece of an evil stream can grow by a factor of 30,000."""


def compression_of(magic: bytes) -> str:
    """The compression that these first octets tell, or empty."""
    if magic[:2] == b"\x1f\x8b":
        return "gzip"
    if magic[:3] == b"BZh" and b"1" <= magic[3:4] <= b"9":
        return "bzip2"
    if magic[:6] == b"\xfd7zXZ\0":
        return "xz"
    if magic[:4] == b"\x28\xb5\x2f\xfd" or (len(magic) >= 4 and magic[1:4] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5):
        return "zstd"  # the second is a skippable frame
    return ""


LARGEST_WINDOW = 1 << 27
"""Octets that a compressed stream may make us keep: what the tools of zstd and xz use at their highest usual levels."""


class Decompressed:
    """The octets of a compressed stream."""

    def __init__(self, octets: Octets, compression: str) -> None:
        self.trouble = ""
        self._octets = octets
        self._compression = compression
        self._member: Any = None  # the decompressor of the current member, None between two
        self._errors: tuple[type[Exception], ...] = ()
        self._room = memoryview(bytearray(_PIECE))
        self._stored = b""
        self._output = memoryview(b"")
        self._end = False

    @property
    def position(self) -> int:
        return self._octets.position - len(self._stored)

    def read_into(self, room: memoryview) -> int:
        while not self._output and not self._end:
            self._step()
        count = min(len(room), len(self._output))
        room[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def at_once(self) -> bool:
        while not self._output and not self._end and (self._pending() or self._octets.at_once()):
            self._step()
        return bool(self._output)

    def _pending(self) -> bool:
        return bool(self._stored) or not getattr(self._member, "needs_input", True)

    def _step(self) -> None:
        """Decompress one piece."""
        if not self._pending():
            self._stored = self._read_stored()
            if not self._stored:
                cut = self._told(_("the {compression} stream is cut")) if self._member else ""
                self._finish(self._octets.trouble or cut)
                return
        if self._member is None:
            self._next_member()
            return
        before = self._member.copy() if self._compression == "gzip" else None
        try:
            self._output = memoryview(self._decompress(self._stored))
        except self._errors as error:
            if before is not None:
                self._output = memoryview(_until_error(before, self._stored))
            self._finish(self._told(_("the {compression} stream is damaged ({reason})"), reason=error))
            return
        self._stored = b""
        if self._member.eof:
            self._stored = self._member.unused_data
            self._member = None

    def _read_stored(self) -> bytes:
        return self._room[: self._octets.read_into(self._room)].tobytes()

    def _decompress(self, octets: bytes) -> bytes:
        if self._compression in ("bzip2", "xz"):
            output: bytes = self._member.decompress(octets, 1 << 16)
        else:
            output = self._member.decompress(octets)
        return output

    def _next_member(self) -> None:
        self._stored = self._stored.lstrip(b"\0")  # padding
        while self._stored and len(self._stored) < MAGIC_LEN:
            more = self._read_stored()
            if not more:
                break
            self._stored += more
        if not self._stored:
            return
        if compression_of(self._stored[:MAGIC_LEN]) != self._compression:
            self._finish(self._told(_("the {compression} stream is followed by something else")))
            return
        self._member, self._errors = _decompressor(self._compression)

    def _told(self, template: str, **known: object) -> str:
        return template.format(compression=self._compression, **known)

    def _finish(self, trouble: str) -> None:
        self._end = True
        self._stored = b""
        self.trouble = trouble


def _decompressor(compression: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """A decompressor of one member, and what it raises where that is damaged."""
    if compression == "gzip":
        return zlib.decompressobj(wbits=31), (zlib.error,)
    if compression == "bzip2":
        import bz2

        return bz2.BZ2Decompressor(), (OSError, ValueError)
    if compression == "xz":
        import lzma

        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * LARGEST_WINDOW), (lzma.LZMAError,)
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj(), (zstandard.ZstdError,)


def _until_error(member: Any, octets: bytes) -> bytes:
    """What a gzip member gives before its damage."""
    outputs = []
    try:
        for i in range(len(octets)):
            outputs.append(member.decompress(octets[i : i + 1]))
    except zlib.error:
        pass
    return b"".join(outputs)
