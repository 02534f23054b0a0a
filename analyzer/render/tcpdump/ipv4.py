"""IPv4 (RFC 791)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ip_protocol, put_ipv4
from analyzer.render.tcpdump.checksum import folded, should_be, sum_of_words
from analyzer.render.tcpdump.ip_protocols import DCCP, SCTP, TCP, UDP
from analyzer.render.tcpdump.ipv4_options import put_ipv4_options
from analyzer.render.tcpdump.page import (
    ETHERNET,
    FRAGMENTED,
    HERE,
    IP,
    KIND,
    LENGTH,
    QUIET,
    UNCHECKED,
    VERBOSE,
    VERSION,
    Page,
    available,
    captured,
    cut,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import IP_V4, enter, put_invalid, put_truncated
from analyzer.render.tcpdump.steps import DONE, PAYLOAD_STEP
from analyzer.render.tcpdump.text import put, put_list, say
from analyzer.render.tcpdump.words import IP_PROTOCOLS, put_word_or

MORE_FRAGMENTS, DONT_FRAGMENT, RESERVED = 0x2000, 0x4000, 0x8000


@kernel
def put_ipv4_pair(page: Page, ip: int) -> None:
    """Source and destination."""
    need(page, ip + 12, 8)
    put_ipv4(page, ip + 12)
    put(page, b" > ")
    put_ipv4(page, ip + 16)


@kernel
def put_flags(page: Page, flags: int) -> None:
    """The words of the flags."""
    comma = 0
    if flags & MORE_FRAGMENTS:
        comma = put_list(page, comma, b"+")
    if flags & DONT_FRAGMENT:
        comma = put_list(page, comma, b"DF")
    if flags & RESERVED:
        comma = put_list(page, comma, b"rsvd")
    if comma == 0:
        put(page, b"none")


@kernel
def put_header(page: Page, ip: int, header_len: int, fragment: int) -> bool:
    """The header's fields, with -v, and the line break behind them. Gives False when its options are cut short."""
    tos = octet(page, ip + 1)
    say(page, b"(tos 0x%x", tos)
    if tos & 3 == 1:
        put(page, b",ECT(1)")
    elif tos & 3 == 2:
        put(page, b",ECT(0)")
    elif tos & 3 == 3:
        put(page, b",CE")
    ttl = octet(page, ip + 8)
    if ttl >= 1:
        say(page, b", ttl %u", ttl)
    say(page, b", id %u, offset %u, flags [", two_octets(page, ip + 4), (fragment & 0x1FFF) * 8)
    put_flags(page, fragment)
    put(page, b"], proto ")
    protocol = octet(page, ip + 9)
    put_word_or(page, IP_PROTOCOLS, b"unknown", protocol)
    say(page, b" (%u), length %u", protocol, two_octets(page, ip + 2))
    whole = True
    if header_len > 20:
        put(page, b", options (")
        whole = put_ipv4_options(page, ip + 20, header_len - 20)
        if not whole:
            put(page, b" [truncated-option]")
        put(page, b")")
    if not wide(page.state[UNCHECKED]) and captured(page, ip, header_len):
        checksum = folded(sum_of_words(page, ip, header_len))
        if checksum != 0:
            found = two_octets(page, ip + 10)
            say(page, b", bad cksum %x (->%x)!", found, should_be(found, checksum))
    put(page, b")\n    ")
    return whole


@kernel
def print_ipv4(page: Page) -> int:
    """An IPv4 header; the payload of a first fragment comes next."""
    state = page.state
    ip = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, IP_V4)
    version = octet(page, ip) >> 4
    if version != 4:
        if version == 6:
            put(page, b"IP6, wrong link-layer encapsulation")
        else:
            say(page, b"IP%u", version)
        put_invalid(page)
        return DONE
    if not wide(state[ETHERNET]):
        put(page, b"IP ")
    if not captured(page, ip, 20):
        put_truncated(page)
        return DONE
    if length < 20:
        say(page, b"truncated-ip %u", length)
        return DONE
    header_len = (octet(page, ip) & 15) * 4
    if header_len < 20:
        say(page, b"bad-hlen %u", header_len)
        return DONE
    total_len = two_octets(page, ip + 2)
    if length < total_len:
        say(page, b"truncated-ip - %u bytes missing! ", total_len - length)
    if total_len < header_len:
        say(page, b"bad-len %u", total_len)
        return DONE
    cut(page, ip + total_len)
    fragment = two_octets(page, ip + 6)
    protocol = octet(page, ip + 9)
    if wide(state[VERBOSE]) and not put_header(page, ip, header_len, fragment):
        put_ipv4_pair(page, ip)
        put(page, b": ")
        put_truncated(page)
        return DONE
    if fragment & 0x1FFF:
        if wide(state[QUIET]) > 1:
            return DONE
        put_ipv4_pair(page, ip)
        put(page, b": ")
        put_ip_protocol(page, protocol)
        return DONE
    if protocol not in (TCP, UDP, SCTP, DCCP):
        put_ipv4_pair(page, ip)
        put(page, b": ")
    if not captured(page, ip, header_len):
        say(page, b" [remaining caplen(%u) < header length(%u)]", available(page, ip), header_len)
        need(page, ip, header_len)
    state[HERE] = ip + header_len
    state[LENGTH] = total_len - header_len
    state[KIND] = protocol
    state[IP] = ip
    state[VERSION] = 4
    state[FRAGMENTED] = 1 if fragment & MORE_FRAGMENTS else 0
    return PAYLOAD_STEP
