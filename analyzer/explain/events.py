"""Why a segment is called a retransmission, and not out of order: a sentence for each event, with what decided it.

``remarkable`` goes over a Life with the memory of both ends that tcp/events.py had, in the life's relative numbers, and
tells of an event what that memory held. Where packets of the life were left out the memory is gone: from there on only
what the packet itself says is told. A number that does not fit the event is not told either.

A sentence is a template in the language chosen. Its placeholders stand for integers; the names of times end in
``_ns``, those of sizes in ``_bytes``; the others are numbers of packets, sequence numbers and counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analyzer.language import _
from analyzer.tables import ACK, FIN, RST, SYN, Event, Life, Side


class Finding(NamedTuple):
    """What there is to say of one event."""

    packet: int
    text: str
    """A template, or empty where the life does not tell."""
    numbers: dict[str, int]
    """For its placeholders."""


class Kind(NamedTuple):
    """All events of one kind."""

    packets: int
    """How many have it."""
    told: list[Finding]
    """The first of them, without those that only go on with what one before began."""
    findings: int
    """How many there are of these."""


Said = tuple[str, dict[str, int]]

NOTHING: Said = "", {}

ORDINARY = frozenset({Event.WINDOW_UPDATE, Event.KEEP_ALIVE_ACK, Event.CAPTURE_DUPLICATE, Event.TURNED_ROUND})
"""Events that a sound connection has, too, the last two by the capture's doing; nobody needs a list of them."""

_NEARER = 1 << Event.FAST_RETRANSMISSION | 1 << Event.SPURIOUS_RETRANSMISSION


def kinds_of(bits: int) -> list[Event]:
    """The events in ``Labels.events`` by their nearest names.

    A retransmission that has a nearer name has that alone; what a copy repeats is not its doing.
    """
    if bits & 1 << Event.CAPTURE_DUPLICATE:
        return [Event.CAPTURE_DUPLICATE]
    if bits & _NEARER:
        bits &= ~(1 << Event.RETRANSMISSION)
    return [event for event in Event if bits >> event & 1]


def remarkable(life: Life, most: int) -> dict[Event, Kind]:
    """What a TCP connection has that not every one has, the first to come first; of a kind at most so many findings."""
    walk = _Walk(life)
    found: dict[Event, Kind] = {}
    for i, bits in enumerate(life.events.tolist()):
        if life.omitted and i == len(life.events) // 2:
            walk.forget()
        for event in kinds_of(bits) if bits else ():
            if event in ORDINARY:
                continue
            packets, told, findings = found.get(event, Kind(0, [], 0))
            is_news = walk.is_news(event, i)
            if len(told) < most and is_news:
                told.append(Finding(walk.number[i], *_SENTENCES[event](walk, i)))
            found[event] = Kind(packets + 1, told, findings + is_news)
        walk.remember(i)
    return found


def _ahead(a: int, b: int) -> int:
    """How far sequence number ``a`` is ahead of ``b``; negative when it is behind."""
    return (a - b + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class _End:
    """What is remembered of an endpoint; its packets are rows of the life, -1 for none."""

    def __init__(self) -> None:
        self.next: int | None = None  # one after the highest sequence number that it sent …
        self.highest = -1  # … and who brought it
        self.whole: int | None = None  # up to here nothing that it sent is missing
        self.acks: list[tuple[int, int]] = []  # each acknowledgement number and its first packet
        self.repeat = 0  # how often the last of them was repeated …
        self.repeated = -1  # … and the latest to do so
        self.closed = -1  # since when it has no room
        self.window = -1
        self.latest = -1
        self.is_followed = True  # the first three are what Wireshark remembers, too


class _Walk:
    """Both ends at one place of a life. ``remember`` is called for every row in order, after its sentences."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.number: list[int] = life.number.tolist()
        self.ts_ns: list[int] = life.ts_ns.tolist()
        self.side: list[int] = life.side.tolist()
        self.events: list[int] = life.events.tolist()
        self.seq: list[int] = life.seq.tolist()
        self.ack: list[int] = life.ack.tolist()
        self.flags: list[int] = life.flags.tolist()
        self.window: list[int] = life.window.tolist()
        self.payload_len: list[int] = life.payload_len.tolist()
        self.refers_to: list[int] = life.refers_to.tolist()
        self.row = {number: i for i, number in enumerate(self.number)}
        self.of_side = [np.flatnonzero(life.side == side) for side in Side]
        self.with_room = [rows[(life.window[rows] > 0) & (life.flags[rows] & RST == 0)] for rows in self.of_side]
        self.repeats: dict[int, list[int]] = {}  # which rows repeat the ACK of a packet
        for i in np.flatnonzero(life.repeat).tolist():
            self.repeats.setdefault(self.refers_to[i], []).append(i)
        self.awaited: set[int] = set()  # packets whose repetition was told
        self.ends = _End(), _End()
        self.is_whole = True  # no packet before this one was left out
        self.syn_ns = 0
        self.rtt_ns = 0  # as Wireshark has it (CONNECTION.initial_rtt_ns); 0 unknown

    def forget(self) -> None:
        """From here on packets before are missing."""
        self.ends = _End(), _End()
        self.is_whole = False

    def end(self, i: int) -> int:
        """One after the last sequence number of row ``i``."""
        return self.seq[i] + self.payload_len[i] + bool(self.flags[i] & (SYN | FIN)) & 0xFFFFFFFF

    def since(self, before: int, i: int) -> int:
        """Nanoseconds from one row to another."""
        return self.ts_ns[i] - self.ts_ns[before]

    def is_news(self, event: Event, i: int) -> bool:
        """Whether row ``i`` begins something: the repetitions of an ACK are one finding, and so is a closed window."""
        if event == Event.DUPLICATE_ACK and self.refers_to[i]:
            return self.refers_to[i] not in self.awaited
        return event != Event.ZERO_WINDOW or self.ends[self.side[i]].closed < 0

    def remember(self, i: int) -> None:
        """What the sentences of later rows need of row ``i``."""
        flags, events = self.flags[i], self.events[i]
        if flags & SYN and events & 1 << Event.REUSED_PORTS and i:
            self.ends = _End(), _End()  # sequence numbers may count from another one
        fwd, rev = self.ends[self.side[i]], self.ends[1 - self.side[i]]
        goes_back = flags & (SYN | ACK) == SYN and fwd.next != fwd.whole  # to what is whole
        if goes_back or (flags & RST and fwd.latest < 0):  # or its numbers do not count from anything
            fwd.is_followed = False
            fwd.next, fwd.highest, fwd.whole = None, -1, None
        if flags & ACK:
            ack = self.ack[i]
            if rev.whole is not None and rev.next is not None and _ahead(ack, rev.whole) > 0:
                rev.whole = rev.next
            if rev.latest >= 0 and (not fwd.acks or fwd.acks[-1][0] != ack):  # else it counts from nothing
                fwd.acks.append((ack, i))
                fwd.repeat = 0
            if not flags & SYN and self.syn_ns and not self.rtt_ns and self.is_whole:
                self.rtt_ns = self.ts_ns[i] - self.syn_ns
        elif flags & SYN:
            self.syn_ns = self.ts_ns[i]
        if events & 1 << Event.DUPLICATE_ACK:
            self.awaited.add(self.refers_to[i])
            fwd.repeat, fwd.repeated = int(self.life.repeat[i]), i
        if self.is_whole and fwd.is_followed and not events & 1 << Event.ZERO_WINDOW_PROBE:
            end = self.end(i)
            if fwd.next is None or _ahead(end, fwd.next) > 0:
                fwd.next, fwd.highest = end, i
            if fwd.whole is None or fwd.whole == self.seq[i]:
                fwd.whole = fwd.next
        if self.window[i]:
            fwd.closed = -1
        elif fwd.closed < 0 and (self.is_whole or fwd.window > 0) and not flags & (SYN | FIN | RST):
            fwd.closed = i
        fwd.window = self.window[i]
        fwd.latest = i


def _again(walk: _Walk, i: int) -> Said:
    """Which packet is sent again."""
    original = walk.refers_to[i]
    if not original:
        return NOTHING
    if original in walk.row:
        return _sent_again(walk, walk.row[original], i)
    return _("packet {original} again"), {"original": original}


def _sent_again(walk: _Walk, original: int, i: int) -> Said:
    """That row ``original`` came again, and how much later."""
    numbers = {"original": walk.number[original]}
    since = walk.since(original, i)
    if since <= 0:
        return _("packet {original} again at once") if since == 0 else _("packet {original} again"), numbers
    return _("packet {original} again, {since_ns} after it"), numbers | {"since_ns": since}


def _because(walk: _Walk, i: int, reason: Said) -> Said:
    """Which packet is sent again, and a reason for it."""
    (what, whose), (why, numbers) = _again(walk, i), reason
    return _(": ").join(filter(None, (what, why))), whose | numbers


def _retransmission(walk: _Walk, i: int) -> Said:
    fwd = walk.ends[walk.side[i]]
    reason = NOTHING
    if fwd.next == walk.end(i):
        reason = _("nothing newer between"), {}
    elif fwd.highest >= 0 and 0 < walk.rtt_ns <= walk.since(fwd.highest, i):
        reason = (
            _("it came {after_ns} after the highest segment, and the handshake took only {rtt_ns}"),
            {"after_ns": walk.since(fwd.highest, i), "rtt_ns": walk.rtt_ns},
        )
    return _because(walk, i, reason)


def _fast_retransmission(walk: _Walk, i: int) -> Said:
    rev = walk.ends[1 - walk.side[i]]
    if rev.repeat < 2:
        return _again(walk, i)
    reason = _("{repeats} duplicate ACKs of packet {acked} came before it")
    numbers = {"repeats": rev.repeat, "acked": walk.refers_to[rev.repeated]}
    if rev.repeated == rev.latest:
        reason = _("{repeats} duplicate ACKs of packet {acked} came before it, the last {before_ns} earlier")
        numbers["before_ns"] = walk.since(rev.repeated, i)
    return _because(walk, i, (reason, numbers))


def _spurious_retransmission(walk: _Walk, i: int) -> Said:
    covering = -1
    is_first = walk.is_whole
    for ack, row in reversed(walk.ends[1 - walk.side[i]].acks):
        if _ahead(ack, walk.end(i)) < 0:
            is_first = True
            break
        covering = row
    if covering < 0 or not is_first:  # else a packet that was left out may have said so before
        return _again(walk, i)
    return _because(walk, i, (_("packet {acked} had acknowledged all of it"), {"acked": walk.number[covering]}))


def _out_of_order(walk: _Walk, i: int) -> Said:
    highest = walk.ends[walk.side[i]].highest
    if highest < 0 or (after := walk.since(highest, i)) < 0 or 0 < walk.rtt_ns <= after:
        return NOTHING
    numbers = {"after_ns": after, "highest": walk.number[highest]}
    if not walk.rtt_ns:
        text = _("arrived {after_ns} after the highest segment (packet {highest}), too soon for a retransmission")
        return text, numbers
    text = _("arrived {after_ns} after the highest segment (packet {highest}), sooner than the handshake's {rtt_ns}")
    return text, numbers | {"rtt_ns": walk.rtt_ns}


def _duplicate_ack(walk: _Walk, i: int) -> Said:
    acked = walk.refers_to[i]
    if not acked:
        return NOTHING
    numbers = {"acked": acked, "ack": walk.ack[i]}
    same = walk.repeats.get(acked, [])
    if len(same) > 1 and not walk.life.omitted:
        numbers |= {"times": len(same), "last": walk.number[same[-1]]}
        return _("repeats packet {acked}, {times} times up to packet {last}: {ack} is awaited"), numbers
    return _("repeats packet {acked}: {ack} is awaited"), numbers


def _lost_segment(walk: _Walk, i: int) -> Said:
    fwd = walk.ends[walk.side[i]]
    if fwd.next is None or (missing := _ahead(walk.seq[i], fwd.next)) <= 0:
        return NOTHING
    text = _("{missing_bytes} missing before it, after packet {highest}")
    return text, {"missing_bytes": missing, "highest": walk.number[fwd.highest]}


def _ack_lost_segment(walk: _Walk, i: int) -> Said:
    whole = walk.ends[1 - walk.side[i]].whole
    if whole is None or _ahead(walk.ack[i], whole) <= 0:
        return NOTHING
    text = _("acknowledges all before {ack}, but the capture has without a gap only what comes before {whole}")
    return text, {"ack": walk.ack[i], "whole": whole}


def _keep_alive(walk: _Walk, i: int) -> Said:
    before = max(end.latest for end in walk.ends)
    if before < 0:
        return NOTHING
    text = _("one sequence number back, {idle_ns} after packet {before}")
    if walk.ends[1 - walk.side[i]].window == 0:
        text = _("window probe, {idle_ns} after packet {before}: the window was zero")
    return text, {"idle_ns": walk.since(before, i), "before": walk.number[before]}


def _answer(walk: _Walk, i: int) -> Said:
    asked = walk.ends[1 - walk.side[i]].latest
    if asked < 0:
        return NOTHING
    numbers = {"asked": walk.number[asked], "after_ns": walk.since(asked, i)}
    return _("answers packet {asked} after {after_ns}"), numbers


def _zero_window(walk: _Walk, i: int) -> Said:
    rows, with_room = walk.of_side[walk.side[i]], walk.with_room[walk.side[i]]
    gap = len(walk.number) // 2 if walk.life.omitted else 0
    k = int(np.searchsorted(with_room, i))
    if k == len(with_room):
        if i < gap:
            return NOTHING
        last = int(rows[-1])
        if walk.flags[last] & RST and last > i:
            numbers = {"closed_ns": walk.since(i, last), "last": walk.number[last]}
            return _("there was no room again up to its RST, {closed_ns} later in packet {last}"), numbers
        return _("there was no room again") if last > i else _("no other packet came from there"), {}
    opened = int(with_room[k])
    if i < gap <= opened:
        return NOTHING
    text = _("there was room again after {closed_ns}, in packet {opened}")
    return text, {"closed_ns": walk.since(i, opened), "opened": walk.number[opened]}


def _zero_window_probe(walk: _Walk, i: int) -> Said:
    closed = walk.ends[1 - walk.side[i]].closed
    if closed < 0:
        return NOTHING
    text = _("one byte, {after_ns} after packet {closed} left no room")
    return text, {"after_ns": walk.since(closed, i), "closed": walk.number[closed]}


def _window_full(walk: _Walk, i: int) -> Said:
    rev = walk.ends[1 - walk.side[i]]
    if not rev.acks or (flight := _ahead(walk.end(i), rev.acks[-1][0])) <= 0:
        return NOTHING
    text = _("{flight_bytes} in flight, all that packet {granted} has room for")
    return text, {"flight_bytes": flight, "granted": walk.number[rev.latest]}


def _reused_ports(walk: _Walk, i: int) -> Said:
    if i == 0:
        return _("an earlier connection had the same addresses and ports"), {}
    return _("its SYN has another initial sequence number than the connection"), {}


def _fast_open(walk: _Walk, i: int) -> Said:
    return _("its SYN brings {payload_bytes}"), {"payload_bytes": walk.payload_len[i]}


_SENTENCES: dict[Event, Callable[[_Walk, int], Said]] = {
    Event.RETRANSMISSION: _retransmission,
    Event.FAST_RETRANSMISSION: _fast_retransmission,
    Event.SPURIOUS_RETRANSMISSION: _spurious_retransmission,
    Event.OUT_OF_ORDER: _out_of_order,
    Event.DUPLICATE_ACK: _duplicate_ack,
    Event.LOST_SEGMENT: _lost_segment,
    Event.ACK_LOST_SEGMENT: _ack_lost_segment,
    Event.KEEP_ALIVE: _keep_alive,
    Event.ZERO_WINDOW: _zero_window,
    Event.ZERO_WINDOW_PROBE: _zero_window_probe,
    Event.ZERO_WINDOW_PROBE_ACK: _answer,
    Event.WINDOW_FULL: _window_full,
    Event.REUSED_PORTS: _reused_ports,
    Event.FAST_OPEN: _fast_open,
    Event.DSACK: lambda walk, i: (_("its SACK option says that bytes came twice"), {}),
    Event.URGENT: lambda walk, i: (_("its urgent pointer is in use"), {}),
    Event.ECN_SETUP: lambda walk, i: (_("both sides may say when routers are congested"), {}),
    Event.CONGESTION_ECHO: lambda walk, i: (_("a router on the way to its sender marked a packet: congestion"), {}),
    Event.WINDOW_REDUCED: lambda walk, i: (_("its sender heard of congestion and sends less"), {}),
    Event.OLD_TIMESTAMP: lambda walk, i: (_("its timestamp is older than what its receiver has: PAWS drops it"), {}),
    Event.MPTCP: lambda walk, i: (_("it may have more than one path"), {}),
}
