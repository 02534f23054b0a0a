"""The programs behind connections: who owns the sockets of this machine, learnt while they exist.

A socket is known by its two ends, an end by the octets of its address (an IPv4 address mapped into IPv6 by its four)
and its port. Sockets are listed by psutil where it is installed, else read from /proc; a process that this user may not
look into owns nothing. What was learnt is kept after a socket is gone, as the latest owner of its ends.

Besides sockets that are connected, listening ones are learnt: the server's end of a connection that came and went
between two looks belongs to who listened there.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from analyzer.tables import Rows, Side
from analyzer.tcp.states import State

End = tuple[bytes, int]
"""Address and port."""

MOST_REMEMBERED = 50_000
"""Sockets whose owner is kept."""

_STATES = (
    State.CLOSED, State.ESTABLISHED, State.SYN_SENT, State.SYN_RECEIVED, State.FIN_WAIT_1, State.FIN_WAIT_2,
    State.TIME_WAIT, State.CLOSED, State.CLOSE_WAIT, State.LAST_ACK, State.LISTEN, State.CLOSING, State.SYN_RECEIVED,
)  # fmt: skip
"""By Linux's number of them (include/net/tcp_states.h)."""

_MAPPED = bytes(10) + b"\xff\xff"
_ANYWHERE = (bytes(4), bytes(16))
_NOWHERE: End = (b"", 0)

_INTERPRETERS = ("python", "php", "perl", "ruby", "node", "bash", "sh", "java", "lua")


class Socket(NamedTuple):
    """A TCP socket of this machine."""

    local: End
    remote: End
    """An address of zeros and port 0 when it listens."""
    state: State
    inode: int
    """0 when no program holds it any more."""


class Owned(NamedTuple):
    """A TCP socket and the process that holds it."""

    local: End
    remote: End
    """``(b"", 0)`` when it listens."""
    pid: int


class Programs:
    """Who owns the ends of connections. ``addresses`` are those of this machine, as text.

    ``look`` may run in a thread of its own while ``of`` is asked.
    """

    def __init__(self, addresses: Collection[str], listed: Callable[[], Iterator[Owned]] | None = None) -> None:
        self._addresses = {packed(address.partition("%")[0]) for address in addresses}
        self._listed = listed or owned_sockets
        self._owners: dict[tuple[End, End], str] = {}
        self._listeners: dict[End, str] = {}
        self._inodes: set[int] = set()

    def look(self) -> None:
        """Learn the owners of the sockets that exist now; it costs little while there is no new one."""
        inodes = {one.inode for one in tcp_sockets()}
        if inodes <= self._inodes:
            return
        self._inodes = inodes
        names: dict[int, str] = {}
        for local, remote, pid in self._listed():
            name = names.get(pid)
            if name is None:
                name = names[pid] = program(pid)
            if not name:
                continue
            if remote == _NOWHERE:
                self._listeners[local] = name
            else:
                self._owners.pop((local, remote), None)
                self._owners[local, remote] = name
        surplus = max(len(self._owners) - MOST_REMEMBERED, 0)
        for ends in list(islice(self._owners, surplus)):
            del self._owners[ends]

    def of(self, local: End, remote: End) -> str:
        """The owner of a connection's end: ``server1.py (6828)``; empty when it is not known."""
        if owner := self._owners.get((local, remote)):
            return owner
        if not self.is_here(local[0]):
            return ""
        places = (local[0], *_ANYWHERE)
        return next((self._listeners[at, local[1]] for at in places if (at, local[1]) in self._listeners), "")

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
    if words and words[0]:
        name = os.path.basename(words[0]) or name
        if name.rstrip("0123456789.") in _INTERPRETERS:
            script = next((word for word in words[1:] if word and not word.startswith("-")), "")
            if script and not {"-c", "-m", "-e", "-r"} & set(words[1 : words.index(script)]):
                name = os.path.basename(script)
    return f"{name} ({pid})" if name else ""


def owned_sockets() -> Iterator[Owned]:
    """The TCP sockets of this machine that belong to a process that we may look into."""
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:
        yield from owned_sockets_of_proc()
        return
    try:
        listed = psutil.net_connections("tcp")
    except (psutil.Error, OSError, RuntimeError):
        return
    for one in listed:
        if one.pid:
            remote = (packed(one.raddr[0]), int(one.raddr[1])) if one.raddr else _NOWHERE
            yield Owned((packed(one.laddr[0]), int(one.laddr[1])), remote, int(one.pid))


def owned_sockets_of_proc() -> Iterator[Owned]:
    """The same from /proc alone."""
    sockets = {one.inode: one for one in tcp_sockets() if one.inode}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    kind, _, inode = os.readlink(entry.path).partition(":[")
                    if kind == "socket" and (one := sockets.get(int(inode[:-1]))):
                        remote = _NOWHERE if one.state == State.LISTEN else one.remote
                        yield Owned(one.local, remote, int(pid))


def tcp_sockets() -> list[Socket]:
    """The TCP sockets of this machine, by Linux's own tables."""
    found = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError), open(f"/proc/net/{name}", encoding="utf-8") as file:
            next(file)
            for line in file:
                _, local, remote, state, *_, inode = line.split(None, 10)[:10]
                found.append(Socket(_end(local), _end(remote), _STATES[int(state, 16)], int(inode)))
    return found


def _end(text: str) -> End:
    """An end as /proc/net/tcp writes it: words of the address in the machine's octet order, and the port."""
    address, _, port = text.partition(":")
    words = [int(address[k : k + 8], 16) for k in range(0, len(address), 8)]
    return _unmapped(struct.pack(f"={len(words)}I", *words)), int(port, 16)


def _unmapped(address: bytes) -> bytes:
    return address[12:] if address[:12] == _MAPPED else address
