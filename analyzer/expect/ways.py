"""A way through the states against the one that should be: where it is left."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.expect.vocabulary import ANY
from analyzer.export.connections import STATE_WORDS
from analyzer.tcp.states import FIGURE_5, RESETS, State

_CLOSED = STATE_WORDS[State.CLOSED]
_ARROWS = {(STATE_WORDS[before], STATE_WORDS[after]) for before, _input, after in (*FIGURE_5, *RESETS)}


def first_difference(way: Sequence[str], seen: Sequence[str]) -> tuple[int, tuple[str, ...]] | None:
    """The first state that is not on the way, by its index in ``seen``, and the states that it could have been.

    None where there is none. The index is ``len(seen)`` where the way goes on; where it ends before, no state could be.
    """
    places, reached = _skipped(way, {0}), 0
    furthest = max(places)
    for i, state in enumerate(seen):
        going_on = {place for place in places if place < len(way) and way[place] in (ANY, state)}
        places = _skipped(way, {place if way[place] == ANY else place + 1 for place in going_on})
        if not places:
            break
        if max(places) > furthest:
            furthest, reached = max(places), i + 1
    if len(way) in places:
        return None
    awaited = way[furthest] if furthest < len(way) else ""
    if not awaited:
        return reached, ()
    if furthest and way[furthest - 1] == ANY:
        return _lost(seen, reached, awaited), (awaited,)
    return reached, (awaited,)


def _skipped(way: Sequence[str], places: set[int]) -> set[int]:
    """The places, and those after an ANY at which one may be as well."""
    found = set(places)
    for place in sorted(places):
        while place < len(way) and way[place] == ANY:
            place += 1
            found.add(place)
    return found


def _lost(seen: Sequence[str], start: int, wanted: str) -> int:
    """The first state from ``start`` on from which no arrows lead to the one that is wanted."""
    for i in range(start, len(seen)):
        if wanted not in _ahead_of(seen[i], is_over=i > 0):
            return i
    return len(seen)


def _ahead_of(state: str, *, is_over: bool) -> set[str]:
    """The states that may come after one; ``is_over``: a CLOSED is the end."""
    found: set[str] = set()
    new = {state}
    while new:
        left = new - {_CLOSED} if is_over else new
        new = {after for before, after in _ARROWS if before in left} - found
        found |= new
    return found
