"""Which packets of a long connection are shown: the first and the last of each phase, those that change a state, and
the first in trouble. What lies between is folded into one line."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.render.segment import Segment

SHOWN_WHOLE = 40
"""Packets of a connection that is shown without folds."""

FIRST, LAST, TROUBLED = 6, 4, 3
"""Packets shown of a phase: its first, its last, and as many that are in trouble."""

WORTH_FOLDING = 4
"""Packets that a fold stands for, at least."""


def phase_runs(life: list[Segment]) -> Iterator[range]:
    """Stretches of packets of one phase. A phase may come again: data may follow the FIN of the other side."""
    start = 0
    for index in range(1, len(life) + 1):
        if index == len(life) or life[index].phase != life[start].phase:
            yield range(start, index)
            start = index


def folded(life: list[Segment], run: range, marked: int = 0) -> Iterator[int | range]:
    """The indexes of one phase in order: of a packet to show, or a range of packets to fold.

    The packet with the number ``marked`` is shown.
    """
    hidden = [index for index in run if not _is_kept(life, run, index) and life[index].number != marked]
    troubled = [index for index in hidden if life[index].troubled][:TROUBLED]
    shown = set(run).difference(hidden).union(troubled)
    start = run.start
    for index in [*sorted(shown), run.stop]:
        if index - start >= WORTH_FOLDING:
            yield range(start, index)
        else:
            yield from range(start, index)
        if index < run.stop:
            yield index
        start = index + 1


def _is_kept(life: list[Segment], run: range, index: int) -> bool:
    if index < run.start + FIRST or index >= run.stop - LAST:
        return True
    before, here = life[index - 1], life[index]
    return (before.client_state, before.server_state) != (here.client_state, here.server_state)
