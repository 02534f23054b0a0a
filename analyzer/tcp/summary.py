"""What is counted on the way, and what a connection comes to in the end."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from analyzer.jit import kernel, wide
from analyzer.tables import (
    ACK,
    FIN,
    HAS_SACK,
    KNOWS_AHEAD,
    KNOWS_ISS,
    KNOWS_RCV,
    KNOWS_SND,
    RST,
    SENT_FIN,
    SYN,
    Event,
    Labels,
    Packets,
    Phase,
    Protocol,
    Rows,
)
from analyzer.tcp.history import ZeekState
from analyzer.tcp.seq import seq_add, seq_diff
from analyzer.tcp.states import State


class Verdict(IntEnum):
    """Zeek's conn_state."""

    S0 = 0
    S1 = 1
    SF = 2
    REJ = 3
    S2 = 4
    S3 = 5
    RSTO = 6
    RSTR = 7
    RSTOS0 = 8
    RSTRH = 9
    SH = 10
    SHR = 11
    OTH = 12


@kernel(inline=True)
def count_segment(fwd: Rows, rev: Rows, packets: Packets, labels: Labels, i: int, events: int) -> None:
    """Count segment ``i`` for its sender ``fwd``, as it was before it.

    Retransmitted and out of order are tcptrace's words: a segment with sequence numbers that were seen before, its SYN
    and FIN among them; one with some that were not seen, though later ones were.

    Deviates: tcptrace takes the octet of a keep-alive for retransmitted.
    """
    flags = wide(packets.flags[i])
    payload_len = wide(packets.payload_len[i])
    fwd["packets"] = wide(fwd["packets"]) + 1
    if flags & (SYN | FIN | RST):
        fwd["syns"] = wide(fwd["syns"]) + (1 if flags & SYN else 0)
        fwd["fins"] = wide(fwd["fins"]) + (1 if flags & FIN else 0)
        fwd["resets"] = wide(fwd["resets"]) + (1 if flags & RST else 0)
    elif flags & ACK and payload_len == 0:
        fwd["pure_acks"] = wide(fwd["pure_acks"]) + 1
    if wide(packets.options[i]) & HAS_SACK:
        fwd["sacks"] = wide(fwd["sacks"]) + 1
    if wide(packets.window[i]) == 0 and not flags & (SYN | FIN | RST):
        fwd["zero_windows"] = wide(fwd["zero_windows"]) + 1
    if events & 1 << Event.ZERO_WINDOW_PROBE:
        fwd["zero_window_probes"] = wide(fwd["zero_window_probes"]) + 1
    if events & 1 << Event.DUPLICATE_ACK:
        fwd["duplicate_acks"] = wide(fwd["duplicate_acks"]) + 1
        if wide(labels.repeat[i]) == 3:
            fwd["triple_duplicate_acks"] = wide(fwd["triple_duplicate_acks"]) + 1
    seq = wide(packets.seq[i])
    again = 0
    if flags & (SYN | FIN):
        again = controls_again(fwd, flags, seq, payload_len)
    if payload_len:
        fwd["data_packets"] = wide(fwd["data_packets"]) + 1
        fwd["payload_bytes"] = wide(fwd["payload_bytes"]) + payload_len
        octets_again = seen_before(rev, seq, payload_len)
        again += octets_again
        unique = payload_len - octets_again
        fwd["unique_bytes"] = wide(fwd["unique_bytes"]) + unique
        if wide(labels.phase[i]) != Phase.DATA:
            fwd["aside_bytes"] = wide(fwd["aside_bytes"]) + unique
            if wide(labels.phase[i]) == Phase.HANDSHAKE:
                fwd["handshake_bytes"] = wide(fwd["handshake_bytes"]) + unique
        behind = wide(fwd["known"]) & KNOWS_SND and seq_diff(seq_add(seq, payload_len), wide(fwd["snd_nxt"])) < 0
        if unique and behind:
            fwd["out_of_order_packets"] = wide(fwd["out_of_order_packets"]) + 1
    if again and not events & (1 << Event.KEEP_ALIVE | 1 << Event.ZERO_WINDOW_PROBE):
        fwd["retransmitted_packets"] = wide(fwd["retransmitted_packets"]) + 1
        fwd["retransmitted_bytes"] = wide(fwd["retransmitted_bytes"]) + again


@kernel(inline=True)
def controls_again(fwd: Rows, flags: int, seq: int, payload_len: int) -> int:
    """How many of a segment's SYN and FIN ``fwd`` has sent before."""
    known = wide(fwd["known"])
    count = 0
    if flags & SYN and wide(fwd["syns"]) > 1 and known & KNOWS_ISS and seq == wide(fwd["iss"]):
        count = 1
    if (
        flags & FIN
        and known & SENT_FIN
        and seq_add(seq, payload_len + (1 if flags & SYN else 0)) == wide(fwd["fin_seq"])
    ):
        count += 1
    return count


@kernel(inline=True)
def seen_before(rev: Rows, seq: int, payload_len: int) -> int:
    """How many octets of a payload that begins at ``seq`` the receiver has been seen to get before."""
    known = wide(rev["known"])
    if not known & KNOWS_RCV:
        return 0
    octets = min(payload_len, max(0, seq_diff(wide(rev["rcv_nxt"]), seq)))
    if known & KNOWS_AHEAD:
        first = max(0, seq_diff(wide(rev["ahead_from"]), seq))
        last = min(payload_len, seq_diff(wide(rev["ahead_to"]), seq))
        octets += max(0, last - first)
    return octets


@kernel(inline=True)
def verdict(connection: Rows, client: Rows, server: Rows) -> int:
    """Verdict of a TCP connection, from Zeek's endpoint states."""
    o = wide(client["zeek_state"])
    r = wide(server["zeek_state"])
    client_missed = o in (ZeekState.INACTIVE, ZeekState.PARTIAL)
    server_missed = r in (ZeekState.INACTIVE, ZeekState.PARTIAL)
    if r == ZeekState.RESET:
        no_data = wide(client["payload_bytes"]) == 0 and wide(server["payload_bytes"]) == 0
        if o in (ZeekState.SYN_SENT, ZeekState.SYN_ACK_SENT) or (o == ZeekState.RESET and no_data):
            return Verdict.REJ
        return Verdict.RSTRH if client_missed else Verdict.RSTR
    if o == ZeekState.RESET:
        return Verdict.RSTOS0 if server_missed else Verdict.RSTO
    if o == ZeekState.CLOSED and r == ZeekState.CLOSED:
        return Verdict.SF
    if o == ZeekState.CLOSED:
        return Verdict.SH if server_missed else Verdict.S2
    if r == ZeekState.CLOSED:
        return Verdict.SHR if client_missed else Verdict.S3
    if o == ZeekState.SYN_SENT and r == ZeekState.INACTIVE:
        return Verdict.S0
    if o == ZeekState.ESTABLISHED and r == ZeekState.ESTABLISHED:
        return Verdict.S1
    return Verdict.OTH


SILENCE_NS = 10_000_000_000
"""After so long a UDP conversation counts as ended."""

_RESTING = np.isin(np.arange(len(State)), (State.CLOSED, State.LISTEN, State.TIME_WAIT))
"""States in which an endpoint has ended, or not begun."""


def has_ended(connections: Rows, endpoints: Rows, now_ns: int) -> npt.NDArray[np.bool_]:
    """For each of these CONNECTION and ENDPOINT rows, whether the connection is over; UDP is when it is silent."""
    is_tcp = connections["protocol"] == Protocol.TCP
    is_silent = now_ns - connections["last_ns"] > SILENCE_NS
    ended: npt.NDArray[np.bool_] = np.where(is_tcp, _RESTING[endpoints["state"]].all(axis=1), is_silent)
    return ended
