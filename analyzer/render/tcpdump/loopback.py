"""Link types that hold IP with little or nothing before it: LINKTYPE_NULL, LINKTYPE_LOOP, LINKTYPE_RAW."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.dump import put_default
from analyzer.render.tcpdump.page import (
    ETHERNET,
    HERE,
    LENGTH,
    LINK_LEN,
    QUIET,
    Page,
    available,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import IPN, NULL, enter
from analyzer.render.tcpdump.steps import DONE, IPV4_STEP, IPV6_STEP
from analyzer.render.tcpdump.text import put, say
from analyzer.render.tcpdump.words import FAMILIES, put_word

NULL_LEN = 4
INET, ISO, APPLETALK, IPX = 2, 7, 16, 23
INET6_BSD, INET6_FREEBSD, INET6_DARWIN = 24, 28, 30


@kernel
def put_family(page: Page, family: int, length: int) -> None:
    """The header's field, and the length."""
    if wide(page.state[QUIET]):
        if not put_word(page, FAMILIES, family):
            say(page, b"Unknown AF %u", family)
    else:
        put(page, b"AF ")
        if not put_word(page, FAMILIES, family):
            put(page, b"Unknown")
        say(page, b" (%u)", family)
    say(page, b", length %u: ", length)


@kernel
def print_null(page: Page) -> int:
    """An address family of four octets, in the byte order of whoever captured it."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, NULL)
    need(page, at, NULL_LEN)
    state[LINK_LEN] = NULL_LEN
    low = two_octets(page, at + 2)
    if low != 0:  # its upper half, read as the little-endian integer that tcpdump takes it for
        family = two_octets(page, at) << 16 | low
    else:
        family = octet(page, at) | octet(page, at + 1) << 8
    if wide(state[ETHERNET]):
        put_family(page, family, length)
    state[HERE] = at + NULL_LEN
    state[LENGTH] = (length - NULL_LEN) & 0xFFFFFFFF
    if family == INET:
        return IPV4_STEP
    if family in (INET6_BSD, INET6_FREEBSD, INET6_DARWIN):
        return IPV6_STEP
    if family in (ISO, APPLETALK, IPX):
        return DONE
    if not wide(state[ETHERNET]):
        put_family(page, family, length)
    put_default(page, at + NULL_LEN, available(page, at + NULL_LEN))
    return DONE


@kernel
def print_raw(page: Page) -> int:
    """Nothing: the packet is IP."""
    state = page.state
    if wide(state[ETHERNET]):
        put(page, b"ip: ")
    enter(page, IPN)
    if wide(state[LENGTH]) < 1:
        say(page, b"truncated-ip %u", wide(state[LENGTH]))
        return DONE
    version = octet(page, wide(state[HERE])) >> 4
    if version == 4:
        return IPV4_STEP
    if version == 6:
        return IPV6_STEP
    say(page, b"unknown ip %u", version)
    return DONE
