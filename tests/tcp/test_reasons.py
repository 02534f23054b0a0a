"""What packets leave behind in the rows for explain/why.py."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.tables import CONNECTION
from analyzer.traces import (
    MOST_32,
    NOT_PLAIN,
    RST_ACKS,
    RST_AT_ACK,
    RST_ID,
    RST_TTL,
    RST_UNANSWERED,
    RST_WINDOW,
    SHORT_NS,
    TRIED_AGAIN,
    TRIED_KEEP_ALIVE,
    TRIED_WINDOW,
    Unreachable,
    packet_ahead,
    packet_at,
)
from tests.script import play

HANDSHAKE = """
    C > S  S 100 mss 1460
    S > C  SA 100 ack 101 mss 1460
    C > S  A 101 ack 101
"""
BARE = "C > S S 100\nS > C SA 100 ack 101\nC > S A 101 ack 101\n"

CLIENT = {
    "RST with ACK": (
        HANDSHAKE + "C > S RA 101 ack 101", {"reset_traits": RST_ACKS | RST_WINDOW | RST_AT_ACK, "reset_ttl": 64},
    ),
    "RST without": (HANDSHAKE + "C > S R 7 win 0", {"reset_traits": 0}),
    "the first RST counts": (
        HANDSHAKE + "C > S R 7 win 0\n+9 C > S RA 101 ack 101", {"reset_traits": 0, "reset_idle_s": 0},
    ),
    "RST after silence": (HANDSHAKE + "+61.5 C > S R 7 win 0", {"reset_idle_s": 61}),
    "RST from elsewhere": (
        HANDSHAKE + "C > S PA 101:102 ack 101 id 5\nC > S PA 102:103 ack 101 id 6\nC > S R 7 win 0 ttl 63 id 50000",
        {"reset_traits": RST_TTL | RST_ID, "reset_ttl": 63, "ttl": 64},
    ),
    "RST though the peer spoke last": (
        HANDSHAKE + "S > C PA 101:102 ack 101\nC > S R 7 win 0", {"reset_traits": RST_UNANSWERED},
    ),
    "RST at first": ("C > S R 7 win 0", {"reset_traits": 0}),
    "sent again": (
        HANDSHAKE + "C > S PA 101:111 ack 101\n+1 C > S PA 101:111 ack 101", {"tries": 1, "tried": TRIED_AGAIN},
    ),
    "answered": (
        HANDSHAKE + "C > S PA 101:111 ack 101\n+1 C > S PA 101:111 ack 101\nS > C A 101 ack 111", {"tries": 0},
    ),
    "a RST is no answer": (
        HANDSHAKE + "C > S PA 101:111 ack 101\n+1 C > S PA 101:111 ack 101\nS > C R 101 win 0", {"tries": 1},
    ),
    "keep-alive": (HANDSHAKE + "+9 C > S A 100 ack 101", {"tries": 1, "tried": TRIED_KEEP_ALIVE}),
    "window probe": (
        HANDSHAKE + "S > C A 101 ack 101 win 0\n+1 C > S A 101:102 ack 101", {"tries": 1, "tried": TRIED_WINDOW},
    ),
    "a zero window that opens": (
        HANDSHAKE + "C > S A 101 ack 101 win 0\n+1 C > S A 101 ack 101 win 0\n+1 C > S A 101 ack 101 win 9",
        {"stalled": 2_000_000_000 // SHORT_NS, "stalled_from": 0, "stalled_packet": 4},
    ),
    "a zero window to the end": (
        HANDSHAKE + "C > S A 101 ack 101 win 0", {"stalled": 0, "stalled_from": 3_000_000 // SHORT_NS + 1},
    ),
    "a zero window twice": (
        HANDSHAKE + "C > S A 101 ack 101 win 0\n+1 C > S A 101 ack 101 win 9\n"
        "C > S A 101 ack 101 win 0\n+2 C > S RA 101 ack 101 win 0",
        {"stalled_longest": 2_000_000_000 // SHORT_NS, "stalled_from": 0, "stalled_packet": 4},
    ),
    "a FIN while the window is zero": (
        HANDSHAKE + "C > S A 101 ack 101 win 0\n+1 C > S FA 101 ack 101 win 0",
        {"stalled": 0, "stalled_from": 3_000_000 // SHORT_NS + 1},
    ),
    "held back": (
        HANDSHAKE + "C > S PA 101:111 ack 101\n+0.04 S > C A 101 ack 111\n+0.0001 C > S PA 111:121 ack 101",
        {"nagle_waits": 1, "last_len": 10},
    ),
    "held back, no MSS known": (
        BARE + "C > S PA 101:111 ack 101\n+0.04 S > C A 101 ack 111\n+0.0001 C > S PA 111:121 ack 101",
        {"nagle_waits": 1},
    ),
    "too large to be held back": (
        HANDSHAKE + "C > S PA 101:111 ack 101\n+0.04 S > C A 101 ack 111\n+0.0001 C > S PA 111:1571 ack 101",
        {"nagle_waits": 0, "last_len": 1_460},
    ),
    "last a SYN": ("C > S S 100", {"last_len": NOT_PLAIN}),
}  # fmt: skip


@pytest.mark.parametrize("name", CLIENT)
def test_the_client(name: str) -> None:
    text, expected = CLIENT[name]
    client = play(text).reconstruction.endpoints[0, 0]
    assert {column: int(client[column]) for column in expected} == pytest.approx(expected, abs=1)


def test_one_side_counts_what_was_held_back() -> None:
    """The time of both could not be told apart."""
    text = (
        HANDSHAKE + "C > S PA 101:111 ack 101\n+0.04 S > C A 101 ack 111\n+0.0001 C > S PA 111:121 ack 101\n"
        "S > C PA 101:111 ack 121\n+0.04 C > S A 121 ack 111\n+0.0001 S > C PA 111:121 ack 121\n"
        "C > S PA 121:131 ack 121\n+0.04 S > C A 121 ack 131\n+0.0001 C > S PA 131:141 ack 121\n"
    )
    reconstruction = play(text).reconstruction
    assert reconstruction.endpoints["nagle_waits"][0].tolist() == [2, 0]
    assert int(reconstruction.connections[0]["nagle_packet"]) == 6
    assert int(reconstruction.connections[0]["nagle_time"]) * SHORT_NS == pytest.approx(80_200_000, abs=2 * SHORT_NS)


def test_syn_acks_after_the_ack() -> None:
    text = HANDSHAKE + "C > S PA 101:111 ack 101\n+1 S > C SA 100 ack 101\n+2 S > C SA 100 ack 101"
    assert int(play(text).reconstruction.endpoints[0, 1]["ignored_acks"]) == 2
    before = "C > S S 100\nS > C SA 100 ack 101\n+1 S > C SA 100 ack 101\n+1 C > S S 100"
    assert play(before).reconstruction.endpoints["ignored_acks"][0].tolist() == [0, 0]


def test_what_a_rst_came_after() -> None:
    text = HANDSHAKE + "S > C PA 101:111 ack 101\nC > S R 101 win 0\nS > C R 111 win 0"
    assert int(play(text).reconstruction.connections[0]["answered_packet"]) == 4
    unasked = HANDSHAKE + "S > C PA 101:111 ack 101\nC > S A 101 ack 111\nC > S R 101 win 0"
    assert int(play(unasked).reconstruction.connections[0]["answered_packet"]) == 0


def test_icmp_errors() -> None:
    def noted(text: str) -> tuple[int, int, int]:
        connection = play(text).reconstruction.connections[0]
        return tuple(int(connection[name]) for name in ("unreachable", "unreachable_side", "unreachable_packet"))  # type: ignore[return-value]

    assert noted("C > S S 100\nR > C ICMP 3 13 1\nR > C ICMP 3 1 1") == (Unreachable.PROHIBITED, 0, 2)
    assert noted(HANDSHAKE + "S > C PA 101:111 ack 101\nR > S ICMP 3 1 4") == (Unreachable.HOST, 1, 5)
    assert noted("C > S S 100\nC > S S 99\nR > C ICMP 3 13 2\nR > C ICMP 3 13 2")[0] == 0
    assert noted("C > S S 100\nA > S S 100\nR > A ICMP 3 13 2")[0] == 0
    assert noted("C > S S 100\nC > S R 9999\nR > C ICMP 3 13 2")[0] == 0  # not of what is on its way
    assert noted("C > S UDP 9\nS > C ICMP 3 3 1")[0] & 15 == Unreachable.PORT


def test_numbers_in_32_bits() -> None:
    connection = np.zeros(1, CONNECTION)[0]
    connection["first_packet"] = 10
    assert [packet_ahead(connection, number) for number in (10, 12, 9, 10 + MOST_32)] == [1, 3, 0, 0]
    assert [packet_at(connection, ahead) for ahead in (0, 1, 3)] == [0, 10, 12]
