"""What became of a capture's IP fragments, in a sentence."""

from __future__ import annotations

from analyzer.render.quantities import counted


def reassembled(datagrams: int, given_up: int) -> str:
    """How many datagrams were made of fragments, and of how many some fragments never came; empty for none."""
    if not datagrams and not given_up:
        return ""
    made = f"{counted(datagrams, 'datagram')} reassembled from fragments"
    return f"{made}, {given_up:,} incomplete" if given_up else made


def overlapping(overlaps: int) -> str:
    """A warning where fragments bring octets again, as nobody's stack does who means well; empty for none."""
    if not overlaps:
        return ""
    verb = "overlaps" if overlaps == 1 else "overlap"
    return f"{counted(overlaps, 'fragment')} {verb} others: what came first is shown, the receiver may have seen else"
