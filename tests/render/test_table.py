"""The table of connections."""

from __future__ import annotations

import re

import numpy as np
import pytest

from analyzer.render.screen import Screen
from analyzer.render.table import MOST_ROWS, table
from analyzer.tables import CONNECTION, ENDPOINT, Protocol, Rows
from tests.render.made import connection, endpoints


def lines_of(
    rows: list[tuple[Rows, Rows]], width: int = 140, *, terminal: bool = False, whole: bool = False, color: bool = False
) -> list[str]:
    connections = np.array([row for row, _ in rows], CONNECTION)
    connections["number"] = np.arange(1, len(rows) + 1)
    ends = np.array([ends for _, ends in rows], ENDPOINT).reshape(-1, 2)
    screen = Screen(width, terminal=terminal, color=color)
    return [line.rstrip() for line in table(connections, ends, range(len(rows)), screen, whole=whole)]


IPV4 = connection(last_ns=6_753_000, handshake_rtt_ns=25_000)
IPV6 = connection(ip_version=6, address=[0x20010DB8, 0x11112222, 0x33334444, 0x55556666] * 2)


def test_columns_are_aligned() -> None:
    lines = lines_of(
        [(IPV4, endpoints({"payload_bytes": 1_204, "packets": 7}, {"packets": 1_500})), (connection(), endpoints())]
    )
    assert lines == [
        " #  client           server        packets bytes→ bytes← lasted   rtt  ended  verdict",
        " 1  192.0.2.1:48994  192.0.2.2:80    1,507 1.2 kB    0 B 6.8 ms 25 µs  open   OTH",
        " 2  192.0.2.1:48994  192.0.2.2:80        0    0 B    0 B    0 s        open   OTH",
    ]


def test_udp_says_so() -> None:
    assert lines_of([(connection(protocol=Protocol.UDP), endpoints())])[1].endswith("0 s  UDP")


def test_trouble_is_told_in_words_or_by_a_mark() -> None:
    ends = endpoints({"retransmitted_packets": 3, "zero_windows": 1})
    assert lines_of([(IPV4, ends)])[1].endswith("✗ 3 retransmitted ✗ 1 zero window")
    assert lines_of([(IPV4, ends)], 80)[1].endswith("open  ✗")


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("row", [IPV4, IPV6])
def test_no_line_is_wider_than_the_screen(width: int, row: Rows) -> None:
    ends = endpoints(
        {"packets": 123_456, "payload_bytes": 10**14, "retransmitted_packets": 9}, {"payload_bytes": 10**14}
    )
    lines = lines_of([(row, ends)] * 3, width)
    assert max(map(len, lines)) <= width
    assert all(re.search(r":48994 +\S+:80 ", line) for line in lines[1:])


def test_narrow_screens_do_without_the_least_telling_columns() -> None:
    headings = [lines_of([(IPV4, endpoints())], width)[0].split() for width in (140, 81, 73)]
    assert "verdict" in headings[0]
    assert "rtt" in headings[1]
    assert "verdict" not in headings[1]
    assert "rtt" not in headings[2]
    assert "lasted" in headings[2]


def test_ipv6_is_shortened_before_it_is_cut() -> None:
    assert "[2001:db8:1111:2222:3333:4444:5555:6666]:48994" in lines_of([(IPV6, endpoints())])[1]
    assert re.search(r"\[2001:\S*…\S*6666\]:48994", lines_of([(IPV6, endpoints())], 80)[1])


def test_a_terminal_shows_a_screenful() -> None:
    rows = [(IPV4, endpoints())] * (MOST_ROWS + 10)
    shown = lines_of(rows, terminal=True)
    assert len(shown) == MOST_ROWS + 2
    assert shown[-1] == " … 10 more: -c 41-50 shows the next, --all every one, a filter fewer"
    assert len(lines_of(rows, terminal=True, whole=True)) == MOST_ROWS + 11
    assert len(lines_of(rows)) == MOST_ROWS + 11


def test_rows_beyond_the_measured_ones_are_shown_too() -> None:
    assert len(lines_of([(IPV4, endpoints())] * 1_100)) == 1_101


def test_no_connections() -> None:
    assert len(lines_of([])) == 1


def test_colour_changes_no_text() -> None:
    rows = [(IPV4, endpoints({"zero_windows": 1}))]
    assert [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in lines_of(rows, color=True)] == lines_of(rows)
