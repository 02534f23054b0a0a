"""IPv6 (RFC 8200): the header and the chain of extension headers."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ipv6
from analyzer.render.tcpdump.ip_protocols import (
    ICMPV6,
    TCP,
    UDP,
)
from analyzer.render.tcpdump.page import (
    ETHERNET,
    FRAGMENTED,
    HERE,
    IP,
    KIND,
    LENGTH,
    OUTER_END,
    OUTER_LEN,
    SNAPEND,
    VERBOSE,
    VERSION,
    Page,
    captured,
    cut,
    four_octets,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import IP_V6, enter, put_truncated
from analyzer.render.tcpdump.steps import DONE, EXTENSIONS_STEP, PAYLOAD_STEP
from analyzer.render.tcpdump.text import put, say
from analyzer.render.tcpdump.words import IP_PROTOCOLS, put_word_or


@kernel
def put_ipv6_pair(page: Page, ip: int) -> None:
    """Source and destination."""
    need(page, ip + 8, 32)
    put_ipv6(page, ip + 8)
    put(page, b" > ")
    put_ipv6(page, ip + 24)


@kernel
def put_missing(page: Page, missing: int) -> None:
    """The packet is shorter than its header says."""
    say(page, b"truncated-ip6 - %u bytes missing!", missing)


@kernel
def put_fields(page: Page, ip: int, payload_len: int) -> None:
    """The header's fields, with -v."""
    flow = four_octets(page, ip)
    put(page, b"(")
    if flow & 0x0FF00000:
        say(page, b"class 0x%2, ", flow >> 20 & 255)
    if flow & 0x000FFFFF:
        say(page, b"flowlabel 0x%5, ", flow & 0x000FFFFF)
    protocol = octet(page, ip + 6)
    say(page, b"hlim %u, next-header ", octet(page, ip + 7))
    put_word_or(page, IP_PROTOCOLS, b"unknown", protocol)
    say(page, b" (%u) payload length: %u) ", protocol, payload_len)


@kernel
def print_ipv6(page: Page) -> int:
    """An IPv6 header and its extension headers; the payload comes next."""
    state = page.state
    ip = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, IP_V6)
    if not captured(page, ip, 40):
        put_truncated(page)
        return DONE
    if length < 40:
        say(page, b"truncated-ip6 %u", length)
        return DONE
    if not wide(state[ETHERNET]):
        put(page, b"IP6 ")
    version = octet(page, ip) >> 4
    if version != 6:
        say(page, b"version error: %u != 6", version)
        return DONE
    payload_len = two_octets(page, ip + 4)
    left = length + 40
    if payload_len != 0:
        left = payload_len + 40
        if length < left:
            put_missing(page, left - length)
    if wide(state[VERBOSE]):
        put_fields(page, ip, payload_len)
    state[OUTER_LEN] = length
    state[OUTER_END] = state[SNAPEND]
    cut(page, ip + left)
    state[IP] = ip
    state[VERSION] = 6
    state[FRAGMENTED] = 0
    protocol = octet(page, ip + 6)
    if protocol not in (TCP, UDP, ICMPV6) or payload_len == 0:
        return EXTENSIONS_STEP
    if protocol == ICMPV6:
        put_ipv6_pair(page, ip)
        put(page, b": ")
    state[HERE] = ip + 40
    state[LENGTH] = left - 40
    state[KIND] = protocol
    return PAYLOAD_STEP
