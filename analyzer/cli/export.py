"""``tcpflow-view export``: records of connections or packets for machines."""

from __future__ import annotations

import click

from analyzer.cli import servers
from analyzer.cli.destination import destination
from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.export.jsonl import write_connections, write_packets
from analyzer.language import _
from analyzer.pipeline import Run

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
    with (
        Run(file, expression, servers.known(server_ends, expression)) as run,
        destination(output, file) as out,
        ReadingProgress(_("exporting")) as progress,
    ):
        tick = (lambda run: None) if out.isatty() else progress.tick
        if records == "connections":
            run.exhaust(tick)
            write_connections(out, run.connections, run.endpoints, run.count)
        else:
            for batch in run:
                write_packets(out, *batch)
                if run.capture.size is None:  # a pipe may be a slow one
                    out.flush()
                tick(run)
    end(context, run.capture)
