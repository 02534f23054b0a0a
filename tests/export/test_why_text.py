"""The compiled writer's sentences, against ``why``."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.explain.causes import CAUSES, Cause, cause_of
from analyzer.explain.circumstances import REMARKS
from analyzer.explain.why import evidence_of, why
from analyzer.export.columns import NULL
from analyzer.export.why_text import longest, why_texts
from tests.export.rows import connection_rows, kernels


@pytest.mark.parametrize("mode", ["always", "never"])
def test_as_why_says_it(mode: str) -> None:
    n = 12_000
    connections, endpoints = connection_rows(11, n)
    causes = np.array([cause_of(connections[i], *endpoints[i]) for i in range(n)], np.uint8)
    assert set(causes.tolist()) == set(Cause)
    with kernels(mode):
        texts, lists = why_texts(connections, endpoints, causes)
    for i in range(n):
        rows = connections[i], *endpoints[i]
        if causes[i] == Cause.NONE:
            assert texts.start[i] == lists.start[i] == NULL
            continue
        start, size = int(texts.start[i]), int(texts.size[i])
        assert texts.octets[start : start + size].tobytes().decode("ascii") == why(*rows)
        start, size = int(lists.start[i]), int(lists.size[i])
        assert lists.octets[start : start + size].tobytes().decode("ascii") == ",".join(map(str, evidence_of(*rows)))


def test_the_longest_text_has_room() -> None:
    room = longest()
    assert room > max(map(len, CAUSES.values())) + sum(len(text) for text in REMARKS.values())
