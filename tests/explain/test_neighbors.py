"""A connection that nothing answered, and others to the same end."""

from __future__ import annotations

import pytest

from analyzer.explain.neighbors import answered_elsewhere
from analyzer.explain.why import paragraphs
from tests.script import play

ANSWERED = "A > S S 100\nS > A SA 300 ack 101\nA > S A 101 ack 301\n"
UNANSWERED = "+1 C > S S 100\n+1 C > S S 100\n"


def found(text: str, row: int) -> int:
    story = play(text).reconstruction
    return answered_elsewhere(row, story.connections[: story.count], story.endpoints[: story.count])


@pytest.mark.parametrize(
    ("text", "row", "number"),
    [
        (ANSWERED + UNANSWERED, 1, 1),
        (UNANSWERED + ANSWERED, 0, 2),
        (UNANSWERED + "A > B S 100\nB > A SA 300 ack 101\nA > B A 101 ack 301", 0, 0),
        (UNANSWERED + "A > S S 100\nS > A RA 0 ack 101", 0, 0),
        (UNANSWERED, 0, 0),
    ],
)
def test_the_nearest_that_was_answered(text: str, row: int, number: int) -> None:
    assert found(text, row) == number


def test_what_is_told_then() -> None:
    story = play(ANSWERED + UNANSWERED).reconstruction
    said = paragraphs(story.connections[1], story.endpoints[1, 0], story.endpoints[1, 1], other=1)
    assert said == [
        "No SYN-ACK answered the client's SYN (packet 4). The client sent its SYN 2 times. Nothing came from the "
        "server, but connection 1 of this capture shows that its host was up and that a program listened on its port "
        "80: most likely its accept queue was full, for its program calls accept() too seldom; or a firewall dropped "
        "the SYN, or the answer was lost. The wire does not tell which. See on the server whether its program calls "
        "accept(), and whether its accept queue is full (ss -ltn: Recv-Q above Send-Q; nstat -az "
        "TcpExtListenOverflows)."
    ]
