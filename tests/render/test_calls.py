"""Socket calls beside the packets: where they stand, in which weight, and that they cannot speak to the terminal."""

from __future__ import annotations

import re

import pytest

from analyzer.explain.calls import Call, Certainty, Kind
from analyzer.render.calls import Beside, in_a_row
from analyzer.render.ladder import ladder
from analyzer.render.screen import Screen, cells
from analyzer.render.segment import Segment
from analyzer.tables import Side
from analyzer.tcp.states import State
from tests.render.made import SERVER, segment, story

CLIENT = Side.CLIENT
MS = 1_000_000
WIDE, NARROW = Screen(100), Screen(80)

TWO = [
    segment(number=1, ts_ns=10 * MS, payload=b"hello"),
    segment(number=2, ts_ns=20 * MS, side=SERVER, payload=b"hi", client_state=State.CLOSE_WAIT),
]


def call(packet: int, side: Side, told: str, *, follows: bool = False, sure: Certainty = Certainty.CERTAIN) -> Call:
    return Call(packet, side, told, follows, sure)


def seen(packet: int, side: Side, told: str, result: str, at_ms: int, process: str = "php (7)") -> Call:
    return Call(packet, side, told, False, Certainty.SEEN, at_ms * MS, result, process)


def lines_of(calls: list[Call], screen: Screen = WIDE, some: list[Segment] = TWO, *, whole: bool = False) -> list[str]:
    told = story(some)._replace(calls=calls)
    return [line.rstrip() for line in ladder(told, screen, whole=whole)]


def rows(lines: list[str]) -> list[tuple[str, str]]:
    """What stands left of the client's lifeline and right of the server's, in the packets' rows."""
    found = [re.fullmatch(r"▌ *(.*?) ?[├│┊].*[┤│┊] ?(.*)", line) for line in lines]
    return [(match[1].strip(), match[2].strip()) for match in found if match]


def test_calls_stand_beside_the_lifelines() -> None:
    calls = [
        call(1, CLIENT, "write 5 bytes", sure=Certainty.LIKELY), call(1, SERVER, "can read 5 bytes", follows=True),
        call(2, SERVER, "close() or shutdown(SHUT_WR)"), call(2, CLIENT, "read can return 0", follows=True),
    ]  # fmt: skip
    assert rows(lines_of(calls)) == [
        ("", ""),  # the turn
        ("1 0.000000          write 5 bytes ?", "can read 5 bytes"),
        ("", ""),
        ("", "close() or"),
        ("2 0.010000               CLOSE-WAIT", "shutdown(SHUT_WR)"),
        ("read can return 0", ""),
    ]  # fmt: skip


def test_on_narrow_screens_they_have_rows_of_their_own() -> None:
    calls = [call(1, CLIENT, "write 5 bytes"), call(1, SERVER, "can read 5 bytes", follows=True)]
    asides = [line[line.index("┊") + 1 : line.rindex("┊")] for line in lines_of(calls, NARROW) if "┊" in line]
    assert [aside.strip() for aside in asides][1:3] == ["write 5 bytes", "can read 5 bytes"]
    assert asides[1].startswith(" write")
    assert asides[2].endswith("bytes ")


def test_without_calls_the_ladder_is_as_it_was() -> None:
    assert lines_of([]) == [line.rstrip() for line in ladder(story(TWO), WIDE)]


def test_what_calls_are_worth_is_said() -> None:
    inferred = [call(1, CLIENT, "close()"), call(1, SERVER, "can read 5 bytes", follows=True)]
    told = seen(1, SERVER, "read(4)", "= 5", 11)
    assert said(inferred) == (
        "The socket calls are inferred from the packets; ? marks those that are only likely. close() may also be the "
        "end of the program."
    )
    assert said([inferred[0], told]) == (
        "The socket calls of php (7) were seen. The client's socket calls are inferred from the packets; ? marks those "
        "only likely. close() may also be the end of the program."
    )
    assert said([inferred[1]]) == (
        "The server's socket calls are inferred from the packets; ? marks those only likely."
    )
    assert said([told._replace(process="")]) == "The socket calls of a program were seen."


def said(calls: list[Call]) -> str:
    return " ".join(line.strip() for line in Beside(calls, TWO).legend(60))


def test_calls_that_were_seen_have_their_result_and_full_weight() -> None:
    both = [seen(1, CLIENT, "write(3)", "= 5", 9), call(2, SERVER, "write 2 bytes", sure=Certainty.LIKELY)]
    text = "\n".join(lines_of(both, Screen(100, color=True)))
    assert "\x1b[36mwrite(3) = 5\x1b[0m" in text
    assert "\x1b[2;3;35mwrite 2 bytes ?\x1b[0m" in text


def test_calls_without_a_packet_stand_where_their_time_is() -> None:
    calls = [
        seen(0, SERVER, "read(4)", "= -1 EAGAIN", 5), seen(0, SERVER, "poll(4)", "= 1", 15),
        seen(0, CLIENT, "close(3)", "= 0", 25),
    ]  # fmt: skip
    lines = lines_of(calls)
    found = [text for row in rows(lines) for text in row if text]
    assert found == ["1 0.000000", "poll(4) = 1", "2 0.010000               CLOSE-WAIT", "close(3) = 0"]
    before_states = lines[lines.index(next(line for line in lines if "ESTABLISHED" in line)) - 1]
    assert before_states.split("│")[-1].strip() == "read(4) = -1 EAGAIN"


def test_several_programs_of_a_side_are_named() -> None:
    calls = [seen(1, SERVER, "read(4)", "= 5", 11), seen(1, SERVER, "close(4)", "= 0", 12, "php (8)")]
    beside = Beside(calls, TWO)
    assert [one.told for one in beside.before(1)] == ["php (7) read(4)", "php (8) close(4)"]


@pytest.mark.parametrize("screen", [WIDE, NARROW, Screen(160)])
def test_calls_cannot_speak_to_the_terminal(screen: Screen) -> None:
    evil = "\x1b[2J\x07\u202e"
    calls = [
        seen(1, side, f"write({evil})", f"= {evil}", 9, f"php{process}{evil}") for side in Side for process in range(2)
    ]  # fmt: skip
    text = "".join(lines_of(calls, screen))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", text)
    assert r"\x1b[2J" in text


@pytest.mark.parametrize("width", [60, 80, 99, 100, 111, 112, 140, 150, 162, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    calls = [
        call(packet, side, told, follows=follows)
        for packet in (0, 1, 2) for side in Side for follows in (True, False)
        for told in ("a" * 99, "写 " * 60, "close() or shutdown(SHUT_WR)")
    ]  # fmt: skip
    assert all(cells(line) <= width for line in lines_of(calls, Screen(width)))


def test_a_wide_text_stays_in_its_column() -> None:
    calls = [call(1, CLIENT, "可以读取 5 字节"), call(1, SERVER, "可以读取 5 字节", follows=True)]
    lines = [line for line in ladder(story(TWO)._replace(calls=calls), WIDE) if line.startswith("▌")]
    assert len({cells(line.split("├")[0].split("│")[0].split("┊")[0]) for line in lines}) == 1


def test_calls_seen_in_a_fold_are_counted() -> None:
    some = [segment(number=number, ts_ns=number * MS, payload=b"x" * 10) for number in range(1, 101)]
    calls = [seen(number, CLIENT, f"write({number})", "= 10", number) for number in range(1, 101)]
    folded = lines_of(calls, some=some)
    assert any("90 calls" in line for line in folded)
    assert sum("= 10" in line for line in folded) == 10
    assert sum("= 10" in line for line in lines_of(calls, some=some, whole=True)) == 100


def test_calls_in_a_row() -> None:
    calls = [call(1, CLIENT, "write 5 bytes", sure=Certainty.LIKELY), call(1, SERVER, "can read 5 bytes")]
    text = "client: write 5 bytes ? · server: can read 5 bytes"
    assert in_a_row(calls, WIDE, 100) == (text, len(text))
    assert in_a_row(calls, WIDE, 40) == ("client: write 5 bytes ? · server: can r…", 40)
    assert in_a_row(calls, WIDE, 30) == ("client: write 5 bytes ?", 23)
    assert in_a_row(calls, WIDE, 5) == ("", 0)


def test_results_marks_and_values_stay_with_their_words() -> None:
    calls = [
        seen(1, CLIENT, "connect 127.0.0.1:40090", "= 0", 5), seen(1, CLIENT, "setsockopt SO_REUSEADDR", "= 0", 6),
        seen(1, CLIENT, "sendto 127.0.0.1:40090 5 bytes", "= -1 EPIPE", 7),
        call(2, SERVER, "close() with SO_LINGER 0, or the listener was closed", sure=Certainty.LIKELY),
    ]  # fmt: skip
    told = [cell for row in rows(lines_of(calls)) for cell in row if cell]
    assert told[:6] == [
        "connect", "127.0.0.1:40090 = 0", "setsockopt", "SO_REUSEADDR = 0", "sendto 127.0.0.1:40090 5",
        "1 0.000000         bytes = -1 EPIPE",
    ]  # fmt: skip
    assert told[-4:-1] == ["close() with", "SO_LINGER 0, or the", "2 0.010000               CLOSE-WAIT"]


def read(packet: int, octets: int) -> Call:
    text = f"can read {octets} bytes"
    return Call(packet, SERVER, text, True, Certainty.LIKELY, kind=Kind.READ, octets=octets)


AT_ONCE = "one recv() of the server may return all 9 bytes of packets 1 to 3"


@pytest.mark.parametrize(
    ("times_ms", "between", "octets", "is_said"),
    [
        ((0, 1, 2), Kind.WRITE, 4, False),
        ((0, 1, 2), Kind.OTHER, 4, False),
        ((0, 1, 2), None, 4, True),
        ((0, 1, 300), None, 4, False),
        ((0, 1, 2), None, 70_000, False),
    ],
)
def test_what_one_recv_may_return(times_ms: tuple[int, ...], between: Kind | None, octets: int, is_said: bool) -> None:
    some = [segment(number=n + 1, ts_ns=ms * MS, payload=b"abc") for n, ms in enumerate(times_ms)]
    calls = [read(1, 5), read(3, octets)]
    if between is not None:
        calls.insert(1, Call(2, SERVER, "write 1 byte", False, Certainty.LIKELY, kind=between, octets=1))
    text = " ".join(" ".join(lines_of(calls, some=some)).split())
    assert (AT_ONCE in text) == is_said
