"""Slow, obvious measures of a sender, to hold the compiled ones against.

An octet is a whole number that does not wrap around, and a segment is the set of its octets that were not acknowledged
when it was sent. Karn's rule: an ACK tells a round trip when its last octet was sent in one segment alone, that segment
ends there, and nothing else that the ACK is the first to acknowledge was sent after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Step(NamedTuple):
    """The sender sends octets, or the receiver acknowledges all before ``first``."""

    ts_ns: int
    sends: bool
    first: int
    after: int


@dataclass
class Measures:
    """What is measured."""

    round_trips: list[int] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)


def measure(steps: Iterable[Step]) -> Measures:
    """The sender's SYN had the octet -1 and was acknowledged before the first step."""
    measures = Measures()
    segments: list[tuple[int, set[int]]] = []
    latest_ack = highest_ack = highest_sent = 0
    for ts_ns, sends, first, after in steps:
        if sends:
            segments.append((ts_ns, set(range(max(first, latest_ack), after))))
            highest_sent = max(highest_sent, after)
            measures.in_flight.append(max(0, highest_sent - highest_ack))
            continue
        if first > highest_ack:
            told = [(sent_ns, octets) for sent_ns, octets in segments if octets and min(octets) < first]
            carriers = [octets for _, octets in told if first - 1 in octets]
            if len(carriers) == 1 and carriers[0] is told[-1][1] and max(carriers[0]) == first - 1:
                measures.round_trips.append(ts_ns - told[-1][0])
        segments = [(sent_ns, {octet for octet in octets if octet >= first}) for sent_ns, octets in segments]
        latest_ack, highest_ack = first, max(highest_ack, first)
    return measures
