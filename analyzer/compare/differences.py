"""What differs between two connections that are a pair, aspect by aspect, in values free of times, ports and numbers.

What two runs of the same program share is compared unless it is asked not to be; what the network and the kernels make
of it, segments, pure ACKs, windows, differs by nature and is compared when it is asked for. Times are compared where a
tolerance is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.compare.traits import PATH_LEN
from analyzer.explain.causes import Cause, cause_of, causes_of
from analyzer.explain.events import ORDINARY
from analyzer.tables import HISTORY_LEN, I64, ClosedBy, Event, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State
from analyzer.tcp.summary import Verdict, verdict

Bools = npt.NDArray[np.bool_]


class Aspect(StrEnum):
    """What may differ."""

    PHASES = "phases"
    STATES = "states"
    CLOSED_BY = "closed_by"
    CAUSE = "cause"
    VERDICT = "verdict"
    EVENTS = "events"
    COUNTERS = "counters"
    SAID = "said"
    HISTORY = "history"
    OPTIONS = "options"
    SEGMENTS = "segments"
    ACKS = "acks"
    WINDOWS = "windows"
    TIMES = "times"


NOISE = (Aspect.HISTORY, Aspect.OPTIONS, Aspect.SEGMENTS, Aspect.ACKS, Aspect.WINDOWS)
"""What differs by nature."""

USUAL = tuple(aspect for aspect in Aspect if aspect not in NOISE and aspect != Aspect.TIMES)
"""What is compared unless something else is asked for."""

COUNTERS = (
    "syns", "fins", "resets", "retransmitted_packets", "out_of_order_packets", "zero_windows", "zero_window_probes",
)  # fmt: skip
"""Of ENDPOINT: those that a program, or a trouble, decides."""

PACKETS = ("packets", "data_packets", "pure_acks", "duplicate_acks", "sacks")
"""The others are told where packets are compared."""


class Tolerance(NamedTuple):
    """How far times may be apart."""

    ns: int
    part: float = 0.0
    """Or by which part of the longer one."""

    def exceeded(self, a: int, b: int) -> bool:
        """Whether two times are farther apart."""
        return abs(a - b) > max(self.ns, self.part * max(a, b))


class Known(NamedTuple):
    """A capture's connections, a row each."""

    connections: Rows
    endpoints: Rows
    traits: Rows


class Difference(NamedTuple):
    """One thing that differs."""

    aspect: Aspect
    side: int
    """Side that it is about; -1 both, or neither."""
    what: str
    """The event or counter; empty where the aspect says it all."""
    a: object
    """In A: a number, a code's name, a list of names; None where it is not known."""
    b: object


def differing(a: Known, b: Known, rows_a: I64, rows_b: I64, aspects: Collection[Aspect]) -> dict[Aspect, Bools]:
    """For each aspect but times, which of the pairs of rows differ in it."""
    connections, ends, traits = ((table_a[rows_a], table_b[rows_b]) for table_a, table_b in zip(a, b, strict=True))
    usual_events = [event for event in Event if event not in ORDINARY]
    some_events = list(Event) if Aspect.ACKS in aspects else usual_events

    def field(tables: tuple[Rows, Rows], name: str) -> Bools:
        return _unequal(tables[0][name], tables[1][name])

    checks: dict[Aspect, Callable[[], Bools]] = {
        Aspect.PHASES: lambda: _unequal(*(rows["phase_packets"] > 0 for rows in connections)),
        Aspect.STATES: lambda: field(traits, "path"),
        Aspect.CLOSED_BY: lambda: field(connections, "closed_by"),
        Aspect.CAUSE: lambda: causes_of(connections[0], ends[0]) != causes_of(connections[1], ends[1]),
        Aspect.VERDICT: lambda: _verdicts_differ(connections, ends),
        Aspect.EVENTS: lambda: _unequal(*(rows["events"][:, :, some_events] for rows in traits)),
        Aspect.COUNTERS: lambda: _any(field(ends, name) for name in COUNTERS),
        Aspect.SAID: lambda: field(traits, "said_len") | field(traits, "said"),
        Aspect.HISTORY: lambda: field(connections, "history") | field(connections, "history_len"),
        Aspect.OPTIONS: lambda: field(traits, "options"),
        Aspect.SEGMENTS: lambda: field(traits, "segments"),
        Aspect.ACKS: lambda: field(traits, "acks") | _any(field(ends, name) for name in PACKETS),
        Aspect.WINDOWS: lambda: field(traits, "windows"),
    }
    return {aspect: check() for aspect, check in checks.items() if aspect in aspects}


def _unequal(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> Bools:
    """Which rows differ anywhere."""
    found: Bools = (a != b).any(axis=tuple(range(1, a.ndim)))
    return found


def _any(some: Iterator[Bools]) -> Bools:
    found: Bools = np.logical_or.reduce(list(some))
    return found


def _verdicts_differ(connections: tuple[Rows, Rows], ends: tuple[Rows, Rows]) -> Bools:
    """Zeek's verdict follows from these two of each side."""
    may = _unequal(ends[0]["zeek_state"], ends[1]["zeek_state"])
    may |= _unequal(ends[0]["payload_bytes"] == 0, ends[1]["payload_bytes"] == 0)
    for k in np.flatnonzero(may).tolist():
        may[k] = _verdict(connections[0][k], ends[0][k]) != _verdict(connections[1][k], ends[1][k])
    return may


def differences(a: Known, b: Known, row_a: int, row_b: int, aspects: Collection[Aspect]) -> Iterator[Difference]:
    """All that differs between two connections in these aspects, times apart."""
    pair = (a, row_a), (b, row_b)
    for aspect in Aspect:
        if aspect in aspects and aspect in _TELLERS:
            yield from _TELLERS[aspect](pair, aspects)


_Pair = tuple[tuple[Known, int], tuple[Known, int]]


def _told(
    aspect: Aspect, value: Callable[[Known, int], object]
) -> Callable[[_Pair, Collection[Aspect]], Iterator[Difference]]:
    """Of a value of the connection."""

    def tell(pair: _Pair, aspects: Collection[Aspect]) -> Iterator[Difference]:
        one, other = (value(*known) for known in pair)
        if one != other:
            yield Difference(aspect, -1, "", one, other)

    return tell


def _told_of_sides(
    aspect: Aspect, value: Callable[[Known, int, int], object]
) -> Callable[[_Pair, Collection[Aspect]], Iterator[Difference]]:
    """Of a value of each side."""

    def tell(pair: _Pair, aspects: Collection[Aspect]) -> Iterator[Difference]:
        for side in Side:
            one, other = (value(*known, side) for known in pair)
            if one != other:
                yield Difference(aspect, side, "", one, other)

    return tell


def _phases(known: Known, row: int) -> object:
    packets = known.connections[row]["phase_packets"]
    return [phase.name.lower() for phase in Phase if phase and packets[phase]]


def path_of(known: Known, row: int, side: int) -> list[str]:
    """The names of a side's states in order."""
    trait = known.traits[row]
    length = min(int(trait["path_len"][side]), PATH_LEN)
    return [State(int(code) - 1).name.replace("_", "-") for code in trait["path"][side, :length]]


def _closed_by(known: Known, row: int) -> object:
    who = ClosedBy(int(known.connections[row]["closed_by"]))
    return who.name.lower() if who else None


def _cause(known: Known, row: int) -> object:
    return Cause(cause_of(known.connections[row], *known.endpoints[row])).name.lower()


def _verdict(connection: Rows, ends: Rows) -> str:
    return Verdict(verdict(connection, ends[0], ends[1])).name if connection["protocol"] == Protocol.TCP else ""


def _history(known: Known, row: int) -> object:
    connection = known.connections[row]
    return connection["history"][: min(int(connection["history_len"]), HISTORY_LEN)].tobytes().decode("ascii")


def _events(pair: _Pair, aspects: Collection[Aspect]) -> Iterator[Difference]:
    for event in Event:
        if event in ORDINARY and Aspect.ACKS not in aspects:
            continue
        for side in Side:
            one, other = (int(known.traits[row]["events"][side, event]) for known, row in pair)
            if one != other:
                yield Difference(Aspect.EVENTS, side, event.name.lower(), one, other)


def _counters(aspect: Aspect, names: tuple[str, ...]) -> Callable[[_Pair, Collection[Aspect]], Iterator[Difference]]:
    def tell(pair: _Pair, aspects: Collection[Aspect]) -> Iterator[Difference]:
        for name in names:
            for side in Side:
                one, other = (int(known.endpoints[row][side][name]) for known, row in pair)
                if one != other:
                    yield Difference(aspect, side, name, one, other)

    return tell


def _said(pair: _Pair, aspects: Collection[Aspect]) -> Iterator[Difference]:
    for side in Side:
        (one, hash_one), (other, hash_other) = (
            (int(known.traits[row]["said_len"][side]), known.traits[row]["said"][side].tobytes()) for known, row in pair
        )
        if (one, hash_one) != (other, hash_other):
            yield Difference(Aspect.SAID, side, "", one, other)


def _hashed(
    aspect: Aspect, count: Callable[[Known, int], int]
) -> Callable[[_Pair, Collection[Aspect]], Iterator[Difference]]:
    """Of packets that are known by a hash; the values are how many there are."""

    def tell(pair: _Pair, aspects: Collection[Aspect]) -> Iterator[Difference]:
        one, other = (known.traits[row][aspect.value] for known, row in pair)
        if (one != other).any():
            yield Difference(aspect, -1, "", *(count(*known) for known in pair))

    return tell


def _acks(pair: _Pair, aspects: Collection[Aspect]) -> Iterator[Difference]:
    counted = list(_counters(Aspect.ACKS, PACKETS)(pair, aspects))
    yield from counted or _hashed(Aspect.ACKS, lambda known, row: int(known.traits[row]["packets"]))(pair, aspects)


_TELLERS: dict[Aspect, Callable[[_Pair, Collection[Aspect]], Iterator[Difference]]] = {
    Aspect.PHASES: _told(Aspect.PHASES, _phases),
    Aspect.STATES: _told_of_sides(Aspect.STATES, path_of),
    Aspect.CLOSED_BY: _told(Aspect.CLOSED_BY, _closed_by),
    Aspect.CAUSE: _told(Aspect.CAUSE, _cause),
    Aspect.VERDICT: _told(Aspect.VERDICT, lambda known, row: _verdict(known.connections[row], known.endpoints[row])),
    Aspect.EVENTS: _events,
    Aspect.COUNTERS: _counters(Aspect.COUNTERS, COUNTERS),
    Aspect.SAID: _said,
    Aspect.HISTORY: _told(Aspect.HISTORY, _history),
    Aspect.OPTIONS: _hashed(Aspect.OPTIONS, lambda known, row: int(known.endpoints[row]["syns"].sum())),
    Aspect.SEGMENTS: _hashed(Aspect.SEGMENTS, lambda known, row: int(known.traits[row]["segments_len"])),
    Aspect.ACKS: _acks,
    Aspect.WINDOWS: _hashed(Aspect.WINDOWS, lambda known, row: int(known.endpoints[row]["windows"].sum())),
}


# ---------------------------------------------------------------- times

TIMES: dict[str, Callable[[Rows], I64]] = {
    "lasted": lambda connections: connections["last_ns"] - connections["first_ns"],
    "handshake": lambda connections: np.maximum(connections["handshake_rtt_ns"], 0),
    "data": lambda connections: (
        connections["phase_last_ns"][:, Phase.DATA] - connections["phase_first_ns"][:, Phase.DATA]
    ),
    "teardown": lambda connections: (
        connections["phase_last_ns"][:, Phase.TEARDOWN] - connections["phase_first_ns"][:, Phase.TEARDOWN]
    ),
}
"""Times of CONNECTION rows that are compared, in ns."""


def times_differing(a: Known, b: Known, rows_a: I64, rows_b: I64, tolerance: Tolerance) -> dict[int, list[Difference]]:
    """What differs in time, by the place of the pair."""
    found: dict[int, list[Difference]] = {}
    for what, time_of in TIMES.items():
        ones, others = time_of(a.connections[rows_a]), time_of(b.connections[rows_b])
        for k, (one, other) in enumerate(zip(ones.tolist(), others.tolist(), strict=True)):
            if tolerance.exceeded(one, other):
                found.setdefault(k, []).append(Difference(Aspect.TIMES, -1, what, one, other))
    return found


# ---------------------------------------------------------------- octets


class Parting(NamedTuple):
    """Where two streams of octets part."""

    offset: int
    """Of the first octet that differs."""
    before: bytes
    """What both have before it, at most ``BEFORE`` octets."""
    a: bytes
    """What A has from there on; at most ``BEHIND`` octets, none where it ends."""
    b: bytes


BEFORE, BEHIND = 16, 48


def parting(a: Iterator[bytes], b: Iterator[bytes]) -> Parting | None:
    """Where two streams part, of which the octets come in pieces; None where they are the same."""
    offset, before = 0, b""
    one = other = b""
    while True:
        one, other = one or next(a, b""), other or next(b, b"")
        length = min(len(one), len(other))
        if not length and not one and not other:
            return None
        if not length or one[:length] != other[:length]:
            k = next((k for k in range(length) if one[k] != other[k]), 0) if length else 0
            before = (before + one[:k])[-BEFORE:]
            return Parting(offset + k, before, _first(one[k:], a), _first(other[k:], b))
        before = (before + one[:length])[-BEFORE:]
        offset += length
        one, other = one[length:], other[length:]


def _first(octets: bytes, more: Iterator[bytes]) -> bytes:
    while len(octets) < BEHIND and (piece := next(more, b"")):
        octets += piece
    return octets[:BEHIND]
