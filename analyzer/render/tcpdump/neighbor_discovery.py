"""Neighbor discovery (RFC 4861) and its options."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ipv6, put_ipv6_words
from analyzer.render.tcpdump.dump import put_unknown
from analyzer.render.tcpdump.page import LIMIT, SNAPEND, VERBOSE, Page, captured, four_octets, need, octet, two_octets
from analyzer.render.tcpdump.text import (
    put,
    put_character,
    put_hex_digits,
    put_list,
    put_visible,
    say,
)
from analyzer.render.tcpdump.words import ND_OPTIONS, PREFERENCES, put_word_or

ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134
NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT, REDIRECT = 135, 136, 137
SOURCE_ADDRESS, TARGET_ADDRESS, PREFIX, REDIRECTED, MTU, INTERVAL, HOME_AGENT, ROUTE, RDNSS, DNSSL = (
    1, 2, 3, 4, 5, 7, 8, 24, 25, 31,
)  # fmt: skip


@kernel
def put_lifetime(page: Page, seconds: int) -> None:
    """A lifetime."""
    if seconds == 0xFFFFFFFF:
        put(page, b"infinity")
    else:
        say(page, b"%us", seconds)


@kernel
def put_prefix(page: Page, at: int, units: int) -> None:
    """Prefix information."""
    need(page, at, 32)
    put_ipv6(page, at + 16)
    say(page, b"/%u", octet(page, at + 2))
    if units != 4:
        put(page, b"badlen")
    put(page, b", Flags [")
    flags = octet(page, at + 3)
    comma = 0
    if flags & 0x80:
        comma = put_list(page, comma, b"onlink")
    if flags & 0x40:
        comma = put_list(page, comma, b"auto")
    if flags & 0x20:
        comma = put_list(page, comma, b"router")
    if comma == 0:
        put(page, b"none")
    put(page, b"], valid time ")
    put_lifetime(page, four_octets(page, at + 4))
    put(page, b", pref. time ")
    put_lifetime(page, four_octets(page, at + 8))


@kernel
def put_route(page: Page, at: int, units: int) -> bool:
    """Route information (RFC 4191); gives False when it is malformed."""
    if not captured(page, at + 4, 4) or units > 3:
        return False
    need(page, at, 8 * units)
    put(page, b" ")
    if units == 3:
        put_ipv6(page, at + 8)
    elif units == 2:
        put_ipv6_words(page, four_octets(page, at + 8), four_octets(page, at + 12))
    else:
        put_ipv6_words(page, 0, 0)
    say(page, b"/%u, pref=", octet(page, at + 2))
    put_word_or(page, PREFERENCES, b"low", octet(page, at + 3) >> 3 & 3)
    put(page, b", lifetime=")
    put_lifetime(page, four_octets(page, at + 4))
    return True


@kernel
def put_domain(page: Page, at: int) -> int:
    """A domain name without compression (RFC 1035 3.1); gives the offset behind it, -1 when it is malformed."""
    if not captured(page, at, 1):
        return -1
    size = octet(page, at)
    at += 1
    if size == 0:
        put(page, b".")
        return at
    while size != 0 and wide(page.state[LIMIT]) >= 0:
        if size & 0xC0:
            return -1
        if not captured(page, at, size):
            return -1
        for i in range(size):
            put_visible(page, octet(page, at + i))
        at += size
        put(page, b".")
        if not captured(page, at, 1):
            return -1
        size = octet(page, at)
        at += 1
    return at


@kernel
def put_domains(page: Page, at: int, units: int) -> bool:
    """Search domains (RFC 8106); gives False when they are malformed."""
    lifetime = four_octets(page, at + 4)
    say(page, b" lifetime %us, domain(s):", lifetime)
    end = at + 8 * units
    at += 8
    while at < end and octet(page, at) != 0:
        put(page, b" ")
        at = put_domain(page, at)
        if at < 0:
            return False
    return True


@kernel
def put_rare_option(page: Page, at: int, kind: int, units: int) -> bool:
    """Options that routers seldom send; gives False when the option is malformed."""
    if kind == RDNSS:
        lifetime = four_octets(page, at + 4)
        say(page, b" lifetime %us,", lifetime)
        for i in range((units - 1) // 2):
            need(page, at + 8 + 16 * i, 16)
            put(page, b" addr: ")
            put_ipv6(page, at + 8 + 16 * i)
    elif kind == DNSSL:
        return put_domains(page, at, units)
    elif kind == INTERVAL:
        interval = four_octets(page, at + 4)
        say(page, b" %ums", interval)
    elif kind == HOME_AGENT:
        need(page, at + 4, 4)
        say(page, b" preference %u", two_octets(page, at + 4))
        say(page, b", lifetime %u", two_octets(page, at + 6))
    elif kind == ROUTE:
        return put_route(page, at, units)
    return True


@kernel
def put_nd_options(page: Page, at: int, left: int) -> bool:
    """``left`` octets of options; gives False when they are malformed or cut short."""
    first = at
    verbose = wide(page.state[VERBOSE])
    while at < wide(page.state[SNAPEND]) and wide(page.state[LIMIT]) >= 0:
        if not captured(page, at + 1, 1):
            return False
        if left <= 0:
            return True
        kind = octet(page, at)
        units = octet(page, at + 1)
        if units == 0 or not captured(page, at, 8 * units):
            return False
        put(page, b"\n\t  ")
        put_word_or(page, ND_OPTIONS, b"unknown", kind)
        say(page, b" option (%u), length %u (%u): ", kind, 8 * units, units)
        if kind in (SOURCE_ADDRESS, TARGET_ADDRESS):
            for i in range(2, 8 * units):
                if i > 2:
                    put_character(page, 58)
                put_hex_digits(page, octet(page, at + i), 2)
        elif kind == PREFIX:
            put_prefix(page, at, units)
        elif kind == REDIRECTED:
            put_unknown(page, b"\n\t    ", first, 8 * units)
        elif kind == MTU:
            mtu = four_octets(page, at + 4)
            say(page, b" %u", mtu)
            if units != 1:
                put(page, b"bad option length")
        elif kind in (RDNSS, DNSSL, INTERVAL, HOME_AGENT, ROUTE):
            if not put_rare_option(page, at, kind, units):
                return False
        elif verbose <= 1:
            put_unknown(page, b"\n\t  ", at + 2, 8 * units - 2)
            return True
        if verbose > 1:
            put_unknown(page, b"\n\t    ", at + 2, 8 * units - 2)
        at += 8 * units
        left -= 8 * units
    return True


@kernel
def put_router(page: Page, at: int) -> None:
    """A router advertisement's own fields."""
    need(page, at, 16)
    say(page, b"\n\thop limit %u, Flags [", octet(page, at + 4))
    flags = octet(page, at + 5)
    comma = 0
    if flags & 0x80:
        comma = put_list(page, comma, b"managed")
    if flags & 0x40:
        comma = put_list(page, comma, b"other stateful")
    if flags & 0x20:
        comma = put_list(page, comma, b"home agent")
    if flags & 0x02:
        comma = put_list(page, comma, b"ipv6 only")
    if comma == 0:
        put(page, b"none")
    put(page, b"], pref ")
    put_word_or(page, PREFERENCES, b"low", flags >> 3 & 3)
    say(page, b", router lifetime %u", two_octets(page, at + 6))
    say(page, b"s, reachable time %u", four_octets(page, at + 8))
    say(page, b"ms, retrans timer %ums", four_octets(page, at + 12))


@kernel
def put_neighbor_discovery(page: Page, at: int, kind: int, length: int) -> bool:
    """A message; gives False when its options are malformed or cut short."""
    verbose = wide(page.state[VERBOSE])
    size = 24
    if kind == ROUTER_SOLICITATION:
        size = 8
    elif kind == ROUTER_ADVERTISEMENT:
        size = 16
        if verbose:
            put_router(page, at)
    elif kind == REDIRECT:
        size = 40
        need(page, at + 24, 16)
        put(page, b", ")
        put_ipv6(page, at + 24)
        need(page, at + 8, 16)
        put(page, b" to ")
        put_ipv6(page, at + 8)
    else:
        need(page, at + 8, 16)
        if kind == NEIGHBOR_SOLICITATION:
            put(page, b", who has ")
        else:
            put(page, b", tgt is ")
        put_ipv6(page, at + 8)
        if kind == NEIGHBOR_ADVERTISEMENT and verbose:
            put(page, b", Flags [")
            flags = octet(page, at + 4)
            comma = 0
            if flags & 0x80:
                comma = put_list(page, comma, b"router")
            if flags & 0x40:
                comma = put_list(page, comma, b"solicited")
            if flags & 0x20:
                comma = put_list(page, comma, b"override")
            if comma == 0:
                put(page, b"none")
            put(page, b"]")
    return not verbose or put_nd_options(page, at + size, length - size)


@kernel
def put_mobile_prefix(page: Page, at: int, length: int) -> bool:
    """A mobile prefix advertisement (RFC 6275 6.8), with -v; gives False when its options are malformed."""
    identifier = two_octets(page, at + 4)
    say(page, b", id 0x%4", identifier)
    flags = two_octets(page, at + 6)
    if flags & 0xC000:
        put(page, b" ")
    if flags & 0x8000:
        put(page, b"M")
    if flags & 0x4000:
        put(page, b"O")
    return put_nd_options(page, at + 8, length - 8)
