"""ICMP (RFC 792 and its extensions)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import TCP_PORTS, UDP_PORTS, put_ipv4, put_port
from analyzer.render.tcpdump.checksum import folded, should_be, sum_of_words
from analyzer.render.tcpdump.dump import put_unknown
from analyzer.render.tcpdump.ip_protocols import TCP, UDP
from analyzer.render.tcpdump.page import (
    AT,
    FRAGMENTED,
    HERE,
    LENGTH,
    LIMIT,
    MOST_QUOTES,
    QUOTE,
    QUOTES,
    SNAPEND,
    VERBOSE,
    Page,
    captured,
    cut,
    four_octets,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import ICMP, enter, put_truncated
from analyzer.render.tcpdump.steps import DONE, IPV4_STEP
from analyzer.render.tcpdump.text import (
    put,
    put_decimal,
    put_digits,
    put_two_digits,
    say,
)

ECHO_REPLY, UNREACHABLE, SOURCE_QUENCH, REDIRECT, ECHO = 0, 3, 4, 5, 8
ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION, TIME_EXCEEDED, PARAMETER_PROBLEM = 9, 10, 11, 12
TIMESTAMP, TIMESTAMP_REPLY, INFORMATION, INFORMATION_REPLY, MASK, MASK_REPLY = 13, 14, 15, 16, 17, 18
QUOTED = 8  # offset of the quoted datagram
EXTENSION = 136  # offset of the extension structure (RFC 4884)


@kernel
def put_port_unreachable(page: Page, at: int) -> None:
    """Which port of the quoted datagram was unreachable."""
    quoted = at + QUOTED
    header_len = (octet(page, quoted) & 15) * 4
    port = two_octets(page, quoted + header_len + 2)
    protocol = octet(page, quoted + 9)
    put_ipv4(page, quoted + 16)
    if protocol == TCP:
        put(page, b" tcp port ")
        put_port(page, TCP_PORTS, port)
    elif protocol == UDP:
        put(page, b" udp port ")
        put_port(page, UDP_PORTS, port)
    else:
        say(page, b" protocol %u port %u", protocol, port)
    put(page, b" unreachable")


@kernel
def put_unreachable(page: Page, at: int, code: int) -> None:
    """Destination unreachable."""
    destination = at + QUOTED + 16
    if code == 3:
        put_port_unreachable(page, at)
        return
    if code in (0, 6, 9, 11):
        put(page, b"net ")
    elif code in (1, 7, 10) or 12 <= code <= 15:
        put(page, b"host ")
    mtu = two_octets(page, at + 6) if code == 4 else 0
    protocol = octet(page, at + QUOTED + 9) if code == 2 else 0
    put_ipv4(page, destination)
    if code == 2:
        say(page, b" protocol %u", protocol)
    put(page, b" unreachable")
    if code == 4:
        put(page, b" - need to frag")
        if mtu:
            say(page, b" (mtu %u)", mtu)
    elif code == 5:
        put(page, b" - source route failed")
    elif code in (6, 7):
        put(page, b" - unknown")
    elif code == 8:
        put(page, b" - source host isolated")
    elif code in (9, 10):
        put(page, b" - admin prohibited")
    elif code in (11, 12):
        put(page, b" - tos prohibited")
    elif code == 13:
        put(page, b" - admin prohibited filter")
    elif code == 14:
        put(page, b" - host precedence violation")
    elif code == 15:
        put(page, b" - precedence cutoff")
    elif code > 15:
        say(page, b" - #%u", code)


@kernel
def put_redirect(page: Page, at: int, code: int) -> None:
    """Redirect."""
    if code in (2, 3):
        put(page, b"redirect-tos ")
    elif code < 2:
        put(page, b"redirect ")
    else:
        say(page, b"redirect-#%u ", code)
    put_ipv4(page, at + QUOTED + 16)
    if code in (0, 2):
        put(page, b" to net ")
    elif code < 4:
        put(page, b" to host ")
    else:
        put(page, b" to ")
    put_ipv4(page, at + 4)


@kernel
def put_router_advertisement(page: Page, at: int) -> None:
    """Router advertisement (RFC 1256)."""
    put(page, b"router advertisement lifetime ")
    lifetime = two_octets(page, at + 6)
    if lifetime < 60:
        put_decimal(page, lifetime)
    elif lifetime < 3600:
        say(page, b"%u:", lifetime // 60)
        put_two_digits(page, lifetime % 60)
    else:
        say(page, b"%u:", lifetime // 3600)
        put_two_digits(page, lifetime % 3600 // 60)
        put(page, b":")
        put_two_digits(page, lifetime % 60)
    count = octet(page, at + 4)
    say(page, b" %u:", count)
    size = octet(page, at + 5)
    if size != 2:
        say(page, b" [size %u]", size)
        return
    for i in range(count):
        put(page, b" {")
        put_ipv4(page, at + 8 + 8 * i)
        say(page, b" %u}", four_octets(page, at + 12 + 8 * i))


@kernel
def put_time_of_day(page: Page, milliseconds: int) -> None:
    """Milliseconds since midnight."""
    seconds = milliseconds // 1000
    put_two_digits(page, seconds // 3600)
    put(page, b":")
    put_two_digits(page, seconds // 60 % 60)
    put(page, b":")
    put_two_digits(page, seconds % 60)
    put(page, b".")
    put_digits(page, milliseconds % 1000, 3)


@kernel
def put_id_and_seq(page: Page, at: int, comma: bytes) -> None:
    """Identifier and sequence number."""
    put(page, comma)
    say(page, b" id %u", two_octets(page, at + 4))
    put(page, comma)
    say(page, b" seq %u", two_octets(page, at + 6))


@kernel
def put_information(page: Page, at: int, kind: int) -> None:
    """Messages that are not errors."""
    if kind == ECHO:
        put(page, b"echo request")
        put_id_and_seq(page, at, b",")
    elif kind == ECHO_REPLY:
        put(page, b"echo reply")
        put_id_and_seq(page, at, b",")
    elif kind == ROUTER_ADVERTISEMENT:
        put_router_advertisement(page, at)
    elif kind == ROUTER_SOLICITATION:
        put(page, b"router solicitation")
    elif kind == TIMESTAMP:
        put(page, b"time stamp query")
        put_id_and_seq(page, at, b"")
    elif kind == TIMESTAMP_REPLY:
        put(page, b"time stamp reply")
        put_id_and_seq(page, at, b"")
        put(page, b": org ")
        put_time_of_day(page, four_octets(page, at + 8))
        put(page, b", recv ")
        put_time_of_day(page, four_octets(page, at + 12))
        put(page, b", xmit ")
        put_time_of_day(page, four_octets(page, at + 16))
    elif kind == INFORMATION:
        put(page, b"information request")
    elif kind == INFORMATION_REPLY:
        put(page, b"information reply")
    elif kind == MASK:
        put(page, b"address mask request")
    elif kind == MASK_REPLY:
        say(page, b"address mask is 0x%8", four_octets(page, at + 8))
    else:
        say(page, b"type-#%u", kind)


@kernel
def put_message(page: Page, at: int, kind: int, code: int) -> None:
    """What the message says."""
    if kind == UNREACHABLE:
        put_unreachable(page, at, code)
    elif kind == REDIRECT:
        put_redirect(page, at, code)
    elif kind == SOURCE_QUENCH:
        put(page, b"source quench")
    elif kind == TIME_EXCEEDED:
        if code == 0:
            put(page, b"time exceeded in-transit")
        elif code == 1:
            put(page, b"ip reassembly time exceeded")
        else:
            say(page, b"time exceeded-#%u", code)
    elif kind == PARAMETER_PROBLEM:
        if code:
            say(page, b"parameter problem - code %u", code)
        else:
            say(page, b"parameter problem - octet %u", octet(page, at + 4))
    else:
        put_information(page, at, kind)


@kernel
def has_fields(page: Page, at: int, kind: int, code: int) -> bool:
    """Whether the fields were captured without which tcpdump gives up on the message, not on the packet."""
    if kind == UNREACHABLE and code == 3:
        return captured(page, at + QUOTED + 9, 1)
    if kind == TIME_EXCEEDED:
        return captured(page, at + QUOTED + 16, 4)
    if kind == TIMESTAMP_REPLY:
        return captured(page, at + 16, 4)
    if kind == ROUTER_ADVERTISEMENT:
        if not captured(page, at + 4, 4):
            return False
        return octet(page, at + 5) != 2 or captured(page, at + 8, 8 * octet(page, at + 4))
    return True


@kernel
def print_icmp(page: Page) -> int:
    """An ICMP message; with -v, the datagram that an error quotes comes next."""
    state = page.state
    at = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, ICMP)
    kind = octet(page, at)
    code = octet(page, at + 1)
    if not has_fields(page, at, kind, code):
        put_truncated(page)
        return DONE
    start = wide(state[AT])
    put(page, b"ICMP ")
    put_message(page, at, kind, code)
    say(page, b", length %u", length)
    if wide(state[LIMIT]) < 0:  # tcpdump prints the message only when it is whole
        state[AT] = start
        return DONE
    if not wide(state[VERBOSE]):
        return DONE
    if not wide(state[FRAGMENTED]) and captured(page, at, length):
        checksum = folded(sum_of_words(page, at, length))
        if checksum != 0:
            found = two_octets(page, at + 2)
            say(page, b" (wrong icmp cksum %x (->%x)!)", found, should_be(found, checksum))
    multipart = kind in (UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM)
    quotes = wide(state[QUOTES])
    if (multipart or kind in (SOURCE_QUENCH, REDIRECT)) and quotes < MOST_QUOTES:
        put(page, b"\n\t")
        quoted_len = two_octets(page, at + QUOTED + 2)
        state[QUOTE + 3 * quotes] = at
        state[QUOTE + 3 * quotes + 1] = length if multipart else 0
        state[QUOTE + 3 * quotes + 2] = wide(state[SNAPEND])
        state[QUOTES] = quotes + 1
        cut(page, at + QUOTED + quoted_len)
        need(page, at + QUOTED + 2, 2)  # tcpdump reads the length again behind the cut
        state[HERE] = at + QUOTED
        state[LENGTH] = quoted_len
        return IPV4_STEP
    return DONE


@kernel
def put_object(page: Page, at: int, size: int, kind: int, subtype: int) -> None:
    """An object of the extension structure: a stack of labels (RFC 4950), or unknown."""
    if kind != 1 or subtype != 1:
        put_unknown(page, b"\n\t    ", at, size)
        return
    label = four_octets(page, at)
    say(page, b"\n\t    label %u, tc %u", label >> 12, label >> 9 & 7)
    if label >> 8 & 1:
        put(page, b", [S]")
    say(page, b", ttl %u", label & 255)


@kernel
def print_after_quote(page: Page) -> None:
    """What follows a quoted datagram: the extension structure (RFC 4884), if there is one."""
    state = page.state
    quotes = wide(state[QUOTES]) - 1
    state[QUOTES] = quotes
    at = wide(state[QUOTE + 3 * quotes])
    length = wide(state[QUOTE + 3 * quotes + 1])
    if wide(state[LIMIT]) < 0:
        return
    state[SNAPEND] = wide(state[QUOTE + 3 * quotes + 2])
    enter(page, ICMP)
    if length <= EXTENSION:
        return
    if not captured(page, at, EXTENSION + 5):
        put_truncated(page)
        return
    left = length - EXTENSION
    whole = captured(page, at + EXTENSION, left)
    if octet(page, at + 5) == 0 and whole and folded(sum_of_words(page, at + EXTENSION, left)) != 0:
        return
    version = octet(page, at + EXTENSION) >> 4
    say(page, b"\n\tICMP Multi-Part extension v%u", version)
    if version != 2:
        put(page, b" packet not supported")
        return
    if whole:
        say(page, b", checksum 0x%4", two_octets(page, at + EXTENSION + 2))
        if folded(sum_of_words(page, at + EXTENSION, left)) != 0:
            put(page, b" (incorrect), length ")
        else:
            put(page, b" (correct), length ")
        put_decimal(page, left)
    left -= 4
    at += EXTENSION + 4
    while left > 4 and wide(state[LIMIT]) >= 0:
        if not captured(page, at, 4):
            put_truncated(page)
            return
        size = two_octets(page, at)
        kind = octet(page, at + 2)
        subtype = octet(page, at + 3)
        put(page, b"\n\t  ")
        if kind == 1:
            put(page, b"MPLS Stack Entry")
        elif kind == 2:
            put(page, b"Interface Identification")
        else:
            put(page, b"unknown")
        say(page, b" Object (%u), Class-Type: %u, length %u", kind, subtype, size)
        left -= 4
        if kind == 0 or size < 4:
            return
        size -= 4
        put_object(page, at + 4, size, kind, subtype)
        if left < size:
            return
        left -= size
        at += 4 + size
