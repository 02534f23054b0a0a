"""How a command ends: what went wrong is said once, in one place, the same way everywhere."""

from __future__ import annotations

import click

from analyzer.language import _
from analyzer.pipeline import OpenCapture
from analyzer.render.untrusted import visible


def end(context: click.Context, capture: OpenCapture) -> None:
    """End with status 1 and a warning when the capture was damaged; what could be read has been shown."""
    if capture.damage:
        told = _("warning: {damage}").format(damage=visible(str(capture.damage)))
        click.echo(f"tcpflow-view: {told}", err=True)
        context.exit(1)
