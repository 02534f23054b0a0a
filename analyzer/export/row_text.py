"""A table of records as text, a line a row, in any notation: JSON Lines, CSV, Zeek's logs.

The names and the words of a table become one run of octets, with what the notation needs around them; a kernel then
goes over the rows and copies, for each column, the text before its value and the value. A notation says what that text
is, and what stands around values (``Notation``); it costs nothing that a row does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from analyzer.export.columns import NULL, Column, Integers, Lists, Micros, Table, Texts, Words, WordSets, rows_in
from analyzer.export.octets import INTEGER_LEN, put_integer, put_micros, put_octets
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8

INTEGER, WORD, WORD_SET, TEXT, LIST, MICROS = 0, 1, 2, 3, 4, 5
KINDS = {Integers: INTEGER, Words: WORD, WordSets: WORD_SET, Texts: TEXT, Lists: LIST, Micros: MICROS}

SIZE_BITS = 20
"""A text's value is where it begins, shifted by this, and its size."""
SIZE_MASK = (1 << SIZE_BITS) - 1

QUOTE, COMMA = ord('"'), ord(",")

# Places of Layout.marks: octets around texts and lists and between a list's values, 0 for none; what to do; where the
# first two of Layout.octets end
TEXT_MARK, LIST_OPEN, LIST_CLOSE, SEPARATOR, OMITS_NULL, QUOTES_COMMAS, NULL_END, EMPTY_END = 0, 1, 2, 3, 4, 5, 6, 7
LARGEST_MARKS = 2
"""Marks around a value are two octets at most."""


class Notation(NamedTuple):
    """How a table is written."""

    befores: Callable[[tuple[str, ...]], Sequence[bytes]]
    """From the columns' names the text before each value, and at last that at a row's end."""
    word: Callable[[str], bytes]
    """A word, with what stands around it."""
    null: bytes
    """What is not known."""
    empty: bytes
    """A text or list without anything in it, between its marks."""
    text_mark: str
    """Stands before and after a text; empty for none."""
    list_marks: str
    """Stand before and after a list; empty for none."""
    separator: str
    """Stands between a list's values."""
    omits_null: bool = False
    """Whether of a value that is not known the text before it is left out too. The first column is always known."""
    quotes_commas: bool = False
    """Whether a text with a comma in it gets quotation marks."""


class Layout(NamedTuple):
    """What is the same in every row of a table."""

    kinds: I64
    """Kind of each column."""
    marks: I64
    """What the notation puts around values."""
    octets: U8
    """NULL, then the empty value, the texts before the values and the text at a row's end, then all words."""
    before: I64
    """Where the text before each column's value begins; the next entry is where it ends. The last is the row's end."""
    first_word: I64
    """Each column's first word."""
    words: I64
    """Where each word begins; the next entry is where it ends."""


class RowText:
    """Writes tables. It keeps the buffer for their text, so that a long run of tables needs no more than one."""

    def __init__(self, notation: Notation) -> None:
        self._notation = notation
        self._text: Any = np.empty(0, np.uint8)

    def lines(self, table: Table) -> memoryview:
        """One line a row; valid until the next call."""
        columns = tuple(table.values())
        kinds = tuple(KINDS[type(column)] for column in columns)
        words = tuple(column.words if isinstance(column, (Words, WordSets)) else () for column in columns)
        layout, longest = layout_of(self._notation, tuple(table), kinds, words)
        longest += sum(int(column.size.max(initial=0)) for column in columns if isinstance(column, (Texts, Lists)))
        rows = rows_in(table)
        values, texts = values_of(columns, rows)
        if len(self._text) < rows * longest:
            self._text = np.empty(rows * longest, np.uint8)
        run: Any = fastest(put_rows)
        compiled = run is not put_rows
        if compiled:
            return memoryview(self._text)[: run(self._text, layout, values, texts, rows)]
        # Interpreted: Python's own containers take a fraction of an array's time to index
        plain = Layout._make(column.tobytes() if column.dtype == np.uint8 else column.tolist() for column in layout)
        text = bytearray(rows * longest)
        return memoryview(text)[: run(text, plain, values.tolist(), texts.tobytes(), rows)]


@lru_cache(maxsize=8)
def layout_of(
    notation: Notation, names: tuple[str, ...], kinds: tuple[int, ...], words: tuple[tuple[str | None, ...], ...]
) -> tuple[Layout, int]:
    """The layout of a table, and the octets that no row exceeds, those of its Texts and Lists not counted."""
    befores = notation.befores(names)
    written = [[notation.null if word is None else notation.word(word) for word in of_column] for of_column in words]
    parts = [notation.null, notation.empty, *befores, *(word for of_column in written for word in of_column)]
    starts = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    first_word = np.concatenate(([0], np.cumsum([len(of_column) for of_column in words])))
    marks = [*(ord(mark) if mark else 0 for mark in (
        notation.text_mark, notation.list_marks[:1], notation.list_marks[1:], notation.separator,
    )), int(notation.omits_null), int(notation.quotes_commas), int(starts[1]), int(starts[2])]  # fmt: skip
    layout = Layout(
        kinds=np.array(kinds, np.int64),
        marks=np.array(marks, np.int64),
        octets=np.frombuffer(b"".join(parts), np.uint8),
        before=starts[2 : len(befores) + 3],
        first_word=first_word,
        words=starts[len(befores) + 2 :],
    )
    longest = sum(len(before) for before in befores)
    least = LARGEST_MARKS + max(INTEGER_LEN + 2, len(notation.null), len(notation.empty))
    for kind, of_column in zip(kinds, written, strict=True):
        sizes = [len(word) + 1 for word in of_column]
        longest += max(least, sum(sizes) + LARGEST_MARKS if kind == WORD_SET else max(sizes, default=0))
    return layout, longest


def values_of(columns: Sequence[Column], rows: int) -> tuple[I64, U8]:
    """One integer for each value of a table, row by row, and the octets of its texts."""
    values = np.empty((rows, len(columns)), np.int64)
    texts = []
    begin = 0
    for k, column in enumerate(columns):
        if isinstance(column, (Texts, Lists)):
            values[:, k] = np.where(column.start == NULL, NULL, column.start + begin << SIZE_BITS | column.size)
            texts.append(column.octets)
            begin += len(column.octets)
        else:
            values[:, k] = column[0]
    return values.reshape(-1), np.concatenate(texts) if texts else np.empty(0, np.uint8)


@kernel
def put_rows(text: U8, layout: Layout, values: I64, texts: U8, rows: int) -> int:
    """Write every row. Returns the octets written; ``text`` has room for them."""
    columns = len(layout.kinds)
    octets = layout.octets
    # read once: for all that a compiler knows, every octet that is written might change them
    text_mark, quotes_commas = wide(layout.marks[TEXT_MARK]), wide(layout.marks[QUOTES_COMMAS])
    list_open, list_close = wide(layout.marks[LIST_OPEN]), wide(layout.marks[LIST_CLOSE])
    separator, omits_null = wide(layout.marks[SEPARATOR]), wide(layout.marks[OMITS_NULL])
    null_end, empty_end = wide(layout.marks[NULL_END]), wide(layout.marks[EMPTY_END])
    at = 0
    i = 0
    for _ in range(rows):
        for k in range(columns):
            value = wide(values[i])
            i += 1
            if omits_null and value == NULL:
                continue
            at = put_octets(text, at, octets, wide(layout.before[k]), wide(layout.before[k + 1]))
            kind = wide(layout.kinds[k])
            if value == NULL:
                at = put_octets(text, at, octets, 0, null_end)
            elif kind == INTEGER:
                at = put_integer(text, at, value)
            elif kind == WORD:
                word = wide(layout.first_word[k]) + value
                at = put_octets(text, at, octets, wide(layout.words[word]), wide(layout.words[word + 1]))
            elif kind == MICROS:
                at = put_micros(text, at, value)
            elif kind == TEXT:
                start = value >> SIZE_BITS
                end = start + (value & SIZE_MASK)
                mark = QUOTE if quotes_commas and has_comma(texts, start, end) else text_mark
                at = put_mark(text, at, mark)
                if start == end:
                    at = put_octets(text, at, octets, null_end, empty_end)
                at = put_mark(text, put_octets(text, at, texts, start, end), mark)
            else:
                at = put_mark(text, at, list_open)
                if value == 0 or (kind == LIST and value & SIZE_MASK == 0):
                    at = put_octets(text, at, octets, null_end, empty_end)
                elif kind == LIST:
                    at = put_list(text, at, texts, value >> SIZE_BITS, value & SIZE_MASK, separator)
                else:
                    at = put_words(text, at, layout, wide(layout.first_word[k]), value, separator)
                at = put_mark(text, at, list_close)
        at = put_octets(text, at, octets, wide(layout.before[columns]), wide(layout.before[columns + 1]))
    return at


@kernel
def put_mark(text: U8, at: int, mark: int) -> int:
    """One octet, or none where it is 0. Returns where the text goes on."""
    if mark:
        text[at] = mark
        at += 1
    return at


@kernel
def has_comma(texts: U8, start: int, end: int) -> bool:
    """Whether there is a comma; all octets are counted, for that goes many at a time."""
    commas = 0
    for k in range(start, end):
        commas += 1 if wide(texts[k]) == COMMA else 0
    return commas > 0


@kernel
def put_list(text: U8, at: int, texts: U8, start: int, size: int, separator: int) -> int:
    """A list of numbers, which have commas between them in ``texts``. Returns where the text goes on."""
    for k in range(size):
        octet = wide(texts[start + k])
        text[at + k] = separator if octet == COMMA else octet
    return at + size


@kernel(inline=True)
def put_words(text: U8, at: int, layout: Layout, word: int, bits: int, separator: int) -> int:
    """A list of words: those from ``word`` on whose bits are set. Returns where the text goes on."""
    while bits:
        if bits & 1:
            at = put_octets(text, at, layout.octets, wide(layout.words[word]), wide(layout.words[word + 1]))
            if bits > 1:
                text[at] = separator
                at += 1
        bits >>= 1
        word += 1
    return at
