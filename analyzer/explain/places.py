"""The segments of one connection with their octets' places in the two streams, as integers that never wrap around."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from analyzer.tables import ACK, FIN, HAS_TIMESTAMPS, RST, SYN, Event, Life, Side
from analyzer.tcp.states import State

NOWHERE = 1 << 62
"""A place behind every octet, a number behind every packet."""


class Packet(NamedTuple):
    """A segment, with its octets' places in the stream of its side as integers without end."""

    number: int
    ts_ns: int
    side: int
    flags: int
    start: int
    """Of its payload."""
    end: int
    """After its payload."""
    new_from: int
    """The stream from here to the end was not sent before; ``end`` where nothing is new."""
    acked: int
    """What it acknowledges of the peer's stream; -1 nothing."""
    window: int
    events: int
    has_timestamps: bool
    before: tuple[int, int]
    """States of client and server before it."""
    after: tuple[int, int]

    @property
    def is_bare_syn(self) -> bool:
        return self.flags & (SYN | ACK | RST) == SYN

    @property
    def is_syn_ack(self) -> bool:
        return self.flags & (SYN | ACK | RST) == SYN | ACK

    @property
    def is_reset(self) -> bool:
        return bool(self.flags & RST)

    @property
    def is_fin(self) -> bool:
        return bool(self.flags & FIN) and not self.is_reset

    @property
    def payload_len(self) -> int:
        return self.end - self.start

    @property
    def fills_window(self) -> bool:
        """Whether the receiver has no room for more."""
        return bool(self.events >> Event.WINDOW_FULL & 1)

    @property
    def is_plain(self) -> bool:
        """Neither SYN nor RST, and with ACK."""
        return self.flags & (SYN | RST | ACK) == ACK


def packets_of(life: Life) -> tuple[list[Packet], int]:
    """The segments without the capture's copies, and the number of the first after those left out (0: none were)."""
    packets: list[Packet] = []
    highest: list[int | None] = [None, None]
    states: tuple[int, int] | None = None
    half = len(life.number) // 2 if life.omitted else -1
    columns = (
        life.number, life.ts_ns, life.side, life.flags, life.seq, life.ack, life.payload_len, life.window, life.events,
        life.options, life.client_state, life.server_state,
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for index, (
        number,
        ts_ns,
        side,
        flags,
        seq,
        ack,
        payload_len,
        window,
        events,
        options,
        client,
        server,
    ) in enumerate(rows):
        if index == half:
            highest = [None, None]
        after = client, server
        if events >> Event.CAPTURE_DUPLICATE & 1:
            continue
        start = unwrapped(seq, highest[side]) + (flags & SYN > 0)
        end = start + payload_len
        sent = highest[side]
        has_payload = payload_len > 0 and not flags & RST
        new_from = end if not has_payload else start if sent is None else min(sent, end)
        if not flags & RST:
            highest[side] = end if sent is None else max(sent, end)
        acked = unwrapped(ack, highest[1 - side]) if flags & ACK else -1
        has_timestamps = options & HAS_TIMESTAMPS > 0
        packets.append(
            Packet(
                number, ts_ns, side, flags, start, end, new_from, acked, window, events, has_timestamps,
                states or _before(flags, side), after,
            )
        )  # fmt: skip
        states = after
    return packets, int(life.number[half]) if half > 0 else 0


def _before(flags: int, side: int) -> tuple[int, int]:
    """The states before the first packet, as far as they matter here."""
    opener, other = (State.SYN_SENT, State.LISTEN) if flags & SYN else (State.ESTABLISHED, State.ESTABLISHED)
    if flags & SYN and flags & ACK:
        opener, other = State.SYN_RECEIVED, State.SYN_SENT
    return (opener, other) if side == Side.CLIENT else (other, opener)


def unwrapped(number: int, near: int | None) -> int:
    """A 32-bit number as the integer that is nearest to ``near``."""
    if near is None:
        return number
    return near + ((number - near + (1 << 31)) % (1 << 32)) - (1 << 31)


def lowest_sent_again(sent: list[Packet]) -> dict[int, int]:
    """For each packet of a side the lowest place of what is sent again after it, where something is."""
    lowest: dict[int, int] = {}
    least = NOWHERE
    for packet in reversed(sent):
        if least < NOWHERE:
            lowest[packet.number] = least
        if packet.start < packet.new_from:
            least = min(least, packet.start)
    fins = [packet for packet in sent if packet.is_fin]
    if len(fins) > 1:
        lowest[fins[0].number] = min(lowest.get(fins[0].number, NOWHERE), fins[0].end)
    return lowest


def merged(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same octets as stretches that do not touch, in order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged
