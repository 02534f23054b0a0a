"""What a capture is worth: how much was read, what of it belongs to connections, and whether it is whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyzer.tables import I64, Protocol, Rows


class Quality(NamedTuple):
    """A finished run in figures."""

    packets: int
    """Packets that passed the filter."""
    all_packets: int
    """Packets of the capture."""
    first_ns: int
    """The earliest time of a packet that passed."""
    last_ns: int
    tcp: int
    """TCP connections."""
    udp: int
    """UDP conversations."""
    strays: dict[Protocol, int]
    """Packets that belong to no connection, the most frequent kind first."""
    damaged_at: int
    """Offset of the first octet that could not be used; -1 when the capture is whole."""
    damage: str
    """What was wrong there."""
    lost: int = 0
    """Packets that passed the filter of a live capture and were lost, for there was no room for them."""


def count_kinds(connections: Rows) -> tuple[int, int]:
    """How many of these CONNECTION rows are TCP connections, and how many UDP conversations."""
    tcp = int((connections["protocol"] == Protocol.TCP).sum())
    return tcp, len(connections) - tcp


def most_frequent(strays: I64) -> dict[Protocol, int]:
    """Counts by Protocol without the zeros, the largest first."""
    order = np.argsort(-strays, kind="stable")
    return {Protocol(int(kind)): int(strays[kind]) for kind in order if strays[kind]}
