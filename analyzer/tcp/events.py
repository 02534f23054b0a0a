"""What is remarkable about a segment: Wireshark's sequence analysis (``tcp.analysis.*``), by its definitions.

``fwd`` is the sender, ``rev`` the other endpoint; both as they were before the segment. Wireshark's words: ``nextseq``;
lastack is ``ack`` (the latest that a side sent). The tests come in Wireshark's order.

Of fast retransmissions those that only SACK blocks tell are not seen as such yet.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import (
    ACK,
    FIN,
    GOT_ACK,
    KNOWS_ACKABLE,
    KNOWS_ISS,
    KNOWS_RCV,
    KNOWS_SND,
    KNOWS_WINDOW,
    RST,
    SYN,
    Event,
    Packets,
    Rows,
)
from analyzer.tcp.seq import seq_add, seq_diff

# Out of order is what comes sooner than a retransmission could: within the handshake's RTT, or this when unknown
USUAL_RTT_NS = 3_000_000
# A retransmission so soon after an ACK answers duplicate ACKs
FAST_NS = 20_000_000

# Bits of last_was
LAST_WAS_KEEP_ALIVE, LAST_WAS_ZERO_WINDOW_PROBE, LAST_WAS_SYN = 1, 2, 4


@kernel(inline=True)
def segment_events(connection: Rows, fwd: Rows, rev: Rows, packets: Packets, i: int, ts_ns: int) -> int:
    """Bits (1 << Event) of segment ``i``, which ``fwd`` is about to send."""
    flags = wide(packets.flags[i])
    seq = wide(packets.seq[i])
    payload_len = wide(packets.payload_len[i])
    known = wide(fwd["known"])
    if known & KNOWS_ISS and flags & SYN and seq != wide(fwd["iss"]):
        return 1 << Event.REUSED_PORTS
    plain = not flags & (SYN | FIN | RST)
    ahead = seq_diff(seq, wide(fwd["nextseq"]))
    last_was = LAST_WAS_SYN if flags & SYN else 0
    events = 0
    if plain and known & KNOWS_SND and payload_len == 1 and ahead == 0 and has_closed_window(rev):
        events = 1 << Event.ZERO_WINDOW_PROBE
        last_was |= LAST_WAS_ZERO_WINDOW_PROBE
    else:
        if plain and wide(packets.window[i]) == 0:
            events |= 1 << Event.ZERO_WINDOW
        if known & KNOWS_SND:
            if ahead > 0 and not flags & RST:
                events |= 1 << Event.LOST_SEGMENT
            if plain and payload_len <= 1 and ahead == -1:
                events |= 1 << Event.KEEP_ALIVE
                last_was |= LAST_WAS_KEEP_ALIVE
            if plain and payload_len and fills_window(rev, fwd, seq_add(seq, payload_len)):
                events |= 1 << Event.WINDOW_FULL
            if plain and payload_len == 0 and ahead == 0 and flags & ACK and known & GOT_ACK:
                events |= 1 << ack_kind(fwd, rev, packets, i) & ~1
    if flags & ACK and wide(rev["known"]) & KNOWS_ACKABLE:
        if seq_diff(wide(packets.ack[i]), wide(rev["ackable_to"])) > 0:
            events |= 1 << Event.ACK_LOST_SEGMENT
            rev["ackable_to"] = rev["snd_nxt"]
    if flags & ACK and known & GOT_ACK and wide(packets.ack[i]) != wide(fwd["ack"]):
        fwd["duplicate_acks_now"] = 0
    if events & 1 << Event.DUPLICATE_ACK:
        fwd["duplicate_acks_now"] = wide(fwd["duplicate_acks_now"]) + 1

    advances = not known & KNOWS_SND or ahead >= 0 or (payload_len > 1 and ahead == -1)
    if (payload_len > 0 or flags & (SYN | FIN)) and not flags & RST and not advances:
        if not events & 1 << Event.KEEP_ALIVE:
            kind = retransmission_kind(connection, fwd, rev, packets, i, ts_ns)
            events |= 1 << kind
            if kind != Event.OUT_OF_ORDER:
                events |= 1 << Event.RETRANSMISSION
    fwd["last_was"] = last_was
    return events


@kernel(inline=True)
def has_closed_window(end: Rows) -> bool:
    """Whether an endpoint's latest window was 0."""
    return wide(end["known"]) & KNOWS_WINDOW != 0 and wide(end["window"]) == 0


@kernel(inline=True)
def fills_window(rev: Rows, fwd: Rows, segment_end: int) -> bool:
    """Whether a segment that ends here fills the window that ``rev`` advertised, its scale being known."""
    if not wide(rev["known"]) & wide(fwd["known"]) & KNOWS_ISS or not wide(rev["known"]) & GOT_ACK:
        return False
    scale = wide(rev["window_scale"])
    if scale < 0 or wide(fwd["window_scale"]) < 0 or wide(rev["last_was"]) & LAST_WAS_SYN:
        scale = 0
    return segment_end == seq_add(wide(rev["ack"]), wide(rev["window"]) << scale)


@kernel(inline=True)
def ack_kind(fwd: Rows, rev: Rows, packets: Packets, i: int) -> int:
    """Which Event a pure ACK at nextseq is, RETRANSMISSION for none."""
    window = wide(packets.window[i])
    ack_ahead = seq_diff(wide(packets.ack[i]), wide(fwd["ack"]))
    rev_was = wide(rev["last_was"])
    unchanged = window == wide(fwd["window"])
    if rev_was & LAST_WAS_ZERO_WINDOW_PROBE and ack_ahead in (0, 1):
        if window == 0 and unchanged:
            return Event.ZERO_WINDOW_PROBE_ACK
        if window != 0 and not unchanged:
            return Event.WINDOW_UPDATE
    if ack_ahead != 0 or window == 0:
        return Event.RETRANSMISSION
    if not unchanged:
        return Event.WINDOW_UPDATE
    if rev_was & LAST_WAS_KEEP_ALIVE:
        return Event.KEEP_ALIVE_ACK
    return Event.DUPLICATE_ACK


@kernel(inline=True)
def retransmission_kind(connection: Rows, fwd: Rows, rev: Rows, packets: Packets, i: int, ts_ns: int) -> int:
    """Which Event it is that segment ``i`` does not advance the sequence number."""
    seq = wide(packets.seq[i])
    payload_len = wide(packets.payload_len[i])
    rev_known = wide(rev["known"])
    rev_ack = wide(rev["ack"])
    segment_end = seq_add(seq, payload_len)
    if payload_len > 0 and rev_known & GOT_ACK and seq_diff(segment_end, rev_ack) <= 0:
        return Event.SPURIOUS_RETRANSMISSION
    if rev_known & GOT_ACK and seq == rev_ack and wide(rev["duplicate_acks_now"]) >= 2:
        if ts_ns - wide(rev["ack_ns"]) < FAST_NS:
            return Event.FAST_RETRANSMISSION
    rtt_ns = wide(connection["handshake_rtt_ns"])
    if rtt_ns < 0:
        rtt_ns = USUAL_RTT_NS
    segment_end = seq_add(segment_end, 1 if wide(packets.flags[i]) & (SYN | FIN) else 0)
    seen_before = rev_known & KNOWS_RCV and seq_diff(segment_end, wide(rev["rcv_nxt"])) <= 0
    if not seen_before and ts_ns - wide(fwd["snd_nxt_ns"]) < rtt_ns and segment_end != wide(fwd["nextseq"]):
        return Event.OUT_OF_ORDER
    return Event.RETRANSMISSION
