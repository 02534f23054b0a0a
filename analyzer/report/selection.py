"""Which connections a page tells in detail, and how many packets of each: it is bounded, and says what is left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analyzer.explain.causes import Cause, causes_of
from analyzer.language import _
from analyzer.render.quantities import count
from analyzer.render.words import ENDINGS, LOUD, TROUBLES
from analyzer.tables import Rows

MOST_CONNECTIONS = 50
"""Connections told in detail where nobody named any."""

_OF_A_KIND = 3
_WRONG = [cause for cause in Cause if ENDINGS[cause].style == LOUD]


def that_matter(connections: Rows, endpoints: Rows, most: int = MOST_CONNECTIONS) -> list[int]:
    """Numbers of the connections that a reader wants to see, in their order: of each kind of ending some, then those in
    trouble, then those that came to nothing, then the longest."""
    causes = causes_of(connections, endpoints)
    trouble = sum((endpoints[counter].sum(axis=1, dtype=np.int64) for counter in TROUBLES), np.zeros(len(causes)))
    packets = endpoints["packets"].sum(axis=1)
    order = np.lexsort((-packets, -trouble, causes))
    rank = np.empty(len(causes), np.int64)
    rank[order] = np.arange(len(causes)) - np.searchsorted(causes[order], causes[order])
    worst = np.lexsort((-packets, -trouble, ~np.isin(causes, _WRONG), trouble == 0, rank >= _OF_A_KIND))
    numbers: list[int] = sorted(connections["number"][worst[:most]].tolist())
    return numbers


def shares(packets: Sequence[int], most: int) -> list[int]:
    """How many packets of each connection are told: all together no more than ``most``, of none less than two.

    What small ones do not need is for the others. Where it is not all of them, it is an even number, of two halves.
    """
    given = [0] * len(packets)
    left = most
    for done, index in enumerate(sorted(range(len(packets)), key=packets.__getitem__)):
        share = max(2, left // (len(packets) - done))
        given[index] = packets[index] if packets[index] <= share else share - share % 2
        left -= given[index]
    return given


def left_out(connections: int, told: int, has_payload: bool, is_anonymous: bool) -> list[str]:
    """What a page does not have, in sentences."""
    said = []
    if told < connections:
        said.append(
            _("{told} of {connections} connections are told in detail; the others have a row in the table.").format(
                told=count(told), connections=count(connections)
            )
        )
    if not has_payload:
        said.append(_("What the programs said is left out."))
    if is_anonymous:
        said.append(_("Addresses are not the real ones."))
    return said
