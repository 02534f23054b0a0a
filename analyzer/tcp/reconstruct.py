"""Batches of packets to connections and labels: the pass that every packet goes through, and the tables it fills."""

from __future__ import annotations

import numpy as np

from analyzer.jit import fastest, kernel, wide
from analyzer.tables import (
    ACK,
    ACK_SEEN,
    CONNECTION,
    DATA_SEEN,
    ENDPOINT,
    FIN,
    FIN_SEEN,
    I64,
    KNOWS_SND,
    NO_SERVERS,
    RST,
    RST_SEEN,
    SENT_FIN,
    SYN,
    SYN_ACK_SEEN,
    SYN_SEEN,
    U8,
    UNACKED,
    ClosedBy,
    Count,
    Event,
    Evidence,
    Frames,
    Labels,
    Packets,
    Protocol,
    Rows,
    Side,
    Status,
    empty_labels,
)
from analyzer.tcp.connections import (
    find_slot,
    is_clients_syn,
    is_new_incarnation,
    is_of_former,
    rehash,
    side_of,
    start_connection,
    was_refused,
)
from analyzer.tcp.duplicates import (
    COLUMNS,
    PLACES,
    is_copy,
    is_datagram_copy,
    remember,
)
from analyzer.tcp.endpoint import expire, receives, sends
from analyzer.tcp.events import payload_on_wire, segment_events
from analyzer.tcp.history import CARET, ZeekState, note_datagram, note_gap, note_segment, note_state, write_letter
from analyzer.tcp.identities import Identities, identify
from analyzer.tcp.letting_go import keep_slots, move_together, words_of
from analyzer.tcp.measures import note_in_flight, note_silence, note_window
from analyzer.tcp.phases import phase_of
from analyzer.tcp.reasons import note_ignored_ack, note_reset, note_stall, note_tries, note_unreachable, note_wait
from analyzer.tcp.seq import seq_diff
from analyzer.tcp.speakers import NOBODY, may_turn, turn_round
from analyzer.tcp.states import ANY_OTHER, FIRST_SEGMENT, Opened, State, transition_table
from analyzer.tcp.summary import count_segment
from analyzer.tcp.unacknowledged import MOST_ROWS, give_back_rows, is_full

# Rows to start with; tables double when full. They are zero pages that take no memory before they are written, so that
# most captures never copy their tables.
FIRST_ROWS = 1 << 19
FIRST_SLOTS = 1 << 10
FIRST_UNACKED = 1 << 19

# FIRST_SEGMENT's cells, in a form that a kernel reads
BEFORE_SYN_SENDER, BEFORE_SYN_RECEIVER = FIRST_SEGMENT["SYN"]
BEFORE_SYN_ACK_SENDER, BEFORE_SYN_ACK_RECEIVER = FIRST_SEGMENT["SYN,ACK"]
BEFORE_OTHER_SENDER, BEFORE_OTHER_RECEIVER = FIRST_SEGMENT[ANY_OTHER]


class Reconstruction:
    """The connections seen so far. Feed it batches in capture order; any split into batches gives the same answer.

    Attributes: ``connections`` (CONNECTION rows) and ``endpoints`` (ENDPOINT rows, ``[connection, Side]``), of which
    the first ``count`` are in use, in the order of their first packets. A row stays where it is until ``let_go``.
    """

    def __init__(self) -> None:
        self.connections: Rows = np.zeros(FIRST_ROWS, CONNECTION)
        self.endpoints: Rows = np.zeros((FIRST_ROWS, 2), ENDPOINT)
        self.count = 0
        self._slots: I64 = np.zeros(FIRST_SLOTS, np.int64)
        self._unacked: Rows = np.zeros(FIRST_UNACKED, UNACKED)
        self._transitions: U8 = transition_table()
        self._recent: I64 = np.zeros((PLACES, COLUMNS), np.int64)
        self._counts: I64 = np.zeros(len(Count), np.int64)

    def feed(
        self, frames: Frames, packets: Packets, servers: Rows = NO_SERVERS, identities: Identities | None = None
    ) -> Labels:
        """Take one batch and label its packets. ``servers`` (KNOWN_SERVER) tell who is the client where no SYN does.

        ``identities`` are those of the batch where somebody has made them ahead.
        """
        if identities is None:
            identities = identify(frames, packets)
        labels = empty_labels(len(frames.start))
        run = fastest(reconstruct_batch)
        done = 0
        while True:
            done = run(
                frames, packets, identities, labels, self.connections, self.endpoints, words_of(self.endpoints),
                self._slots, self._recent, self._counts, self._unacked, self._transitions, servers, done,
            )  # fmt: skip
            self.count = self.counted(Count.CONNECTIONS)
            if done == len(frames.start):
                return labels
            self._grow()

    @property
    def started(self) -> int:
        """Connections that there ever were."""
        return self.counted(Count.STARTED)

    def counted(self, what: Count) -> int:
        """What was counted so far, over all connections."""
        return int(self._counts[what])

    def let_go(self, rows: I64) -> None:
        """Forget these connections; the rows of those that stay move."""
        stays = np.ones(self.count, np.bool_)
        stays[rows] = False
        kept = np.flatnonzero(stays)
        fastest(give_back_rows)(self._unacked, self.endpoints, rows)
        moved = np.where(stays, np.cumsum(stays) - 1, -1)
        for table in (self.connections, self.endpoints):
            move_together(table, kept, self.count)
        self.count = len(kept)
        former = self.connections["former"][: self.count]
        former[:] = np.where(former > 0, moved[former - 1] + 1, 0)
        slots: I64 = np.zeros(len(self._slots), np.int64)
        self._counts[:2] = self.count, fastest(keep_slots)(self._slots, slots, self.connections, moved)
        self._slots = slots

    def _grow(self) -> None:
        """Double what is full."""
        if is_full(self._unacked):
            unacked: Rows = np.zeros(min(2 * len(self._unacked), MOST_ROWS), UNACKED)
            unacked[: len(self._unacked)] = self._unacked
            self._unacked = unacked
        rows = len(self.connections)
        if self.count == rows:
            connections: Rows = np.zeros(2 * rows, CONNECTION)
            connections[:rows] = self.connections
            self.connections = connections
            endpoints: Rows = np.zeros((2 * rows, 2), ENDPOINT)
            endpoints[:rows] = self.endpoints
            self.endpoints = endpoints
        if 2 * int(self._counts[1]) >= len(self._slots):
            slots: I64 = np.zeros(4 * len(self._slots), np.int64)
            fastest(rehash)(self._slots, slots, self.connections)
            self._slots = slots


@kernel(inline=True)
def reconstruct_batch(
    frames: Frames, packets: Packets, identities: Identities, labels: Labels, connections: Rows, endpoints: Rows,
    endpoint_words: I64, slots: I64, recent: I64, counts: I64, unacked: Rows, transitions: U8, servers: Rows,
    first: int,
) -> int:  # fmt: skip
    """Take packets ``first`` and on. Returns how far it came: short of the batch's length when a table is full.

    ``endpoint_words`` is the memory of ``endpoints``, ``recent`` the table of recent segments (duplicates.py),
    ``counts`` is by Count.
    """
    for i in range(first, len(packets.status)):
        protocol = wide(packets.protocol[i])
        if protocol not in (Protocol.TCP, Protocol.UDP) or wide(packets.status[i]) != Status.WHOLE:
            if wide(packets.unreachable[i]):
                note_unreachable(slots, connections, endpoints, packets, i, wide(frames.number[i]))
            continue
        count = wide(counts[Count.CONNECTIONS])
        if count == len(connections) or 2 * wide(counts[Count.SLOTS]) >= len(slots) or is_full(unacked):
            return i
        ts_ns = wide(frames.ts_ns[i])
        number = wide(frames.number[i])
        h = wide(identities.hash[i])
        slot = find_slot(slots, connections, packets, i, protocol, h)
        entry = wide(slots[slot])
        row = (entry & 0xFFFFFFFF) - 1
        side = -1
        reused = False
        copied = False
        place = wide(identities.place[i])
        fingerprint = wide(identities.fingerprint[i])
        if entry:
            side = side_of(connections[row], packets, i, protocol)
            if protocol == Protocol.TCP:
                reused = is_new_incarnation(endpoints[row, side], endpoints[row, 1 - side], packets, i)
                former = wide(connections[row]["former"]) - 1
                if former >= 0 and is_of_former(endpoints[row, side], endpoints[row, 1 - side], packets, i):
                    row = former
                    side = side_of(connections[row], packets, i, protocol)
                fwd, rev = endpoints[row, side], endpoints[row, 1 - side]
                copied = is_copy(recent, fingerprint, place, fwd, rev, packets, i, ts_ns)
            else:
                fragmentable = wide(identities.fragmentable[i])
                copied = is_datagram_copy(
                    recent, fingerprint, place, fragmentable, endpoints[row, side], packets, i, ts_ns
                )
        if entry == 0 or (reused and not copied):
            if entry == 0:
                counts[Count.SLOTS] = wide(counts[Count.SLOTS]) + 1
            former = row
            row = count
            counts[Count.CONNECTIONS] = count + 1
            slots[slot] = (h >> 1) << 32 | (row + 1)
            side = start_connection(connections[row], packets, i, h, ts_ns, number, servers)
            connections[row]["former"] = former + 1
            counts[Count.STARTED] = wide(counts[Count.STARTED]) + 1
            connections[row]["number"] = counts[Count.STARTED]
            if protocol == Protocol.TCP:
                first_segment(connections[row], side, endpoints[row, side], endpoints[row, 1 - side], packets, i)
        turned = 0
        if protocol == Protocol.TCP and not copied and wide(connections[row]["client_evidence"]) != Evidence.SYN:
            speaker = NOBODY
            if is_clients_syn(endpoints[row, 1 - side], packets, i):
                speaker = Side.CLIENT
                connections[row]["client_evidence"] = Evidence.SYN
            elif may_turn(connections[row], endpoints[row, 0], endpoints[row, 1]):
                speaker = wide(identities.speaker[i])
                if speaker != NOBODY:
                    connections[row]["client_evidence"] = Evidence.DATA
            if speaker not in (NOBODY, side):
                turn_round(connections[row], row, endpoint_words)
                side = speaker
                if wide(connections[row]["first_packet"]) != number:
                    turned = 1 << Event.TURNED_ROUND
        labels.connection[i] = connections[row]["number"]
        labels.side[i] = side
        before_ns = wide(connections[row]["last_ns"])
        before = wide(connections[row]["last_packet"])
        connections[row]["last_ns"] = ts_ns
        connections[row]["last_packet"] = number
        sender, receiver = endpoints[row, side], endpoints[row, 1 - side]
        if protocol == Protocol.TCP:
            if not copied:
                note_silence(sender, ts_ns)
                note_wait(connections[row], side, sender, receiver, packets, i, ts_ns, number)
                if wide(packets.flags[i]) & RST:
                    note_reset(connections[row], side, sender, receiver, packets, i, ts_ns, before_ns, before)
                else:
                    sender["ttl"] = packets.ttl[i]
            on_wire = payload_on_wire(frames.start, frames.origlen, packets, i)
            events = segment_events(
                connections[row], sender, receiver, packets, labels, i, on_wire, ts_ns, number, unacked, copied
            )
            if copied:
                labels.events[i] = events | 1 << Event.CAPTURE_DUPLICATE
                copy(connections[row], sender, receiver, packets, labels, i, ts_ns)
                count_copy(sender, counts, number)
                continue
            remember(recent, fingerprint, place, sender, receiver, packets, i, ts_ns)
            labels.events[i] = events
            note_tries(sender, receiver, wide(packets.flags[i]), events)
            segment(connections[row], sender, receiver, packets, labels, i, ts_ns, number, transitions)
            payload_len = wide(packets.payload_len[i])
            if payload_len > wide(receiver["mss"]) > 0:
                counts[Count.BEYOND_MSS] = wide(counts[Count.BEYOND_MSS]) + 1
                counts[Count.LONGEST_BEYOND_MSS] = max(wide(counts[Count.LONGEST_BEYOND_MSS]), payload_len)
            labels.events[i] = wide(labels.events[i]) | turned
            if reused:
                labels.events[i] = wide(labels.events[i]) | 1 << Event.REUSED_PORTS
        elif copied:
            labels.events[i] = 1 << Event.CAPTURE_DUPLICATE
            count_copy(sender, counts, number)
        else:
            remember(recent, fingerprint, place, sender, receiver, packets, i, ts_ns)
            if wide(sender["packets"]) == 0:
                note_datagram(connections[row], side)
            sender["packets"] = wide(sender["packets"]) + 1
            payload_len = wide(packets.payload_len[i])
            sender["payload_bytes"] = wide(sender["payload_bytes"]) + payload_len
            sender["unique_bytes"] = wide(sender["unique_bytes"]) + payload_len
            if payload_len:
                sender["data_packets"] = wide(sender["data_packets"]) + 1
    return len(packets.status)


@kernel(inline=True)
def first_segment(connection: Rows, side: int, fwd: Rows, rev: Rows, packets: Packets, i: int) -> None:
    """The states before the first segment seen, as far as it tells."""
    flags = wide(packets.flags[i])
    if flags & SYN and flags & ACK:
        fwd["state"] = BEFORE_SYN_ACK_SENDER
        rev["state"] = BEFORE_SYN_ACK_RECEIVER
        fwd["opened"] = Opened.PASSIVE
        rev["opened"] = Opened.ACTIVE
    elif flags & SYN:
        fwd["state"] = BEFORE_SYN_SENDER
        rev["state"] = BEFORE_SYN_RECEIVER
    else:
        fwd["state"] = BEFORE_OTHER_SENDER
        rev["state"] = BEFORE_OTHER_RECEIVER
    if side == Side.SERVER and wide(connection["client_evidence"]) != Evidence.FIRST_PACKET:
        write_letter(connection, side, CARET)


@kernel(inline=True)
def open_again(fwd: Rows, rev: Rows) -> None:
    """The SYN of ``fwd`` comes again after it ``was_refused``: the states are as before the first one.

    The packets that are remembered are those of the latest attempt, for it decides what becomes of the connection.
    """
    fwd["state"] = BEFORE_SYN_SENDER
    rev["state"] = BEFORE_SYN_RECEIVER
    rev["known"] = 0
    fwd["zeek_state"] = ZeekState.INACTIVE
    rev["zeek_state"] = ZeekState.INACTIVE
    fwd["syn_packet"] = 0
    fwd["rst_packet"] = 0
    rev["rst_packet"] = 0


@kernel(inline=True)
def segment(
    connection: Rows, fwd: Rows, rev: Rows, packets: Packets, labels: Labels, i: int, ts_ns: int, number: int,
    transitions: U8,
) -> None:  # fmt: skip
    """Segment ``i`` goes from ``fwd`` to ``rev``: everything that it says, in the order in which it is judged."""
    flags = wide(packets.flags[i])
    side = wide(labels.side[i])
    expire(fwd, transitions, ts_ns)
    expire(rev, transitions, ts_ns)
    if flags & (SYN | ACK | FIN | RST) == SYN and was_refused(fwd, rev):
        open_again(fwd, rev)

    phase = phase_of(connection, side, fwd, rev, packets, i)
    labels.phase[i] = phase
    connection["phase"] = phase
    note_phase(connection, phase, ts_ns)
    note_segment(connection, side, fwd, rev, packets, i)
    note_state(side, fwd, rev, packets, i)
    note_gap(connection, side, fwd, rev, packets, i, wide(labels.events[i]))
    note_completeness(connection, flags, wide(packets.payload_len[i]))
    count_segment(fwd, rev, packets, labels, i, wide(labels.events[i]))
    note_window(fwd, rev, packets, i)
    note_stall(connection, fwd, packets, i, ts_ns, number)
    note_handshake(connection, side, fwd, rev, flags, ts_ns)
    if flags & FIN and wide(fwd["fin_packet"]) == 0:
        fwd["fin_packet"] = number
        note_closer(connection, side, rev, packets, i)
    if flags & RST and wide(fwd["rst_packet"]) == 0:
        fwd["rst_packet"] = number
    if flags & SYN:
        if wide(fwd["syn_packet"]) == 0:
            fwd["syn_packet"] = number
        note_ignored_ack(fwd, flags)

    sends(fwd, rev, packets, i, ts_ns, transitions)
    if wide(packets.payload_len[i]):
        note_in_flight(fwd)
        connection["spoke_last"] = side + 1
    receives(rev, fwd, packets, i, ts_ns, transitions)
    if wide(rev["known"]) & SENT_FIN and wide(rev["fin_acked_packet"]) == 0:
        if seq_diff(wide(rev["snd_una"]), wide(rev["fin_seq"])) > 0:
            rev["fin_acked_packet"] = number
    label(side, fwd, rev, packets, labels, i)


@kernel(inline=True)
def copy(connection: Rows, fwd: Rows, rev: Rows, packets: Packets, labels: Labels, i: int, ts_ns: int) -> None:
    """Segment ``i`` is the capture's copy of one that ``fwd`` sent: it has its place in a phase, and moves nothing."""
    phase = wide(connection["phase"])
    note_phase(connection, phase, ts_ns)
    labels.phase[i] = phase
    note_completeness(connection, wide(packets.flags[i]), wide(packets.payload_len[i]))
    label(wide(labels.side[i]), fwd, rev, packets, labels, i)


@kernel(inline=True)
def count_copy(fwd: Rows, counts: I64, number: int) -> None:
    """Count a copy of what ``fwd`` sent: a packet more, and nothing else."""
    fwd["packets"] = wide(fwd["packets"]) + 1
    fwd["capture_duplicates"] = wide(fwd["capture_duplicates"]) + 1
    if wide(counts[Count.CAPTURE_DUPLICATES]) == 0:
        counts[Count.FIRST_CAPTURE_DUPLICATE] = number
    counts[Count.CAPTURE_DUPLICATES] = wide(counts[Count.CAPTURE_DUPLICATES]) + 1


@kernel(inline=True)
def label(side: int, fwd: Rows, rev: Rows, packets: Packets, labels: Labels, i: int) -> None:
    """Write the states, and the sequence numbers relative to what is known of both ends."""
    flags = wide(packets.flags[i])
    client, server = fwd, rev
    if side == Side.SERVER:
        client, server = rev, fwd
    labels.client_state[i] = client["state"]
    labels.server_state[i] = server["state"]
    labels.seq[i] = (wide(packets.seq[i]) - wide(fwd["iss"])) & 0xFFFFFFFF if wide(fwd["known"]) & KNOWS_SND else 1
    if flags & ACK:
        if not wide(rev["known"]) & KNOWS_SND:
            labels.ack[i] = 1
        else:
            labels.ack[i] = (wide(packets.ack[i]) - wide(rev["iss"])) & 0xFFFFFFFF


@kernel(inline=True)
def note_phase(connection: Rows, phase: int, ts_ns: int) -> None:
    """Count a packet in its phase."""
    packets = wide(connection["phase_packets"][phase])
    if packets == 0:
        connection["phase_first_ns"][phase] = ts_ns
    connection["phase_packets"][phase] = packets + 1
    connection["phase_last_ns"][phase] = ts_ns


@kernel(inline=True)
def note_completeness(connection: Rows, flags: int, payload_len: int) -> None:
    """Wireshark's tcp.completeness: a first segment counts when it is a SYN, a SYN when it is the first. Copies count.

    Deviates: the SYN of a connection that FTP's commands announced counts too; Wireshark leaves it out.
    """
    seen = wide(connection["completeness"])
    if wide(connection["first_packet"]) == wide(connection["last_packet"]):
        if flags & (SYN | ACK) == SYN:
            seen = SYN_SEEN | (DATA_SEEN if payload_len and not wide(connection["former"]) else 0)
        connection["completeness"] = seen
        return
    if flags & ACK:
        if flags & SYN:
            seen |= SYN_ACK_SEEN
        else:
            seen |= DATA_SEEN if payload_len else ACK_SEEN
        if flags & FIN:
            seen |= FIN_SEEN
    if flags & RST:
        seen |= RST_SEEN
    connection["completeness"] = seen


@kernel(inline=True)
def note_handshake(connection: Rows, side: int, fwd: Rows, rev: Rows, flags: int, ts_ns: int) -> None:
    """The handshake's round trip: from the client's latest SYN to its first ACK of the SYN-ACK."""
    if side != Side.CLIENT or flags & SYN or not flags & ACK:
        return
    if wide(connection["handshake_rtt_ns"]) < 0 and wide(fwd["syns"]) and wide(rev["syns"]):
        connection["handshake_rtt_ns"] = ts_ns - wide(connection["syn_ns"])


@kernel(inline=True)
def note_closer(connection: Rows, side: int, rev: Rows, packets: Packets, i: int) -> None:
    """The first FIN of ``side``: it closes, unless the other's FIN came before; both do when their FINs crossed."""
    if wide(connection["closed_by"]) == ClosedBy.NOBODY:
        connection["closed_by"] = ClosedBy.CLIENT if side == Side.CLIENT else ClosedBy.SERVER
    elif wide(rev["known"]) & SENT_FIN and seq_diff(wide(packets.ack[i]), wide(rev["fin_seq"])) <= 0:
        if wide(packets.flags[i]) & ACK and wide(rev["state"]) == State.FIN_WAIT_1:
            connection["closed_by"] = ClosedBy.BOTH
