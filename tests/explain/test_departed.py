"""What connections come to that were let go."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analyzer.explain.causes import Cause, cause_of
from analyzer.explain.departed import Departed
from analyzer.explain.quality import Coverage, coverage_of
from analyzer.pipeline import survey
from analyzer.tables import Protocol

MADE = Path(__file__).parents[2] / "captures" / "made"


def test_all_of_them_together() -> None:
    departed = Departed()
    coverage = Coverage()
    packets = payload_bytes = udp = 0
    causes = np.zeros(len(Cause), np.int64)
    for path in sorted(path for path in MADE.iterdir() if path.suffix in (".pcap", ".pcapng")):
        run = survey(path)
        connections, endpoints = run.connections[: run.count], run.endpoints[: run.count]
        departed.add(connections, endpoints)
        coverage = coverage.plus(coverage_of(connections, endpoints))
        packets += run.packets - int(run.strays.sum())
        payload_bytes += int(endpoints["payload_bytes"].sum())
        udp += int((connections["protocol"] == Protocol.UDP).sum())
        for connection, ends in zip(connections, endpoints, strict=True):
            causes[cause_of(connection, *ends)] += connection["protocol"] == Protocol.TCP
    assert (departed.packets, departed.payload_bytes, departed.udp) == (packets, payload_bytes, udp)
    assert departed.by_cause.tolist() == causes.tolist()
    assert departed.coverage == coverage
    assert departed.tcp == causes.sum() == departed.count - udp
    assert udp
    assert (causes > 0).sum() > 5
