"""Ways through the states against those that should be: what regular expressions say, and where a way is left."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.expect.vocabulary import ANY
from analyzer.expect.ways import first_difference
from analyzer.export.connections import STATE_WORDS

LETTERS = dict(zip(STATE_WORDS, "abcdefghijk", strict=True))
STATES = st.sampled_from(STATE_WORDS)
WAYS = st.lists(st.one_of(STATES, st.just(ANY)), max_size=6)


def is_met(way: Sequence[str], seen: Sequence[str]) -> bool:
    pattern = "".join(".*" if word == ANY else LETTERS[word] for word in way)
    return re.fullmatch(pattern, "".join(LETTERS[state] for state in seen)) is not None


def can_go_on(way: Sequence[str], seen: Sequence[str]) -> bool:
    """Whether something behind ``seen`` would make it the way."""
    return any(is_met(way[:n], seen) for n in range(len(way) + 1))


@given(WAYS, st.lists(STATES, max_size=6))
def test_a_way_is_met_where_the_regular_expression_matches(way: list[str], seen: list[str]) -> None:
    assert (first_difference(way, seen) is None) == is_met(way, seen)


@given(WAYS, st.lists(STATES, max_size=6))
def test_before_the_difference_all_is_well(way: list[str], seen: list[str]) -> None:
    difference = first_difference(way, seen)
    if difference is None:
        return
    at, awaited = difference
    assert can_go_on(way, seen[:at])
    if awaited:
        assert can_go_on(way, [*seen[:at], awaited])
        assert at == len(seen) or seen[at] != awaited
    else:
        assert is_met(way, seen[:at])
        assert at < len(seen)


CLIENT = "CLOSED SYN-SENT ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED"


@pytest.mark.parametrize(
    ("way", "seen", "at", "awaited"),
    [
        ("CLOSED SYN-SENT CLOSED", CLIENT, 2, "CLOSED"),
        ("CLOSED SYN-SENT ESTABLISHED", CLIENT, 3, ""),
        (f"{CLIENT} LISTEN", CLIENT, 6, "LISTEN"),
        # From CLOSE-WAIT no arrow leads to FIN-WAIT-1, so this is where it went another way.
        ("… FIN-WAIT-1 …", CLIENT, 3, "FIN-WAIT-1"),
        ("… ESTABLISHED … TIME-WAIT", CLIENT, 3, "TIME-WAIT"),
        ("… ESTABLISHED …", "CLOSED SYN-SENT", 2, "ESTABLISHED"),
        ("… ESTABLISHED …", "CLOSED SYN-SENT CLOSED", 2, "ESTABLISHED"),
        ("… TIME-WAIT", "ESTABLISHED FIN-WAIT-1 FIN-WAIT-2", 3, "TIME-WAIT"),
        ("… FIN-WAIT-1 TIME-WAIT", "ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT", 2, "TIME-WAIT"),
        ("LISTEN …", CLIENT, 0, "LISTEN"),
        ("CLOSED", "", 0, "CLOSED"),
    ],
)
def test_where_a_way_is_left(way: str, seen: str, at: int, awaited: str) -> None:
    assert first_difference(way.split(), seen.split()) == (at, awaited)
