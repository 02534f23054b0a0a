"""Causes and sentences: what each connection's rows prove, and what they do not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from analyzer.explain.causes import ADVICE, CAUSES, Cause, cause_of, code_of
from analyzer.explain.circumstances import ABOUT, REMARKS, Remark
from analyzer.explain.why import AMOUNTS, Number, evidence_of, sentence, why
from analyzer.export.why_text import why_texts
from analyzer.tables import CONNECTION, ENDPOINT, ClosedBy, Protocol, Rows, Side
from analyzer.tcp.states import State

TEMPLATES = [*CAUSES.values(), *REMARKS.values(), *ADVICE.values()]

Columns = dict[str, Any]


def rows(client: Columns, server: Columns, **connection: Any) -> tuple[Rows, Rows, Rows]:
    """A TCP connection's three rows; by default ten packets, five from each side."""
    connections, endpoints = np.zeros(1, CONNECTION), np.zeros((1, 2), ENDPOINT)
    columns = {"protocol": Protocol.TCP, "server_port": 1235, "first_packet": 1, "last_packet": 10, **connection}
    for name, value in columns.items():
        connections[name] = value
    for side, given in enumerate((client, server)):
        for name, value in {"packets": 5, "payload_bytes": 10, "syns": 1, "syn_packet": 1 + side, **given}.items():
            endpoints[name][0, side] = value
    return connections[0], endpoints[0, 0], endpoints[0, 1]


NORMAL = (
    rows(
        {"state": State.CLOSED, "fin_packet": 8},
        {"state": State.TIME_WAIT, "fin_packet": 7, "fin_acked_packet": 8},
        closed_by=ClosedBy.SERVER,
    ),
    Cause.CLOSED_BY_SERVER,
    "The server closed first (FIN in packet 7); the client closed too (FIN in packet 8). That FIN also acknowledged "
    "the server's. TIME-WAIT (2 MSL) stays with the server, the side that closed first.",
)
FOUR_PACKETS = (
    rows(
        {"state": State.TIME_WAIT, "fin_packet": 7},
        {"state": State.LAST_ACK, "fin_packet": 9},
        closed_by=ClosedBy.CLIENT,
        late_data=1 << Side.SERVER,
    ),
    Cause.CLOSED_BY_CLIENT,
    "The client closed first (FIN in packet 7); the server closed too (FIN in packet 9). The server still sent data "
    "after the client's FIN and was not reset for it: the client had closed its sending direction only (half-close, "
    "shutdown(SHUT_WR)). TIME-WAIT (2 MSL) stays with the client, the side that closed first. No acknowledgement of "
    "the server's FIN was seen: the server waits for it in LAST-ACK.",
)
SIMULTANEOUS = (
    rows(
        {"state": State.TIME_WAIT, "fin_packet": 7},
        {"state": State.TIME_WAIT, "fin_packet": 8},
        closed_by=ClosedBy.BOTH,
    ),
    Cause.CLOSED_BY_BOTH,
    "Both sides closed at once: the FINs of the client (packet 7) and of the server (packet 8) crossed. TIME-WAIT (2 "
    "MSL) stays with both.",
)
RST_AFTER_BOTH_FINS = (
    rows({"fin_packet": 7, "rst_packet": 10}, {"fin_packet": 6, "rst_packet": 9}, closed_by=ClosedBy.SERVER),
    Cause.CLOSED_BY_SERVER,
    "The server closed first (FIN in packet 6); the client closed too (FIN in packet 7). A RST (packet 9) was sent "
    "too; the connection counts as closed by its FINs.",
)
ABORTED = (
    rows({"state": State.CLOSED}, {"state": State.CLOSED, "rst_packet": 9, "resets": 1}),
    Cause.RESET_BY_SERVER,
    "The server reset the connection (RST in packet 9). No FIN came before: its program closed the socket with unread "
    "data in it or with SO_LINGER 0, or died, or somebody ended the connection from outside (ss -K), or a device on "
    "the way sent the RST in its name; the wire does not tell which.",
)
RST_AFTER_ITS_OWN_FIN = (
    rows({"state": State.CLOSED, "fin_packet": 6, "rst_packet": 9, "resets": 1}, {"state": State.CLOSED}),
    Cause.RESET_BY_CLIENT,
    "The client reset the connection (RST in packet 9). It had sent its FIN (packet 6); a socket that is closed "
    "entirely answers what still arrives with a RST.",
)
RST_AFTER_THE_OTHERS_FIN = (
    rows({"state": State.CLOSED, "rst_packet": 9, "resets": 1}, {"state": State.CLOSED, "fin_packet": 6}),
    Cause.RESET_BY_CLIENT,
    "The client reset the connection (RST in packet 9). The server had sent its FIN (packet 6).",
)
HALF_OPEN_SCAN = (
    rows({"state": State.CLOSED, "packets": 2, "rst_packet": 3, "resets": 1}, {"state": State.LISTEN, "packets": 1}),
    Cause.RESET_BY_CLIENT,
    "The client reset the connection (RST in packet 3). The handshake was not finished.",
)
REFUSED = (
    rows(
        {"state": State.CLOSED, "packets": 1},
        {"state": State.CLOSED, "packets": 1, "syns": 0, "rst_packet": 2, "resets": 1},
    ),
    Cause.REFUSED,
    "The server refused the connection: its RST (packet 2) answers the client's SYN (packet 1). No program listens on "
    "its port 1235, or a firewall says so; on the wire the two look the same. Start the program, or see on which "
    "address and port it listens (ss -ltn).",
)
UNANSWERED = (
    rows(
        {"state": State.SYN_SENT, "packets": 4, "syns": 4}, {"state": State.SYN_RECEIVED, "packets": 0, "syns": 0},
    ),
    Cause.UNANSWERED,
    "No SYN-ACK answered the client's SYN (packet 1). The client sent its SYN 4 times. Nothing came from the server: a "
    "firewall dropped the SYN, the host is down, its accept queue is full, or its answer was lost; the wire does not "
    "tell which. Check address and port, whether the host is up, the firewalls on the way, and on the server whether "
    "the accept queue overflows (nstat -az TcpExtListenOverflows).",
)  # fmt: skip
SYN_ACK_UNANSWERED = (
    rows({"state": State.ESTABLISHED, "packets": 1}, {"state": State.SYN_RECEIVED, "syns": 3, "packets": 3}),
    Cause.SYN_ACK_UNANSWERED,
    "The server's SYN-ACK (packet 2) was never acknowledged. It did not reach the client, or the client's ACK was "
    "lost, or the client does not want the connection. The server sent its SYN-ACK 3 times. A capture at the client "
    "shows whether the SYN-ACK arrives, and what it answers.",
)
HALF_CLOSED = (
    rows({"state": State.CLOSE_WAIT}, {"state": State.FIN_WAIT_2, "fin_packet": 7}, closed_by=ClosedBy.SERVER),
    Cause.HALF_CLOSED,
    "Only the server was seen to close (FIN in packet 7); no FIN of the client came before the capture ended (last "
    "packet 10). The client stays in CLOSE-WAIT until its program closes the socket.",
)
FIN_UNACKNOWLEDGED = (
    rows({"state": State.FIN_WAIT_1, "fin_packet": 7}, {"state": State.CLOSE_WAIT}, closed_by=ClosedBy.CLIENT),
    Cause.HALF_CLOSED,
    "Only the client was seen to close (FIN in packet 7); no FIN of the server came before the capture ended (last "
    "packet 10). No acknowledgement of that FIN was seen.",
)
ONE_SIDE_ONLY = (
    rows(
        {"state": State.FIN_WAIT_1, "fin_packet": 7, "syns": 0},
        {"state": State.CLOSE_WAIT, "packets": 0, "syns": 0},
        closed_by=ClosedBy.CLIENT,
    ),
    Cause.HALF_CLOSED,
    "Only the client was seen to close (FIN in packet 7); no FIN of the server came before the capture ended (last "
    "packet 10). No SYN was captured: the connection began before the capture did, or a filter left the SYN out. No "
    "packet of the server was captured, so what it did is not known.",
)
OPEN = (
    rows({"state": State.ESTABLISHED}, {"state": State.ESTABLISHED}),
    Cause.OPEN,
    "The connection was still open when the capture ended (last packet 10).",
)
RST_IGNORED = (
    rows({"state": State.ESTABLISHED}, {"state": State.ESTABLISHED, "rst_packet": 4, "resets": 1}),
    Cause.OPEN,
    "The connection was still open when the capture ended (last packet 10). A RST (packet 4) does not fit the sequence "
    "numbers, so it ended nothing (RFC 9293 3.5.3).",
)
UDP = (rows({}, {}, protocol=Protocol.UDP), Cause.NONE, "")

STORIES = (
    NORMAL, FOUR_PACKETS, SIMULTANEOUS, RST_AFTER_BOTH_FINS, ABORTED, RST_AFTER_ITS_OWN_FIN, RST_AFTER_THE_OTHERS_FIN,
    HALF_OPEN_SCAN, REFUSED, UNANSWERED, SYN_ACK_UNANSWERED, HALF_CLOSED, FIN_UNACKNOWLEDGED, ONE_SIDE_ONLY, OPEN,
    RST_IGNORED, UDP,
)  # fmt: skip


@pytest.mark.parametrize(("connection", "cause", "text"), STORIES)
def test_stories(connection: tuple[Rows, Rows, Rows], cause: Cause, text: str) -> None:
    assert cause_of(*connection) == cause
    assert why(*connection) == text


def test_every_code_has_a_row() -> None:
    assert list(CAUSES) == list(Cause)
    assert list(REMARKS) == list(Remark)
    assert set(ADVICE) < set(Cause)
    assert set(ABOUT) < set(Remark)
    assert [code_of(cause) for cause in Cause][:2] == [None, "closed_by_client"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_plain(template: str) -> None:
    assert template.isascii()
    assert not set(template) & set('"\\\n')
    for actor in Side:
        names = re.findall(r"\{(.*?)\}", sentence(template, actor))
        assert {name.upper() for name in names} <= set(Number.__members__)


def test_roles() -> None:
    template = "{actor} {peer} {actor_fin} {peer_rst} {server_port}"
    assert sentence(template, Side.CLIENT) == "client server {client_fin} {server_rst} {server_port}"
    assert sentence(template, Side.SERVER) == "server client {server_fin} {client_rst} {server_port}"


def test_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template is translated before it is filled, the words for the sides too; records stay English."""
    monkeypatch.setattr("analyzer.explain.why._", lambda message: f"<{message}>")
    rows, _, text = REFUSED
    said = why(*rows)
    assert said.startswith("<The server refused the connection: its RST (packet 2) answers")
    assert said.endswith("(ss -ltn).>")
    assert "Only the <server> was seen to close (FIN in packet 7)" in why(*HALF_CLOSED[0])
    assert (
        why_texts(np.array([rows[0]]), np.array([[rows[1], rows[2]]]), np.array([Cause.REFUSED], np.uint8))[0]
        .octets[: len(text)]
        .tobytes()
        == text.encode()
    )


def test_evidence() -> None:
    """The packets that are named, each once and in order; amounts are none."""
    assert evidence_of(*NORMAL[0]) == [7, 8]
    assert evidence_of(*UNANSWERED[0]) == [1]
    assert evidence_of(*UDP[0]) == []
    assert min(number for number in Number if re.search("SYNS|PORT|TRIES|_S$|_MS$|TTL|WAITS", number.name)) == AMOUNTS
