"""Captures that come through a pipe, for commands that read them twice."""

from __future__ import annotations

import shutil
import sys
import tempfile
from typing import BinaryIO

from analyzer.errors import UsageError
from analyzer.language import _


def twice(file: str) -> BinaryIO:
    """What comes through a pipe, in a file without a name, for it is read twice."""
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    if file == "-":
        if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
            raise UsageError(_("standard input is a terminal; give a file, or send a capture through a pipe"))
        shutil.copyfileobj(sys.stdin.buffer, copy)
    else:
        with open(file, "rb") as pipe:
            shutil.copyfileobj(pipe, copy)
    copy.seek(0)
    return copy
