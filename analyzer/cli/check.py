"""``tcpflow-view check``: whether the connections of captures are what they should be."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

from analyzer.api.analysis import Analysis
from analyzer.cli import colors, servers
from analyzer.cli.destination import destination
from analyzer.cli.progress import ReadingProgress
from analyzer.errors import AnalyzerError, UsageError
from analyzer.expect.description import schema_text
from analyzer.expect.expectations import BadExpectations, Expectations, beside, load
from analyzer.expect.judging import Checked, judge
from analyzer.expect.telling import summary, told
from analyzer.language import _, speak
from analyzer.render.screen import screen_of
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
@click.option("--junit", metavar="PATH", help="Write JUnit's XML too; - is standard output.")
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
    if record:
        _record_all(files, expect, expression or "", server_ends, force=force)
        return
    found = _loaded(files, expect)
    if not found:
        context.exit(2)
    if kind == "json":
        speak("en")
    judged = (_checked(file, given, expression, server_ends) for file, given in zip(files, found, strict=True))
    all_checked = _written(judged, kind, color, ladders=ladders)
    if junit is not None:
        from analyzer.expect.machines import junit as xml

        with destination(None if junit == "-" else junit, files[0], "--junit") as out:
            out.write(xml(all_checked, datetime.now(UTC)))
    if any(checked.error for checked in all_checked):
        context.exit(2)
    if any(checked.faults for checked in all_checked):
        context.exit(1)


def _loaded(files: Sequence[str], expect: str | None) -> list[Expectations]:
    """The expectations of each capture; none where one is bad, which is told, problem by problem."""
    found, problems = [], list[str]()
    for file in files:
        try:
            found.append(load(beside(file), file) if expect is None else load(expect))
        except BadExpectations as error:
            problems += [problem for problem in error.problems if problem not in problems]
    for problem in problems:
        click.echo(f"tcpflow-view: {visible(problem)}", err=True)
    return [] if problems else found


def _checked(file: str, expectations: Expectations, expression: str | None, ends: Sequence[str]) -> Checked:
    """A capture judged; what keeps it from being is told at once."""
    table = expectations.capture
    wanted = table.get("filter", "") if expression is None else expression
    try:
        with ReadingProgress() as progress:
            analysis = Analysis(file, wanted, [*table.get("servers", ()), *ends], on_batch=progress.tick)
        return Checked(file, expectations, list(judge(analysis, expectations)))
    except AnalyzerError as error:
        click.echo(f"tcpflow-view: {visible(str(error))}", err=True)
        return Checked(file, expectations, [], visible(str(error)))


def _written(judged: Iterable[Checked], kind: str, color: str, *, ladders: bool) -> list[Checked]:
    """Write what comes of each capture to standard output, as soon as it is judged; gives all of them."""
    if kind == "json":
        from analyzer.expect.machines import json_document

        all_checked = list(judged)
        click.echo(json_document(all_checked), nl=False)
        return all_checked
    all_checked, screen, token = [], screen_of(color), ""
    if kind == "github":
        import secrets

        token = secrets.token_hex(16)
        screen.write([f"::stop-commands::{token}"])  # what captures say must not be taken for commands
    for checked in judged:
        screen.write(told(checked, screen, ladders=ladders))
        all_checked.append(checked)
    screen.write(summary(all_checked, screen))
    if kind == "github":
        from analyzer.expect.machines import github_commands

        screen.write([f"::{token}::", *github_commands(all_checked)])
    sys.stdout.flush()
    return all_checked


def _record_all(files: Sequence[str], expect: str | None, expression: str, ends: Sequence[str], *, force: bool) -> None:
    """Write the expectations of each capture, and say where."""
    from analyzer.expect.recording import record

    if expect is not None and len(files) > 1:
        raise UsageError(_("--expect: with --record it takes the expectations of one capture"))
    paths = [beside(file) if expect is None else expect for file in files]
    for path in paths:
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
