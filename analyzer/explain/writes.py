"""Where a ``write()`` probably ended: what a sender's segments tell of the calls that filled them.

TCP keeps no boundaries between writes: several of them may share a segment, and one may take many. What tells all the
same is PSH, which a sender sets when it has no more to send (RFC 9293 3.9.1.2). On a full segment it tells nothing:
Linux sets it on the last one of each batch that it hands to the network card, in the middle of a write. Where the
receiver's window is full, or so small that a sender waits, neither the length nor a pause tells anything.
"""

from __future__ import annotations

from analyzer.explain.places import Packet
from analyzer.language import text
from analyzer.tables import FIN, PSH, SYN, Rows

PAUSE_NS = 200_000_000
"""As long as a delayed ACK may take at most with most systems: longer than a sender pauses within a write."""

_MOST_OPTIONS_LEN = 40
"""Octets of TCP's options: a full segment has room for so many octets less than the MSS, at most."""

_TIMESTAMPS_LEN = 12
"""Octets of the timestamps option, padded: what most segments have."""


class Room:
    """What a receiver announces, packet by packet: as its sender knows it when it sends.

    ``end`` is the receiver's ENDPOINT row, ``shift`` that of its window; None where it is not known: then nothing is
    known of its room.
    """

    def __init__(self, end: Rows, shift: int | None) -> None:
        self.mss = int(end["mss"])
        self.most = int(end["max_window"]) if shift is None else 0
        """The largest window so far."""
        self._shift = shift
        self._edge = 0

    def take(self, packet: Packet) -> None:
        """Take a segment of the receiver."""
        if self._shift is not None and packet.acked >= 0:
            window = packet.window << (0 if packet.flags & SYN else self._shift)
            self.most = max(self.most, window)
            self._edge = packet.acked + window

    def has_more_after(self, end: int) -> bool:
        """Whether there was room for another full segment after this place of the stream."""
        if self._shift is None:
            return True
        return self._edge - end >= min(self.mss or self.most, self.most // 2)


def end_of_write(flags: int, payload_len: int, mss: int, max_window: int = 0) -> str:
    """Why a write ends with this segment: ``FIN``, ``PSH``, ``short``; empty where nothing says so.

    ``mss`` and ``max_window`` are what the receiver announced, 0 where that is not known.
    """
    if flags & FIN:
        return "FIN"
    if flags & PSH:
        return "" if _is_full(payload_len, mss) or _is_full(payload_len, max_window // 2) else "PSH"
    # half a window: RFC 9293 3.8.6.2.1 has a sender that waits no longer for more
    full = min(mss, max_window // 2) if max_window else mss
    return text("short") if payload_len + _MOST_OPTIONS_LEN < full else ""


def _is_full(payload_len: int, segment_len: int) -> bool:
    """Whether a segment is as long as can be, or is several such that the sender's network card takes apart."""
    if segment_len <= _MOST_OPTIONS_LEN or not payload_len:
        return False
    if payload_len <= segment_len:
        return payload_len + _MOST_OPTIONS_LEN >= segment_len
    return payload_len % segment_len == 0 or payload_len % (segment_len - _TIMESTAMPS_LEN) == 0
