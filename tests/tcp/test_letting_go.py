"""Connections that are let go: the others do not notice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.tables import Labels, Rows
from analyzer.tcp import letting_go
from analyzer.tcp.letting_go import copied, first_to_go
from analyzer.tcp.reconstruct import Reconstruction
from analyzer.tcp.states import State
from analyzer.tcp.summary import SILENCE_NS
from tests.script import Hosts, Segment, frames, packets, parse, play
from tests.tcp.conversations import conversations

HOSTS: Hosts = {"S": ("10.0.0.9", 80)} | {f"C{k}": (f"10.0.{1 + k // 256}.{k % 256}", 40_000 + k) for k in range(600)}


def named(segments: list[Segment], client: int) -> list[Segment]:
    """The same conversation held by another client."""
    names = {"C": f"C{client}", "S": "S"}
    return [one._replace(source=names[one.source], destination=names[one.destination]) for one in segments]


def fed(reconstruction: Reconstruction, segments: list[Segment], before: int = 0) -> Labels:
    """Feed segments that come after so many others."""
    captured = frames(segments, HOSTS)
    return reconstruction.feed(captured._replace(number=captured.number + before), packets(segments, HOSTS))


def clients_of(reconstruction: Reconstruction) -> list[int]:
    return [int(port) - 40_000 for port in reconstruction.connections["client_port"][: reconstruction.count]]


def told(segments: list[Segment], labels: Labels, kept: set[int]) -> list[tuple[int, ...]]:
    """The labels of the clients that are kept, with connections numbered within each client."""
    numbers: dict[str, dict[int, int]] = {}
    rows = []
    for i, segment in enumerate(segments):
        client = segment.source if segment.destination == "S" else segment.destination
        if int(client[1:]) in kept:
            of_client = numbers.setdefault(client, {})
            number = of_client.setdefault(int(labels.connection[i]), len(of_client))
            rows.append((i, number, *(int(column[i]) for column in labels[1:])))
    return rows


@given(
    st.lists(conversations(), min_size=3, max_size=3),
    st.lists(st.integers(0, 2), max_size=80),
    st.lists(st.sets(st.integers(0, 2), max_size=2), min_size=1, max_size=3),
)
def test_those_that_stay_are_told_alike(conversed: list[list[Segment]], turns: list[int], gone: list[set[int]]) -> None:
    queues = [named(segments, client) for client, segments in enumerate(conversed)]
    segments = [queues[turn].pop(0) for turn in [*turns, *sorted([0, 1, 2] * 200)] if queues[turn]]
    kept = {0, 1, 2}.difference(*gone)
    reconstruction, whole = Reconstruction(), Reconstruction()
    parts = []
    size = len(segments) // (len(gone) + 1) + 1
    for first in range(0, len(segments), size):
        parts.append(fed(reconstruction, segments[first : first + size], first))
        clients = gone[first // size % len(gone)]
        reconstruction.let_go(np.flatnonzero(np.isin(clients_of(reconstruction), list(clients))))
    labels = Labels(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else fed(whole, [])
    whole_labels = fed(whole, segments)
    assert told(segments, labels, kept) == told(segments, whole_labels, kept)
    for one in (reconstruction, whole):
        assert (np.diff(one.connections["number"][: one.count]) > 0).all()
    assert not reconstruction.connections[reconstruction.count :].view(np.uint8).any()
    assert not reconstruction.endpoints[reconstruction.count :].view(np.uint8).any()
    rows = [rows_of(one, kept) for one in (reconstruction, whole)]
    assert rows[0] == rows[1]


def rows_of(one: Reconstruction, kept: set[int]) -> list[list[object]]:
    """What the tables hold of the clients that are kept, by client; not what names rows."""
    found: list[tuple[int, list[object]]] = []
    for row, client in enumerate(clients_of(one)):
        if client in kept:
            connection, former = one.connections[row], int(one.connections[row]["former"])
            names = [name for name in connection.dtype.names if name not in ("number", "former")]
            former_first = int(one.connections[former - 1]["first_ns"]) if former else 0
            columns = [connection[name].tolist() for name in names]
            ends = one.endpoints[row]
            names = [name for name in ends.dtype.names if not name.startswith("unacked_")]
            held = [chain(one._unacked, int(first)) for first in ends["unacked_first"]]
            found.append((client, [former_first, *columns, *(ends[name].tolist() for name in names), held]))
    return [columns for _, columns in sorted(found, key=lambda pair: pair[0])]


def chain(pool: Rows, row: int) -> list[tuple[int, ...]]:
    """The segments of a chain."""
    segments = []
    while row:
        row, *segment = pool[row].tolist()
        segments.append(tuple(segment))
    return segments


@pytest.mark.parametrize("at_once", [1, 7, 4_096])
def test_who_comes_back_is_new_and_who_stayed_goes_on(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among so many that slots collide."""
    monkeypatch.setattr(letting_go, "_MOVED_AT_ONCE", at_once)
    reconstruction = Reconstruction()
    fed(reconstruction, [Segment(k, f"C{k}", "S", 2, seq=5) for k in range(600)])
    reconstruction.let_go(np.arange(0, 600, 3))
    assert (reconstruction.count, reconstruction.started) == (400, 600)
    labels = fed(reconstruction, [Segment(1_000 + k, "S", f"C{k}", 18, 7, 6) for k in range(600)])
    back = iter(range(601, 801))
    assert labels.connection.tolist() == [next(back) if k % 3 == 0 else k + 1 for k in range(600)]
    assert (reconstruction.count, reconstruction.started) == (600, 800)


def test_the_pool_of_unacknowledged_segments_gets_back_what_they_held() -> None:
    reconstruction = Reconstruction()
    for round_ in range(3):
        segments = [Segment(round_ * 100 + k, f"C{k}", "S", 16, 1 + round_, 1, 10) for k in range(50)]
        fed(reconstruction, segments)
        held = int(reconstruction._unacked[0]["packet"])
        reconstruction.let_go(np.arange(reconstruction.count))
    assert held == 50


def test_a_copy_of_rows_is_their_own() -> None:
    reconstruction = Reconstruction()
    fed(reconstruction, [Segment(k, f"C{k}", "S", 2) for k in range(4)])
    copy = copied(reconstruction.endpoints, np.array([3, 1]))
    assert copy.shape == (2, 2)
    assert np.array_equal(copy, reconstruction.endpoints[[3, 1]])
    assert not np.shares_memory(copy, reconstruction.endpoints)


def test_nothing_and_everything() -> None:
    reconstruction = Reconstruction()
    reconstruction.let_go(np.arange(0))
    fed(reconstruction, [Segment(k, f"C{k}", "S", 2) for k in range(3)])
    reconstruction.let_go(np.arange(3))
    assert reconstruction.count == 0
    assert fed(reconstruction, [Segment(9, "C1", "S", 2)]).connection.tolist() == [4]


def test_an_incarnation_whose_former_is_gone() -> None:
    reconstruction = Reconstruction()
    fed(reconstruction, named(parse("C > S S 100\nS > C SA 300 ack 101\nC > S S 900"), 1))
    reconstruction.let_go(np.array([0]))
    assert reconstruction.connections["former"][0] == 0
    labels = fed(reconstruction, named(parse("S > C SA 700 ack 901\nS > C A 301 ack 101"), 1))
    assert labels.connection.tolist() == [2, 2]


TWO: Hosts = {"C": ("10.0.0.1", 40000), "S": ("10.0.0.2", 80), "A": ("10.0.0.3", 40000), "B": ("10.0.0.4", 80)}


def test_those_that_ended_go_first_and_then_the_silent() -> None:
    text = """
        C > S  S 1
        S > C  RA 0 ack 2
        A > S  S 1
        C > B  S 1
        B > C  RA 0 ack 2
        A > B  S 1
        A > B  UDP 3
    """
    made = play(text, TWO)
    connections: Rows = made.reconstruction.connections[:5]
    endpoints: Rows = made.reconstruction.endpoints[:5]
    assert (endpoints["state"][[0, 2]] == State.CLOSED).all()
    orders = [first_to_go(connections, endpoints, surplus).tolist() for surplus in range(6)]
    assert orders == [[], [0], [0, 2], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]
    connections["last_ns"][[0, 1, 2, 3]] += 2 * SILENCE_NS
    assert first_to_go(connections, endpoints, 1).tolist() == [4]


def test_copies_of_rows_stay_when_the_rows_go() -> None:
    reconstruction = Reconstruction()
    fed(reconstruction, [Segment(k, f"C{k}", "S", 2, seq=5) for k in range(4)])
    rows = np.array([1, 3])
    tables = reconstruction.connections[:4], reconstruction.endpoints[:4]
    copies = [copied(table, rows) for table in tables]
    expected = [table[rows] for table in tables]
    reconstruction.let_go(rows)
    for one, other in zip(copies, expected, strict=True):
        assert one.shape == other.shape
        assert all((one[name] == other[name]).all() for name in other.dtype.names or ())
