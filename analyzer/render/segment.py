"""A packet of a connection as an object, for the connection that a person looks at."""

from __future__ import annotations

from typing import NamedTuple

from analyzer.render.words import LOUD, events_of
from analyzer.tables import Event, Life


class Segment(NamedTuple):
    """One row of a Life, as Python's integers."""

    number: int
    ts_ns: int
    side: int
    phase: int
    client_state: int
    server_state: int
    events: int
    seq: int
    ack: int
    flags: int
    window: int
    payload_len: int
    options: int
    mss: int
    window_scale: int
    sack_blocks: int
    refers_to: int
    repeat: int
    payload: bytes

    @property
    def troubled(self) -> bool:
        """Whether something is wrong with it."""
        return any(word.style == LOUD for word in events_of(self.events)) if self.events else False

    @property
    def is_copy(self) -> bool:
        """Whether it is the capture's copy of another one."""
        return self.events >> Event.CAPTURE_DUPLICATE & 1 == 1


def segments(life: Life) -> list[Segment]:
    """The packets of a life, in order."""
    columns = [column.tolist() for column in life[:18]]
    return [Segment(*row) for row in zip(*columns, life.payload, strict=True)]


class Traffic(NamedTuple):
    """What some packets come to."""

    packets: int
    client_bytes: int
    server_bytes: int
    duration_ns: int


def traffic(some: list[Segment]) -> Traffic:
    """Packets, payload of each side without what the capture has again, and time from the first to the last."""
    sent = [0, 0]
    for segment in some:
        if not segment.is_copy:
            sent[segment.side] += segment.payload_len
    return Traffic(len(some), sent[0], sent[1], some[-1].ts_ns - some[0].ts_ns)
