"""``tcpflow-view check``: whether the connections of captures are what they should be."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from analyzer.api.analysis import Analysis
from analyzer.api.servers import servers_named
from analyzer.cli import colors, servers
from analyzer.cli.destination import destination
from analyzer.cli.progress import ReadingProgress
from analyzer.errors import AnalyzerError, UsageError
from analyzer.expect.description import schema_text
from analyzer.expect.expectations import BadExpectations, Expectations, beside, load
from analyzer.expect.judging import Checked, judge
from analyzer.expect.telling import summary, told
from analyzer.language import _, speak
from analyzer.render.screen import Screen, screen_of
from analyzer.render.untrusted import legible, visible

_EXAMPLES = """\b
Examples:
  tcpflow-view check --record capture.pcap
  tcpflow-view check capture.pcap
  tcpflow-view check tests/captures/*.pcap --junit results.xml
  tcpflow-view check capture.pcap --expect echo.toml --format github
  ./test-server && tcpdump -r trace.pcap -w - port 1235 | tcpflow-view check - --expect echo.toml
"""


@click.command("check", epilog=_EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1)
@click.option("--expect", metavar="TOML", help="The expectations; without it each capture has its own beside it.")
@click.option("--record", is_flag=True, help="Write the expectations, from captures that are right.")
@click.option("--force", is_flag=True, help="With --record: also where there are expectations already.")
@click.option("--filter", "expression", metavar="FILTER", help="A pcap filter, instead of that of the expectations.")
@servers.option
@click.option(
    "--format", "kind", type=click.Choice(["text", "github", "json"]), default="text", show_default=True,
    help="For people; the same with annotations for GitHub; JSON for scripts.",
)  # fmt: skip
@click.option("--junit", metavar="PATH", help="Write JUnit's XML too, to this file.")
@click.option("--ladder/--no-ladder", "ladders", default=True, help="Draw the connections that are wrong, or do not.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of expectations, for editors.")
@colors.option
@click.pass_context
def command(
    context: click.Context, files: tuple[str, ...], expect: str | None, record: bool, force: bool,
    expression: str | None, server_ends: tuple[str, ...], kind: str, junit: str | None, ladders: bool, schema: bool,
    color: str,
) -> None:  # fmt: skip
    """Check that the connections of captures are what they should be: how they live, what is said, who closes.

    Expectations are TOML: capture.pcap has its own in capture.expect.toml. From a capture that is right --record writes
    them; edit what it wrote.

    Exit status: 0 all are met; 1 one is not, or a capture is damaged that may not be; 2 could not run.
    """
    if schema:
        click.echo(schema_text(), nl=False)
        return
    if not files:
        raise click.UsageError(_("Missing argument") + " 'FILE...'.")
    if expect is None and "-" in files:
        raise UsageError(_("-: --expect must name the expectations of what comes on standard input"))
    if junit == "-":
        raise UsageError(_("--junit needs the name of a file: what is told goes to standard output"))
    if record:
        _record_all(files, expect, expression or "", server_ends, force=force)
        return
    if kind == "json":
        speak("en")
    report = _Report(kind, screen_of(color), ladders=ladders, has_junit=junit is not None)
    for file, given in zip(files, _loaded(files, expect), strict=True):
        report.take(_checked(file, given, expression, server_ends))
    report.finish()
    if junit is not None:
        from analyzer.expect.machines import junit as xml

        with destination(junit, files[0], "--junit") as out:
            out.write(xml(report.suites))
    if report.status:
        context.exit(report.status)


def _loaded(files: Sequence[str], expect: str | None) -> list[Expectations | BadExpectations]:
    """The expectations of each capture, or what is wrong with them, which is told."""
    paths = [(beside(file), file) if expect is None else (expect, "") for file in files]
    found: dict[tuple[str, str], Expectations | BadExpectations] = {}
    for path, capture in dict.fromkeys(paths):
        try:
            found[path, capture] = _load(path, capture)
        except BadExpectations as error:
            found[path, capture] = error
            for problem in error.problems:
                click.echo(f"tcpflow-view: {visible(str(problem))}", err=True)
    return [found[path] for path in paths]


def _load(path: str, capture: str) -> Expectations:
    """Expectations, as far as they can be looked through without the capture. Raises BadExpectations."""
    expectations = load(path, capture)
    problems = []
    for place, end in enumerate(expectations.capture.get("servers", ())):
        try:
            servers_named([end], "")
        except UsageError as error:
            problems.append(expectations.problem(("capture", "servers", place), str(error)))
    if problems:
        raise BadExpectations(problems)
    return expectations


def _checked(file: str, given: Expectations | BadExpectations, expression: str | None, ends: Sequence[str]) -> Checked:
    """A capture judged; what keeps it from being is told at once."""
    if isinstance(given, BadExpectations):
        told = "\n".join(visible(str(problem)) for problem in given.problems)
        return Checked(file, Expectations(given.problems[0].file, {}, [], {}), [], told, given.problems)
    table = given.capture
    wanted = table.get("filter", "") if expression is None else expression
    try:
        with ReadingProgress() as progress:
            analysis = Analysis(file, wanted, [*table.get("servers", ()), *ends], on_batch=progress.tick)
        return Checked(file, given, list(judge(analysis, given)))
    except AnalyzerError as error:
        click.echo(f"tcpflow-view: {visible(str(error))}", err=True)
        return Checked(file, given, [], visible(str(error)))


class _Report:
    """What comes of captures, one after the other: it is written, or kept in words. Their packets are let go.

    Attributes: ``status`` to exit with; ``suites`` for JUnit's XML, where that is wanted.
    """

    def __init__(self, kind: str, screen: Screen, *, ladders: bool, has_junit: bool) -> None:
        self.status = 0
        self.suites: list[Any] = []
        self._kind, self._screen, self._ladders, self._has_junit = kind, screen, ladders, has_junit
        self._n = self._wrong = 0
        self._records: list[dict[str, object]] = []
        self._commands: dict[str, None] = {}
        self._token = ""
        if kind == "github":
            import secrets

            self._token = secrets.token_hex(16)
            screen.write([f"::stop-commands::{self._token}"])  # what captures say must not be taken for commands

    def take(self, checked: Checked) -> None:
        """Take what came of a capture."""
        if self._has_junit:
            from analyzer.expect.machines import suite

            self.suites.append(suite(checked, self._n, datetime.now(UTC)))
        self._n += 1
        if checked.error or checked.faults:
            self._wrong += 1
            self.status = max(self.status, 2 if checked.error else 1)
        if self._kind == "json":
            from analyzer.expect.machines import record

            self._records.append(record(checked))
            return
        if self._kind == "github":
            from analyzer.expect.machines import github_commands

            self._commands |= dict.fromkeys(github_commands(checked))
        self._screen.write(told(checked, self._screen, ladders=self._ladders))
        sys.stdout.flush()

    def finish(self) -> None:
        """Write what is said at last."""
        if self._kind == "json":
            from analyzer.expect.machines import json_document

            click.echo(json_document(self._records), nl=False)
            return
        self._screen.write(summary(self._n, self._wrong, self._screen))
        if self._kind == "github":
            self._screen.write([f"::{self._token}::", *self._commands])
        sys.stdout.flush()


def _record_all(files: Sequence[str], expect: str | None, expression: str, ends: Sequence[str], *, force: bool) -> None:
    """Write the expectations of each capture, and say where."""
    from analyzer.expect.recording import record

    if expect is not None and len(files) > 1:
        raise UsageError(_("--expect: with --record it takes the expectations of one capture"))
    paths = [beside(file) if expect is None else expect for file in files]
    taken: dict[str, str] = {}
    for file, path in zip(files, paths, strict=True):
        place = os.path.realpath(path)
        if place in taken:
            told_so = _("{path}: {a} and {b} would both have their expectations there; record one with --expect")
            raise UsageError(told_so.format(path=path, a=taken[place], b=file))
        taken[place] = file
        if not force and path != "-" and os.path.exists(path):
            raise UsageError(_("{path}: there are expectations already; --force writes new ones").format(path=path))
    for file, path in zip(files, paths, strict=True):
        with ReadingProgress() as progress:
            analysis = Analysis(file, expression, ends, on_batch=progress.tick)
        judging = ["tcpflow-view", "check", file] + (["--expect", path] if expect else [])
        lines = list(record(analysis, os.path.basename(file), shlex.join(judging), ends))
        with destination(None if path == "-" else path, file, "--expect") as out:
            out.write("".join(f"{line}\n" for line in lines).encode())
        if analysis.damage:
            told_so = _("warning: {damage}").format(damage=visible(analysis.damage))
            click.echo(f"tcpflow-view: {told_so}", err=True)
        if path != "-":
            click.echo(legible(_("{path}: written; read it, and take out what does not matter").format(path=path)))
