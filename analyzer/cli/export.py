"""``tcpflow-view export``: records of connections or packets for machines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from analyzer.cli import servers
from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.errors import UsageError
from analyzer.export.jsonl import write_connections, write_packets
from analyzer.pipeline import Run
from analyzer.render.untrusted import visible

_EXAMPLES = """\b
Examples:
  tcpflow-view export capture.pcap --records connections --format jsonl
  tcpflow-view export capture.pcap --records packets -o packets.jsonl port 1235
  tcpflow-view export capture.pcapng.gz | jq -r 'select(.verdict != "SF") | .why'
"""


@click.command("export", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option(
    "--records", type=click.Choice(["connections", "packets"]), default="connections", show_default=True,
    help="A record for each connection, or for each packet.",
)  # fmt: skip
@click.option(
    "--format", expose_value=False, type=click.Choice(["jsonl"]), default="jsonl",
    show_default=True, help="jsonl is JSON Lines: an object a line.",
)  # fmt: skip
@servers.option
@click.option("-o", "--output", metavar="PATH", help="Write to a file instead of standard output.")
@click.pass_context
def command(
    context: click.Context, file: str, filter_words: tuple[str, ...], records: str, server_ends: tuple[str, ...],
    output: str | None,
) -> None:  # fmt: skip
    """Write records of a capture's connections or packets.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter.
    """
    expression = " ".join(filter_words)
    with Run(file, expression, servers.known(server_ends, expression)) as run:
        try:
            with _destination(output, file) as out, ReadingProgress("exporting") as progress:
                tick = (lambda _: None) if out.isatty() else progress.tick
                if records == "connections":
                    run.exhaust(tick)
                    write_connections(out, run.connections, run.endpoints, run.count)
                else:
                    for batch in run:
                        write_packets(out, *batch)
                        if run.capture.size is None:  # a pipe may be a slow one
                            out.flush()
                        tick(run)
        except OSError as error:
            if isinstance(error, BrokenPipeError) or output is None:
                raise
            raise UsageError(f"{visible(output)}: cannot write: {error.strerror}") from None
    end(context, run.capture)


@contextmanager
def _destination(output: str | None, file: str) -> Iterator[BinaryIO]:
    """Standard output, or a new file. Raises UsageError when it cannot be written or is the capture itself."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.exists(output) and os.path.exists(file) and os.path.samefile(output, file):
        raise UsageError(f"-o {visible(output)}: that is the capture itself; give another file")
    try:
        out = open(output, "wb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"-o {visible(output)}: cannot write there: {error.strerror}") from None
    with out:
        yield out
