"""Findings about the whole capture: many connections that together are one thing, a port scan or a SYN flood.

What each of the many says is no longer of interest then; a finding says it once. Connections that were let go are
remembered as far as findings need them, up to a bound.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.explain.causes import Cause, causes_of, is_undelivered
from analyzer.tables import Protocol, Rows

SCAN_TARGETS = 20
"""Ports, of one host or of many, from which trying them in vain counts as a scan."""

FLOOD_SYNS, FLOOD_NS = 100, 10_000_000_000
"""So many SYNs to one port within this time, none of which led to a connection, count as a flood."""

MOST_PROBES = 200_000
"""Connections that are remembered; later ones do not change what is found."""


_AT_ONCE = 65_536
"""Rows that are looked at together: those of interest are copied."""


class Outcome(IntEnum):
    """What became of a connection that carried nothing."""

    OPEN = 0
    """The port was open; the client let it be at that."""
    REFUSED = 1
    FILTERED = 2
    """No answer, or one of a firewall."""
    HALF_OPEN = 3
    """The SYN-ACK was not acknowledged."""


PROBE = np.dtype(
    [
        ("address", np.uint32, (8,)),  # as in CONNECTION
        ("server_port", np.uint16),
        ("ip_version", np.uint8),
        ("outcome", np.uint8),  # Outcome
        ("number", np.int64),  # of the connection
        ("first_ns", np.int64),
        ("first_packet", np.int64),
    ],
    align=True,
)
"""A connection that carried nothing."""


class PortScan(NamedTuple):
    """One address tried many ports."""

    probe: Rows
    """PROBE[1]: the first."""
    hosts: int
    ports: int
    """Ports of all hosts together."""
    open_ports: list[int]
    """Ports of any host that were open, in their order."""
    opened: int
    refused: int
    filtered: int
    lasted_ns: int


class SynFlood(NamedTuple):
    """One port got many SYNs that came to nothing."""

    probe: Rows
    """PROBE[1]: the first."""
    syns: int
    sources: int
    answered: int
    """By a SYN-ACK."""
    lasted_ns: int


class Probes:
    """Collects connections that carried nothing."""

    def __init__(self) -> None:
        self._kept: list[Rows] = []
        self._count = 0

    def add(self, connections: Rows, endpoints: Rows) -> None:
        """Take CONNECTION[n] and their ENDPOINT[n, Side]."""
        for first in range(0, len(connections), _AT_ONCE):
            if self._count == MOST_PROBES:
                return
            rows = slice(first, first + _AT_ONCE)
            found = probes_of(connections[rows], endpoints[rows])[: MOST_PROBES - self._count]
            self._kept.append(found)
            self._count += len(found)

    def findings(self) -> list[PortScan | SynFlood]:
        """What they come to, the first first."""
        if self._count < SCAN_TARGETS:
            return []
        probes = np.concatenate(self._kept)
        found: list[PortScan | SynFlood] = [*scans_of(probes), *floods_of(probes)]
        return sorted(found, key=lambda one: int(one.probe["number"]))


def probes_of(connections: Rows, endpoints: Rows) -> Rows:
    """The connections that carried nothing and came to nothing, as PROBE rows."""
    carried = endpoints["payload_bytes"].any(axis=1)
    maybe = np.flatnonzero((connections["protocol"] == Protocol.TCP) & ~carried & (endpoints["syns"].any(axis=1)))
    connections, endpoints = connections[maybe], endpoints[maybe]
    causes = causes_of(connections, endpoints)
    outcomes = np.full(len(Cause), -1)
    for cause in Cause:
        if cause == Cause.UNANSWERED or is_undelivered(cause):
            outcomes[cause] = Outcome.FILTERED
    outcomes[Cause.REFUSED] = Outcome.REFUSED
    outcomes[Cause.SYN_ACK_UNANSWERED] = Outcome.HALF_OPEN
    for cause in (Cause.RESET_BY_CLIENT, Cause.ABORTED_BY_CLIENT, Cause.CLOSED_BY_CLIENT, Cause.HALF_CLOSED):
        outcomes[cause] = Outcome.OPEN
    outcome = outcomes[causes]
    chosen = np.flatnonzero(outcome >= 0)
    probes = np.zeros(len(chosen), PROBE)
    for name in ("address", "server_port", "ip_version", "number", "first_ns", "first_packet"):
        probes[name] = connections[name][chosen]
    probes["outcome"] = outcome[chosen]
    return probes


def scans_of(probes: Rows) -> list[PortScan]:
    """Addresses that tried many ports, most of them in vain."""
    found = []
    clients = _groups(probes["address"][:, :4], probes["ip_version"])
    targets = _groups(probes["address"][:, 4:], probes["ip_version"], probes["server_port"])
    hosts = _groups(probes["address"][:, 4:], probes["ip_version"])
    for rows in _members(clients, SCAN_TARGETS):
        _, first = np.unique(targets[rows], return_index=True)
        if len(first) < SCAN_TARGETS:
            continue
        tried = probes[rows[first]]  # each target once
        counts = np.bincount(tried["outcome"], minlength=len(Outcome))
        opened = int(counts[Outcome.OPEN] + counts[Outcome.HALF_OPEN])
        if 2 * opened > len(tried):
            continue
        is_open = np.isin(tried["outcome"], (Outcome.OPEN, Outcome.HALF_OPEN))
        times = probes["first_ns"][rows]
        found.append(
            PortScan(
                probes[rows[0]], len(np.unique(hosts[rows])), len(tried),
                sorted(set(tried["server_port"][is_open].tolist())), opened, int(counts[Outcome.REFUSED]),
                int(counts[Outcome.FILTERED]), int(times.max() - times.min()),
            )
        )  # fmt: skip
    return found


def floods_of(probes: Rows) -> list[SynFlood]:
    """Ports that got more SYNs in vain than clients send that want to connect."""
    found = []
    probes = probes[np.isin(probes["outcome"], (Outcome.FILTERED, Outcome.HALF_OPEN))]
    sources = _groups(probes["address"][:, :4], probes["ip_version"])
    targets = _groups(probes["address"][:, 4:], probes["ip_version"], probes["server_port"])
    for rows in _members(targets, FLOOD_SYNS):
        times = np.sort(probes["first_ns"][rows])
        if (times[FLOOD_SYNS - 1 :] - times[: len(times) - FLOOD_SYNS + 1]).min() > FLOOD_NS:
            continue
        answered = int((probes["outcome"][rows] == Outcome.HALF_OPEN).sum())
        found.append(
            SynFlood(
                probes[rows[0]], len(rows), len(np.unique(sources[rows])), answered, int(times[-1] - times[0])
            )
        )  # fmt: skip
    return found


def _groups(*columns: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """For each row a number that rows with the same values have in common."""
    key = np.column_stack([np.asarray(column, np.int64) for column in columns])
    words = np.ascontiguousarray(key).view(np.dtype((np.void, key.shape[1] * 8))).reshape(-1)
    return np.unique(words, return_inverse=True)[1].astype(np.int64)


def _members(groups: npt.NDArray[np.int64], least: int) -> list[npt.NDArray[np.int64]]:
    """The rows of each group that has so many, in their order."""
    if not len(groups):
        return []
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [np.sort(part) for part in parts if len(part) >= least]
