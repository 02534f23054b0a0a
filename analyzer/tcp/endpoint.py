"""One endpoint of a connection: its variables (RFC 9293 3.3.1) and the guards that run before the state table.

A segment passes here twice: ``sends`` for the endpoint that sent it, ``receives`` for the other. Segments are taken as
received when seen; a lost one moves its receiver early, and its retransmission says so.

What a sender says about itself counts as evidence: an endpoint that acknowledges what was not captured has received
it. This is what keeps the states right when the capture has gaps.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import (
    ACK,
    FIN,
    GOT_ACK,
    GOT_FIN,
    HAS_MSS,
    HAS_WINDOW_SCALE,
    KNOWS_AHEAD,
    KNOWS_BEYOND,
    KNOWS_ISS,
    KNOWS_RCV,
    KNOWS_SND,
    RST,
    SENT_FIN,
    SYN,
    U8,
    Packets,
    Rows,
)
from analyzer.tcp.seq import seq_add, seq_diff
from analyzer.tcp.states import Input, Opened, State

# RFC 9293 3.4.2: the maximum segment lifetime is taken to be two minutes
TWO_MSL_NS = 240_000_000_000


@kernel(inline=True)
def move(end: Rows, what: int, transitions: U8, ts_ns: int) -> None:
    """Let an input act on an endpoint's state."""
    before = wide(end["state"])
    after = wide(transitions[before, what])
    if before == State.SYN_RECEIVED and what == Input.RCV_RST and wide(end["opened"]) != Opened.PASSIVE:
        after = wide(State.CLOSED)  # figure 5, note 1
    if after != before:
        end["state"] = after
        if after == State.TIME_WAIT:
            end["closed_ns"] = ts_ns


@kernel(inline=True)
def expire(end: Rows, transitions: U8, ts_ns: int) -> None:
    """TIME-WAIT ends by the capture's clock."""
    if wide(end["state"]) == State.TIME_WAIT and ts_ns - wide(end["closed_ns"]) >= TWO_MSL_NS:
        move(end, Input.TIMEOUT_2MSL, transitions, ts_ns)


@kernel(inline=True)
def sends(end: Rows, peer: Rows, packets: Packets, i: int, ts_ns: int, transitions: U8) -> None:
    """The endpoint ``end`` sends segment ``i`` to ``peer``."""
    flags = wide(packets.flags[i])
    seq = wide(packets.seq[i])
    ack = wide(packets.ack[i])
    known = wide(end["known"])
    state = wide(end["state"])
    if flags & RST:
        # A RST says SEQ = SND.NXT, or SEQ = the peer's SEG.ACK when there is no connection (3.10.7.1). Another number
        # answers a segment of another incarnation.
        if not known & KNOWS_SND or seq == wide(end["snd_nxt"]) or seq == wide(end["snd_una"]):
            move(end, Input.SND_RST, transitions, ts_ns)
        return

    renumbers = flags & SYN and known & KNOWS_ISS and seq != wide(end["iss"])
    if renumbers and state not in (State.SYN_SENT, State.SYN_RECEIVED):
        return  # a SYN out of nowhere does not renumber a connection that is under way
    if flags & ACK:
        if state == State.SYN_SENT and not flags & SYN:
            move(end, Input.RCV_SYN_ACK, transitions, ts_ns)  # it answers a SYN,ACK that was not captured
        if not known & KNOWS_RCV or seq_diff(ack, wide(end["rcv_nxt"])) > 0:
            end["rcv_nxt"] = ack
            known |= KNOWS_RCV
            if known & KNOWS_AHEAD and seq_diff(ack, wide(end["ahead_from"])) >= 0:
                known &= ~KNOWS_AHEAD
                if seq_diff(wide(end["ahead_to"]), ack) > 0:
                    end["rcv_nxt"] = end["ahead_to"]
        elif flags & SYN and state == State.SYN_RECEIVED and wide(peer["known"]) & KNOWS_ISS:
            if seq_diff(ack, wide(peer["iss"])) > 0:
                end["rcv_nxt"] = ack  # of the SYN's payload only this much was taken
        end["ack"] = ack
        known |= GOT_ACK
        end["known"] = known
        take_fin(end, peer, transitions, ts_ns)
        known = wide(end["known"])

    if flags & SYN:
        if not flags & ACK:
            move(end, Input.SND_SYN, transitions, ts_ns)
            end["opened"] = Opened.ACTIVE
        options = wide(packets.options[i])
        end["iss"] = seq
        end["mss"] = packets.mss[i]
        end["window_scale"] = -1
        if options & HAS_WINDOW_SCALE:
            end["window_scale"] = packets.window_scale[i]
        if not options & HAS_MSS:
            end["mss"] = 0
        if not known & KNOWS_SND:
            end["snd_una"] = seq
        elif renumbers:
            end["snd_una"] = seq
            end["snd_nxt"] = seq
        known |= KNOWS_ISS

    if not known & KNOWS_SND:
        end["snd_nxt"] = seq
        if not flags & SYN:
            end["iss"] = seq_add(seq, -1)
            end["snd_una"] = seq
        known |= KNOWS_SND
    segment_end = seq_add(seq, wide(packets.payload_len[i]) + (1 if flags & SYN else 0))
    if flags & FIN:
        if not known & SENT_FIN or seq_diff(segment_end, wide(end["fin_seq"])) < 0:
            end["fin_seq"] = segment_end
        crossed = wide(end["state"]) == State.CLOSE_WAIT and flags & ACK and seq_diff(ack, wide(peer["fin_seq"])) <= 0
        if crossed and not known & SENT_FIN:
            # Its ACK says that the peer's FIN had not arrived when it closed: the FINs crossed (RFC 9293 figure 13).
            end["state"] = State.ESTABLISHED
            move(end, Input.SND_FIN, transitions, ts_ns)
            move(end, Input.RCV_FIN, transitions, ts_ns)
        else:
            move(end, Input.SND_FIN, transitions, ts_ns)
        known |= SENT_FIN
        segment_end = seq_add(segment_end, 1)
    if seq_diff(segment_end, wide(end["snd_nxt"])) > 0:
        end["snd_nxt"] = segment_end
    end["known"] = known


@kernel(inline=True)
def receives(end: Rows, peer: Rows, packets: Packets, i: int, ts_ns: int, transitions: U8) -> None:
    """The endpoint ``end`` receives segment ``i`` from ``peer``: RFC 9293 3.10.7.2 to 3.10.7.4."""
    flags = wide(packets.flags[i])
    seq = wide(packets.seq[i])
    ack = wide(packets.ack[i])
    payload_len = wide(packets.payload_len[i])
    state = wide(end["state"])
    if state == State.CLOSED:
        return
    if state == State.LISTEN:
        if flags & SYN and not flags & (RST | ACK):
            move(end, Input.RCV_SYN, transitions, ts_ns)
            end["opened"] = Opened.PASSIVE
            expect_from(end, seq_add(seq, 1 + payload_len))
        return
    known = wide(end["known"])
    if state == State.SYN_SENT:
        acceptable = flags & ACK != 0
        if acceptable and known & KNOWS_ISS:
            acceptable = seq_diff(ack, wide(end["iss"])) > 0 and seq_diff(ack, wide(end["snd_nxt"])) <= 0
        if flags & ACK and not acceptable:
            return
        if flags & RST:
            if acceptable:
                move(end, Input.RCV_RST, transitions, ts_ns)
            return
        if not flags & SYN:
            return
        if acceptable:
            if not known & KNOWS_SND:  # its SYN was not captured; the peer tells its number
                end["iss"] = seq_add(ack, -1)
                end["snd_nxt"] = ack
                end["known"] = known | KNOWS_SND
            end["snd_una"] = ack
            move(end, Input.RCV_SYN_ACK, transitions, ts_ns)
        else:
            move(end, Input.RCV_SYN, transitions, ts_ns)
        expect_from(end, seq_add(seq, 1 + payload_len))
        if acceptable:
            take_fin(end, peer, transitions, ts_ns)
        return

    if flags & RST:
        # RFC 9293 3.10.7.4: only SEQ = RCV.NXT resets; elsewhere in the window it asks for a challenge ACK. What the
        # peer itself has seen acknowledged may lag behind what this side has received.
        if not known & KNOWS_RCV or seq == wide(end["rcv_nxt"]) or (known & GOT_ACK and seq == wide(end["ack"])):
            move(end, Input.RCV_RST, transitions, ts_ns)
        return
    if flags & SYN:
        # A SYN in a synchronized state is answered, not obeyed; but in SYN-RECEIVED after a simultaneous open the
        # SYN,ACK repeats the SYN and its ACK counts (RFC 9293 figure 7).
        if state != State.SYN_RECEIVED or not flags & ACK:
            return
    elif state == State.TIME_WAIT and flags & FIN:
        end["closed_ns"] = ts_ns  # a FIN that comes again begins the 2MSL anew (3.10.7.4, eighth)
    if not flags & ACK:
        return

    if not known & KNOWS_SND:  # what it sent was not captured; the peer tells how far it got
        end["snd_una"] = ack
        end["snd_nxt"] = ack
        end["iss"] = seq_add(ack, -1)
        end["known"] = known | KNOWS_SND
    if state == State.SYN_RECEIVED:
        iss = wide(end["iss"])
        if known & KNOWS_ISS and not 0 < seq_diff(ack, iss) <= seq_diff(wide(end["snd_nxt"]), iss):
            return
        move(end, Input.RCV_ACK_OF_SYN, transitions, ts_ns)
    if seq_diff(ack, wide(end["snd_una"])) > 0:
        end["snd_una"] = ack
    if known & SENT_FIN and seq_diff(ack, wide(end["fin_seq"])) > 0:
        move(end, Input.RCV_ACK_OF_FIN, transitions, ts_ns)
    if not flags & SYN:
        take_octets(end, seq, payload_len)
        take_fin(end, peer, transitions, ts_ns)


@kernel(inline=True)
def expect_from(end: Rows, rcv_nxt: int) -> None:
    """The peer's SYN tells which sequence number comes next."""
    end["rcv_nxt"] = rcv_nxt
    end["known"] = (wide(end["known"]) | KNOWS_RCV) & ~KNOWS_AHEAD


@kernel(inline=True)
def take_octets(end: Rows, seq: int, payload_len: int) -> None:
    """Advance RCV.NXT over a segment's payload, and over what was received ahead of a gap that it fills.

    One stretch ahead of RCV.NXT is remembered; octets farther off count when they come again or are acknowledged.
    """
    known = wide(end["known"])
    if not known & KNOWS_RCV:
        end["rcv_nxt"] = seq_add(seq, payload_len)
        end["known"] = known | KNOWS_RCV
        return
    if payload_len == 0:
        return
    after = seq_add(seq, payload_len)
    rcv_nxt = wide(end["rcv_nxt"])
    if seq_diff(seq, rcv_nxt) > 0:
        if not known & KNOWS_AHEAD:
            end["ahead_from"] = seq
            end["ahead_to"] = after
            end["known"] = known | KNOWS_AHEAD
        elif seq_diff(seq, wide(end["ahead_to"])) <= 0 and seq_diff(after, wide(end["ahead_from"])) >= 0:
            if seq_diff(seq, wide(end["ahead_from"])) < 0:
                end["ahead_from"] = seq
            if seq_diff(after, wide(end["ahead_to"])) > 0:
                end["ahead_to"] = after
        elif not known & KNOWS_BEYOND or seq_diff(after, wide(end["beyond_to"])) > 0:
            end["beyond_to"] = after
            end["known"] = known | KNOWS_BEYOND
        return
    if seq_diff(after, rcv_nxt) > 0:
        rcv_nxt = after
    if known & KNOWS_AHEAD and seq_diff(rcv_nxt, wide(end["ahead_from"])) >= 0:
        if seq_diff(wide(end["ahead_to"]), rcv_nxt) > 0:
            rcv_nxt = wide(end["ahead_to"])
        end["known"] = known & ~KNOWS_AHEAD
    end["rcv_nxt"] = rcv_nxt


@kernel(inline=True)
def take_fin(end: Rows, peer: Rows, transitions: U8, ts_ns: int) -> None:
    """The peer's FIN counts once all before it has arrived; behind a gap it waits (RFC 9293 3.10.7.4, eighth check)."""
    known = wide(end["known"])
    if known & GOT_FIN or not wide(peer["known"]) & SENT_FIN or not known & KNOWS_RCV:
        return
    fin_seq = wide(peer["fin_seq"])
    if seq_diff(wide(end["rcv_nxt"]), fin_seq) < 0:
        return
    if wide(end["state"]) in (State.CLOSED, State.LISTEN, State.SYN_SENT, State.SYN_RECEIVED):
        return
    end["known"] = known | GOT_FIN
    if wide(end["rcv_nxt"]) == fin_seq:
        end["rcv_nxt"] = seq_add(fin_seq, 1)
    move(end, Input.RCV_FIN, transitions, ts_ns)
