"""Where the states and arrows of RFC 9293's figure 5 stand in a picture, in character cells; and which were walked.

Three columns of boxes, the order of figure 5 from top to bottom; no two arrows cross. The figure's three arrows that
put nothing on the wire are left out, so CLOSED stands at the top, where a connection begins, and at the bottom, where
it ends. ``state_picture.py`` draws with characters what ``state_svg.py`` draws with lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from analyzer.explain.walk import How, Path, Stay, stays
from analyzer.tables import Side
from analyzer.tcp.states import FIGURE_5, Input, State

BOX_WIDTH, BOX_HEIGHT = 16, 4
"""Of a box, with its border: the name is in the upper border, a line for each side inside."""

WIDTH, HEIGHT = 79, 34
"""Of the picture."""

_COLUMNS = (1, 31, 61)
_ROW = BOX_HEIGHT + 2

LETTERS = {Side.CLIENT: "c", Side.SERVER: "s"}
"""``c7``: moved the client by packet 7."""

S, I = State, Input  # noqa: E741


class Box(NamedTuple):
    """A state's place; ``is_end`` is the lower CLOSED."""

    state: State
    x: int
    y: int
    is_end: bool = False


class Route(NamedTuple):
    """An arrow's way: from its first point to its last one, where its head is; all points are outside of boxes."""

    points: tuple[tuple[int, int], ...]
    x: int
    """Where its label begins."""
    y: int
    is_long: bool = False
    """Event and action stand in one line."""
    is_narrow: bool = False
    """Nothing has room behind the action."""


def _box(state: State, column: int, row: int, *, is_end: bool = False) -> Box:
    return Box(state, _COLUMNS[column], row * _ROW, is_end)


BOXES = (
    _box(S.LISTEN, 0, 0), _box(S.CLOSED, 2, 0),
    _box(S.SYN_RECEIVED, 0, 1), _box(S.SYN_SENT, 2, 1),
    _box(S.ESTABLISHED, 1, 2),
    _box(S.FIN_WAIT_1, 0, 3), _box(S.CLOSE_WAIT, 2, 3),
    _box(S.FIN_WAIT_2, 0, 4), _box(S.CLOSING, 1, 4), _box(S.LAST_ACK, 2, 4),
    _box(S.TIME_WAIT, 1, 5), _box(S.CLOSED, 2, 5, is_end=True),
)  # fmt: skip

_L, _C, _R = _COLUMNS
_LR, _CR = _L + BOX_WIDTH, _C + BOX_WIDTH
"""First cells to the right of the boxes."""

ROUTES = {
    (S.CLOSED, I.SND_SYN): Route(((_R + 2, 4), (_R + 2, 5)), _R + 4, 4),
    (S.LISTEN, I.RCV_SYN): Route(((_L + 11, 4), (_L + 11, 5)), _L + 13, 4),
    (S.LISTEN, I.SND_SYN): Route(((_LR, 1), (_R - 4, 1), (_R - 4, 7), (_R - 1, 7)), _LR + 1, 0, is_long=True),
    (S.SYN_RECEIVED, I.RCV_RST): Route(((_L + 1, 5), (_L + 1, 4)), _L + 3, 4),
    (S.SYN_SENT, I.RCV_SYN): Route(((_R - 1, 8), (_LR, 8)), _LR + 1, 7, is_long=True),
    (S.SYN_RECEIVED, I.RCV_ACK_OF_SYN): Route(((_L + 12, 10), (_L + 12, 13), (_C - 1, 13)), _L + 14, 10),
    (S.SYN_SENT, I.RCV_SYN_ACK): Route(((_R + 2, 10), (_R + 2, 13), (_CR, 13)), _R + 4, 10),
    (S.SYN_RECEIVED, I.SND_FIN): Route(((_L + 2, 10), (_L + 2, 17)), _L + 4, 10, is_narrow=True),
    (S.ESTABLISHED, I.SND_FIN): Route(((_C - 1, 14), (_L + 12, 14), (_L + 12, 17)), _L + 14, 16),
    (S.ESTABLISHED, I.RCV_FIN): Route(((_CR, 14), (_R + 2, 14), (_R + 2, 17)), _R + 4, 16),
    (S.FIN_WAIT_1, I.RCV_FIN): Route(((_LR, 19), (_C + 2, 19), (_C + 2, 23)), _C + 4, 22),
    (S.CLOSE_WAIT, I.SND_FIN): Route(((_R + 2, 22), (_R + 2, 23)), _R + 4, 22),
    (S.FIN_WAIT_1, I.RCV_ACK_OF_FIN): Route(((_L + 2, 22), (_L + 2, 23)), _L + 4, 22),
    (S.FIN_WAIT_2, I.RCV_FIN): Route(((_L + 2, 28), (_L + 2, 31), (_C - 1, 31)), _L + 4, 28),
    (S.CLOSING, I.RCV_ACK_OF_FIN): Route(((_C + 2, 28), (_C + 2, 29)), _C + 4, 28),
    (S.LAST_ACK, I.RCV_ACK_OF_FIN): Route(((_R + 2, 28), (_R + 2, 29)), _R + 4, 28),
    (S.TIME_WAIT, I.TIMEOUT_2MSL): Route(((_CR, 31), (_R - 1, 31)), _CR + 1, 32),
}  # fmt: skip
"""By the state and the input of a row of FIGURE_5."""

_EVENTS = {I.SND_FIN: "CLOSE", I.TIMEOUT_2MSL: "Timeout=2MSL"}
_ACTIONS = {
    I.SND_SYN: "snd SYN", I.RCV_SYN: "snd SYN,ACK", I.RCV_SYN_ACK: "snd ACK", I.SND_FIN: "snd FIN",
    I.RCV_FIN: "snd ACK", I.TIMEOUT_2MSL: "delete TCB",
}  # fmt: skip
_RECEIVED = {
    I.RCV_SYN: "rcv SYN", I.RCV_SYN_ACK: "rcv SYN,ACK", I.RCV_ACK_OF_SYN: "rcv ACK of SYN",
    I.RCV_ACK_OF_FIN: "rcv ACK of FIN", I.RCV_FIN: "rcv FIN", I.RCV_RST: "rcv RST",
}  # fmt: skip


def label(state: State, what: Input) -> tuple[str, str]:
    """The figure's own label of an arrow: the event, and the action, which is empty where it has none."""
    if what == Input.SND_SYN:
        event = "SEND" if state == State.LISTEN else "active OPEN"
    else:
        event = _EVENTS.get(what) or _RECEIVED[what]
    return event, _ACTIONS.get(what, "")


class Mark(NamedTuple):
    """A packet that moved a side; ``how`` is ARROW, or why the move is none of figure 5."""

    side: Side
    packet: int
    how: How = How.ARROW
    is_assumed: bool = False

    @property
    def text(self) -> str:
        """``c7``; ``c0`` stands for a start that was not captured. ``s1?`` is assumed."""
        return f"{LETTERS[self.side]}{self.packet}{'?' * self.is_assumed}"


class Arrow(NamedTuple):
    """An arrow of figure 5 in the picture of a connection."""

    before: State
    what: Input
    after: State
    route: Route
    event: str
    action: str
    marks: tuple[Mark, ...]
    """Who walked it, in order."""

    @property
    def label(self) -> list[str]:
        """Its lines."""
        if self.route.is_long:
            return [f"{self.event} / {self.action}"]
        return [self.event, self.action] if self.action else [self.event]

    @property
    def marks_at(self) -> tuple[int, int]:
        """Where its marks begin: behind the action, or below."""
        x, y, lines = self.route.x, self.route.y, self.label
        if self.route.is_narrow or not self.action:
            return x, y + len(lines)
        return x + len(lines[-1]) + 1, y + len(lines) - 1


class Place(NamedTuple):
    """A box in the picture of a connection."""

    box: Box
    visitors: tuple[Side, ...]
    stays: dict[Side, Stay]
    """For the sides that were in it, where that can take time."""
    arrivals: tuple[Mark, ...]
    """What led into the lower CLOSED."""
    leaps: tuple[Mark, ...]
    """Moves away that are no arrow of figure 5; starts that were not captured."""
    assumed: frozenset[Side]
    """The visitors of which it is only assumed."""


class Picture(NamedTuple):
    """Figure 5 with two paths."""

    places: tuple[Place, ...]
    arrows: tuple[Arrow, ...]


def picture(paths: tuple[Path, Path], until_ns: int) -> Picture:
    """The picture of a connection's paths (client, server) in a capture that ended at ``until_ns``."""
    walked: defaultdict[tuple[State, State], list[Mark]] = defaultdict(list)
    visitors: defaultdict[tuple[State, bool], list[Side]] = defaultdict(list)
    assumed: defaultdict[tuple[State, bool], set[Side]] = defaultdict(set)
    arrivals: list[Mark] = []
    leaps: defaultdict[tuple[State, bool], list[Mark]] = defaultdict(list)
    for side, path in zip(Side, paths, strict=True):
        for k, visit in enumerate(path):
            is_end = visit.state == State.CLOSED and k > 0
            if side not in visitors[visit.state, is_end]:
                visitors[visit.state, is_end].append(side)
            if visit.is_assumed:
                assumed[visit.state, is_end].add(side)
            mark = Mark(side, visit.packet, visit.how, visit.is_assumed)
            if visit.how == How.ARROW:
                walked[path[k - 1].state, visit.state].append(mark)
            elif visit.how == How.UNSEEN_START:
                leaps[visit.state, is_end].append(mark)
            elif k:
                before = path[k - 1].state
                leaps[before, before == State.CLOSED and k > 1].append(mark)
            if is_end:
                arrivals.append(mark)
    spent = [stays(path, until_ns) for path in paths]
    places = []
    for box in BOXES:
        who = tuple(visitors[box.state, box.is_end])
        times = {side: spent[side][box.state] for side in who if box.state in spent[side]}
        away = tuple(leaps[box.state, box.is_end])
        doubted = frozenset(assumed[box.state, box.is_end])
        places.append(Place(box, who, times, tuple(arrivals) if box.is_end else (), away, doubted))
    arrows = [
        Arrow(before, what, after, ROUTES[before, what], *label(before, what), _in_order(walked[before, after]))
        for before, what, after in FIGURE_5
    ]
    return Picture(tuple(places), tuple(arrows))


def _in_order(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    return tuple(sorted(marks, key=lambda mark: mark.packet))
