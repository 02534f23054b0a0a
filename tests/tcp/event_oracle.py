"""A slow, obvious sequence analysis, to hold the compiled one against: each event is a sentence with its condition.

Written from the Wireshark User's Guide ("TCP Analysis") and from what tshark 4.0 says of conversations made for the
purpose. A direction remembers what its segments said. ``number or 0`` is not a slip: to Wireshark a sequence number 0
is one that it has not seen. Every segment that has not been acknowledged is remembered, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

FIN, SYN, RST, ACK = 1, 2, 4, 16
MILLISECOND = 10**6


class Seen(NamedTuple):
    """A segment of a connection as the analysis sees it."""

    number: int
    ts_ns: int
    side: int
    flags: int
    seq: int
    ack: int
    payload_len: int
    window: int
    window_scale: int | None


class Said(NamedTuple):
    """What is said of a segment."""

    events: frozenset[str]
    refers_to: int
    repeat: int


Held = tuple[int, int, int]
"""A segment: its first sequence number, one after the last, the number of the packet."""


@dataclass
class Direction:
    """What one end sent."""

    base: int | None = None
    nextseq: int = 0
    nextseq_ns: int = 0
    ackable_to: int = 0
    last_ack: int = 0
    last_ns: int = 0
    window: int | None = None
    shift: int | str | None = "unknown"
    """Shift count of its window; None when it does not scale."""
    awaits_first_ack: bool = False
    ack_number: int = 0
    repeats: int = 0
    lags: bool = False
    """Whether it was acknowledged past what was seen of it, with nothing to account for it."""
    last_events: frozenset[str] = frozenset()
    unacked: list[Held] = field(default_factory=list)
    """In the order in which they were sent."""


def ahead(a: int, b: int) -> int:
    """How far a is ahead of b; numbers half the circle apart are before each other."""
    return (a - b + 2**31) % 2**32 - 2**31


def analyse(segments: Iterable[Seen]) -> list[Said]:
    """The events of the segments of one connection."""
    directions = Direction(), Direction()
    times = {"syn": 0, "rtt": 0}
    return [take(directions[one.side], directions[1 - one.side], one, times) for one in segments]


def take(fwd: Direction, rev: Direction, one: Seen, times: dict[str, int]) -> Said:
    events = {"reused_ports"} if is_reused(fwd, one) else set()
    if fwd.base is None:
        fwd.base = one.seq if one.flags & SYN else (one.seq - 1) % 2**32
    if rev.base is None and one.flags & ACK:
        rev.base = (one.ack - 1) % 2**32
    events |= by_place(fwd, rev, one)
    refers_to = 0
    if one.ack != fwd.last_ack:
        fwd.repeats, fwd.lags, fwd.ack_number = 0, False, one.number
    elif "duplicate_ack" in events:
        fwd.repeats, fwd.lags, refers_to = fwd.repeats + 1, False, fwd.ack_number
    repeat = fwd.repeats if "duplicate_ack" in events else 0
    if acks_unseen(rev, one):
        events.add("ack_lost_segment")
    if occupies(one) and "keep_alive" not in events:
        again = sent_again(fwd, rev, one, times["rtt"] or 3 * MILLISECOND)
        events |= again
        if "retransmission" in again:
            refers_to = next((number for a, b, number in fwd.unacked if overlap(a, b, one)), 0)
    remember(fwd, rev, one, frozenset(events), times)
    return Said(frozenset(events), refers_to, repeat)


def occupies(one: Seen) -> bool:
    return one.payload_len > 0 or bool(one.flags & (SYN | FIN))


def end_of(one: Seen) -> int:
    return (one.seq + one.payload_len + bool(one.flags & (SYN | FIN))) % 2**32


def overlap(a: int, b: int, one: Seen) -> bool:
    return ahead(a, end_of(one)) < 0 and ahead(b, one.seq) > 0


def is_reused(fwd: Direction, one: Seen) -> bool:
    """A SYN of a number that is not the connection's; a SYN,ACK makes it the connection's."""
    if not one.flags & SYN or fwd.base is None:
        return False
    if one.seq != fwd.base:
        if one.flags & ACK:
            fwd.base = one.seq
        return True
    if not one.flags & ACK:
        fwd.nextseq = fwd.ackable_to
    return False


def by_place(fwd: Direction, rev: Direction, one: Seen) -> set[str]:
    """The events that sequence number, window and acknowledgement tell."""
    plain = not one.flags & (SYN | FIN | RST)
    in_turn = one.seq == fwd.nextseq
    if one.payload_len == 1 and in_turn and rev.window == 0:
        return {"zero_window_probe"}
    events = set()
    if plain and one.window == 0:
        events.add("zero_window")
    if fwd.nextseq and ahead(one.seq, fwd.nextseq) > 0 and not one.flags & RST:
        events.add("lost_segment")
    if plain and one.payload_len in (0, 1) and fwd.nextseq and one.seq == (fwd.nextseq - 1) % 2**32:
        events.add("keep_alive")
    if plain and one.payload_len and rev.shift != "unknown" and rev.window is not None and rev.last_ack:
        shift = rev.shift if isinstance(rev.shift, int) and not rev.awaits_first_ack else 0
        if (one.seq + one.payload_len) % 2**32 == (rev.last_ack + (rev.window << shift)) % 2**32:
            events.add("window_full")
    if plain and one.payload_len == 0 and in_turn and one.ack == fwd.last_ack:
        if one.window == 0 == fwd.window and "zero_window_probe" in rev.last_events:
            events.add("zero_window_probe_ack")
        if one.window and one.window != fwd.window:
            events.add("window_update")
        elif one.window:
            events.add("keep_alive_ack" if "keep_alive" in rev.last_events else "duplicate_ack")
    return events


def acks_unseen(rev: Direction, one: Seen) -> bool:
    """Whether it is the first to acknowledge what was not seen."""
    if not one.flags & ACK or not rev.ackable_to or ahead(one.ack, rev.ackable_to) <= 0:
        return False
    if ahead(rev.nextseq, rev.ackable_to) > 0:
        rev.ackable_to = rev.nextseq
        return True
    first = rev.repeats == 0 and not rev.lags
    rev.lags, rev.repeats = True, 0
    return first


def sent_again(fwd: Direction, rev: Direction, one: Seen, rtt_ns: int) -> set[str]:
    """The events of a segment that does not advance the sequence number."""
    if one.payload_len and rev.last_ack and ahead(one.seq + one.payload_len, rev.last_ack) <= 0:
        return {"retransmission", "spurious_retransmission"}
    if not fwd.nextseq or ahead(one.seq, fwd.nextseq) >= 0:
        return set()
    if one.payload_len > 1 and one.seq == (fwd.nextseq - 1) % 2**32:
        return set()
    if (rev.repeats >= 2 or rev.lags) and rev.last_ack == one.seq and 0 <= one.ts_ns - rev.last_ns < 20 * MILLISECOND:
        return {"retransmission", "fast_retransmission"}
    if 0 <= one.ts_ns - fwd.nextseq_ns < rtt_ns and end_of(one) != fwd.nextseq:
        return {"out_of_order"}
    return {"retransmission"}


def beyond_ack(segments: list[Held], ack: int) -> list[Held]:
    """What remains of segments when all before a sequence number is acknowledged."""
    return [(ack if ahead(ack, a) > 0 else a, b, number) for a, b, number in segments if ahead(ack, b) < 0]


def remember(fwd: Direction, rev: Direction, one: Seen, events: frozenset[str], times: dict[str, int]) -> None:
    if "zero_window_probe" not in events:
        if not fwd.nextseq or ahead(end_of(one), fwd.nextseq) > 0:
            fwd.nextseq, fwd.nextseq_ns = end_of(one), one.ts_ns
        if not fwd.ackable_to or fwd.ackable_to == one.seq:
            fwd.ackable_to = fwd.nextseq
    if occupies(one):
        fwd.unacked.append((one.seq, end_of(one), one.number))
        if rev.last_ack:
            fwd.unacked[-1:] = beyond_ack(fwd.unacked[-1:], rev.last_ack)
    if one.flags & ACK and one.ack != fwd.last_ack:
        rev.unacked = beyond_ack(rev.unacked, one.ack)
    fwd.window, fwd.last_ack, fwd.last_ns, fwd.last_events = one.window, one.ack, one.ts_ns, events
    if one.flags & SYN:
        fwd.awaits_first_ack = True
        if one.window_scale is None:
            if fwd.shift == "unknown":
                fwd.shift = rev.shift = None
        else:
            fwd.shift = None if one.flags & ACK and rev.shift is None else one.window_scale
        if not one.flags & ACK:
            times["syn"] = one.ts_ns
    elif one.flags & ACK:
        fwd.awaits_first_ack = False
        if times["syn"] and not times["rtt"]:
            times["rtt"] = one.ts_ns - times["syn"]
