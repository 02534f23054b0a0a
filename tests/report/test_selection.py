"""What a page tells in detail: the connections that matter, and how many packets of each."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.report.selection import left_out, shares, that_matter
from analyzer.tables import CONNECTION, ENDPOINT, Protocol, Rows
from analyzer.tcp.states import State


def rows(n: int) -> tuple[Rows, Rows]:
    """Connections that are open, with ten packets each."""
    connections, endpoints = np.zeros(n, CONNECTION), np.zeros((n, 2), ENDPOINT)
    connections["protocol"], connections["number"] = Protocol.TCP, np.arange(n) + 1
    endpoints["packets"], endpoints["state"] = 5, State.ESTABLISHED
    return connections, endpoints


def test_trouble_and_every_ending_come_before_more_of_the_same() -> None:
    connections, endpoints = rows(200)
    endpoints["retransmitted_packets"][150, 1] = 3
    endpoints["rst_packet"][180, 0], endpoints["state"][180] = 9, State.CLOSED
    endpoints["packets"][77] = 500
    assert {151, 181, 78} <= set(that_matter(connections, endpoints, 10))
    assert len(that_matter(connections, endpoints, 10)) == 10


def test_they_stand_in_their_order() -> None:
    connections, endpoints = rows(60)
    endpoints["zero_windows"][40:50, 0] = 1
    numbers = that_matter(connections, endpoints, 20)
    assert numbers == sorted(numbers)
    assert set(range(41, 51)) <= set(numbers)
    assert that_matter(*rows(0)) == []
    assert that_matter(*rows(3)) == [1, 2, 3]


@given(st.lists(st.integers(1, 10_000), max_size=30), st.integers(60, 5_000))
def test_shares_are_bounded_and_nobody_gets_what_another_needs(packets: list[int], most: int) -> None:
    given_ = shares(packets, most)
    assert sum(given_) <= max(most, 2 * len(packets))
    assert all(share == count or 2 <= share < count for share, count in zip(given_, packets, strict=True))
    assert all(share == count or share % 2 == 0 for share, count in zip(given_, packets, strict=True))
    if sum(packets) <= most:
        assert all(share >= count for share, count in zip(given_, packets, strict=True))
    else:
        assert most - sum(given_) <= 2 * len(packets)


def test_a_long_one_gets_what_short_ones_leave() -> None:
    assert shares([1_000_000, 10, 10], 1_000) == [980, 10, 10]
    assert shares([600, 600], 1_000) == [500, 500]


def test_what_is_left_out_is_said() -> None:
    assert left_out(5, 5, True, False) == []
    said = left_out(1_000, 50, False, True)
    assert "50 of 1,000 connections" in said[0]
    assert len(said) == 3
