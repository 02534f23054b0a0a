"""The table of states: figure 5 of RFC 9293, every arrow once, every pair of state and input answered."""

from __future__ import annotations

import re

import numpy as np
import pytest

from analyzer.tcp import states
from analyzer.tcp.states import FIGURE_5, FIRST_SEGMENT, RESETS, Input, State, transition_table
from tests.script import check

ARROWS = """
CLOSED        SND_SYN          SYN_SENT
LISTEN        RCV_SYN          SYN_RECEIVED
LISTEN        SND_SYN          SYN_SENT
SYN_RECEIVED  RCV_RST          LISTEN
SYN_SENT      RCV_SYN          SYN_RECEIVED
SYN_RECEIVED  RCV_ACK_OF_SYN   ESTABLISHED
SYN_SENT      RCV_SYN_ACK      ESTABLISHED
SYN_RECEIVED  SND_FIN          FIN_WAIT_1
ESTABLISHED   SND_FIN          FIN_WAIT_1
ESTABLISHED   RCV_FIN          CLOSE_WAIT
FIN_WAIT_1    RCV_FIN          CLOSING
CLOSE_WAIT    SND_FIN          LAST_ACK
FIN_WAIT_1    RCV_ACK_OF_FIN   FIN_WAIT_2
FIN_WAIT_2    RCV_FIN          TIME_WAIT
CLOSING       RCV_ACK_OF_FIN   TIME_WAIT
LAST_ACK      RCV_ACK_OF_FIN   CLOSED
TIME_WAIT     TIMEOUT_2MSL     CLOSED
"""
"""The arrows of figure 5 that a segment or the clock can show."""

# Read from top to bottom: a row is a state, a column an input, a dot leaves the state as it is.
TABLE = """
              SND_SYN   RCV_SYN       RCV_SYN_ACK  RCV_ACK_OF_SYN  SND_FIN     RCV_ACK_OF_FIN  RCV_FIN     SND_RST  RCV_RST  TIMEOUT_2MSL
CLOSED        SYN_SENT  .             .            .               .           .               .           .        .        .
LISTEN        SYN_SENT  SYN_RECEIVED  .            .               .           .               .           .        .        .
SYN_SENT      .         SYN_RECEIVED  ESTABLISHED  .               .           .               .           CLOSED   CLOSED   .
SYN_RECEIVED  .         .             .            ESTABLISHED     FIN_WAIT_1  .               .           CLOSED   LISTEN   .
ESTABLISHED   .         .             .            .               FIN_WAIT_1  .               CLOSE_WAIT  CLOSED   CLOSED   .
FIN_WAIT_1    .         .             .            .               .           FIN_WAIT_2      CLOSING     CLOSED   CLOSED   .
FIN_WAIT_2    .         .             .            .               .           .               TIME_WAIT   CLOSED   CLOSED   .
CLOSE_WAIT    .         .             .            .               LAST_ACK    .               .           CLOSED   CLOSED   .
CLOSING       .         .             .            .               .           TIME_WAIT       .           CLOSED   CLOSED   .
LAST_ACK      .         .             .            .               .           CLOSED          .           CLOSED   CLOSED   .
TIME_WAIT     .         .             .            .               .           .               .           CLOSED   CLOSED   CLOSED
"""  # noqa: E501


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.strip().splitlines()]


def test_the_figure_is_its_seventeen_arrows_in_order() -> None:
    assert [[part.name for part in arrow] for arrow in FIGURE_5] == words(ARROWS)


def test_no_arrow_stands_twice() -> None:
    pairs = [(state, what) for state, what, _ in (*FIGURE_5, *RESETS)]
    assert len(pairs) == len(set(pairs))


def test_the_drawing_has_every_state() -> None:
    drawn = states.__doc__ or ""
    shorter = {"SYN_SENT": "SENT", "SYN_RECEIVED": "RCVD", "ESTABLISHED": "ESTAB", "FIN_WAIT_1": "WAIT-1",
               "FIN_WAIT_2": "FINWAIT-2", "CLOSE_WAIT": "CLOSE"}  # fmt: skip
    for state in State:
        assert re.search(rf"\|\s*{shorter.get(state.name, state.name.replace('_', '-'))}\s*\|", drawn), state


def test_every_state_can_be_reached() -> None:
    reached = {State.CLOSED, State.LISTEN}  # a passive OPEN puts nothing on the wire
    for _ in State:
        reached |= {to for state, _, to in FIGURE_5 if state in reached}
    assert reached == set(State)


def test_every_input_moves_some_state() -> None:
    assert {what for _, what, _ in (*FIGURE_5, *RESETS)} == set(Input)


def test_every_pair_is_answered() -> None:
    (_, *inputs), *rows = [["", *words(TABLE)[0]], *words(TABLE)[1:]]
    assert inputs == [what.name for what in Input]
    assert [row[0] for row in rows] == [state.name for state in State]
    expected = {
        (row[0], what): row[0] if to == "." else to for row in rows for what, to in zip(inputs, row[1:], strict=True)
    }
    table = transition_table()
    assert table.shape == (len(State), len(Input))
    got = {(state.name, what.name): State(int(table[state, what])).name for state in State for what in Input}
    assert got == expected


def test_the_table_is_read_only() -> None:
    table = transition_table()
    with pytest.raises(ValueError, match="read-only"):
        table[State.CLOSED, Input.RCV_FIN] = State.LISTEN
    assert table.dtype == np.uint8


def test_resets_end_every_state_that_can_be_ended() -> None:
    received = {state for state, what, to in RESETS if what == Input.RCV_RST and to == State.CLOSED}
    sent = {state for state, what, to in RESETS if what == Input.SND_RST and to == State.CLOSED}
    assert len(RESETS) == len(received) + len(sent)
    # RFC 9293 3.10.7.2: LISTEN ignores a RST; figure 5, note 1: SYN-RECEIVED returns to LISTEN after a passive OPEN.
    assert set(State) - received == {State.CLOSED, State.LISTEN, State.SYN_RECEIVED}
    # RFC 9293 3.10.5: nobody is there to be told of an ABORT in LISTEN.
    assert set(State) - sent == {State.CLOSED, State.LISTEN}


def test_the_first_segment_tells_the_states_before_it() -> None:
    assert {
        "SYN": (State.CLOSED, State.LISTEN),
        "SYN,ACK": (State.SYN_RECEIVED, State.SYN_SENT),
        "any other": (State.ESTABLISHED, State.ESTABLISHED),
    } == FIRST_SEGMENT


# ---------------------------------------------------------------- every arrow on the wire

OPEN = """
C > S  S 100                | handshake SYN-SENT SYN-RECEIVED
S > C  SA 300 ack 101       | handshake ESTABLISHED SYN-RECEIVED
C > S  A 101 ack 301        | handshake ESTABLISHED ESTABLISHED
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(OPEN, id="CLOSED, LISTEN, SYN-SENT and SYN-RECEIVED to ESTABLISHED"),
        pytest.param(
            """
            C > S  S 100              | handshake SYN-SENT SYN-RECEIVED
            S > C  S 300              | handshake SYN-RECEIVED SYN-RECEIVED
            S > C  SA 300 ack 101     | handshake ESTABLISHED SYN-RECEIVED
            C > S  SA 100 ack 301     | handshake ESTABLISHED ESTABLISHED
            """,
            id="SYN-SENT to SYN-RECEIVED",
        ),
        pytest.param(
            """
            C > S  S 100              | handshake SYN-SENT SYN-RECEIVED
            C > S  R 101              | teardown CLOSED LISTEN
            """,
            id="SYN-RECEIVED to LISTEN",
        ),
        pytest.param(
            """
            C > S  S 100              | handshake SYN-SENT SYN-RECEIVED
            C > S  - 101:106          | data SYN-SENT SYN-RECEIVED
            C > S  R 101              | teardown SYN-SENT LISTEN
            S > C  S 300              | handshake SYN-RECEIVED SYN-SENT
            """,
            id="LISTEN to SYN-SENT",
        ),
        pytest.param(
            """
            C > S  S 100              | handshake SYN-SENT SYN-RECEIVED
            S > C  SA 300 ack 101     | handshake ESTABLISHED SYN-RECEIVED
            S > C  FA 301 ack 101     | teardown CLOSE-WAIT FIN-WAIT-1
            """,
            id="SYN-RECEIVED to FIN-WAIT-1",
        ),
        pytest.param(
            OPEN + """
            S > C  FA 301 ack 101     | teardown CLOSE-WAIT FIN-WAIT-1
            C > S  A 101 ack 302      | teardown CLOSE-WAIT FIN-WAIT-2
            C > S  FA 101 ack 302     | teardown LAST-ACK TIME-WAIT
            S > C  A 302 ack 102      | teardown CLOSED TIME-WAIT
            +240 C > S  A 102 ack 302 | teardown CLOSED CLOSED
            """,
            id="ESTABLISHED to CLOSED, one after the other",
        ),
        pytest.param(
            OPEN + """
            C > S  FA 101 ack 301     | teardown FIN-WAIT-1 CLOSE-WAIT
            S > C  FA 301 ack 102     | teardown TIME-WAIT LAST-ACK
            C > S  A 102 ack 302      | teardown TIME-WAIT CLOSED
            """,
            id="FIN-WAIT-1 by FIN-WAIT-2 to TIME-WAIT in one segment",
        ),
        pytest.param(
            OPEN + """
            C > S  FA 101 ack 301     | teardown FIN-WAIT-1 CLOSE-WAIT
            S > C  FA 301 ack 101     | teardown CLOSING CLOSING
            C > S  A 102 ack 302      | teardown CLOSING TIME-WAIT
            S > C  A 302 ack 102      | teardown TIME-WAIT TIME-WAIT
            """,
            id="FIN-WAIT-1 by CLOSING to TIME-WAIT",
        ),
    ],
)  # fmt: skip
def test_arrows_on_the_wire(text: str) -> None:
    check(text, events=False)
