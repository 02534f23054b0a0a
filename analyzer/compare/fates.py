"""What became of each packet between two places."""

from __future__ import annotations

from collections import defaultdict
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from analyzer.compare.matching import identity_of
from analyzer.compare.places import A, B, Places, Whose, grouped
from analyzer.tables import I64


class Fate(IntEnum):
    """What became of a packet."""

    ARRIVED = 0
    LOST = 1
    """Seen where it was sent, and not at the other place, which captured at that time."""
    PARTLY_LOST = 2
    """A segment of which the other place has a part."""
    UNKNOWN = 3
    """The other place did not capture at that time, or nobody knows from where to where it went."""
    UNSEEN = 4
    """Seen where it arrived alone, though the place where it was sent captured then."""
    DUPLICATED = 5
    """Seen once more where it arrived than where it was sent."""
    COPY = 6
    """The capture where it was sent has it twice."""


class Trip(NamedTuple):
    """A packet between the places."""

    a: int
    """Its place among A's packets; -1 where A has it not."""
    b: int
    way: int
    """From A or from B; -1 not known."""
    fate: Fate
    delay_ns: int | None
    """By corrected clocks."""
    is_late: bool
    overtaken: int
    """How many packets of its direction came before it that were sent after it."""
    missing: int = 0
    """Octets that were lost of it."""


class Fates:
    """Tells them: of the packets that did not just arrive, or of all of one connection."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._overtaken = self._count_overtaken()

    def incidents(self) -> list[Trip]:
        """Of the packets that did not just arrive, in the order of A's clock."""
        places, found = self._places, self._places.found
        late = [places.delays[way].late_from if places.delays[way] else 0 for way in (A, B)]  # type: ignore[union-attr]
        is_late = (places.ways >= 0) & (places.delays_ns > np.array([*late, 0])[places.ways])
        has_missing = np.isin(found.a, list(found.missing_a)) | np.isin(found.b, list(found.missing_b))
        links = np.flatnonzero((is_late & found.is_whole) | (self._overtaken > 0) | has_missing)
        left = (trip for trips in self._left_of.values() for trip in trips)
        return self._in_order([*self._arrived(links), *left])

    def trips_of(self, whose: Whose) -> list[Trip]:
        """Of all packets of a connection, in the order of A's clock."""
        links = self._links_of.get(whose.row) if whose.place == A else None
        arrived = [] if links is None else self._arrived(links)
        return self._in_order([*arrived, *self._left_of.get(whose, ())])

    def whose(self, trip: Trip) -> Whose:
        """The connection that a packet belongs to."""
        a, b = self._places.captures
        if trip.a >= 0:
            return Whose(A, int(a.seen["row"][trip.a]))
        row_b = int(b.seen["row"][trip.b])
        return Whose(A, self._places.rows_b[row_b]) if row_b in self._places.rows_b else Whose(B, row_b)

    @cached_property
    def _links_of(self) -> dict[int, I64]:
        """Places of the pairs by the row of A's connection."""
        return dict(grouped(self._places.captures[A].seen["row"][self._places.found.a]))

    @cached_property
    def _left_of(self) -> dict[Whose, list[Trip]]:
        """What one capture alone has."""
        found: defaultdict[Whose, list[Trip]] = defaultdict(list)
        for trip in (*self._left_over(A), *self._left_over(B)):
            found[self.whose(trip)].append(trip)
        return found

    def _in_order(self, trips: list[Trip]) -> list[Trip]:
        """By A's clock, at the place where a packet was sent."""
        a, b = self._places.captures
        at_b = np.array([trip.b for trip in trips if _is_sent_at_b(trip)], np.int64)
        corrected = dict(zip(at_b.tolist(), self._places.corrected(b.seen["ts_ns"][at_b]).tolist(), strict=True))

        def departed(trip: Trip) -> tuple[int, Trip]:
            return corrected[trip.b] if _is_sent_at_b(trip) else int(a.seen["ts_ns"][trip.a]), trip

        return sorted(trips, key=departed)

    def _arrived(self, links: I64) -> list[Trip]:
        found = self._places.found
        trips = []
        columns = (found.a, found.b, self._places.ways, self._places.delays_ns, self._overtaken, found.is_whole)
        for one, other, way, delay, behind, is_whole in zip(*(c[links].tolist() for c in columns), strict=True):
            usual = self._places.delays[way] if way >= 0 else None
            missing = 0
            if way >= 0:
                sent = one if way == A else other
                missing = (found.missing_a if way == A else found.missing_b).get(sent, 0)
                missing *= bool(self._places.both_captured(way, np.array([sent]))[0])
            is_late = bool(usual and is_whole and delay > usual.late_from)
            known = delay if way >= 0 and self._places.clock else None
            fate = Fate.PARTLY_LOST if missing else Fate.ARRIVED
            trips.append(Trip(one, other, way, fate, known, is_late, behind, missing))
        return trips

    def _count_overtaken(self) -> I64:
        """For each pair how many packets sent later in its direction arrived before it."""
        a, b = self._places.captures
        found = self._places.found
        counts = np.zeros(len(found.a), np.int64)
        times = a.seen["ts_ns"][found.a], b.seen["ts_ns"][found.b]
        is_from_a = self._places.ways == A
        sent, came = np.where(is_from_a, *times), np.where(is_from_a, *times[::-1])
        place_sent, place_came = np.where(is_from_a, found.a, found.b), np.where(is_from_a, found.b, found.a)
        usable = np.flatnonzero(found.is_whole & (self._places.ways >= 0))
        for _flow, here in grouped(self._places.flows.of[A][found.a[usable]]):
            links = usable[here]
            arrival = links[np.lexsort((place_came[links], came[links]))]
            departures = np.argsort(np.lexsort((place_sent[arrival], sent[arrival])), kind="stable")
            for k in np.flatnonzero(departures < np.maximum.accumulate(departures)).tolist():
                counts[arrival[k]] = int((departures[:k] > departures[k]).sum())
        return counts

    def _left_over(self, which: int) -> list[Trip]:
        """Packets that one capture alone has, of flows that both have."""
        capture, found = self._places.captures[which], self._places.found
        flows = self._places.flows.of[which]
        is_matched = np.zeros(len(flows), np.bool_)
        is_matched[found.a if which == A else found.b] = True
        left = np.flatnonzero((flows >= 0) & ~is_matched)
        if not len(left):
            return []
        of_left = np.flatnonzero(np.isin(flows, np.unique(flows[left])))
        identity = np.zeros(len(flows), np.uint64)
        identity[of_left] = identity_of(capture.seen[of_left], flows[of_left], capture.seen["sum"][of_left])
        is_again = np.isin(identity[left], identity[of_left][is_matched[of_left]])
        ways = self._places.flow_ways[flows[left]]
        is_sent_here = ways == which
        fates = np.full(len(left), Fate.UNKNOWN, np.int64)
        fates[is_sent_here & self._places.both_captured(which, left)] = Fate.LOST
        fates[is_sent_here & is_again & (capture.seen["is_copy"][left] > 0)] = Fate.COPY
        is_sent_there = (ways >= 0) & ~is_sent_here
        fates[is_sent_there & self._places.both_captured(which, left, is_arrival=True)] = Fate.UNSEEN
        fates[is_sent_there & is_again] = Fate.DUPLICATED
        return [
            Trip(at if which == A else -1, at if which == B else -1, way, Fate(fate), None, False, 0)
            for at, way, fate in zip(left.tolist(), ways.tolist(), fates.tolist(), strict=True)
        ]


def _is_sent_at_b(trip: Trip) -> bool:
    return trip.a < 0 or (trip.way == B and trip.b >= 0)
