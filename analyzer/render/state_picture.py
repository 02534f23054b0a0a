"""Figure 5 of RFC 9293 on the terminal, with the path that each side of a connection walked.

    ┌ ESTABLISHED ─┐
    │c      725 µs │━━━     the client's way is heavy, the server's double, both have their marks:
    │s      625 µs │        c7 was the client's step, made by packet 7
    └──────────────┘

The lower border of a box has the moves that are no arrow of the figure. Beside the picture, or below it, the paths are
listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise, zip_longest

from analyzer.explain.walk import How, Path, Visit, stay
from analyzer.language import _, text
from analyzer.render.figure_5 import BOX_WIDTH, HEIGHT, LETTERS, WIDTH, Arrow, Place, picture
from analyzer.render.quantities import duration
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.words import ASSUMED, LOUD, QUIET, SIDES, STATES, state_word
from analyzer.render.wrapping import wrap
from analyzer.tables import Side
from analyzer.tcp.states import State

_GLYPHS = {(): "─│┌┐└┘", (Side.CLIENT,): "━┃┏┓┗┛", (Side.SERVER,): "═║╔╗╚╝", (Side.CLIENT, Side.SERVER): "━┃┏┓┗┛"}
"""Horizontal, vertical, and what begins or ends on the right and below, left and below, right and above, left and
above; by who walked."""

_CORNERS = {
    ((1, 0), (0, 1)): 3, ((0, -1), (-1, 0)): 3, ((-1, 0), (0, 1)): 2, ((0, -1), (1, 0)): 2, ((0, 1), (1, 0)): 4,
    ((-1, 0), (0, -1)): 4, ((0, 1), (-1, 0)): 5, ((1, 0), (0, -1)): 5,
}  # fmt: skip
"""Which glyph makes a line that goes one way go the other way."""

_HEADS = {(1, 0): "▶", (-1, 0): "◀", (0, 1): "▼", (0, -1): "▲"}

_LONGEST_LINE = 100
_GAP = 3

_Row = tuple[str, int]
"""A line and the columns that it takes."""

HOWS = {
    How.RESET: (text("RST"), text("RST: it aborts the connection, which figure 5 leaves out.")),
    How.UNSEEN: (text("unseen"), text("unseen: the packets that led there are not in the capture, or were left out.")),
    How.CROSSED: (
        text("crossed"),
        text("crossed: the FINs passed each other on the way, so it was in FIN-WAIT-1, not in CLOSE-WAIT."),
    ),
    How.UNSEEN_START: (text("assumed"), text("assumed: the connection began before the capture.")),
}
"""What is said of a move that is no arrow, in a word and in a sentence."""


def state_picture(paths: tuple[Path, Path], until_ns: int, screen: Screen) -> Iterator[str]:
    """The lines of a connection's picture; ``until_ns`` is the end of the capture.

    A screen that is too narrow for the picture gets the lists alone.
    """
    yield _heading(screen)
    yield ""
    drawn = list(_drawing(paths, until_ns, screen)) if screen.width >= WIDTH else []
    client, server = (_listed(side, path, until_ns, screen) for side, path in zip(Side, paths, strict=True))
    listed = max(used for _row, used in client + server)
    if drawn and screen.width >= WIDTH + _GAP + listed:
        yield from _beside(drawn, [*client, ("", 0), *server], WIDTH + _GAP)
    else:
        if drawn:
            yield from _beside(drawn, [], 0)
            yield ""
        if screen.width >= 2 * listed + _GAP:
            yield from _beside(client, server, max(listed + _GAP, min(screen.width // 2, _LONGEST_LINE // 2)))
        else:
            yield from _beside([*client, ("", 0), *server], [], 0)
    yield ""
    yield from _explained(paths, until_ns, screen)


def _heading(screen: Screen) -> str:
    """What is shown, and what stands for whom, as far as there is room."""
    words = [
        ("RFC 9293 " + _("figure 5"), ""),
        *((f"{_stroke(side)} {_who(side)}", SIDES[side].style) for side in Side),
    ]
    title = _("states")
    line, used = f" {screen.paint(title, 'bold')}", cells(title) + 1
    for word, style in [*words, (_("c7: by packet 7"), "")]:
        if used + cells(word) + 3 <= screen.width:
            line += f" · {screen.paint(word, style)}"
            used += cells(word) + 3
    return line


def _who(side: Side) -> str:
    return f"{SIDES[side].text} ({LETTERS[side]})"


def _stroke(side: Side) -> str:
    return _GLYPHS[(side,)][0] * 2


def _beside(left: Iterable[_Row], right: Iterable[_Row], at: int) -> Iterator[str]:
    """Rows, and others that begin in column ``at``."""
    for (row, used), (other, _used) in zip_longest(left, right, fillvalue=("", 0)):
        yield row + " " * (at - used) + other if other else row


def _drawing(paths: tuple[Path, Path], until_ns: int, screen: Screen) -> Iterator[_Row]:
    """Its lines, each with the columns that it takes."""
    canvas = _Canvas()
    places, arrows = picture(paths, until_ns)
    for arrow in sorted(arrows, key=lambda arrow: bool(arrow.marks)):
        canvas.draw(arrow)
    for place in places:
        canvas.put_box(place)
    return canvas.lines(screen)


class _Canvas:
    def __init__(self) -> None:
        self._cells = [[" "] * WIDTH for _row in range(HEIGHT)]
        self._styles = [[""] * WIDTH for _row in range(HEIGHT)]

    def put(self, x: int, y: int, words: str, style: str = "") -> None:
        """Write words; what finds no room is left out. A character of two columns leaves the second cell empty."""
        words = fit(words, WIDTH - x)
        filled = [cell for character in words for cell in (character, "")[: cells(character)]]
        self._cells[y][x : x + len(filled)] = filled
        self._styles[y][x : x + len(filled)] = [style] * len(filled)

    def draw(self, arrow: Arrow) -> None:
        """An arrow, its label and its marks."""
        walkers = tuple(side for side in Side if any(mark.side == side for mark in arrow.marks))
        glyphs = _GLYPHS[walkers]
        style = QUIET if not walkers else SIDES[walkers[0]].style if len(walkers) == 1 else "bold"
        points, heading = arrow.route.points, (0, 0)
        for (x, y), (to_x, to_y) in pairwise(points):
            turned = heading
            heading = (to_x > x) - (to_x < x), (to_y > y) - (to_y < y)
            for step in range(max(abs(to_x - x), abs(to_y - y)) + 1):
                glyph = glyphs[heading[1] != 0]
                if step == 0 and turned != (0, 0):
                    glyph = glyphs[_CORNERS[turned, heading]]
                self.put(x + step * heading[0], y + step * heading[1], glyph, style)
        self.put(*points[-1], _HEADS[heading], style)
        for k, line in enumerate(arrow.label):
            self.put(arrow.route.x, arrow.route.y + k, line, "" if walkers else QUIET)
        x, y = arrow.marks_at
        for mark in arrow.marks:
            self.put(x, y, mark.text, f"bold {SIDES[mark.side].style}")
            x += len(mark.text) + 1

    def put_box(self, place: Place) -> None:
        """A state with how long each side was in it."""
        _state, x, y, _is_end = place.box
        border = "" if place.visitors else QUIET
        inside = BOX_WIDTH - 2
        self.put(x, y, f"┌{'─' * inside}┐", border)
        self.put(x + 1, y, f" {STATES[place.box.state].text} ", "bold" if place.visitors else QUIET)
        for side in Side:
            self.put(x, y + 1 + side, f"│{' ' * inside}│", border)
            if side in place.visitors:
                self.put(x + 1, y + 1 + side, f"{LETTERS[side]}{_inside(place, side):>{inside - 2}}", SIDES[side].style)
        self.put(x, y + 3, f"└{'─' * inside}┘", border)
        if place.leaps:
            self.put(x + 1, y + 3, fit(_leaps(place), inside), LOUD)

    def lines(self, screen: Screen) -> Iterator[_Row]:
        """Rows with their styles, and how long each is."""
        for row, styles in zip(self._cells, self._styles, strict=True):
            used = cells("".join(row).rstrip())
            line, begin = "", 0
            for x in range(1, used + 1):
                if x == used or styles[x] != styles[begin]:
                    line += screen.paint("".join(row[begin:x]), styles[begin])
                    begin = x
            yield line, used


def _inside(place: Place, side: Side) -> str:
    """What stands in a box for a side that was in it."""
    if side in place.assumed:
        return "?"
    if side in place.stays:
        one = place.stays[side]
        return duration(one.ns) if one.is_over else f"≥ {duration(one.ns)}"
    arrival = next((mark for mark in place.arrivals if mark.side == side), None)
    return "" if arrival is None else arrival.text if arrival.how == How.ARROW else f"RST {arrival.text}"


def _leaps(place: Place) -> str:
    """``RST c2 s2``: why a side's move is no arrow, and its mark."""
    hows = dict.fromkeys(mark.how for mark in place.leaps)
    texts = [mark.text if mark.packet else LETTERS[mark.side] for mark in place.leaps]
    return " ".join(
        " ".join([_(HOWS[how][0]), *(one for one, mark in zip(texts, place.leaps, strict=True) if mark.how == how)])
        for how in hows
    )


def _listed(side: Side, path: Path, until_ns: int, screen: Screen) -> list[_Row]:
    """A side's path: its rows, each with the columns that it takes."""
    head = f" {SIDES[side].text}"
    rows = [(screen.paint(head, f"bold {SIDES[side].style}"), cells(head))]
    for visit in path:
        packet = str(visit.packet) if visit.packet else ""
        line = f" {packet:>7}  {state_word(visit.state, visit.is_assumed):<12} {_time(visit, until_ns):>9}"
        note = f" {_(HOWS[visit.how][0])}" if visit.how in HOWS else ""
        line = line if note else line.rstrip()
        rows.append((line + screen.paint(note, LOUD), cells(line + note)))
    return rows


def _time(visit: Visit, until_ns: int) -> str:
    """How long a visit took; nothing for states that no connection is in, or that are assumed."""
    if visit.is_assumed or visit.state in (State.CLOSED, State.LISTEN):
        return ""
    one = stay(visit, until_ns)
    return duration(one.ns) if one.is_over else f"≥ {duration(one.ns)}"


def _explained(paths: tuple[Path, Path], until_ns: int, screen: Screen) -> Iterator[str]:
    """What the words and signs mean that are in this picture."""
    visits = [visit for path in paths for visit in path]
    sentences = [_(sentence) for how, (_word, sentence) in HOWS.items() if any(visit.how == how for visit in visits)]
    if any(visit.is_assumed for visit in visits):
        sentences.append(_(ASSUMED))
    if any("≥" in _time(visit, until_ns) for visit in visits):
        sentences.append(_("≥: so long at least; it began before the capture, or was not yet over when it ended."))
    for sentence in sentences:
        for line in wrap(sentence, min(screen.width, _LONGEST_LINE) - 1):
            yield screen.paint(f" {line}", QUIET)
    if sentences:
        yield ""
