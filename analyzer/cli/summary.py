"""What ``read`` and ``live`` print of a finished run: how good the capture is, the connections, lives of some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from analyzer.api.story import story_of
from analyzer.explain.calls import Call, inferred
from analyzer.explain.findings import Probes
from analyzer.explain.quality import Quality
from analyzer.explain.walk import walk
from analyzer.language import _
from analyzer.pipeline import Run
from analyzer.render.findings import findings
from analyzer.render.ladder import ladder
from analyzer.render.lifelines import CALLS_FROM
from analyzer.render.quality import quality
from analyzer.render.quantities import counted
from analyzer.render.reasons import reasons
from analyzer.render.screen import Screen
from analyzer.render.state_picture import state_picture
from analyzer.render.table import ADVICE, table
from analyzer.tables import Life, Protocol, Rows, rows_of

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
