"""``tcpflow-view follow``: what the two sides of a connection say to each other, as text or octet for octet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import BinaryIO, Protocol

import click
import numpy as np

from analyzer.api.servers import servers_named
from analyzer.cli import colors, servers
from analyzer.cli.aside import Aside
from analyzer.cli.choice import check_numbers, ranges_of
from analyzer.cli.destination import destination
from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.errors import UsageError
from analyzer.language import _
from analyzer.pipeline import Run, Streams
from analyzer.render.follow import Hex, Messages, Text, View, notice
from analyzer.render.quantities import counted
from analyzer.render.screen import PIPE_WIDTH, Screen, screen_of
from analyzer.render.untrusted import visible
from analyzer.render.words import SIDES
from analyzer.streams import Gap, Piece, StreamItem
from analyzer.tables import Protocol as IpProtocol
from analyzer.tables import Rows, Side

_EXAMPLES = """\b
Examples:
  tcpflow-view follow capture.pcap
  tcpflow-view follow capture.pcap -c 3 --messages
  tcpflow-view follow capture.pcapng.gz -c 1,4-7 --hex port 80
  tcpflow-view follow capture.pcap -c 3 --raw server -o response
  tcpflow-view follow capture.pcap -c 3 --raw client | xxd | head
  tcpdump -U -w - -i lo port 1235 | tcpflow-view follow - -c 1
"""


@click.command("follow", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option(
    "-c", "--connection", "chosen", metavar="N",
    help="These connections, by their numbers: 3, or 1,4-7. Not needed where there is one TCP connection.",
)  # fmt: skip
@click.option("--messages", is_flag=True, help="A row a segment: where each write() probably ended.")
@click.option("--hex", "in_hex", is_flag=True, help="Offset, hexadecimal and ASCII.")
@click.option(
    "--raw", type=click.Choice([side.name.lower() for side in Side]),
    help="The bytes that this side sent and nothing else. What is missing is told on standard error, and left out.",
)  # fmt: skip
@click.option("--zeros", is_flag=True, help="With --raw: zeros for what is missing, so that all else keeps its offset.")
@click.option("-o", "--output", metavar="PATH", help="Write to a file; - is standard output, also for --raw.")
@servers.option
@colors.option
@click.pass_context
def command(
    context: click.Context, file: str, filter_words: tuple[str, ...], chosen: str | None, messages: bool, in_hex: bool,
    raw: str | None, zeros: bool, output: str | None, server_ends: tuple[str, ...], color: str,
) -> None:  # fmt: skip
    """Show what the two sides of a connection say: their payload in order, each byte once.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter. Connections have
    the numbers that read gives them with the same FILTER.

    Text is shown as UTF-8 where it is such; control characters and other bytes are written as \\x1b. Bytes that are
    missing in the capture, and packets that bring other bytes for the same place than one before, are marked.
    """
    if messages + in_hex + (raw is not None) > 1:
        raise UsageError(_("--messages, --hex and --raw: choose one of them"))
    if zeros and not raw:
        raise UsageError(_("--zeros goes with --raw"))
    expression = " ".join(filter_words)
    known = servers_named(server_ends, expression)
    to_file = output not in (None, "-")
    with ExitStack() as stack:
        run = stack.enter_context(Run(file, expression, known))
        out = stack.enter_context(destination(output if to_file else None, file))
        if raw and output is None and is_terminal(out):
            raise UsageError(_("--raw {side}: -o FILE says where to, -o - to the terminal").format(side=raw))
        if raw:
            kind: Kind = partial(Raw, Side[raw.upper()], zeros)
        else:
            screen = Screen(PIPE_WIDTH, color == "always") if to_file else screen_of(color)
            kind = partial(Shown, Messages if messages else Hex if in_hex else Text, screen)
        progress = stack.enter_context(ReadingProgress(_("following")))
        tick = (lambda run: None) if out.isatty() else progress.tick
        if chosen is None:
            follow_only(run, kind, out, tick)
        else:
            follow_chosen(run, chosen, kind, out, tick)
    end(context, run.capture)


def is_terminal(out: BinaryIO) -> bool:
    """Whether a person would see what is written."""
    return out.isatty()


class Conversation(Protocol):
    """What is written of one connection."""

    def begin(self) -> Iterable[bytes]: ...

    def add(self, item: StreamItem) -> Iterable[bytes]: ...

    def end(self) -> Iterable[bytes]: ...


Kind = Callable[[Rows, Rows], Conversation]
"""Makes one from a CONNECTION row and its two ENDPOINT rows."""


class Shown:
    """As text for people."""

    def __init__(self, kind: type[View], screen: Screen, connection: Rows, endpoints: Rows) -> None:
        self._view = kind(connection, endpoints, screen)

    def begin(self) -> Iterable[bytes]:
        yield self._view.begin().encode()

    def add(self, item: StreamItem) -> Iterable[bytes]:
        yield self._view.add(item).encode()

    def end(self) -> Iterable[bytes]:
        yield self._view.end().encode()


class Raw:
    """One side's octets and nothing else; what is wrong with them is told on standard error."""

    def __init__(self, side: Side, zeros: bool, connection: Rows, endpoints: Rows) -> None:
        self._side, self._zeros = side, zeros
        self._number = int(connection["number"])

    def begin(self) -> Iterable[bytes]:
        return ()

    def add(self, item: StreamItem) -> Iterable[bytes]:
        if item.side != self._side:
            return
        missing = 0
        if isinstance(item, Piece):
            yield item.octets
            missing = item.length - len(item.octets)
        elif isinstance(item, Gap):
            missing = item.length
        if said := notice(item):
            about = _("connection {number}, {side}: {notice}")
            byte = 0
            if isinstance(item, Piece | Gap):
                about = _("connection {number}, {side}, byte {byte}: {notice}")
                byte = item.offset + item.length - missing
            if missing and self._zeros:
                said = _("{notice}, zeros instead").format(notice=said)
            side = SIDES[self._side].text
            told = about.format(number=self._number, side=side, byte=f"{byte:,}", notice=said)
            click.echo(f"tcpflow-view: {told}", err=True)
        for at in range(0, missing if self._zeros else 0, len(_ZEROS)):
            yield _ZEROS[: missing - at]

    def end(self) -> Iterable[bytes]:
        return ()


def follow_chosen(run: Run, chosen: str, kind: Kind, out: BinaryIO, tick: Callable[[Run], None]) -> None:
    """Write the connections that ``-c`` names, one after the other; the first as it comes."""
    ranges = ranges_of(chosen)
    with Aside() as aside:
        first = min(part_of[0] for part_of in ranges)
        written = _Written(run, kind, lambda number: out.write if number == first else partial(aside.write, number))
        streams = Streams(run, ranges)
        for batch in run:
            written.add(streams.add(batch))
            if run.capture.size is None:  # a pipe may be a slow one
                out.flush()
            tick(run)
        written.add(streams.finish())
        numbers = [number for number in range(1, run.count + 1) if any(number in part_of for part_of in ranges)]
        for number in numbers:
            written.end(number)
            aside.write_out(number, out)
    check_numbers(chosen, ranges, run.count)


def follow_only(run: Run, kind: Kind, out: BinaryIO, tick: Callable[[Run], None]) -> None:
    """Write the only TCP connection, or the only UDP conversation where there is none: known when all was read."""
    with Aside() as aside:
        written = _Written(run, kind, lambda number: partial(aside.write, number))
        streams = Streams(run)
        first = {IpProtocol.TCP: 0, IpProtocol.UDP: 0}
        seen = conversations = 0
        for batch in run:
            protocols = run.connections["protocol"][seen : run.count]
            for protocol in first:
                numbers = np.flatnonzero(protocols == protocol) + seen + 1
                if protocol == IpProtocol.UDP:
                    conversations += len(numbers)
                elif len(numbers) + (first[protocol] > 0) > 1:
                    raise _choose(run, _("more than one TCP connection"))
                if len(numbers) and not first[protocol]:
                    first[protocol] = int(numbers[0])
                    streams.wanted.append(range(first[protocol], first[protocol] + 1))
            seen = run.count
            written.add(streams.add(batch))
            tick(run)
        if not first[IpProtocol.TCP] and conversations > 1:
            what = _("no TCP connection, but {conversations}")
            raise _choose(run, what.format(conversations=counted(conversations, "UDP conversation")))
        number = first[IpProtocol.TCP] or first[IpProtocol.UDP]
        if not number:
            told = _("{path}: there is no connection to follow")
            raise UsageError(told.format(path=visible(run.capture.path)))
        written.add(streams.finish())
        written.end(number)
        aside.write_out(number, out)


def _choose(run: Run, what: str) -> UsageError:
    path = visible(run.capture.path)
    told = _("{path}: {what}; choose with -c N (tcpflow-view read shows the numbers)")
    return UsageError(told.format(path=path, what=what))


class _Written:
    """The conversations of a run while they are written; ``to`` gives the function that writes those of a number."""

    def __init__(self, run: Run, kind: Kind, to: Callable[[int], Callable[[bytes], object]]) -> None:
        self._run, self._kind, self._to = run, kind, to
        self._known: dict[int, tuple[Conversation, Callable[[bytes], object]]] = {}

    def add(self, items: Iterable[tuple[int, StreamItem]]) -> None:
        """Write the next items, each with its connection's number."""
        for number, item in items:
            conversation, write = self._known.get(number) or self._begin(number)
            for octets in conversation.add(item):
                write(octets)

    def end(self, number: int) -> None:
        """Write the end of a connection, and its beginning where it said nothing."""
        conversation, write = self._known.get(number) or self._begin(number)
        for octets in conversation.end():
            write(octets)

    def _begin(self, number: int) -> tuple[Conversation, Callable[[bytes], object]]:
        conversation = self._kind(self._run.connections[number - 1], self._run.endpoints[number - 1])
        write = self._to(number)
        self._known[number] = conversation, write
        for octets in conversation.begin():
            write(octets)
        return conversation, write


_ZEROS = bytes(1 << 16)
