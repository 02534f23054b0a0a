"""TCP's options (RFC 9293 3.1; RFC 7323 for scale and timestamps, RFC 2018 for SACK)."""

from __future__ import annotations

from analyzer.decode.octets import be16, be32
from analyzer.jit import kernel, wide
from analyzer.tables import (
    HAS_MPTCP,
    HAS_MSS,
    HAS_OTHER_OPTION,
    HAS_SACK,
    HAS_SACK_PERMITTED,
    HAS_TIMESTAMPS,
    HAS_WINDOW_SCALE,
    U8,
    Packets,
)

# Kinds (IANA)
END_OF_LIST, NO_OPERATION, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS, MPTCP = 0, 1, 2, 3, 4, 5, 8, 30

# RFC 7323 2.3: a larger shift count is used as this one
LARGEST_SHIFT = 14


@kernel(inline=True)
def tcp_options(data: U8, at: int, end: int, packets: Packets, i: int) -> None:
    """Read the options in ``data[at:end]`` into the packet's row; what is malformed ends the list."""
    seen = 0
    if end - at == 12 and be32(data, at) == 0x0101080A:  # what most segments carry: NOP, NOP, timestamps
        packets.ts_val[i] = be32(data, at + 4)
        packets.ts_ecr[i] = be32(data, at + 8)
        packets.options[i] = HAS_TIMESTAMPS
        return
    while at < end:
        kind = wide(data[at])
        if kind == END_OF_LIST:
            break
        if kind == NO_OPERATION:
            at += 1
            continue
        if at + 2 > end:
            break
        length = wide(data[at + 1])
        if length < 2 or at + length > end:
            break
        if kind == MSS and length == 4:
            packets.mss[i] = be16(data, at + 2)
            seen |= HAS_MSS
        elif kind == WINDOW_SCALE and length == 3:
            packets.window_scale[i] = min(wide(data[at + 2]), LARGEST_SHIFT)
            seen |= HAS_WINDOW_SCALE
        elif kind == SACK_PERMITTED and length == 2:
            seen |= HAS_SACK_PERMITTED
        elif kind == SACK and length in (10, 18, 26, 34):
            blocks = length // 8
            for word in range(2 * blocks):
                packets.sack[i, word] = be32(data, at + 2 + 4 * word)
            packets.sack_blocks[i] = blocks
            seen |= HAS_SACK
        elif kind == TIMESTAMPS and length == 10:
            packets.ts_val[i] = be32(data, at + 2)
            packets.ts_ecr[i] = be32(data, at + 6)
            seen |= HAS_TIMESTAMPS
        elif kind == MPTCP:
            seen |= HAS_MPTCP
        else:
            seen |= HAS_OTHER_OPTION
        at += length
    packets.options[i] = seen
