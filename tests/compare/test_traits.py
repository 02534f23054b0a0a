"""Traits: the way through the states is the one that walk tells, and a turn changes nothing, whenever it comes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analyzer.compare.differences import Known, path_of
from analyzer.compare.seen import Seen
from analyzer.compare.traits import TRAIT, Traits
from analyzer.decode.packets import decode
from analyzer.explain.walk import walk
from analyzer.pipeline import Run, lives
from analyzer.tables import (
    KNOWN_SERVER,
    NO_SERVERS,
    Batch,
    Event,
    Evidence,
    Protocol,
    Rows,
    Side,
    frames_at,
)
from analyzer.tcp.reconstruct import Reconstruction
from tests.tcp.test_speakers import GET, LIFE, captured

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted(path for path in MADE.iterdir() if ".pcap" in path.suffix)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_states_are_those_that_walk_tells(path: Path) -> None:
    traits = Traits(has_packets=False)
    with Run(path) as run:
        for batch in run:
            traits.add(batch)
    connections, endpoints = run.connections[: run.count], run.endpoints[: run.count]
    known = Known(connections, endpoints, traits.finished(run.count))
    numbers = connections["number"][connections["protocol"] == Protocol.TCP].tolist()
    found = lives(path, "", numbers)
    for number in numbers:
        for side, walked in zip(Side, walk(found[number]), strict=True):
            assert path_of(known, number - 1, side) == [visit.state.name.replace("_", "-") for visit in walked]


def batches(*cuts: int, servers: Rows = NO_SERVERS) -> list[Batch]:
    """A connection that turns round at its fifth packet, in batches."""
    frames, reconstruction = captured(LIFE, {5: GET}), Reconstruction()
    made = []
    for first, last in pairwise([0, *cuts, len(frames.start)]):
        part = frames_at(frames, slice(first, last))
        for column in part:
            column.flags.writeable = False
        packets = decode(part)
        made.append(Batch(part, packets, reconstruction.feed(part, packets, servers)))
    return made


def noted(some: list[Batch]) -> tuple[Rows, Rows]:
    traits, seen = Traits(has_packets=True), Seen()
    for batch in some:
        traits.add(batch)
        seen.add(batch)
    return traits.finished(1), seen.finished()


@pytest.mark.parametrize("cuts", [(), *((k,) for k in range(1, 9)), tuple(range(1, 9))])
def test_a_turn_is_as_if_it_had_been_known_from_the_start(cuts: tuple[int, ...]) -> None:
    named: Rows = np.zeros(1, KNOWN_SERVER)
    named["evidence"], named["port"] = Evidence.NAMED, 40_000
    turned = batches(*cuts)
    assert any((batch.labels.events >> Event.TURNED_ROUND & 1).any() for batch in turned)
    traits, seen = noted(turned)
    expected, seen_at_once = noted(batches(servers=named))
    assert seen["side"].tolist() == seen_at_once["side"].tolist()
    for name in TRAIT.names or ():
        if name == "events":
            traits[name][..., Event.TURNED_ROUND] = 0
        assert traits[name].tolist() == expected[name].tolist(), name
