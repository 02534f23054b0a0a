"""Streams put together: against a slow oracle, and case by case."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.streams import Difference, Gap, LateStart, LeftOut, Piece, Refused, StreamItem, Unused
from analyzer.tables import ACK, FIN, PSH, RST, SYN
from analyzer.tcp.reassembly import LARGEST_WINDOW, PIECE_COST, Datagrams, Reassembly, Segment

ISS = 1_000


def segment(packet: int, seq: int, payload: bytes = b"", **given: Any) -> Segment:
    """A segment of the client, with an ACK that says nothing new."""
    usual = Segment(0, packet, packet * 1_000, seq % 2**32, 5_000, ACK, len(payload), payload)
    return usual._replace(**given)


def answer(packet: int, ack: int, payload: bytes = b"", seq: int = 5_000) -> Segment:
    """A segment of the server."""
    return segment(packet, seq, payload, side=1, ack=ack % 2**32)


SYN_SENT = segment(1, ISS, flags=SYN)


def streams(*segments: Segment, **bounds: int) -> list[StreamItem]:
    """Everything that is given out of these segments."""
    reassembly = Reassembly(**bounds)
    items = [item for one in segments for item in reassembly.add(one)]
    return items + reassembly.finish()


def octets(items: list[StreamItem], side: int = 0) -> bytes:
    """A side's octets, with a question mark for each that is missing."""
    said = b""
    for item in items:
        if item.side == side and isinstance(item, Piece):
            assert item.offset == len(said)
            said += item.octets.ljust(item.length, b"?")
        elif item.side == side and isinstance(item, Gap):
            assert item.offset == len(said)
            said += b"?" * item.length
    return said


def others(items: list[StreamItem]) -> list[StreamItem]:
    """What is not a piece."""
    return [item for item in items if not isinstance(item, Piece)]


# ---------------------------------------------------------------- the oracle


@st.composite
def one_side(draw: Any) -> tuple[int, bool, list[Segment]]:
    """An initial sequence number, whether the SYN is there, and segments of at most 60 octets of stream, in any order.

    Most of them say what the stream holds, a few something else; of some not all was captured.
    """
    iss = draw(st.integers(0, 2**32 - 1) | st.integers(2**32 - 50, 2**32 - 1))
    stream = draw(st.binary(min_size=60, max_size=60))
    has_syn = draw(st.booleans())
    segments = [segment(1, iss, flags=SYN)] if has_syn else []
    for packet in range(2, draw(st.integers(2, 20))):
        start = draw(st.integers(0, 57))
        length = draw(st.integers(2, 20))
        payload = stream[start : start + length]
        if draw(st.integers(0, 5)) == 0:
            payload = bytes(octet ^ draw(st.sampled_from([0, 0, 1])) for octet in payload)
        captured = payload[: draw(st.integers(0, 20))] if draw(st.integers(0, 5)) == 0 else payload
        segments.append(segment(packet, iss + 1 + start, captured, payload_len=len(payload)))
    return iss, has_syn, segments


@given(one_side(), st.sampled_from([2_000, 1 << 20]))
def test_the_oracle_says_the_same(made: tuple[int, bool, list[Segment]], most_waiting: int) -> None:
    """An octet is what the first packet said of it; ``None`` where that packet was cut."""
    iss, has_syn, segments = made
    base = iss + 1 if has_syn or not segments else segments[0].seq
    reassembly = Reassembly(most_waiting=most_waiting)
    first: dict[int, tuple[int, int | None]] = {}
    differ: dict[int, set[int]] = {}
    late: dict[int, int] = {}
    given_out = 0
    items: list[StreamItem] = []
    for one in segments:
        start = (one.seq - base + 2**31) % 2**32 - 2**31
        for k in range(one.payload_len):
            at = start + k
            said = one.payload[k] if k < len(one.payload) else None
            if at in first:
                if None not in (said, first[at][1]) and said != first[at][1]:
                    differ.setdefault(one.packet, set()).add(at)
            elif at >= given_out:
                first[at] = one.packet, said
            else:
                late[one.packet] = late.get(one.packet, 0) + 1
        items += reassembly.add(one)
        given_out = max([given_out, *(item.offset + item.length for item in items if isinstance(item, Piece | Gap))])
    items += reassembly.finish()

    read: dict[int, tuple[int, int | None]] = {}
    for item in items:
        if isinstance(item, Piece):
            cut = item.length - len(item.octets)
            for k, octet in enumerate([*item.octets, *[None] * cut]):
                read[item.offset + k] = item.packet, octet
    octets(items)
    assert read == first
    spans = [item for item in items if isinstance(item, Difference)]
    told: dict[int, set[int]] = {}
    for item in spans:
        span = range(item.offset, item.offset + item.length)
        assert {span[0], span[-1]} <= differ[item.packet]
        assert all(first[at][0] == item.first_packet for at in span)
        told.setdefault(item.packet, set()).update(differ[item.packet] & set(span))
    assert told == differ
    left_out: dict[int, int] = {}
    for item in items:
        if isinstance(item, LeftOut):
            left_out[item.packet] = left_out.get(item.packet, 0) + item.length
    assert left_out == late


@given(st.permutations(range(12)), st.integers(0, 2**32 - 1))
def test_any_order_is_put_in_order(order: list[int], iss: int) -> None:
    text = b"twelve pieces of four octets are put together..."
    cut = [segment(2 + k, iss + 1 + 4 * k, text[4 * k : 4 * k + 4]) for k in order]
    items = streams(segment(1, iss, flags=SYN), *cut)
    assert octets(items) == text
    assert others(items) == []


# ---------------------------------------------------------------- case by case


def test_what_comes_again_counts_once() -> None:
    items = streams(
        SYN_SENT,
        segment(2, 1_001, b"abc"),
        segment(3, 1_001, b"abc"),
        segment(4, 1_002, b"bcd"),
        segment(5, 1_005, b"e"),
    )
    assert octets(items) == b"abcde"
    assert others(items) == []
    assert [(item.packet, item.octets, item.payload_len) for item in items if isinstance(item, Piece)] == [
        (2, b"abc", 3), (4, b"d", 3), (5, b"e", 1),
    ]  # fmt: skip


def test_the_first_that_was_seen_stays() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"attack"), segment(3, 1_002, b"TtaXkers"))
    assert octets(items) == b"attackers"
    assert others(items) == [Difference(0, 1, 4, 3, 2)]


def test_also_behind_a_gap() -> None:
    items = streams(SYN_SENT, segment(2, 1_004, b"def"), segment(3, 1_004, b"dxf"), segment(4, 1_001, b"abc"))
    assert octets(items) == b"abcdef"
    assert others(items) == [Difference(0, 4, 1, 3, 2)]


def test_a_gap_is_marked_at_the_end() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"ab"), segment(4, 1_006, b"fg"), segment(5, 1_009, b"i"))
    assert octets(items) == b"ab???fg?i"
    assert others(items) == [Gap(0, 2, 3, 2, 4), Gap(0, 7, 1, 4, 5)]


def test_both_sides_wait_at_the_end() -> None:
    """The one whose packet came first goes first."""
    items = streams(
        SYN_SENT, segment(2, 5_000, flags=SYN, side=1), answer(3, 0, b"later", 5_010), segment(4, 1_005, b"d")
    )
    assert [(item.side, item.packet) for item in items if isinstance(item, Piece)] == [(1, 3), (0, 4)]


def test_an_acknowledged_gap_is_given_up_when_the_receiver_speaks() -> None:
    reassembly = Reassembly()
    for one in (SYN_SENT, segment(2, 1_001, b"ab"), segment(4, 1_006, b"fg")):
        items = reassembly.add(one)
    assert items == []
    assert reassembly.add(answer(5, 1_008)) == []
    items = reassembly.add(answer(6, 1_008, b"yes"))
    assert [type(item) for item in items] == [Gap, Piece, LateStart, Piece]
    assert items[0] == Gap(0, 2, 3, 2, 4)
    assert reassembly.add(segment(7, 1_003, b"cde")) == [LeftOut(0, 3, 7, Unused.TOO_LATE)]


def test_a_gap_that_was_not_acknowledged_is_waited_for() -> None:
    items = streams(SYN_SENT, segment(2, 1_004, b"d"), answer(3, 1_001, b"?"), segment(4, 1_001, b"abc"))
    assert octets(items) == b"abcd"


def test_what_the_receiver_has_and_the_capture_has_not() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"ab"), answer(3, 1_013, b"yes"), segment(4, 1_013, b"more"))
    assert octets(items) == b"ab" + b"?" * 10 + b"more"
    assert Gap(0, 2, 10, 2, 3) in items


def test_what_the_receiver_has_of_a_gap() -> None:
    items = streams(SYN_SENT, segment(2, 1_011, b"k"), answer(3, 1_005, b"yes"), segment(4, 1_005, b"efghij"))
    assert octets(items) == b"????efghijk"


def test_an_acknowledged_octet_may_be_a_fin() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"ab"), answer(3, 1_004, b"bye"))
    assert octets(items) == b"ab"


def test_acknowledged_to_the_end() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"ab"), answer(3, 1_103))
    assert others(items) == [Gap(0, 2, 100, 2, 0)]


def test_an_acknowledged_fin_is_no_octet() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"ab", flags=FIN | ACK), answer(3, 1_004, b"bye"))
    assert octets(items) == b"ab"
    assert not any(isinstance(item, Gap) for item in items)


def test_a_fin_behind_what_is_missing() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"ab"), segment(3, 1_004, flags=FIN | ACK))
    assert others(items) == [Gap(0, 2, 1, 2, 0)]


def test_what_comes_after_the_fin() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"ab", flags=FIN | ACK), segment(3, 1_002, b"bcd"))
    assert octets(items) == b"ab"
    assert others(items) == [LeftOut(0, 2, 3, Unused.AFTER_FIN)]


def test_a_fin_among_what_was_sent_is_none() -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"abcdef"), segment(3, 1_003, flags=FIN | ACK), segment(4, 1_007, b"g"))
    assert octets(items) == b"abcdefg"


def test_a_fin_of_a_side_that_was_never_seen() -> None:
    assert streams(segment(1, 77, flags=FIN)) == []


def test_payload_of_a_syn() -> None:
    items = streams(segment(1, ISS, b"fast", flags=SYN), segment(3, 1_001, b"fast open"))
    assert octets(items) == b"fast open"
    assert others(items) == []


def test_a_syn_that_is_sent_again_with_another_number() -> None:
    items = streams(SYN_SENT, segment(2, 7_000, flags=SYN), segment(3, 7_000, flags=SYN), segment(4, 7_001, b"a"))
    assert octets(items) == b"a"
    assert others(items) == []


def test_a_syn_that_is_late() -> None:
    items = streams(segment(2, 1_001, b"ab"), SYN_SENT, segment(3, 1_003, b"c"))
    assert octets(items) == b"abc"
    assert others(items) == [LateStart(0, 2)]


def test_a_beginning_that_was_not_captured() -> None:
    items = streams(segment(7, 1_001, b"cd"), segment(8, 999, b"ab"), segment(9, 1_000, b"bcde"))
    assert octets(items) == b"cde"
    assert others(items) == [
        LateStart(0, 7), LeftOut(0, 2, 8, Unused.BEFORE_START), LeftOut(0, 1, 9, Unused.BEFORE_START),
    ]  # fmt: skip


def test_a_beginning_behind_what_the_receiver_has() -> None:
    """What was acknowledged before the first octet seen is no gap."""
    items = streams(answer(1, 500), segment(2, 1_001, b"ab", flags=PSH | ACK))
    assert others(items) == [LateStart(0, 2)]
    items = streams(answer(1, 1_001), segment(2, 990, b"ab"), segment(3, 992, b"cd"), segment(4, 994, b"efghijk"))
    assert octets(items) == b"abcdefghijk"


def test_a_side_of_which_nothing_was_captured() -> None:
    items = streams(answer(1, 500, b"aa"), answer(2, 700, b"b", 5_002), segment(3, 700, b"c", flags=PSH | ACK))
    assert octets(items) == b"?" * 200 + b"c"
    assert others(items) == [LateStart(1, 1), LateStart(0, 2), Gap(0, 0, 200, 0, 2)]


@pytest.mark.parametrize("flags", [ACK, PSH | ACK])
def test_a_keep_alive_is_no_payload(flags: int) -> None:
    items = streams(SYN_SENT, segment(2, 1_001, b"abc"), segment(3, 1_003, b"\0", flags=flags), segment(4, 1_004, b"d"))
    assert octets(items) == b"abcd"
    assert others(items) == []


def test_a_keep_alive_before_anything_else() -> None:
    assert octets(streams(segment(1, 1_003, b"\0"), segment(2, 1_004, b"abc"))) == b"abc"
    assert octets(streams(answer(1, 1_004), segment(2, 1_003, b"\0"), segment(3, 1_004, b"abc"))) == b"abc"


def test_a_single_octet_may_be_the_first() -> None:
    assert octets(streams(segment(1, 1_003, b"a", flags=PSH | ACK), segment(2, 1_004, b"bc"))) == b"abc"
    assert octets(streams(answer(1, 1_003), segment(2, 1_003, b"a"), segment(3, 1_004, b"bc"))) == b"abc"
    assert octets(streams(segment(1, 1_003, b"a", flags=FIN | ACK))) == b"a"


def test_a_zero_window_probe_counts_once() -> None:
    items = streams(
        SYN_SENT, segment(2, 1_001, b"a"), segment(3, 1_002, b"b"), segment(4, 1_002, b"b"), segment(5, 1_002, b"bcd")
    )
    assert octets(items) == b"abcd"
    assert others(items) == []


def test_a_reset_says_nothing() -> None:
    assert streams(SYN_SENT, segment(2, 1_001, b"because", flags=RST | ACK)) == []


def test_what_is_far_off() -> None:
    items = streams(
        SYN_SENT, segment(2, 1_001, b"a"), segment(3, 1_003 + LARGEST_WINDOW, b"x"), segment(4, 1_002, b"b")
    )
    assert octets(items) == b"ab"
    assert others(items) == [LeftOut(0, 1, 3, Unused.FAR_OFF)]
    assert octets(streams(SYN_SENT, answer(2, 1_003 + LARGEST_WINDOW), segment(3, 1_001, b"a"))) == b"a"


def test_what_was_cut_by_the_capture() -> None:
    items = streams(
        SYN_SENT,
        segment(2, 1_001, b"ab", payload_len=5),
        segment(3, 1_001, b"aXcde"),
        segment(4, 1_006, b"", payload_len=2),
    )
    assert octets(items) == b"ab?????"
    pieces = [item for item in items if isinstance(item, Piece)]
    assert [(one.length, one.octets, one.captured_len, one.payload_len) for one in pieces] == [
        (5, b"ab", 2, 5), (2, b"", 0, 2),
    ]  # fmt: skip
    assert others(items) == [Difference(0, 1, 1, 3, 2)]


def test_what_waits_is_bounded() -> None:
    reassembly = Reassembly(most_waiting=10 * (PIECE_COST + 100))
    reassembly.add(SYN_SENT)
    waiting = [reassembly.add(segment(2 + k, 1_002 + 200 * k, b"x" * 100)) for k in range(11)]
    assert waiting[:10] == [[]] * 10
    gap, piece = waiting[10]
    assert gap == Gap(0, 0, 1, 1, 2)
    assert isinstance(piece, Piece)
    assert piece.packet == 2


def test_what_is_remembered_is_bounded() -> None:
    """What comes again after it was forgotten is not compared, and not given out again."""
    reassembly = Reassembly(remembered=3 * (PIECE_COST + 1))
    reassembly.add(SYN_SENT)
    for k in range(100):
        assert len(reassembly.add(segment(2 + k, 1_001 + k, b"a"))) == 1
    assert len(reassembly._streams[0]._pieces) <= 6
    assert len(reassembly._streams[0]._starts) == len(reassembly._streams[0]._pieces)
    assert reassembly.add(segment(200, 1_001, b"b" * 90)) == []
    *differences, piece = reassembly.add(segment(201, 1_001, b"b" * 101))
    assert {type(item) for item in differences} == {Difference}
    assert isinstance(piece, Piece)
    assert (piece.offset, piece.octets) == (100, b"b")


def test_a_stream_may_be_longer_than_sequence_numbers_are() -> None:
    reassembly = Reassembly(remembered=1)
    reassembly.add(SYN_SENT)
    step = 1 << 29
    for k in range(20):
        (item,) = reassembly.add(segment(2 + k, 1_001 + k * step, b"", payload_len=step))
        assert isinstance(item, Piece)
        assert item.offset == k * step


def test_datagrams_keep_their_boundaries() -> None:
    talk = Datagrams()
    items = [
        item
        for one in (segment(1, 0, b"ab"), segment(2, 0), answer(3, 0, b"c"), segment(4, 0, b"d", payload_len=3))
        for item in talk.add(one)
    ]
    assert [(item.side, item.offset, item.length, item.octets) for item in items if isinstance(item, Piece)] == [
        (0, 0, 2, b"ab"), (0, 2, 0, b""), (1, 0, 1, b"c"), (0, 2, 3, b"d"),
    ]  # fmt: skip
    assert talk.finish() == []


# ---------------------------------------------------------------- what is refused


def reset(packet: int, ack: int = 0, seq: int = 5_000) -> Segment:
    """RST of the server; with ACK where it says what it has."""
    return answer(packet, ack, seq=seq)._replace(flags=RST | (ACK if ack else 0))


OPENED = [SYN_SENT, answer(2, ISS + 1, seq=4_999)._replace(flags=SYN | ACK), segment(3, 1_001, b"one")]


def test_what_rst_answers_is_refused() -> None:
    late = [answer(4, 1_004), segment(5, 1_004, b"two")]
    assert others(streams(*OPENED, *late, reset(6))) == [Refused(0, 3, 3, 5, 6)]
    assert others(streams(*OPENED, *late, reset(6, ack=1_007))) == []
    assert others(streams(*OPENED, *late, reset(6, ack=1_004), reset(7))) == [Refused(0, 3, 3, 5, 6)]


def test_what_comes_after_rst_is_refused() -> None:
    after = [answer(4, 1_004), reset(5), segment(6, 1_004, b"two"), segment(7, 1_007, b"!")]
    assert others(streams(*OPENED, *after)) == [Refused(0, 3, 3, 6, 5), Refused(0, 6, 1, 7, 5)]


def test_rst_that_is_of_no_connection_refuses_nothing() -> None:
    assert others(streams(*OPENED, reset(4, seq=9_000), answer(5, 1_004))) == []


def test_data_of_a_syn_that_is_refused() -> None:
    syn = segment(1, ISS, b"hello", flags=SYN)
    assert others(streams(syn, reset(2, ack=ISS + 1, seq=0))) == [Refused(0, 0, 5, 1, 2)]
