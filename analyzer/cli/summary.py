"""What ``read`` and ``live`` print of a finished run: how good the capture is, the connections, lives of some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from analyzer.cli.unheard import hides_icmp_errors
from analyzer.explain.calls import Call, inferred
from analyzer.explain.causes import Cause, cause_of
from analyzer.explain.findings import Probes
from analyzer.explain.losses import doubt
from analyzer.explain.neighbors import answered_elsewhere
from analyzer.explain.quality import Quality, count_kinds, coverage_of, may_cut, most_frequent
from analyzer.explain.walk import walk
from analyzer.explain.why import paragraphs
from analyzer.language import _
from analyzer.pipeline import Run
from analyzer.render.findings import findings
from analyzer.render.ladder import Story, ladder
from analyzer.render.lifelines import CALLS_FROM
from analyzer.render.quality import quality
from analyzer.render.quantities import counted
from analyzer.render.reasons import reasons
from analyzer.render.screen import Screen
from analyzer.render.state_picture import state_picture
from analyzer.render.table import ADVICE, table
from analyzer.render.words import ENDINGS
from analyzer.tables import Count, Life, Protocol, Rows, rows_of

FEW_CONNECTIONS = 5
"""Up to so many connections are all told without being asked for."""

CallsOf = Callable[[Rows, Rows, Life], Sequence[Call]]
"""Gives the socket calls of a connection: its CONNECTION row, its two ENDPOINT rows, its packets."""


def no_calls(connection: Rows, endpoints: Rows, life: Life) -> Sequence[Call]:
    """Tells of none."""
    return ()


def calls_on(screen: Screen, wanted: bool | None = None) -> CallsOf:
    """The inferred calls, or none; where nobody says what is wanted, those where they have room."""
    return inferred if (screen.width >= CALLS_FROM if wanted is None else wanted) else no_calls


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
    whole: bool = False, states: bool = False, advice: str = ADVICE,
    remark: Callable[[Rows], str] = lambda connection: "", calls: CallsOf = no_calls, departed: Probes | None = None,
    beneath: Callable[[int], Iterable[str]] = lambda number: (),
    settled: Callable[[Rows, Rows], str] = lambda connection, endpoints: "", expression: str = "",
    notices: Iterable[str] = (),
) -> None:  # fmt: skip
    """Write it to standard output: the table has the connections with these numbers, and told are those
    with a life.

    ``states`` draws the way through figure 5 below each life; ``advice`` tells how to see rows that are left out;
    ``remark`` gives a sentence more about a CONNECTION row, ``calls`` what stands beside its packets; ``departed`` is
    what is remembered of connections that were let go, and gets those of the run too; ``beneath`` gives the lines below
    the ladder of the connection with this number; ``settled`` gives why it ended where a program's calls tell it;
    ``expression`` is the filter, ``notices`` are lines about the programs.
    """
    screen.write(quality(found, path, screen, whole=whole))
    connections = run.connections[: run.count]
    probes = departed or Probes()
    probes.add(connections, run.endpoints[: run.count])
    screen.write(findings(probes.findings(), screen))
    screen.write(notices)
    if run.count and not numbers:
        told = _("None of the {connections} is of such a kind.").format(connections=counted(run.count, "connection"))
        screen.write(["", f" {told}", ""])
    elif run.count:
        rows = rows_of(connections, numbers).tolist()
        screen.write(["", *table(connections, run.endpoints, rows, screen, whole=whole, advice=advice), ""])
        if not lives:
            screen.write(reasons(connections, run.endpoints[: run.count], rows, screen))
    for number, row in zip(lives, rows_of(connections, list(lives)).tolist(), strict=True):
        story = story_of(run, row, lives[number], found, remark, settled, expression)
        story = story._replace(calls=calls(story.connection, story.endpoints, story.life))
        screen.write(ladder(story, screen, whole=whole))
        screen.write(beneath(number))
        if states and connections[row]["protocol"] == Protocol.TCP:
            screen.write(state_picture(walk(lives[number]), run.last_ns, screen))


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
