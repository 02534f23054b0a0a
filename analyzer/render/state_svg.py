"""The picture of ``state_picture.py`` as SVG: one string that needs nothing else.

No script, no reference, no id: it can stand in a page beside others of its kind. Light and dark follow the reader's
setting; text is text. Every state and every arrow has a title, which browsers show and screen readers read; without
colour the client's way is a thick line, the server's a dashed one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from analyzer.explain.walk import Path, Stay, Visit, stay
from analyzer.language import _
from analyzer.render.figure_5 import BOX_HEIGHT, BOX_WIDTH, HEIGHT, LETTERS, WIDTH, Arrow, Mark, Place, picture
from analyzer.render.quantities import duration
from analyzer.render.state_picture import HOWS
from analyzer.render.words import SIDES, STATES, state_word
from analyzer.tables import Side
from analyzer.tcp.states import State

_CELL_X, _CELL_Y = 9, 18
"""Pixels of a cell."""

_MARGIN = 10
_HEAD = 48
"""Pixels above the picture, for its title and its legend."""

_APART = 3.5
"""Pixels between the middle and the line of a side, where both walked."""

STYLE = """
.tcp-states { --ink: #1f2328; --quiet: #8b949e; --paper: #ffffff; --box: #f6f8fa; --client: #0b7285; --server: #a61e8f;
  --loud: #c92a2a; font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; background: var(--paper);
  max-width: 100%; height: auto; }
@media screen and (prefers-color-scheme: dark) { .tcp-states { --ink: #e6edf3; --quiet: #7d8590; --paper: #0d1117;
  --box: #161b22; --client: #3bc9db; --server: #f783e0; --loud: #ff8787; } }
.tcp-states text { fill: var(--ink); white-space: pre; }
.tcp-states rect { fill: var(--box); stroke: var(--quiet); }
.tcp-states .visited rect { stroke: var(--ink); stroke-width: 1.5; }
.tcp-states .unvisited text, .tcp-states .unwalked text { fill: var(--quiet); }
.tcp-states path { fill: none; stroke: var(--quiet); }
.tcp-states path.client { stroke: var(--client); stroke-width: 3.5; }
.tcp-states path.server { stroke: var(--server); stroke-width: 3.5; stroke-dasharray: 8 4; }
.tcp-states polygon { fill: var(--quiet); }
.tcp-states polygon.client, .tcp-states text.client, .tcp-states tspan.client { fill: var(--client); }
.tcp-states polygon.server, .tcp-states text.server, .tcp-states tspan.server { fill: var(--server); }
.tcp-states text.loud { fill: var(--loud); }
.tcp-states .name, .tcp-states .mark, .tcp-states .loud { font-weight: bold; }
"""


def state_svg(paths: tuple[Path, Path], until_ns: int, heading: str) -> str:
    """The SVG of a connection's paths, which ``heading`` names; ``until_ns`` is the end of the capture."""
    width = WIDTH * _CELL_X + 2 * _MARGIN
    listed = [_listed(side, path, until_ns) for side, path in zip(Side, paths, strict=True)]
    height = HEIGHT * _CELL_Y + _HEAD + 2 * _MARGIN + (max(map(len, listed)) + 2) * _CELL_Y
    places, arrows = picture(paths, until_ns)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tcp-states" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="group">',
        _titled(_("States of {heading} (RFC 9293, figure 5)").format(heading=heading)),
        f"<style>{STYLE}</style>",
        _text(_MARGIN, _MARGIN + 14, heading, "name"),
        *_legend(),
        f'<g transform="translate({_MARGIN} {_HEAD + _MARGIN})">',
        *(_arrow(arrow) for arrow in sorted(arrows, key=lambda arrow: bool(arrow.marks))),
        *(_place(place) for place in places),
        "</g>",
        f'<g transform="translate({_MARGIN} {_HEAD + _MARGIN + (HEIGHT + 2) * _CELL_Y})">',
        *(line for side in Side for line in _columns(side, listed[side])),
        "</g>",
        "</svg>\n",
    ]
    return "\n".join(parts)


def _legend() -> Iterator[str]:
    x, y = _MARGIN, _MARGIN + 36
    for side in Side:
        name = side.name.lower()
        yield f'<path class="{name}" d="M{x} {y - 4}h36"/>'
        words = f"{SIDES[side].text} ({LETTERS[side]})"
        yield _text(x + 44, y, words, name)
        x += 200
    yield _text(x, y, _("c7: by packet 7"))


def _arrow(arrow: Arrow) -> str:
    walkers = [side for side in Side if any(mark.side == side for mark in arrow.marks)]
    points = [((x + 0.5) * _CELL_X, (y + 0.5) * _CELL_Y) for x, y in arrow.route.points]
    points = _reaching(points)
    action = f" / {arrow.action}" if arrow.action else ""
    name = f"{STATES[arrow.before].text} → {STATES[arrow.after].text}: {arrow.event}{action}"
    title = f"{name}. {_walked(arrow.marks)}"
    parts = [f'<g class="{"walked" if walkers else "unwalked"}" role="img">', _titled(title)]
    lines = [(side.name.lower(), (-_APART, _APART)[side] * (len(walkers) > 1)) for side in walkers]
    for kind, shift in lines or [("nobody", 0.0)]:
        moved = _aside(points, shift)
        parts.append(f'<path class="{kind}" d="M{" L".join(f"{x:g} {y:g}" for x, y in moved)}"/>')
        parts.append(f'<polygon class="{kind}" points="{_head(*moved[-2:])}"/>')
    route = arrow.route
    for k, line in enumerate(arrow.label):
        parts.append(_cell_text(route.x, route.y + k, line))
    x, y = arrow.marks_at
    for mark in arrow.marks:
        parts.append(_cell_text(x, y, mark.text, f"mark {mark.side.name.lower()}"))
        x += len(mark.text) + 1
    return "".join([*parts, "</g>"])


def _aside(points: list[tuple[float, float]], shift: float) -> list[tuple[float, float]]:
    """The points of a line beside this one; it begins and ends at the same borders."""
    moved = [(x + shift, y + shift) for x, y in points]
    for end, neighbour in ((0, 1), (-1, -2)):
        (x, y), (next_x, _next_y) = points[end], points[neighbour]
        moved[end] = (x + shift, y) if x == next_x else (x, y + shift)
    return moved


def _reaching(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points with both ends at the boxes' borders, half a cell farther."""
    (x, y), (next_x, next_y) = points[:2]
    (before_x, before_y), (end_x, end_y) = points[-2:]
    first = x - _half(next_x - x, _CELL_X), y - _half(next_y - y, _CELL_Y)
    last = end_x + _half(end_x - before_x, _CELL_X), end_y + _half(end_y - before_y, _CELL_Y)
    return [first, *points[1:-1], last]


def _half(way: float, cell: int) -> float:
    return (way > 0) * cell / 2 - (way < 0) * cell / 2


def _head(before: tuple[float, float], end: tuple[float, float]) -> str:
    """The corners of an arrowhead."""
    (x, y), (from_x, from_y) = end, before
    across_x, across_y = (0, 5) if from_y == y else (5, 0)
    back_x, back_y = x - 9 * ((x > from_x) - (x < from_x)), y - 9 * ((y > from_y) - (y < from_y))
    return f"{x:g},{y:g} {back_x + across_x:g},{back_y + across_y:g} {back_x - across_x:g},{back_y - across_y:g}"


def _walked(marks: tuple[Mark, ...]) -> str:
    """Who walked an arrow, in words."""
    if not marks:
        return _("Not walked.")
    return " ".join(
        _("Walked by the {side} in packet {packet}.").format(side=SIDES[mark.side].text, packet=mark.packet)
        for mark in marks
    )


def _place(place: Place) -> str:
    state, x, y, _is_end = place.box
    told = [SIDES[side].text + _(": ") + _for(place.stays[side]) for side in place.visitors if side in place.stays]
    told += [_away(mark) for mark in place.leaps]
    here = _(", ").join(SIDES[side].text for side in place.visitors)
    about = _("; ").join(told) or here or _("Nobody was here.")
    title = f"{STATES[state].text}. {about}"
    parts = [f'<g class="{"visited" if place.visitors else "unvisited"}" role="img">', _titled(title)]
    size = f'width="{BOX_WIDTH * _CELL_X}" height="{BOX_HEIGHT * _CELL_Y}"'
    parts.append(f'<rect x="{x * _CELL_X}" y="{y * _CELL_Y}" {size} rx="7"/>')
    parts.append(_cell_text(x + 1, y, STATES[state].text, "name"))
    for side in place.visitors:
        arrival = next((mark for mark in place.arrivals if mark.side == side), None)
        words = _for(place.stays[side]) if side in place.stays else arrival.text if arrival else ""
        words = "?" if side in place.assumed else words
        parts.append(_cell_text(x + 1, y + 1 + side, f"{LETTERS[side]} {words}", side.name.lower()))
    if place.leaps:
        words = " ".join(f"{_(HOWS[mark.how][0])} {mark.text if mark.packet else LETTERS[mark.side]}"
                         for mark in place.leaps)  # fmt: skip
        parts.append(_cell_text(x + 1, y + 3, words, "loud"))
    return "".join([*parts, "</g>"])


def _for(one: Stay) -> str:
    return duration(one.ns) if one.is_over else f"≥ {duration(one.ns)}"


def _away(mark: Mark) -> str:
    """A move that is no arrow, in words."""
    at = _(", packet {packet}").format(packet=mark.packet) if mark.packet else ""
    return SIDES[mark.side].text + at + _(": ") + _(HOWS[mark.how][1])


def _listed(side: Side, path: Path, until_ns: int) -> list[str]:
    """The path of a side, a line a state."""
    return [_line(visit, until_ns) for visit in path]


def _line(visit: Visit, until_ns: int) -> str:
    spent = "" if visit.is_assumed or visit.state in (State.CLOSED, State.LISTEN) else _for(stay(visit, until_ns))
    note = _(HOWS[visit.how][0]) if visit.how in HOWS else ""
    return f"{visit.packet or '':>7}  {state_word(visit.state, visit.is_assumed):<12} {spent:>9} {note}".rstrip()


def _columns(side: Side, lines: Iterable[str]) -> Iterator[str]:
    x = side * WIDTH * _CELL_X // 2
    yield _text(x, 0, SIDES[side].text, f"name {side.name.lower()}")
    for k, line in enumerate(lines):
        yield _text(x, (k + 1) * _CELL_Y, line)


def _titled(title: str) -> str:
    return f"<title>{escape(title)}</title>"


def _cell_text(x: float, y: float, words: str, kind: str = "") -> str:
    return _text(x * _CELL_X, (y + 0.75) * _CELL_Y, words, kind)


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{marked}>{escape(words)}</text>'
