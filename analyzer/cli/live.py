"""``tcpflow-view live``: connections while their packets arrive.

Packets go batch by batch through the same functions as those of a file. Elsewhere than on a terminal each is a line at
once; on a terminal the lines scroll as far as an eye can follow, above a table of what lives. At the end stands what
``read`` would print.
"""

from __future__ import annotations

import io
import math
import os
import pwd
import signal
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Any, Self

import click

from analyzer.capture import live
from analyzer.capture.live import LiveCapture, interfaces
from analyzer.capture.saving import CaptureWriter
from analyzer.cli.owners import Owners
from analyzer.cli.shown import Lines, Shown, Terminal
from analyzer.cli.summary import FEW_CONNECTIONS, quality_of, write_summary
from analyzer.errors import AnalyzerError, UsageError
from analyzer.explain.kernel_states import KernelStates
from analyzer.pipeline import Lives, Run
from analyzer.render.quantities import counted
from analyzer.render.screen import PIPE_WIDTH, Screen, screen_of
from analyzer.render.tcpdump.names import Names
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.render.untrusted import visible
from analyzer.render.words import SIDES, STATES
from analyzer.tables import Frames, Life

_EXAMPLES = """\b
Examples:
  tcpflow-view live -i lo port 1235
  tcpflow-view live -i any tcp and not port 22
  tcpflow-view live -i eth0 -w capture.pcapng --duration 60 host 192.0.2.1
  tcpflow-view live -i eth0 -w ring.pcap --rotate-size 100 --rotate-files 10
  tcpflow-view live -i lo --count 10 port 1235 | grep teardown
"""

_MOST_OF_A_LIFE = 1_000
"""Packets kept of each of the first connections, to tell their lives at the end."""

_ADVICE = "-w FILE saves them all for read, a filter leaves fewer"

_MIB = 1 << 20
_MB = 1_000_000
_SECOND_NS = 1_000_000_000


@click.command("live", epilog=_EXAMPLES)
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option("-i", "--interface", metavar="IFACE", help="Where to listen: an interface, or any for all of them.")
@click.option(
    "-s",
    "--snaplen",
    type=click.IntRange(min=0),
    default=0,
    metavar="OCTETS",
    help="Octets kept of each packet; 0 all.",
)
@click.option(
    "-B", "--buffer", "buffer_mib", type=click.IntRange(1, 4_096), default=64, show_default=True, metavar="MIB",
    help="Room for packets that wait to be analysed.",
)  # fmt: skip
@click.option("-w", "--write", "saved_to", metavar="FILE", help="Save the packets too: pcapng by its name, else pcap.")
@click.option("--rotate-size", type=click.FloatRange(min=0, min_open=True), metavar="MB", help="Begin a new file then.")
@click.option(
    "--rotate-time", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Begin a new file then."
)
@click.option("--rotate-files", type=click.IntRange(min=1), metavar="N", help="Keep the latest N files.")
@click.option("-c", "--count", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="End after so many seconds."
)
@click.option("--user", metavar="NAME", help="Be this user once the interface is open; only its programs are named.")
@click.option("--check-kernel", is_flag=True, help="Compare the states with those of this machine's own sockets.")
@click.option("--hosts", metavar="PATH", help="Names of addresses, a file like /etc/hosts.")
@click.option("--services", metavar="PATH", help="Names of ports, a file like /etc/services.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
    help="Colour; auto means on a terminal, unless NO_COLOR is set.",
)  # fmt: skip
@click.pass_context
def command(
    context: click.Context, /, filter_words: tuple[str, ...], interface: str | None, snaplen: int, buffer_mib: int,
    saved_to: str | None, rotate_size: float | None, rotate_time: float | None, rotate_files: int | None,
    count: int | None, duration: float | None, user: str | None, check_kernel: bool, hosts: str | None,
    services: str | None, color: str,
) -> None:  # fmt: skip
    """Watch connections live and die: each packet as it arrives, and at the end what read would show.

    FILTER is a pcap filter. Ctrl-C ends it, and so does q on a terminal.
    """
    if interface is None:
        known = ", ".join(one.name for one in interfaces())
        raise UsageError(f"live: name an interface with -i: {visible(known)}")
    if saved_to is None and (rotate_size or rotate_time):
        raise UsageError("live: --rotate-size and --rotate-time need a file: -w FILE")
    if rotate_files and not rotate_size and not rotate_time:
        raise UsageError("live: --rotate-files needs --rotate-size or --rotate-time")
    if saved_to == "-":
        raise UsageError("live: -w needs the name of a file")
    screen = screen_of(color)
    expression = " ".join(filter_words)
    names = Names(hosts, services) if hosts or services else None
    printer = TcpdumpPrinter(TcpdumpOptions(numeric=int(names is None)), names)
    with ExitStack() as stack:
        capture = stack.enter_context(
            LiveCapture(
                interface, expression, snaplen=snaplen or sys.maxsize, buffer_bytes=buffer_mib * _MIB,
                rehearsal=__name__,
            )
        )  # fmt: skip
        if user:
            _become(user)
        saver = None
        if saved_to:
            saver = CaptureWriter(
                saved_to, capture.linktype, capture.interfaces[0].snaplen, interface=interface,
                rotate_bytes=int((rotate_size or 0) * _MB), rotate_ns=int((rotate_time or 0) * _SECOND_NS),
                keep_files=rotate_files or 0,
            )  # fmt: skip
            stack.enter_context(saver)
        run = Run(capture)
        owners = stack.enter_context(Owners())
        shown: Shown
        if screen.terminal and os.environ.get("TERM", "dumb") != "dumb":
            shown = Terminal(printer, color, expression, saved_to or "", owners)
        else:
            shown = Lines(Timeline(screen, printer))
            click.echo(f"tcpflow-view: listening on {visible(interface)}", err=True)
        lives = Lives(range(1, FEW_CONNECTIONS + 1), _MOST_OF_A_LIFE)
        kernel = KernelStates(owners.is_here) if check_kernel else None
        with Stopping(capture) as stopping, shown:
            trouble = _follow(run, capture, stopping, saver, shown, owners, kernel, lives, count, duration)
    screen = screen_of(color)
    _summarise(run, capture, lives.found() if run.count <= FEW_CONNECTIONS else {}, owners, screen)
    if saver:
        screen.write([f" {_saved(saver, has_latest_only=rotate_files is not None)}"])
    if kernel:
        screen.write(_agreement(kernel))
    if trouble or capture.ended:
        click.echo(f"tcpflow-view: warning: {visible(trouble or f'{interface}: {capture.ended}')}", err=True)
        context.exit(1)


def _follow(
    run: Run, capture: LiveCapture, stopping: Stopping, saver: CaptureWriter | None, shown: Shown, owners: Owners,
    kernel: KernelStates | None, lives: Lives, count: int | None, duration: float | None,
) -> str:  # fmt: skip
    """Take packets until the end; gives what went wrong with saving them, empty when nothing did."""
    deadline = time.monotonic() + duration if duration else math.inf
    while True:
        was_stopped = stopping.is_stopped
        patience_s = min(shown.patience_s, owners.patience_s, kernel.patience_s if kernel else math.inf)
        frames = capture.poll(max(min(patience_s, deadline - time.monotonic()), 0))
        if frames is not None:
            if count is not None:
                frames = _first(frames, count - run.packets)
            if saver:
                try:
                    saver.write(frames)
                except AnalyzerError as error:
                    return str(error)
            batch = run.take(frames)
            if run.count <= FEW_CONNECTIONS:
                lives.add(batch)
            shown.add(batch)
            if run.packets == count:
                return ""
        elif was_stopped or capture.ended:
            return ""
        owners.tick()
        if kernel:
            kernel.tick(run.connections[: run.count], run.endpoints[: run.count], time.time_ns())
        shown.tick(run, capture.dropped)
        if not was_stopped and (shown.wants_end() or time.monotonic() >= deadline):
            stopping.stop()


def _first(frames: Frames, count: int) -> Frames:
    """The first so many packets of a batch."""
    return Frames._make([frames.data, *(column[:count] for column in frames[1:])])


class Stopping:
    """Ends a capture at a signal, once what was captured is taken; a second Ctrl-C ends everything at once."""

    def __init__(self, capture: LiveCapture) -> None:
        self.is_stopped = False
        self._capture = capture
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stop(self) -> None:
        """End the capture."""
        self.is_stopped = True
        self._capture.stop()

    def _asked(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.stop()


def _become(name: str) -> None:
    """Give up root. Raises UsageError."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"--user {visible(name)}: no such user") from None
    try:
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except PermissionError:
        raise UsageError(f"--user {visible(name)}: only root can become another user") from None
    os.environ["HOME"] = user.pw_dir
    os.environ.pop("XDG_CACHE_HOME", None)


def _summarise(run: Run, capture: LiveCapture, lives: Mapping[int, Life], owners: Owners, screen: Screen) -> None:
    found = quality_of(run)._replace(all_packets=run.packets, lost=capture.dropped)
    if run.packets:
        screen.write([""])
    numbers = run.connections["number"][: run.count].tolist()
    write_summary(run, found, capture.path, numbers, lives, screen, advice=_ADVICE, remark=owners.sentence)


def _saved(saver: CaptureWriter, *, has_latest_only: bool) -> str:
    first, last = saver.paths[0], saver.paths[-1]
    where = str(first) if first == last else f"{first} … {last}"
    latest = ", the latest" if has_latest_only else ""
    return f"{counted(saver.packets, 'packet')} saved{latest} to {visible(where)}"


def _agreement(kernel: KernelStates) -> Iterator[str]:
    """How the states agree with Linux's."""
    if not kernel.states:
        yield " kernel: no state could be compared"
        return
    share = 100 * kernel.agreed / kernel.states
    yield (
        f" kernel: {counted(kernel.states, 'state')} compared at {counted(kernel.instants, 'instant')}, "
        f"{kernel.states - kernel.agreed:,} different ({share:.2f} % agree)"
    )
    for one in kernel.differences.values():
        yield (
            f"  connection {one.connection}, {SIDES[one.side].text}, after packet {one.packet}: "
            f"{STATES[one.inferred].text} here, {STATES[one.linux].text} in the kernel"
        )


def rehearse() -> None:
    """Call every kernel that packets may go through, as capture/ahead.py wants it: text, which may wait, last."""
    timeline = Timeline(Screen(PIPE_WIDTH), TcpdumpPrinter(TcpdumpOptions(numeric=1)))
    frames = live.rehearse()
    with Run(io.BytesIO(_datagrams())) as run:
        for batch in [run.take(frames), *run]:
            timeline.render(batch)


def _datagrams() -> bytes:
    """A capture with more conversations than the tables have room for at first."""
    frame = bytearray(12) + struct.pack("!HBBHHHBBH8xHHHH", 0x0800, 0x45, 0, 28, 0, 0, 64, 17, 0, 0, 9, 8, 0)
    octets = bytearray(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
    for port in range(1, 600):
        struct.pack_into("!H", frame, 34, port)
        octets += struct.pack("<4I", 0, 0, len(frame), len(frame)) + frame
    return bytes(octets)
