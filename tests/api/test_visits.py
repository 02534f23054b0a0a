"""The states of a connection with the packets that led there, and packets that a ladder points at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer import Connection, Visit, analyze
from analyzer.render.screen import Screen

MADE = Path(__file__).parents[2] / "captures" / "made"


@pytest.fixture
def echo() -> Connection:
    return analyze(MADE / "loopback-echo-1235.pcap").connections[0]


def test_states_are_those_of_the_visits(echo: Connection) -> None:
    assert [(visit.state, visit.packet) for visit in echo.visits.server] == [
        ("LISTEN", None), ("SYN-RECEIVED", 1), ("ESTABLISHED", 3), ("FIN-WAIT-1", 7), ("FIN-WAIT-2", 9),
        ("TIME-WAIT", 9),
    ]  # fmt: skip
    assert echo.states.server == tuple(visit.state for visit in echo.visits.server)
    assert echo.visits.client[1] == Visit("SYN-SENT", 1, echo.first_ns, is_assumed=False)


def test_a_state_that_nothing_shows_is_assumed() -> None:
    silent = analyze(MADE / "syn-unanswered.pcap").connections[0]
    assert [visit.is_assumed for visit in silent.visits.server] == [True, True]
    assert not any(visit.is_assumed for visit in silent.visits.client)


def test_udp_has_none() -> None:
    udp = analyze(MADE / "echo-udp-23333.pcap").connections[0]
    assert udp.visits == ((), ())


@pytest.mark.parametrize(("marked", "numbers"), [(0, []), (7, ["7"]), ({10, 4}, ["4", "10"]), ((), []), (99, [])])
@pytest.mark.parametrize("width", [60, 100, 140])
def test_a_ladder_points_at_packets(echo: Connection, width: int, marked: int, numbers: list[str]) -> None:
    drawn = echo.ladder(width, marked=marked)
    assert re.findall(r"^▌▶ *(\d+)", drawn, re.MULTILINE) == numbers
    assert re.sub(r"^▌▶", "▌ ", drawn, flags=re.MULTILINE) == echo.ladder(width)


def test_lines_for_a_screen_are_painted(echo: Connection) -> None:
    painted = "\n".join(line.rstrip() for line in echo.drawn(Screen(100, color=True), marked=7))
    assert "\x1b[1;31m▶ 7\x1b[0m" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted).count("▶ 7") == 1
