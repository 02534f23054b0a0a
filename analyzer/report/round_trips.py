"""Round trips by Karn's rule: the same samples as tcp/unacknowledged.py counts, told packet by packet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.tables import I64

_MOST_HELD = 512  # as in tcp/unacknowledged.py: the counters and the plot have the same samples


class _Held(NamedTuple):
    """A segment that waits for its acknowledgement."""

    start: int
    end: int
    ts_ns: int
    advances: bool
    """Nothing up to its end had been sent before."""


class _Sender:
    """What one side sent and its peer has not acknowledged."""

    def __init__(self) -> None:
        self.held: list[_Held] = []
        self.una: int | None = None
        self.highest: int | None = None
        self._crowded = False
        self._scattered = False

    def send(self, start: int, end: int, ts_ns: int) -> None:
        advances = self.highest is None or end > self.highest
        if advances:
            self.highest = end
        if self.una is not None and self.una >= end:
            return
        start = start if self.una is None else max(start, self.una)
        if len(self.held) >= _MOST_HELD:
            del self.held[0]
            self._crowded = True
        self._scattered = bool(self.held) and (self._scattered or start < self.held[-1].end)
        self.held.append(_Held(start, end, ts_ns, advances))

    def acknowledge(self, ack: int) -> int:
        """When the segment was sent that is answered; -1 where that cannot be told."""
        sent_ns = -1
        reaching = 0
        kept: list[_Held] = []
        looked_at = 0
        is_scattered = False
        before = ack
        for one in self.held:
            start, end, ts_ns, advances = one
            if start >= ack:
                if not self._scattered:
                    break
                kept.append(one)
            else:
                sent_ns = -1
                reaching += end >= ack
                if end == ack and reaching == 1 and (advances or not self._crowded):
                    sent_ns = ts_ns
                if end > ack:
                    kept.append(_Held(ack, end, ts_ns, advances))
            looked_at += 1
            is_scattered = is_scattered or (end > ack and max(start, ack) < before)
            before = end if end > ack else before
        self.held[:looked_at] = kept
        self._scattered = is_scattered
        return sent_ns


def round_trips(
    ts_ns: I64, side: I64, start: I64, end: I64, acked: I64, is_copy: npt.NDArray[np.bool_]
) -> I64:  # fmt: skip
    """For each packet the time that it measures: from the peer's segment to this acknowledgement of it; -1 for none.

    ``start`` and ``end`` are places; they are equal where a packet holds no sequence number. ``acked`` is -1 without
    ACK.
    """
    found = np.full(len(ts_ns), -1, np.int64)
    senders = _Sender(), _Sender()
    says = np.flatnonzero(~is_copy & ((end > start) | (acked >= 0)))
    columns = (column[says].tolist() for column in (ts_ns, side, start, end, acked))
    for i, now, mine, first, after, ack in zip(says.tolist(), *columns, strict=True):
        if after > first:
            senders[mine].send(first, after, now)
        if ack < 0:
            continue
        peer = senders[1 - mine]
        if peer.una is None or ack > peer.una:
            sent_ns = peer.acknowledge(ack)
            peer.una = ack
            if 0 <= sent_ns <= now:
                found[i] = now - sent_ns
    return found
