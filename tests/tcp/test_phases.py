"""The three phases, packet by packet."""

from __future__ import annotations

import pytest

from analyzer.tables import Phase
from tests.script import check, play

OPEN = """
C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
"""

CASES = {
    "request, response, close": OPEN + """
        C > S  PA 101:106 ack 301    | data ESTABLISHED ESTABLISHED
        S > C  A 301 ack 106         | data ESTABLISHED ESTABLISHED
        S > C  FPA 301:303 ack 106   | teardown CLOSE-WAIT FIN-WAIT-1
        C > S  A 106 ack 304         | teardown CLOSE-WAIT FIN-WAIT-2
        C > S  FA 106 ack 304        | teardown LAST-ACK TIME-WAIT
        S > C  A 304 ack 107         | teardown CLOSED TIME-WAIT
    """,
    "the handshake's repetitions belong to it": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
        S > C  SA 300 ack 101        | handshake ESTABLISHED ESTABLISHED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
    """,
    "the ACK that ends it may bring data": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  PA 101:106 ack 301    | data ESTABLISHED ESTABLISHED
    """,
    "the ACK of a SYN,ACK that was not captured": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
    """,
    "after a FIN the other side may still send data": OPEN + """
        C > S  FA 101 ack 301        | teardown FIN-WAIT-1 CLOSE-WAIT
        S > C  A 301 ack 102         | teardown FIN-WAIT-2 CLOSE-WAIT
        S > C  PA 301:306 ack 102    | data FIN-WAIT-2 CLOSE-WAIT
        C > S  A 102 ack 306         | data FIN-WAIT-2 CLOSE-WAIT
        S > C  PA 306:309 ack 102    | data FIN-WAIT-2 CLOSE-WAIT
        S > C  FA 309 ack 102        | teardown TIME-WAIT LAST-ACK
        C > S  A 102 ack 309         | data TIME-WAIT LAST-ACK
        C > S  A 102 ack 310         | teardown TIME-WAIT CLOSED
    """,
    "payload that comes again after one's own FIN": OPEN + """
        C > S  PA 101:106 ack 301    | data ESTABLISHED ESTABLISHED
        C > S  FA 106 ack 301        | teardown FIN-WAIT-1 CLOSE-WAIT
        C > S  PA 101:106 ack 301    | teardown FIN-WAIT-1 CLOSE-WAIT
    """,
    "what comes after a RST": OPEN + """
        S > C  R 301                 | teardown CLOSED CLOSED
        C > S  PA 101:106 ack 301    | teardown CLOSED CLOSED
        S > C  R 301                 | teardown CLOSED CLOSED
    """,
    "what comes after a RST, with a SYN,ACK between": OPEN + """
        C > S  R 101                 | teardown CLOSED CLOSED
        S > C  SA 300 ack 101        | handshake CLOSED CLOSED
        C > S  PA 101:106 ack 301    | teardown CLOSED CLOSED
    """,
    "the field of an ACK counts with the ACK bit alone": OPEN + """
        C > S  FA 101 ack 301        | teardown FIN-WAIT-1 CLOSE-WAIT
        S > C  PA 301:306 ack 102    | data FIN-WAIT-2 CLOSE-WAIT
        S > C  FA 306 ack 102        | teardown TIME-WAIT LAST-ACK
        C > S  - 102 ack 307         | data TIME-WAIT LAST-ACK
        C > S  A 102 ack 307         | teardown TIME-WAIT CLOSED
    """,
    "a keep-alive of an idle connection is data, not handshake": OPEN + """
        C > S  PA 101:106 ack 301    | data ESTABLISHED ESTABLISHED
        S > C  A 301 ack 106         | data ESTABLISHED ESTABLISHED
        +75 C > S  A 105 ack 301     | data ESTABLISHED ESTABLISHED
        S > C  A 301 ack 106         | data ESTABLISHED ESTABLISHED
    """,
}  # fmt: skip


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_case(text: str) -> None:
    check(text, events=False)


def test_phases_have_their_packets_and_times() -> None:
    made = play(CASES["request, response, close"])
    row = made.reconstruction.connections[0]
    times = made.frames.ts_ns
    assert row["phase_packets"].tolist() == [0, 3, 2, 4]
    assert row["phase_first_ns"].tolist()[1:] == [times[0], times[3], times[5]]
    assert row["phase_last_ns"].tolist()[1:] == [times[2], times[4], times[8]]
    assert row["phase"] == Phase.TEARDOWN


def test_the_handshakes_round_trip() -> None:
    def rtt(text: str) -> int:
        return int(play(text).reconstruction.connections[0]["handshake_rtt_ns"])

    assert rtt("C > S S 1\n+0.1 S > C SA 7 ack 2\n+0.02 C > S A 2 ack 8\n+1 C > S A 2 ack 8") == 120_000_000
    assert rtt("C > S S 1\n+3 C > S S 1\n+0.1 S > C SA 7 ack 2\n+0.02 C > S A 2 ack 8") == 120_000_000
    assert rtt("C > S S 1\n+0.1 S > C SA 7 ack 2\n+0.02 C > S PA 2:5 ack 8") == 120_000_000
    assert rtt("C > S S 1\n+0.1 S > C SA 7 ack 2") == -1
    assert rtt("S > C SA 7 ack 2\nC > S A 2 ack 8") == -1
    assert rtt("C > S S 1\nC > S A 2 ack 8") == -1
