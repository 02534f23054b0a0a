"""A program under strace: started, its log read while it grows, its end awaited."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from analyzer.errors import UsageError
from analyzer.language import _, reason
from analyzer.render.untrusted import visible
from analyzer.strace.log import Ended, Record, StraceLog

TRACED = (
    "%network", "read", "write", "readv", "writev", "close", "?close_range", "shutdown", "dup", "?dup2", "dup3",
    "fcntl", "?fcntl64", "sendfile", "?sendfile64", "splice", "clone", "?clone3", "?fork", "?vfork", "execve",
    "execveat",
)  # fmt: skip
"""What is traced; ``?`` for calls that some machines do not have."""

_STRINGS = "256"
"""Octets told of a string: programs are named by theirs."""


def checked(words: Sequence[str]) -> str:
    """Where strace is. Raises UsageError without it, and where there is no such program."""
    strace = shutil.which("strace")
    if strace is None:
        raise UsageError(
            _("run needs strace, which is not installed: apt install strace, dnf install strace, pacman -S strace")
        )
    if shutil.which(words[0]) is None:
        raise UsageError(_("run: {program}: there is no such program").format(program=visible(words[0])))
    return strace


def _as_user(user: str | None) -> list[str]:
    """strace's options for a program that another user runs; root may do that. Raises UsageError."""
    if user is None:
        return []
    if os.geteuid() != 0:
        raise UsageError(_("--user {user}: only root may run a program as another user").format(user=visible(user)))
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise UsageError(_("--user {user}: there is no such user").format(user=visible(user))) from None
    return ["-u", user, "-E", f"HOME={found.pw_dir}", "-E", f"USER={user}", "-E", f"LOGNAME={user}"]


class Strace:
    """A program that runs under strace, with this process's standard input, output and error; as ``user``, where one is
    named.

    Attributes: ``log`` as far as it was read; ``path`` of the file that strace writes.
    """

    def __init__(self, words: Sequence[str], path: str, user: str | None = None) -> None:
        strace = checked(words)
        self.path = path
        self.log = StraceLog()
        self._living: set[int] = set()
        self._first = 0
        self._signals: list[int] = []
        try:
            self._file = open(path, "w+", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        except OSError as error:
            raise UsageError(_("{path}: {reason}").format(path=visible(path), reason=reason(error))) from None
        self._part = ""
        log = os.path.abspath(path)  # which begins with nothing that strace takes for a command
        options = ["-q", "-f", "-ttt", "-T", "-yy", "-s", _STRINGS, "-o", log, "-e", f"trace={','.join(TRACED)}"]
        self._process = subprocess.Popen([strace, *options, *_as_user(user), "--", *words])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and self._process.poll() is None:
            self.signal(signal.SIGTERM)
            for _record in self.read():
                pass
        self._process.wait()
        self._file.close()

    def read(self) -> Iterator[Record]:
        """What the log has more than before."""
        for line in self._file.readlines():
            self._part += line
            if not line.endswith("\n"):
                break
            line, self._part = self._part, ""
            for record in self.log.feed(line):
                if isinstance(record, Ended):
                    self._living.discard(record.pid)
                else:
                    self._living.add(record.pid)
                    self._first = self._first or record.pid
                yield record
        while self._signals and self._living:
            target = self._first if self._first in self._living else min(self._living)
            with suppress(OSError):
                os.kill(target, self._signals.pop(0))

    def has_ended(self) -> bool:
        """Whether the program, and all that it began, has ended."""
        return self._process.poll() is not None

    @property
    def status(self) -> int:
        """Its exit status, as a shell has it: 128 and the signal's number where one ended it."""
        status = self._process.wait()
        return 128 - status if status < 0 else status

    def signal(self, number: int) -> None:
        """Send the program a signal, as soon as ``read`` knows it: strace itself does not pass it on."""
        self._signals.append(number)
