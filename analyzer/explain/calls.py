"""Which socket calls a connection's packets follow from, and which calls can return because of them.

``inferred`` looks at the packets alone; calls that were seen come from elsewhere and are of the same type. Both ends
are taken to be programs that use sockets: a scanner that makes its own packets calls nothing. A program that ends
closes its sockets, so ``close()`` stands for its end too: on the wire the two are the same.

How sure each of them is, and by which rule:

- ``socket(); connect()``: CERTAIN; a SYN is an active OPEN (RFC 9293 3.9.1.1). POSSIBLE where the answer to it was
  answered by RST, or never, as by a scanner.
- ``socket(); sendto(MSG_FASTOPEN)``: LIKELY; a SYN with payload (RFC 7413; tcp(7) has TCP_FASTOPEN_CONNECT besides).
  It does not wait for the handshake.
- ``socket(); bind(); listen()``: CERTAIN; a SYN,ACK is a passive OPEN's (3.10.7.2), unless both ends sent a SYN.
- ``connect succeeds``: CERTAIN; with the SYN,ACK (3.10.7.3), when the client acknowledges it. LIKELY where it was
  repeated.
- ``connect fails: ECONNREFUSED``: CERTAIN; the client's SYN was answered by RST (3.10.7.3). LIKELY where that SYN has
  no timestamps: Windows, which sends none, tries again before connect() fails.
- ``no socket listens``: LIKELY; the same (3.10.7.1). A firewall may say so too.
- ``connect fails: EHOSTUNREACH`` and others: LIKELY; an ICMP error quotes the SYN and no SYN follows it
  (undelivered.py). Where one follows, ``connect waits, then …``: the errno of a soft error is given in the end.
- ``connect waits, then ETIMEDOUT``: LIKELY; the SYN was sent again without an answer (tcp(7), tcp_syn_retries).
- ``accept can return``: with the handshake's ACK (3.10.7.4). CERTAIN when the server sends data or FIN before the
  client does, or the ACK brings data. Else LIKELY: a server with TCP_DEFER_ACCEPT waits for data (tcp(7)).
- ``write``: LIKELY; payload that was not sent before, up to where a write probably ends (writes.py), which is never
  where the receiver's window was full: ``or more``. It stands beside its first segment. What is sent again, the kernel
  sends.
- ``can read``: octets in order up to the end of a write. CERTAIN when they were acknowledged and not sent again, LIKELY
  when one of these, or when they were not sent again and the receiver was heard of later. Else they are not known to
  have arrived.
- ``shutdown(SHUT_WR)``: CERTAIN; a FIN whose sender takes new data afterwards. After close() it would send RST (3.6.1).
- ``close()``: LIKELY; a FIN after the peer's, which it acknowledges.
- ``close() or shutdown()``: CERTAIN; any other FIN (3.9.1.4): it is one of them.
- ``closed entirely by now``: LIKELY; RST in answer to new data after such a FIN (3.6.1). When it closed is not known.
- ``read can return 0``: the peer's FIN (3.10.7.4). CERTAIN when it was acknowledged and nothing was left to be sent,
  which a program may leave to the kernel when it closes. Else LIKELY; not told of a program that closed before.
- ``close() with SO_LINGER 0``: LIKELY; RST before any FIN (3.9.1.5, socket(7)). Where its sender has received data,
  it may be close() with some of it unread (3.6.1), and where it is a server that never spoke, its listening socket may
  have been closed before accept(). The wire does not tell.
- ``read fails: ETIMEDOUT``: LIKELY; RST after a keep-alive probe without an answer (tcp(7), tcp_keepalive_probes).
- ``next call fails: ECONNRESET``: LIKELY; RST to an end that has not closed (3.10.7.4) and was heard of. ``next write
  fails: EPIPE`` where the peer's FIN came before.
- ``does not read``, ``reads again``: LIKELY; a window of 0, and the end of it (3.8.6).
- ``SO_KEEPALIVE set``: LIKELY; a keep-alive probe (3.8.4: off by default), which is none of a zero window (3.8.6.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from analyzer.explain.places import NOWHERE, Packet, lowest_sent_again, merged, packets_of
from analyzer.explain.undelivered import connect_error
from analyzer.explain.writes import PAUSE_NS, Room, end_of_write
from analyzer.language import _, counted
from analyzer.tables import FIN, PSH, RST, SYN, Event, Life, Protocol, Rows, Side
from analyzer.tcp.states import State


class Certainty(IntEnum):
    """How a call is known."""

    SEEN = 0
    """Somebody watched the program."""
    CERTAIN = 1
    """The packets can come from nothing else."""
    LIKELY = 2
    POSSIBLE = 3


class Kind(IntEnum):
    """What a call that is inferred is, for programs."""

    OTHER = 0
    """Told in words alone."""
    LISTEN = 1
    CONNECT = 2
    FAST_OPEN = 3
    CONNECTED = 4
    REFUSED = 5
    ACCEPT = 6
    WRITE = 7
    READ = 8
    END_OF_FILE = 9
    SHUTDOWN = 10
    CLOSE = 11
    ABORT = 12
    RESET = 13
    PIPE = 14


class Call(NamedTuple):
    """A socket call, or several that come together."""

    packet: int
    """Number of the packet that it is told beside; 0 none."""
    side: Side
    """Side that made it."""
    told: str
    """What a person reads of it: ``write 5 bytes``."""
    follows: bool
    """Whether it follows from the packet; otherwise the packet follows from it."""
    certainty: Certainty
    ts_ns: int | None = None
    """When, of a call that was seen."""
    result: str = ""
    """The same: ``= 5``, ``= -1 EPIPE``."""
    process: str = ""
    """The same: ``php (4711)``."""
    kind: Kind = Kind.OTHER
    octets: int = 0
    """Of a WRITE, READ or FAST_OPEN."""


def with_seen(inferred_calls: Iterable[Call], seen: Iterable[Call]) -> list[Call]:
    """The calls inferred and those seen: of a side whose calls were seen, nothing inferred is left."""
    known = list(seen)
    sides = {call.side for call in known}
    return [call for call in inferred_calls if call.side not in sides] + known


def inferred(connection: Rows, endpoints: Rows, life: Life) -> list[Call]:
    """The calls of a TCP connection, in the order of the packets that they stand beside; none of other protocols.

    ``connection`` is its CONNECTION row, ``endpoints`` its two ENDPOINT rows. Where packets were left out of the life,
    nothing is told of them.
    """
    return _Inference(life, connection, endpoints).calls() if connection["protocol"] == Protocol.TCP else []


class _Inference:
    def __init__(self, life: Life, connection: Rows, endpoints: Rows) -> None:
        self._undelivered = connect_error(connection)
        self._packets, self._unknown_from = packets_of(life)
        self._endpoints = endpoints
        self._of = [[packet for packet in self._packets if packet.side == side] for side in Side]
        self._fins = [next((packet for packet in sent if packet.is_fin), None) for sent in self._of]
        self._acked = [max((packet.acked for packet in self._of[1 - side]), default=-1) for side in Side]
        self._again = [lowest_sent_again(sent) for sent in self._of]
        self._accepted = 0
        """The packet before which the server took no data, where it ignored some."""
        self._calls: list[tuple[int, Call]] = []

    def calls(self) -> list[Call]:
        """All of them."""
        if self._packets:
            self._opening()
            for side in Side:
                self._data(side)
                self._closing(side)
                self._aborting(side)
                self._windows(side)
        return [call for _, call in sorted(self._calls, key=lambda pair: pair[0])]

    def _tell(
        self, packet: Packet, side: int, kind: Kind, told: str, *, follows: bool = False,
        sure: Certainty = Certainty.CERTAIN, octets: int = 0,
    ) -> None:  # fmt: skip
        call = Call(packet.number, Side(side), told, follows, sure, kind=kind, octets=octets)
        self._calls.append((packet.number * 2 + follows, call))

    # ------------------------------------------------------------ the handshake

    def _opening(self) -> None:
        syns = [[packet for packet in sent if packet.is_bare_syn] for sent in self._of]
        answers = [[packet for packet in sent if packet.is_syn_ack] for sent in self._of]
        first = next((packet for packet in self._packets if packet.is_bare_syn or packet.is_syn_ack), None)
        if first is None:
            return
        both = bool(syns[Side.CLIENT] and syns[Side.SERVER])
        listens = bool(answers[Side.SERVER]) and not both
        if listens:
            self._tell(first, Side.SERVER, Kind.LISTEN, _("socket(); bind(); listen()"))
        for side in Side if both else (Side.CLIENT,):
            answer = self._answer(side)
            self._connecting(side, syns[side][0] if syns[side] else first, answer)
            if answer is None and not both and syns[side]:
                self._failing(syns[side])
        if listens:
            self._accepting(answers[Side.SERVER])

    def _answer(self, side: int) -> Packet | None:
        """The packet that established the connection of a side whose program connects; None where none did."""
        confirmed = next((packet for packet in self._of[side] if packet.is_plain), None)
        aborted = next((packet for packet in self._of[side] if packet.is_reset), None)
        if confirmed is None and aborted is not None:
            return None
        answers = [packet for packet in self._of[1 - side] if packet.is_syn_ack]
        if confirmed is not None:
            answers = [packet for packet in answers if packet.number < confirmed.number]
        elif len(answers) > 1:
            return None
        return answers[-1] if answers else None

    def _connecting(self, side: int, syn: Packet, answer: Packet | None) -> None:
        unwanted = answer is None and any(packet.is_syn_ack for packet in self._of[1 - side])
        if syn.is_bare_syn and syn.payload_len:
            n = syn.payload_len
            text = counted("socket(); sendto(MSG_FASTOPEN) {n} byte", "socket(); sendto(MSG_FASTOPEN) {n} bytes", n)
            self._tell(syn, side, Kind.FAST_OPEN, text.format(n=f"{n:,}"), sure=Certainty.LIKELY, octets=n)
        else:
            sure = Certainty.POSSIBLE if unwanted else Certainty.CERTAIN
            self._tell(syn, side, Kind.CONNECT, _("socket(); connect()"), sure=sure)
        if answer is not None and not (syn.is_bare_syn and syn.payload_len):
            repeated = sum(packet.is_syn_ack and packet.number <= answer.number for packet in self._of[1 - side]) > 1
            is_sure = not repeated and any(packet.is_plain for packet in self._of[side])
            sure = Certainty.CERTAIN if is_sure else Certainty.LIKELY
            self._tell(answer, side, Kind.CONNECTED, _("connect succeeds"), follows=True, sure=sure)

    def _failing(self, syns: list[Packet]) -> None:
        """A client whose SYNs brought it nothing."""
        reset = next((packet for packet in reversed(self._of[Side.SERVER]) if packet.is_reset), None)
        if reset is not None and reset.number > syns[-1].number and reset.acked >= 0:
            if not any(packet.is_syn_ack for packet in self._of[Side.SERVER]):
                self._tell(reset, Side.SERVER, Kind.OTHER, _("no socket listens"), sure=Certainty.LIKELY)
                sure = Certainty.CERTAIN if syns[-1].has_timestamps else Certainty.LIKELY
                self._tell(reset, Side.CLIENT, Kind.REFUSED, _("connect fails: ECONNREFUSED"), follows=True, sure=sure)
        elif not self._of[Side.SERVER] and (self._undelivered or len(syns) > 1):
            packet, errno = self._undelivered or (0, "ETIMEDOUT")
            waits = syns[-1].number > packet
            text = _("connect waits, then {errno}") if waits else _("connect fails: {errno}")
            kind = Kind.REFUSED if errno == "ECONNREFUSED" and not waits else Kind.OTHER
            told = text.format(errno=errno)
            self._tell(syns[-1], Side.CLIENT, kind, told, follows=True, sure=Certainty.LIKELY)

    def _accepting(self, answers: list[Packet]) -> None:
        last = answers[-1]
        acks = [packet for packet in self._of[Side.CLIENT] if packet.is_plain]
        ack = next((packet for packet in acks if packet.number > last.number), None)
        spoken = next((packet for packet in self._of[Side.SERVER] if packet.is_plain), None)
        was_ignored = any(packet.number < last.number for packet in acks)
        if spoken is not None and was_ignored:
            earlier = [packet for packet in acks if packet.number < spoken.number]
            ack = ack if ack is not None and ack.number < spoken.number else earlier[-1] if earlier else None
        if ack is None or (spoken is None and was_ignored):
            self._accepted = NOWHERE if was_ignored else 0
            return
        self._accepted = ack.number if was_ignored else 0
        asked = next((packet for packet in acks if packet.payload_len), None)
        speaks_first = next((p for p in self._of[Side.SERVER] if p.is_plain and (p.payload_len or p.is_fin)), None)
        is_sure = spoken is not None and (
            asked is ack or (speaks_first is not None and (asked is None or speaks_first.number < asked.number))
        )
        sure = Certainty.CERTAIN if is_sure else Certainty.LIKELY
        self._tell(ack, Side.SERVER, Kind.ACCEPT, _("accept can return"), follows=True, sure=sure)

    # ------------------------------------------------------------ data

    def _data(self, side: Side) -> None:
        """What a side writes, and what its peer can read of it."""
        ends = self._writing(side)
        self._reading(side, ends)

    def _writing(self, side: Side) -> list[int]:
        """Tell the writes of a side; where they end in its stream, in order."""
        ends: list[int] = []
        room = Room(self._endpoints[1 - side], self._shift(1 - side))
        first: Packet | None = None
        last: Packet | None = None
        begin = 0
        is_stalled = False

        def finish() -> None:
            nonlocal first
            if first is not None and last is not None:
                ends.append(last.end)
                n = last.end - begin
                text = counted("write {n} byte", "write {n} bytes", n)
                if is_stalled:
                    text = counted("write {n} byte or more", "write {n} bytes or more", n)
                text = text.format(n=f"{n:,}")
                self._tell(first, side, Kind.WRITE, text, sure=Certainty.LIKELY, octets=n)
            first = None

        for packet in self._packets:
            brings = packet.new_from < packet.end
            if packet.side != side:
                room.take(packet)
                is_stalled |= last is not None and not room.has_more_after(last.end)
            if packet.number == self._unknown_from or (brings and packet.side != side):
                finish()
            if packet.side != side or not brings:
                continue
            if packet.flags & SYN:  # Fast Open's own call
                ends.append(packet.end)
                continue
            if last is not None and not is_stalled and packet.ts_ns - last.ts_ns >= PAUSE_NS:
                finish()
            goes_on = first is not None and last is not None and packet.payload_len == last.payload_len
            if first is None:
                first, begin = packet, packet.new_from
            last = packet
            is_stalled = packet.fills_window
            if packet.flags & PSH and packet.fills_window:
                ends.append(packet.end)
            elif not goes_on and end_of_write(packet.flags, packet.payload_len, room.mss, room.most):
                is_stalled = False
                finish()
            elif packet.flags & PSH:
                ends.append(packet.end)
        finish()
        return ends

    def _reading(self, side: Side, ends: list[int]) -> None:
        """What the peer of a side can read, packet by packet."""
        deaf_from = self._deaf_from(Side(1 - side))
        last_heard = max((packet.number for packet in self._of[1 - side] if packet.is_plain), default=0)
        syn_taken = max((packet.acked for packet in self._of[1 - side] if packet.is_syn_ack), default=0)
        arrived = told = highest = self._of[side][0].start if self._of[side] else 0
        held: list[tuple[int, int]] = []
        at = 0
        for packet in self._packets:
            if packet.number >= deaf_from:
                return
            if packet.number == self._unknown_from:
                held, arrived = [], -1
            if packet.side != side:
                arrived = max(arrived, min(packet.acked, highest)) if arrived >= 0 else arrived
                continue
            if not packet.payload_len or packet.is_reset or (packet.flags & SYN and packet.end > syn_taken):
                continue
            if side == Side.CLIENT and packet.number < self._accepted:
                continue
            if arrived < 0:
                arrived = told = packet.start
            highest = max(highest, packet.end)
            held = merged([*held, (packet.start, packet.end)])
            if held[0][0] <= arrived:
                arrived = max(arrived, held.pop(0)[1])
            passed = at
            while at < len(ends) and ends[at] <= arrived:
                at += 1
            if at > passed and arrived > told:
                is_acked, is_again = self._acked[side] >= arrived, arrived > self._sent_again_from(packet)
                if not is_acked and (is_again or packet.number > last_heard):
                    continue
                is_sure = is_acked and not is_again
                n = arrived - told
                text = counted("can read {n} byte", "can read {n} bytes", n).format(n=f"{n:,}")
                sure = Certainty.CERTAIN if is_sure else Certainty.LIKELY
                self._tell(packet, 1 - side, Kind.READ, text, follows=True, sure=sure, octets=n)
                told = arrived

    def _deaf_from(self, side: Side) -> int:
        """The packet from which on a side takes no data: its RST, or its FIN where RST answered data after it."""
        fin, reset = self._fins[side], self._reset(side)
        if fin is not None and self._rejects_late_data(side):
            return fin.number
        return reset.number if reset is not None else NOWHERE

    def _reset(self, side: int) -> Packet | None:
        """The first RST of a side that ended the connection for it."""
        resets = (packet for packet in self._of[side] if packet.is_reset)
        return next((packet for packet in resets if packet.after[side] == State.CLOSED), None)

    def _shift(self, side: int) -> int | None:
        """By how many bits a side's window is shifted (RFC 7323 2.2); None where that is not known."""
        if not all(any(packet.flags & SYN for packet in sent) for sent in self._of):
            return None
        scales = [int(scale) for scale in self._endpoints["window_scale"]]
        return scales[side] if min(scales) >= 0 else 0

    def _sent_again_from(self, packet: Packet) -> int:
        """From where on its sender sent octets again after this packet: the peer may have had a gap there."""
        return self._again[packet.side].get(packet.number, NOWHERE)

    # ------------------------------------------------------------ the end

    def _late(self, side: Side) -> Packet | None:
        """The first packet with new payload that a side got after its FIN."""
        fin = self._fins[side]
        if fin is None:
            return None
        later = (packet for packet in self._of[1 - side] if packet.number > fin.number and packet.new_from < packet.end)
        # what the FIN acknowledges came before it, whatever the capture's order
        return next((packet for packet in later if packet.end > fin.acked), None)

    def _takes_late_data(self, side: Side) -> bool:
        """Whether a side acknowledged new payload after its FIN."""
        late = self._late(side)
        return late is not None and any(
            packet.acked >= late.end for packet in self._of[side] if packet.number > late.number and packet.is_plain
        )

    def _rejects_late_data(self, side: Side) -> bool:
        """Whether a side answered new payload after its FIN with a RST that does not acknowledge it."""
        late = self._late(side)
        if late is None or self._takes_late_data(side):
            return False
        return any(
            packet.is_reset and packet.acked < late.end for packet in self._of[side] if packet.number > late.number
        )

    def _closing(self, side: Side) -> None:
        fin, other = self._fins[side], self._fins[1 - side]
        if fin is None:
            return
        is_second = other is not None and other.number < fin.number and fin.acked > other.end
        if self._takes_late_data(side):
            self._tell(fin, side, Kind.SHUTDOWN, _("shutdown(SHUT_WR)"))
        elif is_second and not self._rejects_late_data(side):
            self._tell(fin, side, Kind.CLOSE, _("close()"), sure=Certainty.LIKELY)
        else:
            self._tell(fin, side, Kind.CLOSE, _("close() or shutdown()"))
        self._reading_the_end(side, fin)

    def _reading_the_end(self, side: Side, fin: Packet) -> None:
        """What a FIN is to the peer's program, when that has not closed the socket before."""
        peer = Side(1 - side)
        own_fin = self._fins[peer]
        closed_before = own_fin is not None and (own_fin.number < fin.number or own_fin.acked <= fin.end)
        if closed_before and not self._takes_late_data(peer):
            return
        # With octets still in the peer's send buffer its program may have called close() already
        sent = [packet for packet in self._of[peer] if packet.number < fin.number]
        has_sent_all = max((packet.end for packet in sent), default=-1) <= fin.acked and fin.window > 0
        writes_no_more = not any(
            packet.new_from < packet.end for packet in self._of[peer] if packet.number > fin.number
        )
        was_taken = self._acked[side] > fin.end and fin.end < self._sent_again_from(fin)
        is_sure = was_taken and (has_sent_all or writes_no_more)
        sure = Certainty.CERTAIN if is_sure else Certainty.LIKELY
        self._tell(fin, peer, Kind.END_OF_FILE, _("read can return 0"), follows=True, sure=sure)

    def _aborting(self, side: Side) -> None:
        """RST of a side after the handshake."""
        reset = next((packet for packet in self._of[side] if packet.is_reset), None)
        if reset is None or reset.before[side] in (State.LISTEN, State.SYN_SENT, State.SYN_RECEIVED):
            return
        if self._never_opened(side, reset):
            return
        fin, other = self._fins[side], self._fins[1 - side]
        has_closed = fin is not None and fin.number < reset.number
        if not has_closed and reset.before[side] != State.CLOSED:
            self._tell(reset, side, *self._abort(side, reset), sure=Certainty.LIKELY)
        elif has_closed and self._rejects_late_data(side):
            self._tell(reset, side, Kind.OTHER, _("closed entirely by now"), sure=Certainty.LIKELY)
        peer = 1 - side
        is_open = other is None or other.number > reset.number or self._takes_late_data(Side(peer))
        was_open = reset.before[peer] not in (State.CLOSED, State.SYN_SENT, State.SYN_RECEIVED)
        if is_open and was_open and not self._tries_in_vain(side, reset):
            if reset.after[peer] == State.CLOSED:
                failure = Kind.RESET, _("next call fails: ECONNRESET")
                if reset.before[peer] == State.CLOSE_WAIT:
                    failure = Kind.PIPE, _("next write fails: EPIPE")
                self._tell(reset, peer, *failure, follows=True, sure=Certainty.LIKELY)

    def _never_opened(self, side: Side, reset: Packet) -> bool:
        """Whether a RST answers a SYN,ACK that its sender did not wait for."""
        before = [packet for packet in self._packets if packet.number < reset.number]
        own = any(packet.is_plain for packet in before if packet.side == side)
        return not own and any(packet.is_syn_ack for packet in before if packet.side != side)

    def _abort(self, side: Side, reset: Packet) -> tuple[Kind, str]:
        """What the program did, or what was done to it."""
        if self._probes_in_vain(side, reset):
            return Kind.OTHER, _("read fails: ETIMEDOUT")
        got = any(packet.payload_len and packet.number < reset.number for packet in self._of[1 - side])
        spoke = any(packet.payload_len and packet.number < reset.number for packet in self._of[side])
        is_accepted = side == Side.CLIENT or spoke or not self._has_listened
        if got and is_accepted:
            return Kind.ABORT, _("close() with data unread or SO_LINGER 0")
        if got:
            return Kind.ABORT, _("close() with data unread or SO_LINGER 0, or the listener was closed")
        if is_accepted:
            return Kind.ABORT, _("close() with SO_LINGER 0")
        return Kind.ABORT, _("close() with SO_LINGER 0, or the listener was closed")

    @property
    def _has_listened(self) -> bool:
        """Whether the server's socket may have come from a listening one: it has not sent a SYN of its own."""
        return not any(packet.is_bare_syn for packet in self._of[Side.SERVER])

    def _probes_in_vain(self, side: Side, reset: Packet) -> bool:
        before = [packet for packet in self._packets if packet.number < reset.number]
        return bool(before) and before[-1].side == side and bool(before[-1].events >> Event.KEEP_ALIVE & 1)

    def _tries_in_vain(self, side: Side, reset: Packet) -> bool:
        """Whether a side got no answer to what it sent again, or to its keep-alive probes: the peer may be gone."""
        heard = max((packet.number for packet in self._of[1 - side] if packet.number < reset.number), default=0)
        later = [packet for packet in self._of[side] if heard < packet.number < reset.number]
        return any(packet.start < packet.new_from or packet.events >> Event.KEEP_ALIVE & 1 for packet in later)

    # ------------------------------------------------------------ what sockets are set to, and what they hold

    def _windows(self, side: Side) -> None:
        """Windows that close and open, and keep-alive probes."""
        is_shut = keeps_alive = is_peer_shut = False
        for packet in self._packets:
            if packet.side != side:
                is_peer_shut = packet.window == 0 and not packet.is_reset
                continue
            if packet.flags & (SYN | RST | FIN):
                continue
            if packet.window == 0 and not is_shut:
                self._tell(packet, side, Kind.OTHER, _("does not read"), sure=Certainty.LIKELY)
            elif packet.window and is_shut:
                self._tell(packet, side, Kind.OTHER, _("reads again"), sure=Certainty.LIKELY)
            is_shut = packet.window == 0
            if packet.events >> Event.KEEP_ALIVE & 1 and not keeps_alive and not is_peer_shut:
                keeps_alive = True
                self._tell(packet, side, Kind.OTHER, _("SO_KEEPALIVE set"), sure=Certainty.LIKELY)
