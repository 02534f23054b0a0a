"""Words, numbers and times of expectations, and what is said of wrong ones."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.expect.vocabulary import (
    ANY,
    CLOSERS,
    EVENTS,
    LIFECYCLES,
    LIMIT_PATTERN,
    TIME_PATTERN,
    known,
    limit_of,
    nanoseconds,
    regex_of,
    way_of,
)
from analyzer.tables import Event


def test_what_is_counted_is_every_event_and_rsts() -> None:
    assert set(EVENTS) == {event.name.lower() for event in Event} | {"reset"}


def test_lifecycles_are_phases_in_their_order() -> None:
    assert len(LIFECYCLES) == len(set(LIFECYCLES)) == 8
    assert all(re.fullmatch("(handshake)? ?(data)? ?(teardown)?", one) for one in LIFECYCLES)


def test_closers() -> None:
    assert set(CLOSERS) == {"client", "server", "both", "nobody"}


def test_the_nearest_words_are_named() -> None:
    with pytest.raises(UsageError, match=r"no event “retransmision”; did you mean retransmission,"):
        known("retransmision", EVENTS, "event")
    with pytest.raises(UsageError, match=r"no side “x\\x1b”; there are: client, server, both, nobody$"):
        known("x\x1b", ("client", "server", "both", "nobody"), "side")


@pytest.mark.parametrize(
    ("written", "numbers"),
    [(3, {3}), (3.0, {3}), ("<= 2", {0, 1, 2}), ("<2", {0, 1}), (" >= 8 ", {8, 9}), (">8", {9}), ("< 1", {0})],
)
def test_limits(written: int | str, numbers: set[int]) -> None:
    limit = limit_of(written)
    assert {n for n in range(10) if n in limit} == numbers


@pytest.mark.parametrize(
    "written",
    [
        "3",
        "=< 3",
        "<= -1",
        "== 3",
        "",
        "<= 3 5",
        "< 0",
        "<00",
        -1,
        True,
        1.5,
        None,
        float("inf"),
        2**53,
        10**400,
        pytest.param(1 << 99_999, id="huge"),
        pytest.param(f"<= {'9' * 5_000}", id="long"),
    ],
)
def test_what_is_no_limit(written: str) -> None:
    with pytest.raises(UsageError, match="is no number of things") as raised:
        limit_of(written)
    assert len(str(raised.value)) < 150
    assert not isinstance(written, str) or not re.search(LIMIT_PATTERN, written)


@pytest.mark.parametrize(
    ("written", "ns"),
    [("5 ms", 5_000_000), ("1.5s", 1_500_000_000), ("7ns", 7), ("2 us", 2_000), ("2 µs", 2_000), ("2 μs", 2_000),
     ("1 min", 60_000_000_000), ("0.000001 ms", 1), ("0.1 s", 100_000_000)],
)  # fmt: skip
def test_times(written: str, ns: int) -> None:
    assert nanoseconds(written) == ns


@given(st.integers(0, 10**6), st.integers(0, 999), st.sampled_from(["ms", "s", "us"]))
def test_times_are_exact(whole: int, thousandths: int, unit: str) -> None:
    scale = {"us": 1, "ms": 1_000, "s": 1_000_000}[unit]
    assert nanoseconds(f"{whole}.{thousandths:03} {unit}") == (whole * 1_000 + thousandths) * scale


@pytest.mark.parametrize(
    "written",
    [
        "5",
        "ms",
        "5 mss",
        "-5 ms",
        "5,0 ms",
        "1.5.2 s",
        "",
        "٥ ms",
        None,
        5,
        pytest.param(f"{'9' * 5_000} s", id="long"),
    ],
)
def test_what_is_no_time(written: str) -> None:
    with pytest.raises(UsageError, match="is no time: write a number and its unit"):
        nanoseconds(written)
    assert not isinstance(written, str) or not re.search(TIME_PATTERN, written)


@pytest.mark.parametrize("written", ["(", "a{99999999999}", pytest.param("(" * 9_000 + ")" * 9_000, id="deep")])
def test_what_is_no_regular_expression(written: str) -> None:
    with pytest.raises(UsageError, match="this is no regular expression: "):
        regex_of(written)


def test_a_regular_expression_of_which_python_warns() -> None:
    assert regex_of("[[a]").fullmatch("[")


def test_ways() -> None:
    assert way_of("… FIN-WAIT-1 ...") == (ANY, "FIN-WAIT-1", ANY)
    with pytest.raises(UsageError, match=r"no state “FIN_WAIT_1”; did you mean FIN-WAIT-1"):
        way_of("FIN_WAIT_1")
    with pytest.raises(UsageError, match="names at least one"):
        way_of(" ")
