"""What a capture says of the interface a packet was seen on, and what its numbers mean.

A file names the link layer by a LINKTYPE_ value (https://www.tcpdump.org/linktypes.html). Programs of old wrote their
own platform's DLT_ value instead, and libpcap's calls take DLT_ values to this day; the two differ for a few types.
"""

from __future__ import annotations

from typing import NamedTuple

MAXIMUM_SNAPLEN = 262_144
"""libpcap refuses longer packets, except for the link types below, whose messages may be longer."""

_LONGEST = {
    231: 128 << 20,  # LINKTYPE_DBUS
    249: 128 << 20,  # LINKTYPE_USBPCAP
    279: 8 << 20,  # LINKTYPE_EBHSCR
}

# LINKTYPE_ values that libpcap on Linux and macOS knows by another DLT_ value.
_DLT = {
    100: 11,  # ATM_RFC1483
    101: 12,  # RAW
    102: 15,  # SLIP_BSDOS
    103: 16,  # PPP_BSDOS
    106: 19,  # ATM_CLIP
    246: 18,  # PFSYNC
}
_DLT_RAW_OF_OPENBSD = 14
_LINKTYPE = {dlt: linktype for linktype, dlt in _DLT.items()} | {_DLT_RAW_OF_OPENBSD: 101}


class Interface(NamedTuple):
    """An interface of the capture. A pcap file has one, without a name."""

    linktype: int
    """LINKTYPE_ value, one of the historical DLT_ values already translated."""
    snaplen: int
    """Octets kept of each packet, as libpcap reads it: a missing or impossible value is the longest there is."""
    name: str
    description: str
    nanoseconds: bool
    """Whether the times are finer than microseconds."""


def linktype_of(value: int) -> int:
    """The LINKTYPE_ value for what stands in a file, which may be a DLT_ value of the program that wrote it."""
    return _LINKTYPE.get(value, value)


def dlt_of(linktype: int) -> int:
    """The DLT_ value that libpcap's calls expect for a LINKTYPE_ value."""
    return _DLT.get(linktype, linktype)


def longest_packet(linktype: int) -> int:
    """Octets that a packet of this link type may have; a longer one is a sign of damage."""
    return _LONGEST.get(linktype, MAXIMUM_SNAPLEN)


def snaplen_of(value: int, linktype: int) -> int:
    """The snapshot length for what stands in a file: 0 and what exceeds an int mean that there is no limit."""
    return value if 0 < value < 1 << 31 else longest_packet(linktype)
