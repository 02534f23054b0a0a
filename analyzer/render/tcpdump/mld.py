"""Multicast listener discovery (RFC 2710, RFC 3810)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ipv6
from analyzer.render.tcpdump.page import LIMIT, VERBOSE, Page, captured, need, octet, two_octets
from analyzer.render.tcpdump.text import put, say
from analyzer.render.tcpdump.words import MLD_RECORDS, put_word_or


@kernel
def put_mld(page: Page, at: int) -> None:
    """A message of version 1."""
    if not captured(page, at, 24):
        return
    say(page, b"max resp delay: %u addr: ", two_octets(page, at + 4))
    put_ipv6(page, at + 8)


@kernel
def put_sources(page: Page, at: int, count: int) -> None:
    """Source addresses, with -vv."""
    put(page, b" {")
    for i in range(count):
        need(page, at + 16 * i, 16)
        if wide(page.state[LIMIT]) < 0:
            return
        put(page, b" ")
        put_ipv6(page, at + 16 * i)
    put(page, b" }")


@kernel
def put_count(page: Page, count: int) -> None:
    """How many sources."""
    say(page, b", %u source(s)", count)


@kernel
def put_mldv2_query(page: Page, at: int, length: int) -> None:
    """A query of version 2."""
    verbose = wide(page.state[VERBOSE])
    delay = two_octets(page, at + 4)
    if delay >= 32768:
        delay = ((delay & 0x0FFF) | 0x1000) << (((delay & 0x7000) >> 12) + 3)
    if verbose:
        say(page, b" [max resp delay=%u]", delay)
    need(page, at + 8, 16)
    put(page, b" [gaddr ")
    put_ipv6(page, at + 8)
    if verbose:
        flags = octet(page, at + 24)
        if flags & 8:
            put(page, b" sflag")
        if flags & 7:
            say(page, b" robustness=%u", flags & 7)
        interval = octet(page, at + 25)
        if interval >= 128:
            interval = ((interval & 0x0F) | 0x10) << (((interval & 0x70) >> 4) + 3)
        say(page, b" qqi=%u", interval)
    count = two_octets(page, at + 26)
    if count > 0:
        if length < 28 + count * 16:
            put(page, b" [invalid number of sources]")
        elif verbose > 1:
            put_sources(page, at + 28, count)
        else:
            put_count(page, count)
    put(page, b"]")


@kernel
def put_mldv2_report(page: Page, at: int, length: int) -> None:
    """A report of version 2."""
    if length < 8:
        say(page, b" [invalid len %u]", length)
        return
    groups = two_octets(page, at + 6)
    say(page, b", %u group record(s)", groups)
    if not wide(page.state[VERBOSE]):
        return
    group = 8
    for _ in range(groups):
        if wide(page.state[LIMIT]) < 0:
            return
        if length < group + 20:
            put(page, b" [invalid number of groups]")
            return
        need(page, at + group + 4, 16)
        put(page, b" [gaddr ")
        put_ipv6(page, at + group + 4)
        put_word_or(page, MLD_RECORDS, b"  [v2-report-#%u]", octet(page, at + group))
        sources = two_octets(page, at + group + 2)
        if length < group + 20 + sources * 16:
            say(page, b" [invalid number of sources %u]", sources)
            return
        if wide(page.state[VERBOSE]) == 1:
            put_count(page, sources)
        else:
            put_sources(page, at + group + 20, sources)
        group += 20 + sources * 16
        put(page, b"]")
