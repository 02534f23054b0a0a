"""Differences from tshark, and the sum of them."""

from __future__ import annotations

from collections import Counter

from analyzer.dissect.comparison import Comparison, Difference
from analyzer.dissect.reasons import Reason
from analyzer.render.screen import Screen, cells
from analyzer.render.verified import difference, reason_name, unlisted, verdict


def comparison(*, explained: int = 0, **differing: int) -> Comparison:
    found = Comparison()
    found.packets, found.compared, found.agreeing, found.connections = 12, 10, 10 - bool(differing), 1
    found.explained = explained
    found.tally = Counter({("connection", True): 10, ("events", True): 10_000})
    found.tally.update({(field, False): count for field, count in differing.items()})
    return found


def test_a_difference() -> None:
    found = Difference(42, 15, "events", "-", "reused_ports", Reason.SECOND_PASS)
    told = list(difference(found, Screen(60)))
    assert told[0] == "     42  connection 15 · events: we say -, tshark says"
    assert told[1].strip() == "reused_ports"
    assert told[2].strip().startswith("Wireshark's second pass")
    assert all(cells(line) < 60 for line in told)
    assert list(difference(found._replace(connection=0, reason=None), Screen(100))) == [
        "     42  no connection · events: we say -, tshark says reused_ports"
    ]


def test_an_unknown_one_is_loud() -> None:
    found = Difference(42, 15, "seq", "1", "2", None)
    assert "\x1b[1;31m" in next(difference(found, Screen(100, color=True)))
    assert "\x1b[1;31m" not in next(difference(found._replace(reason=Reason.COPIES), Screen(100, color=True)))


def test_those_that_are_not_listed() -> None:
    assert list(unlisted(0, Screen(100))) == []
    assert [line.strip() for line in unlisted(1234, Screen(100))] == ["… 1,234 more differences; --all lists them"]


def sentences(found: Comparison) -> list[str]:
    return list(verdict(found, "4.0.17", Screen(100)))


def test_all_agree() -> None:
    told = sentences(comparison())
    assert told[:2] == [
        " Compared with tshark 4.0.17: 10 TCP packets, 100 % of which agree in everything.",
        " 2 other packets were not compared.",
    ]
    assert "   connection                10 / 10         100 %" in told
    assert "   events                10,000 / 10,000     100 %" in told
    assert told[-1] == " No difference."


def test_most_agree() -> None:
    assert " 90.00 % of which" in sentences(comparison(seq=1))[0]
    assert "99.99 %" in next(line for line in sentences(comparison(events=1)) if "events" in line)


def test_how_many_are_known() -> None:
    assert sentences(comparison(seq=2))[-1] == " 2 differences, none of which is known."
    assert sentences(comparison(seq=2, explained=1))[-1].startswith(" 2 differences, 1 of them on purpose: docs")
    assert sentences(comparison(seq=1, explained=1))[-1].startswith(" 1 difference, all of them on purpose: docs")


def test_nothing_to_compare() -> None:
    found = comparison()
    found.compared = 0
    assert sentences(found) == [" There is no TCP packet to compare."]


def test_names_in_records() -> None:
    assert (reason_name(Reason.SECOND_PASS), reason_name(None)) == ("second_pass", None)
