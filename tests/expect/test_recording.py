"""Expectations that are written down from a capture: met by it and by others of the same programs, by no wrong one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.api.analysis import Analysis, analyze
from analyzer.expect.expectations import Expectations, read
from analyzer.expect.judging import judge
from analyzer.expect.recording import TROUBLES, quoted, record
from analyzer.expect.vocabulary import EVENTS
from tests.expect.recaptured import packets_of, recaptured

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted(MADE.glob("*.pcap*"))
ECHO = MADE / "loopback-echo-1235.pcap"
scapy = pytest.importorskip("scapy", reason="scapy is not installed")


def recorded(analysis: Analysis) -> Expectations:
    return read("".join(f"{line}\n" for line in record(analysis, "x.pcap", "check")).encode(), "x.expect.toml")


@cache
def of_echo() -> Expectations:
    return recorded(analyze(ECHO))


def not_met(capture: Any, expectations: Expectations) -> list[str]:
    return [result.fault.text for result in judge(analyze(capture), expectations) if result.fault]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_a_capture_meets_what_was_recorded_from_it(capture: Path) -> None:
    analysis = analyze(capture)
    expectations = recorded(analysis)
    results = list(judge(analysis, expectations))
    assert [result.fault for result in results if result.fault] == []
    assert len(results) >= 3 * len(analysis.connections)


@pytest.mark.parametrize("capture", [path for path in CAPTURES if "udp" not in path.name], ids=lambda path: path.name)
def test_so_does_another_run_of_the_same_programs(capture: Path) -> None:
    expectations = recorded(analyze(capture))
    if "keep-alive" in capture.name or "queue" in capture.name:  # their timers do not run three times as slow
        assert not_met(recaptured(str(capture), slower=1), expectations) == []
    else:
        assert not_met(recaptured(str(capture)), expectations) == []


@given(st.integers(-100, 100), st.integers(0, 0xFFFFFFFF), st.integers(-(10**6), 10**6), st.integers(1, 50))
def test_whatever_its_ports_and_numbers(port: int, isn: int, later_s: int, slower: int) -> None:
    again = recaptured(str(ECHO), port=port, isn=isn, later_s=later_s, slower=slower)
    assert not_met(again, of_echo()) == []


def dropped(packets: list[Any], at: int) -> None:
    del packets[at]


def sent_again(packets: list[Any], at: int) -> None:
    again = packets[at].copy()
    again.time = packets[-1].time + 1
    packets.append(again)


def reset(packets: list[Any], at: int) -> None:
    packets[at]["TCP"].flags = "RA"


def without_fin(packets: list[Any], at: int) -> None:
    packets[at]["TCP"].flags = "A"


def other_words(packets: list[Any], at: int) -> None:
    segment = packets[at]["TCP"]
    octets = bytes(segment.payload)
    segment.remove_payload()
    segment.add_payload(octets[:-1] + bytes([octets[-1] ^ 1]))


WRONG: list[tuple[Callable[[list[Any], int], None], list[int]]] = [
    (dropped, [1, 2, 4, 6, 7, 9, 10]),  # the others are ACKs that something else implies
    (sent_again, [1, 4, 6, 7, 9]),
    (reset, [*range(1, 11)]),
    (without_fin, [7, 9]),
    (other_words, [4, 6]),
]


@pytest.mark.parametrize(("change", "number"), [(change, number) for change, numbers in WRONG for number in numbers])
def test_one_wrong_packet_is_noticed(change: Callable[[list[Any], int], None], number: int) -> None:
    packets = packets_of(str(ECHO))
    assert not_met(packets, of_echo()) == []
    change(packets, number - 1)
    assert not_met(packets, of_echo()) != []


@pytest.mark.parametrize("capture", [path for path in CAPTURES if path != ECHO], ids=lambda path: path.name)
def test_other_captures_do_not_meet_them(capture: Path) -> None:
    assert not_met(capture, of_echo()) != []


def written(capture: Path, **given: Any) -> str:
    return "\n".join(record(analyze(capture, **given), capture.name, f"tcpflow-view check {capture.name}"))


@pytest.mark.parametrize("name", ["loopback-echo-1235.pcap", "select-5000.pcapng", "zero-window.pcap"])
def test_what_is_written(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"expect/{name}.toml", written(MADE / name) + "\n")


def test_nothing_is_written_that_changes_from_run_to_run() -> None:
    for capture in CAPTURES:
        for connection, table in zip(
            analyze(capture).connections, tomllib.loads(written(capture))["connection"], strict=True
        ):
            assert not {"client", "packets", "max_duration", "max_idle", "max_handshake_rtt"} & table.keys()
            port = table.get("server", {}).get("port")
            assert port in (None, connection.server.port)
            assert (port is None) == (connection.server.port >= 32768)


def test_what_was_asked_for_is_written() -> None:
    lines = record(analyze(ECHO, "tcp"), "x", "y", ["127.0.0.1:1235", "80"])
    capture = tomllib.loads("\n".join(lines))["capture"]
    assert capture["filter"] == "tcp"
    assert capture["servers"] == ["127.0.0.1:1235", "80"]


def test_a_damaged_capture(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(ECHO.read_bytes()[:-3])
    assert "damaged = true" in written(cut)
    assert not_met(cut, recorded(analyze(cut))) == []
    [told] = not_met(cut, read(b"", "x"))
    assert re.fullmatch(r"The capture should be whole: .*cut\.pcap: .* \(at byte [\d,]+\)\.", told)


def test_proposed_limits_are_met() -> None:
    for capture in CAPTURES:
        proposed = re.sub("^# (?=max_|events)", "", written(capture), flags=re.MULTILINE)
        assert proposed.count("\nmax_duration = ") == len(analyze(capture).connections)
        assert not_met(capture, read(proposed.encode(), "x")) == []


def test_troubles_are_events() -> None:
    assert set(TROUBLES) <= set(EVENTS)


@given(st.text())
def test_texts_are_read_back(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    line = f"a = {quoted(text)}"
    assert tomllib.loads(line) == {"a": text}
    assert line.isprintable()
