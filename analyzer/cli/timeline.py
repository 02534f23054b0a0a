"""``tcpflow-view timeline``: one line a packet."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from analyzer.capture.source import Capture, open_capture
from analyzer.errors import UsageError
from analyzer.render.tcpdump.names import Names
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.untrusted import visible
from analyzer.tables import Frames

_EXAMPLES = """\b
Examples:
  tcpflow-view timeline --tcpdump capture.pcap
  tcpflow-view timeline --tcpdump -nvXS -tttt capture.pcap port 1235
  tcpflow-view timeline --tcpdump --hosts hosts --services services capture.pcap
"""

BATCH_PACKETS = 16_384
MOST_TIME_FLAGS = 5


@click.command("timeline", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option("--tcpdump", is_flag=True, help="Print tcpdump's text and nothing else.")
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
@click.option("--hosts", metavar="PATH", help="Names of addresses, a file like /etc/hosts, instead of the resolver's.")
@click.option("--services", metavar="PATH", help="Names of ports, a file like /etc/services, instead of that one.")
@click.pass_context
def command(
    context: click.Context, /, file: str, filter_words: tuple[str, ...], tcpdump: bool, packets: int | None,
    by_line: bool, hosts: str | None, services: str | None, **flags: int,
) -> None:  # fmt: skip
    """Print one line a packet.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter.
    """
    if not tcpdump:
        raise UsageError("timeline needs --tcpdump")
    if flags["time"] > MOST_TIME_FLAGS:
        raise UsageError("only -t, -tt, -ttt, -tttt and -ttttt are supported")
    names = None if flags["numeric"] else Names(hosts, services)
    printer = TcpdumpPrinter(TcpdumpOptions(**flags), names)
    with open_capture(file, " ".join(filter_words), batch_packets=BATCH_PACKETS) as capture:
        try:
            print_tcpdump(capture, printer, packets, by_line)
        except BrokenPipeError:
            raise
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise UsageError(f"standard output: cannot write: {error.strerror}") from None
        if capture.damage:
            click.echo(f"tcpflow-view: warning: {visible(str(capture.damage))}", err=True)
            context.exit(1)


def print_tcpdump(capture: Capture, printer: TcpdumpPrinter, packets: int | None, by_line: bool) -> None:
    """Write the text of a capture's packets, of the first ``packets`` where that is not None."""
    out: Any = sys.stdout.buffer
    for frames in capture:
        if packets is not None:
            frames = first_of(frames, packets)
            packets -= len(frames.start)
        out.write(printer.render(frames).text.data)
        if by_line:
            out.flush()
        if packets == 0:
            break
    out.flush()


def first_of(frames: Frames, count: int) -> Frames:
    """The first frames of a batch."""
    return Frames._make([frames.data, *(column[:count] for column in frames[1:])])
