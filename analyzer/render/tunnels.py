"""In which tunnels a connection's packets came, below its heading.

     in VXLAN VNI 42, 192.0.2.1 → 192.0.2.2 (UDP 4789)

Where there are several, each says which packet was the first in it, and the sender's glyph where it has one side's
packets alone. A capture at both ends of a tunnel has packets beside it, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.language import _
from analyzer.render.quantities import counted
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.words import QUIET, SIDES
from analyzer.tables import Life, Side

MOST_TOLD = 4


def tunnels(life: Life, screen: Screen) -> Iterator[str]:
    """A line for each way that packets came; none for a life without tunnels."""
    ways: dict[str, tuple[int, set[int]]] = {}
    for number, side, way in zip(life.number.tolist(), life.side.tolist(), life.tunnels, strict=True):
        ways.setdefault(way, (number, set()))[1].add(side)
    if not any(ways):
        return
    if len(ways) == 1:
        yield screen.paint(" " + fit(_("in {tunnel}").format(tunnel=life.tunnels[0]), screen.width - 1), QUIET)
        return
    for way, (number, sides) in list(ways.items())[:MOST_TOLD]:
        sender = SIDES[Side(*sides)].glyph if len(sides) == 1 else " "
        where = _("in {tunnel}").format(tunnel=way) if way else _("in no tunnel")
        first = _(", first packet {packet}").format(packet=number)
        yield screen.paint(f" {sender} {fit(where, screen.width - 3 - cells(first))}{first}", QUIET)
    if len(ways) > MOST_TOLD:
        others = _("in {tunnel}").format(tunnel=counted(len(ways) - MOST_TOLD, "other tunnel"))
        yield screen.paint(f"   {others}", QUIET)
