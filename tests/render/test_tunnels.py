"""The lines about tunnels below a connection's heading."""

from __future__ import annotations

import re

import pytest

from analyzer.render.screen import Screen, cells
from analyzer.render.tunnels import MOST_TOLD, tunnels
from analyzer.tables import Life
from tests.render.made import CLIENT, SERVER, life, segment

VXLAN = "VXLAN VNI 42, 192.0.2.1 → 192.0.2.2 (UDP 4789)"


def through(*ways: tuple[int, str]) -> Life:
    """Packets of these sides in these tunnels."""
    some = [segment(number=number, side=side) for number, (side, _) in enumerate(ways, 1)]
    return life(some)._replace(tunnels=[way for _, way in ways])


def told(*ways: tuple[int, str], width: int = 100) -> list[str]:
    return list(tunnels(through(*ways), Screen(width)))


def test_no_tunnel() -> None:
    assert told((CLIENT, ""), (SERVER, "")) == []


def test_one_tunnel() -> None:
    assert told((CLIENT, VXLAN), (SERVER, VXLAN)) == [f" in {VXLAN}"]


def test_one_for_each_side() -> None:
    assert told((CLIENT, "GTP TEID 1"), (SERVER, "GTP TEID 2")) == [
        " → in GTP TEID 1, first packet 1",
        " ← in GTP TEID 2, first packet 2",
    ]


def test_it_changes() -> None:
    ways = [(CLIENT, ""), (CLIENT, VXLAN), (SERVER, ""), (SERVER, VXLAN), (CLIENT, "GRE")]
    assert told(*ways) == [
        "   in no tunnel, first packet 1", f"   in {VXLAN}, first packet 2", " → in GRE, first packet 5",
    ]  # fmt: skip


def test_there_may_be_many() -> None:
    lines = told(*[(n % 2, f"VXLAN VNI {n}") for n in range(100)])
    assert len(lines) == MOST_TOLD + 1
    assert lines[-1] == "   in 96 other tunnels"


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    ways = [(CLIENT, f"{VXLAN}, in {VXLAN}"), (SERVER, VXLAN)]
    assert all(cells(line) <= width for some in (ways, ways[:1]) for line in told(*some, width=width))


def test_colour_changes_no_text() -> None:
    some = through((CLIENT, VXLAN), (SERVER, ""))
    painted = "\n".join(tunnels(some, Screen(80, color=True)))
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == "\n".join(tunnels(some, Screen(80)))
