"""Circumstances: what the rows prove of a connection besides why it ended; each is a sentence after the cause's.

Templates are those of explain/why.py, which see. A circumstance of one side, whoever the cause's actor is, has its
actor in ``ABOUT``.
"""

from __future__ import annotations

from enum import IntEnum

from analyzer.explain.causes import (
    IDLE_S,
    VANISHED_TRIES,
    Cause,
    is_in_handshake,
    is_reset,
    is_undelivered,
    segments_of,
    silent_side,
)
from analyzer.jit import kernel, wide
from analyzer.language import text
from analyzer.tables import Protocol, Rows, Side
from analyzer.tcp.states import State
from analyzer.traces import (
    BY_DESTINATION,
    QUOTES_UDP,
    RST_ACKS,
    RST_ID,
    RST_UNANSWERED,
    UNREACHABLE_REASON,
    Unreachable,
)

STALLED_SHORT = 76
"""A window that was zero is told of from 5 ms on: in SHORT_NS."""


class Remark(IntEnum):
    """What else the rows prove: bits, told in this order; troubles come before the cause's sentence, advice last."""

    CLIENT_STALLED = 0
    CLIENT_STALLED_OFTEN = 1
    CLIENT_STILL_STALLED = 2
    SERVER_STALLED = 3
    SERVER_STALLED_OFTEN = 4
    SERVER_STILL_STALLED = 5
    CLIENT_NAGLE = 6
    CLIENT_NAGLE_OFTEN = 7
    SERVER_NAGLE = 8
    SERVER_NAGLE_OFTEN = 9
    FIN_WITH_ACK = 10
    LATE_DATA = 11
    TIME_WAIT = 12
    LAST_ACK = 13
    BOTH_TIME_WAIT = 14
    RST_AFTER_CLOSE = 15
    NO_FIN_BEFORE_RST = 16
    ACTOR_HAD_CLOSED = 17
    PEER_HAD_CLOSED = 18
    RST_IN_HANDSHAKE = 19
    SYN_REPEATED = 20
    SILENT_SERVER = 21
    SYN_ACK_REPEATED = 22
    CLOSE_WAIT = 23
    PERHAPS_CLOSE_WAIT = 24
    FIN_UNACKNOWLEDGED = 25
    RST_IGNORED = 26
    RST_ANSWERS = 27
    RST_AFTER_SILENCE = 28
    RST_RIGHT_AFTER_HANDSHAKE = 29
    CLOSED_UNREAD = 30
    PERHAPS_NOT_ACCEPTED = 31
    NOTHING_UNREAD = 32
    NOTHING_UNREAD_PERHAPS_NOT_ACCEPTED = 33
    PERHAPS_UNREAD = 34
    RST_ID_UNLIKE = 35
    ENDED_BY_RST = 36
    PEER_SILENT = 37
    ICMP_FROM_DESTINATION = 38
    ICMP_FROM_THE_WAY = 39
    NO_UDP_PROGRAM = 40
    REJECTED_BY_A_RULE = 41
    ICMP_BESIDES = 42
    NEVER_USED = 43
    START_UNSEEN = 44
    ONE_SIDED = 45
    ADVICE_READ = 46
    ADVICE_ACCEPT = 47
    ADVICE_LINGER = 48
    ADVICE_ACCEPT_OR_LINGER = 49


TROUBLES = range(Remark.CLIENT_STALLED, Remark.SERVER_NAGLE_OFTEN + 1)
"""What held the data up: told before why the connection ended."""

_STALLED = text(
    "The {actor} did not read: its window was zero for {actor_stalled_ms} ms, from packet {actor_stall} on, and the "
    "{peer} had to wait. Its program must call recv() more often."
)
_STALLED_OFTEN = text(
    "The {actor} did not read: its window was zero for {actor_stalled_ms} ms in all, at most {actor_longest_stall_ms} "
    "ms at a time, first in packet {actor_stall}, and the {peer} had to wait. Its program must call recv() more often."
)
_STILL_STALLED = text("It was still zero at the connection's last packet ({last_packet}).")
_NAGLE = text(
    "A small segment of the {actor} (packet {nagle_packet}) waited {nagle_ms} ms for the {peer}'s delayed ACK, as "
    "Nagle's algorithm lets it wait. One write for all that belongs together, or TCP_NODELAY, avoids it."
)
_NAGLE_OFTEN = text(
    "Small segments of the {actor} waited for the {peer}'s delayed ACK, {nagle_waits} of them (first packet "
    "{nagle_packet}), {nagle_ms} ms in all, as Nagle's algorithm lets them wait. One write for all that belongs "
    "together, or TCP_NODELAY, avoids it."
)
REMARKS = {
    Remark.CLIENT_STALLED: _STALLED,
    Remark.CLIENT_STALLED_OFTEN: _STALLED_OFTEN,
    Remark.CLIENT_STILL_STALLED: _STILL_STALLED,
    Remark.SERVER_STALLED: _STALLED,
    Remark.SERVER_STALLED_OFTEN: _STALLED_OFTEN,
    Remark.SERVER_STILL_STALLED: _STILL_STALLED,
    Remark.CLIENT_NAGLE: _NAGLE,
    Remark.CLIENT_NAGLE_OFTEN: _NAGLE_OFTEN,
    Remark.SERVER_NAGLE: _NAGLE,
    Remark.SERVER_NAGLE_OFTEN: _NAGLE_OFTEN,
    Remark.FIN_WITH_ACK: text("That FIN also acknowledged the {actor}'s."),
    Remark.LATE_DATA: text(
        "The {peer} still sent data after the {actor}'s FIN and was not reset for it: the {actor} had closed its "
        "sending direction only (half-close, shutdown(SHUT_WR))."
    ),
    Remark.TIME_WAIT: text("TIME-WAIT (2 MSL) stays with the {actor}, the side that closed first."),
    Remark.LAST_ACK: text("No acknowledgement of the {peer}'s FIN was seen: the {peer} waits for it in LAST-ACK."),
    Remark.BOTH_TIME_WAIT: text("TIME-WAIT (2 MSL) stays with both."),
    Remark.RST_AFTER_CLOSE: text(
        "A RST (packet {first_rst}) was sent too; the connection counts as closed by its FINs."
    ),
    Remark.NO_FIN_BEFORE_RST: text(
        "No FIN came before: its program closed the socket with unread data in it or with SO_LINGER 0, or died, or "
        "somebody ended the connection from outside (ss -K), or a device on the way sent the RST in its name; the wire "
        "does not tell which."
    ),
    Remark.ACTOR_HAD_CLOSED: text(
        "It had sent its FIN (packet {actor_fin}); a socket that is closed entirely answers what still arrives with a "
        "RST."
    ),
    Remark.PEER_HAD_CLOSED: text("The {peer} had sent its FIN (packet {peer_fin})."),
    Remark.RST_IN_HANDSHAKE: text("The handshake was not finished."),
    Remark.SYN_REPEATED: text("The client sent its SYN {client_syns} times."),
    Remark.SILENT_SERVER: text(
        "Nothing came from the server: a firewall dropped the SYN, the host is down, its accept queue is full, or its "
        "answer was lost; the wire does not tell which."
    ),
    Remark.SYN_ACK_REPEATED: text("The server sent its SYN-ACK {server_syns} times."),
    Remark.CLOSE_WAIT: text("The {peer} stays in CLOSE-WAIT until its program closes the socket."),
    Remark.PERHAPS_CLOSE_WAIT: text(
        "The {peer} stays in CLOSE-WAIT until its program closes the socket, unless it had closed it before the "
        "capture began."
    ),
    Remark.FIN_UNACKNOWLEDGED: text("No acknowledgement of that FIN was seen."),
    Remark.RST_IGNORED: text(
        "A RST (packet {first_rst}) does not fit the sequence numbers, so it ended nothing (RFC 9293 3.5.3)."
    ),
    Remark.RST_ANSWERS: text("The RST came right after packet {answered}, which the {peer} had sent."),
    Remark.RST_AFTER_SILENCE: text(
        "There had been {idle_s} s of silence: firewalls and address translators forget idle connections."
    ),
    Remark.RST_RIGHT_AFTER_HANDSHAKE: text(
        "It is all that came after the SYN-ACK: the accept queue is full and net.ipv4.tcp_abort_on_overflow is set, or "
        "a firewall or proxy does not want the connection; the wire does not tell which."
    ),
    Remark.CLOSED_UNREAD: text(
        "Most likely its program closed the socket, or ended, with unread data in it, or closed it with SO_LINGER 0; "
        "or somebody ended the connection from outside (ss -K), or a device on the way did in its name. The wire does "
        "not tell which."
    ),
    Remark.PERHAPS_NOT_ACCEPTED: text(
        "Most likely its program closed the socket, or ended, with unread data in it, or closed it with SO_LINGER 0; "
        "or, as it never sent data, accept() was never called for it and the listening socket was closed; or somebody "
        "ended the connection from outside (ss -K), or a device on the way did in its name. The wire does not tell "
        "which."
    ),
    Remark.NOTHING_UNREAD: text(
        "The {peer} had sent no data, so none was unread: most likely its program closed the socket with SO_LINGER 0; "
        "or somebody ended the connection from outside (ss -K), or a device on the way did in its name. The wire does "
        "not tell which."
    ),
    Remark.NOTHING_UNREAD_PERHAPS_NOT_ACCEPTED: text(
        "The {peer} had sent no data, so none was unread: most likely its listening socket was closed before accept() "
        "took the connection, or its program closed it with SO_LINGER 0; or somebody ended it from outside (ss -K), or "
        "a device on the way did in its name. The wire does not tell which."
    ),
    Remark.PERHAPS_UNREAD: text(
        "The {peer} had sent the latest data, and nothing of the {actor}'s answered it: perhaps it was not read."
    ),
    Remark.RST_ID_UNLIKE: text("Its IP identification does not follow that of the packets before either."),
    Remark.ENDED_BY_RST: text("A RST (packet {first_rst}) ended it."),
    Remark.PEER_SILENT: text(
        "The {peer} fell silent: the {actor} sent segments again {actor_tries} times and nothing answered them."
    ),
    Remark.ICMP_FROM_DESTINATION: text("It came from the {peer}'s own address."),
    Remark.ICMP_FROM_THE_WAY: text("It came from another address than the {peer}'s: a device on the way."),
    Remark.NO_UDP_PROGRAM: text("No program has that UDP port open (ss -lun shows which are), or a firewall says so."),
    Remark.REJECTED_BY_A_RULE: text(
        "TCP itself refuses with a RST: this was a firewall's rule (REJECT). Let whoever runs it permit the connection."
    ),
    Remark.ICMP_BESIDES: text(
        "An ICMP error (packet {icmp_packet}) said that a segment could not be delivered; TCP goes on trying then."
    ),
    Remark.NEVER_USED: text(
        "The connection was never used: no data went either way, as when a port is only tried, or a connection is kept "
        "in reserve."
    ),
    Remark.START_UNSEEN: text(
        "No SYN was captured: the connection began before the capture did, or a filter left the SYN out."
    ),
    Remark.ONE_SIDED: text("No packet of the {peer} was captured, so what it did is not known."),
    Remark.ADVICE_READ: text(
        "Let the program read what came, up to the peer's FIN, before it closes, and close without SO_LINGER 0: then a "
        "FIN ends the connection and nothing is lost."
    ),
    Remark.ADVICE_ACCEPT: text(
        "See whether the program calls accept(); then let it read what came, up to the peer's FIN, before it closes, "
        "and close without SO_LINGER 0: then a FIN ends the connection and nothing is lost."
    ),
    Remark.ADVICE_LINGER: text("Let the program close without SO_LINGER 0: then a FIN ends the connection."),
    Remark.ADVICE_ACCEPT_OR_LINGER: text(
        "See whether the program calls accept() before its listening socket is closed, and let it close without "
        "SO_LINGER 0: then a FIN ends the connection."
    ),
}
"""Each remark's sentence."""

PORT_LISTENED = text(
    "Nothing came from the server, but connection {other} of this capture shows that its host was up and that a "
    "program listened on its port {server_port}: most likely its accept queue was full, for its program calls accept() "
    "too seldom; or a firewall dropped the SYN, or the answer was lost. The wire does not tell which."
)
"""Instead of SILENT_SERVER, where another connection to the same end was answered."""

PORT_LISTENED_ADVICE = text(
    "See on the server whether its program calls accept(), and whether its accept queue is full (ss -ltn: Recv-Q above "
    "Send-Q; nstat -az TcpExtListenOverflows)."
)

ABOUT = {
    Remark.CLIENT_STALLED: Side.CLIENT, Remark.CLIENT_STALLED_OFTEN: Side.CLIENT, Remark.CLIENT_NAGLE: Side.CLIENT,
    Remark.CLIENT_NAGLE_OFTEN: Side.CLIENT, Remark.SERVER_STALLED: Side.SERVER,
    Remark.SERVER_STALLED_OFTEN: Side.SERVER, Remark.SERVER_NAGLE: Side.SERVER, Remark.SERVER_NAGLE_OFTEN: Side.SERVER,
}  # fmt: skip
"""Remarks whose actor is this side, whoever the cause's is."""


@kernel
def remarks_on(cause: int, actor: int, connection: Rows, client: Rows, server: Rows) -> int:
    """Bits 1 << Remark of what is told after the cause's sentence."""
    if cause == Cause.NONE:
        return 0
    end, peer = client, server
    if actor == Side.SERVER:
        end, peer = server, client
    unreachable = wide(connection["unreachable"])
    if is_undelivered(cause):
        remarks = on_icmp(cause, unreachable)
    else:
        remarks = 1 << Remark.ICMP_BESIDES if unreachable else 0
    if wide(connection["protocol"]) != Protocol.TCP:
        return remarks
    end_state = wide(end["state"])
    peer_state = wide(peer["state"])
    any_rst = wide(end["rst_packet"]) | wide(peer["rst_packet"])
    silent_peer = wide(peer["packets"]) == 0
    late_data = wide(connection["late_data"]) >> (1 - actor) & 1
    if cause in (Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER):
        if wide(peer["fin_packet"]) == wide(end["fin_acked_packet"]):
            remarks |= 1 << Remark.FIN_WITH_ACK
        if late_data and any_rst == 0:
            remarks |= 1 << Remark.LATE_DATA
        if end_state == State.TIME_WAIT:
            remarks |= 1 << Remark.TIME_WAIT
        if peer_state == State.LAST_ACK:
            remarks |= 1 << Remark.LAST_ACK
    if cause in (Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER, Cause.CLOSED_BY_BOTH):
        if any_rst:
            remarks |= 1 << Remark.RST_AFTER_CLOSE
        if cause == Cause.CLOSED_BY_BOTH and end_state == State.TIME_WAIT and peer_state == State.TIME_WAIT:
            remarks |= 1 << Remark.BOTH_TIME_WAIT
    if is_reset(cause):
        remarks |= on_reset(cause, connection, client, end, peer)
    if cause in (Cause.UNANSWERED, Cause.REFUSED) or is_undelivered(cause):
        if wide(client["syns"]) > 1:
            remarks |= 1 << Remark.SYN_REPEATED
    if cause == Cause.UNANSWERED and silent_peer:
        remarks |= 1 << Remark.SILENT_SERVER
    if cause == Cause.SYN_ACK_UNANSWERED and wide(server["syns"]) > 1:
        remarks |= 1 << Remark.SYN_ACK_REPEATED
    if cause == Cause.HALF_CLOSED:
        if late_data and any_rst == 0:
            remarks |= 1 << Remark.LATE_DATA
        if peer_state == State.CLOSE_WAIT and end_state == State.FIN_WAIT_2:
            is_start_seen = wide(end["syns"]) > 0 or wide(peer["syns"]) > 0
            remarks |= 1 << Remark.CLOSE_WAIT if is_start_seen else 1 << Remark.PERHAPS_CLOSE_WAIT
        if end_state == State.FIN_WAIT_1 and not silent_peer:
            remarks |= 1 << Remark.FIN_UNACKNOWLEDGED
        if wide(end["tries"]) >= VANISHED_TRIES and silent_side(client, server) == 1 - actor:
            remarks |= 1 << Remark.PEER_SILENT
    if any_rst:
        if cause == Cause.LIKELY_ACCEPT_QUEUE_FULL:
            remarks |= 1 << Remark.ENDED_BY_RST
        elif cause in (
            Cause.UNANSWERED,
            Cause.SYN_ACK_UNANSWERED,
            Cause.HALF_CLOSED,
            Cause.OPEN,
            Cause.CLIENT_VANISHED,
            Cause.SERVER_VANISHED,
        ):
            remarks |= 1 << Remark.RST_IGNORED
    is_over = cause <= Cause.RESET_BY_CLIENT or cause == Cause.ABORTED_BY_CLIENT
    is_complete = wide(client["syns"]) > 0 and wide(server["syns"]) > 0 and is_in_handshake(client) == 0
    if is_over and is_complete and wide(client["payload_bytes"]) == 0 and wide(server["payload_bytes"]) == 0:
        remarks |= 1 << Remark.NEVER_USED
    remarks |= on_flow(client, Remark.CLIENT_STALLED, Remark.CLIENT_NAGLE)
    remarks |= on_flow(server, Remark.SERVER_STALLED, Remark.SERVER_NAGLE)
    if wide(client["syns"]) == 0 and wide(server["syns"]) == 0:
        remarks |= 1 << Remark.START_UNSEEN
    if silent_peer and cause != Cause.UNANSWERED and not is_undelivered(cause):
        remarks |= 1 << Remark.ONE_SIDED
    return remarks


@kernel
def on_icmp(cause: int, unreachable: int) -> int:
    """Bits of what an ICMP error that is the cause says besides."""
    remarks = 1 << Remark.ICMP_FROM_DESTINATION if unreachable & BY_DESTINATION else 1 << Remark.ICMP_FROM_THE_WAY
    if unreachable & UNREACHABLE_REASON == Unreachable.PORT:
        remarks |= 1 << Remark.NO_UDP_PROGRAM if unreachable & QUOTES_UDP else 1 << Remark.REJECTED_BY_A_RULE
    return remarks


@kernel
def on_reset(cause: int, connection: Rows, client: Rows, end: Rows, peer: Rows) -> int:
    """Bits of what is known of the RST of ``end`` that ended the connection."""
    end_fin = wide(end["fin_packet"])
    peer_fin = wide(peer["fin_packet"])
    rst = wide(end["rst_packet"])
    traits = wide(end["reset_traits"])
    is_plain = cause in (Cause.RESET_BY_CLIENT, Cause.RESET_BY_SERVER)
    is_abort = cause in (Cause.ABORTED_BY_CLIENT, Cause.ABORTED_BY_SERVER)
    has_closed = end_fin > 0 and end_fin < rst
    remarks = 0
    if has_closed and is_plain and not traits & RST_ACKS:
        remarks |= 1 << Remark.ACTOR_HAD_CLOSED
    if peer_fin and peer_fin < rst:
        remarks |= 1 << Remark.PEER_HAD_CLOSED
    if is_plain:
        never_spoke = segments_of(end) == wide(end["syns"]) + wide(end["resets"]) and wide(end["syns"]) > 0
        if is_in_handshake(client):
            remarks |= 1 << Remark.RST_IN_HANDSHAKE
        elif never_spoke and not traits & RST_ACKS:
            remarks |= 1 << Remark.RST_RIGHT_AFTER_HANDSHAKE
        elif end_fin == 0 and peer_fin == 0:
            remarks |= 1 << Remark.NO_FIN_BEFORE_RST
    if wide(connection["answered_packet"]) and cause in (Cause.WRITE_AFTER_CLOSE, Cause.HALF_OPEN):
        remarks |= 1 << Remark.RST_ANSWERS
    if wide(end["reset_idle_s"]) >= IDLE_S and cause in (Cause.HALF_OPEN, Cause.LIKELY_MIDDLEBOX_RESET):
        remarks |= 1 << Remark.RST_AFTER_SILENCE
    if is_abort:
        remarks |= on_abort(cause, end, peer)
        if wide(peer["payload_bytes"]) and traits & RST_UNANSWERED:
            remarks |= 1 << Remark.PERHAPS_UNREAD
    if cause == Cause.LIKELY_MIDDLEBOX_RESET and traits & RST_ID:
        remarks |= 1 << Remark.RST_ID_UNLIKE
    return remarks


@kernel
def on_abort(cause: int, end: Rows, peer: Rows) -> int:
    """Bits of what may have made ``end`` abort, and of what to do about it.

    Data of a server shows that its program had the connection from accept(); the kernel alone sends none.
    """
    perhaps_not_accepted = cause == Cause.ABORTED_BY_SERVER and wide(end["payload_bytes"]) == 0
    if wide(peer["payload_bytes"]) == 0 and wide(peer["syns"]):
        if perhaps_not_accepted:
            return 1 << Remark.NOTHING_UNREAD_PERHAPS_NOT_ACCEPTED | 1 << Remark.ADVICE_ACCEPT_OR_LINGER
        return 1 << Remark.NOTHING_UNREAD | 1 << Remark.ADVICE_LINGER
    if perhaps_not_accepted and wide(end["syns"]):
        return 1 << Remark.PERHAPS_NOT_ACCEPTED | 1 << Remark.ADVICE_ACCEPT
    return 1 << Remark.CLOSED_UNREAD | 1 << Remark.ADVICE_READ


@kernel
def on_flow(end: Rows, stalled: int, nagle: int) -> int:
    """Bits of what held the data up at one side; the arguments are its remarks, behind which stand those for often."""
    remarks = 0
    if wide(end["stalled_from"]):
        remarks |= 1 << (stalled + 2)
    if wide(end["stalled_from"]) or wide(end["stalled"]) >= STALLED_SHORT:
        is_often = wide(end["stalled"]) > (0 if wide(end["stalled_from"]) else wide(end["stalled_longest"]))
        remarks |= 1 << (stalled + 1) if is_often else 1 << stalled
    if wide(end["nagle_waits"]):
        remarks |= 1 << (nagle + 1) if wide(end["nagle_waits"]) > 1 else 1 << nagle
    return remarks
