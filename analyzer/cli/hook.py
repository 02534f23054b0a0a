"""What the hook for pre-commit runs: ``check``, on captures that changed, or whose expectations did.

Expectations of ``capture.pcap`` stand beside it in ``capture.expect.toml``. A capture without them is nobody's fixture.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from analyzer.cli.main import main
from analyzer.cli.speech import hear_the_locale
from analyzer.expect.expectations import ENDING, beside, is_capture
from analyzer.language import _
from analyzer.render.untrusted import visible


def captures(names: Iterable[str]) -> Iterator[str]:
    """The captures among these files, or beside the expectations among them, each once.

    Raises FileNotFoundError with the name of expectations that have no capture.
    """
    given = set()
    for path in map(Path, names):
        if path.name.endswith(ENDING):
            found = [one for one in sorted(path.parent.iterdir()) if is_capture(one) and beside(str(one)) == str(path)]
            if not found:
                raise FileNotFoundError(str(path))
        else:
            found = [path] if is_capture(path) and os.path.exists(beside(str(path))) else []
        for one in map(str, found):
            if one not in given:
                given.add(one)
                yield one


def run(names: list[str]) -> None:
    """Check what there is to check, and exit with the status of that."""
    try:
        found = list(captures(names))
    except FileNotFoundError as error:
        hear_the_locale()
        told = _("{path}: there is no capture beside it").format(path=visible(str(error)))
        click.echo(f"tcpflow-view: {told}", err=True)
        sys.exit(2)
    if found:
        main(["check", "--", *found])


if __name__ == "__main__":
    run(sys.argv[1:])
