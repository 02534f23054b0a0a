"""``tcpflow-view read``: what a saved capture holds, the table of its connections, and their lives."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import click

from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.errors import UsageError
from analyzer.explain.quality import Quality, count_kinds, most_frequent
from analyzer.explain.why import Cause, cause_of, why
from analyzer.pipeline import Run, lives, survey
from analyzer.render.ladder import Story, ladder
from analyzer.render.quality import quality
from analyzer.render.screen import screen_of
from analyzer.render.table import table
from analyzer.render.untrusted import visible
from analyzer.render.words import ENDINGS

FEW_CONNECTIONS = 5
"""Up to so many connections are all told without being asked for."""

_INVITATION = " -c N shows the life of connection N, -c 1,4-7 of several."

_EXAMPLES = """\b
Examples:
  tcpflow-view read capture.pcap
  tcpflow-view read capture.pcap port 1235
  tcpflow-view read capture.pcapng.gz -c 1,4-7 --all
  tcpdump -i lo -w - port 1235 | tcpflow-view read -
"""


@click.command("read", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option(
    "-c", "--connection", "chosen", metavar="N", help="Only these connections, by their numbers: 3, or 1,4-7."
)
@click.option("--all", "whole", is_flag=True, help="Every row of the table, every packet of a connection.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
    help="Colour; auto means on a terminal, unless NO_COLOR is set.",
)  # fmt: skip
@click.pass_context
def command(
    context: click.Context, file: str, filter_words: tuple[str, ...], chosen: str | None, whole: bool, color: str
) -> None:
    """Show the connections of a capture: who closed them, and each packet with both ends' states.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter. All
    connections are told when there are few, otherwise those chosen with -c.
    """
    screen = screen_of(color)
    expression = " ".join(filter_words)
    with _rereadable(file) as source:
        _rewind(source)
        with ReadingProgress() as progress:
            run = survey(source, expression, on_batch=progress.tick)
        rows = range(run.count) if chosen is None else rows_of(chosen, run.count)
        told = rows if chosen is not None or run.count <= FEW_CONNECTIONS else ()
        stories = _stories(run, source, expression, told, whole)
        screen.write(quality(_quality(run), file, screen))
        if run.count:
            screen.write(["", *table(run.connections, run.endpoints, rows, screen, whole=whole), ""])
        for story in stories:
            screen.write(ladder(story, screen, whole=whole))
        if rows and not told:
            screen.write([_INVITATION])
    end(context, run.capture)


def rows_of(chosen: str, count: int) -> list[int]:
    """The rows of the connections that ``1,4-7`` names, in order. Raises UsageError."""
    rows: set[int] = set()
    for part in chosen.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"-c {visible(chosen)}: give numbers of the table, as in -c 3 or -c 1,4-7")
        numbers = range(int(first), int(last if dash else first) + 1)
        if not numbers or numbers[0] < 1:
            raise UsageError(f"-c {visible(chosen)}: no connection has such a number; they count from 1 upwards")
        if numbers[-1] > count:
            raise UsageError(f"-c {visible(chosen)}: no connection {numbers[-1]}; {_there_are(count)}")
        rows.update(number - 1 for number in numbers)
    return sorted(rows)


def _there_are(count: int) -> str:
    if count == 0:
        return "there is none at all"
    return "there is only one" if count == 1 else f"the last one is {count:,}"


@contextmanager
def _rereadable(file: str) -> Iterator[str | BinaryIO]:
    """What can be read twice: the file's name, or a copy of what standard input brings."""
    if file != "-" or sys.stdin is None or sys.stdin.isatty():
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        try:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        except OSError as error:
            raise UsageError(f"cannot keep a copy of standard input: {error.strerror}") from None
        yield copy


def _quality(run: Run) -> Quality:
    tcp, udp = count_kinds(run.connections[: run.count])
    damage = run.capture.damage
    return Quality(
        packets=run.packets, all_packets=run.capture.packets, first_ns=run.first_ns, last_ns=run.last_ns, tcp=tcp,
        udp=udp, strays=most_frequent(run.strays), damaged_at=damage.offset if damage else -1,
        damage=damage.expected if damage else "",
    )  # fmt: skip


def _stories(run: Run, source: str | BinaryIO, expression: str, rows: Sequence[int], whole: bool) -> list[Story]:
    """The connections ``rows`` with their packets, which takes a second pass."""
    if not rows:
        return []
    _rewind(source)
    bound = {"most_packets": sys.maxsize} if whole else {}
    with ReadingProgress("following") as progress:
        found = lives(source, expression, rows, on_batch=progress.tick, **bound)
    stories = []
    for row in rows:
        connection, endpoints = run.connections[row], run.endpoints[row]
        cause = Cause(cause_of(connection, *endpoints))
        stories.append(Story(row + 1, connection, endpoints, found[row], ENDINGS[cause], why(connection, *endpoints)))
    return stories


def _rewind(source: str | BinaryIO) -> None:
    if not isinstance(source, str):
        source.seek(0)
