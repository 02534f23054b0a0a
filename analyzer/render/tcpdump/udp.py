"""UDP (RFC 768)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import UDP_PORTS
from analyzer.render.tcpdump.checksum import payload_checksum, should_be
from analyzer.render.tcpdump.endpoints import put_addresses, put_endpoints
from analyzer.render.tcpdump.ip_protocols import UDP as UDP_NUMBER
from analyzer.render.tcpdump.page import (
    FRAGMENTED,
    HERE,
    IP,
    LENGTH,
    QUIET,
    UNCHECKED,
    VERBOSE,
    VERSION,
    Page,
    captured,
    four_octets,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import UDP, enter, put_truncated
from analyzer.render.tcpdump.steps import DONE
from analyzer.render.tcpdump.text import put, say

HEADER_LEN = 8
NFS = 2049
APPLETALK_TYPE = 2


@kernel
def dissected_port(port: int) -> bool:
    """Whether tcpdump has a printer for what goes to or comes from this port."""
    if port < 1024:
        return port in (
            53, 67, 68, 69, 88, 123, 161, 162, 319, 320, 496, 500, 514, 520, 521, 525, 546, 547, 646, 654, 698, 701,
            750, 921,
        )  # fmt: skip
    if 7000 <= port <= 7009:
        return True
    return port in (
        1589, 1645, 1646, 1700, 1701, 1812, 1813, 2103, 2104, 3503, 3799, 4342, 4500, 4789, 4790, 5060, 5353, 5359,
        6081, 6343, 6635, 6696, 6697, 7500, 8231, 8472, 8500, 12222, 12223, 17754, 30490,
    )  # fmt: skip


@kernel
def dissected_destination(port: int) -> bool:
    """Ports that tcpdump knows as a destination only."""
    return port in (1985, 3456, 3784, 3785, 4567, 4784, 6784)


@kernel
def appletalk_port(port: int) -> bool:
    """Ports of AppleTalk in UDP."""
    return 16512 <= port < 16640 or 200 <= port < 328 or 768 <= port < 896


@kernel
def has_udp_dissector(page: Page, source_port: int, destination_port: int, at: int) -> bool:
    """Whether an application's printer prints the datagram whose data are at ``at``."""
    if dissected_port(source_port) or dissected_port(destination_port) or dissected_destination(destination_port):
        return source_port != 6081 or destination_port == 6081 or dissected_port(destination_port)
    if source_port == 49152:
        return True
    if appletalk_port(source_port) or appletalk_port(destination_port):
        return captured(page, at + 2, 1) and octet(page, at + 2) == APPLETALK_TYPE
    return False


@kernel
def is_nfs(page: Page, source_port: int, destination_port: int, at: int) -> bool:
    """Whether the datagram is an NFS request or reply."""
    if NFS not in (source_port, destination_port):
        return False
    if not captured(page, at + 4, 4):
        return False
    direction = four_octets(page, at + 4)
    return (destination_port == NFS and direction == 0) or (source_port == NFS and direction == 1)


@kernel
def put_udp_checksum(page: Page, udp: int, length: int) -> None:
    """Whether the checksum is right: of IPv4 only with -vv, since it is optional there."""
    found = two_octets(page, udp + 6)
    if wide(page.state[VERSION]) == 4:
        if wide(page.state[VERBOSE]) < 2:
            return
        if found == 0:
            put(page, b"[no cksum] ")
            return
    if not captured(page, udp + HEADER_LEN, length):
        return
    checksum = payload_checksum(page, udp, length + HEADER_LEN, UDP_NUMBER)
    if checksum == 0:
        put(page, b"[udp sum ok] ")
        return
    say(page, b"[bad udp cksum 0x%4 -> 0x%4!] ", found, should_be(found, checksum))


@kernel
def print_udp(page: Page) -> int:
    """A UDP datagram: ``UDP, length N`` where no application's printer takes it."""
    state = page.state
    udp = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, UDP)
    if not captured(page, udp + 2, 2):
        if octet(page, wide(state[IP]) + (9 if wide(state[VERSION]) == 4 else 6)) == UDP_NUMBER:
            put_addresses(page)
            put(page, b": ")
        put_truncated(page)
        return DONE
    source_port = two_octets(page, udp)
    destination_port = two_octets(page, udp + 2)
    put_endpoints(page, UDP_NUMBER, UDP_PORTS, source_port, destination_port)
    if length < HEADER_LEN:
        say(page, b"truncated-udp %u", length)
        return DONE
    if not captured(page, udp + 4, 2):
        put_truncated(page)
        return DONE
    data_len = two_octets(page, udp + 4)
    if data_len == 0 and length > 65535:
        data_len = length
    if data_len < HEADER_LEN:
        say(page, b"truncated-udplength %u", data_len)
        return DONE
    data_len -= HEADER_LEN
    length = min(length - HEADER_LEN, data_len)
    at = udp + HEADER_LEN
    if not captured(page, at, 0):
        put_truncated(page)
        return DONE
    if not wide(state[QUIET]) and is_nfs(page, source_port, destination_port, at):
        return DONE
    if wide(state[VERBOSE]) and not wide(state[UNCHECKED]) and not wide(state[FRAGMENTED]):
        put_udp_checksum(page, udp, length)
    if not wide(state[QUIET]) and has_udp_dissector(page, source_port, destination_port, at):
        return DONE
    if data_len > length and not wide(state[FRAGMENTED]):
        say(page, b"UDP, bad length %u > %u", data_len, length)
    else:
        say(page, b"UDP, length %u", data_len)
    return DONE
