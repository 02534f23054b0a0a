"""Words and numbers into the text."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.page import AT, FULL, LIMIT, Page, four_octets, octet, stop

BILLION = 1_000_000_000
MASK_32 = 0xFFFFFFFF


@kernel
def put(page: Page, words: bytes) -> None:
    """Words as they are."""
    state = page.state
    at = wide(state[AT])
    size = len(words)
    if at + size > wide(state[LIMIT]):
        stop(page, FULL)
        return
    text = page.text
    for i in range(size):
        text[at + i] = words[i]
    state[AT] = at + size


@kernel
def put_spelled(page: Page, start: int, end: int) -> None:
    """A name."""
    state = page.state
    at = wide(state[AT])
    if at + end - start > wide(state[LIMIT]):
        stop(page, FULL)
        return
    for i in range(end - start):
        page.text[at + i] = page.spelled[start + i]
    state[AT] = at + end - start


@kernel
def put_character(page: Page, code: int) -> None:
    """One octet."""
    state = page.state
    at = wide(state[AT])
    if at + 1 > wide(state[LIMIT]):
        stop(page, FULL)
        return
    page.text[at] = code
    state[AT] = at + 1


@kernel
def put_decimal(page: Page, value: int) -> None:
    """``%u``, for 0 <= value < 2^63."""
    state = page.state
    at = wide(state[AT])
    if at + 20 > wide(state[LIMIT]):
        stop(page, FULL)
        return
    text = page.text
    digits = 1
    bound = 10
    while digits < 19 and value >= bound:
        digits += 1
        bound *= 10
    end = at + digits
    while end > at:
        end -= 1
        rest = value // 10
        text[end] = 48 + value - rest * 10
        value = rest
    state[AT] = at + digits


@kernel
def put_digits(page: Page, value: int, digits: int) -> None:
    """``%0Nu``: exactly ``digits`` decimal digits."""
    state = page.state
    at = wide(state[AT])
    if at + digits > wide(state[LIMIT]):
        stop(page, FULL)
        return
    text = page.text
    for i in range(digits - 1, -1, -1):
        rest = value // 10
        text[at + i] = 48 + value - rest * 10
        value = rest
    state[AT] = at + digits


@kernel
def put_two_digits(page: Page, value: int) -> None:
    """``%02u``, which may need more than two digits."""
    if value < 10:
        put_character(page, 48)
    put_decimal(page, value)


@kernel
def put_hex_digits(page: Page, value: int, digits: int) -> None:
    """``%0Nx``: exactly ``digits`` hexadecimal digits."""
    state = page.state
    at = wide(state[AT])
    if at + digits > wide(state[LIMIT]):
        stop(page, FULL)
        return
    text = page.text
    for i in range(digits - 1, -1, -1):
        nibble = value & 15
        text[at + i] = 48 + nibble if nibble < 10 else 87 + nibble
        value >>= 4
    state[AT] = at + digits


@kernel
def put_hex(page: Page, value: int) -> None:
    """``%x``, for 0 <= value < 2^63."""
    digits = 1
    rest = value >> 4
    while rest > 0:
        digits += 1
        rest >>= 4
    put_hex_digits(page, value, digits)


@kernel
def put_decimal_64(page: Page, at: int) -> None:
    """The unsigned 64-bit integer at ``at``, decimal."""
    high = four_octets(page, at)
    low = four_octets(page, at + 4)
    part = (high % BILLION) << 32 | low
    quotient = ((high // BILLION) << 32) + part // BILLION
    if quotient > 0:
        put_decimal(page, quotient)
        put_digits(page, part % BILLION, 9)
    else:
        put_decimal(page, part % BILLION)


@kernel
def put_hex_64(page: Page, at: int) -> None:
    """The unsigned 64-bit integer at ``at``, ``%x``."""
    high = four_octets(page, at)
    if high > 0:
        put_hex(page, high)
        put_hex_digits(page, four_octets(page, at + 4), 8)
    else:
        put_hex(page, four_octets(page, at + 4))


@kernel
def put_octets(page: Page, at: int, size: int) -> None:
    """``size`` octets as two hexadecimal digits each, without a space; stops at the first that was not captured."""
    for i in range(size):
        value = octet(page, at + i)
        if wide(page.state[LIMIT]) < 0:
            return
        put_hex_digits(page, value, 2)


@kernel
def put_visible(page: Page, code: int) -> None:
    """One character of a packet, with ``^`` and ``M-`` for those that cannot be printed."""
    if code >= 128:
        put(page, b"M-")
        code &= 127
    if code < 32 or code == 127:
        put(page, b"^")
        code ^= 64
    put_character(page, code)


@kernel
def put_list(page: Page, comma: int, word: bytes) -> int:
    """A word of a list: behind ``, `` unless it is the first (``comma`` is 0). Gives 1."""
    if comma:
        put(page, b", ")
    put(page, word)
    return 1


@kernel
def say(page: Page, form: bytes, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> None:
    """Words with numbers in them: ``%u`` decimal, ``%x`` hexadecimal, ``%4`` of so many hexadecimal digits."""
    number = 0
    i = 0
    while i < len(form):
        code = form[i]
        i += 1
        if code != 37:
            put_character(page, wide(code))
            continue
        value = d
        if number == 0:
            value = a
        elif number == 1:
            value = b
        elif number == 2:
            value = c
        number += 1
        kind = form[i]
        i += 1
        if kind == 117:
            put_decimal(page, value)
        elif kind == 120:
            put_hex(page, value)
        else:
            put_hex_digits(page, value, wide(kind) - 48)
