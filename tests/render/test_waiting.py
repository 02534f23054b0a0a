"""What is said of TIME-WAIT and CLOSE-WAIT, after a capture and while one goes on."""

from __future__ import annotations

import time

import pytest

from analyzer.explain.waiting import Waiting
from analyzer.render.screen import Screen
from analyzer.render.waiting import after_the_capture, finding, still_there
from analyzer.render.words import LOUD
from analyzer.tables import Side
from analyzer.tcp.states import State
from tests.render.made import connection

S = 1_000_000_000
NOW = 1_700_000_000 * S
SCREEN = Screen(100)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", time.gmtime)


def made(state: State, side: Side = Side.SERVER, total: int = 1, closed: int = 0, **given: object) -> Waiting:
    """So many connections, the first 30 s ago and the last 10 s ago."""
    waits = Waiting(state, side, connection(), (), (80,), total, NOW - 30 * S, NOW - 10 * S, closed)
    return waits._replace(**given)  # type: ignore[arg-type]


def after(one: Waiting, end_ns: int = NOW) -> str:
    return " ".join(line.strip() for line in after_the_capture([one], end_ns, SCREEN))


def now(one: Waiting) -> str:
    return " ".join(line.strip() for line in still_there([one], NOW, SCREEN))


def test_time_wait_after_a_capture() -> None:
    assert after(made(State.TIME_WAIT)) == (
        "TIME-WAIT at the end of the capture: the server 192.0.2.2:80 holds 1, for another 50 s on Linux, 3m 50s by "
        "RFC 9293 (2 MSL). Until then a new server's bind() to port 80 fails with EADDRINUSE, unless it and the old "
        "one set SO_REUSEADDR."
    )
    assert after(made(State.TIME_WAIT, Side.CLIENT, 1_204)) == (
        "TIME-WAIT at the end of the capture: the client 192.0.2.1 to port 80 holds 1,204, the last for another 50 s "
        "on Linux, 3m 50s by RFC 9293 (2 MSL)."
    )


@pytest.mark.parametrize(
    ("reuse", "expected"),
    [
        ({80: True}, "strace saw it set SO_REUSEADDR: a new server that sets it too can bind() to port 80 at once."),
        ({80: False}, "until then a new server's bind() to port 80 fails with EADDRINUSE. Set it before bind()."),
        ({81: False}, "unless it and the old one set SO_REUSEADDR."),
    ],
)
def test_time_wait_where_strace_saw_the_server(reuse: dict[int, bool], expected: str) -> None:
    told = " ".join(line.strip() for line in after_the_capture([made(State.TIME_WAIT)], NOW, SCREEN, reuse))
    assert told.endswith(expected)


def test_time_wait_that_linux_ended_before() -> None:
    assert after(made(State.TIME_WAIT), NOW + 70 * S) == (
        "TIME-WAIT: the server 192.0.2.2:80 held 1 until 20 s before the end of the capture on Linux (60 s); by RFC "
        "9293 (2 MSL) for another 2m 40s."
    )


def test_close_wait_after_a_capture() -> None:
    assert after(made(State.CLOSE_WAIT)) == (
        "CLOSE-WAIT at the end of the capture: the server 192.0.2.2:80 has 1, for 30 s: its peer closed, its own "
        "program did not. Let it call close() when recv() gives 0."
    )
    assert after(made(State.CLOSE_WAIT, total=5)) == (
        "CLOSE-WAIT at the end of the capture: the server 192.0.2.2:80 has 5, the oldest for 30 s: their peers closed, "
        "its own program did not. It closed none whose peer closed first, and their number grew to 5 within 20 s: it "
        "seems never to call close() after the peer's end of file, a leak of sockets. Let it call close() when recv() "
        "gives 0."
    )
    assert after(made(State.CLOSE_WAIT, total=5, closed=2)).endswith(
        "did not. 2 others, whose peers closed first too, it closed. Let it call close() when recv() gives 0."
    )


def test_what_there_is_now() -> None:
    assert now(made(State.TIME_WAIT, programs=("server1.py (6828)",))) == (
        "TIME-WAIT: server1.py (6828) on port 80 left 1, which lasts until 22:14:10 (60 s on Linux; 2 MSL of RFC 9293 "
        "are 4 min). Until then a new server's bind() to port 80 fails with EADDRINUSE, unless it and the old one set "
        "SO_REUSEADDR."
    )
    assert now(made(State.CLOSE_WAIT, programs=("a (1)", "b (2)", "c (3)", "d (4)"), total=2)) == (
        "CLOSE-WAIT: a (1), b (2), c (3), … on port 80 has 2 connections in it, the oldest for 30 s: the peers "
        "closed, the program has not. Let it call close() when recv() gives 0."
    )


def test_programs_names_are_not_trusted() -> None:
    assert "\x1b" not in now(made(State.TIME_WAIT, programs=("a\x1b[2J (1)",)))


def test_many_holders_are_cut() -> None:
    some = [made(State.CLOSE_WAIT)] * 9 + [made(State.TIME_WAIT)] * 9
    text = "\n".join(after_the_capture(some, NOW, SCREEN))
    assert (text.count("CLOSE-WAIT at"), text.count("TIME-WAIT at")) == (5, 5)
    assert all(len(line) < 100 for line in text.splitlines())


def test_the_finding() -> None:
    leak = made(State.CLOSE_WAIT, total=3, programs=("server.py (1)",))
    server = made(State.TIME_WAIT, ports=(80, 81), programs=("server.py (1)",))
    assert finding([], NOW).text == ""
    assert finding([made(State.CLOSE_WAIT), made(State.TIME_WAIT, Side.CLIENT)], NOW).text == ""
    word = finding([server, leak], NOW)
    assert word.text == "CLOSE-WAIT: a leak? server.py (1) on port 80 closed none of 3, the oldest after 30 s"
    assert word.style == LOUD
    word = finding([server], NOW)
    assert word.text == (
        "TIME-WAIT until 22:14:10: bind() to ports 80, 81 fails without SO_REUSEADDR; server.py (1) closed"
    )
    assert word.style == ""
