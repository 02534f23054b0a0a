"""What is kept of every packet of a capture, so that it can be found again in a capture made elsewhere: a row each."""

from __future__ import annotations

import numpy as np

from analyzer.compare.sides import Sides, Taken
from analyzer.compare.voices import captured_end, payload_sums
from analyzer.tables import I64, U8, Batch, Event, Protocol, Rows

SEEN = np.dtype(
    [
        ("number", np.int64),
        ("ts_ns", np.int64),
        ("row", np.int64),  # its connection's number, minus one
        ("seq", np.uint32),
        ("ack", np.uint32),
        ("ts_val", np.uint32),
        ("ts_ecr", np.uint32),
        ("sum", np.uint32),  # of its payload
        ("payload_len", np.uint32),
        ("flags", np.uint16),
        ("window", np.uint16),
        ("ip_id", np.uint16),
        ("mss", np.uint16),
        ("side", np.uint8),
        ("ttl", np.uint8),
        ("traffic_class", np.uint8),  # of IPv4 the type of service; DSCP and ECN
        ("options", np.uint8),
        ("window_scale", np.uint8),
        ("is_copy", np.uint8),  # the capture has it already
        ("is_cut", np.uint8),  # not all of its payload was captured
    ],
    align=True,
)
"""A packet of a connection, as a place on the way saw it."""


class Seen:
    """Collects them from the batches of a run in which no connection is let go."""

    def __init__(self) -> None:
        self._sides = Sides()
        self._parts: list[Rows] = []

    def add(self, batch: Batch) -> None:
        """Take the next batch, while its octets are there."""
        self._parts.append(_rows(batch, self._sides.taken(batch)))

    def finished(self) -> Rows:
        """SEEN rows in the order of the capture, when all batches were taken."""
        rows = np.concatenate(self._parts) if self._parts else np.zeros(0, SEEN)
        rows["side"] ^= self._sides.turned(rows["row"])
        return rows


def _rows(batch: Batch, taken: Taken) -> Rows:
    frames, packets, labels = batch
    at = taken.at
    rows: Rows = np.zeros(len(at), SEEN)
    rows["number"], rows["ts_ns"], rows["row"] = frames.number[at], frames.ts_ns[at], taken.rows
    rows["side"] = taken.side
    for name in (
        "seq", "ack", "ts_val", "ts_ecr", "payload_len", "flags", "window", "ip_id", "mss", "ttl", "options",
        "window_scale",
    ):  # fmt: skip
        rows[name] = getattr(packets, name)[at]
    rows["is_copy"] = labels.events[at] >> np.uint32(Event.CAPTURE_DUPLICATE) & 1
    rows["sum"] = payload_sums(batch, at)
    end = packets.payload_start[at] + packets.payload_len[at]
    rows["is_cut"] = (packets.payload_len[at] > 0) & (end > captured_end(batch, at))
    rows["traffic_class"] = _traffic_classes(batch, at)
    return rows


def _traffic_classes(batch: Batch, at: I64) -> U8:
    """Of the innermost IP headers: what stands before a TCP or UDP header with these ports. 0 where it is not found."""
    frames, packets, _ = batch
    found = np.zeros(len(at), np.uint8)
    data = frames.data
    ends = packets.payload_start[at]
    ports = packets.src_port[at].astype(np.int64) << 16 | packets.dst_port[at]
    is_tcp = packets.protocol[at] == Protocol.TCP
    for length in (8, *range(20, 64, 4)):
        header = ends - length
        may = (header >= 20 + frames.start[at]) & (packets.fragments[at] == 0) & (is_tcp == (length > 8))
        some = np.flatnonzero(may)
        here = header[some]
        octets = [data[here + k].astype(np.int64) for k in range(4)]
        written = octets[0] << 24 | octets[1] << 16 | octets[2] << 8 | octets[3]
        some, here = some[written == ports[some]], here[written == ports[some]]
        if length > 8:
            is_long = data[here + 12] >> 4 == length // 4
            some, here = some[is_long], here[is_long]
        is_v4 = (packets.ip_version[at[some]] == 4) & (data[here - 20] == 0x45)
        found[some[is_v4]] = data[here[is_v4] - 19]
        is_v6 = (packets.ip_version[at[some]] == 6) & (here >= 40)
        first = here[is_v6] - 40
        found[some[is_v6]] = (data[first] << 4 | data[first + 1] >> 4) & 0xFF
    return found
