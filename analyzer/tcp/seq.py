"""Sequence number arithmetic, modulo 2**32 (RFC 9293 3.4). Nowhere else are sequence numbers added or compared."""

from __future__ import annotations

from analyzer.jit import kernel


@kernel(inline=True)
def seq_add(number: int, octets: int) -> int:
    """The sequence number so many octets later (earlier, when negative)."""
    return (number + octets) & 0xFFFFFFFF


@kernel(inline=True)
def seq_diff(a: int, b: int) -> int:
    """How far ``a`` is ahead of ``b``: from -2**31 to 2**31 - 1; the RFC's ``a < b`` is ``seq_diff(a, b) < 0``."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000
