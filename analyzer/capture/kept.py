"""Captures that come only once, through a pipe or on standard input, kept so that they can be read again."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from typing import BinaryIO

from analyzer.capture.source import open_octets
from analyzer.capture.windows import Stored
from analyzer.errors import CaptureOpenError, UsageError
from analyzer.language import _, reason

_PIECE = 1 << 20


@contextmanager
def rereadable(name: str) -> Iterator[str | BinaryIO]:
    """What can be read as often as it is needed: the name of a file, or a copy, which is gone afterwards.

    Raises CaptureOpenError, and UsageError where no copy can be kept.
    """
    if not comes_once(name):
        yield name
        return
    with kept(name) as copy:
        yield copy


def comes_once(name: str) -> bool:
    """Whether what has this name is there, and no file: ``-``, a named pipe, ``/dev/fd/63`` of a shell."""
    if name == "-":
        return True
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def kept(source: str | BinaryIO, name: str = "") -> FileIO:
    """A copy of all that comes, to be closed by the caller; ``name`` is the source's, for people.

    Raises CaptureOpenError, and UsageError where no copy can be kept.
    """
    with ExitStack() as opened, ExitStack() as undone:
        file, own_name, is_ours = open_octets(source)
        if is_ours:
            opened.enter_context(file)
        copy = undone.enter_context(empty(name or own_name))
        stored, room = Stored(file), memoryview(bytearray(_PIECE))
        while count := stored.read_into(room):
            keep(room[:count], copy)
        if stored.trouble:
            raise CaptureOpenError(_("{path}: {reason}").format(path=copy.name, reason=stored.trouble))
        copy.seek(0)
        undone.pop_all()
        return copy


def empty(name: str) -> FileIO:
    """A file for a copy of what has this name; nobody else sees it, and closing it removes it."""
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    copy.name = name
    return copy


def keep(octets: memoryview, copy: FileIO) -> None:
    """Write octets into a copy. Raises UsageError."""
    try:
        while octets:
            octets = octets[copy.write(octets) :]
    except OSError as error:
        told = _("{name}: cannot keep a copy of what it brings: {reason}")
        raise UsageError(told.format(name=copy.name, reason=reason(error))) from None
