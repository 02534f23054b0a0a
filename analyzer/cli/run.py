"""``tcpflow-view run``: a program under strace, with its socket calls and its packets while they happen.

The program has standard input, output and error, and its exit status is ours. What we show goes to standard error, or
where ``-o`` says. Packets are captured meanwhile; those of the program are known by the ends of its sockets.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from functools import partial
from typing import TextIO

import click

from analyzer.api.story import quality_of
from analyzer.capture.live import LiveCapture, allowing, lacking
from analyzer.capture.saving import CaptureWriter
from analyzer.cli import colors, straced
from analyzer.cli.running import Running
from analyzer.cli.signals import Signals
from analyzer.cli.strace_process import Strace, checked
from analyzer.cli.straced import Straced
from analyzer.cli.summary import FEW_CONNECTIONS, write_summary
from analyzer.cli.waits import held_at_the_end
from analyzer.errors import CaptureOpenError, UsageError
from analyzer.explain.binding import Held
from analyzer.explain.processes import called
from analyzer.language import _, counted, reason
from analyzer.pipeline import lives, survey
from analyzer.render.quantities import counted as packets
from analyzer.render.screen import Screen, screen_of
from analyzer.render.untrusted import visible

_EXAMPLES = """\b
Examples:
  tcpflow-view run --port 1235 -- php server.php
  tcpflow-view run -- python client.py
  tcpflow-view run -o calls.txt -w capture.pcap --strace-log calls.log -- php server.php
  sudo tcpflow-view run --user "$USER" -- ./server
  tcpflow-view run -i any -- curl -s http://192.0.2.1/
"""

_DRAIN_S = 0.3
"""What the kernel still sends once the program has ended is captured for so long."""


@click.command("run", epilog=_EXAMPLES, context_settings={"ignore_unknown_options": True})
@click.argument("program", metavar="PROGRAM [ARGUMENT]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-i", "--interface", default="lo", show_default=True, metavar="IFACE", help="Where to capture, or any.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), metavar="PORT",
    help="Capture this port alone. Without it TCP and UDP are captured, and what is the program's is shown.",
)  # fmt: skip
@click.option("--user", metavar="NAME", help="Run the program as this user; for root, as by sudo.")
@click.option("-w", "--write", "saved_to", metavar="FILE", help="Save the packets: pcapng by its name, else pcap.")
@click.option("--strace-log", "log_path", metavar="FILE", help="Keep strace's log, for read --strace.")
@click.option("-o", "--output", metavar="PATH", help="Where we write: a file, or another terminal. [default: stderr]")
@click.option("--summary", "only_summary", is_flag=True, help="Show nothing before the program has ended.")
@click.option("--all", "whole", is_flag=True, help="Every row, packet and call in the summary.")
@colors.option
@click.pass_context
def command(
    context: click.Context, program: tuple[str, ...], interface: str, port: int | None, user: str | None,
    saved_to: str | None, log_path: str | None, output: str | None, only_summary: bool, whole: bool, color: str,
) -> None:  # fmt: skip
    """Run a program, and show its socket calls beside its packets: while they happen, then as read does.

    The program has our standard input, output and error, and gets Ctrl-C; its exit status is ours. We write to standard
    error. Write -- before the program.
    """
    checked(program)
    if lacking():
        raise CaptureOpenError(_advice(program, interface, port))
    with ExitStack() as stack:
        out = _opened(stack, output)
        screen = screen_of(color, out)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tcpflow-view-"))
        packets_path = saved_to or os.path.join(folder, "capture.pcap")
        log_path = log_path or os.path.join(folder, "strace.log")
        expression = " ".join(("port", str(port))) if port else "tcp || udp"
        capture = stack.enter_context(LiveCapture(interface, expression, rehearsal="analyzer.cli.live"))
        with (
            CaptureWriter(packets_path, capture.linktype, capture.interfaces[0].snaplen, interface=interface) as saver,
            Strace(program, log_path, user) as strace,
        ):
            running = Running(capture, strace, saver, screen, out, is_all_its=port is not None, is_quiet=only_summary)
            with Signals(partial(_passed_on, strace)):
                _follow(running, capture, strace)
        lost = capture.dropped
        capture.close()
        with redirect_stdout(out):
            _write_summary(packets_path, log_path, program, screen, strace.status, lost, port, whole, running.held)
        if running.trouble:
            told = _("warning: {damage}").format(damage=visible(running.trouble))
            click.echo(f"tcpflow-view: {told}", err=True)
        context.exit(strace.status)


def _advice(program: Sequence[str], interface: str, port: int | None) -> str:
    """What to do without the right to capture."""
    found = shutil.which("tcpflow-view")
    command = [found] if found else [sys.executable, "-m", "analyzer"]
    options = ["--user", getpass.getuser(), "-i", interface, *(["--port", str(port)] if port else [])]
    again = shlex.join(["sudo", *command, "run", *options, "--", *program])
    return _(
        "run: no permission to capture. Run it as root and the program as yourself: {again} — or allow this Python to "
        "capture, once and for all: {allowing}"
    ).format(again=visible(again), allowing=allowing())


def _opened(stack: ExitStack, output: str | None) -> TextIO:
    """Where to write."""
    if output is None:
        return sys.stderr
    try:
        return stack.enter_context(open(output, "w", encoding="utf-8", buffering=1))
    except OSError as error:
        raise UsageError(_("-o {path}: {reason}").format(path=visible(output), reason=reason(error))) from None


def _passed_on(strace: Strace, number: int) -> None:
    """Pass a signal on; a terminal's Ctrl-C comes to the program by itself."""
    if number != signal.SIGINT or not sys.stdin.isatty():
        strace.signal(number)


def _follow(running: Running, capture: LiveCapture, strace: Strace) -> None:
    """Take packets and calls until the program has ended, and what comes right after."""
    deadline = None
    while deadline is None or time.monotonic() < deadline:
        if deadline is None and strace.has_ended():
            deadline = time.monotonic() + _DRAIN_S
        frames = capture.poll(running.patience_s)
        running.take(frames)
    capture.stop()
    while (frames := capture.poll(0)) is not None:
        running.take(frames)
    running.finish()


def _write_summary(
    packets_path: str, log_path: str, program: Sequence[str], screen: Screen, status: int, lost: int, port: int | None,
    whole: bool, held: Mapping[int, Held],
) -> None:  # fmt: skip
    """What read would print of the program's connections. ``held``: who had a port when bind() failed, by its line."""
    logs = [one._replace(path=_("strace's log")) for one in straced.read_logs([log_path])]
    run = survey(packets_path)
    rows = run.connections[: run.count]
    watched = Straced(logs, rows, run.endpoints[: run.count], has_one_clock=True, held=held)
    numbers = watched.seen.numbers if port is None else rows["number"].tolist()
    told = numbers if whole else numbers[:FEW_CONNECTIONS]
    found = lives(packets_path, "", told) if told else {}
    watched.tie(found)
    name = " ".join(program)
    heading = called(list(program)) or name
    quality = quality_of(run, "")._replace(lost=lost)
    screen.write([""])
    if numbers:
        write_summary(
            run, quality, heading, numbers, {number: found[number] for number in told}, screen, whole=whole,
            calls=watched.calls, beneath=partial(watched.beneath, screen=screen, whole=whole),
            settled=watched.settled, notices=watched.notices(screen),
        )  # fmt: skip
    else:
        captured = packets(run.packets if port else 0, "packet")
        screen.write([f"{visible(heading)} · {captured}", *watched.notices(screen), ""])
    if hidden := len(numbers) - len(told):
        text = counted(
            "{n} more connection is not told; --all tells it",
            "{n} more connections are not told; --all tells them",
            hidden,
        )
        screen.write([f" {text.format(n=f'{hidden:,}')}", ""])
    screen.write(watched.apart(screen, whole=whole))
    screen.write(watched.sentences(screen))
    screen.write(held_at_the_end(run, numbers, screen, watched.seen.reuse()))
    text = _(" {program}: exit status {status}")
    screen.write([text.format(program=visible(name), status=status)])
    if watched.seen.elsewhere:
        text = counted(
            "{n} read, write or close of a file, a pipe or a terminal is not shown.",
            "{n} reads, writes and closes of files, pipes and terminals are not shown.", watched.seen.elsewhere,
        )  # fmt: skip
        screen.write([f" {text.format(n=f'{watched.seen.elsewhere:,}')}"])
