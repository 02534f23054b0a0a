"""Ethernet (IEEE 802.3) with its VLAN tags (IEEE 802.1Q)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_mac
from analyzer.render.tcpdump.dump import put_default
from analyzer.render.tcpdump.ethertypes import (
    ARP,
    IPV4,
    IPV6,
    JUMBO,
    MOST_LENGTH,
    MPLS,
    MPLS_MULTICAST,
    PPP,
    PPPOE_DISCOVERY,
    PPPOE_DISCOVERY_2,
    PPPOE_SESSION,
    PPPOE_SESSION_2,
    QINQ,
    REVERSE_ARP,
    VLAN,
    VLAN_9100,
    VLAN_9200,
    has_ethertype_printer,
    put_ethertype,
)
from analyzer.render.tcpdump.page import (
    DESTINATION_MAC,
    HERE,
    LENGTH,
    LINK_LEN,
    QUIET,
    SOURCE_MAC,
    Page,
    available,
    cut,
    two_octets,
)
from analyzer.render.tcpdump.page import ETHERNET as ETHERNET_FLAG
from analyzer.render.tcpdump.protocols import ETHER, enter, put_truncated
from analyzer.render.tcpdump.protocols import VLAN as VLAN_PRINTER
from analyzer.render.tcpdump.steps import (
    ARP_STEP,
    DONE,
    IPV4_STEP,
    IPV6_STEP,
    LLC_STEP,
    MPLS_STEP,
    PPP_STEP,
    PPPOE_STEP,
)
from analyzer.render.tcpdump.text import put, say

HEADER_LEN = 14
TAG_LEN = 4
NO_PRINTER = -1


@kernel
def put_tag(page: Page, tag: int) -> None:
    """The fields of a VLAN tag."""
    say(page, b"vlan %u, p %u", tag & 0x0FFF, tag >> 13)
    if tag & 0x1000:
        put(page, b", DEI")


@kernel
def put_macs(page: Page, at: int) -> None:
    """Source and destination of the frame at ``at``."""
    put_mac(page, at + 6)
    put(page, b" > ")
    put_mac(page, at)
    put(page, b", ")


@kernel
def step_of_ethertype(page: Page, kind: int) -> int:
    """The step of an EtherType: DONE where its printer is missing here, NO_PRINTER where tcpdump has none."""
    if kind == IPV4:
        return IPV4_STEP
    if kind == IPV6:
        return IPV6_STEP
    if kind in (ARP, REVERSE_ARP):
        return ARP_STEP
    if kind in (MPLS, MPLS_MULTICAST):
        return MPLS_STEP
    if kind in (PPPOE_DISCOVERY, PPPOE_SESSION, PPPOE_DISCOVERY_2, PPPOE_SESSION_2):
        return PPPOE_STEP
    if kind == PPP:
        if wide(page.state[LENGTH]) == 0:
            return DONE
        put(page, b": ")
        return PPP_STEP
    return DONE if has_ethertype_printer(kind) else NO_PRINTER


@kernel
def print_ethernet(page: Page) -> int:
    """A frame's header, its tags, and the LLC header where it has a length instead of a type."""
    state = page.state
    frame = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, ETHER)
    if available(page, frame) < HEADER_LEN or length < HEADER_LEN:
        put_truncated(page)
        state[LINK_LEN] = wide(state[LINK_LEN]) + min(available(page, frame), length)
        return DONE
    quiet = wide(state[QUIET])
    headed = wide(state[ETHERNET_FLAG]) > 0
    if headed:
        put_macs(page, frame)
    whole_length = length
    kind = two_octets(page, frame + 12)
    at = frame + HEADER_LEN
    length -= HEADER_LEN
    first = True
    state[SOURCE_MAC] = frame + 6
    state[DESTINATION_MAC] = frame
    while kind in (VLAN, VLAN_9100, VLAN_9200, QINQ):
        if available(page, at) < TAG_LEN or length < TAG_LEN:
            enter(page, VLAN_PRINTER)
            put_truncated(page)
            state[LINK_LEN] = wide(state[LINK_LEN]) + at - frame + min(available(page, at), length)
            return DONE
        if headed:
            put_ethertype(page, kind, quiet)
            put_length(page, first, whole_length)
            put_tag(page, two_octets(page, at))
            put(page, b", ")
        first = False
        kind = two_octets(page, at + 2)
        at += TAG_LEN
        length -= TAG_LEN
    state[LINK_LEN] = wide(state[LINK_LEN]) + at - frame
    if kind <= MOST_LENGTH:
        if kind < length:
            length = kind
        cut(page, at + length)
        if headed:
            put(page, b"802.3")
            if first:
                put_length(page, first, length)
        return llc_at(page, at, length)
    if kind == JUMBO:
        return llc_at(page, at, length)
    if headed:
        put_ethertype(page, kind, quiet)
        put_length(page, first, whole_length)
    state[HERE] = at
    state[LENGTH] = length
    step = step_of_ethertype(page, kind)
    if step == NO_PRINTER:
        if not headed:
            put_macs(page, frame)
            put_ethertype(page, kind, quiet)
            put_length(page, True, whole_length)
        put_default(page, at, available(page, at))
        return DONE
    return step


@kernel
def put_length(page: Page, first: bool, length: int) -> None:
    """What follows a type: the frame's length behind the first."""
    if first:
        say(page, b", length %u: ", length)
    else:
        put(page, b", ")


@kernel
def llc_at(page: Page, at: int, length: int) -> int:
    """The step of an LLC header at ``at``."""
    page.state[HERE] = at
    page.state[LENGTH] = length
    return LLC_STEP
