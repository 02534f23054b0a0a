"""Octets as hexadecimal numbers and as characters: flags -x, -X and -A, and what tcpdump dumps by itself."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.page import AT, FULL, HEX, HEX_ASCII, LIMIT, QUIET, Page, available, captured, octet, stop
from analyzer.render.tcpdump.text import put, put_character, put_hex_digits

LINE = 16  # octets a line


@kernel
def nibble_character(value: int) -> int:
    """A hexadecimal digit."""
    return 48 + value if value < 10 else 87 + value


@kernel
def put_hex_and_ascii(page: Page, at: int, size: int) -> None:
    """Lines of 16 octets: offset, hexadecimal, characters. All octets must be readable."""
    state = page.state
    text = page.text
    for line in range(0, size, LINE):
        put(page, b"\n\t0x")
        put_hex_digits(page, line, 4 if line < 0x10000 else 5)
        put(page, b": ")
        out = wide(state[AT])
        if out + 60 > wide(state[LIMIT]):
            stop(page, FULL)
            return
        count = min(LINE, size - line)
        for i in range(42):
            text[out + i] = 32
        column = out
        for i in range(count):
            code = wide(page.data[at + line + i])
            if i % 2 == 0:
                column += 1
            text[column] = nibble_character(code >> 4)
            text[column + 1] = nibble_character(code & 15)
            column += 2
            text[out + 42 + i] = code if 32 < code < 127 else 46
        state[AT] = out + 42 + count


@kernel
def put_hex_lines(page: Page, indent: bytes, at: int, size: int) -> None:
    """Lines of 16 octets: offset, hexadecimal, each line behind ``indent``. All octets must be readable."""
    for i in range(size):
        if i % LINE == 0:
            put(page, indent)
            put(page, b"0x")
            put_hex_digits(page, i, 4 if i < 0x10000 else 5)
            put(page, b": ")
        if i % 2 == 0:
            put_character(page, 32)
        put_hex_digits(page, wide(page.data[at + i]), 2)


@kernel
def put_ascii(page: Page, at: int, size: int) -> None:
    """The octets as characters, without carriage returns at line ends. All octets must be readable."""
    put(page, b"\n")
    for i in range(size):
        code = wide(page.data[at + i])
        if code == 13:
            if size - i - 1 > 1 and wide(page.data[at + i + 1]) != 10:
                put_character(page, 46)
        elif 32 <= code < 127 or code in (9, 10):
            put_character(page, code)
        else:
            put_character(page, 46)


@kernel
def put_unknown(page: Page, indent: bytes, at: int, size: int) -> None:
    """Data that no printer knows, in hexadecimal: as much of it as was captured."""
    if not captured(page, at, 0):
        put(page, indent)
        put(page, b"Dissector error: print_unknown_data() called with pointer past end of packet")
        return
    put_hex_lines(page, indent, at, min(size, available(page, at)))


@kernel
def put_default(page: Page, at: int, size: int) -> None:
    """A packet that no printer knows, unless -q, or -x or -X dumps it anyway."""
    if not wide(page.state[QUIET]) and not wide(page.state[HEX]) and not wide(page.state[HEX_ASCII]):
        put_always(page, at, size)


@kernel
def put_always(page: Page, at: int, size: int) -> None:
    """What a printer gives up on; stops behind what was captured when ``size`` is more."""
    put_hex_and_ascii(page, at, min(size, available(page, at)))
    if size > 0:
        octet(page, at + size - 1)
