"""What is remarkable about a connection's segments and why, below its ladder: each kind of event with its packets.

     Remarkable
      6 ✗ duplicate_ack        15  repeats packet 14, 6 times up to packet 21: 1049 is awaited
      1 ✗ fast_retransmission  18  packet 6 again after 40 ms: …

The number of packets stands first. Of each kind the first few are told, until there are lines enough, and how many more
there are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from analyzer.explain.events import Finding, Kind, remarkable
from analyzer.language import _
from analyzer.render.quantities import counted, duration
from analyzer.render.screen import Screen, cells
from analyzer.render.words import QUIET, events_of, marked
from analyzer.render.wrapping import wrap
from analyzer.tables import Event, Life

MOST_OF_A_KIND, MOST_TOLD = 3, 12
"""Findings told of one kind, and of all kinds together; each kind has one at least."""

_WIDEST = 120
_NARROWEST_TEXT = 40
"""Sentences with less room than this stand below the event instead of beside it."""


def remarks(life: Life, screen: Screen, *, has_losses: bool = False, whole: bool = False) -> Iterator[str]:
    """The lines, an empty one after them; none where nothing is remarkable. ``whole``: every finding."""
    kinds = remarkable(life, sys.maxsize if whole else MOST_OF_A_KIND)
    if not kinds:
        return
    width = min(screen.width, _WIDEST) - 1
    names = [events_of(1 << event, has_losses=has_losses)[0] for event in kinds]
    told = list(_told(kinds, whole))
    count_width = max(len(f"{kind.packets:,}") for kind in kinds.values())
    name_width = max(cells(marked(name)) for name in names)
    number_width = max(len(numbers) for pairs in told for numbers, words in pairs)
    beside = 1 + 1 + count_width + 1 + name_width + 2
    is_beside = width - beside - number_width - 2 >= _NARROWEST_TEXT
    indent = " " * (beside if is_beside else 3 + count_width)
    heading = _("Remarkable")
    if life.omitted:
        kept = counted(len(life.number), "packet")
        heading = _("Remarkable in the {packets} that were kept").format(packets=kept)
    yield screen.paint(f" {heading}", "bold")
    for name, kind, pairs in zip(names, kinds.values(), told, strict=True):
        before = f"  {kind.packets:>{count_width},} {screen.paint(marked(name), name.style)}"
        lines = [line for pair in pairs for line in _lines(*pair, number_width, width - len(indent), screen)]
        if is_beside:
            yield f"{before}{' ' * (name_width - cells(marked(name)))}  {lines.pop(0)}"
        else:
            yield before
        yield from (indent + line for line in lines)
    findings = sum(kind.findings for kind in kinds.values())
    more = findings - sum(len(numbers.split(", ")) for pairs in told for numbers, _words in pairs)
    if more > 0 and not whole:
        yield screen.paint("  " + _("… {n} more: read --all").format(n=f"{more:,}"), QUIET)
    yield ""


def _told(kinds: dict[Event, Kind], whole: bool) -> Iterator[list[tuple[str, str]]]:
    """For each kind the packets' numbers and what is said of them; findings of the same words are one."""
    spare = sys.maxsize if whole else MOST_TOLD - len(kinds)
    for kind in kinds.values():
        pairs: list[tuple[str, str]] = []
        for finding in kind.told:
            words = sentence(finding)
            if pairs and pairs[-1][1] == words:
                pairs[-1] = f"{pairs[-1][0]}, {finding.packet}", words
            elif not pairs or spare > 0:
                spare -= bool(pairs)
                pairs.append((str(finding.packet), words))
        yield pairs


def _lines(numbers: str, words: str, number_width: int, width: int, screen: Screen) -> Iterator[str]:
    """A finding: its packets, then its sentence, in so many columns."""
    first, *rest = wrap(words, width - number_width - 2) or [""]
    yield f"{screen.paint(f'{numbers:>{number_width}}', QUIET)}{'  ' if first else ''}{first}"
    yield from (" " * (number_width + 2) + line for line in rest)


def sentence(finding: Finding) -> str:
    """The template with its numbers in words."""
    return finding.text.format_map({name: _quantity(name, number) for name, number in finding.numbers.items()})


def _quantity(name: str, number: int) -> str:
    if name.endswith("_ns"):
        return duration(number)
    return counted(number, "byte") if name.endswith("_bytes") else str(number)
