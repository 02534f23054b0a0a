"""ICMPv6 (RFC 4443) and what it carries."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import TCP_PORTS, UDP_PORTS, put_ipv6, put_port
from analyzer.render.tcpdump.checksum import payload_checksum, should_be
from analyzer.render.tcpdump.dump import put_unknown
from analyzer.render.tcpdump.ip_protocols import AH, DSTOPTS, FRAGMENT, HOPOPTS, ICMPV6, ROUTING, TCP, UDP
from analyzer.render.tcpdump.mld import put_mld, put_mldv2_query, put_mldv2_report
from analyzer.render.tcpdump.neighbor_discovery import (
    REDIRECT,
    ROUTER_SOLICITATION,
    put_mobile_prefix,
    put_neighbor_discovery,
)
from analyzer.render.tcpdump.page import (
    FRAGMENTED,
    HERE,
    LENGTH,
    LIMIT,
    SNAPEND,
    VERBOSE,
    Page,
    available,
    captured,
    four_octets,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import ICMP6, enter, put_invalid, put_truncated
from analyzer.render.tcpdump.steps import DONE
from analyzer.render.tcpdump.text import put, put_decimal, say
from analyzer.render.tcpdump.words import ICMP6_TYPES, put_word_or

UNREACHABLE, TOO_BIG, TIME_EXCEEDED, PARAMETER_PROBLEM = 1, 2, 3, 4
ECHO, ECHO_REPLY, LISTENER_QUERY, LISTENER_REPORT, LISTENER_DONE = 128, 129, 130, 131, 132
ROUTER_RENUMBERING, NODE_QUERY, NODE_REPLY, INVERSE_SOLICITATION, INVERSE_ADVERTISEMENT = 138, 139, 140, 141, 142
LISTENER_REPORT_2, HOME_AGENT_REQUEST, HOME_AGENT_REPLY = 143, 144, 145
MOBILE_SOLICITATION, MOBILE_ADVERTISEMENT, RPL = 146, 147, 155
QUOTED = 8


@kernel
def transport_header(page: Page, at: int) -> tuple[int, int]:
    """Offset of the UDP or TCP header of a quoted packet, -1 when there is none, and its protocol."""
    if not captured(page, at + 6, 1):
        return -1, 0
    kind = octet(page, at + 6)
    size = 40
    while at < wide(page.state[SNAPEND]):
        at += size
        if kind in (UDP, TCP):
            return (at, kind) if captured(page, at + 2, 2) else (-1, kind)
        if not captured(page, at, 4 if kind == FRAGMENT else 2):
            return -1, kind
        if kind in (HOPOPTS, DSTOPTS, ROUTING):
            kind = octet(page, at)
            size = (octet(page, at + 1) + 1) << 3
        elif kind == FRAGMENT:
            if two_octets(page, at + 2) & 0xFFF8:
                return -1, kind
            kind = octet(page, at)
            size = 8
        elif kind == AH:
            kind = octet(page, at)
            size = (octet(page, at + 1) + 2) << 2
        else:
            return -1, kind
    return -1, kind


@kernel
def put_unreachable(page: Page, at: int, code: int, length: int) -> bool:
    """Destination unreachable; gives False when nothing may follow."""
    quoted = at + QUOTED
    if code == 0:
        put(page, b", unreachable route")
    elif code == 1:
        put(page, b",  unreachable prohibited")
    elif code == 2:
        put(page, b", beyond scope")
    elif code == 3:
        put(page, b", unreachable address")
    elif code == 4:
        put(page, b", unreachable port")
    else:
        say(page, b", unknown unreach code (%u)", code)
        if wide(page.state[VERBOSE]) <= 1:
            put_unknown(page, b"\n\t", at, length)
            return False
        return True
    if code == 4:
        transport, protocol = transport_header(page, quoted)
        if transport < 0:
            put_truncated(page)
            return False
        put(page, b", ")
        put_ipv6(page, quoted + 24)
        if protocol == TCP:
            put(page, b" tcp port ")
            put_port(page, TCP_PORTS, two_octets(page, transport + 2))
        else:
            put(page, b" udp port ")
            put_port(page, UDP_PORTS, two_octets(page, transport + 2))
        return True
    need(page, quoted + 24, 16)
    put(page, b" ")
    put_ipv6(page, quoted + 24)
    if code == 2:
        put(page, b", source address ")
        put_ipv6(page, quoted + 8)
    return True


@kernel
def put_parameter_problem(page: Page, at: int, code: int) -> None:
    """Parameter problem."""
    pointer = four_octets(page, at + 4)
    if code == 0:
        put(page, b", erroneous - octet ")
    elif code == 1:
        put(page, b", next header - octet ")
    elif code == 2:
        put(page, b", option - octet ")
    elif code == 3:
        put(page, b", incomplete header chain - octet ")
    else:
        put(page, b", code-#")
        pointer = code
    put_decimal(page, pointer)


@kernel
def put_home_agents(page: Page, at: int, length: int) -> None:
    """Home agent address discovery reply (RFC 6275 6.6), with -v."""
    identifier = two_octets(page, at + 4)
    say(page, b", id 0x%4", identifier)
    end = at + min(length, available(page, at))
    agent = at + 8
    while agent < end and wide(page.state[LIMIT]) >= 0:
        need(page, agent, 16)
        put(page, b", ")
        put_ipv6(page, agent)
        agent += 16


@kernel
def put_message(page: Page, at: int, kind: int, code: int, length: int) -> bool:
    """What the message says; gives False when nothing may follow."""
    verbose = wide(page.state[VERBOSE])
    if kind == UNREACHABLE:
        return put_unreachable(page, at, code, length)
    if kind == TOO_BIG:
        mtu = four_octets(page, at + 4)
        say(page, b", mtu %u", mtu)
    elif kind == TIME_EXCEEDED:
        if code == 0:
            need(page, at + QUOTED + 24, 16)
            put(page, b" for ")
            put_ipv6(page, at + QUOTED + 24)
        elif code == 1:
            put(page, b" (reassembly)")
        else:
            say(page, b", unknown code (%u)", code)
    elif kind == PARAMETER_PROBLEM:
        if not captured(page, at + QUOTED + 24, 16):
            put_truncated(page)
            return False
        put_parameter_problem(page, at, code)
    elif kind in (ECHO, ECHO_REPLY):
        need(page, at + 4, 4)
        say(page, b", id %u", two_octets(page, at + 4))
        say(page, b", seq %u", two_octets(page, at + 6))
    elif kind == LISTENER_QUERY:
        if length == 24:
            put_mld(page, at)
        elif length >= 28:
            put(page, b" v2")
            put_mldv2_query(page, at, length)
        else:
            say(page, b" unknown-version (len %u) ", length)
    elif kind in (LISTENER_REPORT, LISTENER_DONE):
        put_mld(page, at)
    elif kind == LISTENER_REPORT_2:
        put_mldv2_report(page, at, length)
    elif ROUTER_SOLICITATION <= kind <= REDIRECT:
        if not put_neighbor_discovery(page, at, kind, length):
            put_truncated(page)
            return False
    elif kind in (INVERSE_SOLICITATION, INVERSE_ADVERTISEMENT):
        return True
    elif kind in (MOBILE_SOLICITATION, HOME_AGENT_REQUEST):
        identifier = two_octets(page, at + 4)
        say(page, b", id 0x%4", identifier)
    elif kind == HOME_AGENT_REPLY:
        if verbose:
            put_home_agents(page, at, length)
    elif kind == MOBILE_ADVERTISEMENT:
        if verbose and not put_mobile_prefix(page, at, length):
            put_truncated(page)
            return False
    elif kind in (ROUTER_RENUMBERING, NODE_QUERY, NODE_REPLY, RPL):
        return True
    else:
        say(page, b", length %u", length)
        if verbose <= 1:
            put_unknown(page, b"\n\t", at, length)
        return False
    return True


@kernel
def print_icmp6(page: Page) -> int:
    """An ICMPv6 message."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, ICMP6)
    if length == 0:
        put(page, b"ICMP6, length 0")
        put_invalid(page)
        return DONE
    if wide(state[VERBOSE]) and not wide(state[FRAGMENTED]) and captured(page, at, length):
        found = two_octets(page, at + 2)
        checksum = payload_checksum(page, at, length, ICMPV6)
        if checksum != 0:
            say(page, b"[bad icmp6 cksum 0x%4 -> 0x%4!] ", found, should_be(found, checksum))
        else:
            put(page, b"[icmp6 sum ok] ")
    kind = octet(page, at)
    put(page, b"ICMP6, ")
    put_word_or(page, ICMP6_TYPES, b"unknown icmp6 type (%u)", kind)
    if wide(state[VERBOSE]) and (
        ROUTER_SOLICITATION <= kind <= REDIRECT or kind in (HOME_AGENT_REPLY, MOBILE_ADVERTISEMENT)
    ):
        say(page, b", length %u", length)
    code = octet(page, at + 1)
    if put_message(page, at, kind, code, length) and not wide(state[VERBOSE]):
        say(page, b", length %u", length)
    return DONE
