"""Extension headers of IPv6: options (RFC 8200 4.2, RFC 2675, RFC 6275), fragment, routing (RFC 8754).

Each gives its length in octets, or -1 when nothing behind it can be printed.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ipv6
from analyzer.render.tcpdump.page import LIMIT, VERBOSE, Page, captured, four_octets, need, octet, two_octets
from analyzer.render.tcpdump.protocols import DSTOPT, FRAG6, HBHOPT, RT6, enter, put_invalid, put_truncated
from analyzer.render.tcpdump.text import put, put_decimal, say

PAD1, PADN, ROUTER_ALERT, JUMBO, HOME_ADDRESS = 0, 1, 5, 194, 201
CUT = -1
NOT_HOP_BY_HOP = -1


@kernel
def put_option_length(page: Page, name: bytes, size: int) -> None:
    """An option whose length is wrong."""
    put(page, b"(")
    put(page, name)
    say(page, b": invalid len %u)", size)


@kernel
def put_sub_options(page: Page, at: int, size: int) -> bool:
    """The sub-options of a home address option; gives False when they are cut short."""
    i = 0
    while i < size and wide(page.state[LIMIT]) >= 0:
        kind = octet(page, at + i)
        option_len = 1
        if kind != PAD1:
            if i + 1 >= size:
                return False
            option_len = octet(page, at + i + 1) + 2
        if i + option_len > size:
            return False
        if kind == PAD1:
            put(page, b", pad1")
        elif kind == PADN:
            put(page, b", padn")
        else:
            say(page, b", sopt_type 0x%2: len=%u", kind, option_len - 2)
        i += option_len
    return True


@kernel
def put_jumbo(page: Page, jumbo: int, seen: bool, payload_len: int) -> None:
    """A jumbo payload option, with -v."""
    say(page, b"(jumbo: %u", jumbo)
    if seen:
        put(page, b" - already seen")
    elif payload_len == NOT_HOP_BY_HOP:
        put(page, b" - not a hop-by-hop option")
    elif payload_len != 0:
        put(page, b" - payload len != 0")
    elif jumbo < 65_536:
        put(page, b" - < 65536")
    put(page, b") ")


@kernel
def put_options(page: Page, at: int, size: int, payload_len: int) -> int:
    """``size`` octets of options: gives the jumbo payload length, 0 where there is none, CUT where they are cut."""
    verbose = wide(page.state[VERBOSE]) > 0
    jumbo = 0
    seen = False
    i = 0
    while i < size and wide(page.state[LIMIT]) >= 0:
        kind = octet(page, at + i)
        option_len = 1
        if kind != PAD1:
            if i + 1 >= size:
                return CUT
            option_len = octet(page, at + i + 1) + 2
        if i + option_len > size:
            return CUT
        if kind == PAD1:
            if verbose:
                put(page, b"(pad1)")
        elif kind == PADN:
            if verbose:
                put(page, b"(padn)")
        elif kind == ROUTER_ALERT:
            if size - i < 4:
                put(page, b"(rtalert: trunc)")
                return CUT
            if option_len != 4:
                put_option_length(page, b"rtalert", option_len - 2)
                return CUT
            if verbose:
                say(page, b"(rtalert: 0x%4) ", two_octets(page, at + i + 2))
        elif kind == JUMBO:
            if size - i < 6:
                put(page, b"(jumbo: trunc)")
                return CUT
            if option_len != 6:
                put_option_length(page, b"jumbo", option_len - 2)
                return CUT
            value = four_octets(page, at + i + 2)
            if verbose:
                put_jumbo(page, value, seen, payload_len)
            if not seen and payload_len == 0 and value >= 65_536:
                jumbo = value
            seen = True
        elif kind == HOME_ADDRESS:
            if size - i < 18:
                put(page, b"(homeaddr: trunc)")
                return CUT
            if option_len < 18:
                put_option_length(page, b"homeaddr", option_len - 2)
                return CUT
            if verbose:
                put(page, b"(homeaddr: ")
                put_ipv6(page, at + i + 2)
                if option_len > 18 and not put_sub_options(page, at + i + 18, option_len - 18):
                    return CUT
                put(page, b")")
        elif verbose:
            say(page, b"(opt_type 0x%2: len=%u)", kind, option_len - 2)
        i += option_len
    if verbose:
        put(page, b" ")
    return jumbo


@kernel
def put_hop_by_hop_options(page: Page, at: int, payload_len: int) -> tuple[int, int]:
    """A hop-by-hop options header: its length and the jumbo payload length, 0 where there is none."""
    enter(page, HBHOPT)
    size = (octet(page, at + 1) + 1) << 3
    if not captured(page, at, size):
        put_truncated(page)
        return -1, 0
    put(page, b"HBH ")
    jumbo = put_options(page, at + 2, size - 2, payload_len)
    if jumbo == CUT:
        put_truncated(page)
        return -1, 0
    return size, jumbo


@kernel
def put_destination_options(page: Page, at: int) -> int:
    """A destination options header."""
    enter(page, DSTOPT)
    size = (octet(page, at + 1) + 1) << 3
    if not captured(page, at, size):
        put_truncated(page)
        return -1
    put(page, b"DSTOPT ")
    if wide(page.state[VERBOSE]) and put_options(page, at + 2, size - 2, NOT_HOP_BY_HOP) == CUT:
        put_truncated(page)
        return -1
    return size


@kernel
def put_fragment(page: Page, at: int, ip: int) -> int:
    """A fragment header."""
    enter(page, FRAG6)
    identification = four_octets(page, at + 4) if wide(page.state[VERBOSE]) else 0
    offset = two_octets(page, at + 2) & 0xFFF8
    put(page, b"frag (")
    if wide(page.state[VERBOSE]):
        say(page, b"0x%8:", identification)
    say(page, b"%u|", offset)
    size = 40 + two_octets(page, ip + 4) - (at - ip) - 8
    if size >= 0:
        put_decimal(page, size)
    else:  # as an unsigned 64-bit integer
        say(page, b"1844674407370%u", 9_551_616 + size)
    put(page, b")")
    if offset != 0:
        return -1
    put(page, b" ")
    return 8


@kernel
def put_routing(page: Page, at: int) -> int:
    """A routing header."""
    enter(page, RT6)
    put(page, b"RT6")
    units = octet(page, at + 1)
    say(page, b" (len=%u", units)
    kind = octet(page, at + 2)
    say(page, b", type=%u", kind)
    if kind == 0:
        put(page, b" [Deprecated]")
    segments_left = octet(page, at + 3)
    say(page, b", segleft=%u", segments_left)
    if kind in (0, 2):
        reserved = four_octets(page, at + 4)
        if reserved or wide(page.state[VERBOSE]):
            say(page, b", rsv=0x%x", reserved)
    elif kind == 4:
        last = octet(page, at + 4)
        say(page, b", last-entry=%u", last)
        flags = octet(page, at + 5)
        if flags or wide(page.state[VERBOSE]):
            say(page, b", flags=0x%x", flags)
        tag = two_octets(page, at + 6)
        say(page, b", tag=%x", tag)
    else:
        put(page, b" (unknown type)")
        put_invalid(page)
        return -1
    if units % 2 == 1:
        say(page, b" (invalid length %u)", units)
        put_invalid(page)
        return -1
    for i in range(units >> 1):
        need(page, at + 8 + 16 * i, 16)
        say(page, b", [%u]", i)
        put_ipv6(page, at + 8 + 16 * i)
    put(page, b") ")
    return (units + 1) << 3
