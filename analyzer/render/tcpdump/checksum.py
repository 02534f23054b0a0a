"""The internet checksum (RFC 1071), as tcpdump checks it."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.ip_protocols import DSTOPTS, FRAGMENT, HOPOPTS, MOBILITY, MOBILITY_OLD, ROUTING
from analyzer.render.tcpdump.page import IP, VERSION, Page, captured, octet, two_octets

LOOSE_ROUTE, STRICT_ROUTE = 131, 137


@kernel
def sum_of_words(page: Page, at: int, size: int) -> int:
    """The 16-bit words at ``at``, added; a last odd octet is a high one. All octets must be readable."""
    data = page.data
    total = 0
    for i in range(at, at + size - 1, 2):
        total += wide(data[i]) << 8 | wide(data[i + 1])
    if size % 2 == 1:
        total += wide(data[at + size - 1]) << 8
    return total


@kernel
def folded(total: int) -> int:
    """The ones' complement of a sum: 0 over data whose checksum is right."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@kernel
def should_be(found: int, checksum: int) -> int:
    """The checksum that would be right, where ``found`` stands and the sum over all is ``checksum``."""
    total = found + checksum
    return (total & 0xFFFF) + (total >> 16)


@kernel
def ipv4_destination(page: Page, ip: int) -> int:
    """Offset of the final destination: the last of a source route, else the header's."""
    left = (octet(page, ip) & 15) * 4 - 20
    at = ip + 20
    while left > 0:
        kind = octet(page, at)
        if kind == 0:
            break
        size = 1
        if kind != 1:
            size = octet(page, at + 1)
            if size < 2:
                break
        if left < size or not captured(page, at, size):
            break
        if (kind in (STRICT_ROUTE, LOOSE_ROUTE)) and size >= 7:
            return at + size - 4
        at += size
        left -= size
    return ip + 16


@kernel
def ipv6_destination(page: Page, ip: int) -> int:
    """Offset of the final destination: of a routing header, else the header's."""
    found = ip + 24
    kind = octet(page, ip + 6)
    at = ip
    size = 40
    while captured(page, at, 1):
        at += size
        if kind in (HOPOPTS, DSTOPTS, MOBILITY_OLD, MOBILITY):
            size = (octet(page, at + 1) + 1) << 3
            kind = octet(page, at)
        elif kind == FRAGMENT:
            size = 8
            kind = octet(page, at)
        elif kind == ROUTING:
            if not captured(page, at, 4):
                return found
            units = octet(page, at + 1)
            routing = octet(page, at + 2)
            if routing in (0, 2):
                if units % 2 == 1:
                    return found
                for i in range(units >> 1):
                    if not captured(page, at + 8 + 16 * i, 16):
                        return found
                    found = at + 8 + 16 * i
            elif routing == 4:
                if units % 2 == 0 and captured(page, at + 8, 16):
                    found = at + 8
            return found
        else:
            return found
    return found


@kernel
def payload_checksum(page: Page, at: int, size: int, protocol: int) -> int:
    """The checksum over a pseudo-header and ``size`` octets at ``at``: 0 when right. All octets must be readable."""
    ip = wide(page.state[IP])
    total = sum_of_words(page, at, size) + protocol + size
    if wide(page.state[VERSION]) == 4:
        destination = ip + 16
        if octet(page, ip) & 15 != 5:
            destination = ipv4_destination(page, ip)
        total += two_octets(page, ip + 12) + two_octets(page, ip + 14)
        total += two_octets(page, destination) + two_octets(page, destination + 2)
    else:
        kind = octet(page, ip + 6)
        destination = ip + 24
        if (
            kind in (HOPOPTS, DSTOPTS, ROUTING, FRAGMENT, MOBILITY_OLD, MOBILITY)
        ):  # fmt: skip
            destination = ipv6_destination(page, ip)
        for i in range(0, 16, 2):
            total += two_octets(page, ip + 8 + i) + two_octets(page, destination + i)
    return folded(total)
