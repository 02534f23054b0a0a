"""Which packets of a connection a program's calls made, and which they waited for.

Octets are counted: what a side wrote so far is a place in its stream, and so is a segment's sequence number. A call
that sends comes before its first packet, a call that receives ends after the last packet that it needed; so the clock
of a log can be compared with that of the capture, and calls without packets find their place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from analyzer.explain.places import unwrapped
from analyzer.strace import arguments
from analyzer.strace.sockets import Deed, SocketCall
from analyzer.tables import ACK, FIN, RST, SYN, Event, Life, Protocol, Side

_Test = Callable[["Packet"], int]

FINE_NS = 1_000_000
"""Times that are cut to this or less put calls between packets."""


_WITH_ROOM = ("read", "recv", "recvfrom")
"""Calls whose third argument is how much they can take: of a longer datagram the rest is lost."""


class Packet(NamedTuple):
    """A packet of a life. ``start`` and ``end`` are places in its side's stream; ``new`` is where new octets begin."""

    number: int
    ts_ns: int
    side: int
    flags: int
    start: int
    new: int
    end: int


class Tie(NamedTuple):
    """A call and its packets."""

    seen: SocketCall
    caused: tuple[int, ...]
    """Places in the life of the packets that it made, or that first brought what it wrote."""
    needed: tuple[int, ...]
    """Of the packets without which it would not have returned so."""
    start: int
    """Place in the stream, of its side or of the peer's, of the octets that it wrote or read."""
    unread: int
    """Octets that had come and were not read when it closed the socket; 0 when none, or nobody knows."""


def packets_of(life: Life) -> list[Packet]:
    """The packets of a life with their places in two streams without end."""
    highest = [0, 0]
    seen_to = [0, 0]
    packets = []
    for number, ts_ns, side, flags, seq, length, events in zip(
        life.number.tolist(), life.ts_ns.tolist(), life.side.tolist(), life.flags.tolist(), life.seq.tolist(),
        life.payload_len.tolist(), life.events.tolist(), strict=True,
    ):  # fmt: skip
        start = unwrapped(seq - 1 + bool(flags & SYN), highest[side])
        end = start + length
        is_copy = events >> Event.CAPTURE_DUPLICATE & 1 or flags & RST
        new = end if is_copy else min(max(start, seen_to[side]), end)
        packets.append(Packet(number, ts_ns, side, flags, start, new, end))
        if not is_copy:
            highest[side] = max(highest[side], end)
            seen_to[side] = max(seen_to[side], end)
    return packets


def tied(calls: Sequence[SocketCall], side: Side, packets: Sequence[Packet], protocol: Protocol) -> list[Tie]:
    """The calls of one side of a connection with their packets, in the order given: that of the program."""
    if protocol == Protocol.UDP:
        return _tied_datagrams(calls, side, packets)
    return _Tying(calls, side, packets).ties()


class _Tying:
    def __init__(self, calls: Sequence[SocketCall], side: Side, packets: Sequence[Packet]) -> None:
        self._calls, self._side, self._packets = calls, side, packets
        self._mine = [at for at, packet in enumerate(packets) if packet.side == side]
        self._theirs = [at for at, packet in enumerate(packets) if packet.side != side]
        is_born = any(one.deed in (Deed.CONNECT, Deed.ACCEPT) for one in calls)
        self._sends_known = is_born and any(packets[at].flags & SYN for at in self._mine)
        self._gets_known = is_born and any(packets[at].flags & SYN for at in self._theirs)

    def ties(self) -> list[Tie]:
        """All of them."""
        written = read = 0
        has_ended = False
        found = []
        for one in self._calls:
            caused: tuple[int, ...] = ()
            needed: tuple[int, ...] = ()
            start = unread = 0
            errno = one.call.errno
            if one.deed == Deed.CONNECT:
                caused, needed = self._connect(errno)
            elif one.deed == Deed.ACCEPT and not errno:
                needed = self._first(self._theirs, lambda p: p.flags & (SYN | ACK | RST) == ACK)
            elif one.deed == Deed.WRITE:
                start, written = written, written + one.octets
                if self._sends_known:
                    caused = self._bringing(self._mine, start, written)
            elif one.deed == Deed.READ:
                start, read = read, read + one.octets
                needed = self._read(one, start, read)
            elif one.deed in (Deed.SHUTDOWN, Deed.CLOSE, Deed.EXIT) and not has_ended and _sends_end(one):
                has_ended = True
                caused = self._end()
            if one.is_last and one.deed in (Deed.CLOSE, Deed.EXIT) and self._gets_known:
                unread = max(self._received_by(caused) - read, 0)
            found.append(Tie(one, caused, needed, start, unread))
        return found

    def _connect(self, errno: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        syns = tuple(at for at in self._mine if self._packets[at].flags & (SYN | ACK) == SYN)
        if errno == "ECONNREFUSED":
            return syns, self._first(self._theirs, lambda p: p.flags & RST)
        if errno:
            return syns, ()
        return syns, self._first(self._theirs, lambda p: p.flags & (SYN | ACK) == SYN | ACK)

    def _read(self, one: SocketCall, start: int, end: int) -> tuple[int, ...]:
        if one.octets:
            return self._bringing(self._theirs, start, end) if self._gets_known else ()
        if one.call.errno == "ECONNRESET":
            return self._first(self._theirs, lambda p: p.flags & RST)
        if one.call.value == 0 and not _asks_for_nothing(one):
            return self._first(self._theirs, lambda p: p.flags & FIN)
        return ()

    def _end(self) -> tuple[int, ...]:
        """The FIN of this side, or the RST that came in its place."""
        return self._first(self._mine, lambda p: p.flags & FIN and not p.flags & RST) or self._first(
            self._mine, lambda p: p.flags & RST
        )

    def _received_by(self, caused: tuple[int, ...]) -> int:
        """How far the peer's stream had come when this side ended."""
        if not caused:
            return 0
        theirs = (self._packets[at] for at in self._theirs if at < caused[0])
        return max((packet.end for packet in theirs if packet.new < packet.end), default=0)

    def _bringing(self, some: list[int], start: int, end: int) -> tuple[int, ...]:
        """The packets that first bring octets of a stretch."""
        return tuple(at for at in some if self._packets[at].new < end and self._packets[at].end > start
                     and self._packets[at].new < self._packets[at].end)  # fmt: skip

    def _first(self, some: Iterable[int], is_it: _Test) -> tuple[int, ...]:
        return next(((at,) for at in some if is_it(self._packets[at])), ())


def _sends_end(one: SocketCall) -> bool:
    """Whether a call ends what its side sends, as far as it says."""
    if one.deed == Deed.SHUTDOWN:
        return not one.call.errno and not any(word == "SHUT_RD" for word in one.call.arguments)
    return one.is_last


def _asks_for_nothing(one: SocketCall) -> bool:
    return len(one.call.arguments) > 2 and one.call.arguments[2] == "0"


def _tied_datagrams(calls: Sequence[SocketCall], side: Side, packets: Sequence[Packet]) -> list[Tie]:
    """Each datagram is written by one call and read by one. Some may be missing: lengths tell which."""
    sent = [at for at, packet in enumerate(packets) if packet.side == side]
    got = [at for at, packet in enumerate(packets) if packet.side != side]
    found = []
    for one in calls:
        caused: tuple[int, ...] = ()
        needed: tuple[int, ...] = ()
        if one.deed == Deed.WRITE:
            caused = _taken(one, sent, packets)
        elif one.deed == Deed.READ:
            needed = _taken(one, got, packets)
        found.append(Tie(one, caused, needed, 0, 0))
    return found


def _taken(one: SocketCall, left: list[int], packets: Sequence[Packet]) -> tuple[int, ...]:
    """The datagrams of a call, taken from those left, with those before them."""
    value = one.call.value
    if one.call.errno or value is None or value < 0 or (value and not one.octets):  # the last only looked
        return ()
    if one.call.name.endswith("mmsg"):
        found = tuple(left[:value])
        del left[:value]
        return found
    room = (
        arguments.number(one.call.arguments[2]) if one.call.name in _WITH_ROOM and len(one.call.arguments) > 2 else None
    )
    for k, at in enumerate(left):
        length = packets[at].end - packets[at].start
        if length == value or (one.deed == Deed.READ and length > value == room):
            del left[: k + 1]
            return (at,)
    return ()


class Offset(NamedTuple):
    """What to add to the times of a log to get those of the capture: between ``least`` and ``most`` nanoseconds."""

    ns: int
    """The one that is taken."""
    least: int | None
    most: int | None

    @property
    def is_contradictory(self) -> bool:
        """Whether no offset fits all calls: a clock was set, or packets were stamped late."""
        return self.least is not None and self.most is not None and self.least > self.most


def offset_of(ties: Iterable[tuple[Tie, Sequence[Packet]]], precision_ns: int) -> Offset:
    """The offset of a log by all its calls: they precede the packets that they made and end after those needed."""
    least: int | None = None
    most: int | None = None
    for tie, packets in ties:
        call = tie.seen.call
        if tie.caused and tie.seen.deed != Deed.EXIT:  # the kernel has closed the sockets when strace hears of an end
            bound = packets[tie.caused[0]].ts_ns - call.ts_ns
            most = bound if most is None else min(most, bound)
        if tie.needed and call.end_ns is not None:
            bound = packets[tie.needed[-1]].ts_ns - call.end_ns - precision_ns
            least = bound if least is None else max(least, bound)
    if least is None or most is None:
        given = most if most is not None else least if least is not None else 0
        ns = 0 if (most is None or most >= 0) and (least is None or least <= 0) else given
    elif least <= 0 <= most:
        ns = 0
    else:
        ns = (least + most) // 2
    return Offset(ns, least, most)


class Place(NamedTuple):
    """Beside which packet a call stands, and on which side of it."""

    packet: int
    """Number of the packet; 0 where there is none."""
    follows: bool


def places(ties: Sequence[Tie], packets: Sequence[Packet], offset_ns: int, precision_ns: int) -> list[Place]:
    """Where the calls of one side stand, so that those of each process stay in its order.

    A call that sends stands before its first packet; one that receives after the packet that it waited for, or where
    it was made when all was there already; any other where its time puts it.
    """
    gaps: list[int] = [0] * len(ties)
    times = [packet.ts_ns for packet in packets]
    next_gap: dict[int, int] = {}
    is_fine = precision_ns <= FINE_NS
    for i in range(len(ties) - 1, -1, -1):
        tie, call = ties[i], ties[i].seen.call
        limit = next_gap.get(call.pid, len(packets))
        by_time = bisect_right(times, call.ts_ns + offset_ns) if is_fine else limit
        if tie.caused:
            gap = tie.caused[0]
        elif tie.needed:
            last = tie.needed[-1] + 1
            gap = max(last, by_time) if is_fine else last
        else:
            gap = by_time
        gaps[i] = next_gap[call.pid] = min(gap, limit)
    last_tied: dict[int, int] = {}
    for i, tie in enumerate(ties):
        if tie.needed and not tie.caused:
            last_tied[gaps[i]] = i
    found = []
    for i, gap in enumerate(gaps):
        if not packets:
            found.append(Place(0, False))
        elif gap and (i <= last_tied.get(gap, -1) or gap == len(packets)):
            found.append(Place(packets[gap - 1].number, True))
        else:
            found.append(Place(packets[gap].number, False))
    return found
