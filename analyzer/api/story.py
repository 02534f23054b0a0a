"""A finished run as renderers need it: the capture in figures, a connection's story."""

from __future__ import annotations

from collections.abc import Callable

from analyzer.api.unheard import hides_icmp_errors
from analyzer.explain.causes import Cause, cause_of
from analyzer.explain.losses import doubt
from analyzer.explain.neighbors import answered_elsewhere
from analyzer.explain.quality import Quality, count_kinds, coverage_of, may_cut, most_frequent
from analyzer.explain.why import paragraphs
from analyzer.language import _
from analyzer.pipeline import Run
from analyzer.render.ladder import Story
from analyzer.render.words import ENDINGS
from analyzer.tables import Count, Life, Rows


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


def story_of(
    run: Run, row: int, life: Life, found: Quality, remark: Callable[[Rows], str] = lambda connection: "",
    settled: Callable[[Rows, Rows], str] = lambda connection, endpoints: "", expression: str = "",
) -> Story:  # fmt: skip
    """The connection in this row as renderers need it, without calls."""
    connection, endpoints = run.connections[row], run.endpoints[row]
    cause = Cause(cause_of(connection, *endpoints))
    doubts = doubt(connection, endpoints, found.lost, filter_cuts=found.filter_cuts)
    other, hidden = 0, ""
    if cause == Cause.UNANSWERED:
        other = answered_elsewhere(row, run.connections[: run.count], run.endpoints[: run.count])
        if hides_icmp_errors(expression, connection):
            hidden = _("An ICMP error would not pass the filter, so none can be seen: “or icmp or icmp6” lets them in.")
    seen = settled(connection, endpoints)
    *troubles, ended = paragraphs(connection, *endpoints, other=other, settled=seen) or [""]
    ended = " ".join(filter(None, (ended, hidden, doubts, remark(connection))))
    has_losses = found.lost > 0 or found.filter_cuts
    said = tuple(filter(None, (*troubles, ended)))
    return Story(int(connection["number"]), connection, endpoints, life, ENDINGS[cause], said, has_losses)
