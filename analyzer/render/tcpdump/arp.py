"""ARP (RFC 826) and reverse ARP (RFC 903)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_hardware_address, put_ipv4
from analyzer.render.tcpdump.dump import put_always
from analyzer.render.tcpdump.ethertypes import IPV4, TRAIL
from analyzer.render.tcpdump.page import (
    ETHERNET,
    HERE,
    LENGTH,
    VERBOSE,
    Page,
    available,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import ARP, enter
from analyzer.render.tcpdump.steps import DONE
from analyzer.render.tcpdump.text import put, say
from analyzer.render.tcpdump.words import ARP_OPERATIONS, ETHERTYPES, HARDWARE, put_word, put_word_or

REQUEST, REPLY, REVERSE_REQUEST, REVERSE_REPLY, INVERSE_REQUEST, INVERSE_REPLY = 1, 2, 3, 4, 8, 9
FRAME_RELAY, ATM = 15, 19


@kernel
def put_types(page: Page, hardware: int, hardware_len: int, protocol: int, protocol_len: int) -> None:
    """Both address types and their lengths."""
    put_word_or(page, HARDWARE, b"Unknown Hardware (%u)", hardware)
    say(page, b" (len %u), ", hardware_len)
    if not put_word(page, ETHERTYPES, protocol):
        say(page, b"Unknown Protocol (0x%4)", protocol)
    say(page, b" (len %u)", protocol_len)


@kernel
def put_protocol_address(page: Page, at: int, protocol: int, size: int) -> None:
    """A protocol address, which should be one of IPv4."""
    if protocol not in (IPV4, TRAIL):
        put(page, b"<wrong proto type>")
    elif size != 4:
        put(page, b"<wrong len>")
    else:
        put_ipv4(page, at)


@kernel
def put_link_address(page: Page, at: int, hardware: int, size: int) -> None:
    """A hardware address."""
    if hardware == FRAME_RELAY and size != 0:
        put(page, b"<Invalid DLCI>")
    else:
        put_hardware_address(page, at, size)


@kernel
def is_zero(page: Page, at: int, size: int) -> bool:
    """Whether all of these octets are 0."""
    found = 0
    for i in range(size):
        found |= octet(page, at + i)
    return found == 0


@kernel
def print_arp(page: Page) -> int:
    """An ARP packet."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, ARP)
    need(page, at, 8)
    hardware = two_octets(page, at)
    protocol = two_octets(page, at + 2)
    hardware_len = octet(page, at + 4)
    protocol_len = octet(page, at + 5)
    operation = two_octets(page, at + 6)
    sender = at + 8
    sender_protocol = sender + hardware_len
    target = sender_protocol + protocol_len
    target_protocol = target + hardware_len
    if hardware == ATM:
        return DONE
    need(page, target_protocol, protocol_len)
    verbose = wide(state[VERBOSE])
    if not wide(state[ETHERNET]):
        put(page, b"ARP, ")
    if (protocol not in (IPV4, TRAIL)) or protocol_len != 4 or hardware_len == 0 or verbose:
        put_types(page, hardware, hardware_len, protocol, protocol_len)
        if not verbose:
            say(page, b", length %u", length)
            return DONE
        put(page, b", ")
    put_word_or(page, ARP_OPERATIONS, b"Unknown (%u) ", operation)
    if operation == REQUEST:
        put(page, b"who-has ")
        put_protocol_address(page, target_protocol, protocol, protocol_len)
        if not is_zero(page, target, hardware_len):
            put(page, b" (")
            put_link_address(page, target, hardware, hardware_len)
            put(page, b")")
        put(page, b" tell ")
        put_protocol_address(page, sender_protocol, protocol, protocol_len)
    elif operation == REPLY:
        put_protocol_address(page, sender_protocol, protocol, protocol_len)
        put(page, b" is-at ")
        put_link_address(page, sender, hardware, hardware_len)
    elif operation in (REVERSE_REQUEST, INVERSE_REQUEST):
        put(page, b"who-is ")
        put_link_address(page, target, hardware, hardware_len)
        put(page, b" tell ")
        put_link_address(page, sender, hardware, hardware_len)
    elif operation == REVERSE_REPLY:
        put_link_address(page, target, hardware, hardware_len)
        put(page, b" at ")
        put_protocol_address(page, target_protocol, protocol, protocol_len)
    elif operation == INVERSE_REPLY:
        put_link_address(page, sender, hardware, hardware_len)
        put(page, b" at ")
        put_protocol_address(page, sender_protocol, protocol, protocol_len)
    else:
        put_always(page, at, available(page, at))
        return DONE
    say(page, b", length %u", length)
    return DONE
