"""Where a command's result goes: standard output, or the file after an option like ``-o``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from analyzer.errors import UsageError
from analyzer.language import _, reason
from analyzer.render.untrusted import visible


@contextmanager
def destination(output: str | None, file: str, option: str = "-o") -> Iterator[BinaryIO]:
    """Standard output, or a new file. Raises UsageError when it cannot be written or is the capture itself.

    ``option`` is the one that named it.
    """
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.exists(output) and os.path.exists(file) and os.path.samefile(output, file):
        told = _("{option} {path}: that is the capture itself; give another file")
        raise UsageError(told.format(option=option, path=visible(output)))
    try:
        out = open(output, "wb")  # noqa: SIM115
    except OSError as error:
        told = _("{option} {path}: cannot write there: {reason}")
        raise UsageError(told.format(option=option, path=visible(output), reason=reason(error))) from None
    try:
        with out:
            yield out
    except BrokenPipeError:
        raise
    except OSError as error:
        told = _("{path}: cannot write: {reason}")
        raise UsageError(told.format(path=visible(output), reason=reason(error))) from None
