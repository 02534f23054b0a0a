"""The sentences of explain/why.py for many connections at once: its templates as octets, filled by a kernel; and the
packets that they name. Records are in English, whatever language screens have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from analyzer.explain.causes import ADVICE, CAUSES, Cause, actor_of
from analyzer.explain.circumstances import ABOUT, REMARKS, TROUBLES, Remark, remarks_on
from analyzer.explain.why import AMOUNTS, Number, sentence, write_numbers
from analyzer.export.columns import NULL, Lists, Texts
from analyzer.export.octets import INTEGER_LEN, put_integer, put_octets
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8, Rows, Side

COMMA = ord(",")

NO_NUMBER = -1
"""Behind the last piece of a sentence."""

FIRST_ADVICE = len(Cause)
FIRST_REMARK = 2 * len(Cause)
FIRST_OTHER, REMARK_COUNT = len(TROUBLES), len(Remark)
"""Remarks before the first of these are troubles, and stand before the cause."""

EVIDENCE_LEN = int(AMOUNTS) * (INTEGER_LEN + 1)
"""Octets that no list of packets exceeds."""


class Sentences(NamedTuple):
    """Every sentence for both sides, as pieces: octets, then a number.

    The sentence of a cause has the number ``2 * cause + actor``, its advice ``2 * (FIRST_ADVICE + cause) + actor``,
    that of a remark ``2 * (FIRST_REMARK + remark) + actor``.
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
    """The templates of causes, advice and remarks, with the space between them and that of the cause."""
    templates: list[tuple[str, Side | None]] = [(CAUSES[cause], None) for cause in Cause]
    templates += [(f" {ADVICE[cause]}" if cause in ADVICE else "", None) for cause in Cause]
    for remark in Remark:
        template = f"{REMARKS[remark]} " if remark in TROUBLES else f" {REMARKS[remark]}"
        templates.append((template, ABOUT.get(remark)))
    octets = b""
    first_piece, start, numbers = [0], [0], []
    for template, about in templates:
        for actor in Side:
            for fixed, number in _pieces(sentence(template, actor if about is None else about)):
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
    return max(sizes[:FIRST_ADVICE]) + max(sizes[FIRST_ADVICE:FIRST_REMARK]) + sum(sizes[FIRST_REMARK:])


def why_texts(connections: Rows, endpoints: Rows, causes: U8) -> tuple[Texts, Lists]:
    """Why each connection ended, or has not, and the packets that are evidence; NULL for Cause.NONE.

    ``endpoints`` is [connection, Side].
    """
    n = len(connections)
    texts = Texts(np.empty(n * longest(), np.uint8), np.empty(n, np.int64), np.empty(n, np.int64))
    lists = Lists(np.empty(n * EVIDENCE_LEN, np.uint8), np.empty(n, np.int64), np.empty(n, np.int64))
    numbers, named = np.empty(len(Number), np.int64), np.empty(int(AMOUNTS), np.int64)
    fastest(put_whys)(connections, endpoints, causes, sentences(), numbers, named, texts, lists)
    return texts, lists


@kernel
def put_whys(
    connections: Rows, endpoints: Rows, causes: U8, compiled: Sentences, numbers: I64, named: I64, texts: Texts,
    lists: Lists,
) -> None:  # fmt: skip
    """One text after the other, and one list. ``named`` has room for the packets of one."""
    at = 0
    list_at = 0
    text = texts.octets
    for i in range(len(causes)):
        cause = wide(causes[i])
        texts.start[i] = at
        lists.start[i] = list_at
        texts.size[i] = 0
        lists.size[i] = 0
        if cause == Cause.NONE:
            texts.start[i] = NULL
            lists.start[i] = NULL
            continue
        connection, client, server = connections[i], endpoints[i, 0], endpoints[i, 1]
        actor = wide(actor_of(cause, connection, client, server))
        remarks = remarks_on(cause, actor, connection, client, server)
        write_numbers(connection, client, server, numbers)
        count = 0
        end = at
        for remark in range(REMARK_COUNT):
            if remark == FIRST_OTHER:
                count = name_packets(compiled, 2 * cause + actor, numbers, named, count)
                end = put_sentence(text, end, compiled, 2 * cause + actor, numbers)
            if remarks >> remark & 1:
                k = 2 * (FIRST_REMARK + remark) + actor
                count = name_packets(compiled, k, numbers, named, count)
                end = put_sentence(text, end, compiled, k, numbers)
        end = put_sentence(text, end, compiled, 2 * (FIRST_ADVICE + cause) + actor, numbers)
        texts.size[i] = end - at
        at = end
        end = put_list(lists.octets, list_at, named, count)
        lists.size[i] = end - list_at
        list_at = end


@kernel
def name_packets(compiled: Sentences, k: int, numbers: I64, named: I64, count: int) -> int:
    """Add the packets of sentence ``k`` to the ``count`` that were named before, each once. Returns how many."""
    for piece in range(wide(compiled.first_piece[k]), wide(compiled.first_piece[k + 1])):
        number = wide(compiled.number[piece])
        packet = wide(numbers[number]) if 0 <= number < AMOUNTS else 0
        is_new = packet != 0
        for j in range(count):
            if wide(named[j]) == packet:
                is_new = False
        if is_new:
            named[count] = packet
            count += 1
    return count


@kernel
def put_list(text: U8, at: int, named: I64, count: int) -> int:
    """Numbers with commas between them. Returns where the text goes on."""
    for j in range(count):
        if j:
            text[at] = COMMA
            at += 1
        at = put_integer(text, at, wide(named[j]))
    return at


@kernel
def put_sentence(text: U8, at: int, compiled: Sentences, k: int, numbers: I64) -> int:
    """Sentence ``k`` with its numbers. Returns where the text goes on."""
    for piece in range(wide(compiled.first_piece[k]), wide(compiled.first_piece[k + 1])):
        at = put_octets(text, at, compiled.octets, wide(compiled.start[piece]), wide(compiled.start[piece + 1]))
        number = wide(compiled.number[piece])
        if number != NO_NUMBER:
            at = put_integer(text, at, wide(numbers[number]))
    return at
