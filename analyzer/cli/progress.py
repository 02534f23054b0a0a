"""A progress bar on standard error while a capture is read: on a terminal, and only when reading takes a while."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from analyzer.language import _
from analyzer.pipeline import Run
from analyzer.render.quantities import counted

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

_PATIENCE_S = 1.0
"""Nothing is shown to those who wait less."""


class _Waiting:
    """A context manager; the bar is gone when it ends."""

    def __init__(self, label: str) -> None:
        self._label = label
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

    def _bar(self, columns: Callable[[], Sequence[ProgressColumn]], total: int | None) -> Progress | None:
        """The bar, once one is wanted."""
        if self._wanted and self._progress is None and time.monotonic() - self._began >= _PATIENCE_S:
            self._progress = _begun(columns(), self._label, total)
        return self._progress


class ReadingProgress(_Waiting):
    """While a run reads; ``tick`` is called after each batch."""

    def __init__(self, label: str = "") -> None:
        super().__init__(label or _("reading"))

    def tick(self, run: Run) -> None:
        """Show how far the run is."""
        if bar := self._bar(_octets, run.capture.size):
            bar.update(bar.task_ids[0], completed=run.capture.position, packets=counted(run.packets, "packet"))


class CountingProgress(_Waiting):
    """While another program does something packet by packet; ``tick`` is called with how many it has done."""

    def __init__(self, label: str, packets: int) -> None:
        super().__init__(label)
        self._packets = packets

    def tick(self, done: int) -> None:
        """Show how many packets are done."""
        if bar := self._bar(_packets, self._packets):
            bar.update(bar.task_ids[0], completed=done)


def _octets() -> Sequence[ProgressColumn]:
    from rich.progress import DownloadColumn, TextColumn

    return DownloadColumn(), TextColumn("{task.fields[packets]}")


def _packets() -> Sequence[ProgressColumn]:
    from rich.progress import MofNCompleteColumn

    return (MofNCompleteColumn(),)


def _begun(columns: Sequence[ProgressColumn], label: str, total: int | None) -> Progress:
    """A bar with these columns beside it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    context = click.get_current_context(silent=True)
    is_colorless = context is not None and context.params.get("color") == "never"
    console = Console(stderr=True, no_color=is_colorless or None)  # None: as NO_COLOR says
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn(compact=True),
        console=console, transient=True,
    )  # fmt: skip
    bar.add_task(label, total=total, packets="")
    bar.start()
    return bar
