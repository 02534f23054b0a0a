"""The chain of extension headers of IPv6 (RFC 8200 4)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.ip_protocols import (
    DCCP,
    DSTOPTS,
    FRAGMENT,
    HOPOPTS,
    MOBILITY,
    MOBILITY_OLD,
    ROUTING,
    SCTP,
    TCP,
    UDP,
)
from analyzer.render.tcpdump.ipv6 import put_ipv6_pair, put_missing
from analyzer.render.tcpdump.ipv6_headers import (
    put_destination_options,
    put_fragment,
    put_hop_by_hop_options,
    put_routing,
)
from analyzer.render.tcpdump.page import (
    FRAGMENTED,
    HERE,
    IP,
    KIND,
    LENGTH,
    LIMIT,
    OUTER_END,
    OUTER_LEN,
    SNAPEND,
    Page,
    captured,
    cut,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import IP_V6, enter, put_invalid, put_truncated
from analyzer.render.tcpdump.steps import DONE, PAYLOAD_STEP
from analyzer.render.tcpdump.text import put

NO_HEADER = 255


@kernel
def print_extension_headers(page: Page) -> int:
    """The chain behind the fixed header.

    A packet without a payload length may be a jumbo payload (RFC 2675): until that is known, its end is not.
    """
    state = page.state
    ip = wide(state[IP])
    length = wide(state[OUTER_LEN])
    outer_end = wide(state[OUTER_END])
    payload_len = two_octets(page, ip + 4)
    left = payload_len + 40 if payload_len else length + 40
    at = ip
    protocol = octet(page, ip + 6)
    before = NO_HEADER
    advance = 40
    jumbo, hop_by_hop, extended = 0, False, False
    while at < wide(state[SNAPEND]) and advance > 0 and wide(state[LIMIT]) >= 0:
        if left < advance:
            put_truncated(page)
            return DONE
        at += advance
        left -= advance
        if at == ip + 40 and protocol not in (TCP, UDP, DCCP, SCTP):
            put_ipv6_pair(page, ip)
            put(page, b": ")
        following = 0
        if protocol == HOPOPTS:
            if hop_by_hop:
                put(page, b"[The Hop-by-Hop Options header was already found]")
                put_invalid(page)
                return DONE
            if before != NO_HEADER:
                put(page, b"[The Hop-by-Hop Options header don't follow the IPv6 header]")
                put_invalid(page)
                return DONE
            advance, jumbo = put_hop_by_hop_options(page, at, payload_len)
            if payload_len == 0 and jumbo == 0:
                put(page, b"[No valid Jumbo Payload Hop-by-Hop option found]")
                put_invalid(page)
                return DONE
            if jumbo > 0:
                payload_len = jumbo
            hop_by_hop = True
        elif protocol == DSTOPTS:
            advance = put_destination_options(page, at)
        elif protocol == FRAGMENT:
            advance = put_fragment(page, at, ip)
            if advance > 0 and wide(state[SNAPEND]) <= at + advance:
                return DONE
            state[FRAGMENTED] = 1
        elif protocol == ROUTING:
            if not captured(page, at, 1):
                put_truncated(page)
                return DONE
            advance = put_routing(page, at)
        elif protocol in (MOBILITY, MOBILITY_OLD):
            put(page, b"mobility: ")
            return DONE
        else:
            break
        if advance < 0:
            return DONE
        extended = True
        following = octet(page, at)
        before = protocol
        protocol = following
        enter(page, IP_V6)
    else:
        return DONE
    if jumbo > 0:
        left = payload_len + 40
        if left < at - ip:
            put_truncated(page)
            return DONE
        if length < left:
            put_missing(page, left - length)
        if wide(state[LIMIT]) >= 0:
            state[SNAPEND] = min(ip + left, outer_end)
        left -= at - ip
    elif payload_len == 0:
        if extended:
            put_truncated(page)
            return DONE
        left = 0
        cut(page, ip + 40)
    state[HERE] = at
    state[LENGTH] = left
    state[KIND] = protocol
    return PAYLOAD_STEP
