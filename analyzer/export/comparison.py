"""A comparison of two captures as one JSON object, in the words of records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.compare.differences import Aspect, Difference, Known, Parting
from analyzer.compare.pairing import Pair, Pairing
from analyzer.tables import Side

SCHEMA = 1


def comparison(
    a: Known, b: Known, pairing: Pairing, found: Mapping[Pair, Sequence[Difference]],
    partings: Mapping[Pair, Mapping[int, Parting]],
) -> str:  # fmt: skip
    """The object as a line. Connections are named by their numbers; ``partings`` are those that are known."""
    made = {
        "schema": SCHEMA,
        "record": "comparison",
        "same": len(pairing.pairs) - len(found),
        "pairs": [
            {
                "a": int(a.connections["number"][pair.a]),
                "b": int(b.connections["number"][pair.b]),
                "by": pair.by,
                "differences": [_difference(one, partings.get(pair, {})) for one in found[pair]],
            }
            for pair in found
        ],
        "only_in_a": a.connections["number"][pairing.only_a].tolist(),
        "only_in_b": b.connections["number"][pairing.only_b].tolist(),
    }
    return json.dumps(made, ensure_ascii=False)


def _difference(one: Difference, partings: Mapping[int, Parting]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "aspect": one.aspect.value,
        "side": Side(one.side).name.lower() if one.side >= 0 else None,
        "what": one.what or None,
        "a": one.a,
        "b": one.b,
    }
    parted = partings.get(one.side) if one.aspect == Aspect.SAID else None
    if parted:
        record["first_difference"] = {"byte": parted.offset, "a_hex": parted.a.hex(), "b_hex": parted.b.hex()}
    return record
