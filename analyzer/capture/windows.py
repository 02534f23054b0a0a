"""The octets of a capture, window by window.

Whatever the octets come from, they pass through one buffer: the reader of a format sees an array, says from which
offset on it needs how many more, and the octets before that offset are gone. So the memory in use does not depend on
the size of the capture, and what the walk over the records touched is still in the processor's cache when the packets
are decoded, which is why reading a file this way is faster than mapping it.
"""

from __future__ import annotations

import io
import select
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from analyzer.language import _, reason
from analyzer.tables import U8

WINDOW = 4 << 20


class Window(NamedTuple):
    """Consecutive octets of the (uncompressed) capture."""

    data: U8
    """Read-only; valid until the next window is asked for."""
    offset: int
    """Offset in the capture of ``data[0]``."""
    end: bool
    """Whether the capture ends with ``data``."""


class Octets(Protocol):
    """A stream of octets."""

    @property
    def position(self) -> int:
        """Octets of the stored input that were taken so far."""
        ...

    @property
    def trouble(self) -> str:
        """Why the octets ended before their time, or empty."""
        ...

    def read_into(self, room: memoryview) -> int:
        """Put some octets into ``room``, as many as are there, and wait for the first; 0 at the end."""
        ...

    def at_once(self) -> bool:
        """Whether ``read_into`` would give something without waiting."""
        ...


class Windows:
    """Windows over a stream."""

    def __init__(self, octets: Octets, window: int) -> None:
        self._octets = octets
        self._buffer = np.empty(window, np.uint8)
        self._offset = 0
        self._filled = 0
        self._end = False

    def window(self, offset: int, least: int) -> Window:
        """Octets from ``offset`` on, at least ``least`` of them unless the capture ends.

        There are no more than can be had without waiting, so that packets of a slow pipe come out as they arrive.
        """
        kept = self._buffer[offset - self._offset : self._filled]
        if least > len(self._buffer):
            self._buffer = np.empty(least, np.uint8)
        self._buffer[: len(kept)] = kept
        self._offset, self._filled = offset, len(kept)
        room = self._buffer.data
        while not self._end and (self._filled < least or (self._filled < len(room) and self._octets.at_once())):
            count = self._octets.read_into(room[self._filled :])
            self._filled += count
            self._end = count == 0
        data = self._buffer[: self._filled]
        data.flags.writeable = False
        return Window(data, offset, self._end)


class Stored:
    """The octets of a file object as they are stored."""

    def __init__(self, file: BinaryIO) -> None:
        self.position = 0
        self.trouble = ""
        self._peeked = b""
        self._read: Any = getattr(file, "read1", None) or file.read
        self._readinto: Any = file.readinto if isinstance(file, io.FileIO) else self._read_and_copy
        self._poll: select.poll | None = None
        try:
            descriptor = file.fileno()
        except (AttributeError, OSError):
            return
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def peek(self, least: int) -> bytes:
        """The next octets, at least so many unless there are no more; ``read_into`` gives them again."""
        room = memoryview(bytearray(least))
        while len(self._peeked) < least and (count := self._wait(room[len(self._peeked) :])):
            self._peeked = room[: len(self._peeked) + count].tobytes()
        return self._peeked

    def read_into(self, room: memoryview) -> int:
        count = min(len(room), len(self._peeked))
        if count:
            room[:count] = self._peeked[:count]
            self._peeked = self._peeked[count:]
        else:
            count = self._wait(room)
        self.position += count
        return count

    def at_once(self) -> bool:
        return bool(self._peeked) or (self._poll is not None and bool(self._poll.poll(0)))

    def _wait(self, room: memoryview) -> int:
        try:
            count: int | None = self._readinto(room)
            while count is None and self._poll is not None:  # a pipe that does not block
                self._poll.poll()
                count = self._readinto(room)
        except OSError as error:
            self.trouble = _("cannot be read further: {reason}").format(reason=reason(error))
            count = 0
        return count or 0

    def _read_and_copy(self, room: memoryview) -> int | None:
        octets: bytes | None = self._read(len(room))
        if octets is None:
            return None
        room[: len(octets)] = octets
        return len(octets)
