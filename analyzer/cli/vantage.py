"""``tcpflow-view diff --vantage``: two captures of the same traffic, made at two places on its way."""

from __future__ import annotations

from collections.abc import Collection
from typing import BinaryIO, NamedTuple

import click
import numpy as np

from analyzer.cli.progress import ReadingProgress
from analyzer.compare.places import A, B, Capture, Whose
from analyzer.compare.seen import Seen
from analyzer.compare.vantage import Between, Vantage
from analyzer.export.vantage import vantage_record
from analyzer.language import _
from analyzer.pipeline import Run, lives
from analyzer.render.comparison import One
from analyzer.render.quantities import counted
from analyzer.render.screen import Screen
from analyzer.render.segment import Segment, segments
from analyzer.render.vantage import connection_table, is_untroubled, journeys_of, ladder, summary, words_of
from analyzer.tables import Rows

MOST_TOLD = 3
"""Connections that are drawn unless all are asked for."""

_MOST_PACKETS = 20_000


class Place(NamedTuple):
    """A capture that was read."""

    source: str | BinaryIO
    run: Run
    capture: Capture
    one: One


def read_place(source: str | BinaryIO, shown: str, expression: str, known: Rows) -> Place:
    """Read a capture for every packet of it."""
    seen = Seen()
    with Run(source, expression, known) as run, ReadingProgress() as progress:
        for batch in run:
            seen.add(batch)
            progress.tick(run)
    connections, endpoints = run.connections[: run.count], run.endpoints[: run.count]
    capture = Capture(connections, seen.finished(), run.first_ns, run.last_ns)
    return Place(source, run, capture, One(shown, run.packets, connections, endpoints))


def tell(
    places: tuple[Place, Place], expression: str, known: Rows, screen: Screen, *, as_json: bool, whole: bool
) -> bool:
    """Write what became of the packets between the places. Returns whether more did than that they arrived."""
    a, b = places
    between = Between(a.capture, b.capture)
    told = between.told()
    whose = [between.whose(trip) for trip in told.incidents]
    if as_json:
        numbers = a.capture.seen["number"], b.capture.seen["number"]
        click.echo(vantage_record(told, whose, numbers))
        return not is_untroubled(told)
    screen.write(summary(a.one, b.one, told, screen))
    happened = list(dict.fromkeys(one for one, trip in zip(whose, told.incidents, strict=True) if words_of(trip)))
    if happened:
        screen.write([*connection_table((a.one, b.one), told, whose, screen), ""])
    drawn = happened or sorted(told.places)[:1]
    if not whole:
        drawn = drawn[:MOST_TOLD]
    _draw(places, between, told, drawn, expression, known, screen, whole=whole)
    if len(drawn) < len(happened):
        more = _("{connections} more: --all draws them too.")
        screen.write([f" {more.format(connections=counted(len(happened) - len(drawn), 'connection'))}"])
    return not is_untroubled(told)


def _draw(
    places: tuple[Place, Place], between: Between, told: Vantage, chosen: Collection[Whose], expression: str,
    known: Rows, screen: Screen, *, whole: bool,
) -> None:  # fmt: skip
    """The ladders of these connections, which takes a second pass over both captures."""
    if not chosen:
        return
    rows_a = [one.row for one in chosen if one.place == A]
    rows_b = [one.row for one in chosen if one.place == B]
    rows_b += [other for other, row in told.rows_b.items() if row in rows_a]
    found: list[dict[int, Segment]] = []
    for place, wanted in zip(places, (rows_a, rows_b), strict=True):
        numbers = place.capture.connections["number"][list(wanted)].tolist()
        if not isinstance(place.source, str):
            place.source.seek(0)
        with ReadingProgress(_("following")) as progress:
            kept = lives(
                place.source, expression, numbers, known, most_packets=1 << 62 if whole else _MOST_PACKETS,
                on_batch=progress.tick,
            )  # fmt: skip
        found.append({segment.number: segment for life in kept.values() for segment in segments(life)})
    numbers_of = places[A].capture.seen, places[B].capture.seen
    for one in chosen:
        trips = between.trips_of(one)
        at = np.array([max(trip.b, 0) for trip in trips], np.int64)
        corrected = between.corrected(numbers_of[B]["ts_ns"][at]).tolist() if len(numbers_of[B]) else []
        journeys = journeys_of(trips, (found[A], found[B]), numbers_of, corrected)
        if journeys:
            client_at = told.places[one].client_at
            screen.write(ladder(places[one.place].one, one, journeys, client_at, screen, whole=whole))
