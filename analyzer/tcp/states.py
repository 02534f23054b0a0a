"""TCP's connection states and what moves them: figure 5 of RFC 9293 as data.

                                +---------+ ---------\\      active OPEN
                                |  CLOSED |            \\    -----------
                                +---------+<---------\\   \\   create TCB
                                  |     ^              \\   \\  snd SYN
                     passive OPEN |     |   CLOSE        \\   \\
                     ------------ |     | ----------       \\   \\
                      create TCB  |     | delete TCB         \\   \\
                                  V     |                      \\   \\
              rcv RST (note 1)  +---------+            CLOSE    |    \\
           -------------------->|  LISTEN |          ---------- |     |
          /                     +---------+          delete TCB |     |
         /           rcv SYN      |     |     SEND              |     |
        /           -----------   |     |    -------            |     V
    +--------+      snd SYN,ACK  /       \\   snd SYN          +--------+
    |        |<-----------------           ------------------>|        |
    |  SYN   |                    rcv SYN                     |  SYN   |
    |  RCVD  |<-----------------------------------------------|  SENT  |
    |        |                  snd SYN,ACK                   |        |
    |        |------------------           -------------------|        |
    +--------+   rcv ACK of SYN  \\       /  rcv SYN,ACK       +--------+
       |         --------------   |     |   -----------
       |                x         |     |     snd ACK
       |                          V     V
       |  CLOSE                 +---------+
       | -------                |  ESTAB  |
       | snd FIN                +---------+
       |                 CLOSE    |     |    rcv FIN
       V                -------   |     |    -------
    +---------+         snd FIN  /       \\   snd ACK         +---------+
    |  FIN    |<----------------          ------------------>|  CLOSE  |
    | WAIT-1  |------------------                            |   WAIT  |
    +---------+          rcv FIN  \\                          +---------+
      | rcv ACK of FIN   -------   |                          CLOSE  |
      | --------------   snd ACK   |                         ------- |
      V        x                   V                         snd FIN V
    +---------+               +---------+                    +---------+
    |FINWAIT-2|               | CLOSING |                    | LAST-ACK|
    +---------+               +---------+                    +---------+
      |              rcv ACK of FIN |                 rcv ACK of FIN |
      |  rcv FIN     -------------- |    Timeout=2MSL -------------- |
      |  -------            x       V    ------------        x       V
       \\ snd ACK              +---------+delete TCB          +---------+
         -------------------->|TIME-WAIT|------------------->| CLOSED  |
                              +---------+                    +---------+

Of its 20 arrows three (passive OPEN, CLOSE in LISTEN, CLOSE in SYN-SENT) put nothing on the wire. The other 17 are
``FIGURE_5``. ``RESETS`` is what the figure's note 3 leaves out, ``FIRST_SEGMENT`` what an observer has to assume when
the start was not captured. A pair (state, input) that stands in none of them leaves the state as it is.

Each endpoint has its own state. A segment is one endpoint's ``snd`` and the other's ``rcv``; it is broken into inputs
in the order of RFC 9293 3.10.7.4: RST, SYN, ACK, FIN. So FIN-WAIT-1 goes to TIME-WAIT on a FIN that acknowledges its
own, by FIN-WAIT-2, and needs no row for it. The guards that run before the table are in endpoint.py.

Deviates: an endpoint that aborts goes to CLOSED (RFC 9293 3.10.5), not to TIME-WAIT as the figure's note 3 has it.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from analyzer.tables import U8


class State(IntEnum):
    """The states in the order of RFC 9293 3.3.2, after CLOSED, which is none."""

    CLOSED = 0
    LISTEN = 1
    SYN_SENT = 2
    SYN_RECEIVED = 3
    ESTABLISHED = 4
    FIN_WAIT_1 = 5
    FIN_WAIT_2 = 6
    CLOSE_WAIT = 7
    CLOSING = 8
    LAST_ACK = 9
    TIME_WAIT = 10


class Input(IntEnum):
    """What an endpoint can be seen to send or receive, as far as states care."""

    SND_SYN = 0
    RCV_SYN = 1
    RCV_SYN_ACK = 2
    RCV_ACK_OF_SYN = 3
    SND_FIN = 4
    RCV_ACK_OF_FIN = 5
    RCV_FIN = 6
    SND_RST = 7
    RCV_RST = 8
    TIMEOUT_2MSL = 9


class Opened(IntEnum):
    """How an endpoint left CLOSED: note 1 of the figure asks for it."""

    UNKNOWN = 0
    ACTIVE = 1
    PASSIVE = 2


S, I = State, Input  # noqa: E741

FIGURE_5 = (
    # from            input               to               label in RFC 9293 figure 5
    (S.CLOSED,        I.SND_SYN,          S.SYN_SENT),      # active OPEN / create TCB, snd SYN
    (S.LISTEN,        I.RCV_SYN,          S.SYN_RECEIVED),  # rcv SYN / snd SYN,ACK
    (S.LISTEN,        I.SND_SYN,          S.SYN_SENT),      # SEND / snd SYN
    (S.SYN_RECEIVED,  I.RCV_RST,          S.LISTEN),        # rcv RST (note 1: after a passive OPEN)
    (S.SYN_SENT,      I.RCV_SYN,          S.SYN_RECEIVED),  # rcv SYN / snd SYN,ACK
    (S.SYN_RECEIVED,  I.RCV_ACK_OF_SYN,   S.ESTABLISHED),   # rcv ACK of SYN / x
    (S.SYN_SENT,      I.RCV_SYN_ACK,      S.ESTABLISHED),   # rcv SYN,ACK / snd ACK
    (S.SYN_RECEIVED,  I.SND_FIN,          S.FIN_WAIT_1),    # CLOSE / snd FIN
    (S.ESTABLISHED,   I.SND_FIN,          S.FIN_WAIT_1),    # CLOSE / snd FIN
    (S.ESTABLISHED,   I.RCV_FIN,          S.CLOSE_WAIT),    # rcv FIN / snd ACK
    (S.FIN_WAIT_1,    I.RCV_FIN,          S.CLOSING),       # rcv FIN / snd ACK
    (S.CLOSE_WAIT,    I.SND_FIN,          S.LAST_ACK),      # CLOSE / snd FIN
    (S.FIN_WAIT_1,    I.RCV_ACK_OF_FIN,   S.FIN_WAIT_2),    # rcv ACK of FIN / x
    (S.FIN_WAIT_2,    I.RCV_FIN,          S.TIME_WAIT),     # rcv FIN / snd ACK
    (S.CLOSING,       I.RCV_ACK_OF_FIN,   S.TIME_WAIT),     # rcv ACK of FIN / x
    (S.LAST_ACK,      I.RCV_ACK_OF_FIN,   S.CLOSED),        # rcv ACK of FIN / x
    (S.TIME_WAIT,     I.TIMEOUT_2MSL,     S.CLOSED),        # Timeout=2MSL / delete TCB
)  # fmt: skip

RESETS = (
    # An accepted RST ends every state but LISTEN (3.10.7.2) and, after a passive OPEN, SYN-RECEIVED (figure 5).
    *((state, I.RCV_RST, S.CLOSED) for state in S if state not in (S.CLOSED, S.LISTEN, S.SYN_RECEIVED)),
    # ABORT in every state but CLOSED and LISTEN sends RST or could (3.10.5).
    *((state, I.SND_RST, S.CLOSED) for state in S if state not in (S.CLOSED, S.LISTEN)),
)

ANY_OTHER = "any other"

FIRST_SEGMENT = {
    # first segment seen: (its sender's state before it, its receiver's)
    "SYN": (S.CLOSED, S.LISTEN),
    "SYN,ACK": (S.SYN_RECEIVED, S.SYN_SENT),
    ANY_OTHER: (S.ESTABLISHED, S.ESTABLISHED),
}


def transition_table() -> U8:
    """The tables above as uint8[states, inputs]; read-only."""
    table = np.empty((len(State), len(Input)), np.uint8)
    table[:] = np.arange(len(State), dtype=np.uint8)[:, None]
    for state, what, to in (*FIGURE_5, *RESETS):
        table[state, what] = to
    table.flags.writeable = False
    return table
