"""The sentences of explain/why.py for many connections at once: its templates as octets, filled by a kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from analyzer.explain.why import CAUSES, REMARKS, Cause, Number, Remark, actor_of, evidence, remarks_on, sentence
from analyzer.export.columns import NULL, Texts
from analyzer.export.octets import INTEGER_LEN, put_integer, put_octets
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8, Rows, Side

NO_NUMBER = -1
"""Behind the last piece of a sentence."""

FIRST_REMARK = len(Cause)
REMARK_COUNT = len(Remark)


class Sentences(NamedTuple):
    """Every sentence for both sides, as pieces: octets, then a number.

    The sentence of a cause has the number ``2 * cause + actor``, that of a remark ``2 * (FIRST_REMARK + remark) +
    actor``.
    """

    octets: U8
    """The fixed text of all pieces, one after the other."""
    first_piece: I64
    """Each sentence's first piece; one more entry ends the last sentence."""
    start: I64
    """Each piece's first octet; one more entry ends the last piece."""
    number: I64
    """The Number behind each piece, or NO_NUMBER."""


@cache
def sentences() -> Sentences:
    """The templates of causes and remarks; a remark's text begins with the space before it."""
    templates = [CAUSES[cause][1] for cause in Cause] + [" " + REMARKS[remark] for remark in Remark]
    octets = b""
    first_piece, start, numbers = [0], [0], []
    for template in templates:
        for actor in Side:
            for fixed, number in _pieces(sentence(template, actor)):
                octets += fixed.encode("ascii")
                start.append(len(octets))
                numbers.append(number)
            first_piece.append(len(numbers))
    return Sentences(
        np.frombuffer(octets, np.uint8), np.array(first_piece), np.array(start), np.array(numbers, np.int64)
    )


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """Fixed text and the number behind it, in turn."""
    parts = re.split(r"\{(\w+)\}", text)
    for k in range(0, len(parts) - 1, 2):
        yield parts[k], Number[parts[k + 1].upper()]
    yield parts[-1], NO_NUMBER


@cache
def longest() -> int:
    """Octets that no connection's text exceeds."""
    compiled = sentences()
    sizes = []
    for k in range(0, len(compiled.first_piece) - 1, 2):
        pieces = compiled.first_piece[k : k + 3]
        sizes.append(int(max(np.diff(compiled.start[pieces]))) + INTEGER_LEN * int(max(np.diff(pieces))))
    return max(sizes[:FIRST_REMARK]) + sum(sizes[FIRST_REMARK:])


def why_texts(connections: Rows, endpoints: Rows, causes: U8) -> Texts:
    """Why each connection ended, or has not; NULL for Cause.NONE. ``endpoints`` is [connection, Side]."""
    n = len(connections)
    texts = Texts(np.empty(n * longest(), np.uint8), np.empty(n, np.int64), np.empty(n, np.int64))
    numbers = np.empty(len(Number), np.int64)
    fastest(put_whys)(connections, endpoints, causes, sentences(), numbers, texts.octets, texts.start, texts.size)
    return texts


@kernel
def put_whys(
    connections: Rows, endpoints: Rows, causes: U8, compiled: Sentences, numbers: I64, text: U8, start: I64, size: I64
) -> None:
    """One text after the other."""
    at = 0
    for i in range(len(start)):
        cause = wide(causes[i])
        start[i] = at
        size[i] = 0
        if cause == Cause.NONE:
            start[i] = NULL
            continue
        connection, client, server = connections[i], endpoints[i, 0], endpoints[i, 1]
        actor = wide(actor_of(cause, connection, client, server))
        remarks = remarks_on(cause, actor, connection, client, server)
        evidence(connection, client, server, numbers)
        end = put_sentence(text, at, compiled, 2 * cause + actor, numbers)
        for remark in range(REMARK_COUNT):
            if remarks >> remark & 1:
                end = put_sentence(text, end, compiled, 2 * (FIRST_REMARK + remark) + actor, numbers)
        size[i] = end - at
        at = end


@kernel
def put_sentence(text: U8, at: int, compiled: Sentences, k: int, numbers: I64) -> int:
    """Sentence ``k`` with its numbers. Returns where the text goes on."""
    for piece in range(wide(compiled.first_piece[k]), wide(compiled.first_piece[k + 1])):
        at = put_octets(text, at, compiled.octets, wide(compiled.start[piece]), wide(compiled.start[piece + 1]))
        number = wide(compiled.number[piece])
        if number != NO_NUMBER:
            at = put_integer(text, at, wide(numbers[number]))
    return at
