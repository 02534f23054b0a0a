"""What packets leave behind for explain/why.py: the codes of those columns, and how they keep times and packets."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from analyzer.jit import kernel, wide
from analyzer.tables import Rows

SHORT_NS = 1 << 16
"""The unit of durations that are kept in 32 bits: 78 hours have room."""

MOST_32 = 0xFFFFFFFF


DELAYED_NS, LONGEST_DELAY_NS = 35_000_000, 500_000_000
"""A delayed ACK comes after 40 ms from Linux, 100 or 200 ms from others, within half a second (RFC 9293 3.8.6.3)."""

AT_ONCE_NS = 2_000_000
"""What was held back leaves within this time after the ACK that it waited for."""

USUAL_MSS = 536


class Unreachable(IntEnum):
    """Why a packet was not delivered, by the ICMP error that quotes it (RFC 792, RFC 1812 5.2.7.1, RFC 4443 3)."""

    NONE = 0
    NET = 1
    HOST = 2
    PROTOCOL = 3
    PORT = 4
    PROHIBITED = 5
    """Administratively: a firewall's rule."""
    HOPS = 6
    """Its hop limit, or time to live, ran out on the way."""
    OTHER = 7


# Packets.unreachable: Unreachable, and bits
UNREACHABLE_REASON, QUOTES_UDP, BY_DESTINATION = 0x0F, 0x40, 0x80


class IcmpError(NamedTuple):
    """An ICMP error that quotes a packet of a connection."""

    number: int
    """Its own number in the capture."""
    ts_ns: int
    side: int
    """Side that sent the packet."""
    quoted: int
    """The packet."""
    unreachable: int
    """As in Packets."""
    sender: tuple[int, int, int, int]
    """Words of the address that it came from."""


# Bits of tried
TRIED_AGAIN, TRIED_KEEP_ALIVE, TRIED_WINDOW = 1, 2, 4

# Bits of reset_traits: it has the ACK bit; a window other than zero, or the zero that was advertised before; another
# time to live than the packets before; an IP identification that does not follow theirs; the sequence number that the
# receiver acknowledged last; the receiver had sent payload since the sender's own latest
RST_ACKS, RST_WINDOW, RST_TTL, RST_ID, RST_AT_ACK, RST_UNANSWERED = 1, 2, 4, 8, 16, 32

NOT_PLAIN = 0xFFFF
"""Of last_len: a SYN, FIN or RST; and the most that it says."""


@kernel
def packet_ahead(connection: Rows, number: int) -> int:
    """How a packet's number is kept in 32 bits: from the connection's first packet on, which has 1. 0 where it is too
    far ahead."""
    ahead = number - wide(connection["first_packet"]) + 1
    return ahead if 0 < ahead <= MOST_32 else 0


@kernel
def packet_at(connection: Rows, ahead: int) -> int:
    """The number of a packet from how ``packet_ahead`` has it; 0 none."""
    return wide(connection["first_packet"]) + ahead - 1 if ahead else 0
