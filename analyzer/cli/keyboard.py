"""Single keys from the terminal that a command was started on, which it may leave and have again: Ctrl-Z and ``fg``."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import tty
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self


class Keyboard:
    """While it is entered, keys come as they are pressed and are not shown; afterwards the terminal is as it was.

    So it is while the program is stopped: Ctrl-Z has an effect in ``is_ours``, which is to be called often and between
    two frames, never within one. Where standard input is no terminal, or belonged to somebody else when it was entered,
    no key is ever pressed and Ctrl-Z stops the program at once, as it does where this is not the main thread: no signal
    can be handled there.
    """

    def __init__(self) -> None:
        self._descriptor = -1
        self._before: list[Any] = []
        self._is_set = False
        self._handlers: dict[int, Any] = {}
        self._must_stop = self._was_away = False

    def __enter__(self) -> Self:
        with suppress(OSError, ValueError, AttributeError, termios.error):
            descriptor = sys.stdin.fileno()
            if os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp():
                self._before = termios.tcgetattr(descriptor)
                self._descriptor = descriptor
                self._set()
        self._handle_signals()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.is_ours():
            self._put_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        self._descriptor = -1

    def is_ours(self) -> bool:
        """Whether the terminal is this program's, which may write on it: false in the background.

        If Ctrl-Z was pressed the program stops here first, and takes the terminal again when it goes on.
        """
        if self._must_stop:
            self._stop()
        if self._descriptor < 0:
            return True
        try:
            if os.tcgetpgrp(self._descriptor) != os.getpgrp():
                self._is_set, self._was_away = False, True
                return False
            if not self._is_set:
                self._set()
        except (OSError, termios.error):
            self._descriptor = -1  # the terminal is gone
        return True

    def was_away(self) -> bool:
        """Whether others had the terminal since it was asked before: nobody knows what is on it now."""
        was_away, self._was_away = self._was_away, False
        return was_away

    def pressed(self) -> str:
        """The keys that were pressed since it was asked before."""
        if not self.is_ours() or self._descriptor < 0 or not select.select([self._descriptor], [], [], 0)[0]:
            return ""
        try:
            octets = os.read(self._descriptor, 64)
        except OSError:
            octets = b""
        if not octets:
            self._descriptor = -1  # the terminal is gone
        return octets.decode(errors="replace")

    def _set(self) -> None:
        tty.setcbreak(self._descriptor, termios.TCSANOW)
        self._is_set = True

    def _put_back(self) -> None:
        if self._is_set and self._descriptor >= 0:
            with suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
            self._is_set = False

    def _handle_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._handlers[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._continued)
            if self._is_set and signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
                self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._asked_to_stop)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._must_stop = True

    def _continued(self, number: int, frame: FrameType | None) -> None:
        self._is_set, self._was_away = False, True
        if callable(before := self._handlers.get(number)):
            before(number, frame)

    def _stop(self) -> None:
        """Stop as whoever handled Ctrl-Z before would."""
        self._must_stop, self._was_away = False, True
        self._put_back()
        ours = signal.signal(signal.SIGTSTP, self._handlers[signal.SIGTSTP])
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, ours)
