"""The programs behind connections: who owns the sockets of this machine, learnt while they exist.

A socket is known by its protocol and its two ends, an end by the octets of its address (an IPv4 address mapped into
IPv6 by its four) and its port. Sockets are listed by psutil where it is installed, else read from /proc; a process that
this user may not look into owns nothing. What was learnt is kept after a socket is gone, as the latest owner of its
ends.

Besides sockets that are connected, those known by their local end alone are learnt: TCP sockets that listen and UDP
sockets that are not connected. The server's end of a connection that came and went between two looks belongs to who
listened there. Where TCP sockets listen, Linux tells everybody, whoever owns them.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from analyzer.tables import KNOWN_SERVER, Evidence, Protocol, Rows, Side
from analyzer.tcp.states import State

End = tuple[bytes, int]
"""Address and port."""

MOST_REMEMBERED = 50_000
"""Sockets whose owner is kept, connected ones and others; and the most rows of known servers."""

_TABLES = {Protocol.TCP: ("tcp", "tcp6"), Protocol.UDP: ("udp", "udp6")}
"""Linux's tables in /proc/net."""

_STATES = (
    State.CLOSED, State.ESTABLISHED, State.SYN_SENT, State.SYN_RECEIVED, State.FIN_WAIT_1, State.FIN_WAIT_2,
    State.TIME_WAIT, State.CLOSED, State.CLOSE_WAIT, State.LAST_ACK, State.LISTEN, State.CLOSING, State.SYN_RECEIVED,
)  # fmt: skip
"""By Linux's number of them (include/net/tcp_states.h)."""

_LISTEN = f"{_STATES.index(State.LISTEN):02X}"

_MAPPED = bytes(10) + b"\xff\xff"
_ANY_IPV4, _ANY_IPV6 = bytes(4), bytes(16)
_NOWHERE: End = (b"", 0)
_WHOLE_MASK = b"\xff" * 16
_LOOPBACK, _LOOPBACK_MASK = bytes([127, 0, 0, 0]), b"\xff" * 13 + bytes(3)
"""127.0.0.0/8 (RFC 1122 3.2.1.3)."""

_INTERPRETERS = ("python", "php", "perl", "ruby", "node", "bash", "sh", "java", "lua")


class Socket(NamedTuple):
    """A TCP or UDP socket of this machine."""

    local: End
    remote: End
    """An address of zeros and port 0 when it listens or is not connected."""
    state: State
    """CLOSED for a UDP socket that is not connected, ESTABLISHED for one that is."""
    inode: int
    """0 when no program holds it any more."""


class Owned(NamedTuple):
    """A socket and the process that holds it."""

    protocol: Protocol
    """TCP or UDP."""
    local: End
    remote: End
    """``(b"", 0)`` when it listens or is not connected."""
    pid: int


class Census(NamedTuple):
    """What there is to know of all sockets at little cost."""

    inodes: set[str]
    """Those of TCP and UDP sockets."""
    listening: set[End]
    """Where TCP sockets listen."""


class Programs:
    """Who owns the ends of connections. ``addresses`` are those of this machine, as text.

    ``look`` may run in a thread of its own while ``of`` and ``known_servers`` are asked.
    """

    def __init__(self, addresses: Collection[str], listed: Callable[[], Iterator[Owned]] | None = None) -> None:
        self._addresses = {packed(address.partition("%")[0]) for address in addresses}
        self._listed = listed or owned_sockets
        self._connected: dict[tuple[Protocol, End, End], str] = {}
        self._local: dict[tuple[Protocol, End], tuple[int, str]] = {}  # and the number of the look that learnt it
        self._looks = 0
        self._inodes: set[str] = set()
        self._listening: set[End] = set()
        self._servers = _server_rows((), ())

    def look(self) -> None:
        """Learn the servers and the owners of the sockets that exist now; it costs little while there is no new one."""
        inodes, listening = census()
        self._learn(listening)
        if inodes <= self._inodes:
            return
        self._inodes = inodes
        self._looks += 1
        names: dict[int, str] = {}
        for protocol, local, remote, pid in self._listed():
            name = names.get(pid)
            if name is None:
                name = names[pid] = program(pid)
            if not name:
                continue
            if remote == _NOWHERE:
                self._local.pop((protocol, local), None)
                self._local[protocol, local] = self._looks, name
            else:
                self._connected.pop((protocol, local, remote), None)
                self._connected[protocol, local, remote] = name
        _forget_oldest(self._connected)
        _forget_oldest(self._local)

    def look_for_servers(self) -> None:
        """Learn the servers of now and no owners, which is sooner done."""
        self._learn(census().listening)

    def _learn(self, listening: set[End]) -> None:
        if listening != self._listening:
            self._listening = listening
            self._servers = _server_rows(listening, self._addresses)

    def known_servers(self) -> Rows:
        """The ends on which this machine's TCP sockets listened at the latest look: KNOWN_SERVER rows, by port.

        Rows are read-only, and the same array until they change.
        """
        return self._servers

    def of(self, protocol: Protocol, local: End, remote: End) -> str:
        """The owner of a connection's end: ``server1.py (6828)``; empty when it is not known."""
        if owner := self._connected.get((protocol, local, remote)):
            return owner
        address, port = local
        if not self.is_here(address):
            return ""
        places = (address, _ANY_IPV4, _ANY_IPV6) if len(address) == 4 else (address, _ANY_IPV6)
        found = [self._local.get((protocol, (place, port)), (0, "")) for place in places]
        return max(found, key=lambda learnt: learnt[0])[1]  # of those learnt at once the most particular

    def is_here(self, address: bytes) -> bool:
        """Whether an address is this machine's."""
        return address in self._addresses or (len(address) == 4 and address[0] == 127)


def ends_of(connection: Rows) -> tuple[End, End]:
    """The client's and the server's end of a CONNECTION row."""
    octets = connection["address"].astype(">u4").tobytes()
    ports = int(connection["client_port"]), int(connection["server_port"])
    begin = 0 if connection["ip_version"] == 6 else 12
    client, server = (octets[16 * side + begin : 16 * side + 16] for side in Side)
    return (_unmapped(client), ports[0]), (_unmapped(server), ports[1])


def packed(address: str) -> bytes:
    """The octets of an address that is written out."""
    if ":" in address:
        return _unmapped(socket.inet_pton(socket.AF_INET6, address))
    return socket.inet_pton(socket.AF_INET, address)


def program(pid: int) -> str:
    """A process as ``netstat -p`` and a person know it: its program, or its script, and its number.

    Empty when there is no such process.
    """
    words: list[str] = []
    name = ""
    with suppress(OSError):
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().rstrip("\n")
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read().split("\0")
    name = called(words) or name
    return f"{name} ({pid})" if name else ""


def called(words: list[str]) -> str:
    """A program, or the script that it runs, by the words that it was begun with; empty where these do not say."""
    name = os.path.basename(words[0]) if words else ""
    if name.rstrip("0123456789.") in _INTERPRETERS:
        script = next((word for word in words[1:] if word and not word.startswith("-")), "")
        if script and not {"-c", "-m", "-e", "-r"} & set(words[1 : words.index(script)]):
            name = os.path.basename(script)
    return name


def owned_sockets() -> Iterator[Owned]:
    """The TCP and UDP sockets of this machine that belong to a process that we may look into."""
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:
        yield from owned_sockets_of_proc()
        return
    try:
        listed = psutil.net_connections("inet")
    except (psutil.Error, OSError, RuntimeError):
        return
    for one in listed:
        if one.pid and one.laddr:
            protocol = Protocol.TCP if one.type == socket.SOCK_STREAM else Protocol.UDP
            remote = (packed(one.raddr[0]), int(one.raddr[1])) if one.raddr else _NOWHERE
            yield Owned(protocol, (packed(one.laddr[0]), int(one.laddr[1])), remote, int(one.pid))


def owned_sockets_of_proc() -> Iterator[Owned]:
    """The same from /proc alone. Of processes that share a socket the first is its owner, as psutil has it."""
    ownerless = {one.inode: (protocol, one) for protocol in _TABLES for one in sockets(protocol) if one.inode}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    kind, _, inode = os.readlink(entry.path).partition(":[")
                    if kind == "socket" and (found := ownerless.pop(int(inode[:-1]), None)):
                        protocol, one = found
                        yield Owned(protocol, one.local, one.remote if one.remote[1] else _NOWHERE, int(pid))


def tcp_sockets() -> list[Socket]:
    """The TCP sockets of this machine, by Linux's own tables."""
    return list(sockets(Protocol.TCP))


def sockets(protocol: Protocol) -> Iterator[Socket]:
    """The sockets of this machine of a protocol, by Linux's own tables."""
    for local, remote, state, inode in _lines(protocol):
        yield Socket(_end(local), _end(remote), _STATES[int(state, 16)], int(inode))


def census() -> Census:
    """What Linux's own tables say of all sockets."""
    inodes: set[str] = set()
    listening: set[str] = set()
    for protocol in _TABLES:
        for local, _, state, inode in _lines(protocol):
            inodes.add(inode)
            if state == _LISTEN:
                listening.add(local)
    return Census(inodes, {_end(local) for local in listening})


def _lines(protocol: Protocol) -> Iterator[tuple[str, str, str, str]]:
    """Local and remote end, state and inode of each socket of a protocol, as Linux writes them."""
    for name in _TABLES[protocol]:
        with suppress(OSError), open(f"/proc/net/{name}", encoding="utf-8") as file:
            next(file)
            for line in file:
                words = line.split(None, 10)
                yield words[1], words[2], words[3], words[9]


def _server_rows(listening: Collection[End], addresses: Collection[bytes]) -> Rows:
    """KNOWN_SERVER rows of the ends where sockets listen; a wildcard stands for all addresses of the machine.

    Whether an IPv6 wildcard takes IPv4 as well is not to be seen. It is taken to, as it does unless it is told not to.
    """
    ipv6 = [(address, _WHOLE_MASK) for address in addresses if len(address) == 16]
    ipv4 = [(address, _WHOLE_MASK) for address in addresses if len(address) == 4 and address[0] != _LOOPBACK[0]]
    ipv4.append((_LOOPBACK, _LOOPBACK_MASK))
    wildcards = {_ANY_IPV4: ipv4, _ANY_IPV6: ipv6 + ipv4}
    ends = {
        (port, place, mask)
        for address, port in listening
        for place, mask in wildcards.get(address, [(address, _WHOLE_MASK)])
    }
    chosen = sorted(ends)[:MOST_REMEMBERED]
    rows = np.zeros(len(chosen), KNOWN_SERVER)
    for row, (port, place, mask) in zip(rows, chosen, strict=True):
        row["evidence"], row["protocol"] = Evidence.LISTENER, Protocol.TCP
        row["port"], row["ip_version"] = port, 6 if len(place) == 16 else 4
        row["address"] = np.frombuffer(place.rjust(16, b"\0"), ">u4")
        row["mask"] = np.frombuffer(mask, ">u4")
    rows.flags.writeable = False
    return rows


def _forget_oldest(learnt: dict[Any, Any]) -> None:
    surplus = max(len(learnt) - MOST_REMEMBERED, 0)
    for key in list(islice(learnt, surplus)):
        del learnt[key]


def _end(text: str) -> End:
    """An end as /proc/net/tcp writes it: words of the address in the machine's octet order, and the port."""
    address, _, port = text.partition(":")
    words = [int(address[k : k + 8], 16) for k in range(0, len(address), 8)]
    return _unmapped(struct.pack(f"={len(words)}I", *words)), int(port, 16)


def _unmapped(address: bytes) -> bytes:
    return address[12:] if address[:12] == _MAPPED else address
