"""A slow, obvious reconstruction of TCP connections, to hold the compiled one against.

Plain Python: dictionaries, sets and ints, an octet of payload is an element of a set, a rule is an ``if``. Written from
RFC 9293 (3.3 the variables and states, 3.4 sequence numbers, 3.5 opening and resets, 3.6 closing, 3.10.7 segments that
arrive), from Zeek's rules for ``history`` and ``conn_state`` and Wireshark's for ``completeness``, and from what the
observer promises besides:

- a segment is received when it is seen;
- what a sender says about itself is believed: who acknowledges an octet or a FIN has it, who answers a SYN,ACK had it;
- a FIN counts for its receiver once everything before it has arrived;
- a SYN's payload has arrived with it, unless the SYN,ACK says otherwise;
- two FINs of which neither acknowledges the other have crossed; a receive window has no right edge;
- 2MSL end by the clock of the capture, and a FIN that comes again begins them anew.

Not modelled: events (event_oracle.py has them), counters, UDP. More than one stretch of octets ahead of a gap is beyond
what the observer promises to remember: ``Connection.scattered`` says that it came to that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.tcp.codes import completeness, conn_state

CLIENT, SERVER = 0, 1
FIN, SYN, RST, ACK = 1, 2, 4, 16
TWO_MSL_NS = 4 * 60 * 10**9

Host = tuple[object, int]
"""An address and a port."""


class Sent(NamedTuple):
    """A TCP segment: who to whom, when, its header, and whether it is a copy that the capture made."""

    number: int
    ts_ns: int
    source: Host
    destination: Host
    flags: int
    seq: int
    ack: int
    payload_len: int
    window: int
    copied: bool = False


class Label(NamedTuple):
    """What is said of a segment."""

    connection: int
    side: int
    phase: str
    client_state: str
    server_state: str
    seq: int
    ack: int


def before(a: int, b: int) -> bool:
    """RFC 9293 3.4: a < b. Numbers that are half the circle apart count as before each other."""
    return (a - b) % 2**32 >= 2**31


def after(a: int, b: int) -> bool:
    """RFC 9293 3.4: a > b."""
    return a != b and not before(a, b)


def beyond(number: int, octets: int) -> int:
    return (number + octets) % 2**32


@dataclass
class End:
    """One endpoint."""

    state: str
    actively: bool | None = None
    """Whether it opened actively."""
    iss: int | None = None
    syn: bool = False
    """Whether its SYN was seen, so that ``iss`` is not a guess."""
    snd_una: int | None = None
    snd_nxt: int | None = None
    rcv_nxt: int | None = None
    octets: set[int] = field(default_factory=set)
    """Sequence numbers received ahead of ``rcv_nxt``."""
    fin: int | None = None
    """Sequence number of the FIN that it sent."""
    closes: bool = False
    synchronizes: bool = False
    """Whether it sent a segment with FIN, or with SYN, even one that says RST too."""
    has_peers_fin: bool = False
    ack: int | None = None
    """The latest acknowledgement that it sent."""
    time_wait_ns: int = 0
    packets: int = 0
    # Zeek
    zeek: str = "inactive"
    zeek_before: str = "inactive"
    letters: dict[str, int] = field(default_factory=dict)
    """The letters written, each with its latest sequence number."""
    counts: dict[str, int] = field(default_factory=dict)
    payload: int = 0

    def enter(self, state: str, ts_ns: int) -> None:
        self.state = state
        if state == "TIME_WAIT":
            self.time_wait_ns = ts_ns

    def enter_zeek(self, state: str) -> None:
        if state != self.zeek:
            self.zeek, self.zeek_before = state, self.zeek


@dataclass
class Connection:
    """A connection: its ends, the client's first."""

    row: int
    hosts: tuple[Host, Host]
    evidence: str
    ends: tuple[End, End]
    completeness: int = 0
    closed_by: str = "nobody"
    history: str = ""
    phase: str = "none"
    reset: bool = False
    former: Connection | None = None
    ended: bool = False
    """A FIN or a RST was seen."""
    late: set[int] = field(default_factory=set)
    """Sides that sent payload after the other's FIN."""
    scattered: bool = False

    @property
    def verdict(self) -> str:
        client, server = self.ends
        return conn_state(client.zeek, server.zeek, client.payload == 0 and server.payload == 0)


def reconstruct(segments: Iterable[Sent]) -> tuple[list[Label], list[Connection]]:
    """Labels of the segments and the connections in the order of their first segment."""
    connections: list[Connection] = []
    latest: dict[frozenset[Host], Connection] = {}
    labels = []
    for segment in segments:
        pair = frozenset((segment.source, segment.destination))
        connection = latest.get(pair)
        if connection is None or (starts_anew(connection, segment) and not segment.copied):
            before = connection
            connection = latest[pair] = opened_by(segment, len(connections))
            connection.former = before
            connections.append(connection)
        elif connection.former and speaks_of_former(connection, segment):
            connection = connection.former
        if segment.copied:
            connection.completeness |= bits_of(connection, segment)
        else:
            if is_clients_syn(connection, segment):
                turn_to(connection, segment.source)
            labels.append(take(connection, segment))
    return labels, connections


# ---------------------------------------------------------------- which connection, and whose


def side_of(connection: Connection, segment: Sent) -> int:
    return CLIENT if segment.source == connection.hosts[CLIENT] else SERVER


def starts_anew(connection: Connection, segment: Sent) -> bool:
    """Whether a segment begins another incarnation of its 4-tuple: a SYN that does not belong to this one."""
    flags = segment.flags
    if not flags & SYN or flags & (FIN | RST):
        return False
    side = side_of(connection, segment)
    mine, other = connection.ends[side], connection.ends[1 - side]
    another_number = mine.iss is not None and segment.seq != mine.iss
    if flags & ACK:
        late = other.iss is not None and segment.ack == beyond(other.iss, 1) and other.state != "SYN_SENT"
        return another_number and not late and (connection.ended or other.packets == 0)
    if mine.iss is not None:
        return another_number or (connection.ended and not was_refused(connection, side))
    if other.state == "CLOSED":
        return True
    if other.state == "SYN_SENT":
        return False  # simultaneous open
    return other.ack is None or beyond(segment.seq, 1) != other.ack


def was_refused(connection: Connection, side: int) -> bool:
    """Whether a side's SYN met a RST before the other sent one, so that nothing was open yet and it may come again."""
    mine, other = connection.ends[side], connection.ends[1 - side]
    return mine.synchronizes and not other.synchronizes and connection.reset and not (mine.closes or other.closes)


def speaks_of_former(connection: Connection, segment: Sent) -> bool:
    """While only a SYN has come: whether this answers, or is answered by, the incarnation before (figure 9)."""
    side = side_of(connection, segment)
    mine, other = connection.ends[side], connection.ends[1 - side]
    if segment.flags & SYN:
        return False
    if mine.state == "SYN_RECEIVED" and mine.snd_nxt is None:
        return bool(segment.flags & ACK) and segment.ack != beyond(other.iss or 0, 1)
    if mine.state == "SYN_SENT" and other.snd_nxt is None:
        return bool(segment.flags & RST) and segment.seq != mine.snd_nxt
    return False


def is_clients_syn(connection: Connection, segment: Sent) -> bool:
    """Whether a SYN after other segments proves that its sender is the client: the other side has sent none."""
    if connection.evidence == "SYN" or segment.flags & (SYN | ACK | FIN | RST) != SYN:
        return False
    return not connection.ends[1 - side_of(connection, segment)].synchronizes


def turn_to(connection: Connection, client: Host) -> None:
    """Make this host the client, as if it had been known from the start."""
    connection.evidence = "SYN"
    if connection.hosts[CLIENT] == client:
        return
    connection.hosts = connection.hosts[::-1]
    connection.ends = connection.ends[::-1]
    connection.late = {1 - side for side in connection.late}
    connection.closed_by = {"client": "server", "server": "client"}.get(connection.closed_by, connection.closed_by)
    turned = connection.history.swapcase()
    connection.history = turned[1:] if turned.startswith("^") else "^" + turned


def opened_by(segment: Sent, row: int) -> Connection:
    """The connection that this segment is the first of: who is the client, and which states they were in before."""
    syn, ack = bool(segment.flags & SYN), bool(segment.flags & ACK)
    ports = segment.source[1], segment.destination[1]
    sender_is_client, evidence = True, "FIRST_PACKET"
    if syn:
        sender_is_client, evidence = not ack, "SYN_ACK" if ack else "SYN"
    else:
        for limit, name in ((1024, "PORTS"), (32768, "EPHEMERAL_PORT")):
            if (ports[0] < limit) != (ports[1] < limit):
                sender_is_client, evidence = ports[0] > ports[1], name
                break
    if syn and ack:
        sender, receiver = End("SYN_RECEIVED", actively=False), End("SYN_SENT", actively=True)
    elif syn:
        sender, receiver = End("CLOSED"), End("LISTEN")
    else:
        sender, receiver = End("ESTABLISHED"), End("ESTABLISHED")
    if sender_is_client:
        return Connection(row, (segment.source, segment.destination), evidence, (sender, receiver))
    return Connection(row, (segment.destination, segment.source), evidence, (receiver, sender), history="^")


# ---------------------------------------------------------------- a segment


def take(connection: Connection, segment: Sent) -> Label:
    """A segment goes from one end to the other."""
    side = side_of(connection, segment)
    sender, receiver = connection.ends[side], connection.ends[1 - side]
    flags = segment.flags
    for end in connection.ends:
        if end.state == "TIME_WAIT" and segment.ts_ns - end.time_wait_ns >= TWO_MSL_NS:
            end.enter("CLOSED", segment.ts_ns)
    if flags & (SYN | ACK | FIN | RST) == SYN and was_refused(connection, side):
        sender.state, receiver.state = "CLOSED", "LISTEN"
        sender.zeek = receiver.zeek = "inactive"
        receiver.iss = receiver.snd_una = receiver.snd_nxt = receiver.rcv_nxt = receiver.ack = None
        receiver.syn, receiver.octets = False, set()

    connection.phase = phase_of(connection, side, segment)
    connection.history += letters(connection, side, segment)
    zeek_moves(side, sender, receiver, segment)
    connection.history += gap(side, sender, receiver, segment)
    connection.history = connection.history[:32]
    connection.completeness |= bits_of(connection, segment)
    if flags & FIN and not sender.closes:
        sender.closes = True
        connection.closed_by = closer(connection.closed_by, side, receiver, segment)
    connection.reset |= bool(flags & RST)
    connection.ended |= bool(flags & (FIN | RST))
    sender.synchronizes |= bool(flags & SYN)
    sender.packets += 1
    sender.payload += segment.payload_len

    send(sender, receiver, segment)
    receive(receiver, sender, segment)

    connection.scattered |= any(stretches(end.octets) > 1 for end in connection.ends)
    seq = (segment.seq - sender.iss) % 2**32 if sender.iss is not None else 1
    ack = 0
    if flags & ACK:
        ack = (segment.ack - receiver.iss) % 2**32 if receiver.iss is not None else 1
    client, server = connection.ends
    return Label(connection.row, side, connection.phase, client.state, server.state, seq, ack)


def send(me: End, peer: End, segment: Sent) -> None:
    """What a segment says of the end that sent it."""
    flags, seq, ts_ns = segment.flags, segment.seq, segment.ts_ns
    if flags & RST:
        # 3.10.7: a RST bears SND.NXT, or the ACK of what it answers. Otherwise it answers another incarnation.
        mine = me.snd_nxt is None or seq in (me.snd_nxt, me.snd_una)
        if mine and me.state != "LISTEN":
            me.enter("CLOSED", ts_ns)
        return
    synchronizing = me.state in ("SYN_SENT", "SYN_RECEIVED")
    if flags & SYN and me.syn and seq != me.iss and not synchronizing:
        return  # a stray: a connection under way is not renumbered

    if flags & ACK:
        if me.state == "SYN_SENT" and not flags & SYN:
            me.enter("ESTABLISHED", ts_ns)
        if me.rcv_nxt is None or after(segment.ack, me.rcv_nxt):
            me.rcv_nxt = segment.ack
            swallow(me)
        elif flags & SYN and me.state == "SYN_RECEIVED" and peer.syn and after(segment.ack, peer.iss or 0):
            me.rcv_nxt = segment.ack
        me.ack = segment.ack
        take_fin(me, peer, ts_ns)

    if flags & SYN:
        if not flags & ACK:
            if me.state in ("CLOSED", "LISTEN"):
                me.enter("SYN_SENT", ts_ns)
            me.actively = True
        if me.snd_nxt is None or (me.syn and seq != me.iss):
            me.snd_una = me.snd_nxt = seq
        me.iss, me.syn = seq, True
    if me.snd_nxt is None:
        me.iss, me.snd_una, me.snd_nxt = beyond(seq, -1), seq, seq

    if flags & FIN:
        place = beyond(seq, segment.payload_len + bool(flags & SYN))
        if me.state in ("SYN_RECEIVED", "ESTABLISHED"):
            me.enter("FIN_WAIT_1", ts_ns)
        elif me.state == "CLOSE_WAIT":
            crossed = me.fin is None and flags & ACK and peer.fin is not None and not after(segment.ack, peer.fin)
            me.enter("CLOSING" if crossed else "LAST_ACK", ts_ns)
        if me.fin is None or before(place, me.fin):
            me.fin = place
    seq_end = beyond(seq, segment.payload_len + bool(flags & SYN) + bool(flags & FIN))
    if after(seq_end, me.snd_nxt):
        me.snd_nxt = seq_end


def receive(me: End, peer: End, segment: Sent) -> None:
    """RFC 9293 3.10.7: a segment arrives."""
    flags, seq, ack, ts_ns = segment.flags, segment.seq, segment.ack, segment.ts_ns
    if me.state == "CLOSED":
        return

    if me.state == "LISTEN":  # 3.10.7.2
        if flags & (SYN | RST | ACK) == SYN:
            me.enter("SYN_RECEIVED", ts_ns)
            me.actively = False
            me.rcv_nxt = beyond(seq, 1 + segment.payload_len)
            me.octets = set()
        return

    if me.state == "SYN_SENT":  # 3.10.7.3
        acceptable = bool(flags & ACK)
        if acceptable and me.syn and me.iss is not None and me.snd_nxt is not None:
            acceptable = after(ack, me.iss) and not after(ack, me.snd_nxt)
            if not acceptable:
                return
        if flags & RST:
            if acceptable:
                me.enter("CLOSED", ts_ns)
            return
        if flags & SYN:
            me.rcv_nxt = beyond(seq, 1 + segment.payload_len)
            me.octets = set()
            if acceptable:
                me.iss, me.snd_nxt = (beyond(ack, -1), ack) if me.snd_nxt is None else (me.iss, me.snd_nxt)
                me.snd_una = ack
                me.enter("ESTABLISHED", ts_ns)
                take_fin(me, peer, ts_ns)
            else:
                me.enter("SYN_RECEIVED", ts_ns)
        return

    # 3.10.7.4: first, check the sequence number; second, the RST bit
    if flags & RST:
        if me.rcv_nxt is None or seq == me.rcv_nxt or seq == me.ack:
            backs_to_listen = me.state == "SYN_RECEIVED" and me.actively is False
            me.enter("LISTEN" if backs_to_listen else "CLOSED", ts_ns)
        return
    if flags & SYN:  # fourth: obeyed as the repeated SYN of a simultaneous open alone (3.5, figure 7)
        if me.state != "SYN_RECEIVED" or not flags & ACK:
            return
    elif me.state == "TIME_WAIT" and flags & FIN:  # eighth: the timeout starts anew
        me.time_wait_ns = ts_ns
    # fifth: the ACK bit
    if not flags & ACK:
        return
    if me.snd_nxt is None:
        me.snd_una = me.snd_nxt = ack
        me.iss = beyond(ack, -1)
    if me.state == "SYN_RECEIVED":
        if me.syn and me.iss is not None and (not after(ack, me.iss) or after(ack, me.snd_nxt)):
            return
        me.enter("ESTABLISHED", ts_ns)
    if me.snd_una is None or after(ack, me.snd_una):
        me.snd_una = ack
    if me.fin is not None and after(ack, me.fin):
        moves = {"FIN_WAIT_1": "FIN_WAIT_2", "CLOSING": "TIME_WAIT", "LAST_ACK": "CLOSED"}
        if me.state in moves:
            me.enter(moves[me.state], ts_ns)
    # seventh and eighth: the text, the FIN
    if not flags & SYN:
        if me.rcv_nxt is None:
            me.rcv_nxt = seq
        store(me, seq, segment.payload_len)
        take_fin(me, peer, ts_ns)


def store(me: End, seq: int, payload_len: int) -> None:
    """Take octets; RCV.NXT goes to the first that is missing."""
    assert me.rcv_nxt is not None
    for number in range(seq, seq + payload_len):
        if not after(me.rcv_nxt, number % 2**32):
            me.octets.add(number % 2**32)
    swallow(me)


def swallow(me: End) -> None:
    assert me.rcv_nxt is not None
    while me.rcv_nxt in me.octets:
        me.rcv_nxt = beyond(me.rcv_nxt, 1)
    me.octets = {number for number in me.octets if not after(me.rcv_nxt, number)}


def stretches(octets: set[int]) -> int:
    return sum(beyond(number, -1) not in octets for number in octets)


def take_fin(me: End, peer: End, ts_ns: int) -> None:
    """The peer's FIN, once everything before it has come."""
    if me.has_peers_fin or peer.fin is None or me.rcv_nxt is None or before(me.rcv_nxt, peer.fin):
        return
    if me.state in ("CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED"):
        return
    me.has_peers_fin = True
    if me.rcv_nxt == peer.fin:
        me.rcv_nxt = beyond(peer.fin, 1)
    moves = {"ESTABLISHED": "CLOSE_WAIT", "FIN_WAIT_1": "CLOSING", "FIN_WAIT_2": "TIME_WAIT"}
    if me.state in moves:
        me.enter(moves[me.state], ts_ns)


# ---------------------------------------------------------------- phase, completeness, who closed


def phase_of(connection: Connection, side: int, segment: Sent) -> str:
    """The phase of a segment, by the states before it."""
    sender, receiver = connection.ends[side], connection.ends[1 - side]
    flags, payload = segment.flags, segment.payload_len > 0
    if flags & (FIN | RST):
        return "TEARDOWN"
    if flags & SYN:
        return "HANDSHAKE"
    if sender.fin is None and receiver.fin is None:
        if connection.phase == "HANDSHAKE" and not payload:
            ends_it = receiver.state == "SYN_RECEIVED" or sender.state == "SYN_SENT"
            again = flags & ACK and receiver.syn and segment.ack == beyond(receiver.iss or 0, 1)
            if ends_it or again:
                return "HANDSHAKE"
        over = {sender.state, receiver.state} & {"CLOSED", "LISTEN"}
        return "TEARDOWN" if connection.reset and over else "DATA"
    if payload:
        if sender.fin is None:
            if sender.snd_nxt is None or after(beyond(segment.seq, segment.payload_len), sender.snd_nxt):
                connection.late.add(side)
            return "DATA"
        return "TEARDOWN"
    if 1 - side in connection.late:  # the ACK of what came after a FIN
        if receiver.fin is None or not (flags & ACK and after(segment.ack, receiver.fin)):
            return "DATA"
    return "TEARDOWN"


def bits_of(connection: Connection, segment: Sent) -> int:
    is_first = not any(end.packets for end in connection.ends)
    return completeness(segment.flags, segment.payload_len > 0, is_first, connection.former is not None)


def closer(before: str, side: int, peer: End, segment: Sent) -> str:
    """Who closed, after a side's first FIN: both, when this one crosses an earlier one that nobody acknowledged."""
    if before == "nobody":
        return "server" if side else "client"
    unseen = segment.flags & ACK and peer.fin is not None and not after(segment.ack, peer.fin)
    return "both" if unseen and peer.state == "FIN_WAIT_1" else before


# ---------------------------------------------------------------- Zeek


def letters(connection: Connection, side: int, segment: Sent) -> str:
    """The letters that a segment adds to the history."""
    me, peer = connection.ends[side], connection.ends[1 - side]
    flags = segment.flags
    control = flags & (SYN | FIN | RST)
    said = ""

    def write(letter: str, number: int = 0, kind: str = "") -> None:
        """Once a side; again when a letter of its kind had another sequence number."""
        nonlocal said
        if me.letters.get(kind or letter) != number:
            said += letter
        me.letters[kind or letter] = number

    def count(letter: str) -> None:
        """At the 1st, 10th, 100th … time."""
        nonlocal said
        me.counts[letter] = me.counts.get(letter, 0) + 1
        if str(me.counts[letter]).rstrip("0") == "1":
            said += letter

    if control == SYN:
        write("H" if flags & ACK else "S", segment.seq, "SYN")
    elif control == FIN:
        write("F", beyond(segment.seq, segment.payload_len))
    elif control == RST:
        write("R", segment.seq)
    elif control:
        write("I" if control == FIN | RST else "Q")
    elif segment.payload_len:
        write("D")
    elif flags & ACK:
        write("A")

    if segment.window == 0 and not flags & RST and peer.zeek != "closed" and me.zeek != "reset":
        count("W")
    if segment.payload_len and not flags & RST and me.snd_nxt is not None:
        stray_syn = flags & SYN and me.syn and segment.seq != me.iss
        # one octet back is a keep-alive, or data after a zero-window probe
        if not stray_syn and before(beyond(segment.seq, 1), me.snd_nxt):
            count("T")
    return said if side == CLIENT else said.lower()


def gap(side: int, me: End, peer: End, segment: Sent) -> str:
    """A letter of the peer when a segment acknowledges octets that were not captured."""

    def clean(end: End) -> bool:
        return end.zeek == "established" or (end.zeek == "closed" and end.zeek_before == "established")

    if not segment.flags & ACK or segment.flags & RST or me.rcv_nxt is None or peer.snd_nxt is None:
        return ""
    if not clean(me) or not clean(peer):
        return ""
    ack = peer.fin if peer.fin is not None and after(segment.ack, peer.fin) else segment.ack
    if not after(ack, me.rcv_nxt) or (ack - me.rcv_nxt) % 2**32 > 2**20:
        return ""
    peer.counts["G"] = peer.counts.get("G", 0) + 1
    if str(peer.counts["G"]).rstrip("0") != "1":
        return ""
    return "g" if side == CLIENT else "G"


def zeek_moves(side: int, me: End, peer: End, segment: Sent) -> None:
    """Zeek's states of an endpoint, by which it names a connection's end."""
    flags = segment.flags
    syn, fin, rst, ack = (bool(flags & bit) for bit in (SYN, FIN, RST, ACK))
    if me.zeek == "inactive":
        if syn and side == CLIENT:
            me.enter_zeek("syn-ack sent" if ack else "syn sent")
        elif syn:
            if peer.zeek == "syn sent":
                peer.enter_zeek("established")
            me.enter_zeek("established")
        if fin:
            me.enter_zeek("closed")
        if rst:
            me.enter_zeek("reset")
        if me.zeek == "inactive":
            early_ack = side == SERVER and not segment.payload_len and peer.zeek == "syn sent"
            if not early_ack:
                me.enter_zeek("established" if ack and peer.zeek == "established" else "partial")
    elif me.zeek in ("syn sent", "syn-ack sent"):
        if fin:
            me.enter_zeek("closed")
        if rst:
            me.enter_zeek("reset")
    elif me.zeek in ("established", "partial"):
        if syn and not ack and me.zeek == "partial" and peer.zeek == "inactive":
            me.enter_zeek("syn sent")
        if fin and not rst:
            me.enter_zeek("closed")
            if peer.zeek == "reset" and peer.zeek_before == "closed":
                peer.enter_zeek("closed")
        if rst:
            me.enter_zeek("reset")
    elif me.zeek == "closed" and rst and peer.zeek != "closed":
        me.enter_zeek("reset")
