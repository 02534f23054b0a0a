"""Options of IPv4 (RFC 791 3.1, RFC 2113)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ipv4
from analyzer.render.tcpdump.page import LIMIT, Page, captured, four_octets, octet, two_octets
from analyzer.render.tcpdump.text import MASK_32, put, say
from analyzer.render.tcpdump.words import IPV4_OPTIONS, put_word_or

END, NOP, RECORD_ROUTE, TIMESTAMP = 0, 1, 7, 68
LOOSE_ROUTE, STRICT_ROUTE, ROUTER_ALERT = 131, 137, 148


@kernel
def put_bad(page: Page, what: bytes, value: int) -> None:
    """``[bad length 3]``."""
    put(page, b"[bad ")
    put(page, what)
    say(page, b" %u]", value)


@kernel
def put_route(page: Page, at: int, size: int) -> bool:
    """The addresses of a route."""
    if size < 3:
        put(page, b" ")
        put_bad(page, b"length", size)
        return True
    if (size + 1) & 3:
        put(page, b" ")
        put_bad(page, b"length", size)
    pointer = (octet(page, at + 2) - 1) & MASK_32
    if pointer < 3 or (pointer + 1) & 3 or pointer > size + 1:
        put(page, b" ")
        put_bad(page, b"ptr", (pointer + 1) & MASK_32)
    for i in range(3, size, 4):
        if not captured(page, at + i, 4):
            return False
        put(page, b" ")
        put_ipv4(page, at + i)
        if pointer > i:
            put(page, b",")
    return True


@kernel
def put_timestamps(page: Page, at: int, size: int) -> bool:
    """The time stamps of a timestamp option."""
    if size < 4:
        put_bad(page, b"length", size)
        return True
    put(page, b" TS{")
    kind = octet(page, at + 3) & 15
    step = 4 if kind == 0 else 8
    if (size - 4) & (step - 1):
        put_bad(page, b"length", size)
    pointer = (octet(page, at + 2) - 1) & MASK_32
    if pointer < 4 or (pointer - 4) & (step - 1) or pointer > size + 1:
        put_bad(page, b"ptr", (pointer + 1) & MASK_32)
    i = 0
    if kind in (0, 1, 3):
        if kind == 0:
            put(page, b"TSONLY")
        elif kind == 1:
            put(page, b"TS+ADDR")
        else:
            put(page, b"PRESPEC")
        i = 4
        while i < size:
            if not captured(page, at + i, step):
                return False
            if pointer == i:
                put(page, b" ^ ")
            else:
                put(page, b" ")
            say(page, b"%u@", four_octets(page, at + i + step - 4))
            if step == 8:
                put_ipv4(page, at + i)
            i += step
    else:
        say(page, b"[bad ts type %u]", kind)
    if pointer == i:
        put(page, b" ^ ")
    missed = octet(page, at + 3) >> 4
    if missed:
        say(page, b" [%u hops not recorded]} ", missed)
    else:
        put(page, b"}")
    return True


@kernel
def put_ipv4_options(page: Page, at: int, left: int) -> bool:
    """``left`` octets of options; gives False when they are cut short."""
    first = True
    while left > 0 and wide(page.state[LIMIT]) >= 0:
        if not first:
            put(page, b",")
        first = False
        kind = octet(page, at)
        put_word_or(page, IPV4_OPTIONS, b"unknown %u", kind)
        size = 1
        if kind not in (NOP, END):
            size = octet(page, at + 1)
            if size < 2:
                put(page, b" ")
                put_bad(page, b"length", size)
                return True
        if size > left:
            put(page, b" ")
            put_bad(page, b"length", size)
            return True
        if not captured(page, at, size):
            return False
        if kind == END:
            return True
        if kind == TIMESTAMP:
            if not put_timestamps(page, at, size):
                return False
        elif kind in (RECORD_ROUTE, STRICT_ROUTE, LOOSE_ROUTE):
            if not put_route(page, at, size):
                return False
        elif kind == ROUTER_ALERT:
            if size < 4:
                put(page, b" ")
                put_bad(page, b"length", size)
            elif two_octets(page, at + 2) != 0:
                say(page, b" value %u", two_octets(page, at + 2))
        at += size
        left -= size
    return True
