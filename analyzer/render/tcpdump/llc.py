"""LLC (IEEE 802.2) and SNAP, as far as the line itself."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_mac
from analyzer.render.tcpdump.dump import put_always, put_default
from analyzer.render.tcpdump.ethernet import NO_PRINTER, step_of_ethertype
from analyzer.render.tcpdump.ethertypes import IPV4
from analyzer.render.tcpdump.page import (
    DESTINATION_MAC,
    ETHERNET,
    HERE,
    LENGTH,
    LINK_LEN,
    SOURCE_MAC,
    Page,
    available,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import LLC, SNAP, enter, put_truncated
from analyzer.render.tcpdump.steps import DONE
from analyzer.render.tcpdump.text import put, put_decimal, put_hex_digits, say
from analyzer.render.tcpdump.words import ETHERTYPES, LLC_COMMANDS, LLC_SUPERVISION, SAPS, put_word, put_word_or

NULL, GLOBAL, STP, SNAP_SAP, IP, IPX, OSI = 0x00, 0xFF, 0x42, 0xAA, 0x06, 0xE0, 0xFE
UNNUMBERED_INFORMATION, XID, XID_FORMAT = 3, 0xAF, 0x81
ENCAPSULATED, CISCO_BRIDGED = 0x000000, 0x0000F8
# What put_llc gives instead of an EtherType.
PRINTED = -1
UNKNOWN = -2


@kernel
def put_sap(page: Page, name: bytes, sap: int) -> None:
    """A service access point, or ``Unknown DSAP 0x10``."""
    if not put_word(page, SAPS, sap):
        put(page, b"Unknown ")
        put(page, name)
        say(page, b" 0x%2", sap)


@kernel
def put_sap_field(page: Page, sap: int) -> None:
    """A service access point, with -e."""
    if not put_word(page, SAPS, sap):
        put(page, b"Unknown")
    say(page, b" (0x%2)", sap)


@kernel
def put_fields(page: Page, dsap: int, ssap: int, control: int, digits: int) -> None:
    """The header's fields, with -e."""
    put(page, b"LLC, dsap ")
    put_sap_field(page, dsap & 0xFE)
    if dsap & 1:
        put(page, b" Group, ssap ")
    else:
        put(page, b" Individual, ssap ")
    put_sap_field(page, ssap & 0xFE)
    if ssap & 1:
        put(page, b" Response, ctrl 0x")
    else:
        put(page, b" Command, ctrl 0x")
    put_hex_digits(page, control, digits)
    put(page, b": ")


@kernel
def put_flags(page: Page, response: int, poll: int, length: int) -> None:
    """The flags, and the length behind them."""
    if response and poll:
        put(page, b", Flags [Final], length ")
    elif response:
        put(page, b", Flags [Response], length ")
    elif poll:
        put(page, b", Flags [Poll], length ")
    else:
        put(page, b", Flags [Command], length ")
    put_decimal(page, length)


@kernel
def put_saps(page: Page, dsap: int, ssap: int) -> None:
    """Addresses and service access points, without -e."""
    source = wide(page.state[SOURCE_MAC])
    if source >= 0:
        put_mac(page, source)
        put(page, b" ")
    if ssap != dsap:
        put_sap(page, b"SSAP", ssap)
        put(page, b" ")
    if source >= 0 or ssap != dsap:
        put(page, b"> ")
    if source >= 0:
        put_mac(page, wide(page.state[DESTINATION_MAC]))
        put(page, b" ")
    put_sap(page, b"DSAP", dsap)
    put(page, b" ")


@kernel
def put_snap(page: Page, at: int, length: int) -> int:
    """A SNAP header; gives its EtherType, or UNKNOWN."""
    enter(page, SNAP)
    if available(page, at) < 5 or length < 5:
        put_truncated(page)
        return PRINTED
    organization = octet(page, at) << 16 | two_octets(page, at + 1)
    kind = two_octets(page, at + 3)
    if wide(page.state[ETHERNET]):
        put_snap_fields(page, organization, kind, length - 5)
    return kind if organization in (ENCAPSULATED, CISCO_BRIDGED) else UNKNOWN


@kernel
def put_snap_fields(page: Page, organization: int, kind: int, length: int) -> None:
    """The header's fields, with -e."""
    if organization == ENCAPSULATED:
        put(page, b"oui Ethernet (0x000000), ethertype ")
    elif organization == CISCO_BRIDGED:
        put(page, b"oui Cisco bridged (0x0000f8), pid ")
    else:
        say(page, b"oui Unknown (0x%6), pid ", organization)
    if organization not in (ENCAPSULATED, CISCO_BRIDGED) or not put_word(page, ETHERTYPES, kind):
        put(page, b"Unknown")
    say(page, b" (0x%4), length %u: ", kind, length)


@kernel
def put_unknown_snap(page: Page, at: int, length: int) -> None:
    """A SNAP header that leads nowhere, without -e."""
    source = wide(page.state[SOURCE_MAC])
    if source >= 0:
        put_mac(page, source)
        put(page, b" > ")
        put_mac(page, wide(page.state[DESTINATION_MAC]))
        put(page, b" ")
    put(page, b"SNAP, ")
    organization = octet(page, at) << 16 | two_octets(page, at + 1)
    kind = two_octets(page, at + 3)
    if organization == ENCAPSULATED:
        put(page, b"ethertype ")
        if not put_word(page, ETHERTYPES, kind):
            put(page, b"Unknown")
        say(page, b" (0x%4), length %u: ", kind, length - 5)
    else:
        put_snap_fields(page, organization, kind, length - 5)


@kernel
def put_llc(page: Page, at: int, length: int) -> tuple[int, int]:
    """The header at ``at``: its length, and the EtherType of what it carries, or PRINTED, or UNKNOWN."""
    caplen = available(page, at)
    enter(page, LLC)
    if caplen < 3 or length < 3:
        put_truncated(page)
        put_always(page, at, caplen)
        return min(caplen, length), PRINTED
    dsap = octet(page, at)
    ssap = octet(page, at + 1)
    control = octet(page, at + 2)
    unnumbered = control & 3 == 3
    size = 3
    if not unnumbered:
        if caplen < 4 or length < 4:
            put_truncated(page)
            put_always(page, at, caplen)
            return min(caplen, length), PRINTED
        control |= octet(page, at + 3) << 8
        size = 4
    headed = wide(page.state[ETHERNET]) > 0
    if ssap == GLOBAL and dsap == GLOBAL:
        if headed:
            put(page, b"IPX 802.3: ")
        return 0, PRINTED
    if headed:
        put_fields(page, dsap, ssap, control, 2 if unnumbered else 4)
    response = ssap & 1
    dsap &= 0xFE
    ssap &= 0xFE
    if ssap == dsap and control == UNNUMBERED_INFORMATION:
        if dsap == SNAP_SAP:
            return size + 5, put_snap(page, at + size, length - size)
        if dsap == IP:
            return size, IPV4
        if dsap in (STP, IPX, OSI):
            return size, PRINTED
    if not headed:
        put_saps(page, dsap, ssap)
    if unnumbered:
        command = control & 0xEF
        put(page, b"Unnumbered, ")
        put_word_or(page, LLC_COMMANDS, b"%2", command)
        put_flags(page, response, control & 0x10, length)
        if command == XID:
            if length == size:
                return size, PRINTED
            if caplen < size + 1:
                put_truncated(page)
                return size, PRINTED
            if octet(page, at + size) == XID_FORMAT:
                if caplen < size + 3 or length < size + 3:
                    put_truncated(page)
                    return size, PRINTED
                say(page, b": %2", octet(page, at + size + 1))
                say(page, b" %2", octet(page, at + size + 2))
                return size, PRINTED
        return size, UNKNOWN
    if control & 3 == 1:
        put(page, b"Supervisory, ")
        put_word_or(page, LLC_SUPERVISION, b"?", control >> 2 & 3)
        put(page, b", rcv seq ")
    else:
        say(page, b"Information, send seq %u, rcv seq ", control >> 1 & 0x7F)
    put_decimal(page, control >> 9 & 0x7F)
    put_flags(page, response, control & 0x100, length)
    return size, PRINTED if control & 3 == 1 else UNKNOWN


@kernel
def print_llc(page: Page) -> int:
    """An LLC header, and what it carries."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    size, kind = put_llc(page, at, length)
    state[LINK_LEN] = wide(state[LINK_LEN]) + abs(size)
    state[HERE] = at + size
    state[LENGTH] = length - size
    step = DONE
    if kind >= 0:
        step = step_of_ethertype(page, kind)
    elif kind == UNKNOWN:
        step = NO_PRINTER
    if step == NO_PRINTER and size == 8 and not wide(state[ETHERNET]):
        put_unknown_snap(page, at + 3, length - 3)
    if step == NO_PRINTER:
        put_default(page, at, available(page, at))
        return DONE
    return step
