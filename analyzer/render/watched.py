"""Which connections a screen shows when it cannot show all: the newest, the changed and the troubled come first.

The cost is bounded: of a batch the connections of its last packets are looked at, and once in a while all connections
in one sweep over their columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyzer.render.words import LOUD, events_of
from analyzer.tables import FIN, I64, RST, SYN, Batch, Event, Protocol, Rows, rows_of
from analyzer.tcp.summary import has_ended

LINGER_NS = 5_000_000_000
"""So long a connection that ended is still shown."""

_MOST = 256
"""Connections that are remembered from a batch, and from a sweep."""

_SWEEP_NS = 1_000_000_000
_EVERY_TIME = 2_000
"""Up to so many connections a sweep costs nothing worth saving."""

_LOUD_EVENTS = sum(1 << event for event in Event if any(word.style == LOUD for word in events_of(1 << event)))


class Touch(NamedTuple):
    """The latest packet of a connection, and its latest trouble."""

    ts_ns: int
    side: int
    flags: int
    payload_len: int
    events: int
    """Bits of the latest packet that had any worth telling."""
    events_ns: int
    news_ns: int
    """When something other than data going on came last."""


class Watched:
    """Connections that may be shown."""

    def __init__(self) -> None:
        self._touched: dict[int, Touch] = {}
        self._swept: I64 = np.empty(0, np.int64)
        self._swept_ns = -_SWEEP_NS
        self._living = 0

    def note(self, batch: Batch) -> None:
        """Look at a batch."""
        frames, packets, labels = batch
        numbers = labels.connection
        kinds = packets.flags & (SYN | FIN | RST)
        is_copy = labels.events >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 != 0
        events = np.where(is_copy, 0, labels.events & np.uint32(_LOUD_EVENTS))
        news = np.flatnonzero(((kinds != 0) | (events != 0)) & (numbers > 0))
        others = np.flatnonzero(numbers > 0)
        for is_news, at in ((True, _last_ones(numbers, news)), (False, _last_ones(numbers, others))):
            for i in at.tolist():
                number, ts_ns = int(numbers[i]), int(frames.ts_ns[i])
                old = self._touched.pop(number, None)
                bits, bits_ns = (int(events[i]), ts_ns) if events[i] or old is None else (old.events, old.events_ns)
                news_ns = ts_ns if is_news or old is None else old.news_ns
                self._touched[number] = Touch(
                    ts_ns, int(labels.side[i]), int(packets.flags[i]), int(packets.payload_len[i]), bits, bits_ns,
                    news_ns,
                )  # fmt: skip
        while len(self._touched) > 4 * _MOST:
            del self._touched[next(iter(self._touched))]

    def touched(self, number: int) -> Touch | None:
        """What is known of a connection's latest packet."""
        return self._touched.get(number)

    def choose(self, connections: Rows, endpoints: Rows, now_ns: int, room: int) -> tuple[list[int], int]:
        """At most ``room`` rows of connections to show, in their order; and how many live or ended just now."""
        if len(connections) <= _EVERY_TIME or not 0 <= now_ns - self._swept_ns < _SWEEP_NS:
            self._sweep(connections, endpoints, now_ns)
        numbers = np.union1d(self._swept, np.fromiter(self._touched, np.int64, len(self._touched)))
        candidates = rows_of(connections, numbers)
        candidates = candidates[candidates >= 0]
        candidates = candidates[_is_shown(connections[candidates], endpoints[candidates], now_ns)]
        if len(candidates) > room:
            ranks = [(self._news_ns(row, connections), row) for row in candidates.tolist()]
            ranks.sort(reverse=True)
            candidates = np.array(sorted(row for _, row in ranks[:room]), np.int64)
        return candidates.tolist(), max(self._living, len(candidates))

    def _news_ns(self, row: int, connections: Rows) -> int:
        touch = self._touched.get(int(connections[row]["number"]))
        return touch.news_ns if touch else int(connections[row]["first_ns"])

    def _sweep(self, connections: Rows, endpoints: Rows, now_ns: int) -> None:
        shown = np.flatnonzero(_is_shown(connections, endpoints, now_ns))
        self._living = len(shown)
        if len(shown) > _MOST:
            latest = np.argpartition(connections["last_ns"][shown], -_MOST)[-_MOST:]
            shown = shown[latest]
        self._swept, self._swept_ns = connections["number"][shown], now_ns


def _is_shown(connections: Rows, endpoints: Rows, now_ns: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """For each of these connections, whether it lives or ended just now."""
    lingers = (connections["protocol"] == Protocol.TCP) & (now_ns - connections["last_ns"] < LINGER_NS)
    shown: np.ndarray[tuple[int], np.dtype[np.bool_]] = ~has_ended(connections, endpoints, now_ns) | lingers
    return shown


def _last_ones(numbers: I64, at: I64) -> I64:
    """Of these places of a batch the last one of each connection, the latest connections if there are many."""
    _, back = np.unique(numbers[at][::-1], return_index=True)
    last: I64 = np.sort(at[::-1][back])
    return last[-_MOST:]
