"""The same traffic at two places: clocks, delays, what got lost on the way; and a ladder between the places.

       4 0.000631 ├─ PSH 1:6 (5) ack 1 "clien" ─▶│ 0.000651    4
       5 0.000688 ├─ PSH 6:9 (3) ack 1 ─────✗    │

The lifelines are the places where A and B were captured, with the number and the time that a packet has in each; B's
times are by A's clock, as far as the clocks' offset is known. A packet that comes late, or is overtaken, has a row
where it leaves and one where it arrives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from analyzer import language
from analyzer.compare.changes import Change
from analyzer.compare.clocks import Clock, Delays
from analyzer.compare.fates import Fate, Trip
from analyzer.compare.places import A, B, Evidence, Whose
from analyzer.compare.vantage import Vantage
from analyzer.language import _, text
from analyzer.render.addresses import endpoint, shortened
from analyzer.render.arrow import arrow
from analyzer.render.comparison import CONTEXT, MOST_STEPS, One, shifts_of, titles
from analyzer.render.quantities import count, counted, duration, seconds, seconds_decimals
from analyzer.render.screen import Screen, cells, fit, ljust, rjust
from analyzer.render.segment import Segment
from analyzer.render.words import LOUD, QUIET, SIDES, Word
from analyzer.render.wrapping import wrap
from analyzer.tables import Protocol, Rows, Side

_LONGEST_LINE = 100
_WIDEST = 140

_WAYS = ("A → B", "B → A")

_EVIDENCE = {
    Evidence.TTL: text("the times to live fall that way"),
    Evidence.DELAYS: text("what each of the two sends is seen earlier at its own end"),
}

_CHANGES = {
    "mss": text("MSS"),
    "window_scale": text("window scale"),
    "sack_permitted": text("the SACK-permitted option"),
    "sack": text("the SACK option"),
    "timestamps": text("the timestamps option"),
    "other_options": text("other options"),
    "window": text("window"),
    "ecn": text("ECN bits of IP"),
    "ece_cwr": text("ECE and CWR"),
    "dscp": text("DSCP"),
}

_HEADINGS = (
    text("way"), text("packets"), text("least"), text("median"), text("95 %"), text("longest"), text("lost"),
    text("late"), text("overtaken"), text("twice"),
)  # fmt: skip


_DISPENSABLE = (4, 2)
"""Columns that are left out on a narrow screen."""


def is_untroubled(told: Vantage) -> bool:
    """Whether every packet arrived, once, in order and unchanged; late ones arrived. Where no packet is in both, or one
    is missing of which nobody knows the way, none is known to."""
    fates = Fate.LOST, Fate.PARTLY_LOST, Fate.UNSEEN, Fate.DUPLICATED
    is_strange = any(trip.fate in fates or trip.overtaken > 0 for trip in told.incidents)
    return told.common > 0 and not is_strange and not told.changes and not any(told.missed)


def summary(a: One, b: One, told: Vantage, screen: Screen) -> Iterator[str]:
    """Both captures, their clocks, the ways between them and what happened there."""
    yield from titles(a, b, screen)
    width = min(screen.width, _LONGEST_LINE)
    for sentence in _sentences(a, told):
        yield from wrap(sentence, width)
    yield ""
    if told.clock:
        yield from _ways(told, screen)
        yield ""
    for sentence in _changes(told.changes):
        yield from wrap(sentence, width, " · ", "   ")
    if told.changes:
        yield ""


def _sentences(a: One, told: Vantage) -> Iterator[str]:
    if not told.common:
        yield _("No packet is in both captures: addresses and ports must be the same (no NAT between the places).")
        return
    yield _("{packets} of A are in B too.").format(packets=counted(told.common, "packet"))
    if any(told.only):
        others = _("Of connections that the other capture does not have: {a} in A, {b} in B.")
        yield others.format(a=counted(told.only[A], "packet"), b=counted(told.only[B], "packet"))
    if any(told.missed):
        yield _(
            "In one capture alone, though the other captured then too, and nobody knows which way they went: {a} in A, "
            "{b} in B. They may be lost."
        ).format(a=counted(told.missed[A], "packet"), b=counted(told.missed[B], "packet"))
    yield from _where(a, told)
    if told.clock:
        yield from _clock(told.clock)
    if unknown := sum(trip.way >= 0 for trip in told.of(Fate.UNKNOWN)):
        outside = _("{packets} in one capture alone from a time when the other did not capture: not counted.")
        yield outside.format(packets=counted(unknown, "packet"))
    if copies := len(told.of(Fate.COPY)):
        yield _("{packets} are copies that a capture made: not counted.").format(packets=counted(copies, "packet"))


def _where(a: One, told: Vantage) -> Iterator[str]:
    """At whose end each capture was made, in one sentence where it is the same for all."""
    kinds = Counter(told.places.values())
    for place, connections in kinds.most_common():
        if place.evidence == Evidence.NOTHING:
            said = _(
                "? Nobody knows at whose end A and B were captured, neither times to live nor delays tell: it is taken "
                "as if A were nearer to the client."
            )
        else:
            ends = ("A", "B") if place.client_at == A else ("B", "A")
            said = _("{near} was captured nearer to the client, {far} nearer to the server: {evidence}.").format(
                near=ends[0], far=ends[1], evidence=_(_EVIDENCE[place.evidence])
            )
        if len(kinds) > 1:
            said = f"{counted(connections, 'connection')}: {said}"
        yield said


def _clock(clock: Clock) -> Iterator[str]:
    ahead = clock.offset_ns >= 0
    offset = exact(abs(clock.offset_ns), clock.uncertainty_ns)
    if clock.uncertainty_ns is None:
        yield _(
            "? The clocks' offset: packets of one direction alone are in both captures, so it is taken as if the "
            "fastest one took no time ({offset})."
        ).format(offset=offset)
        return
    told = _(
        "B's clock is {offset} ahead of A's, ± {uncertainty}: half of the shortest round trip between the places. It "
        "is taken as if the shortest delays both ways were alike."
    )
    if not ahead:
        told = _(
            "B's clock is {offset} behind A's, ± {uncertainty}: half of the shortest round trip between the places. It "
            "is taken as if the shortest delays both ways were alike."
        )
    if abs(clock.offset_ns) <= clock.uncertainty_ns:
        told = _(
            "The clocks agree, ± {uncertainty}: half of the shortest round trip between the places. It is taken as if "
            "the shortest delays both ways were alike."
        )
    yield told.format(offset=offset, uncertainty=duration(clock.uncertainty_ns))
    if clock.drift:
        gained = _("The clocks drift: B's gains {ppm} µs in a second; this is taken off.")
        yield gained.format(ppm=f"{clock.drift * 1e6:+.1f}")
    if not clock.is_consistent:
        yield _(
            "? No steady drift explains the times: a clock was set during the capture, or the places are nearer to "
            "each other than the clocks are exact."
        )


def exact(ns: int, uncertainty_ns: int | None) -> str:
    """A time to the digit that its uncertainty leaves: ``3.20413 s``."""
    coarse = 10 ** max(len(str(uncertainty_ns or 1)) - 1, 0)
    ns = (ns + coarse // 2) // coarse * coarse
    unit, name = next(((unit, name) for unit, name in _UNITS if ns >= unit), (1, "ns"))
    whole, part = divmod(ns, unit)
    digits = len(str(unit)) - len(str(coarse))
    return f"{whole}.{part // coarse:0{digits}d} {name}" if digits > 0 else f"{whole} {name}"


_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))


def _ways(told: Vantage, screen: Screen) -> Iterator[str]:
    rows = [[Word(_(heading), QUIET) for heading in _HEADINGS]]
    for way, delays in enumerate(told.delays):
        if not delays:
            continue
        here = [trip for trip in told.incidents if trip.way == way]
        fates = Counter(trip.fate for trip in here)
        lost = fates[Fate.LOST] + fates[Fate.PARTLY_LOST]
        wrong = [lost, sum(trip.is_late for trip in here), sum(trip.overtaken > 0 for trip in here)]
        wrong.append(fates[Fate.DUPLICATED])
        rows.append(
            [Word(_WAYS[way]), Word(count(delays.packets)), *map(Word, _figures(delays))]
            + [Word(count(number), LOUD if number else QUIET) for number in wrong]
        )
    widths = [max(cells(row[k].text) for row in rows) for k in range(len(_HEADINGS))]
    shown = list(range(len(widths)))
    for dispensable in _DISPENSABLE:
        if sum(widths[k] + 1 for k in shown) > screen.width:
            shown.remove(dispensable)
    gap = "  " if sum(widths[k] + 2 for k in shown) <= screen.width else " "
    for row in rows:
        laid = [(ljust if k == 0 else rjust)(row[k].text, widths[k]) for k in shown]
        yield f" {gap.join(screen.paint(text, row[k].style) for text, k in zip(laid, shown, strict=True))}"
    for way, hops in enumerate(told.hops):
        if hops:
            said = language.counted(
                "{way}: {n} router between the places.", "{way}: {n} routers between the places.", hops
            )
            yield f" {said.format(way=_WAYS[way], n=hops)}"
    for way in (A, B):
        unseen = sum(trip.way == way and trip.fate == Fate.UNSEEN for trip in told.incidents)
        if unseen:
            said = _("{way}: {packets} seen at the end of the way alone, though both captured then.")
            yield from wrap(said.format(way=_WAYS[way], packets=counted(unseen, "packet")), screen.width - 1, " ", " ")


def _figures(delays: Delays) -> list[str]:
    return [duration(ns) for ns in (delays.least, delays.median, delays.most_usual, delays.longest)]


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        what, where = _(_CHANGES[change.what]), _WAYS[change.way]
        if change.came is None:
            said = _("{way}: {what} was taken off {packets}, first {first}.")
        elif change.sent is None:
            said = _("{way}: {what} was put into {packets}, first {first}.")
        else:
            said = _("{way}: {what} {sent} became {came} in {packets}, first {first}.")
        yield said.format(
            way=where, what=what, sent=change.sent, came=change.came, first=change.packets[0],
            packets=counted(len(change.packets), "packet"),
        )  # fmt: skip


# ---------------------------------------------------------------- one connection


class Journey(NamedTuple):
    """A trip with what the ladder tells of it."""

    trip: Trip
    segment: Segment
    number_a: int
    """Numbers and times in the captures, times by A's clock; those of a capture that has it not say nothing."""
    number_b: int
    at_a: int
    at_b: int


def connection_table(captures: tuple[One, One], told: Vantage, whose: Iterable[Whose], screen: Screen) -> Iterator[str]:
    """A line for each connection in which something happened; those that B alone has come last."""
    found: dict[Whose, Counter[str]] = {}
    for one, trip in zip(whose, told.incidents, strict=True):
        for word in words_of(trip):
            found.setdefault(one, Counter())[word.text] += 1
    for one, happened in sorted(found.items()):
        connection = captures[one.place].connections[one.row]
        ends = " → ".join(screen.paint(shortened(endpoint(connection, side), 24), SIDES[side].style) for side in Side)
        facts = ", ".join(f"{count(n)} {what}" for what, n in happened.most_common())
        room = screen.width - 9 - sum(cells(shortened(endpoint(connection, side), 24)) for side in Side) - cells(" → ")
        yield f" {number_of(connection, one.place):>5}  {ends}  {screen.paint(fit(facts, max(room, 12)), LOUD)}"


def number_of(connection: Rows, place: int) -> str:
    """A connection's number; with B's name where A has it not."""
    return f"B {connection['number']}" if place == B else f"{connection['number']}"


def words_of(trip: Trip) -> list[Word]:
    """What happened to a packet."""
    fates = {
        Fate.LOST: _("lost"),
        Fate.PARTLY_LOST: _("partly lost"),
        Fate.UNSEEN: _("not seen where it was sent"),
        Fate.DUPLICATED: _("arrived twice"),
    }
    words = [Word(fates[trip.fate], LOUD)] if trip.fate in fates else []
    if trip.is_late:
        words.append(Word(_("late"), LOUD))
    if trip.overtaken:
        words.append(Word(_("overtaken"), LOUD))
    return words


def ladder(
    capture: One, whose: Whose, journeys: Sequence[Journey], client_at: int, screen: Screen, *, whole: bool
) -> Iterator[str]:
    """A connection between the places; what just arrived is left out unless something happened near, or ``whole``.

    ``capture`` is the one in whose tables the connection is.
    """
    grid = _Grid(capture, whose, journeys, client_at, screen)
    yield from grid.heading()
    rows = grid.rows()
    shown = set(range(len(rows))) if whole or len(rows) <= MOST_STEPS else _shown(rows)
    hidden = 0
    for k, (_ts_ns, journey, is_arrival) in enumerate(rows):
        if k not in shown:
            hidden += 1
            continue
        if hidden:
            yield screen.paint(f" … {counted(hidden, 'packet')}", QUIET)
            hidden = 0
        yield from grid.row(journey, is_arrival)
    if hidden:
        yield screen.paint(f" … {counted(hidden, 'packet')}", QUIET)
    yield ""


_Row = tuple[int, Journey, bool]


def _shown(rows: Sequence[_Row]) -> set[int]:
    shown: set[int] = set()
    for k, (_ts_ns, journey, _is_arrival) in enumerate(rows):
        if words_of(journey.trip) and len(shown) < MOST_STEPS:
            shown.update(range(max(k - CONTEXT, 0), min(k + CONTEXT + 1, len(rows))))
    return shown or set(range(min(len(rows), 2 * CONTEXT)))


class _Grid:
    def __init__(self, capture: One, whose: Whose, journeys: Sequence[Journey], client_at: int, screen: Screen) -> None:
        self._connection, self._place = capture.connections[whose.row], whose.place
        self._journeys, self._client_at, self._screen = journeys, client_at, screen
        self._shifts = shifts_of(capture.endpoints[whose.row])
        self._is_tcp = self._connection["protocol"] == Protocol.TCP
        times = [at for one in journeys for at, trip in ((one.at_a, one.trip.a), (one.at_b, one.trip.b)) if trip >= 0]
        self._first = min(times)
        self._decimals = seconds_decimals(max(times) - self._first)
        self._time_width = max(len(self._time(max(times))), 8)
        self._number_width = max(len(str(max(one.number_a, one.number_b))) for one in journeys) + 1
        self._number_width = max(self._number_width, 4)
        self._width = min(screen.width, _WIDEST)
        self._inside = self._width - 2 * (self._number_width + self._time_width + 3) - 1
        self._told: set[tuple[int, int]] = set()

    def heading(self) -> Iterator[str]:
        """Who it is between, and where the lifelines begin."""
        paint = self._screen.paint
        yield paint("─" * min(self._width, _LONGEST_LINE), QUIET)
        room = (self._width - 20) // 2
        ends = [shortened(endpoint(self._connection, side), room) for side in Side]
        painted = [paint(end, f"bold {SIDES[side].style}") for end, side in zip(ends, Side, strict=True)]
        yield f" {paint(number_of(self._connection, self._place), 'bold')}  {' → '.join(painted)}"
        yield ""
        near = ["", ""]
        if self._client_at >= 0:
            near[self._client_at], near[1 - self._client_at] = (SIDES[side].text for side in Side)
        left = rjust(" · ".join(filter(None, ("A", near[A]))), self._number_width + self._time_width + 2)
        right = " · ".join(filter(None, ("B", near[B])))
        yield f"{paint(fit(left, self._number_width + self._time_width + 2), 'bold')} ╷{' ' * self._inside}╷ {right}"

    def rows(self) -> list[_Row]:
        """What is told, in order; whether it is an arrival alone."""
        rows: list[_Row] = []
        for journey in self._journeys:
            trip = journey.trip
            departs, arrives = (journey.at_b, journey.at_a) if trip.way == B else (journey.at_a, journey.at_b)
            if trip.a < 0 or trip.b < 0:
                departs = journey.at_a if trip.b < 0 else journey.at_b
            rows.append((departs, journey, False))
            if _is_slanted(trip):
                rows.append((arrives, journey, True))
        return sorted(rows, key=lambda row: row[0])

    def row(self, journey: Journey, is_arrival: bool) -> Iterator[str]:
        """A packet's row."""
        trip, paint = journey.trip, self._screen.paint
        is_rightward = trip.way == A or (trip.way < 0 and trip.a >= 0)
        shows_a, shows_b = trip.a >= 0, trip.b >= 0
        if _is_slanted(trip):
            shows_a, shows_b = (shows_a and is_rightward != is_arrival, shows_b and is_rightward == is_arrival)
        sent = (A, trip.a) if is_rightward else (B, trip.b)
        if sent in self._told and not is_arrival:  # another part of the same segment
            shows_a, shows_b = shows_a and not is_rightward, shows_b and is_rightward
        self._told.add(sent)
        middle = self._arrow(journey, is_rightward, is_arrival)
        left = f"{journey.number_a:>{self._number_width}}" if shows_a else " " * self._number_width
        left += f" {self._time(journey.at_a):>{self._time_width}}" if shows_a else " " * (self._time_width + 1)
        right = f"{self._time(journey.at_b):>{self._time_width}} " if shows_b else " " * (self._time_width + 1)
        right += f"{journey.number_b:>{self._number_width}}" if shows_b else ""
        begins = is_rightward and not is_arrival
        ends = ("├", "│") if begins else ("│", "┤") if not is_rightward and not is_arrival else ("│", "│")
        mark = words_of(trip) or (trip.fate == Fate.UNKNOWN and [Word("?", QUIET)])
        bar = paint("▌", LOUD if mark and mark[0].style == LOUD else QUIET) if mark else " "
        if trip.fate == Fate.UNKNOWN:
            bar = paint("?", QUIET)
        yield f"{bar}{left} {ends[0]}{middle}{ends[1]} {right}"

    def _arrow(self, journey: Journey, is_rightward: bool, is_arrival: bool) -> str:
        trip, inside = journey.trip, self._inside
        side = Side.CLIENT if is_rightward else Side.SERVER
        segment = journey.segment._replace(side=side, events=0)
        paint = self._screen.paint
        remarks = [] if is_arrival else words_of(trip)
        if is_arrival:
            number = journey.number_a if is_rightward else journey.number_b
            said = _("{n} arrives, {delay} later").format(n=number, delay=duration(trip.delay_ns or 0))
            label = fit(f" {said} ", inside - 8)
            shaft = "─" * (inside - cells(label) - 5)
            drawn = f"   ╲{label}{shaft}▶" if is_rightward else f"◀{shaft}{label}╱   "
            return paint(drawn, LOUD)
        room = inside
        if trip.fate in (Fate.LOST, Fate.UNKNOWN) or _is_slanted(trip):
            room = max(inside * 3 // 4, 12)
        shift = self._shifts[journey.segment.side]
        middle, _left_out = arrow(segment, room, self._screen, shift, remarks, is_tcp=self._is_tcp)
        blank = " " * (inside - room)
        head = "✗" if trip.fate == Fate.LOST else "?" if trip.fate == Fate.UNKNOWN else ""
        if _is_slanted(trip):
            head = "╲" if is_rightward else "╱"
        if trip.fate in (Fate.UNSEEN, Fate.DUPLICATED) and not trip.overtaken:
            head = ""
        if head:
            old = "▶" if is_rightward else "◀"
            middle = head.join(middle.rsplit(old, 1)) if is_rightward else middle.replace(old, head, 1)
        return middle + blank if is_rightward else blank + middle

    def _time(self, ts_ns: int) -> str:
        return seconds(ts_ns - self._first, self._decimals)


def _is_slanted(trip: Trip) -> bool:
    """Whether a packet has a row where it leaves and one where it arrives."""
    return (trip.is_late or trip.overtaken > 0) and trip.a >= 0 and trip.b >= 0


def journeys_of(
    trips: Sequence[Trip], segments: tuple[Mapping[int, Segment], Mapping[int, Segment]],
    numbers: tuple[Rows, Rows], corrected: Sequence[int],
) -> list[Journey]:  # fmt: skip
    """Trips with their segments, which are found by the packets' numbers; those that no Life kept are left out.

    ``numbers`` are the SEEN rows of A and of B; ``corrected`` are the times of the trips' packets in B, by A's clock.
    """
    journeys = []
    parts: Counter[tuple[int, int]] = Counter()
    for trip, at_b in zip(trips, corrected, strict=True):
        number_a, number_b = (
            int(rows["number"][at]) if at >= 0 else 0 for rows, at in zip(numbers, (trip.a, trip.b), strict=True)
        )
        sender = B if trip.way == B else A
        sent = sender, (number_a, number_b)[sender]
        parts[sent] += 1
        order = (sender, 1 - sender) if parts[sent] == 1 else (1 - sender, sender)
        named = [segments[which].get((number_a, number_b)[which]) for which in order]
        segment = next((one for one in named if one), None)
        if segment:
            at_a = int(numbers[A]["ts_ns"][trip.a]) if trip.a >= 0 else 0
            journeys.append(Journey(trip, segment, number_a, number_b, at_a, at_b))
    return journeys
