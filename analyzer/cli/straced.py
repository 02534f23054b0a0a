"""Logs of strace on the command line: ``--strace``, and what a summary tells by them."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence

import click

from analyzer.errors import UsageError
from analyzer.explain.binding import FailedBind, Held, held_in_capture
from analyzer.explain.calls import Call, inferred, with_seen
from analyzer.explain.causes import Cause, cause_of
from analyzer.explain.messages import direction
from analyzer.explain.seen_calls import ReadLog, SeenCalls, result_of, told_apart
from analyzer.explain.seen_ends import How, SeenEnd, seen_end, settling, unaccepted
from analyzer.explain.tying import Offset
from analyzer.language import _, counted, reason
from analyzer.render.binding import not_bound
from analyzer.render.listening import never_accepted
from analyzer.render.messages import ends, messages
from analyzer.render.quantities import duration
from analyzer.render.screen import Screen, fit
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, SIDES, TROUBLE_GLYPH
from analyzer.render.wrapping import wrap
from analyzer.strace.log import Clock, Record, parse
from analyzer.strace.sockets import Deed
from analyzer.tables import Life, Protocol, Rows, Side

option = click.option(
    "--strace", "strace_logs", metavar="LOG", multiple=True,
    help="A log of strace, best with -f -ttt -yy: the socket calls that it saw, with their packets. May be given "
    "again. Of strace -ff, name LOG without the processes' numbers.",
)  # fmt: skip

_MOST_APART = 12
_ONLY_ASK = ("getsockname", "getpeername")
_WIDEST = 100
_WORTH_TELLING_NS = 1_000_000_000
"""By so much clocks of one machine may seem to differ."""


def read_logs(paths: Iterable[str]) -> list[ReadLog]:
    """Read logs; those of ``-ff`` are one where they have one clock. Raises UsageError."""
    found = []
    for path in paths:
        parts = sorted(name for name in glob.glob(f"{glob.escape(path)}.*") if name.rpartition(".")[2].isdigit())
        try:
            found.append(_read(path, path))
        except UsageError:
            if not parts:
                raise
            found += _together(path, [_read(part, part, int(part.rpartition(".")[2])) for part in parts])
    return found


def _read(path: str, name: str, pid: int = 0) -> ReadLog:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return ReadLog(name, *parse(file, pid))
    except OSError as error:
        raise UsageError(_("--strace {path}: {reason}").format(path=visible(path), reason=reason(error))) from None


def _together(path: str, parts: list[ReadLog]) -> list[ReadLog]:
    """The logs of several processes as one, in the order of time; apart where each has a clock of its own."""
    first = parts[0].log
    if first.clock not in (Clock.UNIX, Clock.DAY):
        return parts
    for part in parts[1:]:
        first.lines += part.log.lines
        first.unreadable += part.log.unreadable
        first.first_unreadable = first.first_unreadable or part.log.first_unreadable
    records: list[Record] = sorted((one for part in parts for one in part.records), key=lambda record: record.ts_ns)
    return [ReadLog(path, first, records)]


class Straced:
    """The socket calls of some logs for the connections of a finished run.

    ``connections`` and ``endpoints`` are CONNECTION[n] and ENDPOINT[n, Side]. ``has_one_clock``: the logs were written
    where the packets were captured. ``held`` has who had the port when a bind() failed, by its line in the log.
    """

    def __init__(
        self, logs: Sequence[ReadLog], connections: Rows, endpoints: Rows, *, has_one_clock: bool = False,
        held: Mapping[int, Held] | None = None,
    ) -> None:  # fmt: skip
        self.seen = SeenCalls(logs, connections, endpoints)
        self._rows = connections, endpoints
        self._held = held
        self._has_one_clock = has_one_clock
        self._settled: set[int] = set()
        self._protocols = {int(row["number"]): Protocol(int(row["protocol"])) for row in connections}

    def tie(self, lives: Mapping[int, Life]) -> None:
        """Take the packets of the connections that are told."""
        self.seen.tie(lives, self._protocols)

    def calls(self, connection: Rows, endpoints: Rows, life: Life) -> list[Call]:
        """The calls of a connection: those seen, and inferred ones of a side that nobody watched."""
        number = int(connection["number"])
        is_watched = number in self.seen.queued
        guessed = (one for one in inferred(connection, endpoints, life) if not (is_watched and one.side == Side.SERVER))
        return with_seen(guessed, self.seen.of(number))

    def beneath(self, connection: int, screen: Screen, *, whole: bool) -> Iterator[str]:
        """What stands below the ladder of a connection: its messages."""
        sides = {sided.side: sided.ties for sided in self.seen.sided(connection)}
        if sides and self._protocols[connection] == Protocol.TCP:
            packets = self.seen.packets(connection)
            both = [direction(side, packets, sides.get(side), sides.get(Side(1 - side))) for side in Side]
            yield from messages(both, screen, whole=whole)
            found = (one for one, _at in self._ends(connection))
            yield from ends([one for one in found if connection not in self._settled or not one.is_abort], screen)

    def settled(self, connection: Rows, endpoints: Rows) -> str:
        """Why a connection ended, where the calls tell what its packets leave open; else empty."""
        number = int(connection["number"])
        cause = Cause(cause_of(connection, *endpoints))
        for end, at in self._ends(number):
            reset = int(endpoints[end.side]["rst_packet"])
            process = visible(self.seen.process(at, end.pid))
            if told := settling(cause, reset, end, SIDES[end.side].text, process):
                self._settled.add(number)
                return told
        if one := self.seen.queued.get(number):
            ends = (end for end, _at in self._ends(number) if end.side == Side.SERVER)
            process = visible(self.seen.process(one.listener.log, one.listener.pid))
            syn = int(endpoints[Side.CLIENT]["syn_packet"])
            return unaccepted(cause, syn, one, next(ends, self._reset(number)), process)
        return ""

    def _reset(self, connection: int) -> SeenEnd | None:
        """How the socket was closed in whose accept queue a connection waited, where that reset it."""
        packets = self.seen.packets(connection)
        ties = (tie for sided in self.seen.sided(connection) for tie in sided.ties if sided.side == Side.SERVER)
        closing = next((tie for tie in ties if tie.caused and tie.seen.deed == Deed.CLOSE), None)
        return closing and SeenEnd(Side.SERVER, How.CLOSED, packets[closing.caused[0]].number)

    def _ends(self, connection: int) -> Iterator[tuple[SeenEnd, int]]:
        """How its sides ended as far as it was seen, each with the number of its log."""
        packets = self.seen.packets(connection)
        for sided in self.seen.sided(connection):
            if end := seen_end(sided.side, sided.ties, packets, self.seen.offsets[sided.log].ns):
                yield end, sided.log

    def notices(self, screen: Screen) -> Iterator[str]:
        """What to know first of the programs that were watched."""
        for one in self.seen.listeners:
            process = visible(self.seen.process(one.log, one.pid))
            yield from _loud(never_accepted(one, self.seen.queued.values(), process), screen)
        for first, *more in self.seen.failed_binds:
            process = visible(self.seen.process(first.log, first.pid))
            yield from _loud(not_bound(first, self._holder(first), process, 1 + len(more)), screen)

    def _holder(self, failed: FailedBind) -> Held:
        """Who had the port that a bind() did not get."""
        if self._held is not None:
            return self._held.get(failed.line, Held())
        offset = self.seen.offsets[failed.log]
        if self.seen.logs[failed.log].log.clock != Clock.UNIX:
            return Held()
        return held_in_capture(failed, failed.ts_ns + offset.ns, *self._rows)

    def apart(self, screen: Screen, *, whole: bool) -> Iterator[str]:
        """The calls that no ladder has: of sockets that never had a connection, or of connections that are not told."""
        calls = self.seen.apart()
        telling = calls if whole else [one for one in calls if one[1].call.name not in _ONLY_ASK]
        if not telling:
            return
        heading = _("Calls beside no connection above")
        yield screen.paint(f" {heading}", "bold")
        shown = telling if whole else telling[:_MOST_APART]
        for at, call in shown:
            process = self.seen.process(at, call.call.pid)
            yield fit(f"  {visible(process)}: {visible(f'{told_apart(call)} {result_of(call)}')}", screen.width - 1)
        if hidden := len(calls) - len(shown):
            text = counted("… {n} more call; --all shows it", "… {n} more calls; --all shows them", hidden)
            yield f"  {text.format(n=f'{hidden:,}')}"
        yield ""

    def sentences(self, screen: Screen) -> Iterator[str]:
        """What is to be told of the logs themselves."""
        width = min(screen.width, _WIDEST) - 1
        for sentence in self._sentences():
            yield from wrap(sentence, width, " ", " ")

    def _sentences(self) -> Iterator[str]:
        for at, (path, log, _records) in enumerate(self.seen.logs):
            calls = len(self.seen.calls[at])
            text = counted("{log}: {n} call on TCP and UDP sockets", "{log}: {n} calls on TCP and UDP sockets", calls)
            told = text.format(log=visible(path), n=f"{calls:,}")
            offset = self.seen.offsets[at]
            if self._has_one_clock and abs(offset.ns) < _WORTH_TELLING_NS:
                yield _("{calls}.").format(calls=told)
            else:
                yield _("{calls}; {clock}.").format(calls=told, clock=_clock(log.clock, offset))
            if log.first_unreadable:
                line, words = log.first_unreadable
                text = counted(
                    "{n} line of it could not be read, line {line}: {words}",
                    "{n} lines of it could not be read, the first is line {line}: {words}",
                    log.unreadable,
                )
                yield text.format(n=f"{log.unreadable:,}", line=line, words=visible(words[:60]))
        if any(self.seen.calls) and len(self._rows[0]) and not self.seen.numbers:
            yield _("None of these calls belongs to a connection of this capture.")


def _loud(sentence: str, screen: Screen) -> Iterator[str]:
    """A sentence that comes first; nothing of an empty one."""
    if sentence:
        for line in wrap(sentence, min(screen.width, _WIDEST), f"{TROUBLE_GLYPH} ", "  "):
            yield screen.paint(line, LOUD)


def _clock(clock: Clock, offset: Offset) -> str:
    """How the clock of a log and that of the capture go together."""
    if offset.least is None and offset.most is None:
        return _("no packet tells how its clock and that of the capture differ")
    if offset.is_contradictory:
        return _("its clock and that of the capture do not fit together in all places: one was set meanwhile")
    if offset.least is None or offset.most is None:
        bounds = ""
    else:
        bounds = _(", to {spread}").format(spread=duration(offset.most - offset.least))
    if offset.ns == 0:
        return _("its clock is that of the capture") + bounds
    if clock == Clock.UNIX:
        amount = duration(abs(offset.ns))
        if offset.ns > 0:
            return _("its clock is {amount} behind that of the capture").format(amount=amount) + bounds
        return _("its clock is {amount} ahead of that of the capture").format(amount=amount) + bounds
    return _("where its clock begins was found by the packets") + bounds
