"""The compiled writer's sentences, against ``why``."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.explain.why import CAUSES, REMARKS, Cause, cause_of, why
from analyzer.export.columns import NULL
from analyzer.export.why_text import longest, why_texts
from analyzer.tables import Protocol
from tests.export.rows import connection_rows, kernels


@pytest.mark.parametrize("mode", ["always", "never"])
def test_as_why_says_it(mode: str) -> None:
    n = 4000
    connections, endpoints = connection_rows(11, n)
    causes = np.array([cause_of(connections[i], *endpoints[i]) for i in range(n)], np.uint8)
    assert set(causes.tolist()) == set(Cause)
    with kernels(mode):
        texts = why_texts(connections, endpoints, causes)
    for i in range(n):
        start, size = int(texts.start[i]), int(texts.size[i])
        if connections[i]["protocol"] != Protocol.TCP:
            assert start == NULL
            continue
        assert texts.octets[start : start + size].tobytes().decode("ascii") == why(connections[i], *endpoints[i])


def test_the_longest_text_has_room() -> None:
    room = longest()
    assert room > max(len(text) for _, text in CAUSES.values()) + sum(len(text) for text in REMARKS.values())
