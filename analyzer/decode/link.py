"""From the first octet of a frame to its network layer: link headers, VLAN tags, MPLS labels, PPP.

The kernel answers with where the network layer starts and its EtherType. An offset beyond the captured octets says
that they end inside a link header; EtherType ``UNKNOWN`` says that what follows is not ours to read.
"""

from __future__ import annotations

from analyzer.decode.octets import be16, be32
from analyzer.jit import kernel, wide
from analyzer.tables import U8

# LINKTYPE_ values (https://www.tcpdump.org/linktypes.html)
NULL, ETHERNET, PPP, PPP_HDLC, PPP_ETHER, RAW, C_HDLC = 0, 1, 9, 50, 51, 101, 104
LOOP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2 = 108, 113, 228, 229, 276

# EtherTypes (IEEE 802 Numbers at IANA)
UNKNOWN = -1
ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
VLAN, QINQ, QINQ_OLD = 0x8100, 0x88A8, 0x9100
MPLS, MPLS_MULTICAST, PPPOE_SESSION, FABRIC_PATH = 0x8847, 0x8848, 0x8864, 0x8903

# What IEEE 802.3 calls a length: smaller than any EtherType
LONGEST_802_3 = 1500

# PPP protocol numbers (RFC 1332, RFC 5072)
PPP_IPV4, PPP_IPV6 = 0x0021, 0x0057

# Address families of NULL and LOOP: IPv4 everywhere, IPv6 by BSD, FreeBSD, macOS, Linux
AF_INET = 2


@kernel(inline=True)
def network_layer(data: U8, at: int, end: int, linktype: int) -> tuple[int, int]:
    """Skip the link layer of a frame.

    Args: the frame's octets are ``data[at:end]``; ``linktype`` is its LINKTYPE_ value.
    Returns: offset of the network layer (beyond ``end`` when a header is cut), EtherType or UNKNOWN.
    """
    if linktype == ETHERNET:
        if at + 14 > end:
            return end + 1, UNKNOWN
        return tagged(data, at + 14, end, be16(data, at + 12))
    if linktype == LINUX_SLL:
        if at + 16 > end:
            return end + 1, UNKNOWN
        return tagged(data, at + 16, end, be16(data, at + 14))
    if linktype == LINUX_SLL2:
        if at + 20 > end:
            return end + 1, UNKNOWN
        return tagged(data, at + 20, end, be16(data, at))
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
        return at + 4, UNKNOWN
    if linktype in (RAW, IPV4, IPV6):
        return by_version(data, at, end)
    cisco = linktype == C_HDLC or (linktype == PPP_HDLC and at < end and wide(data[at]) & 0x7F == 0x0F)
    if linktype in (PPP, PPP_HDLC) and not cisco:
        return ppp(data, at, end)
    if linktype == PPP_ETHER:
        return tagged(data, at, end, PPPOE_SESSION)
    if cisco:
        if at + 4 > end:
            return end + 1, UNKNOWN
        return tagged(data, at + 4, end, be16(data, at + 2))
    return at, UNKNOWN


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
    return at, UNKNOWN


@kernel(inline=True)
def tagged(data: U8, at: int, end: int, ethertype: int) -> tuple[int, int]:
    """What follows an EtherType field: tags, labels and PPPoE are skipped until a network layer starts."""
    while True:
        if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP):
            return at, ethertype
        if ethertype in (VLAN, QINQ, QINQ_OLD):
            if at + 4 > end:
                return end + 1, UNKNOWN
            ethertype = be16(data, at + 2)
            at += 4
        elif ethertype in (MPLS, MPLS_MULTICAST):
            bottom = 0
            while not bottom:  # RFC 3032 2.1: the bottom of the stack has its S bit set
                if at + 4 > end:
                    return end + 1, UNKNOWN
                bottom = wide(data[at + 2]) & 1
                at += 4
            return by_version(data, at, end)
        elif ethertype == PPPOE_SESSION:  # RFC 2516 4: six octets, then PPP without its address field
            return ppp(data, at + 6, end)
        elif ethertype == FABRIC_PATH:  # Cisco: two octets of tag, then a whole Ethernet frame
            if at + 16 > end:
                return end + 1, UNKNOWN
            ethertype = be16(data, at + 14)
            at += 16
        elif ethertype <= LONGEST_802_3:
            return llc(data, at, end)
        else:
            return at, UNKNOWN


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
