"""A conversation on its way between two places that capture it, with what a test lets happen to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from analyzer.compare.places import Capture
from analyzer.compare.seen import Seen
from analyzer.decode.packets import decode
from analyzer.tables import ACK, FIN, PSH, SYN, Batch
from analyzer.tcp.reconstruct import Reconstruction
from tests.script import START_NS, Segment, frames

MS = 1_000_000


class Journey(NamedTuple):
    """A packet with the times at which the two places have it; -1 where it does not come by."""

    segment: Segment
    at_a: int
    at_b: int


def conversation(payloads: Sequence[tuple[str, int]], gap_ns: int = 5 * MS) -> list[Segment]:
    """A handshake, a segment with payload for each letter and length, each acknowledged, and both FINs."""
    numbers = {"C": 1_000, "S": 90_000}
    ids = {"C": 1, "S": 50_000}
    made: list[Segment] = []

    def say(source: str, flags: int, length: int = 0) -> None:
        other = "S" if source == "C" else "C"
        ack = numbers[other] if flags & ACK else 0
        made.append(Segment(
            START_NS + len(made) * gap_ns, source, other, flags, numbers[source], ack, length, ip_id=ids[source],
            timestamps=(len(made) * 5 + 7, 3), mss=1460 if flags & SYN else None,
            window_scale=7 if flags & SYN else None,
        ))  # fmt: skip
        ids[source] += 1
        numbers[source] += length + bool(flags & SYN) + bool(flags & FIN)

    say("C", SYN)
    say("S", SYN | ACK)
    say("C", ACK)
    for source, length in payloads:
        say(source, PSH | ACK, length)
        say("S" if source == "C" else "C", ACK)
    say("C", FIN | ACK)
    say("S", FIN | ACK)
    say("C", ACK)
    return made


def travelled(
    segments: Sequence[Segment], delay: Callable[[int, Segment], int], *, client_at: str = "A"
) -> list[Journey]:
    """Every packet at both places; ``delay`` gives how long a packet takes, -1 that it does not arrive."""
    journeys = []
    for k, segment in enumerate(segments):
        took = delay(k, segment)
        arrives = -1 if took < 0 else segment.ts_ns + took
        is_from_a = (segment.source == "C") == (client_at == "A")
        journeys.append(Journey(segment, *((segment.ts_ns, arrives) if is_from_a else (arrives, segment.ts_ns))))
    return journeys


def capture(journeys: Sequence[Journey], place: str, clock: Callable[[int], int] = lambda ns: ns) -> Capture:
    """What a place captured, by its clock."""
    times = [(journey.at_a if place == "A" else journey.at_b, journey.segment) for journey in journeys]
    here = sorted((one for one in times if one[0] >= 0), key=lambda one: one[0])
    return captured([segment._replace(ts_ns=clock(ts_ns)) for ts_ns, segment in here])


def captured(segments: Sequence[Segment]) -> Capture:
    """These packets as a capture."""
    made = frames(segments)
    packets, reconstruction, seen = decode(made), Reconstruction(), Seen()
    seen.add(Batch(made, packets, reconstruction.feed(made, packets)))
    times: np.ndarray[tuple[int], np.dtype[np.int64]] = made.ts_ns
    connections = reconstruction.connections[: reconstruction.count]
    return Capture(connections, seen.finished(), int(times.min()), int(times.max()))
