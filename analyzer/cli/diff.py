"""``tcpflow-view diff``: what differs between the connections of two captures.

Both are read twice at most: once for a row of each connection, and once more for the packets of the pairs that are
told in detail.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from typing import BinaryIO, NamedTuple

import click
import numpy as np

from analyzer.api.servers import servers_named
from analyzer.capture.kept import rereadable
from analyzer.cli import colors, servers
from analyzer.cli.aside import Aside
from analyzer.cli.ending import end
from analyzer.cli.progress import ReadingProgress
from analyzer.cli.vantage import read_place, tell
from analyzer.compare.differences import (
    USUAL,
    Aspect,
    Difference,
    Known,
    Parting,
    Tolerance,
    differences,
    differing,
    parting,
    times_differing,
)
from analyzer.compare.pairing import WAYS, Pair, Pairing, identities, paired
from analyzer.compare.sides import Sides
from analyzer.compare.steps import steps
from analyzer.compare.traits import Traits
from analyzer.compare.voices import Voices
from analyzer.errors import CaptureOpenError, UsageError
from analyzer.expect.vocabulary import nanoseconds
from analyzer.explain.why import why
from analyzer.export.comparison import comparison
from analyzer.language import _
from analyzer.pipeline import Lives, Run
from analyzer.render.comparison import One, Twins, detail, summary, table
from analyzer.render.screen import screen_of
from analyzer.render.untrusted import visible
from analyzer.tables import Life, Rows

MOST_TOLD = 5
"""Pairs told in detail unless all are asked for."""

MOST_PACKETS = 20_000
"""Packets of a connection that are put side by side: its first and last halves of that number."""

KINDS = tuple(aspect.value for aspect in Aspect if aspect != Aspect.TIMES)
"""What --only and --ignore know."""

_EXAMPLES = """\b
Examples:
  tcpflow-view diff before.pcap after.pcap
  tcpflow-view diff expected.pcap now.pcap port 1235 && echo the same
  tcpflow-view diff before.pcap after.pcap --ignore events,counters
  tcpflow-view diff before.pcap after.pcap --strict --all
  tcpflow-view diff before.pcap after.pcap --time-tolerance 50ms
  tcpflow-view diff before.pcap after.pcap --format json | jq .pairs
  tcpflow-view diff --vantage client.pcap server.pcap
"""


class Read(NamedTuple):
    """A capture after its first pass."""

    source: str | BinaryIO
    run: Run
    known: Known
    one: One


@click.command("diff", epilog=_EXAMPLES)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.argument("filter_words", metavar="[FILTER]...", nargs=-1)
@click.option(
    "--pair", "way", type=click.Choice(WAYS), default="auto", show_default=True,
    help="How connections are paired: by their ends (both, then the server's alone, whatever the client's port), by "
    "what was said, or in their order. auto takes the ends, then what was said, and order where nothing else is left.",
)  # fmt: skip
@click.option("--only", metavar="WHAT,…", help=f"Compare nothing else: of {', '.join(KINDS)}.")
@click.option("--ignore", metavar="WHAT,…", help="Do not compare these.")
@click.option("--strict", is_flag=True, help="Compare everything but times.")
@click.option(
    "--time-tolerance", metavar="TIME", help="Compare times too; those count that are farther apart: 50ms, 1s, or 20%.",
)  # fmt: skip
@click.option(
    "--vantage", "has_places", is_flag=True,
    help="A and B are captures of the same traffic at two places: which packets got lost, late or changed between.",
)  # fmt: skip
@click.option("--all", "whole", is_flag=True, help="Every pair that differs in detail, and every packet of them.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json is one object: pairs (a, b, by, differences with aspect, side, what, a, b), only_in_a, only_in_b, same.",
)  # fmt: skip
@servers.option
@colors.option
@click.pass_context
def command(
    context: click.Context, first: str, second: str, filter_words: tuple[str, ...], way: str, only: str | None,
    ignore: str | None, strict: bool, time_tolerance: str | None, has_places: bool, whole: bool, form: str,
    server_ends: tuple[str, ...], color: str,
) -> None:  # fmt: skip
    """Compare two captures: does the program behave the same in both?

    A and B are pcap or pcapng files, compressed or not; one may be - for standard input. FILTER is a pcap filter for
    both. Each connection of A is paired with one of B; those left are told.

    Compared are the phases, both sides' states, who closed and why it ended, the events, what was sent again or out of
    order, and every byte that was said. Absolute times, initial sequence numbers, clients' ports and the values of
    timestamps never are. What differs from run to run by nature is compared by --strict, or --only: history (Zeek's),
    options (of the SYNs), segments (how the bytes are cut), acks (pure ACKs), windows.

    With --vantage each packet of A is looked for in B: the same addresses and ports (no NAT between), numbers, payload,
    identification and timestamps, in whatever order and however offload cut the segments. Told are the clocks' offset
    and how sure it is, delays each way, what got lost, late, overtaken, doubled or changed, and a ladder with both
    clocks. Lost is what the other place must have seen while it captured. This takes some 300 bytes of memory a packet.

    Exit status: 0 nothing differs (with --vantage: every packet arrived, once, in order and unchanged), 1 something
    does, or no packet is in both captures of --vantage, or an input was damaged, 2 could not run.
    """
    aspects = chosen_aspects(only, ignore, strict)
    tolerance = tolerance_of(time_tolerance) if time_tolerance else None
    if first == second == "-":
        raise UsageError(_("only one of the two captures can be standard input"))
    expression = " ".join(filter_words)
    known = servers_named(server_ends, expression)
    with ExitStack() as stack:
        if has_places:
            _refuse_with_places(way=way != "auto", only=only, ignore=ignore, strict=strict, tolerance=tolerance)
            places = (
                read_place(opened(stack, first), _shown_name(first), expression, known),
                read_place(opened(stack, second), _shown_name(second), expression, known),
            )
            happened = tell(places, expression, known, screen_of(color), as_json=form == "json", whole=whole)
            end(context, *(place.run.capture for place in places))
            context.exit(int(happened))
        has_packets = bool({Aspect.OPTIONS, Aspect.SEGMENTS, Aspect.ACKS, Aspect.WINDOWS} & aspects)
        a, b = (read(stack, path, expression, known, has_packets=has_packets) for path in (first, second))
        pairing, found = compare(a, b, way, aspects, tolerance)
        told = found if whole else dict(list(found.items())[:MOST_TOLD])
        details = in_detail(stack, a, b, told, aspects, expression, known, whole=whole)
        if form == "json":
            partings = {one.pair: one.partings for one in details}
            click.echo(comparison(a.known, b.known, pairing, found, partings))
        else:
            screen = screen_of(color)
            screen.write(summary(a.one, b.one, pairing, len(found), screen))
            aspects_of = {pair: list(dict.fromkeys(one.aspect for one in some)) for pair, some in found.items()}
            lines = list(table(a.one, b.one, pairing, aspects_of, screen, whole=whole))
            screen.write(["", *lines, ""] if lines else [])
            for twins in details:
                screen.write(detail(a.one, b.one, twins, screen, whole=whole))
            if len(told) < len(found):
                more = _("{n} more pairs differ: --all tells them in detail too.").format(n=len(found) - len(told))
                screen.write([f" {more}"])
    end(context, a.run.capture, b.run.capture)
    if found or pairing.only_a or pairing.only_b:
        context.exit(1)


# ---------------------------------------------------------------- what is asked for


def chosen_aspects(only: str | None, ignore: str | None, strict: bool) -> frozenset[Aspect]:
    """What is compared, times apart. Raises UsageError."""
    if only and strict:
        raise UsageError(_("--only and --strict: choose one of them"))
    chosen = _named("--only", only) if only else set(map(Aspect, KINDS)) if strict else set(USUAL)
    return frozenset(chosen - (_named("--ignore", ignore) if ignore else set()))


def _named(option: str, names: str) -> set[Aspect]:
    words = names.replace(" ", "").split(",")
    if unknown := [word for word in words if word not in KINDS]:
        told = _("{option} {name}: it knows {known}")
        raise UsageError(told.format(option=option, name=visible(unknown[0]), known=", ".join(KINDS)))
    return set(map(Aspect, words))


def _refuse_with_places(**given: object) -> None:
    """Raise UsageError where an option was given that says nothing to --vantage."""
    names = {"way": "--pair", "tolerance": "--time-tolerance"}
    for name, value in given.items():
        if value:
            told = _("{option} does not go with --vantage")
            raise UsageError(told.format(option=names.get(name, f"--{name}")))


def tolerance_of(written: str) -> Tolerance:
    """A time as expectations have it (``50ms``, ``1.5 s``), or a part (``20%``). Raises UsageError."""
    if part := re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*%\s*", written):
        return Tolerance(0, float(part[1]) / 100)
    try:
        return Tolerance(nanoseconds(written))
    except (UsageError, ValueError):
        told = _("--time-tolerance {time}: give a time or a part, as in 50ms, 1.5s or 20%")
        raise UsageError(told.format(time=visible(written))) from None


# ---------------------------------------------------------------- passes


def read(stack: ExitStack, path: str, expression: str, known: Rows, *, has_packets: bool) -> Read:
    """The first pass: a row of each connection."""
    source = opened(stack, path)
    traits = Traits(has_packets=has_packets)
    with Run(source, expression, known) as run, ReadingProgress() as progress:
        for batch in run:
            traits.add(batch)
            progress.tick(run)
    connections, endpoints = run.connections[: run.count], run.endpoints[: run.count]
    rows = Known(connections, endpoints, traits.finished(run.count))
    return Read(source, run, rows, One(_shown_name(path), run.packets, connections, endpoints))


def opened(stack: ExitStack, path: str) -> str | BinaryIO:
    """The capture's name, or a copy of what comes only once."""
    return stack.enter_context(rereadable(path))


def _shown_name(path: str) -> str:
    return _("standard input") if path == "-" else path


def compare(
    a: Read, b: Read, way: str, aspects: Collection[Aspect], tolerance: Tolerance | None
) -> tuple[Pairing, dict[Pair, list[Difference]]]:
    """Which connections are pairs, and what differs in those that do."""
    known_a, known_b = (identities(one.known.connections, one.known.traits) for one in (a, b))
    pairing = paired(known_a, known_b, way)
    rows = [np.array(column, np.int64) for column in zip(*((pair.a, pair.b) for pair in pairing.pairs), strict=True)]
    rows_a, rows_b = rows or [np.zeros(0, np.int64)] * 2
    differs = np.zeros(len(rows_a), np.bool_)
    for found in differing(a.known, b.known, rows_a, rows_b, aspects).values():
        differs |= found
    late = times_differing(a.known, b.known, rows_a, rows_b, tolerance) if tolerance else {}
    differs[list(late)] = True
    return pairing, {
        (pair := pairing.pairs[k]): [*differences(a.known, b.known, pair.a, pair.b, aspects), *late.get(k, ())]
        for k in np.flatnonzero(differs).tolist()
    }


def in_detail(
    stack: ExitStack, a: Read, b: Read, told: dict[Pair, list[Difference]], aspects: Collection[Aspect],
    expression: str, known: Rows, *, whole: bool,
) -> list[Twins]:  # fmt: skip
    """The second pass: packets and octets of the pairs that are told."""
    if not told:
        return []
    most = sys.maxsize if whole else MOST_PACKETS
    heard = [
        _Heard(stack, one, rows, expression, known, most)
        for one, rows in ((a, [pair.a for pair in told]), (b, [pair.b for pair in told]))
    ]
    details = []
    for pair, found in told.items():
        lives = heard[0].lives[pair.a], heard[1].lives[pair.b]
        partings: dict[int, Parting] = {}
        for difference in found:
            if difference.aspect == Aspect.SAID:
                side = difference.side
                parted = parting(heard[0].said(pair.a, side), heard[1].said(pair.b, side))
                if parted:
                    partings[side] = parted
        reasons = tuple(
            why(one.known.connections[row], *one.known.endpoints[row]) for one, row in ((a, pair.a), (b, pair.b))
        )
        details.append(Twins(pair, found, lives, steps(*lives, aspects), partings, (reasons[0], reasons[1])))
    return details


class _Heard:
    """The packets of some connections, and what their sides said."""

    def __init__(
        self, stack: ExitStack, one: Read, rows: Iterable[int], expression: str, known: Rows, most: int
    ) -> None:
        numbers = one.known.connections["number"][list(rows)]
        kept, self._voices, self._sides = Lives(numbers.tolist(), most), Voices(), Sides()
        self._aside = stack.enter_context(Aside())
        if not isinstance(one.source, str):
            one.source.seek(0)
        with Run(one.source, expression, known) as run, ReadingProgress(_("following")) as progress:
            for batch in run:
                kept.add(batch)
                for identity, octets in self._voices.add(batch, self._sides.taken(batch, numbers)):
                    self._keep(identity, octets)
                progress.tick(run)
        for identity, octets in self._voices.finish():
            self._keep(identity, octets)
        found = kept.found()
        if len(found) < len(numbers):
            told = _("{path}: it was changed while it was read; run again")
            raise CaptureOpenError(told.format(path=run.capture.path))
        self.lives: dict[int, Life] = {number - 1: life for number, life in found.items()}

    def said(self, row: int, side: int) -> Iterator[bytes]:
        """The octets that a side of the connection in this row said."""
        taken_for = side ^ int(self._sides.turned(np.array([row]))[0])
        identity = self._voices.whose().get((row, taken_for))
        return iter(()) if identity is None else self._aside.pieces(identity)

    def _keep(self, identity: int, octets: bytes | int) -> None:
        written = octets if isinstance(octets, bytes) else b"[missing %d]" % octets if octets else b""
        if written:
            self._aside.write(identity, written)
