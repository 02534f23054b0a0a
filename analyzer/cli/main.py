"""The command line: a group of commands, each in a file of its own that is imported when it is called.

Exit status: 0 done; 1 done, but the input was damaged or cut short; 2 could not run, with one line that says why; 130
interrupted. The group's help tells those of all commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from analyzer.cli import completing, outlasting, paging, settings
from analyzer.cli.speech import choose, hear_the_locale, let_click_speak, spoken
from analyzer.errors import AnalyzerError, UsageError
from analyzer.language import _, reason, text
from analyzer.render.untrusted import visible

COMMANDS = {
    "read": "Show the connections of a capture, and each packet with both ends' states.",
    "live": "The same while packets arrive, from an interface.",
    "run": "Run a program, and show its socket calls beside its packets.",
    "timeline": "Print one line a packet: ours, or tcpdump's byte for byte.",
    "follow": "Show what the two sides of a connection say, as text or byte for byte.",
    "diff": "Compare two captures: what differs in their connections, what got lost between them.",
    "report": "Write a page with pictures that needs nothing else, to be sent to others.",
    "check": "Check that connections are what they should be, in tests and in CI.",
    "export": "Write records of connections or packets for machines.",
    "verify": "Compare our analysis with tshark's, packet by packet.",
    "interfaces": "Show where live can listen, and what it lacks to do so.",
    "completion": "Print the script that makes bash, zsh or fish complete our commands.",
    "config": "Show the file of your defaults, and what is in force.",
}

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"

_STATUSES = text(
    "Exit status: 0 done; 1 done, but the capture was damaged or cut short; 2 could not run, a line on standard error "
    "says why; 130 interrupted. run passes on the program's. check, diff and verify: 1 when something differs."
)

_EXAMPLES = """\b
Examples:
  tcpflow-view read capture.pcap
  tcpflow-view live -i lo port 1235
  tcpflow-view run --port 1235 -- php server.php
  tcpflow-view timeline capture.pcap port 1235
  tcpflow-view timeline --tcpdump -n -X capture.pcap
  tcpflow-view follow capture.pcap -c 3
  tcpflow-view diff before.pcap after.pcap
  tcpflow-view report capture.pcap -o report.html
  tcpflow-view export capture.pcap --records connections --format jsonl
  tcpflow-view check capture.pcap
"""


class LazyGroup(click.Group):
    """Imports a command when it is asked for, so that nobody pays for the others."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        with _without_blas_threads():
            command: click.Command = import_module(f"analyzer.cli.{name}").command
        command = _told(command)
        if context.resilient_parsing:
            return completing.completable(command)
        if isinstance(context.obj, settings.Settings):
            context.default_map = {name: settings.defaults(command, name, context.obj)}
        if name in outlasting.OUTLASTING:
            command = outlasting.outlasting(command)
        return paging.paged(command) if name in paging.PAGED else command

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """What a shell may put in, without importing all commands for that."""
        names = [CompletionItem(name, help=_(COMMANDS[name])) for name in COMMANDS if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, context, incomplete)]

    def invoke(self, context: click.Context) -> Any:
        try:
            try:
                return super().invoke(context)
            except BrokenPipeError:  # whoever reads has seen enough
                return None
            finally:
                _flush()
        except OSError as error:
            _discard_output()
            about = error.filename or _("standard output: cannot write")
            raise UsageError(_("{path}: {reason}").format(path=about, reason=reason(error))) from None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(about)) for name, about in COMMANDS.items()])


@click.group(
    cls=LazyGroup, epilog=f"{_EXAMPLES}\n{_STATUSES}", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="tcpflow-view", prog_name="tcpflow-view", message="%(prog)s %(version)s")
def tcpflow_view() -> None:
    """See the life of every TCP connection in a capture: handshake, data, teardown, both ends' states, why it ended."""


def _told(command: click.Command) -> click.Command:
    """The command in the language chosen, with the options that all commands have."""
    told = spoken(command)
    told.params.append(paging.option())
    return told


@contextmanager
def _without_blas_threads() -> Iterator[None]:
    """While NumPy is imported: nothing here needs linear algebra, and OpenBLAS's waiting threads take a processor."""
    given = os.environ.get(_BLAS_THREADS)
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        if given is None:
            del os.environ[_BLAS_THREADS]
        else:
            os.environ[_BLAS_THREADS] = given


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # nothing must try again to write what is left
        _discard_output()


def _discard_output() -> None:
    """Let nothing try again to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _settings(arguments: Sequence[str]) -> settings.Settings:
    """The user's settings. What they are not needed for goes on without, where they cannot be read."""
    try:
        return settings.read(COMMANDS)
    except UsageError as error:
        if not {"-h", "--help", "--version", "completion"} & set(arguments):
            raise
        told = _("warning: {damage}").format(damage=visible(str(error)))
        click.echo(f"tcpflow-view: {told}", err=True)
        return settings.Settings()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status. No traceback ever reaches a user."""
    let_click_speak()
    is_completing = bool(os.environ.get(completing.VARIABLE))
    try:
        hear_the_locale()
        given = list(sys.argv[1:] if arguments is None else arguments)
        found = settings.Settings() if is_completing else _settings(given)
        words = choose(given, found.lang)
        if sys.stdout is None:  # it was closed before we were started
            raise UsageError(_("standard output is closed"))
        status = _told(tcpflow_view).main(words, prog_name="tcpflow-view", standalone_mode=False, obj=found)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = 2
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "tcpflow-view"
        told = _("{message} (see {command})").format(message=visible(error.format_message()), command=f"{asked} --help")
        click.echo(f"tcpflow-view: {told}", err=True)
        status = 2
    except (AnalyzerError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"tcpflow-view: {visible(message)}", err=True)
        status = 2
    except (KeyboardInterrupt, click.Abort):
        status = 130
    except MemoryError:
        told = _("not enough memory for this capture")
        click.echo(f"tcpflow-view: {told}", err=True)
        status = 2
    except OSError as error:  # of --help and --version; the commands' own are told where they come
        with suppress(OSError, ValueError):
            told = _("{path}: {reason}").format(path=_("standard output: cannot write"), reason=reason(error))
            click.echo(f"tcpflow-view: {told}", err=True)
        _discard_output()
        status = 2
    except Exception as error:
        if os.environ.get("TCPFLOW_VIEW_TRACEBACK"):
            raise
        about = f"{type(error).__name__}: {error}"
        told = _("internal error: {error} (TCPFLOW_VIEW_TRACEBACK=1 shows where)").format(error=visible(about))
        click.echo(f"tcpflow-view: {told}", err=True)
        status = 2
    sys.exit(status)
