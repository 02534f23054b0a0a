"""What ``live``, and ``read`` of a pipe, show while packets arrive: every packet in a line, or a terminal's screen."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from analyzer.cli.keyboard import Keyboard
from analyzer.explain.known_states import Heard
from analyzer.language import _
from analyzer.pipeline import Run
from analyzer.render.live import Heading, LiveTable, Owners
from analyzer.render.pinned import Pinned
from analyzer.render.quantities import counted
from analyzer.render.screen import NARROWEST, Screen, screen_of
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.render.watched import Watched
from analyzer.render.words import QUIET, Word
from analyzer.tables import FIN, I64, RST, SYN, Batch, Event, batch_at

_FRAME_S = 0.1
"""The screen is drawn at most so often."""

_IDLE_FRAME_S = 1.0
"""And at least so often, for its clock."""


def can_pin(screen: Screen) -> bool:
    """Whether lines can stay at the bottom of a screen, as ``Terminal`` needs it."""
    return screen.terminal and os.environ.get("TERM", "dumb") != "dumb"


class Shown(Protocol):
    """A context manager that is given every batch."""

    @property
    def patience_s(self) -> float:
        """``tick`` wants to be called again in so many seconds."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def add(self, batch: Batch, lost: int | None = None) -> None:
        """Show a batch; it is not needed afterwards. ``lost`` packets were not captured up to now, None: unknown."""

    def tick(self, run: Run, lost: int | None) -> None:
        """Draw what there is to draw. ``lost`` packets were not captured, None where nobody knows."""

    def wants_end(self) -> bool:
        """Whether somebody asked for the end."""


class Lines:
    """A line a packet, written at once: for pipes and logs."""

    patience_s = 1.0

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def add(self, batch: Batch, lost: int | None = None) -> None:
        """Write the lines of a batch."""
        self._timeline.has_losses = bool(lost)
        sys.stdout.write(self._timeline.render(batch))
        sys.stdout.flush()

    def tick(self, run: Run, lost: int | None) -> None:
        """There is nothing to draw."""

    def wants_end(self) -> bool:
        """Nobody can ask."""
        return False


class Terminal:
    """Lines that scroll above a table of what lives. What cannot be read at this speed is skipped and counted.

    ``clock`` gives the time by which packets are stamped, in ns. Where it is not alone, the program that writes the
    packets has standard input, and may write to this terminal when it ends. ``finding`` gives what a person should know
    of besides.
    """

    patience_s = _FRAME_S

    def __init__(
        self, printer: TcpdumpPrinter, color: str, expression: str, saved_to: str, owners: Owners, *,
        clock: Callable[[], int] = time.time_ns, is_alone: bool = True,
        finding: Callable[[Run], Word] = lambda _: Word(""),
    ) -> None:  # fmt: skip
        self._printer, self._color, self._expression, self._saved_to = printer, color, expression, saved_to
        self._clock, self._is_alone, self._finding = clock, is_alone, finding
        self._watched = Watched()
        self._heard = Heard()
        self._table = LiveTable(self._watched, owners)
        self._pinned = Pinned()
        self._keyboard = Keyboard()
        self._began = time.monotonic()
        self._drawn = 0.0
        self._scrolled: list[str] = []
        self._skipped = 0
        self._size = os.terminal_size((0, 0))
        self._measure()
        self._room = self._size.lines

    def _measure(self) -> None:
        """Take the terminal's size; a new one needs a new layout."""
        size = _size()
        if size != self._size:
            self._size = size
            self._screen = screen_of(self._color)._replace(width=max(size.columns, NARROWEST))
            self._timeline = Timeline(self._screen, self._printer, heard=self._heard)

    def __enter__(self) -> Self:
        self._keyboard.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._keyboard.__exit__(kind, error, traceback)
        self._measure()
        if not self._is_alone and self._drawn:
            self._pinned = Pinned()  # it stays: nobody knows how far up it is
            self._scrolled.insert(0, "\n")
        with suppress(OSError):
            self._write([])

    def add(self, batch: Batch, lost: int | None = None) -> None:
        """Make the lines of a batch, as many as the next frame has room for."""
        self._measure()
        self._timeline.has_losses = bool(lost)
        self._watched.note(batch)
        assumed = self._heard.assumed(batch)
        packets = len(batch.labels.connection)
        if packets > self._room:
            chosen = most_telling(batch, self._room)
            self._skipped += packets - len(chosen)
            batch, assumed = batch_at(batch, chosen), assumed[chosen]
        if self._room:
            self._room -= len(batch.labels.connection)
            self._scrolled.append(self._timeline.render(batch, assumed))

    def tick(self, run: Run, lost: int | None) -> None:
        """Draw a frame if it is time."""
        if not self._keyboard.is_ours():
            return
        now = time.monotonic()
        is_changed = bool(self._scrolled) or self._skipped > 0
        if now - self._drawn < (_FRAME_S if is_changed else _IDLE_FRAME_S):
            return
        self._measure()
        heading = Heading(
            run.capture.path, self._expression, int((now - self._began) * 1e9), run.packets, lost, self._saved_to,
            run.started - run.count, _("q quits") if self._is_alone else _("Ctrl-C ends"),
            self._finding(run),
        )  # fmt: skip
        rows = run.connections[: run.count], run.endpoints[: run.count]
        self._write(self._table.lines(heading, *rows, self._clock(), self._screen, max(self._size.lines // 2, 1)))
        self._room = self._size.lines
        self._drawn = now

    def wants_end(self) -> bool:
        """Whether q was pressed."""
        return "q" in self._keyboard.pressed().lower()

    def _write(self, lines: list[str]) -> None:
        """Write what scrolls, and these lines below it."""
        if self._keyboard.was_away():
            self._pinned = Pinned()
        if self._skipped:
            text = " " + _("… {packets} not shown").format(packets=counted(self._skipped, "packet"))
            self._scrolled.append(self._screen.paint(text, QUIET) + "\n")
        encode = self._screen.encode
        scrolled = encode("".join(self._scrolled))
        self._scrolled, self._skipped = [], 0
        sys.stdout.write(self._pinned.frame(scrolled, [encode(line) for line in lines], self._size.columns))
        sys.stdout.flush()


def most_telling(batch: Batch, room: int) -> I64:
    """So many packets of a batch, in order: those that open, close or are in trouble, and the latest of the others."""
    events = batch.labels.events
    is_news = (batch.packets.flags & (SYN | FIN | RST) != 0) | (events != 0)
    is_news &= events & 1 << Event.CAPTURE_DUPLICATE == 0
    order = np.argsort(is_news, kind="stable")
    chosen: I64 = np.sort(order[len(order) - room :])
    return chosen


def _size() -> os.terminal_size:
    """The terminal's own columns and lines, whatever the environment says of another time."""
    with suppress(OSError):
        size = os.get_terminal_size(sys.stdout.fileno())
        if size.columns and size.lines:
            return size
    return shutil.get_terminal_size((80, 24))
