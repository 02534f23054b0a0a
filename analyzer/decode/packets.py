"""A batch of frames to a batch of packets: the kernel that every packet goes through, and its caller."""

from __future__ import annotations

from analyzer.decode.ip import IP_TCP, IP_UDP, NOTHING, ipv4, ipv6, name_protocol
from analyzer.decode.link import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, network_layer
from analyzer.decode.octets import be16
from analyzer.decode.tcp_header import tcp_header
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import U8, Frames, Packets, Protocol, Status, empty_packets


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
        at, ethertype = network_layer(data, start, end, wide(frames.linktype[i]))
        if at > end:
            packets.status[i] = Status.CUT
            continue
        length = 0
        protocol = NOTHING
        if ethertype == ETHERTYPE_IPV4:
            at, length, protocol = ipv4(data, at, end, start + wide(frames.origlen[i]), packets, i)
        elif ethertype == ETHERTYPE_IPV6:
            at, length, protocol = ipv6(data, at, end, start + wide(frames.origlen[i]), packets, i)
        elif ethertype == ETHERTYPE_ARP:
            packets.protocol[i] = Protocol.ARP
        if protocol == IP_TCP:
            tcp_header(data, at, end, length, packets, i)
        elif protocol == IP_UDP:
            udp_header(data, at, end, length, packets, i)
        elif protocol != NOTHING:
            name_protocol(packets, i, protocol)
            if at > end:
                packets.status[i] = Status.CUT


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
