"""Where lines go: how wide, whether in colour, with which glyphs.

Lines are plain strings that are painted with a terminal's colour codes as they are built; rich's own marked-up text is
a hundred times slower, and a capture may have a million connections. What is not a terminal gets neither colour nor
cutting, and where the locale has no UTF-8 each glyph becomes one ASCII character, so that columns stay aligned.
"""

from __future__ import annotations

import locale
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple, TextIO

from analyzer.language import spoken

NARROWEST, PIPE_WIDTH = 60, 100

NO_COLOR, FORCE_COLOR = "NO_COLOR", "FORCE_COLOR"
"""Variables of the environment that mean something with any value but the empty one; the first is stronger."""

_CODES = {
    "bold": "1", "dim": "2", "italic": "3", "reverse": "7",
    "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36", "bright_blue": "94",
}  # fmt: skip

_ASCII = str.maketrans(
    {
        "→": ">", "←": "<", "▶": ">", "◀": "<", "─": "-", "│": "|", "├": "|", "┤": "|", "┊": ":", "╷": ".", "╵": "'",
        "━": "=", "═": "=", "┃": "#", "║": "#", "▲": "^", "▼": "v", "≥": ">", **dict.fromkeys("┌┐└┘┏┓┗┛╔╗╚╝", "+"),
        "▌": "#", "·": "-", "…": "~", "µ": "u", "✗": "!", "’": "'", "–": "-", "—": "-", "“": '"', "”": '"',
    }
)  # fmt: skip


class Screen(NamedTuple):
    """What a renderer has to know of the place its lines go to."""

    width: int
    """Columns."""
    color: bool = False
    unicode: bool = True
    """Whether glyphs beyond ASCII can be shown."""
    terminal: bool = False
    """A person looks at it: lines must not wrap, long tables are cut."""

    def paint(self, text: str, style: str) -> str:
        """The text in a style of words.py."""
        return f"{self.code(style)}{text}\x1b[0m" if self.color and style and text else text

    def code(self, style: str) -> str:
        """What switches the style on; empty without colour."""
        return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m" if self.color and style else ""

    def encode(self, text: str) -> str:
        """The text with the glyphs that can be shown here; no other character is left, and no column moves."""
        if self.unicode or text.isascii():
            return text
        return "".join(c if c.isascii() else "?" * cells(c) for c in text.translate(_ASCII))

    def write(self, lines: Iterable[str], stream: TextIO | None = None) -> None:
        """Write lines to the stream, standard output if none is given."""
        stream = stream or sys.stdout
        for line in lines:
            stream.write(self.encode(line.rstrip()) + "\n")


def screen_of(color: str = "auto", stream: TextIO | None = None) -> Screen:
    """The screen that a stream is. ``color`` is ``auto``, ``always`` or ``never``.

    Auto is colour on a terminal that is not dumb; the environment may forbid or force it.
    """
    stream = stream or sys.stdout
    terminal = stream.isatty()
    wanted = bool(os.environ.get(FORCE_COLOR)) or (terminal and os.environ.get("TERM") != "dumb")
    if os.environ.get(NO_COLOR):
        wanted = False
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if terminal else _columns_asked()
    encoding = (stream.encoding or "").lower().replace("-", "")
    return Screen(
        width=max(width, NARROWEST),
        color=color == "always" or (color == "auto" and wanted),
        unicode=encoding == "utf8" and (_locale_is_utf8() or spoken() != "en"),
        terminal=terminal,
    )


def cells(text: str) -> int:
    """Columns that the text takes on a terminal; it holds nothing invisible (see untrusted.py)."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def ljust(text: str, width: int) -> str:
    """The text with blanks behind it, up to so many columns."""
    return text + " " * (width - cells(text))


def rjust(text: str, width: int) -> str:
    """The text with blanks before it."""
    return " " * (width - cells(text)) + text


def center(text: str, width: int) -> str:
    """The text with blanks around it, as ``str.center`` has them."""
    return text.center(width - cells(text) + len(text))


def fit(text: str, width: int) -> str:
    """The text cut to the width, with an ellipsis where something is missing."""
    if cells(text) <= width:
        return text
    if width < 1:
        return ""
    kept, used = [], 1
    for character in text:
        used += cells(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept) + "…"


def fit_middle(text: str, width: int) -> str:
    """The text (one column a character) shortened in its middle."""
    if len(text) <= width:
        return text
    tail = width // 2
    return f"{text[: width - tail - 1]}…{text[len(text) - tail :]}"


def _columns_asked() -> int:
    try:
        return int(os.environ["COLUMNS"]) or PIPE_WIDTH
    except (KeyError, ValueError):
        return PIPE_WIDTH


def _locale_is_utf8() -> bool:
    if not hasattr(locale, "nl_langinfo"):
        return True
    return locale.nl_langinfo(locale.CODESET).upper() in ("UTF-8", "UTF8")
