"""What Linux counted while a connection ended: where the wire leaves a choice, its counters may settle it.

``/proc/net/netstat`` is read over and over while a capture goes on; what went up is kept with the two times between
which it did. Afterwards a connection that an end of this machine aborted, or whose SYN it dropped, is held against what
went up around it. A counter belongs to the whole network namespace: it settles something when it went up by as many as
there are captured connections that may have moved it, and not otherwise; one that was not captured may always have, and
the sentence says so.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analyzer.explain.causes import Cause, actor_of, cause_of, causes_of
from analyzer.explain.processes import ends_of
from analyzer.language import _, text
from analyzer.tables import Rows, Side

NETSTAT = "/proc/thread-self/net/netstat"

ABORTS = {
    "TCPAbortOnClose": text("the socket was closed, or its program ended, with unread data in it"),
    "TCPAbortOnData": text("the socket was closed with SO_LINGER 0"),
    "TCPAbortOnTimeout": text("a timeout of TCP ended it (keep-alive, TCP_USER_TIMEOUT or retransmissions)"),
    "TCPAbortOnMemory": text("the kernel had no memory left for it"),
    "TCPAbortOnLinger": text("the time in FIN-WAIT-2 was over (TCP_LINGER2)"),
}
"""Counters of Linux's aborts (documented in networking/snmp_counter.rst), and what each means."""

DROPS = {
    "ListenOverflows": text("the accept queue of a listening socket was full"),
    "TCPReqQFullDrop": text("the SYN queue of a listening socket was full"),
}
"""Counters of SYNs, or last ACKs of a handshake, that Linux dropped, and what each means."""

NAMES = (*ABORTS, *DROPS)

_ABORTED = (
    Cause.ABORTED_BY_CLIENT, Cause.ABORTED_BY_SERVER, Cause.RESET_BY_CLIENT, Cause.RESET_BY_SERVER, Cause.IDLE_RESET,
    Cause.KEEP_ALIVE_TIMEOUT, Cause.RETRANSMISSION_TIMEOUT, Cause.WRITE_AFTER_CLOSE,
)  # fmt: skip
_DROPPED = (Cause.UNANSWERED, Cause.LIKELY_ACCEPT_QUEUE_FULL)

MOST_CHANGES = 10_000

_PAUSE_S, _PAUSE_SHARE = 0.005, 20
"""Between two readings: so long, or so many times of what a reading takes."""

MARGIN_NS = 2_000_000
"""A counter goes up at most so long before or after its packet is captured."""


class Change(NamedTuple):
    """Counters went up between two readings."""

    after_ns: int
    before_ns: int
    by: tuple[int, ...]
    """In the order of NAMES."""


class KernelCounters:
    """Reads the counters while a capture goes on. ``is_here`` tells whether an address is this machine's."""

    patience_s = 0.05

    def __init__(
        self, is_here: Callable[[bytes], bool], read: Callable[[], tuple[int, ...] | None] | None = None
    ) -> None:
        self._is_here = is_here
        self._read = read or read_counters
        self._changes: deque[Change] = deque(maxlen=MOST_CHANGES)
        self._last: tuple[int, ...] | None = None
        self._last_ns = 0
        self._next = 0.0

    def tick(self, now_ns: int, *, is_last: bool = False) -> None:
        """Read the counters if it is time; ``is_last``: in any case."""
        began = time.monotonic()
        if began < self._next and not is_last:
            return
        counters = self._read()
        if counters is None:
            return
        if self._last is not None and counters != self._last:
            by = tuple(new - old for new, old in zip(counters, self._last, strict=True))
            self._changes.append(Change(self._last_ns, now_ns, by))
        self._last, self._last_ns = counters, now_ns
        self._next = began + max(_PAUSE_S, _PAUSE_SHARE * (time.monotonic() - began))

    def sentence(self, row: int, connections: Rows, endpoints: Rows) -> str:
        """What the counters say of a connection, one of these CONNECTION[n] and ENDPOINT[n, Side]; or nothing."""
        cause = Cause(cause_of(connections[row], *endpoints[row]))
        if cause in _ABORTED:
            last_ns = int(connections[row]["last_ns"])
            return self._settled(ABORTS, _ABORTED, row, last_ns, last_ns, connections, endpoints)
        if cause in _DROPPED:
            first_ns, last_ns = int(connections[row]["first_ns"]), int(connections[row]["last_ns"])
            return self._settled(DROPS, _DROPPED, row, first_ns, last_ns, connections, endpoints)
        return ""

    def _settled(
        self, meanings: dict[str, str], causes: tuple[Cause, ...], row: int, first_ns: int, last_ns: int,
        connections: Rows, endpoints: Rows,
    ) -> str:  # fmt: skip
        if not self._is_at_fault_here(connections[row], endpoints[row]):
            return ""
        first_ns, last_ns = first_ns - MARGIN_NS, last_ns + MARGIN_NS
        changes = [one for one in self._changes if one.after_ns <= last_ns and one.before_ns >= first_ns]
        if not changes:
            return ""
        went_up = {name: sum(one.by[NAMES.index(name)] for one in changes) for name in meanings}
        went_up = {name: by for name, by in went_up.items() if by}
        if not went_up:
            return ""
        first_ns, last_ns = min(first_ns, changes[0].after_ns), max(last_ns, changes[-1].before_ns)
        may_have = self._that_may_have(causes, first_ns, last_ns, connections, endpoints)
        if meanings is DROPS:
            is_sure = len(may_have) == 1
        else:
            is_sure = sum(went_up.values()) == len(may_have)
        # A RST that answers late data is counted, or is not, by what became of the socket in between
        is_sure &= not any(cause == Cause.WRITE_AFTER_CLOSE for cause in may_have)
        counted_up = ", ".join(f"{name} +{by}" for name, by in went_up.items())
        if is_sure and len(went_up) == 1:
            told = _("Linux counted it ({counters}): {meaning}, unless a connection that was not captured moved it.")
            return told.format(counters=counted_up, meaning=_(meanings[next(iter(went_up))]))
        told = _("Linux counted {counters} meanwhile; other connections may have moved that, so it settles nothing.")
        return told.format(counters=counted_up)

    def _that_may_have(
        self, causes: tuple[Cause, ...], first_ns: int, last_ns: int, connections: Rows, endpoints: Rows
    ) -> list[Cause]:
        """The causes of the connections that may have moved these counters in between."""
        near = (connections["last_ns"] + MARGIN_NS >= first_ns) & (connections["first_ns"] - MARGIN_NS <= last_ns)
        if causes is _ABORTED:
            near &= connections["last_ns"] - MARGIN_NS <= last_ns
        rows = np.flatnonzero(near)
        found = causes_of(connections[rows], endpoints[rows])
        return [
            Cause(cause)
            for i, cause in zip(rows.tolist(), found.tolist(), strict=True)
            if cause in causes and self._is_at_fault_here(connections[i], endpoints[i])
        ]

    def _is_at_fault_here(self, connection: Rows, endpoints: Rows) -> bool:
        """Whether the end whose kernel would have counted is this machine's."""
        cause = cause_of(connection, *endpoints)
        side = Side.SERVER if cause in _DROPPED else Side(actor_of(cause, connection, *endpoints))
        return self._is_here(ends_of(connection)[side][0])


def read_counters() -> tuple[int, ...] | None:
    """The counters in the order of NAMES, a missing one 0; None where there are none."""
    try:
        with open(NETSTAT, encoding="utf-8") as file:
            return counters_of(file.read())
    except OSError:
        return None


def counters_of(netstat: str) -> tuple[int, ...]:
    """The same from the file's text: a line of names, and one of numbers, each for TcpExt and others."""
    lines = [line.split() for line in netstat.splitlines() if line.startswith("TcpExt:")]
    found = dict(zip(lines[0], lines[1], strict=False)) if len(lines) == 2 else {}
    return tuple(int(found.get(name, "0")) for name in NAMES)
