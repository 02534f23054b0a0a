"""Which segments of a life were held back until a delayed ACK came, and how long: the rule of tcp/reasons.py's
``note_wait`` for one connection, packet by packet."""

from __future__ import annotations

from analyzer.tables import FIN, RST, SYN, Event, Life
from analyzer.traces import AT_ONCE_NS, DELAYED_NS, LONGEST_DELAY_NS, USUAL_MSS


class _End:
    def __init__(self) -> None:
        self.last_ns = -LONGEST_DELAY_NS  # of its latest segment …
        self.last_len = -1  # … and its payload; -1 of SYN, FIN and RST
        self.last_ack = -1
        self.next = -1  # one after the highest sequence number that it sent
        self.mss = USUAL_MSS


def delayed_writes(life: Life, rtt_ns: int) -> dict[int, int]:
    """By the number of a packet how long it waited, in ns; ``rtt_ns`` is CONNECTION.initial_rtt_ns.

    Only those of the side that waited first, as ENDPOINT.nagle_waits has them.
    """
    ends = _End(), _End()
    waited: dict[int, int] = {}
    waiting = -1
    columns = (life.number, life.ts_ns, life.side, life.flags, life.seq, life.ack, life.payload_len, life.events)
    mss = life.mss.tolist()
    for i, (number, ts_ns, side, flags, seq, ack, payload_len, events) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        if events >> Event.CAPTURE_DUPLICATE & 1:
            continue
        fwd, rev = ends[side], ends[1 - side]
        delay_ns, gap_ns = rev.last_ns - fwd.last_ns, ts_ns - rev.last_ns
        is_small = 0 < payload_len < rev.mss and 0 < fwd.last_len < rev.mss and rev.last_len == 0
        is_acked = rev.last_ack == fwd.next == seq
        is_late = DELAYED_NS <= delay_ns <= LONGEST_DELAY_NS and delay_ns + gap_ns >= DELAYED_NS + rtt_ns
        if is_small and is_acked and is_late and gap_ns <= AT_ONCE_NS + rtt_ns and waiting in (-1, side):
            waiting, waited[number] = side, delay_ns + gap_ns
        is_plain = not flags & (SYN | FIN | RST)
        fwd.last_ns, fwd.last_len, fwd.last_ack = ts_ns, payload_len if is_plain else -1, ack
        fwd.next = max(fwd.next, seq + payload_len + bool(flags & (SYN | FIN)))
        if flags & SYN and mss[i]:
            fwd.mss = mss[i]
    return waited
