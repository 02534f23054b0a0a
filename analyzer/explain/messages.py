"""What was written beside what was read: TCP carries a stream of octets and keeps no boundaries between messages.

An exchange is the shortest stretch of a direction that begins and ends where a write, a segment and a read do at
once: what one side wrote in it came in these segments and was read in these pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analyzer.explain.tying import Packet, Tie
from analyzer.strace.sockets import Deed
from analyzer.tables import RST, Side


class Exchange(NamedTuple):
    """A stretch of a direction, in octets."""

    writes: tuple[int, ...]
    """What each write wrote; empty where the writer was not watched."""
    segments: tuple[int, ...]
    """What each segment brought that was new."""
    packets: tuple[int, ...]
    """The numbers of the segments."""
    reads: tuple[int, ...]
    """What each read got; empty where the reader was not watched, or did not read."""


class Direction(NamedTuple):
    """One direction of a connection."""

    sender: Side
    knows_writes: bool
    knows_reads: bool
    exchanges: list[Exchange]
    unread: int
    """Octets that the reader had not read when it closed the socket; 0 none, or not known."""
    reset: int
    """The packet with the RST that it sent then in place of a FIN (RFC 2525 2.17); 0 none."""

    @property
    def joins(self) -> bool:
        """Whether one read got what several writes wrote."""
        return self.knows_writes and any(_spans(one.reads, one.writes) for one in self.exchanges)

    @property
    def joins_segments(self) -> bool:
        """The same where the writer was not watched: whether one read got what several segments brought."""
        return not self.knows_writes and any(_spans(one.reads, one.segments) for one in self.exchanges)

    @property
    def sends_joined(self) -> bool:
        """The same where the reader was not watched: whether one segment brought what several writes wrote."""
        return not self.knows_reads and any(_spans(one.segments, one.writes) for one in self.exchanges)

    @property
    def parts(self) -> bool:
        """Whether several reads got what one write wrote."""
        return self.knows_writes and any(_spans(one.writes, one.reads) for one in self.exchanges)


def direction(
    sender: Side, packets: Sequence[Packet], writer: Sequence[Tie] | None, reader: Sequence[Tie] | None
) -> Direction:
    """What ``sender`` sent, by the calls of both sides; None: that side was not watched."""
    brought = [(one.end, one.number, one.end - one.new) for one in packets if one.side == sender and one.new < one.end]
    brought.sort()
    writes, reads = _stretches(writer, Deed.WRITE), _stretches(reader, Deed.READ)
    segments = [(end - length, end) for end, _, length in brought]
    bounds = {end for _, end in segments}
    for known in (writes, reads):
        if known:
            bounds &= {end for _, end in known}
    exchanges = []
    start = 0
    last = max((end for known in (writes, reads, segments) for _, end in known or ()), default=0)
    for end in sorted({*bounds, last} - {0}):
        numbers = tuple(number for seg_end, number, _ in brought if start < seg_end <= end)
        pieces = [
            tuple(min(b, end) - max(a, start) for a, b in known or () if start < b and a < end)
            for known in (writes, segments, reads)
        ]
        exchanges.append(Exchange(pieces[0], pieces[1], numbers, pieces[2]))
        start = end
    closing = max(reader or (), key=lambda tie: tie.unread, default=None)
    unread, reset = 0, 0
    if closing and closing.unread:
        unread = closing.unread
        reset = next((packets[at].number for at in closing.caused if packets[at].flags & RST), 0)
    return Direction(sender, writes is not None, reads is not None, exchanges, unread, reset)


def _stretches(ties: Sequence[Tie] | None, deed: Deed) -> list[tuple[int, int]] | None:
    if ties is None:
        return None
    return [(tie.start, tie.start + tie.seen.octets) for tie in ties if tie.seen.deed == deed and tie.seen.octets]


def _spans(some: Sequence[int], others: Sequence[int]) -> bool:
    """Whether one of ``some`` reaches over an end between two of ``others``."""
    if not some or len(others) < 2:
        return False
    inner, at = set(), 0
    for length in others[:-1]:
        at += length
        inner.add(at)
    at = 0
    for length in some:
        if any(at < end < at + length for end in inner):
            return True
        at += length
    return False
