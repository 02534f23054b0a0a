"""Which packet of one capture is which of the other's, where both saw the same traffic at two places.

A packet is known by its connection's ends and direction, its numbers, flags and payload; a segment that is sent again
by its IPv4 identification and its timestamps too, and by its time where nothing else tells the two apart. What
segmentation offload made of several segments, or several of, is known by the octets that it brings. Packets need not be
in the same order; only those that nothing tells apart, of which both captures have as many, are paired in their order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.mixing import U64, mixed
from analyzer.tables import CWR, ECE, FIN, I64, SYN, Rows

Bools = npt.NDArray[np.bool_]

_UNMARKED = ~(ECE | CWR) & 0x1FF
"""Flags without those that tell of congestion, which a device on the way may take off."""


class Matches(NamedTuple):
    """Pairs of places in two tables of packets; sorted by ``a``."""

    a: I64
    b: I64
    is_whole: Bools
    """The packet came as it was; else it shares octets with packets that were cut otherwise."""
    missing_a: dict[int, int]
    """Of packets of A that B has a part of: how many octets it has not."""
    missing_b: dict[int, int]


def flows_of(connections: Rows) -> list[bytes]:
    """What a direction of each connection is known by: two for each CONNECTION row, in the order of ``Side``."""
    ends = []
    for row in range(len(connections)):
        connection = connections[row]
        address, protocol = connection["address"], bytes([int(connection["protocol"])])
        client = address[:4].tobytes() + int(connection["client_port"]).to_bytes(2, "big")
        server = address[4:].tobytes() + int(connection["server_port"]).to_bytes(2, "big")
        ends += [protocol + client + server, protocol + server + client]
    return ends


def matched(
    a: Rows, b: Rows, flows_a: I64, flows_b: I64, typical: Callable[[I64, I64], npt.NDArray[np.float64]]
) -> Matches:
    """Find the packets of A in B.

    ``a`` and ``b`` are SEEN rows, ``flows_…`` the number of each one's flow, the same in both captures, -1 where the
    other has no such flow. ``typical`` gives for the pairs found so far (places in A, in B) what each flow's B time
    minus A time usually is, by the flow's number; NaN where it is not known.
    """
    return _Matching(a, b, flows_a, flows_b, typical).found()


class _Matching:
    def __init__(
        self, a: Rows, b: Rows, flows_a: I64, flows_b: I64, typical: Callable[[I64, I64], npt.NDArray[np.float64]]
    ) -> None:
        self._a, self._b, self._flows_a, self._flows_b, self._typical = a, b, flows_a, flows_b, typical
        self._left_a, self._left_b = np.flatnonzero(flows_a >= 0), np.flatnonzero(flows_b >= 0)
        self._pairs: list[tuple[I64, I64]] = []
        self._with_sums = not (a["is_cut"].any() or b["is_cut"].any())

    def found(self) -> Matches:
        self._match(self._strong)
        self._match(self._weak)
        one, other = self._so_far()
        pieces = _by_octets(self._a, self._b, self._left_a, self._left_b, self._flows_a, self._flows_b, self._usual())
        whole = len(one)
        one, other = np.concatenate([one, pieces.a]), np.concatenate([other, pieces.b])
        is_whole = np.arange(len(one)) < whole
        order = np.lexsort((other, one))
        return Matches(one[order], other[order], is_whole[order], pieces.missing_a, pieces.missing_b)

    def _match(self, key_of: Callable[[Rows, I64], U64]) -> None:
        """Match what has the same key; of several the ones whose times fit."""
        keys_a = key_of(self._a[self._left_a], self._flows_a[self._left_a])
        keys_b = key_of(self._b[self._left_b], self._flows_b[self._left_b])
        _keys, inverse = np.unique(np.concatenate([keys_a, keys_b]), return_inverse=True)
        in_a, in_b = inverse[: len(keys_a)], inverse[len(keys_a) :]
        count_a, count_b = (np.bincount(some, minlength=len(_keys)) for some in (in_a, in_b))
        is_clear = (count_a == count_b)[in_a]
        clear_a = self._left_a[is_clear][np.argsort(in_a[is_clear], kind="stable")]
        is_clear = (count_a == count_b)[in_b]
        clear_b = self._left_b[is_clear][np.argsort(in_b[is_clear], kind="stable")]
        self._take(clear_a, clear_b)
        unclear = (count_a != count_b) & (count_a > 0) & (count_b > 0)
        groups: defaultdict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for which, (left, keys) in enumerate(((self._left_a, in_a), (self._left_b, in_b))):
            for k in np.flatnonzero(unclear[keys]).tolist():
                groups[int(keys[k])][which].append(int(left[k]))
        usual = self._usual()
        chosen = [
            pair
            for ones, others in groups.values()
            for pair in _nearest(self._a["ts_ns"], self._b["ts_ns"], ones, others, usual[int(self._flows_a[ones[0]])])
        ]
        self._take(*(np.array([pair[k] for pair in chosen], np.int64) for k in (0, 1)))
        one, other = self._so_far()
        self._left_a = np.setdiff1d(self._left_a, one)
        self._left_b = np.setdiff1d(self._left_b, other)

    def _strong(self, rows: Rows, flows: I64) -> U64:
        return identity_of(rows, flows, self._sums(rows))

    def _weak(self, rows: Rows, flows: I64) -> U64:
        """Without what is written anew on the way; where identifications are not, the identification stays."""
        one, _ = self._so_far()
        ids = np.zeros(int(max(self._flows_a.max(initial=-1), self._flows_b.max(initial=-1))) + 1, np.bool_)
        ids[self._flows_a[one[self._a["ip_id"][one] > 0]]] = True
        identification = np.where(ids[flows], rows["ip_id"], 0)
        names = ("seq", "ack", "payload_len")
        return mixed(
            flows, rows["flags"] & _UNMARKED, *(rows[name] for name in names), identification, self._sums(rows)
        )

    def _sums(self, rows: Rows) -> npt.NDArray[np.uint32]:
        return rows["sum"] if self._with_sums else np.zeros(len(rows), np.uint32)

    def _take(self, one: I64, other: I64) -> None:
        self._pairs.append((one, other))

    def _so_far(self) -> tuple[I64, I64]:
        return np.concatenate([pair[0] for pair in self._pairs]), np.concatenate([pair[1] for pair in self._pairs])

    def _usual(self) -> npt.NDArray[np.float64]:
        return self._typical(*self._so_far())


def identity_of(rows: Rows, flows: I64, sums: npt.NDArray[np.uint32]) -> U64:
    """A hash of all that makes a packet another one than the same segment sent again."""
    names = ("seq", "ack", "payload_len", "window", "ip_id", "ts_val", "ts_ecr")
    return mixed(flows, rows["flags"] & _UNMARKED, *(rows[name] for name in names), sums)


def _nearest(
    times_a: I64, times_b: I64, ones: Sequence[int], others: Sequence[int], usual: float
) -> list[tuple[int, int]]:
    """Pair the fewer with some of the more, in order, so that what their times differ by is nearest to the usual."""
    if np.isnan(usual) or len(ones) * len(others) > _MOST_TRIED:
        return list(zip(ones, others, strict=False))
    fewer, more = (ones, others) if len(ones) <= len(others) else (others, ones)
    is_turned = fewer is not ones

    def cost(i: int, j: int) -> float:
        one, other = (more[j], fewer[i]) if is_turned else (fewer[i], more[j])
        return abs(float(times_b[other]) - float(times_a[one]) - usual)

    # best[i][j]: the least that the first i of the fewer cost with some of the first j of the more
    best = [[0.0] * (len(more) + 1)]
    for i in range(1, len(fewer) + 1):
        row = [float("inf")] * (len(more) + 1)
        for j in range(i, len(more) + 1):
            row[j] = min(row[j - 1], best[i - 1][j - 1] + cost(i - 1, j - 1))
        best.append(row)
    found = []
    i, j = len(fewer), len(more)
    while i:
        if best[i][j] == best[i][j - 1] and j > i:
            j -= 1
            continue
        i, j = i - 1, j - 1
        found.append((more[j], fewer[i]) if is_turned else (fewer[i], more[j]))
    return found[::-1]


_MOST_TRIED = 10_000
"""Pairs of equal packets up to which their times are looked at."""


# ---------------------------------------------------------------- segments that were cut otherwise


class _Pieces(NamedTuple):
    a: I64
    b: I64
    missing_a: dict[int, int]
    missing_b: dict[int, int]


def _by_octets(
    a: Rows, b: Rows, left_a: I64, left_b: I64, flows_a: I64, flows_b: I64, usual: npt.NDArray[np.float64]
) -> _Pieces:
    """Match what is left by the octets that it brings: each stretch between the ends of segments for itself."""
    spans_a, spans_b = _spans(a, left_a, flows_a), _spans(b, left_b, flows_b)
    links: set[tuple[int, int]] = set()
    missing: tuple[dict[int, int], dict[int, int]] = {}, {}
    for flow in spans_a.keys() & spans_b.keys():
        base = spans_a[flow][0][0]
        sides = [_placed(spans, base) for spans in (spans_a[flow], spans_b[flow])]
        edges = sorted({edge for spans in sides for start, end, _ in spans for edge in (start, end)})
        stretches: list[tuple[list[int], list[int]]] = [([], []) for _ in edges]
        for which, spans in enumerate(sides):
            for start, end, at in spans:
                for k in range(bisect_left(edges, start), bisect_left(edges, end)):
                    stretches[k][which].append(at)
        linked: set[tuple[int, int]] = set()
        lost: tuple[defaultdict[int, int], defaultdict[int, int]] = defaultdict(int), defaultdict(int)
        for k, (ones, others) in enumerate(stretches):
            pairs = _nearest(a["ts_ns"], b["ts_ns"], ones, others, usual[flow]) if ones and others else []
            linked.update(pairs)
            for which, some in enumerate((ones, others)):
                for at in set(some) - {pair[which] for pair in pairs}:
                    lost[which][at] += edges[k + 1] - edges[k]
        links |= linked
        for which in (0, 1):
            has_part = {pair[which] for pair in linked}
            missing[which].update((at, octets) for at, octets in lost[which].items() if at in has_part)
    found = sorted(links)
    return _Pieces(
        np.array([one for one, _ in found], np.int64), np.array([other for _, other in found], np.int64), *missing
    )


_Span = tuple[int, int, int]
"""The first sequence number, how many, the packet's place."""


def _spans(rows: Rows, left: I64, flows: I64) -> dict[int, list[_Span]]:
    """Of the packets that take sequence numbers, by their flows."""
    found: defaultdict[int, list[_Span]] = defaultdict(list)
    flags = rows["flags"][left]
    lengths = rows["payload_len"][left].astype(np.int64) + (flags & SYN > 0) + (flags & FIN > 0)
    has = lengths > 0
    columns: Iterable[list[int]] = (
        column[has].tolist() for column in (flows[left], rows["seq"][left].astype(np.int64), lengths, left)
    )
    for flow, seq, length, at in zip(*columns, strict=True):
        found[flow].append((seq, length, at))
    return found


def _placed(spans: list[_Span], base: int) -> list[_Span]:
    """First and last number relative to the base, without end."""
    placed = []
    for seq, length, at in spans:
        start = (seq - base + (1 << 31)) % (1 << 32) - (1 << 31)
        placed.append((start, start + length, at))
    return placed
