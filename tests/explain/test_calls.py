"""Socket calls inferred from conversations, each with how sure, and those that were seen."""

from __future__ import annotations

import pytest
from hypothesis import given

from analyzer.explain.calls import Call, Certainty, Kind, inferred, with_seen
from analyzer.explain.writes import end_of_write
from analyzer.pipeline import Lives
from analyzer.tables import ACK, FIN, PSH, Batch, Side
from tests.script import Segment, play
from tests.tcp.conversations import conversations, garbage

MANY = 10**9

OPENED = """
C > S  S 100 mss 1460
S > C  SA 300 ack 101 mss 1460
C > S  A 101 ack 301
"""
OPENING = (
    "1 server socket(); bind(); listen()", "1 client socket(); connect()", "2> client connect succeeds",
)  # fmt: skip
ACCEPTED, ACCEPTED_LIKELY = "3> server accept can return", "3> server accept can return ?"
MARKS = {Certainty.CERTAIN: "", Certainty.LIKELY: " ?", Certainty.POSSIBLE: " ??"}


def calls_of(conversation: str | list[Segment], number: int = 1, most_packets: int = MANY) -> list[Call]:
    story = play(conversation)
    kept = Lives([number], most_packets)
    kept.add(Batch(story.frames, story.packets, story.labels))
    made = story.reconstruction
    life = kept.found()[number]
    return inferred(made.connections[number - 1], made.endpoints[number - 1], life)


def told(conversation: str, most_packets: int = MANY) -> tuple[str, ...]:
    """The calls: packet, ``>`` where the call follows from it, side, words, ``?`` likely, ``??`` possible."""
    return tuple(
        f"{call.packet}{'>' * call.follows} {call.side.name.lower()} {call.told}{MARKS[call.certainty]}"
        for call in calls_of(conversation, most_packets=most_packets)
    )


def after_opening(rest: str, accepted: str = ACCEPTED_LIKELY) -> tuple[str, ...]:
    """The calls after those of the handshake."""
    calls = told(OPENED + rest)
    assert calls[:4] == (*OPENING, accepted)
    return calls[4:]


# ---------------------------------------------------------------- the handshake


def test_a_greeting_proves_that_accept_could_return() -> None:
    assert after_opening("S > C  PA 301:306 ack 101\nC > S  A 101 ack 306", ACCEPTED) == (
        "4 server write 5 bytes ?", "4> client can read 5 bytes",
    )  # fmt: skip


def test_data_in_the_handshake_s_ack_proves_it_too() -> None:
    text = "C > S  S 100\nS > C  SA 300 ack 101\nC > S  PA 101:106 ack 301\nS > C  A 301 ack 106"
    assert told(text)[3:] == (
        "3 client write 5 bytes ?", "3> server accept can return", "3> server can read 5 bytes",
    )  # fmt: skip


def test_a_handshake_that_only_the_ack_ends() -> None:
    assert after_opening("") == ()


def test_a_server_that_ignores_the_ack_accepts_nothing() -> None:
    ignored = OPENED + "C > S  PA 101:106 ack 301\n+1 S > C  SA 300 ack 101"
    assert told(ignored) == (*OPENING[:2], "2> client connect succeeds", "4 client write 5 bytes ?")
    later = f"{ignored}\nC > S  A 106 ack 301\n+1 C > S  PA 101:106 ack 301\nS > C  A 301 ack 106"
    assert told(later)[3:] == (
        "4 client write 5 bytes ?", "6> server accept can return ?", "7> server can read 5 bytes",
    )  # fmt: skip


def test_a_syn_ack_that_came_twice_may_have_arrived_once() -> None:
    assert told("C > S  S 100\nS > C  SA 300 ack 101\n+1 S > C  SA 300 ack 101\nC > S  A 101 ack 301")[2] == (
        "3> client connect succeeds ?"
    )


def test_refused() -> None:
    refused = "client socket(); connect()", "server no socket listens ?", "client connect fails: ECONNREFUSED"
    assert told("C > S  S 100 ts 7 0\nS > C  RA 0 ack 101") == (
        f"1 {refused[0]}", f"2 {refused[1]}", f"2> {refused[2]}",
    )  # fmt: skip


def test_windows_may_try_again() -> None:
    assert told("C > S  S 100\nS > C  RA 0 ack 101")[2] == "2> client connect fails: ECONNREFUSED ?"


def test_no_answer() -> None:
    assert told("C > S  S 100") == ("1 client socket(); connect()",)
    assert told("C > S  S 100\n+1 C > S  S 100\n+2 C > S  S 100") == (
        "1 client socket(); connect()", "3> client connect waits, then ETIMEDOUT ?",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("message", "errno"),
    [
        ("3 0", "ENETUNREACH"), ("3 1", "EHOSTUNREACH"), ("3 2", "ENOPROTOOPT"), ("3 3", "ECONNREFUSED"),
        ("3 13", "EHOSTUNREACH"), ("11 0", "EHOSTUNREACH"),
    ],
)  # fmt: skip
def test_an_icmp_error_ends_connect(message: str, errno: str) -> None:
    undelivered = f"C > S  S 100\nR > C  ICMP {message} 1"
    assert told(undelivered) == ("1 client socket(); connect()", f"1> client connect fails: {errno} ?")
    again = f"{undelivered}\n+1 C > S  S 100"
    assert told(again) == ("1 client socket(); connect()", f"3> client connect waits, then {errno} ?")


def test_an_icmp_error_with_several_errnos_ends_nothing() -> None:
    assert told("C > S  S 100\nR > C  ICMP 3 5 1") == ("1 client socket(); connect()",)


def test_an_icmp_error_about_the_answer_says_nothing_of_connect() -> None:
    calls = told("C > S  S 100\nS > C  SA 300 ack 101\nR > S  ICMP 3 1 2")
    assert not any("fails" in call or "waits" in call for call in calls)


def test_a_server_that_answers_after_all() -> None:
    calls = told("C > S  S 100\nR > C  ICMP 3 1 1\n+1 C > S  S 100\nS > C  SA 300 ack 101\nC > S  A 101 ack 301")
    assert "4> client connect succeeds" in calls
    assert not any("fails" in call or "waits" in call for call in calls)


def test_a_scanner_calls_nothing_for_sure() -> None:
    assert told("C > S  S 100\nS > C  SA 300 ack 101\nC > S  R 101") == (
        "1 server socket(); bind(); listen()", "1 client socket(); connect() ??",
    )  # fmt: skip


def test_a_syn_ack_that_nobody_wants() -> None:
    """The SYN was not captured, or its sender's address was forged."""
    assert told("S > C  SA 300 ack 101\n+1 S > C  SA 300 ack 101") == (
        "1 server socket(); bind(); listen()", "1 client socket(); connect() ??",
    )  # fmt: skip


def test_both_connect_at_once() -> None:
    """RFC 9293 figure 7: nobody listens."""
    text = "C > S  S 100\nS > C  S 300\nC > S  SA 100 ack 301\nS > C  SA 300 ack 101\nC > S  A 101 ack 301"
    calls = told(text)
    assert calls[:2] == ("1 client socket(); connect()", "2 server socket(); connect()")
    assert not any("listen" in call or "accept" in call for call in calls)


def test_fast_open() -> None:
    taken = "C > S  S 100:105\nS > C  SA 300 ack 106\nC > S  A 106 ack 301"
    assert told(taken)[1:] == (
        "1 client socket(); sendto(MSG_FASTOPEN) 5 bytes ?", "1> server can read 5 bytes", ACCEPTED_LIKELY,
    )  # fmt: skip
    left = "C > S  S 100:105\nS > C  SA 300 ack 101\nC > S  PA 101:106 ack 301\nS > C  A 301 ack 106"
    assert [call for call in told(left) if "read" in call or "write" in call] == ["3> server can read 5 bytes"]


def test_a_connection_of_which_the_beginning_is_not_there() -> None:
    assert told("C > S  PA 101:106 ack 301\nS > C  A 301 ack 106") == (
        "1 client write 5 bytes ?", "1> server can read 5 bytes",
    )  # fmt: skip


def test_other_protocols_have_none() -> None:
    assert calls_of("C > S  UDP 5") == []


# ---------------------------------------------------------------- data


def test_a_write_of_several_segments() -> None:
    big = "C > S  A 101:1561 ack 301\nC > S  PA 1561:3021 ack 301\nC > S  PA 3021:3121 ack 301\nS > C  A 301 ack 3121"
    assert after_opening(big) == (
        "4 client write 3,020 bytes ?", "5> server can read 2,920 bytes", "6> server can read 100 bytes",
    )  # fmt: skip


def test_a_pause_ends_a_write_unless_the_window_was_full() -> None:
    full = "C > S  PA 101:1561 ack 301\n+0.3 C > S  PA 1561:3021 ack 301"
    assert [call for call in after_opening(full) if "write" in call] == [
        "4 client write 1,460 bytes ?", "5 client write 1,460 bytes ?",
    ]  # fmt: skip
    waits = """
    C > S  S 100 mss 1460
    S > C  SA 300 ack 101 win 1460 mss 1460
    C > S  A 101 ack 301
    S > C  A 301 ack 101 win 1460
    C > S  PA 101:1561 ack 301
    S > C  A 301 ack 1561 win 0
    +0.3 S > C  A 301 ack 1561 win 1460
    C > S  PA 1561:1661 ack 301
    S > C  A 301 ack 1661
    """
    calls = told(waits)
    assert [call for call in calls if "write" in call] == ["5 client write 1,560 bytes ?"]
    assert [call for call in calls if "read" in call] == [
        "5> server can read 1,460 bytes", "6 server does not read ?", "7 server reads again ?",
        "8> server can read 100 bytes",
    ]  # fmt: skip


SHUT = """
C > S  S 100 mss 65495
S > C  SA 300 ack 101 win 4096 mss 65495
C > S  A 101 ack 301
C > S  A 101:2149 ack 301
S > C  A 301 ack 2149 win 2048
C > S  PA 2149:4101 ack 301
S > C  A 301 ack 4101 win 96
+0.3 C > S  PA 4101:4197 ack 301
S > C  A 301 ack 4197 win 0
"""


def test_where_the_window_is_full_no_write_is_known_to_end() -> None:
    assert [call for call in told(SHUT) if "write" in call] == [
        "4 client write 4,000 bytes ?", "8 client write 96 bytes or more ?",
    ]  # fmt: skip
    more = SHUT + "+1 S > C  A 301 ack 4197 win 4096\nC > S  A 4197:6245 ack 301\nC > S  PA 6245:8101 ack 301"
    assert [call for call in told(more) if "write" in call][1:] == ["8 client write 4,000 bytes ?"]


def test_a_pause_in_a_window_that_is_too_small_is_within_a_write() -> None:
    """A sender waits for room for a segment (RFC 9293 3.8.6.2.1)."""
    small = """
    C > S  S 100 mss 1460
    S > C  SA 300 ack 101 win 6000 mss 1460
    C > S  A 101 ack 301
    C > S  A 101:1561 ack 301
    C > S  A 1561:3021 ack 301
    S > C  A 301 ack 3021 win 300
    +0.5 C > S  PA 3021:3321 ack 301
    S > C  A 301 ack 3321 win 0
    """
    assert [call for call in told(small) if "write" in call] == ["4 client write 3,220 bytes or more ?"]


def test_segments_of_one_length_are_all_full() -> None:
    """The first were cut by half of a window that was smaller then."""
    halves = """
    C > S  S 100 mss 65495 wscale 10
    S > C  SA 300 ack 101 win 65483 mss 65495 wscale 10
    C > S  A 101 ack 301
    C > S  A 101:32842 ack 301
    S > C  A 301 ack 32842 win 93
    C > S  PA 32842:65583 ack 301
    C > S  PA 65583:65637 ack 301
    S > C  A 301 ack 65637 win 93
    """
    assert [call for call in told(halves) if "write" in call] == ["4 client write 65,536 bytes ?"]


def test_nothing_can_be_read_of_what_is_not_known_to_have_arrived() -> None:
    lost = "C > S  PA 101:106 ack 301\n+1 C > S  PA 101:106 ack 301\n+2 C > S  PA 101:106 ack 301"
    assert after_opening(lost) == ("4 client write 5 bytes ?",)
    crossed = "C > S  PA 101:106 ack 301\nS > C  PA 301:306 ack 101\nC > S  A 106 ack 306"
    assert "4> server can read 5 bytes ?" in after_opening(crossed)
    again = "C > S  PA 101:106 ack 301\nS > C  PA 301:306 ack 101\n+1 C > S  PA 101:106 ack 306"
    assert not any("server can read" in call for call in after_opening(again))
    gone = "C > S  PA 101:106 ack 301\nS > C  RA 301 ack 101\nC > S  PA 106:111 ack 301"
    assert not any("can read" in call for call in after_opening(gone))


def test_the_other_side_s_turn_ends_a_write() -> None:
    turns = "C > S  PA 101:1561 ack 301\nS > C  PA 301:303 ack 1561\nC > S  PA 1561:1571 ack 303"
    assert [call for call in after_opening(turns) if "write" in call] == [
        "4 client write 1,460 bytes ?", "5 server write 2 bytes ?", "6 client write 10 bytes ?",
    ]  # fmt: skip


def test_the_kernel_sends_again_and_nobody_writes() -> None:
    again = "C > S  PA 101:106 ack 301\n+1 C > S  PA 101:106 ack 301\nS > C  A 301 ack 106"
    assert after_opening(again) == ("4 client write 5 bytes ?", "4> server can read 5 bytes ?")


def test_what_came_after_a_gap_is_not_sure_to_be_there() -> None:
    gap = """
    C > S  PA 101:111 ack 301
    C > S  PA 111:121 ack 301
    C > S  PA 121:131 ack 301
    S > C  A 301 ack 111
    +0.5 C > S  PA 111:121 ack 301
    S > C  A 301 ack 131
    """
    assert [call for call in after_opening(gap) if "read" in call] == [
        "4> server can read 10 bytes", "5> server can read 10 bytes ?", "6> server can read 10 bytes ?",
    ]  # fmt: skip


def test_what_comes_out_of_order_can_be_read_when_the_gap_is_filled() -> None:
    swapped = "C > S  PA 111:121 ack 301\nC > S  PA 101:111 ack 301\nS > C  A 301 ack 121"
    assert [call for call in after_opening(swapped) if "read" in call] == ["5> server can read 20 bytes"]


def test_copies_of_the_capture_are_no_calls() -> None:
    twice = "C > S  PA 101:106 ack 301 id 7\n+0 C > S  PA 101:106 ack 301 id 7\nS > C  A 301 ack 106"
    assert after_opening(twice) == ("4 client write 5 bytes ?", "4> server can read 5 bytes")


def test_numbers_that_wrap_around() -> None:
    text = """
    C > S  S 4294967290 mss 1460
    S > C  SA 4294967295 ack 4294967291 mss 1460
    C > S  A 4294967291 ack 0
    C > S  PA 4294967291:4294967301 ack 0
    S > C  A 0 ack 5
    C > S  F 5 ack 0
    """
    assert {"4 client write 10 bytes ?", "4> server can read 10 bytes"} <= set(told(text))


def test_nothing_is_told_of_packets_left_out() -> None:
    some = "\n".join(f"C > S  PA {101 + 10 * i}:{111 + 10 * i} ack 301" for i in range(40))
    calls = told(OPENED + some, most_packets=10)
    assert [call for call in calls if "write" in call] == [
        "4 client write 10 bytes ?", "5 client write 10 bytes ?",
        *(f"{number} client write 10 bytes ?" for number in range(39, 44)),
    ]  # fmt: skip
    assert all("10 bytes" in call for call in calls if "can read" in call)


# ---------------------------------------------------------------- the end


def test_either_close() -> None:
    end = "C > S  FA 101 ack 301\nS > C  A 301 ack 102\nS > C  FA 301 ack 102\nC > S  A 102 ack 302"
    assert after_opening(end, ACCEPTED) == (
        "4 client close() or shutdown()", "4> server read can return 0", "6 server close() ?",
    )  # fmt: skip


def test_data_taken_after_a_fin_proves_shutdown() -> None:
    half = """
    C > S  FA 101 ack 301
    S > C  A 301 ack 102
    S > C  PA 301:303 ack 102
    C > S  A 102 ack 303
    S > C  FA 303 ack 102
    C > S  A 102 ack 304
    """
    assert after_opening(half, ACCEPTED) == (
        "4 client shutdown(SHUT_WR)", "4> server read can return 0", "6 server write 2 bytes ?",
        "6> client can read 2 bytes", "8 server close() ?", "8> client read can return 0",
    )  # fmt: skip


def test_data_reset_after_a_fin_proves_that_it_was_closed_by_then() -> None:
    late = "S > C  FA 301 ack 101\nC > S  PA 101:110 ack 302\nS > C  R 302"
    assert after_opening(late, ACCEPTED) == (
        "4 server close() or shutdown()", "4> client read can return 0", "5 client write 9 bytes ?",
        "6 server closed entirely by now ?", "6> client next write fails: EPIPE ?",
    )  # fmt: skip


def test_closed_with_data_unread_after_shutdown() -> None:
    """The RST acknowledges the data: the socket was still there."""
    text = """
    C > S  FA 101 ack 301
    S > C  PA 301:303 ack 102
    C > S  RA 102 ack 303
    """
    assert after_opening(text, ACCEPTED)[0] == "4 client close() or shutdown()"


def test_a_reset_after_data_that_was_taken() -> None:
    text = """
    C > S  FA 101 ack 301
    S > C  PA 301:303 ack 102
    C > S  A 102 ack 303
    S > C  PA 303:305 ack 102
    C > S  R 102
    """
    assert after_opening(text, ACCEPTED)[0] == "4 client shutdown(SHUT_WR)"


def test_data_that_only_the_capture_has_after_the_fin() -> None:
    """The FIN acknowledges it, so it came before."""
    text = """
    C > S  FA 101 ack 303
    S > C  PA 301:303 ack 101
    S > C  A 303 ack 102
    C > S  A 102 ack 303
    """
    assert next(call for call in after_opening(text, ACCEPTED) if "4 " in call) == "4 client close() or shutdown()"


def test_a_program_that_left_its_data_to_the_kernel_may_have_closed() -> None:
    text = """
    S > C  A 301:1761 ack 101
    S > C  A 1761:3221 ack 101
    C > S  FA 101 ack 1761
    S > C  A 3221:4681 ack 102
    S > C  FPA 4681:4700 ack 102
    """
    assert "6> server read can return 0 ?" in told(OPENED + text)


def test_both_close_at_once() -> None:
    cross = "C > S  FA 101 ack 301\nS > C  FA 301 ack 101\nC > S  A 102 ack 302\nS > C  A 302 ack 102"
    assert [call for call in after_opening(cross, ACCEPTED) if "close" in call] == [
        "4 client close() or shutdown()", "5 server close() or shutdown()",
    ]  # fmt: skip


def test_a_fin_that_nobody_acknowledged() -> None:
    assert after_opening("C > S  FA 101 ack 301\n+1 C > S  FA 101 ack 301") == (
        "4 client close() or shutdown()", "4> server read can return 0 ?",
    )  # fmt: skip


def test_abort() -> None:
    fails = "client next call fails: ECONNRESET ?"
    read = "C > S  PA 101:106 ack 301\nS > C  PA 301:306 ack 106\nS > C  RA 306 ack 106"
    assert after_opening(read)[-2:] == (
        "6 server close() with data unread or SO_LINGER 0 ?", f"6> {fails}",
    )  # fmt: skip
    spoke = "S > C  PA 301:306 ack 101\nS > C  RA 306 ack 101"
    assert after_opening(spoke, ACCEPTED)[-2:] == ("5 server close() with SO_LINGER 0 ?", f"5> {fails}")


def test_a_server_that_never_spoke_may_not_have_accepted() -> None:
    fails = "client next call fails: ECONNRESET ?"
    unread = "C > S  PA 101:106 ack 301\nS > C  A 301 ack 106\nS > C  RA 301 ack 106"
    assert after_opening(unread)[2:] == (
        "6 server close() with data unread or SO_LINGER 0, or the listener was closed ?", f"6> {fails}",
    )  # fmt: skip
    assert after_opening("S > C  RA 301 ack 101") == (
        "4 server close() with SO_LINGER 0, or the listener was closed ?", f"4> {fails}",
    )  # fmt: skip
    assert after_opening("C > S  RA 101 ack 301") == (
        "4 client close() with SO_LINGER 0 ?", "4> server next call fails: ECONNRESET ?",
    )  # fmt: skip


def test_a_reset_that_nobody_obeys_is_no_call_s_failure() -> None:
    assert not any("ECONNRESET" in call for call in told(OPENED + "S > C  R 900000"))


def test_keep_alive() -> None:
    probes = """
    C > S  PA 101:106 ack 301
    S > C  A 301 ack 106
    +60 C > S  A 105 ack 301
    S > C  A 301 ack 106
    +60 C > S  A 105 ack 301
    +1 C > S  A 105 ack 301
    +1 C > S  RA 106 ack 301
    """
    assert after_opening(probes)[2:] == (
        "6 client SO_KEEPALIVE set ?", "10 client read fails: ETIMEDOUT ?",
    )  # fmt: skip


def test_the_probe_of_a_zero_window_is_no_keep_alive() -> None:
    probe = "C > S  PA 101:106 ack 301\nS > C  A 301 ack 106 win 0\n+1 C > S  A 105 ack 301\nS > C  A 301 ack 106 win 0"
    assert not any("KEEPALIVE" in call for call in told(OPENED + probe))


# ---------------------------------------------------------------- all of them


@given(conversations())
def test_every_conversation(conversation: list[Segment]) -> None:
    check_all(conversation)


@given(garbage())
def test_every_garbage(conversation: list[Segment]) -> None:
    check_all(conversation)


def check_all(conversation: list[Segment]) -> None:
    story = play(conversation)
    made = story.reconstruction
    numbers = range(1, made.count + 1)
    for most_packets in (MANY, 6):
        kept = Lives(numbers, most_packets)
        kept.add(Batch(story.frames, story.packets, story.labels))
        for number, life in kept.found().items():
            calls = inferred(made.connections[number - 1], made.endpoints[number - 1], life)
            packets = set(life.number.tolist())
            assert [call.packet for call in calls] == sorted(call.packet for call in calls)
            for call in calls:
                assert call.packet in packets
                assert call.certainty in MARKS
                assert (call.octets > 0) == (call.kind in (Kind.WRITE, Kind.READ, Kind.FAST_OPEN))


def test_calls_seen_replace_those_of_their_side() -> None:
    calls = calls_of(OPENED)
    seen = Call(0, Side.SERVER, "accept(3)", True, Certainty.SEEN, ts_ns=1, result="= 4", process="php (1)")
    both = with_seen(calls, [seen])
    assert [call.told for call in both] == ["socket(); connect()", "connect succeeds", "accept(3)"]
    assert with_seen(calls, []) == calls


@pytest.mark.parametrize(
    ("flags", "payload_len", "mss", "max_window", "why"),
    [
        (PSH | ACK, 5, 1460, 0, "PSH"),
        (PSH | ACK, 5, 0, 0, "PSH"),
        (PSH | ACK, 1460, 1460, 65536, ""),
        (PSH | ACK, 1448, 1460, 65536, ""),
        (PSH | ACK, 2 * 1448, 1460, 65536, ""),
        (PSH | ACK, 2 * 1448 + 9, 1460, 65536, "PSH"),
        (FIN | PSH | ACK, 1460, 1460, 65536, "FIN"),
        (ACK, 5, 1460, 65536, "short"),
        (ACK, 1448, 1460, 65536, ""),
        (ACK, 576, 65495, 1152, ""),
        (ACK, 576, 0, 0, ""),
    ],
)
def test_where_a_write_ends(flags: int, payload_len: int, mss: int, max_window: int, why: str) -> None:
    assert end_of_write(flags, payload_len, mss, max_window) == why
