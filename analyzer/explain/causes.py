"""Causes: why a connection ended, or has not, as its rows prove it; each with a sentence, and what to do about it.

Templates are those of explain/why.py, which see. Where the wire leaves a choice the sentence gives all of it, and a
code claims no more than its sentence does. A cause is here for what ends a connection, or keeps it from being; troubles
besides are circumstances (circumstances.py).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from analyzer.jit import fastest, kernel, wide
from analyzer.language import text
from analyzer.tables import U8, ClosedBy, Protocol, Rows, Side
from analyzer.tcp.states import State
from analyzer.traces import (
    RST_ACKS,
    RST_AT_ACK,
    RST_TTL,
    RST_WINDOW,
    TRIED_KEEP_ALIVE,
    UNREACHABLE_REASON,
    Unreachable,
)

VANISHED_TRIES = 3
"""Tries without an answer from which a side counts as gone."""

GIVEN_UP_TRIES = 2
"""Segments sent again without an answer from which a RST of their sender counts as giving up."""

IDLE_S = 30
"""Seconds of silence from which a RST after it is told as one: no middlebox forgets sooner."""


class Cause(IntEnum):
    """Why a connection ended, or has not."""

    NONE = 0
    """Not TCP, and nothing refused it."""
    CLOSED_BY_CLIENT = 1
    CLOSED_BY_SERVER = 2
    CLOSED_BY_BOTH = 3
    RESET_BY_CLIENT = 4
    RESET_BY_SERVER = 5
    REFUSED = 6
    UNANSWERED = 7
    SYN_ACK_UNANSWERED = 8
    HALF_CLOSED = 9
    OPEN = 10
    ABORTED_BY_CLIENT = 11
    ABORTED_BY_SERVER = 12
    WRITE_AFTER_CLOSE = 13
    HALF_OPEN = 14
    """One side no longer knows the connection (RFC 9293 3.5.1)."""
    KEEP_ALIVE_TIMEOUT = 15
    RETRANSMISSION_TIMEOUT = 16
    IDLE_RESET = 17
    LIKELY_MIDDLEBOX_RESET = 18
    CLIENT_VANISHED = 19
    SERVER_VANISHED = 20
    LIKELY_ACCEPT_QUEUE_FULL = 21
    PROHIBITED = 22
    NET_UNREACHABLE = 23
    HOST_UNREACHABLE = 24
    PORT_UNREACHABLE = 25
    UNREACHABLE = 26
    HOPS_EXCEEDED = 27


_CLOSED = text(
    "The {actor} closed first (FIN in packet {actor_fin}); the {peer} closed too (FIN in packet {peer_fin})."
)
_RESET = text("The {actor} reset the connection (RST in packet {actor_rst}).")
_ABORTED = text("The {actor} aborted the connection (RST in packet {actor_rst}), without a FIN.")

CAUSES: dict[Cause, str] = {
    Cause.NONE: "",
    Cause.CLOSED_BY_CLIENT: _CLOSED,
    Cause.CLOSED_BY_SERVER: _CLOSED,
    Cause.CLOSED_BY_BOTH: text(
        "Both sides closed at once: the FINs of the {actor} (packet {actor_fin}) and of the {peer} (packet {peer_fin}) "
        "crossed."
    ),
    Cause.RESET_BY_CLIENT: _RESET,
    Cause.RESET_BY_SERVER: _RESET,
    Cause.REFUSED: text(
        "The server refused the connection: its RST (packet {server_rst}) answers the client's SYN (packet "
        "{client_syn}). No program listens on its port {server_port}, or a firewall says so; on the wire the two look "
        "the same."
    ),
    Cause.UNANSWERED: text("No SYN-ACK answered the client's SYN (packet {client_syn})."),
    Cause.SYN_ACK_UNANSWERED: text(
        "The server's SYN-ACK (packet {server_syn}) was never acknowledged. It did not reach the client, or the "
        "client's ACK was lost, or the client does not want the connection."
    ),
    Cause.HALF_CLOSED: text(
        "Only the {actor} was seen to close (FIN in packet {actor_fin}); no FIN of the {peer} came before the capture "
        "ended (last packet {last_packet})."
    ),
    Cause.OPEN: text("The connection was still open when the capture ended (last packet {last_packet})."),
    Cause.ABORTED_BY_CLIENT: _ABORTED,
    Cause.ABORTED_BY_SERVER: _ABORTED,
    Cause.WRITE_AFTER_CLOSE: text(
        "The {peer} wrote after the {actor}'s FIN (packet {actor_fin}), and a RST (packet {actor_rst}) answered that: "
        "by then the {actor}'s socket was closed entirely, for reading too. The {peer}'s next write gets EPIPE, or "
        "SIGPIPE."
    ),
    Cause.HALF_OPEN: text(
        "The {actor} no longer knew the connection: with a RST (packet {actor_rst}) it answered a segment of a "
        "connection that no FIN of it had ended. Its host was started anew or dropped the connection, or a device on "
        "the way did and answered in its name; or the RST or FIN that ended it was not captured."
    ),
    Cause.KEEP_ALIVE_TIMEOUT: text(
        "The {actor} gave the connection up (RST in packet {actor_rst}): its latest keep-alive probes, {actor_tries} "
        "of them, stayed unanswered. The {peer}'s host is down or cut off, or a device on the way dropped the "
        "connection."
    ),
    Cause.RETRANSMISSION_TIMEOUT: text(
        "The {actor} gave the connection up (RST in packet {actor_rst}) after it had sent segments again, "
        "{actor_tries} times, without an answer: a timeout (TCP_USER_TIMEOUT), or its program closed the socket. The "
        "{peer}'s host is down or cut off, or its packets are lost."
    ),
    Cause.IDLE_RESET: text(
        "The {actor} reset the connection (RST in packet {actor_rst}) after {idle_s} s of silence, without a FIN: its "
        "program's own timeout, a keep-alive that failed, or a firewall that drops idle connections; the wire does not "
        "tell which."
    ),
    Cause.LIKELY_MIDDLEBOX_RESET: text(
        "A RST in the {actor}'s name (packet {actor_rst}) ended the connection, probably sent by a device on the way: "
        "it came with a time to live of {actor_rst_ttl}, the {actor}'s packet before with {actor_ttl}. A change of "
        "route would look the same, and so does a host whose kernel does not send RSTs with its program's time to live."
    ),
    Cause.CLIENT_VANISHED: text(
        "The {actor} fell silent: the {peer} sent segments again, or probes, {peer_tries} times (up to packet "
        "{last_packet}) and nothing answered them, for {actor_silent_s} s. The {actor}'s host is down or cut off, or a "
        "device on the way drops the packets: when only a program ends, its host says so with a FIN or RST."
    ),
    Cause.SERVER_VANISHED: text(
        "The {actor} fell silent: the {peer} sent segments again, or probes, {peer_tries} times (up to packet "
        "{last_packet}) and nothing answered them, for {actor_silent_s} s. The {actor}'s host is down or cut off, or a "
        "device on the way drops the packets: when only a program ends, its host says so with a FIN or RST."
    ),
    Cause.LIKELY_ACCEPT_QUEUE_FULL: text(
        "The server did not take the client's ACK: it sent its SYN-ACK (packet {server_syn}) {server_syns} times, "
        "{server_ignored_acks} of them after the ACK was captured. The accept queue of its socket is full, for its "
        "program calls accept() too seldom; or the ACKs were lost behind the place of the capture."
    ),
    Cause.PROHIBITED: text(
        "A firewall refused what the {actor} sent: an ICMP error (packet {icmp_packet}) says that it is "
        "administratively prohibited."
    ),
    Cause.NET_UNREACHABLE: text(
        "What the {actor} sent was not delivered: an ICMP error (packet {icmp_packet}) says that there is no route to "
        "the {peer}'s network."
    ),
    Cause.HOST_UNREACHABLE: text(
        "What the {actor} sent was not delivered: an ICMP error (packet {icmp_packet}) says that the {peer}'s host "
        "cannot be reached."
    ),
    Cause.PORT_UNREACHABLE: text(
        "What the {actor} sent was refused: an ICMP error (packet {icmp_packet}) says that the {peer}'s port cannot be "
        "reached."
    ),
    Cause.UNREACHABLE: text(
        "What the {actor} sent was not delivered: an ICMP error (packet {icmp_packet}) says that its destination "
        "cannot be reached."
    ),
    Cause.HOPS_EXCEEDED: text(
        "What the {actor} sent was not delivered: an ICMP error (packet {icmp_packet}) says that its time to live ran "
        "out on the way, as in a loop of routes."
    ),
}
"""Each cause's sentence."""

_UNREACHABLE = text("Look at the routes on the way (traceroute), and whether the host is up and the address right.")
_VANISHED = text(
    "Look whether the host is up and how the packets go; TCP_USER_TIMEOUT, or keep-alives with shorter times "
    "(TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT), let a program notice it sooner."
)
_FORGOTTEN = text("Keep-alives more often than it forgets connections (TCP_KEEPIDLE) prevent it; else open a new one.")

ADVICE: dict[Cause, str] = {
    Cause.REFUSED: text("Start the program, or see on which address and port it listens (ss -ltn)."),
    Cause.UNANSWERED: text(
        "Check address and port, whether the host is up, the firewalls on the way, and on the server whether the "
        "accept queue overflows (nstat -az TcpExtListenOverflows)."
    ),
    Cause.SYN_ACK_UNANSWERED: text("A capture at the client shows whether the SYN-ACK arrives, and what it answers."),
    Cause.WRITE_AFTER_CLOSE: text(
        "Let the writer see the end of what it reads (recv gives 0) and stop; or let the other side close with "
        "shutdown(SHUT_WR), and read on until the end."
    ),
    Cause.HALF_OPEN: _FORGOTTEN,
    Cause.KEEP_ALIVE_TIMEOUT: text(
        "Look whether the host is up and how the packets go. How soon keep-alives notice it is set by TCP_KEEPIDLE, "
        "TCP_KEEPINTVL and TCP_KEEPCNT."
    ),
    Cause.RETRANSMISSION_TIMEOUT: text(
        "Look whether the host is up and how the packets go. How long a program waits is set by TCP_USER_TIMEOUT."
    ),
    Cause.IDLE_RESET: _FORGOTTEN,
    Cause.LIKELY_MIDDLEBOX_RESET: text(
        "Capture at the {actor} too: what it never sent came from a firewall, proxy or load balancer on the way, whose "
        "rules and timeouts are to be looked at."
    ),
    Cause.CLIENT_VANISHED: _VANISHED,
    Cause.SERVER_VANISHED: _VANISHED,
    Cause.LIKELY_ACCEPT_QUEUE_FULL: text(
        "Let the server call accept() sooner, or give listen() a longer queue (net.core.somaxconn bounds it)."
    ),
    Cause.PROHIBITED: text("Let whoever runs the firewall permit it, or use a port that is permitted."),
    Cause.NET_UNREACHABLE: _UNREACHABLE,
    Cause.HOST_UNREACHABLE: _UNREACHABLE,
    Cause.UNREACHABLE: _UNREACHABLE,
    Cause.HOPS_EXCEEDED: _UNREACHABLE,
}
"""What to do about a cause, whatever is known besides; other advice is among the remarks (circumstances.py)."""


def code_of(cause: Cause) -> str | None:
    """The cause's word in records."""
    return cause.name.lower() if cause else None


@kernel
def is_reset(cause: int) -> bool:
    """Whether a RST ended it."""
    return cause in (Cause.RESET_BY_CLIENT, Cause.RESET_BY_SERVER) or (
        Cause.ABORTED_BY_CLIENT <= cause <= Cause.LIKELY_MIDDLEBOX_RESET
    )


@kernel
def is_undelivered(cause: int) -> bool:
    """Whether an ICMP error kept it from being."""
    return Cause.PROHIBITED <= cause <= Cause.HOPS_EXCEEDED


def causes_of(connections: Rows, endpoints: Rows) -> U8:
    """The Cause of each of CONNECTION[n] with ENDPOINT[n, Side]."""
    causes = np.empty(len(connections), np.uint8)
    fastest(write_causes)(connections, endpoints, causes)
    return causes


@kernel
def write_causes(connections: Rows, endpoints: Rows, causes: U8) -> None:
    """Write each connection's Cause."""
    for i in range(len(causes)):
        causes[i] = cause_of(connections[i], endpoints[i, 0], endpoints[i, 1])


@kernel
def cause_of(connection: Rows, client: Rows, server: Rows) -> int:
    """Cause that a connection's rows prove.

    Both FINs make an end, whatever RST comes besides (Zeek's SF). A RST that neither side obeyed makes none.
    """
    if wide(connection["protocol"]) != Protocol.TCP:
        return cause_undelivered(connection, client, server)
    client_fin = wide(client["fin_packet"])
    server_fin = wide(server["fin_packet"])
    closed_by = wide(connection["closed_by"])
    if client_fin and server_fin:
        if closed_by == ClosedBy.BOTH:
            return Cause.CLOSED_BY_BOTH
        return Cause.CLOSED_BY_SERVER if server_fin < client_fin else Cause.CLOSED_BY_CLIENT
    client_state = wide(client["state"])
    server_state = wide(server["state"])
    any_rst = wide(client["rst_packet"]) | wide(server["rst_packet"])
    is_ignored = wide(server["ignored_acks"]) > 0
    if is_ignored and segments_of(server) == wide(server["syns"]) + wide(server["resets"]):
        return Cause.LIKELY_ACCEPT_QUEUE_FULL
    if any_rst and (client_state == State.CLOSED or server_state == State.CLOSED):
        return cause_of_reset(connection, client, server)
    if client_fin or server_fin:
        return Cause.HALF_CLOSED
    if client_state == State.SYN_SENT:
        undelivered = cause_undelivered(connection, client, server)
        return Cause.UNANSWERED if undelivered == Cause.NONE else undelivered
    if server_state == State.SYN_RECEIVED and wide(server["syns"]):
        return Cause.SYN_ACK_UNANSWERED
    silent = silent_side(client, server)
    if silent == Side.CLIENT:
        return Cause.CLIENT_VANISHED
    return Cause.SERVER_VANISHED if silent == Side.SERVER else Cause.OPEN


@kernel
def cause_of_reset(connection: Rows, client: Rows, server: Rows) -> int:
    """Cause of a connection that a RST ended."""
    side = resetting_side(client, server)
    end = client if side == Side.CLIENT else server
    only_syns = wide(client["syns"]) > 0 and segments_of(client) == wide(client["syns"])
    if wide(server["rst_packet"]) and only_syns and segments_of(server) == wide(server["resets"]):
        return Cause.REFUSED
    reset: int = Cause.RESET_BY_CLIENT if side == Side.CLIENT else Cause.RESET_BY_SERVER
    traits = wide(end["reset_traits"])
    tries = wide(end["tries"])
    if is_in_handshake(client):
        return reset
    if traits & RST_TTL:
        return Cause.LIKELY_MIDDLEBOX_RESET
    if tries and wide(end["tried"]) & TRIED_KEEP_ALIVE:
        return Cause.KEEP_ALIVE_TIMEOUT
    if tries >= GIVEN_UP_TRIES and traits & RST_ACKS:
        return Cause.RETRANSMISSION_TIMEOUT
    end_fin = wide(end["fin_packet"])
    if end_fin and end_fin < wide(end["rst_packet"]):
        has_late_data = wide(connection["late_data"]) >> (1 - side) & 1
        return Cause.WRITE_AFTER_CLOSE if has_late_data and not traits & RST_ACKS else reset
    if not traits & RST_ACKS:
        never_spoke = segments_of(end) == wide(end["syns"]) + wide(end["resets"])
        return Cause.HALF_OPEN if traits & RST_AT_ACK and not never_spoke else reset
    if wide(end["reset_idle_s"]) >= IDLE_S:
        return Cause.IDLE_RESET
    if not traits & RST_WINDOW:
        return reset
    return Cause.ABORTED_BY_CLIENT if side == Side.CLIENT else Cause.ABORTED_BY_SERVER


@kernel
def cause_undelivered(connection: Rows, client: Rows, server: Rows) -> int:
    """Cause of a connection whose one side was never heard, by the ICMP error about the other's; NONE without one."""
    unreachable = wide(connection["unreachable"])
    heard = segments_of(client) if wide(connection["unreachable_side"]) == Side.SERVER else segments_of(server)
    if unreachable == 0 or heard:
        return Cause.NONE
    reason = unreachable & UNREACHABLE_REASON
    if reason == Unreachable.PROHIBITED:
        return Cause.PROHIBITED
    if reason == Unreachable.NET:
        return Cause.NET_UNREACHABLE
    if reason == Unreachable.HOST:
        return Cause.HOST_UNREACHABLE
    if reason == Unreachable.PORT:
        return Cause.PORT_UNREACHABLE
    return Cause.HOPS_EXCEEDED if reason == Unreachable.HOPS else Cause.UNREACHABLE


@kernel
def segments_of(end: Rows) -> int:
    """Segments that an endpoint sent, without the copies that the capture made."""
    return wide(end["packets"]) - wide(end["capture_duplicates"])


@kernel
def is_in_handshake(client: Rows) -> int:
    """Whether the client sent nothing but SYNs and RSTs."""
    return 1 if wide(client["syns"]) and segments_of(client) == wide(client["syns"]) + wide(client["resets"]) else 0


@kernel
def resetting_side(client: Rows, server: Rows) -> int:
    """Side whose RST came first; there is one."""
    client_rst = wide(client["rst_packet"])
    server_rst = wide(server["rst_packet"])
    return Side.CLIENT if client_rst and (server_rst == 0 or client_rst < server_rst) else Side.SERVER


@kernel
def silent_side(client: Rows, server: Rows) -> int:
    """Side that left its peer's tries without an answer, having been heard before; -1 none."""
    of_client = wide(client["tries"])
    of_server = wide(server["tries"])
    if of_client >= VANISHED_TRIES and of_client >= of_server and segments_of(server):
        return Side.SERVER
    return Side.CLIENT if of_server >= VANISHED_TRIES and segments_of(client) else -1


@kernel
def actor_of(cause: int, connection: Rows, client: Rows, server: Rows) -> int:
    """Side that the sentence is about."""
    if cause in (
        Cause.CLOSED_BY_SERVER,
        Cause.RESET_BY_SERVER,
        Cause.REFUSED,
        Cause.SYN_ACK_UNANSWERED,
        Cause.ABORTED_BY_SERVER,
        Cause.SERVER_VANISHED,
        Cause.LIKELY_ACCEPT_QUEUE_FULL,
    ):
        return Side.SERVER
    if Cause.WRITE_AFTER_CLOSE <= cause <= Cause.LIKELY_MIDDLEBOX_RESET:
        return resetting_side(client, server)
    if is_undelivered(cause):
        return wide(connection["unreachable_side"])
    if cause == Cause.HALF_CLOSED and wide(server["fin_packet"]):
        return Side.SERVER
    if cause == Cause.OPEN and wide(client["packets"]) == 0:
        return Side.SERVER
    return Side.CLIENT
