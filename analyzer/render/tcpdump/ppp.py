"""PPP (RFC 1661), in HDLC-like framing (RFC 1662) too, and over Ethernet (RFC 2516)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.dump import put_unknown
from analyzer.render.tcpdump.page import (
    ETHERNET,
    FRAME,
    HERE,
    KIND,
    LENGTH,
    LIMIT,
    LINK_LEN,
    Page,
    available,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import PPP, PPP_HDLC, PPPOE, enter, put_invalid, put_truncated
from analyzer.render.tcpdump.steps import CHDLC_STEP, DONE, IPV4_STEP, IPV6_STEP, MPLS_STEP, PPP_PAYLOAD_STEP, PPP_STEP
from analyzer.render.tcpdump.text import put, put_character, say
from analyzer.render.tcpdump.words import PPP_PROTOCOLS, PPPOE_CODES, PPPOE_TAGS, put_word, put_word_or

ADDRESS, CONTROL = 0xFF, 0x03
IP, IP_UNCOMPRESSED_TCP, IP6, MPLS, MPLS_MULTICAST, COMPRESSED = 0x0021, 0x002F, 0x0057, 0x0281, 0x0283, 0x00FD
CISCO_UNICAST, CISCO_BROADCAST = 0x0F, 0x8F
PADI = 0x09
PPPOE_LEN = 6


@kernel
def has_ppp_printer(kind: int) -> bool:
    """Whether tcpdump prints this protocol with a printer that this package does not have."""
    return kind in (
        0x0023, 0x002B, 0x003D, 0x8021, 0x8023, 0x8057, 0x80FD, 0x8281, 0x8137, 0xC021, 0xC023, 0xC02B, 0xC02D,
        0xC223, 0xC227,
    )  # fmt: skip


@kernel
def put_unknown_ppp(page: Page, kind: int) -> None:
    """The word of a protocol, or that it is unknown."""
    if not put_word(page, PPP_PROTOCOLS, kind):
        say(page, b"unknown PPP protocol (0x%4)", kind)


@kernel
def print_ppp_payload(page: Page) -> int:
    """What a PPP header carries."""
    state = page.state
    kind = wide(state[KIND])
    if kind in (IP, IP_UNCOMPRESSED_TCP) or kind == 2048:
        return IPV4_STEP
    if kind in (IP6, 34525):
        return IPV6_STEP
    if kind in (MPLS, MPLS_MULTICAST):
        return MPLS_STEP
    if kind == COMPRESSED:
        put(page, b"compressed PPP data")
        return DONE
    if kind & 0xFF00 != 0x7E00 and not has_ppp_printer(kind):
        put_unknown_ppp(page, kind)
        put(page, b" ")
        put_unknown(page, b"\n\t", wide(state[HERE]), wide(state[LENGTH]))
    return DONE


@kernel
def print_ppp(page: Page) -> int:
    """A PPP header, with or without address and control."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    whole_length = length
    headed = wide(state[ETHERNET]) > 0
    enter(page, PPP)
    if length < 2:
        put_truncated(page)
        return DONE
    first = octet(page, at)
    two_octets(page, at)
    if octet(page, at + 1) == CONTROL and (first == ADDRESS or first < 2):
        if headed and first == 0:
            put(page, b"In  ")
        elif headed and first == 1:
            put(page, b"Out ")
        at += 2
        length -= 2
    if length < 2:
        put_truncated(page)
        return DONE
    kind = octet(page, at)
    size = 1
    if kind % 2 == 0:
        kind = two_octets(page, at)
        size = 2
    if wide(state[LINK_LEN]) == PPPOE_LEN and wide(state[HERE]) == wide(state[FRAME]) + PPPOE_LEN:
        state[LINK_LEN] = at + size - wide(state[FRAME])
    at += size
    length -= size
    if headed:
        known = put_word(page, PPP_PROTOCOLS, kind)
        if not known:
            put(page, b"unknown")
        say(page, b" (0x%4), length %u", kind, whole_length)
        if not known:
            return DONE
        put(page, b": ")
    state[HERE] = at
    state[LENGTH] = length
    state[KIND] = kind
    return PPP_PAYLOAD_STEP


@kernel
def print_ppp_hdlc(page: Page) -> int:
    """A frame that may be PPP in HDLC-like framing, or Cisco's own."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, PPP_HDLC)
    caplen = available(page, at)
    if caplen < 2:
        put_truncated(page)
        state[LINK_LEN] = caplen
        return DONE
    address = octet(page, at)
    if address in (CISCO_UNICAST, CISCO_BROADCAST):
        state[LINK_LEN] = 4
        return CHDLC_STEP
    if caplen < 4:
        put_truncated(page)
        state[LINK_LEN] = caplen
        return DONE
    if wide(state[ETHERNET]):
        say(page, b"%2 %2 %u ", address, octet(page, at + 1), length)
    if address != ADDRESS:
        say(page, b"unknown addr %2", octet(page, at + 2))
        say(page, b"; ctrl %2", octet(page, at + 3))
        state[LINK_LEN] = 2
        return DONE
    kind = two_octets(page, at + 2)
    put_unknown_ppp(page, kind)
    put(page, b": ")
    state[LINK_LEN] = 4
    state[HERE] = at + 4
    state[LENGTH] = length - 4
    state[KIND] = kind
    return PPP_PAYLOAD_STEP


@kernel
def put_tag_value(page: Page, at: int, size: int) -> None:
    """A tag's value: text where most of it is, else octets."""
    shown = min(size, 79)
    ascii_count = 0
    for i in range(shown):
        if 32 <= octet(page, at + i) < 127:
            ascii_count += 1
    if ascii_count > shown - ascii_count:
        put(page, b' "')
        for i in range(shown):
            code = octet(page, at + i)
            put_character(page, code if 32 <= code < 127 else 46)
        put(page, b'"')
        return
    put(page, b" 0x")
    for i in range(size):
        for nibble in (octet(page, at + i) >> 4, octet(page, at + i) & 15):
            put_character(page, 48 + nibble if nibble < 10 else 55 + nibble)


@kernel
def print_pppoe(page: Page) -> int:
    """A PPPoE header; with session data, PPP comes next."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, PPPOE)
    if length < 6:
        say(page, b" (length %u < 6)", length)
        put_invalid(page)
        return DONE
    length -= 6
    need(page, at, 6)
    version = octet(page, at)
    code = octet(page, at + 1)
    session = two_octets(page, at + 2)
    size = two_octets(page, at + 4)
    if version >> 4 != 1:
        say(page, b" [ver %u]", version >> 4)
    if version & 15 != 1:
        say(page, b" [type %u]", version & 15)
    put(page, b"PPPoE ")
    put_word_or(page, PPPOE_CODES, b"PAD-%x", code)
    if code == PADI and size > 1484 - 6:
        say(page, b" [len %u!]", size)
    if size > length:
        say(page, b" [len %u > %u!]", size, length)
        size = length
    if session:
        say(page, b" [ses 0x%x]", session)
    at += PPPOE_LEN
    if code == 0:
        put(page, b" ")
        if at == wide(state[FRAME]) + PPPOE_LEN:
            state[LINK_LEN] = PPPOE_LEN
        state[HERE] = at
        state[LENGTH] = size
        return PPP_STEP
    end = at + size
    kind = 1
    while kind != 0 and at < end and wide(state[LIMIT]) >= 0:
        need(page, at, 4)
        kind = two_octets(page, at)
        tag_len = two_octets(page, at + 2)
        at += 4
        need(page, at, tag_len)
        put(page, b" [")
        put_word_or(page, PPPOE_TAGS, b"TAG-0x%x", kind)
        if tag_len > 0:
            put_tag_value(page, at, tag_len)
        put(page, b"]")
        at += tag_len
    return DONE
