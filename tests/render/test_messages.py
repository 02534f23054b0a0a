"""What was written, sent and read, in words."""

from __future__ import annotations

import pytest

from analyzer.explain.messages import Direction, Exchange
from analyzer.explain.seen_ends import How, SeenEnd
from analyzer.render.messages import ends, messages
from analyzer.render.screen import Screen, cells
from analyzer.tables import Side

SCREEN = Screen(100)


def shown(*directions: Direction, whole: bool = False, width: int = 100) -> list[str]:
    lines = list(messages(directions, Screen(width), whole=whole))
    assert all(cells(line) < width for line in lines)
    return lines


def of(*exchanges: Exchange, sender: Side = Side.CLIENT, unread: int = 0, reset: int = 0) -> Direction:
    return Direction(sender, True, True, list(exchanges), unread, reset)


THREE_IN_ONE = Exchange((3, 3, 3), (9,), (4,), (9,))
ONE_IN_TWO = Exchange((9,), (9,), (4,), (5, 4))
WHOLE = Exchange((5,), (5,), (4,), (5,))


def test_three_writes_one_segment_one_read() -> None:
    assert shown(of(THREE_IN_ONE)) == [
        " Messages",
        "  client → server  3 writes of 3 bytes → 1 segment (4) → 1 read of 9 bytes",
        " One read got what several writes had written: TCP keeps no boundaries between messages. The reader",
        " must find them, by a length before each or a mark after it.",
        "",
    ]


def test_one_write_several_reads() -> None:
    lines = shown(of(ONE_IN_TWO, sender=Side.SERVER))
    assert lines[1] == "  server → client  1 write of 9 bytes → 1 segment (4) → 2 reads of 5, 4 bytes"
    assert lines[2].startswith(" One write came in several reads: ")
    both = shown(of(ONE_IN_TWO, THREE_IN_ONE))
    assert both[3].startswith(" Reads do not end where writes did, here or there: ")


def test_what_matches_needs_no_finding_and_is_told_once() -> None:
    same = [WHOLE._replace(packets=(number,)) for number in range(4, 16)]
    assert shown(of(*same)) == [
        " Messages",
        "  client → server  12 times: 1 write of 5 bytes → 1 segment (4, 5, 6, 7, …) → 1 read of 5 bytes",
        "",
    ]


@pytest.mark.parametrize(
    ("knows_reads", "exchange", "expected"),
    [
        (True, Exchange((), (5, 4), (4, 6), (9,)), " One read got what several segments had brought: TCP keeps no"),
        (True, Exchange((), (9,), (4,), (5, 4)), ""),
        (
            False,
            Exchange((3, 3, 3), (9,), (4,), ()),
            " One segment brought what several writes had written: TCP keeps no",
        ),
        (False, Exchange((9,), (5, 4), (4, 6), ()), ""),
    ],
)
def test_boundaries_where_one_side_alone_was_watched(knows_reads: bool, exchange: Exchange, expected: str) -> None:
    told = shown(Direction(Side.CLIENT, not knows_reads, knows_reads, [exchange], 0, 0))[2]
    assert told.startswith(expected)
    assert bool(told) == bool(expected)


def test_one_side_alone_was_watched() -> None:
    one = Direction(Side.CLIENT, False, True, [Exchange((), (1, 2, 3, 4, 5), (4, 5, 6, 7, 8), (15,))], 0, 0)
    assert shown(one)[1] == "  client → server  5 segments of 1 to 5 bytes (4, 5, 6, 7, …) → 1 read of 15 bytes"
    assert len(shown(one)) == 5


def test_what_was_unread_is_lost() -> None:
    never = shown(of(Exchange((5,), (5,), (4,), ()), unread=5))
    assert never[1] == "  client → server  1 write of 5 bytes → 1 segment (4) → not read"
    one = of(Exchange((5,), (5,), (4,), (2,)), unread=3, reset=8)
    assert shown(one)[2:4] == [
        " When the server closed, 3 bytes that had come were unread: they are lost. That is why it sent RST",
        " (packet 8) and not FIN.",
    ]


@pytest.mark.parametrize("whole", [False, True])
def test_many_exchanges_are_cut(whole: bool) -> None:
    many = [Exchange((n,), (n,), (n,), (n,)) for n in range(1, 21)]
    lines = shown(of(*many), whole=whole, width=60)
    assert len([line for line in lines if "segment" in line]) == (20 if whole else 6)
    assert ("… 14 more exchanges; --all shows them" in lines[-2]) != whole


def test_nothing_was_said() -> None:
    assert shown(Direction(Side.CLIENT, True, True, [], 0, 0)) == []


@pytest.mark.parametrize("how", How)
def test_ends_that_were_seen(how: How) -> None:
    lines = list(ends([SeenEnd(Side.SERVER, how, 4, "SIGKILL", lingers=how == How.CLOSED)], SCREEN))
    assert lines[-1] == ""
    told = " ".join(" ".join(lines).split())
    assert "server" in told
    assert "(packet 4)" in told
    assert ("SIGKILL" in told) == (how == How.KILLED)
    assert ("SO_LINGER" in told) == (how == How.CLOSED)
    assert list(ends([], SCREEN)) == []
    assert list(ends([SeenEnd(Side.SERVER, How.CLOSED, 4, unread=3)], SCREEN)) == []
