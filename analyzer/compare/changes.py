"""What packets are changed by on their way between two places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analyzer.compare.places import A, B, Places
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
)


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


def hops(places: Places, way: int) -> int | None:
    """What the time to live falls by on a way, mostly."""
    found = places.found
    a, b = places.captures
    here = found.is_whole & (places.ways == way)
    if not here.any():
        return None
    fall = a.seen["ttl"][found.a[here]].astype(np.int64) - b.seen["ttl"][found.b[here]]
    return int(np.median(fall if way == A else -fall))


def changes(places: Places) -> list[Change]:
    """All that is other, of packets that came as they were."""
    found = places.found
    made: defaultdict[tuple[int, str, int | None, int | None], list[int]] = defaultdict(list)
    use = np.flatnonzero(found.is_whole & (places.ways >= 0))
    ways = places.ways[use]
    rows_a, rows_b = places.captures[A].seen[found.a[use]], places.captures[B].seen[found.b[use]]
    is_from_a = ways == A
    numbers = np.where(is_from_a, rows_a["number"], rows_b["number"])
    for what, value in _VALUES.items():
        values_a, values_b = value(rows_a), value(rows_b)
        sent, came = np.where(is_from_a, values_a, values_b), np.where(is_from_a, values_b, values_a)
        for k in np.flatnonzero(sent != came).tolist():
            key = int(ways[k]), what, _or_none(int(sent[k])), _or_none(int(came[k]))
            made[key].append(int(numbers[k]))
    return [Change(*key, packets) for key, packets in made.items()]


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
