"""Which states are known, and which assumed: a label is a state after "sent and received", whoever received it or not.

A side shows its state by what it sends. Where a SYN was captured, a side of which nothing but RSTs came shows none: a
SYN may not have arrived, or nobody listens. Where none was, an ACK alone shows nothing either, for closed sockets send
them too, and one side's state depends on what the other did before: both have to say what only an open one can, by
payload or FIN. Who sends a RST is in CLOSED by then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyzer.explain.causes import GIVEN_UP_TRIES
from analyzer.tables import ACK, FIN, RST, SYN, U8, Batch, Event, Life, Protocol, Rows, Side
from analyzer.tcp.states import ANY_OTHER, FIRST_SEGMENT, State

MOST_OPEN = 100_000
"""Connections that are remembered until all is known of them; beyond that the earliest count as known."""

_TRIES = 1 << Event.RETRANSMISSION | 1 << Event.KEEP_ALIVE | 1 << Event.ZERO_WINDOW_PROBE

_SENT, _TOLD, _SYN_SEEN = 1, 4, 16
"""Bits of what came: anything but a RST, and what tells without a SYN, both shifted by the side; a SYN."""


class Known(NamedTuple):
    """A side's state, and whether it is assumed."""

    state: State
    is_assumed: bool


def states_before(flags: int, side: Side) -> tuple[State, State]:
    """The states of client and server before the first packet seen, which ``side`` sent."""
    kind = ANY_OTHER
    if flags & SYN:
        kind = "SYN,ACK" if flags & ACK else "SYN"
    sender, receiver = FIRST_SEGMENT[kind]
    return (sender, receiver) if side == Side.CLIENT else (receiver, sender)


def states_of(life: Life) -> tuple[list[Known], list[Known]]:
    """The states of client and server before a TCP connection's first packet and after each, by its whole life.

    A server that only refused was in CLOSED all the time. What a side entered after the latest packet that it sent is
    assumed where it left several tries unanswered: perhaps nothing reached it any more.
    """
    flags, sides = life.flags.tolist(), life.side.tolist()
    came = 0
    for what in zip(flags, sides, life.payload_len.tolist(), life.events.tolist(), strict=True):
        came |= _came(*what)
    before = states_before(flags[0], Side(sides[0]))
    found: list[list[Known]] = []
    for side, labels in zip(Side, (life.client_state.tolist(), life.server_state.tolist()), strict=True):
        is_assumed = bool(_assumed(came) >> side & 1)
        states = [before[side], *map(State, labels)]
        if side == Side.SERVER and _only_refused(flags, sides):
            states = [State.CLOSED] * len(states)
        is_shown = [False, *(bool(flag & RST) and sender == side for flag, sender in zip(flags, sides, strict=True))]
        heard = _heard_up_to(sides, life.events.tolist(), side)
        found.append(
            [
                Known(state, (is_assumed and not shown) or k > heard)
                for k, (state, shown) in enumerate(zip(states, is_shown, strict=True))
            ]
        )
    return found[0], found[1]


def assumed_sides(endpoints: Rows) -> tuple[bool, bool]:
    """Whether the state of each of a connection's two ENDPOINT rows is assumed; a keep-alive's octet tells here."""
    came = _SYN_SEEN if (endpoints["syns"] > 0).any() else 0
    for side in Side:
        end = endpoints[side]
        came |= (_SENT << side) * bool(end["packets"] > int(end["resets"]) + int(end["capture_duplicates"]))
        came |= (_TOLD << side) * bool(end["payload_bytes"] or end["fins"] or end["syns"])
    bits = _assumed(came)
    aborted = [bool(end["resets"]) and end["state"] == State.CLOSED for end in endpoints]
    return bool(bits & 1) and not aborted[0], bool(bits >> 1) and not aborted[1]


class Heard:
    """Which states are assumed so far, packet by packet of a capture."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._latest = 0

    def assumed(self, batch: Batch) -> U8:
        """Bit 1 << Side for each packet of the next batch after which the state of this side is assumed."""
        _frames, packets, labels = batch
        found = np.zeros(len(labels.connection), np.uint8)
        columns = labels.connection, labels.side, packets.flags, packets.payload_len, labels.events, packets.protocol
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for i, (number, side, flags, payload_len, events, protocol) in enumerate(rows):
            if protocol != Protocol.TCP or (number <= self._latest and number not in self._open):
                continue
            came = self._open.get(number, 0)
            if events >> Event.TURNED_ROUND & 1:
                came = came & _SYN_SEEN | (came & 5) << 1 | (came & 10) >> 1
            came |= _came(flags, side, payload_len, events)
            self._latest = max(self._latest, number)
            if bits := _assumed(came):
                self._open[number] = came
                found[i] = bits & ~(1 << side) if flags & RST else bits
                if len(self._open) > MOST_OPEN:
                    del self._open[next(iter(self._open))]
            else:
                self._open.pop(number, None)
        return found


def _came(flags: int, side: int, payload_len: int, events: int) -> int:
    """What a segment adds to what came."""
    if flags & RST:
        return 0
    is_new = payload_len > 0 and not events >> Event.KEEP_ALIVE & 1
    tells = bool(flags & (SYN | FIN)) or is_new
    return _SENT << side | (_TOLD << side) * tells | _SYN_SEEN * bool(flags & SYN)


def _assumed(came: int) -> int:
    """Bit 1 << Side where the state is assumed."""
    if came & _SYN_SEEN:
        return ~came & 3
    return 0 if came // _TOLD & 3 == 3 else 3


def _heard_up_to(sides: list[int], events: list[int], side: Side) -> int:
    """How many packets there are up to the latest of ``side``; all where its peer did not try several times then."""
    heard = max((k for k, sender in enumerate(sides) if sender == side), default=-1) + 1
    tries = sum(bool(bits & _TRIES) and not bits >> Event.CAPTURE_DUPLICATE & 1 for bits in events[heard:])
    return heard if tries >= GIVEN_UP_TRIES else len(sides)


def _only_refused(flags: list[int], sides: list[int]) -> bool:
    """Whether the client sent SYNs alone, and the server RSTs alone."""
    return {(side, flag & (SYN | ACK | FIN) if side == Side.CLIENT else flag & RST)
            for flag, side in zip(flags, sides, strict=True)} == {(Side.CLIENT, SYN), (Side.SERVER, RST)}  # fmt: skip
