"""Who holds connections in TIME-WAIT, and who leaves them in CLOSE-WAIT: counted by program, or by the end they share.

The side that closed first stays in TIME-WAIT, which no program can shorten; on a server's own port it keeps the next
server from binding. A side whose peer closed stays in CLOSE-WAIT until its program closes too; where such connections
become more and more, the program forgets to.

A connection whose SYN was not captured tells little: its side may have closed before. It counts in CLOSE-WAIT only
where the machine's own sockets say so.

Linux's TIME-WAIT sockets belong to no process: the program is the one that was known to have the ends before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.explain.processes import End, Socket, ends_of
from analyzer.tables import I64, ClosedBy, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State

LINUX_TIME_WAIT_NS = 60_000_000_000
"""How long Linux keeps it (include/net/tcp.h: TCP_TIMEWAIT_LEN)."""

RFC_TIME_WAIT_NS = 240_000_000_000
"""2 MSL (RFC 9293 3.4.2)."""

LASTING_NS = 1_000_000_000
"""A program that has not closed for so long after its peer is told of."""

MANY = 3
"""From so many connections in CLOSE-WAIT on, a program seems to forget them."""

_MOST_GROUPS = 200
"""Ends that are looked at: those with the most."""

_MOST_ASKED = 100
"""Connections of a holder whose owner is looked up: the oldest."""

Owners = Callable[[Rows], tuple[str, str]]
"""Gives the programs behind the client and the server of a CONNECTION row, empty where they are not known."""

Mask = npt.NDArray[np.bool_]


class Waiting(NamedTuple):
    """Connections that one holder has in one of the two states."""

    state: State
    """TIME_WAIT or CLOSE_WAIT."""
    side: Side
    """The holder's."""
    connection: Rows
    """CONNECTION row of the oldest of them."""
    programs: tuple[str, ...]
    """Their owners, as far as they are known."""
    ports: tuple[int, ...]
    """The servers' ports of these connections."""
    total: int
    since_ns: int
    """When the oldest came into the state."""
    latest_ns: int
    """When the latest did."""
    closed: int
    """For CLOSE_WAIT: connections of the same end that the peer closed first, and then this side too."""

    @property
    def seems_forgotten(self) -> bool:
        """Whether the holder seems not to close at all."""
        return self.state == State.CLOSE_WAIT and self.total >= MANY and self.closed == 0

    def is_worth_telling(self, end_ns: int) -> bool:
        """Whether to tell of it after a capture that ended then: few in CLOSE-WAIT may be about to be closed."""
        return self.state != State.CLOSE_WAIT or self.total >= MANY or end_ns - self.since_ns >= LASTING_NS


def any_waits(endpoints: Rows) -> bool:
    """Whether any of ENDPOINT[n, Side] is in one of the two states."""
    return bool(np.isin(endpoints["state"], (State.CLOSE_WAIT, State.TIME_WAIT)).any())


def waiting(
    connections: Rows, endpoints: Rows, now_ns: int, *, time_wait_ns: int = LINUX_TIME_WAIT_NS,
    lasting_ns: int = LASTING_NS, is_here: Callable[[bytes], bool] = lambda _: True,
    owners: Owners = lambda _: ("", ""), sockets: Collection[Socket] | None = None, among: Mask | None = None,
) -> list[Waiting]:  # fmt: skip
    """The holders among CONNECTION[n] with ENDPOINT[n, Side] at a time, CLOSE-WAIT first, the most first.

    TIME-WAIT counts for ``time_wait_ns``, CLOSE-WAIT from ``lasting_ns`` on, and not where the side still sends data.
    Where ``among`` is given, those connections alone count. ``is_here`` chooses holders by their address; where the
    machine's ``sockets`` are given, what they do not have in that state does not count.
    """
    is_tcp = connections["protocol"] == Protocol.TCP
    is_latest = np.ones(len(connections), np.bool_)
    former = connections["former"]
    is_latest[former[former > 0] - 1] = False
    if among is not None:
        is_tcp &= among
    known = None if sockets is None else {(one.local, one.remote): one.state for one in sockets}
    is_told = np.ones(len(connections), np.bool_) if known is not None else (endpoints["syns"] > 0).any(axis=1)
    found: list[Waiting] = []
    for side in Side:
        states = endpoints["state"][:, side]
        entered = endpoints["closed_ns"][:, side]
        is_held = is_tcp & is_latest & (states == State.TIME_WAIT) & (now_ns - entered < time_wait_ns)
        found += _holders(State.TIME_WAIT, side, is_held, entered, connections, endpoints, is_here, owners, known)
        peer_closed = connections["phase_first_ns"][:, Phase.TEARDOWN]
        is_held = is_tcp & is_latest & is_told & (states == State.CLOSE_WAIT) & (peer_closed > 0)
        is_held &= now_ns - peer_closed >= lasting_ns
        still_sends = connections["late_data"] >> side & 1 & (now_ns - endpoints["last_ns"][:, side] < LASTING_NS)
        is_held &= still_sends == 0
        found += _holders(State.CLOSE_WAIT, side, is_held, peer_closed, connections, endpoints, is_here, owners, known)
    return sorted(_by_program(found), key=lambda one: (one.state, -one.total, one.since_ns))


def _holders(
    state: State, side: Side, is_held: Mask, since: I64, connections: Rows, endpoints: Rows,
    is_here: Callable[[bytes], bool], owners: Owners, known: dict[tuple[End, End], State] | None,
) -> list[Waiting]:  # fmt: skip
    """Those of one state and side, one for each address and server's port."""
    rows = np.flatnonzero(is_held)
    if not len(rows):
        return []
    keys = _keys(connections, side)
    found = []
    _, groups, totals = np.unique(keys[rows], return_inverse=True, return_counts=True)
    for group in np.argsort(-totals, kind="stable")[:_MOST_GROUPS].tolist():
        some = rows[groups == group]
        if not is_here(ends_of(connections[some[0]])[side][0]):
            continue
        if known is not None:
            some = np.array([row for row in some.tolist() if _is_known(connections[row], side, state, known)], np.int64)
        if not len(some):
            continue
        some = some[np.argsort(since[some], kind="stable")]
        asked = (owners(connections[row])[side] for row in some[:_MOST_ASKED].tolist())
        end_key = keys[some[0]]
        closed = 0
        if state == State.CLOSE_WAIT:
            is_closed = connections["closed_by"] == (ClosedBy.SERVER if side == Side.CLIENT else ClosedBy.CLIENT)
            is_closed &= (endpoints["fin_packet"][:, side] > 0) & (keys == end_key)
            closed = int(is_closed.sum())
        found.append(
            Waiting(
                state, side, connections[some[0]], tuple(sorted(set(filter(None, asked)))),
                (int(connections[some[0]]["server_port"]),), len(some), int(since[some[0]]), int(since[some[-1]]),
                closed,
            )
        )  # fmt: skip
    return found


def _keys(connections: Rows, side: Side) -> npt.NDArray[np.void]:
    """Address of the side and the server's port of each connection, as one value that can be compared."""
    words = np.zeros((len(connections), 5), ">u4")
    words[:, :4] = connections["address"][:, 4 * side : 4 * side + 4]
    words[:, 4] = connections["server_port"].astype(np.uint32) << 8 | connections["ip_version"]
    return words.view("V20").reshape(-1)


def _is_known(connection: Rows, side: Side, state: State, known: dict[tuple[End, End], State]) -> bool:
    ends = ends_of(connection)
    return known.get((ends[side], ends[1 - side])) == state


def _by_program(found: list[Waiting]) -> list[Waiting]:
    """The same with what one program holds at several ends put together."""
    merged: dict[object, Waiting] = {}
    for k, one in enumerate(found):
        key: object = (one.state, one.side, one.programs) if one.programs else k
        other = merged.get(key)
        if other is None:
            merged[key] = one
            continue
        older = one if one.since_ns < other.since_ns else other
        merged[key] = older._replace(
            ports=tuple(sorted({*one.ports, *other.ports})), total=one.total + other.total,
            latest_ns=max(one.latest_ns, other.latest_ns), closed=one.closed + other.closed,
        )  # fmt: skip
    return list(merged.values())
