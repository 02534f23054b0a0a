"""Zeek's conn_state and Wireshark's completeness, parts of the oracle: each code with its condition."""

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


def completeness(flags: int, payload: bool, is_first: bool, has_former: bool) -> int:
    """The bits that a segment adds: SYN 1, SYN,ACK 2, ACK 4, data 8, FIN 16, RST 32.

    The first segment of a connection counts as a SYN, and no other as one.
    """
    syn, ack = flags & 2, flags & 16
    if is_first:
        if syn and not ack:
            return 9 if payload and not has_former else 1
        return 0
    seen = 32 if flags & 4 else 0
    if ack:
        seen |= 2 if syn else 8 if payload else 4
        seen |= 16 if flags & 1 else 0
    return seen
