"""Records of JSON with the names that CSV, Parquet and Arrow have."""

from __future__ import annotations

from typing import Any


def flat(record: dict[str, Any], above: str = "") -> dict[str, Any]:
    """A record with nested names joined by dots."""
    joined: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            joined |= flat(value, f"{above}{name}.")
        else:
            joined[above + name] = value
    return joined
