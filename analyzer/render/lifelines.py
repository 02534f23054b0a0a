"""The columns of a ladder: bar, number, time, the client's state, its lifeline, what goes between, the server's.

Where socket calls are told and the screen is wide, they stand in the columns of the states, which then are wider.
"""

from __future__ import annotations

from analyzer.language import _
from analyzer.render.screen import Screen, cells, center, fit, ljust, rjust
from analyzer.render.words import LOUD, QUIET, SIDES, Word
from analyzer.tables import Side

WIDEST = 140
"""Beyond this many columns arrows do not grow."""

MARK = "▶"
"""Points at a packet's number, which leaves a column before it."""

_STATE_WIDTH = 13
"""``by FIN-WAIT-2``, ``client :65535``."""

_NOTE_WIDTH = 27
_NOTE_FROM = 112
"""Screens of this width have a column for notes at the right."""

_CALLS_WIDTH = 24
CALLS_FROM = 100
"""Screens of this width have room for socket calls beside the lifelines."""
_NOTE_FROM_WITH_CALLS = 150

_NOTHING = Word("")


class Lifelines:
    """Rows of one ladder.

    ``inside`` is the number of columns between the lifelines, ``side_width`` those beside each, ``note_width`` those
    of notes. ``has_calls``: socket calls are told too; ``takes_calls``: they have room beside the lifelines.
    """

    def __init__(self, screen: Screen, number_width: int, time_width: int, *, has_calls: bool = False) -> None:
        self._screen = screen
        self._number_width, self._time_width = number_width, time_width
        self.side_width = _CALLS_WIDTH if has_calls and screen.width >= CALLS_FROM else _STATE_WIDTH
        more = 2 * (self.side_width - _STATE_WIDTH)
        self.width = min(screen.width, WIDEST + more)
        self.note_width = _NOTE_WIDTH if self.width >= (_NOTE_FROM_WITH_CALLS if more else _NOTE_FROM) else 0
        self._left = 1 + number_width + 1 + time_width + 1 + self.side_width + 1
        right = 1 + self.side_width + (1 + self.note_width if self.note_width else 0)
        self.inside = self.width - self._left - 2 - right
        self.takes_calls = self.side_width == _CALLS_WIDTH
        self._styles = SIDES[Side.CLIENT].style, SIDES[Side.SERVER].style

    def row(
        self, bar: str, number: str = "", time: str = "", client: str | Word = "", middle: str = "",
        server: str | Word = "", note: Word = _NOTHING, *, ends: str = "││", is_marked: bool = False,
    ) -> str:  # fmt: skip
        """One row; ``bar`` and ``middle`` (``inside`` columns) come painted. A side's text has the side's colour.

        ``is_marked``: the number is pointed at.
        """
        paint = self._screen.paint
        client_style, server_style = self._styles
        left, right = (word if isinstance(word, Word) else Word(word) for word in (client, server))
        before, after = (" " * (self.side_width - cells(word.text)) for word in (left, right))
        number = f"{number:>{self._number_width}}"
        if is_marked:
            number = paint(f"{MARK}{number[1:]}", LOUD)
        return (
            f"{bar}{number} {paint(f'{time:>{self._time_width}}', QUIET)} "
            f"{before}{paint(left.text, _joined(left.style, client_style))} {paint(ends[0], client_style)}"
            f"{middle or ' ' * self.inside}"
            f"{paint(ends[1], server_style)} {paint(right.text, _joined(right.style, server_style))}{after}"
            f"{' ' + paint(note.text, note.style) if note.text else ''}"
        )

    def heads(self, client: str, legends: tuple[str, ...], server: str) -> str:
        """The row in which the lifelines begin, with the first legend that fits: it says what stands on arrows."""
        paint = self._screen.paint
        client_style, server_style = self._styles
        legend = next((legend for legend in legends if cells(legend) + 2 <= self.inside), "")
        number, time = rjust(_("no."), self._number_width), rjust(_("seconds"), self._time_width)
        return (
            f" {paint(f'{number} {time}', QUIET)} "
            f"{paint(rjust(client, self.side_width), f'bold {client_style}')} {paint('╷', client_style)}"
            f"{paint(center(legend, self.inside), QUIET)}"
            f"{paint('╷', server_style)} {paint(server, f'bold {server_style}')}"
        )

    def banner(self, word: Word, left: str, middle: str) -> str:
        """The row that opens a phase: its badge, then what it holds."""
        badge = f" {word.text} "
        painted = self._screen.paint(badge, f"bold reverse {word.style}")
        return self._across(painted, cells(badge), f" {left}", middle, "│", "")

    def fold(self, bar: str, left: str, middle: str) -> str:
        """A row for packets that are not shown."""
        return self._across(bar, 1, f" {left}", middle, "┊", QUIET)

    def _across(self, start: str, start_width: int, left: str, middle: str, line: str, style: str) -> str:
        """A row with text also left of the client's lifeline, which gives way where there is too much of it."""
        paint = self._screen.paint
        room, inside = self._left - start_width, self.inside
        if cells(left) <= room and cells(middle) <= inside:
            text = (
                f"{paint(ljust(left, room), style)}{paint(line, self._styles[0])}{paint(center(middle, inside), style)}"
            )
        else:
            room += 1 + inside
            text = paint(ljust(fit(f"{left} · {middle}" if middle else left, room), room), style)
        return f"{start}{text}{paint(line, self._styles[1])}"

    def aside(
        self, bar: str, text: str, side: Side | None = None, style: str = QUIET, *, number: str = "", time: str = "",
    ) -> str:  # fmt: skip
        """A row of text between the lifelines, at the end of the side that it speaks of."""
        room = self.inside - 2
        text = fit(text, room)
        blank = " " * (room - cells(text))
        before = blank if side == Side.SERVER else "" if side == Side.CLIENT else blank[: len(blank) // 2]
        after = blank[len(before) :]
        middle = f" {before}{self._screen.paint(text, style)}{after} "
        return self.row(bar, number, time, middle=middle, ends="┊┊")


def _joined(style: str, color: str) -> str:
    """A style in a colour."""
    return f"{style} {color}" if style else color
