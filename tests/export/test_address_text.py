"""Addresses, against Python's own."""

from __future__ import annotations

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.export.address_text import address_texts
from analyzer.tables import CONNECTION, Side
from tests.export.rows import kernels


def texts(addresses: list[int], ip_version: int, side: Side) -> list[str]:
    connections = np.zeros(len(addresses), CONNECTION)
    connections["ip_version"] = ip_version
    for row, address in zip(connections, addresses, strict=True):
        row["address"][4 * side : 4 * side + 4] = [address >> shift & 0xFFFFFFFF for shift in (96, 64, 32, 0)]
        row["address"][4 - 4 * side : 8 - 4 * side] = 0xAAAA5555
    column = address_texts(connections, side)
    return [
        column.octets[start : start + size].tobytes().decode("ascii")
        for start, size in zip(column.start.tolist(), column.size.tolist(), strict=True)
    ]


groups = st.lists(st.sampled_from([0, 0, 0, 1, 0xA0, 0xABC, 0xFFFF]), min_size=8, max_size=8)


@given(groups, st.sampled_from(Side))
def test_ipv6_with_many_zeros(parts: list[int], side: Side) -> None:
    address = sum(part << 16 * k for k, part in enumerate(parts))
    if address >> 32 != 0xFFFF:
        assert texts([address], 6, side) == [str(ipaddress.IPv6Address(address))]


@pytest.mark.parametrize("mode", ["always", "never"])
@pytest.mark.parametrize("side", Side)
def test_random_addresses(mode: str, side: Side) -> None:
    random = np.random.default_rng(1)
    addresses = [int.from_bytes(random.bytes(16), "big") for _ in range(500)]
    with kernels(mode):
        assert texts(addresses, 6, side) == [str(ipaddress.IPv6Address(address)) for address in addresses]
        assert texts(addresses, 4, side) == [str(ipaddress.IPv4Address(address & 0xFFFFFFFF)) for address in addresses]


def test_ipv4_mapped_addresses_end_dotted() -> None:
    """RFC 5952 5."""
    assert texts([0xFFFF_C0000201, 0xFFFF_00000000], 6, Side.CLIENT) == ["::ffff:192.0.2.1", "::ffff:0.0.0.0"]
    assert texts([0xC0000201, 0x1_FFFF_00000000], 6, Side.SERVER) == ["::c000:201", "::1:ffff:0:0"]
