"""When a program read, as the window of its side tells: a script whose program reads more shows no zero window.

A window of zero is a receive buffer that is full. What came before it and was more than the largest window so far had
been read; after it, what the window's right edge moves on by. Both are what the program read at least, and no more is
read here until the end of what comes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from analyzer.explain.calls import Call, Certainty, Kind
from analyzer.export.segments import Segment
from analyzer.tables import RST, SYN, Side

_SCALE = re.compile(r"\bwscale (\d+)")


class Pace(NamedTuple):
    """What a side's program does, where its window was zero."""

    calls: list[Call]
    """Its calls; those that read are by its window."""
    buffer: int
    """Octets that it had room for; 0 where the window was never zero, or where its scale does not fit a buffer that
    the program set so small: Linux' own needs more."""


def paced(some: Sequence[Segment], calls: Sequence[Call], side: Side) -> Pace:
    """The calls of one side; as they are where its window was never zero."""
    mine = [call for call in calls if call.side == side]
    scales = [_scale(some, end) for end in Side]
    own_scale = scales[side]
    shift = own_scale if own_scale is not None and None not in scales else 0
    windows = {
        one.number: (one.ack, one.window << (0 if one.flags & SYN else shift))
        for one in some
        if one.side == side and not one.flags & RST
    }
    shut = next((one for one in some if is_shut(one) and one.side == side), None)
    if shut is None:
        return Pace(mine, 0)
    room = max(window for number, (_, window) in windows.items() if number <= shut.number)
    read_before = max(shut.ack - 1 - room, 0)
    paced: list[Call] = []
    received = available = done = highest = 0
    ends_unread = any(call.kind == Kind.ABORT for call in mine)
    for segment in some:
        near = [call for call in mine if call.packet == segment.number]
        ack, window = windows.get(segment.number, (0, 0))
        if segment.side != side:
            highest = max(highest, segment.seq - 1 + segment.payload_len)
        if ack and segment.number > shut.number:
            available = max(available, min(highest, ack - 1))
            n = min(read_before + ack + window - shut.ack, available) - done
            paced += _read(segment, side, n, follows=False)
            done += max(n, 0)
        for call in near:
            n = 0
            if call.kind == Kind.READ:
                received += call.octets
                available = max(available, received)
                n = min(read_before, available) - done if segment.number < shut.number else 0
            elif call.kind == Kind.END_OF_FILE and not ends_unread:
                n = available - done
            elif call.kind == Kind.ABORT and available > done:
                call = call._replace(kind=Kind.CLOSE)  # what is unread makes it RST (RFC 2525 2.17)
            paced += _read(segment, side, n, follows=call.follows)
            done += max(n, 0)
            if call.kind != Kind.READ and not (call.kind == Kind.END_OF_FILE and available > done):
                paced.append(call)
    return Pace(paced, 0 if own_scale else room)


def is_shut(segment: Segment) -> bool:
    """Whether a segment announces a window of zero."""
    return segment.window == 0 and not segment.flags & (SYN | RST)


def _scale(some: Sequence[Segment], side: Side) -> int | None:
    """The window scale that a side offered; None where it offered none."""
    offered = (_SCALE.search(one.options or "") for one in some if one.side == side and one.flags & SYN)
    return next((int(match[1]) for match in offered if match), None)


def _read(segment: Segment, side: Side, octets: int, *, follows: bool) -> list[Call]:
    if octets <= 0:
        return []
    return [Call(segment.number, side, "", follows, Certainty.LIKELY, kind=Kind.READ, octets=octets)]
