"""Why bind() failed with EADDRINUSE, and who had set SO_REUSEADDR.

Linux gives a TCP port to a second socket where both have set SO_REUSEADDR and none listens (socket(7), tcp(7)). Sockets
of connections count as well, those in TIME-WAIT too, and have what the socket had that they were accepted from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from analyzer.explain.listening import ANYWHERE, reuses
from analyzer.explain.processes import End, Owned, Socket, ends_of, owned_sockets, program, sockets
from analyzer.explain.waiting import LINUX_TIME_WAIT_NS
from analyzer.strace.arguments import sockaddr
from analyzer.strace.sockets import Deed, SocketCall
from analyzer.tables import Phase, Protocol, Rows, Side
from analyzer.tcp.states import State


class Held(NamedTuple):
    """Who has a port."""

    program: str = ""
    """Who listens there, or has the UDP socket; empty where nobody says."""
    listens: bool = False
    """Whether a socket listens there, or has the UDP port."""
    states: tuple[tuple[State, int], ...] = ()
    """How many sockets of connections are in which state, the most frequent first."""


class FailedBind(NamedTuple):
    """A bind() that failed with EADDRINUSE."""

    log: int
    pid: int
    line: int
    ts_ns: int
    protocol: Protocol
    local: End
    reuses: bool
    """Whether its socket had SO_REUSEADDR."""


def failed_binds(log: int, calls: Sequence[SocketCall]) -> list[FailedBind]:
    """Those among the calls of a log on one socket, in their order."""
    found = []
    for at, one in enumerate(calls):
        if one.deed == Deed.BIND and one.call.errno == "EADDRINUSE":
            local = sockaddr("".join(one.call.arguments[1:2]))
            if local and local[1]:
                call, protocol = one.call, Protocol[one.socket.protocol]
                found.append(FailedBind(log, call.pid, call.line, call.ts_ns, protocol, local, reuses(calls[:at])))
    return found


def together(failed: Iterable[FailedBind]) -> list[list[FailedBind]]:
    """Those of one process and port together, the first of them first: programs try again."""
    found: dict[object, list[FailedBind]] = {}
    for one in failed:
        found.setdefault((one.log, one.pid, one.protocol, one.local), []).append(one)
    return [sorted(some, key=lambda one: one.line) for some in found.values()]


def held_now(protocol: Protocol, local: End) -> Held:
    """Who has a port of this machine, by Linux's own tables."""
    mine = [one for one in sockets(protocol) if _overlap(one.local, local)]
    return held_by(protocol, mine, [one for one in owned_sockets() if _overlap(one.local, local)])


def held_by(protocol: Protocol, some: Collection[Socket], owned: Collection[Owned]) -> Held:
    """The same of the sockets that a port has, and of those whose processes are known."""
    listening = [one for one in some if protocol == Protocol.UDP or one.state == State.LISTEN]
    pid = next((one.pid for one in owned if one.protocol == protocol and not one.remote[1]), 0)
    states = Counter(one.state for one in some if one not in listening)
    return Held(program(pid) if listening and pid else "", bool(listening), tuple(states.most_common()))


def held_in_capture(failed: FailedBind, ts_ns: int, connections: Rows, endpoints: Rows) -> Held:
    """The same by what a capture shows of the sides that had closed by then (CONNECTION[n], ENDPOINT[n, Side])."""
    states: Counter[State] = Counter()
    ports = connections["client_port"], connections["server_port"]
    is_its = (ports[0] == failed.local[1]) | (ports[1] == failed.local[1])
    for at in np.flatnonzero(is_its & (connections["protocol"] == failed.protocol)).tolist():
        for side, end in zip(Side, ends_of(connections[at]), strict=True):
            if _overlap(end, failed.local):
                state = _state_at(ts_ns, connections[at], endpoints[at, side])
                states[state] += state != State.CLOSED
    return Held(states=tuple((state, count) for state, count in states.most_common() if count))


def _state_at(ts_ns: int, connection: Rows, end: Rows) -> State:
    """FIN-WAIT-2 or TIME-WAIT, where a side was in it at a time; else CLOSED."""
    closed_ns, state = int(end["closed_ns"]), State(int(end["state"]))
    if state == State.TIME_WAIT and closed_ns:
        if closed_ns <= ts_ns < closed_ns + LINUX_TIME_WAIT_NS:
            return State.TIME_WAIT
    elif state == State.FIN_WAIT_2 and 0 < int(connection["phase_first_ns"][Phase.TEARDOWN]) <= ts_ns:
        return State.FIN_WAIT_2
    return State.CLOSED


def _overlap(one: End, other: End) -> bool:
    return one[1] == other[1] and (one[0] == other[0] or one[0] in ANYWHERE or other[0] in ANYWHERE)
