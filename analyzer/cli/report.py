"""``tcpflow-view report``: a page that tells of a capture, for those who were not there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import click

from analyzer.api.servers import servers_named
from analyzer.api.story import quality_of, story_of
from analyzer.capture.kept import rereadable
from analyzer.cli import dissected, servers
from analyzer.cli.choice import KEYS, KINDS, chosen
from analyzer.cli.destination import destination
from analyzer.cli.dissected import Dissection
from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.errors import UsageError
from analyzer.explain.calls import inferred
from analyzer.explain.quality import Quality
from analyzer.language import _
from analyzer.pipeline import Lives, Run, Streams
from analyzer.render.addresses import endpoint
from analyzer.render.ladder import Story
from analyzer.render.untrusted import visible
from analyzer.report.anonymous import Pseudonyms
from analyzer.report.connection import Told, connection_data, drawings, states
from analyzer.report.conversation import Conversation
from analyzer.report.diagram import diagram
from analyzer.report.languages import told
from analyzer.report.octets import Frame, KeptFrames, first_and_last, tcpdump_lines, without_payload
from analyzer.report.overview import Marks, overview
from analyzer.report.page import Part, json_text, page
from analyzer.report.plot_svg import plot_svg
from analyzer.report.plots import plot_data
from analyzer.report.selection import left_out, shares, that_matter
from analyzer.tables import Life, Protocol, Rows, Side, rows_of

MOST_PACKETS = 5_000
"""Packets told one by one in a page where nobody says how many."""

MOST_PLOTTED = 1_000_000
"""Packets that are held in memory for the plots of all connections."""

_EXAMPLES = """\b
Examples:
  tcpflow-view report capture.pcap -o report.html
  tcpflow-view report capture.pcapng.gz -o report.html port 80
  tcpflow-view report capture.pcap -o report.html --only refused,reset,troubled
  tcpflow-view report capture.pcap -o report.html -c 3 --svg pictures
  tcpflow-view report capture.pcap -o report.html --anonymize --no-payload
  tcpflow-view report capture.pcap -o report.html --dissect
"""


class Wanted(NamedTuple):
    """What a page shall have."""

    named: str | None
    only: str | None
    sort: str | None
    most_packets: int
    has_payload: bool
    anonymous: bool


EVERYTHING = Wanted(None, None, None, MOST_PACKETS, has_payload=True, anonymous=False)
"""What a page has where nobody says otherwise."""


@click.command("report", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option("-o", "--output", metavar="PATH", required=True, help="The page to write; - is standard output.")
@click.option("-c", "--connection", "named", metavar="N", help="Tell these connections in detail: 3, or 1,4-7.")
@click.option("--only", metavar="KIND,…", help=f"Tell connections of these kinds in detail: {', '.join(KINDS)}.")
@click.option("--sort", type=click.Choice(KEYS), help="Tell the connections with most of it in detail.")
@click.option(
    "--max-packets", "most_packets", metavar="N", type=click.IntRange(min=2), default=MOST_PACKETS, show_default=True,
    help="Packets that the page tells one by one, with their bytes; of what is longer the first and the last ones.",
)  # fmt: skip
@click.option("--no-payload", is_flag=True, help="Leave out what the programs said.")
@click.option(
    "--anonymize", is_flag=True,
    help="Other addresses in place of the real ones, each always the same, and no file name. What the programs said "
    "may tell names all the same: --no-payload leaves it out.",
)  # fmt: skip
@click.option("--svg", metavar="DIR", help="Write the drawings of the connections told in detail there, too.")
@servers.option
@dissected.options
@click.pass_context
def command(
    context: click.Context, file: str, filter_words: tuple[str, ...], output: str, named: str | None, only: str | None,
    sort: str | None, most_packets: int, no_payload: bool, anonymize: bool, svg: str | None,
    server_ends: tuple[str, ...], dissect: bool, decode_as: tuple[str, ...],
) -> None:  # fmt: skip
    """Write a page that tells of a capture: a single HTML file that needs no network, to be sent to others.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter. The page lists
    all connections, and tells some in detail: those chosen with -c, --only and --sort, otherwise those in trouble and
    some of every kind.
    """
    expression = " ".join(filter_words)
    wanted = Wanted(named, only, sort, most_packets, not no_payload, anonymize)
    dissected.check(dissect=dissect, decode_as=decode_as)
    if dissect and anonymize:
        raise UsageError(_("--dissect does not go with --anonymize: what tshark says has addresses and names in it"))
    if dissect and no_payload:
        raise UsageError(_("--dissect does not go with --no-payload: it is what the programs said that it decodes"))
    with ExitStack() as stack:
        dissection = stack.enter_context(Dissection(decode_as, has_fields=True)) if dissect else None
        source = stack.enter_context(rereadable(file))
        known = servers_named(server_ends, expression)
        run = write_report(source, file, expression, known, output, wanted, svg, dissection)
    if dissection:
        dissected.complain(dissection)
    end(context, run.capture)
    if dissection and dissection.trouble:
        context.exit(1)


def write_report(
    source: str | BinaryIO, file: str, expression: str, known: Rows, output: str, wanted: Wanted,
    svg: str | None = None, dissection: Dissection | None = None,
) -> Run:  # fmt: skip
    """Read the source, which people know as ``file``, twice, and write the page; gives the first run."""
    marks = Marks()
    first = 0 if isinstance(source, str) else source.tell()
    with Run(source, expression, known, judges=True) as run, ReadingProgress() as progress:
        for batch in run:
            marks.add(batch)
            progress.tick(run)
    found = quality_of(run, expression)
    connections, endpoints = run.connections[: run.count], run.endpoints[: run.count]
    if wanted.named is None and wanted.only is None and wanted.sort is None:
        numbers: Sequence[int] = that_matter(connections, endpoints)
    else:
        numbers = chosen(connections, endpoints, wanted.named, wanted.only, wanted.sort)
        if wanted.named is None:
            numbers = numbers[: len(that_matter(connections, endpoints))]
    if not isinstance(source, str):
        source.seek(first)
    pseudonyms = Pseudonyms() if wanted.anonymous else None
    title = _("a capture") if wanted.anonymous else _("standard input") if file == "-" else os.path.basename(file)
    with destination(None if output == "-" else output, file) as out:
        details = _Details(source, expression, known, run, numbers, wanted, pseudonyms, dissection)
        rows = pseudonyms.rows(connections) if pseudonyms else connections
        report = overview(found, rows, endpoints, marks) | {
            "file": visible(title),
            "filter": visible("" if wanted.anonymous else expression),
            "told": list(numbers),
            "leftOut": told(
                lambda: [
                    *left_out(len(connections), len(numbers), wanted.has_payload, wanted.anonymous),
                    *(dissection.left_out_told() if dissection else ()),
                ]
            ),
        }
        if svg is not None:
            _write_drawings(details, found, svg)
        for text in page(f"tcpflow-view · {visible(title)}", report, _parts(details, found)):
            out.write(text.encode())
    return run


class _Details:
    """The second pass: all packets of the connections that are told in detail."""

    def __init__(
        self, source: str | BinaryIO, expression: str, known: Rows, run: Run, numbers: Sequence[int], wanted: Wanted,
        pseudonyms: Pseudonyms | None, dissection: Dissection | None,
    ) -> None:  # fmt: skip
        self._run, self._wanted, self._pseudonyms, self._dissection = run, wanted, pseudonyms, dissection
        self._row = dict(zip(numbers, rows_of(run.connections[: run.count], numbers).tolist(), strict=True))
        packets = [int(run.endpoints[row]["packets"].sum()) for row in self._row.values()]
        given = shares(packets, wanted.most_packets)
        self._shares = dict(zip(numbers, given, strict=True))
        self._lives: dict[int, Life] = {}
        self._frames: dict[int, list[Frame]] = {}
        self._said = {number: Conversation() for number in numbers}
        if numbers:
            self._collect(source, expression, known, MOST_PLOTTED // len(numbers))

    def _collect(self, source: str | BinaryIO, expression: str, known: Rows, most: int) -> None:
        lives, kept = Lives(self._row, max(most, max(self._shares.values()))), KeptFrames(self._shares)
        also = self._dissection.choose(self._row) if self._dissection else None
        with Run(source, expression, known) as run, ReadingProgress(_("following")) as progress:
            streams = Streams(run, [range(number, number + 1) for number in self._row])
            for batch in run:
                lives.add(batch)
                kept.add(batch)
                if also:
                    also(batch)
                if self._wanted.has_payload:
                    for number, item in streams.add(batch):
                        self._said[number].add(item)
                    streams.wanted = [one for one in streams.wanted if not kept.is_full(one.start)]
                progress.tick(run)
            for number, item in streams.finish():
                self._said[number].add(item)
        self._lives, self._frames = lives.found(), kept.found()
        if self._dissection:
            self._dissection.ask({frame.number for frames in self._frames.values() for frame in frames})

    def told(self, found: Quality) -> Iterator[Told]:
        """The connections, one after the other."""
        treated = {number: [self._treated(frame) for frame in frames] for number, frames in self._frames.items()}
        lines = tcpdump_lines([frame for frames in treated.values() for frame in frames])
        for number, row in self._row.items():
            yield Told(
                partial(self._story, row, first_and_last(self._lives[number], self._shares[number]), found),
                self._lives[number], int(self._run.endpoints[row]["packets"].sum()), treated[number],
                {frame.number: lines[frame.number] for frame in treated[number]},
                self._said[number] if self._wanted.has_payload else None, self._run.last_ns,
                self._dissection.of(number) if self._dissection else [],
            )  # fmt: skip

    def _story(self, row: int, life: Life, found: Quality) -> Story:
        """The connection in this row, with what a page may show of it, in the language chosen."""
        story = story_of(self._run, row, life, found)
        story = story._replace(calls=inferred(story.connection, story.endpoints, life))
        if not self._wanted.has_payload:
            story = story._replace(life=life._replace(payload=[b""] * len(life.payload)))
        if self._pseudonyms:
            tunnels = [self._pseudonyms.text(way) for way in life.tunnels]
            connection = self._pseudonyms.rows(self._run.connections[row : row + 1])[0]
            story = story._replace(connection=connection, life=story.life._replace(tunnels=tunnels))
        return story

    def _treated(self, frame: Frame) -> Frame:
        """The frame with what a page may show of it."""
        if not self._wanted.has_payload:
            frame = without_payload(frame)
        return self._pseudonyms.frame(frame) if self._pseudonyms else frame

    def plot_file(self, story: Story) -> str:
        """Time and sequence numbers of all of a connection's packets, as SVG."""
        client, server = (endpoint(story.connection, side) for side in Side)
        return plot_svg(self._lives[story.number], story.connection, story.endpoints, f"{client} → {server}")

    def plots(self, story: Story) -> dict[str, object]:
        """What the plots of a connection are drawn from: all of its packets."""
        return plot_data(self._lives[story.number], story.connection, story.endpoints)


def _parts(details: _Details, found: Quality) -> Iterator[Part]:
    for one in details.told(found):
        story = one.story()
        yield Part(story.number, json_text(connection_data(one)), json_text(details.plots(story)), drawings(one))


def _write_drawings(details: _Details, found: Quality, folder: str) -> None:
    """Each connection's sequence diagram, walk through the states, and plot of sequence numbers, as SVG files."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        told = _("--svg {path}: cannot write there: {reason}")
        raise UsageError(told.format(path=visible(folder), reason=error.strerror)) from None
    for one in details.told(found):
        story = one.story()
        drawn = {"ladder": diagram(story)}
        if story.connection["protocol"] == Protocol.TCP:
            drawn |= {"states": states(one), "sequence": details.plot_file(story)}
        for name, svg in drawn.items():
            path = str(Path(folder) / f"connection-{story.number}-{name}.svg")
            with destination(path, "", "--svg") as out:
                out.write(svg.encode())
