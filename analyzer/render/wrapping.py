"""Sentences in lines of so many columns, also those of languages that put no blanks between words."""

from __future__ import annotations

import re
import textwrap

from analyzer.render.screen import cells

_WIDE = "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6"
_OPENING, _CLOSING = "（《〈「『【〔“‘", "，。、；：？！）》〉」』】〕”’…%"
_STOPS = tuple("，。、；：？！")
"""They bring a blank of their own, so that none follows between sentences."""

_UNIT = rf"[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}]+)[{_CLOSING}]*|[{_OPENING}]+|\s+"
"""What stays on one line: a wide character or a word, with the marks that may not be parted from it; or blanks."""


def wrap(text: str, width: int, indent: str = "", subsequent_indent: str = "") -> list[str]:
    """The lines of a text, none with more than ``width`` columns, each begun by its indent."""
    if cells(text) == len(text):
        return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=subsequent_indent)
    lines = []
    line, is_begun = indent, False
    for unit in _pieces(text, max(width - cells(indent), width - cells(subsequent_indent), 2)):
        is_blank = unit.isspace()
        if is_begun and not is_blank and cells(line) + cells(unit) > width:
            lines.append(line.rstrip())
            line, is_begun = subsequent_indent, False
        if is_blank and line.endswith(_STOPS):
            continue
        if is_begun or not is_blank:
            line += " " if is_blank else unit
            is_begun = True
    return [*lines, line.rstrip()] if is_begun else lines


def _pieces(text: str, width: int) -> list[str]:
    """The units of a text; those that no line has room for are cut."""
    pieces = []
    for unit in re.findall(_UNIT, text):
        while cells(unit) > width:
            end = next(i for i in range(len(unit), 0, -1) if cells(unit[:i]) <= width)
            pieces.append(unit[:end])
            unit = unit[end:]
        pieces.append(unit)
    return pieces
