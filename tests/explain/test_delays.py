"""Writes that waited for delayed ACKs, found in a life: the same as tcp/reasons.py counts."""

from __future__ import annotations

import pytest

from analyzer.explain.delays import delayed_writes
from analyzer.pipeline import Lives
from analyzer.tables import Batch
from analyzer.traces import SHORT_NS, packet_at
from tests.explain.test_causes import STORIES, of_side
from tests.script import play


@pytest.mark.parametrize("side", ["C", "S"])
@pytest.mark.parametrize("name", STORIES)
def test_as_the_rows_have_it(name: str, side: str) -> None:
    story = play(of_side(STORIES[name].text, side))
    connection, endpoints = story.reconstruction.connections[0], story.reconstruction.endpoints[0]
    lives = Lives([1], 1_000)
    lives.add(Batch(story.frames, story.packets, story.labels))
    waited = delayed_writes(lives.found()[1], int(connection["initial_rtt_ns"]))
    assert len(waited) == int(endpoints["nagle_waits"].sum())
    assert sum(waited.values()) == pytest.approx(int(connection["nagle_time"]) * SHORT_NS, abs=SHORT_NS * len(waited))
    if waited:
        assert min(waited) == packet_at(connection, int(connection["nagle_packet"]))
