"""Assertions about connections: they pass without a word, or fail with a sentence and the ladder, marked."""

from __future__ import annotations

import inspect
import re
import shutil
import traceback
from collections.abc import Callable
from os import terminal_size
from pathlib import Path
from typing import Any

import pytest

from analyzer import Connection, UsageError, analyze, testing
from analyzer.expect import judgements

CAPTURE = Path(__file__).parents[1] / "captures" / "made" / "loopback-echo-1235.pcap"


@pytest.fixture(scope="module")
def connection() -> Connection:
    return analyze(CAPTURE, "port 1235").connections[0]


# Of each: what holds of the connection, what does not.
CASES: dict[str, tuple[Callable[[Connection], Any], Callable[[Connection], Any]]] = {
    "assert_lifecycle": (
        lambda one: testing.assert_lifecycle(one, "handshake data teardown"),
        lambda one: testing.assert_lifecycle(one, "handshake"),
    ),
    "closed_by": (lambda one: testing.closed_by(one, one.closed_by), lambda one: testing.closed_by(one, None)),
    "cause": (lambda one: testing.cause(one, one.cause), lambda one: testing.cause(one, "refused")),
    "verdict": (lambda one: testing.verdict(one, "SF"), lambda one: testing.verdict(one, "S0")),
    "no": (lambda one: testing.no(one, "retransmission", "reset"), lambda one: testing.events(one, "reset", 1)),
    "events": (lambda one: testing.events(one, "reset", 0), lambda one: testing.events(one, "reset", ">= 1")),
    "packets": (
        lambda one: testing.packets(one, len(one.packets)),
        lambda one: testing.packets(one, "<= 1", "client"),
    ),
    "octets": (
        lambda one: testing.octets(one, "client", one.client_sent.unique_bytes),
        lambda one: testing.octets(one, "client", "< 1"),
    ),
    "said": (
        lambda one: testing.said(one, client=one.bytes_from("client"), server=one.bytes_from("server")),
        lambda one: testing.said(one, client="something else"),
    ),
    "states": (
        lambda one: testing.states(one, client="CLOSED … ESTABLISHED …", server="... ESTABLISHED ..."),
        lambda one: testing.states(one, client="LISTEN …"),
    ),
    "opened_once": (testing.opened_once, lambda one: testing.no(one, "reset") or testing.packets(one, 1)),
    "max_handshake_rtt": (
        lambda one: testing.max_handshake_rtt(one, "5 s"),
        lambda one: testing.max_handshake_rtt(one, "1 ns"),
    ),
    "max_duration": (lambda one: testing.max_duration(one, "10 min"), lambda one: testing.max_duration(one, "1 ns")),
    "max_idle": (lambda one: testing.max_idle(one, "10 min"), lambda one: testing.max_idle(one, "1 ns")),
}


def test_all_of_them_are_tried() -> None:
    assert sorted(testing.__all__) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_what_holds_passes(name: str, connection: Connection) -> None:
    holds, _does_not = CASES[name]
    assert holds(connection) is None


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_hold_fails_with_the_ladder(name: str, connection: Connection) -> None:
    _holds, does_not = CASES[name]
    with pytest.raises(AssertionError) as caught:
        does_not(connection)
    sentence, ladder = str(caught.value).split("\n", 1)
    assert sentence.endswith(".")
    assert f"client :{connection.client.port} ╷" in ladder
    marked = re.findall(r"^▌▶ ?(\d+) ", ladder, re.MULTILINE)
    assert len(marked) <= 1
    assert ladder == connection.ladder(marked=int(marked[0]) if marked else 0)


def test_the_packet_where_it_went_wrong_is_marked(connection: Connection) -> None:
    fin = next(packet.number for packet in connection.packets if "F" in packet.flags)
    other = {"client": "server", "server": "client"}[str(connection.closed_by)]
    with pytest.raises(AssertionError) as caught:
        testing.closed_by(connection, other)
    assert f"(FIN in packet {fin})" in str(caught.value).split("\n")[0]
    assert marked_in(str(caught.value)) == fin


def test_a_word_that_there_is_not(connection: Connection) -> None:
    with pytest.raises(UsageError, match="did you mean retransmission"):
        testing.no(connection, "retransmision")
    with pytest.raises(UsageError, match="unit"):
        testing.max_idle(connection, "5")


@pytest.mark.parametrize(("columns", "width"), [(40, 60), (84, 80), (104, 100), (300, 100)])
def test_a_ladder_is_as_wide_as_the_terminal(
    columns: int, width: int, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda _fallback: terminal_size((columns, 24)))
    with pytest.raises(AssertionError) as caught:
        testing.verdict(connection, "S0")
    assert str(caught.value).split("\n", 1)[1] == connection.ladder(width, marked=marked_in(str(caught.value)))


def marked_in(text: str) -> int:
    found = re.search(r"^▌▶ ?(\d+) ", text, re.MULTILINE)
    return int(found[1]) if found else 0


def test_the_line_of_the_test_is_what_a_failure_shows(connection: Connection) -> None:
    """Frames between it and the error are hidden by pytest."""
    with pytest.raises(AssertionError) as caught:
        testing.verdict(connection, "S0")
    *_, asserting, raising = [frame for frame, _line in traceback.walk_tb(caught.tb)]
    assert asserting.f_locals["__tracebackhide__"]
    assert raising.f_locals["__tracebackhide__"]
    for name in testing.__all__:
        assert "__tracebackhide__ = True" in inspect.getsource(getattr(testing, name))


def test_every_judgement_has_an_assertion() -> None:
    judged = {
        name for name, function in vars(judgements).items()
        if inspect.isfunction(function) and function.__module__ == judgements.__name__ and not name.startswith("_")
    }  # fmt: skip
    assert judged - {"lifecycle", "protocol", "digest"} == set(testing.__all__) - {"assert_lifecycle"}
