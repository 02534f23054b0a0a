"""How a command ends: what went wrong is said once, in one place, the same way everywhere."""

from __future__ import annotations

import click

from analyzer.pipeline import OpenCapture
from analyzer.render.untrusted import visible


def end(context: click.Context, capture: OpenCapture) -> None:
    """End with status 1 and a warning when the capture was damaged; what could be read has been shown."""
    if capture.damage:
        click.echo(f"tcpflow-view: warning: {visible(str(capture.damage))}", err=True)
        context.exit(1)
