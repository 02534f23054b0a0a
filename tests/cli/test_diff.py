"""``tcpflow-view diff``: nothing differs where nothing does, what differs is named, and screens as goldens."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet

from analyzer.cli import diff
from analyzer.cli.diff import command
from analyzer.compare.differences import NOISE, USUAL, Aspect
from analyzer.errors import AnalyzerError, UsageError
from analyzer.render import screen
from analyzer.render.screen import cells
from analyzer.tables import ACK, RST, SYN
from tests.capture.brought import bringing
from tests.cli.spoken import CLIENT, OPENING, SERVER, Said, closing, packets, write
from tests.compare.rewriting import disguised, rewritten

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted(path for path in MADE.iterdir() if ".pcap" in path.suffix)
ECHO = MADE / "loopback-echo-1235.pcap"
SEVERAL = MADE / "select-5000.pcapng"
TALK = [MADE / f"talk-54321-{how}.pcap" for how in ("client-closes", "server-closes", "reset")]


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: True)


def run(*arguments: object, width: int = 100, octets: bytes | None = None) -> Result:
    environment = {"COLUMNS": str(width), "NO_COLOR": None}
    return CliRunner().invoke(command, [str(one) for one in arguments], input=octets, env=environment)


def record(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--format", "json")
    assert result.exit_code in (0, 1), result.output
    assert result.stderr == ""
    found: dict[str, Any] = json.loads(result.stdout)
    assert all(pair["differences"] for pair in found["pairs"])
    assert result.exit_code == bool(found["pairs"] or found["only_in_a"] or found["only_in_b"])
    return found


def aspects(found: dict[str, Any]) -> set[str]:
    return {one["aspect"] for pair in found["pairs"] for one in pair["differences"]}


# ---------------------------------------------------------------- what does not differ


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_a_capture_does_not_differ_from_itself(path: Path) -> None:
    result = run(path, path, "--strict", "--time-tolerance", "0ns")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[3].startswith("Nothing differs: ")


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_other_ports_numbers_and_times_are_no_difference(path: Path, tmp_path: Path) -> None:
    other = rewritten(path, tmp_path / "other.pcap", disguised(11))
    assert other.read_bytes() != path.read_bytes()
    found = record(path, other, "--strict")
    assert (aspects(found), found["only_in_a"], found["only_in_b"]) == (set(), [], [])


SEGMENTS = st.lists(st.tuples(st.sampled_from([CLIENT, SERVER]), st.binary(min_size=1, max_size=40)), max_size=8)


def said_in(pieces: Iterable[tuple[int, bytes]], cut: Callable[[bytes], list[bytes]]) -> list[Said]:
    """A conversation whose writes are cut into segments."""
    at = [0, 0]
    made = [*OPENING]
    for side, octets in pieces:
        for part in cut(octets):
            made.append(Said(side, at[side], part, ack=at[1 - side]))
            at[side] += len(part)
        made.append(Said(1 - side, at[1 - side], flags=ACK, ack=at[side]))
    return [*made, *closing(*at)]


@settings(max_examples=25)
@given(SEGMENTS, st.integers(1, 9))
def test_other_segments_differ_where_segments_are_compared_alone(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], length: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = write(folder / "whole.pcap", said_in(pieces, lambda octets: [octets]))
    in_parts = write(
        folder / "parts.pcap",
        said_in(pieces, lambda octets: [octets[at : at + length] for at in range(0, len(octets), length)]),
        port=41_000,
    )
    assert record(whole, in_parts)["pairs"] == []
    is_cut = any(len(octets) > length for _, octets in pieces)
    assert ("segments" in aspects(record(whole, in_parts, "--strict"))) == is_cut


def test_pure_acks_are_no_difference(tmp_path: Path) -> None:
    lazy = [*OPENING, Said(CLIENT, 0, b"x"), Said(SERVER, 0, b"y", ack=1), *closing(1, 1)]
    busy = [*lazy[:4], Said(SERVER, 0, flags=ACK, ack=1), *lazy[4:]]
    a, b = write(tmp_path / "a.pcap", lazy), write(tmp_path / "b.pcap", busy)
    assert record(a, b)["pairs"] == []
    assert "acks" in aspects(record(a, b, "--strict"))


# ---------------------------------------------------------------- what differs


@settings(max_examples=25)
@given(SEGMENTS.filter(bool), st.data())
def test_one_other_octet_is_found_and_named(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("octet")
    which = data.draw(st.integers(0, len(pieces) - 1))
    side, octets = pieces[which]
    at = data.draw(st.integers(0, len(octets) - 1))
    changed = octets[:at] + bytes([octets[at] ^ data.draw(st.integers(1, 255))]) + octets[at + 1 :]
    other = [*pieces[:which], (side, changed), *pieces[which + 1 :]]
    a, b = (
        write(folder / f"{name}.pcap", said_in(some, lambda octets: [octets]))
        for name, some in (("a", pieces), ("b", other))
    )
    found = record(a, b)
    (pair,) = found["pairs"]
    (difference,) = pair["differences"]
    before = sum(len(some) for sender, some in pieces[:which] if sender == side)
    assert (difference["aspect"], difference["side"]) == ("said", ("client", "server")[side])
    first = difference["first_difference"]
    assert first["byte"] == before + at
    assert (first["a_hex"][:2], first["b_hex"][:2]) == (f"{octets[at]:02x}", f"{changed[at]:02x}")


@settings(max_examples=25)
@given(st.integers(0, 9), st.booleans())
def test_one_packet_less_or_more_is_found_and_named(
    tmp_path_factory: pytest.TempPathFactory, which: int, is_more: bool
) -> None:
    folder = tmp_path_factory.mktemp("packet")

    def change(some: list[Packet]) -> Iterable[Packet]:
        again = some[which].copy()
        again.time = some[which].time
        if TCP in again:
            again[TCP].window = 77  # it is no copy that the capture made
        return [*some[:which], *([some[which], again] if is_more else []), *some[which + 1 :]]

    other = rewritten(ECHO, folder / "other.pcap", change)
    result = run(ECHO, other, "--strict", "--all")
    assert result.exit_code == 1
    mark, name = ("+", f"{which + (2 if is_more else 1):>5}") if is_more else ("−", f"{which + 1:>3}")
    assert any(line.startswith(mark) and name in line for line in result.stdout.splitlines())
    assert {"acks", "segments"} & aspects(record(ECHO, other, "--strict"))


def test_who_closed_and_why_are_told() -> None:
    found = record(*TALK[:2])
    assert aspects(found) == {"states", "closed_by", "cause", "said"}
    told = {(one["aspect"], one["side"]): (one["a"], one["b"]) for one in found["pairs"][0]["differences"]}
    assert told["closed_by", None] == ("client", "server")
    assert told["cause", None] == ("closed_by_client", "closed_by_server")
    assert told["states", "client"][0][-1] == "TIME-WAIT"


def test_who_only_refused_was_closed_all_the_time(tmp_path: Path) -> None:
    tries = [Said(CLIENT, -1, flags=SYN)]
    a = write(tmp_path / "a.pcap", [*tries, Said(SERVER, -1, flags=RST | ACK, ack=0)])
    b = write(tmp_path / "b.pcap", tries)
    told = {(one["aspect"], one["side"]): (one["a"], one["b"]) for one in record(a, b)["pairs"][0]["differences"]}
    assert told["states", "server"] == (["CLOSED"], ["LISTEN", "SYN-RECEIVED"])
    assert told["states", "client"] == (["CLOSED", "SYN-SENT", "CLOSED"], ["CLOSED", "SYN-SENT"])


def test_a_reset_is_told(tmp_path: Path) -> None:
    talk = [*OPENING, Said(CLIENT, 0, b"hello"), Said(SERVER, 0, b"hi", ack=5)]
    a = write(tmp_path / "a.pcap", [*talk, *closing(5, 2)])
    b = write(tmp_path / "b.pcap", [*talk, Said(CLIENT, 5, flags=RST | ACK, ack=2)])
    found = record(a, b)
    assert {"states", "closed_by", "cause", "verdict", "counters"} <= aspects(found)
    assert {"a": 0, "b": 1}.items() <= next(
        one for one in found["pairs"][0]["differences"] if one["what"] == "resets"
    ).items()


def test_exchanged_captures_give_exchanged_differences() -> None:
    for one, other in ((TALK[0], TALK[1]), (TALK[1], TALK[2]), (ECHO, SEVERAL), (SEVERAL, TALK[0])):
        there, back = record(one, other, "--strict"), record(other, one, "--strict")

        def turned(found: dict[str, Any]) -> list[Any]:
            exchanged = {"a": "b", "b": "a", "a_hex": "b_hex", "b_hex": "a_hex"}

            def turn(value: Any) -> Any:
                if isinstance(value, dict):
                    return {exchanged.get(name, name): turn(inner) for name, inner in value.items()}
                return [turn(inner) for inner in value] if isinstance(value, list) else value

            return sorted(json.dumps(turn(pair), sort_keys=True) for pair in found["pairs"])

        assert sorted(json.dumps(pair, sort_keys=True) for pair in there["pairs"]) == turned(back)
        assert (there["only_in_a"], there["only_in_b"]) == (back["only_in_b"], back["only_in_a"])


def test_a_connection_more_in_the_middle_is_only_there(tmp_path: Path) -> None:
    def capture(name: str, words: list[bytes]) -> Path:
        path = write(tmp_path / name, [])
        octets = b"".join(
            packets(said_in([(CLIENT, word)], lambda octets: [octets]), 40_000 + k) for k, word in enumerate(words)
        )
        path.write_bytes(path.read_bytes() + octets)
        return path

    a = capture("a.pcap", [b"one", b"two", b"three"])
    b = capture("b.pcap", [b"one", b"another", b"two", b"three"])
    for way in ("auto", "ends", "content", "order"):
        found = record(a, b, "--pair", way)
        assert (found["same"], found["only_in_b"]) == (3, [2]), way
        assert record(b, a, "--pair", way)["only_in_a"] == [2]


def test_exchanged_sides_are_told(tmp_path: Path) -> None:
    talk = [Said(CLIENT, 0, b"x"), Said(SERVER, 0, b"y", ack=1), *closing(1, 1)]
    a = write(tmp_path / "a.pcap", [*OPENING, *talk])
    b = write(tmp_path / "b.pcap", talk, port=40_000)
    turned = run(a, b, "--server", "40000")
    assert "Client and server are the other way round in B" in turned.stdout
    assert "the other way round" not in run(a, b).stdout


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_whatever_differs_is_told(path: Path) -> None:
    for other in (ECHO, MADE / "zero-window.pcap", MADE / "echo-udp-23333.pcap"):
        found = record(path, other, "--strict", "--pair", "order")
        assert bool(found["pairs"] or found["only_in_a"] or found["only_in_b"]) == (path != other)


def test_times_are_compared_with_a_tolerance_alone(tmp_path: Path) -> None:
    quick = [*OPENING, Said(CLIENT, 0, b"x"), *closing(1, 0)]
    slow = [*OPENING, Said(CLIENT, 0, b"x", wait_ns=80_000_000), *closing(1, 0)]
    a, b = write(tmp_path / "a.pcap", quick), write(tmp_path / "b.pcap", slow)
    assert record(a, b, "--strict")["pairs"] == []
    assert record(a, b, "--time-tolerance", "100ms")["pairs"] == []
    found = record(a, b, "--time-tolerance", "50ms")
    assert aspects(found) == {"times"}
    assert found["pairs"][0]["differences"][0]["what"] == "lasted"
    assert record(a, b, "--time-tolerance", "99%")["pairs"] == []
    assert record(a, b, "--time-tolerance", "20%")["pairs"] != []


def test_times_are_written_as_in_expectations() -> None:
    for written in ("50ms", " 50000 \N{MICRO SIGN}s", "50000\N{GREEK SMALL LETTER MU}s", "0.05 s"):
        assert diff.tolerance_of(written) == (50_000_000, 0)
    assert diff.tolerance_of("1.5 min") == (90 * 10**9, 0)
    assert diff.tolerance_of("12.5 %") == (0, 0.125)
    for written in ("5", "5 h", "-5ms", "1" * 5_000 + "s", "%"):
        with pytest.raises(UsageError, match="50ms"):
            diff.tolerance_of(written)


def test_what_is_ignored_is_not_told() -> None:
    assert aspects(record(*TALK[:2], "--ignore", "said,cause")) == {"states", "closed_by"}
    assert aspects(record(*TALK[:2], "--only", "cause")) == {"cause"}
    assert record(*TALK[:2], "--only", "phases")["pairs"] == []


# ---------------------------------------------------------------- screens, inputs


@pytest.mark.parametrize("width", [80, 100, 140])
def test_screens(width: int, golden: Callable[[str, str], None]) -> None:
    result = run(*TALK[:2], width=width)
    assert (result.exit_code, result.stderr) == (1, "")
    shown = result.stdout.replace(f"{MADE}/", "")
    assert max(cells(line) for line in shown.splitlines()) <= width
    golden(f"diff/talk.{width}.txt", shown)


@pytest.mark.parametrize("width", [80, 100])
def test_a_screen_of_several(width: int, golden: Callable[[str, str], None]) -> None:
    result = run(SEVERAL, ECHO, "--pair", "content", width=width)
    assert (result.exit_code, result.stderr) == (1, "")
    golden(f"diff/several.{width}.txt", result.stdout.replace(f"{MADE}/", ""))


def test_a_long_connection_is_folded(tmp_path: Path) -> None:
    words = [(k % 2, b"word %d" % k) for k in range(600)]
    other = [*words[:300], (0, b"more"), *words[300:]]
    a, b = (
        write(tmp_path / f"{k}.pcap", said_in(some, lambda octets: [octets])) for k, some in enumerate((words, other))
    )
    folded, whole = run(a, b).stdout, run(a, b, "--all").stdout
    assert len(folded.splitlines()) < 40
    assert "more" in folded
    assert len(whole.splitlines()) > 1_200


def test_colour_says_nothing_that_is_not_written() -> None:
    plain, painted = run(*TALK[:2]).stdout, run(*TALK[:2], "--color", "always").stdout
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


def test_standard_input(tmp_path: Path) -> None:
    octets = TALK[0].read_bytes()
    result = run("-", TALK[1], octets=octets)
    assert result.stdout.splitlines()[0].startswith("A  standard input · 13 packets")
    assert result.stdout.splitlines()[1:] == run(TALK[0], TALK[1]).stdout.splitlines()[1:]


def test_pipes_by_their_names() -> None:
    """diff <(zcat before.pcap.gz) <(zcat after.pcap.gz)"""
    with bringing(TALK[0].read_bytes()) as first, bringing(TALK[1].read_bytes()) as second:
        piped = run(f"/dev/fd/{first}", f"/dev/fd/{second}")
    named = run(TALK[0], TALK[1])
    assert (piped.exit_code, piped.stderr) == (named.exit_code, named.stderr) == (1, "")
    assert piped.stdout.splitlines()[2:] == named.stdout.splitlines()[2:]
    with bringing(ECHO.read_bytes()) as first, bringing(ECHO.read_bytes()) as second:
        assert run("--vantage", f"/dev/fd/{first}", f"/dev/fd/{second}").exit_code == 0


def test_damaged_input_is_compared_with_a_warning(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(ECHO.read_bytes() + struct.pack("<II", 1, 2))
    result = run(ECHO, cut)
    assert result.exit_code == 1
    assert result.stderr.startswith("tcpflow-view: warning: ")
    assert "Nothing differs: 1 the same" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "-"], "only one of the two"),
        ([ECHO, "/nowhere.pcap"], "no such file"),
        ([ECHO, ECHO, "--only", "nonsense"], "it knows phases, states"),
        ([ECHO, ECHO, "--only", "said", "--strict"], "choose one of them"),
        ([ECHO, ECHO, "--time-tolerance", "soon"], "50ms"),
        ([ECHO, ECHO, "--vantage", "--strict"], "--strict does not go with --vantage"),
        ([ECHO, ECHO, "--vantage", "--pair", "order"], "--pair does not go with --vantage"),
        ([ECHO, ECHO, "nonsense"], "nonsense"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[object], said: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, AnalyzerError)
    assert said in str(result.exception)


def test_every_aspect_is_usual_or_noise_or_times() -> None:
    assert {*USUAL, *NOISE, Aspect.TIMES} == set(Aspect)
    assert diff.chosen_aspects(None, None, True) == set(Aspect) - {Aspect.TIMES}
    with pytest.raises(UsageError):
        diff.chosen_aspects(None, "all", False)


# ---------------------------------------------------------------- vantage


def test_the_same_capture_twice_has_lost_nothing() -> None:
    result = run(ECHO, ECHO, "--vantage")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "10 packets of A are in B too." in result.stdout
    assert "? Nobody knows" in result.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_a_screen_of_two_places(width: int, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    def seen_there(some: list[Packet]) -> Iterable[Packet]:
        for k, packet in enumerate(some):
            is_clients = packet[TCP].dport == 1235
            later = {7: Decimal("0.003"), 1: Decimal(0)}.get(k, Decimal("0.00002"))
            packet.time += 3 + (later if is_clients else -later)
            if k != 3:
                yield packet

    other = rewritten(ECHO, tmp_path / "other.pcap", seen_there)
    result = run(ECHO, other, "--vantage", width=width)
    assert (result.exit_code, result.stderr) == (1, "")
    shown = result.stdout.replace(f"{MADE}/", "").replace(f"{tmp_path}/", "")
    assert max(cells(line) for line in shown.splitlines()) <= width
    golden(f"diff/places.{width}.txt", shown)


def test_captures_without_anything_in_common() -> None:
    result = run(ECHO, MADE / "refused-udp.pcap", "--vantage")
    assert result.exit_code == 1
    assert "No packet is in both captures" in result.stdout


def test_a_connection_that_never_came_through_is_told(tmp_path: Path) -> None:
    def other_clients(is_there: bool) -> Callable[[list[Packet]], Iterable[Packet]]:
        def change(some: list[Packet]) -> Iterable[Packet]:
            for packet in some:
                is_clients = packet[TCP].dport == 1235
                packet[IP].src, packet[IP].dst = ("10.0.0.1", "10.0.0.2") if is_clients else ("10.0.0.2", "10.0.0.1")
                packet.time += Decimal("0.00002") * (1 if is_clients else -1) * is_there
                yield packet
                if packet is some[4] and not is_there:
                    lost = some[0].copy()
                    lost[TCP].sport, lost.time = 50_000, packet.time
                    yield lost

        return change

    near, far = (rewritten(ECHO, tmp_path / f"{k}.pcap", other_clients(bool(k))) for k in (0, 1))
    for paths, own, place in (((near, far), 2, "a"), ((far, near), None, "b")):
        result = run(*paths, "--vantage", "--format", "json")
        found = json.loads(result.stdout)
        (lost,) = found["packets"]
        assert (result.exit_code, lost["fate"], lost["connection"]) == (1, "lost", own)
        assert lost["only_in_b"] == (None if own else 2)
        assert found["only"] == {"a": 0, "b": 0} | {place: 1}
        shown = run(*paths, "--vantage")
        assert (shown.exit_code, shown.stderr) == (1, "")
        assert any("10.0.0.1:50000 → 10.0.0.2:1235  1 lost" in line for line in shown.stdout.splitlines())


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_capture_without_packets_has_nothing_in_common(exchanged: bool, tmp_path: Path) -> None:
    empty = rewritten(ECHO, tmp_path / "empty.pcap", lambda some: [])
    result = run(*((empty, ECHO) if exchanged else (ECHO, empty)), "--vantage")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "No packet is in both captures" in result.stdout
