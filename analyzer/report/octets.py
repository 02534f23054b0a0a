"""The octets of chosen packets: what a reader sees as tcpdump's line, in hexadecimal, and as what the sides said.

Of a connection the first and the last packets are kept, half of its share each, as a Life keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import harmless
from analyzer.tables import I64, Batch, Frames, Life

MOST_OCTETS = 2_048
"""Octets kept of a packet, beyond its headers' usual length and any MTU but jumbo frames'."""


class Frame(NamedTuple):
    """A packet as it was captured, or the beginning of it."""

    number: int
    ts_ns: int
    octets: bytes
    origlen: int
    """Octets that were on the wire."""
    linktype: int
    payload_start: int
    """Offset in ``octets`` of TCP's or UDP's payload; their length where there is none."""


class KeptFrames:
    """Collects the frames of some connections: ``shares`` has how many of each."""

    def __init__(self, shares: Mapping[int, int]) -> None:
        self._halves = {number: max(1, (share + 1) // 2) for number, share in shares.items()}
        self._wanted = np.array(sorted(shares), np.int64)
        self._heads: dict[int, list[Frame]] = {number: [] for number in shares}
        self._tails: dict[int, list[Frame]] = {number: [] for number in shares}

    def add(self, batch: Batch) -> None:
        """Take a batch."""
        hits = np.flatnonzero(np.isin(batch.labels.connection, self._wanted))
        owners = batch.labels.connection[hits]
        for number in np.unique(owners).tolist():
            at = hits[owners == number]
            half, head, tail = self._halves[number], self._heads[number], self._tails[number]
            room = half - len(head)
            head += _frames(batch, at[:room])
            tail += _frames(batch, at[room:][-half:])
            del tail[:-half]

    def is_full(self, number: int) -> bool:
        """Whether a connection's first half is complete."""
        return len(self._heads[number]) >= self._halves[number]

    def found(self) -> dict[int, list[Frame]]:
        """The frames by the numbers of their connections, in order."""
        return {number: self._heads[number] + self._tails[number] for number in self._heads}


def _frames(batch: Batch, at: I64) -> list[Frame]:
    frames, packets, _labels = batch
    found = []
    for i in at.tolist():
        start = int(frames.start[i])
        octets = frames.data[start : start + min(int(frames.caplen[i]), MOST_OCTETS)].tobytes()
        payload_start = int(packets.payload_start[i]) - start
        if not 0 <= payload_start <= len(octets):  # of a datagram made of fragments, or beyond what was captured
            payload_start = len(octets)
        number, ts_ns = int(frames.number[i]), int(frames.ts_ns[i])
        found.append(Frame(number, ts_ns, octets, int(frames.origlen[i]), int(frames.linktype[i]), payload_start))
    return found


def without_payload(frame: Frame) -> Frame:
    """The frame cut where its payload begins."""
    return frame._replace(octets=frame.octets[: frame.payload_start])


def tcpdump_lines(frames: list[Frame]) -> dict[int, str]:
    """tcpdump's text of each packet by its number, without names; the first packets of connections are among them."""
    if not frames:
        return {}
    frames = sorted(frames)
    printer = TcpdumpPrinter(TcpdumpOptions(numeric=1))
    text, end = printer.render(_as_columns(frames))
    printed = text.tobytes().decode("latin-1")
    starts = [0, *end.tolist()]
    return {
        frame.number: harmless(printed[start : stop - 1])
        for frame, start, stop in zip(frames, starts, starts[1:], strict=False)
    }


def _as_columns(frames: list[Frame]) -> Frames:
    octets = b"".join(frame.octets for frame in frames)
    lengths = np.array([len(frame.octets) for frame in frames], np.uint32)
    return Frames(
        data=np.frombuffer(octets, np.uint8),
        start=np.cumsum(lengths, dtype=np.int64) - lengths,
        caplen=lengths,
        origlen=np.array([frame.origlen for frame in frames], np.uint32),
        ts_ns=np.array([frame.ts_ns for frame in frames], np.int64),
        linktype=np.array([frame.linktype for frame in frames], np.uint16),
        interface=np.zeros(len(frames), np.uint16),
        number=np.array([frame.number for frame in frames], np.int64),
    )


def first_and_last(life: Life, most: int) -> Life:
    """The life with no more packets than that: its first and its last ones, half each."""
    count = len(life.number)
    if count <= most:
        return life
    half = max(1, most // 2)
    at = np.r_[0:half, count - half : count]
    kept: dict[str, Any] = {
        name: column[at] if isinstance(column, np.ndarray) else [column[i] for i in at.tolist()]
        for name, column in life._asdict().items() if name not in ("omitted", "errors")
    }  # fmt: skip
    return life._replace(**kept, omitted=life.omitted + count - 2 * half)
