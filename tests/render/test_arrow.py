"""What stands on an arrow, and what is left out first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.render.arrow import arrow
from analyzer.render.screen import Screen, cells
from analyzer.render.segment import Segment
from analyzer.render.words import EVENTS, Word
from analyzer.tables import (
    ACK,
    FIN,
    HAS_MSS,
    HAS_SACK_PERMITTED,
    HAS_TIMESTAMPS,
    HAS_WINDOW_SCALE,
    PSH,
    RST,
    SYN,
    Event,
)
from tests.render.made import SERVER, segment

PLAIN = Screen(80)
OPTIONS = {
    "options": HAS_MSS | HAS_WINDOW_SCALE | HAS_SACK_PERMITTED | HAS_TIMESTAMPS, "mss": 65495, "window_scale": 7,
    "window": 43690,
}  # fmt: skip


def drawn(one: Segment, width: int = 35, *, shift: int = 7, remarks: list[Word] | None = None) -> str:
    return arrow(one, width, PLAIN, shift, remarks or [], is_tcp=True)[0]


@pytest.mark.parametrize(
    ("one", "width", "line"),
    [
        (segment(flags=SYN, **OPTIONS), 35, "─ SYN mss 65495 ws 7 sackOK TS ───▶"),
        (segment(flags=SYN, **OPTIONS), 60, "─ SYN mss 65495 ws 7 sackOK TS win 43690 ──────────────────▶"),
        (segment(flags=SYN | ACK, side=SERVER, **OPTIONS), 35, "◀── SYN,ACK mss 65495 ws 7 sackOK ─"),
        (segment(ack=6), 20, "─ ACK 6 ───────────▶"),
        (segment(ack=6), 60, "─ ACK 6 win 43776 ─────────────────────────────────────────▶"),
        (segment(ack=6, window=0), 20, "─ ACK 6 win 0 ─────▶"),
        (segment(flags=PSH | ACK, payload=b"clien"), 35, '─ PSH 1:6 (5) ack 1 "clien" ──────▶'),
        (segment(flags=PSH | ACK, payload=b"clien"), 25, '─ PSH 1:6 (5) "clien" ──▶'),
        (segment(flags=PSH | ACK, payload=b"clien"), 16, "─ PSH 1:6 (5) ─▶"),
        (segment(payload=b"clien", seq=4294967294), 45, '─ 4294967294:3 (5) ack 1 "clien" ───────────▶'),
        (segment(flags=FIN | ACK, side=SERVER, seq=3, ack=6), 35, "◀" + "─" * 20 + " FIN 3 ack 6 ─"),
        (segment(flags=RST, seq=7, ack=0), 20, "─ RST 7 ───────────▶"),
        (segment(flags=RST | ACK, seq=0, ack=1), 25, "─ RST,ACK 0 ack 1 ──────▶"),
        (segment(ack=9, sack_blocks=2, window=0), 25, "─ ACK 9 sack 2 win 0 ───▶"),
    ],
)
def test_labels(one: Segment, width: int, line: str) -> None:
    assert drawn(one, width) == line
    assert cells(line) == width


def test_udp_has_only_its_length_and_payload() -> None:
    line, left_out = arrow(segment(payload=b"hello"), 35, PLAIN, 0, [], is_tcp=False)
    assert (line, left_out) == ('─ UDP (5) "hello" ────────────────▶', [])


def test_events_stand_before_payload_and_sequence_numbers() -> None:
    again = EVENTS[Event.RETRANSMISSION]
    one = segment(flags=PSH | ACK, payload=b"is there room?\n", events=1 << Event.RETRANSMISSION)
    assert drawn(one, remarks=[again]) == "─ PSH 1:16 (15) ✗ retransmission ─▶"
    assert drawn(one, 30, remarks=[again]) == "─ PSH (15) ✗ retransmission ─▶"


def test_events_without_room_are_given_back() -> None:
    remarks = [EVENTS[Event.SPURIOUS_RETRANSMISSION], EVENTS[Event.WINDOW_FULL]]
    line, left_out = arrow(segment(payload=b"x"), 35, PLAIN, 0, remarks, is_tcp=True)
    assert line == "─ (1) ✗ spurious_retransmission ──▶"
    assert left_out == [EVENTS[Event.WINDOW_FULL]]


def test_trouble_and_resets_are_red_others_have_their_side_s_colour() -> None:
    colored = Screen(80, color=True)
    for one, code in (
        (segment(), "\x1b[36m"), (segment(side=SERVER), "\x1b[35m"), (segment(flags=RST), "\x1b[1;31m"),
        (segment(events=1 << Event.OUT_OF_ORDER), "\x1b[1;31m"), (segment(events=1 << Event.KEEP_ALIVE), "\x1b[36m"),
    ):  # fmt: skip
        assert arrow(one, 35, colored, 0, [], is_tcp=True)[0].startswith(code)


segments = st.builds(
    segment,
    side=st.integers(0, 1), flags=st.integers(0, 511), seq=st.integers(0, 2**32 - 1), ack=st.integers(0, 2**32 - 1),
    window=st.integers(0, 65535), payload=st.binary(max_size=64), options=st.integers(0, 63), mss=st.integers(0, 65535),
    window_scale=st.integers(0, 255), sack_blocks=st.integers(0, 4), events=st.integers(0, 2**15 - 1),
)  # fmt: skip


@given(segments, st.integers(15, 100), st.integers(0, 14), st.booleans())
def test_any_segment_fills_its_width(one: Segment, width: int, shift: int, is_tcp: bool) -> None:
    line, _ = arrow(
        one, width, PLAIN, shift, [EVENTS[event] for event in Event if one.events >> event & 1], is_tcp=is_tcp
    )
    assert cells(line) == width
