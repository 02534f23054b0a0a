"""What is remarkable about a segment: Wireshark's sequence analysis (``tcp.analysis.*``), by its definitions.

``fwd`` is the sender, ``rev`` the other endpoint; both as they were before the segment. Its words: nextseq is
``snd_nxt``, lastack is ``ack``, the highest sequence number seen acknowledged.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import (
    ACK,
    FIN,
    GOT_ACK,
    HAS_SACK,
    KNOWS_ISS,
    KNOWS_RCV,
    KNOWS_SND,
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
LAST_WAS_KEEP_ALIVE, LAST_WAS_PURE_ACK = 1, 2


@kernel(inline=True)
def segment_events(connection: Rows, fwd: Rows, rev: Rows, packets: Packets, i: int, ts_ns: int) -> int:
    """Bits (1 << Event) of segment ``i``, which ``fwd`` is about to send."""
    flags = wide(packets.flags[i])
    seq = wide(packets.seq[i])
    payload_len = wide(packets.payload_len[i])
    window = wide(packets.window[i])
    known = wide(fwd["known"])
    plain = not flags & (SYN | FIN | RST)
    nextseq = wide(fwd["snd_nxt"])
    ahead = seq_diff(seq, nextseq)
    events = 0
    if not known & KNOWS_SND:
        return events
    if flags & SYN and known & KNOWS_ISS and seq != wide(fwd["iss"]):
        return 1 << Event.REUSED_PORTS

    keep_alive = plain and payload_len <= 1 and ahead == -1
    last_was = LAST_WAS_KEEP_ALIVE if keep_alive else 0
    if plain and payload_len == 0 and flags & ACK:
        last_was |= LAST_WAS_PURE_ACK
        same_ack = known & GOT_ACK and wide(packets.ack[i]) == wide(fwd["ack"])
        if same_ack and ahead == 0 and window != 0 and window == wide(fwd["window"]):
            if not wide(rev["last_was"]) & LAST_WAS_KEEP_ALIVE:
                events |= 1 << Event.DUPLICATE_ACK
                fwd["duplicate_acks_now"] = wide(fwd["duplicate_acks_now"]) + 1
        elif same_ack and packets.options[i] & HAS_SACK and ahead == 0 and window != 0:
            events |= 1 << Event.DUPLICATE_ACK
            fwd["duplicate_acks_now"] = wide(fwd["duplicate_acks_now"]) + 1
    if flags & ACK and not events and (not known & GOT_ACK or wide(packets.ack[i]) != wide(fwd["ack"])):
        fwd["duplicate_acks_now"] = 0

    if (payload_len > 0 or flags & (SYN | FIN)) and not keep_alive and not flags & RST and ahead < 0:
        if not (payload_len > 1 and ahead == -1):
            kind = retransmission_kind(connection, fwd, rev, packets, i, ts_ns)
            events |= 1 << kind
            if kind != Event.OUT_OF_ORDER:
                events |= 1 << Event.RETRANSMISSION
    fwd["last_was"] = last_was
    return events


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
    if not seen_before and ts_ns - wide(fwd["snd_nxt_ns"]) < rtt_ns and segment_end != wide(fwd["snd_nxt"]):
        return Event.OUT_OF_ORDER
    return Event.RETRANSMISSION
