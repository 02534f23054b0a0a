"""``tcpflow-view timeline``: one line a packet."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence

import click

from analyzer.api.servers import servers_named
from analyzer.capture.source import open_capture
from analyzer.cli import servers, straced
from analyzer.cli.ending import end
from analyzer.cli.straced import Straced
from analyzer.errors import UsageError
from analyzer.language import _
from analyzer.pipeline import BATCH_PACKETS, Run, lives, survey
from analyzer.render.calls import Beside
from analyzer.render.screen import screen_of
from analyzer.render.segment import segments
from analyzer.render.tcpdump.names import Names
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.render.untrusted import visible
from analyzer.tables import Batch, Frames, Protocol, Rows, batch_at, frames_at

_EXAMPLES = """\b
Examples:
  tcpflow-view timeline capture.pcap port 1235
  tcpflow-view timeline --tcpdump capture.pcap
  tcpflow-view timeline --tcpdump -nvXS -tttt capture.pcap port 1235
  tcpflow-view timeline --tcpdump --hosts hosts --services services capture.pcap
  tcpdump -U -w - -i lo port 1235 | tcpflow-view timeline - | grep teardown
"""

MOST_TIME_FLAGS = 5


@click.command("timeline", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option("--tcpdump", is_flag=True, help="Print tcpdump's text and nothing else.")
@click.option(
    "--calls", "has_calls", is_flag=True,
    help="The socket calls behind the packets, not with --tcpdump. The file is read twice and its packets kept.",
)  # fmt: skip
@straced.option
@click.option("-n", "numeric", count=True, help="No names: addresses and ports as numbers.")
@click.option("-S", "absolute", count=True, help="Absolute TCP sequence numbers.")
@click.option(
    "-t", "time", count=True,
    help="-t no time, -tt seconds since 1970, -ttt since the previous packet, -tttt with the date, -ttttt since the "
    "first packet.",
)  # fmt: skip
@click.option("-v", "verbose", count=True, help="More of each header; -vv and -vvv still more.")
@click.option("-q", "quiet", count=True, help="Less of each packet.")
@click.option("-e", "ethernet", count=True, help="The link-layer header.")
@click.option("-x", "hex", count=True, help="The packet in hexadecimal; -xx with its link-layer header.")
@click.option("-X", "hex_ascii", count=True, help="In hexadecimal and ASCII; -XX with its link-layer header.")
@click.option("-A", "ascii", count=True, help="In ASCII; -AA with its link-layer header.")
@click.option("-#", "--number", "number", count=True, help="Packet numbers.")
@click.option("-K", "unchecked", count=True, help="Do not verify checksums.")
@click.option("-c", "packets", metavar="N", type=click.IntRange(min=1), help="Stop after N packets.")
@click.option("-l", "by_line", is_flag=True, help="Write what there is without waiting for more.")
@servers.option
@click.option("--hosts", metavar="PATH", help="Names of addresses, a file like /etc/hosts, instead of the resolver's.")
@click.option("--services", metavar="PATH", help="Names of ports, a file like /etc/services, instead of that one.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
    help="Colour (not with --tcpdump); auto means on a terminal, unless NO_COLOR is set.",
)  # fmt: skip
@click.pass_context
def command(
    context: click.Context, /, file: str, filter_words: tuple[str, ...], tcpdump: bool, has_calls: bool,
    strace_logs: tuple[str, ...],
    packets: int | None, by_line: bool, server_ends: tuple[str, ...], hosts: str | None, services: str | None,
    color: str, **flags: int,
) -> None:  # fmt: skip
    """Print one line a packet: its connection, phase, both ends' states, events, and tcpdump's line.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter. The flags are
    tcpdump's. With --tcpdump names are looked up unless -n is given; otherwise only --hosts and --services name things.
    """
    if flags["time"] > MOST_TIME_FLAGS:
        raise UsageError(_("only -t, -tt, -ttt, -tttt and -ttttt are supported"))
    if not tcpdump and not hosts and not services:
        flags["numeric"] = 1
    names = None if flags["numeric"] else Names(hosts, services)
    printer = TcpdumpPrinter(TcpdumpOptions(**flags), names)
    expression = " ".join(filter_words)
    if tcpdump and (has_calls or strace_logs):
        option = "--calls" if has_calls else "--strace"
        raise UsageError(_("{option} does not go with --tcpdump").format(option=option))
    if tcpdump:
        with open_capture(file, expression, batch_packets=BATCH_PACKETS) as capture:
            texts = (printer.render(frames).text.data for frames in first_frames(capture, packets))
            print_all(texts, by_line or capture.size is None)
        end(context, capture)
    else:
        known = servers_named(server_ends, expression)
        beside = calls_beside(file, expression, known, strace_logs) if has_calls or strace_logs else {}
        timeline = Timeline(screen_of(color), printer, beside)
        with Run(file, expression, known) as run:
            lines = (timeline.render(batch).encode() for batch in first_batches(run, packets))
            print_all(lines, by_line or run.capture.size is None)
        end(context, run.capture)


def calls_beside(file: str, expression: str, known: Rows, strace_logs: Sequence[str]) -> dict[int, Beside]:
    """The socket calls of each TCP connection, and those seen of UDP's, which only all of its packets tell."""
    if file == "-" or not os.path.isfile(file):
        text = _("--calls: {path} would have to be read twice; save it to a file first")
        raise UsageError(text.format(path=visible(file)))
    run = survey(file, expression, known)
    numbers = run.connections["number"][: run.count][run.connections["protocol"][: run.count] == Protocol.TCP].tolist()
    watched = Straced(straced.read_logs(strace_logs), run.connections[: run.count], run.endpoints[: run.count])
    numbers = sorted({*numbers, *watched.seen.numbers})
    found = lives(file, expression, numbers, known, most_packets=sys.maxsize) if numbers else {}
    watched.tie(found)
    return {
        number: Beside(watched.calls(run.connections[number - 1], run.endpoints[number - 1], life), segments(life))
        for number, life in found.items()
    }


def print_all(texts: Iterable[bytes | memoryview], at_once: bool) -> None:
    """Write texts to standard output, ``at_once`` without waiting for more of them: a pipe may be a slow one."""
    out = sys.stdout.buffer
    for text in texts:
        out.write(text)
        if at_once or out.isatty():
            out.flush()
    out.flush()


def first_frames(batches: Iterable[Frames], count: int | None) -> Iterator[Frames]:
    """Batches up to the packet of that number, all of them for None."""
    for frames in batches:
        yield frames_at(frames, slice(count))
        if count is not None:
            count -= len(frames.start)
            if count <= 0:
                return


def first_batches(batches: Iterable[Batch], count: int | None) -> Iterator[Batch]:
    """The same for batches of a run."""
    for batch in batches:
        yield batch_at(batch, slice(count))
        if count is not None:
            count -= len(batch.frames.start)
            if count <= 0:
                return
