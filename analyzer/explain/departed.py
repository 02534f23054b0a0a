"""Connections that a run without an end has let go: nobody can look at them any more, but they count."""

from __future__ import annotations

import numpy as np

from analyzer.explain.quality import Coverage, coverage_of
from analyzer.explain.why import Cause, cause_of
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, Protocol, Rows


class Departed:
    """What they come to.

    Attributes: ``tcp`` and ``udp`` how many there were; ``packets`` and ``payload_bytes`` that they had; ``by_cause``
    the TCP connections by Cause; ``coverage`` how much of them was captured.
    """

    def __init__(self) -> None:
        self.tcp = self.udp = self.packets = self.payload_bytes = 0
        self.coverage = Coverage()
        self.by_cause: I64 = np.zeros(len(Cause), np.int64)

    @property
    def count(self) -> int:
        """How many there were."""
        return self.tcp + self.udp

    def add(self, connections: Rows, endpoints: Rows) -> None:
        """Add CONNECTION[n] and their ENDPOINT[n, Side]."""
        tcp = int((connections["protocol"] == Protocol.TCP).sum())
        self.tcp += tcp
        self.udp += len(connections) - tcp
        self.coverage = self.coverage.plus(coverage_of(connections, endpoints))
        self.packets += int(endpoints["packets"].sum())
        self.payload_bytes += int(endpoints["payload_bytes"].sum())
        fastest(count_causes)(connections, endpoints, self.by_cause)
        self.by_cause[Cause.NONE] = 0


@kernel
def count_causes(connections: Rows, endpoints: Rows, by_cause: I64) -> None:
    """Add each connection to its Cause."""
    for i in range(len(connections)):
        cause = cause_of(connections[i], endpoints[i, 0], endpoints[i, 1])
        by_cause[cause] = wide(by_cause[cause]) + 1
