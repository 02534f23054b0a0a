"""A batch of frames to a batch of packets: the kernel that every packet goes through, and its caller."""

from __future__ import annotations

from analyzer.decode.icmp import icmp_error
from analyzer.decode.ip import IP_ICMP, IP_ICMPV6, IP_TCP, IP_UDP, NO_HEADER, ip_columns, ipv4, ipv6, protocol_of
from analyzer.decode.link import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, first_header, network_layer
from analyzer.decode.octets import be16
from analyzer.decode.tcp_header import tcp_header
from analyzer.decode.tunnels import tunnel_in
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import U8, Frames, Packets, Protocol, Status, Tunnel, empty_packets

# Deeper than this nobody nests tunnels, but to keep a reader busy
MOST_TUNNELS = 8


def decode(frames: Frames) -> Packets:
    """Read the headers of every frame.

    Returns: columns as long as the batch. Every frame has its row, whatever it carries (see Status and Protocol).
    """
    packets = empty_packets(len(frames.start))
    fastest(decode_batch)(frames, packets)
    return packets


@kernel(inline=True)
def decode_batch(frames: Frames, packets: Packets) -> None:
    """Fill ``packets`` (zeroed columns) from ``frames``."""
    data = frames.data
    for i in range(len(frames.start)):
        start = wide(frames.start[i])
        end = start + wide(frames.caplen[i])
        decode_frame(data, start, end, start + wide(frames.origlen[i]), wide(frames.linktype[i]), packets, i)


@kernel(inline=True)
def decode_frame(data: U8, at: int, end: int, wire_end: int, linktype: int, packets: Packets, i: int) -> None:
    """Fill one row: with the deepest IP header, and the TCP or UDP header in it.

    A tunnel is followed when a sound IP header comes of it; else the packet is what carries the tunnel.
    """
    at, inner = first_header(data, at, end, linktype)
    through: int = Tunnel.NONE
    status: int = Status.WHOLE
    ethertype = ip_at = transport = length = 0
    number = NO_HEADER
    for depth in range(MOST_TUNNELS + 1):
        at, inner = network_layer(data, at, end, inner)
        found: int = Status.CUT if at > end else Status.WHOLE
        after, inner_len, inner_number = at, 0, NO_HEADER
        if inner == ETHERTYPE_IPV4:
            found, after, inner_len, inner_number = ipv4(data, at, end, wire_end)
        elif inner == ETHERTYPE_IPV6:
            found, after, inner_len, inner_number = ipv6(data, at, end, wire_end)
        if through != Tunnel.NONE:
            if inner_number < 0:
                break
            packets.depth[i] = depth
            packets.tunnel[i] = through
        ethertype, ip_at, transport, length, number, status = inner, at, after, inner_len, inner_number, found
        if number == IP_TCP or number < 0 or status != Status.WHOLE:
            break
        wire_end = transport + length
        end = min(end, wire_end)
        through, at, inner = tunnel_in(data, transport, end, wire_end, number)
        if through == Tunnel.NONE:
            break
    if number == IP_TCP and status == Status.WHOLE:
        ip_columns(data, ip_at, ethertype, packets, i)
        tcp_header(data, transport, end, length, packets, i)
        return
    packets.status[i] = status
    protocol: int = Protocol.OTHER
    if ethertype == ETHERTYPE_IPV4:
        protocol = Protocol.IPV4
    elif ethertype == ETHERTYPE_IPV6:
        protocol = Protocol.IPV6
    elif ethertype == ETHERTYPE_ARP:
        protocol = Protocol.ARP
    if number != NO_HEADER:
        ip_columns(data, ip_at, ethertype, packets, i)
    if status == Status.FRAGMENT:
        packets.payload_start[i] = ip_at
    elif number == IP_UDP:
        udp_header(data, transport, end, length, packets, i)
        return
    elif number >= 0 and transport > end:
        packets.status[i] = Status.CUT
    elif number in (IP_ICMP, IP_ICMPV6):
        icmp_error(data, transport, end, ethertype, packets, i)
        if wide(packets.unreachable[i]):
            packets.payload_start[i] = ip_at
    packets.protocol[i] = protocol_of(number, protocol)


@kernel(inline=True)
def udp_header(data: U8, at: int, end: int, datagram_len: int, packets: Packets, i: int) -> None:
    """Read a UDP header (RFC 768) at ``at``; ``datagram_len`` is header and payload, by the IP header."""
    packets.protocol[i] = Protocol.UDP
    if datagram_len < 8:
        packets.status[i] = Status.BAD
        return
    if at + 8 > end:
        packets.status[i] = Status.CUT
        return
    packets.src_port[i] = be16(data, at)
    packets.dst_port[i] = be16(data, at + 2)
    packets.payload_len[i] = datagram_len - 8
    packets.payload_start[i] = at + 8
