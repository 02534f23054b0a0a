"""The same traffic captured at two places: what became of each packet between them.

Where a host is, nearer to A or to B, is told by the times to live, which only fall on the way, or by the times: what
the host sends gains on its way from A to B, what is sent to it gains less, whatever the clocks. Where neither tells, A
is taken for the client's end.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.compare.clocks import Clock, Delays, clock_between, delays_of
from analyzer.compare.matching import flows_of, identity_of, matched
from analyzer.tables import (
    CWR,
    ECE,
    HAS_MSS,
    HAS_OTHER_OPTION,
    HAS_SACK,
    HAS_SACK_PERMITTED,
    HAS_TIMESTAMPS,
    HAS_WINDOW_SCALE,
    I64,
    Rows,
    Side,
)

Bools = npt.NDArray[np.bool_]

A, B = 0, 1


class Evidence(StrEnum):
    """How it is known where hosts are."""

    TTL = "ttl"
    DELAYS = "delays"
    NOTHING = "nothing"


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


class Change(NamedTuple):
    """Something that is other at the far place."""

    way: int
    what: str
    """``mss``, ``window_scale``, ``window``, ``ecn``, ``dscp``, ``ip_id``, or an option's name."""
    sent: int | None
    """None: it was not there."""
    came: int | None
    packets: list[int]
    """The numbers of the packets, where they were sent."""


class Place(NamedTuple):
    """Where the hosts are, seen from one connection."""

    client_at: int
    """Nearer to A or to B; where nothing tells, it is taken for the one at A. -1 where no packet is in both."""
    evidence: Evidence


class Vantage(NamedTuple):
    """Everything that is known of two captures of the same traffic."""

    clock: Clock | None
    """None: no packet is in both, or nobody knows which way one went."""
    delays: tuple[Delays | None, Delays | None]
    """Of packets from A, and from B."""
    hops: tuple[int | None, int | None]
    """What the time to live falls by on these ways."""
    incidents: list[Trip]
    """Of the packets that did not just arrive, in the order of A's clock."""
    changes: list[Change]
    places: dict[int, Place]
    """By the row of A's connection."""
    rows_b: dict[int, int]
    """Row of A's connection for each of B's."""
    common: int
    """Packets in both."""
    only: tuple[int, int]
    """Packets of connections that the other capture has nothing of."""

    def of(self, fate: Fate) -> list[Trip]:
        """The trips that ended so."""
        return [trip for trip in self.incidents if trip.fate == fate]


class Capture(NamedTuple):
    """One of the two."""

    connections: Rows
    seen: Rows
    """SEEN rows."""
    first_ns: int
    """Of all that was captured."""
    last_ns: int


class Between:
    """Finds each packet of A in B; ``told`` says what became of them, ``trips_of`` those of one connection."""

    def __init__(self, a: Capture, b: Capture) -> None:
        self._captures = a, b
        self._number_flows()
        self._found = matched(a.seen, b.seen, self._flows[A], self._flows[B], self._typical)
        self._gained = b.seen["ts_ns"][self._found.b] - a.seen["ts_ns"][self._found.a]
        self._find_places()
        self._set_clocks()

    # ------------------------------------------------------------ who is who

    def _number_flows(self) -> None:
        """A number for each direction that both captures have, and for each pair of hosts."""
        names = [flows_of(capture.connections) for capture in self._captures]
        common = {name: number for number, name in enumerate(sorted(set(names[A]) & set(names[B])))}
        self._flows = tuple(
            np.array([common.get(name, -1) for name in names[which]] or [-1], np.int64)[
                2 * capture.seen["row"] + capture.seen["side"] if len(names[which]) else np.zeros(0, np.int64)
            ]
            for which, capture in enumerate(self._captures)
        )
        hosts: dict[tuple[bytes, bytes], int] = {}
        self._hosts = np.zeros(max(len(common), 1), np.int64)
        self._from_lower = np.zeros(max(len(common), 1), np.bool_)
        self._from_client = np.zeros(max(len(common), 1), np.bool_)
        for name, number in common.items():
            source, target = name[1:17], name[19:35]
            if source == target:  # one host talks to itself: each connection is for itself
                source, target = name[1:19], name[19:37]
            self._hosts[number] = hosts.setdefault((min(source, target), max(source, target)), len(hosts))
            self._from_lower[number] = source < target
        self._host_pairs = len(hosts)
        rows_a: dict[bytes, int] = {}
        for k, name in enumerate(names[A]):
            rows_a.setdefault(name, k // 2)
            if name in common:
                self._from_client[common[name]] = k % 2 == Side.CLIENT
        self._rows_b = {k // 2: rows_a[name] for k, name in enumerate(names[B]) if name in rows_a}

    def _typical(self, one: I64, other: I64) -> npt.NDArray[np.float64]:
        """What each flow's packets usually gain: the median of all with the same hosts and direction."""
        a, b = self._captures
        gained = (b.seen["ts_ns"][other] - a.seen["ts_ns"][one]).astype(np.float64)
        kinds = 2 * self._hosts + self._from_lower
        medians = np.full(int(kinds.max()) + 1, np.nan)
        for kind, theirs in _grouped(kinds[self._flows[A][one]]):
            medians[kind] = np.median(gained[theirs])
        found: npt.NDArray[np.float64] = medians[kinds]
        return found

    def _find_places(self) -> None:
        """For each flow whether it goes from A to B or from B to A; -1 where no packet of it is in both."""
        a, b = self._captures
        found = self._found
        self._ways = np.full(len(self._hosts), -1, np.int64)
        self._evidence: dict[int, Evidence] = {}
        flows = self._flows[A][found.a]
        fall = a.seen["ttl"][found.a].astype(np.int64) - b.seen["ttl"][found.b]
        flows_of_hosts = dict(_grouped(self._hosts))
        for hosts, links in _grouped(self._hosts[flows]):
            whole = links[found.is_whole[links]]
            is_lower = self._from_lower[flows[whole]]
            ways = whole[is_lower], whole[~is_lower]
            near_a, self._evidence[hosts] = _lower_is_near_a(
                (fall[ways[0]], fall[ways[1]]),
                (a.seen["ts_ns"][found.a[ways[0]]], a.seen["ts_ns"][found.a[ways[1]]]),
                (self._gained[ways[0]], self._gained[ways[1]]),
            )
            of_hosts = flows_of_hosts[hosts]
            if near_a is None:  # as if A were at the client's end
                near_a = bool((self._from_client[of_hosts] == self._from_lower[of_hosts]).mean() >= 0.5)
            self._ways[of_hosts] = np.where(self._from_lower[of_hosts] == near_a, A, B)

    def _set_clocks(self) -> None:
        a = self._captures[A]
        found = self._found
        ways = self._ways[self._flows[A][found.a]]
        use = found.is_whole & (ways >= 0)
        if not use.any():
            use = ways >= 0
        times = a.seen["ts_ns"][found.a]
        self._clock: Clock | None = None
        if use.any():
            forth, back = use & (ways == A), use & (ways == B)
            self._clock = clock_between(times[forth], self._gained[forth], times[back], self._gained[back])
        self._link_ways = ways
        self._link_delays = np.zeros(len(found.a), np.int64)
        if self._clock:
            gained = self._gained - self._clock.offset_at(times)
            self._link_delays = np.where(ways == B, -gained, gained)
        usual = [delays_of(self._link_delays[found.is_whole & (ways == way)]) for way in (A, B)]
        self._delays = usual[A], usual[B]

        self._overtaken = self._count_overtaken()

    # ------------------------------------------------------------ what became of packets

    def told(self) -> Vantage:
        """All that became of them, but for the packets that just arrived."""
        found = self._found
        late = [self._delays[way].late_from if self._delays[way] else 0 for way in (A, B)]  # type: ignore[union-attr]
        is_late = (self._link_ways >= 0) & (self._link_delays > np.array([*late, 0])[self._link_ways])
        has_missing = np.isin(found.a, list(found.missing_a)) | np.isin(found.b, list(found.missing_b))
        links = np.flatnonzero((is_late & found.is_whole) | (self._overtaken > 0) | has_missing)
        left = (trip for trips in self._left_of.values() for trip in trips)
        incidents = self._in_order([*self._arrived(links), *left])
        only = tuple(int((flows < 0).sum()) for flows in self._flows)
        return Vantage(
            self._clock, self._delays, (self._hops(A), self._hops(B)), incidents, self._changes(), self._places(),
            self._rows_b, len(np.unique(found.a)), (only[A], only[B]),
        )  # fmt: skip

    def trips_of(self, row: int) -> list[Trip]:
        """Of all packets of the connection in this row of A's, and of B's with its ends."""
        links = self._links_of.get(row)
        arrived = [] if links is None else self._arrived(links)
        return self._in_order([*arrived, *self._left_of.get(row, ())])

    @cached_property
    def _links_of(self) -> dict[int, I64]:
        """Places of the pairs by the row of A's connection."""
        return dict(_grouped(self._captures[A].seen["row"][self._found.a]))

    @cached_property
    def _left_of(self) -> dict[int, list[Trip]]:
        """What one capture alone has, by the row of A's connection."""
        found: defaultdict[int, list[Trip]] = defaultdict(list)
        for trip in (*self._left_over(A), *self._left_over(B)):
            found[self.row_of(trip)].append(trip)
        return found

    def row_of(self, trip: Trip) -> int:
        """Row of A's connection that a packet belongs to."""
        a, b = self._captures
        return int(a.seen["row"][trip.a]) if trip.a >= 0 else self._rows_b[int(b.seen["row"][trip.b])]

    def _in_order(self, trips: list[Trip]) -> list[Trip]:
        """By A's clock, at the place where a packet was sent."""
        a, b = self._captures
        at_b = np.array([trip.b for trip in trips if trip.a < 0 or (trip.way == B and trip.b >= 0)], np.int64)
        corrected = dict(zip(at_b.tolist(), self.corrected(b.seen["ts_ns"][at_b]).tolist(), strict=True))

        def departed(trip: Trip) -> tuple[int, Trip]:
            is_at_b = trip.a < 0 or (trip.way == B and trip.b >= 0)
            return corrected[trip.b] if is_at_b else int(a.seen["ts_ns"][trip.a]), trip

        return sorted(trips, key=departed)

    def corrected(self, ts_ns: I64) -> I64:
        """Times of B on A's clock, as far as that is known."""
        return self._clock.to_a(ts_ns) if self._clock else ts_ns

    def _arrived(self, links: I64) -> list[Trip]:
        found = self._found
        trips = []
        columns = (found.a, found.b, self._link_ways, self._link_delays, self._overtaken, found.is_whole)
        for one, other, way, delay, behind, is_whole in zip(*(c[links].tolist() for c in columns), strict=True):
            usual = self._delays[way] if way >= 0 else None
            missing = 0
            if way >= 0:
                sent = one if way == A else other
                missing = (found.missing_a if way == A else found.missing_b).get(sent, 0)
                missing *= bool(self._both_captured(way, np.array([sent]))[0])
            is_late = bool(usual and is_whole and delay > usual.late_from)
            known = delay if way >= 0 and self._clock else None
            fate = Fate.PARTLY_LOST if missing else Fate.ARRIVED
            trips.append(Trip(one, other, way, fate, known, is_late, behind, missing))
        return trips

    def _count_overtaken(self) -> I64:
        """For each pair how many packets sent later in its direction arrived before it."""
        a, b = self._captures
        found = self._found
        counts = np.zeros(len(found.a), np.int64)
        times = a.seen["ts_ns"][found.a], b.seen["ts_ns"][found.b]
        is_from_a = self._link_ways == A
        sent, came = np.where(is_from_a, *times), np.where(is_from_a, *times[::-1])
        place_sent, place_came = np.where(is_from_a, found.a, found.b), np.where(is_from_a, found.b, found.a)
        usable = np.flatnonzero(found.is_whole & (self._link_ways >= 0))
        for _flow, here in _grouped(self._flows[A][found.a[usable]]):
            links = usable[here]
            arrival = links[np.lexsort((place_came[links], came[links]))]
            departures = np.argsort(np.lexsort((place_sent[arrival], sent[arrival])), kind="stable")
            for k in np.flatnonzero(departures < np.maximum.accumulate(departures)).tolist():
                counts[arrival[k]] = int((departures[:k] > departures[k]).sum())
        return counts

    def _left_over(self, which: int) -> list[Trip]:
        """Packets that one capture alone has, of flows that both have."""
        capture, found = self._captures[which], self._found
        flows = self._flows[which]
        is_matched = np.zeros(len(flows), np.bool_)
        is_matched[found.a if which == A else found.b] = True
        left = np.flatnonzero((flows >= 0) & ~is_matched)
        if not len(left):
            return []
        of_left = np.flatnonzero(np.isin(flows, np.unique(flows[left])))
        identity = np.zeros(len(flows), np.uint64)
        identity[of_left] = identity_of(capture.seen[of_left], flows[of_left], capture.seen["sum"][of_left])
        is_again = np.isin(identity[left], identity[of_left][is_matched[of_left]])
        ways = self._ways[flows[left]]
        is_sent_here = ways == which
        fates = np.full(len(left), Fate.UNKNOWN, np.int64)
        fates[is_sent_here & self._both_captured(which, left)] = Fate.LOST
        fates[is_sent_here & is_again & (capture.seen["is_copy"][left] > 0)] = Fate.COPY
        is_sent_there = (ways >= 0) & ~is_sent_here
        fates[is_sent_there & self._both_captured(which, left, is_arrival=True)] = Fate.UNSEEN
        fates[is_sent_there & is_again] = Fate.DUPLICATED
        return [
            Trip(at if which == A else -1, at if which == B else -1, way, Fate(fate), None, False, 0)
            for at, way, fate in zip(left.tolist(), ways.tolist(), fates.tolist(), strict=True)
        ]

    def _both_captured(self, which: int, at: I64, *, is_arrival: bool = False) -> Bools:
        """Whether the other place captured at all times when packets that this one has may usually come by there."""
        if self._clock is None:
            return np.zeros(len(at), np.bool_)
        other = self._captures[1 - which]
        ts_ns = self._captures[which].seen["ts_ns"][at]
        there = ts_ns + self._clock.offset_at(ts_ns) if which == A else self._clock.to_a(ts_ns)
        usual = self._delays[1 - which if is_arrival else which]
        unsure = self._clock.uncertainty_ns or 0
        shortest, longest = -unsure, (usual.late_from if usual else 0) + unsure
        first, last = (there - longest, there - shortest) if is_arrival else (there + shortest, there + longest)
        captured: Bools = (other.first_ns <= first) & (last <= other.last_ns)
        return captured

    # ------------------------------------------------------------ what changed

    def _hops(self, way: int) -> int | None:
        found = self._found
        a, b = self._captures
        here = found.is_whole & (self._link_ways == way)
        if not here.any():
            return None
        fall = a.seen["ttl"][found.a[here]].astype(np.int64) - b.seen["ttl"][found.b[here]]
        return int(np.median(fall if way == A else -fall))

    def _changes(self) -> list[Change]:
        found = self._found
        changes: defaultdict[tuple[int, str, int | None, int | None], list[int]] = defaultdict(list)
        use = np.flatnonzero(found.is_whole & (self._link_ways >= 0))
        ways = self._link_ways[use]
        rows_a, rows_b = self._captures[A].seen[found.a[use]], self._captures[B].seen[found.b[use]]
        is_from_a = ways == A
        numbers = np.where(is_from_a, rows_a["number"], rows_b["number"])
        for what, value in _VALUES.items():
            values_a, values_b = value(rows_a), value(rows_b)
            sent, came = np.where(is_from_a, values_a, values_b), np.where(is_from_a, values_b, values_a)
            for k in np.flatnonzero(sent != came).tolist():
                key = int(ways[k]), what, _or_none(int(sent[k])), _or_none(int(came[k]))
                changes[key].append(int(numbers[k]))
        return [Change(*key, packets) for key, packets in changes.items()]

    def _places(self) -> dict[int, Place]:
        a = self._captures[A]
        names = flows_of(a.connections)
        flows = dict(zip((2 * a.seen["row"] + a.seen["side"]).tolist(), self._flows[A].tolist(), strict=True))
        places = {}
        for row in range(len(names) // 2):
            of_client = flows.get(2 * row + Side.CLIENT, -1)
            of_server = flows.get(2 * row + Side.SERVER, -1)
            flow = of_client if of_client >= 0 else of_server
            if flow < 0:
                continue
            way = int(self._ways[flow])
            client_at = -1 if way < 0 else way if of_client >= 0 else 1 - way
            places[row] = Place(client_at, self._evidence.get(int(self._hosts[flow]), Evidence.NOTHING))
        return places


_CLEAR = 0.9
"""So great a part of the packets must agree."""


def _lower_is_near_a(
    falls: tuple[I64, I64], times: tuple[I64, I64], gained: tuple[I64, I64]
) -> tuple[bool | None, Evidence]:
    """Whether the host with the lower address is nearer to A, None where nobody knows, and how it is known.

    Everything is of packets from the lower address, and of those to it: what their time to live is less in B, when A
    has them, how much later B has them.
    """
    fell = np.concatenate([falls[0], -falls[1]])
    if (fell != 0).mean() > 0.5 if len(fell) else False:
        return bool(np.median(fell[fell != 0]) > 0), Evidence.TTL
    if not len(gained[0]) or not len(gained[1]):
        return None, Evidence.NOTHING
    order = np.argsort(times[1], kind="stable")
    nearest = order[np.clip(np.searchsorted(times[1][order], times[0]), 0, len(order) - 1)]
    more = gained[0] - gained[1][nearest]
    if max((more > 0).mean(), (more < 0).mean()) < _CLEAR:
        return None, Evidence.NOTHING
    return bool((more > 0).mean() >= _CLEAR), Evidence.DELAYS


def _grouped(keys: I64) -> Iterator[tuple[int, I64]]:
    """Each key with its places."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-2))
    for first, last in itertools.pairwise([*starts.tolist(), len(order)]):
        yield int(keys[order[first]]), order[first:last]


def _or_none(value: int) -> int | None:
    return None if value < 0 else value


def _option(bit: int, name: str = "") -> Callable[[Rows], I64]:
    def value(rows: Rows) -> I64:
        has = rows["options"] & bit > 0
        found: I64 = np.where(has, rows[name].astype(np.int64) if name else 1, -1)
        return found

    return value


_VALUES: dict[str, Callable[[Rows], I64]] = {
    "mss": _option(HAS_MSS, "mss"),
    "window_scale": _option(HAS_WINDOW_SCALE, "window_scale"),
    "sack_permitted": _option(HAS_SACK_PERMITTED),
    "sack": _option(HAS_SACK),
    "timestamps": _option(HAS_TIMESTAMPS),
    "other_options": _option(HAS_OTHER_OPTION),
    "window": lambda rows: rows["window"].astype(np.int64),
    "ecn": lambda rows: rows["traffic_class"].astype(np.int64) & 3,
    "ece_cwr": lambda rows: rows["flags"].astype(np.int64) & (ECE | CWR),
    "dscp": lambda rows: rows["traffic_class"].astype(np.int64) >> 2,
}
"""What may be changed on the way, by its name; -1 where it is not there."""
