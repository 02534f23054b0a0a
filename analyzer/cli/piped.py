"""A pipe that is read while another program writes it.

Its packets are analysed as they come, and its octets are kept for a second pass. They are shown as they come too when
they happen now: when the pipe pauses, or brings a packet that is younger than this program. What another program merely
sends on from a file does neither.
"""

from __future__ import annotations

import io
import itertools
import math
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import click
import numpy as np

from analyzer.capture.ahead import CompiledAhead
from analyzer.capture.kept import keep
from analyzer.cli.progress import ReadingProgress
from analyzer.cli.shown import Lines, Shown, Terminal, can_pin
from analyzer.cli.signals import Signals
from analyzer.language import _
from analyzer.pipeline import BATCH_PACKETS, Run
from analyzer.render.quantities import counted
from analyzer.render.screen import screen_of
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.tables import Batch, Frames, Labels, Packets, Rows

Column = TypeVar("Column", bound=np.ndarray[Any, Any])

_REHEARSAL = "analyzer.cli.live"
"""Has the function that calls all kernels that packets go through while they are shown."""

_TENTH_MS = 100
_PAUSE_TENTHS = 2
"""A pipe without octets for so long, and not at its end, pauses."""

_GRACE_S = 2.0
"""After Ctrl-C the writer has so long to end; then reading ends where there is nothing to read."""

_FAST_CLOCK_NS = 2_000_000_000
"""A packet from later than that does not happen now either."""

_MOST_KEPT_OCTETS = 4 << 20
"""Room for packets that may yet be shown."""


class Tee(io.FileIO):
    """A pipe whose octets are also written to ``copy``, which has the pipe's name. It stays open.

    ``waiting`` is called again and again while no octet comes, with how long it has been, in tenths of a second.
    """

    def __init__(self, pipe: BinaryIO, copy: io.FileIO, waiting: Callable[[int], None]) -> None:
        super().__init__(pipe.fileno(), closefd=False)
        self.name = copy.name
        self.was_cut = False
        """Whether an end was given that is not the pipe's own."""
        self._copy, self._waiting = copy, waiting
        self._is_stopped = False
        self._poll = select.poll()
        self._poll.register(self, select.POLLIN)

    def stop(self) -> None:
        """Give no more octets."""
        self._is_stopped = True

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        for tenths in itertools.count():
            if self._is_stopped:
                break
            if self._poll.poll(_TENTH_MS if tenths else 0):
                octets: int | None = super().readinto(room)
                if octets is not None:  # None: another reader was faster
                    keep(room[:octets], self._copy)
                    return octets
            self._waiting(tenths)
        self.was_cut = True
        return 0


def survey_piped(pipe: BinaryIO, copy: io.FileIO, expression: str, known_servers: Rows, color: str) -> Run:
    """Take a whole pipe for its connections, and write what it brings to ``copy`` (capture/kept.py).

    Ctrl-C ends the program that writes too, and what it still writes is wanted; SIGTERM, and q on a terminal, end the
    reading at once. Raises UsageError when no copy can be kept.
    """
    with _Following(pipe, copy, expression, color) as following:
        with Signals(following.asked), Run(following.tee, expression, known_servers, judges=True) as run:
            following.begin(run)
            for batch in run:
                following.add(batch)
        if following.tee.was_cut:
            run.capture.damage = None
    if following.failure:
        raise following.failure
    if following.is_shown and run.packets:
        click.echo()
    return run


class _Following:
    """Watches a pipe, and shows its packets once they are known to happen now.

    Attributes: ``tee`` is what to read from; ``failure`` why packets could not be shown.
    """

    def __init__(self, pipe: BinaryIO, copy: io.FileIO, expression: str, color: str) -> None:
        self.tee = Tee(pipe, copy, self._waits)
        self.failure: OSError | None = None
        self._expression, self._color = expression, color
        self._began_ns = time.time_ns()
        self._behind_ns = 0
        self._asked_s = math.inf
        self._run: Run | None = None
        self._shown: Shown | None = None
        self._ahead: CompiledAhead | None = None
        self._kept: list[Batch] = []
        self._passed = 0
        self._stack = ExitStack()
        self._progress = self._stack.enter_context(ReadingProgress())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @property
    def is_shown(self) -> bool:
        """Whether packets are, or were, shown."""
        return self._shown is not None

    def begin(self, run: Run) -> None:
        """Tell of the run as soon as the pipe has begun to speak."""
        self._run = run

    def add(self, batch: Batch) -> None:
        """Take a batch of the run."""
        now_ns, latest_ns = time.time_ns(), int(batch.frames.ts_ns.max())
        self._behind_ns = now_ns - latest_ns
        if not self._shown and self._began_ns <= latest_ns <= now_ns + _FAST_CLOCK_NS:
            self._show()
        if self._ahead:
            self._ahead.tick(len(batch.frames.number))
        if self._shown:
            # What came before is drawn first: a program that ends with its last packet may write to the terminal too.
            self._tick()
            self._shown.add(batch)
        else:
            self._keep(batch)
            assert self._run
            self._progress.tick(self._run)

    def asked(self, number: int) -> None:
        """Take a signal."""
        if number == signal.SIGINT:
            self._asked_s = time.monotonic()
        else:
            self.tee.stop()

    def _waits(self, tenths: int) -> None:
        """Nothing has come for so long."""
        if time.monotonic() - self._asked_s >= _GRACE_S:
            self.tee.stop()
        try:
            if self._shown and tenths:
                self._tick()
            elif self._run and tenths >= _PAUSE_TENTHS:
                self._show()
        except OSError as error:  # of standard output: it must not pass for the pipe's
            self.failure = error
            self.tee.stop()

    def _tick(self) -> None:
        """Draw, unless the writer was told to end: on the terminal stands what it has to say then."""
        if self._run and self._shown and self._asked_s == math.inf:
            self._shown.tick(self._run, None)
            if self._shown.wants_end():
                self.tee.stop()

    def _keep(self, batch: Batch) -> None:
        """Keep the first packets, in case they are to be shown; none of them when they become too many."""
        kept = [*self._kept, batch]
        packets = sum(len(one.frames.number) for one in kept)
        octets = sum(len(one.frames.data) for one in kept)
        if self._passed or packets > BATCH_PACKETS or octets > _MOST_KEPT_OCTETS:
            self._passed += packets
            self._kept = []
        else:
            self._kept.append(copy_of(batch))

    def _show(self) -> None:
        """Show packets from now on."""
        self._stack.pop_all().close()
        self._ahead = CompiledAhead(_REHEARSAL)
        self._stack.callback(self._ahead.close)
        printer = TcpdumpPrinter(TcpdumpOptions(numeric=1))
        screen = screen_of(self._color)
        if self._passed:
            told = _("{packets} came before").format(packets=counted(self._passed, "packet"))
            click.echo(f"tcpflow-view: {told}", err=True)
        if can_pin(screen):
            shown: Shown = Terminal(
                printer, self._color, self._expression, "", _nobody, clock=lambda: time.time_ns() - self._behind_ns,
                is_alone=sys.stdin is not None and sys.stdin.isatty(),
            )  # fmt: skip
        else:
            shown = Lines(Timeline(screen, printer))
        self._shown = self._stack.enter_context(shown)
        for batch in self._kept:
            shown.add(batch)
        self._kept = []


def copy_of(batch: Batch) -> Batch:
    """A batch that stays valid, with the octets of its own frames alone: a ring has many more."""
    frames, packets = batch.frames, batch.packets
    start = np.cumsum(frames.caplen, dtype=np.int64) - frames.caplen
    payload_start = np.where(packets.payload_start > 0, packets.payload_start - frames.start + start, 0)
    octets = [frames.data[at : at + length] for at, length in zip(frames.start, frames.caplen, strict=True)]
    data = np.concatenate(octets) if octets else frames.data[:0].copy()
    made = {"data": data, "start": start, "payload_start": payload_start}
    return Batch(
        Frames._make(_copy_of_column(column, made.get(name)) for name, column in frames._asdict().items()),
        Packets._make(_copy_of_column(column, made.get(name)) for name, column in packets._asdict().items()),
        Labels._make(map(_copy_of_column, batch.labels)),
    )


def _copy_of_column(column: Column, made: Column | None = None) -> Column:
    """A copy, or what was made in its place, writeable as it was."""
    copied = column.copy() if made is None else made
    copied.flags.writeable = column.flags.writeable
    return copied


def _nobody(connection: Rows) -> tuple[str, str]:
    """Whose the ends of a connection are: packets of a pipe may come from another machine."""
    return "", ""
