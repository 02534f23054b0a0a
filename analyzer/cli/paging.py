"""Long results on a terminal go through a pager, as git's do.

While such a command runs, standard output is a stream that keeps the first screenful. What is no longer is printed when
the command ends, as without a pager; when more comes, or nothing for a moment, the pager is started and gets everything
as it comes. Commands know nothing of it: the stream says that it is a terminal, and has the terminal's width.
"""

from __future__ import annotations

import functools
import io
import os
import re
import shlex
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from typing import TYPE_CHECKING, Any, TextIO

import click

from analyzer.cli.settings import Settings
from analyzer.language import _, text
from analyzer.render.screen import cells

if TYPE_CHECKING:
    from subprocess import Popen

PAGED = frozenset({"check", "config", "diff", "follow", "read", "timeline", "verify"})
"""Commands whose result a person reads; none of them is live, unless it reads a pipe."""

OWN_VARIABLE, VARIABLE = "TCPFLOW_VIEW_PAGER", "PAGER"
USUAL = "less"

_OPTION = "--no-pager"
_HELP = text("Print long results to the terminal itself, not through a pager.")
_OFF = f"{__name__}.off"
"""Where a context has what the option says."""

_PATIENCE_S = 0.3
"""A screenful is not waited for any longer."""

_MOST_KEPT = 1 << 16
"""Octets that are more than a screenful, whatever they are."""

_ANSI_CODE = re.compile(r"\x1b\[[0-9;]*m")


def option() -> click.Option:
    """``--no-pager``, for every command, as the language chosen has it."""
    return click.Option([_OPTION], is_flag=True, expose_value=False, callback=_switch_off, help=_(_HELP))


def _switch_off(context: click.Context, param: click.Parameter, is_given: bool) -> None:
    if is_given:
        context.meta[_OFF] = True


def paged(command: click.Command) -> click.Command:
    """A copy of the command whose result goes through a pager when it is long."""
    run = command.callback
    assert run

    @functools.wraps(run)
    def through_a_pager(*arguments: Any, **options: Any) -> Any:
        words = _pager_for(click.get_current_context())
        if not words:
            return run(*arguments, **options)
        with _through(words):
            return run(*arguments, **options)

    told = copy(command)
    told.callback = through_a_pager
    return told


def pager(settings: Settings) -> tuple[list[str], str]:
    """The words of the command that is the pager, none where there is none, and who says so."""
    if settings.pager is False:
        return [], settings.path
    preferred = settings.pager if isinstance(settings.pager, str) else None
    candidates = (
        (os.environ.get(OWN_VARIABLE), OWN_VARIABLE), (preferred, settings.path),
        (os.environ.get(VARIABLE), VARIABLE), (USUAL, ""),
    )  # fmt: skip
    for given, origin in candidates:
        if given is None:
            continue
        try:
            words = shlex.split(given)
        except ValueError:  # a quotation mark without its like
            continue
        if words in ([], ["cat"]):
            return [], origin
        if shutil.which(words[0]):
            return words, origin
    return [], ""


def _pager_for(context: click.Context) -> list[str]:
    """The pager's words; none where the result is to be printed plainly."""
    is_wanted = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not context.meta.get(_OFF)
    if not is_wanted or context.params.get("raw") or any(map(_is_live, _arguments(context))):
        return []
    settings = context.obj if isinstance(context.obj, Settings) else Settings()
    return pager(settings)[0]


def _arguments(context: click.Context) -> Iterator[str]:
    """The words of a command's arguments, which name its files."""
    for param in context.command.params:
        if isinstance(param, click.Argument):
            value = context.params.get(param.name or "")
            yield from value if isinstance(value, tuple) else [value] if isinstance(value, str) else ()


def _is_live(word: str) -> bool:
    """Whether it is standard input or a pipe, whose packets may happen now."""
    try:
        return word == "-" or stat.S_ISFIFO(os.stat(word).st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def _through(words: Sequence[str]) -> Iterator[None]:
    """While it is entered, what is printed goes through the pager. Who quits it early has seen enough."""
    terminal = sys.stdout
    paged = _Paged(terminal, words)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(paged), terminal.encoding, terminal.errors, line_buffering=True
    )  # fmt: skip
    try:
        with suppress(BrokenPipeError):
            yield
    finally:
        with suppress(BrokenPipeError):
            sys.stdout.flush()
        sys.stdout = terminal
        paged.finish()


class _Paged(io.RawIOBase):
    """The terminal, as far as anybody can see who writes to it."""

    def __init__(self, terminal: TextIO, words: Sequence[str]) -> None:
        super().__init__()
        self._terminal, self._words = terminal, words
        self._size = shutil.get_terminal_size()
        self._kept = bytearray()
        self._pager: Popen[bytes] | None = None
        self._error = sys.stderr
        self._lock = threading.Lock()
        self._timer = threading.Timer(_PATIENCE_S, self._lose_patience)
        self._timer.daemon = True
        self._is_plain = self._is_finished = False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._terminal.fileno()

    def write(self, octets: Any) -> int:
        """Take octets; raises BrokenPipeError when the pager was quitted."""
        if self._is_finished:  # what could not be written to the pager any more
            return len(octets)
        with self._lock:
            if self._pager:
                self._pass_on(octets)
                return len(octets)
            if not self._kept and not self._is_plain:
                self._timer.start()
            self._kept += octets
            if self._is_plain:
                self._print()
            elif len(self._kept) > _MOST_KEPT or _rows(self._decoded(), self._size.columns) >= self._size.lines:
                self._start()
        return len(octets)

    def finish(self) -> None:
        """Wait until the pager is quitted, which shows or passes on all that it got. Without one print what is kept."""
        self._timer.cancel()
        with self._lock:
            self._is_finished = True
            if not self._pager:
                self._print()
                return
        assert self._pager.stdin
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the pager's: Ctrl-C ends a search there
        try:
            with suppress(BrokenPipeError):
                self._pager.stdin.close()
            self._pager.wait()
        finally:
            signal.signal(signal.SIGINT, before)
            self._give_error_back()

    def _print(self) -> None:
        """Give the terminal what is kept."""
        self._terminal.buffer.write(self._kept)
        self._terminal.flush()
        self._kept.clear()

    def _decoded(self) -> str:
        return self._kept.decode(self._terminal.encoding, "replace")

    def _lose_patience(self) -> None:
        with self._lock, suppress(BrokenPipeError):
            if not self._pager and not self._is_finished:
                self._start()

    def _start(self) -> None:
        """Start the pager, and give it what was kept."""
        import subprocess

        environment = {"LESS": "FRX", "LV": "-c"} | os.environ
        try:
            self._pager = subprocess.Popen(self._words, stdin=subprocess.PIPE, bufsize=0, env=environment)
        except OSError:  # it is no program after all
            self._is_plain = True
            return
        if self._error.isatty():  # what is said there waits: it would be lost in the pager's screen
            sys.stderr = io.TextIOWrapper(io.BytesIO(), self._error.encoding, self._error.errors, write_through=True)
        self._pass_on(self._kept)
        self._kept.clear()

    def _pass_on(self, octets: Any) -> None:
        assert self._pager
        assert self._pager.stdin
        rest = memoryview(octets)
        while rest:
            rest = rest[self._pager.stdin.write(rest) :]

    def _give_error_back(self) -> None:
        said, sys.stderr = sys.stderr, self._error
        if said is not self._error and isinstance(said, io.TextIOWrapper) and isinstance(said.buffer, io.BytesIO):
            self._error.write(said.buffer.getvalue().decode(self._error.encoding, "replace"))
            self._error.flush()


def _rows(shown: str, columns: int) -> int:
    """How many lines of the terminal it takes."""
    return sum(max(-(-cells(line) // columns), 1) for line in _ANSI_CODE.sub("", shown).splitlines())
