"""Octets and integers into a text. The caller has seen to it that there is room.

Offsets go through ``& OFFSET`` once, which changes nothing: with it the compiler sees that no index is negative, leaves
out the code that would count from the array's end, and copies many octets at a time.
"""

from __future__ import annotations

from analyzer.jit import kernel
from analyzer.tables import U8

OFFSET = (1 << 46) - 1

INTEGER_LEN = 20
"""Octets of the longest integer."""

ZERO, MINUS, POINT = ord("0"), ord("-"), ord(".")


@kernel
def put_octets(text: U8, at: int, source: U8, start: int, end: int) -> int:
    """Copy ``source[start:end]`` to ``at``. Returns where the text goes on."""
    to = at & OFFSET
    first = start & OFFSET
    size = end - start
    for k in range(size):
        text[to + k] = source[first + k]
    return at + size


@kernel
def put_integer(text: U8, at: int, value: int) -> int:
    """Decimal digits of a value above -2**63, from groups of eight. Returns where the text goes on."""
    if value < 0:
        text[at & OFFSET] = MINUS
        at += 1
        value = -value
    if value < 100_000_000:
        return put_group(text, at, value)
    high = value // 100_000_000
    if high < 100_000_000:
        at = put_group(text, at, high)
    else:
        at = put_group(text, at, high // 100_000_000)
        at = put_eight(text, at, high % 100_000_000)
    return put_eight(text, at, value % 100_000_000)


@kernel
def put_micros(text: U8, at: int, value: int) -> int:
    """Microseconds as seconds with six decimals: ``1.500000``. Returns where the text goes on."""
    if value < 0:
        text[at & OFFSET] = MINUS
        at += 1
        value = -value
    seconds = value // 1_000_000
    at = put_integer(text, at, seconds)
    text[at & OFFSET] = POINT
    rest = value - seconds * 1_000_000
    put_pair(text, at + 1, rest // 10_000)
    put_pair(text, at + 3, rest // 100 % 100)
    put_pair(text, at + 5, rest % 100)
    return at + 7


@kernel
def put_group(text: U8, at: int, value: int) -> int:
    """One to eight digits."""
    at &= OFFSET
    if value < 10:
        text[at] = ZERO + value
        return at + 1
    digits = 2
    bound = 100
    while value >= bound:
        digits += 1
        bound *= 10
    end = (at + digits) & OFFSET
    k = end
    while k - at >= 2:
        rest = (value & OFFSET) // 100
        put_pair(text, k - 2, value - rest * 100)
        value = rest
        k -= 2
    if k > at:
        text[at] = ZERO + value
    return end


@kernel
def put_eight(text: U8, at: int, value: int) -> int:
    """Exactly eight digits."""
    high = (value & OFFSET) // 10_000
    low = value - high * 10_000
    put_pair(text, at, high // 100)
    put_pair(text, at + 2, high % 100)
    put_pair(text, at + 4, low // 100)
    put_pair(text, at + 6, low % 100)
    return at + 8


@kernel
def put_pair(text: U8, at: int, value: int) -> None:
    """Exactly two digits."""
    to = at & OFFSET
    tens = (value & 127) // 10
    text[to] = ZERO + tens
    text[to + 1] = ZERO + value - tens * 10
