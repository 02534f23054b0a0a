"""Every code has a word, and the words are the contract's."""

from __future__ import annotations

import pytest

from analyzer.explain.why import Cause
from analyzer.render import words
from analyzer.render.screen import Screen
from analyzer.render.words import (
    EVENTS,
    LOUD,
    PHASES,
    PROTOCOLS,
    SIDES,
    STATES,
    events_of,
    flag_words,
    marked,
    troubles_of,
)
from analyzer.tables import ACK, FIN, PSH, RST, SYN, Event, Phase, Protocol, Side
from analyzer.tcp.states import State
from tests.render.made import endpoints


def test_every_code_has_a_word() -> None:
    for table, codes in (
        (SIDES, Side), (PHASES, Phase), (STATES, State), (EVENTS, Event), (PROTOCOLS, Protocol), (words.ENDINGS, Cause),
    ):  # fmt: skip
        assert set(table) == set(codes)  # type: ignore[call-overload]


def test_states_are_spelt_as_in_the_rfc() -> None:
    assert " ".join(word.text for word in STATES.values()) == (
        "CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT"
    )


def test_phases_and_sides() -> None:
    assert [word.text for word in PHASES.values()] == ["none", "handshake", "data", "teardown"]
    assert [word.text for word in SIDES.values()] == ["client", "server"]


def test_every_style_can_be_painted_and_colours_differ() -> None:
    screen = Screen(80, color=True)
    colored = [*SIDES.values(), *(PHASES[phase] for phase in Phase if phase), words.Word("", LOUD)]
    codes = [screen.code(word.style) for word in colored]
    assert len(set(codes)) == len(codes) == 6


def test_events() -> None:
    bits = 1 << Event.RETRANSMISSION | 1 << Event.ZERO_WINDOW
    assert [word.text for word in events_of(bits)] == ["retransmission", "zero_window"]
    assert events_of(0) == []


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (1 << Event.DUPLICATE_ACK, "✗ duplicate_ack #3 of 12"),
        (1 << Event.RETRANSMISSION, "✗ retransmission of 12"),
        (1 << Event.RETRANSMISSION | 1 << Event.FAST_RETRANSMISSION, "✗ fast_retransmission of 12"),
        (1 << Event.RETRANSMISSION | 1 << Event.SPURIOUS_RETRANSMISSION, "✗ spurious_retransmission of 12"),
        (1 << Event.ZERO_WINDOW, "✗ zero_window"),
        (1 << Event.CAPTURE_DUPLICATE | 1 << Event.DUPLICATE_ACK, "capture_duplicate"),
    ],
)
def test_what_events_refer_to(bits: int, text: str) -> None:
    assert [marked(word) for word in events_of(bits, refers_to=12, repeat=3)] == [text]


def test_a_copy_repeats_nothing() -> None:
    bits = 1 << Event.CAPTURE_DUPLICATE | 1 << Event.RETRANSMISSION | 1 << Event.ZERO_WINDOW
    assert [word.text for word in events_of(bits)] == ["capture_duplicate"]


@pytest.mark.parametrize("nearer", [Event.FAST_RETRANSMISSION, Event.SPURIOUS_RETRANSMISSION])
def test_a_retransmission_has_its_nearest_name(nearer: Event) -> None:
    assert [word.text for word in events_of(1 << Event.RETRANSMISSION | 1 << nearer)] == [nearer.name.lower()]


@pytest.mark.parametrize(
    ("flags", "text"),
    [(SYN, "SYN"), (SYN | ACK, "SYN,ACK"), (FIN | PSH | ACK, "FIN,PSH,ACK"), (RST | ACK, "RST,ACK"), (0, "")],
)
def test_flags(flags: int, text: str) -> None:
    assert flag_words(flags) == text


def test_troubles_add_both_sides_up() -> None:
    rows = endpoints({"retransmitted_packets": 2}, {"retransmitted_packets": 1, "zero_windows": 4, "duplicate_acks": 9})
    assert [word.text for word in troubles_of(rows)] == ["3 retransmitted", "4 zero window"]
