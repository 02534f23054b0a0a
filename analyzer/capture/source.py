"""Saved captures: files, compressed files, pipes and standard input as batches of frames.

``open_capture`` tells the format from the first octets, never from the name. What is damaged or cut short gives
everything that could be read and then says so in ``Capture.damage``; only what is no capture at all is refused.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Self

from analyzer import jit
from analyzer.capture import pcap, pcapng
from analyzer.capture.compressed import EXPECTED_RATIO, MAGIC_LEN, Decompressed, compression_of
from analyzer.capture.filter import Filter
from analyzer.capture.interface import Interface
from analyzer.capture.windows import WINDOW, Octets, Stored, Windows
from analyzer.errors import CaptureFormatError, CaptureOpenError
from analyzer.language import _, reason
from analyzer.tables import Frames

__all__ = ["Capture", "Interface", "open_capture"]

_SAMPLE_PACKETS = 256
"""Packets of a file's first batch: their mean length tells how many packets there will be."""


def open_capture(
    path: str | os.PathLike[str] | BinaryIO,
    filter_expression: str = "",
    *,
    batch_packets: int = 65_536,
    window: int = WINDOW,
) -> Capture:
    """Open a capture: the name of a file, ``-`` for standard input, or anything with ``read``.

    ``window`` bounds the octets that are looked at together. Raises ``CaptureOpenError``, ``CaptureFormatError`` where
    this is no capture, and ``FilterError``.
    """
    file, name, owned = open_octets(path)
    try:
        return Capture(file, name, owned, filter_expression, batch_packets, window)
    except BaseException:
        if owned:
            file.close()
        raise


class Capture:
    """A capture being read. Iterate once; each batch is valid until the next is asked for.

    Attributes: ``path`` as the user gave it; ``format`` ``pcap`` or ``pcapng``; ``compression`` empty, ``gzip``,
    ``bzip2``, ``xz`` or ``zstd``; ``size`` octets of the input as stored, None for a pipe; ``packets`` read so far,
    before the filter; ``damage`` why and where reading ended early.
    """

    def __init__(
        self, file: BinaryIO, path: str, owned: bool, filter_expression: str, batch_packets: int, window: int
    ) -> None:
        self.path = path
        self.packets = 0
        self.damage: CaptureFormatError | None = None
        self._file, self._owned = file, owned
        self._batch_packets = max(batch_packets, 1)
        self.size = _size(file)
        if self.size is not None and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        stored = Stored(file)
        self.compression = compression_of(stored.peek(MAGIC_LEN))
        self._octets: Octets = Decompressed(stored, self.compression) if self.compression else stored
        self._windows = Windows(self._octets, window)
        self._window = self._windows.window(0, pcap.FILE_HEADER_LEN)
        self._cursor = 0
        self._reader = self._recognize()
        self.format = self._reader.name
        self._read_descriptions()
        linktypes = [interface.linktype for interface in self.interfaces]
        self._filter = Filter(filter_expression, linktypes, self._reader.order)

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces described so far."""
        return self._reader.interfaces

    @property
    def dropped(self) -> int:
        """Packets that the capturing program missed, as far as it wrote so."""
        return self._reader.dropped

    @property
    def position(self) -> int:
        """Octets of the stored input consumed so far."""
        return self._octets.position

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, unless it was given open."""
        if self._owned:
            self._file.close()

    def __iter__(self) -> Iterator[Frames]:
        has_told = self.size is None
        while True:
            most = self._batch_packets if has_told else min(self._batch_packets, _SAMPLE_PACKETS)
            walk = self._reader.walk(self._window.data, self._cursor, most)
            consumed = walk.cursor - self._cursor
            self._cursor = walk.cursor
            count = len(walk.frames.number)
            if count:
                if self.size is None:
                    jit.expect(count)
                elif not has_told:
                    jit.expect(self.size * EXPECTED_RATIO[self.compression] * count // consumed)
                    has_told = True
                frames = self._filter.apply(walk.frames._replace(number=walk.frames.number + self.packets))
                self.packets += count
                if len(frames.number):
                    yield frames
            if walk.problem:
                self._damaged(walk.problem)
                return
            if walk.needed and not self._advance(walk.needed):
                return

    def _advance(self, needed: int) -> bool:
        """Go to the next window; False where the capture ends."""
        if self._window.end:
            if self._octets.trouble:
                self._damaged(self._octets.trouble)
            elif self._cursor < len(self._window.data):
                self._damaged(_(self._reader.cut))
            return False
        offset = self._window.offset + self._cursor
        self._window = self._windows.window(offset, needed)
        self._cursor = offset - self._window.offset
        return True

    def _recognize(self) -> pcap.PcapReader | pcapng.PcapngReader:
        header = self._window.data[: pcap.FILE_HEADER_LEN].tobytes()
        if pcapng.byte_order(header[:12]):
            return pcapng.PcapngReader()
        problem = _("not a capture: neither pcap nor pcapng")
        if not header:
            problem = self._octets.trouble or _("not a capture: it is empty")
        elif len(header) >= 4 and pcap.byte_order(header[:4]):
            problem = self._octets.trouble or _("not a capture: cut in the middle of the file header")
            if len(header) == pcap.FILE_HEADER_LEN:
                try:
                    reader = pcap.PcapReader(header)
                    self._cursor = pcap.FILE_HEADER_LEN
                    return reader
                except ValueError as error:
                    problem = str(error)
        raise CaptureFormatError(self.path, 0, problem)

    def _read_descriptions(self) -> None:
        """Go on to the first interface, so that the filter can be compiled for it."""
        while not self.interfaces:
            walk = self._reader.walk(self._window.data, self._cursor, 0)
            self._cursor = walk.cursor
            if self.interfaces or walk.problem or not walk.needed or not self._advance(walk.needed):
                return

    def _damaged(self, reason: str) -> None:
        self.damage = CaptureFormatError(self.path, self._window.offset + self._cursor, reason)


def open_octets(path: str | os.PathLike[str] | BinaryIO) -> tuple[BinaryIO, str, bool]:
    """What to read, its name, and whether it is ours to close. Raises ``CaptureOpenError``."""
    if not isinstance(path, str | os.PathLike):
        name = getattr(path, "name", "")
        return path, name if isinstance(name, str) and name else "<stream>", False
    name = os.fspath(path)
    if name == "-":
        return _standard_input(), "-", False
    try:
        return open(name, "rb", buffering=0), name, True
    except FileNotFoundError:
        why = _("no such file; check the name and the folder")
    except IsADirectoryError:
        why = _("this is a folder; name a capture file in it")
    except PermissionError:
        why = _("no permission to read it; run as its owner or ask for read access (chmod +r)")
    except OSError as error:
        why = _("cannot be opened: {reason}").format(reason=reason(error))
    except ValueError as error:
        why = _("cannot be opened: {reason}").format(reason=error)
    raise CaptureOpenError(_("{path}: {reason}").format(path=name, reason=why))


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise CaptureOpenError(_("-: standard input is closed; name a file or send a capture through a pipe"))
    if sys.stdin.isatty():
        raise CaptureOpenError(
            _("-: standard input is a terminal; send a capture: {command}").format(
                command="tcpdump -U -w - | tcpflow-view read -"
            )
        )
    file: BinaryIO = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    return file


def _size(file: BinaryIO) -> int | None:
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
