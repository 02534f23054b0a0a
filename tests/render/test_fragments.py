"""Sentences about fragments."""

from __future__ import annotations

import pytest

from analyzer.render.fragments import overlapping, reassembled


@pytest.mark.parametrize(
    ("datagrams", "given_up", "sentence"),
    [
        (0, 0, ""),
        (1, 0, "1 datagram reassembled from fragments"),
        (12, 1, "12 datagrams reassembled from fragments, 1 incomplete"),
        (0, 1_200, "0 datagrams reassembled from fragments, 1,200 incomplete"),
    ],
)
def test_datagrams(datagrams: int, given_up: int, sentence: str) -> None:
    assert reassembled(datagrams, given_up) == sentence


@pytest.mark.parametrize(
    ("overlaps", "begin"), [(0, ""), (1, "1 fragment overlaps others: "), (1_200, "1,200 fragments overlap others: ")]
)
def test_overlaps(overlaps: int, begin: str) -> None:
    sentence = overlapping(overlaps)
    assert sentence.startswith(begin)
    assert bool(sentence) == bool(overlaps)
