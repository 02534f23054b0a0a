"""Single keys from the terminal that a command was started on."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Keyboard:
    """While it is entered, keys come as they are pressed and are not shown; afterwards the terminal is as it was.

    Where standard input is no terminal, or belongs to somebody else at the moment, no key is ever pressed.
    """

    def __init__(self) -> None:
        self._descriptor = -1
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        with suppress(OSError, ValueError, AttributeError, termios.error):
            descriptor = sys.stdin.fileno()
            if os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp():
                self._before = termios.tcgetattr(descriptor)
                tty.setcbreak(descriptor, termios.TCSANOW)
                self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            with suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
            self._descriptor = -1

    def pressed(self) -> str:
        """The keys that were pressed since it was asked before."""
        if self._descriptor < 0 or not select.select([self._descriptor], [], [], 0)[0]:
            return ""
        try:
            octets = os.read(self._descriptor, 64)
        except OSError:
            octets = b""
        if not octets:
            self._descriptor = -1  # the terminal is gone
        return octets.decode(errors="replace")
