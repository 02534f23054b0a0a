"""Where the text goes, and where the octets come from.

A page is the text buffer, the packet's octets, and a row of integers that every printer shares (``state``). Rules:

- Text and octets are only touched through the kernels of this file and of text.py, which check both ends.
- An octet that was not captured stops the packet, as tcpdump's printers do: from then on nothing is printed and every
  octet reads as 0. So a printer goes on without asking; loops whose length comes from the packet
  ask whether LIMIT is below 0.
- A full buffer or an address whose name is not known yet stop the packet in the same way; it is printed again later.
"""

from __future__ import annotations

from typing import NamedTuple

from analyzer.jit import kernel, wide
from analyzer.tables import I64, U8


class Page(NamedTuple):
    """What the printers work on."""

    text: U8
    """The text so far, and room for more."""
    state: I64
    """The integers named below."""
    data: U8
    """Octets that hold the packet, among others."""
    conversations: I64
    """tcpdump's table of TCP conversations (conversations.py)."""
    names: I64
    """Addresses whose name is known, a hash table (addresses.py); no rows: addresses are printed as numbers."""
    places: I64
    """Where words and names are in ``spelled``: words.py's tables, then at INTERFACES and PORTS (below)."""
    spelled: U8
    """The names themselves."""


# Text.
AT = 0  # where the next octet of text goes
LIMIT = 1  # end of the room for text; below 0 when stopped
STOPPED = 2  # why printing stopped, or 0
ROOM = 3  # LIMIT while not stopped

# The packet.
FRAME = 4  # offset of the frame
CAPLEN = 5  # its octets captured
ORIGLEN = 6  # its octets on the wire
SNAPEND = 7  # end of the octets that may be read
LINK_LEN = 8  # octets of link-layer header that the hex dump skips; 0 when an octet was missing
PROTOCOL = 10  # the protocol being printed (protocols.py)

# The header to be printed next.
HERE = 11  # its offset
LENGTH = 12  # octets that belong to it by the headers before, itself included
KIND = 13  # its type, where the step does not say it: an EtherType, an IP protocol, …
IP = 14  # offset of the IP header it belongs to
VERSION = 15  # 4 or 6
FRAGMENTED = 16  # 1: the datagram is a fragment
SOURCE_MAC = 17  # offset of the frame's MAC addresses, or -1
DESTINATION_MAC = 18

OUTER_LEN = 46  # octets that belong to an IPv6 packet by the headers before it
OUTER_END = 47  # end of the octets that were captured of it

# Packets quoted in ICMP messages (icmp.py).
QUOTES = 19  # how many are being printed, one in the other

# tcpdump's flags (options.py has their meaning).
TIME = 20
VERBOSE = 21
QUIET = 22
ETHERNET = 23
NUMERIC = 24
ABSOLUTE = 25
HEX = 26
HEX_ASCII = 27
ASCII = 28
NUMBERED = 29
UNCHECKED = 30

# What is kept between packets.
COUNT = 31  # packets printed
REFERENCE = 32  # time of the reference packet, microseconds
CONVERSATIONS = 33  # rows in use

# Offsets in ``places``: names of this machine's interfaces by index (LINKS of them, then the end); names of 65,536
# TCP ports, of 65,536 UDP ports, then the end, 0 when everything is printed as numbers.
INTERFACES = 43
LINKS = 44
PORTS = 45

# To print a packet again: what it changed, and how it was before.
CHANGED_ROW = 34  # row of conversations, or -1
CHANGED_NEW = 35
CHANGED_SEQ = 36
CHANGED_ACK = 37

AT_BEFORE = 9
REFERENCE_BEFORE = 49

# The address whose name is wanted: 4 or 6, then its four words.
WANTED = 38

PPI_LEN = 48  # octets of a PPI header, or 0: tcpdump counts what follows it as link layer twice

QUOTE = 50  # first of three integers for each quoted packet
MOST_QUOTES = 256
STATE_LEN = QUOTE + 3 * MOST_QUOTES

# Values of STOPPED.
TRUNCATED = 1
FULL = 2
NAME_WANTED = 3
RARE = 4


@kernel
def stop(page: Page, why: int) -> None:
    """Print nothing more of this packet."""
    if wide(page.state[STOPPED]) == 0:
        page.state[STOPPED] = why
        page.state[LIMIT] = -1
        page.state[SNAPEND] = -1


@kernel
def captured(page: Page, at: int, size: int) -> bool:
    """Whether ``size`` octets at ``at`` may be read."""
    return at + size <= wide(page.state[SNAPEND])


@kernel
def need(page: Page, at: int, size: int) -> None:
    """Stop unless ``size`` octets at ``at`` may be read: before a phrase that must be printed whole or not at all."""
    if at + size > wide(page.state[SNAPEND]):
        stop(page, TRUNCATED)


@kernel
def available(page: Page, at: int) -> int:
    """Octets that may be read from ``at`` on."""
    return max(wide(page.state[SNAPEND]) - at, 0)


@kernel
def octet(page: Page, at: int) -> int:
    """One octet."""
    if at >= wide(page.state[SNAPEND]):
        stop(page, TRUNCATED)
        return 0
    return wide(page.data[at])


@kernel
def two_octets(page: Page, at: int) -> int:
    """A 16-bit integer in network order."""
    if at + 2 > wide(page.state[SNAPEND]):
        stop(page, TRUNCATED)
        return 0
    return wide(page.data[at]) << 8 | wide(page.data[at + 1])


@kernel
def four_octets(page: Page, at: int) -> int:
    """A 32-bit integer in network order."""
    if at + 4 > wide(page.state[SNAPEND]):
        stop(page, TRUNCATED)
        return 0
    data = page.data
    return wide(data[at]) << 24 | wide(data[at + 1]) << 16 | wide(data[at + 2]) << 8 | wide(data[at + 3])


@kernel
def cut(page: Page, end: int) -> None:
    """Let no octet at or behind ``end`` be read."""
    if end < wide(page.state[SNAPEND]):
        page.state[SNAPEND] = end
