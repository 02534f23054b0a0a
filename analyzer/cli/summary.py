"""What ``read`` and ``live`` print of a finished run: how good the capture is, the connections, lives of some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from analyzer.explain.causes import Cause, cause_of
from analyzer.explain.findings import Probes
from analyzer.explain.losses import doubt
from analyzer.explain.quality import Quality, count_kinds, coverage_of, may_cut, most_frequent
from analyzer.explain.why import why
from analyzer.pipeline import Run
from analyzer.render.findings import findings
from analyzer.render.ladder import Story, ladder
from analyzer.render.quality import quality
from analyzer.render.quantities import counted
from analyzer.render.screen import Screen
from analyzer.render.table import ADVICE, table
from analyzer.render.words import ENDINGS
from analyzer.tables import Count, Life, Rows, rows_of

FEW_CONNECTIONS = 5
"""Up to so many connections are all told without being asked for."""


def quality_of(run: Run, expression: str) -> Quality:
    """A finished run with this filter in figures."""
    connections = run.connections[: run.count]
    tcp, udp = count_kinds(connections)
    damage = run.capture.damage
    return Quality(
        packets=run.packets, all_packets=run.capture.packets, first_ns=run.first_ns, last_ns=run.last_ns, tcp=tcp,
        udp=udp, strays=most_frequent(run.strays), damaged_at=damage.offset if damage else -1,
        damage=damage.expected if damage else "", lost=run.capture.dropped, filter_cuts=may_cut(expression),
        copies=run.counted(Count.CAPTURE_DUPLICATES), first_copy=run.counted(Count.FIRST_CAPTURE_DUPLICATE),
        coverage=coverage_of(connections, run.endpoints[: run.count]), beyond_mss=run.counted(Count.BEYOND_MSS),
        longest_beyond_mss=run.counted(Count.LONGEST_BEYOND_MSS), datagrams=run.fragments.datagrams,
        incomplete=run.fragments.incomplete, overlaps=run.fragments.overlaps, flaws=run.tally,
    )  # fmt: skip


def write_summary(
    run: Run, found: Quality, path: str, numbers: Sequence[int], lives: Mapping[int, Life], screen: Screen, *,
    whole: bool = False, advice: str = ADVICE, remark: Callable[[Rows], str] = lambda _: "",
    departed: Probes | None = None,
) -> None:  # fmt: skip
    """Write it to standard output: the table has the connections with these numbers, and told are those
    with a life.

    ``advice`` tells how to see rows that are left out; ``remark`` gives a sentence more about a CONNECTION row;
    ``departed`` is what is remembered of connections that were let go, and gets those of the run too.
    """
    screen.write(quality(found, path, screen, whole=whole))
    connections = run.connections[: run.count]
    probes = departed or Probes()
    probes.add(connections, run.endpoints[: run.count])
    screen.write(findings(probes.findings(), screen))
    if run.count and not numbers:
        screen.write(["", f" None of the {counted(run.count, 'connection')} is of such a kind.", ""])
    elif run.count:
        rows = rows_of(connections, numbers).tolist()
        screen.write(["", *table(connections, run.endpoints, rows, screen, whole=whole, advice=advice), ""])
    for number, row in zip(lives, rows_of(connections, list(lives)).tolist(), strict=True):
        screen.write(ladder(_story(run, row, lives[number], found, remark), screen, whole=whole))


def _story(run: Run, row: int, life: Life, found: Quality, remark: Callable[[Rows], str]) -> Story:
    connection, endpoints = run.connections[row], run.endpoints[row]
    cause = Cause(cause_of(connection, *endpoints))
    doubts = doubt(connection, endpoints, found.lost, filter_cuts=found.filter_cuts)
    sentences = why(connection, *endpoints), doubts, remark(connection)
    text = " ".join(filter(None, sentences))
    has_losses = found.lost > 0 or found.filter_cuts
    return Story(int(connection["number"]), connection, endpoints, life, ENDINGS[cause], text, has_losses)
