"""Alignment of sequences: order, symmetry, what is inserted moves nothing, effort stays bounded."""

from __future__ import annotations

import itertools
import random
import time

from hypothesis import given
from hypothesis import strategies as st

from analyzer.compare import alignment
from analyzer.compare.alignment import aligned, gaps

LETTERS = st.lists(st.integers(0, 4), max_size=30)


@given(LETTERS, LETTERS)
def test_pairs_are_equal_and_rise(a: list[int], b: list[int]) -> None:
    pairs = aligned(a, b)
    assert all(a[i] == b[j] for i, j in pairs)
    assert all(one[0] < other[0] and one[1] < other[1] for one, other in itertools.pairwise(pairs))


@given(LETTERS, LETTERS)
def test_exchanged_sequences_give_exchanged_pairs(a: list[int], b: list[int]) -> None:
    assert aligned(b, a) == [(j, i) for i, j in aligned(a, b)]


@given(LETTERS, st.integers(0, 30), st.integers(0, 4), st.booleans())
def test_one_more_in_the_middle_leaves_all_others_in_pairs(
    members: list[int], at: int, more: int, is_long: bool
) -> None:
    at = min(at, len(members))
    limit = alignment._MOST_COMPARED
    alignment._MOST_COMPARED = 0 if is_long else limit
    try:
        pairs = aligned(members, [*members[:at], more, *members[at:]])
    finally:
        alignment._MOST_COMPARED = limit
    assert len(pairs) == len(members)


@given(LETTERS, LETTERS)
def test_gaps_and_pairs_cover_everything(a: list[int], b: list[int]) -> None:
    pairs = aligned(a, b)
    between = list(gaps(pairs, (0, 0), (len(a), len(b))))
    assert sorted([i for i, _ in pairs] + [i for some, _ in between for i in some]) == list(range(len(a)))
    assert sorted([j for _, j in pairs] + [j for _, some in between for j in some]) == list(range(len(b)))


def test_long_sequences_in_bounded_time() -> None:
    chance = random.Random(7)
    a = [chance.randrange(1_000) for _ in range(100_000)]
    b = [-1, *a[:40_000], -2, *a[40_000:], -3]
    began = time.monotonic()
    assert len(aligned(a, b)) >= 99_999
    chance.shuffle(b)
    aligned(a, b)
    assert time.monotonic() - began < 20
