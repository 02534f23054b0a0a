"""``tcpflow-view read``: what a saved capture holds, the table of its connections, and their lives.

A pipe whose packets happen now shows them as they come, before that (piped.py).
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import BinaryIO

import click

from analyzer.cli.ending import end
from analyzer.cli.piped import survey_piped
from analyzer.cli.progress import ReadingProgress
from analyzer.cli.summary import FEW_CONNECTIONS, quality_of, write_summary
from analyzer.errors import UsageError
from analyzer.pipeline import lives, survey
from analyzer.render.screen import screen_of
from analyzer.render.untrusted import visible
from analyzer.tables import Life

_INVITATION = " -c N shows the life of connection N, -c 1,4-7 of several."

LONGEST_PART = 40
"""Characters of a number, or of a range of numbers, after -c."""

_EXAMPLES = """\b
Examples:
  tcpflow-view read capture.pcap
  tcpflow-view read capture.pcap port 1235
  tcpflow-view read capture.pcapng.gz -c 1,4-7 --all
  zcat capture.pcap.gz | tcpflow-view read -
  tcpdump -U -w - -i lo port 1235 | tcpflow-view read -
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

    Packets that come through a pipe while they happen, as from tcpdump -U -w -, are shown as they come.
    """
    expression = " ".join(filter_words)
    with ExitStack() as stack:
        source, first = stack.enter_context(_opened(file)), 0
        if isinstance(source, str) or source.seekable():
            if not isinstance(source, str):
                first = source.tell()
            with ReadingProgress() as progress:
                run = survey(source, expression, on_batch=progress.tick)
        else:
            pipe, source = source, stack.enter_context(tempfile.TemporaryFile(buffering=0))
            name = "standard input" if file == "-" else file
            run = survey_piped(pipe, name, source, expression, color)
        screen = screen_of(color)
        numbers = range(1, run.count + 1) if chosen is None else numbers_of(chosen, run.count)
        told = numbers if chosen is not None or run.count <= FEW_CONNECTIONS else ()
        if not isinstance(source, str):
            source.seek(first)
        found = _lives(source, expression, told, whole)
        write_summary(run, quality_of(run, expression), file, numbers, found, screen, whole=whole)
        if numbers and not told:
            screen.write([_INVITATION])
    end(context, run.capture)


def numbers_of(chosen: str, count: int) -> list[int]:
    """The numbers of the connections that ``1,4-7`` names, in order. Raises UsageError."""
    found: set[int] = set()
    for part in chosen.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > LONGEST_PART:
            raise UsageError(f"-c {visible(chosen)}: give numbers of the table, as in -c 3 or -c 1,4-7")
        part_of = range(int(first), int(last if dash else first) + 1)
        if not part_of or part_of[0] < 1:
            raise UsageError(f"-c {visible(chosen)}: no connection has such a number; they count from 1 upwards")
        if part_of[-1] > count:
            raise UsageError(f"-c {visible(chosen)}: no connection {part_of[-1]}; {_there_are(count)}")
        found.update(part_of)
    return sorted(found)


def _there_are(count: int) -> str:
    if count == 0:
        return "there is none at all"
    return "there is only one" if count == 1 else f"the last one is {count:,}"


def _opened(file: str) -> AbstractContextManager[str | BinaryIO]:
    """A file's name, or what there is to read where a name does not do: standard input, another pipe."""
    if file != "-":
        return open(file, "rb", buffering=0) if _is_pipe(file) else nullcontext(file)
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return nullcontext(file)
    return nullcontext(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))


def _is_pipe(file: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(file).st_mode)
    except OSError:
        return False


def _lives(source: str | BinaryIO, expression: str, numbers: Sequence[int], whole: bool) -> dict[int, Life]:
    """The packets of the connections with these numbers, which takes a second pass."""
    if not numbers:
        return {}
    bound = {"most_packets": sys.maxsize} if whole else {}
    with ReadingProgress("following") as progress:
        return lives(source, expression, numbers, on_batch=progress.tick, **bound)
