"""What became of a capture's IP fragments, in a sentence."""

from __future__ import annotations

from analyzer import language
from analyzer.language import _
from analyzer.render.quantities import count, counted


def reassembled(datagrams: int, given_up: int) -> str:
    """How many datagrams were made of fragments, and of how many some fragments never came; empty for none."""
    if not datagrams and not given_up:
        return ""
    made = counted(datagrams, "datagram")
    if not given_up:
        return _("{datagrams} reassembled from fragments").format(datagrams=made)
    text = _("{datagrams} reassembled from fragments, {incomplete} incomplete")
    return text.format(datagrams=made, incomplete=count(given_up))


def overlapping(overlaps: int) -> str:
    """A warning where fragments bring octets again, as nobody's stack does who means well; empty for none."""
    if not overlaps:
        return ""
    text = language.counted(
        "{n} fragment overlaps others: what came first is shown, the receiver may have seen else",
        "{n} fragments overlap others: what came first is shown, the receiver may have seen else",
        overlaps,
    )
    return text.format(n=count(overlaps))
