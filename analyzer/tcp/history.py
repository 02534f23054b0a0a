"""A connection as Zeek sees it: the letters of ``history`` and the endpoint states that its ``conn_state`` is made of.

Letters, upper case for the client: s SYN, h SYN-ACK, a pure ACK, d data, f FIN, r RST, g gap, t retransmitted payload,
w zero window, i FIN+RST, q SYN with FIN or RST; ``^`` when the client was told without its SYN. a, d, i, q are written
once a side; s, h, f, r again when their sequence number differs; g, t, w at the 1st, 10th, 100th … time.

Deviates: checksums are not judged here (``c``), for most that look bad were left to the network card; and a connection
is not ended by five minutes of silence.
"""

from __future__ import annotations

from enum import IntEnum

from analyzer.jit import kernel, wide
from analyzer.tables import (
    ACK,
    FIN,
    HISTORY_LEN,
    KNOWS_BEYOND,
    KNOWS_ISS,
    KNOWS_RCV,
    KNOWS_SND,
    RST,
    SENT_FIN,
    SYN,
    Event,
    Packets,
    Rows,
    Side,
)
from analyzer.tcp.seq import seq_add, seq_diff


class ZeekState(IntEnum):
    """Zeek's endpoint states."""

    INACTIVE = 0
    SYN_SENT = 1
    SYN_ACK_SENT = 2
    PARTIAL = 3
    ESTABLISHED = 4
    CLOSED = 5
    RESET = 6


# Letters, as ASCII
LETTER_A, LETTER_D, LETTER_F, LETTER_G, LETTER_H, LETTER_I = 65, 68, 70, 71, 72, 73
LETTER_Q, LETTER_R, LETTER_S, LETTER_T, LETTER_W, CARET = 81, 82, 83, 84, 87, 94
TO_LOWER = 32

# Bits of history_once: letters that this side has written
WROTE_SYN, WROTE_FIN, WROTE_RST, WROTE_DATA, WROTE_ACK, WROTE_FIN_RST, WROTE_MIXED = 1, 2, 4, 8, 16, 32, 64

# A jump of more octets than this is not progress but another story
LARGE_JUMP = 1_048_576


@kernel(inline=True)
def write_letter(connection: Rows, side: int, letter: int) -> None:
    """Append a letter in the side's case."""
    length = wide(connection["history_len"])
    if length < HISTORY_LEN:
        if side == Side.SERVER and letter != CARET:
            letter += TO_LOWER
        connection["history"][length] = letter
        connection["history_len"] = length + 1


@kernel(inline=True)
def is_power_of_ten(count: int) -> bool:
    """Whether an event that came for the ``count``-th time is written again."""
    while count >= 10 and count % 10 == 0:
        count //= 10
    return count == 1


@kernel(inline=True)
def note_segment(connection: Rows, side: int, fwd: Rows, rev: Rows, packets: Packets, i: int) -> None:
    """Write the letters of segment ``i``; ``fwd`` (the side ``side``) and ``rev`` as they were before it."""
    flags = wide(packets.flags[i])
    seq = wide(packets.seq[i])
    payload_len = wide(packets.payload_len[i])
    once = wide(fwd["history_once"])
    control = flags & (SYN | FIN | RST)
    if control == SYN:
        if not once & WROTE_SYN or seq != wide(fwd["history_syn"]):
            write_letter(connection, side, LETTER_H if flags & ACK else LETTER_S)
        fwd["history_syn"] = seq
        once |= WROTE_SYN
    elif control == FIN:
        fin_seq = seq_add(seq, payload_len)
        if not once & WROTE_FIN or fin_seq != wide(fwd["history_fin"]):
            write_letter(connection, side, LETTER_F)
        fwd["history_fin"] = fin_seq
        once |= WROTE_FIN
    elif control == RST:
        if not once & WROTE_RST or seq != wide(fwd["history_rst"]):
            write_letter(connection, side, LETTER_R)
        fwd["history_rst"] = seq
        once |= WROTE_RST
    elif control:
        bit = WROTE_FIN_RST if control == FIN | RST else WROTE_MIXED
        if not once & bit:
            write_letter(connection, side, LETTER_I if bit == WROTE_FIN_RST else LETTER_Q)
        once |= bit
    elif payload_len:
        if not once & WROTE_DATA:
            write_letter(connection, side, LETTER_D)
        once |= WROTE_DATA
    elif flags & ACK:
        if not once & WROTE_ACK:
            write_letter(connection, side, LETTER_A)
        once |= WROTE_ACK
    fwd["history_once"] = once

    zero = wide(packets.window[i]) == 0 and not flags & RST
    if zero and wide(rev["zeek_state"]) != ZeekState.CLOSED and wide(fwd["zeek_state"]) != ZeekState.RESET:
        count = wide(fwd["history_zero_windows"]) + 1
        fwd["history_zero_windows"] = count
        if is_power_of_ten(count):
            write_letter(connection, side, LETTER_W)
    if payload_len and not flags & RST and sends_again(fwd, flags, seq):
        count = wide(fwd["history_retransmissions"]) + 1
        fwd["history_retransmissions"] = count
        if is_power_of_ten(count):
            write_letter(connection, side, LETTER_T)


@kernel(inline=True)
def note_datagram(connection: Rows, side: int) -> None:
    """Write the letter of the first UDP datagram of ``side``; ``^`` says that the server's came first."""
    if side == Side.SERVER and wide(connection["history_len"]) == 0:
        write_letter(connection, side, CARET)
    write_letter(connection, side, LETTER_D)


@kernel(inline=True)
def sends_again(fwd: Rows, flags: int, seq: int) -> bool:
    """Whether a segment starts before what ``fwd`` has sent, by more than the octet of a keep-alive or a probe."""
    known = wide(fwd["known"])
    if flags & SYN and known & KNOWS_ISS and seq != wide(fwd["iss"]):
        return False
    return known & KNOWS_SND != 0 and seq_diff(seq, wide(fwd["snd_nxt"])) < -1


@kernel(inline=True)
def note_gap(connection: Rows, side: int, fwd: Rows, rev: Rows, packets: Packets, i: int, events: int) -> None:
    """Write a gap of ``rev`` (the side other than ``side``) when ``fwd`` acknowledges octets that were not captured.

    Zeek's states are those after segment ``i``, the sequence numbers those before it. Gaps count while both sides are
    open or have closed without a reset: otherwise numbers that do not match would look like gaps.
    """
    flags = wide(packets.flags[i])
    if not flags & ACK or flags & RST or not wide(fwd["known"]) & KNOWS_RCV or not wide(rev["known"]) & KNOWS_SND:
        return
    if not (is_clean(fwd) and is_clean(rev)):
        return
    ack = wide(packets.ack[i])
    if wide(rev["known"]) & SENT_FIN and seq_diff(ack, wide(rev["fin_seq"])) > 0:
        ack = wide(rev["fin_seq"])
    if wide(fwd["known"]) & KNOWS_BEYOND and seq_diff(ack, wide(fwd["beyond_to"])) <= 0:
        # what came so far ahead is not remembered in detail; Wireshark's events know what of it follows without a gap
        if not events & 1 << Event.ACK_LOST_SEGMENT:
            return
    missing = seq_diff(ack, wide(fwd["rcv_nxt"]))
    if missing <= 0 or missing > LARGE_JUMP:
        return
    count = wide(rev["history_gaps"]) + 1
    rev["history_gaps"] = count
    if is_power_of_ten(count):
        write_letter(connection, 1 - side, LETTER_G)


@kernel(inline=True)
def is_clean(end: Rows) -> bool:
    """Whether an endpoint is established, or was and closed by FIN."""
    state = wide(end["zeek_state"])
    if state == ZeekState.CLOSED:
        return wide(end["zeek_before"]) == ZeekState.ESTABLISHED
    return state == ZeekState.ESTABLISHED


@kernel(inline=True)
def zeek_move(end: Rows, state: int) -> None:
    """Enter a state, remembering the one before."""
    end["zeek_before"] = end["zeek_state"]
    end["zeek_state"] = state


@kernel(inline=True)
def note_state(side: int, fwd: Rows, rev: Rows, packets: Packets, i: int) -> None:
    """Move ``fwd`` (and ``rev``, where Zeek does) by segment ``i``."""
    flags = wide(packets.flags[i])
    state = wide(fwd["zeek_state"])
    peer = wide(rev["zeek_state"])
    if state == ZeekState.INACTIVE:
        note_first_state(side, fwd, rev, packets, i)
    elif state in (ZeekState.SYN_SENT, ZeekState.SYN_ACK_SENT):
        if flags & FIN:
            zeek_move(fwd, ZeekState.CLOSED)
        if flags & RST:
            zeek_move(fwd, ZeekState.RESET)
    elif state in (ZeekState.ESTABLISHED, ZeekState.PARTIAL):
        if flags & SYN and not flags & ACK and state == ZeekState.PARTIAL and peer == ZeekState.INACTIVE:
            zeek_move(fwd, ZeekState.SYN_SENT)
        if flags & FIN and not flags & RST:
            zeek_move(fwd, ZeekState.CLOSED)
            if peer == ZeekState.RESET and wide(rev["zeek_before"]) == ZeekState.CLOSED:
                zeek_move(rev, ZeekState.CLOSED)  # FIN, then RST: a normal end after all
        if flags & RST:
            zeek_move(fwd, ZeekState.RESET)
    elif state == ZeekState.CLOSED:
        if flags & RST and peer != ZeekState.CLOSED:
            zeek_move(fwd, ZeekState.RESET)


@kernel(inline=True)
def note_first_state(side: int, fwd: Rows, rev: Rows, packets: Packets, i: int) -> None:
    """The first segment of ``fwd``."""
    flags = wide(packets.flags[i])
    peer = wide(rev["zeek_state"])
    if flags & SYN:
        if side == Side.CLIENT:
            zeek_move(fwd, ZeekState.SYN_ACK_SENT if flags & ACK else ZeekState.SYN_SENT)
        else:
            if peer == ZeekState.SYN_SENT:
                zeek_move(rev, ZeekState.ESTABLISHED)
            zeek_move(fwd, ZeekState.ESTABLISHED)
    if flags & FIN:
        zeek_move(fwd, ZeekState.CLOSED)
    if flags & RST:
        zeek_move(fwd, ZeekState.RESET)
    if wide(fwd["zeek_state"]) != ZeekState.INACTIVE:
        return
    if side == Side.SERVER and wide(packets.payload_len[i]) == 0 and peer == ZeekState.SYN_SENT:
        return  # an ACK of the SYN before the SYN-ACK does not make the connection a partial one
    if flags & ACK and peer == ZeekState.ESTABLISHED:
        zeek_move(fwd, ZeekState.ESTABLISHED)
    else:
        zeek_move(fwd, ZeekState.PARTIAL)
