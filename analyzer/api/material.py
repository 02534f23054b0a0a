"""What people have of a capture, as something that can be read more than once."""

from __future__ import annotations

import io
import os
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from analyzer.capture.kept import comes_once, kept
from analyzer.errors import CaptureOpenError, UsageError
from analyzer.language import _

Material = str | os.PathLike[str] | BinaryIO | bytes | bytearray | memoryview | Iterable[Any]
"""A file's name (``-`` is standard input), an open binary file, a capture's octets, or scapy's packets."""


class Rereadable:
    """A capture to be read as often as it is needed.

    A file is read again from where it stands, by its name or from where it was when it was given; it must stay there,
    unchanged. What comes only once (a pipe, a socket) goes into a temporary file first, and scapy's packets into
    memory.

    Attributes: ``path`` for people.
    """

    def __init__(self, material: Material) -> None:
        self._file: BinaryIO | None = None
        self._start = 0
        if isinstance(material, str | os.PathLike):
            self.path = os.fspath(material)
            self._file = self._kept(self.path) if comes_once(self.path) else None
        elif isinstance(material, bytes | bytearray | memoryview):
            self.path = _("a capture in memory")
            self._file = io.BytesIO(material)
        elif callable(getattr(material, "read", None)):
            file: Any = material
            name = getattr(file, "name", "")
            self.path = name if isinstance(name, str) and name else _("a capture in memory")
            if isinstance(file, io.TextIOBase):
                raise UsageError(_("{path}: open it in binary mode").format(path=self.path))
            is_seekable = callable(getattr(file, "seekable", None)) and file.seekable()
            self._file = file if is_seekable else self._kept(file)
            self._start = self._file.tell() if is_seekable else 0
        elif isinstance(material, Iterable):
            from analyzer.capture.scapy_packets import capture_of

            self.path = _("packets of scapy")
            self._file = io.BytesIO(capture_of(material))
        else:
            raise UsageError(_("this is no capture: {kind}").format(kind=type(material).__name__))

    @contextmanager
    def opened(self) -> Iterator[str | BinaryIO]:
        """What the pipeline reads, from its beginning. Raises CaptureOpenError where it was closed meanwhile."""
        if self._file is None:
            yield self.path
            return
        if self._file.closed:
            told = _("{path}: it was closed; keep it open as long as its packets are asked for")
            raise CaptureOpenError(told.format(path=self.path))
        self._file.seek(self._start)
        yield self._file

    def _kept(self, source: str | BinaryIO) -> BinaryIO:
        """A copy that goes with this object."""
        copy = kept(source, self.path)
        weakref.finalize(self, copy.close)
        return copy
