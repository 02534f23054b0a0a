"""The columns of a table of records.

A ``Table`` maps each column's name to its values, in the order of the record. A dot in a name nests:
``client_sent.packets`` is ``packets`` inside ``client_sent``. All columns of a table are of one length, and the kind of
a column is its class. A value that is not known is NULL.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.tables import I64, U8

NULL = -(2**63)
"""Not known; no column holds this number otherwise."""

Integral = npt.NDArray[Any]
"""Any array of integers."""

Flags = npt.NDArray[np.bool_]


class Integers(NamedTuple):
    """Numbers."""

    values: Integral


class Micros(NamedTuple):
    """Times and durations in microseconds, which are written as seconds with six decimals."""

    values: Integral


class Words(NamedTuple):
    """One of a few words each."""

    codes: Integral
    """Index into ``words``, or NULL."""
    words: tuple[str | None, ...]
    """None is NULL too."""


class WordSets(NamedTuple):
    """Some of a few words each, in their order."""

    bits: Integral
    """Bit k stands for ``words[k]``."""
    words: tuple[str, ...]
    """Without spaces, commas and quotation marks."""


class Texts(NamedTuple):
    """A text each: ASCII without control characters, quotes and backslashes."""

    octets: U8
    """All texts, in any order."""
    start: I64
    """Where each begins; NULL for none."""
    size: I64
    """Octets of each."""


class Lists(NamedTuple):
    """Numbers, none or several each, as texts: ``1,2,3``."""

    octets: U8
    """All texts, in any order."""
    start: I64
    """Where each begins; NULL for none."""
    size: I64
    """Octets of each."""


Column = Integers | Micros | Words | WordSets | Texts | Lists
Table = dict[str, Column]


def rows_in(table: Table) -> int:
    """How many rows a table has."""
    first = next(iter(table.values()))
    return len(first.start if isinstance(first, (Texts, Lists)) else first[0])


def where(known: Flags, values: Integral) -> I64:
    """The values, and NULL where they are not known."""
    return np.where(known, values, np.int64(NULL))
