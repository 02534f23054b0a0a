"""Who is the client, told by the data: payloads that begin as only a client's, or only a server's, can.

Where neither SYN nor SYN-ACK was captured and nobody named the server, the strongest evidence that is left decides:

1. one port is a System Port, the other is not (connections.py): seldom wrong, and known from the first packet on;
2. what is here: the first segment that begins with one of the ``SIGNATURES`` tells which side is which. If that is not
   what was thought before, the connection turns round;
3. one port is from the range that clients are given, the other is not;
4. the first packet.

A SYN that comes later is stronger than all of them, and turns the connection round too.

The System Port comes first because an octet pattern at the start of a segment may be a piece of something that is
transferred, and because evidence that is there at once never makes earlier labels wrong. Who speaks first, or less, is
no evidence: a capture that begins in the middle has either.

What both sides may say is not in the table: SSH's and VNC's banners, SIP, XMPP, AMQP 1.0, Redis' arrays, TLS records
other than the two Hellos. UDP is left to its ports and its first packet.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from analyzer.jit import kernel, wide
from analyzer.tables import HISTORY_LEN, I64, ClosedBy, Evidence, Frames, Packets, Rows, Side
from analyzer.tcp.duplicates import captured_end
from analyzer.tcp.history import CARET, TO_LOWER

LOOKED_AT = 256
"""Packets of a connection, its first ones, whose payload is looked at."""

SIGNATURE_LEN = 16

SIGNATURE = np.dtype(
    [
        ("side", np.uint8),  # Side that sends it
        ("length", np.uint8),
        ("octets", np.uint8, (SIGNATURE_LEN,)),
        ("mask", np.uint8, (SIGNATURE_LEN,)),  # 0 where any octet will do
    ]
)
"""How a payload begins."""

ANY = "?"

NOBODY = 2
"""In place of a Side: the payload does not tell."""

REQUESTS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")

CLIENTS: dict[str, tuple[str, ...]] = {
    "HTTP, RFC 9110 9.3, RFC 9112 3.2, RFC 5789": (
        *(f"{method} {target}" for method in REQUESTS for target in ("/", "http://", "https://")), "OPTIONS * HTTP/",
    ),
    "HTTP/2, RFC 9113 3.4": ("PRI * HTTP/2.0\r\n",),
    "RTSP, RFC 2326 6.1": ("DESCRIBE rtsp://", "SETUP rtsp://", "PLAY rtsp://"),
    "SMTP, RFC 5321 4.1.1; LMTP, RFC 2033 4.1": ("EHLO ", "HELO ", "LHLO ", "MAIL FROM:<", "RCPT TO:<"),
    "FTP, RFC 959 4.1.1; POP3, RFC 1939 7; IRC, RFC 2812 3.1": ("USER ", "PASS "),
    "TLS, RFC 8446 5.1, 4.1.2: ClientHello": ("\x16\x03???\x01",),
    "PostgreSQL, Message Formats: StartupMessage, SSLRequest": (
        "\0\0??\0\x03\0\0user\0", "\0\0\0\x08\x04\xd2\x16\x2f",
    ),
    "MongoDB, Wire Protocol: OP_MSG that answers nothing": ("????????\0\0\0\0\xdd\x07\0\0",),
    "MQTT 3.1.1, OASIS 3.1; its packet has fewer than 128 octets": ("\x10?\0\x04MQTT\x04", "\x10?\0\x04MQTT\x05"),
    "AMQP 0-9-1, 4.2.2": ("AMQP\0\0\x09\x01",),
    "RDP, [MS-RDPBCGR] 2.2.1.1: X.224 Connection Request": ("\x03\0\0??\xe0",),
}  # fmt: skip

SERVERS: dict[str, tuple[str, ...]] = {
    "HTTP, RFC 9112 4": ("HTTP/1.0 ", "HTTP/1.1 "),
    "RTSP, RFC 2326 7.1": ("RTSP/1.0 ",),
    "SMTP, RFC 5321 4.2.3, 4.1.1.1; FTP, RFC 959 4.2.2": ("220 ", "220-", "250-"),
    "POP3, RFC 1939 3": ("+OK\r\n", "+OK "),
    "IMAP, RFC 9051 7.1.1, 7.1.4": ("* OK ", "* PREAUTH "),
    "TLS, RFC 8446 5.1, 4.1.3: ServerHello": ("\x16\x03???\x02",),
    "MySQL, Protocol::HandshakeV10 with version 5 or 8; MariaDB says 5.5.5": ("?\0\0\0\n5.", "?\0\0\0\n8."),
    "RDP, [MS-RDPBCGR] 2.2.1.2: X.224 Connection Confirm": ("\x03\0\0??\xd0",),
}
"""What clients and servers begin with, by protocol and source; ``?`` stands for any octet."""


class Signatures(NamedTuple):
    """The two tables, to be looked up by a payload's first octet."""

    rows: Rows
    """SIGNATURE[n]"""
    candidates: I64
    """Rows that a payload may begin with, for the first octet 0, then for 1, and so on."""
    first: I64
    """int64[257]: where each octet's candidates begin."""


@cache
def signatures() -> Signatures:
    """The two tables as arrays."""
    said = [(side, text) for side, table in ((Side.CLIENT, CLIENTS), (Side.SERVER, SERVERS))
            for texts in table.values() for text in texts]  # fmt: skip
    rows: Rows = np.zeros(len(said), SIGNATURE)
    for row, (side, text) in zip(rows, said, strict=True):
        octets = text.encode("latin-1")
        row["side"], row["length"] = side, len(octets)
        row["octets"][: len(octets)] = list(octets)
        row["mask"][: len(octets)] = [0 if octet == ord(ANY) else 0xFF for octet in octets]
        row["octets"] &= row["mask"]
    may_begin = [np.flatnonzero(rows["octets"][:, 0] == (octet & rows["mask"][:, 0])) for octet in range(256)]
    candidates = np.concatenate(may_begin)
    first = np.concatenate(([0], np.cumsum([len(found) for found in may_begin])))
    for column in (rows, candidates, first):
        column.flags.writeable = False
    return Signatures(rows, candidates, first)


@kernel(inline=True)
def may_turn(connection: Rows, fwd: Rows, rev: Rows) -> bool:
    """Whether a connection still listens to what is said."""
    return wide(connection["client_evidence"]) > Evidence.DATA and (
        wide(fwd["packets"]) + wide(rev["packets"]) < LOOKED_AT
    )


@kernel(inline=True)
def speaker_of(frames: Frames, packets: Packets, i: int, known: Signatures) -> int:
    """The Side that sends what begins like the payload of segment ``i``; NOBODY when it does not tell."""
    start = wide(packets.payload_start[i])
    octets = min(wide(packets.payload_len[i]), captured_end(frames, packets, i) - start)
    if start <= 0 or octets <= 0:
        return NOBODY
    first = wide(frames.data[start])
    for c in range(wide(known.first[first]), wide(known.first[first + 1])):
        k = wide(known.candidates[c])
        length = wide(known.rows[k]["length"])
        if length > octets:
            continue
        same = True
        for j in range(length):
            if wide(frames.data[start + j]) & wide(known.rows[k]["mask"][j]) != wide(known.rows[k]["octets"][j]):
                same = False
                break
        if same:
            return wide(known.rows[k]["side"])
    return NOBODY


@kernel(inline=True)
def turn_round(connection: Rows, row: int, endpoint_words: I64) -> None:
    """The client is the server and the server the client.

    Args: ``endpoint_words`` int64[n, Side, …]: the memory of the endpoints, of which those of ``row`` are exchanged.
    """
    for k in range(endpoint_words.shape[2]):
        word = wide(endpoint_words[row, 0, k])
        endpoint_words[row, 0, k] = wide(endpoint_words[row, 1, k])
        endpoint_words[row, 1, k] = word
    address = connection["address"]
    for k in range(4):
        word = wide(address[k])
        address[k] = wide(address[4 + k])
        address[4 + k] = word
    port = wide(connection["client_port"])
    connection["client_port"] = wide(connection["server_port"])
    connection["server_port"] = port
    if wide(connection["unreachable"]):
        connection["unreachable_side"] = 1 - wide(connection["unreachable_side"])
    if wide(connection["spoke_last"]):
        connection["spoke_last"] = 3 - wide(connection["spoke_last"])
    late = wide(connection["late_data"])
    connection["late_data"] = (late & 1) << 1 | late >> 1
    closed_by = wide(connection["closed_by"])
    if closed_by in (ClosedBy.CLIENT, ClosedBy.SERVER):
        connection["closed_by"] = ClosedBy.CLIENT + ClosedBy.SERVER - closed_by
    turn_history(connection)


@kernel(inline=True)
def turn_history(connection: Rows) -> None:
    """Exchange upper and lower case, and put ``^`` in front or take it away: it says that the server came first."""
    history = connection["history"]
    length = wide(connection["history_len"])
    begins_with_caret = length > 0 and wide(history[0]) == CARET
    for k in range(length):
        letter = wide(history[k])
        if letter != CARET:
            history[k] = letter ^ TO_LOWER
    if begins_with_caret:
        for k in range(length - 1):
            history[k] = wide(history[k + 1])
        history[length - 1] = 0
        connection["history_len"] = length - 1
        return
    last = min(length, HISTORY_LEN - 1)
    for k in range(last):
        history[last - k] = wide(history[last - k - 1])
    history[0] = CARET
    connection["history_len"] = last + 1
