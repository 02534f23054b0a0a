"""How much of connections was captured, and which filters may split one."""

from __future__ import annotations

import pytest

from analyzer.explain.quality import Coverage, coverage_of, may_cut
from tests.script import play

OPEN = "C > S  S 100\nS > C  SA 300 ack 101\nC > S  A 101 ack 301\n"


@pytest.mark.parametrize(
    ("talk", "coverage"),
    [
        (OPEN + "C > S  FA 101 ack 301\nS > C  FA 301 ack 102\nC > S  A 102 ack 302", Coverage()),
        (OPEN + "C > S  FA 101 ack 301\nS > C  FA 301 ack 102", Coverage()),
        (OPEN + "C > S  RA 101 ack 301", Coverage()),
        (OPEN, Coverage(still_open=1)),
        (OPEN + "C > S  FA 101 ack 301", Coverage(still_open=1)),
        ("C > S  S 100\n+1 C > S  S 100", Coverage()),
        ("C > S  S 100\n+0.00001 C > S  S 100", Coverage()),
        ("C > S  S 100\nS > C  SA 300 ack 101", Coverage()),
        ("C > S  S 100\nS > C  RA 0 ack 101", Coverage()),
        ("C > S  PA 101:106 ack 301\nS > C  A 301 ack 106", Coverage(unseen_starts=1, still_open=1)),
        ("C > S  S 100\nC > S  A 101 ack 301", Coverage(still_open=1, one_sided=1)),
        ("C > S  PA 101:106 ack 301", Coverage(unseen_starts=1, still_open=1, one_sided=1)),
        ("C > S  UDP 5\nA > B  UDP 5\nB > A  UDP 5", Coverage()),
    ],
)
def test_coverage(talk: str, coverage: Coverage) -> None:
    made = play(talk).reconstruction
    assert coverage_of(made.connections[: made.count], made.endpoints[: made.count]) == coverage


def test_coverage_adds_up() -> None:
    assert Coverage(1, 2, 3).plus(Coverage(4, 5, 6)) == Coverage(5, 7, 9)


@pytest.mark.parametrize(
    "expression",
    ["", "port 80", "tcp and not port 22", "host 10.0.0.1 && (net 10 || portrange 1-9)", "src or dst port 80",
     "host srcdst.example", "ip6 proto 6"],
)  # fmt: skip
def test_filters_that_take_connections_as_a_whole(expression: str) -> None:
    assert not may_cut(expression)


@pytest.mark.parametrize(
    "expression",
    ["tcp[tcpflags] & tcp-push != 0", "src port 80", "tcp dst port 80", "less 100", "len > 60", "inbound",
     "port 80 and greater 1000"],
)  # fmt: skip
def test_filters_that_may_split_one(expression: str) -> None:
    assert may_cut(expression)
