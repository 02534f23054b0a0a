"""Cisco's HDLC framing (RFC 1547 4.3.1) and its SLARP."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ipv4
from analyzer.render.tcpdump.dump import put_unknown
from analyzer.render.tcpdump.ethertypes import IPV4, IPV6, ISO, MPLS, MPLS_MULTICAST, put_ethertype
from analyzer.render.tcpdump.page import (
    ETHERNET,
    HERE,
    LENGTH,
    LINK_LEN,
    VERBOSE,
    Page,
    available,
    captured,
    four_octets,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import CHDLC, SLARP, enter, put_truncated
from analyzer.render.tcpdump.steps import DONE, IPV4_STEP, IPV6_STEP, MPLS_STEP
from analyzer.render.tcpdump.text import put, say

SLARP_TYPE = 0x8035
REQUEST, REPLY, KEEPALIVE = 0, 1, 2


@kernel
def put_slarp(page: Page, at: int, length: int) -> None:
    """A SLARP packet."""
    enter(page, SLARP)
    say(page, b"SLARP (length: %u), ", length)
    if length < 14 or not captured(page, at, 14):
        put_truncated(page)
        return
    kind = four_octets(page, at)
    if kind == REQUEST:
        put(page, b"request")
    elif kind == REPLY:
        put(page, b"reply ")
        put_ipv4(page, at + 4)
        put(page, b"/")
        put_ipv4(page, at + 8)
    elif kind == KEEPALIVE:
        say(page, b"keepalive: mineseen=0x%8", four_octets(page, at + 4))
        say(page, b", yourseen=0x%8", four_octets(page, at + 8))
        say(page, b", reliability=0x%4", two_octets(page, at + 12))
        if length >= 18:
            need(page, at + 14, 4)
            seconds = four_octets(page, at + 14) // 1000
            say(
                page, b", link uptime=%ud%uh%um%us",
                seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60,
            )  # fmt: skip
    else:
        if kind < 16:
            say(page, b"0x%2", kind)
        else:
            say(page, b"0x%x", kind)
        put(page, b" unknown")
        if wide(page.state[VERBOSE]) <= 1:
            put_unknown(page, b"\n\t", at + 4, length - 4)
    if length > 18 and wide(page.state[VERBOSE]):
        say(page, b", (trailing junk: %u bytes)", length - 18)
    if wide(page.state[VERBOSE]) > 1:
        put_unknown(page, b"\n\t", at + 4, length - 4)


@kernel
def print_chdlc(page: Page) -> int:
    """A frame's header."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, CHDLC)
    if length < 4:
        put_truncated(page)
        state[LINK_LEN] = available(page, at)
        return DONE
    kind = two_octets(page, at + 2)
    if wide(state[ETHERNET]):
        address = octet(page, at)
        if address == 0x0F:
            put(page, b"unicast")
        elif address == 0x8F:
            put(page, b"bcast")
        else:
            say(page, b"0x%2", address)
        put(page, b", ")
        put_ethertype(page, kind, 0)
        say(page, b", length %u: ", length)
    state[LINK_LEN] = 4
    state[HERE] = at + 4
    state[LENGTH] = length - 4
    if kind == IPV4:
        return IPV4_STEP
    if kind == IPV6:
        return IPV6_STEP
    if kind in (MPLS, MPLS_MULTICAST):
        return MPLS_STEP
    if kind == SLARP_TYPE:
        put_slarp(page, at + 4, length - 4)
    elif kind != ISO and not wide(state[ETHERNET]):
        say(page, b"unknown CHDLC protocol (0x%4)", kind)
    return DONE
