"""Endpoints as text."""

from __future__ import annotations

import pytest

from analyzer.render.addresses import endpoint, port, shortened
from tests.render.made import CLIENT, SERVER, connection


def test_ipv4() -> None:
    row = connection()
    assert endpoint(row, CLIENT) == "192.0.2.1:48994"
    assert endpoint(row, SERVER) == "192.0.2.2:80"
    assert port(row, SERVER) == 80


def test_ipv6() -> None:
    row = connection(ip_version=6, address=[0x20010DB8, 0, 0, 1, 0, 0, 0xFFFF, 0x7F000001])
    assert endpoint(row, CLIENT) == "[2001:db8::1]:48994"
    assert endpoint(row, SERVER) == "[::ffff:127.0.0.1]:80"


@pytest.mark.parametrize(
    ("width", "text"),
    [(40, "[2001:db8:1:2:3:4:5:6]:443"), (26, "[2001:db8:1:2:3:4:5:6]:443"), (17, "[2001:…4:5:6]:443"), (2, "[…]:443")],
)
def test_the_port_stays(width: int, text: str) -> None:
    assert shortened("[2001:db8:1:2:3:4:5:6]:443", width) == text
