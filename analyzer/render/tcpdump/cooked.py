"""Linux cooked captures: LINKTYPE_LINUX_SLL and LINKTYPE_LINUX_SLL2."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_mac
from analyzer.render.tcpdump.dump import put_default
from analyzer.render.tcpdump.ethernet import NO_PRINTER, llc_at, put_tag, step_of_ethertype
from analyzer.render.tcpdump.ethertypes import MOST_LENGTH, VLAN, put_ethertype
from analyzer.render.tcpdump.page import (
    ETHERNET,
    HERE,
    INTERFACES,
    LENGTH,
    LINK_LEN,
    LINKS,
    QUIET,
    Page,
    available,
    captured,
    four_octets,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import SLL, SLL2, enter, put_truncated
from analyzer.render.tcpdump.protocols import VLAN as VLAN_PRINTER
from analyzer.render.tcpdump.steps import DONE
from analyzer.render.tcpdump.text import put, put_spelled, say
from analyzer.render.tcpdump.words import ETHERTYPES, put_word

SLL_LEN, SLL2_LEN = 16, 20
NOVELL_802_3, IEEE_802_2 = 1, 4
RADIOTAP = 803


@kernel
def put_kind(page: Page, kind: int, length: int) -> None:
    """The protocol and the length."""
    if kind == NOVELL_802_3:
        put(page, b"802.3")
    elif kind == IEEE_802_2:
        put(page, b"802.2")
    elif kind <= MOST_LENGTH:
        say(page, b"ethertype Unknown (0x%4)", kind)
    else:
        put_ethertype(page, kind, 0)
    say(page, b", length %u: ", length)


@kernel
def put_sll(page: Page, at: int, length: int) -> None:
    """The fields of the header of version 1."""
    enter(page, SLL)
    kind = two_octets(page, at)
    if kind == 0:
        put(page, b" In ")
    elif kind == 1:
        put(page, b"  B ")
    elif kind == 2:
        put(page, b"  M ")
    elif kind == 3:
        put(page, b"  P ")
    elif kind == 4:
        put(page, b"Out ")
    else:
        put(page, b"  ? ")
    if two_octets(page, at + 4) == 6:
        put_mac(page, at + 6)
        put(page, b" ")
    if not wide(page.state[QUIET]):
        put_kind(page, two_octets(page, at + 14), length)


@kernel
def put_sll2(page: Page, at: int, length: int) -> None:
    """The fields of the header of version 2."""
    enter(page, SLL2)
    say(page, b"ifindex %u ", four_octets(page, at + 4))
    if octet(page, at + 11) == 6:
        put_mac(page, at + 12)
        put(page, b" ")
    if not wide(page.state[QUIET]):
        put_kind(page, two_octets(page, at), length)


@kernel
def put_interface(page: Page, index: int, packet: int) -> None:
    """The name that this machine has for an interface, and the direction."""
    size = 0
    if index < wide(page.state[LINKS]):
        at = wide(page.state[INTERFACES]) + index
        start = wide(page.places[at])
        size = wide(page.places[at + 1]) - start
        put_spelled(page, start, start + size)
    if size == 0:
        size = 1
        put(page, b"?")
    for _ in range(size, 5):
        put(page, b" ")
    if packet == 0:
        put(page, b" In  ")
    elif packet == 1:
        put(page, b" B   ")
    elif packet == 2:
        put(page, b" M   ")
    elif packet == 3:
        put(page, b" P   ")
    elif packet == 4:
        put(page, b" Out ")
    else:
        put(page, b" ?   ")


@kernel
def print_cooked(page: Page, header_len: int) -> int:
    """The header; what it carries comes next."""
    state = page.state
    frame = wide(state[HERE])
    length = wide(state[LENGTH])
    second = header_len == SLL2_LEN
    enter(page, SLL2 if second else SLL)
    if not captured(page, frame, header_len):
        put_truncated(page)
        return DONE
    headed = wide(state[ETHERNET]) > 0
    if second:
        put_interface(page, four_octets(page, frame + 4), octet(page, frame + 10))
        if headed:
            put_sll2(page, frame, length)
    elif headed:
        put_sll(page, frame, length)
    kind = two_octets(page, frame if second else frame + 14)
    at = frame + header_len
    length = (length - header_len) & 0xFFFFFFFF
    state[LINK_LEN] = header_len
    if two_octets(page, frame + 8 if second else frame + 2) == RADIOTAP:
        return DONE
    while kind == VLAN:
        if available(page, at) < 4:
            enter(page, VLAN_PRINTER)
            put_truncated(page)
            state[LINK_LEN] = at - frame + available(page, at)
            return DONE
        if headed:
            put_tag(page, two_octets(page, at))
            put(page, b", ")
        kind = two_octets(page, at + 2)
        if kind <= MOST_LENGTH:
            kind = IEEE_802_2
        if not wide(state[QUIET]):
            put(page, b"ethertype ")
            if not put_word(page, ETHERTYPES, kind):
                put(page, b"Unknown")
            put(page, b", ")
        at += 4
        length -= 4
    state[LINK_LEN] = at - frame
    state[HERE] = at
    state[LENGTH] = length
    if kind == IEEE_802_2:
        return llc_at(page, at, length)
    if kind == NOVELL_802_3:
        return DONE
    step = NO_PRINTER
    if kind > MOST_LENGTH:
        step = step_of_ethertype(page, kind)
        if step == NO_PRINTER and not headed:
            if second:
                put_sll2(page, frame, length + header_len)
            else:
                put_sll(page, frame, length + header_len)
    if step == NO_PRINTER:
        put_default(page, at, available(page, at))
        return DONE
    return step
