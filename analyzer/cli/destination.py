"""Where a command's result goes: standard output, or the file after an option like ``-o``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from analyzer.errors import UsageError
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
        raise UsageError(f"{option} {visible(output)}: that is the capture itself; give another file")
    try:
        out = open(output, "wb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"{option} {visible(output)}: cannot write there: {error.strerror}") from None
    try:
        with out:
            yield out
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{visible(output)}: cannot write: {error.strerror}") from None
