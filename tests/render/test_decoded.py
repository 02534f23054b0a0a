"""What tshark decodes, below a ladder."""

from __future__ import annotations

from analyzer.dissect.told import Decoded, Field, Summary
from analyzer.render.decoded import MOST_FIELDS, MOST_MESSAGES, decoded
from analyzer.render.screen import Screen, cells
from analyzer.tables import Side

HTTP = Summary(4, "HTTP", "GET / HTTP/1.1", ("http",))


def lines(messages: list[Decoded], width: int = 80, *, whole: bool = False, color: bool = False) -> list[str]:
    sides = {one.summary.packet: Side(one.summary.packet % 2) for one in messages}
    return list(decoded("4.0.17", messages, sides, Screen(width, color=color), whole=whole))


def many(count: int) -> list[Decoded]:
    return [Decoded(HTTP._replace(packet=number)) for number in range(1, count + 1)]


def test_messages() -> None:
    messages = [Decoded(HTTP), Decoded(Summary(115, "TLSv1.3", "Client Hello", ("tls",)))]
    assert lines(messages) == [
        " Decoded by tshark 4.0.17",
        "    4 → HTTP     GET / HTTP/1.1",
        "  115 ← TLSv1.3  Client Hello",
        "",
    ]


def test_a_side_has_its_colour() -> None:
    (_heading, line, _empty) = lines([Decoded(HTTP)], color=True)
    assert "\x1b[36m→\x1b[0m \x1b[36mHTTP" in line


def test_nothing_is_decoded() -> None:
    assert "--decode-as tcp.port==1235,http" in lines([])[1]


def test_fields() -> None:
    tree = (Field("Hypertext", (Field("GET /", (Field("Method: GET"),)), Field("Host: a"))), Field("Text"))
    assert lines([Decoded(HTTP, tree)])[2:-1] == [
        "      Hypertext",
        "        GET /",
        "          Method: GET",
        "        Host: a",
        "      Text",
    ]


def test_what_is_long_is_cut() -> None:
    message = Decoded(HTTP._replace(info="x" * 300), (Field("y" * 300),) * (MOST_FIELDS + 2))
    for width in (60, 80, 100, 140):
        told = lines([message], width)
        assert all(cells(line) < width for line in told)
        assert sum("…" in line for line in told) == MOST_FIELDS + 2
    assert told[-2].strip() == "… 2 more lines; --all shows them"
    assert "x" * 300 in lines([message], whole=True)[1]
    assert len(lines([message], whole=True)) == MOST_FIELDS + 5


def test_what_is_much_is_folded() -> None:
    told = lines(many(MOST_MESSAGES + 5))
    assert len(told) == MOST_MESSAGES + 3
    assert told[MOST_MESSAGES // 2 + 1].strip() == "… 5 more messages; --all shows them"
    assert told[-2].startswith(f"  {MOST_MESSAGES + 5} ")
    assert len(lines(many(MOST_MESSAGES + 5), whole=True)) == MOST_MESSAGES + 7
    assert len(lines(many(MOST_MESSAGES))) == MOST_MESSAGES + 2


def test_nothing_of_it_reaches_the_terminal() -> None:
    evil = "\x1b[2J\u202e\n\x00"
    told = lines([Decoded(Summary(4, evil, evil, (evil,)), (Field(evil, (Field(evil),)),))], whole=True)
    assert all(line.isprintable() for line in told)
    assert all("\u202e" not in line for line in told)
    assert "\\x1b[2J\\u202e\\n\\x00" in told[1]
