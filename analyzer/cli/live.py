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
import struct
import sys
import time
from contextlib import ExitStack
from tempfile import TemporaryDirectory

import click

from analyzer.api.servers import servers_named
from analyzer.capture import live
from analyzer.capture.live import LiveCapture, interfaces
from analyzer.capture.saving import CaptureWriter
from analyzer.cli import colors, servers
from analyzer.cli.destination import destination
from analyzer.cli.owners import Owners
from analyzer.cli.shown import Lines, Shown, Terminal, can_pin
from analyzer.cli.signals import Signals
from analyzer.cli.waits import Waits
from analyzer.cli.watch import Watch
from analyzer.errors import UsageError
from analyzer.explain.departed import Departed
from analyzer.explain.kernel_states import KernelStates
from analyzer.language import _
from analyzer.pipeline import Run
from analyzer.render.screen import PIPE_WIDTH, Screen, screen_of
from analyzer.render.tcpdump.names import Names
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.render.untrusted import visible
from analyzer.tables import Rows, frames_at

_EXAMPLES = """\b
Examples:
  tcpflow-view live -i lo port 1235
  tcpflow-view live -i any tcp and not port 22
  tcpflow-view live -i eth0 -w capture.pcapng --duration 60 host 192.0.2.1
  tcpflow-view live -i eth0 -w ring.pcap --rotate-size 100 --rotate-files 10
  tcpflow-view live -i lo --duration 30 --report report.html
  tcpflow-view live -i lo --count 10 port 1235 | grep teardown
"""

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
    "-B", "--buffer", "buffer_mib", type=click.IntRange(1, 4_096), metavar="MIB",
    help="Room for packets that wait to be analysed; 256, or less where memory is short.",
)  # fmt: skip
@click.option("-w", "--write", "saved_to", metavar="FILE", help="Save the packets too: pcapng by its name, else pcap.")
@click.option("--report", metavar="FILE", help="At the end, write the page that the command report writes.")
@click.option("--rotate-size", type=click.FloatRange(min=0, min_open=True), metavar="MB", help="Begin a new file then.")
@click.option(
    "--rotate-time", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Begin a new file then."
)
@click.option("--rotate-files", type=click.IntRange(min=1), metavar="N", help="Keep the latest N files.")
@click.option("-c", "--count", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="End after so many seconds."
)
@servers.option
@click.option(
    "--max-connections", type=click.IntRange(min=1), default=100_000, show_default=True, metavar="N",
    help="Where there are more, let those go that ended, or were silent for the longest time.",
)  # fmt: skip
@click.option("--user", metavar="NAME", help="Be this user once the interface is open; only its programs are named.")
@click.option("--check-kernel", is_flag=True, help="Compare the states with those of this machine's own sockets.")
@click.option("--hosts", metavar="PATH", help="Names of addresses, a file like /etc/hosts.")
@click.option("--services", metavar="PATH", help="Names of ports, a file like /etc/services.")
@colors.option
@click.pass_context
def command(
    context: click.Context, /, filter_words: tuple[str, ...], interface: str | None, snaplen: int,
    buffer_mib: int | None, saved_to: str | None, report: str | None, rotate_size: float | None,
    rotate_time: float | None, rotate_files: int | None, count: int | None, duration: float | None,
    max_connections: int, server_ends: tuple[str, ...], user: str | None, check_kernel: bool, hosts: str | None,
    services: str | None, color: str,
) -> None:  # fmt: skip
    """Watch connections live and die: each packet as it arrives, and at the end what read would show.

    FILTER is a pcap filter. Ctrl-C ends it, and so does q on a terminal.
    """
    if interface is None:
        known = ", ".join(one.name for one in interfaces())
        raise UsageError(_("live: name an interface with -i: {interfaces}").format(interfaces=visible(known)))
    if saved_to is None and (rotate_size or rotate_time):
        raise UsageError(_("live: --rotate-size and --rotate-time need a file: -w FILE"))
    if rotate_files and not rotate_size and not rotate_time:
        raise UsageError(_("live: --rotate-files needs --rotate-size or --rotate-time"))
    if saved_to == "-":
        raise UsageError(_("live: -w needs the name of a file"))
    if report and (rotate_size or rotate_time):
        raise UsageError(_("live: --report needs all packets: it does not go with --rotate-size and --rotate-time"))
    if report:
        with destination(report, "", "--report"):  # whether it can be written is known before, not after
            pass
    screen = screen_of(color)
    expression = " ".join(filter_words)
    known_servers = servers_named(server_ends, expression)
    names = Names(hosts, services) if hosts or services else None
    printer = TcpdumpPrinter(TcpdumpOptions(numeric=int(names is None)), names, most_kept=max_connections)
    with ExitStack() as aside, ExitStack() as stack:
        capture = stack.enter_context(
            LiveCapture(
                interface, expression, snaplen=snaplen or sys.maxsize, buffer_bytes=(buffer_mib or 0) * _MIB,
                rehearsal=__name__,
            )
        )  # fmt: skip
        if user:
            _become(user)
        saver = None
        path = saved_to
        if report and not saved_to:
            path = os.path.join(aside.enter_context(TemporaryDirectory()), "live.pcapng")
        if path:
            saver = CaptureWriter(
                path, capture.linktype, capture.interfaces[0].snaplen, interface=interface,
                rotate_bytes=int((rotate_size or 0) * _MB), rotate_ns=int((rotate_time or 0) * _SECOND_NS),
                keep_files=rotate_files or 0,
            )  # fmt: skip
            stack.enter_context(saver)
        owners = stack.enter_context(Owners())
        shown: Shown
        if can_pin(screen):
            shown = Terminal(printer, color, expression, saved_to or "", owners.of, finding=Waits(owners).finding)
        else:
            shown = Lines(Timeline(screen, printer))
            told = _("listening on {interface}").format(interface=visible(interface))
            click.echo(f"tcpflow-view: {told}", err=True)
        kernel = KernelStates(owners.is_here) if check_kernel else None
        watch = Watch(
            capture, expression, shown, owners, saver, kernel, known_servers, max_connections, is_kept=bool(saved_to)
        )
        with shown:
            _follow(watch, capture, shown, count, duration)
        stack.close()
        watch.write_summary(screen_of(color))
        if report and path:
            _write_report(path, interface, known_servers, report)
    if watch.trouble or capture.ended:
        trouble = visible(watch.trouble or f"{interface}: {capture.ended}")
        told = _("warning: {damage}").format(damage=trouble)
        click.echo(f"tcpflow-view: {told}", err=True)
        context.exit(1)


def _write_report(path: str, interface: str, known_servers: Rows, report: str) -> None:
    """Write the page about the packets that were saved."""
    from analyzer.cli.report import EVERYTHING, write_report

    write_report(path, interface, "", known_servers, report, EVERYTHING)
    told = _("the page is written to {path}").format(path=visible(report))
    click.echo(f" {told}")


def _follow(watch: Watch, capture: LiveCapture, shown: Shown, count: int | None, duration: float | None) -> None:
    """Take packets until the end. What was captured when somebody asked for it is taken still."""
    deadline = time.monotonic() + duration if duration else math.inf
    is_stopped = False

    def stop(number: int = 0) -> None:
        nonlocal is_stopped
        is_stopped = True
        capture.stop()

    with Signals(stop):
        while True:
            was_stopped = is_stopped
            frames = capture.poll(max(min(watch.patience_s, deadline - time.monotonic()), 0))
            if frames is not None:
                watch.take(frames if count is None else frames_at(frames, slice(count - watch.packets)))
            if watch.trouble or watch.packets == count or (frames is None and (was_stopped or capture.ended)):
                return
            watch.tick(is_drained=frames is None)
            if not is_stopped and (shown.wants_end() or time.monotonic() >= deadline):
                stop()


def _become(name: str) -> None:
    """Give up root. Raises UsageError."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(_("--user {name}: no such user").format(name=visible(name))) from None
    try:
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except PermissionError:
        told = _("--user {name}: only root can become another user")
        raise UsageError(told.format(name=visible(name))) from None
    os.environ["HOME"] = user.pw_dir
    os.environ.pop("XDG_CACHE_HOME", None)


def rehearse() -> None:
    """Call every kernel that packets may go through, as capture/ahead.py wants it: text, which may wait, last."""
    timeline = Timeline(Screen(PIPE_WIDTH), TcpdumpPrinter(TcpdumpOptions(numeric=1)))
    frames = live.rehearse()
    with Run(io.BytesIO(_datagrams()), judges=True) as run:
        batches = [run.take(frames), *run]
        gone = run.make_room(1)
        assert gone is not None
        Departed().add(*gone)
        for batch in batches:
            timeline.render(batch)


def _datagrams() -> bytes:
    """A capture with more conversations than the tables have room for at first."""
    frame = bytearray(12) + struct.pack("!HBBHHHBBH8xHHHH", 0x0800, 0x45, 0, 28, 0, 0, 64, 17, 0, 0, 9, 8, 0)
    octets = bytearray(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
    for port in range(1, 600):
        struct.pack_into("!H", frame, 34, port)
        octets += struct.pack("<4I", 0, 0, len(frame), len(frame)) + frame
    return bytes(octets)
