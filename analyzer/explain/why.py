"""Why a connection ended, or has not: a cause, and sentences that name the packets that prove it.

The text is a cause's own sentence and, behind it, the remarks that the rows prove besides. Both are templates in two
tables, ``CAUSES`` and ``REMARKS``: a new one is a member and its row there, and the test that finds it in ``cause_of``
or ``remarks_on``. Whoever writes the text (``why`` below, the compiled writers of records) fills these templates, so
that it is the same everywhere.

A template speaks of the ``{actor}``, the side whose FIN, RST or silence the sentence is about, and of its ``{peer}``.
``{actor_…}``, ``{peer_…}`` and the plain names of ``Number`` stand for integers; ``sentence`` makes one template a
side. Texts are ASCII and hold nothing that JSON would have to escape.

What the wire cannot tell, the sentences say.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8, ClosedBy, Protocol, Rows, Side
from analyzer.tcp.states import State


class Cause(IntEnum):
    """Why a connection ended, or has not."""

    NONE = 0
    """Not TCP."""
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


class Remark(IntEnum):
    """What else the rows prove: bits, told in this order."""

    FIN_WITH_ACK = 0
    LATE_DATA = 1
    TIME_WAIT = 2
    LAST_ACK = 3
    BOTH_TIME_WAIT = 4
    RST_AFTER_CLOSE = 5
    NO_FIN_BEFORE_RST = 6
    ACTOR_HAD_CLOSED = 7
    PEER_HAD_CLOSED = 8
    RST_IN_HANDSHAKE = 9
    SYN_REPEATED = 10
    SILENT_SERVER = 11
    SYN_ACK_REPEATED = 12
    CLOSE_WAIT = 13
    FIN_UNACKNOWLEDGED = 14
    RST_IGNORED = 15
    START_UNSEEN = 16
    ONE_SIDED = 17


class Number(IntEnum):
    """Placeholders of the templates: numbers of packets (0: there is none), except SYNS (how many) and SERVER_PORT."""

    CLIENT_SYN = 0
    SERVER_SYN = 1
    CLIENT_FIN = 2
    SERVER_FIN = 3
    CLIENT_RST = 4
    SERVER_RST = 5
    CLIENT_SYNS = 6
    SERVER_SYNS = 7
    SERVER_PORT = 8
    FIRST_PACKET = 9
    LAST_PACKET = 10
    FIRST_RST = 11


CAUSES: dict[Cause, tuple[str | None, str]] = {
    Cause.NONE: (None, ""),
    Cause.CLOSED_BY_CLIENT: (
        "closed_by_client",
        "The {actor} closed first (FIN in packet {actor_fin}); the {peer} closed too (FIN in packet {peer_fin}).",
    ),
    Cause.CLOSED_BY_SERVER: (
        "closed_by_server",
        "The {actor} closed first (FIN in packet {actor_fin}); the {peer} closed too (FIN in packet {peer_fin}).",
    ),
    Cause.CLOSED_BY_BOTH: (
        "closed_by_both",
        "Both sides closed at once: the FINs of the {actor} (packet {actor_fin}) and of the {peer} (packet {peer_fin}) "
        "crossed.",
    ),
    Cause.RESET_BY_CLIENT: ("reset_by_client", "The {actor} reset the connection (RST in packet {actor_rst})."),
    Cause.RESET_BY_SERVER: ("reset_by_server", "The {actor} reset the connection (RST in packet {actor_rst})."),
    Cause.REFUSED: (
        "refused",
        "The server refused the connection: its RST (packet {server_rst}) answers the client's SYN (packet "
        "{client_syn}). No program listens on its port {server_port}, or a firewall says so; on the wire the two look "
        "the same.",
    ),
    Cause.UNANSWERED: (
        "unanswered",
        "No SYN-ACK answered the client's SYN (packet {client_syn}).",
    ),
    Cause.SYN_ACK_UNANSWERED: (
        "syn_ack_unanswered",
        "The server's SYN-ACK (packet {server_syn}) was never acknowledged. It did not reach the client, or the "
        "client's ACK was lost, or the client does not want the connection.",
    ),
    Cause.HALF_CLOSED: (
        "half_closed",
        "Only the {actor} was seen to close (FIN in packet {actor_fin}); no FIN of the {peer} came before the capture "
        "ended (last packet {last_packet}).",
    ),
    Cause.OPEN: ("open", "The connection was still open when the capture ended (last packet {last_packet})."),
}
"""Each cause's code word, and its sentence."""

REMARKS = {
    Remark.FIN_WITH_ACK: "That FIN also acknowledged the {actor}'s.",
    Remark.LATE_DATA: (
        "The {peer} still sent data after the {actor}'s FIN and was not reset for it: the {actor} had closed its "
        "sending direction only (half-close, shutdown(SHUT_WR))."
    ),
    Remark.TIME_WAIT: "TIME-WAIT (2 MSL) stays with the {actor}, the side that closed first.",
    Remark.LAST_ACK: "No acknowledgement of the {peer}'s FIN was seen: the {peer} waits for it in LAST-ACK.",
    Remark.BOTH_TIME_WAIT: "TIME-WAIT (2 MSL) stays with both.",
    Remark.RST_AFTER_CLOSE: "A RST (packet {first_rst}) was sent too; the connection counts as closed by its FINs.",
    Remark.NO_FIN_BEFORE_RST: (
        "No FIN came before: its program closed the socket with unread data in it or with SO_LINGER 0, or died, or a "
        "device on the way sent the RST in its name; the wire does not tell which."
    ),
    Remark.ACTOR_HAD_CLOSED: (
        "It had sent its FIN (packet {actor_fin}); a socket that is closed entirely answers what still arrives with a "
        "RST."
    ),
    Remark.PEER_HAD_CLOSED: "The {peer} had sent its FIN (packet {peer_fin}).",
    Remark.RST_IN_HANDSHAKE: "The handshake was not finished.",
    Remark.SYN_REPEATED: "The client sent its SYN {client_syns} times.",
    Remark.SILENT_SERVER: (
        "Nothing came from the server: a firewall dropped the SYN, the host is down, or its answer was lost; the wire "
        "does not tell which."
    ),
    Remark.SYN_ACK_REPEATED: "The server sent its SYN-ACK {server_syns} times.",
    Remark.CLOSE_WAIT: "The {peer} stays in CLOSE-WAIT until its program closes the socket.",
    Remark.FIN_UNACKNOWLEDGED: "No acknowledgement of that FIN was seen.",
    Remark.RST_IGNORED: (
        "A RST (packet {first_rst}) does not fit the sequence numbers, so it ended nothing (RFC 9293 3.5.3)."
    ),
    Remark.START_UNSEEN: (
        "No SYN was captured: the connection began before the capture did, or a filter left the SYN out."
    ),
    Remark.ONE_SIDED: "No packet of the {peer} was captured, so what it did is not known.",
}
"""Each remark's sentence."""


def sentence(template: str, actor: Side) -> str:
    """A template with its roles filled in: what is left in braces are names of ``Number`` in lower case."""
    sides = "client", "server"
    for role, side in (("actor", sides[actor]), ("peer", sides[1 - actor])):
        template = template.replace(f"{{{role}}}", side).replace(f"{{{role}_", f"{{{side}_")
    return template


def why(connection_row: Rows, client_row: Rows, server_row: Rows) -> str:
    """Why a connection ended, or has not, in plain words; empty when it is not TCP."""
    cause = Cause(cause_of(connection_row, client_row, server_row))
    actor = Side(actor_of(cause, connection_row, client_row, server_row))
    remarks = remarks_on(cause, actor, connection_row, client_row, server_row)
    numbers = np.zeros(len(Number), np.int64)
    evidence(connection_row, client_row, server_row, numbers)
    templates = [CAUSES[cause][1], *(REMARKS[remark] for remark in Remark if remarks >> remark & 1)]
    names = {number.name.lower(): numbers[number] for number in Number}
    return " ".join(sentence(template, actor) for template in templates).format_map(names)


@kernel
def cause_of(connection: Rows, client: Rows, server: Rows) -> int:
    """Cause that a connection's rows prove.

    Both FINs make an end, whatever RST comes besides (Zeek's SF). A RST that neither side obeyed makes none.
    """
    if wide(connection["protocol"]) != Protocol.TCP:
        return Cause.NONE
    client_fin = wide(client["fin_packet"])
    server_fin = wide(server["fin_packet"])
    closed_by = wide(connection["closed_by"])
    if client_fin and server_fin:
        if closed_by == ClosedBy.BOTH:
            return Cause.CLOSED_BY_BOTH
        return Cause.CLOSED_BY_SERVER if server_fin < client_fin else Cause.CLOSED_BY_CLIENT
    client_rst = wide(client["rst_packet"])
    server_rst = wide(server["rst_packet"])
    client_state = wide(client["state"])
    server_state = wide(server["state"])
    if (client_rst or server_rst) and (client_state == State.CLOSED or server_state == State.CLOSED):
        only_syns = wide(client["syns"]) > 0 and segments_of(client) == wide(client["syns"])
        if server_rst and only_syns and segments_of(server) == wide(server["resets"]):
            return Cause.REFUSED
        if client_rst and (server_rst == 0 or client_rst < server_rst):
            return Cause.RESET_BY_CLIENT
        return Cause.RESET_BY_SERVER
    if client_fin or server_fin:
        return Cause.HALF_CLOSED
    if client_state == State.SYN_SENT:
        return Cause.UNANSWERED
    if server_state == State.SYN_RECEIVED and wide(server["syns"]):
        return Cause.SYN_ACK_UNANSWERED
    return Cause.OPEN


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
def segments_of(end: Rows) -> int:
    """Segments that an endpoint sent, without the copies that the capture made."""
    return wide(end["packets"]) - wide(end["capture_duplicates"])


@kernel
def actor_of(cause: int, connection: Rows, client: Rows, server: Rows) -> int:
    """Side that the sentence is about."""
    if cause in (Cause.CLOSED_BY_SERVER, Cause.RESET_BY_SERVER, Cause.REFUSED, Cause.SYN_ACK_UNANSWERED):
        return Side.SERVER
    if cause == Cause.HALF_CLOSED and wide(server["fin_packet"]):
        return Side.SERVER
    if cause == Cause.OPEN and wide(client["packets"]) == 0:
        return Side.SERVER
    return Side.CLIENT


@kernel
def remarks_on(cause: int, actor: int, connection: Rows, client: Rows, server: Rows) -> int:
    """Bits 1 << Remark of what is told after the cause's sentence."""
    if cause == Cause.NONE:
        return 0
    end, peer = client, server
    if actor == Side.SERVER:
        end, peer = server, client
    end_state = wide(end["state"])
    peer_state = wide(peer["state"])
    end_fin = wide(end["fin_packet"])
    peer_fin = wide(peer["fin_packet"])
    any_rst = wide(end["rst_packet"]) | wide(peer["rst_packet"])
    silent_peer = wide(peer["packets"]) == 0
    late_data = wide(connection["late_data"]) >> (1 - actor) & 1
    remarks = 0
    if cause in (Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER):
        if peer_fin == wide(end["fin_acked_packet"]):
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
    if cause in (Cause.RESET_BY_CLIENT, Cause.RESET_BY_SERVER):
        unfinished = wide(client["syns"]) and segments_of(client) == wide(client["syns"]) + wide(client["resets"])
        if end_fin and end_fin < wide(end["rst_packet"]):
            remarks |= 1 << Remark.ACTOR_HAD_CLOSED
        if peer_fin and peer_fin < wide(end["rst_packet"]):
            remarks |= 1 << Remark.PEER_HAD_CLOSED
        if unfinished:
            remarks |= 1 << Remark.RST_IN_HANDSHAKE
        elif end_fin == 0 and peer_fin == 0:
            remarks |= 1 << Remark.NO_FIN_BEFORE_RST
    if cause in (Cause.UNANSWERED, Cause.REFUSED) and wide(client["syns"]) > 1:
        remarks |= 1 << Remark.SYN_REPEATED
    if cause == Cause.UNANSWERED and silent_peer:
        remarks |= 1 << Remark.SILENT_SERVER
    if cause == Cause.SYN_ACK_UNANSWERED and wide(server["syns"]) > 1:
        remarks |= 1 << Remark.SYN_ACK_REPEATED
    if cause == Cause.HALF_CLOSED:
        if late_data and any_rst == 0:
            remarks |= 1 << Remark.LATE_DATA
        if peer_state == State.CLOSE_WAIT and end_state == State.FIN_WAIT_2:
            remarks |= 1 << Remark.CLOSE_WAIT
        if end_state == State.FIN_WAIT_1 and not silent_peer:
            remarks |= 1 << Remark.FIN_UNACKNOWLEDGED
    if cause in (Cause.UNANSWERED, Cause.SYN_ACK_UNANSWERED, Cause.HALF_CLOSED, Cause.OPEN) and any_rst:
        remarks |= 1 << Remark.RST_IGNORED
    if wide(client["syns"]) == 0 and wide(server["syns"]) == 0:
        remarks |= 1 << Remark.START_UNSEEN
    if silent_peer and cause != Cause.UNANSWERED:
        remarks |= 1 << Remark.ONE_SIDED
    return remarks


@kernel
def evidence(connection: Rows, client: Rows, server: Rows, numbers: I64) -> None:
    """Write the value of every ``Number`` into ``numbers``."""
    numbers[Number.CLIENT_SYN] = wide(client["syn_packet"])
    numbers[Number.SERVER_SYN] = wide(server["syn_packet"])
    numbers[Number.CLIENT_FIN] = wide(client["fin_packet"])
    numbers[Number.SERVER_FIN] = wide(server["fin_packet"])
    numbers[Number.CLIENT_RST] = wide(client["rst_packet"])
    numbers[Number.SERVER_RST] = wide(server["rst_packet"])
    numbers[Number.CLIENT_SYNS] = wide(client["syns"])
    numbers[Number.SERVER_SYNS] = wide(server["syns"])
    numbers[Number.SERVER_PORT] = wide(connection["server_port"])
    numbers[Number.FIRST_PACKET] = wide(connection["first_packet"])
    numbers[Number.LAST_PACKET] = wide(connection["last_packet"])
    first_rst = wide(client["rst_packet"])
    other_rst = wide(server["rst_packet"])
    if first_rst == 0 or (other_rst and other_rst < first_rst):
        first_rst = other_rst
    numbers[Number.FIRST_RST] = first_rst
