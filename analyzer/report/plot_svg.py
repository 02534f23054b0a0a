"""The time–sequence plot as SVG: one string that needs nothing else.

No script, no reference, no id; light and dark follow the reader's setting. Every bar of trouble has a title, which
browsers show and screen readers read. It is drawn as ``page/plots*.js`` draws it, by tcptrace's conventions: a bar for
each segment, the line of what is acknowledged below, the line of the window above.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

import numpy as np

from analyzer.language import _
from analyzer.render.quantities import size
from analyzer.render.words import EVENTS, SIDES
from analyzer.report.course import NONE, Course, Truths, course_of
from analyzer.report.thinning import kept
from analyzer.tables import FIN, I64, RST, SYN, Event, Life, Rows, Side

MOST_POINTS = 5_000
"""Packets that a file draws."""

WIDTH, HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 16, 58, 34
_FAR_WINDOW = 3
"""A window that is so many times the octets' height above them is left outside."""

_SENT_AGAIN = 1 << Event.RETRANSMISSION | 1 << Event.FAST_RETRANSMISSION | 1 << Event.SPURIOUS_RETRANSMISSION
_LETTERS = ((RST, "R"), (SYN, "S"), (FIN, "F"))

_STYLE = """
.tcp-plot { --ink: #1f2328; --quiet: #8b949e; --paper: #ffffff; --again: #d6132b; --disorder: #c25e00; --ack: #12813a;
  --window: #9a6a00; --sack: #7a35d8; font: 13px system-ui, sans-serif; background: var(--paper); max-width: 100%;
  height: auto; }
@media (prefers-color-scheme: dark) { .tcp-plot { --ink: #e6edf3; --quiet: #7d8590; --paper: #0d1117; --again: #ff5c6c;
  --disorder: #ff9e4a; --ack: #4ec36f; --window: #e0b13c; --sack: #b78bff; } }
.tcp-plot text { fill: var(--ink); }
.tcp-plot .axis { text-anchor: end; }
.tcp-plot .below { text-anchor: middle; }
.tcp-plot .name { font-weight: bold; }
.tcp-plot .again-words { fill: var(--again); } .tcp-plot .disorder-words { fill: var(--disorder); }
.tcp-plot .ack-words { fill: var(--ack); } .tcp-plot .window-words { fill: var(--window); }
.tcp-plot .sack-words { fill: var(--sack); }
.tcp-plot path { fill: none; stroke: var(--ink); stroke-width: 1.3; }
.tcp-plot .grid { stroke: var(--quiet); stroke-width: .5; stroke-opacity: .5; }
.tcp-plot .left-out { stroke-width: .5; }
.tcp-plot .copy { stroke: var(--quiet); }
.tcp-plot .again { stroke: var(--again); stroke-width: 2.5; }
.tcp-plot .disorder { stroke: var(--disorder); stroke-width: 2.5; }
.tcp-plot .ack { stroke: var(--ack); } .tcp-plot .window { stroke: var(--window); }
.tcp-plot .sack { stroke: var(--sack); stroke-width: 1.5; }
"""


class _Frame(NamedTuple):
    """Where moments and places are drawn."""

    first: float
    last: float
    low: float
    high: float
    has_all: bool
    """No window is higher."""

    def x(self, time_ns: float) -> float:
        return round(_LEFT + (time_ns - self.first) / (self.last - self.first) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, place: float) -> float:
        return round(HEIGHT - _BOTTOM - (place - self.low) / (self.high - self.low) * (HEIGHT - _TOP - _BOTTOM), 1)


def plot_svg(life: Life, connection: Rows, endpoints: Rows, heading: str, side: Side | None = None) -> str:
    """The SVG of what one side sent and what its peer acknowledged; ``heading`` names the connection.

    The side that sent more where none is given. ``connection`` and ``endpoints`` are the connection's rows.
    """
    if side is None:
        side = Side(int(endpoints["payload_bytes"].argmax()))
    course = course_of(life, endpoints)
    rows = kept(course, MOST_POINTS)
    drawn = Course._make(column[rows] for column in course)
    sends = (drawn.side == side) & (drawn.end > drawn.start)
    answers = (drawn.side != side) & (drawn.acked != NONE) & (drawn.flags & RST == 0)
    frame = _frame(drawn, sends, answers)
    title = _("Time and sequence numbers of {heading}: octets from the {side}").format(
        heading=heading, side=SIDES[side].text
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tcp-plot" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="group">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        _text(12, 20, title, "name"),
        *_legend(frame, len(rows), len(life.number)),
        *_axes(frame),
        _path("window", _steps(frame, drawn, answers & (drawn.window != NONE), drawn.acked + drawn.window)),
        _path("ack", _steps(frame, drawn, answers, drawn.acked)),
        _path("sack", _sack(frame, drawn, answers)),
        *_segments(frame, drawn, rows, sends),
        *_letters(frame, drawn, side),
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _frame(course: Course, sends: Truths, answers: Truths) -> _Frame:
    is_strange = (course.events >> np.uint32(Event.REUSED_PORTS) & 1 == 1) & (course.start != 0)
    sound = (course.flags & RST == 0) & ~is_strange
    places = np.concatenate([course.start[sends & sound], course.end[sends & sound], course.acked[answers & sound]])
    low, high = (int(places.min()), int(places.max())) if len(places) else (0, 1)
    edges = (course.acked + course.window)[answers & (course.window != NONE)]
    near = edges[edges - high <= _FAR_WINDOW * (high - low)]
    high = max(high, int(near.max())) if len(near) else high
    pad = (high - low or 1) * 0.05
    first, last = int(course.time_ns.min()), int(course.time_ns.max())
    margin = (last - first or 1_000_000) * 0.02
    return _Frame(first - margin, last + margin, low - pad, high + pad, len(near) == len(edges))


def _legend(frame: _Frame, drawn: int, packets: int) -> Iterator[str]:
    names = (
        ("segment", _("segments")), ("again", _("sent again")), ("disorder", _("out of order")), ("ack", "ACK"),
        ("window", _("window")), ("sack", "SACK"),
    )  # fmt: skip
    words = "".join(f'<tspan class="{name}-words" dx="14">▬ {escape(said)}</tspan>' for name, said in names)
    if not frame.has_all:
        words += f'<tspan dx="14">{escape(_("the window reaches higher"))}</tspan>'
    if drawn < packets:
        said = _("{drawn} of {packets} packets are drawn").format(drawn=f"{drawn:,}", packets=f"{packets:,}")
        words += f'<tspan dx="14">{escape(said)}</tspan>'
    yield f'<text x="-2" y="42">{words}</text>'


def _axes(frame: _Frame) -> Iterator[str]:
    lines = []
    for tick in _ticks(frame.low, frame.high, 6):
        lines.append(f"M{_LEFT} {frame.y(tick)}H{WIDTH - _RIGHT}")
        yield _text(_LEFT - 8, frame.y(tick) + 4, size(round(tick)) if tick >= 0 else "", "axis")
    ticks = _ticks(frame.first / 1e9, frame.last / 1e9, 8)
    digits = max(0, -int(np.floor(np.log10(ticks[1] - ticks[0]) + 1e-9))) if len(ticks) > 1 else 0
    for tick in ticks:
        lines.append(f"M{frame.x(tick * 1e9)} {_TOP}V{HEIGHT - _BOTTOM}")
        yield _text(frame.x(tick * 1e9), HEIGHT - _BOTTOM + 18, f"{tick:.{digits}f} s", "below")
    yield _path("grid", "".join(lines))


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from low to high, about so many."""
    step = 10.0 ** np.floor(np.log10((high - low) / most))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    return [float(k * step) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _steps(frame: _Frame, course: Course, at: Truths, values: I64) -> str:
    """A line that keeps its value until the next."""
    rows = np.flatnonzero(at)
    if not len(rows):
        return ""
    points = [(frame.x(time), frame.y(value)) for time, value in zip(course.time_ns[rows], values[rows], strict=True)]
    (x, y), *others = points
    return f"M{x} {y}" + "".join(f"H{x}V{y}" for x, y in others)


def _sack(frame: _Frame, course: Course, answers: Truths) -> str:
    bars = []
    for row in np.flatnonzero(answers & (course.sack[:, 0] != NONE)):
        edges = course.sack[row][course.sack[row] != NONE]
        for left, right in edges.reshape(-1, 2):
            bars.append(f"M{frame.x(course.time_ns[row])} {frame.y(left)}V{frame.y(right)}")
    return "".join(bars)


def _segments(frame: _Frame, course: Course, rows: I64, sends: Truths) -> Iterator[str]:
    """Bars; plain ones and lines over those left out in one path each, trouble one by one."""
    plain, copies, troubled, left_out = [], [], [], []
    before = -1
    for row in np.flatnonzero(sends):
        x, low, high = frame.x(course.time_ns[row]), frame.y(course.start[row]), frame.y(course.end[row])
        events = int(course.events[row])
        bar = f"M{x} {low}V{min(high, low - 1)}"
        if events >> Event.CAPTURE_DUPLICATE & 1:
            copies.append(bar)
        elif events & (_SENT_AGAIN | 1 << Event.OUT_OF_ORDER):
            name = "again" if events & _SENT_AGAIN else "disorder"
            words = ", ".join(EVENTS[event].text for event in Event if events >> event & 1)
            title = escape(f"#{course.number[row]}: {words}")
            bar = f"M{x} {low}V{min(high, low - 4)}"
            troubled.append(f'<path class="{name}" d="{bar}"><title>{title}</title></path>')
        else:
            plain.append(bar)
            if before >= 0 and rows[row] - rows[before] > row - before:
                start = frame.x(course.time_ns[before]), frame.y(course.end[before])
                left_out.append(f"M{start[0]} {start[1]}L{x} {low}")
            before = int(row)
    yield _path("left-out", "".join(left_out))
    yield _path("copy", "".join(copies))
    yield _path("segment", "".join(plain))
    yield from troubled


def _letters(frame: _Frame, course: Course, side: Side) -> Iterator[str]:
    """S, F and R where a side opens, closes and gives up."""
    is_copy = course.events >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 == 1
    for row in np.flatnonzero((course.flags & (SYN | FIN | RST) != 0) & ~is_copy):
        letter = next(letter for bit, letter in _LETTERS if course.flags[row] & bit)
        is_own = course.side[row] == side
        place = course.end[row] if is_own else course.acked[row]
        if frame.low <= place <= frame.high:
            shift = -6 if is_own else 16
            kind = "below again-words" if letter == "R" else "below"
            yield _text(frame.x(course.time_ns[row]), frame.y(place) + shift, letter, kind)


def _path(kind: str, lines: str) -> str:
    return f'<path class="{kind}" d="{lines}"/>' if lines else ""


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'
