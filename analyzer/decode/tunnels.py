"""What carries another packet: IP in IP, GRE, and the tunnels in UDP.

Each kernel answers with the Tunnel, where the next header starts and its EtherType; Tunnel.NONE when what is there
does not look like the tunnel's header. Over UDP only the ports tell, so the headers are held against all that must be
so in them; whether an IP header follows indeed is for the caller to see. What does not pass stays a UDP datagram.

The tunnel does not tell connections apart: like Wireshark and Zeek, one 4-tuple in two VXLAN networks is one
connection.

Not followed: VXLAN with an extension (GPE), source routes in GRE, GTP before version 1, pseudowires of L2TPv3 other
than Ethernet, PPP and IP, what is compressed or encrypted.
"""

from __future__ import annotations

from analyzer.decode.ip import IP_GRE, IP_IPV4, IP_IPV6, IP_L2TP, IP_UDP, ipv4
from analyzer.decode.link import (
    ETHERNET_FRAME,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    IP,
    LONGEST_802_3,
    PPP_FRAME,
    UNKNOWN,
    network_layer,
)
from analyzer.decode.octets import be16, be32
from analyzer.jit import kernel, wide
from analyzer.tables import U8, Tunnel

# UDP ports (IANA; 8472 is Linux's for VXLAN, from before it had one)
L2TP_PORT, GTP_PORT, TEREDO_PORT, VXLAN_PORT, GENEVE_PORT, VXLAN_PORT_LINUX = 1701, 2152, 3544, 4789, 6081, 8472

# GRE's bits, from its first octet on (RFC 2784, RFC 2890; R is RFC 1701's; A is RFC 2637's)
GRE_CHECKSUM, GRE_ROUTING, GRE_KEY, GRE_SEQUENCE, GRE_ACK = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080

# EtherTypes that only GRE has
ERSPAN, ERSPAN_III = 0x88BE, 0x22EB

# L2TP's bits (RFC 2661 3.1)
L2TP_CONTROL, L2TP_LENGTH, L2TP_SEQUENCE, L2TP_OFFSET = 0x8000, 0x4000, 0x0800, 0x0200

# GTP's first octet: version 1 and protocol type GTP, then three bits of which any means four more octets
GTP_VERSION, GTP_EXTENSION, GTP_ANY_OPTION, GTP_DATA = 0x30, 0x04, 0x07, 255

MOST_GTP_EXTENSIONS = 8

# RFC 3931 4.1: a cookie of no, 4 or 8 octets, 4.6: a sublayer of no or 4 octets
MOST_L2TPV3_OCTETS = 12

PADDED_ETHERNET = 60
"""IEEE 802.3 3.2.8: a shorter frame is filled up to so many octets."""


@kernel(inline=True)
def tunnel_in(data: U8, at: int, end: int, wire_end: int, number: int) -> tuple[int, int, int]:
    """Skip the headers of a tunnel, if there is one.

    Args: the IP protocol ``number`` starts at ``at``; ``end`` ends its captured octets, ``wire_end`` all of them.
    """
    if number == IP_UDP:
        if at + 8 > end:
            return Tunnel.NONE, at, UNKNOWN
        port = be16(data, at + 2)
        if not is_tunnel_port(port):
            port = be16(data, at)
            if not is_tunnel_port(port):
                return Tunnel.NONE, at, UNKNOWN
        return in_udp(data, at + 8, end, min(wire_end, at + be16(data, at + 4)), port)
    if number == IP_IPV4:
        return Tunnel.IP, at, ETHERTYPE_IPV4
    if number == IP_IPV6:
        return Tunnel.IP, at, ETHERTYPE_IPV6
    if number == IP_GRE:
        return gre(data, at, end)
    if number == IP_L2TP:
        return l2tpv3(data, at, end, wire_end)
    return Tunnel.NONE, at, UNKNOWN


@kernel(inline=True)
def is_tunnel_port(port: int) -> bool:
    """Whether a UDP port is that of a tunnel."""
    return port in (VXLAN_PORT, VXLAN_PORT_LINUX, GENEVE_PORT, GTP_PORT, L2TP_PORT, TEREDO_PORT)


@kernel(inline=True)
def in_udp(data: U8, at: int, end: int, wire_end: int, port: int) -> tuple[int, int, int]:
    """A tunnel's headers in the payload of a datagram, by its port."""
    if at + 8 > end:  # the shortest of these headers
        return Tunnel.NONE, at, UNKNOWN
    if port in (VXLAN_PORT, VXLAN_PORT_LINUX):  # RFC 7348 5: of its bits the I flag alone must be set
        if wide(data[at]) & 0x08:
            return Tunnel.VXLAN, at + 8, ETHERNET_FRAME
    elif port == GENEVE_PORT:  # RFC 8926 3.4: version 0, length of the options in words
        if wide(data[at]) >> 6 == 0 and be16(data, at + 2) > LONGEST_802_3:
            return Tunnel.GENEVE, at + 8 + 4 * (wide(data[at]) & 0x3F), be16(data, at + 2)
    elif port == GTP_PORT:
        return gtp(data, at, end, wire_end)
    elif port == L2TP_PORT:
        if be16(data, at) & (L2TP_CONTROL | 0xF) == 3:  # RFC 3931 4.1.2.1
            return l2tpv3(data, at + 4, end, wire_end)
        return l2tp(data, at, end)
    else:
        return teredo(data, at, end, wire_end)
    return Tunnel.NONE, at, UNKNOWN


@kernel(inline=True)
def gre(data: U8, at: int, end: int) -> tuple[int, int, int]:
    """GRE of version 0, with ERSPAN in it, and of version 1, which PPTP uses for PPP (RFC 2637 4.1)."""
    if at + 4 > end:
        return Tunnel.NONE, at, UNKNOWN
    bits = be16(data, at)
    ethertype = be16(data, at + 2)
    version = bits & 7
    if bits & GRE_ROUTING or version > 1 or ethertype <= LONGEST_802_3:
        return Tunnel.NONE, at, UNKNOWN
    at += 4
    for bit in (GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE):
        if bits & bit:
            at += 4
    if version == 1:
        if bits & GRE_ACK:
            at += 4
        if ethertype != PPP_FRAME or not bits & GRE_SEQUENCE:
            return Tunnel.NONE, at, UNKNOWN
        return Tunnel.PPTP, at, PPP_FRAME
    if ethertype == ERSPAN:  # type I has no header of its own and no sequence number
        return Tunnel.ERSPAN, at + 8 if bits & GRE_SEQUENCE else at, ETHERNET_FRAME
    if ethertype == ERSPAN_III:
        if at + 12 > end:
            return Tunnel.NONE, at, UNKNOWN
        more = 8 if wide(data[at + 11]) & 1 else 0  # its O bit: a platform's subheader
        return Tunnel.ERSPAN, at + 12 + more, ETHERNET_FRAME
    return Tunnel.GRE, at, ethertype


@kernel(inline=True)
def gtp(data: U8, at: int, end: int, wire_end: int) -> tuple[int, int, int]:
    """GTP-U (3GPP TS 29.281 5): a user's packet, after extension headers."""
    bits = wide(data[at])
    if bits & 0xF0 != GTP_VERSION or wide(data[at + 1]) != GTP_DATA or at + 8 + be16(data, at + 2) > wire_end:
        return Tunnel.NONE, at, UNKNOWN
    at += 8
    if not bits & GTP_ANY_OPTION:
        return Tunnel.GTP, at, IP
    at += 4
    if not bits & GTP_EXTENSION:
        return Tunnel.GTP, at, IP
    for _ in range(MOST_GTP_EXTENSIONS):
        if at > end:
            break
        if wide(data[at - 1]) == 0:
            return Tunnel.GTP, at, IP
        if at == end or wide(data[at]) == 0:
            break
        at += 4 * wide(data[at])
    return Tunnel.NONE, at, UNKNOWN


@kernel(inline=True)
def l2tp(data: U8, at: int, end: int) -> tuple[int, int, int]:
    """L2TP of version 2 (RFC 2661 3.1): data messages, which carry PPP."""
    bits = be16(data, at)
    if bits & L2TP_CONTROL or bits & 0xF != 2:
        return Tunnel.NONE, at, UNKNOWN
    at += 8 if bits & L2TP_LENGTH else 6
    if bits & L2TP_SEQUENCE:
        at += 4
    if bits & L2TP_OFFSET:
        if at + 2 > end:
            return Tunnel.NONE, at, UNKNOWN
        at += 2 + be16(data, at)
    return Tunnel.L2TP, at, PPP_FRAME


@kernel
def l2tpv3(data: U8, at: int, end: int, wire_end: int) -> tuple[int, int, int]:
    """L2TP of version 3 from its session's number on (RFC 3931 4.1): data messages, which carry Ethernet, PPP or IP.

    Whether a cookie and a sublayer come before these, and which of them it is, the ends agree on when the session is
    made. So each is tried, and one counts when an IP header follows that has just the length that is left: to find that
    by chance, some forty bits would have to be right.
    """
    if at + 4 > end or be32(data, at) == 0:  # a control message
        return Tunnel.NONE, at, UNKNOWN
    for kind in (ETHERNET_FRAME, PPP_FRAME, IP):
        for skipped in range(4, 4 + MOST_L2TPV3_OCTETS + 1, 4):
            start = at + skipped
            ip_at, ethertype = network_layer(data, start, end, kind)
            if ip_at > end:
                continue
            ip_end = -1
            if ethertype == ETHERTYPE_IPV4:
                _, _, _, number = ipv4(data, ip_at, end, wire_end)
                ip_end = ip_at + be16(data, ip_at + 2) if number >= 0 else -1
            elif ethertype == ETHERTYPE_IPV6 and ip_at + 40 <= end and wide(data[ip_at]) >> 4 == 6:
                ip_end = ip_at + 40 + be16(data, ip_at + 4)
            is_padded = kind == ETHERNET_FRAME and wire_end - start <= PADDED_ETHERNET and ip_at < ip_end <= wire_end
            if ip_end == wire_end or is_padded:
                return Tunnel.L2TPV3, start, kind
    return Tunnel.NONE, at, UNKNOWN


@kernel(inline=True)
def teredo(data: U8, at: int, end: int, wire_end: int) -> tuple[int, int, int]:
    """Teredo (RFC 4380 5.1.1): IPv6 after an authentication and an origin indication, both of which may be missing."""
    if be16(data, at) == 1:
        at += 13 + wide(data[at + 2]) + wide(data[at + 3])
        if at + 8 > end:
            return Tunnel.NONE, at, UNKNOWN
    if be16(data, at) == 0:
        at += 8
    if at + 40 > end or at + 40 + be16(data, at + 4) > wire_end:
        return Tunnel.NONE, at, UNKNOWN
    return Tunnel.TEREDO, at, ETHERTYPE_IPV6
