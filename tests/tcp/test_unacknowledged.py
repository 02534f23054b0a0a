"""The pool of unacknowledged segments: what it remembers, and that it is bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.tables import ENDPOINT, UNACKED, Rows
from analyzer.tcp import reconstruct, unacknowledged
from analyzer.tcp.reconstruct import Reconstruction
from analyzer.tcp.unacknowledged import acknowledge, carrier, give_back_all, hold, is_full
from tests.script import Hosts, Segment, frames, packets

START = 2**32 - 20

PEER: Rows = np.zeros(1, ENDPOINT)[0]
"""An endpoint that has acknowledged nothing."""


def held(pool: Rows, end: Rows) -> list[tuple[int, int, int]]:
    """The chain of an endpoint: from where to where, relative to START, and the packet."""
    chain = []
    row = int(end["unacked_first"])
    while row:
        one = pool[row]
        chain.append(((int(one["seq"]) - START) % 2**32, (int(one["end"]) - START) % 2**32, int(one["packet"])))
        assert one["next"] or row == end["unacked_last"]
        row = int(one["next"])
    assert len(chain) == end["unacked_count"]
    assert chain or end["unacked_last"] == 0
    return chain


def free(pool: Rows) -> int:
    """Rows that were given back."""
    count, row = 0, int(pool[0]["next"])
    while row:
        count, row = count + 1, int(pool[row]["next"])
    return count


PLACES = st.integers(0, 40)
STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(PLACES, st.tuples(PLACES, st.integers(1, 9)))), max_size=40
)  # fmt: skip


@given(STEPS, st.integers(2, 9))
def test_two_endpoints_share_a_pool(steps: list[tuple[int, int | tuple[int, int]]], rows: int) -> None:
    """Against plain lists: a segment that finds no row drops its endpoint's earliest, or is not held."""
    pool, ends = np.zeros(rows, UNACKED), np.zeros(2, ENDPOINT)
    lists: tuple[list[tuple[int, int, int]], ...] = ([], [])
    for number, (which, step) in enumerate(steps, 1):
        mine = lists[which]
        if isinstance(step, int):
            acknowledge(pool, ends[which], (START + step) % 2**32)
            mine[:] = [(max(a, step), b, packet) for a, b, packet in mine if b > step]
        else:
            seq, octets = step
            hold(pool, ends[which], PEER, (START + seq) % 2**32, (START + seq + octets) % 2**32, number)
            if sum(map(len, lists)) == rows - 1 and mine:
                mine.pop(0)
            if sum(map(len, lists)) < rows - 1:
                mine.append((seq, seq + octets, number))
            for place in range(50):
                first = next((packet for a, b, packet in mine if a < place + 2 and b > place), 0)
                assert carrier(pool, ends[which], (START + place) % 2**32, (START + place + 2) % 2**32) == first
        assert [held(pool, end) for end in ends] == list(lists)
        assert free(pool) + sum(map(len, lists)) == pool[0]["packet"] < rows
    for end in ends:
        give_back_all(pool, end)
        assert held(pool, end) == []
    assert free(pool) == pool[0]["packet"]


def test_what_was_acknowledged_before_is_not_held() -> None:
    pool, ends = np.zeros(9, UNACKED), np.zeros(2, ENDPOINT)
    ends[1]["last_ack"] = START + 5
    for number, (first, after) in enumerate([(0, 4), (1, 5), (3, 7), (5, 8), (6, 9)], 1):
        hold(pool, ends[0], ends[1], START + first, START + after, number)
    assert held(pool, ends[0]) == [(5, 7, 3), (5, 8, 4), (6, 9, 5)]


def test_an_endpoint_holds_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unacknowledged, "MOST_HELD", 3)
    pool, ends = np.zeros(100, UNACKED), np.zeros(1, ENDPOINT)
    for number in range(1, 9):
        hold(pool, ends[0], PEER, START + number, START + number + 1, number)
    assert [packet for _, _, packet in held(pool, ends[0])] == [6, 7, 8]
    assert pool[0]["packet"] == 3


def test_the_pool_grows_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "never")  # compiled code has the limit in it
    monkeypatch.setattr(reconstruct, "FIRST_UNACKED", 4)
    for module in (reconstruct, unacknowledged):
        monkeypatch.setattr(module, "MOST_ROWS", 50)
    hosts: Hosts = {"S": ("10.0.0.2", 80)} | {f"C{k}": (f"10.1.0.{k}", 40000) for k in range(100)}
    segments = [Segment(k, f"C{k}", "S", 2, seq=7) for k in range(100)]
    segments += [Segment(10**10 + k, f"C{k}", "S", 2, seq=7) for k in range(100)]
    made = Reconstruction()
    labels = made.feed(frames(segments, hosts), packets(segments, hosts))
    assert labels.refers_to.tolist() == [0] * 100 + [*range(1, 50)] + [0] * 51
    assert made.count == 100


def test_a_pool_that_gave_rows_back_is_not_full() -> None:
    pool, ends = np.zeros(3, UNACKED), np.zeros(1, ENDPOINT)
    assert not is_full(pool)
    for number in (1, 2):
        hold(pool, ends[0], PEER, START, START + 1, number)
    assert is_full(pool)
    acknowledge(pool, ends[0], START + 1)
    assert not is_full(pool)
