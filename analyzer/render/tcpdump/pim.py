"""PIM (RFC 7761): register messages, which hold a datagram. Others are left to tcpdump."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.checksum import folded, sum_of_words
from analyzer.render.tcpdump.page import HERE, LENGTH, VERBOSE, Page, captured, octet, two_octets
from analyzer.render.tcpdump.steps import DONE, IPV4_STEP
from analyzer.render.tcpdump.text import put, say

REGISTER = 0x21
REGISTER_LEN = 8


@kernel
def print_pim(page: Page) -> int:
    """A register message; its datagram comes next, with -v."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    if octet(page, at) != REGISTER or length < REGISTER_LEN or not captured(page, at, REGISTER_LEN):
        return DONE
    if not wide(state[VERBOSE]):
        say(page, b"PIMv2, Register, length %u", length)
        return DONE
    say(page, b"PIMv2, length %u\n\tRegister, cksum 0x%4 ", length, two_octets(page, at + 2))
    right = folded(sum_of_words(page, at, REGISTER_LEN)) == 0
    if not right and captured(page, at, length):
        right = folded(sum_of_words(page, at, length)) == 0
    if right:
        put(page, b"(correct)")
    else:
        put(page, b"(unverified)")
    flags = octet(page, at + 4)
    if flags & 0x80:
        put(page, b", Flags [ Border ]\n\t")
    elif flags & 0x40:
        put(page, b", Flags [ Null ]\n\t")
    else:
        put(page, b", Flags [ none ]\n\t")
    state[HERE] = at + REGISTER_LEN
    state[LENGTH] = length - REGISTER_LEN
    return IPV4_STEP
