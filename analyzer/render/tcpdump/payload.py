"""What an IP header carries: which printer is next, and the protocols that need no file of their own."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import put_ip_protocol
from analyzer.render.tcpdump.ip_protocols import (
    AH,
    DCCP,
    EGP,
    EIGRP,
    ESP,
    ETHERNET,
    GRE,
    ICMP,
    ICMPV6,
    IGMP,
    IPCOMP,
    IPV4,
    IPV6,
    MOBILE,
    ND,
    NONE,
    OSPF,
    PGM,
    PIGP,
    PIM,
    RSVP,
    SCTP,
    TCP,
    UDP,
    VRRP,
)
from analyzer.render.tcpdump.page import (
    HERE,
    KIND,
    LENGTH,
    VERBOSE,
    VERSION,
    Page,
    captured,
    four_octets,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.pim import print_pim
from analyzer.render.tcpdump.protocols import AH as AH_PRINTER
from analyzer.render.tcpdump.protocols import ESP as ESP_PRINTER
from analyzer.render.tcpdump.protocols import IPCOMP as IPCOMP_PRINTER
from analyzer.render.tcpdump.protocols import enter, put_invalid, put_truncated
from analyzer.render.tcpdump.steps import (
    DONE,
    ETHERNET_STEP,
    ICMP6_STEP,
    ICMP_STEP,
    IPV4_STEP,
    IPV6_STEP,
    OTHER_STEP,
    TCP_STEP,
    UDP_STEP,
)
from analyzer.render.tcpdump.text import MASK_32, put, put_octets, say
from analyzer.render.tcpdump.words import IP_PROTOCOLS, put_word_or


@kernel
def put_authentication_header(page: Page) -> int:
    """An authentication header (RFC 4302); gives the protocol behind it."""
    at = wide(page.state[HERE])
    following = octet(page, at)
    enter(page, AH_PRINTER)
    put(page, b"AH")
    words = octet(page, at + 1)
    size = (words + 2) * 4
    put(page, b"(")
    if wide(page.state[VERBOSE]):
        say(page, b"length=%u(%u-bytes),", words, size)
    reserved = two_octets(page, at + 2)
    if reserved:
        say(page, b"reserved=0x%x[MustBeZero],", reserved)
    spi = four_octets(page, at + 4)
    say(page, b"spi=0x%8,", spi)
    seq = four_octets(page, at + 8)
    say(page, b"seq=0x%x,icv=0x", seq)
    put_octets(page, at + 12, size - 12)
    put(page, b"): ")
    page.state[HERE] = at + size
    page.state[LENGTH] = (wide(page.state[LENGTH]) - size) & MASK_32
    return following


@kernel
def put_encrypted(page: Page) -> None:
    """An encapsulating security payload (RFC 4303), not decrypted."""
    at = wide(page.state[HERE])
    length = wide(page.state[LENGTH])
    enter(page, ESP_PRINTER)
    if not captured(page, at, 9):
        put_truncated(page)
        return
    say(page, b"ESP(spi=0x%8", four_octets(page, at))
    say(page, b",seq=0x%x), length %u", four_octets(page, at + 4), length)


@kernel
def put_compressed(page: Page) -> None:
    """A compressed payload (RFC 3173), not decompressed."""
    at = wide(page.state[HERE])
    enter(page, IPCOMP_PRINTER)
    need(page, at, 4)
    say(page, b"IPComp(cpi=0x%4)", two_octets(page, at + 2))


@kernel
def has_dissector(protocol: int) -> bool:
    """Whether tcpdump prints this protocol with a printer that this package does not have."""
    if protocol in (DCCP, EGP, EIGRP, MOBILE, OSPF):
        return True
    if protocol in (GRE, PGM, PIGP):
        return True
    return protocol in (RSVP, SCTP, VRRP)


@kernel
def put_wrong_version(page: Page, protocol: int, version: bytes) -> int:
    """A protocol of the other version of IP."""
    put(page, b"[")
    put_word_or(page, IP_PROTOCOLS, b"unknown", protocol)
    put(page, b" requires IPv")
    put(page, version)
    put(page, b"]")
    put_invalid(page)
    return DONE


@kernel
def print_payload(page: Page) -> int:
    """The payload of an IP header, by its protocol."""
    protocol = wide(page.state[KIND])
    if protocol == TCP:
        return TCP_STEP
    if protocol == UDP:
        return UDP_STEP
    return OTHER_STEP


@kernel
def print_other_payload(page: Page) -> int:
    """The payload of an IP header that is neither TCP nor UDP."""
    state = page.state
    protocol = wide(state[KIND])
    version = wide(state[VERSION])
    while protocol == AH:
        if not captured(page, wide(state[HERE]), 1):
            enter(page, AH_PRINTER)
            put_truncated(page)
            return DONE
        protocol = put_authentication_header(page)
    if protocol == TCP:
        return TCP_STEP
    if protocol == UDP:
        return UDP_STEP
    if protocol == ICMP:
        return ICMP_STEP if version == 4 else put_wrong_version(page, protocol, b"4")
    if protocol == ICMPV6:
        return ICMP6_STEP if version == 6 else put_wrong_version(page, protocol, b"6")
    if protocol == IGMP:
        return DONE if version == 4 else put_wrong_version(page, protocol, b"4")
    if protocol == ETHERNET:
        return ETHERNET_STEP if version == 6 else put_wrong_version(page, protocol, b"6")
    if protocol == IPV4:
        return IPV4_STEP
    if protocol == IPV6:
        return IPV6_STEP
    if protocol == PIM:
        return print_pim(page)
    if protocol == ESP:
        put_encrypted(page)
    elif protocol == IPCOMP:
        put_compressed(page)
    elif protocol == NONE:
        put(page, b"no next header")
    elif protocol == ND:
        say(page, b" nd %u", wide(state[LENGTH]))
    elif not has_dissector(protocol):
        put(page, b" ")
        put_ip_protocol(page, protocol)
        say(page, b" %u", wide(state[LENGTH]))
    return DONE
