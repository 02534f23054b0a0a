"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

Each kernel fills the packet's row and answers with where the transport layer starts, how many octets it has on the
wire, and its protocol number; ``NOTHING`` as the protocol says that there is no transport header to read.

Lengths come from the IP header, for a capture may be cut and a frame padded. A length of 0 means that the segment was
too large for the field (BIG TCP, segmentation offload): then the frame's own length counts.
"""

from __future__ import annotations

from analyzer.decode.octets import be16, be32
from analyzer.jit import kernel, wide
from analyzer.tables import U8, Packets, Protocol, Status

NOTHING = -1

# Protocol numbers (IANA)
HOP_BY_HOP, IP_ICMP, IP_IGMP, IP_TCP, IP_UDP, ROUTING = 0, 1, 2, 6, 17, 43
IPV6_FRAGMENT, AUTHENTICATION, IP_ICMPV6, DESTINATION_OPTIONS, IP_SCTP, MOBILITY = 44, 51, 58, 60, 132, 135

# More extension headers than this are a chain made to keep a reader busy
MOST_EXTENSIONS = 16


@kernel(inline=True)
def ipv4(data: U8, at: int, end: int, wire_end: int, packets: Packets, i: int) -> tuple[int, int, int]:
    """Read an IPv4 header at ``at``; ``end`` ends the captured octets, ``wire_end`` the frame on the wire."""
    packets.protocol[i] = Protocol.IPV4
    if at + 20 > end:
        packets.status[i] = Status.CUT
        return at, 0, NOTHING
    header_len = (wide(data[at]) & 15) * 4
    total_len = be16(data, at + 2)
    if total_len == 0:
        total_len = wire_end - at
    if wide(data[at]) >> 4 != 4 or header_len < 20 or total_len < header_len:
        packets.status[i] = Status.BAD
        return at, 0, NOTHING
    packets.ip_version[i] = 4
    packets.ip_id[i] = be16(data, at + 4)
    packets.ttl[i] = data[at + 8]
    packets.address[i, 3] = be32(data, at + 12)
    packets.address[i, 7] = be32(data, at + 16)
    protocol = wide(data[at + 9])
    if be16(data, at + 6) & 0x1FFF:
        packets.status[i] = Status.FRAGMENT
        name_protocol(packets, i, protocol)
        return at, 0, NOTHING
    return at + header_len, total_len - header_len, protocol


@kernel(inline=True)
def ipv6(data: U8, at: int, end: int, wire_end: int, packets: Packets, i: int) -> tuple[int, int, int]:
    """Read an IPv6 header and its extension headers at ``at``; ``end`` and ``wire_end`` as for ``ipv4``."""
    packets.protocol[i] = Protocol.IPV6
    if at + 40 > end:
        packets.status[i] = Status.CUT
        return at, 0, NOTHING
    if wide(data[at]) >> 4 != 6:
        packets.status[i] = Status.BAD
        return at, 0, NOTHING
    payload_len = be16(data, at + 4)
    protocol = wide(data[at + 6])
    packets.ip_version[i] = 6
    packets.ttl[i] = data[at + 7]
    for word in range(8):
        packets.address[i, word] = be32(data, at + 8 + 4 * word)
    at += 40
    packet_end = at + payload_len
    if payload_len == 0:
        packet_end = wire_end
    for _ in range(MOST_EXTENSIONS):
        if protocol not in (HOP_BY_HOP, ROUTING, IPV6_FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS, MOBILITY):
            return at, packet_end - at, protocol
        if at + 8 > end:
            packets.status[i] = Status.CUT
            return at, 0, NOTHING
        extension_len = 8
        if protocol == AUTHENTICATION:  # RFC 4302 2.2: in words of four octets, less two
            extension_len = (wide(data[at + 1]) + 2) * 4
        elif protocol != IPV6_FRAGMENT:
            extension_len = (wide(data[at + 1]) + 1) * 8
        elif be16(data, at + 2) & 0xFFF8:
            packets.status[i] = Status.FRAGMENT
            name_protocol(packets, i, wide(data[at]))
            return at, 0, NOTHING
        protocol = wide(data[at])
        at += extension_len
        if at > packet_end:
            packets.status[i] = Status.BAD
            return at, 0, NOTHING
    packets.status[i] = Status.BAD
    return at, 0, NOTHING


@kernel(inline=True)
def name_protocol(packets: Packets, i: int, number: int) -> None:
    """Write the Protocol of an IP protocol number, unless it has no word of its own."""
    known = protocol_of(number)
    if known != Protocol.OTHER:
        packets.protocol[i] = known


@kernel(inline=True)
def protocol_of(number: int) -> int:
    """Protocol of an IP protocol number; OTHER for those without a word of their own."""
    if number == IP_TCP:
        return Protocol.TCP
    if number == IP_UDP:
        return Protocol.UDP
    if number == IP_ICMP:
        return Protocol.ICMP
    if number == IP_ICMPV6:
        return Protocol.ICMPV6
    if number == IP_IGMP:
        return Protocol.IGMP
    if number == IP_SCTP:
        return Protocol.SCTP
    return Protocol.OTHER
