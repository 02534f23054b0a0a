"""The paths through figure 5: what moved a side, how long it stayed, and where it left the figure."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path as File

import pytest

from analyzer.explain.walk import PASSED, How, Path, Stay, stays, walk
from analyzer.pipeline import lives
from analyzer.tables import ACK, FIN, RST, SYN, Life
from analyzer.tcp.states import FIGURE_5, State
from tests.render.made import SERVER, life, segment

MADE = File(__file__).parents[2] / "captures" / "made"
MS = 1_000_000
S = State


def life_of(capture: str, number: int = 1) -> Life:
    return lives(str(MADE / capture), "", [number])[number]


def steps(path: Path) -> list[tuple[State, How, int]]:
    return [(visit.state, visit.how, visit.packet) for visit in path]


def test_the_article() -> None:
    client, server = walk(life_of("loopback-echo-1235.pcap"))
    assert steps(client) == [
        (S.CLOSED, How.START, 0), (S.SYN_SENT, How.ARROW, 1), (S.ESTABLISHED, How.ARROW, 2),
        (S.CLOSE_WAIT, How.ARROW, 7), (S.LAST_ACK, How.ARROW, 9), (S.CLOSED, How.ARROW, 10),
    ]  # fmt: skip
    assert steps(server) == [
        (S.LISTEN, How.START, 0), (S.SYN_RECEIVED, How.ARROW, 1), (S.ESTABLISHED, How.ARROW, 3),
        (S.FIN_WAIT_1, How.ARROW, 7), (S.FIN_WAIT_2, How.ARROW, 9), (S.TIME_WAIT, How.ARROW, 9),
    ]  # fmt: skip


def test_times_follow_each_other() -> None:
    made = life_of("loopback-echo-1235.pcap")
    for path in walk(made):
        assert all(before.left_ns == after.entered_ns for before, after in pairwise(path))
        assert (path[0].entered_ns, path[-1].left_ns) == (int(made.ts_ns[0]), None)


def test_every_step_by_an_arrow_is_one_of_the_figure() -> None:
    arrows = {(before, after) for before, _, after in FIGURE_5}
    for (before, after), passed in PASSED.items():
        assert {(before, passed), (passed, after)} <= arrows
    for capture in sorted(MADE.glob("*.pcap")):
        if "udp" in capture.name:
            continue
        for path in walk(life_of(capture.name)):
            moved = {(a.state, b.state) for a, b in pairwise(path) if b.how == How.ARROW}
            assert moved <= arrows, capture.name


def test_a_reset_is_no_arrow_even_where_one_leads_there() -> None:
    some = [
        segment(number=1, flags=FIN | ACK, client_state=S.FIN_WAIT_1, server_state=S.CLOSE_WAIT),
        segment(number=2, side=SERVER, flags=FIN | ACK, client_state=S.TIME_WAIT, server_state=S.LAST_ACK),
        segment(number=3, flags=RST, client_state=S.CLOSED, server_state=S.CLOSED),
    ]
    client, server = walk(life(some))
    assert steps(client)[-1] == (S.CLOSED, How.RESET, 3)
    assert steps(server)[-1] == (S.CLOSED, How.RESET, 3)


def test_a_reset_of_a_passive_open_is_an_arrow() -> None:
    some = [
        segment(number=1, flags=SYN, client_state=S.SYN_SENT, server_state=S.SYN_RECEIVED),
        segment(number=2, flags=RST, client_state=S.CLOSED, server_state=S.LISTEN),
    ]
    client, server = walk(life(some))
    assert steps(client)[-1] == (S.CLOSED, How.RESET, 2)
    assert steps(server)[-1] == (S.LISTEN, How.ARROW, 2)


@pytest.mark.parametrize(
    ("flags", "client", "server", "how"),
    [
        (SYN, S.CLOSED, S.LISTEN, How.START),
        (SYN | ACK, S.SYN_RECEIVED, S.SYN_SENT, How.UNSEEN_START),
        (ACK, S.ESTABLISHED, S.ESTABLISHED, How.UNSEEN_START),
    ],
)
def test_starts(flags: int, client: State, server: State, how: How) -> None:
    paths = walk(life([segment(flags=flags)]))
    assert [steps(path)[0] for path in paths] == [(client, how, 0), (server, how, 0)]


def test_a_leap() -> None:
    some = [segment(number=1), segment(number=2, client_state=S.TIME_WAIT)]
    assert steps(walk(life(some))[0])[1:] == [(S.TIME_WAIT, How.UNSEEN, 2)]


def test_what_happened_in_packets_left_out_is_not_known() -> None:
    some = [segment(number=1), segment(number=9, flags=FIN | ACK, client_state=S.FIN_WAIT_1)]
    assert steps(walk(life(some))[0])[1][1] == How.ARROW
    assert steps(walk(life(some, omitted=7))[0])[1][1] == How.UNSEEN


def test_fins_that_cross() -> None:
    client, server = walk(life_of("simultaneous-close.pcap"))
    assert [how for state, how, _ in steps(client) if state == S.CLOSING] == [How.CROSSED]
    assert [how for state, how, _ in steps(server) if state == S.CLOSING] == [How.ARROW]


def test_stays() -> None:
    some = [
        segment(number=1, flags=SYN, client_state=S.SYN_SENT, server_state=S.SYN_RECEIVED),
        segment(number=2, ts_ns=5 * MS, side=SERVER, flags=SYN | ACK),
        segment(number=3, ts_ns=6 * MS, client_state=S.CLOSED),
    ]
    client, server = walk(life(some))
    assert stays(client, 9 * MS) == {S.SYN_SENT: Stay(5 * MS, True), S.ESTABLISHED: Stay(1 * MS, True)}
    assert stays(server, 9 * MS) == {S.SYN_RECEIVED: Stay(5 * MS, True), S.ESTABLISHED: Stay(4 * MS, False)}


def test_nobody_stays_in_what_is_assumed() -> None:
    some = [segment(number=1, flags=SYN, client_state=S.SYN_SENT, server_state=S.SYN_RECEIVED)]
    client, server = walk(life(some))
    assert stays(client, 9 * MS) == {S.SYN_SENT: Stay(9 * MS, False)}
    assert stays(server, 9 * MS) == {}
    assert [(visit.state, visit.is_assumed) for visit in server] == [(S.LISTEN, True), (S.SYN_RECEIVED, True)]


def test_a_stay_that_began_unseen_or_whose_clock_stepped_back() -> None:
    some = [
        segment(number=1, ts_ns=5 * MS, side=SERVER, payload=b"a"),
        segment(number=2, ts_ns=2 * MS, flags=FIN | ACK, client_state=S.FIN_WAIT_1),
    ]
    client, _ = walk(life(some))
    assert stays(client, 0) == {S.ESTABLISHED: Stay(0, False), S.FIN_WAIT_1: Stay(0, False)}
