"""What Wireshark's analysis has no word for: things that TCP can do and seldom does."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import (
    ACK,
    CWR,
    ECE,
    HAS_MPTCP,
    HAS_TIMESTAMPS,
    KNOWS_RCV,
    KNOWS_TS_RECENT,
    RST,
    SYN,
    URG,
    Event,
    Packets,
    Rows,
)
from analyzer.tcp.seq import seq_diff


@kernel(inline=True)
def remarks_on(rev: Rows, packets: Packets, i: int) -> int:
    """Bits (1 << Event) of segment ``i``, which goes to ``rev``."""
    flags = wide(packets.flags[i])
    events = 0
    if flags & SYN and wide(packets.payload_len[i]):
        events |= 1 << Event.FAST_OPEN
    if flags & URG:
        events |= 1 << Event.URGENT
    if wide(packets.sack_blocks[i]) and is_dsack(packets, i):
        events |= 1 << Event.DSACK
    options = wide(packets.options[i])
    if options & HAS_TIMESTAMPS and not flags & RST and is_older(rev, packets, i):
        events |= 1 << Event.OLD_TIMESTAMP
    if flags & SYN:
        if options & HAS_MPTCP:
            events |= 1 << Event.MPTCP
        if flags & (ECE | CWR) == (ECE if flags & ACK else ECE | CWR):
            events |= 1 << Event.ECN_SETUP
    else:
        if flags & ECE:
            events |= 1 << Event.CONGESTION_ECHO
        if flags & CWR:
            events |= 1 << Event.WINDOW_REDUCED
    return events


@kernel(inline=True)
def is_older(rev: Rows, packets: Packets, i: int) -> bool:
    """Whether ``rev`` took a later timestamp before (RFC 7323 5.3 R1); else it takes this one when in order (4.3)."""
    ts_val = wide(packets.ts_val[i])
    known = wide(rev["known"])
    if known & KNOWS_TS_RECENT and not wide(packets.flags[i]) & SYN:
        if seq_diff(ts_val, wide(rev["ts_recent"])) < 0:
            return True
        if known & KNOWS_RCV and seq_diff(wide(packets.seq[i]), wide(rev["rcv_nxt"])) > 0:
            return False
    rev["ts_recent"] = ts_val
    rev["known"] = known | KNOWS_TS_RECENT
    return False


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
