"""With whom each call on a UDP socket talks: a socket of UDP may have many peers, one datagram each."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.strace.arguments import End, sockaddr
from analyzer.strace.sockets import Deed, SocketCall

_ADDRESS = {"sendto": 4, "recvfrom": 4, "sendmsg": 1, "recvmsg": 1, "sendmmsg": 1, "recvmmsg": 1}
"""Which argument holds the peer's address; of several messages that of the first."""


def peer_of(seen: SocketCall) -> End | None:
    """The other end, where a call that writes or reads names it."""
    at = _ADDRESS.get(seen.call.name)
    return sockaddr(seen.call.arguments[at]) if at is not None and len(seen.call.arguments) > at else None


def by_peer(calls: Sequence[SocketCall]) -> dict[End | None, list[SocketCall]]:
    """The calls on a UDP socket, in their order, by the peers that they talk with; None: there is none.

    A peer is named by the call, by the connect() before it, or by the descriptor (``-yy``). What names nobody stands
    with the next call that does, for it prepares that one, and where none follows with the last.
    """
    found: dict[End | None, list[SocketCall]] = {}
    asked: list[SocketCall] = []
    connected = peer = None
    for seen in calls:
        if seen.deed == Deed.CONNECT:
            connected = None if seen.call.errno else sockaddr(" ".join(seen.call.arguments[1:2]))
        is_talk = seen.deed in (Deed.CONNECT, Deed.WRITE, Deed.READ)
        named = (peer_of(seen) or connected or seen.socket.remote) if is_talk else None
        asked.append(seen)
        if named is not None:
            peer = named
            found.setdefault(peer, []).extend(asked)
            asked = []
    if asked:
        found.setdefault(peer, []).extend(asked)
    return found
