"""ICMP errors (RFC 792, RFC 4443): which packet could not be delivered, and why."""

from __future__ import annotations

from analyzer.decode.ip import IP_TCP, IP_UDP
from analyzer.decode.link import ETHERTYPE_IPV4
from analyzer.decode.octets import be16, be32
from analyzer.jit import kernel, wide
from analyzer.tables import U8, Packets
from analyzer.traces import BY_DESTINATION, QUOTES_UDP, Unreachable

# Types of ICMP and of ICMPv6
DESTINATION_UNREACHABLE, TIME_EXCEEDED = 3, 11
DESTINATION_UNREACHABLE_6, TIME_EXCEEDED_6 = 1, 3


@kernel
def reason_of(kind: int, code: int) -> int:
    """Unreachable, by type and code of an ICMP message; a packet that is too large is another matter."""
    if kind == TIME_EXCEEDED and code == 0:
        return Unreachable.HOPS
    if kind != DESTINATION_UNREACHABLE or code == 4 or code > 15:
        return Unreachable.NONE
    if code in (0, 6, 11):
        return Unreachable.NET
    if code in (1, 7, 12):
        return Unreachable.HOST
    if code == 2:
        return Unreachable.PROTOCOL
    if code == 3:
        return Unreachable.PORT
    return Unreachable.PROHIBITED if code in (9, 10, 13) else Unreachable.OTHER


@kernel
def reason_of_6(kind: int, code: int) -> int:
    """Unreachable, by type and code of an ICMPv6 message."""
    if kind == TIME_EXCEEDED_6 and code == 0:
        return Unreachable.HOPS
    if kind != DESTINATION_UNREACHABLE_6:
        return Unreachable.NONE
    if code in (0, 6):
        return Unreachable.NET
    if code == 3:
        return Unreachable.HOST
    if code == 4:
        return Unreachable.PORT
    return Unreachable.PROHIBITED if code in (1, 5) else Unreachable.OTHER


@kernel(inline=True)
def icmp_error(data: U8, at: int, end: int, ethertype: int, packets: Packets, i: int) -> None:
    """Read the ICMP message at ``at`` into its row when it says that a packet of TCP or UDP was not delivered.

    The row's addresses, those of the IP header before, become those of the packet that is quoted. A quotation whose
    ports are not there, behind an extension header or in a later fragment, says nothing.
    """
    if at + 16 > end:
        return
    quoted = at + 8
    is_4 = ethertype == ETHERTYPE_IPV4
    if is_4:
        reason = reason_of(wide(data[at]), wide(data[at + 1]))
        transport = quoted + (wide(data[quoted]) & 15) * 4
    else:
        reason = reason_of_6(wide(data[at]), wide(data[at + 1]))
        transport = quoted + 40
    if reason == Unreachable.NONE or wide(data[quoted]) >> 4 != (4 if is_4 else 6) or transport + 8 > end:
        return
    if transport < quoted + 20 or (is_4 and be16(data, quoted + 6) & 0x1FFF):
        return
    number = wide(data[quoted + 9]) if is_4 else wide(data[quoted + 6])
    if number not in (IP_TCP, IP_UDP):
        return
    is_destination = True
    for word in range(8):
        quoted_word = 0
        if not is_4:
            quoted_word = be32(data, quoted + 8 + 4 * word)
        elif word in (3, 7):
            quoted_word = be32(data, quoted + 9 + word)
        if word >= 4 and wide(packets.address[i, word - 4]) != quoted_word:
            is_destination = False
    for word in range(8):
        if not is_4:
            packets.address[i, word] = be32(data, quoted + 8 + 4 * word)
        elif word in (3, 7):
            packets.address[i, word] = be32(data, quoted + 9 + word)
    packets.src_port[i] = be16(data, transport)
    packets.dst_port[i] = be16(data, transport + 2)
    if number == IP_TCP:
        packets.seq[i] = be32(data, transport + 4)
    packets.unreachable[i] = (
        reason | (QUOTES_UDP if number == IP_UDP else 0) | (BY_DESTINATION if is_destination else 0)
    )
