"""Causes from packets: every conversation below, with either side in each part, and what is said of it.

A story is in the notation of tests/script.py with two letters of its own: X is the side that it is about, Y the other.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pytest

from analyzer.explain.causes import ADVICE, CAUSES, Cause, actor_of, cause_of
from analyzer.explain.circumstances import REMARKS, Remark, remarks_on
from analyzer.explain.why import evidence_of, paragraphs, why
from analyzer.export.why_text import why_texts
from analyzer.tables import Rows, Side
from tests.explain import test_why
from tests.export.rows import kernels
from tests.script import Hosts, play

HANDSHAKE = """
    C > S  S 100 mss 1460
    S > C  SA 100 ack 101 mss 1460
    C > S  A 101 ack 101
"""

IPV6: Hosts = {
    "C": ("2001:db8::1", 40000), "S": ("2001:db8::2", 80), "R": ("2001:db8::ff", 0),
}  # fmt: skip

Remarks = frozenset[Remark]

UNREAD = frozenset({Remark.CLOSED_UNREAD, Remark.ADVICE_READ})
ALL_READ = frozenset({Remark.NOTHING_UNREAD, Remark.ADVICE_LINGER})


class Story(NamedTuple):
    """A conversation, its cause (that of the client, where there are two), remarks, and the evidence in its order."""

    text: str
    cause: Cause
    remarks: Remarks = frozenset()
    evidence: tuple[int, ...] = ()
    sides: str = "CS"
    """Who X may be."""


STORIES = {
    "aborted": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X PA 101:111 ack 111\nX > Y RA 111 ack 111",
        Cause.ABORTED_BY_CLIENT, UNREAD | {Remark.PERHAPS_UNREAD}, (6,),
    ),
    "aborted while nothing was unread": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X A 101 ack 111\nX > Y RA 111 ack 101",
        Cause.ABORTED_BY_CLIENT, ALL_READ, (6,),
    ),
    "aborted after the other closed": Story(
        HANDSHAKE + "Y > X PA 101:111 ack 101\nX > Y PA 101:111 ack 111\nY > X FA 111 ack 111\nX > Y RA 111 ack 112",
        Cause.ABORTED_BY_CLIENT, UNREAD | {Remark.PEER_HAD_CLOSED}, (7, 6),
    ),
    "aborted with a full buffer": Story(
        HANDSHAKE + "Y > X PA 101:111 ack 101\nX > Y A 101 ack 111 win 0\n+1 X > Y RA 101 ack 111 win 0",
        Cause.ABORTED_BY_CLIENT, UNREAD | {Remark.PERHAPS_UNREAD, Remark.CLIENT_STALLED}, (5, 6),
    ),
    "RST with ACK and without a window": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X PA 101:111 ack 111\nX > Y RA 111 ack 111 win 0",
        Cause.RESET_BY_CLIENT, frozenset({Remark.NO_FIN_BEFORE_RST}), (6,),
    ),
    "aborted unused": Story(
        HANDSHAKE + "X > Y RA 101 ack 101",
        Cause.ABORTED_BY_CLIENT, ALL_READ | {Remark.NEVER_USED}, (4,),
    ),
    "write after close": Story(
        HANDSHAKE + "X > Y FA 101 ack 101\nY > X A 101 ack 102\nY > X PA 101:111 ack 102\nX > Y R 102 win 0",
        Cause.WRITE_AFTER_CLOSE, frozenset({Remark.RST_ANSWERS}), (4, 7, 6),
    ),
    "RST after its own FIN, without data": Story(
        HANDSHAKE + "X > Y FA 101 ack 101\nY > X A 101 ack 102\nX > Y R 102 win 0",
        Cause.RESET_BY_CLIENT, frozenset({Remark.ACTOR_HAD_CLOSED, Remark.NEVER_USED}), (6, 4),
    ),
    "half-open": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X A 101 ack 111\n+5 Y > X PA 101:111 ack 111\nX > Y R 111 win 0",
        Cause.HALF_OPEN, frozenset({Remark.RST_ANSWERS}), (7, 6),
    ),
    "half-open after silence": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X A 101 ack 111\n"
        "+50 Y > X PA 101:111 ack 111\n+40 X > Y R 111 win 0",
        Cause.HALF_OPEN, frozenset({Remark.RST_ANSWERS, Remark.RST_AFTER_SILENCE}), (7, 6),
    ),
    "a bare RST that answers nothing": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X PA 101:111 ack 101\nX > Y R 111 win 0",
        Cause.RESET_BY_CLIENT, frozenset({Remark.NO_FIN_BEFORE_RST}), (6,),
    ),
    "keep-alives unanswered": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X A 101 ack 111\n"
        "+60 X > Y A 110 ack 101\n+1 X > Y A 110 ack 101\n+1 X > Y RA 111 ack 101",
        Cause.KEEP_ALIVE_TIMEOUT, frozenset(), (8,),
    ),
    "keep-alives answered": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X A 101 ack 111\n"
        "+60 X > Y A 110 ack 101\nY > X A 101 ack 111\n+1 X > Y RA 111 ack 101",
        Cause.ABORTED_BY_CLIENT, ALL_READ, (8,),
    ),
    "retransmissions unanswered": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\n"
        "+1 X > Y PA 101:111 ack 101\n+2 X > Y PA 101:111 ack 101\n+4 X > Y RA 111 ack 101",
        Cause.RETRANSMISSION_TIMEOUT, frozenset(), (7,),
    ),
    "vanished": Story(
        HANDSHAKE + "Y > X PA 101:111 ack 101\n+1 Y > X PA 101:111 ack 101\n+2 Y > X PA 101:111 ack 101\n"
        "+4 Y > X PA 101:111 ack 101",
        Cause.CLIENT_VANISHED, frozenset(), (7,),
    ),
    "vanished, by keep-alives": Story(
        HANDSHAKE + "Y > X PA 101:111 ack 101\nX > Y A 101 ack 111\n"
        "+9 Y > X A 110 ack 101\n+9 Y > X A 110 ack 101\n+9 Y > X A 110 ack 101",
        Cause.CLIENT_VANISHED, frozenset(), (8,),
    ),
    "not vanished yet": Story(
        HANDSHAKE + "Y > X PA 101:111 ack 101\n+1 Y > X PA 101:111 ack 101\n+2 Y > X PA 101:111 ack 101",
        Cause.OPEN, frozenset(), (6,),
    ),
    "vanished after the other's FIN": Story(
        HANDSHAKE + "X > Y FA 101 ack 101\n+1 X > Y FA 101 ack 101\n+2 X > Y FA 101 ack 101\n+4 X > Y FA 101 ack 101",
        Cause.HALF_CLOSED, frozenset({Remark.FIN_UNACKNOWLEDGED, Remark.PEER_SILENT}), (4, 7),
    ),
    "idle reset": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nY > X PA 101:111 ack 111\n+300 X > Y RA 111 ack 111",
        Cause.IDLE_RESET, frozenset(), (6,),
    ),
    "middlebox": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101 ttl 60\nY > X PA 101:111 ack 111 ttl 50\nX > Y RA 111 ack 111 ttl 61",
        Cause.LIKELY_MIDDLEBOX_RESET, frozenset(), (6,),
    ),
    "middlebox with another IP identification": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101 id 7\nY > X A 101 ack 111\nX > Y PA 111:112 ack 101 id 8\n"
        "+99 X > Y R 112 ttl 61 id 60000",
        Cause.LIKELY_MIDDLEBOX_RESET, frozenset({Remark.RST_ID_UNLIKE, Remark.RST_AFTER_SILENCE}), (7,),
    ),
    "accept queue full": Story(
        HANDSHAKE + "C > S PA 101:111 ack 101\n+1 S > C SA 100 ack 101 mss 1460\nC > S A 111 ack 101",
        Cause.LIKELY_ACCEPT_QUEUE_FULL, frozenset(), (2,), "C",
    ),
    "accept queue full until the client gives up": Story(
        HANDSHAKE + "C > S PA 101:111 ack 101\n+1 S > C SA 100 ack 101 mss 1460\nC > S A 111 ack 101\n"
        "C > S RA 111 ack 101",
        Cause.LIKELY_ACCEPT_QUEUE_FULL, frozenset({Remark.ENDED_BY_RST}), (2, 7), "C",
    ),
    "refused right after the handshake": Story(
        HANDSHAKE + "S > C R 101 win 0",
        Cause.RESET_BY_SERVER, frozenset({Remark.RST_RIGHT_AFTER_HANDSHAKE}), (4,), "C",
    ),
    "SYN scan": Story(
        "C > S S 100\nS > C SA 100 ack 101\nC > S R 101",
        Cause.RESET_BY_CLIENT, frozenset({Remark.RST_IN_HANDSHAKE}), (3,), "C",
    ),
    "never used": Story(
        HANDSHAKE + "X > Y FA 101 ack 101\nY > X FA 101 ack 102\nX > Y A 102 ack 102",
        Cause.CLOSED_BY_CLIENT,
        frozenset({Remark.FIN_WITH_ACK, Remark.TIME_WAIT, Remark.NEVER_USED}), (4, 5),
    ),
    "stalled": Story(
        HANDSHAKE + "Y > X PA 101:1101 ack 101\nX > Y A 101 ack 1101 win 0\n+0.3 Y > X A 1100 ack 101\n"
        "X > Y A 101 ack 1101 win 0\n+0.7 X > Y A 101 ack 1101 win 500",
        Cause.OPEN, frozenset({Remark.CLIENT_STALLED}), (5, 8),
    ),
    "stalled twice": Story(
        HANDSHAKE + "Y > X PA 101:1101 ack 101\nX > Y A 101 ack 1101 win 0\n+0.7 X > Y A 101 ack 1101 win 500\n"
        "Y > X PA 1101:1601 ack 101\nX > Y A 101 ack 1601 win 0\n+0.2 X > Y A 101 ack 1601 win 500",
        Cause.OPEN, frozenset({Remark.CLIENT_STALLED_OFTEN}), (5, 9),
    ),
    "stalled twice, to the end": Story(
        HANDSHAKE + "Y > X PA 101:1101 ack 101\nX > Y A 101 ack 1101 win 0\n+0.7 X > Y A 101 ack 1101 win 500\n"
        "Y > X PA 1101:1601 ack 101\nX > Y A 101 ack 1601 win 0",
        Cause.OPEN, frozenset({Remark.CLIENT_STALLED_OFTEN, Remark.CLIENT_STILL_STALLED}), (5, 8),
    ),
    "closed by one, begun before the capture": Story(
        "Y > X A 101 ack 101\nX > Y FA 101 ack 101\nY > X A 101 ack 102",
        Cause.HALF_CLOSED, frozenset({Remark.PERHAPS_CLOSE_WAIT, Remark.START_UNSEEN}), (2, 3), "S",
    ),
    "stalled to the end": Story(
        HANDSHAKE + "Y > X PA 101:1101 ack 101\nX > Y A 101 ack 1101 win 0\n+0.3 Y > X A 1100 ack 101\n"
        "X > Y A 101 ack 1101 win 0",
        Cause.OPEN, frozenset({Remark.CLIENT_STALLED, Remark.CLIENT_STILL_STALLED}), (5, 7),
    ),
    "Nagle and delayed ACK": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\n+0.04 Y > X A 101 ack 111\n+0.0001 X > Y PA 111:121 ack 101\n"
        "+0.0001 Y > X PA 101:102 ack 121\nX > Y PA 121:131 ack 102\n+0.041 Y > X A 102 ack 131\n"
        "+0.0001 X > Y PA 131:141 ack 102",
        Cause.OPEN, frozenset({Remark.CLIENT_NAGLE_OFTEN}), (6, 10),
    ),
    "one write that waited": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\n+0.04 Y > X A 101 ack 111\n+0.0001 X > Y PA 111:121 ack 101",
        Cause.OPEN, frozenset({Remark.CLIENT_NAGLE}), (6,),
    ),
    "a late answer is no delayed ACK": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\n+0.04 Y > X PA 101:103 ack 111\n+0.0001 X > Y PA 111:121 ack 103",
        Cause.OPEN, frozenset(), (6,),
    ),
    "a pause of the writer is no delayed ACK": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\n+0.04 Y > X A 101 ack 111\n+0.02 X > Y PA 111:121 ack 101",
        Cause.OPEN, frozenset(), (6,),
    ),
    "ICMP besides": Story(
        HANDSHAKE + "X > Y PA 101:111 ack 101\nR > X ICMP 3 1 4\n+1 X > Y PA 101:111 ack 101\nY > X A 101 ack 111",
        Cause.OPEN, frozenset({Remark.ICMP_BESIDES}), (7, 5),
    ),
}  # fmt: skip

UNDELIVERED = {
    (3, 13): Cause.PROHIBITED, (3, 0): Cause.NET_UNREACHABLE, (3, 1): Cause.HOST_UNREACHABLE,
    (3, 3): Cause.PORT_UNREACHABLE, (3, 2): Cause.UNREACHABLE, (11, 0): Cause.HOPS_EXCEEDED, (3, 4): Cause.UNANSWERED,
    (11, 1): Cause.UNANSWERED, (3, 99): Cause.UNANSWERED, (8, 0): Cause.UNANSWERED,
}  # fmt: skip

UNDELIVERED_6 = {
    (1, 1): Cause.PROHIBITED, (1, 5): Cause.PROHIBITED, (1, 0): Cause.NET_UNREACHABLE, (1, 3): Cause.HOST_UNREACHABLE,
    (1, 4): Cause.PORT_UNREACHABLE, (1, 2): Cause.UNREACHABLE, (3, 0): Cause.HOPS_EXCEEDED, (2, 0): Cause.UNANSWERED,
}  # fmt: skip

_MIRRORED_CAUSES = {
    Cause.ABORTED_BY_CLIENT: Cause.ABORTED_BY_SERVER, Cause.RESET_BY_CLIENT: Cause.RESET_BY_SERVER,
    Cause.CLOSED_BY_CLIENT: Cause.CLOSED_BY_SERVER, Cause.CLIENT_VANISHED: Cause.SERVER_VANISHED,
}  # fmt: skip
_MIRRORED_REMARKS = {
    Remark.CLIENT_STALLED: Remark.SERVER_STALLED, Remark.CLIENT_STILL_STALLED: Remark.SERVER_STILL_STALLED,
    Remark.CLIENT_STALLED_OFTEN: Remark.SERVER_STALLED_OFTEN, Remark.CLIENT_NAGLE: Remark.SERVER_NAGLE,
    Remark.CLIENT_NAGLE_OFTEN: Remark.SERVER_NAGLE_OFTEN,
}  # fmt: skip
_NOT_ACCEPTED = {
    Remark.CLOSED_UNREAD: Remark.PERHAPS_NOT_ACCEPTED, Remark.ADVICE_READ: Remark.ADVICE_ACCEPT,
    Remark.NOTHING_UNREAD: Remark.NOTHING_UNREAD_PERHAPS_NOT_ACCEPTED,
    Remark.ADVICE_LINGER: Remark.ADVICE_ACCEPT_OR_LINGER,
}  # fmt: skip
"""What is said instead of a server that sent no data: its program may not have called accept()."""


def told(text: str, hosts: Hosts | None = None) -> tuple[Rows, Rows]:
    """CONNECTION[1] and ENDPOINT[1, Side]."""
    story = play(text, hosts) if hosts else play(text)
    assert story.reconstruction.count == 1
    return story.reconstruction.connections[:1], story.reconstruction.endpoints[:1]


def remarks_of(connection: Rows, endpoints: Rows) -> Remarks:
    cause = cause_of(connection, *endpoints)
    bits = remarks_on(cause, actor_of(cause, connection, *endpoints), connection, *endpoints)
    return frozenset(remark for remark in Remark if bits >> remark & 1)


def of_side(text: str, side: str) -> str:
    return text.replace("X", side).replace("Y", "CS".replace(side, ""))


@pytest.mark.parametrize(("name", "side"), [(name, side) for name, story in STORIES.items() for side in story.sides])
def test_stories(name: str, side: str) -> None:
    story = STORIES[name]
    (connection,), (endpoints,) = told(of_side(story.text, side))
    cause, remarks = story.cause, story.remarks
    if side == "S":
        cause = _MIRRORED_CAUSES.get(cause, cause)
        remarks = frozenset(_MIRRORED_REMARKS.get(remark, remark) for remark in remarks)
        if not endpoints["payload_bytes"][Side.SERVER]:
            remarks = frozenset(_NOT_ACCEPTED.get(remark, remark) for remark in remarks)
    if cause in (Cause.ABORTED_BY_SERVER, Cause.RESET_BY_SERVER):
        remarks -= {Remark.NEVER_USED}
    assert Cause(cause_of(connection, *endpoints)).name == cause.name
    assert remarks_of(connection, endpoints) == remarks
    assert tuple(evidence_of(connection, *endpoints)) == story.evidence


@pytest.mark.parametrize("router", ["R", "S"])
@pytest.mark.parametrize("version", [4, 6])
def test_undelivered(version: int, router: str) -> None:
    for (kind, code), cause in (UNDELIVERED if version == 4 else UNDELIVERED_6).items():
        text = f"C > S S 100\n{router} > C ICMP {kind} {code} 1\n+1 C > S S 100"
        (connection,), (endpoints,) = told(text, IPV6 if version == 6 else None)
        assert Cause(cause_of(connection, *endpoints)).name == cause.name, (kind, code)
        if cause == Cause.UNANSWERED:
            continue
        where = Remark.ICMP_FROM_DESTINATION if router == "S" else Remark.ICMP_FROM_THE_WAY
        rule = {Remark.REJECTED_BY_A_RULE} if cause == Cause.PORT_UNREACHABLE else set()
        assert remarks_of(connection, endpoints) == {Remark.SYN_REPEATED, where} | rule
        assert evidence_of(connection, *endpoints) == [2]


@pytest.mark.parametrize("version", [4, 6])
def test_undelivered_datagrams(version: int) -> None:
    kind, code = (3, 3) if version == 4 else (1, 4)
    (connection,), (endpoints,) = told(f"C > S UDP 10\nS > C ICMP {kind} {code} 1", IPV6 if version == 6 else None)
    assert cause_of(connection, *endpoints) == Cause.PORT_UNREACHABLE
    assert remarks_of(connection, endpoints) == {Remark.ICMP_FROM_DESTINATION, Remark.NO_UDP_PROGRAM}
    (connection,), (endpoints,) = told("C > S UDP 10\nS > C UDP 9\nC > S ICMP 3 3 2")
    assert cause_of(connection, *endpoints) == Cause.NONE
    assert why(connection, *endpoints) == ""


def test_icmp_of_another_connection() -> None:
    """Of a 4-tuple, or a sequence number, that is not the connection's; or of one that there never was."""
    for quoted in ("C > S S 99999", "A > S S 100"):
        story = play(f"C > S S 100\n{quoted}\nR > C ICMP 3 13 2")
        assert story.reconstruction.connections[0]["unreachable"] == 0
    story = play("R > C ICMP 3 13 0")
    assert story.reconstruction.count == 0


def test_compiled_and_interpreted_agree() -> None:
    texts = [of_side(story.text, side) for story in STORIES.values() for side in story.sides]
    texts += [f"C > S S 100\nR > C ICMP {kind} {code} 1" for kind, code in UNDELIVERED]
    for text in texts:
        with kernels("always"):
            compiled = told(text)
            cause = np.array([cause_of(compiled[0][0], *compiled[1][0])], np.uint8)
            said, packets = why_texts(*compiled, cause)
        with kernels("never"):
            plain = told(text)
        assert plain[0].tobytes() == compiled[0].tobytes()
        assert plain[1].tobytes() == compiled[1].tobytes()
        rows = plain[0][0], *plain[1][0]
        assert said.octets[: said.size[0]].tobytes().decode() == why(*rows)
        assert packets.octets[: packets.size[0]].tobytes().decode() == ",".join(map(str, evidence_of(*rows)))


def test_every_sentence_is_told() -> None:
    """In a story here or in test_why.py."""
    said = [why(*rows) for rows, _, _ in test_why.STORIES]
    texts = [of_side(story.text, side) for story in STORIES.values() for side in story.sides]
    texts += [f"C > S S 100\nR > C ICMP {kind} {code} 1" for kind, code in UNDELIVERED]
    texts += ["C > S S 100\nS > C ICMP 3 3 1", "C > S UDP 9\nS > C ICMP 3 3 1"]
    for text in texts:
        (connection,), (endpoints,) = told(text)
        said.append(why(connection, *endpoints))
    all_said = " ".join(said)
    for template in (*CAUSES.values(), *REMARKS.values(), *ADVICE.values()):
        pattern = re.sub(r"\\{\w+\\}", r"\\w+", re.escape(template))
        assert re.search(pattern, all_said), template


def test_the_sentences_of_a_connection() -> None:
    """As a person reads them."""
    (connection,), (endpoints,) = told(of_side(STORIES["write after close"].text, "S"))
    assert why(connection, *endpoints) == (
        "The client wrote after the server's FIN (packet 4), and a RST (packet 7) answered that: by then the server's "
        "socket was closed entirely, for reading too. The client's next write gets EPIPE, or SIGPIPE. The RST came "
        "right after packet 6, which the client had sent. Let the writer see the end of what it reads (recv gives 0) "
        "and stop; or let the other side close with shutdown(SHUT_WR), and read on until the end."
    )
    (connection,), (endpoints,) = told(of_side(STORIES["aborted with a full buffer"].text, "S"))
    assert paragraphs(connection, *endpoints) == [
        "The server did not read: its window was zero for 1000 ms, from packet 5 on, and the client had to wait. Its "
        "program must call recv() more often.",
        "The server aborted the connection (RST in packet 6), without a FIN. Most likely its program closed the "
        "socket, or ended, with unread data in it, or closed it with SO_LINGER 0; or, as it never sent data, accept() "
        "was never called for it and the listening socket was closed; or somebody ended the connection from outside "
        "(ss -K), or a device on the way did in its name. The wire does not tell which. The client had sent the latest "
        "data, and nothing of the server's answered it: perhaps it was not read. See whether the program calls "
        "accept(); then let it read what came, up to the peer's FIN, before it closes, and close without SO_LINGER 0: "
        "then a FIN ends the connection and nothing is lost.",
    ]
    (connection,), (endpoints,) = told(of_side(STORIES["stalled twice"].text, "S"))
    assert "its window was zero for 900 ms in all, at most 700 ms at a time, first in packet 5, and" in why(
        connection, *endpoints
    )
    (connection,), (endpoints,) = told(of_side(STORIES["Nagle and delayed ACK"].text, "C"))
    assert "waited for the server's delayed ACK, 2 of them (first packet 6), 81 ms in all, as Nagle's" in why(
        connection, *endpoints
    )
    assert actor_of(Cause.OPEN, connection, *endpoints) == Side.CLIENT
