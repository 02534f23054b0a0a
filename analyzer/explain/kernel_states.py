"""Whether the states that were inferred from packets are those that Linux's own sockets have.

At an instant the socket tables are read; when the packets up to then were analysed, the states are compared, of
connections that had no packet since shortly before the instant: those of others may have changed meanwhile. A state of
an end that Linux has no socket for counts as CLOSED, as does LISTEN: the listening socket is another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analyzer.explain.processes import End, ends_of, tcp_sockets
from analyzer.tables import Protocol, Rows, Side
from analyzer.tcp.states import State

MARGIN_NS = 2_000_000
"""Who had a packet so shortly before the instant is not compared."""

_SETTLED_NS = 100_000_000
"""So long after an instant, all packets from before it were handed over."""

_PAUSE_S, _PAUSE_SHARE = 0.1, 10
"""Between two instants: so long, or so many times of what reading the tables takes."""

_MOST_COMPARED = 1_000
"""Connections compared at an instant: the latest."""

_MOST_DIFFERENCES = 10


class Difference(NamedTuple):
    """A state that Linux has otherwise."""

    connection: int
    """Its number, from 1."""
    side: Side
    inferred: State
    linux: State
    packet: int
    """The connection's latest packet before."""


class KernelStates:
    """Compares while a capture goes on. ``is_here`` tells whether an address is this machine's.

    Attributes: ``instants`` and ``states`` that were compared, ``agreed`` of them; ``differences``, the first ones, a
    connection's end once.
    """

    patience_s = 0.05

    def __init__(self, is_here: Callable[[bytes], bool]) -> None:
        self.instants = self.states = self.agreed = 0
        self.differences: dict[tuple[int, Side], Difference] = {}
        self._is_here = is_here
        self._taken_ns = 0
        self._next = 0.0
        self._sockets: dict[tuple[End, End], State] = {}

    def tick(self, connections: Rows, endpoints: Rows, now_ns: int, analysed_ns: int) -> None:
        """Take an instant, or compare with one whose packets were all analysed; called every ``patience_s``.

        ``analysed_ns`` is the time up to which packets that were handed over were analysed.
        """
        if self._taken_ns:
            if analysed_ns - self._taken_ns >= _SETTLED_NS:
                self._compare(connections, endpoints)
                self._taken_ns = 0
        elif time.monotonic() >= self._next:
            began = time.monotonic()
            self._taken_ns = now_ns
            self._sockets = {(one.local, one.remote): one.state for one in tcp_sockets()}
            took_s = time.monotonic() - began
            self._next = began + max(_PAUSE_S, _PAUSE_SHARE * took_s)

    def _compare(self, connections: Rows, endpoints: Rows) -> None:
        self.instants += 1
        is_quiet = connections["last_ns"] < self._taken_ns - MARGIN_NS
        is_older = connections["first_ns"] < self._taken_ns
        rows = np.flatnonzero(connections["protocol"] == Protocol.TCP)[-_MOST_COMPARED:]
        seen: set[tuple[End, End]] = set()
        for row in reversed(rows.tolist()):
            ends = ends_of(connections[row])
            if ends in seen:  # an earlier incarnation
                continue
            seen.add(ends)
            if is_quiet[row] and is_older[row]:
                for side in Side:
                    if self._is_here(ends[side][0]):
                        self._compare_one(row, side, ends, connections, endpoints)

    def _compare_one(self, row: int, side: Side, ends: tuple[End, End], connections: Rows, endpoints: Rows) -> None:
        inferred = State(int(endpoints[row, side]["state"]))
        linux = self._sockets.get((ends[side], ends[1 - side]), State.CLOSED)
        self.states += 1
        if linux == (State.CLOSED if inferred == State.LISTEN else inferred):
            self.agreed += 1
        elif len(self.differences) < _MOST_DIFFERENCES:
            number, packet = int(connections[row]["number"]), int(connections[row]["last_packet"])
            self.differences.setdefault((number, side), Difference(number, side, inferred, linux, packet))
