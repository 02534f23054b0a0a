"""``tcpflow-view config``: the user's file of defaults, and what is in force."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator

import click

from analyzer.cli import colors, paging, settings
from analyzer.cli.settings import Settings
from analyzer.language import _, spoken
from analyzer.render.screen import FORCE_COLOR, NO_COLOR, ljust, screen_of
from analyzer.render.untrusted import visible
from analyzer.render.words import QUIET

_EXAMPLES = """\b
Such a file:
  lang = "en"           # or "zh"
  color = "auto"        # or "always", "never"
  pager = "less -RS"    # or false
  [live]
  interface = "lo"
  [read]
  calls = true
  server = ["192.0.2.1:80"]
"""


@click.command("config", epilog=_EXAMPLES)
@colors.option
@click.pass_context
def command(context: click.Context, color: str) -> None:
    """Show the file of your defaults, and what is in force: language, colour, pager, options of commands.

    The file is TOML: $TCPFLOW_VIEW_CONFIG, else tcpflow-view/config.toml in $XDG_CONFIG_HOME or ~/.config. A table with
    a command's name has its options, without their dashes. TCPFLOW_VIEW_CONFIG= (empty) means no file, which is right
    for scripts; no other file is read, none of a project either.

    What stands on the command line wins over the environment, and that over the file; LANG and PAGER, which speak to
    all programs, give way to the file.
    """
    found = context.obj if isinstance(context.obj, Settings) else Settings()
    screen = screen_of(color)
    heading = visible(found.path or settings.place())
    if not heading:
        told = _("no file: there is no home, and {variable} is not set")
        if settings.VARIABLE in os.environ:
            told = _("no file: {variable} is empty")
        heading = told.format(variable=settings.VARIABLE)
    if not found.path and settings.place():
        heading = _("{path} (there is no such file)").format(path=heading)
    screen.write([f" {screen.paint(heading, 'bold')}", ""])
    rows = [("lang", *_language(found)), ("color", *_color(found)), ("pager", *_pager(found))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for key, value, origin in rows:
        screen.write([f" {ljust(key, widths[0])}  {ljust(value, widths[1])}  {screen.paint(origin, QUIET)}"])
    screen.write(_tables(context, found))


def _language(found: Settings) -> tuple[str, str]:
    return spoken(), _("this file") if found.lang == spoken() else ""


def _color(found: Settings) -> tuple[str, str]:
    for variable, value in ((NO_COLOR, "never"), (FORCE_COLOR, "always")):
        if os.environ.get(variable):
            return value, variable
    return (found.color, _("this file")) if found.color else ("auto", "")


def _pager(found: Settings) -> tuple[str, str]:
    words, origin = paging.pager(found)
    value = shlex.join(words) if words else "false"
    return visible(value), _("this file") if origin and origin == found.path else origin


def _tables(context: click.Context, found: Settings) -> Iterator[str]:
    """Each command's options, as the file has them, when they can be understood."""
    group = context.find_root().command
    assert isinstance(group, click.Group)
    for name, table in found.tables.items():
        group.get_command(context, name)  # which looks at the table
        yield from ("", f" [{name}]")
        yield from (f" {key} = {visible(json.dumps(value, ensure_ascii=False))}" for key, value in table.items())
