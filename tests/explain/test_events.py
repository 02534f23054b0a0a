"""Why an event is called what it is: the sentences, and their numbers against what the reconstruction remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.decode.packets import decode
from analyzer.explain.events import ORDINARY, Finding, kinds_of, remarkable
from analyzer.pipeline import Lives
from analyzer.tables import ACK, SYN, Batch, Event, Frames, Life, Packets, rows_of
from analyzer.tcp.reconstruct import Reconstruction
from analyzer.tcp.seq import seq_add, seq_diff
from tests.render.made import CLIENT, SERVER, life, segment
from tests.script import Segment, frames, play
from tests.tcp.conversations import conversations, garbage

MANY = 10**9
MS = 1_000_000

OPENED = """
C > S  S 100
S > C  SA 300 ack 101
+0.009 C > S  A 101 ack 301
"""


def lives_of(conversation: str | Sequence[Segment], most_packets: int = MANY) -> dict[int, Life]:
    """The lives of all its connections, by number."""
    story = play(conversation)
    kept = Lives(range(1, story.reconstruction.count + 1), most_packets)
    kept.add(Batch(story.frames, story.packets, story.labels))
    return kept.found()


def filled(finding: Finding) -> str:
    """The sentence; times are whole milliseconds."""
    numbers = {
        name: f"{number / MS:.0f} ms" if name.endswith("_ns") else number for name, number in finding.numbers.items()
    }
    return finding.text.format_map(numbers)


def said(some: Life, event: Event, most: int = MANY) -> list[tuple[int, str]]:
    kind = remarkable(some, most)[event]
    return [(finding.packet, filled(finding)) for finding in kind.told]


def said_of(text: str, event: Event) -> list[tuple[int, str]]:
    return said(lives_of(OPENED + text)[1], event)


def test_a_clean_connection_has_nothing() -> None:
    some = lives_of(OPENED + "C > S  PA 101:106 ack 301\nS > C  A 301 ack 106\nC > S  FA 106 ack 301")[1]
    assert remarkable(some, MANY) == {}


def test_what_every_connection_has_is_not_remarkable() -> None:
    for event in ORDINARY:
        assert remarkable(life([segment(events=1 << event)]), MANY) == {}


DATA = "C > S  A 101:201 ack 301\nC > S  A 201:301 ack 301\nC > S  A 301:401 ack 301\nC > S  A 401:501 ack 301\n"
REPEATED = "S > C  A 301 ack 201\nS > C  A 301 ack 201\nS > C  A 301 ack 201\nS > C  A 301 ack 201\n"


@pytest.mark.parametrize(
    ("text", "event", "packet", "sentence"),
    [
        (
            DATA + "+0.3 C > S  A 101:201 ack 301", Event.RETRANSMISSION, 8,
            "packet 4 again, 303 ms after it: it came 300 ms after the highest segment, and the handshake took only "
            "10 ms",
        ),
        (
            DATA + "+0.3 C > S  A 401:501 ack 301", Event.RETRANSMISSION, 8,
            "packet 7 again, 300 ms after it: nothing newer between",
        ),
        (
            DATA + REPEATED + "C > S  A 201:301 ack 301", Event.FAST_RETRANSMISSION, 12,
            "packet 5 again, 7 ms after it: 3 duplicate ACKs of packet 8 came before it, the last 1 ms earlier",
        ),
        (
            DATA + REPEATED, Event.DUPLICATE_ACK, 9,
            "repeats packet 8, 3 times up to packet 11: 101 is awaited",
        ),
        (DATA + REPEATED[:42], Event.DUPLICATE_ACK, 9, "repeats packet 8: 101 is awaited"),
        (
            DATA + "S > C  A 301 ack 401\nS > C  A 301 ack 501\nC > S  A 201:301 ack 301",
            Event.SPURIOUS_RETRANSMISSION, 10, "packet 8 had acknowledged all of it",
        ),
        (
            "C > S  A 201:301 ack 301\nC > S  A 101:201 ack 301", Event.OUT_OF_ORDER, 5,
            "arrived 1 ms after the highest segment (packet 4), sooner than the handshake's 10 ms",
        ),
        (
            "C > S  A 101:201 ack 301\nC > S  A 501:601 ack 301", Event.LOST_SEGMENT, 5,
            "300 missing before it, after packet 4",
        ),
        (
            "C > S  A 101:201 ack 301\nS > C  A 301 ack 401", Event.ACK_LOST_SEGMENT, 5,
            "acknowledges all before 301, but the capture has without a gap only what comes before 101",
        ),
        ("+5 C > S  A 100 ack 301", Event.KEEP_ALIVE, 4, "one sequence number back, 5000 ms after packet 3"),
        (
            "S > C  A 301 ack 101 win 0\nC > S  A 100 ack 301", Event.KEEP_ALIVE, 5,
            "window probe, 1 ms after packet 4: the window was zero",
        ),
        (
            "S > C  A 301 ack 101 win 0\n+0.2 C > S  A 101:102 ack 301", Event.ZERO_WINDOW_PROBE, 5,
            "one byte, 200 ms after packet 4 left no room",
        ),
        (
            "S > C  A 301 ack 101 win 0\n+0.2 C > S  A 101:102 ack 301\nS > C  A 301 ack 101 win 0",
            Event.ZERO_WINDOW_PROBE_ACK, 6, "answers packet 5 after 1 ms",
        ),
        (
            "S > C  A 301 ack 101 win 0\nS > C  A 301 ack 101 win 0\n+2 S > C  A 301 ack 101 win 9",
            Event.ZERO_WINDOW, 4, "there was room again after 2001 ms, in packet 6",
        ),
        (
            "S > C  A 301 ack 101 win 0\nS > C  A 301 ack 101 win 0", Event.ZERO_WINDOW, 4,
            "there was no room again",
        ),
        ("S > C  A 301 ack 101 win 0", Event.ZERO_WINDOW, 4, "no other packet came from there"),
        (
            "S > C  A 301 ack 101 win 200\nC > S  A 101:301 ack 301", Event.WINDOW_FULL, 5,
            "200 in flight, all that packet 4 has room for",
        ),
        ("C > S  PAU 101:102 ack 301", Event.URGENT, 4, "its urgent pointer is in use"),
        (
            DATA + "S > C  A 301 ack 501 sack 101:201", Event.DSACK, 8, "its SACK option says that bytes came twice",
        ),
    ],
)  # fmt: skip
def test_sentences(text: str, event: Event, packet: int, sentence: str) -> None:
    assert said_of(text, event) == [(packet, sentence)]


def test_without_a_handshake() -> None:
    text = "C > S  A 101:201 ack 301\nC > S  A 301:401 ack 301\nC > S  A 201:301 ack 301"
    sentence = "arrived 1 ms after the highest segment (packet 2), too soon for a retransmission"
    assert said(lives_of(text)[1], Event.OUT_OF_ORDER) == [(3, sentence)]


def test_ports_that_are_used_again() -> None:
    found = lives_of(OPENED + "C > S  R 101\n+1 C > S  S 9000")
    assert said(found[2], Event.REUSED_PORTS) == [(5, "an earlier connection had the same addresses and ports")]


def test_payload_in_a_syn() -> None:
    assert said(lives_of("C > S  S 100:120")[1], Event.FAST_OPEN) == [(1, "its SYN brings 20")]


def test_a_packet_that_was_captured_twice_is_not_remarkable() -> None:
    copy = segment(number=2, ts_ns=7 * MS, events=1 << Event.CAPTURE_DUPLICATE | 1 << Event.DUPLICATE_ACK)
    assert remarkable(life([segment(number=1, ts_ns=5 * MS), copy]), MANY) == {}


def test_a_retransmission_of_nobody_knows_what() -> None:
    some = life([segment(seq=500), segment(number=2, events=1 << Event.RETRANSMISSION, seq=1, payload_len=9)])
    assert said(some, Event.RETRANSMISSION) == [(2, "")]


def test_findings_are_counted_and_bounded() -> None:
    some = life([segment(number=n, events=1 << Event.KEEP_ALIVE) for n in range(1, 11)])
    kind = remarkable(some, 3)[Event.KEEP_ALIVE]
    assert kind.packets == 10
    assert [finding.packet for finding in kind.told] == [1, 2, 3]


def test_the_first_kind_comes_first() -> None:
    some = life([segment(events=1 << Event.URGENT), segment(number=2, events=1 << Event.RETRANSMISSION)])
    assert list(remarkable(some, 3)) == [Event.URGENT, Event.RETRANSMISSION]


def test_every_event_has_a_sentence() -> None:
    for event in set(Event) - ORDINARY:
        assert remarkable(life([segment(flags=SYN, payload_len=1, events=1 << event)]), 1)[event].packets == 1


def test_kinds_have_their_nearest_name() -> None:
    bits = 1 << Event.RETRANSMISSION | 1 << Event.FAST_RETRANSMISSION | 1 << Event.WINDOW_FULL
    assert kinds_of(bits) == [Event.FAST_RETRANSMISSION, Event.WINDOW_FULL]
    assert kinds_of(bits | 1 << Event.CAPTURE_DUPLICATE) == [Event.CAPTURE_DUPLICATE]


# ---------------------------------------------------------------- packets that were left out


def test_nothing_is_said_across_packets_that_were_left_out() -> None:
    some = [
        segment(number=1, side=SERVER, window=0, events=1 << Event.ZERO_WINDOW),
        segment(number=2, side=CLIENT, seq=1, payload_len=10),
        segment(number=93, side=CLIENT, seq=5001, payload_len=10, events=1 << Event.LOST_SEGMENT),
        segment(number=94, side=SERVER, window=5),
    ]
    assert said(life(some, omitted=90), Event.ZERO_WINDOW) == [(1, "")]
    assert said(life(some, omitted=90), Event.LOST_SEGMENT) == [(93, "")]
    assert said(life(some), Event.ZERO_WINDOW) == [(1, "there was room again after 0 ms, in packet 94")]
    assert said(life(some), Event.LOST_SEGMENT) == [(93, "4990 missing before it, after packet 2")]


def test_the_first_ack_of_a_spurious_retransmission_may_have_been_left_out() -> None:
    acks = "S > C  A 301 ack 501\nS > C  A 301 ack 501\nC > S  A 501 ack 301\nS > C  A 301 ack 501\n"
    text = OPENED + DATA + acks + "C > S  A 101:201 ack 301"
    assert said(lives_of(text)[1], Event.SPURIOUS_RETRANSMISSION) == [(12, "packet 8 had acknowledged all of it")]
    assert said(lives_of(text, 6)[1], Event.SPURIOUS_RETRANSMISSION) == [(12, "")]


@given(st.one_of(conversations(), garbage()), st.integers(2, 12))
def test_less_is_said_of_a_life_with_omissions_and_nothing_else(some: list[Segment], most_packets: int) -> None:
    for number, whole in lives_of(some).items():
        kept = lives_of(some, most_packets)[number]
        of_whole = {(event, f.packet): f for event, kind in remarkable(whole, MANY).items() for f in kind.told}
        for event, kind in remarkable(kept, MANY).items():
            for finding in kind.told:
                known = of_whole.get((event, finding.packet))
                if known and finding.text:
                    assert finding.numbers.items() <= known.numbers.items()


# ---------------------------------------------------------------- against what the reconstruction remembered


@given(st.one_of(conversations(), garbage()))
def test_numbers_are_those_that_decided(some: list[Segment]) -> None:
    """Packet by packet: what a sentence says is what ENDPOINT held before that packet came.

    Numbers near 0 are moved: 0 is what stands in ENDPOINT for one that is not known.
    """
    captured = frames([moved(one) for one in some])
    reconstruction = Reconstruction()
    held: dict[int, Any] = {}
    kept = Lives(range(1, len(some) + 1), MANY)
    for i in range(len(some)):
        one = Frames._make([captured.data, *(column[i : i + 1] for column in captured[1:])])
        packets = decode(one)
        count = reconstruction.count
        before = reconstruction.connections[:count].copy(), reconstruction.endpoints[:count].copy()
        labels = reconstruction.feed(one, packets)
        kept.add(Batch(one, packets, labels))
        [row] = rows_of(before[0], labels.connection)
        if row >= 0:
            side = int(labels.side[0])
            held[i + 1] = packets, before[0][row], before[1][row, side], before[1][row, 1 - side], int(one.ts_ns[0])
    for of_one in kept.found().values():
        for event, kind in remarkable(of_one, MANY).items():
            for finding in kind.told:
                if finding.packet in held and not was_renumbered(of_one, finding.packet):
                    agree(event, finding.numbers, *held[finding.packet])


def moved(one: Segment) -> Segment:
    """The segment with larger numbers."""
    by = 0x1000_0000
    return one._replace(seq=seq_add(one.seq, by), ack=seq_add(one.ack, by) if one.flags & ACK else one.ack)


def was_renumbered(some: Life, packet: int) -> bool:
    """Whether sequence numbers may count from another one than at first."""
    syns = (some.flags & SYN != 0) & (some.number <= packet) & (some.number > some.number[0])
    return bool(syns.any()) and bool((some.seq[syns] != 0).any() or (some.events[syns] >> Event.REUSED_PORTS & 1).any())


def agree(
    event: Event, numbers: dict[str, int], packets: Packets, connection: Any, fwd: Any, rev: Any, ts: int
) -> None:
    seq, ack, payload_len = int(packets.seq[0]), int(packets.ack[0]), int(packets.payload_len[0])
    if event == Event.LOST_SEGMENT and numbers:
        assert numbers["missing_bytes"] == seq_diff(seq, int(fwd["nextseq"]))
    if "after_ns" in numbers and event in (Event.OUT_OF_ORDER, Event.RETRANSMISSION):
        assert numbers["after_ns"] == ts - int(fwd["nextseq_ns"])
        assert numbers.get("rtt_ns", 0) == int(connection["initial_rtt_ns"])
    if event == Event.ACK_LOST_SEGMENT and numbers:
        assert (numbers["ack"] - numbers["whole"]) % 2**32 == (ack - int(rev["ackable_to"])) % 2**32
    if "repeats" in numbers and rev["duplicate_acks_now"] > 0:
        assert numbers["repeats"] == int(rev["duplicate_acks_now"])
        assert numbers["acked"] == int(rev["ack_packet"])
    if event == Event.WINDOW_FULL and numbers:
        assert numbers["flight_bytes"] == seq_diff(seq_add(seq, payload_len), int(rev["last_ack"]))
