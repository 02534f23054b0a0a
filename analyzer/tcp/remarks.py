"""What Wireshark's analysis has no word for: things that TCP can do and seldom does."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import SYN, URG, Event, Packets
from analyzer.tcp.seq import seq_diff


@kernel(inline=True)
def remarks_on(packets: Packets, i: int) -> int:
    """Bits (1 << Event) of segment ``i``."""
    flags = wide(packets.flags[i])
    events = 0
    if flags & SYN and wide(packets.payload_len[i]):
        events |= 1 << Event.FAST_OPEN
    if flags & URG:
        events |= 1 << Event.URGENT
    if wide(packets.sack_blocks[i]) and is_dsack(packets, i):
        events |= 1 << Event.DSACK
    return events


@kernel(inline=True)
def is_dsack(packets: Packets, i: int) -> bool:
    """Whether the first SACK block is of octets that came twice: they are acknowledged besides (RFC 2883 4)."""
    left = wide(packets.sack[i, 0])
    right = wide(packets.sack[i, 1])
    if seq_diff(right, wide(packets.ack[i])) <= 0:
        return True
    if wide(packets.sack_blocks[i]) < 2:
        return False
    return seq_diff(left, wide(packets.sack[i, 2])) >= 0 and seq_diff(right, wide(packets.sack[i, 3])) <= 0
