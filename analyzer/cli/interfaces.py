"""``tcpflow-view interfaces``: where ``live`` can listen, and what it lacks to do so."""

from __future__ import annotations

import click

from analyzer.capture.live import ANY, LinkInterface, interfaces, lacking
from analyzer.cli import colors
from analyzer.language import _, text
from analyzer.render.screen import Screen, cells, screen_of
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, QUIET, Word

_HEADINGS = text("interface"), text("state"), text("listen"), text("addresses")

_EXAMPLES = """\b
Examples:
  tcpflow-view interfaces
  tcpflow-view live -i lo port 1235
"""


@click.command("interfaces", epilog=_EXAMPLES)
@colors.option
def command(color: str) -> None:
    """Show the interfaces of this machine: their state and addresses, and whether you may listen there."""
    screen = screen_of(color)
    lacked = lacking()
    rows = [_row(one, bool(lacked)) for one in interfaces()]
    rows.insert(0, [Word(_(heading), QUIET) for heading in _HEADINGS])
    widths = [max(cells(word.text) for word in column) for column in zip(*rows, strict=True)]
    screen.write(_line(row, widths, screen) for row in rows)
    if lacked:
        screen.write(["", f" {lacked}"])


def _row(one: LinkInterface, is_forbidden: bool) -> list[Word]:
    state = Word(_("all of them"), QUIET) if one.name == ANY else Word(_("up")) if one.is_up else Word(_("down"), LOUD)
    if one.may_listen:
        may = Word(_("yes"), "green")
    else:
        may = Word(_("no permission") if is_forbidden else _("not while it is down"), LOUD)
    return [Word(visible(one.name), "bold"), state, may, Word(visible(" ".join(one.addresses)))]


def _line(row: list[Word], widths: list[int], screen: Screen) -> str:
    painted = (
        screen.paint(word.text, word.style) + " " * (width - cells(word.text))
        for word, width in zip(row, widths, strict=True)
    )
    return " " + "  ".join(painted)
