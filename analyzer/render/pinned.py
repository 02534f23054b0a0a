"""Lines that stay at the bottom of a terminal while others scroll by above them.

They are erased and written again with each frame, in one piece of text, so that nothing flickers and the lines above
stay in the terminal's own history. No mode of the terminal is changed: whatever ends the program, it is left as it was.
"""

from __future__ import annotations

import re

from analyzer.render.screen import cells

_STYLE = re.compile(r"\x1b\[[\d;]*m")
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Terminals that know them show all that is written between at once; others ignore them."""


class Pinned:
    """Makes the text to write for each frame."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def frame(self, scrolled: str, lines: list[str], width: int) -> str:
        """Text that adds ``scrolled`` (whole lines) above, and replaces what stays below by ``lines``.

        ``width`` are the terminal's columns now, none of which a line exceeds.
        """
        if not scrolled and lines == self._lines:
            return ""
        text = f"{_BEGIN}{self._erase(width)}{scrolled}" + "\n".join(lines) + _END
        self._lines = lines
        return text

    def _erase(self, width: int) -> str:
        """Text that erases the lines below; a terminal that became narrower may have broken them."""
        if not self._lines:
            return ""
        rows = sum(max(-(-cells(_STYLE.sub("", line)) // width), 1) for line in self._lines)
        # Line by line: tmux takes the erasing of a whole screen for one that is to be kept in its history.
        return "\r\x1b[K" + "\x1b[A\x1b[2K" * (rows - 1)
