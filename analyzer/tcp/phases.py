"""The three phases of a connection's life: which packet is the handshake, which is data, which is the close.

- handshake: SYN, SYN-ACK and the ACK that ends it, their repetitions included.
- data: what comes after, payload and the ACKs of it. A side that has not closed may still send after the other's FIN:
  its payload, and the ACKs of that, are data.
- teardown: every FIN and RST, and after a FIN, or a RST that ended something, all that is not such data.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import ACK, FIN, KNOWS_ISS, KNOWS_SND, RST, SENT_FIN, SYN, Packets, Phase, Rows
from analyzer.tcp.seq import seq_add, seq_diff
from analyzer.tcp.states import State


@kernel(inline=True)
def phase_of(connection: Rows, side: int, fwd: Rows, rev: Rows, packets: Packets, i: int) -> int:
    """Phase of segment ``i``; ``fwd`` (the side ``side``) and ``rev`` as they were before it."""
    flags = wide(packets.flags[i])
    payload_len = wide(packets.payload_len[i])
    if flags & (FIN | RST):
        return Phase.TEARDOWN
    if flags & SYN:
        return Phase.HANDSHAKE
    if not (wide(fwd["known"]) | wide(rev["known"])) & SENT_FIN:
        if payload_len == 0 and wide(connection["phase"]) == Phase.HANDSHAKE:
            opening = wide(rev["state"]) == State.SYN_RECEIVED or wide(fwd["state"]) == State.SYN_SENT
            after_syn = wide(rev["known"]) & KNOWS_ISS and seq_diff(wide(packets.ack[i]), wide(rev["iss"])) == 1
            if opening or (flags & ACK and after_syn):
                return Phase.HANDSHAKE
        if wide(fwd["resets"]) + wide(rev["resets"]) and (is_ended(fwd) or is_ended(rev)):
            return Phase.TEARDOWN
        return Phase.DATA
    if payload_len:
        if not wide(fwd["known"]) & SENT_FIN:
            segment_end = seq_add(wide(packets.seq[i]), payload_len)
            if not wide(fwd["known"]) & KNOWS_SND or seq_diff(segment_end, wide(fwd["snd_nxt"])) > 0:
                connection["late_data"] = wide(connection["late_data"]) | 1 << side
            return Phase.DATA
        return Phase.TEARDOWN
    if wide(connection["late_data"]) & 1 << (1 - side):
        acks_fin = flags & ACK and seq_diff(wide(packets.ack[i]), wide(rev["fin_seq"])) > 0
        if not wide(rev["known"]) & SENT_FIN or not acks_fin:
            return Phase.DATA
    return Phase.TEARDOWN


@kernel(inline=True)
def is_ended(end: Rows) -> bool:
    """Whether an endpoint obeyed a RST, or sent one that ended it."""
    return wide(end["state"]) in (State.CLOSED, State.LISTEN)
