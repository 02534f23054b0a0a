"""Our labels beside tshark's, packet by packet.

tshark is asked with two passes, as Wireshark shows a capture, and without anybody's preferences. Left out are packets
in which TCP's header is cut, or there more than once (TCP in a tunnel of TCP, an ICMP error): its fields cannot be told
apart there. Numbers are compared where both have the packet in the same connection, and of the connections those that
have the same packets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from analyzer.dissect import reasons
from analyzer.dissect.reasons import Reason
from analyzer.errors import TsharkError
from analyzer.language import _
from analyzer.tables import ACK, SYN, Batch, Event, Protocol, Rows, rows_of

PACKET_FIELDS = ("connection", "events", "seq", "ack", "payload_len")
"""What is compared of each packet, by the names of records."""

CONNECTION_FIELDS = ("completeness", "initial_rtt_ns")
"""What is compared of each connection."""

EVENTS = {event: event.name.lower() for event in Event if event <= Event.REUSED_PORTS}
"""Wireshark's events; ours beside them, as for copies, have no counterpart."""

_ASKED = (
    "frame.number", "frame.cap_len", "frame.protocols", "tcp.stream", "tcp.flags", "tcp.len", "tcp.seq", "tcp.ack",
    "tcp.completeness", "tcp.analysis.initial_rtt", *(f"tcp.analysis.{name}" for name in EVENTS.values()),
)  # fmt: skip

_PREFERENCES = (
    "tcp.analyze_sequence_numbers:TRUE", "tcp.relative_sequence_numbers:TRUE", "tcp.check_checksum:FALSE",
    "tcp.desegment_tcp_streams:FALSE", "ip.check_checksum:FALSE", "ip.defragment:TRUE", "ipv6.defragment:TRUE",
    "udp.check_checksum:FALSE",
)  # fmt: skip


def arguments(path: str) -> list[str]:
    """What tshark is started with to tell of the packets of a file."""
    given = ["-n", "-2", "-r", path, "-T", "fields"]
    for preference in _PREFERENCES:
        given += ["-o", preference]
    for field in _ASKED:
        given += ["-e", field]
    return given


class Difference(NamedTuple):
    """What we and tshark say differently of a packet or a connection."""

    packet: int
    """The packet's number; of a connection its first."""
    connection: int
    """0: none."""
    field: str
    ours: str
    theirs: str
    reason: Reason | None
    """Why, where docs/differences.md knows it."""


class Comparison:
    """Compares the batches of a run with the lines in which tshark tells of the same packets.

    Attributes: ``packets`` taken; ``compared`` of them, ``agreeing`` in everything; ``connections`` compared;
    ``tally`` counts by field what was the same ``(field, True)`` and what was not ``(field, False)``; ``explained`` of
    the latter have a reason.
    """

    def __init__(self) -> None:
        self.packets = self.compared = self.agreeing = self.connections = self.explained = 0
        self.tally: Counter[tuple[str, bool]] = Counter()
        self._streams: dict[str, _Stream] = {}
        self._ours: dict[int, _Stream] = {}
        self._apart: dict[int, Reason | None] = {}  # why connections have not a stream's packets, where it is known
        self._differing: list[Difference] = []

    @property
    def differing(self) -> int:
        """Differences found."""
        return sum(count for (_field, is_same), count in self.tally.items() if not is_same)

    def add(self, batch: Batch, lines: Iterator[str], *, numbered: bool) -> list[Difference]:
        """Compare a batch. ``numbered``: tshark's numbers are the capture's, else it counts those that it got.

        Raises TsharkError where tshark stops early or cannot be understood.
        """
        frames, packets, labels = batch
        columns = (
            frames.number, frames.caplen, frames.origlen, packets.payload_start - frames.start, packets.protocol,
            packets.fragments, labels.connection, labels.side, labels.events, labels.seq, labels.ack, packets.flags,
            packets.payload_len,
        )  # fmt: skip
        self._differing = []
        for ours in map(_Ours._make, zip(*(column.tolist() for column in columns), strict=True)):
            self.packets += 1
            theirs = _parsed(next(lines, ""), ours.number)
            if theirs.number != (ours.number if numbered else self.packets):
                told = _("tshark's packet {theirs} is not our packet {ours}: it reads this file in another way")
                raise TsharkError(told.format(theirs=theirs.number, ours=ours.number))
            self._packet(ours, theirs)
        return self._differing

    def finish(self, connections: Rows, endpoints: Rows, lines: Iterator[str]) -> list[Difference]:
        """Compare the connections at the end, whose CONNECTION and ENDPOINT rows these are. Raises TsharkError."""
        if next(lines, None) is not None:
            raise TsharkError(_("tshark finds more packets than the {n} that are there").format(n=self.packets))
        self._differing = []
        numbers = sorted(number for number, stream in self._ours.items() if not stream.is_apart)
        for number, row in zip(numbers, rows_of(connections, numbers).tolist(), strict=True):
            stream = self._ours[number]
            self.connections += 1
            ours, theirs = int(connections["completeness"][row]), stream.completeness
            why = reasons.of_completeness(ours, theirs)
            self._compare("completeness", stream.first, number, ours, theirs, why)
            ours, theirs = int(connections["initial_rtt_ns"][row]), stream.initial_rtt
            why = Reason.COPIES if endpoints["capture_duplicates"][row].any() else None
            self._compare("initial_rtt_ns", stream.first, number, ours, theirs, why)
        return self._differing

    def _packet(self, ours: _Ours, theirs: _Theirs) -> None:
        is_ours = ours.connection > 0 and ours.protocol == Protocol.TCP
        if theirs.is_unclear or not (is_ours or theirs.stream) or (is_ours and theirs.is_cut):
            return
        self.compared += 1
        before = self.differing
        if not theirs.stream:
            self._compare("connection", ours.number, ours.connection, _("a TCP packet"), _("no TCP packet"), None)
            return
        if not is_ours:
            why = Reason.SNAPLEN if ours.caplen < theirs.caplen else Reason.LONG_HEADER if theirs.is_cut else None
            self._compare("connection", ours.number, 0, _("no TCP packet"), _("a TCP packet"), why)
            return
        is_grouped = self._grouped(ours, theirs)
        names = frozenset(name for event, name in EVENTS.items() if ours.events >> event & 1)
        our_words, their_words = (" ".join(sorted(some)) or "-" for some in (names, theirs.events))
        why = reasons.of_events(names, theirs.events, ours.flags)
        self._compare("events", ours.number, ours.connection, our_words, their_words, why)
        is_beyond = ours.payload_start + ours.payload_len > ours.origlen and not ours.fragments
        why = Reason.IP_LENGTH if is_beyond else None
        self._compare("payload_len", ours.number, ours.connection, ours.payload_len, theirs.payload_len, why)
        if is_grouped:
            why = self._counted_from(ours, theirs, ours.side, theirs.seq - ours.seq, is_own=True)
            self._compare("seq", ours.number, ours.connection, ours.seq, theirs.seq, why)
            if ours.flags & ACK:
                why = self._counted_from(ours, theirs, 1 - ours.side, theirs.ack - ours.ack, is_own=False)
                self._compare("ack", ours.number, ours.connection, ours.ack, theirs.ack, why)
        self.agreeing += self.differing == before

    def _compare(
        self, field: str, packet: int, connection: int, ours: object, theirs: object, why: Reason | None
    ) -> None:
        self.tally[field, ours == theirs] += 1
        if ours != theirs:
            self.explained += why is not None
            self._differing.append(Difference(packet, connection, field, str(ours), str(theirs), why))

    def _grouped(self, ours: _Ours, theirs: _Theirs) -> bool:
        """Compare which connection the packet is in: whether both have it with the same packets before."""
        here, there = self._ours.get(ours.connection), self._streams.get(theirs.stream)
        if here is None and there is None:
            here = there = _Stream(ours.number, theirs.completeness)
            self._ours[ours.connection] = self._streams[theirs.stream] = here
        if here is there and here is not None:
            here.initial_rtt = theirs.initial_rtt or here.initial_rtt
            self.tally["connection", True] += 1
            return True
        why = reasons.of_grouping(ours.flags, is_new_here=here is None, is_new_there=there is None)
        why = self._apart.setdefault(ours.connection, why)
        said, heard = (
            _("with packet {n}").format(n=one.first) if one else _("a new connection") for one in (here, there)
        )
        self._compare("connection", ours.number, ours.connection, said, heard, why)
        if there is None:
            there = self._streams[theirs.stream] = _Stream(ours.number, theirs.completeness)
        there.is_apart = True
        if here is None:
            here = self._ours[ours.connection] = _Stream(ours.number, 0)
        here.is_apart = True
        return False

    def _counted_from(self, ours: _Ours, theirs: _Theirs, side: int, shift: int, *, is_own: bool) -> Reason | None:
        """Why numbers of a side's octets differ, by ``shift``: they are counted from another one."""
        stream = self._ours[ours.connection]
        known = stream.shifts[side]
        shift &= 0xFFFFFFFF
        if known is None:
            why = Reason.UNSEEN_START if shift and not (is_own and ours.flags & SYN) else None
            stream.shifts[side] = shift, why
        elif shift == known[0]:
            why = known[1]
        else:
            why = Reason.NUMBERED_ANEW if is_own and ours.flags & SYN and theirs.seq == 0 else None
            if why or not shift:
                stream.shifts[side] = shift, why
        return why


class _Stream:
    """A connection of both, whose first packet is the same; or one of either alone.

    Attributes: ``first`` packet; what tshark says of all of it; ``shifts`` by Side from our numbers to tshark's, and
    why; ``is_apart`` once a packet is in it for one of both only.
    """

    __slots__ = ("completeness", "first", "initial_rtt", "is_apart", "shifts")

    def __init__(self, first: int, completeness: int) -> None:
        self.first, self.completeness, self.initial_rtt, self.is_apart = first, completeness, 0, False
        self.shifts: list[tuple[int, Reason | None] | None] = [None, None]


class _Ours(NamedTuple):
    """A packet in our columns; ``payload_start`` is its place in the frame."""

    number: int
    caplen: int
    origlen: int
    payload_start: int
    protocol: int
    fragments: int
    connection: int
    side: int
    events: int
    seq: int
    ack: int
    flags: int
    payload_len: int


class _Theirs(NamedTuple):
    """What tshark tells of a packet."""

    number: int
    caplen: int
    is_unclear: bool
    """Which TCP header its fields speak of cannot be told."""
    is_cut: bool = False
    """The header's end lies outside its packet."""
    stream: str = ""
    payload_len: int = 0
    seq: int = 0
    ack: int = 0
    completeness: int = 0
    initial_rtt: int = 0
    events: frozenset[str] = frozenset()


def _parsed(line: str, packet: int) -> _Theirs:
    if not line:
        raise TsharkError(_("tshark stopped before packet {n}").format(n=packet))
    try:
        number, caplen, protocols, stream, flags, *values = line.split("\t")
        layers = protocols.split(":")
        if not stream:
            return _Theirs(int(number), int(caplen), "tcp" in layers)
        if not flags or layers.count("tcp") != 1 or "icmp" in layers or "icmpv6" in layers:
            return _Theirs(int(number), int(caplen), True)
        payload_len, seq, ack, completeness, rtt, *given = values
        events = frozenset(name for name, is_given in zip(EVENTS.values(), given, strict=True) if is_given)
        return _Theirs(
            int(number), int(caplen), False, not payload_len, str(int(stream)), int(payload_len or 0), int(seq),
            int(ack or 0), int(completeness or 0), _nanoseconds(rtt), events,
        )  # fmt: skip
    except ValueError:
        raise TsharkError(_("tshark's output cannot be read (packet {n})").format(n=packet)) from None


def _nanoseconds(seconds: str) -> int:
    """``0.000028282`` in nanoseconds; 0 where it is empty."""
    whole, _point, fraction = seconds.partition(".")
    return int(whole or 0) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
