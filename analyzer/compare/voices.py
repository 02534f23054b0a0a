"""What the sides of connections say, octet after octet, from their packets: without a memory of what was said.

It is what tcp/reassembly.py makes of them, in less time and memory, but for what is missing at the end, and at the
begin where no SYN was captured: octets that come again count once, the first time; those that come early wait, until
their receiver, who acknowledges what is missing, speaks itself. What the capture has not, whether a packet is missing
or was cut, is told by its length.
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

import numpy as np

from analyzer.compare.sides import Bools, Taken
from analyzer.mixing import U64
from analyzer.tables import ACK, FIN, I64, PSH, RST, SYN, Batch, Event, Protocol

HEAD = 64
"""Octets kept of what a side says first."""

MOST_WAITING = 1 << 20
"""Octets of memory for what waits behind gaps of one voice; with more its first gap is given up."""

MOST_HELD = 32 << 20
"""The same for all voices together; with more those are given up that wait since longest."""

PIECE_COST = 200
"""Octets of memory that a waiting piece takes besides its own."""

_LARGEST_WINDOW = 1 << 30
"""RFC 7323 2.3. What is farther off belongs to another connection, or to nobody."""

_KEPT = 512
"""Octets up to which a voice is kept as it is, and not as a hash's state."""

_FIRST_ROWS = 1_024


Utterance = bytes | int
"""Octets, or how many are missing in the capture; 0 is the end of a datagram."""

END = 0


class Voice:
    """Puts payloads in order; its methods give out what can be: octets, or how many are missing.

    Attributes: ``held``, octets of memory that what waits takes.
    """

    __slots__ = ("_fin", "_missing", "_next", "_waiting", "held")

    def __init__(self, first: int) -> None:
        """``first`` is the relative sequence number of the first octet."""
        self._next = first
        self._missing = 0  # that much before it was given up, and not told
        self._fin: int | None = None
        self._waiting: list[tuple[int, int, bytes]] = []
        self.held = 0

    def add(self, seq: int, length: int, payload: bytes) -> Iterator[Utterance]:
        """Take ``length`` octets from the relative sequence number ``seq`` on, of which ``payload`` was captured."""
        start = self._place(seq)
        end = start + length
        if abs(start - self._next) > _LARGEST_WINDOW or (length == 1 and end == self._seen_to()):  # RFC 9293 3.8.4
            return
        if self._fin is not None:
            end = min(end, self._fin)
        if start <= self._next and not self._waiting:
            if end > self._next:
                yield from self._say(end - self._next, payload[self._next - start : end - start])
            return
        self._insert(start, end, payload)
        yield from self._flow()
        while self.held > MOST_WAITING:
            yield from self._give_up()

    def end(self, seq: int) -> None:
        """A FIN has this relative sequence number; one before octets that came is none."""
        if self._fin is None and self._place(seq) >= self._seen_to():
            self._fin = self._place(seq)

    def acknowledge(self, ack: int) -> Iterator[Utterance]:
        """The peer speaks, and has all before this relative number: what is missing of it will not come."""
        acked = self._place(ack)
        if acked - self._next > _LARGEST_WINDOW:
            return
        acked = acked if self._fin is None else min(acked, self._fin)
        while self._next < acked:
            if self._waiting and self._waiting[0][0] <= acked:
                yield from self._give_up()
            elif self._waiting or self._fin is not None or acked - self._next > 1:
                self._go_on_at(acked)
            else:  # the octet may be a FIN that was not captured
                break

    def finish(self) -> Iterator[Utterance]:
        """What still waits, with what is missing before it."""
        while self._waiting:
            yield from self._give_up()

    def _place(self, seq: int) -> int:
        """A relative sequence number, which does not wrap."""
        return self._next + _signed(seq - self._next)

    def _seen_to(self) -> int:
        return self._waiting[-1][0] + self._waiting[-1][1] if self._waiting else self._next

    def _insert(self, start: int, end: int, payload: bytes) -> None:
        """Let octets wait where there are none yet."""
        waiting, at = self._waiting, max(start, self._next)
        k = max(bisect_right(waiting, at, key=itemgetter(0)) - 1, 0)
        while at < end:
            first, length, _octets = waiting[k] if k < len(waiting) else (end, 0, b"")
            if k < len(waiting) and first + length <= at:
                k += 1
            elif first <= at:
                at = first + length
            else:
                stop = min(end, first)
                octets = payload[at - start : stop - start]
                waiting.insert(k, (at, stop - at, octets))
                self.held += len(octets) + PIECE_COST
                at = stop

    def _flow(self) -> Iterator[Utterance]:
        """Give out what is contiguous."""
        count = 0
        while count < len(self._waiting) and self._waiting[count][0] == self._next:
            _start, length, octets = self._waiting[count]
            count += 1
            self.held -= len(octets) + PIECE_COST
            yield from self._say(length, octets)
        del self._waiting[:count]

    def _give_up(self) -> Iterator[Utterance]:
        """Go on behind the first gap; something waits there."""
        self._go_on_at(self._waiting[0][0])
        yield from self._flow()

    def _go_on_at(self, place: int) -> None:
        self._missing += place - self._next
        self._next = place

    def _say(self, length: int, octets: bytes) -> Iterator[Utterance]:
        if self._missing:
            yield self._missing
            self._missing = 0
        self._next += length
        if octets:
            yield octets
        if length > len(octets):
            yield length - len(octets)


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


class Voices:
    """What all sides of a run's connections say, in order and with an identity each."""

    def __init__(self) -> None:
        self._of: dict[tuple[int, int], int] = {}
        self._voices: dict[int, Voice] = {}
        self._has_syn = np.zeros((_FIRST_ROWS, 2), np.bool_)
        self._waiting: dict[int, None] = {}
        self._held = 0

    def add(self, batch: Batch, taken: Taken) -> Iterator[tuple[int, Utterance]]:
        """Take the next batch while its octets are there; gives out a voice's identity with what it says."""
        frames, packets, labels = batch
        at = taken.at
        self._note_syns(taken, packets.flags[at] & SYN > 0)
        is_udp = packets.protocol[at] == Protocol.UDP
        speaks = (packets.payload_len[at] > 0) | (packets.flags[at] & FIN > 0)
        speaks = is_udp | (speaks & (packets.flags[at] & RST == 0))
        speaks &= labels.events[at] >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 == 0
        said = at[speaks]
        seq = labels.seq[said].astype(np.int64) + (packets.flags[said] & SYN > 0)
        columns = (
            taken.rows[speaks], taken.side[speaks], is_udp[speaks], seq, labels.ack[said], packets.flags[said],
            packets.payload_len[said], packets.payload_start[said], captured_end(batch, said),
        )  # fmt: skip
        for row, side, is_datagram, first, ack, flags, length, start, end in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            payload = frames.data[start : max(start, min(start + length, end))].tobytes() if start else b""
            if is_datagram:
                identity = self._of.setdefault((row, side), len(self._of))
                yield from ((identity, octets) for octets in (payload, length - len(payload)) if octets)
                yield identity, END
                continue
            if length and flags & ACK and ack != 1 and (heard := self._voice(row, 1 - side, ack)):
                yield from self._told(*heard, heard[1].acknowledge(ack))
            may_begin = length > 1 or flags & (PSH | FIN) or self._has_syn[row, side]  # else it may keep alive
            speaker = self._voice(row, side, first, may_begin=bool(length and may_begin))
            if not speaker:
                continue
            if length:
                yield from self._told(*speaker, speaker[1].add(first, length, payload))
            if flags & FIN:
                speaker[1].end(first + length)

    def finish(self) -> Iterator[tuple[int, Utterance]]:
        """What still waits behind gaps."""
        for identity in list(self._waiting):
            yield from self._given_up(identity)

    def whose(self) -> dict[tuple[int, int], int]:
        """The identity of each voice by its connection's row and the side that its packets were taken for."""
        return self._of

    def _voice(self, row: int, side: int, seq: int, *, may_begin: bool = False) -> tuple[int, Voice] | None:
        """A side's voice; None where nobody knows where it begins."""
        identity = self._of.get((row, side))
        if identity is None:
            has_syn = self._has_syn[row, side]
            if not has_syn and not may_begin:
                return None
            identity = self._of[row, side] = len(self._of)
            self._voices[identity] = Voice(1 if has_syn else seq)
        return identity, self._voices[identity]

    def _told(self, identity: int, voice: Voice, said: Iterator[Utterance]) -> Iterator[tuple[int, Utterance]]:
        """What a voice says, while what all hold is bounded."""
        before = voice.held
        for octets in said:
            yield identity, octets
        if voice.held == before:
            return
        self._held += voice.held - before
        if voice.held:
            self._waiting.setdefault(identity)
        else:
            self._waiting.pop(identity, None)
        while self._held > MOST_HELD:
            yield from self._given_up(next(iter(self._waiting)))

    def _given_up(self, identity: int) -> Iterator[tuple[int, Utterance]]:
        voice = self._voices[identity]
        del self._waiting[identity]
        self._held -= voice.held
        for octets in voice.finish():
            yield identity, octets

    def _note_syns(self, taken: Taken, is_syn: Bools) -> None:
        if len(taken.rows) and (count := int(taken.rows.max()) + 1) > len(self._has_syn):
            more = np.zeros((max(count - len(self._has_syn), len(self._has_syn)), 2), np.bool_)
            self._has_syn = np.concatenate([self._has_syn, more])
        self._has_syn[taken.rows[is_syn], taken.side[is_syn]] = True


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
