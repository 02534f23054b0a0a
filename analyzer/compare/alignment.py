"""Two sequences put side by side: which of their members are the same ones, in order."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

_MOST_COMPARED = 250_000
"""Pairs of members up to which difflib is asked: it may take the square of the length."""


def aligned(a: Sequence[Any], b: Sequence[Any]) -> list[tuple[int, int]]:
    """Places of equal members, rising in both sequences, about as many as there can be.

    Members can be hashed and ordered. The same comes of exchanged sequences, exchanged. Long sequences in which little
    is common are aligned by how often each member came before: n log n steps.
    """
    if len(a) > len(b) or (len(a) == len(b) and list(a) > list(b)):
        return [(i, j) for j, i in aligned(b, a)]
    return list(_aligned(a, b))


def gaps(
    pairs: Sequence[tuple[int, int]], first: tuple[int, int], last: tuple[int, int]
) -> Iterator[tuple[range, range]]:
    """The stretches between pairs, those that are empty on both sides apart; ``last`` are the ends of the sequences."""
    i, j = first
    for at, other in [*pairs, last]:
        if i < at or j < other:
            yield range(i, at), range(j, other)
        i, j = at + 1, other + 1


def _aligned(a: Sequence[Hashable], b: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    shorter = min(len(a), len(b))
    before = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    room = shorter - before
    behind = next((i for i in range(room) if a[-1 - i] != b[-1 - i]), room)
    yield from ((i, i) for i in range(before))
    middle_a, middle_b = a[before : len(a) - behind], b[before : len(b) - behind]
    if len(middle_a) * len(middle_b) <= _MOST_COMPARED:
        for i, j, length in SequenceMatcher(None, middle_a, middle_b, autojunk=False).get_matching_blocks():
            yield from ((before + i + k, before + j + k) for k in range(length))
    elif found := _rising(_same_occurrence(middle_a, middle_b)):
        last = len(middle_a), len(middle_b)
        anchors = iter([*found, last])
        i = j = 0
        for at, other in anchors:
            inner = _aligned(middle_a[i:at], middle_b[j:other])
            yield from ((before + i + k, before + j + m) for k, m in inner)
            if (at, other) != last:
                yield before + at, before + other
            i, j = at + 1, other + 1
    yield from ((len(a) - k, len(b) - k) for k in range(behind, 0, -1))


def _same_occurrence(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Places of members that are equal and came equally often before."""
    places = {member: j for j, member in enumerate(_numbered(b))}
    return [(i, places[member]) for i, member in enumerate(_numbered(a)) if member in places]


def _numbered(members: Sequence[Hashable]) -> Iterator[tuple[Hashable, int]]:
    seen: Counter[Hashable] = Counter()
    for member in members:
        seen[member] += 1
        yield member, seen[member]


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """As many of the pairs as possible, rising in their second places too (patience sorting)."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for k, (_, j) in enumerate(pairs):
        at = bisect_left(ends, j)
        before.append(last[at - 1] if at else -1)
        if at == len(ends):
            ends.append(j)
            last.append(k)
        else:
            ends[at], last[at] = j, k
    found = []
    k = last[-1] if last else -1
    while k >= 0:
        found.append(pairs[k])
        k = before[k]
    return found[::-1]
