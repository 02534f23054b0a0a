"""What one side of a connection says, put together: pieces of it in order, and what is to be told between them."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Piece(NamedTuple):
    """Octets that one packet brings to a stream; of a UDP conversation, a datagram's payload."""

    side: int
    """Side that sent them."""
    offset: int
    """In the stream, from 0."""
    length: int
    """How many there were."""
    octets: bytes
    """The first of them. Where they are fewer than ``length``, the capture cut the packet."""
    packet: int
    """The packet."""
    ts_ns: int
    """When it was captured."""
    flags: int
    """Its control bits."""
    payload_len: int
    """Octets of its payload; it may have brought others in another piece, or brought again what was there."""
    captured_len: int
    """How many of them were captured."""

    @property
    def end(self) -> int:
        """Offset after it."""
        return self.offset + self.length


class Gap(NamedTuple):
    """Octets of a stream that no packet of the capture brings."""

    side: int
    """Side that sent them."""
    offset: int
    """In the stream."""
    length: int
    """How many they are."""
    after: int
    """Packet that brought what stands before it; 0 none."""
    before: int
    """Packet that brings what stands behind it, or shows in another way that it is missing; 0 none."""


class Difference(NamedTuple):
    """A packet brought other octets than one before it for the same place of a stream; the first stay."""

    side: int
    """Side that sent both."""
    offset: int
    """Of the first octet that differs, in the stream."""
    length: int
    """Octets to the last that differs."""
    packet: int
    """The later packet."""
    first_packet: int
    """The packet whose octets stay."""


class Unused(IntEnum):
    """Why octets of a packet belong to no stream."""

    BEFORE_START = 0
    """They come before the first octet of the stream."""
    TOO_LATE = 1
    """They fill a gap that nobody waits for any more."""
    AFTER_FIN = 2
    FAR_OFF = 3
    """Their sequence number is in no window that could be."""


class LeftOut(NamedTuple):
    """Octets of a packet that belong to no stream."""

    side: int
    """Side that sent them."""
    length: int
    """How many they are."""
    packet: int
    """The packet."""
    why: Unused
    """Why they belong to none."""


class Refused(NamedTuple):
    """The last octets of a stream so far, which its receiver did not take: RST says that it had no connection."""

    side: int
    """Side that sent them."""
    offset: int
    """Of the first of them, in the stream."""
    length: int
    """How many they are."""
    packet: int
    """The packet that brought the first of them."""
    reset: int
    """The packet with RST: a later one, or an earlier one, which its sender should have obeyed."""


class LateStart(NamedTuple):
    """A stream whose beginning was not captured: it begins with this packet."""

    side: int
    """Side whose stream it is."""
    packet: int
    """The packet; 0 where no other came."""


StreamItem = Piece | Gap | Difference | LeftOut | Refused | LateStart
