"""A connection's life as lines; whole screens are compared in tests/cli/test_read.py."""

from __future__ import annotations

import re

import pytest

from analyzer.explain.calls import Call, Certainty
from analyzer.render.ladder import ladder
from analyzer.render.screen import Screen, cells
from analyzer.tables import ACK, FIN, SYN, Event, Phase, Protocol, Side
from analyzer.tcp.states import State
from analyzer.traces import IcmpError, Unreachable
from tests.render.made import SERVER, segment, story

PLAIN = Screen(80)
MS, S = 1_000_000, 1_000_000_000


def lines_of(some: list, screen: Screen = PLAIN, **given: object) -> list[str]:  # type: ignore[type-arg]
    whole = bool(given.pop("whole", False))
    return [line.rstrip() for line in ladder(story(some, **given), screen, whole=whole)]  # type: ignore[arg-type]


def rows_of_packets(lines: list[str]) -> list[int]:
    return [int(match[1]) for line in lines if (match := re.match(r"▌ *(\d+) +[\d.]+ ", line))]


def test_states_stand_where_they_change() -> None:
    handshake = [
        segment(
            number=1, flags=SYN, phase=Phase.HANDSHAKE, client_state=State.SYN_SENT, server_state=State.SYN_RECEIVED
        ),
        segment(number=2, side=SERVER, flags=SYN | ACK, phase=Phase.HANDSHAKE, server_state=State.SYN_RECEIVED),
        segment(number=3, phase=Phase.HANDSHAKE),
    ]
    lines = lines_of(handshake)
    assert [re.findall(r"[A-Z]+-?[A-Z]+(?= [│├])|(?<=[│┤] )[A-Z]+-?[A-Z]+", line) for line in lines[4:9]] == [
        ["CLOSED", "LISTEN"], [], ["SYN-SENT", "SYN-RECEIVED"], ["ESTABLISHED"], ["ESTABLISHED"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "client", "server"),
    [
        (segment(flags=SYN), "CLOSED", "LISTEN?"),
        (segment(flags=SYN, side=SERVER), "LISTEN?", "CLOSED"),
        (segment(flags=SYN | ACK, side=SERVER), "SYN-SENT?", "SYN-RECEIVED"),
        (segment(), "ESTABLISHED?", "ESTABLISHED?"),
    ],
)
def test_states_before_the_first_packet(first: object, client: str, server: str) -> None:
    assert lines_of([first])[4].split() == [client, "│", "│", server]


def test_a_state_that_is_passed_is_named() -> None:
    some = [
        segment(number=1, client_state=State.FIN_WAIT_1, server_state=State.CLOSE_WAIT),
        segment(number=2, side=SERVER, flags=FIN | ACK, client_state=State.TIME_WAIT, server_state=State.LAST_ACK),
    ]
    lines = lines_of(some)
    at = next(index for index, line in enumerate(lines) if "TIME-WAIT" in line)
    assert lines[at + 1].split() == ["▌", "by", "FIN-WAIT-2", "│", "│"]


def test_phases_are_sections_with_their_totals() -> None:
    some = [
        segment(number=1, ts_ns=0, phase=Phase.HANDSHAKE),
        segment(number=2, ts_ns=5 * MS, payload=b"hello"),
        segment(number=3, ts_ns=7 * MS, side=SERVER, payload=b"hi"),
        segment(number=4, ts_ns=9 * MS, phase=Phase.TEARDOWN),
    ]
    headings = [
        line.replace("│", "").split() for line in lines_of(some) if re.match(r" (handshake|data|teardown) ", line)
    ]
    assert headings == [
        ["handshake", "1", "packet"],
        ["data", "2", "packets", "5", "B", "→", "·", "2", "B", "←", "·", "2.0", "ms"],
        ["teardown", "1", "packet"],
    ]


def test_turns_and_pauses_are_told() -> None:
    some = [
        segment(number=1, ts_ns=0, payload=b"GET"),
        segment(number=2, ts_ns=3 * S, side=SERVER, payload=b"200"),
        segment(number=3, ts_ns=8 * S),
    ]
    asides = [line[line.index("┊") + 1 : line.rindex("┊")].strip() for line in lines_of(some) if "┊" in line]
    assert asides == ["request 1 · 3 B", "response 1 · 3 B · 3.0 s later", "5.0 s later"]


def test_a_long_connection_is_folded() -> None:
    some = [segment(number=number, ts_ns=number * MS, payload=b"x" * 10) for number in range(1, 101)]
    lines = lines_of(some)
    assert rows_of_packets(lines) == [1, 2, 3, 4, 5, 6, 97, 98, 99, 100]
    assert any(re.match(r"▌ … 90 packets +┊ +900 B → · 89 ms +┊$", line) for line in lines)
    assert rows_of_packets(lines_of(some, whole=True)) == [*range(1, 101)]


def test_trouble_in_a_fold_is_told() -> None:
    some = [segment(number=n, payload=b"x", events=(n % 10 == 0) << Event.RETRANSMISSION) for n in range(1, 101)]
    assert any("6 ✗ retransmission" in line for line in lines_of(some))


@pytest.mark.parametrize("whole", [True, False])
def test_packets_that_were_not_kept_are_told_once(whole: bool) -> None:
    some = [segment(number=n if n <= 50 else n + 1000, payload=b"x") for n in range(1, 101)]
    lines = lines_of(some, omitted=1000, whole=whole)
    assert sum("… 1,000 packets" in line for line in lines) == 1


def test_an_event_stands_beside_its_packet() -> None:
    some = [segment(number=1, payload=b"x", events=1 << Event.ZERO_WINDOW | 1 << Event.WINDOW_FULL)]
    narrow = lines_of(some)
    assert any("✗ zero_window" in line and "├" in line for line in narrow)
    wide = lines_of(some, Screen(140))
    assert any(line.endswith("✗ zero_window ✗ window_full") for line in wide)


def test_what_an_event_refers_to() -> None:
    some = [segment(number=9, seq=10**6, payload=b"x" * 60, events=1 << Event.RETRANSMISSION, refers_to=7)]
    assert any("✗ retransmission of 7 " in line for line in lines_of(some))
    assert any(line.endswith("✗ retransmission of 7") for line in lines_of(some, Screen(140)))
    narrow = [line for line in lines_of(some, Screen(65)) if "├" in line or "┊" in line]
    assert any("✗ retransmission" in line for line in narrow)
    assert not any("✗ retransmission of" in line for line in narrow if "├" in line)


def test_what_is_remarkable_stands_below() -> None:
    lines = lines_of([segment(events=1 << Event.URGENT)], why="why")
    assert lines[-5:] == [" Remarkable", "  1 urgent  1  its urgent pointer is in use", "", " why", ""]


def test_datagrams_have_no_remarks() -> None:
    assert "Remarkable" not in "".join(lines_of([segment(events=1 << Event.URGENT)], protocol=Protocol.UDP))


def test_tunnels_stand_below_the_heading() -> None:
    told = story([segment()])
    told = told._replace(life=told.life._replace(tunnels=["GRE, 192.0.2.1 → 192.0.2.2"]))
    assert list(ladder(told, PLAIN))[2:4] == [" in GRE, 192.0.2.1 → 192.0.2.2", ""]


def test_udp_has_no_states_and_no_phases() -> None:
    text = "\n".join(lines_of([segment(payload=b"hello", phase=Phase.NONE)], protocol=Protocol.UDP))
    assert " datagrams  1 packet" in text
    assert "ESTABLISHED" not in text
    assert 'UDP (5) "hello"' in text


def test_the_sentence_is_wrapped() -> None:
    lines = lines_of([segment()], why="word " * 40)
    assert lines[-4:] == [
        " " + " ".join(["word"] * 15),
        " " + " ".join(["word"] * 15),
        " " + " ".join(["word"] * 10),
        "",
    ]


@pytest.mark.parametrize("width", [60, 80, 111, 112, 140, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    some = [
        segment(number=10**6 + n, ts_ns=n * 3600 * S, side=n % 2, payload=bytes([n]) * 60, payload_len=65_000,
                seq=2**32 - 1 - n, ack=2**32 - 1, events=2**15 - 1, client_state=n % 11, server_state=(n + 1) % 11)
        for n in range(100)
    ]  # fmt: skip
    given = {"ip_version": 6, "address": [0xFFFFFFFF] * 8, "server_port": 48995}
    assert all(cells(line) <= width for line in ladder(story(some, why="why " * 99, **given), Screen(width)))


def test_colour_changes_no_text() -> None:
    some = [
        segment(number=1, payload=b"x", events=1 << Event.ZERO_WINDOW),
        segment(number=2, side=SERVER, payload=b"y"),
    ]
    painted = "\n".join(ladder(story(some, why="why"), Screen(80, color=True)))
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == "\n".join(ladder(story(some, why="why"), PLAIN))


def test_an_icmp_error_has_a_row() -> None:
    """It stands where its time is, at the end of the side whose packet it quotes; the call fails after it."""
    some = [segment(number=1, ts_ns=0, flags=SYN, client_state=State.SYN_SENT, server_state=State.SYN_RECEIVED)]
    error = IcmpError(2, 1_500_000, Side.CLIENT, 1, Unreachable.HOST, (0, 0, 0, 0x0A000001))
    told = story(some)
    told = told._replace(life=told.life._replace(errors=(error,)))
    lines = list(ladder(told, Screen(120)))
    assert "1 packet · open · 1.5 ms" in lines[1]
    row = next(at for at, line in enumerate(lines) if "ICMP" in line)
    assert re.match(r"▌  2 0\.001500 +┊ ICMP from 10\.0\.0\.1: host unreachable, packet 1 +┊", lines[row])
    narrow = [line for line in ladder(told, Screen(80)) if "┊" in line]
    assert ["10.0.0.1:" in narrow[0], "host unreach" in narrow[1]] == [True, True]
    fails = Call(1, Side.CLIENT, "connect fails: EHOSTUNREACH", True, Certainty.CERTAIN)
    with_calls = list(ladder(told._replace(calls=[fails]), Screen(140)))
    told_rows = [line for line in with_calls if "fails" in line or "ICMP" in line]
    assert [line.split("┊")[0].split("│")[0].strip(" ▌") for line in told_rows] == ["2 0.001500", "connect fails:"]
