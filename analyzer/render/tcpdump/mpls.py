"""MPLS label stacks (RFC 3032)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.dump import put_default
from analyzer.render.tcpdump.page import HERE, LENGTH, LIMIT, VERBOSE, Page, available, four_octets, need, octet
from analyzer.render.tcpdump.protocols import MPLS, enter, put_invalid
from analyzer.render.tcpdump.steps import DONE, IPV4_STEP, IPV6_STEP
from analyzer.render.tcpdump.text import put, say

IPV4_NULL, ROUTER_ALERT, IPV6_NULL, IMPLICIT_NULL = 0, 1, 2, 3


@kernel
def put_label(page: Page, label: int) -> None:
    """A label, and its meaning with -v."""
    say(page, b"(label %u", label)
    if wide(page.state[VERBOSE]):
        if label == IPV4_NULL:
            put(page, b" (IPv4 explicit NULL)")
        elif label == ROUTER_ALERT:
            put(page, b" (router alert)")
        elif label == IPV6_NULL:
            put(page, b" (IPv6 explicit NULL)")
        elif label == IMPLICIT_NULL:
            put(page, b" (implicit NULL)")
        elif label < 16:
            put(page, b" (rsvd)")


@kernel
def print_mpls(page: Page) -> int:
    """A stack of labels; what it carries is guessed from its first octet."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, MPLS)
    put(page, b"MPLS")
    first, last = True, False
    label = 0
    while not last and wide(state[LIMIT]) >= 0:
        if length < 4:
            put_invalid(page)
            return DONE
        need(page, at, 4)
        entry = four_octets(page, at)
        label = entry >> 12
        if first or not wide(state[VERBOSE]):
            put(page, b" ")
        else:
            put(page, b"\n\t")
        first = False
        put_label(page, label)
        say(page, b", tc %u", entry >> 9 & 7)
        last = entry & 0x100 != 0
        if last:
            put(page, b", [S]")
        say(page, b", ttl %u)", entry & 255)
        at += 4
        length -= 4
        if not last and length == 0:
            put_invalid(page)
            return DONE
    if length <= 0:
        return DONE
    version = octet(page, at) >> 4
    if label in (IPV4_NULL, IMPLICIT_NULL):
        version = 4
    elif label == IPV6_NULL:
        version = 6
    if version not in (4, 6):
        put_default(page, at, available(page, at))
        return DONE
    if wide(state[VERBOSE]):
        put(page, b"\n\t")
    else:
        put(page, b" ")
    state[HERE] = at
    state[LENGTH] = length
    return IPV4_STEP if version == 4 else IPV6_STEP
