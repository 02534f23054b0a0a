"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

The kernels that read a header write nothing: they answer with a Status, where the transport layer starts, how many
octets it has on the wire, and its protocol number. ``ip_columns`` writes the packet's row, once it is clear that no
other IP header lies deeper.

Lengths come from the IP header, for a capture may be cut and a frame padded. A length of 0 means that the segment was
too large for the field (BIG TCP, segmentation offload): then the frame's own length counts.
"""

from __future__ import annotations

from analyzer.decode.link import ETHERTYPE_IPV4
from analyzer.decode.octets import be16, be32
from analyzer.jit import kernel, wide
from analyzer.tables import U8, Packets, Protocol, Status

# Instead of a protocol number: no IP header, or one whose extension headers lead nowhere
NO_HEADER, NO_TRANSPORT = -1, -2

# Protocol numbers (IANA)
HOP_BY_HOP, IP_ICMP, IP_IGMP, IP_IPV4, IP_TCP, IP_UDP, IP_IPV6, ROUTING = 0, 1, 2, 4, 6, 17, 41, 43
IPV6_FRAGMENT, IP_GRE, AUTHENTICATION, IP_ICMPV6, DESTINATION_OPTIONS, IP_SCTP, MOBILITY = 44, 47, 51, 58, 60, 132, 135
IP_L2TP = 115

# More extension headers than this are a chain made to keep a reader busy
MOST_EXTENSIONS = 16

MORE_FRAGMENTS = 0x2000  # IPv4's flag, in the word of its fragment offset


@kernel(inline=True)
def ipv4(data: U8, at: int, end: int, wire_end: int) -> tuple[int, int, int, int]:
    """Read an IPv4 header at ``at``; ``end`` ends the captured octets, ``wire_end`` what carries it on the wire.

    Returns: Status, start of the transport layer, its length, protocol number. A FRAGMENT is one that can be
    reassembled or that starts later; a first fragment whose octets were not all captured is read for its headers.
    """
    if at + 20 > end:
        return Status.CUT, at, 0, NO_HEADER
    header_len = (wide(data[at]) & 15) * 4
    total_len = be16(data, at + 2)
    if total_len == 0:
        total_len = wire_end - at
    if wide(data[at]) >> 4 != 4 or header_len < 20 or total_len < header_len:
        return Status.BAD, at, 0, NO_HEADER
    fragment = be16(data, at + 6)
    if fragment & 0x1FFF or (fragment & MORE_FRAGMENTS and at + total_len <= end):
        return Status.FRAGMENT, at + header_len, 0, wide(data[at + 9])
    return Status.WHOLE, at + header_len, total_len - header_len, wide(data[at + 9])


@kernel(inline=True)
def ipv6(data: U8, at: int, end: int, wire_end: int) -> tuple[int, int, int, int]:
    """Read an IPv6 header and its extension headers at ``at``; arguments and answer as for ``ipv4``."""
    if at + 40 > end:
        return Status.CUT, at, 0, NO_HEADER
    if wide(data[at]) >> 4 != 6:
        return Status.BAD, at, 0, NO_HEADER
    protocol = wide(data[at + 6])
    packet_end = at + 40 + be16(data, at + 4)
    if packet_end == at + 40:
        packet_end = wire_end
    at += 40
    for _ in range(MOST_EXTENSIONS):
        if protocol not in (HOP_BY_HOP, ROUTING, IPV6_FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS, MOBILITY):
            return Status.WHOLE, at, packet_end - at, protocol
        if at + 8 > end:
            return Status.CUT, at, 0, NO_TRANSPORT
        extension_len = extension_len_of(data, at, protocol)
        if protocol == IPV6_FRAGMENT:
            fragment = be16(data, at + 2)
            if fragment & 0xFFF8 or (fragment & 1 and packet_end <= end):
                return Status.FRAGMENT, at + 8, 0, wide(data[at])
        protocol = wide(data[at])
        at += extension_len
        if at > packet_end:
            return Status.BAD, at, 0, NO_TRANSPORT
    return Status.BAD, at, 0, NO_TRANSPORT


@kernel(inline=True)
def extension_len_of(data: U8, at: int, protocol: int) -> int:
    """Octets of an IPv6 extension header at ``at``."""
    if protocol == IPV6_FRAGMENT:
        return 8
    if protocol == AUTHENTICATION:  # RFC 4302 2.2: in words of four octets, less two
        return (wide(data[at + 1]) + 2) * 4
    return (wide(data[at + 1]) + 1) * 8


@kernel(inline=True)
def ip_columns(data: U8, at: int, ethertype: int, packets: Packets, i: int) -> None:
    """Write what the header of IPv4 or IPv6 at ``at`` says into the packet's row (all zero before)."""
    if ethertype == ETHERTYPE_IPV4:
        packets.ip_version[i] = 4
        packets.ip_id[i] = be16(data, at + 4)
        packets.ttl[i] = data[at + 8]
        packets.address[i, 3] = be32(data, at + 12)
        packets.address[i, 7] = be32(data, at + 16)
    else:
        packets.ip_version[i] = 6
        packets.ttl[i] = data[at + 7]
        for word in range(8):
            packets.address[i, word] = be32(data, at + 8 + 4 * word)


@kernel(inline=True)
def protocol_of(number: int, otherwise: int) -> int:
    """Protocol of an IP protocol number, ``otherwise`` for those without a word of their own."""
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
    return otherwise
