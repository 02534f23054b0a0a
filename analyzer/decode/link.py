"""From the first octet of a frame, or of what a tunnel carries, to a network layer: link headers, tags, labels, PPP.

What comes next is named by an EtherType throughout, for Ethernet frames and PPP have one too. Each kernel answers with
where the next header starts and its EtherType. An offset beyond the captured octets says that they end inside a
header; ``UNKNOWN`` says that what follows is not ours to read.
"""

from __future__ import annotations

from analyzer.decode.octets import be16, be32
from analyzer.jit import kernel, wide
from analyzer.tables import U8

# LINKTYPE_ values (https://www.tcpdump.org/linktypes.html)
NULL, ETHERNET, PPP, FDDI, PPP_HDLC, PPP_ETHER, RAW, C_HDLC, IEEE802_11 = 0, 1, 9, 10, 50, 51, 101, 104, 105
LOOP, LINUX_SLL, IEEE802_11_RADIOTAP, PPI, IPV4, IPV6, LINUX_SLL2 = 108, 113, 127, 192, 228, 229, 276

# EtherTypes (IEEE 802 Numbers at IANA)
ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
VLAN, QINQ, QINQ_OLD = 0x8100, 0x88A8, 0x9100
MPLS, MPLS_MULTICAST, PPPOE_SESSION, FABRIC_PATH = 0x8847, 0x8848, 0x8864, 0x8903
ETHERNET_FRAME, PPP_FRAME = 0x6558, 0x880B

# Not EtherTypes: nothing of ours, IP of the version that its first four bits say, an IEEE 802.11 frame
UNKNOWN, IP, WIRELESS = -1, -2, -3

# What IEEE 802.3 calls a length: smaller than any EtherType. LLC follows.
LLC, LONGEST_802_3 = 0, 1500

# PPP protocol numbers (RFC 1332, RFC 5072, RFC 3032 4.3)
PPP_IPV4, PPP_IPV6, PPP_MPLS, PPP_MPLS_MULTICAST = 0x0021, 0x0057, 0x0281, 0x0283

# IEEE 802.11 9.2.4: bits of the first octet of a frame (a data frame, and what the others must not say), of the second
DATA_FRAME, FRAME_TYPE, WITHOUT_DATA, QOS_DATA = 0x08, 0x0C, 0x40, 0x80
BETWEEN_STATIONS, MORE_FRAGMENTS, PROTECTED, HT_CONTROL = 0x03, 0x04, 0x40, 0x80

# Address families of NULL and LOOP: IPv4 everywhere, IPv6 by BSD, FreeBSD, macOS, Linux
AF_INET = 2


@kernel(inline=True)
def first_header(data: U8, at: int, end: int, linktype: int) -> tuple[int, int]:
    """The EtherType of what a frame starts with, and where that starts: after what its link type alone has in front.

    Args: the frame's octets are ``data[at:end]``; ``linktype`` is its LINKTYPE_ value.
    """
    if linktype == ETHERNET:
        return at, ETHERNET_FRAME
    if linktype in (RAW, IPV4, IPV6):
        return at, IP
    if linktype == PPP_ETHER:
        return at, PPPOE_SESSION
    cisco = linktype == C_HDLC or (linktype == PPP_HDLC and at < end and wide(data[at]) & 0x7F == 0x0F)
    if linktype in (PPP, PPP_HDLC) and not cisco:
        return at, PPP_FRAME
    if linktype == FDDI:  # one octet of frame control, two addresses
        return at + 13, LLC
    if linktype == IEEE802_11:
        return at, WIRELESS
    if linktype in (IEEE802_11_RADIOTAP, PPI):
        if at + 4 > end:
            return end + 1, UNKNOWN
        return at + (wide(data[at + 2]) | wide(data[at + 3]) << 8), WIRELESS
    if linktype == LINUX_SLL:
        return ethertype_field(data, at + 14, end, at + 16)
    if linktype == LINUX_SLL2:
        return ethertype_field(data, at, end, at + 20)
    if cisco:
        return ethertype_field(data, at + 2, end, at + 4)
    if linktype in (NULL, LOOP):
        if at + 4 > end:
            return end + 1, UNKNOWN
        family = be32(data, at)
        if family > 0xFFFF:  # NULL is in the byte order of the machine that captured
            family = wide(data[at]) | wide(data[at + 1]) << 8
        if family == AF_INET:
            return at + 4, ETHERTYPE_IPV4
        if family in (10, 24, 28, 30):
            return at + 4, ETHERTYPE_IPV6
    return at, UNKNOWN


@kernel(inline=True)
def network_layer(data: U8, at: int, end: int, ethertype: int) -> tuple[int, int]:
    """Skip headers until a network layer starts, or something that is not ours to read."""
    while ethertype not in (ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP, UNKNOWN):
        at, ethertype = next_header(data, at, end, ethertype)
    return at, ethertype


@kernel(inline=True)
def next_header(data: U8, at: int, end: int, ethertype: int) -> tuple[int, int]:
    """Skip one header: that of the EtherType, at ``at``."""
    if ethertype == ETHERNET_FRAME:
        return ethertype_field(data, at + 12, end, at + 14)
    if ethertype in (VLAN, QINQ, QINQ_OLD):
        return ethertype_field(data, at + 2, end, at + 4)
    if ethertype == IP:
        return by_version(data, at, end)
    if ethertype in (MPLS, MPLS_MULTICAST):
        if at + 4 > end:
            return end + 1, UNKNOWN
        # RFC 3032 2.1: the bottom of the stack has its S bit set
        return at + 4, IP if wide(data[at + 2]) & 1 else MPLS
    if ethertype == PPPOE_SESSION:  # RFC 2516 4: six octets, then PPP without its address field
        return at + 6, PPP_FRAME
    if ethertype == PPP_FRAME:
        return ppp(data, at, end)
    if ethertype == WIRELESS:
        return wireless(data, at, end)
    if ethertype == FABRIC_PATH:  # Cisco: two octets of tag, then a whole Ethernet frame
        return at + 2, ETHERNET_FRAME
    if ethertype <= LONGEST_802_3:
        return llc(data, at, end)
    return at, UNKNOWN


@kernel(inline=True)
def ethertype_field(data: U8, at: int, end: int, after: int) -> tuple[int, int]:
    """The EtherType at ``at`` of a header that ends at ``after``."""
    if after > end:
        return end + 1, UNKNOWN
    return after, be16(data, at)


@kernel(inline=True)
def by_version(data: U8, at: int, end: int) -> tuple[int, int]:
    """The network layer starts at ``at`` with IPv4 or IPv6, told by its first four bits."""
    if at >= end:
        return end + 1, UNKNOWN
    version = wide(data[at]) >> 4
    if version == 4:
        return at, ETHERTYPE_IPV4
    if version == 6:
        return at, ETHERTYPE_IPV6
    return at, UNKNOWN


@kernel(inline=True)
def ppp(data: U8, at: int, end: int) -> tuple[int, int]:
    """PPP from its address field, which may be left out (RFC 1661 6.6), as may the protocol's first octet (6.5)."""
    if at + 2 <= end and wide(data[at]) == 0xFF and wide(data[at + 1]) == 0x03:
        at += 2
    if at + 2 > end:
        return end + 1, UNKNOWN
    protocol = wide(data[at])
    if protocol & 1:
        at += 1
    else:
        protocol = be16(data, at)
        at += 2
    if protocol == PPP_IPV4:
        return at, ETHERTYPE_IPV4
    if protocol == PPP_IPV6:
        return at, ETHERTYPE_IPV6
    if protocol in (PPP_MPLS, PPP_MPLS_MULTICAST):
        return at, MPLS
    return at, UNKNOWN


@kernel(inline=True)
def wireless(data: U8, at: int, end: int) -> tuple[int, int]:
    """IEEE 802.11: data frames that are whole and in the clear."""
    if at + 24 > end:
        return end + 1, UNKNOWN
    kind = wide(data[at])
    flags = wide(data[at + 1])
    is_fragment = flags & MORE_FRAGMENTS or wide(data[at + 22]) & 0x0F
    if kind & (FRAME_TYPE | WITHOUT_DATA) != DATA_FRAME or flags & PROTECTED or is_fragment:
        return at, UNKNOWN
    at += 24
    if flags & BETWEEN_STATIONS == BETWEEN_STATIONS:  # a fourth address
        at += 6
    if kind & QOS_DATA:
        at += 2
        if flags & HT_CONTROL:
            at += 4
    return at, LLC


@kernel(inline=True)
def llc(data: U8, at: int, end: int) -> tuple[int, int]:
    """IEEE 802.2: IP by its own service access point, or by SNAP (RFC 1042)."""
    if at + 3 > end:
        return end + 1, UNKNOWN
    dsap = wide(data[at])
    if dsap == 0x06 and wide(data[at + 2]) == 0x03:
        return at + 3, ETHERTYPE_IPV4
    if dsap == 0xAA and wide(data[at + 2]) == 0x03:
        if at + 8 > end:
            return end + 1, UNKNOWN
        ethertype = be16(data, at + 6)
        if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP):
            return at + 8, ethertype
    return at, UNKNOWN
