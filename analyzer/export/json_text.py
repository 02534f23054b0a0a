"""A table of records as JSON Lines: one object a row, without spaces.

The names and the words of a table become one run of octets, with what JSON needs around them; a kernel then goes over
the rows and copies, for each column, the text before its value and the value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from analyzer.export.columns import NULL, Column, Integers, Lists, Table, Texts, Words, WordSets
from analyzer.export.octets import INTEGER_LEN, put_integer, put_octets
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8

INTEGER, WORD, WORD_SET, TEXT, LIST = 0, 1, 2, 3, 4
KINDS = {Integers: INTEGER, Words: WORD, WordSets: WORD_SET, Texts: TEXT, Lists: LIST}

SIZE_BITS = 20
"""A text's value is where it begins, shifted by this, and its size."""
SIZE_MASK = (1 << SIZE_BITS) - 1

QUOTE, COMMA, OPEN, CLOSE = ord('"'), ord(","), ord("["), ord("]")
NULL_LEN = 4


class Layout(NamedTuple):
    """What is the same in every row of a table."""

    kinds: I64
    """Kind of each column."""
    octets: U8
    """``null``, then the texts before the values and the text at a row's end, then all words, quoted."""
    before: I64
    """Where the text before each column's value begins; the next entry is where it ends. The last is the row's end."""
    first_word: I64
    """Each column's first word."""
    words: I64
    """Where each word begins; the next entry is where it ends."""


class JsonLines:
    """Writes tables. It keeps the buffer for their text, so that a long run of tables needs no more than one."""

    def __init__(self, head: str) -> None:
        """``head`` is what every object begins with, as in ``"schema":1``."""
        self._head = head
        self._text: Any = np.empty(0, np.uint8)

    def lines(self, table: Table) -> memoryview:
        """One line a row; valid until the next call."""
        columns = tuple(table.values())
        kinds = tuple(KINDS[type(column)] for column in columns)
        words = tuple(column.words if isinstance(column, (Words, WordSets)) else () for column in columns)
        layout, longest = layout_of(self._head, tuple(table), kinds, words)
        longest += sum(int(column.size.max(initial=0)) for column in columns if isinstance(column, (Texts, Lists)))
        rows = len(columns[0][0])
        values, texts = values_of(columns)
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
    head: str, names: tuple[str, ...], kinds: tuple[int, ...], words: tuple[tuple[str | None, ...], ...]
) -> tuple[Layout, int]:
    """The layout of a table, and the octets that no row exceeds, those of its Texts not counted."""
    befores = list(texts_before(head, names))
    quoted = [[b"null" if word is None else json.dumps(word).encode() for word in of_column] for of_column in words]
    parts = [b"null", *befores, *(word for of_column in quoted for word in of_column)]
    starts = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    first_word = np.concatenate(([0], np.cumsum([len(of_column) for of_column in words])))
    layout = Layout(
        kinds=np.array(kinds, np.int64),
        octets=np.frombuffer(b"".join(parts), np.uint8),
        before=starts[1 : len(befores) + 2],
        first_word=first_word,
        words=starts[len(befores) + 1 :],
    )
    longest = sum(len(before) for before in befores)
    for kind, of_column in zip(kinds, quoted, strict=True):
        sizes = [len(word) + 1 for word in of_column]
        longest += max(INTEGER_LEN, sum(sizes) + 2 if kind == WORD_SET else max(sizes, default=0))
    return layout, longest


def texts_before(head: str, names: tuple[str, ...]) -> Iterator[bytes]:
    """What stands before each value, and at the end: braces and keys, from names in which dots nest."""
    above: list[str] = []
    text = "{" + head
    for name in names:
        *path, key = name.split(".")
        common = 0
        while common < min(len(path), len(above)) and path[common] == above[common]:
            common += 1
        text += "}" * (len(above) - common) + ","
        text += "".join(json.dumps(outer) + ":{" for outer in path[common:])
        yield (text + json.dumps(key) + ":").encode()
        above, text = path, ""
    yield ("}" * len(above) + "}\n").encode()


def values_of(columns: Sequence[Column]) -> tuple[I64, U8]:
    """One integer for each value of a table, row by row, and the octets of its texts."""
    values = np.empty((len(columns[0][0]), len(columns)), np.int64)
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
    at = 0
    i = 0
    for _ in range(rows):
        for k in range(columns):
            at = put_octets(text, at, octets, wide(layout.before[k]), wide(layout.before[k + 1]))
            value = wide(values[i])
            i += 1
            kind = wide(layout.kinds[k])
            if value == NULL:
                at = put_octets(text, at, octets, 0, NULL_LEN)
            elif kind == INTEGER:
                at = put_integer(text, at, value)
            elif kind == WORD:
                word = wide(layout.first_word[k]) + value
                at = put_octets(text, at, octets, wide(layout.words[word]), wide(layout.words[word + 1]))
            elif kind in (TEXT, LIST):
                start = value >> SIZE_BITS
                text[at] = QUOTE if kind == TEXT else OPEN
                at = put_octets(text, at + 1, texts, start, start + (value & SIZE_MASK))
                text[at] = QUOTE if kind == TEXT else CLOSE
                at += 1
            else:
                at = put_words(text, at, layout, wide(layout.first_word[k]), value)
        at = put_octets(text, at, octets, wide(layout.before[columns]), wide(layout.before[columns + 1]))
    return at


@kernel
def put_words(text: U8, at: int, layout: Layout, word: int, bits: int) -> int:
    """A list of words: those from ``word`` on whose bits are set. Returns where the text goes on."""
    text[at] = OPEN
    at += 1
    while bits:
        if bits & 1:
            at = put_octets(text, at, layout.octets, wide(layout.words[word]), wide(layout.words[word + 1]))
            if bits > 1:
                text[at] = COMMA
                at += 1
        bits >>= 1
        word += 1
    text[at] = CLOSE
    return at + 1
