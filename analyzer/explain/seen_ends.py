"""What the calls of a program say of a connection's end that the wire does not: SO_LINGER, a program that died."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from analyzer.explain.tying import Packet, Tie
from analyzer.strace.sockets import Deed
from analyzer.tables import RST, Side


class How(IntEnum):
    """How a side's socket was closed."""

    LINGER = 1
    """By close() with SO_LINGER and no time: RST (RFC 9293 3.9.1.5, socket(7))."""
    ENDED = 2
    """By the kernel, when the program ended without close()."""
    KILLED = 3
    """The same, when a signal ended the program."""


class SeenEnd(NamedTuple):
    """An end that was seen."""

    side: Side
    how: How
    packet: int
    """The FIN or RST that it made."""
    signal: str
    """Of KILLED: ``SIGKILL``."""


def seen_end(side: Side, ties: Sequence[Tie], packets: Sequence[Packet]) -> SeenEnd | None:
    """How a side closed, where its calls tell more than its packets."""
    lingers = False
    for tie in ties:
        call = tie.seen.call
        if call.name == "setsockopt" and "SO_LINGER" in call.arguments and not call.errno:
            value = " ".join(call.arguments[3:4])
            lingers = "l_onoff=1" in value and "l_linger=0" in value
        if not tie.caused or tie.seen.deed not in (Deed.CLOSE, Deed.EXIT):
            continue
        packet = packets[tie.caused[0]]
        if lingers and packet.flags & RST:
            return SeenEnd(side, How.LINGER, packet.number, "")
        if tie.seen.deed == Deed.EXIT:
            is_killed = call.result.startswith("killed by ")
            return SeenEnd(side, How.KILLED if is_killed else How.ENDED, packet.number, call.result.split()[-1])
    return None
