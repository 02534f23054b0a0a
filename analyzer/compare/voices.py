"""What the sides of connections say, octet after octet, from their packets: without a memory of what was said.

Octets that come again count once, the first time; those that come early wait. What the capture has not, whether a
packet is missing or was cut, is told by its length.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.tables import I64, RST, SYN, Batch, Event, Protocol, Side

U64 = npt.NDArray[np.uint64]

HEAD = 64
"""Octets kept of what a side says first."""

MOST_WAITING = 1 << 20
"""Octets of memory for what waits behind a gap; with more the gap is given up."""

_PIECE_COST = 128
"""Octets that a waiting piece takes besides its own."""

_KEPT = 512
"""Octets up to which a voice is kept as it is, and not as a hash's state."""


Utterance = bytes | int
"""Octets, or how many are missing in the capture; 0 is the end of a datagram."""

END = 0


class Voice:
    """Puts payloads in order; ``add`` and ``finish`` give out what can be: octets, or how many are missing."""

    __slots__ = ("_next", "_waiting", "_waiting_len")

    def __init__(self) -> None:
        self._next = -1
        self._waiting: list[tuple[int, int, bytes]] = []
        self._waiting_len = 0

    def add(self, seq: int, length: int, payload: bytes) -> Iterator[Utterance]:
        """Take ``length`` octets from the relative sequence number ``seq`` on, of which ``payload`` was captured."""
        if self._next < 0:
            self._next = seq if seq > 1 << 31 else min(seq, 1)
        start = self._next + _signed(seq - self._next)
        if start > self._next:
            heappush(self._waiting, (start, length, payload))
            self._waiting_len += length + _PIECE_COST
            if self._waiting_len > MOST_WAITING:
                yield from self.finish()
            return
        yield from self._say(start, length, payload)
        while self._waiting and self._waiting[0][0] <= self._next:
            yield from self._take()

    def finish(self) -> Iterator[Utterance]:
        """What still waits, with what is missing before it."""
        while self._waiting:
            start = self._waiting[0][0]
            if start > self._next:
                yield start - self._next
                self._next = start
            yield from self._take()

    def _take(self) -> Iterator[Utterance]:
        start, length, payload = heappop(self._waiting)
        self._waiting_len -= length + _PIECE_COST
        yield from self._say(start, length, payload)

    def _say(self, start: int, length: int, payload: bytes) -> Iterator[Utterance]:
        said = self._next - start
        if said >= length:
            return
        self._next = start + length
        if said < len(payload):
            yield payload[said:] if said else payload
        if missing := length - max(said, len(payload)):
            yield missing


class Said:
    """What a voice came to: how many octets, which first, and a hash of all.

    Attributes: ``length``; ``head``, its first octets.
    """

    __slots__ = ("_hash", "_kept", "head", "length")

    def __init__(self) -> None:
        self.length = 0
        self.head = b""
        self._kept = b""
        self._hash: hashlib.blake2b | None = None

    def add(self, octets: Utterance) -> None:
        """Take what comes next."""
        if isinstance(octets, bytes):
            if len(self.head) < HEAD and self.length == len(self.head):
                self.head += octets[: HEAD - len(self.head)]
            self.length += len(octets)
            self._note(octets)
        elif octets:
            self.length += octets
            self._note(b"\0missing %d\0" % octets)
        else:
            self._note(b"\0end\0")

    def _note(self, octets: bytes) -> None:
        if self._hash is None and len(self._kept) + len(octets) <= _KEPT:
            self._kept += octets
            return
        if self._hash is None:
            self._hash = hashlib.blake2b(self._kept, digest_size=16)
            self._kept = b""
        self._hash.update(octets)

    def digest(self) -> bytes:
        """16 octets that stand for all that was said."""
        return (self._hash or hashlib.blake2b(self._kept, digest_size=16)).digest()


class Sides(NamedTuple):
    """Who sent the packets of a batch that belong to connections, as it is known in the end."""

    at: I64
    """Their places in the batch."""
    rows: I64
    """Their connections' numbers, minus one."""
    side: I64
    """Side of their sender."""
    states: I64
    """int64[n, 2]: the states of client and server after each."""
    turned: list[int]
    """Rows of the connections that turned round here: what was noted before has its sides exchanged."""


def sides_of(batch: Batch, numbers: I64 | None = None) -> Sides:
    """The packets of all connections of a batch, or of those with these numbers."""
    labels = batch.labels
    is_wanted = labels.connection > 0 if numbers is None else np.isin(labels.connection, numbers)
    at = np.flatnonzero(is_wanted)
    rows, side = labels.connection[at] - 1, labels.side[at].astype(np.int64)
    states = np.stack([labels.client_state[at], labels.server_state[at]], axis=1).astype(np.int64)
    turned = []
    for turn in np.flatnonzero(labels.events[at] >> np.uint32(Event.TURNED_ROUND) & 1).tolist():
        turned.append(int(rows[turn]))
        before = np.flatnonzero(rows[:turn] == rows[turn])
        side[before] ^= 1
        states[before] = states[before, ::-1]
    return Sides(at, rows, side, states, turned)


class Voices:
    """What all sides of a run's connections say, in order and with an identity each, for sides may be exchanged."""

    def __init__(self) -> None:
        self._voices: list[Voice] = []
        self._of: dict[tuple[int, int], int] = {}

    def add(self, batch: Batch, sides: Sides) -> Iterator[tuple[int, Utterance]]:
        """Take the next batch while its octets are there; gives out a voice's identity with what it says."""
        frames, packets, labels = batch
        for row in sides.turned:
            found = [self._of.pop((row, side), None) for side in Side]
            self._of |= {(row, 1 - side): voice for side, voice in zip(Side, found, strict=True) if voice is not None}
        at = sides.at
        is_udp = packets.protocol[at] == Protocol.UDP
        ignored = np.uint32(1 << Event.CAPTURE_DUPLICATE | 1 << Event.KEEP_ALIVE)
        speaks = (packets.payload_len[at] > 0) & (packets.flags[at] & RST == 0) & (labels.events[at] & ignored == 0)
        speaks |= is_udp & (labels.events[at] >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 == 0)
        said = at[speaks]
        seq = labels.seq[said].astype(np.int64) + (packets.flags[said] & SYN > 0)
        columns = (
            sides.rows[speaks], sides.side[speaks], seq, packets.payload_len[said], packets.payload_start[said],
            captured_end(batch, said), is_udp[speaks],
        )  # fmt: skip
        for row, side, first, length, start, end, is_datagram in zip(*(c.tolist() for c in columns), strict=True):
            payload = frames.data[start : max(start, min(start + length, end))].tobytes() if start else b""
            identity = self._of.setdefault((row, side), len(self._voices))
            if identity == len(self._voices):
                self._voices.append(Voice())
            if is_datagram:
                yield identity, payload
                if length > len(payload):
                    yield identity, length - len(payload)
                yield identity, END
            else:
                for octets in self._voices[identity].add(first, length, payload):
                    yield identity, octets

    def finish(self) -> Iterator[tuple[int, Utterance]]:
        """What still waits behind gaps."""
        for identity, voice in enumerate(self._voices):
            for octets in voice.finish():
                yield identity, octets

    def whose(self) -> dict[tuple[int, int], int]:
        """The identity of each voice by its connection's row and its side."""
        return self._of


def captured_end(batch: Batch, at: I64) -> I64:
    """Where the captured octets of these packets end; those of a joined datagram are all there."""
    frames, packets, _ = batch
    ends = frames.start[at] + frames.caplen[at]
    joined: I64 = np.where(packets.fragments[at] > 0, len(frames.data), ends)
    return joined


def payload_sums(batch: Batch, at: I64) -> U64:
    """A checksum of the payload of each of these packets, as far as it was captured."""
    sums = np.zeros(len(at), np.uint64)
    has = np.flatnonzero(batch.packets.payload_len[at])
    start = batch.packets.payload_start[at[has]]
    end = np.minimum(start + batch.packets.payload_len[at[has]], captured_end(batch, at[has]))
    for k, first, last in zip(has.tolist(), start.tolist(), end.tolist(), strict=True):
        sums[k] = zlib.crc32(batch.frames.data[first : max(first, last)].data)
    return sums


def _signed(difference: int) -> int:
    """A difference of sequence numbers as the nearest one, modulo 2**32."""
    return (difference + (1 << 31)) % (1 << 32) - (1 << 31)
