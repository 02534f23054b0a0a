"""What became of packets between two places as one JSON object, in the words of records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from analyzer.compare.changes import Change
from analyzer.compare.clocks import Clock, Delays
from analyzer.compare.fates import Fate, Trip
from analyzer.compare.places import A, B, Whose
from analyzer.compare.vantage import Vantage
from analyzer.export.comparison import SCHEMA
from analyzer.tables import I64

_WAYS = ("a_to_b", "b_to_a")


def vantage_record(told: Vantage, whose: Sequence[Whose], numbers: tuple[I64, I64]) -> str:
    """The object as a line. ``whose`` are the connections that the incidents are of, ``numbers`` those of the packets
    of A and B."""
    incidents = [
        _incident(trip, one, numbers)
        for trip, one in zip(told.incidents, whose, strict=True)
        if trip.fate != Fate.ARRIVED or trip.is_late or trip.overtaken
    ]
    made = {
        "schema": SCHEMA,
        "record": "vantage",
        "common_packets": told.common,
        "only": {"a": told.only[A], "b": told.only[B]},
        "missed": {"a": told.missed[A], "b": told.missed[B]},
        "clock": _clock(told.clock),
        "ways": {
            name: {"delays_ns": _delays(delays), "hops": hops}
            for name, delays, hops in zip(_WAYS, told.delays, told.hops, strict=True)
        },
        "client_at": {
            str(one.row + 1): {
                "place": None if place.client_at < 0 else "ab"[place.client_at],
                "known_by": place.evidence,
            }
            for one, place in told.places.items()
            if one.place == A
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


def _incident(trip: Trip, whose: Whose, numbers: tuple[I64, I64]) -> dict[str, Any]:
    return {
        "connection": whose.row + 1 if whose.place == A else None,
        "only_in_b": whose.row + 1 if whose.place == B else None,
        "a": int(numbers[A][trip.a]) if trip.a >= 0 else None,
        "b": int(numbers[B][trip.b]) if trip.b >= 0 else None,
        "way": _WAYS[trip.way] if trip.way >= 0 else None,
        "fate": trip.fate.name.lower(),
        "missing_bytes": trip.missing,
        "delay_ns": trip.delay_ns,
        "late": trip.is_late,
        "overtaken_by": trip.overtaken,
    }
