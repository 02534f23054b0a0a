"""What is remarkable about a segment: Wireshark's sequence analysis (``tcp.analysis.*``), by its definitions.

``fwd`` is the sender, ``rev`` the other endpoint. What Wireshark remembers of an endpoint has columns of its own in
ENDPOINT, apart from what RFC 9293 says of it: Wireshark believes every segment, whether or not its receiver would. Its
words: ``nextseq``; lastack is ``last_ack``; maxseqtobeacked is ``ackable_to``. As there, the sequence number 0 stands
for one that is not known. The tests come in Wireshark's order, and where versions differ they are those of 4.0.

Deviates: a SYN-ACK is judged by what came before it alone; Wireshark's second pass calls the first one reused when a
later one has another number. What is fixed to nothing but an unknown number (a keep-alive, a full window) is not told.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import (
    ACK,
    FIN,
    HAS_WINDOW_SCALE,
    I64,
    KNOWS_SND,
    RST,
    SYN,
    U32,
    Event,
    Labels,
    Packets,
    Rows,
)
from analyzer.tcp.measures import NO_SCALE, note_round_trip
from analyzer.tcp.remarks import remarks_on
from analyzer.tcp.seq import seq_add, seq_diff
from analyzer.tcp.unacknowledged import acknowledge, carrier, hold

# Out of order is what comes sooner than a retransmission could: within the initial RTT, or this when unknown
USUAL_RTT_NS = 3_000_000
# A retransmission so soon after an ACK answers duplicate ACKs
FAST_NS = 20_000_000

# Bits of ENDPOINT.seen; remarks.py and unacknowledged.py have others
LAST_WAS_KEEP_ALIVE, LAST_WAS_ZERO_WINDOW_PROBE = 1, 2
NOT_YET_SCALED = 4  # it sent a SYN and since then no ACK
KNOWS_BASE = 8
KNOWS_WINDOW = 16


@kernel(inline=True)
def segment_events(
    connection: Rows, fwd: Rows, rev: Rows, packets: Packets, labels: Labels, i: int, payload_len: int, ts_ns: int,
    number: int, unacked: Rows, copied: bool,
) -> int:  # fmt: skip
    """Bits (1 << Event) of segment ``i``, which ``fwd`` sends; what they refer to goes to the labels.

    A segment that the capture ``copied`` is judged like any other, but no time is measured from it.
    """
    flags = wide(packets.flags[i])
    seq = wide(packets.seq[i])
    ack = wide(packets.ack[i])
    events = remarks_on(rev, packets, i)
    if flags & SYN:
        events |= base_event(fwd, flags, seq)
    note_base(fwd, rev, flags, seq, ack)

    kind = window_and_ack_events(fwd, rev, packets, i, payload_len)
    events |= kind
    if ack != wide(fwd["last_ack"]):
        fwd["ack_packet"] = number
        fwd["duplicate_acks_now"] = 0
    elif kind & 1 << Event.DUPLICATE_ACK:
        repeated = max(wide(fwd["duplicate_acks_now"]), 0) + 1
        fwd["duplicate_acks_now"] = repeated
        labels.repeat[i] = repeated
        labels.refers_to[i] = fwd["ack_packet"]
    if flags & ACK and acks_beyond(rev, ack):
        events |= 1 << Event.ACK_LOST_SEGMENT
    segment_end = seq_add(seq, payload_len + (1 if flags & (SYN | FIN) else 0))
    if (payload_len or flags & (SYN | FIN)) and not events & 1 << Event.KEEP_ALIVE:
        kind = retransmission_kind(connection, fwd, rev, seq, payload_len, segment_end, ts_ns)
        events |= kind
        if kind & 1 << Event.RETRANSMISSION:
            labels.refers_to[i] = carrier(unacked, fwd, seq, segment_end)

    if (payload_len or flags & (SYN | FIN)) and not copied:
        # by the IP header's length, for that is what the peer acknowledges
        held_end = seq_add(seq, wide(packets.payload_len[i]) + (1 if flags & (SYN | FIN) else 0))
        hold(unacked, fwd, rev, seq, held_end, number, ts_ns)
    if flags & ACK and ack != wide(fwd["last_ack"]):
        sent_ns = acknowledge(unacked, rev, ack)
        if 0 <= sent_ns <= ts_ns and wide(rev["known"]) & KNOWS_SND and seq_diff(ack, wide(rev["snd_una"])) > 0:
            note_round_trip(rev, ts_ns - sent_ns)
    remember(fwd, packets, i, events, segment_end, ts_ns)
    if flags & ACK:
        if not flags & SYN and wide(connection["syn_ns"]) and wide(connection["initial_rtt_ns"]) == 0:
            connection["initial_rtt_ns"] = ts_ns - wide(connection["syn_ns"])
    elif flags & SYN and not copied:
        connection["syn_ns"] = ts_ns
    note_scale(fwd, rev, packets, i)
    return events


@kernel(inline=True)
def payload_on_wire(starts: I64, origlens: U32, packets: Packets, i: int) -> int:
    """Octets of payload that the frame had room for: an IP header that claims more is not believed."""
    payload_len = wide(packets.payload_len[i])
    room = wide(starts[i]) + wide(origlens[i]) - wide(packets.payload_start[i])
    return room if 0 <= room < payload_len else payload_len


@kernel(inline=True)
def base_event(fwd: Rows, flags: int, seq: int) -> int:
    """What a SYN says of the connection's sequence numbers; REUSED_PORTS of one that is not the connection's."""
    if not wide(fwd["seen"]) & KNOWS_BASE:
        return 0
    if seq != wide(fwd["base_seq"]):
        if flags & ACK:
            fwd["base_seq"] = seq
        return 1 << Event.REUSED_PORTS
    if not flags & ACK:
        fwd["nextseq"] = fwd["ackable_to"]  # a RST may have moved it
    return 0


@kernel(inline=True)
def note_base(fwd: Rows, rev: Rows, flags: int, seq: int, ack: int) -> None:
    """The first segment of an endpoint tells its initial sequence number, or else what acknowledges it."""
    if not wide(fwd["seen"]) & KNOWS_BASE:
        fwd["base_seq"] = seq if flags & SYN else seq_add(seq, -1)
        fwd["seen"] = wide(fwd["seen"]) | KNOWS_BASE
    if flags & ACK and not wide(rev["seen"]) & KNOWS_BASE:
        rev["base_seq"] = seq_add(ack, -1)
        rev["seen"] = wide(rev["seen"]) | KNOWS_BASE


@kernel(inline=True)
def window_and_ack_events(fwd: Rows, rev: Rows, packets: Packets, i: int, payload_len: int) -> int:
    """Bits of what segment ``i`` is by its place, its window and its acknowledgement."""
    flags = wide(packets.flags[i])
    seq = wide(packets.seq[i])
    window = wide(packets.window[i])
    nextseq = wide(fwd["nextseq"])
    rev_seen = wide(rev["seen"])
    if payload_len == 1 and seq == nextseq and rev_seen & KNOWS_WINDOW and wide(rev["window"]) == 0:
        return 1 << Event.ZERO_WINDOW_PROBE
    plain = not flags & (SYN | FIN | RST)
    events = 0
    if plain and window == 0:
        events |= 1 << Event.ZERO_WINDOW
    if nextseq and seq_diff(seq, nextseq) > 0 and not flags & RST:
        events |= 1 << Event.LOST_SEGMENT
    if plain and payload_len <= 1 and nextseq and seq == seq_add(nextseq, -1):
        events |= 1 << Event.KEEP_ALIVE
    if plain and payload_len and fills_window(rev, seq_add(seq, payload_len)):
        events |= 1 << Event.WINDOW_FULL
    if not plain or payload_len or seq != nextseq:
        return events

    if wide(packets.ack[i]) != wide(fwd["last_ack"]):
        return events
    unchanged = wide(fwd["seen"]) & KNOWS_WINDOW != 0 and window == wide(fwd["window"])
    if window == 0:
        if unchanged and rev_seen & LAST_WAS_ZERO_WINDOW_PROBE:
            events |= 1 << Event.ZERO_WINDOW_PROBE_ACK
    elif not unchanged:
        events |= 1 << Event.WINDOW_UPDATE
    elif rev_seen & LAST_WAS_KEEP_ALIVE:
        events |= 1 << Event.KEEP_ALIVE_ACK
    else:
        events |= 1 << Event.DUPLICATE_ACK
    return events


@kernel(inline=True)
def fills_window(rev: Rows, segment_end: int) -> bool:
    """Whether a segment that ends here fills the window that ``rev`` advertised, its scale being known."""
    scale = wide(rev["scale"])
    last_ack = wide(rev["last_ack"])
    if scale == 0 or last_ack == 0:
        return False
    shift = 0 if scale == NO_SCALE or wide(rev["seen"]) & NOT_YET_SCALED else scale - 1
    return segment_end == seq_add(last_ack, wide(rev["window"]) << shift)


@kernel(inline=True)
def acks_beyond(rev: Rows, ack: int) -> bool:
    """Whether ``ack`` is the first to acknowledge something of ``rev`` that was not seen."""
    ackable_to = wide(rev["ackable_to"])
    if ackable_to == 0 or seq_diff(ack, ackable_to) <= 0:
        return False
    if seq_diff(ackable_to, wide(rev["nextseq"])) < 0:
        rev["ackable_to"] = rev["nextseq"]
        return True
    first = wide(rev["duplicate_acks_now"]) == 0
    rev["duplicate_acks_now"] = -1
    return first


@kernel(inline=True)
def retransmission_kind(
    connection: Rows, fwd: Rows, rev: Rows, seq: int, payload_len: int, segment_end: int, ts_ns: int
) -> int:
    """Bits of a segment that does not advance the sequence number; 0 when it does."""
    nextseq = wide(fwd["nextseq"])
    last_ack = wide(rev["last_ack"])
    if payload_len and last_ack and seq_diff(seq_add(seq, payload_len), last_ack) <= 0:
        return 1 << Event.RETRANSMISSION | 1 << Event.SPURIOUS_RETRANSMISSION
    if nextseq == 0 or seq_diff(seq, nextseq) >= 0 or (payload_len > 1 and seq == seq_add(nextseq, -1)):
        return 0
    if last_ack == seq and wide(rev["duplicate_acks_now"]) not in (0, 1):
        if 0 <= ts_ns - wide(rev["last_ns"]) < FAST_NS:
            return 1 << Event.RETRANSMISSION | 1 << Event.FAST_RETRANSMISSION
    rtt_ns = wide(connection["initial_rtt_ns"])
    if rtt_ns == 0:
        rtt_ns = USUAL_RTT_NS
    if 0 <= ts_ns - wide(fwd["nextseq_ns"]) < rtt_ns and segment_end != nextseq:
        return 1 << Event.OUT_OF_ORDER
    return 1 << Event.RETRANSMISSION


@kernel(inline=True)
def remember(fwd: Rows, packets: Packets, i: int, events: int, segment_end: int, ts_ns: int) -> None:
    """What the tests of later segments need to know of segment ``i``."""
    nextseq = wide(fwd["nextseq"])
    seen = wide(fwd["seen"]) & ~(LAST_WAS_KEEP_ALIVE | LAST_WAS_ZERO_WINDOW_PROBE) | KNOWS_WINDOW
    if events & 1 << Event.KEEP_ALIVE:
        seen |= LAST_WAS_KEEP_ALIVE
    if events & 1 << Event.ZERO_WINDOW_PROBE:
        seen |= LAST_WAS_ZERO_WINDOW_PROBE
    else:
        if nextseq == 0 or seq_diff(segment_end, nextseq) > 0:
            nextseq = segment_end
            fwd["nextseq"] = nextseq
            fwd["nextseq_ns"] = ts_ns
        if wide(fwd["ackable_to"]) in (0, wide(packets.seq[i])):
            fwd["ackable_to"] = nextseq
    fwd["seen"] = seen
    fwd["window"] = packets.window[i]
    fwd["last_ack"] = packets.ack[i]
    fwd["last_ns"] = ts_ns


@kernel(inline=True)
def note_scale(fwd: Rows, rev: Rows, packets: Packets, i: int) -> None:
    """Windows are scaled when both SYNs say so, from the first ACK after them on."""
    flags = wide(packets.flags[i])
    seen = wide(fwd["seen"])
    if not flags & SYN:
        if flags & ACK:
            fwd["seen"] = seen & ~NOT_YET_SCALED
        return
    fwd["seen"] = seen | NOT_YET_SCALED
    if not wide(packets.options[i]) & HAS_WINDOW_SCALE:
        if wide(fwd["scale"]) == 0:
            fwd["scale"] = NO_SCALE
            rev["scale"] = NO_SCALE
    elif flags & ACK and wide(rev["scale"]) == NO_SCALE:
        fwd["scale"] = NO_SCALE
    else:
        fwd["scale"] = wide(packets.window_scale[i]) + 1
