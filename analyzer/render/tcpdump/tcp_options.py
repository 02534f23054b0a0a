"""TCP options (the IANA registry of TCP option kinds)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.mptcp import put_mptcp
from analyzer.render.tcpdump.page import (
    LIMIT,
    SNAPEND,
    Page,
    captured,
    cut,
    four_octets,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import put_invalid, put_truncated
from analyzer.render.tcpdump.text import MASK_32, put, put_hex_digits, put_octets, say
from analyzer.render.tcpdump.words import TCP_OPTIONS, put_word_or

EOL, NOP, MSS, WSCALE, SACK_OK, SACK, ECHO, ECHO_REPLY, TIMESTAMP = 0, 1, 2, 3, 4, 5, 6, 7, 8
CC, CC_NEW, CC_ECHO, MD5, SCPS, UTO, TCP_AO, MPTCP, FAST_OPEN, EXPERIMENT = 11, 12, 13, 19, 20, 28, 29, 30, 34, 254
FAST_OPEN_MAGIC = 0xF989

GOOD, BAD, CUT = 0, 1, 2


@kernel
def data_len(kind: int, size: int) -> int:
    """Octets that the option's printer takes, of an option with ``size`` octets of data."""
    if kind == TIMESTAMP:
        return 8
    if kind in (NOP, EOL, SACK_OK):
        return 0
    if kind in (MSS, SCPS, UTO):
        return 2
    if kind == WSCALE:
        return 1
    if kind in (CC, CC_NEW, CC_ECHO, ECHO, ECHO_REPLY):
        return 4
    if kind == MD5:
        return 16
    return size


@kernel
def put_sack(page: Page, at: int, size: int, sack_from: int) -> int:
    """Blocks of a SACK option (RFC 2018)."""
    if size % 8 != 0:
        put(page, b" invalid sack")
        return GOOD
    say(page, b" %u ", size // 8)
    for i in range(0, size, 8):
        if not captured(page, at + i, 8):
            return CUT
        say(page, b"{%u", (four_octets(page, at + i) - sack_from) & MASK_32)
        say(page, b":%u}", (four_octets(page, at + i + 4) - sack_from) & MASK_32)
    return GOOD


@kernel
def put_fast_open(page: Page, at: int, size: int) -> None:
    """A fast open option (RFC 7413)."""
    if size == 0:
        put(page, b" cookiereq")
    elif size % 2 != 0 or size < 4 or size > 16:
        put_invalid(page)
    else:
        put(page, b" cookie ")
        put_octets(page, at, size)


@kernel
def put_authentication(page: Page, at: int, size: int) -> int:
    """An authentication option (RFC 5925)."""
    if size < 2:
        put_invalid(page)
        return GOOD
    if not captured(page, at, 1):
        return CUT
    say(page, b" keyid %u", octet(page, at))
    if not captured(page, at, 2):
        return CUT
    say(page, b" rnextkeyid %u", octet(page, at + 1))
    if size > 2:
        put(page, b" mac 0x")
        return put_each_octet(page, at + 2, size - 2)
    return GOOD


@kernel
def put_each_octet(page: Page, at: int, size: int) -> int:
    """Octets in hexadecimal, as many as were captured."""
    for i in range(size):
        if not captured(page, at + i, 1):
            return CUT
        put_hex_digits(page, octet(page, at + i), 2)
    return GOOD


@kernel
def put_signature(page: Page, tcp: int, header_len: int, length: int, at: int) -> None:
    """An MD5 signature (RFC 2385), which cannot be checked without the secret."""
    put(page, b" ")
    if captured(page, tcp + header_len, length):
        put(page, b"shared secret not supplied with -M, ")
    else:
        put(page, b"snaplen too short, ")
    put(page, b"can't check - ")
    put_octets(page, at, 16)


@kernel
def put_rare_option(page: Page, kind: int, at: int, size: int, flags: int) -> int:
    """Options that few segments have."""
    if kind == SCPS:
        say(page, b" cap %2", octet(page, at))
        say(page, b" id %u", octet(page, at + 1))
    elif kind == UTO:
        value = two_octets(page, at)
        say(page, b" 0x%x %u", value, (value >> 1) * 60 if value & 1 else value >> 1)
    elif kind == TCP_AO:
        return put_authentication(page, at, size)
    elif kind == FAST_OPEN:
        if not captured(page, at, size):
            return CUT
        put(page, b" ")
        put_fast_open(page, at, size)
    elif kind == EXPERIMENT:
        if not captured(page, at, size):
            return CUT
        if size < 2:
            return BAD
        magic = two_octets(page, at)
        put(page, b"-")
        if magic == FAST_OPEN_MAGIC:
            put(page, b"tfo")
            put_fast_open(page, at + 2, size - 2)
        else:
            put_hex_digits(page, magic, 4)
    elif kind == MPTCP:
        if not captured(page, at, size):
            return CUT
        outer_end = wide(page.state[SNAPEND])
        cut(page, at + size)
        good = put_mptcp(page, at - 2, size + 2, flags)
        if wide(page.state[LIMIT]) >= 0:
            page.state[SNAPEND] = outer_end
        if not good:
            return BAD
    else:
        if size > 0:
            put(page, b" 0x")
        return put_each_octet(page, at, size)
    return GOOD


@kernel
def put_option(page: Page, kind: int, at: int, size: int, left: int, flags: int, sack_from: int) -> int:
    """One option behind its word: GOOD, BAD or CUT."""
    taken = data_len(kind, size)
    if taken != size or kind in (MSS, WSCALE, TIMESTAMP):
        if taken > left:
            return BAD
        if not captured(page, at, taken):
            return CUT
    if kind == TIMESTAMP:
        say(page, b" val %u", four_octets(page, at))
        say(page, b" ecr %u", four_octets(page, at + 4))
    elif kind == MSS:
        say(page, b" %u", two_octets(page, at))
    elif kind == WSCALE:
        say(page, b" %u", octet(page, at))
    elif kind == SACK:
        return put_sack(page, at, size, sack_from)
    elif kind in (CC, CC_NEW, CC_ECHO, ECHO, ECHO_REPLY):
        if not captured(page, at, 4):
            return CUT
        say(page, b" %u", four_octets(page, at))
    elif kind != SACK_OK:
        return put_rare_option(page, kind, at, size, flags)
    return GOOD


@kernel
def put_tcp_options(page: Page, tcp: int, header_len: int, length: int, flags: int, sack_from: int) -> bool:
    """The options in brackets; gives False when they are malformed or cut short and the line ends there."""
    left = header_len - 20
    at = tcp + 20
    separated = False
    put(page, b", options [")
    while left > 0 and wide(page.state[LIMIT]) >= 0:
        if separated:
            put(page, b",")
        kind = octet(page, at)
        at += 1
        left -= 1
        if kind == NOP:
            put(page, b"nop")
            separated = True
            continue
        if kind == EOL:
            put(page, b"eol")
            break
        size = octet(page, at)
        at += 1
        outcome = GOOD
        if size < 2 or size > left + 1:
            outcome = BAD
        else:
            left -= 1
            put_word_or(page, TCP_OPTIONS, b"unknown-%u", kind)
            if kind == MD5:
                if left < 16:
                    outcome = BAD
                elif not captured(page, at, 16):
                    outcome = CUT
                else:
                    put_signature(page, tcp, header_len, length, at)
            else:
                outcome = put_option(page, kind, at, size - 2, left, flags, sack_from)
        if outcome == BAD:
            put(page, b"[bad opt]")
            if separated:
                put(page, b"]")
            return False
        if outcome == CUT:
            put_truncated(page)
            if separated:
                put(page, b">")
            return False
        taken = data_len(kind, size - 2)
        at += taken
        left -= taken
        if taken != size - 2:
            say(page, b"[len %u]", size)
        separated = True
    put(page, b"]")
    return True
