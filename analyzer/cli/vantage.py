"""``tcpflow-view diff --vantage``: two captures of the same traffic, made at two places on its way."""

from __future__ import annotations

from collections.abc import Collection
from typing import BinaryIO, NamedTuple

import click
import numpy as np

from analyzer.cli.progress import ReadingProgress
from analyzer.compare.seen import Seen
from analyzer.compare.vantage import A, B, Between, Capture, Vantage
from analyzer.export.vantage import vantage_record
from analyzer.language import _
from analyzer.pipeline import Run, lives
from analyzer.render.comparison import One
from analyzer.render.quantities import counted
from analyzer.render.screen import Screen
from analyzer.render.segment import Segment, segments
from analyzer.render.vantage import connection_table, journeys_of, ladder, summary, troubles, words_of
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
    """Write what became of the packets between the places. Returns whether anything did."""
    a, b = places
    between = Between(a.capture, b.capture)
    told = between.told()
    rows = [between.row_of(trip) for trip in told.incidents]
    if as_json:
        numbers = a.capture.seen["number"], b.capture.seen["number"]
        click.echo(vantage_record(told, rows, numbers))
        return troubles(told) > 0
    screen.write(summary(a.one, b.one, told, screen))
    happened = list(dict.fromkeys(row for row, trip in zip(rows, told.incidents, strict=True) if words_of(trip)))
    if happened:
        screen.write([*connection_table(a.one, told, rows, screen), ""])
    drawn = happened or sorted(told.places)[:1]
    if not whole:
        drawn = drawn[:MOST_TOLD]
    _draw(places, between, told, drawn, expression, known, screen, whole=whole)
    if len(drawn) < len(happened):
        more = _("{connections} more: --all draws them too.")
        screen.write([f" {more.format(connections=counted(len(happened) - len(drawn), 'connection'))}"])
    return troubles(told) > 0


def _draw(
    places: tuple[Place, Place], between: Between, told: Vantage, rows: Collection[int], expression: str, known: Rows,
    screen: Screen, *, whole: bool,
) -> None:  # fmt: skip
    """The ladders of these rows of A, which takes a second pass over both captures."""
    if not rows:
        return
    rows_b = [other for other, row in told.rows_b.items() if row in rows]
    found: list[dict[int, Segment]] = []
    for place, wanted in zip(places, (rows, rows_b), strict=True):
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
    for row in rows:
        trips = between.trips_of(row)
        at = np.array([max(trip.b, 0) for trip in trips], np.int64)
        corrected = between.corrected(numbers_of[B]["ts_ns"][at]).tolist() if len(numbers_of[B]) else []
        journeys = journeys_of(trips, (found[A], found[B]), numbers_of, corrected)
        connection = places[A].capture.connections[row]
        if journeys:
            ends, client_at = places[A].one.endpoints[row], told.places[row].client_at
            screen.write(ladder(connection, ends, journeys, client_at, screen, whole=whole))
