"""``tcpflow-view read``: what a saved capture holds, the table of its connections, and their lives."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import click

from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.cli.summary import FEW_CONNECTIONS, quality_of, write_summary
from analyzer.errors import UsageError
from analyzer.pipeline import Run, lives, survey
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
        numbers = range(1, run.count + 1) if chosen is None else numbers_of(chosen, run.count)
        told = numbers if chosen is not None or run.count <= FEW_CONNECTIONS else ()
        found = _lives(run, source, expression, told, whole)
        write_summary(run, quality_of(run), file, numbers, found, screen, whole=whole)
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


@contextmanager
def _rereadable(file: str) -> Iterator[str | BinaryIO]:
    """What can be read twice: the file's name, or a copy of what standard input or another pipe brings."""
    is_input = file == "-" and sys.stdin is not None and not sys.stdin.isatty()
    if not is_input and not _is_pipe(file):
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        try:
            if is_input:
                _copy_to_its_end(sys.stdin.buffer, copy)
            else:
                with open(file, "rb") as pipe:
                    _copy_to_its_end(pipe, copy)
        except OSError as error:
            raise UsageError(f"{visible(file)}: cannot keep a copy of what it brings: {error.strerror}") from None
        yield copy


def _is_pipe(file: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(file).st_mode)
    except OSError:
        return False


def _copy_to_its_end(source: BinaryIO, copy: BinaryIO) -> None:
    """Copy what comes. Ctrl-C ends the program that writes too, and what it still wrote is wanted; a second ends us."""
    try:
        shutil.copyfileobj(source, copy)
    except KeyboardInterrupt:
        shutil.copyfileobj(source, copy)


def _lives(run: Run, source: str | BinaryIO, expression: str, numbers: Sequence[int], whole: bool) -> dict[int, Life]:
    """The packets of the connections with these numbers, which takes a second pass."""
    if not numbers:
        return {}
    _rewind(source)
    bound = {"most_packets": sys.maxsize} if whole else {}
    with ReadingProgress("following") as progress:
        return lives(source, expression, numbers, on_batch=progress.tick, **bound)


def _rewind(source: str | BinaryIO) -> None:
    if not isinstance(source, str):
        source.seek(0)
