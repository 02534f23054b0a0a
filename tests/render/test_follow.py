"""What two sides say, on a terminal and elsewhere; whole screens are tests/cli/test_follow.py's."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.render.follow import Hex, Messages, Text, View, notice
from analyzer.render.screen import Screen, cells
from analyzer.streams import Difference, Gap, LateStart, LeftOut, Piece, Refused, StreamItem, Unused
from analyzer.tables import ACK, PSH, Protocol
from tests.render.made import CLIENT, SERVER, connection, endpoints

PAYLOAD = st.binary(max_size=200) | st.text(max_size=80).map(str.encode) | st.sampled_from([b"\r", b"\n", b"\r\n", b""])


def piece(octets: bytes, offset: int = 0, side: int = CLIENT, packet: int = 4, flags: int = PSH | ACK) -> Piece:
    return Piece(side, offset, len(octets), octets, packet, packet * 1_000_000, flags, len(octets), len(octets))


def pieces(payloads: list[tuple[int, bytes]]) -> list[Piece]:
    """Payloads with their sides, one after the other."""
    sent, made = [0, 0], []
    for packet, (side, octets) in enumerate(payloads, 4):
        made.append(piece(octets, sent[side], side, packet))
        sent[side] += len(octets)
    return made


def shown(kind: type[View], items: list[StreamItem], screen: Screen, protocol: Protocol = Protocol.TCP) -> str:
    view = kind(connection(protocol=protocol), endpoints(), screen)
    return view.begin() + "".join(map(view.add, items)) + view.end()


@pytest.mark.parametrize("kind", [Text, Hex, Messages])
@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
@given(said=st.lists(st.tuples(st.sampled_from([CLIENT, SERVER]), PAYLOAD), max_size=8), width=st.integers(60, 130))
def test_no_line_is_wider_than_a_terminal(
    kind: type[View], protocol: Protocol, said: list[tuple[int, bytes]], width: int
) -> None:
    text = shown(kind, [*pieces(said)], Screen(width, terminal=True), protocol)
    assert all(cells(line) <= width for line in text.split("\n"))
    assert text.endswith("\n\n")


@given(st.text(max_size=300).map(str.encode), st.lists(st.integers(0, 300), max_size=5))
def test_text_is_the_same_however_it_is_cut(octets: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    parts = [(CLIENT, octets[a:b]) for a, b in pairwise(edges)]
    whole = shown(Text, [piece(octets)], Screen(100))
    cut = shown(Text, [*pieces(parts)], Screen(100))
    ending = re.compile(r" in \d+ segments?\.\n\n$")
    assert ending.sub("", cut) == ending.sub("", whole)


@given(st.binary(min_size=1, max_size=100), st.lists(st.integers(0, 100), max_size=5))
def test_rows_are_those_of_hexdump(octets: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    parts = [(CLIENT, octets[a:b]) for a, b in pairwise(edges)]
    rows = [row for row in shown(Hex, [*pieces(parts)], Screen(100)).splitlines() if row.endswith("|")]
    assert b"".join(bytes.fromhex(row[8:58]) for row in rows) == octets
    assert [int(row[:8], 16) for row in rows] == list(range(0, len(octets), 16))
    assert all(row[58:60] == "  " and len(row) <= 78 for row in rows)


def test_a_long_line_goes_on_in_the_next_row() -> None:
    text = shown(Text, [piece("长".encode() * 31 + b"abc"), piece(b"d" * 60, 96)], Screen(60, terminal=True))
    rows = text.splitlines()[4:8]
    assert rows == ["  " + "长" * 29, "  长长abc" + "d" * 51, "  " + "d" * 9, ""]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (piece(b"whole"), ""),
        (piece(b"cut")._replace(length=9, payload_len=1_448, captured_len=3),
         "6 bytes missing: only 3 of 1,448 bytes of packet 4 were captured"),
        (Gap(CLIENT, 0, 1_460, 7, 9), "1,460 bytes missing between packets 7 and 9"),
        (Gap(CLIENT, 0, 1, 7, 0), "1 byte missing after packet 7"),
        (Gap(CLIENT, 0, 1, 0, 9), "1 byte missing before packet 9"),
        (Gap(CLIENT, 0, 1, 0, 0), "1 byte missing"),
        (Difference(SERVER, 1_460, 4, 9, 7),
         "packet 9 differs from packet 7 in 4 bytes from byte 1,460 on: the first packet counts"),
        (LeftOut(SERVER, 4, 9, Unused.FAR_OFF), "4 bytes of packet 9 left out: the sequence number is far off"),
        (Refused(CLIENT, 3, 3, 8, 9), "the last 3 bytes, from packet 8 on, not delivered: answered by RST (packet 9)"),
        (Refused(CLIENT, 3, 1, 9, 8), "the last 1 byte, from packet 9 on, not delivered: sent after RST (packet 8)"),
        (LateStart(SERVER, 9), "what the server sent before packet 9 was not captured"),
        (LateStart(SERVER, 0), "what the server sent was not captured"),
    ],
)  # fmt: skip
def test_notices(item: StreamItem, said: str) -> None:
    assert notice(item) == said


def test_what_was_refused_is_summed_up() -> None:
    text = shown(Text, [piece(b"ab"), Refused(CLIENT, 1, 1, 4, 5)], Screen(80))
    assert text.rstrip().endswith(" 1 byte not delivered.")


def test_trouble_is_loud() -> None:
    text = shown(Text, [piece(b"ab"), Gap(CLIENT, 2, 3, 4, 6)], Screen(80, color=True))
    assert "  \x1b[1;31m[ 3 bytes missing between packets 4 and 6 ]\x1b[0m\n" in text
    assert "\x1b[1;31m3 bytes missing.\x1b[0m\n" in text


def test_a_gap_at_the_end_is_a_turn_of_its_side() -> None:
    text = shown(Text, [piece(b"ab"), Gap(SERVER, 0, 3, 0, 0)], Screen(80))
    assert "\n← response 1\n  [ 3 bytes missing ]\n" in text
