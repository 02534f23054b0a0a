"""A connection's packets as plots need them: places that never wrap around, and what is measured at each packet.

Everything is computed over whole columns, for a connection may have millions of packets. A place is a sequence number
relative to the initial one, as an integer that goes on past 2**32. What the capture has twice is shown, not measured.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.report.round_trips import round_trips
from analyzer.tables import (
    ACK,
    FIN,
    I64,
    RST,
    SYN,
    U8,
    U16,
    U32,
    Event,
    Life,
    Rows,
    Side,
)

NONE = -1
"""Stands where a packet has no such number."""

_NO_SCALE = 255  # of ENDPOINT's scale: it does not scale
_MOST_SCALE = 14  # RFC 7323 2.3
_NEARER = np.uint32(1 << Event.FAST_RETRANSMISSION | 1 << Event.SPURIOUS_RETRANSMISSION)

Truths = npt.NDArray[np.bool_]


class Course(NamedTuple):
    """Columns of one length, a row a packet, in the order of the capture."""

    number: I64
    time_ns: I64
    """Since the first packet."""
    side: U8
    flags: U16
    events: U32
    """Bits as in Life, each event by its nearest name alone."""
    refers_to: I64
    """NONE where the events speak of no other packet."""
    start: I64
    """Place of the first sequence number."""
    end: I64
    """Place after the last; SYN and FIN take one number each."""
    payload_len: I64
    acked: I64
    """Place in the peer's stream up to which it acknowledges; NONE without ACK."""
    window: I64
    """Octets that it is ready to take, scaled where the scale is known; NONE of a RST, or without ACK."""
    rtt_ns: I64
    """Of the peer's segment that it acknowledges, by Karn's rule; NONE where it tells no time."""
    gap_ns: I64
    """Since the packet before, whoever sent it."""
    client_in_flight: I64
    """Octets that the client sent and that are not acknowledged, after this packet."""
    server_in_flight: I64
    sack: I64
    """int64[n, 8]: places of the edges of SACK blocks in the peer's stream; NONE where there is none."""


def course_of(life: Life, endpoints: Rows) -> Course:
    """The course of a connection; of a UDP conversation what has to do with sequence numbers is 0 or NONE.

    ``endpoints`` are its two rows of ENDPOINT, whose window scales count.
    """
    n = len(life.number)
    side = life.side.astype(np.int64)
    is_copy = (life.events >> np.uint32(Event.CAPTURE_DUPLICATE) & 1).astype(np.bool_)
    is_ack = (life.flags & ACK).astype(np.bool_)
    is_reset = (life.flags & RST).astype(np.bool_)
    is_sure = ~is_reset & ~((life.events >> np.uint32(Event.REUSED_PORTS) & 1 == 1) & (life.seq != 0))
    payload_len = life.payload_len.astype(np.int64)
    seg_len = payload_len + np.where(life.flags & (SYN | FIN), 1, 0)

    start = np.zeros(n, np.int64)
    for sender in Side:
        mine = side == sender
        start[mine] = _unwrapped(life.seq[mine].astype(np.int64), is_sure[mine])
    end = start + np.where(is_reset, 0, seg_len)

    acked = np.full(n, NONE, np.int64)
    sack = np.full((n, 8), NONE, np.int64)
    in_flight = np.zeros((2, n), np.int64)
    for sender in Side if life.flags.any() else ():  # a datagram has none
        sends = (side == sender) & ~is_copy & is_sure
        answers = (side != sender) & is_ack
        ack = life.ack[answers].astype(np.int64)
        if not sends.any():
            acked[answers] = _unwrapped(ack, np.ones(len(ack), np.bool_))
            continue
        reached = np.maximum.accumulate(np.where(sends, end, start[sends][0]))
        acked[answers] = _nearest(ack, reached[answers])
        edges = _nearest(life.sack[answers].astype(np.int64), acked[answers][:, np.newaxis])
        given = np.arange(8) < 2 * life.sack_blocks[answers].astype(np.int64)[:, np.newaxis]
        sack[answers] = np.where(given, edges, NONE)
        answers &= ~is_copy & is_sure
        una = np.maximum.accumulate(np.where(answers, acked, start[sends][0]))
        in_flight[sender] = np.maximum(reached - una, 0)

    gap_ns = np.zeros(n, np.int64)
    gap_ns[1:] = np.diff(life.ts_ns)
    if life.omitted:
        gap_ns[n // 2] = 0
    held_end = np.where(is_copy, start, start + seg_len)
    return Course(
        number=life.number, time_ns=life.ts_ns - life.ts_ns[0], side=life.side, flags=life.flags,
        events=_nearest_names(life.events, is_copy), refers_to=np.where(life.refers_to > 0, life.refers_to, NONE),
        start=start, end=end, payload_len=payload_len, acked=acked, window=_windows(life, endpoints),
        rtt_ns=round_trips(life.ts_ns, side, start, held_end, acked, is_copy), gap_ns=gap_ns,
        client_in_flight=in_flight[Side.CLIENT], server_in_flight=in_flight[Side.SERVER], sack=sack,
    )  # fmt: skip


def is_scaled(endpoints: Rows) -> bool:
    """Whether the windows of the connection are known as their sender meant them."""
    return bool((endpoints["scale"] > 0).all())


def _windows(life: Life, endpoints: Rows) -> I64:
    """Scaled where both sides are known to scale; a SYN's never is (RFC 7323 2.2)."""
    scales = endpoints["scale"].astype(np.int64)
    both = bool(((scales > 0) & (scales < _NO_SCALE)).all())
    shift = np.minimum(scales - 1, _MOST_SCALE)[life.side] if both else np.zeros(len(life.side), np.int64)
    window = life.window.astype(np.int64)
    window = np.where(life.flags & SYN, window, window << shift)
    return np.where((life.flags & (ACK | RST)) == ACK, window, NONE)


def _nearest_names(events: U32, is_copy: Truths) -> U32:
    """As explain/events.py's ``kinds_of`` has it, for a whole column."""
    named = np.where(events & _NEARER, events & ~np.uint32(1 << Event.RETRANSMISSION), events)
    return np.where(is_copy, np.uint32(1 << Event.CAPTURE_DUPLICATE), named)


def _unwrapped(numbers: I64, is_sure: Truths) -> I64:
    """32-bit numbers as integers: each as near as it can be to the sure one before it, the first as it is.

    A reset, and a SYN that is another connection's, may have any number: what follows is not held against it.
    """
    sure = numbers[is_sure]
    if not len(sure):
        return numbers
    steps = _signed(np.diff(sure))
    places = np.empty(len(sure), np.int64)
    places[0] = _signed(sure[:1])[0] if sure[0] > 0xFFFF0000 else sure[0]  # an octet before the first, not 4 GiB after
    places[1:] = places[0] + np.cumsum(steps)
    before = np.maximum(np.cumsum(is_sure) - 1, 0)
    unwrapped = _nearest(numbers, places[before])
    unwrapped[is_sure] = places
    return unwrapped


def _nearest(numbers: I64, near: I64) -> I64:
    return near + _signed(numbers - near)


def _signed(difference: I64) -> I64:
    """The same difference modulo 2**32, from -2**31 to 2**31 - 1."""
    return (difference + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
