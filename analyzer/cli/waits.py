"""Who holds connections in TIME-WAIT and CLOSE-WAIT: looked for at a bounded cost while a capture goes on, and told."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from analyzer.cli.owners import Owners
from analyzer.explain.processes import tcp_sockets
from analyzer.explain.waiting import RFC_TIME_WAIT_NS, Waiting, any_waits, waiting
from analyzer.pipeline import Run
from analyzer.render.screen import Screen
from analyzer.render.waiting import after_the_capture, finding, still_there
from analyzer.render.words import Word

_PAUSE_S, _PAUSE_SHARE = 1.0, 50
"""Between two looks: so long, or so many times of what a look takes."""


class Waits:
    """What this machine's programs hold in TIME-WAIT and CLOSE-WAIT."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._found = Word("")
        self._next = -math.inf

    def finding(self, run: Run) -> Word:
        """What there is to tell while packets come; empty where there is nothing. Linux's own tables have to agree."""
        began = time.monotonic()
        if began >= self._next:
            now_ns = time.time_ns()
            self._found = finding(self._there(run, now_ns), now_ns)
            now = time.monotonic()
            self._next = now + max(_PAUSE_S, _PAUSE_SHARE * (now - began))
        return self._found

    def at_the_end(self, run: Run, screen: Screen) -> Iterator[str]:
        """Lines about what there is now; Linux's own tables have to agree."""
        now_ns = time.time_ns()
        return still_there(self._there(run, now_ns), now_ns, screen)

    def _there(self, run: Run, now_ns: int) -> list[Waiting]:
        """What Linux has, too. Its tables are read where there is something to look for."""
        connections, endpoints = run.connections[: run.count], run.endpoints[: run.count]
        if not any_waits(endpoints):
            return []
        return waiting(
            connections, endpoints, now_ns, is_here=self._owners.is_here, owners=self._owners.of, sockets=tcp_sockets()
        )  # fmt: skip


def held_at_the_end(
    run: Run, numbers: Sequence[int], screen: Screen, reuse: Mapping[int, bool] = MappingProxyType({})
) -> Iterator[str]:  # fmt: skip
    """Lines about what those of a capture's connections that have these numbers were in when it ended.

    ``reuse`` tells whether the servers on these ports had set SO_REUSEADDR, as far as it is known.
    """
    connections, endpoints = run.connections[: run.count], run.endpoints[: run.count]
    among = np.isin(connections["number"], numbers)
    found = waiting(connections, endpoints, run.last_ns, time_wait_ns=RFC_TIME_WAIT_NS, lasting_ns=0, among=among)
    return after_the_capture((one for one in found if one.is_worth_telling(run.last_ns)), run.last_ns, screen, reuse)
