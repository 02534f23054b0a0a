"""The reconstruction equals the oracle, on what Hypothesis makes up and on the example captures.

The copies that a capture made change nothing but Wireshark's judgements.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given

from analyzer.pipeline import Run
from analyzer.tables import (
    HAS_WINDOW_SCALE,
    ClosedBy,
    Event,
    Evidence,
    Frames,
    Labels,
    Packets,
    Phase,
    Protocol,
    Status,
)
from analyzer.tcp.reconstruct import Reconstruction
from analyzer.tcp.states import State
from analyzer.tcp.summary import Verdict, verdict
from tests.script import Segment, play
from tests.tcp import event_oracle, oracle
from tests.tcp.conversations import conversations, garbage

BOOL = npt.NDArray[np.bool_]

WIRESHARKS = [event for event in Event if event <= Event.REUSED_PORTS]
"""The events that the oracle knows."""

CAPTURES = sorted((Path(__file__).parents[2] / "captures" / "made").glob("*.pcap*"))


def is_tcp(packets: Packets) -> BOOL:
    """Which packets of a batch are TCP segments."""
    found: BOOL = (packets.protocol == Protocol.TCP) & (packets.status == Status.WHOLE)
    return found


def is_copy(labels: Labels) -> BOOL:
    """Which packets of a batch are copies that the capture made."""
    found: BOOL = labels.events & 1 << Event.CAPTURE_DUPLICATE != 0
    return found


def sent(frames: Frames, packets: Packets, labels: Labels) -> list[oracle.Sent]:
    """The TCP segments of a batch, for the oracle."""
    segments = []
    for i in np.flatnonzero(is_tcp(packets)).tolist():
        source, destination = (
            ((int(packets.ip_version[i]), *packets.address[i, k : k + 4].tolist()), int(port[i]))
            for k, port in ((0, packets.src_port), (4, packets.dst_port))
        )
        segments.append(oracle.Sent(
            int(frames.number[i]), int(frames.ts_ns[i]), source, destination, int(packets.flags[i]),
            int(packets.seq[i]), int(packets.ack[i]), int(packets.payload_len[i]), int(packets.window[i]),
            bool(is_copy(labels)[i]),
        ))  # fmt: skip
    return segments


def labelled(packets: Packets, labels: Labels) -> list[oracle.Label]:
    """Labels in the oracle's words."""
    return [
        oracle.Label(
            int(labels.connection[i]) - 1, int(labels.side[i]), Phase(int(labels.phase[i])).name,
            State(int(labels.client_state[i])).name, State(int(labels.server_state[i])).name, int(labels.seq[i]),
            int(labels.ack[i]),
        )
        for i in np.flatnonzero(is_tcp(packets) & ~is_copy(labels)).tolist()
    ]  # fmt: skip


def summed_up(made: Reconstruction | Run) -> list[tuple[str, int, str, str, str]]:
    """Of each TCP connection: evidence of the client, completeness, who closed, verdict, history."""
    return [
        (
            Evidence(int(row["client_evidence"])).name, int(row["completeness"]),
            ClosedBy(int(row["closed_by"])).name.lower(), Verdict(verdict(row, client, server)).name,
            row["history"].tobytes()[: int(row["history_len"])].decode(),
        )
        for row, (client, server) in zip(made.connections[: made.count], made.endpoints[: made.count], strict=True)
        if row["protocol"] == Protocol.TCP
    ]  # fmt: skip


def expected(connections: list[oracle.Connection]) -> list[tuple[str, int, str, str, str]]:
    return [
        (one.evidence, one.completeness, one.closed_by, one.verdict, one.history) for one in connections
    ]  # fmt: skip


def seen(frames: Frames, packets: Packets, labels: Labels) -> dict[int, list[event_oracle.Seen]]:
    """The segments of each connection of a batch, for the oracle of events."""
    found: dict[int, list[event_oracle.Seen]] = {}
    for i in np.flatnonzero(is_tcp(packets)).tolist():
        scaled = int(packets.options[i]) & HAS_WINDOW_SCALE
        found.setdefault(int(labels.connection[i]), []).append(event_oracle.Seen(
            int(frames.number[i]), int(frames.ts_ns[i]), direction(packets, i), int(packets.flags[i]),
            int(packets.seq[i]), int(packets.ack[i]), int(packets.payload_len[i]), int(packets.window[i]),
            int(packets.window_scale[i]) if scaled else None,
        ))  # fmt: skip
    return found


def direction(packets: Packets, i: int) -> int:
    """One of two ways, the same however often the connection turns round."""
    address = packets.address[i].tolist()
    return int((address[:4], int(packets.src_port[i])) > (address[4:], int(packets.dst_port[i])))


def remarked(frames: Frames, labels: Labels) -> dict[int, event_oracle.Said]:
    """What the labels say of each segment's events, by its number."""
    return {
        int(frames.number[i]): event_oracle.Said(
            frozenset(event.name.lower() for event in WIRESHARKS if int(labels.events[i]) >> event & 1),
            int(labels.refers_to[i]), int(labels.repeat[i]),
        )
        for i in np.flatnonzero(labels.connection).tolist()
    }  # fmt: skip


def hold_events(connections: dict[int, list[event_oracle.Seen]], said: dict[int, event_oracle.Said]) -> None:
    for segments in connections.values():
        for one, told in zip(segments, event_oracle.analyse(segments), strict=True):
            mine = said[one.number]
            if one is segments[0]:  # that it is another incarnation is the reconstruction's to say
                mine = mine._replace(events=mine.events - {"reused_ports"})
            assert mine == told, one


def hold(segments: list[Segment]) -> None:
    made = play(segments)
    hold_events(seen(made.frames, made.packets, made.labels), remarked(made.frames, made.labels))
    labels, connections = oracle.reconstruct(sent(made.frames, made.packets, made.labels))
    assume(not any(one.scattered for one in connections))
    assert labelled(made.packets, made.labels) == labels
    assert summed_up(made.reconstruction) == expected(connections)


@given(conversations())
def test_conversations(segments: list[Segment]) -> None:
    hold(segments)


@given(garbage())
def test_garbage(segments: list[Segment]) -> None:
    hold(segments)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_example_captures(path: Path) -> None:
    segments, labels = [], []
    connections_seen: dict[int, list[event_oracle.Seen]] = {}
    said: dict[int, event_oracle.Said] = {}
    with Run(path) as run:
        for batch in run:
            segments += sent(*batch)
            labels += labelled(batch.packets, batch.labels)
            for number, found in seen(*batch).items():
                connections_seen.setdefault(number, []).extend(found)
            said |= remarked(batch.frames, batch.labels)
    hold_events(connections_seen, said)
    told, connections = oracle.reconstruct(segments)
    rows = {row: i for i, row in enumerate(sorted({label.connection for label in labels}))}
    assert [label._replace(connection=rows[label.connection]) for label in labels] == told
    assert summed_up(run) == expected(connections)
