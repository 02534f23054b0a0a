"""Who holds connections in TIME-WAIT and CLOSE-WAIT: looked for at a bounded cost while a capture goes on, and told."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from analyzer.cli.owners import Owners
from analyzer.explain.processes import tcp_sockets
from analyzer.explain.waiting import RFC_TIME_WAIT_NS, waiting
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
        """What there is to tell while packets come, by their states; empty where there is nothing."""
        began = time.monotonic()
        if began >= self._next:
            now_ns = time.time_ns()
            rows = run.connections[: run.count], run.endpoints[: run.count]
            found = waiting(*rows, now_ns, is_here=self._owners.is_here, owners=self._owners.of)
            self._found = finding(found, now_ns)
            now = time.monotonic()
            self._next = now + max(_PAUSE_S, _PAUSE_SHARE * (now - began))
        return self._found

    def at_the_end(self, run: Run, screen: Screen) -> Iterator[str]:
        """Lines about what there is now; Linux's own tables have to agree."""
        now_ns = time.time_ns()
        rows = run.connections[: run.count], run.endpoints[: run.count]
        found = waiting(
            *rows, now_ns, is_here=self._owners.is_here, owners=self._owners.of, sockets=tcp_sockets()
        )  # fmt: skip
        return still_there(found, now_ns, screen)


def held_at_the_end(
    run: Run, numbers: Sequence[int], screen: Screen, reuse: Mapping[int, bool] = MappingProxyType({})
) -> Iterator[str]:  # fmt: skip
    """Lines about what those of a capture's connections that have these numbers were in when it ended.

    ``reuse`` tells whether the servers on these ports had set SO_REUSEADDR, as far as it is known.
    """
    connections, endpoints = run.connections[: run.count], run.endpoints[: run.count]
    among = np.isin(connections["number"], numbers)
    found = waiting(connections, endpoints, run.last_ns, time_wait_ns=RFC_TIME_WAIT_NS, among=among)
    return after_the_capture(found, run.last_ns, screen, reuse)
