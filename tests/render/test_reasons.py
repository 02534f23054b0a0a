"""A line for each cause of trouble below a table."""

from __future__ import annotations

import pytest

from analyzer.explain.causes import Cause
from analyzer.render.reasons import REASONS, reasons
from analyzer.render.screen import Screen, cells
from analyzer.render.words import ENDINGS, LOUD
from tests.script import Hosts, parse, play

REFUSED = "C > S S 100\nS > C RA 0 ack 101 win 0\n"
ABORTED = "A > S S 100\nS > A SA 300 ack 101\nA > S A 101 ack 301\nA > S RA 101 ack 301\n"
CLOSED = "C > B S 1\nB > C SA 1 ack 2\nC > B FA 2 ack 2\nB > C FA 2 ack 3\nC > B A 3 ack 3\n"


def lines(text: str, width: int = 100) -> list[str]:
    story = play(text).reconstruction
    return list(reasons(story.connections, story.endpoints, range(story.count), Screen(width)))


def test_causes_with_their_connections() -> None:
    assert lines(ABORTED + CLOSED + REFUSED) == [
        " refused ×1 (3): no program listens on the port, or a firewall says so",
        " client aborted ×1 (1): RST without a FIN: unread data, SO_LINGER 0, or never accepted",
        "",
    ]


def test_nothing_of_connections_that_closed() -> None:
    assert lines(CLOSED) == []


def test_the_most_frequent_come_first_and_few_are_named() -> None:
    hosts: Hosts = {"S": ("10.0.0.2", 80)} | {chr(97 + k): (f"10.0.1.{k}", 40_000) for k in range(8)}
    text = "".join(f"{host} > S S 100\nS > {host} RA 0 ack 101 win 0\n" for host in "abcdefg") + "h > S S 100\n"
    story = play(parse(text), hosts).reconstruction
    told = list(reasons(story.connections, story.endpoints, range(story.count), Screen(100)))
    assert told[0] == " refused ×7 (1, 2, 3, 4, 5, …): no program listens on the port, or a firewall says so"
    assert told[1].startswith(" no answer ×1 (8): no SYN-ACK came")


def test_a_port_that_listened() -> None:
    text = "A > S S 100\nS > A SA 300 ack 101\nA > S A 101 ack 301\nC > S S 1\n+1 C > S S 1\nA > B S 7\n+1 A > B S 7\n"
    assert " ".join(" ".join(lines(text)).split()) == (
        "no answer ×1 (3): no SYN-ACK came: firewall, host down, accept queue full, or packets lost no answer ×1 (2): "
        "other connections show that the port listened: most likely the accept queue was full"
    )


def test_troubles_of_connections_that_closed() -> None:
    handshake = "C > S S 100\nS > C SA 100 ack 101\nC > S A 101 ack 101\n"
    waited = "C > S PA 101:111 ack 101\n+0.04 S > C A 101 ack 111\n+0.0001 C > S PA 111:121 ack 101\n"
    assert lines(handshake + waited)[0].startswith(" writes waited ×1 (1): small writes waited for delayed ACKs")
    stalled = "C > S PA 101:111 ack 101\nS > C A 101 ack 111 win 0\n+1 C > S A 110 ack 101\n"
    assert lines(handshake + stalled)[0].startswith(" did not read ×1 (1): a zero window made the writer wait")


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    assert all(cells(line) <= width for line in lines(ABORTED + REFUSED, width))


def test_every_cause_that_is_loud_is_told() -> None:
    assert {cause for cause in Cause if ENDINGS[cause].style == LOUD} <= set(REASONS)
