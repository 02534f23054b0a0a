"""TCP's header (RFC 9293 3.1)."""

from __future__ import annotations

from analyzer.decode.octets import be16, be32
from analyzer.decode.tcp_options import tcp_options
from analyzer.jit import kernel, wide
from analyzer.tables import U8, Packets, Protocol, Status


@kernel(inline=True)
def tcp_header(data: U8, at: int, end: int, segment_len: int, packets: Packets, i: int) -> None:
    """Read a TCP header at ``at`` into the packet's row.

    Args: ``end`` ends the captured octets; ``segment_len`` is header and payload on the wire, by the IP header.
    A header without its first 20 octets leaves the row CUT or BAD and without ports; cut options leave it WHOLE.
    """
    packets.protocol[i] = Protocol.TCP
    if segment_len < 20:
        packets.status[i] = Status.BAD
        return
    if at + 20 > end:
        packets.status[i] = Status.CUT
        return
    header_len = (wide(data[at + 12]) >> 4) * 4
    if header_len < 20 or header_len > segment_len:
        packets.status[i] = Status.BAD
        return
    packets.src_port[i] = be16(data, at)
    packets.dst_port[i] = be16(data, at + 2)
    packets.seq[i] = be32(data, at + 4)
    packets.ack[i] = be32(data, at + 8)
    packets.flags[i] = be16(data, at + 12) & 0x1FF
    packets.window[i] = be16(data, at + 14)
    packets.payload_len[i] = segment_len - header_len
    packets.payload_start[i] = at + header_len
    if header_len > 20:
        tcp_options(data, at + 20, min(at + header_len, end), packets, i)
