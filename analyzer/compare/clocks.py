"""What the clocks of two captures differ by, from the packets that both have.

A packet that goes from A to B is captured there later by its delay, one from B to A earlier: whatever the delays, the
offset lies between the smallest difference one way and the greatest the other way. Its middle is right when the
shortest delays both ways are alike, as NTP takes it; half the width is what it may be wrong by, half of the shortest
round trip between the places. Where no constant fits between, the clocks drift, and the line is taken that leaves the
most room on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analyzer.tables import I64

MOST_DRIFT = 1e-3
"""No clock of a computer is so wrong."""

_STEPS = 80


class Clock(NamedTuple):
    """B's clock as A's shows it."""

    offset_ns: int
    """B minus A at ``at_ns``."""
    uncertainty_ns: int | None
    """How far the offset may be off either way; None where packets of one direction alone bound it."""
    drift: float
    """Seconds that B gains in one of A's."""
    at_ns: int
    """On A's clock."""
    is_consistent: bool = True
    """False: no line fits; a clock was set meanwhile, or the places are nearer than the clocks are exact."""

    def offset_at(self, ts_ns: I64) -> I64:
        """B minus A at times of A."""
        drifted: I64 = np.rint((ts_ns - self.at_ns) * self.drift).astype(np.int64)
        return self.offset_ns + drifted

    def to_a(self, ts_ns: I64) -> I64:
        """Times of B on A's clock."""
        since = ts_ns - self.offset_ns - self.at_ns
        there: I64 = (
            self.at_ns + np.rint(since / (1 + self.drift)).astype(np.int64) if self.drift else (ts_ns - self.offset_ns)
        )
        return there


def clock_between(sent_a_ns: I64, gained_a: I64, sent_b_ns: I64, gained_b: I64) -> Clock:
    """The clock of B.

    ``gained_a`` are the differences (B's time minus A's) of packets on their way from A to B, at the times
    ``sent_a_ns`` of A's clock; ``gained_b`` of those on their way from B to A. One of the two may be empty, not both.
    """
    times = np.concatenate([sent_a_ns, sent_b_ns])
    at_ns = int(times.min())
    if not len(gained_a) or not len(gained_b):
        bound = int(gained_a.min()) if len(gained_a) else int(gained_b.max())
        return Clock(bound, None, 0.0, at_ns)
    anchor = int(gained_a[0])  # differences of clocks may need all of a float's digits
    ways = [((sent - at_ns).astype(float), (gained - anchor).astype(float))
            for sent, gained in ((sent_a_ns, gained_a), (sent_b_ns, gained_b))]  # fmt: skip

    def room(drift: float) -> tuple[float, float]:
        """The least difference one way and the greatest the other way, without the drift."""
        (since_a, forth), (since_b, back) = ways
        return float((forth - drift * since_a).min()), float((back - drift * since_b).max())

    drift = 0.0
    highest, lowest = room(0.0)
    if highest < lowest:
        best = _roomiest(lambda one: room(one)[0] - room(one)[1])
        if room(best)[0] >= room(best)[1]:
            drift = best
            highest, lowest = room(drift)
    return Clock(
        anchor + round((highest + lowest) / 2), max(round(abs(highest - lowest) / 2), 1), drift, at_ns,
        highest >= lowest,
    )  # fmt: skip


def _roomiest(width: Callable[[float], float]) -> float:
    """The drift that leaves the most room: it is a concave function, so thirds of the interval can be left out."""
    low, high = -MOST_DRIFT, MOST_DRIFT
    for _step in range(_STEPS):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if width(left) < width(right):
            low = left
        else:
            high = right
    return (low + high) / 2


class Delays(NamedTuple):
    """One-way delays, in ns."""

    packets: int
    least: int
    median: int
    most_usual: int
    """95 of 100 are not longer."""
    longest: int
    late_from: int
    """Longer ones are far above the usual."""


_LATE_NS = 1_000_000
"""What is later by less is no matter."""


def delays_of(delays: I64) -> Delays | None:
    """Figures of some delays; None of none."""
    if not len(delays):
        return None
    least, quarter, median, three_quarters, usual, longest = (
        round(float(value)) for value in np.percentile(delays - delays.min(), [0, 25, 50, 75, 95, 100]) + delays.min()
    )
    late_from = median + max(_LATE_NS, 2 * (median - least), 8 * (three_quarters - quarter))
    return Delays(len(delays), least, median, usual, longest, late_from)
