"""What came of a capture's expectations, for people: a line, and below it what is wrong, with ladders."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from analyzer.expect.expectations import path_text
from analyzer.expect.judgements import Fault
from analyzer.expect.judging import Checked, Result
from analyzer.language import _, counted
from analyzer.render.screen import Screen
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, QUIET, TROUBLE_GLYPH
from analyzer.render.wrapping import wrap

MET_GLYPH = "✓"
MOST_LADDERS = 5
"""Connections of one capture whose ladders are drawn."""

_LONGEST_LINE = 100


def told(checked: Checked, screen: Screen, *, ladders: bool = True) -> Iterator[str]:
    """The lines for one capture."""
    name, faults = visible(checked.capture), checked.faults
    if checked.error:
        not_judged = _("could not be judged")
        yield f"{screen.paint(f'{TROUBLE_GLYPH} {name}', LOUD)} · {not_judged}"
        return
    if not faults:
        n = len(checked.results)
        met = counted("{n} expectation met", "{n} expectations met", n).format(n=f"{n:,}")
        yield f"{screen.paint(f'{MET_GLYPH} {name}', 'green')} · {met}"
        return
    n = len(checked.results)
    not_met = counted("{m} of {n} expectation not met", "{m} of {n} expectations not met", n)
    yield f"{screen.paint(f'{TROUBLE_GLYPH} {name}', LOUD)} · {not_met.format(m=f'{len(faults):,}', n=f'{n:,}')}"
    drawn = left_out = 0
    for connection, some in groupby(faults, key=lambda fault: fault[0].connection):
        together = list(some)
        for result, fault in together:
            yield f"  {screen.paint(place(checked, result), QUIET)}"
            yield from wrap(fault.text, min(screen.width, _LONGEST_LINE) - 1, "    ", "    ")
        yield ""
        if connection and ladders and drawn < MOST_LADDERS:
            drawn += 1
            yield from connection.drawn(screen, marked=packets_of(together))
        elif connection and ladders:
            left_out += 1
    if left_out:
        said = counted(
            "{n} more connection has no ladder here: tcpflow-view read -c N draws it.",
            "{n} more connections have no ladder here: tcpflow-view read -c N draws them.",
            left_out,
        )
        yield from wrap(said.format(n=f"{left_out:,}"), min(screen.width, _LONGEST_LINE) - 1, "  ", "  ")


def packets_of(faults: list[tuple[Result, Fault]]) -> set[int]:
    """The packets where it went wrong."""
    return {fault.packet for _result, fault in faults if fault.packet}


def place(checked: Checked, result: Result) -> str:
    """Where the expectation is written: ``capture.expect.toml:12: connection[1].closed_by``."""
    line = checked.expectations.line(result.path)
    path = visible(checked.expectations.path)
    return f"{path}:{line}: {name_of(result)}" if line else f"{path}: {name_of(result)}"


def name_of(result: Result) -> str:
    """The expectation: its key, and the name of its table."""
    key = path_text(result.path)
    return visible(f"{key} ({result.name})" if result.name else key)


def summary(n: int, wrong: int, screen: Screen) -> Iterator[str]:
    """A line about several captures, some of which are wrong."""
    if n > 1:
        captures = counted("{n} capture", "{n} captures", n).format(n=f"{n:,}")
        said = _("{captures}: as expected").format(captures=captures)
        if wrong:
            said = _("{captures}: {wrong} not as expected").format(captures=captures, wrong=f"{wrong:,}")
        yield screen.paint(said, LOUD if wrong else "green")
