"""Data frames of IEEE 802.11, bare or behind a PPI or radiotap header. Other frames give an empty line."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_mac
from analyzer.render.tcpdump.ethernet import llc_at
from analyzer.render.tcpdump.page import (
    DESTINATION_MAC,
    ETHERNET,
    HERE,
    LENGTH,
    LIMIT,
    LINK_LEN,
    PPI_LEN,
    SOURCE_MAC,
    Page,
    captured,
    cut,
    octet,
)
from analyzer.render.tcpdump.protocols import IEEE_802_11, PPI, RADIOTAP, enter, put_truncated
from analyzer.render.tcpdump.steps import DONE
from analyzer.render.tcpdump.text import MASK_32, put, put_decimal, put_digits, say

WIRELESS_LINK = 105
DATA, NULL_DATA, QOS = 2, 4, 8
TO_SYSTEM, FROM_SYSTEM, PROTECTED = 1, 2, 0x40
FLAGS_FIELD, CHANNEL_FIELD, LAST_FIELD = 1, 3, 14
CHECK_SEQUENCE = 0x10


@kernel
def little(page: Page, at: int, size: int) -> int:
    """An integer of ``size`` octets, the lowest first."""
    value = 0
    for i in range(size):
        value |= octet(page, at + i) << 8 * i
    return value


@kernel
def put_addresses(page: Page, at: int, systems: int) -> None:
    """The addresses, in an order that depends on where the frame goes."""
    if systems in (0, FROM_SYSTEM):
        put(page, b"DA:")
    elif systems == TO_SYSTEM:
        put(page, b"BSSID:")
    else:
        put(page, b"RA:")
    put_mac(page, at + 4)
    if systems == FROM_SYSTEM:
        put(page, b" BSSID:")
    elif systems == TO_SYSTEM or systems == 0:
        put(page, b" SA:")
    else:
        put(page, b" TA:")
    put_mac(page, at + 10)
    if systems == FROM_SYSTEM:
        put(page, b" SA:")
    elif systems == 0:
        put(page, b" BSSID:")
    else:
        put(page, b" DA:")
    put_mac(page, at + 16)
    if systems == TO_SYSTEM | FROM_SYSTEM:
        put(page, b" SA:")
        put_mac(page, at + 24)
    put(page, b" ")


@kernel
def print_wireless(page: Page) -> int:
    """A frame; the LLC header of a data frame comes next."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, IEEE_802_11)
    control = octet(page, at)
    flags = octet(page, at + 1)
    subtype = control >> 4
    if control >> 2 & 3 != DATA or subtype & NULL_DATA or flags & PROTECTED:
        return DONE
    systems = flags & (TO_SYSTEM | FROM_SYSTEM)
    size = 24
    if systems == TO_SYSTEM | FROM_SYSTEM:
        size += 6
    if subtype & QOS:
        size += 2
    if not captured(page, at, size):
        put_truncated(page)
        return DONE
    if wide(state[ETHERNET]):
        if subtype & QOS:
            put(page, b"CF +QoS ")
        put_addresses(page, at, systems)
    state[DESTINATION_MAC] = at + (16 if systems & TO_SYSTEM else 4)
    state[SOURCE_MAC] = at + 10
    if systems & FROM_SYSTEM:
        state[SOURCE_MAC] = at + (24 if systems & TO_SYSTEM else 16)
    state[LINK_LEN] = wide(state[LINK_LEN]) + size
    return llc_at(page, at + size, length - size)


@kernel
def print_ppi(page: Page) -> int:
    """A PPI header."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, PPI)
    size = little(page, at + 2, 2)
    kind = little(page, at + 4, 4)
    if wide(state[ETHERNET]):
        say(page, b"V.%u DLT ", octet(page, at))
        if kind == WIRELESS_LINK:
            put(page, b"IEEE802_11")
        say(page, b" (%u) len %u, length %u: ", kind, size, length)
    if kind != WIRELESS_LINK or size < 8 or not captured(page, at, size):
        return DONE
    state[LINK_LEN] = size
    state[PPI_LEN] = size
    state[HERE] = at + size
    state[LENGTH] = (length - size) & MASK_32
    return print_wireless(page)


@kernel
def put_channel(page: Page, frequency: int, flags: int) -> None:
    """A channel."""
    say(page, b"%u MHz", frequency)
    if flags & 0x0480 == 0x0480:
        put(page, b" 11g")
    elif flags & 0x00A0 == 0x00A0:
        put(page, b" 11b")
    elif flags & 0x0140 == 0x0140:
        put(page, b" 11a")
    elif flags & 0x00C0 == 0x00C0:
        put(page, b" 11g")
    put(page, b" ")


@kernel
def put_decibels(page: Page, value: int, what: bytes) -> None:
    """A signed power."""
    if value > 127:
        put(page, b"-")
        value = 256 - value
    put_decimal(page, value)
    put(page, what)


@kernel
def field_len(field: int) -> int:
    """Octets of a radiotap field, which is aligned to them too, but for a channel's four and FHSS's two."""
    if field == 0:
        return 8
    if field == CHANNEL_FIELD:
        return 4
    if field in (4, 7, 8, 9, 14):
        return 2
    return 1


@kernel
def put_radiotap_field(page: Page, field: int, at: int) -> None:
    """One field."""
    value = octet(page, at)
    if field == 0:
        put_decimal(page, little(page, at, 8))
        put(page, b"us tsft ")
    elif field == FLAGS_FIELD:
        if value & 1:
            put(page, b"cfp ")
        if value & 2:
            put(page, b"short preamble ")
        if value & 4:
            put(page, b"wep ")
        if value & 8:
            put(page, b"fragmented ")
        if value & 0x40:
            put(page, b"bad-fcs ")
    elif field == 2:
        put_decimal(page, value // 2)
        put(page, b".")
        put_digits(page, value % 2 * 5, 1)
        put(page, b" Mb/s ")
    elif field == CHANNEL_FIELD:
        put_channel(page, little(page, at, 2), little(page, at + 2, 2))
    elif field == 5:
        put_decibels(page, value, b"dBm signal ")
    elif field == 6:
        put_decibels(page, value, b"dBm noise ")
    elif field == 7:
        say(page, b"%u sq ", little(page, at, 2))
    elif field == 11:
        say(page, b"antenna %u ", value)
    elif field == 12:
        say(page, b"%udB signal ", value)
    elif field == 13:
        say(page, b"%udB noise ", value)


@kernel
def print_radiotap(page: Page) -> int:
    """A radiotap header (radiotap.org): its fields, then the frame."""
    state = page.state
    start = wide(state[HERE])
    enter(page, RADIOTAP)
    size = little(page, start + 2, 2)
    if not captured(page, start, size):
        put_truncated(page)
        return DONE
    words = 1
    while little(page, start + 4 * words, 4) >> 31 and 4 * words + 8 <= size and wide(state[LIMIT]) >= 0:
        words += 1
    at = start + 4 + 4 * words
    trailer = 0
    for word in range(words):
        present = little(page, start + 4 + 4 * word, 4)
        for field in range(LAST_FIELD + 1):
            if not present >> field & 1:
                continue
            taken = field_len(field)
            step = 2 if field == CHANNEL_FIELD else 1 if field == 4 else taken
            at = start + (at - start + step - 1) // step * step
            if at + taken > start + size:
                break
            if field == FLAGS_FIELD and octet(page, at) & CHECK_SEQUENCE:
                trailer = 4
            put_radiotap_field(page, field, at)
            at += taken
    length = (wide(state[LENGTH]) - size - trailer) & MASK_32
    state[LINK_LEN] = size
    state[HERE] = start + size
    state[LENGTH] = length
    cut(page, start + size + length)
    return print_wireless(page)
