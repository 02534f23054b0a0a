"""``tcpflow-view read``: what a saved capture holds, the table of its connections, and their lives.

A pipe whose packets happen now shows them as they come, before that (piped.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from itertools import chain
from typing import BinaryIO

import click

from analyzer.api.servers import servers_named
from analyzer.api.story import quality_of
from analyzer.capture.kept import comes_once, empty
from analyzer.capture.source import open_octets
from analyzer.cli import colors, dissected, servers, straced
from analyzer.cli.choice import KEYS, KINDS, chosen
from analyzer.cli.destination import destination
from analyzer.cli.dissected import Dissection
from analyzer.cli.ending import end
from analyzer.cli.piped import survey_piped
from analyzer.cli.progress import ReadingProgress
from analyzer.cli.straced import Straced
from analyzer.cli.summary import FEW_CONNECTIONS, calls_on, no_calls, write_summary
from analyzer.cli.waits import held_at_the_end
from analyzer.errors import UsageError
from analyzer.explain.walk import walk
from analyzer.language import _, text
from analyzer.pipeline import Run, lives, survey
from analyzer.render.addresses import endpoint
from analyzer.render.screen import screen_of
from analyzer.render.state_svg import state_svg
from analyzer.render.table import ADVICE, ADVICE_CHOSEN
from analyzer.tables import Batch, Life, Protocol, Rows, Side, rows_of

_INVITATION = text("-c N shows the life of connection N, -c 1,4-7 of several.")

_EXAMPLES = """\b
Examples:
  tcpflow-view read capture.pcap
  tcpflow-view read capture.pcap port 1235
  tcpflow-view read capture.pcapng.gz -c 1,4-7 --all
  tcpflow-view read capture.pcap --only refused,reset,troubled
  tcpflow-view read capture.pcap --sort retransmitted
  tcpflow-view read capture.pcap -c 3 --states
  tcpflow-view read capture.pcap --strace server.log --strace client.log
  tcpflow-view read capture.pcap -c 3 --dissect --decode-as tcp.port==1235,http
  zcat capture.pcap.gz | tcpflow-view read -
  tcpdump -U -w - -i lo port 1235 | tcpflow-view read -
"""


@click.command("read", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option("-c", "--connection", "named", metavar="N", help="Only these connections, by their numbers: 3, or 1,4-7.")
@click.option("--only", metavar="KIND,…", help=f"Only connections of these kinds: {', '.join(KINDS)}.")
@click.option("--sort", type=click.Choice(KEYS), help="The connections with most of it first.")
@servers.option
@click.option(
    "--calls/--no-calls", "has_calls", default=None,
    help="The socket calls behind the packets. Without either: where there are 100 columns.",
)  # fmt: skip
@straced.option
@click.option("--all", "whole", is_flag=True, help="Every row of the table, every packet and remark of a connection.")
@click.option("--states", is_flag=True, help="Draw each side's way through the states of RFC 9293's figure 5.")
@click.option("--states-svg", metavar="FILE", help="Write that picture of one connection to FILE, as SVG.")
@dissected.options
@click.option("--dissect-fields", is_flag=True, help="The same with all fields of each message, as a tree.")
@colors.option
@click.pass_context
def command(
    context: click.Context, file: str, filter_words: tuple[str, ...], named: str | None, only: str | None,
    sort: str | None, server_ends: tuple[str, ...], has_calls: bool | None, strace_logs: tuple[str, ...],
    whole: bool, states: bool, states_svg: str | None, dissect: bool, decode_as: tuple[str, ...],
    dissect_fields: bool, color: str,
) -> None:  # fmt: skip
    """Show the connections of a capture: who closed them, and each packet with both ends' states.

    FILE is a pcap or pcapng file, compressed or not, or - for standard input. FILTER is a pcap filter. All
    connections are told when there are few, otherwise those chosen with -c.

    Packets that come through a pipe while they happen, as from tcpdump -U -w -, are shown as they come.
    """
    expression = " ".join(filter_words)
    known = servers_named(server_ends, expression)
    logs = straced.read_logs(strace_logs)
    dissect = dissect or dissect_fields
    dissected.check(dissect=dissect, decode_as=decode_as)
    with ExitStack() as stack:
        dissection = None
        if dissect:
            dissection = Dissection(decode_as, has_fields=dissect_fields, whole=whole)
            stack.enter_context(dissection)
        source, first = stack.enter_context(_opened(file)), 0
        if isinstance(source, str) or source.seekable():
            if not isinstance(source, str):
                first = source.tell()
            with ReadingProgress() as progress:
                run = survey(source, expression, known, on_batch=progress.tick)
        else:
            name = _("standard input") if file == "-" else file
            pipe, source = source, stack.enter_context(empty(name))
            run = survey_piped(pipe, source, expression, known, color)
        screen = screen_of(color)
        numbers = chosen(run.connections[: run.count], run.endpoints[: run.count], named, only, sort)
        told = numbers if named is not None or len(numbers) <= FEW_CONNECTIONS else ()
        watched = Straced(logs, run.connections[: run.count], run.endpoints[: run.count]) if logs else None
        if watched and not told and len(watched.seen.numbers) <= FEW_CONNECTIONS:
            told = [number for number in numbers if number in watched.seen.numbers]
        if states_svg is not None:
            _check_one(run, told)
        if not isinstance(source, str):
            source.seek(first)
        also = dissection.choose(told) if dissection and told else _not_needed
        found = _lives(source, expression, told, known, whole, also)
        if dissection:
            dissection.ask()
        lives_in_order = {number: found[number] for number in told}
        if states_svg is not None:
            _write_svg(run, told[0], found[told[0]], states_svg, file)
        advice = ADVICE if sort is None and only is None else ADVICE_CHOSEN
        calls, beneath, settled = calls_on(screen, has_calls), _nothing, _unsettled
        notices: Iterable[str] = ()
        if watched:
            watched.tie(lives_in_order)
            calls, beneath = watched.calls, partial(watched.beneath, screen=screen, whole=whole)
            settled, notices = watched.settled, watched.notices(screen)
        below: list[Callable[[int], Iterable[str]]] = [beneath]
        if dissection:
            below.append(partial(dissection.beneath, screen=screen))
        write_summary(
            run, quality_of(run, expression), file, numbers, lives_in_order, screen, whole=whole, states=states,
            advice=advice, calls=calls, beneath=lambda number: chain.from_iterable(one(number) for one in below),
            settled=settled, expression=expression, notices=notices,
        )  # fmt: skip
        if has_calls is None and calls is no_calls and any(_is_tcp(run, number) for number in told):
            hint = _("--calls shows the socket calls too.")
            screen.write([f" {hint}", ""])
        if watched:
            screen.write(watched.apart(screen, whole=whole))
            screen.write(watched.sentences(screen))
        screen.write(held_at_the_end(run, numbers, screen, watched.seen.reuse() if watched else {}))
        if numbers and not told:
            screen.write([f" {_(_INVITATION)}"])
        if dissection:
            hint = _("--all leaves nothing out.")
            screen.write(f" {told} {hint}" for told in dissection.left_out_told())
    if dissection:
        dissected.complain(dissection)
    end(context, run.capture)
    if dissection and dissection.trouble:
        context.exit(1)


def _not_needed(batch: Batch) -> None:
    """Nobody else needs the packets."""


def _nothing(number: int) -> Iterable[str]:
    """What stands below a ladder where nobody watched a program."""
    return ()


def _unsettled(connection: Rows, endpoints: Rows) -> str:
    """The same of why a connection ended."""
    return ""


def _opened(file: str) -> AbstractContextManager[str | BinaryIO]:
    """A file's name, or what there is to read where a name does not do: standard input, another pipe."""
    if file != "-":
        return open_octets(file)[0] if comes_once(file) else nullcontext(file)
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return nullcontext(file)
    return nullcontext(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))


def _is_tcp(run: Run, number: int) -> bool:
    return bool((run.connections[rows_of(run.connections[: run.count], [number])]["protocol"] == Protocol.TCP).all())


def _check_one(run: Run, told: Sequence[int]) -> None:
    """Raise UsageError unless one TCP connection is told."""
    rows = run.connections[rows_of(run.connections[: run.count], told)]
    if len(told) != 1 or rows["protocol"][0] != Protocol.TCP:
        raise UsageError(_("--states-svg draws one TCP connection: choose it with -c N"))


def _write_svg(run: Run, number: int, life: Life, output: str, file: str) -> None:
    """Draw the states of the connection with this number."""
    (row,) = rows_of(run.connections[: run.count], [number]).tolist()
    client, server = (endpoint(run.connections[row], side) for side in Side)
    drawn = state_svg(walk(life), run.last_ns, f"{client} → {server}")
    with destination(output, file, "--states-svg") as out:
        out.write(drawn.encode())


def _lives(
    source: str | BinaryIO, expression: str, numbers: Sequence[int], known: Rows, whole: bool,
    also: Callable[[Batch], None],
) -> dict[int, Life]:  # fmt: skip
    """The packets of the connections with these numbers, which takes a second pass; ``also`` gets the batches."""
    if not numbers:
        return {}
    bound = {"most_packets": sys.maxsize} if whole else {}
    with ReadingProgress(_("following")) as progress:
        return lives(source, expression, numbers, known, on_batch=progress.tick, also=also, **bound)
