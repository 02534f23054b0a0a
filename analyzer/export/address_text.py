"""Addresses as text: dotted for IPv4, RFC 5952 for IPv6."""

from __future__ import annotations

import numpy as np

from analyzer.export.columns import Texts
from analyzer.export.octets import put_integer
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8, Rows, Side

ADDRESS_LEN = 39
"""Octets of the longest address."""

COLON, DOT = ord(":"), ord(".")
DIGITS_AND_LETTERS = np.frombuffer(b"0123456789abcdef", np.uint8)


def address_texts(connections: Rows, side: Side) -> Texts:
    """The address of one side of every connection."""
    n = len(connections)
    texts = Texts(np.empty(n * ADDRESS_LEN, np.uint8), np.arange(n) * ADDRESS_LEN, np.empty(n, np.int64))
    fastest(put_addresses)(connections, int(side), DIGITS_AND_LETTERS, texts.octets, texts.start, texts.size)
    return texts


@kernel
def put_addresses(connections: Rows, side: int, hexadecimal: U8, text: U8, start: I64, size: I64) -> None:
    """One address after the other, each where ``start`` says."""
    for i in range(len(start)):
        connection = connections[i]
        at = wide(start[i])
        if wide(connection["ip_version"]) == 6:
            end = put_ipv6(text, at, connection, 4 * side, hexadecimal)
        else:
            end = put_ipv4(text, at, wide(connection["address"][4 * side + 3]))
        size[i] = end - at


@kernel
def put_ipv4(text: U8, at: int, word: int) -> int:
    """``192.0.2.1``. Returns where the text goes on."""
    for shift in (24, 16, 8):
        at = put_integer(text, at, word >> shift & 255)
        text[at] = DOT
        at += 1
    return put_integer(text, at, word & 255)


@kernel
def group_of(connection: Rows, word: int, k: int) -> int:
    """The k-th 16 bits of the address whose first word is ``word``."""
    both = wide(connection["address"][word + (k >> 1)])
    return both & 0xFFFF if k & 1 else both >> 16


@kernel
def put_ipv6(text: U8, at: int, connection: Rows, word: int, hexadecimal: U8) -> int:
    """RFC 5952: no leading zeros, ``::`` for the first of the longest runs of two zero groups or more, lower case.

    An IPv4-mapped address ends in dotted form (section 5). Returns where the text goes on.
    """
    run_start, run_len = 8, 1
    zeros = 0
    for k in range(8):
        zeros = zeros + 1 if group_of(connection, word, k) == 0 else 0
        if zeros > run_len:
            run_start, run_len = k + 1 - zeros, zeros
    groups = 8
    if run_start == 0 and run_len == 5 and group_of(connection, word, 5) == 0xFFFF:
        groups = 6
    k = 0
    while k < groups:
        if k == run_start:
            text[at] = COLON
            text[at + 1] = COLON
            at += 2
            k += run_len
            continue
        if k > 0 and k != run_start + run_len:
            text[at] = COLON
            at += 1
        group = group_of(connection, word, k)
        shift = 12
        while shift > 0 and group >> shift == 0:
            shift -= 4
        while shift >= 0:
            text[at] = hexadecimal[group >> shift & 15]
            at += 1
            shift -= 4
        k += 1
    if groups == 8:
        return at
    text[at] = COLON
    return put_ipv4(text, at + 1, wide(connection["address"][word + 3]))
