"""How a command ends: what went wrong is said once, in one place, the same way everywhere."""

from __future__ import annotations

import click

from analyzer.language import _
from analyzer.pipeline import OpenCapture
from analyzer.render.untrusted import visible


def end(context: click.Context, *captures: OpenCapture) -> None:
    """End with status 1 and warnings where captures were damaged; what could be read has been shown."""
    for capture in captures:
        if capture.damage:
            told = _("warning: {damage}").format(damage=visible(str(capture.damage)))
            click.echo(f"tcpflow-view: {told}", err=True)
    if any(capture.damage for capture in captures):
        context.exit(1)
