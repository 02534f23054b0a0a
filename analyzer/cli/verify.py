"""``tcpflow-view verify``: our analysis of a capture beside tshark's, and where the two differ."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, NamedTuple

import click

from analyzer.capture.kept import rereadable
from analyzer.capture.saving import CaptureWriter
from analyzer.capture.source import open_capture
from analyzer.cli import colors
from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.dissect.comparison import CONNECTION_FIELDS, PACKET_FIELDS, Comparison, Difference, arguments
from analyzer.dissect.tshark import Output, Tshark, environment, installed
from analyzer.errors import TsharkError
from analyzer.language import _
from analyzer.pipeline import Run
from analyzer.render.screen import Screen, screen_of
from analyzer.render.untrusted import visible
from analyzer.render.verified import difference, reason_name, unlisted, verdict

MOST_LISTED = 50
"""Differences listed, unless all are wanted."""

_EXAMPLES = """\b
Examples:
  tcpflow-view verify capture.pcap
  tcpflow-view verify capture.pcapng.gz port 1235
  tcpflow-view verify capture.pcap --all
  tcpflow-view verify capture.pcap --format json | jq .fields
"""


@click.command("verify", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option("--all", "whole", is_flag=True, help=f"List every difference, not {MOST_LISTED} of them.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json is one object for machines.",
)  # fmt: skip
@colors.option
@click.pass_context
def command(
    context: click.Context, file: str, filter_words: tuple[str, ...], whole: bool, form: str, color: str
) -> None:
    """Compare our analysis of a capture with tshark's, packet by packet, and list where they differ.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter; both then see
    the packets that pass it, and no others. Compared are TCP's connections, events, relative numbers and lengths, the
    connections' completeness and initial round trip. Exit status 1: there are differences.
    """
    tshark = installed("verify")
    expression = " ".join(filter_words)
    with ExitStack() as stack:
        source = stack.enter_context(rereadable(file))
        same = stack.enter_context(_for_tshark(source, expression))
        report = _Json(whole) if form == "json" else _Text(screen_of(color), whole)
        comparison, run, trouble = _compared(tshark, same, source, expression, report)
    report.finish(comparison, tshark.version, file)
    if run.capture.damage:
        trouble = None  # tshark complains of the same
    if trouble:
        told = _("warning: {trouble}; what was compared before is shown").format(trouble=trouble)
        click.echo(f"tcpflow-view: {visible(told)}", err=True)
    end(context, run.capture)
    if trouble or comparison.differing:
        context.exit(1)


class _Same(NamedTuple):
    """What tshark reads."""

    path: str
    is_copy: bool
    """It has the packets that pass the filter alone, so that tshark counts them differently."""


@contextmanager
def _for_tshark(source: str | BinaryIO, expression: str) -> Iterator[_Same]:
    """The capture's file, or one with the packets that both shall see."""
    with open_capture(source, expression) as capture:
        if isinstance(source, str) and not expression and not capture.compression:
            yield _Same(source, is_copy=False)
            return
        with tempfile.TemporaryDirectory(prefix="tcpflow-view-") as folder:
            path = os.path.join(folder, "filtered.pcapng")
            writer = None
            for frames in capture:
                writer = writer or CaptureWriter(path, int(frames.linktype[0]), mixes_linktypes=True)
                writer.write(frames)
            with writer or CaptureWriter(path, 1):
                pass
            if not isinstance(source, str):
                source.seek(0)
            yield _Same(path, is_copy=True)


def _compared(
    tshark: Tshark, same: _Same, source: str | BinaryIO, expression: str, report: _Text | _Json
) -> tuple[Comparison, Run, TsharkError | None]:
    """Read and compare the whole capture. Raises TsharkError where tshark told of nothing at all."""
    comparison, trouble = Comparison(), None
    with (
        tempfile.TemporaryDirectory(prefix="tcpflow-view-") as profile,
        Output(tshark, arguments(same.path), environment(profile)) as output,
        Run(source, expression) as run,
        ReadingProgress(_("comparing")) as progress,
    ):
        lines = output.lines()
        try:
            for batch in run:
                report.take(comparison.add(batch, lines, numbered=not same.is_copy))
                progress.tick(run)
            rows = run.connections[: run.count], run.endpoints[: run.count]
            report.take(comparison.finish(*rows, lines))
            output.finish()
        except TsharkError as error:
            ending = output.ending()
            trouble = TsharkError(f"{error}: {ending}") if ending and ending != str(error) else error
            if not comparison.compared:
                raise trouble from None
    return comparison, run, trouble


class _Text:
    """Differences in lines, as they are found."""

    def __init__(self, screen: Screen, whole: bool) -> None:
        self._screen, self._whole = screen, whole
        self._told: set[tuple[int, str, str]] = set()
        self._listed = 0

    def take(self, found: list[Difference]) -> None:
        """List some differences: of those of one connection that have one reason, the first."""
        for one in found:
            if not self._whole:
                if self._listed >= MOST_LISTED:
                    return
                if one.reason:
                    kind = one.connection, one.field, one.reason.name
                    if kind in self._told:
                        continue
                    self._told.add(kind)
            self._listed += 1
            self._screen.write(difference(one, self._screen))

    def finish(self, comparison: Comparison, version: str, file: str) -> None:
        """Say what it comes to."""
        self._screen.write(unlisted(comparison.differing - self._listed, self._screen))
        if self._listed:
            self._screen.write([""])
        self._screen.write(verdict(comparison, version, self._screen))


class _Json:
    """One object, written as differences are found."""

    def __init__(self, whole: bool) -> None:
        self._most = sys.maxsize if whole else MOST_LISTED
        self._listed = 0
        self._has_begun = False

    def take(self, found: list[Difference]) -> None:
        """Write some differences."""
        for one in found[: self._most - self._listed]:
            self._begin()
            record = one._asdict() | {"connection": one.connection or None, "reason": reason_name(one.reason)}
            sys.stdout.write((",\n" if self._listed else "\n") + json.dumps(record))
            self._listed += 1

    def finish(self, comparison: Comparison, version: str, file: str) -> None:
        """Write the sums."""
        self._begin()
        fields = {
            field: {"same": comparison.tally[field, True], "different": comparison.tally[field, False]}
            for field in PACKET_FIELDS + CONNECTION_FIELDS
        }
        sums: dict[str, Any] = {
            "file": file, "tshark": version, "packets": comparison.packets, "compared": comparison.compared,
            "agreeing": comparison.agreeing, "connections": comparison.connections,
            "differing": comparison.differing, "explained": comparison.explained, "fields": fields,
        }  # fmt: skip
        sys.stdout.write("\n], " + json.dumps(sums).removeprefix("{") + "\n")

    def _begin(self) -> None:
        """Nothing is written before it is sure that there is something to tell."""
        if not self._has_begun:
            sys.stdout.write('{"schema": 1, "record": "verification", "differences": [')
        self._has_begun = True
