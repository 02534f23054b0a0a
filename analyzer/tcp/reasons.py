"""What tells later why a connection ended, noted where it happens: explain/why.py reads it from the rows.

Nothing here is decided: a RST's traits, probes without an answer, windows that were zero, writes that waited.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import ACK, FIN, I64, KNOWS_SND, RST, SYN, Event, Packets, Protocol, Rows
from analyzer.tcp.connections import find_slot, hash_of, side_of
from analyzer.tcp.seq import seq_diff
from analyzer.tcp.states import State
from analyzer.traces import (
    AT_ONCE_NS,
    DELAYED_NS,
    LONGEST_DELAY_NS,
    MOST_32,
    NOT_PLAIN,
    QUOTES_UDP,
    RST_ACKS,
    RST_AT_ACK,
    RST_ID,
    RST_TTL,
    RST_UNANSWERED,
    RST_WINDOW,
    SHORT_NS,
    TRIED_AGAIN,
    TRIED_KEEP_ALIVE,
    TRIED_WINDOW,
    USUAL_MSS,
    packet_ahead,
)

ID_STEP = 4_096
"""A sender's next IP identification is at most so far from its latest."""


@kernel(inline=True)
def note_wait(
    connection: Rows, side: int, fwd: Rows, rev: Rows, packets: Packets, i: int, ts_ns: int, number: int
) -> None:
    """Whether ``fwd`` held a small write back until a delayed ACK came (RFC 896, RFC 9293 3.8.6.3).

    All that it had sent was small and acknowledged late, without any payload, and at once it sends more that is small.
    It is called before anything else is noted of segment ``i``.
    """
    payload_len = wide(packets.payload_len[i])
    delay_ns = wide(rev["last_ns"]) - wide(fwd["last_ns"])
    if payload_len and DELAYED_NS <= delay_ns <= LONGEST_DELAY_NS:
        mss = wide(rev["mss"])
        if mss == 0:
            mss = USUAL_MSS
        rtt_ns = wide(connection["initial_rtt_ns"])
        gap_ns = ts_ns - wide(rev["last_ns"])
        is_small = payload_len < mss and 0 < wide(fwd["last_len"]) < mss and wide(rev["last_len"]) == 0
        is_acked = wide(rev["last_ack"]) == wide(fwd["nextseq"]) and wide(packets.seq[i]) == wide(fwd["nextseq"])
        is_held = gap_ns <= AT_ONCE_NS + rtt_ns and delay_ns + gap_ns >= DELAYED_NS + rtt_ns
        if is_small and is_acked and is_held and wide(rev["nagle_waits"]) == 0:
            waits = wide(fwd["nagle_waits"])
            if waits == 0:
                connection["nagle_packet"] = packet_ahead(connection, number)
            fwd["nagle_waits"] = min(waits + 1, 0xFFFF)
            connection["nagle_time"] = min(wide(connection["nagle_time"]) + (delay_ns + gap_ns) // SHORT_NS, MOST_32)
    fwd["last_len"] = NOT_PLAIN if wide(packets.flags[i]) & (SYN | FIN | RST) else min(payload_len, NOT_PLAIN)


@kernel(inline=True)
def note_reset(
    connection: Rows, side: int, fwd: Rows, rev: Rows, packets: Packets, i: int, ts_ns: int, before_ns: int, before: int
) -> None:
    """The traits of the first RST of ``fwd``; the connection's packet before it is ``before``, at ``before_ns``.

    It is called before anything else is noted of segment ``i``.
    """
    if wide(fwd["rst_packet"]):
        return
    flags = wide(packets.flags[i])
    ttl = wide(packets.ttl[i])
    ip_id = wide(packets.ip_id[i])
    has_sent = wide(fwd["packets"]) > 0
    traits = 0
    if flags & ACK:
        traits |= RST_ACKS
    if wide(packets.window[i]) or (has_sent and wide(fwd["window"]) == 0):
        traits |= RST_WINDOW
    if has_sent and ttl != wide(fwd["ttl"]):
        traits |= RST_TTL
    if ip_id and wide(fwd["numbers_packets"]) and (ip_id - wide(fwd["ip_id"])) & 0xFFFF > ID_STEP:
        traits |= RST_ID
    if wide(rev["packets"]) and wide(packets.seq[i]) == wide(rev["last_ack"]):
        traits |= RST_AT_ACK
    if wide(connection["spoke_last"]) == 2 - side:
        traits |= RST_UNANSWERED
    fwd["reset_traits"] = traits
    fwd["reset_ttl"] = ttl
    fwd["reset_idle_s"] = min(max(ts_ns - before_ns, 0) // 1_000_000_000, 0xFFFF)
    if wide(rev["rst_packet"]) == 0 and wide(rev["packets"]) and wide(rev["last_ns"]) >= wide(fwd["last_ns"]):
        connection["answered_packet"] = packet_ahead(connection, before)


@kernel(inline=True)
def note_tries(fwd: Rows, rev: Rows, flags: int, events: int) -> None:
    """``fwd`` sends a segment: again, or to see whether its peer is there; whatever it is, ``rev`` got an answer.

    A RST is none: what it ends had been tried.
    """
    if wide(rev["tries"]) and not flags & RST:
        rev["tries"] = 0
        rev["tried"] = 0
    if events & (1 << Event.RETRANSMISSION | 1 << Event.KEEP_ALIVE | 1 << Event.ZERO_WINDOW_PROBE):
        tried = TRIED_AGAIN
        if events & 1 << Event.KEEP_ALIVE:
            tried = TRIED_KEEP_ALIVE
        elif events & 1 << Event.ZERO_WINDOW_PROBE:
            tried = TRIED_WINDOW
        fwd["tries"] = min(wide(fwd["tries"]) + 1, 255)
        fwd["tried"] = wide(fwd["tried"]) | tried


@kernel(inline=True)
def note_stall(connection: Rows, fwd: Rows, packets: Packets, i: int, ts_ns: int, number: int) -> None:
    """The window of ``fwd`` closes, stays closed, or opens."""
    since = wide(fwd["stalled_from"])
    flags = wide(packets.flags[i])
    is_zero = wide(packets.window[i]) == 0 and not flags & (SYN | FIN | RST)
    if since == 0 and not is_zero:
        return
    now = min(max(ts_ns - wide(connection["first_ns"]), 0) // SHORT_NS + 1, MOST_32)
    if since == 0:
        fwd["stalled_from"] = now
        if wide(fwd["stalled_packet"]) == 0:
            fwd["stalled_packet"] = packet_ahead(connection, number)
    elif not is_zero and (flags & RST or wide(packets.window[i])):
        took = max(now - since, 0)
        fwd["stalled"] = min(wide(fwd["stalled"]) + took, MOST_32)
        fwd["stalled_longest"] = max(wide(fwd["stalled_longest"]), took)
        fwd["stalled_from"] = 0


@kernel(inline=True)
def note_ignored_ack(fwd: Rows, flags: int) -> None:
    """``fwd`` sends a SYN. It sends its SYN-ACK again, though an ACK of it was seen, when it ignores or misses that."""
    states = (State.SYN_RECEIVED, State.SYN_SENT, State.LISTEN, State.CLOSED)
    if flags & ACK and wide(fwd["syns"]) > 1 and wide(fwd["state"]) not in states:
        fwd["ignored_acks"] = min(wide(fwd["ignored_acks"]) + 1, 255)


@kernel(inline=True)
def note_unreachable(slots: I64, connections: Rows, endpoints: Rows, packets: Packets, i: int, number: int) -> None:
    """The ICMP error ``i`` quotes a packet: the connection that it is of, if it can be, keeps the first such error."""
    unreachable = wide(packets.unreachable[i])
    protocol = wide(Protocol.UDP) if unreachable & QUOTES_UDP else wide(Protocol.TCP)
    slot = find_slot(slots, connections, packets, i, protocol, hash_of(packets, i, protocol))
    row = (wide(slots[slot]) & MOST_32) - 1
    if row < 0 or wide(connections[row]["unreachable"]):
        return
    side = side_of(connections[row], packets, i, protocol)
    end = endpoints[row, side]
    if protocol == Protocol.TCP and wide(end["known"]) & KNOWS_SND:
        # RFC 5927 4.1: who quotes another sequence number than of what is on its way did not see it
        seq = wide(packets.seq[i])
        if seq_diff(seq, wide(end["snd_una"])) < 0 or seq_diff(seq, wide(end["snd_nxt"])) > 0:
            return
    connections[row]["unreachable"] = unreachable
    connections[row]["unreachable_side"] = side
    connections[row]["unreachable_packet"] = packet_ahead(connections[row], number)
