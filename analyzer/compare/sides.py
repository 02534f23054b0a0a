"""Who sent each packet of a run's connections, whenever it was found out who is the client.

What a connection says may turn it round when some of its packets were seen already. So a packet's side is here the one
that its sender was taken for at first: what is noted by it never has to be exchanged while packets come, and once in
the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.tables import I64, Batch, Event

Bools = npt.NDArray[np.bool_]


class Taken(NamedTuple):
    """The packets of a batch that belong to connections."""

    at: I64
    """Their places in the batch."""
    rows: I64
    """Their connections' numbers, minus one."""
    side: I64
    """Side that their sender was taken for at first."""
    states: I64
    """int64[n, 2]: the states after each of the two that were taken for client and server at first."""


class Sides:
    """Follows the connections of a run, in which none is let go, through their turns."""

    def __init__(self) -> None:
        self._turned: set[int] = set()

    def taken(self, batch: Batch, numbers: I64 | None = None) -> Taken:
        """The packets of all connections of the next batch, or of those with these numbers."""
        labels = batch.labels
        is_wanted = labels.connection > 0 if numbers is None else np.isin(labels.connection, numbers)
        at = np.flatnonzero(is_wanted)
        rows = labels.connection[at] - 1
        is_turned = self.turned(rows)
        for turn in np.flatnonzero(labels.events[at] >> np.uint32(Event.TURNED_ROUND) & 1).tolist():
            self._turned ^= {int(rows[turn])}
            is_turned[turn:] ^= rows[turn:] == rows[turn]
        side = labels.side[at].astype(np.int64) ^ is_turned
        states = np.stack([labels.client_state[at], labels.server_state[at]], axis=1).astype(np.int64)
        states[is_turned] = states[is_turned, ::-1]
        return Taken(at, rows, side, states)

    def turned(self, rows: I64) -> Bools:
        """Which of these rows' connections have turned round so far."""
        return np.isin(rows, list(self._turned)) if self._turned else np.zeros(len(rows), np.bool_)
