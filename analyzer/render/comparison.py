"""What differs between two captures: how many pairs, a table of those that differ, and each pair side by side.

−     7     │◀──────────────── FIN 3 ack 6 ─┤       only A has it
+     7     ├─ FIN 6 ack 3 ────────────────▶│       only B has it
   8     8  ├─ ACK 4 ──────────────────────▶│       both have it, under these numbers
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from analyzer import language
from analyzer.compare.differences import Aspect, Difference, Parting
from analyzer.compare.pairing import Pair, Pairing
from analyzer.compare.steps import Step
from analyzer.explain.causes import Cause, cause_of
from analyzer.language import _, text
from analyzer.render.addresses import endpoint, port, shortened
from analyzer.render.arrow import arrow
from analyzer.render.lifelines import Lifelines
from analyzer.render.quantities import count, counted, duration
from analyzer.render.screen import Screen, cells, fit, fit_middle, ljust, rjust
from analyzer.render.segment import Segment, segments
from analyzer.render.table import MOST_ROWS
from analyzer.render.untrusted import excerpt, visible
from analyzer.render.words import ENDINGS, LOUD, QUIET, SIDES, STATES, Word, events_of, marked
from analyzer.render.wrapping import wrap
from analyzer.tables import Life, Protocol, Rows, Side
from analyzer.tcp.states import State

CONTEXT = 3
"""Packets shown around one that differs."""

MOST_STEPS = 60
"""Rows of a pair that are shown unless all are asked for."""

MINUS, PLUS, NOISE = Word("−", "red"), Word("+", "green"), Word("~", QUIET)

ASPECTS = {
    Aspect.PHASES: text("phases"),
    Aspect.STATES: text("states"),
    Aspect.CLOSED_BY: text("who closed"),
    Aspect.CAUSE: text("cause"),
    Aspect.VERDICT: text("verdict"),
    Aspect.EVENTS: text("events"),
    Aspect.COUNTERS: text("counters"),
    Aspect.SAID: text("what was said"),
    Aspect.HISTORY: text("history"),
    Aspect.OPTIONS: text("options"),
    Aspect.SEGMENTS: text("segments"),
    Aspect.ACKS: text("ACKs"),
    Aspect.WINDOWS: text("windows"),
    Aspect.TIMES: text("times"),
}
"""The aspects' names on a screen."""

_BY = {"ends": text("ends"), "content": text("content"), "order": text("order")}

_TIMES = {
    "lasted": text("The connection lasted {a} in A, {b} in B."),
    "handshake": text("The handshake's round trip took {a} in A, {b} in B."),
    "data": text("The data took {a} in A, {b} in B."),
    "teardown": text("The teardown took {a} in A, {b} in B."),
}

_LONGEST_LINE = 100


class One(NamedTuple):
    """A capture."""

    path: str
    packets: int
    connections: Rows
    endpoints: Rows


class Twins(NamedTuple):
    """A pair in detail."""

    pair: Pair
    differences: Sequence[Difference]
    lives: tuple[Life, Life]
    steps: Sequence[Step]
    partings: Mapping[int, Parting]
    """By the side that said it."""
    why: tuple[str, str]
    """Why each ended, where that differs."""


def summary(a: One, b: One, pairing: Pairing, differ: int, screen: Screen) -> Iterator[str]:
    """Both captures, and how many of their connections are the same."""
    yield from titles(a, b, screen)
    same = len(pairing.pairs) - differ
    facts = [_("{n} the same").format(n=count(same))]
    if differ:
        told = language.counted("{n} differs", "{n} differ", differ)
        facts.append(screen.paint(told.format(n=count(differ)), LOUD))
    if pairing.only_a:
        facts.append(screen.paint(_("{n} only in A").format(n=count(len(pairing.only_a))), MINUS.style))
    if pairing.only_b:
        facts.append(screen.paint(_("{n} only in B").format(n=count(len(pairing.only_b))), PLUS.style))
    verdict = _("Something differs: {facts}") if len(facts) > 1 else _("Nothing differs: {facts}")
    yield verdict.format(facts=" · ".join(facts))


def titles(a: One, b: One, screen: Screen) -> Iterator[str]:
    """What A and B are: their files' names, with folders where these tell them apart."""
    names = [os.path.basename(one.path) for one in (a, b)]
    if names[0] == names[1]:
        names = [a.path, b.path]
    for letter, name, one in zip("AB", names, (a, b), strict=True):
        facts = f" · {counted(one.packets, 'packet')} · {counted(len(one.connections), 'connection')}"
        room = max(screen.width - cells(facts) - 3, 12)
        name = visible(name)
        yield f"{letter}  {fit_middle(name, room) if name.isascii() else fit(name, room)}{facts}"
    yield ""


def table(
    a: One, b: One, pairing: Pairing, differing: Mapping[Pair, Sequence[Aspect]], screen: Screen, *, whole: bool
) -> Iterator[str]:
    """A line for each pair that differs and each connection that only one capture has."""
    lines = [_pair_line(a, b, pair, aspects) for pair, aspects in differing.items()]
    lines += [_single_line(a, row, MINUS, _("only in A")) for row in pairing.only_a]
    lines += [_single_line(b, row, PLUS, _("only in B")) for row in pairing.only_b]
    if not lines:
        return
    shown = lines if whole or not screen.terminal else lines[:MOST_ROWS]
    headings = [Word(word) for word in ("A", "B", _("client"), _("server"), _("paired by"), _("what differs"))]
    widths = [max(cells(line[k].text) for line in [headings, *shown]) for k in range(len(headings) - 1)]
    room = screen.width - sum(widths) - 1 - 2 * (len(widths) - 1) - 2
    for k in (2, 3):
        if (missing := 24 - room) > 0:
            widths[k], room = max(widths[k] - missing, 15), room + min(missing, max(widths[k] - 15, 0))
    yield screen.paint(_table_line(headings, widths, screen._replace(color=False)), QUIET)
    yield from (_table_line(line, widths, screen) for line in shown)
    if len(shown) < len(lines):
        more = _("… {n} more: --all shows every one").format(n=count(len(lines) - len(shown)))
        yield screen.paint(f" {more}", QUIET)


def _pair_line(a: One, b: One, pair: Pair, aspects: Sequence[Aspect]) -> list[Word]:
    connection = a.connections[pair.a]
    return [
        Word(str(connection["number"])), Word(str(b.connections[pair.b]["number"])),
        *(Word(endpoint(connection, side), SIDES[side].style) for side in Side),
        Word(_(_BY[pair.by]), QUIET), Word(", ".join(_(ASPECTS[aspect]) for aspect in aspects), LOUD),
    ]  # fmt: skip


def _single_line(one: One, row: int, mark: Word, said: str) -> list[Word]:
    connection = one.connections[row]
    number, none = Word(str(connection["number"])), Word(mark.text, QUIET)
    ending = _ending(connection, one.endpoints[row])
    return [
        *((number, none) if mark == MINUS else (none, number)),
        *(Word(endpoint(connection, side), SIDES[side].style) for side in Side),
        Word(""), Word(" · ".join(filter(None, (said, ending.text))), mark.style),
    ]  # fmt: skip


def _ending(connection: Rows, endpoints: Rows) -> Word:
    return ENDINGS[Cause(cause_of(connection, *endpoints))]


def _table_line(line: list[Word], widths: list[int], screen: Screen) -> str:
    told = []
    for k, word in enumerate(line[:-1]):
        shown = shortened(word.text, widths[k]) if k in (2, 3) and ":" in word.text else fit(word.text, widths[k])
        laid = rjust(shown, widths[k]) if k < 2 else ljust(shown, widths[k])
        told.append(screen.paint(laid, word.style))
    left = screen.width - sum(widths) - 1 - 2 * len(widths)
    told.append(screen.paint(fit(line[-1].text, max(left, 8)), line[-1].style))
    return " " + "  ".join(told)


def detail(a: One, b: One, twins: Twins, screen: Screen, *, whole: bool) -> Iterator[str]:
    """What differs between the two of a pair, in sentences, and their packets side by side."""
    pair = twins.pair
    connections = a.connections[pair.a], b.connections[pair.b]
    yield screen.paint("─" * min(screen.width, _LONGEST_LINE), QUIET)
    for mark, name, connection, one, row in (
        (MINUS, "A", connections[0], a, pair.a), (PLUS, "B", connections[1], b, pair.b),
    ):  # fmt: skip
        room = (screen.width - 14) // 2
        ends = [shortened(endpoint(connection, side), room) for side in Side]
        client, server = (screen.paint(end, f"bold {SIDES[side].style}") for end, side in zip(ends, Side, strict=True))
        line = f" {screen.paint(name, mark.style)} {connection['number']}  {client} → {server}"
        used = cells(f" {name} {connection['number']}  {ends[0]} → {ends[1]}")
        packets = counted(int(one.endpoints[row]["packets"].sum()), "packet")
        for fact in (_ending(connection, one.endpoints[row]), Word(packets)):
            if fact.text and used + cells(fact.text) + 3 <= screen.width:
                line += f" · {screen.paint(fact.text, fact.style)}"
                used += cells(fact.text) + 3
        yield line
    yield ""
    width = min(screen.width, _LONGEST_LINE) - 1
    if _is_turned(*connections):
        told = _("Client and server are the other way round in B: there was no SYN to tell, or another one.")
        yield from wrap(told, width, " · ", "   ")
    for sentence, *below in sentences(twins):
        yield from wrap(sentence, width, " · ", "   ")
        yield from (fit(f"   {line}", screen.width) for line in below)
    yield ""
    shifts = [shifts_of(a.endpoints[pair.a]), shifts_of(b.endpoints[pair.b])]
    yield from _ladder(connections[0], twins, shifts, screen, whole=whole)


def _is_turned(one: Rows, other: Rows) -> bool:
    """Whether the two have the same ends, exchanged."""
    ends = [(endpoint(one, side), endpoint(other, Side(1 - side))) for side in Side]
    return all(first == second for first, second in ends) and endpoint(one, Side.CLIENT) != endpoint(other, Side.CLIENT)


def sentences(twins: Twins) -> Iterator[list[str]]:
    """All differences of a pair in words: a sentence each, and lines that stand below it."""
    for difference in twins.differences:
        below = []
        if difference.aspect == Aspect.STATES:
            below = [f"{name}  {_way(value)}" for name, value in zip("AB", difference[-2:], strict=True)]
        yield [_sentence(difference, twins), *below]
        if difference.aspect == Aspect.CAUSE:
            yield from ([f"{name}: {why}"] for name, why in zip("AB", twins.why, strict=True) if why)


def _sentence(difference: Difference, twins: Twins) -> str:
    aspect, side, what, a, b = difference
    who = SIDES[Side(side)].text if side >= 0 else ""
    match aspect:
        case Aspect.PHASES:
            return _("Phases: {a} in A, {b} in B.").format(a=_list(a), b=_list(b))
        case Aspect.STATES:
            return _("The {side} went another way through the states:").format(side=who)
        case Aspect.CLOSED_BY:
            return _("Closed first: {a} in A, {b} in B.").format(a=_closer(a), b=_closer(b))
        case Aspect.CAUSE:
            ends = [ENDINGS[Cause[str(value).upper()]].text or "–" for value in (a, b)]
            return _("Ended: {a} in A, {b} in B.").format(a=ends[0], b=ends[1])
        case Aspect.VERDICT:
            return _("Zeek's verdict: {a} in A, {b} in B.").format(a=a or "–", b=b or "–")
        case Aspect.HISTORY:
            return _("Zeek's history: {a} in A, {b} in B.").format(a=a or "–", b=b or "–")
        case Aspect.EVENTS:
            return _("{event} of the {side}: {a} in A, {b} in B.").format(event=_(what), side=who, a=a, b=b)
        case Aspect.COUNTERS:
            return _("{counter} of the {side}: {a} in A, {b} in B.").format(counter=what, side=who, a=a, b=b)
        case Aspect.SAID:
            return _said(difference, twins.partings.get(side))
        case Aspect.TIMES:
            return _(_TIMES[what]).format(a=duration(_number(a)), b=duration(_number(b)))
        case Aspect.OPTIONS:
            return _("The SYNs offer other options.")
        case Aspect.SEGMENTS:
            return _("Segments that are no pure ACKs: {a} in A, {b} in B; {first}.").format(
                a=a, b=b, first=_first_step(twins)
            )
        case Aspect.WINDOWS:
            return _("Windows: other values, {a} of them in A, {b} in B.").format(a=a, b=b)
        case Aspect.ACKS if what:
            return _("{counter} of the {side}: {a} in A, {b} in B.").format(counter=what, side=who, a=a, b=b)
        case _:
            return _("ACKs: {a} packets in A, {b} in B; {first}.").format(a=a, b=b, first=_first_step(twins))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _list(value: object) -> str:
    return ", ".join(_(str(name)) for name in value) if isinstance(value, list) and value else _("none")


def _way(value: object) -> str:
    return " → ".join(map(str, value)) if isinstance(value, list) and value else _("none")


def _closer(value: object) -> str:
    return (
        _("nobody") if value is None else _("both sides") if value == "both" else SIDES[Side[str(value).upper()]].text
    )


def _said(difference: Difference, parted: Parting | None) -> str:
    who = SIDES[Side(difference.side)].text
    lengths = [counted(_number(value), "byte") for value in (difference.a, difference.b)]
    if not parted:
        return _("The {side} said {a} in A, {b} in B.").format(side=who, a=lengths[0], b=lengths[1])
    shown = [excerpt(octets, len(octets), 40) or _("the end") for octets in (parted.a, parted.b)]
    return _("The {side} said {a} in A, {b} in B; from byte {offset} on {first} in A, {second} in B.").format(
        side=who, a=lengths[0], b=lengths[1], offset=count(parted.offset), first=shown[0], second=shown[1]
    )


def _first_step(twins: Twins) -> str:
    """The first packet that only one of the two has."""
    for step in twins.steps:
        if step.differs:
            if step.a >= 0:
                return _("packet {n} of A is not in B").format(n=int(twins.lives[0].number[step.a]))
            return _("packet {n} of B is not in A").format(n=int(twins.lives[1].number[step.b]))
    return _("they come in another order")


# ---------------------------------------------------------------- the packets


def shifts_of(endpoints: Rows) -> list[int]:
    """Both sides' window scales, which count where both offered one."""
    scales = [int(scale) for scale in endpoints["window_scale"]]
    return scales if min(scales) >= 0 else [0, 0]


def _ladder(
    connection: Rows, twins: Twins, shifts: Sequence[list[int]], screen: Screen, *, whole: bool
) -> Iterator[str]:
    if not any(step.differs for step in twins.steps):
        yield from wrap(_("Their packets are the same, as far as they are compared."), screen.width - 1, " ", " ")
        yield ""
        return
    is_tcp = connection["protocol"] == Protocol.TCP
    lives = tuple(map(segments, twins.lives))
    width = max(len(str(int(life.number[-1]))) for life in twins.lives) + 1
    grid = Lifelines(screen, max(width, 3), max(width, 4))
    painted = _Rows(lives, shifts, is_tcp, grid, screen)
    yield painted.heading(connection)
    shown = set(range(len(twins.steps))) if whole else _shown(twins.steps)
    has_noise = False
    hidden = 0
    for k, step in enumerate(twins.steps):
        if k not in shown:
            hidden += 1
            continue
        if hidden:
            yield grid.fold(" ", f"… {counted(hidden, 'packet')}", "")
            hidden = 0
        has_noise |= step.is_noise
        yield from painted.rows(step)
    if hidden:
        left = sum(step.differs for k, step in enumerate(twins.steps) if k not in shown)
        told = _("… {packets}, {n} of them differ: --all shows them").format(packets=counted(hidden, "packet"), n=left)
        yield grid.fold(" ", told if left else f"… {counted(hidden, 'packet')}", "")
    yield ""
    legend = _("− only in A · + only in B")
    if has_noise:
        legend += " · " + _("~ in one of them, which is compared by --strict alone")
    yield from (screen.paint(line, QUIET) for line in wrap(legend, screen.width - 1, " ", " "))
    yield ""


def _shown(some: Sequence[Step]) -> set[int]:
    """The places of the rows to show: what differs, and what stands around it."""
    shown: set[int] = set()
    for k, step in enumerate(some):
        if step.differs:
            around = range(max(k - CONTEXT, 0), min(k + CONTEXT + 1, len(some)))
            if len(shown.union(around)) > MOST_STEPS:
                break
            shown.update(around)
    return shown


class _Rows:
    """The rows of two lives between one pair of lifelines."""

    def __init__(
        self, lives: Sequence[list[Segment]], shifts: Sequence[list[int]], is_tcp: bool, grid: Lifelines, screen: Screen
    ) -> None:
        self._lives, self._shifts, self._is_tcp, self._grid, self._screen = lives, shifts, is_tcp, grid, screen

    def heading(self, connection: Rows) -> str:
        names = [Word(f"{SIDES[side].text} :{port(connection, side)}", "bold") for side in Side]
        return self._grid.row(" ", "A", "B", names[0], server=names[1], ends="╷╷")

    def rows(self, step: Step) -> Iterator[str]:
        """A packet's."""
        mark = NOISE if step.is_noise else MINUS if step.b < 0 else PLUS if step.a < 0 else Word(" ")
        which = 0 if step.a >= 0 else 1
        segment = self._lives[which][step.a if step.a >= 0 else step.b]
        numbers = [str(self._lives[k][at].number) if at >= 0 else "" for k, at in ((0, step.a), (1, step.b))]
        remarks = events_of(segment.events) if self._is_tcp else []
        side = Side(segment.side)
        shift = self._shifts[which][side]
        middle, left_out = arrow(segment, self._grid.inside, self._screen, shift, remarks, is_tcp=self._is_tcp)
        client, server = self._entered(which, step, segment)
        yield self._grid.row(
            self._screen.paint(mark.text, mark.style), numbers[0], numbers[1], client, middle, server,
            ends="├│" if side == Side.CLIENT else "│┤",
        )  # fmt: skip
        for word in left_out:
            yield self._grid.aside(self._screen.paint(mark.text, mark.style), marked(word), side, word.style)

    def _entered(self, which: int, step: Step, segment: Segment) -> list[str]:
        """The states that the packet moved the two sides to, in the life that has it."""
        if not self._is_tcp:
            return ["", ""]
        at = step.a if which == 0 else step.b
        before = self._lives[which][at - 1] if at else None
        now = segment.client_state, segment.server_state
        was = (before.client_state, before.server_state) if before else (-1, -1)
        return [STATES[State(new)].text if new != old else "" for new, old in zip(now, was, strict=True)]
