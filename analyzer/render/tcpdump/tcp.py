"""TCP (RFC 9293)."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.addresses import TCP_PORTS
from analyzer.render.tcpdump.checksum import payload_checksum, should_be
from analyzer.render.tcpdump.conversations import ACK as ACK_COLUMN
from analyzer.render.tcpdump.conversations import FAMILY, conversation, keep, reversed_pair
from analyzer.render.tcpdump.conversations import SEQ as SEQ_COLUMN
from analyzer.render.tcpdump.endpoints import put_addresses, put_endpoints
from analyzer.render.tcpdump.ip_protocols import TCP as TCP_NUMBER
from analyzer.render.tcpdump.page import (
    ABSOLUTE,
    FRAGMENTED,
    HERE,
    LENGTH,
    LIMIT,
    QUIET,
    UNCHECKED,
    VERBOSE,
    Page,
    available,
    captured,
    four_octets,
    need,
    octet,
    two_octets,
)
from analyzer.render.tcpdump.protocols import TCP, enter, put_truncated
from analyzer.render.tcpdump.steps import DONE
from analyzer.render.tcpdump.tcp_options import put_tcp_options
from analyzer.render.tcpdump.text import MASK_32, put, put_character, put_decimal, put_hex_digits, put_visible

FIN, SYN, RST, PUSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
HEADER_LEN = 20
MOST_RST_DATA = 30


@kernel
def put_tcp_flags(page: Page, flags: int) -> None:
    """The letters of the flags."""
    if flags & FIN:
        put_character(page, 70)
    if flags & SYN:
        put_character(page, 83)
    if flags & RST:
        put_character(page, 82)
    if flags & PUSH:
        put_character(page, 80)
    if flags & ACK:
        put_character(page, 46)
    if flags & URG:
        put_character(page, 85)
    if flags & ECE:
        put_character(page, 69)
    if flags & CWR:
        put_character(page, 87)
    if flags == 0:
        put(page, b"none")


@kernel
def put_tcp_checksum(page: Page, tcp: int, length: int) -> None:
    """The checksum and whether it is right, where all octets were captured."""
    if not captured(page, tcp, length):
        return
    checksum = payload_checksum(page, tcp, length, TCP_NUMBER)
    found = two_octets(page, tcp + 16)
    put(page, b", cksum 0x")
    put_hex_digits(page, found, 4)
    if checksum != 0:
        put(page, b" (incorrect -> 0x")
        put_hex_digits(page, should_be(found, checksum), 4)
        put(page, b")")
    else:
        put(page, b" (correct)")


@kernel
def put_rst_data(page: Page, at: int, length: int) -> None:
    """Data of a RST: perhaps it says why (RFC 9293 3.5.3)."""
    if captured(page, at, length):
        put(page, b" [RST")
    else:
        put(page, b" [!RST")
    if length > MOST_RST_DATA:
        length = MOST_RST_DATA
        put(page, b"+")
    put(page, b" ")
    for i in range(min(length, available(page, at))):
        put_visible(page, octet(page, at + i))
    put(page, b"]")


@kernel
def put_long_header(page: Page, header_len: int, length: int) -> None:
    """A header longer than the segment."""
    put(page, b" [bad hdr length ")
    put_decimal(page, header_len)
    put(page, b" - too long, > ")
    put_decimal(page, length)
    put(page, b"]")


@kernel
def print_tcp(page: Page) -> int:
    """A TCP segment, as far as ``length N``."""
    state = page.state
    tcp = wide(state[HERE])
    length = wide(state[LENGTH])
    enter(page, TCP)
    if not captured(page, tcp + 2, 2):
        put_addresses(page)
        put(page, b":")
        put_truncated(page)
        return DONE
    source_port = two_octets(page, tcp)
    destination_port = two_octets(page, tcp + 2)
    put_endpoints(page, TCP_NUMBER, TCP_PORTS, source_port, destination_port)
    if not captured(page, tcp, HEADER_LEN):
        put_truncated(page)
        return DONE
    header_len = (octet(page, tcp + 12) >> 4) * 4
    if header_len < HEADER_LEN:
        put(page, b" tcp ")
        put_decimal(page, (length - header_len) & MASK_32)
        put(page, b" [bad hdr length ")
        put_decimal(page, header_len)
        put(page, b" - too short, < 20]")
        return DONE
    if wide(state[QUIET]):
        put(page, b"tcp ")
        put_decimal(page, (length - header_len) & MASK_32)
        if header_len > length:
            put_long_header(page, header_len, length)
        return DONE
    seq = four_octets(page, tcp + 4)
    ack = four_octets(page, tcp + 8)
    flags = octet(page, tcp + 13)
    put(page, b"Flags [")
    put_tcp_flags(page, flags)
    put(page, b"]")
    sack_from = 0
    if not wide(state[ABSOLUTE]) and flags & ACK and wide(state[LIMIT]) >= 0:
        backward = reversed_pair(page, source_port, destination_port)
        ports = source_port << 16 | destination_port
        if backward:
            ports = destination_port << 16 | source_port
        row = conversation(page, ports, backward)
        table = page.conversations
        if wide(table[row, FAMILY]) == 0 or flags & SYN:
            if backward:
                keep(page, row, (ack - 1) & MASK_32, seq)
            else:
                keep(page, row, seq, (ack - 1) & MASK_32)
        elif backward:
            seq = (seq - wide(table[row, ACK_COLUMN])) & MASK_32
            ack = (ack - wide(table[row, SEQ_COLUMN])) & MASK_32
        else:
            seq = (seq - wide(table[row, SEQ_COLUMN])) & MASK_32
            ack = (ack - wide(table[row, ACK_COLUMN])) & MASK_32
        sack_from = wide(table[row, SEQ_COLUMN]) if backward else wide(table[row, ACK_COLUMN])
    if header_len > length:
        put_long_header(page, header_len, length)
        return DONE
    if wide(state[VERBOSE]) and not wide(state[UNCHECKED]) and not wide(state[FRAGMENTED]):
        put_tcp_checksum(page, tcp, length)
    length -= header_len
    if wide(state[VERBOSE]) > 1 or length > 0 or flags & (SYN | FIN | RST):
        put(page, b", seq ")
        put_decimal(page, seq)
        if length > 0:
            put(page, b":")
            put_decimal(page, (seq + length) & MASK_32)
    if flags & ACK:
        put(page, b", ack ")
        put_decimal(page, ack)
    put(page, b", win ")
    put_decimal(page, two_octets(page, tcp + 14))
    if flags & URG:
        put(page, b", urg ")
        put_decimal(page, two_octets(page, tcp + 18))
    if header_len > HEADER_LEN and not put_tcp_options(page, tcp, header_len, length, flags, sack_from):
        return DONE
    put(page, b", length ")
    put_decimal(page, length)
    if length == 0:
        return DONE
    if not captured(page, tcp, header_len):
        put(page, b" [remaining caplen(")
        put_decimal(page, available(page, tcp))
        put(page, b") < header length(")
        put_decimal(page, header_len)
        put(page, b")]")
        need(page, tcp, header_len)
    if flags & RST and wide(state[VERBOSE]):
        put_rst_data(page, tcp + header_len, length)
    return DONE
