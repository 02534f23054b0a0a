"""The same traffic captured at two places: where the hosts are, what the clocks differ by, how long packets take.

Where a host is, nearer to A or to B, is told by the times to live, which only fall on the way, or by the times: what
the host sends gains on its way from A to B, what is sent to it gains less, whatever the clocks. Where neither tells, A
is taken for the client's end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.compare.clocks import Clock, Delays, clock_between, delays_of
from analyzer.compare.matching import flows_of, matched
from analyzer.tables import I64, Rows, Side

Bools = npt.NDArray[np.bool_]

A, B = 0, 1


class Capture(NamedTuple):
    """One of the two."""

    connections: Rows
    seen: Rows
    """SEEN rows."""
    first_ns: int
    """Of all that was captured."""
    last_ns: int


class Whose(NamedTuple):
    """A connection: one of A's, or one of B's that A has nothing of."""

    place: int
    row: int
    """In the tables of that capture."""


class Evidence(StrEnum):
    """How it is known where hosts are."""

    TTL = "ttl"
    DELAYS = "delays"
    NOTHING = "nothing"


class Place(NamedTuple):
    """Where the hosts are, seen from one connection."""

    client_at: int
    """Nearer to A or to B; where nothing tells, it is taken for the one at A. -1 where no packet is in both."""
    evidence: Evidence


class Flows:
    """A number for each direction of the connections between hosts of which both captures have one.

    Attributes: ``of``, for each packet of A and of B the number of its flow, -1 where it has none; ``is_lone``, whether
    the other capture has nothing of its connection. By number: ``hosts``, the number of the pair of hosts;
    ``from_lower``, whether the host with the lower address sends; ``from_client``, whether the client does.
    """

    def __init__(self, captures: tuple[Capture, Capture]) -> None:
        self._names = flows_of(captures[A].connections), flows_of(captures[B].connections)
        every = set(self._names[A]) | set(self._names[B])
        common = set(self._names[A]) & set(self._names[B])
        pairs = {pair: k for k, pair in enumerate(sorted({_hosts_of(name) for name in common}))}
        numbers = {name: k for k, name in enumerate(sorted(name for name in every if _hosts_of(name) in pairs))}
        ends = [2 * capture.seen["row"] + capture.seen["side"] for capture in captures]
        of = [np.array([numbers.get(name, -1) for name in some], np.int64) for some in self._names]
        lone = [np.array([name not in common for name in some], np.bool_) for some in self._names]
        self.of = of[A][ends[A]], of[B][ends[B]]
        self.is_lone = lone[A][ends[A]], lone[B][ends[B]]
        self.hosts = np.zeros(max(len(numbers), 1), np.int64)
        self.from_lower, self.from_client = (np.zeros(len(self.hosts), np.bool_) for _ in range(2))
        for name, number in numbers.items():
            pair = _hosts_of(name)
            self.hosts[number] = pairs[pair]
            self.from_lower[number] = name[1:].startswith(pair[0])
        for which in (B, A):  # where they differ, A says who is the client
            has_number = np.flatnonzero(of[which] >= 0)
            self.from_client[of[which][has_number]] = has_number % 2 == Side.CLIENT

    def rows_b(self, found_a: I64, found_b: I64) -> dict[int, int]:
        """Row of A's connection for each of B's that A has.

        ``found_…`` are the rows of packets that both have, pair by pair. A connection of which no packet is in both is
        the one with the same ends that stands between the same neighbours.
        """
        counts: dict[int, dict[int, int]] = {}
        pairs, how_often = np.unique(np.stack([found_b, found_a]), axis=1, return_counts=True)
        for (row_b, row_a), often in zip(pairs.T.tolist(), how_often.tolist(), strict=True):
            counts.setdefault(row_b, {})[row_a] = often
        rows = {row_b: max(some, key=some.__getitem__) for row_b, some in counts.items()}
        of_ends: tuple[dict[bytes, list[int]], dict[bytes, list[int]]] = {}, {}
        for names, found in zip(self._names, of_ends, strict=True):
            for row in range(len(names) // 2):
                found.setdefault(min(names[2 * row : 2 * row + 2]), []).append(row)
        taken = set(rows.values())
        for ends, rows_b in of_ends[B].items():
            rows_a = of_ends[A].get(ends, [])
            latest = -1
            for k, row_b in enumerate(rows_b):
                if row_b not in rows and rows_a:
                    before = next((rows[later] for later in rows_b[k:] if later in rows), rows_a[-1] + 1)
                    between = [row for row in rows_a if latest < row < before and row not in taken]
                    if between:
                        rows[row_b] = between[0]
                latest = rows.get(row_b, latest)
        return rows


def _hosts_of(flow: bytes) -> tuple[bytes, bytes]:
    """The two ends' addresses; of one host that talks to itself the ports too: each connection is for itself."""
    source, target = flow[1:17], flow[19:35]
    if source == target:
        source, target = flow[1:19], flow[19:37]
    return min(source, target), max(source, target)


class Places:
    """Two captures put together.

    Attributes: ``captures``; ``flows``; ``found``, the packets that both have. For each pair of these: ``ways``, from A
    or from B, -1 not known; ``delays_ns``, by corrected clocks. ``flow_ways`` are the ways by the flow's number.
    ``clock`` is None where no packet is in both, or nobody knows which way one went. ``delays`` are the usual ones of
    packets from A, and from B. ``rows_b`` has the row of A's connection for each of B's that A has.
    """

    def __init__(self, a: Capture, b: Capture) -> None:
        self.captures = a, b
        self.flows = Flows(self.captures)
        self.found = matched(a.seen, b.seen, *self.flows.of, self._typical)
        self.rows_b = self.flows.rows_b(a.seen["row"][self.found.a], b.seen["row"][self.found.b])
        self._gained = b.seen["ts_ns"][self.found.b] - a.seen["ts_ns"][self.found.a]
        self._find_places()
        self._set_clock()

    def _typical(self, one: I64, other: I64) -> npt.NDArray[np.float64]:
        """What each flow's packets usually gain: the median of all with the same hosts and direction."""
        a, b = self.captures
        gained = (b.seen["ts_ns"][other] - a.seen["ts_ns"][one]).astype(np.float64)
        kinds = 2 * self.flows.hosts + self.flows.from_lower
        medians = np.full(int(kinds.max()) + 1, np.nan)
        for kind, theirs in grouped(kinds[self.flows.of[A][one]]):
            medians[kind] = np.median(gained[theirs])
        found: npt.NDArray[np.float64] = medians[kinds]
        return found

    def _find_places(self) -> None:
        """For each flow whether it goes from A to B or from B to A; -1 where no packet of its hosts is in both."""
        a, b = self.captures
        found, flows = self.found, self.flows
        self.flow_ways = np.full(len(flows.hosts), -1, np.int64)
        self._evidence: dict[int, Evidence] = {}
        of_links = flows.of[A][found.a]
        fall = a.seen["ttl"][found.a].astype(np.int64) - b.seen["ttl"][found.b]
        flows_of_hosts = dict(grouped(flows.hosts))
        for hosts, links in grouped(flows.hosts[of_links]):
            whole = links[found.is_whole[links]]
            is_lower = flows.from_lower[of_links[whole]]
            ways = whole[is_lower], whole[~is_lower]
            near_a, self._evidence[hosts] = _lower_is_near_a(
                (fall[ways[0]], fall[ways[1]]),
                (a.seen["ts_ns"][found.a[ways[0]]], a.seen["ts_ns"][found.a[ways[1]]]),
                (self._gained[ways[0]], self._gained[ways[1]]),
            )
            of_hosts = flows_of_hosts[hosts]
            if near_a is None:  # as if A were at the client's end
                near_a = bool((flows.from_client[of_hosts] == flows.from_lower[of_hosts]).mean() >= 0.5)
            self.flow_ways[of_hosts] = np.where(flows.from_lower[of_hosts] == near_a, A, B)

    def _set_clock(self) -> None:
        found = self.found
        self.ways = self.flow_ways[self.flows.of[A][found.a]]
        use = found.is_whole & (self.ways >= 0)
        if not use.any():
            use = self.ways >= 0
        times = self.captures[A].seen["ts_ns"][found.a]
        self.clock: Clock | None = None
        self.delays_ns = np.zeros(len(found.a), np.int64)
        if use.any():
            forth, back = use & (self.ways == A), use & (self.ways == B)
            self.clock = clock_between(times[forth], self._gained[forth], times[back], self._gained[back])
            gained = self._gained - self.clock.offset_at(times)
            self.delays_ns = np.where(self.ways == B, -gained, gained)
        usual = [delays_of(self.delays_ns[found.is_whole & (self.ways == way)]) for way in (A, B)]
        self.delays: tuple[Delays | None, Delays | None] = usual[A], usual[B]

    def corrected(self, ts_ns: I64) -> I64:
        """Times of B on A's clock, as far as that is known."""
        return self.clock.to_a(ts_ns) if self.clock else ts_ns

    def both_captured(self, which: int, at: I64, *, is_arrival: bool = False) -> Bools:
        """Whether the other place captured at all times when packets that this one has may usually come by there."""
        if self.clock is None:
            return np.zeros(len(at), np.bool_)
        other = self.captures[1 - which]
        ts_ns = self.captures[which].seen["ts_ns"][at]
        there = ts_ns + self.clock.offset_at(ts_ns) if which == A else self.clock.to_a(ts_ns)
        usual = self.delays[1 - which if is_arrival else which]
        unsure = self.clock.uncertainty_ns or 0
        shortest, longest = -unsure, (usual.late_from if usual else 0) + unsure
        first, last = (there - longest, there - shortest) if is_arrival else (there + shortest, there + longest)
        captured: Bools = (other.first_ns <= first) & (last <= other.last_ns)
        return captured

    def missed(self, which: int) -> int:
        """How many packets one capture alone has, of ways that nobody knows, from when the other captured too."""
        flows = self.flows.of[which]
        at = np.flatnonzero((flows < 0) | (self.flow_ways[flows] < 0))
        return int((self.both_captured(which, at) & self.both_captured(which, at, is_arrival=True)).sum())

    def of_connections(self) -> dict[Whose, Place]:
        """Where the hosts of each connection are."""
        found = {}
        for which, capture in enumerate(self.captures):
            ends = 2 * capture.seen["row"] + capture.seen["side"]
            flows = dict(zip(ends.tolist(), self.flows.of[which].tolist(), strict=True))
            for row in range(len(capture.connections)):
                of_client = flows.get(2 * row + Side.CLIENT, -1)
                of_server = flows.get(2 * row + Side.SERVER, -1)
                flow = of_client if of_client >= 0 else of_server
                if flow < 0 or (which == B and row in self.rows_b):
                    continue
                way = int(self.flow_ways[flow])
                client_at = -1 if way < 0 else way if of_client >= 0 else 1 - way
                evidence = self._evidence.get(int(self.flows.hosts[flow]), Evidence.NOTHING)
                found[Whose(which, row)] = Place(client_at, evidence)
        return found


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


def grouped(keys: I64) -> Iterator[tuple[int, I64]]:
    """Each key with its places."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-2))
    for first, last in itertools.pairwise([*starts.tolist(), len(order)]):
        yield int(keys[order[first]]), order[first:last]
