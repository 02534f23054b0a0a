"""Hypothesis strategies for conversations, as lists of ``script.Segment`` between C and S.

``conversations`` speaks TCP as endpoints do: it opens in one of the ways there are, or is captured from the middle on;
then data, ACKs, closes, resets, keep-alives, silences and new incarnations follow in any order; and then the network
and the capture lose, repeat and reorder some of it. ``garbage`` is any header that a segment can have, with sequence
numbers near each other so that they matter.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from analyzer.tables import ACK, FIN, PSH, RST, SYN
from tests.script import START_NS, Segment

SECOND = 1_000_000_000

PAUSES = st.sampled_from([1_000, 1_000_000, 15_000_000, 30_000_000, SECOND, 60 * SECOND, 241 * SECOND])

INITIAL = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2**32 - 7, 2**32 - 1]))

OPENINGS = st.sampled_from(["usual", "simultaneous", "syn alone", "syn-ack first", "middle", "refused", "fast open"])

ACTIONS = st.sampled_from(
    ["data", "data", "data", "data", "ack", "ack", "ack", "again", "keep-alive", "fin", "fin with data", "reset",
     "blind reset", "reset with ack", "late syn", "syn-ack again", "silence", "zero window", "reuse", "ack unseen",
     "duplicate ack", "duplicate ack", "lost", "older data", "older data", "part acked", "full window", "probe",
     "window"]
)  # fmt: skip


class Peer:
    """An endpoint that speaks: what it has sent and what it has taken."""

    def __init__(self, letter: str, iss: int) -> None:
        self.letter = letter
        self.iss = iss
        self.nxt = iss
        self.acked = 0
        self.has_ack = False
        self.closed = False
        self.window = 1000
        self.scale: int | None = None


class Conversation:
    """Segments of two endpoints, in the order in which they were sent."""

    def __init__(self, client_iss: int, server_iss: int) -> None:
        self.peers = Peer("C", client_iss), Peer("S", server_iss)
        self.segments: list[Segment] = []
        self.now_ns = START_NS

    def say(self, side: int, flags: int, payload_len: int = 0, **changes: Any) -> None:
        """Send a segment at SND.NXT that acknowledges what the other has sent, or what ``changes`` say instead."""
        me, other = self.peers[side], self.peers[1 - side]
        has_ack = flags & ACK
        segment = Segment(
            self.now_ns, me.letter, other.letter, flags, me.nxt % 2**32, me.acked % 2**32 if has_ack else 0,
            payload_len, me.window, window_scale=me.scale if flags & SYN else None,
        )._replace(**changes)  # fmt: skip
        if "seq" not in changes:
            me.nxt += payload_len + bool(flags & SYN) + bool(flags & FIN)
        self.segments.append(segment)
        self.now_ns += 1_000_000

    def take(self, side: int) -> None:
        """Everything that the other has sent arrives."""
        self.peers[side].acked = self.peers[1 - side].nxt


def opened(draw: Any, how: str, talk: Conversation) -> None:
    """The first segments."""
    if how == "middle":
        return
    if how == "syn-ack first":
        talk.peers[0].nxt += 1
    elif how == "fast open":
        talk.say(0, SYN, draw(st.integers(1, 5)))
        if draw(st.booleans()):  # the payload is refused: it is sent again
            talk.peers[0].nxt = talk.peers[0].iss + 1
    else:
        talk.say(0, SYN)
    if how == "syn alone":
        return
    if how == "refused":
        talk.take(1)
        talk.say(1, RST | ACK, seq=0)
        return
    if how == "simultaneous":
        talk.say(1, SYN)
        talk.take(0)
        talk.say(0, SYN | ACK, seq=talk.peers[0].iss % 2**32)
        talk.take(1)
        talk.say(1, SYN | ACK, seq=talk.peers[1].iss % 2**32)
        return
    talk.take(1)
    talk.say(1, SYN | ACK)
    talk.take(0)
    talk.say(0, ACK)


def act(draw: Any, what: str, talk: Conversation) -> None:
    """One thing that an endpoint does."""
    side = draw(st.integers(0, 1))
    me = talk.peers[side]
    if what in ("data", "fin with data"):
        if draw(st.booleans()):
            talk.take(side)
        if not me.closed:
            me.closed = what != "data"
            talk.say(side, ACK | PSH | (FIN if me.closed else 0), draw(st.integers(1, 9)))
    elif what == "ack":
        talk.take(side)
        talk.say(side, ACK)
    elif what == "ack unseen":
        talk.say(side, ACK, ack=(talk.peers[1 - side].nxt + draw(st.integers(1, 9))) % 2**32)
    elif what == "again" and talk.segments:
        talk.segments.append(draw(st.sampled_from(talk.segments))._replace(ts_ns=talk.now_ns))
    elif what == "keep-alive":
        talk.say(side, ACK, draw(st.integers(0, 1)), seq=(me.nxt - 1) % 2**32)
    elif what == "fin":
        if draw(st.booleans()):
            talk.take(side)
        if not me.closed:
            me.closed = True
            talk.say(side, ACK | FIN)
    elif what == "reset":
        talk.say(side, RST, seq=me.nxt % 2**32)
    elif what == "reset with ack":
        talk.say(side, RST | ACK, seq=me.nxt % 2**32)
    elif what == "blind reset":
        talk.say(side, RST, seq=(me.nxt + draw(st.integers(-9, 9))) % 2**32)
    elif what == "late syn":
        talk.say(side, SYN, seq=me.iss % 2**32)
    elif what == "syn-ack again":
        talk.say(side, SYN | ACK, seq=me.iss % 2**32)
    elif what == "silence":
        talk.now_ns += draw(PAUSES)
    elif what == "zero window":
        me.window = 0 if me.window else 1000
    elif what == "window":
        me.window = draw(st.sampled_from([1000, 2000, 5, 10]))
        talk.say(side, ACK)
    elif what == "duplicate ack":
        for _ in range(draw(st.integers(1, 3))):
            talk.say(side, ACK)
    elif what == "lost":
        me.nxt += draw(st.sampled_from([1, 5, 9]))
    elif what == "older data":
        from_octet = draw(st.sampled_from([talk.peers[1 - side].acked, me.nxt - 2, me.nxt - 9]))
        talk.say(side, ACK | PSH, draw(st.sampled_from([1, 2, 5, 9])), seq=from_octet % 2**32)
    elif what == "part acked":
        me.acked += draw(st.sampled_from([1, 2, 5]))
        talk.say(side, ACK)
    elif what == "full window":
        other = talk.peers[1 - side]
        room = (other.acked + (other.window << draw(st.sampled_from([0, other.scale or 0]))) - me.nxt) % 2**32
        if 0 < room < 5000:
            talk.say(side, ACK | PSH, room)
    elif what == "probe":
        talk.say(side, ACK, 1, seq=me.nxt % 2**32)
    elif what == "reuse":
        for peer in talk.peers:
            peer.iss = peer.nxt = draw(INITIAL)
            peer.closed = False
        opened(draw, draw(OPENINGS), talk)


@st.composite
def conversations(draw: Any) -> list[Segment]:
    """What two endpoints say, and what became of it on the way to the capture."""
    talk = Conversation(draw(INITIAL), draw(INITIAL))
    talk.peers[0].acked, talk.peers[1].acked = talk.peers[1].nxt, talk.peers[0].nxt
    for peer in talk.peers:
        peer.scale = draw(st.sampled_from([None, 0, 2]))
    opened(draw, draw(OPENINGS), talk)
    for what in draw(st.lists(ACTIONS, min_size=1, max_size=14)):
        act(draw, what, talk)
    segments = talk.segments
    for what, where in draw(st.lists(st.tuples(st.sampled_from("lrs"), st.integers(0, 30)), max_size=3)):
        if where + 1 < len(segments):
            if what == "l":  # lost
                del segments[where]
            elif what == "r":  # repeated
                segments.insert(where + draw(st.integers(0, 1)), segments[where])
            else:  # reordered
                one, two = segments[where : where + 2]
                segments[where : where + 2] = two._replace(ts_ns=one.ts_ns), one._replace(ts_ns=two.ts_ns)
    return segments


@st.composite
def garbage(draw: Any, longest: int = 16) -> list[Segment]:
    """Segments of any flags and lengths with sequence numbers of a small range, somewhere."""
    bases = {"C": draw(INITIAL), "S": draw(INITIAL)}
    flags = st.one_of(
        st.sampled_from([SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK]), st.integers(0, 0x1FF)
    )
    segments = []
    now_ns = START_NS
    for _ in range(draw(st.integers(0, longest))):
        now_ns += draw(PAUSES)
        source, destination = draw(st.sampled_from([("C", "S"), ("S", "C")]))
        segments.append(Segment(
            now_ns, source, destination, draw(flags), (bases[source] + draw(st.integers(0, 12))) % 2**32,
            (bases[destination] + draw(st.integers(0, 14))) % 2**32,
            draw(st.sampled_from([0, 0, 0, 1, 2, 5])), draw(st.sampled_from([1000, 1000, 0])),
        ))  # fmt: skip
    return segments
