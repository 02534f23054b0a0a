"""What is still to come: acknowledgements, and the end of what began to end."""

from __future__ import annotations

import pytest

from analyzer.explain.owed import Debt, debts_of, unpaid
from analyzer.tables import Rows, Side
from tests.script import play

OPEN = """
C > S  S 100
S > C  SA 300 ack 101
C > S  A 101 ack 301
"""
ASKED = OPEN + "C > S  PA 101:106 ack 301\n"
HALF = OPEN + "C > S  FA 101 ack 301\nS > C  A 301 ack 102\n"
CLIENT, SERVER = Side.CLIENT, Side.SERVER


def rows(conversation: str) -> tuple[Rows, Rows]:
    made = play(conversation).reconstruction
    return made.connections[: made.count], made.endpoints[: made.count]


@pytest.mark.parametrize(
    ("conversation", "debts"),
    [
        ("C > S S 100", [(1, SERVER, 101)]),
        ("C > S S 100\nS > C RA 0 ack 101", []),
        ("C > S S 100\nS > C SA 300 ack 101", [(1, CLIENT, 301)]),
        (OPEN, []),
        (ASKED, [(1, SERVER, 106)]),
        (ASKED + "S > C A 301 ack 103", [(1, SERVER, 106)]),
        (ASKED + "S > C A 301 ack 106", []),
        (ASKED + "S > C PA 301:310 ack 101", [(1, CLIENT, 310), (1, SERVER, 106)]),
        (ASKED + "S > C R 301", []),
        (OPEN + "C > S FA 101 ack 301", [(1, SERVER, None)]),
        (HALF, [(1, SERVER, None)]),
        (OPEN + "S > C FA 301 ack 101\nC > S A 101 ack 302", [(1, CLIENT, None)]),
        (HALF + "S > C FA 301 ack 102", [(1, CLIENT, 302)]),
        (OPEN + "S > C FA 301 ack 101\nC > S FA 101 ack 302", [(1, SERVER, 102)]),
        (OPEN + "S > C FA 301 ack 101\nC > S FA 101 ack 301", [(1, CLIENT, 302), (1, SERVER, 102)]),
        (HALF + "S > C FA 301 ack 102\nC > S A 102 ack 302", []),
        (HALF + "S > C RA 301 ack 102", []),
        ("C > S UDP 20", []),
        ("C > S PA 101:106 ack 301", [(1, SERVER, 106)]),
        (OPEN + "A > S S 700", [(2, SERVER, 701)]),
    ],
)
def test_what_is_owed(conversation: str, debts: list[tuple[int, Side, int | None]]) -> None:
    assert debts_of(*rows(conversation)) == [Debt(*debt) for debt in debts]
    assert unpaid(debts_of(*rows(conversation)), *rows(conversation)) == debts_of(*rows(conversation))


@pytest.mark.parametrize(
    ("before", "after", "is_paid"),
    [
        (ASKED, "S > C A 301 ack 106", True),
        (ASKED, "S > C A 301 ack 106\nC > S PA 106:200 ack 301", True),
        (ASKED, "C > S PA 106:200 ack 301\nS > C A 301 ack 106", True),
        (ASKED, "C > S PA 106:200 ack 301", False),
        (ASKED, "S > C R 301", True),
        (HALF, "S > C PA 301:310 ack 102\nC > S A 102 ack 310", False),
        (HALF, "S > C FA 301 ack 102", False),
        (HALF, "S > C FA 301 ack 102\nC > S A 102 ack 302", True),
        (OPEN, "C > S FA 101 ack 301", True),
    ],
)
def test_what_was_owed_is_paid_by_what_comes(before: str, after: str, is_paid: bool) -> None:
    assert (unpaid(debts_of(*rows(before)), *rows(before + after)) == []) == is_paid


def test_who_closed_after_all_owes_nothing_any_more() -> None:
    """The end that was to come has come; the other side's last ACK has not."""
    debts = debts_of(*rows(HALF))
    assert unpaid(debts, *rows(HALF + "S > C FA 301 ack 102")) == [Debt(1, CLIENT, 302)]


def test_sequence_numbers_go_round() -> None:
    asked = """
C > S  S 4294967290
S > C  SA 300 ack 4294967291
C > S  A 4294967291 ack 301
C > S  PA 4294967291:4294967311 ack 301
"""
    debts = debts_of(*rows(asked))
    assert debts == [Debt(1, SERVER, 15)]
    assert unpaid(debts, *rows(asked + "S > C A 301 ack 14")) == debts
    assert unpaid(debts, *rows(asked + "S > C A 301 ack 15")) == []
