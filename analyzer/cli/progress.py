"""A progress bar on standard error while a capture is read: on a terminal, and only when reading takes a while."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from analyzer.language import _
from analyzer.pipeline import Run
from analyzer.render.quantities import counted

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE_S = 1.0
"""Nothing is shown to those who wait less."""


class ReadingProgress:
    """A context manager whose ``tick`` is called after each batch; the bar is gone when it ends."""

    def __init__(self, label: str = "") -> None:
        self._label = label or _("reading")
        self._wanted = sys.stderr.isatty()
        self._began = time.monotonic()
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def tick(self, run: Run) -> None:
        """Show how far the run is."""
        if not self._wanted:
            return
        if self._progress is None:
            if time.monotonic() - self._began < _PATIENCE_S:
                return
            self._progress = _bar(self._label, run.capture.size)
        packets = counted(run.packets, "packet")
        self._progress.update(self._progress.task_ids[0], completed=run.capture.position, packets=packets)


def _bar(label: str, size: int | None) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    context = click.get_current_context(silent=True)
    is_colorless = context is not None and context.params.get("color") == "never"
    console = Console(stderr=True, no_color=is_colorless or None)  # None: as NO_COLOR says
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[packets]}"),
        TimeRemainingColumn(compact=True), console=console, transient=True,
    )  # fmt: skip
    bar.add_task(label, total=size, packets="")
    bar.start()
    return bar


class CountingProgress:
    """The same for what another program does packet by packet; ``tick`` is called with how many it has done."""

    def __init__(self, label: str, packets: int) -> None:
        self._label, self._packets = label, packets
        self._wanted = sys.stderr.isatty()
        self._began = time.monotonic()
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def tick(self, done: int) -> None:
        """Show how many packets are done."""
        if not self._wanted:
            return
        if self._progress is None:
            if time.monotonic() - self._began < _PATIENCE_S:
                return
            self._progress = _counting_bar(self._label, self._packets)
        self._progress.update(self._progress.task_ids[0], completed=done)


def _counting_bar(label: str, packets: int) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    bar.add_task(label, total=packets)
    bar.start()
    return bar
