"""ICMP errors: which connection and which packet they quote, and who sent them."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analyzer.decode.packets import decode
from analyzer.tables import Batch, empty_labels
from analyzer.tcp.quoting import ends_of, latest_sent, sender_of
from tests.script import Hosts, frames, parse

HOSTS: dict[int, Hosts] = {
    4: {"C": ("10.0.0.1", 40_000), "S": ("10.0.0.2", 80), "R": ("10.0.0.254", 0)},
    6: {"C": ("2001:db8::1", 40_000), "S": ("2001:db8::2", 80), "R": ("2001:db8::fe", 0)},
}
ERROR = {4: "ICMP 3 1 1", 6: "ICMP 1 0 1"}


def captured(version: int, quoted: str) -> Batch:
    """A packet and the error that a router sends about it."""
    made = frames(parse(f"C > S  {quoted}\nR > C  {ERROR[version]}"), HOSTS[version])
    return Batch(made, decode(made), empty_labels(2))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("quoted", ["S 100", "UDP 5"])
def test_an_error_names_the_connection_that_it_quotes(version: int, quoted: str) -> None:
    batch = captured(version, quoted)
    assert batch.packets.unreachable[1]
    assert ends_of(batch.packets, 0) == ends_of(batch.packets, 1) != ends_of(batch.packets, 1, turned=True)
    words = sender_of(batch, 1)
    address = ipaddress.ip_address(HOSTS[version]["R"][0])
    assert sum(word << 32 * (3 - k) for k, word in enumerate(words)) == int(address)


def test_the_latest_packet_with_the_number_is_quoted() -> None:
    piece: Any = SimpleNamespace(
        number=np.array([1, 2, 3, 5, 7]), side=np.array([0, 1, 0, 0, 0]), seq=np.array([0, 0, 0, 9, 0])
    )
    assert latest_sent(piece, 0, 0, 6) == 3
    assert latest_sent(piece, 0, None, 6) == 5
    assert latest_sent(piece, 1, 9, 6) == 0
