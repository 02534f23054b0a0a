"""Addresses and ports, as numbers or as names.

``Page.names`` is a hash table with one row for each address: 4 or 6 (0: free), the address in four words, and where
its name is in ``spelled``. An address that is not there stops the packet until its name was looked up.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.page import (
    NAME_WANTED,
    NUMERIC,
    PORTS,
    STOPPED,
    WANTED,
    Page,
    four_octets,
    need,
    octet,
    stop,
    two_octets,
)
from analyzer.render.tcpdump.text import put, put_character, put_decimal, put_hex, put_hex_digits, put_spelled, say
from analyzer.render.tcpdump.words import ORGANIZATIONS, PROTOCOL_NAMES, put_word, put_word_or
from analyzer.tables import I64

FAMILY, WORD, NAME_START, NAME_END = 0, 1, 5, 6
NAME_COLUMNS = 7
TCP_PORTS, UDP_PORTS = 0, 65_536


@kernel
def name_row(names: I64, family: int, a: int, b: int, c: int, d: int) -> int:
    """The row of an address in the table of names, or the free row where it belongs."""
    rows = len(names)
    row = (a * 31 + b * 104_729 + (c ^ c >> 13) * 7_919 + d + (d >> 15) + family) & (rows - 1)
    while True:
        known = wide(names[row, FAMILY])
        if known == 0:
            return row
        if (
            known == family and wide(names[row, WORD]) == a and wide(names[row, WORD + 1]) == b
            and wide(names[row, WORD + 2]) == c and wide(names[row, WORD + 3]) == d
        ):  # fmt: skip
            return row
        row = (row + 1) & (rows - 1)


@kernel
def put_name(page: Page, family: int, a: int, b: int, c: int, d: int) -> bool:
    """The address's name: False when it has none. An address that was not looked up yet stops the packet."""
    row = name_row(page.names, family, a, b, c, d)
    if wide(page.names[row, FAMILY]) == 0:
        if wide(page.state[STOPPED]) == 0:
            page.state[WANTED] = family
            page.state[WANTED + 1] = a
            page.state[WANTED + 2] = b
            page.state[WANTED + 3] = c
            page.state[WANTED + 4] = d
        stop(page, NAME_WANTED)
        return True
    start = wide(page.names[row, NAME_START])
    end = wide(page.names[row, NAME_END])
    put_spelled(page, start, end)
    return end > start


@kernel
def put_ipv4_number(page: Page, address: int) -> None:
    """An IPv4 address, dotted."""
    put_decimal(page, address >> 24)
    put_character(page, 46)
    put_decimal(page, address >> 16 & 255)
    put_character(page, 46)
    put_decimal(page, address >> 8 & 255)
    put_character(page, 46)
    put_decimal(page, address & 255)


@kernel
def put_ipv4(page: Page, at: int) -> None:
    """The IPv4 address at ``at``."""
    address = four_octets(page, at)
    if len(page.names) > 0 and wide(page.state[STOPPED]) == 0 and put_name(page, 4, 0, 0, 0, address):
        return
    put_ipv4_number(page, address)


@kernel
def half(a: int, b: int, c: int, d: int, i: int) -> int:
    """The ``i``-th of the eight 16-bit groups of an IPv6 address in four words."""
    word = a
    if i >= 6:
        word = d
    elif i >= 4:
        word = c
    elif i >= 2:
        word = b
    return word >> 16 if i % 2 == 0 else word & 0xFFFF


@kernel
def put_ipv6_number(page: Page, a: int, b: int, c: int, d: int) -> None:
    """An IPv6 address in four words, as tcpdump spells it: the longest run of zero groups is ``::``."""
    base, most = 8, 1
    run = 0
    for i in range(8):
        if half(a, b, c, d, i) == 0:
            run += 1
            if run > most:
                base, most = i + 1 - run, run
        else:
            run = 0
    for i in range(8):
        if base <= i < base + most:
            if i == base:
                put_character(page, 58)
            continue
        if i > 0:
            put_character(page, 58)
        if i == 6 and base == 0 and (most == 6 or (most == 5 and c & 0xFFFF == 0xFFFF)):
            put_ipv4_number(page, d)
            return
        put_hex(page, half(a, b, c, d, i))
    if base + most == 8:
        put_character(page, 58)


@kernel
def put_ipv6(page: Page, at: int) -> None:
    """The IPv6 address at ``at``."""
    need(page, at, 16)
    a, b = four_octets(page, at), four_octets(page, at + 4)
    c, d = four_octets(page, at + 8), four_octets(page, at + 12)
    if len(page.names) > 0 and wide(page.state[STOPPED]) == 0 and put_name(page, 6, a, b, c, d):
        return
    put_ipv6_number(page, a, b, c, d)


@kernel
def put_ipv6_words(page: Page, a: int, b: int) -> None:
    """An IPv6 address of which only the first two words are known, the others 0."""
    if len(page.names) > 0 and wide(page.state[STOPPED]) == 0 and put_name(page, 6, a, b, 0, 0):
        return
    put_ipv6_number(page, a, b, 0, 0)


@kernel
def put_mac(page: Page, at: int) -> None:
    """The MAC address at ``at``."""
    need(page, at, 6)
    if wide(page.state[NUMERIC]) == 0:
        if four_octets(page, at) == 0xFFFFFFFF and two_octets(page, at + 4) == 0xFFFF:
            put(page, b"Broadcast")
            return
    for i in range(6):
        if i:
            put_character(page, 58)
        put_hex_digits(page, octet(page, at + i), 2)
    if wide(page.state[NUMERIC]) == 0:
        put(page, b" (oui ")
        put_word_or(page, ORGANIZATIONS, b"Unknown", octet(page, at) << 16 | two_octets(page, at + 1))
        put(page, b")")


@kernel
def put_hardware_address(page: Page, at: int, size: int) -> None:
    """A link-layer address of ``size`` octets."""
    if size == 0:
        put(page, b"<empty>")
        return
    if size == 6:
        put_mac(page, at)
        return
    need(page, at, size)
    for i in range(size):
        if i:
            put_character(page, 58)
        put_hex_digits(page, octet(page, at + i), 2)


@kernel
def put_port(page: Page, ports: int, port: int) -> None:
    """A port, by name where ``ports`` (TCP_PORTS, UDP_PORTS) has one."""
    at = wide(page.state[PORTS])
    if at > 0:
        start = wide(page.places[at + ports + port])
        end = wide(page.places[at + ports + port + 1])
        if end > start:
            put_spelled(page, start, end)
            return
    put_decimal(page, port)


@kernel
def put_ip_protocol(page: Page, protocol: int) -> None:
    """An IP protocol without a printer: by name, or ``ip-proto-N``."""
    if wide(page.state[NUMERIC]) or not put_word(page, PROTOCOL_NAMES, protocol):
        say(page, b"ip-proto-%u", protocol)
