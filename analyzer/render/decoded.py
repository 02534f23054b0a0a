"""What tshark makes of what a connection's programs said, below its ladder: a line for each message, or its fields too.

Decoded by tshark 4.0.17
  4 → HTTP  GET / HTTP/1.1
  6 ← HTTP  HTTP/1.1 400 Bad Request
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from analyzer.dissect.told import Decoded, Field
from analyzer.language import _, counted
from analyzer.render.screen import Screen, cells, fit, ljust
from analyzer.render.untrusted import visible
from analyzer.render.words import QUIET, SIDES
from analyzer.render.wrapping import wrap
from analyzer.tables import Side

MOST_MESSAGES = 200
"""Lines of a connection, unless all are asked for: the first and the last ones."""

MOST_FIELDS = 60
"""Lines of fields of a message."""

_WIDEST = 120


def decoded(
    version: str, messages: Sequence[Decoded], sides: Mapping[int, Side], screen: Screen, *, whole: bool = False
) -> Iterator[str]:
    """The lines, an empty one after them. ``sides`` has who sent each packet; ``whole``: nothing is cut."""
    width = screen.width - 1
    heading = _("Decoded by tshark {version}").format(version=version)
    yield screen.paint(f" {heading}", "bold")
    if not messages:
        told = _("tshark knows no application's protocol here; --decode-as tcp.port==1235,http names one.")
        yield from wrap(told, min(width, _WIDEST), "  ", "  ")
    number_width = max((len(str(one.summary.packet)) for one in messages), default=0)
    names = [visible(one.summary.protocol) for one in messages]
    name_width = min(max(map(cells, names), default=0), 16)
    half = MOST_MESSAGES // 2
    for at, one in enumerate(messages):
        if not whole and len(messages) > MOST_MESSAGES and half <= at < len(messages) - half:
            if at == half:
                hidden = len(messages) - MOST_MESSAGES
                rest = counted("… {n} more message; --all shows it", "… {n} more messages; --all shows them", hidden)
                yield screen.paint(f"  {rest.format(n=f'{hidden:,}')}", QUIET)
            continue
        summary = one.summary
        side = SIDES[sides[summary.packet]]
        before = f"  {summary.packet:>{number_width}} "
        name = screen.paint(ljust(fit(names[at], name_width), name_width), side.style)
        info = visible(summary.info)
        room = width - cells(before) - name_width - 4
        told = info if whole else fit(info, room)
        yield f"{before}{screen.paint(side.glyph, side.style)} {name}  {told}"
        yield from _fields(one.tree, screen, cells(before) + 2, width, whole=whole)
    yield ""


def _fields(tree: Sequence[Field], screen: Screen, indent: int, width: int, *, whole: bool) -> Iterator[str]:
    """The lines of a tree."""
    lines = list(_lines(tree, 0))
    shown = lines if whole else lines[:MOST_FIELDS]
    for depth, text in shown:
        start = " " * (indent + 2 * depth)
        line = visible(text)
        yield screen.paint(start + (line if whole else fit(line, width - len(start))), QUIET if depth else "")
    if hidden := len(lines) - len(shown):
        rest = counted("… {n} more line; --all shows it", "… {n} more lines; --all shows them", hidden)
        yield screen.paint(f"{' ' * indent}{rest.format(n=f'{hidden:,}')}", QUIET)


def _lines(tree: Sequence[Field], depth: int) -> Iterator[tuple[int, str]]:
    for field in tree:
        yield depth, field.text
        yield from _lines(field.fields, depth + 1)
