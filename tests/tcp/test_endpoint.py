"""The guards before the table, and the observer's evidence: RFC 9293 3.10.7, case by case."""

from __future__ import annotations

import pytest

from tests.script import check

OPEN = """
C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
"""

CASES = {
    # ------------------------------------------------ SYN-SENT
    "an ACK of what was not sent does not open (3.10.7.3)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 102        | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 100        | handshake SYN-SENT SYN-RECEIVED
    """,
    "SYN-SENT ignores a segment without SYN (3.10.7.3)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  A 300 ack 101         | handshake SYN-SENT SYN-RECEIVED
    """,
    "SYN-SENT is refused by a RST that acknowledges the SYN (3.10.7.3)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  RA 0 ack 101          | teardown CLOSED CLOSED
    """,
    "SYN-SENT ignores a RST that acknowledges nothing of it (3.10.7.3)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  R 0                   | teardown SYN-SENT CLOSED
    """,
    "who acknowledges without SYN had a SYN,ACK that was not captured": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
    """,
    # ------------------------------------------------ SYN-RECEIVED
    "an ACK of what was not sent leaves SYN-RECEIVED (3.10.7.4, fifth)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 101 ack 300         | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 101 ack 302         | handshake ESTABLISHED SYN-RECEIVED
        C > S  - 101:105             | data ESTABLISHED SYN-RECEIVED
    """,
    "SYN-RECEIVED after an active OPEN is closed by a RST, not sent back to LISTEN (figure 5, note 1)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  S 300                 | handshake SYN-RECEIVED SYN-RECEIVED
        S > C  R 301                 | teardown CLOSED CLOSED
    """,
    "whose own SYN bears no ACK opened actively, whatever came before it (3.10.1, figure 7)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  S 300                 | handshake SYN-RECEIVED SYN-RECEIVED
        C > S  R 101                 | teardown CLOSED CLOSED
    """,
    "a FIN that SYN-RECEIVED cannot take yet counts once it is ESTABLISHED (3.10.7.4, eighth)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  F 101                 | teardown FIN-WAIT-1 SYN-RECEIVED
        S > C  A 301 ack 102         | teardown FIN-WAIT-2 SYN-RECEIVED
        C > S  A 102 ack 301         | teardown FIN-WAIT-2 CLOSE-WAIT
    """,
    "LISTEN takes nothing but a SYN (3.10.7.2)": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        C > S  - 101:106             | data SYN-SENT SYN-RECEIVED
        C > S  R 101                 | teardown SYN-SENT LISTEN
        C > S  A 106 ack 301         | teardown ESTABLISHED LISTEN
        C > S  R 900                 | teardown ESTABLISHED LISTEN
    """,
    # ------------------------------------------------ payload with the SYN
    "a SYN's payload that the SYN,ACK does not acknowledge was not taken (3.10.7.2)": """
        C > S  S 100:105             | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  PA 101:106 ack 301    | data ESTABLISHED ESTABLISHED
    """,
    "a SYN's payload that the SYN,ACK acknowledges was": """
        C > S  S 100:105             | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 106        | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 106 ack 301         | handshake ESTABLISHED ESTABLISHED
    """,
    # ------------------------------------------------ first: the sequence number
    "what looks all old may be the copy that arrived: its ACK counts": OPEN + """
        C > S  PA 101:111 ack 301    | data ESTABLISHED ESTABLISHED
        S > C  FA 301 ack 111        | teardown CLOSE-WAIT FIN-WAIT-1
        C > S  PA 101:111 ack 302    | data CLOSE-WAIT FIN-WAIT-2
    """,
    "FINs that crossed, and one of them was lost behind the capture": OPEN + """
        S > C  FA 301 ack 101        | teardown CLOSE-WAIT FIN-WAIT-1
        C > S  FA 101 ack 301        | teardown CLOSING CLOSING
        +.3 C > S  FA 101 ack 302    | teardown CLOSING TIME-WAIT
        S > C  A 302 ack 102         | teardown TIME-WAIT TIME-WAIT
    """,
    "a SYN-ACK with another number while SYN-RECEIVED begins anew": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 9000 ack 101       | handshake ESTABLISHED SYN-RECEIVED
        +1 C > S  S 100              | handshake ESTABLISHED SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
        C > S  FA 101 ack 301        | teardown FIN-WAIT-1 CLOSE-WAIT
        S > C  FA 301 ack 102        | teardown TIME-WAIT LAST-ACK
        C > S  A 102 ack 302         | teardown TIME-WAIT CLOSED
    """,
    "a stray SYN-ACK proves nothing": OPEN + """
        S > C  SA 900 ack 5000       | handshake ESTABLISHED ESTABLISHED
        C > S  FA 101 ack 301        | teardown FIN-WAIT-1 CLOSE-WAIT
        S > C  FA 301 ack 102        | teardown TIME-WAIT LAST-ACK
    """,
    "a FIN is something new, though the payload before it is old (3.4: SEG.LEN counts FIN)": OPEN + """
        C > S  PA 101:111 ack 301    | data ESTABLISHED ESTABLISHED
        C > S  FPA 101:111 ack 301   | teardown FIN-WAIT-1 CLOSE-WAIT
    """,
    # ------------------------------------------------ second: RST (3.5.3)
    "a RST at RCV.NXT resets": OPEN + """
        S > C  RA 301 ack 101        | teardown CLOSED CLOSED
    """,
    "a RST elsewhere in the window does not (RFC 9293 3.10.7.4, the RFC 5961 check)": OPEN + """
        S > C  RA 305 ack 101        | teardown ESTABLISHED ESTABLISHED
        S > C  R 290                 | teardown ESTABLISHED ESTABLISHED
    """,
    "a RST that answers an ACK bears its number, though more has been seen since": OPEN + """
        C > S  PA 101:111 ack 301    | data ESTABLISHED ESTABLISHED
        S > C  PA 301:306 ack 101    | data ESTABLISHED ESTABLISHED
        S > C  R 301                 | teardown CLOSED CLOSED
    """,
    "payload after the close is answered by a RST": OPEN + """
        S > C  FA 301 ack 101        | teardown CLOSE-WAIT FIN-WAIT-1
        C > S  A 101 ack 302         | teardown CLOSE-WAIT FIN-WAIT-2
        C > S  PA 101:106 ack 302    | data CLOSE-WAIT FIN-WAIT-2
        S > C  R 302                 | teardown CLOSED CLOSED
    """,
    "a RST closes TIME-WAIT too (3.10.7.4)": OPEN + """
        C > S  FA 101 ack 301        | teardown FIN-WAIT-1 CLOSE-WAIT
        S > C  FA 301 ack 102        | teardown TIME-WAIT LAST-ACK
        S > C  R 302                 | teardown CLOSED CLOSED
    """,
    # ------------------------------------------------ fourth: SYN
    "a SYN,ACK come again does nothing to who is synchronized (3.10.7.4, fourth)": OPEN + """
        S > C  SA 300 ack 101        | handshake ESTABLISHED ESTABLISHED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
    """,
    "a stray SYN,ACK does not renumber a connection under way": OPEN + """
        S > C  SA 900 ack 101        | handshake ESTABLISHED ESTABLISHED
        S > C  PA 301:306 ack 101    | data ESTABLISHED ESTABLISHED
    """,
    # ------------------------------------------------ seventh and eighth: payload and FIN
    "a FIN behind a gap waits until the gap is filled": OPEN + """
        S > C  FA 306 ack 101        | teardown ESTABLISHED FIN-WAIT-1
        S > C  PA 301:306 ack 101    | teardown CLOSE-WAIT FIN-WAIT-1
    """,
    "a FIN behind a gap counts when its receiver acknowledges it": OPEN + """
        S > C  FA 306 ack 101        | teardown ESTABLISHED FIN-WAIT-1
        C > S  A 101 ack 307         | teardown CLOSE-WAIT FIN-WAIT-2
    """,
    "octets ahead of a gap are remembered": OPEN + """
        S > C  PA 306:311 ack 101    | data ESTABLISHED ESTABLISHED
        S > C  PA 311:316 ack 101    | data ESTABLISHED ESTABLISHED
        S > C  FA 316 ack 101        | teardown ESTABLISHED FIN-WAIT-1
        S > C  PA 301:308 ack 101    | teardown CLOSE-WAIT FIN-WAIT-1
    """,
    "octets ahead of a gap, the later ones first": OPEN + """
        S > C  PA 311:316 ack 101    | data ESTABLISHED ESTABLISHED
        S > C  PA 306:312 ack 101    | data ESTABLISHED ESTABLISHED
        S > C  FA 316 ack 101        | teardown ESTABLISHED FIN-WAIT-1
        C > S  A 101 ack 307         | teardown CLOSE-WAIT FIN-WAIT-1
    """,
    "a gap filled by more than was ahead of it": OPEN + """
        S > C  PA 306:311 ack 101    | data ESTABLISHED ESTABLISHED
        S > C  PA 301:316 ack 101    | data ESTABLISHED ESTABLISHED
        S > C  FA 316 ack 101        | teardown CLOSE-WAIT FIN-WAIT-1
    """,
    "an ACK takes its sender past what it has ahead": OPEN + """
        S > C  PA 306:311 ack 101    | data ESTABLISHED ESTABLISHED
        C > S  A 101 ack 320         | data ESTABLISHED ESTABLISHED
        S > C  FA 320 ack 101        | teardown CLOSE-WAIT FIN-WAIT-1
    """,
    "a FIN come again stays where the first one was": OPEN + """
        S > C  FPA 301:306 ack 101   | teardown CLOSE-WAIT FIN-WAIT-1
        S > C  FA 306 ack 101        | teardown CLOSE-WAIT FIN-WAIT-1
        C > S  A 101 ack 306         | teardown CLOSE-WAIT FIN-WAIT-1
        C > S  A 101 ack 307         | teardown CLOSE-WAIT FIN-WAIT-2
    """,
    "a FIN before a wrong one is the true one": OPEN + """
        S > C  FA 311 ack 101        | teardown ESTABLISHED FIN-WAIT-1
        S > C  FA 301 ack 101        | teardown CLOSE-WAIT FIN-WAIT-1
    """,
    "FINs that do not acknowledge each other have crossed (3.6, figure 13)": OPEN + """
        S > C  FA 301 ack 101        | teardown CLOSE-WAIT FIN-WAIT-1
        C > S  FA 101 ack 301        | teardown CLOSING CLOSING
        S > C  A 302 ack 102         | teardown TIME-WAIT CLOSING
        C > S  A 102 ack 302         | teardown TIME-WAIT TIME-WAIT
    """,
    "a FIN that comes again in TIME-WAIT begins the 2MSL anew (3.10.7.4, eighth)": OPEN + """
        C > S  FA 101 ack 301        | teardown FIN-WAIT-1 CLOSE-WAIT
        S > C  FA 301 ack 102        | teardown TIME-WAIT LAST-ACK
        +200 S > C  FA 301 ack 102   | teardown TIME-WAIT LAST-ACK
        +200 C > S  A 102 ack 302    | teardown TIME-WAIT CLOSED
        +200 C > S  A 102 ack 302    | teardown CLOSED CLOSED
    """,
    # ------------------------------------------------ captured from the middle on
    "from the middle on both ends count as ESTABLISHED": """
        C > S  PA 101:106 ack 301    | data ESTABLISHED ESTABLISHED
        S > C  FA 301 ack 106        | teardown CLOSE-WAIT FIN-WAIT-1
        C > S  FA 106 ack 302        | teardown LAST-ACK TIME-WAIT
        S > C  A 302 ack 107         | teardown CLOSED TIME-WAIT
    """,
    "a SYN,ACK alone says that a SYN was sent": """
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
    """,
    "a RST alone ends what may have been": """
        S > C  R 300                 | teardown CLOSED CLOSED
    """,
    "the first payload without ACK tells what is expected next": """
        C > S  - 101:106             | data ESTABLISHED ESTABLISHED
        C > S  PA 106:111 ack 301    | data ESTABLISHED ESTABLISHED
        S > C  RA 301 ack 111        | teardown CLOSED CLOSED
    """,
}  # fmt: skip


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_case(text: str) -> None:
    check(text, events=False)


def test_sequence_numbers_wrap() -> None:
    check("""
        C > S  S 4294967290          | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 4294967295 ack -5  | handshake ESTABLISHED SYN-RECEIVED
        C > S  A -5 ack 0            | handshake ESTABLISHED ESTABLISHED
        C > S  PA -5:5 ack 0         | data ESTABLISHED ESTABLISHED
        S > C  PA 0:10 ack 5         | data ESTABLISHED ESTABLISHED
        C > S  FPA 5:15 ack 10       | teardown FIN-WAIT-1 CLOSE-WAIT
        S > C  FA 10 ack 16          | teardown TIME-WAIT LAST-ACK
        C > S  A 16 ack 11           | teardown TIME-WAIT CLOSED
    """, events=False)  # fmt: skip
