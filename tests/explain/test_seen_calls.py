"""Calls that strace saw, beside the packets of captures: which connection, which packets, which clock, which place."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.explain.calls import Call, Certainty
from analyzer.explain.causes import Cause
from analyzer.explain.messages import direction
from analyzer.explain.seen_calls import ReadLog, SeenCalls
from analyzer.explain.seen_ends import How, SeenEnd, seen_end, settling
from analyzer.pipeline import lives, survey
from analyzer.strace.log import parse
from analyzer.tables import Protocol, Side
from tests.cli.spoken import CLIENT, OPENING, SERVER, Said, closing, write

MADE = Path(__file__).parents[2] / "captures" / "made"
ECHO = str(MADE / "loopback-echo-1235.pcap")

LISTEN = """\
7 {0} socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4
7 {1} bind(4, {{sa_family=AF_INET, sin_port=htons(1235), sin_addr=inet_addr("0.0.0.0")}}, 16) = 0
7 {2} listen(4, 5) = 0
7 {3} accept(4, {{sa_family=AF_INET, sin_port=htons(48994), sin_addr=inet_addr("127.0.0.1")}}, [16]) = 5
7 {4} recvfrom(5, "clien", 128, 0, NULL, NULL) = 5
7 {5} write(5, "hi", 2) = 2
7 {6} close(4) = 0
7 {7} close(5) = 0
7 {8} +++ exited with 0 +++
"""
"""The article's server, as strace -f tells it."""

TIMES = (
    "1606832600.000100", "1606832600.000200", "1606832600.000300", "1606832600.000400", "1606832621.476000",
    "1606832621.476180", "1606832621.476210", "1606832621.476230", "1606832621.483000",
)  # fmt: skip


def seen(capture: str, *texts: str) -> SeenCalls:
    """All connections of a capture, tied to these logs."""
    run = survey(capture)
    rows = run.connections[: run.count]
    numbers = rows["number"].tolist()
    found = SeenCalls([ReadLog("log", *parse(text.splitlines())) for text in texts], rows)
    protocols = dict(zip(numbers, map(Protocol, rows["protocol"].tolist()), strict=True))
    found.tie(lives(capture, "", numbers, most_packets=10_000), protocols)
    return found


def shifted(times: tuple[str, ...], seconds: float) -> list[str]:
    return [f"{float(time) - 1606832000 + seconds:.6f}" for time in times]


def drawn(calls: list[Call]) -> list[tuple[int, str, str, bool]]:
    return [(call.packet, call.told, call.result, call.follows) for call in calls]


EXPECTED = [
    (1, "socket()", "= 4", False), (1, "bind 0.0.0.0:1235", "= 0", False), (1, "listen(5)", "= 0", False),
    (3, "accept()", "= 5", True), (4, "recvfrom 128 bytes", "= 5", True), (6, "write 2 bytes", "= 2", False),
    (7, "close", "= 0", False),
]  # fmt: skip


def test_the_server_of_the_article() -> None:
    found = seen(ECHO, LISTEN.format(*TIMES))
    calls = found.of(1)
    assert sorted(drawn(calls)) == sorted(EXPECTED)
    assert {call.side for call in calls} == {Side.SERVER}
    assert {call.certainty for call in calls} == {Certainty.SEEN}
    assert {call.process for call in calls} == {"process 7"}
    assert [call.call.name for _, call in found.apart()] == ["close"]
    assert found.offsets[0].ns == 0
    ties = {tie.seen.call.name: tie for tie in found.sided(1)[0].ties}
    assert (ties["write"].caused, ties["recvfrom"].needed, ties["accept"].needed) == ((5,), (3,), (2,))
    assert ties["close"].caused == (6,)


@pytest.mark.parametrize("seconds", [-3_600.0, 250_000.0, 1606832000 + 86_400.0])
def test_another_clock_is_found(seconds: float) -> None:
    times = shifted(TIMES, seconds if seconds > 1e9 else 1606832000 + seconds)
    found = seen(ECHO, LISTEN.format(*times))
    truth = 1606832000 - (seconds if seconds > 1e9 else 1606832000 + seconds)
    (offset,) = found.offsets
    assert offset.least is not None
    assert offset.most is not None
    assert offset.least - 1_000 <= truth * 1e9 <= offset.most + 1_000
    assert offset.most - offset.least < 1_000_000
    assert sorted(drawn(found.of(1))) == sorted(EXPECTED)


def test_relative_times_and_times_of_day() -> None:
    relative = []
    before = float(TIMES[0])
    for time in TIMES:
        relative.append(f"     {float(time) - before:.6f}")
        before = float(time)
    assert sorted(drawn(seen(ECHO, LISTEN.format(*relative)).of(1))) == sorted(EXPECTED)
    daily = [f"22:23:{float(time) - 1606832580:09.6f}" for time in TIMES]
    assert sorted(drawn(seen(ECHO, LISTEN.format(*daily)).of(1))) == sorted(EXPECTED)


@pytest.mark.parametrize("times", [["22:23:20"] * 4 + ["22:23:41"] * 5, [""] * 9])
def test_whole_seconds_and_no_times_keep_the_order(times: list[str]) -> None:
    found = seen(ECHO, LISTEN.format(*times).replace("7  ", "7 "))
    placed = drawn(found.of(1))
    assert [told for _, told, _, _ in placed] == [told for _, told, _, _ in EXPECTED]
    assert [packet for packet, _, _, _ in placed] == [packet for packet, _, _, _ in EXPECTED]


def test_a_log_of_another_program_belongs_to_nobody() -> None:
    found = seen(ECHO, LISTEN.format(*TIMES).replace("48994", "48995"))
    assert (found.numbers, found.of(1)) == ([], [])
    assert len(found.apart()) == 8


# ---------------------------------------------------------------- conversations that are made for the purpose

_CLIENT = '{{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr("{}")}}'


def of_server(capture: Path, *calls: str) -> tuple[SeenCalls, list[str]]:
    """A server that accepted the capture's connection and then called this."""
    run = survey(str(capture))
    row = run.connections[0]
    client, server = (".".join(str(int(row["address"][k]) >> shift & 255) for shift in (24, 16, 8, 0)) for k in (3, 7))
    peer, own = _CLIENT.format(row["client_port"], client), _CLIENT.format(row["server_port"], server)
    lines = [
        "1 socket(AF_INET, SOCK_STREAM, 0) = 3", f"1 bind(3, {own}, 16) = 0", "1 listen(3, 5) = 0",
        f"1 accept(3, {peer}, [16]) = 4", *(f"1 {call}" for call in calls),
    ]  # fmt: skip
    found = seen(str(capture), "\n".join(lines))
    said = [
        f"{tie.seen.call.name} {[found.packets(1)[at].number for at in (*tie.caused, *tie.needed)]}"
        for tie in found.sided(1)[0].ties[4:]
    ]
    return found, said


def test_three_writes_may_come_in_one_segment(tmp_path: Path) -> None:
    said = [*OPENING, Said(SERVER, 0, b"abcdefghi"), Said(CLIENT, 0, flags=0x10, ack=9), *closing(0, 9)]
    capture = write(tmp_path / "a.pcap", said)
    write_call = 'write(4, "abc", 3) = 3'
    found, ties = of_server(capture, write_call, write_call, write_call, "close(4) = 0")
    assert ties == ["write [4]", "write [4]", "write [4]", "close [7]"]
    one = direction(Side.SERVER, found.packets(1), found.sided(1)[0].ties, None)
    assert [exchange[:3] for exchange in one.exchanges] == [((3, 3, 3), (9,), (4,))]
    assert not one.joins


def test_what_is_sent_again_belongs_to_the_first(tmp_path: Path) -> None:
    said = [
        *OPENING, Said(SERVER, 0, b"abc"), Said(SERVER, 0, b"abc"), Said(SERVER, 0, b"abcdef"),
        Said(CLIENT, 0, flags=0x10, ack=6), *closing(0, 6),
    ]  # fmt: skip
    _, ties = of_server(
        write(tmp_path / "a.pcap", said), 'write(4, "abc", 3) = 3', 'write(4, "def", 3) = 3',
        'write(4, "x", 1) = -1 EAGAIN (Resource temporarily unavailable)',
    )  # fmt: skip
    assert ties == ["write [4]", "write [6]", "write []"]


def test_what_was_not_read_is_told(tmp_path: Path) -> None:
    said = [*OPENING, Said(CLIENT, 0, b"hello"), Said(SERVER, 0, flags=0x14, ack=5)]
    found, ties = of_server(write(tmp_path / "a.pcap", said), 'read(4, "he", 2) = 2', "close(4) = 0")
    assert ties == ["read [4]", "close [5]"]
    one = direction(Side.CLIENT, found.packets(1), None, found.sided(1)[0].ties)
    assert (one.unread, one.reset, one.knows_writes, one.knows_reads) == (3, 5, False, True)


def test_reads_that_end_elsewhere_than_writes() -> None:
    run = survey(ECHO)
    assert run.count == 1
    client = (
        "8 1606832621.475000 socket(AF_INET, SOCK_STREAM, 0) = 3\n"
        "8 1606832621.475400 connect(3, {sa_family=AF_INET, sin_port=htons(1235), "
        'sin_addr=inet_addr("127.0.0.1")}, 16) = 0\n'
        '8 1606832621.476050 write(3, "cl", 2) = 2\n'
        '8 1606832621.476060 write(3, "ien", 3) = 3\n'
        '8 1606832621.476070 recvfrom(3, "h", 1, 0, NULL, NULL) = 1\n'
        '8 1606832621.482000 recvfrom(3, "i", 1, 0, NULL, NULL) = 1\n'
        "8 1606832621.482190 close(3) = 0\n"
    )
    found = seen(ECHO, LISTEN.format(*TIMES), client)
    sides = {sided.side: sided.ties for sided in found.sided(1)}
    there, back = (direction(s, found.packets(1), sides[s], sides[Side(1 - s)]) for s in Side)
    assert (there.exchanges[0].writes, there.exchanges[0].reads, there.joins, there.parts) == (
        (2, 3),
        (5,),
        True,
        False,
    )
    assert (back.exchanges[0].writes, back.exchanges[0].reads, back.joins, back.parts) == ((2,), (1, 1), False, True)
    assert {call.side for call in found.of(1)} == set(Side)


RESET = [*OPENING, Said(SERVER, 0, flags=0x14)]
LINGER = "setsockopt(4, SOL_SOCKET, SO_LINGER, {l_onoff=%d, l_linger=%d}, 8) = 0"


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ((LINGER % (1, 0), "close(4) = 0"), SeenEnd(Side.SERVER, How.CLOSED, 4, lingers=True, pid=1)),
        ((LINGER % (1, 5), "close(4) = 0"), None),
        ((LINGER % (1, 0), LINGER % (0, 0), "close(4) = 0"), None),
        (("close(4) = 0",), None),
        (("+++ killed by SIGKILL +++",), SeenEnd(Side.SERVER, How.KILLED, 4, "SIGKILL", pid=1)),
        ((LINGER % (1, 0), "+++ exited with 0 +++"), SeenEnd(Side.SERVER, How.ENDED, 4, lingers=True, pid=1)),
    ],
)
def test_the_end_that_was_seen(tmp_path: Path, calls: tuple[str, ...], expected: SeenEnd | None) -> None:
    found, _ = of_server(write(tmp_path / "a.pcap", RESET), *calls)
    assert seen_end(Side.SERVER, found.sided(1)[0].ties, found.packets(1)) == expected


def test_a_program_that_forgets_to_close(tmp_path: Path) -> None:
    found, ties = of_server(write(tmp_path / "a.pcap", [*OPENING, *closing(0, 0)]), "+++ exited with 0 +++")
    assert ties == ["exit [5]"]
    end = seen_end(Side.SERVER, found.sided(1)[0].ties, found.packets(1))
    assert end is not None
    assert end[:3] == (Side.SERVER, How.ENDED, 5)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (('read(4, "he", 2) = 2', "close(4) = 0"), SeenEnd(Side.SERVER, How.CLOSED, 5, unread=3, pid=1)),
        (('read(4, "hello", 5) = 5', "close(4) = 0"), None),
        (("+++ killed by SIGKILL +++",), SeenEnd(Side.SERVER, How.KILLED, 5, "SIGKILL", unread=5, pid=1)),
        ((LINGER % (1, 0), "close(4) = 0"), SeenEnd(Side.SERVER, How.CLOSED, 5, lingers=True, unread=5, pid=1)),
    ],
)
def test_an_end_with_octets_unread(tmp_path: Path, calls: tuple[str, ...], expected: SeenEnd | None) -> None:
    said = [*OPENING, Said(CLIENT, 0, b"hello"), Said(SERVER, 0, flags=0x14, ack=5)]
    found, _ = of_server(write(tmp_path / "a.pcap", said), *calls)
    end = seen_end(Side.SERVER, found.sided(1)[0].ties, found.packets(1))
    assert end == expected
    if end is not None:
        told = settling(Cause.ABORTED_BY_SERVER, 5, end, "server", "php (1)")
        assert told.startswith("The server aborted the connection (RST in packet 5): strace saw ")
        assert f"while {end.unread} bytes that had come were unread" in told
        assert ("SO_LINGER 0" in told) == end.lingers
        assert settling(Cause.ABORTED_BY_SERVER, 4, end, "server", "php (1)") == ""
        assert settling(Cause.LIKELY_MIDDLEBOX_RESET, 5, end, "server", "php (1)") == ""


def test_a_reset_before_close_is_somebody_else_s(tmp_path: Path) -> None:
    found, _ = of_server(write(tmp_path / "a.pcap", RESET), LINGER % (1, 0), "close(4) = 0")
    ties, packets = found.sided(1)[0].ties, found.packets(1)
    reset_ns = packets[-1].ts_ns
    late = [tie._replace(seen=tie.seen._replace(call=tie.seen.call._replace(ts_ns=reset_ns))) for tie in ties]
    assert seen_end(Side.SERVER, late, packets) is not None
    assert seen_end(Side.SERVER, late, packets, 1) is None
