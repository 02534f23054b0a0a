"""Which packets of a long connection a plot keeps: what is remarkable, the extremes of every moment, the rest evenly.

The packets that are kept are the capture's own, each with all that is told of it. A line through them has the same
highest and lowest points as one through all packets, as far as the bound has room for moments.
"""

from __future__ import annotations

import numpy as np

from analyzer.report.course import NONE, Course, Truths
from analyzer.tables import FIN, I64, RST, SYN, Event, Side

TROUBLE = sum(
    1 << event
    for event in (
        Event.RETRANSMISSION, Event.FAST_RETRANSMISSION, Event.SPURIOUS_RETRANSMISSION, Event.OUT_OF_ORDER,
        Event.LOST_SEGMENT, Event.ACK_LOST_SEGMENT, Event.ZERO_WINDOW, Event.ZERO_WINDOW_PROBE, Event.WINDOW_FULL,
        Event.REUSED_PORTS, Event.OLD_TIMESTAMP,
    )
)  # fmt: skip
"""Events that are always drawn."""

_AROUND = (128, 64, 32, 16, 8, 4, 2)
"""So many packets before and after trouble are kept, the most for which there is room."""

_EXTREMES = 11
"""Packets that are kept at most of one side and one moment."""


def remarkable(course: Course) -> Truths:
    """The packets that are never dropped while they alone keep within the bound."""
    marked: Truths = (course.events & np.uint32(TROUBLE) != 0) | (course.flags & (SYN | FIN | RST) != 0)
    for side in Side:
        mine = np.flatnonzero(course.side == side)
        marked[mine[:1]] = marked[mine[-1:]] = True
    marked[[0, -1]] = True
    return marked


def kept(course: Course, most: int) -> I64:
    """The rows to draw, in order; all of them where they are ``most`` or fewer."""
    n = len(course.number)
    if n <= most:
        return np.arange(n)
    chosen = np.zeros(n, np.bool_)
    marked = remarkable(course)
    if marked.sum() <= most * 3 // 4:
        chosen |= marked
    else:
        _choose_extremes(chosen, course, marked, most // 2)
    _choose_extremes(chosen, course, np.ones(n, np.bool_), (most - int(chosen.sum())) // 2)
    for around in _AROUND:
        near = _spread(marked, around) | chosen
        if near.sum() <= most:
            chosen = near
            break
    others = np.flatnonzero(~chosen)
    room = most - int(chosen.sum())
    if room > 0:
        chosen[others[np.unique(np.linspace(0, len(others) - 1, room).astype(np.int64))]] = True
    return np.flatnonzero(chosen)


def _choose_extremes(chosen: Truths, course: Course, among: Truths, room: int) -> None:
    """Choose, of every moment and each side, the packets with the extremes of each measure: ``room`` at most."""
    moments = max(1, room // (2 * _EXTREMES))
    earliest, latest = int(course.time_ns.min()), int(course.time_ns.max())
    moment = (course.time_ns - earliest) // ((latest - earliest) // moments + 1)
    for side in Side:
        rows = np.flatnonzero(among & (course.side == side))
        own, peer = course.client_in_flight[rows], course.server_in_flight[rows]
        if side == Side.SERVER:
            own, peer = peer, own
        window, end, rtt_ns = course.window[rows], course.end[rows], course.rtt_ns[rows]
        edge = np.where(window == NONE, NONE, course.acked[rows] + window)
        for values in (end, edge, window, rtt_ns, own, peer, course.gap_ns[rows]):
            real = values != NONE
            _choose_highest(chosen, rows[real], moment[rows[real]], values[real])
        for values in (end, edge, window, rtt_ns):
            real = values != NONE
            _choose_highest(chosen, rows[real], moment[rows[real]], -values[real])


def _choose_highest(chosen: Truths, rows: I64, moment: I64, values: I64) -> None:
    """Choose of each moment the first row with its highest value."""
    if not len(rows):
        return
    highest = np.full(int(moment.max()) + 1, np.iinfo(np.int64).min)
    np.maximum.at(highest, moment, values)
    at = np.flatnonzero(values == highest[moment])
    _moments, first = np.unique(moment[at], return_index=True)
    chosen[rows[at[first]]] = True


def _spread(marked: Truths, around: int) -> Truths:
    """The rows that are at most so far from a marked one."""
    edges = np.zeros(len(marked) + 1, np.int64)
    at = np.flatnonzero(marked)
    np.add.at(edges, np.maximum(at - around, 0), 1)
    np.add.at(edges, np.minimum(at + around + 1, len(marked)), -1)
    return np.cumsum(edges[:-1]) > 0
