"""CSV as RFC 4180 has it, but that lines end in a line feed alone: what all that reads CSV takes, and Unix tools too.

The first line has the names. A field with a comma or a quotation mark in it stands in quotation marks. What is not
known is an empty field; an empty text or list is an empty field in quotation marks, and those that can tell the two
apart do (PostgreSQL's COPY, DuckDB's ``allow_quoted_nulls=false``, Python's ``csv.QUOTE_NOTNULL``). The values of a
list stand in one field with a space between them: neither words nor numbers have one, and pandas' ``str.split()``,
DuckDB's ``string_split(events, ' ')`` and a spreadsheet's "text to columns" take it apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

from analyzer.export.row_text import Notation

SPECIAL = frozenset(',"\r\n')


@cache
def csv_lines(head: str) -> Notation:
    """The notation; ``head`` is what every line begins with: fields and a comma, or nothing."""
    return Notation(
        partial(texts_before, head), csv_word, null=b"", empty=b'""', text_mark="", list_marks="", separator=" ",
        quotes_commas=True,
    )  # fmt: skip


def csv_word(word: str) -> bytes:
    """A word as a field."""
    if not word or SPECIAL & set(word):
        word = '"' + word.replace('"', '""') + '"'
    return word.encode()


def header(names: Sequence[str]) -> bytes:
    """The line of names."""
    return b",".join(map(csv_word, names)) + b"\n"


def texts_before(head: str, names: Sequence[str]) -> list[bytes]:
    """What stands before each value, and at the end."""
    return [head.encode(), *[b","] * (len(names) - 1), b"\n"]
