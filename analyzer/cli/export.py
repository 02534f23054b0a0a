"""``tcpflow-view export``: records for machines, one connection as packetdrill's script or as a README's diagram."""

from __future__ import annotations

import sys

import click
import numpy as np

from analyzer.api.servers import servers_named
from analyzer.api.story import quality_of, story_of
from analyzer.cli import servers
from analyzer.cli.destination import destination
from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.errors import UsageError
from analyzer.explain.calls import inferred
from analyzer.export.jsonl import write_connections, write_packets
from analyzer.export.packetdrill import script
from analyzer.export.segments import Segment, segments_of
from analyzer.language import _
from analyzer.pipeline import Lives, Run
from analyzer.render.untrusted import visible
from analyzer.report.mermaid import mermaid
from analyzer.tables import Protocol, Side

_EXAMPLES = """\b
Examples:
  tcpflow-view export capture.pcap --records connections --format jsonl
  tcpflow-view export capture.pcap --records packets -o packets.jsonl port 1235
  tcpflow-view export capture.pcap --format packetdrill -c 3 --side client -o connection.pkt
  tcpflow-view export capture.pcap --format mermaid -c 3 -o connection.mmd
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
    "--format", "form", type=click.Choice(["jsonl", "packetdrill", "mermaid"]), default="jsonl", show_default=True,
    help="jsonl is JSON Lines: an object a line. packetdrill is a script that plays one connection again: its packets "
    "and the socket calls inferred from them. mermaid is its sequence diagram for a README.",
)  # fmt: skip
@click.option(
    "-c", "--connection", "number", metavar="N", type=click.IntRange(min=1),
    help="With packetdrill and mermaid: the connection. Not needed where there is one TCP connection.",
)  # fmt: skip
@click.option(
    "--side", "side_name", type=click.Choice([side.name.lower() for side in Side]),
    help="With packetdrill: whose calls the script makes; the other side's packets are injected. [default: server]",
)  # fmt: skip
@servers.option
@click.option("-o", "--output", metavar="PATH", help="Write to a file instead of standard output.")
@click.pass_context
def command(
    context: click.Context, file: str, filter_words: tuple[str, ...], records: str, form: str, number: int | None,
    side_name: str | None, server_ends: tuple[str, ...], output: str | None,
) -> None:  # fmt: skip
    """Write records of a capture's connections or packets, or one connection as a script or a diagram.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter.
    """
    expression = " ".join(filter_words)
    if side_name and form != "packetdrill":
        raise UsageError(_("{option} goes with --format packetdrill").format(option="--side"))
    if form != "jsonl":
        side = Side[(side_name or "server").upper()]
        write_connection(context, form, file, expression, number, side, server_ends, output)
        return
    if number is not None:
        raise UsageError(_("{option} goes with --format packetdrill and mermaid").format(option="-c"))
    with (
        Run(file, expression, servers_named(server_ends, expression)) as run,
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


def write_connection(
    context: click.Context, form: str, file: str, expression: str, number: int | None, side: Side,
    server_ends: tuple[str, ...], output: str | None,
) -> None:  # fmt: skip
    """Write a connection in this form, the only one of TCP where no number is given."""
    some: list[Segment] = []
    wanted = number or 0
    with (
        Run(file, expression, servers_named(server_ends, expression), judges=True) as run,
        ReadingProgress("exporting") as progress,
    ):
        life = Lives([number] if number else [], sys.maxsize)
        for batch in run:
            if not wanted:
                tcp = np.flatnonzero(run.connections["protocol"][: run.count] == Protocol.TCP)
                wanted = int(tcp[0]) + 1 if len(tcp) else 0
                life = Lives([wanted], sys.maxsize)
            life.add(batch)
            if form == "packetdrill":
                some += segments_of(batch, wanted)
            progress.tick(run)
    path = visible(run.capture.path)
    is_tcp = run.connections["protocol"][: run.count] == Protocol.TCP
    if number is None and is_tcp.sum() != 1:
        many = _("{path}: more than one TCP connection; choose with -c N (tcpflow-view read shows the numbers)")
        raise UsageError((many if is_tcp.sum() else _("{path}: there is no TCP connection")).format(path=path))
    if wanted > run.count or not is_tcp[wanted - 1]:
        none = _("{path}: there is no TCP connection {number} (tcpflow-view read shows the numbers)")
        raise UsageError(none.format(path=path, number=wanted))
    packets = life.found()[wanted]
    if form == "mermaid":
        lines = list(mermaid(story_of(run, wanted - 1, packets, quality_of(run, expression))))
    else:
        connection = run.connections[wanted - 1]
        calls = inferred(connection, run.endpoints[wanted - 1], packets)
        try:
            lines = list(script(some, calls, side, int(connection["ip_version"])))
        except UsageError as error:
            text = _("{path}, connection {number}: {problem}")
            raise UsageError(text.format(path=path, number=wanted, problem=error)) from None
    with destination(output, file) as out:
        out.write("".join(f"{line}\n" for line in lines).encode())
    end(context, run.capture)
