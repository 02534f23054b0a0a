"""The table of connections, one line each, in the order of their first packets.

Columns are as wide as what stands in them, and one in which nothing stands is left out. Where the screen is narrow the
least telling ones are left out too, then addresses are shortened in their middle. Rows are made as they are asked for:
there may be millions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from analyzer.explain.causes import Cause, cause_of
from analyzer.language import _, text
from analyzer.render.addresses import endpoint, shortened
from analyzer.render.quantities import count, duration, size
from analyzer.render.screen import Screen, cells
from analyzer.render.words import ENDINGS, LOUD, QUIET, SIDES, TROUBLE_GLYPH, Word, marked, troubles_of
from analyzer.tables import Protocol, Rows, Side
from analyzer.tcp.summary import Verdict, verdict

MOST_ROWS = 40
"""Rows shown on a terminal; more would only scroll away."""

_MEASURED = 1_000
"""Rows that decide how wide the columns are."""


class Column(NamedTuple):
    """How a column is laid out."""

    heading: str
    gap: int
    """Blanks before it."""
    right: bool = False
    dispensable: int = 0
    """The higher, the earlier it is left out on a narrow screen; 0 stays."""


COLUMNS = (
    Column("#", 1, right=True),
    Column(text("client"), 2),
    Column(text("server"), 2),
    Column(text("packets"), 2, right=True),
    Column(text("bytes→"), 1, right=True),
    Column(text("bytes←"), 1, right=True),
    Column(text("lasted"), 1, right=True, dispensable=1),
    Column(text("rtt"), 1, right=True, dispensable=3),
    Column(text("ended"), 2),
    Column(text("verdict"), 2, dispensable=4),
    Column(text("trouble"), 2, dispensable=2),
    Column("", 1),
)
_TROUBLE, _TROUBLE_IN_SHORT = 10, 11
_ADDRESSES = (1, 2)

_COMPROMISES = (
    (4, 2, 0), (3, 2, 0), (2, 2, 0), (1, 2, 0), (1, 1, 0), (1, 1, 21), (0, 1, 0), (0, 1, 17), (0, 1, 5),
)  # fmt: skip
"""What a screen may come to, best first: how dispensable a column may be, the widest gap between columns, how short
addresses may get (0: they stay whole; IPv4 has 21 columns at most)."""


ADVICE = text("-c {first}-{last} shows the next, --all every one, a filter fewer")
ADVICE_CHOSEN = text("--all shows every one, a filter fewer")
"""How to see the rows that are left out; the other where they are not all in a row."""


def table(
    connections: Rows, endpoints: Rows, rows: Sequence[int], screen: Screen, *, whole: bool, advice: str = ADVICE
) -> Iterator[str]:
    """The lines of the table for the connections ``rows``. ``whole``: however many there are."""
    limit = len(rows) if whole or not screen.terminal else MOST_ROWS
    made = (_row(connections[row], endpoints[row]) for row in rows[:limit])
    measured = list(islice(made, _MEASURED))
    layout = _Layout(measured, screen)
    yield layout.heading()
    for row in chain(measured, made):
        yield layout.line(row)
    if limit < len(rows):
        first, last = (int(connections[rows[k]]["number"]) for k in (limit, min(2 * limit, len(rows)) - 1))
        advised = _(advice).format(first=first, last=last)
        more = _("… {n} more: {advice}").format(n=count(len(rows) - limit), advice=advised)
        yield screen.paint(f" {more}", QUIET)


def _row(connection: Rows, endpoints: Rows) -> list[Word]:
    """The cells of one connection."""
    client, server = endpoints[0], endpoints[1]
    is_tcp = connection["protocol"] == Protocol.TCP
    found = troubles_of(endpoints)
    rtt = int(connection["handshake_rtt_ns"])
    cause = Cause(cause_of(connection, client, server))
    return [
        Word(str(connection["number"])),
        Word(endpoint(connection, Side.CLIENT), SIDES[Side.CLIENT].style),
        Word(endpoint(connection, Side.SERVER), SIDES[Side.SERVER].style),
        Word(count(int(client["packets"]) + int(server["packets"]))),
        *(Word(size(int(sent)), "" if sent else QUIET) for sent in endpoints["payload_bytes"]),
        Word(duration(int(connection["last_ns"]) - int(connection["first_ns"]))),
        Word(duration(rtt) if rtt >= 0 and is_tcp else ""),
        ENDINGS[cause] if is_tcp else Word(f"UDP, {ENDINGS[cause].text}", LOUD) if cause else Word("UDP", QUIET),
        Word(Verdict(verdict(connection, client, server)).name if is_tcp else ""),
        Word(" ".join(marked(word) for word in found), LOUD),
        Word(TROUBLE_GLYPH if found else "", LOUD),
    ]


class _Layout:
    """Which columns are shown, and how wide."""

    def __init__(self, rows: list[list[Word]], screen: Screen) -> None:
        self._screen = screen
        longest = [max((cells(row[k].text) for row in rows), default=0) for k in range(len(COLUMNS))]
        widths = [max(told, cells(_(column.heading))) for told, column in zip(longest, COLUMNS, strict=True)]
        told = [k for k, column in enumerate(COLUMNS) if longest[k] or (column.heading and not column.dispensable)]
        for kept, gap, shortest in _COMPROMISES:
            self._shown = [k for k in told if COLUMNS[k].dispensable <= kept]
            if _TROUBLE in self._shown:
                self._shown.remove(_TROUBLE_IN_SHORT)
            missing = sum(widths[k] + min(COLUMNS[k].gap, gap) for k in self._shown) - screen.width
            room = sum(max(widths[k] - shortest, 0) for k in _ADDRESSES) if shortest else 0
            if missing <= room:
                break
        if missing > 0:
            longer, other = sorted(_ADDRESSES, key=lambda k: -widths[k])
            total = widths[longer] + widths[other] - missing
            widths[other] = min(widths[other], total // 2)
            widths[longer] = total - widths[other]
        self._widths, self._gap = widths, gap

    def heading(self) -> str:
        """The columns' names."""
        return self._screen.paint(self._join([Word(_(column.heading)) for column in COLUMNS]), QUIET)

    def line(self, row: list[Word]) -> str:
        """One connection."""
        for k in _ADDRESSES:
            row[k] = row[k]._replace(text=shortened(row[k].text, self._widths[k]))
        return self._join(row)

    def _join(self, row: list[Word]) -> str:
        joined = ""
        for k in self._shown:
            word = row[k]
            blanks = " " * (self._widths[k] - cells(word.text))
            aligned = blanks + word.text if COLUMNS[k].right else word.text + blanks
            joined += " " * min(COLUMNS[k].gap, self._gap) + self._screen.paint(aligned, word.style)
        return joined
