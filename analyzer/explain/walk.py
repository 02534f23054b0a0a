"""The path that each side of a connection walked through figure 5 of RFC 9293, and how long it stayed in each state."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from analyzer.explain.known_states import Known, states_of
from analyzer.tables import ACK, RST, SYN, Life
from analyzer.tcp.states import FIGURE_5, State


class How(IntEnum):
    """How a side came into a state."""

    START = 0
    """It was in it before the first packet, which opens the connection."""
    UNSEEN_START = 1
    """The same, but the connection had begun before the capture: this state is assumed (``FIRST_SEGMENT``)."""
    ARROW = 2
    """By an arrow of figure 5."""
    RESET = 3
    """By a RST, which figure 5 leaves out (``RESETS``)."""
    UNSEEN = 4
    """By packets that are not in the capture, or were left out of the Life."""
    CROSSED = 5
    """Its FIN shows that it had not got the peer's yet, which counts as received when it is seen: so it was never in
    CLOSE-WAIT, but in FIN-WAIT-1."""


class Visit(NamedTuple):
    """A stay in a state."""

    state: State
    how: How
    packet: int
    """Number of the packet that led there; 0 where the side was there before the first one."""
    entered_ns: int
    """When; the first packet's time where it was there before."""
    left_ns: int | None
    """None where it was still there after the last packet."""
    is_assumed: bool = False
    """Nothing that the side sent shows it (known_states.py)."""


class Stay(NamedTuple):
    """How long a side was in a state."""

    ns: int
    is_over: bool
    """False: for so long at least, because the begin or the end is not in the capture."""


Path = tuple[Visit, ...]
"""The states of one side in order."""

PASSED = {
    # RFC 9293 3.10.7.4: a segment's ACK is processed before its FIN
    (State.FIN_WAIT_1, State.TIME_WAIT): State.FIN_WAIT_2,
    (State.SYN_RECEIVED, State.CLOSE_WAIT): State.ESTABLISHED,
    (State.SYN_SENT, State.CLOSE_WAIT): State.ESTABLISHED,
}
"""What is passed when one segment moves an endpoint over two of figure 5's arrows."""

_ARROWS = {(before, after) for before, _, after in FIGURE_5}


def walk(life: Life) -> tuple[Path, Path]:
    """The paths of client and server of a TCP connection."""
    client, server = states_of(life)
    return _path(life, client), _path(life, server)


def stays(path: Path, until_ns: int) -> dict[State, Stay]:
    """How long a side was in each state that it was in; ``until_ns`` is the end of the capture.

    CLOSED is no state to be in, and LISTEN, where a connection is none yet, neither; of assumed ones nobody knows.
    """
    found: dict[State, Stay] = {}
    for visit in path:
        if visit.is_assumed or visit.state in (State.CLOSED, State.LISTEN):
            continue
        one = stay(visit, until_ns)
        before = found.get(visit.state, Stay(0, True))
        found[visit.state] = Stay(before.ns + one.ns, before.is_over and one.is_over)
    return found


def stay(visit: Visit, until_ns: int) -> Stay:
    """How long a visit took; ``until_ns`` is the end of the capture."""
    left_ns = until_ns if visit.left_ns is None else visit.left_ns
    is_over = visit.left_ns is not None and visit.how not in (How.START, How.UNSEEN_START)
    return Stay(max(left_ns - visit.entered_ns, 0), is_over)


def _path(life: Life, states: list[Known]) -> Path:
    flags, times, packets = life.flags.tolist(), life.ts_ns.tolist(), life.number.tolist()
    is_opening = flags[0] & (SYN | ACK) == SYN
    first, *after = states
    path = [Visit(first.state, How.START if is_opening else How.UNSEEN_START, 0, times[0], None, first.is_assumed)]
    first_after_omission = len(packets) // 2 if life.omitted else 0
    for i, (now, is_assumed) in enumerate(after):
        before = path[-1].state
        if now == before:
            continue
        passed = PASSED.get((before, now))
        how = How.ARROW if passed is not None or (before, now) in _ARROWS else How.UNSEEN
        if (before, now) == (State.CLOSE_WAIT, State.CLOSING):
            how = How.CROSSED
        if flags[i] & RST and now != State.LISTEN:
            how, passed = How.RESET, None
        elif i and i == first_after_omission:
            how, passed = How.UNSEEN, None
        path[-1] = path[-1]._replace(left_ns=times[i])
        if passed is not None:
            path.append(Visit(passed, how, packets[i], times[i], times[i], is_assumed))
        path.append(Visit(now, how, packets[i], times[i], None, is_assumed))
    return tuple(path)
