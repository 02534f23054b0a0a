"""What became of packets between two places as one JSON object, in the words of records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from analyzer.compare.clocks import Clock, Delays
from analyzer.compare.vantage import A, Change, Fate, Trip, Vantage
from analyzer.export.comparison import SCHEMA
from analyzer.tables import I64

_WAYS = ("a_to_b", "b_to_a")


def vantage_record(told: Vantage, rows: Sequence[int], numbers: tuple[I64, I64]) -> str:
    """The object as a line. ``rows`` are the rows of A's connections that the incidents are of, ``numbers`` those of
    the packets of A and B."""
    incidents = [
        _incident(trip, row, numbers)
        for trip, row in zip(told.incidents, rows, strict=True)
        if trip.fate != Fate.ARRIVED or trip.is_late or trip.overtaken
    ]
    made = {
        "schema": SCHEMA,
        "record": "vantage",
        "common_packets": told.common,
        "clock": _clock(told.clock),
        "ways": {
            name: {"delays_ns": _delays(delays), "hops": hops}
            for name, delays, hops in zip(_WAYS, told.delays, told.hops, strict=True)
        },
        "client_at": {
            str(row + 1): {"place": None if place.client_at < 0 else "ab"[place.client_at], "known_by": place.evidence}
            for row, place in told.places.items()
        },
        "changes": [_change(change) for change in told.changes],
        "packets": incidents,
    }
    return json.dumps(made, ensure_ascii=False)


def _clock(clock: Clock | None) -> dict[str, Any] | None:
    if clock is None:
        return None
    return {
        "offset_ns": clock.offset_ns,
        "uncertainty_ns": clock.uncertainty_ns,
        "drift_ppm": round(clock.drift * 1e6, 3),
        "at_ns": clock.at_ns,
        "consistent": clock.is_consistent,
    }


def _delays(delays: Delays | None) -> dict[str, int] | None:
    if delays is None:
        return None
    return {
        "packets": delays.packets, "min": delays.least, "median": delays.median, "p95": delays.most_usual,
        "max": delays.longest,
    }  # fmt: skip


def _change(change: Change) -> dict[str, Any]:
    return {
        "way": _WAYS[change.way], "what": change.what, "sent": change.sent, "came": change.came,
        "packets": change.packets,
    }  # fmt: skip


def _incident(trip: Trip, row: int, numbers: tuple[I64, I64]) -> dict[str, Any]:
    return {
        "connection": row + 1,
        "a": int(numbers[A][trip.a]) if trip.a >= 0 else None,
        "b": int(numbers[1][trip.b]) if trip.b >= 0 else None,
        "way": _WAYS[trip.way] if trip.way >= 0 else None,
        "fate": trip.fate.name.lower(),
        "missing_bytes": trip.missing,
        "delay_ns": trip.delay_ns,
        "late": trip.is_late,
        "overtaken_by": trip.overtaken,
    }
