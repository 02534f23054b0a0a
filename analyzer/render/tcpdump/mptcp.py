"""The Multipath TCP option (RFC 8684)."""

from __future__ import annotations

from analyzer.jit import kernel
from analyzer.render.tcpdump.addresses import put_ipv4, put_ipv6
from analyzer.render.tcpdump.page import Page, captured, four_octets, need, octet, two_octets
from analyzer.render.tcpdump.protocols import MPTCP, enter
from analyzer.render.tcpdump.text import (
    put,
    put_decimal,
    put_decimal_64,
    put_hex_64,
    put_octets,
    say,
)

SYN, ACK = 2, 16
CAPABLE, JOIN, DSS, ADD_ADDRESS, REMOVE_ADDRESS, PRIORITY, FAIL, FAST_CLOSE = 0, 1, 2, 3, 4, 5, 6, 7


@kernel
def put_capable(page: Page, at: int, size: int, flags: int) -> bool:
    """MP_CAPABLE."""
    opening = (size in (12, 4)) and flags & SYN
    if not opening and not ((size in (20, 22)) and flags & (SYN | ACK) == ACK):
        return False
    version = octet(page, at + 2) & 15
    if version > 1:
        say(page, b" Unknown Version (%u)", version)
        return True
    say(page, b" v%u", version)
    if octet(page, at + 3) & 0x80:
        put(page, b" csum")
    if size == 12 or size >= 20:
        put(page, b" {0x")
        put_hex_64(page, at + 4)
        if size >= 20:
            put(page, b",0x")
            put_hex_64(page, at + 12)
        put(page, b"}")
    return True


@kernel
def put_join(page: Page, at: int, size: int, flags: int) -> bool:
    """MP_JOIN."""
    opening = size == 12 and flags & SYN
    answer = size == 16 and flags & (SYN | ACK) == SYN | ACK
    if not opening and not answer and not (size == 24 and flags & ACK):
        return False
    if size != 24:
        if octet(page, at + 2) & 1:
            put(page, b" backup")
        say(page, b" id %u", octet(page, at + 3))
    if size == 12:
        say(page, b" token 0x%x", four_octets(page, at + 4))
        say(page, b" nonce 0x%x", four_octets(page, at + 8))
    elif size == 16:
        put(page, b" hmac 0x")
        put_hex_64(page, at + 4)
        say(page, b" nonce 0x%x", four_octets(page, at + 12))
    else:
        put(page, b" hmac 0x")
        put_octets(page, at + 4, 20)
    return True


@kernel
def put_number(page: Page, at: int, size: int, long: bool) -> int:
    """A data sequence number of 8 octets or 4; gives its length, 0 when the option is too short for it."""
    if long:
        if size < 8:
            return 0
        put_decimal_64(page, at)
        return 8
    if size < 4:
        return 0
    put_decimal(page, four_octets(page, at))
    return 4


@kernel
def put_dss(page: Page, at: int, size: int, flags: int) -> bool:
    """DSS: data sequence signal."""
    if size < 4 or flags & SYN:
        return False
    signals = octet(page, at + 3)
    if signals & 0x10:
        put(page, b" fin")
    at += 4
    left = size - 4
    if signals & 1:
        put(page, b" ack ")
        taken = put_number(page, at, left, signals & 2 != 0)
        if taken == 0:
            return False
        at += taken
        left -= taken
    if signals & 4:
        put(page, b" seq ")
        taken = put_number(page, at, left, signals & 8 != 0)
        if taken == 0:
            return False
        at += taken
        left -= taken
        if left < 4:
            return False
        say(page, b" subseq %u", four_octets(page, at))
        at += 4
        left -= 4
        if left < 2:
            return False
        say(page, b" len %u", two_octets(page, at))
        at += 2
        left -= 2
        if left >= 2:
            say(page, b" csum 0x%x", two_octets(page, at))
            left -= 2
    return left == 0


@kernel
def put_add_address(page: Page, at: int, size: int) -> bool:
    """ADD_ADDR."""
    short = size in (8, 10, 16, 18)
    if not short and size not in (20, 22, 28, 30):
        return False
    echo = octet(page, at + 2) & 15
    if echo == 6:
        put(page, b" v0-ip6")
    elif echo == 4:
        put(page, b" v0-ip4")
    elif echo == 1:
        put(page, b" v1-echo")
    elif echo == 0:
        put(page, b" v1")
    else:
        put(page, b" [bad version/echo]")
    say(page, b" id %u ", octet(page, at + 3))
    end = at + 8
    if short:
        need(page, at + 4, 4)
        put_ipv4(page, at + 4)
    else:
        end = at + 20
        need(page, at + 4, 16)
        put_ipv6(page, at + 4)
    rest = size - (end - at)
    if rest in (2, 10):
        say(page, b":%u", two_octets(page, end))
    if rest >= 8:
        put(page, b" hmac 0x")
        put_hex_64(page, end + rest - 8)
    return True


@kernel
def put_mptcp(page: Page, at: int, size: int, flags: int) -> bool:
    """An option of ``size`` octets at ``at``; gives False when it is malformed."""
    enter(page, MPTCP)
    if size < 3 or not captured(page, at, size):
        return False
    kind = octet(page, at + 2) >> 4
    say(page, b" %u", size)
    if kind == CAPABLE:
        put(page, b" capable")
        return put_capable(page, at, size, flags)
    if kind == JOIN:
        put(page, b" join")
        return put_join(page, at, size, flags)
    if kind == DSS:
        put(page, b" dss")
        return put_dss(page, at, size, flags)
    if kind == ADD_ADDRESS:
        put(page, b" add-addr")
        return put_add_address(page, at, size)
    if kind == REMOVE_ADDRESS:
        put(page, b" rem-addr")
        if size < 4:
            return False
        put(page, b" id")
        for i in range(3, size):
            say(page, b" %u", octet(page, at + i))
        return True
    if kind == PRIORITY:
        put(page, b" prio")
        if size not in (3, 4):
            return False
        if octet(page, at + 2) & 1:
            put(page, b" backup")
        else:
            put(page, b" non-backup")
        if size == 4:
            say(page, b" id %u", octet(page, at + 3))
        return True
    if kind == FAIL:
        put(page, b" fail")
        if size != 12:
            return False
        put(page, b" seq ")
        put_decimal_64(page, at + 4)
        return True
    if kind == FAST_CLOSE:
        put(page, b" fast-close")
        if size != 12:
            return False
        put(page, b" key 0x")
        put_hex_64(page, at + 4)
        return True
    put(page, b" unknown")
    return True
