"""What Wireshark's analysis has no word for: packets that were captured twice, and three things that TCP can do.

A capture on a bridge, on several interfaces or of the loopback interface sees packets twice. A copy has its original's
IP identification, and what is sent again has one of its own (RFC 6864 4.3). So a segment that repeats the sequence
number, the acknowledgement and the identification of the one before it is the capture's doing, if its sender numbers
its packets at all.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import SYN, URG, Event, Packets, Rows
from analyzer.tcp.seq import seq_diff

# Bit of ENDPOINT.seen: not all of its packets had the same identification
NUMBERS_ITS_PACKETS = 32


@kernel(inline=True)
def remarks_on(fwd: Rows, packets: Packets, i: int) -> int:
    """Bits (1 << Event) of segment ``i``, which ``fwd`` sends."""
    flags = wide(packets.flags[i])
    events = 0
    if is_captured_twice(fwd, packets, i):
        events |= 1 << Event.CAPTURE_DUPLICATE
    if flags & SYN and wide(packets.payload_len[i]):
        events |= 1 << Event.FAST_OPEN
    if flags & URG:
        events |= 1 << Event.URGENT
    if wide(packets.sack_blocks[i]) and is_dsack(packets, i):
        events |= 1 << Event.DSACK
    return events


@kernel(inline=True)
def is_captured_twice(fwd: Rows, packets: Packets, i: int) -> bool:
    """Whether segment ``i`` is the latest segment of ``fwd`` again; an identification 0 is none."""
    number = wide(packets.ip_id[i])
    seq = wide(packets.seq[i])
    seen = wide(fwd["seen"])
    again = number == wide(fwd["last_id"])
    fwd["last_id"] = number
    same_seq = seq == wide(fwd["last_seq"])
    fwd["last_seq"] = seq
    if not again:
        if wide(fwd["packets"]):
            fwd["seen"] = seen | NUMBERS_ITS_PACKETS
        return False
    if number == 0 or not same_seq or not seen & NUMBERS_ITS_PACKETS:
        return False
    return wide(packets.ack[i]) == wide(fwd["last_ack"])


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
