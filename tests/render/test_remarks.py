"""The list below a ladder; whole screens are compared in tests/cli/test_read.py."""

from __future__ import annotations

import re

import pytest

from analyzer.explain.events import ORDINARY
from analyzer.render.remarks import MOST_OF_A_KIND, MOST_TOLD, remarks
from analyzer.render.screen import Screen, cells
from analyzer.tables import Event
from tests.render.made import SERVER, life, segment

PLAIN = Screen(100)
MS = 1_000_000


def keep_alives(count: int) -> list:  # type: ignore[type-arg]
    return [segment(number=n, ts_ns=n * MS, events=(n > 1) << Event.KEEP_ALIVE) for n in range(1, count + 2)]


def test_nothing_for_a_clean_connection() -> None:
    assert list(remarks(life([segment(), segment(events=1 << Event.WINDOW_UPDATE)]), PLAIN)) == []


def test_the_first_few_of_a_kind_are_told() -> None:
    assert list(remarks(life(keep_alives(1200)), PLAIN)) == [
        " Remarkable",
        "  1,200 keep_alive  2  one sequence number back, 1.0 ms after packet 1",
        "                    3  one sequence number back, 1.0 ms after packet 2",
        "                    4  one sequence number back, 1.0 ms after packet 3",
        "  … 1,197 more: read --all",
        "",
    ]


def test_all_of_them_when_asked_for() -> None:
    assert len(list(remarks(life(keep_alives(50)), PLAIN, whole=True))) == 52


def test_the_same_words_are_said_once() -> None:
    some = [segment(number=n, events=1 << Event.URGENT) for n in (7, 8, 9)]
    assert list(remarks(life(some), PLAIN))[1:-1] == ["  3 urgent  7, 8, 9  its urgent pointer is in use"]


def test_packets_of_which_nothing_is_known() -> None:
    some = [segment(number=7, seq=9), segment(number=8, seq=5, events=1 << Event.RETRANSMISSION)]
    assert list(remarks(life(some), PLAIN))[1:-1] == ["  1 ✗ retransmission  8"]


def test_sizes_are_bytes() -> None:
    some = [segment(payload_len=10), segment(number=2, seq=1461, payload_len=1, events=1 << Event.LOST_SEGMENT)]
    lines = list(remarks(life(some), PLAIN))
    assert lines[1] == "  1 ✗ lost_segment  2  1,450 bytes missing before it, after packet 1"


def test_what_a_capture_with_losses_cannot_tell() -> None:
    some = life([segment(events=1 << Event.LOST_SEGMENT)])
    assert list(remarks(some, PLAIN, has_losses=True))[1].startswith("  1 lost_segment?  1")


def test_the_packets_that_were_kept() -> None:
    lines = list(remarks(life(keep_alives(4), omitted=9), PLAIN))
    assert lines[0] == " Remarkable in the 5 packets that were kept"


def of_every_kind() -> list:  # type: ignore[type-arg]
    """Five packets of each kind of event."""
    return [
        segment(
            number=10_000 + 10 * event + n, ts_ns=n * MS, side=n % 2, seq=1000 * n, payload_len=9,
            events=1 << event, refers_to=9990 + n, repeat=n,
        )
        for event in Event
        for n in range(1, 6)
    ]  # fmt: skip


def test_every_kind_is_told_and_not_much_more() -> None:
    lines = list(remarks(life(of_every_kind()), Screen(140)))
    starts = [line for line in lines if re.match(r"  5 ", line)]
    assert len(starts) == len(Event) - len(ORDINARY)
    assert len(lines) - 3 <= max(MOST_TOLD, len(starts))


def test_lines_are_for_the_first_kinds() -> None:
    some = [
        segment(number=10 * event + n, events=1 << event, seq=n * 100, ts_ns=n * MS, payload_len=5)
        for event in (Event.KEEP_ALIVE, Event.ZERO_WINDOW, Event.LOST_SEGMENT, Event.FAST_OPEN, Event.URGENT)
        for n in range(1, 6)
    ]
    lines = list(remarks(life(some), PLAIN))[1:-2]
    assert MOST_OF_A_KIND * 3 <= len(lines) <= MOST_TOLD


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    for whole in (False, True):
        lines = list(remarks(life(of_every_kind()), Screen(width), whole=whole))
        assert max(cells(line) for line in lines) <= width


def test_on_a_narrow_screen_sentences_stand_below() -> None:
    some = [
        segment(side=SERVER, seq=100, ack=500, payload_len=9),
        segment(number=2, ack=600),
        segment(number=3, side=SERVER, seq=100, payload_len=9, events=1 << Event.SPURIOUS_RETRANSMISSION, refers_to=1),
    ]
    lines = list(remarks(life(some), Screen(60)))
    assert lines[1:-1] == [
        "  1 ✗ spurious_retransmission",
        "    3  packet 1 again at once: packet 2 had acknowledged",
        "       all of it",
    ]


def test_colour_changes_no_text() -> None:
    painted = "\n".join(remarks(life(of_every_kind()), Screen(80, color=True)))
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == "\n".join(remarks(life(of_every_kind()), Screen(80)))
