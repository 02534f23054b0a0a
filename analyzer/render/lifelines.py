"""The columns of a ladder: bar, number, time, the client's state, its lifeline, what goes between, the server's."""

from __future__ import annotations

from analyzer.language import _
from analyzer.render.screen import Screen, cells, center, fit, ljust, rjust
from analyzer.render.words import QUIET, SIDES, Word
from analyzer.tables import Side

WIDEST = 140
"""Beyond this many columns arrows do not grow."""

_STATE_WIDTH = 13
"""``by FIN-WAIT-2``, ``client :65535``."""

_NOTE_WIDTH = 27
_NOTE_FROM = 112
"""Screens of this width have a column for notes at the right."""

_NOTHING = Word("")


class Lifelines:
    """Rows of one ladder. ``inside`` is the number of columns between the lifelines, ``note_width`` those of notes."""

    def __init__(self, screen: Screen, number_width: int, time_width: int) -> None:
        self._screen = screen
        self._number_width, self._time_width = number_width, time_width
        self.width = min(screen.width, WIDEST)
        self.note_width = _NOTE_WIDTH if self.width >= _NOTE_FROM else 0
        self._left = 1 + number_width + 1 + time_width + 1 + _STATE_WIDTH + 1
        right = 1 + _STATE_WIDTH + (1 + self.note_width if self.note_width else 0)
        self.inside = self.width - self._left - 2 - right
        self._styles = SIDES[Side.CLIENT].style, SIDES[Side.SERVER].style

    def row(
        self, bar: str, number: str = "", time: str = "", client: str = "", middle: str = "", server: str = "",
        note: Word = _NOTHING, *, ends: str = "││",
    ) -> str:  # fmt: skip
        """One row; ``bar`` and ``middle`` (``inside`` columns) come painted."""
        paint = self._screen.paint
        client_style, server_style = self._styles
        return (
            f"{bar}{number:>{self._number_width}} {paint(f'{time:>{self._time_width}}', QUIET)} "
            f"{paint(rjust(client, _STATE_WIDTH), client_style)} {paint(ends[0], client_style)}"
            f"{middle or ' ' * self.inside}"
            f"{paint(ends[1], server_style)} {paint(ljust(server, _STATE_WIDTH), server_style)}"
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
            f"{paint(rjust(client, _STATE_WIDTH), f'bold {client_style}')} {paint('╷', client_style)}"
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

    def aside(self, bar: str, text: str, side: Side | None = None, style: str = QUIET) -> str:
        """A row of text between the lifelines, at the end of the side that it speaks of."""
        room = self.inside - 2
        text = fit(text, room)
        blank = " " * (room - cells(text))
        before = blank if side == Side.SERVER else "" if side == Side.CLIENT else blank[: len(blank) // 2]
        after = blank[len(before) :]
        return self.row(bar, middle=f" {before}{self._screen.paint(text, style)}{after} ", ends="┊┊")
