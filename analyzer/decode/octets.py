"""Integers from octets, in network byte order. The caller has checked that the octets are there."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import U8


@kernel(inline=True)
def be16(data: U8, at: int) -> int:
    """Two octets at offset ``at``."""
    return wide(data[at]) << 8 | wide(data[at + 1])


@kernel(inline=True)
def be32(data: U8, at: int) -> int:
    """Four octets at offset ``at``."""
    return wide(data[at]) << 24 | wide(data[at + 1]) << 16 | wide(data[at + 2]) << 8 | wide(data[at + 3])
