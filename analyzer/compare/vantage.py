"""The same traffic captured at two places: what became of each packet between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyzer.compare.changes import Change, changes, hops
from analyzer.compare.clocks import Clock, Delays
from analyzer.compare.fates import Fate, Fates, Trip
from analyzer.compare.places import A, B, Capture, Place, Places, Whose
from analyzer.tables import I64


class Vantage(NamedTuple):
    """Everything that is known of two captures of the same traffic."""

    clock: Clock | None
    """None: no packet is in both, or nobody knows which way one went."""
    delays: tuple[Delays | None, Delays | None]
    """Of packets from A, and from B."""
    hops: tuple[int | None, int | None]
    """What the time to live falls by on these ways."""
    incidents: list[Trip]
    """Of the packets that did not just arrive, in the order of A's clock."""
    changes: list[Change]
    places: dict[Whose, Place]
    rows_b: dict[int, int]
    """Row of A's connection for each of B's that A has."""
    common: int
    """Packets in both."""
    only: tuple[int, int]
    """Packets of connections that the other capture has nothing of."""
    missed: tuple[int, int]
    """Packets that one capture alone has though the other place captured then, and of which nobody knows the way."""

    def of(self, fate: Fate) -> list[Trip]:
        """The trips that ended so."""
        return [trip for trip in self.incidents if trip.fate == fate]


class Between:
    """Finds each packet of A in B; ``told`` says what became of them, ``trips_of`` those of one connection."""

    def __init__(self, a: Capture, b: Capture) -> None:
        self._places = Places(a, b)
        self._fates = Fates(self._places)

    def told(self) -> Vantage:
        """All that became of them, but for the packets that just arrived."""
        places, lone = self._places, self._places.flows.is_lone
        return Vantage(
            places.clock, places.delays, (hops(places, A), hops(places, B)), self._fates.incidents(), changes(places),
            places.of_connections(), places.rows_b, len(np.unique(places.found.a)),
            (int(lone[A].sum()), int(lone[B].sum())), (places.missed(A), places.missed(B)),
        )  # fmt: skip

    def trips_of(self, whose: Whose) -> list[Trip]:
        """Of all packets of a connection."""
        return self._fates.trips_of(whose)

    def whose(self, trip: Trip) -> Whose:
        """The connection that a packet belongs to."""
        return self._fates.whose(trip)

    def corrected(self, ts_ns: I64) -> I64:
        """Times of B on A's clock, as far as that is known."""
        return self._places.corrected(ts_ns)
