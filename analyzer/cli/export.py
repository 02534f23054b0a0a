"""``tcpflow-view export``: records for machines, one connection as packetdrill's script or as a README's diagram."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

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
from analyzer.export.packetdrill import script
from analyzer.export.segments import Segment, segments_of
from analyzer.export.text_writer import TextWriter, text_writer
from analyzer.language import _
from analyzer.pipeline import Lives, Run
from analyzer.render.untrusted import visible
from analyzer.report.mermaid import mermaid
from analyzer.tables import Protocol, Side

if TYPE_CHECKING:
    from analyzer.export.parquet import ParquetWriter

FORMS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
"""Formats by the endings of files that are named after them."""

ZEEK_FORMS = ("zeek", "zeek-json")
SCRIPT_FORMS = ("packetdrill", "mermaid")

_EXAMPLES = """\b
Examples:
  tcpflow-view export capture.pcap --records connections --format jsonl
  tcpflow-view export capture.pcap --records packets -o packets.parquet port 1235
  tcpflow-view export capture.pcap -o connections.csv
  tcpflow-view export capture.pcap --format zeek -o conn.log
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
    "--format", "form", type=click.Choice(["jsonl", "csv", "parquet", *ZEEK_FORMS, *SCRIPT_FORMS]),
    help="jsonl is JSON Lines: an object a line. csv and parquet have the same columns; parquet needs pyarrow. zeek is "
    "Zeek's conn.log, zeek-json the same as JSON. packetdrill is a script that plays one connection again: its packets "
    "and the socket calls inferred from them. mermaid is its sequence diagram for a README. "
    "[default: what the file's name after -o says (.csv, .jsonl, .parquet, conn.log), else jsonl]",
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
    context: click.Context, file: str, filter_words: tuple[str, ...], records: str, form: str | None,
    number: int | None, side_name: str | None, server_ends: tuple[str, ...], output: str | None,
) -> None:  # fmt: skip
    """Write records of a capture's connections or packets, or one connection as a script or a diagram.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter.

    In CSV and Parquet a dot joins nested names, as in client_sent.packets. In CSV what is not known is an empty field,
    and the values of a list stand in one field with spaces between them. Zeek's log has TCP connections and UDP
    conversations; what the records do not know (service, orig_ip_bytes and others) is -.
    """
    expression = " ".join(filter_words)
    is_usual = context.get_parameter_source("form") == click.core.ParameterSource.DEFAULT_MAP
    form = (named_form(output) if is_usual or not form else None) or form or "jsonl"
    if side_name and form != "packetdrill":
        raise UsageError(_("{option} goes with --format packetdrill").format(option="--side"))
    if form in SCRIPT_FORMS:
        side = Side[(side_name or "server").upper()]
        write_connection(context, form, file, expression, number, side, server_ends, output)
        return
    if number is not None:
        raise UsageError(_("{option} goes with --format packetdrill and mermaid").format(option="-c"))
    if form in ZEEK_FORMS and records == "packets":
        told = _("--format {form} has connections only: leave --records packets out, or choose another format")
        raise UsageError(told.format(form=form))
    if form == "parquet":
        from analyzer.export import arrow

        arrow.require()
        if output is None and sys.stdout.isatty():
            raise UsageError(_("Parquet is not for a terminal: write it to a file with -o, or into a pipe"))
    with (
        Run(file, expression, servers_named(server_ends, expression)) as run,
        destination(output, file) as out,
        ReadingProgress(_("exporting")) as progress,
    ):
        tick = (lambda run: None) if out.isatty() else progress.tick
        writer = writer_of(form, records, out)
        if records == "connections":
            run.exhaust(tick)
            writer.connections(run.connections, run.endpoints, run.count)
        else:
            for batch in run:
                writer.packets(*batch)
                if run.capture.size is None and form != "parquet":  # a pipe may be a slow one
                    out.flush()
                tick(run)
        writer.close()
    end(context, run.capture)


def named_form(output: str | None) -> str | None:
    """The format that a file's name says, if it says one."""
    path = Path(output or "")
    return "zeek" if path.name == "conn.log" else FORMS.get(path.suffix.lower())


def writer_of(form: str, records: str, out: BinaryIO) -> TextWriter | ParquetWriter:
    """What writes these records in this format."""
    if form == "parquet":
        from analyzer.export.parquet import ParquetWriter

        return ParquetWriter(out, records)
    return text_writer(form, records, out)


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
