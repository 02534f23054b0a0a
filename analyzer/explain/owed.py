"""What is still to come of connections because an end owes it: acknowledgements, and the end of what began to end.

The kernel of the end that received octets, a SYN or a FIN acknowledges them, soon (a delayed ACK takes some tens of
milliseconds), or resets the connection. A connection of which one side said FIN is expected to be closed by the other
side too, and then both FINs to be acknowledged. An open connection in which all is acknowledged owes nothing, however
long it is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from analyzer.tables import KNOWS_SND, SENT_FIN, Protocol, Rows, Side, rows_of
from analyzer.tcp.seq import seq_diff
from analyzer.tcp.states import State

_OVER = [State.CLOSED, State.LISTEN, State.TIME_WAIT]


class Debt(NamedTuple):
    """What one side of a connection owes."""

    number: int
    """The connection's."""
    side: Side
    up_to: int | None
    """Octets of the other side up to this sequence number are to be acknowledged; None: the connection is to end."""


def debts_of(connections: Rows, endpoints: Rows) -> list[Debt]:
    """What is owed now."""
    is_open = ~np.isin(endpoints["state"], _OVER).all(axis=1) & (connections["protocol"] == Protocol.TCP)
    found = []
    for row in np.flatnonzero(is_open).tolist():
        number, ends = int(connections[row]["number"]), endpoints[row]
        if _said_fin(ends) == 1:
            found.append(Debt(number, Side(int(bool(ends[Side.CLIENT]["known"] & SENT_FIN))), None))
        else:
            found += _not_acknowledged(number, ends)
    return found


def _said_fin(ends: Rows) -> int:
    """How many sides."""
    return int(np.count_nonzero(ends["known"] & SENT_FIN))


def _not_acknowledged(number: int, ends: Rows) -> Iterator[Debt]:
    for side in Side:
        end = ends[1 - side]
        if end["known"] & KNOWS_SND and seq_diff(int(end["snd_nxt"]), int(end["snd_una"])) > 0:
            yield Debt(number, side, int(end["snd_nxt"]))


def unpaid(debts: Iterable[Debt], connections: Rows, endpoints: Rows) -> list[Debt]:
    """Those that are still owed. What came to be owed meanwhile is none of them, but for the last ACKs of an end."""
    debts = list(debts)
    rows = rows_of(connections, [debt.number for debt in debts]).tolist()
    return [one for debt, row in zip(debts, rows, strict=True) if row >= 0 for one in _left(debt, endpoints[row])]


def _left(debt: Debt, ends: Rows) -> Iterator[Debt]:
    """What there is left of a debt."""
    if np.isin(ends["state"], _OVER).all():
        return
    if debt.up_to is None and _said_fin(ends) == 2:
        yield from _not_acknowledged(debt.number, ends)
    elif debt.up_to is None or seq_diff(debt.up_to, int(ends[1 - debt.side]["snd_una"])) > 0:
        yield debt
