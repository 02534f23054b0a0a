"""Connections that a run without an end has let go: nobody can look at them any more, but they count."""

from __future__ import annotations

import numpy as np

from analyzer.explain.causes import Cause, causes_of
from analyzer.explain.findings import Probes
from analyzer.explain.quality import Coverage, count_kinds, coverage_of
from analyzer.tables import I64, Protocol, Rows


class Departed:
    """What they come to.

    Attributes: ``tcp`` and ``udp`` how many there were; ``packets`` and ``payload_bytes`` that they had; ``by_cause``
    the TCP connections by Cause; ``coverage`` how much of them was captured; ``probes`` those that carried nothing.
    """

    def __init__(self) -> None:
        self.tcp = self.udp = self.packets = self.payload_bytes = 0
        self.coverage = Coverage()
        self.probes = Probes()
        self.by_cause: I64 = np.zeros(len(Cause), np.int64)

    @property
    def count(self) -> int:
        """How many there were."""
        return self.tcp + self.udp

    def add(self, connections: Rows, endpoints: Rows) -> None:
        """Add CONNECTION[n] and their ENDPOINT[n, Side]."""
        tcp, udp = count_kinds(connections)
        self.tcp += tcp
        self.udp += udp
        self.coverage = self.coverage.plus(coverage_of(connections, endpoints))
        self.packets += int(endpoints["packets"].sum())
        self.payload_bytes += int(endpoints["payload_bytes"].sum())
        self.probes.add(connections, endpoints)
        causes = causes_of(connections, endpoints)[connections["protocol"] == Protocol.TCP]
        self.by_cause += np.bincount(causes, minlength=len(Cause))
