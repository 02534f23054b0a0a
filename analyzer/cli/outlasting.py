"""Commands whose exit status is their result: they end with it although nobody reads what they print any more.

``check … | head`` judges all captures, writes its files and fails where one is wrong. Other commands stop: who reads
has seen enough.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, BinaryIO

import click

OUTLASTING = frozenset({"check", "diff", "verify"})


def outlasting(command: click.Command) -> click.Command:
    """A copy of the command that goes on when its reader goes away."""
    run = command.callback
    assert run

    @functools.wraps(run)
    def to_the_end(*arguments: Any, **options: Any) -> Any:
        with _unheard():
            return run(*arguments, **options)

    told = copy(command)
    told.callback = to_the_end
    return told


@contextmanager
def _unheard() -> Iterator[None]:
    """While it is entered, standard output takes what nobody reads any more."""
    out = sys.stdout
    as_lines = bool(out.line_buffering)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Unheard(out.buffer)), out.encoding, out.errors, line_buffering=as_lines
    )
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        finally:
            sys.stdout = out


class _Unheard(io.RawIOBase):
    """A stream, as long as somebody reads it."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self._is_left = False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._out.isatty()

    def fileno(self) -> int:
        return self._out.fileno()

    def write(self, octets: Any) -> int:
        if not self._is_left:
            try:
                self._out.write(octets)
                self._out.flush()
            except BrokenPipeError:
                self._is_left = True
        return len(octets)
