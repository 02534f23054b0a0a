"""What each side of a connection says: payload put in order, octet by octet, while the segments come.

Octets are given out as soon as all before them were. What comes again counts once: the first that was seen stays, and
other octets for the same place are reported. What waits behind a gap is bounded; the gap is given up when too much
waits, when its receiver acknowledged it and speaks (what the capture lost is there, and the order of the two sides
matters more than a packet that was captured late), and at the end. What a RST shows that its sender did not take is
reported.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from analyzer.streams import Difference, Gap, LateStart, LeftOut, Piece, Refused, StreamItem, Unused
from analyzer.tables import ACK, FIN, PSH, RST, SYN, Side
from analyzer.tcp.seq import seq_add, seq_diff

MOST_WAITING = 16 << 20
"""Octets of memory for what waits behind a gap, of one side."""

REMEMBERED = 1 << 20
"""Octets of memory, at least, for what was given out: what comes again is compared with it."""

PIECE_COST = 512
"""Octets of memory that a piece takes besides its own."""

LARGEST_WINDOW = 1 << 30
"""RFC 7323 2.3. What is farther off belongs to another connection, or to nobody."""


class Segment(NamedTuple):
    """A segment (or a datagram, whose ``seq``, ``ack`` and ``flags`` say nothing) with its payload."""

    side: int
    """Side that sent it."""
    packet: int
    ts_ns: int
    seq: int
    ack: int
    flags: int
    payload_len: int
    payload: bytes
    """What was captured of it."""


class Reassembly:
    """Both streams of a TCP connection. Feed it the connection's segments in capture order."""

    def __init__(self, *, most_waiting: int = MOST_WAITING, remembered: int = REMEMBERED) -> None:
        self._streams = [_Stream(side, most_waiting, remembered) for side in Side]

    def add(self, segment: Segment) -> list[StreamItem]:
        """Take a segment. Returns what can be given out now, in the order of reading."""
        mine, other = self._streams[segment.side], self._streams[1 - segment.side]
        if segment.flags & RST:  # what it carries is no stream data (RFC 9293 3.5.3), its numbers may be anything
            if mine.may_go_on_at(segment.seq) or (segment.flags & ACK and not mine.has_begun):
                other.refuse_from(segment)
            return other.refused()
        items: list[StreamItem] = []
        if segment.flags & ACK:
            other.acknowledge(segment.ack)
            if segment.payload_len:
                items += other.give_up_acknowledged(segment.packet)
        if segment.payload_len or segment.flags & (SYN | FIN):
            items += mine.take(segment)
        return items + mine.refused() if items else items

    def finish(self) -> list[StreamItem]:
        """What still waits, behind marked gaps, and the gaps at the ends."""
        first, second = sorted(self._streams, key=_Stream.waits_since)
        return [*first.finish(), *second.finish()]


class Datagrams:
    """A UDP conversation, in the shape of a Reassembly: each datagram's payload is a piece."""

    def __init__(self) -> None:
        self._sent = [0, 0]

    def add(self, datagram: Segment) -> list[StreamItem]:
        """Take a datagram, which may be empty."""
        length = datagram.payload_len
        offset = self._sent[datagram.side]
        self._sent[datagram.side] += length
        return [_piece(datagram, offset, length, datagram.payload)]

    def finish(self) -> list[StreamItem]:
        """Nothing ever waits."""
        return []


class _Stream:
    """One direction. Offsets count from the stream's first octet and do not wrap.

    ``_pieces`` are in order and do not overlap: those before ``_next`` were given out and are remembered for a while,
    the others wait. ``_starts`` are their offsets.
    """

    def __init__(self, side: int, most_waiting: int, remembered: int) -> None:
        self._side = side
        self._most_waiting, self._most_remembered = most_waiting, remembered
        self._base: int | None = None
        self._is_certain = False  # else the base is where the peer's first ACK stood
        self._next = 0
        self._acked = 0
        self._fin: int | None = None
        self._last_packet = 0
        self._starts: list[int] = []
        self._pieces: list[Piece] = []
        self._waiting = 0
        self._remembered = 0
        self._forgotten = 0
        self._reset = 0
        self._refused_from = 0

    @property
    def has_begun(self) -> bool:
        """Whether it is known where the stream begins."""
        return self._base is not None

    def may_go_on_at(self, seq: int) -> bool:
        """Whether a segment of its sender may have this sequence number: nothing is lost before it, or acknowledged
        behind it."""
        if self._base is None:
            return False
        return self._acked <= self._offset_of(self._base, seq) <= self._seen_to() + 1

    def refuse_from(self, reset: Segment) -> None:
        """The peer sends RST: what it has not acknowledged, it does not take."""
        if self._reset or self._base is None:
            return
        taken = self._acked
        if reset.flags & ACK:
            offset = self._offset_of(self._base, reset.ack)
            taken = max(taken, offset) if offset <= self._seen_to() + 1 else taken
        self._reset, self._refused_from = reset.packet, taken

    def refused(self) -> list[StreamItem]:
        """What was given out and is refused, once."""
        start = self._refused_from
        if not self._reset or self._next <= start:
            return []
        self._refused_from = self._next
        first = next((piece for piece in self._pieces if piece.end > start), None)
        return [Refused(self._side, start, self._next - start, first.packet, self._reset)] if first else []

    def acknowledge(self, ack: int) -> None:
        """The peer has all before this sequence number."""
        if self._base is None:
            self._base = ack
        offset = self._offset_of(self._base, ack)
        if offset - self._horizon() <= LARGEST_WINDOW:
            self._acked = max(self._acked, offset)

    def give_up_acknowledged(self, packet: int) -> list[StreamItem]:
        """Give out what the peer, which speaks in this packet, has received; what is missing of it will not come."""
        items: list[StreamItem] = []
        acked = self._acked if self._fin is None else min(self._acked, self._fin)
        while self._next < acked:
            if self._waiting and self._first_waiting().offset <= acked:
                items += self._give_up()
            elif self._waiting or self._fin is not None or acked - self._next > 1:
                items += self._gap_to(acked, packet)
            else:  # the octet may be a FIN that was not captured
                break
        return items

    def take(self, segment: Segment) -> list[StreamItem]:
        """Take a segment with payload, SYN or FIN."""
        seq = segment.seq
        if segment.flags & SYN:
            seq = seq_add(seq, 1)
            if not self._pieces and not self._next:
                self._begin(seq)
                self._last_packet = segment.packet
        items: list[StreamItem] = []
        if not self._is_certain and segment.payload_len:
            if self._looks_like_keep_alive(segment):
                return []
            self._begin(seq)
            items.append(LateStart(self._side, segment.packet))
        if self._base is None:
            return []  # a FIN, of a side that never spoke
        start = self._offset_of(self._base, seq)
        end = start + segment.payload_len
        if abs(start - self._horizon()) > LARGEST_WINDOW:
            return [*items, *self._left_out(segment.payload_len, segment.packet, Unused.FAR_OFF)]
        if segment.payload_len and not (segment.payload_len == 1 and end == self._seen_to()):  # RFC 9293 3.8.4
            items += self._insert(segment, start, end)
        if segment.flags & FIN and self._fin is None and end >= self._seen_to():
            self._fin = end
        items += self._flow()
        while self._waiting > self._most_waiting:
            items += self._give_up()
        self._forget()
        return items

    def waits_since(self) -> int:
        """The packet of the first piece that waits; 0 where none does."""
        return self._first_waiting().packet if self._waiting else 0

    def finish(self) -> list[StreamItem]:
        """All that waits, and the gap at the end."""
        items: list[StreamItem] = []
        while self._waiting:
            items += self._give_up()
        if self._fin is not None and self._fin > self._next:
            items += self._gap_to(self._fin, 0)
        return items + self.give_up_acknowledged(0)

    # ---------------------------------------------------------------- where things are

    def _offset_of(self, base: int, seq: int) -> int:
        horizon = self._horizon()
        return horizon + seq_diff(seq, seq_add(base, horizon))

    def _horizon(self) -> int:
        """Where the stream is at present, as far as anybody knows."""
        return max(self._next, self._acked)

    def _seen_to(self) -> int:
        return max(self._next, self._pieces[-1].end) if self._pieces else self._next

    def _first_waiting(self) -> Piece:
        return self._pieces[bisect_left(self._starts, self._next)]

    def _begin(self, base: int) -> None:
        """The stream's first octet has this sequence number."""
        if self._base is not None:
            moved = seq_diff(base, self._base)
            self._acked = max(self._acked - moved, 0)
            if moved:
                self._fin = None
        self._base = base
        self._is_certain = True

    def _looks_like_keep_alive(self, segment: Segment) -> bool:
        """Whether the first payload seen of a stream may be an octet that was sent before (RFC 9293 3.8.4)."""
        if segment.payload_len != 1 or segment.flags & (SYN | FIN):
            return False
        if self._base is None:
            return not segment.flags & PSH
        return seq_diff(seq_add(self._base, self._acked), segment.seq) == 1

    # ---------------------------------------------------------------- what comes in

    def _insert(self, segment: Segment, start: int, end: int) -> list[StreamItem]:
        """Put the octets from ``start`` to ``end`` where there are none yet, and compare the others."""
        items: list[StreamItem] = []
        at = start
        if start < 0:
            at = min(end, 0)
            items += self._left_out(at - start, segment.packet, Unused.BEFORE_START)
        if self._fin is not None and end > self._fin:
            items += self._left_out(end - max(self._fin, at), segment.packet, Unused.AFTER_FIN)
            end = self._fin
        at = max(at, self._forgotten)
        index = max(bisect_right(self._starts, at) - 1, 0)
        while at < end:
            there = self._pieces[index] if index < len(self._pieces) else None
            if there and there.end <= at:
                index += 1
            elif there and there.offset <= at:
                stop = min(end, there.end)
                items += _differences(there, segment, start, at, stop)
                at = stop
            elif at < self._next:
                stop = min(end, there.offset if there else end, self._next)
                items += self._left_out(stop - at, segment.packet, Unused.TOO_LATE)
                at = stop
            else:
                stop = min(end, there.offset if there else end)
                piece = _piece(segment, at, stop - at, segment.payload[at - start : stop - start])
                self._starts.insert(index, at)
                self._pieces.insert(index, piece)
                self._waiting += _cost(piece)
                at = stop
        return items

    def _left_out(self, length: int, packet: int, why: Unused) -> list[StreamItem]:
        return [LeftOut(self._side, length, packet, why)] if length > 0 else []

    # ---------------------------------------------------------------- what goes out

    def _flow(self) -> list[StreamItem]:
        """Give out what is contiguous."""
        items: list[StreamItem] = []
        index = bisect_left(self._starts, self._next)
        while index < len(self._pieces) and self._starts[index] == self._next:
            piece = self._pieces[index]
            items.append(piece)
            self._next = piece.end
            self._last_packet = piece.packet
            self._waiting -= _cost(piece)
            self._remembered += _cost(piece)
            index += 1
        return items

    def _give_up(self) -> list[StreamItem]:
        """Go on behind the first gap; something waits there."""
        waiting = self._first_waiting()
        return [*self._gap_to(waiting.offset, waiting.packet), *self._flow()]

    def _gap_to(self, end: int, before: int) -> list[StreamItem]:
        """Go on at an offset, over what is missing."""
        gap = Gap(self._side, self._next, end - self._next, self._last_packet, before)
        self._next = end
        if self._is_certain:
            return [gap]
        self._is_certain = True
        return [LateStart(self._side, before), gap]

    def _forget(self) -> None:
        """Forget the oldest of what was given out; seldom, since lists close the hole."""
        if self._remembered <= 2 * self._most_remembered:
            return
        count = 0
        while self._remembered > self._most_remembered:
            self._remembered -= _cost(self._pieces[count])
            count += 1
        self._forgotten = self._pieces[count - 1].end
        del self._pieces[:count], self._starts[:count]


def _piece(segment: Segment, offset: int, length: int, octets: bytes) -> Piece:
    return Piece(
        segment.side, offset, length, octets, segment.packet, segment.ts_ns, segment.flags, segment.payload_len,
        len(segment.payload),
    )  # fmt: skip


def _cost(piece: Piece) -> int:
    return len(piece.octets) + PIECE_COST


def _differences(there: Piece, segment: Segment, start: int, at: int, stop: int) -> list[StreamItem]:
    """How a segment whose payload begins at ``start`` differs from a piece, from ``at`` to ``stop``."""
    old = there.octets[at - there.offset : stop - there.offset]
    new = segment.payload[at - start : stop - start]
    length = min(len(old), len(new))
    if old[:length] == new[:length]:
        return []
    differ = [k for k in range(length) if old[k] != new[k]]
    span = differ[-1] + 1 - differ[0]
    return [Difference(there.side, at + differ[0], span, segment.packet, there.packet)]
