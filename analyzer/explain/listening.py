"""Programs that listen, as strace saw them: which connections they never accepted.

Linux finishes the handshake for a socket that listens and keeps the connection in its accept queue; until accept()
takes it from there it has no descriptor, so that no call names it. It belongs to the socket that listens at its end.
The queue has room for one connection more than listen()'s backlog; while it is full, SYNs are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from analyzer.explain.processes import End, ends_of
from analyzer.explain.tying import Packet, Tie
from analyzer.strace.arguments import number
from analyzer.strace.log import FORKS, Record, SystemCall
from analyzer.strace.sockets import Deed, Socket, SocketCall
from analyzer.tables import ACK, ACK_SEEN, RST, SYN, SYN_ACK_SEEN, Phase, Protocol, Rows, Side

ANYWHERE = (bytes(4), bytes(16))
"""Addresses that stand for all of a machine's."""


class Listener(NamedTuple):
    """A socket that listens."""

    log: int
    """Which log it is of."""
    pid: int
    """The process that called listen()."""
    local: End
    backlog: int
    accepted: int
    """Connections that accept() gave."""
    reuses: bool
    """Whether it had SO_REUSEADDR."""
    never_asked: bool
    """Whether accept() was never called, successfully or not."""
    since_ns: int
    """When it began to listen, by the log's clock."""
    until_ns: int
    """When it was closed, or the log ended."""
    calls: tuple[SocketCall, ...]
    """On the listening socket, in the order in which they began."""


class Queued(NamedTuple):
    """A connection that no accept() gave."""

    listener: Listener
    is_established: bool
    """Whether its handshake was finished: then it waited in the accept queue."""
    waiting: int
    """Connections that waited there when its SYN came."""

    @property
    def met_full_queue(self) -> bool:
        """Whether the queue had no room when its SYN came."""
        return not self.is_established and self.waiting > self.listener.backlog


def listeners(
    log: int, sockets: Mapping[Socket, Sequence[SocketCall]], records: Sequence[Record]
) -> list[Listener]:  # fmt: skip
    """The sockets of a log that listen, where it tells all that was accepted from them.

    It does not where a child process was not watched, where nothing says with whom an accepted socket is connected, or
    where a socket may share its port (SO_REUSEPORT).
    """
    if _misses_children(records):
        return []
    accepted: dict[Socket, list[Socket]] = {}
    for one in sockets:
        if one.listener:
            accepted.setdefault(one.listener, []).append(one)
    found = []
    for socket, calls in sockets.items():
        listens = next((one for one in calls if one.deed == Deed.LISTEN and not one.call.errno), None)
        mine = accepted.get(socket, [])
        shares = any("SO_REUSEPORT" in one.call.arguments for one in calls)
        if listens is None or socket.local is None or shares or any(one.remote is None for one in mine):
            continue
        backlog = number("".join(listens.call.arguments[1:2]))
        asked = bool(mine) or any(one.deed == Deed.ACCEPT for one in calls)
        until_ns = next((one.call.ts_ns for one in calls if one.is_last), records[-1].ts_ns)
        found.append(
            Listener(
                log, listens.call.pid, socket.local, max(backlog or 0, 0), len(mine), reuses(calls), not asked,
                listens.call.ts_ns, until_ns, tuple(calls),
            )
        )  # fmt: skip
    return found


def queued(
    found: Sequence[Listener], connections: Rows, endpoints: Rows | None, accepted: Collection[int],
    here: Collection[bytes],
) -> dict[int, Queued]:  # fmt: skip
    """The connections to these sockets that are not among those ``accepted``, by their numbers.

    ``connections`` and ``endpoints`` are CONNECTION[n] and ENDPOINT[n, Side]; ``here`` has addresses of the machine. A
    connection is one of a socket's where that listened meanwhile, by a clock that is the capture's: without one a log
    may be of another time.
    """
    queues: dict[int, Queued] = {}
    waiting: list[tuple[Listener, int, int]] = []  # since when, and until when
    is_asked = np.isin(connections["server_port"], [one.local[1] for one in found])
    for at in np.flatnonzero(is_asked & (connections["protocol"] == Protocol.TCP)).tolist():
        row = connections[at]
        if int(row["number"]) in accepted or _server_spoke(row):
            continue
        _client, server = ends_of(row)
        first_ns, last_ns = int(row["first_ns"]), int(row["last_ns"])
        for one in found:
            if not _is_at(one.local, server, here) or one.since_ns > first_ns or first_ns > one.until_ns:
                continue
            before = sum(other is one and since_ns < first_ns <= until_ns for other, since_ns, until_ns in waiting)
            seen = SYN_ACK_SEEN | ACK_SEEN
            was_ignored = endpoints is not None and int(endpoints[at, Side.SERVER]["ignored_acks"]) > 0
            is_established = int(row["completeness"]) & seen == seen and not was_ignored
            queues[int(row["number"])] = Queued(one, is_established, before)
            if is_established:
                waiting.append((one, int(row["phase_last_ns"][Phase.HANDSHAKE]), last_ns if _was_reset(row) else _EVER))
            break
    return queues


def ties_of(one: Queued, packets: Sequence[Packet], *, begins: bool) -> list[Tie]:
    """The calls on the listening socket that belong to a connection in its queue: those that made it, where ``begins``,
    and the close() that reset the connection."""
    calls = one.listener.calls
    ending = (Deed.CLOSE, Deed.EXIT)
    listens = next(at for at, call in enumerate(calls) if call.deed == Deed.LISTEN)
    found = [Tie(call, (), (), 0, 0) for call in calls[: listens + 1] if begins]
    close = next((call for call in calls if call.is_last and call.deed in ending), None)
    if close is None or not one.is_established:
        return found
    for at, packet in enumerate(packets):
        is_late = close.deed == Deed.CLOSE and close.call.ts_ns > packet.ts_ns
        if packet.side == Side.SERVER and packet.flags & RST and not is_late:
            return [*found, Tie(close, (at,), (), 0, 0)]
    return found


def reuses(calls: Sequence[SocketCall]) -> bool:
    """Whether these calls on a socket set SO_REUSEADDR."""
    is_set = False
    for one in calls:
        if one.call.name == "setsockopt" and "SO_REUSEADDR" in one.call.arguments and not one.call.errno:
            is_set = "".join(one.call.arguments[3:4]).strip("[]") != "0"
    return is_set


def waits_from(packets: Sequence[Packet]) -> Packet | None:
    """The packet from which on a connection waits in the accept queue: the handshake's last."""
    answered = False
    for packet in packets:
        answered |= packet.side == Side.SERVER and packet.flags & (SYN | ACK) == SYN | ACK
        if answered and packet.side == Side.CLIENT and packet.flags & (SYN | ACK | RST) == ACK:
            return packet
    return None


_EVER = 1 << 62
_LOOPBACK_IPV6 = bytes(15) + b"\x01"


def _misses_children(records: Sequence[Record]) -> bool:
    """Whether a log tells of children whose calls it does not have: strace had no ``-f``."""
    made = {one.value for one in records if isinstance(one, SystemCall) and one.name in FORKS and (one.value or 0) > 0}
    return not made <= {one.pid for one in records}


def _is_at(local: End, server: End, here: Collection[bytes]) -> bool:
    """Whether a socket listens at a server's end. All addresses are those of its machine, as far as they are known."""
    address, port = server
    is_here = address in here or address[:-3] == bytes([127]) or address == _LOOPBACK_IPV6
    return local[1] == port and (local[0] == address or (local[0] in ANYWHERE and is_here))


def _server_spoke(row: Rows) -> bool:
    """Whether the server sent data or FIN: a program had the connection."""
    history = bytes(row["history"][: int(row["history_len"])])
    return b"d" in history or b"f" in history


def _was_reset(row: Rows) -> bool:
    return b"r" in bytes(row["history"][: int(row["history_len"])])
