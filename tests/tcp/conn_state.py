"""Zeek's conn_state, a part of the oracle: each code with its condition."""

from __future__ import annotations

from collections.abc import Sequence


def conn_state(o: str, r: str, silent: bool) -> str:
    """The code for what Zeek's states of originator and responder came to; ``silent``: neither sent any payload."""
    unseen = ("inactive", "partial")
    rules: Sequence[tuple[str, bool]] = (
        ("REJ", r == "reset" and (o in ("syn sent", "syn-ack sent") or (o == "reset" and silent))),
        ("RSTRH", r == "reset" and o in unseen),
        ("RSTR", r == "reset"),
        ("RSTOS0", o == "reset" and r in unseen),
        ("RSTO", o == "reset"),
        ("SF", o == r == "closed"),
        ("SH", o == "closed" and r in unseen),
        ("S2", o == "closed"),
        ("SHR", r == "closed" and o in unseen),
        ("S3", r == "closed"),
        ("S0", o == "syn sent" and r == "inactive"),
        ("S1", o == r == "established"),
        ("OTH", True),
    )
    return next(code for code, holds in rules if holds)
