"""What happens to the packets of ``live`` while they come, and what is told of them in the end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np

from analyzer.api.story import quality_of
from analyzer.capture.live import LiveCapture
from analyzer.capture.saving import CaptureWriter
from analyzer.cli.owners import Owners
from analyzer.cli.shown import Shown
from analyzer.cli.summary import FEW_CONNECTIONS, calls_on, write_summary
from analyzer.cli.waits import Waits
from analyzer.errors import AnalyzerError
from analyzer.explain.causes import Cause
from analyzer.explain.departed import Departed
from analyzer.explain.kernel_counters import KernelCounters
from analyzer.explain.kernel_states import KernelStates
from analyzer.language import _, text
from analyzer.pipeline import Lives, Run
from analyzer.render.quantities import count, counted, size
from analyzer.render.screen import Screen
from analyzer.render.untrusted import visible
from analyzer.render.words import ENDINGS, SIDES, STATES
from analyzer.tables import NO_SERVERS, Frames, Rows, rows_of

_MOST_OF_A_LIFE = 1_000
"""Packets kept of each of the first connections, to tell their lives at the end."""

_ADVICE = text("-w FILE saves them all for read, a filter leaves fewer")


class Watch:
    """A live capture with a filter ``expression``, saved, analysed and shown batch by batch.

    Attributes: ``packets`` taken so far; ``trouble`` what went wrong with saving them, empty when nothing did.
    """

    def __init__(
        self, capture: LiveCapture, expression: str, shown: Shown, owners: Owners, saver: CaptureWriter | None,
        kernel: KernelStates | None, known_servers: Rows, max_connections: int, *, is_kept: bool = True,
    ) -> None:  # fmt: skip
        """``is_kept``: what is saved is there afterwards, and is told of."""
        self._is_kept = is_kept
        self.trouble = ""
        self._capture, self._shown, self._owners, self._saver = capture, shown, owners, saver
        self._kernel, self._max_connections, self._expression = kernel, max_connections, expression
        self._run = Run(capture, judges=True)
        self._said_servers, self._own_servers = known_servers, NO_SERVERS
        self._ask_who_listens()
        self._lives = Lives(range(1, FEW_CONNECTIONS + 1), _MOST_OF_A_LIFE)
        self._departed = Departed()
        self._counters = KernelCounters(owners.is_here)

    @property
    def packets(self) -> int:
        """Packets taken so far."""
        return self._run.packets

    @property
    def patience_s(self) -> float:
        """``tick`` wants to be called again in so many seconds."""
        kernel_s = self._kernel.patience_s if self._kernel else math.inf
        return min(self._shown.patience_s, self._owners.patience_s, self._counters.patience_s, kernel_s)

    def take(self, frames: Frames) -> None:
        """Save, analyse and show a batch; nothing more happens to it once it cannot be saved."""
        if self._saver:
            try:
                self._saver.write(frames)
            except AnalyzerError as error:
                self.trouble = str(error)
                return
        started = self._run.started
        batch = self._run.take(frames)
        self._owners.tick(is_news=self._run.started > started)
        if self._run.started <= FEW_CONNECTIONS:
            self._lives.add(batch)
        self._shown.add(batch, self._capture.dropped)
        if gone := self._run.make_room(self._max_connections):
            self._departed.add(*gone)

    def tick(self, *, is_drained: bool) -> None:
        """Do what is due whether or not packets come; ``is_drained`` says that none are waiting."""
        run = self._run
        self._owners.tick()
        self._counters.tick(time.time_ns())
        self._ask_who_listens()
        if self._kernel:
            now_ns = time.time_ns()
            rows = run.connections[: run.count], run.endpoints[: run.count]
            self._kernel.tick(*rows, now_ns, now_ns if is_drained else run.last_ns)
        self._shown.tick(run, self._capture.dropped)

    def _ask_who_listens(self) -> None:
        own = self._owners.known_servers()
        if own is not self._own_servers:
            self._own_servers = own
            known = np.concatenate([own, self._said_servers])
            known.flags.writeable = False
            self._run.known_servers = known

    def write_summary(self, screen: Screen) -> None:
        """Write what ``read`` would, and what only this run knows."""
        run, departed = self._run, self._departed
        found = quality_of(run, self._expression)
        found = found._replace(
            all_packets=run.packets, tcp=found.tcp + departed.tcp, udp=found.udp + departed.udp,
            coverage=found.coverage.plus(departed.coverage),
        )  # fmt: skip
        if run.packets:
            screen.write([""])
        numbers = run.connections["number"][: run.count].tolist()
        lives = self._lives.found() if run.started <= FEW_CONNECTIONS else {}
        self._counters.tick(time.time_ns(), is_last=True)
        write_summary(
            run, found, self._capture.path, numbers, lives, screen, advice=_ADVICE, remark=self._known_here,
            calls=calls_on(screen), departed=departed.probes, expression=self._expression,
        )  # fmt: skip
        screen.write(Waits(self._owners).at_the_end(run, screen))
        screen.write(self._remarks())

    def _known_here(self, connection: Rows) -> str:
        """What this machine knows of a connection beside its packets."""
        connections, endpoints = self._run.connections[: self._run.count], self._run.endpoints[: self._run.count]
        row = int(rows_of(connections, [connection["number"]])[0])
        counted_here = self._counters.sentence(row, connections, endpoints)
        return " ".join(filter(None, (counted_here, self._owners.sentence(connection))))

    def _remarks(self) -> Iterator[str]:
        if self._departed.count:
            yield f" {_let_go(self._departed, self._max_connections)}"
        if self._saver and self._is_kept:
            yield f" {_saved(self._saver)}"
        if self._kernel:
            yield from _agreement(self._kernel)


def _let_go(departed: Departed, most: int) -> str:
    """What became of connections that are no longer in the table."""
    endings = ((int(number), ENDINGS[Cause(cause)].text) for cause, number in enumerate(departed.by_cause))
    kinds = [f"{count(number)} {ending}" for number, ending in sorted(endings, reverse=True) if number]
    if departed.udp:
        kinds.append(f"{count(departed.udp)} UDP")
    return _(
        "{connections} let go before the end, to keep at most {most} (--max-connections): {kinds}; {packets}, {bytes}"
    ).format(
        connections=counted(departed.count, "connection"), most=count(most), kinds=_(", ").join(kinds),
        packets=counted(departed.packets, "packet"), bytes=size(departed.payload_bytes),
    )  # fmt: skip


def _saved(saver: CaptureWriter) -> str:
    first, last = saver.paths[0], saver.paths[-1]
    where = str(first) if first == last else f"{first} … {last}"
    told = _("{packets} saved, the latest to {files}") if saver.has_latest_only else _("{packets} saved to {files}")
    return told.format(packets=counted(saver.packets, "packet"), files=visible(where))


def _agreement(kernel: KernelStates) -> Iterator[str]:
    """How the states agree with Linux's."""
    if not kernel.states:
        yield " " + _("kernel: no state could be compared")
        return
    share = 100 * kernel.agreed / kernel.states
    told = _("kernel: {states} compared at {instants}, {different} different ({share} % agree)")
    yield " " + told.format(
        states=counted(kernel.states, "state"), instants=counted(kernel.instants, "instant"),
        different=count(kernel.states - kernel.agreed), share=f"{share:.2f}",
    )  # fmt: skip
    for one in kernel.differences.values():
        told = _("connection {number}, {side}, after packet {packet}: {ours} here, {theirs} in the kernel")
        yield "  " + told.format(
            number=one.connection, side=SIDES[one.side].text, packet=one.packet, ours=STATES[one.inferred].text,
            theirs=STATES[one.linux].text,
        )  # fmt: skip
