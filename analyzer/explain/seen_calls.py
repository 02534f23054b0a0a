"""Socket calls that strace saw, beside the packets of a capture: whose connection, which packets, which clock.

A socket belongs to the connection with its two ends, one of UDP to a conversation with each of its peers (peers.py).
Where a log tells only one of them (it has neither ``-y`` nor ``-yy``), the connections with that end are given to its
sockets in their order. A connection that was never accepted belongs to the socket that listens (listening.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from socket import AF_INET, AF_INET6, inet_ntop
from typing import NamedTuple

from analyzer.explain.binding import failed_binds, together
from analyzer.explain.calls import Call, Certainty, Kind
from analyzer.explain.listening import ANYWHERE, Listener, listeners, queued, ties_of, waits_from
from analyzer.explain.peers import by_peer, peer_of
from analyzer.explain.processes import called, ends_of
from analyzer.explain.tying import Offset, Packet, Tie, offset_of, packets_of, places, tied
from analyzer.language import _, counted
from analyzer.strace.arguments import End, number, sockaddr
from analyzer.strace.log import Clock, Record, StraceLog
from analyzer.strace.sockets import Deed, Process, Socket, SocketCall, Sockets
from analyzer.tables import Life, Protocol, Rows, Side

_EARLY_NS = 1_000_000_000
"""A connection that ended so long before a socket's first call is that socket's only where
no other is: a log may have another clock."""

_KINDS = {
    Deed.LISTEN: Kind.LISTEN, Deed.CONNECT: Kind.CONNECT, Deed.ACCEPT: Kind.ACCEPT, Deed.WRITE: Kind.WRITE,
    Deed.READ: Kind.READ, Deed.SHUTDOWN: Kind.SHUTDOWN, Deed.CLOSE: Kind.CLOSE, Deed.EXIT: Kind.CLOSE,
}  # fmt: skip


class ReadLog(NamedTuple):
    """A log that was read: its name, how it was read, what it says."""

    path: str
    log: StraceLog
    records: list[Record]


class Owner(NamedTuple):
    """An end of a connection."""

    number: int
    """The connection's."""
    side: Side


class Sided(NamedTuple):
    """The calls of one side of a connection, tied to its packets."""

    side: Side
    log: int
    """Which log they are of."""
    ties: list[Tie]


class SeenCalls:
    """The socket calls of some logs, given to the connections (CONNECTION rows, all of a capture).

    Attributes: ``owners`` of each socket; ``queued`` has the connections that no accept() gave, by their numbers;
    ``listeners`` the sockets that listen, where all is known that was accepted from them; ``failed_binds`` those that
    found a port in use, a program's of one port together; ``offsets`` of the logs, once there are lives (``tie``).
    """

    def __init__(self, logs: Sequence[ReadLog], connections: Rows, endpoints: Rows | None = None) -> None:
        self.logs = list(logs)
        self.owners: dict[Socket, Owner] = {}
        self.offsets: list[Offset] = [Offset(0, None, None)] * len(self.logs)
        self.calls: list[list[SocketCall]] = []
        self._names: list[Words] = []
        self._sockets: dict[Socket, tuple[int, list[SocketCall]]] = {}
        self.elsewhere = 0
        for at, one in enumerate(self.logs):
            followed = Sockets()
            calls = [call for record in one.records for call in followed.feed(record)]
            self.calls.append(calls)
            self.elsewhere += followed.elsewhere
            self._names.append(Words(followed.processes))
            for call in calls:
                self._sockets.setdefault(call.socket, (at, []))[1].append(call)
        self._part_peers()
        self._find_owners(connections)
        self.listeners = self._listeners()
        self.failed_binds = together(
            one for at, calls in self._sockets.values() for one in failed_binds(at, _program_order(calls))
        )  # fmt: skip
        accepted = {owner.number for owner in self.owners.values() if owner.side == Side.SERVER}
        timed = [one for one in self.listeners if self.logs[one.log].log.clock == Clock.UNIX]
        here = {socket.local[0] for socket in self._sockets if socket.local} - {*ANYWHERE}
        self.queued = queued(timed, connections, endpoints, accepted, here)
        self._sided: dict[int, list[Sided]] = {}
        self._packets: dict[int, list[Packet]] = {}

    @property
    def numbers(self) -> list[int]:
        """The connections that these programs had."""
        return sorted({owner.number for owner in self.owners.values()} | self.queued.keys())

    def tie(self, lives: Mapping[int, Life], protocols: Mapping[int, Protocol]) -> None:
        """Find the packets of the calls of these connections, and the clocks of the logs by them."""
        for connection, life in lives.items():
            self._packets[connection] = packets_of(life)
            self._sided[connection] = []
        accepted: set[Socket] = set()
        for socket, owner in self.owners.items():
            if owner.number not in lives:
                continue
            at, calls = self._sockets[socket]
            ties = tied(_program_order(calls), owner.side, self._packets[owner.number], protocols[owner.number])
            listener = socket.listener
            if listener and listener not in accepted and listener in self._sockets:
                accepted.add(listener)
                ties = self._preparing(listener, calls[0]) + ties
            self._sided[owner.number].append(Sided(owner.side, at, ties))
        self._tie_queued()
        for at, one in enumerate(self.logs):
            mine = [
                (tie, self._packets[connection])
                for connection, some in self._sided.items()
                for sided in some
                if sided.log == at
                for tie in sided.ties
            ]
            self.offsets[at] = offset_of(mine, one.log.precision_ns)

    def _tie_queued(self) -> None:
        """Give the calls on listening sockets to the connections that wait there."""
        begun: set[int] = {id(one) for one in self.listeners if one.accepted}
        for connection, one in self.queued.items():
            if connection in self._sided:
                begins = id(one.listener) not in begun
                begun.add(id(one.listener))
                ties = ties_of(one, self._packets[connection], begins=begins)
                self._sided[connection].append(Sided(Side.SERVER, one.listener.log, ties))

    def sided(self, connection: int) -> list[Sided]:
        """The tied calls of a connection."""
        return self._sided.get(connection, [])

    def packets(self, connection: int) -> list[Packet]:
        """The packets of a connection, as calls were tied to them."""
        return self._packets.get(connection, [])

    def of(self, connection: int) -> list[Call]:
        """The calls of a connection as a ladder has them."""
        found = []
        for sided in self.sided(connection):
            log, offset_ns = self.logs[sided.log].log, self.offsets[sided.log].ns
            where = places(sided.ties, self._packets[connection], offset_ns, log.precision_ns)
            for tie, place in zip(sided.ties, where, strict=True):
                call = tie.seen.call
                words = told_apart(tie.seen) if tie.seen.socket.listens else told(tie.seen)
                found.append(
                    Call(
                        place.packet, sided.side, words, place.follows, Certainty.SEEN,
                        call.ts_ns + offset_ns, result_of(tie.seen), self.process(sided.log, call.pid),
                        _KINDS.get(tie.seen.deed, Kind.OTHER), tie.seen.octets,
                    )
                )  # fmt: skip
        one, packet = self.queued.get(connection), waits_from(self._packets.get(connection, ()))
        if one and packet:
            text = _("accept() not called") if one.listener.never_asked else _("not accepted")
            process = self.process(one.listener.log, one.listener.pid)
            found.append(
                Call(packet.number, Side.SERVER, text, True, Certainty.SEEN, packet.ts_ns, process=process)
            )  # fmt: skip
        return found

    def reuse(self) -> dict[int, bool]:
        """Whether the servers on these ports had set SO_REUSEADDR; not told where one had and another had not."""
        found: dict[int, set[bool]] = {}
        for one in self.listeners:
            found.setdefault(one.local[1], set()).add(one.reuses)
        return {port: one.pop() for port, one in found.items() if len(one) == 1}

    def process(self, log: int, pid: int) -> str:
        """A process with its program: ``server.php (4711)``."""
        return self._names[log].process(pid)

    def _preparing(self, listener: Socket, accept: SocketCall) -> list[Tie]:
        """What was called on a listening socket before it first accepted: told with the first connection."""
        calls = self._sockets[listener][1]
        return [Tie(call, (0,), (), 0, 0) for call in calls if _begun(call) < _begun(accept)]

    def apart(self) -> list[tuple[int, SocketCall]]:
        """The calls that stand beside no packet of the connections that were tied, each with the number of its log."""
        told = {id(tie.seen.call) for some in self._sided.values() for sided in some for tie in sided.ties}
        return [
            (at, call)
            for at, calls in enumerate(self.calls)
            for call in calls
            if id(call.call) not in told and call.deed != Deed.EXIT
        ]

    # ---------------------------------------------------------------- whose connection

    def _listeners(self) -> list[Listener]:
        """The sockets that listen."""
        found = []
        for at, one in enumerate(self.logs):
            mine = {socket: calls for socket, (log, calls) in self._sockets.items() if log == at}
            found += listeners(at, {socket: _program_order(calls) for socket, calls in mine.items()}, one.records)
        return found

    def _part_peers(self) -> None:
        """Let a UDP socket be one for each of its peers: to the capture these are conversations of their own."""
        for socket, (at, calls) in list(self._sockets.items()):
            if socket.protocol == "UDP":
                del self._sockets[socket]
                for peer, some in by_peer(_program_order(calls)).items():
                    self._sockets[replace(socket, remote=peer)] = at, some

    def _find_owners(self, connections: Rows) -> None:
        by_remote: dict[tuple[Protocol, End], list[tuple[Owner, End]]] = {}
        last_ns = {}
        for row in connections:
            client, server = ends_of(row)
            connection, protocol = int(row["number"]), Protocol(int(row["protocol"]))
            last_ns[connection] = int(row["last_ns"])
            by_remote.setdefault((protocol, server), []).append((Owner(connection, Side.CLIENT), client))
            by_remote.setdefault((protocol, client), []).append((Owner(connection, Side.SERVER), server))
        taken: set[Owner] = set()
        for socket, (at, calls) in self._sockets.items():
            remote = socket.remote or next(filter(None, map(peer_of, calls)), None)
            if remote is None or socket.listens:
                continue
            log = self.logs[at].log
            begun_ns = calls[0].call.ts_ns if log.clock == Clock.UNIX else 0
            fitting = [
                owner
                for owner, local in by_remote.get((Protocol[socket.protocol], remote), [])
                if owner not in taken and _fits(socket.local, local) and _side_fits(socket, calls, owner.side)
            ]
            in_time = (owner for owner in fitting if last_ns[owner.number] + _EARLY_NS >= begun_ns)
            if owner := next(in_time, next(iter(fitting), None)):
                taken.add(owner)
                self.owners[socket] = owner


def _side_fits(socket: Socket, calls: Iterable[SocketCall], side: Side) -> bool:
    if socket.protocol == "UDP":
        return True
    if socket.listener:
        return side == Side.SERVER
    return side == Side.CLIENT or not any(call.deed == Deed.CONNECT for call in calls)


def _fits(known: End | None, end: End) -> bool:
    if known is None:
        return True
    return known[0] in (end[0], *ANYWHERE) and known[1] in (0, end[1])


def _program_order(calls: Sequence[SocketCall]) -> list[SocketCall]:
    """Calls in the order in which they began; those of one process are in it already."""
    return sorted(calls, key=_begun)


def _begun(seen: SocketCall) -> tuple[int, int]:
    return seen.call.ts_ns, seen.call.line


# ---------------------------------------------------------------- words


class Words:
    """What processes are called."""

    def __init__(self, processes: Mapping[int, Process]) -> None:
        self._processes = processes

    def process(self, pid: int) -> str:
        """A process with its program, or its script: ``server.php (4711)``."""
        known = self._processes.get(pid)
        name = called(list(known.words)) if known else ""
        return f"{name} ({pid})" if name else _("process {pid}").format(pid=pid)


def told(seen: SocketCall) -> str:
    """A call in a column: ``write 5 bytes``, ``connect 127.0.0.1:1235``."""
    call, name = seen.call, seen.call.name
    if seen.deed == Deed.EXIT:
        return "exit" if call.result.startswith("exited") else call.result
    if seen.deed in (Deed.READ, Deed.WRITE):
        asked = _asked(seen)
        if asked is not None:
            return counted("{name} {n} byte", "{name} {n} bytes", asked).format(name=name, n=f"{asked:,}")
    if seen.deed in (Deed.BIND, Deed.CONNECT) and (end := sockaddr(" ".join(call.arguments[1:2]))):
        return f"{name} {_end_text(end)}"
    if seen.deed == Deed.SHUTDOWN:
        return f"{name}({', '.join(call.arguments[1:])})"
    if name in ("setsockopt", "getsockopt"):
        return f"{name} {' '.join(call.arguments[2:3])}"
    if seen.deed == Deed.LISTEN:
        return f"{name}({', '.join(call.arguments[1:2])})"
    return f"{name}()" if seen.deed in (Deed.SOCKET, Deed.ACCEPT) else name


def told_apart(seen: SocketCall) -> str:
    """The same where no connection says which socket it is: ``close 3, the listening socket``."""
    words = told(seen)
    if seen.deed != Deed.CLOSE:
        return words
    fd = "".join(seen.call.arguments[:1]).partition("<")[0]
    words = f"{words} {fd}" if seen.call.name == "close" else words
    return _("{call}, the listening socket").format(call=words) if seen.socket.listens else words


def result_of(seen: SocketCall) -> str:
    """``= 5``, ``= -1 EPIPE``; of an exit nothing."""
    if seen.deed == Deed.EXIT:
        return ""
    result = seen.call.result.partition("<")[0]
    return f"= {result} {seen.call.errno}".rstrip()


def _asked(seen: SocketCall) -> int | None:
    """How many octets a call was to write or had room for."""
    call = seen.call
    if call.name in ("read", "write", "send", "recv", "sendto", "recvfrom") and len(call.arguments) > 2:
        return number(call.arguments[2])
    return seen.octets if seen.deed == Deed.WRITE and not call.errno else None


def _end_text(end: End) -> str:
    address, port = end
    if len(address) == 4:
        return f"{inet_ntop(AF_INET, address)}:{port}"
    return f"[{inet_ntop(AF_INET6, address)}]:{port}"
