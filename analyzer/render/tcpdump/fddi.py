"""FDDI (ISO 9314) and IPNET, the header of Solaris."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_mac
from analyzer.render.tcpdump.dump import put_default
from analyzer.render.tcpdump.ethernet import llc_at
from analyzer.render.tcpdump.page import (
    DESTINATION_MAC,
    ETHERNET,
    HERE,
    LENGTH,
    LINK_LEN,
    QUIET,
    SOURCE_MAC,
    Page,
    available,
    four_octets,
    need,
    octet,
)
from analyzer.render.tcpdump.protocols import FDDI, IPNET, enter, put_truncated
from analyzer.render.tcpdump.steps import DONE, IPV4_STEP, IPV6_STEP
from analyzer.render.tcpdump.text import put, say

FDDI_LEN, IPNET_LEN = 13, 24
ASYNCHRONOUS, STATION_MANAGEMENT = 0x50, 0x40
IPNET_IPV4, IPNET_IPV6 = 2, 26


@kernel
def put_fddi(page: Page, frame: int, control: int, length: int) -> None:
    """The header's fields."""
    if not wide(page.state[QUIET]):
        if control & 0xF0 == ASYNCHRONOUS:
            say(page, b"async%x ", control & 15)
        else:
            say(page, b"%2 ", control)
    put_mac(page, frame + 7)
    put(page, b" > ")
    put_mac(page, frame + 1)
    say(page, b", length %u: ", length)


@kernel
def print_fddi(page: Page) -> int:
    """A frame's header; LLC comes next."""
    state = page.state
    frame = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, FDDI)
    if available(page, frame) < FDDI_LEN:
        put_truncated(page)
        state[LINK_LEN] = available(page, frame)
        return DONE
    control = octet(page, frame)
    if wide(state[ETHERNET]):
        put_fddi(page, frame, control, length)
    state[LINK_LEN] = FDDI_LEN
    state[DESTINATION_MAC] = frame + 1
    state[SOURCE_MAC] = frame + 7
    if control & 0xF0 == ASYNCHRONOUS:
        return llc_at(page, frame + FDDI_LEN, length - FDDI_LEN)
    if control & 0xF0 != STATION_MANAGEMENT:
        if not wide(state[ETHERNET]):
            put_fddi(page, frame, control, length)
        put_default(page, frame + FDDI_LEN, available(page, frame + FDDI_LEN))
    return DONE


@kernel
def put_ipnet(page: Page, at: int, family: int, length: int) -> None:
    """The header's fields."""
    quiet = wide(page.state[QUIET])
    say(page, b"%u > %u, ", four_octets(page, at + 16), four_octets(page, at + 20))
    if not quiet:
        put(page, b"family ")
    if family == IPNET_IPV4:
        put(page, b"IPv4")
    elif family == IPNET_IPV6:
        put(page, b"IPv6")
    elif quiet:
        say(page, b"Unknown Ethertype (0x%4)", family)
    else:
        put(page, b"Unknown")
    if not quiet:
        say(page, b" (%u)", family)
    say(page, b", length %u: ", length)


@kernel
def print_ipnet(page: Page) -> int:
    """A packet's header; IP comes next."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, IPNET)
    need(page, at, IPNET_LEN)
    family = octet(page, at + 1)
    if wide(state[ETHERNET]):
        put_ipnet(page, at, family, length)
    state[LINK_LEN] = IPNET_LEN
    state[HERE] = at + IPNET_LEN
    state[LENGTH] = length - IPNET_LEN
    if family == IPNET_IPV4:
        return IPV4_STEP
    if family == IPNET_IPV6:
        return IPV6_STEP
    if not wide(state[ETHERNET]):
        put_ipnet(page, at, family, length)
    put_default(page, at + IPNET_LEN, available(page, at + IPNET_LEN))
    return DONE
