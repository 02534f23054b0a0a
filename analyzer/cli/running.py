"""What ``run`` shows while the program runs: its socket calls and its packets in the order of time, a line each."""

from __future__ import annotations

import time
from typing import TextIO

import numpy as np

from analyzer.capture.live import LiveCapture
from analyzer.capture.saving import CaptureWriter
from analyzer.cli.piped import copy_of
from analyzer.cli.strace_process import Strace
from analyzer.errors import AnalyzerError
from analyzer.explain.binding import Held, failed_binds, held_now
from analyzer.explain.peers import peer_of
from analyzer.explain.processes import End, ends_of
from analyzer.explain.seen_calls import Words, result_of, told, told_apart
from analyzer.pipeline import Run
from analyzer.render.screen import Screen, fit
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.render.untrusted import visible
from analyzer.render.words import SIDES
from analyzer.strace.sockets import Deed, SocketCall, Sockets
from analyzer.tables import I64, Batch, Frames, Protocol, Side, batch_at

_HELD_NS = 150_000_000
"""Lines wait so long for those of the same time: a call is logged after the packets that it made."""

_RING_NS = 50_000_000
"""Where no packet waits, all that are older than this were taken."""

_RETURNS = {Deed.ACCEPT, Deed.READ}
"""What stands where it returned; other calls stand where they began."""


class Running:
    """Shows a program that runs. ``is_all_its``: everything captured is shown.

    Attributes: ``trouble`` what went wrong with saving packets, empty when nothing did; ``held`` who had the port when
    a bind() failed, by its line in strace's log.
    """

    patience_s = 0.05

    def __init__(
        self, capture: LiveCapture, strace: Strace, saver: CaptureWriter, screen: Screen, out: TextIO, *,
        is_all_its: bool, is_quiet: bool,
    ) -> None:  # fmt: skip
        self.trouble = ""
        self.held: dict[int, Held] = {}
        self._asked: set[tuple[int, Protocol, End]] = set()
        self._strace, self._saver, self._screen, self._out = strace, saver, screen, out
        self._is_all_its, self._is_quiet = is_all_its, is_quiet
        self._run = Run(capture)
        self._timeline = Timeline(screen, TcpdumpPrinter(TcpdumpOptions(numeric=1)))
        self._sockets = Sockets()
        self._words = Words(self._sockets.processes)
        self._ports: set[tuple[Protocol, int]] = set()
        self._ports_asked: set[tuple[Protocol, int]] = set()
        self._numbers: dict[tuple[Protocol, int, End], tuple[int, Side]] = {}
        self._known = 0
        self._batches: list[Batch] = []
        self._calls: list[tuple[int, int, SocketCall]] = []
        self._taken = 0
        self._taken_ns = 0

    def take(self, frames: Frames | None) -> None:
        """Take packets, if there are any, and what the log has; show what is old enough."""
        now_ns = time.time_ns()
        if frames is None:
            self._taken_ns = now_ns - _RING_NS
        else:
            self._taken_ns = int(frames.ts_ns.max())
            self._save(frames)
            if not self._is_quiet:
                self._batches.append(copy_of(self._run.take(frames)))
        self._read()
        if not self._is_quiet:
            self._show(min(now_ns - _HELD_NS, self._taken_ns))

    def finish(self) -> None:
        """Show all that is left."""
        self._read()
        if not self._is_quiet:
            self._show(None)

    def _save(self, frames: Frames) -> None:
        if not self.trouble:
            try:
                self._saver.write(frames)
            except AnalyzerError as error:
                self.trouble = str(error)

    def _read(self) -> None:
        for record in self._strace.read():
            for call in self._sockets.feed(record):
                self._learn_ports(call)
                self._ask_who_has_it(call)
                seen = call.call
                ts_ns = seen.ts_ns
                if call.deed in _RETURNS:
                    ts_ns = seen.end_ns or seen.ts_ns + (seen.duration_ns or 0)
                self._calls.append((ts_ns, len(self._calls) + self._taken, call))

    def _ask_who_has_it(self, call: SocketCall) -> None:
        """Where a bind() finds a port in use for the first time, ask who has it while they have."""
        for failed in failed_binds(0, [call]):
            asked = failed.pid, failed.protocol, failed.local
            if asked not in self._asked:
                self._asked.add(asked)
                self.held[failed.line] = held_now(failed.protocol, failed.local)

    def _learn_ports(self, call: SocketCall) -> None:
        """Which packets are the program's: by its own port, and until that is known by the port that it asks."""
        socket = call.socket
        protocol = Protocol[socket.protocol]
        peer = peer_of(call) or socket.remote
        if socket.local and socket.local[1]:
            self._ports.add((protocol, socket.local[1]))
            self._ports_asked.discard((protocol, peer[1] if peer else 0))
        elif peer and call.deed in (Deed.CONNECT, Deed.WRITE):
            self._ports_asked.add((protocol, peer[1]))

    def _show(self, until_ns: int | None) -> None:
        """Write the lines of packets and calls before a time, None: of all."""
        due = sorted(call for call in self._calls if until_ns is None or call[0] < until_ns)
        if due:
            shown = {order for _, order, _ in due}
            self._taken += len(due)
            self._calls = [call for call in self._calls if call[1] not in shown]
        text = ""
        self._learn_numbers()
        while self._batches:
            batch = self._batches[0]
            ready = len(batch.frames.ts_ns)
            if until_ns is not None:
                late = np.flatnonzero(batch.frames.ts_ns >= until_ns)
                ready = int(late[0]) if len(late) else ready
            start = 0
            times = batch.frames.ts_ns[:ready].tolist()
            for at, ts_ns in enumerate(times):
                if due and due[0][0] <= ts_ns:
                    text += self._packets(batch, start, at)
                    start = at
                    while due and due[0][0] <= ts_ns:
                        text += self._call(*due.pop(0)[::2])
            text += self._packets(batch, start, ready)
            if ready < len(batch.frames.ts_ns):
                self._batches[0] = batch_at(batch, slice(ready, None))
                break
            del self._batches[0]
        text += "".join(self._call(at_ns, call) for at_ns, _, call in due)
        if text:
            self._out.write(text)
            self._out.flush()

    def _packets(self, batch: Batch, start: int, stop: int) -> str:
        at = np.arange(start, stop)
        if not self._is_all_its:
            at = self._its(batch, at)
        return self._timeline.render(batch_at(batch, at)) if len(at) else ""

    def _its(self, batch: Batch, at: I64) -> I64:
        """Of these packets of a batch those of the program."""
        packets = batch.packets
        is_its = np.zeros(len(at), bool)
        for protocol in (Protocol.TCP, Protocol.UDP):
            ports = np.array([port for of, port in self._ports | self._ports_asked if of == protocol], np.int64)
            has_port = np.isin(packets.src_port[at], ports) | np.isin(packets.dst_port[at], ports)
            is_its |= has_port & (packets.protocol[at] == protocol)
        found: I64 = at[is_its]
        return found

    def _call(self, at_ns: int, seen: SocketCall) -> str:
        """The line of a call."""
        if seen.deed == Deed.EXIT:
            return ""
        call, socket = seen.call, seen.socket
        peer = peer_of(seen) or socket.remote
        known = None
        if socket.local and peer:
            known = self._numbers.get((Protocol[socket.protocol], socket.local[1], peer))
        number, style = (known[0], SIDES[known[1]].style) if known else ("", "")
        seconds, part = divmod(at_ns // 1_000, 1_000_000)
        moment = f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{part:06}"
        words = told_apart(seen) if socket.listens else told(seen)
        line = f"    {number!s:>1} {moment} {self._words.process(call.pid)}: {words} {result_of(seen)}"
        line = visible(line)
        if self._screen.terminal:
            line = fit(line, self._screen.width)
        return self._screen.encode(self._screen.paint(line, style)) + "\n"

    def _learn_numbers(self) -> None:
        """The numbers of connections that began since the last time, by their ends."""
        for row in self._run.connections[self._known : self._run.count]:
            client, server = ends_of(row)
            number = int(row["number"])
            protocol = Protocol(int(row["protocol"]))
            self._numbers[protocol, client[1], server] = number, Side.CLIENT
            self._numbers[protocol, server[1], client] = number, Side.SERVER
        self._known = self._run.count
