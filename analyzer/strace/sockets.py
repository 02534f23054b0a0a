"""What becomes of each TCP and UDP socket in a strace log: which call made it, who holds it, what was done with it.

With ``-yy`` a log says the ends of a connected socket itself, with ``-y`` the socket's inode, and otherwise nothing:
then descriptors are followed through socket, accept, dup, fork, execve and close.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from analyzer.strace.arguments import Descriptor, End, number, sockaddr
from analyzer.strace.log import FORKS, Began, Ended, Record, Signal, SystemCall


class Deed(IntEnum):
    """What a call does with a socket."""

    OTHER = 0
    """It asks or tells something: getsockname, setsockopt, dup."""
    SOCKET = 1
    BIND = 2
    LISTEN = 3
    CONNECT = 4
    ACCEPT = 5
    WRITE = 6
    READ = 7
    SHUTDOWN = 8
    CLOSE = 9
    EXIT = 10
    """A process ended that held the socket: no call of its own."""


@dataclass(eq=False)
class Socket:
    """A TCP or UDP socket. What is not known of it is empty, or None.

    An address of zeros is any address, a port 0 one that is not known.
    """

    protocol: str = ""
    local: End | None = None
    remote: End | None = None
    inode: int | None = None
    listener: Socket | None = None
    """The one that it was accepted from."""
    listens: bool = False
    holders: set[tuple[int, int]] = field(default_factory=set)
    """Table of descriptors and descriptor."""


class SocketCall(NamedTuple):
    """A call on a socket."""

    call: SystemCall
    socket: Socket
    """For accept the new one, or the listener where none came of it."""
    deed: Deed
    octets: int
    """Written or read; 0 where it was nothing or failed."""
    is_last: bool
    """Nobody holds the socket after it."""


class Process(NamedTuple):
    """A process of the log."""

    pid: int
    parent: int
    words: list[str]
    """The arguments that it was begun with, as far as they are told; empty when nobody said."""


_READS = {"read": 0, "readv": 0, "recv": 0, "recvfrom": 0, "recvmsg": 0, "recvmmsg": 0, "splice": 0}
_WRITES = {
    "write": 0, "writev": 0, "send": 0, "sendto": 0, "sendmsg": 0, "sendmmsg": 0, "sendfile": 0, "sendfile64": 0,
    "splice": 2,
}  # fmt: skip
"""Which argument is the socket."""

_DEEDS = {
    "socket": Deed.SOCKET, "bind": Deed.BIND, "listen": Deed.LISTEN, "connect": Deed.CONNECT, "accept": Deed.ACCEPT,
    "accept4": Deed.ACCEPT, "shutdown": Deed.SHUTDOWN, "close": Deed.CLOSE, **dict.fromkeys(_WRITES, Deed.WRITE),
    **dict.fromkeys(_READS, Deed.READ),
}  # fmt: skip

_FOLLOWED = {
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "fcntl64",
    "getsockname",
    "getpeername",
    "setsockopt",
    "getsockopt",
    "ioctl",
}

_MESSAGE_LEN = re.compile(r"msg_len=(\d+)")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?')


class Sockets:
    """Follows the sockets of one or more logs. Feed it records in the order in which they were complete.

    Attributes: ``processes`` by their numbers; ``elsewhere`` counts calls on files, terminals and other sockets.
    """

    def __init__(self) -> None:
        self.processes: dict[int, Process] = {}
        self.elsewhere = 0
        self._tables: dict[int, int] = {}  # which table of descriptors a process has
        self._held: dict[int, dict[int, Socket]] = {}
        self._closed_by_exec: set[tuple[int, int]] = set()
        self._by_inode: dict[int, Socket] = {}

    def feed(self, record: Record) -> list[SocketCall]:
        """Take a record; give out the calls on sockets that it is."""
        if isinstance(record, Signal):
            return []
        if isinstance(record, Began):
            self._begin(record.pid, record.parent, record.call)
            return []
        if isinstance(record, Ended):
            return self._end(record)
        if record.pid not in self._tables:
            self._begin(record.pid, 0, "")
        name = record.name
        if name in FORKS:
            child = record.value
            if child and child > 0 and child not in self._tables:
                self._begin(child, record.pid, f"{name}({', '.join(record.arguments)}")
            return []
        if name in ("execve", "execveat"):
            self._execute(record)
            return []
        if name == "close_range":
            return self._close_range(record)
        if name in _DEEDS or name in _FOLLOWED:
            return self._on_descriptor(record)
        return []

    # ---------------------------------------------------------------- processes

    def _begin(self, pid: int, parent: int, call: str) -> None:
        words = self.processes[parent].words if parent in self.processes else []
        self.processes[pid] = Process(pid, parent, words)
        if parent in self._tables and "CLONE_FILES" in call:
            self._tables[pid] = self._tables[parent]
            return
        self._tables[pid] = pid
        held = self._held[pid] = dict(self._held.get(self._tables.get(parent, -1), {}))
        for fd, one in held.items():
            one.holders.add((pid, fd))
        if parent in self._tables:
            table = self._tables[parent]
            self._closed_by_exec |= {(pid, fd) for fd in held if (table, fd) in self._closed_by_exec}

    def _execute(self, call: SystemCall) -> None:
        if call.value != 0:
            return
        words = next((argument for argument in call.arguments if argument.startswith("[")), "")
        told = [match[1] + ("…" if match[2] else "") for match in _WORD.finditer(words)] or [
            word.strip('"') for word in call.arguments[:1]
        ]
        old = self.processes[call.pid]
        self.processes[call.pid] = old._replace(words=told)
        table = self._tables[call.pid]
        for fd in list(self._held.get(table, {})):
            if (table, fd) in self._closed_by_exec:
                self._let_go(table, fd)

    def _end(self, record: Ended) -> list[SocketCall]:
        """The sockets that only this process held are closed."""
        table = self._tables.pop(record.pid, None)
        if table is None or table in self._tables.values():
            return []
        calls = []
        for fd in sorted(self._held.get(table, {})):
            one = self._let_go(table, fd)
            if one and not one.holders and one.protocol:
                told = SystemCall(record.pid, record.ts_ns, None, "exit", [], record.how, "", None, record.line)
                calls.append(SocketCall(told, one, Deed.EXIT, 0, True))
        return calls

    # ---------------------------------------------------------------- descriptors

    def _on_descriptor(self, call: SystemCall) -> list[SocketCall]:
        name, arguments, value = call.name, [*call.arguments, ""], call.value
        table = self._tables[call.pid]
        if name == "socket":
            return self._make(call, table)
        deed = _DEEDS.get(name, Deed.OTHER)
        at = _WRITES.get(name, 0)
        fd = Descriptor(arguments[at]) if len(arguments) > at else None
        one = self._known(table, fd) if fd else None
        if one is None and name == "splice":
            deed, fd = Deed.READ, Descriptor(arguments[0])
            one = self._known(table, fd)
        if one is None or fd is None or one.protocol not in ("TCP", "UDP"):
            self.elsewhere += deed not in (Deed.OTHER,) or one is not None
            if deed == Deed.CLOSE and fd and value == 0:
                self._let_go(table, fd.number)
            elif name.startswith("dup") and value is not None and value >= 0:
                self._let_go(table, value)
            return []
        succeeded = value is not None and value >= 0
        if deed == Deed.BIND and succeeded:
            one.local = sockaddr(arguments[1]) or one.local
        elif deed == Deed.LISTEN:
            one.listens |= succeeded
        elif deed == Deed.CONNECT and (
            succeeded or call.errno in ("EINPROGRESS", "EINTR", "ECONNREFUSED", "ETIMEDOUT", "")
        ):
            one.remote = sockaddr(arguments[1]) or one.remote
        elif deed == Deed.ACCEPT and succeeded:
            return [SocketCall(call, self._accept(call, table, one), deed, 0, False)]
        elif name in ("getsockname", "getpeername") and succeeded and len(arguments) > 1:
            found = sockaddr(arguments[1])
            if name == "getsockname":
                one.local = found or one.local
            else:
                one.remote = found or one.remote
        elif name.startswith(("dup", "fcntl")) and succeeded:
            self._duplicate(call, table, fd.number, one)
        elif deed == Deed.CLOSE and (succeeded or call.errno == "EINTR"):
            self._let_go(table, fd.number)
        return [SocketCall(call, one, deed, _octets(call, deed), deed == Deed.CLOSE and not one.holders)]

    def _make(self, call: SystemCall, table: int) -> list[SocketCall]:
        family, kind = [*call.arguments, "", ""][:2]
        is_ours = family in ("AF_INET", "AF_INET6") and kind.startswith(("SOCK_STREAM", "SOCK_DGRAM"))
        if not is_ours:
            self.elsewhere += 1
            return []
        fd = Descriptor(call.result)
        one = Socket("TCP" if kind.startswith("SOCK_STREAM") else "UDP", inode=fd.inode)
        if fd.number >= 0:
            self._hold(table, fd.number, one, "SOCK_CLOEXEC" in kind)
        return [SocketCall(call, one, Deed.SOCKET, 0, False)]

    def _accept(self, call: SystemCall, table: int, listener: Socket) -> Socket:
        fd = Descriptor(call.result)
        remote = sockaddr(call.arguments[1]) if len(call.arguments) > 1 else None
        one = Socket(
            listener.protocol, fd.local or listener.local, fd.remote or remote, fd.inode, listener=listener
        )  # fmt: skip
        self._hold(table, fd.number, one, "SOCK_CLOEXEC" in " ".join(call.arguments[3:]))
        return one

    def _duplicate(self, call: SystemCall, table: int, fd: int, one: Socket) -> None:
        value, words = call.value, " ".join(call.arguments[1:])
        if call.name.startswith("dup"):
            if value is not None and value != fd:
                self._let_go(table, value)
                self._hold(table, value, one, "O_CLOEXEC" in words)
        elif "F_DUPFD" in words:
            if value is not None:
                self._hold(table, value, one, "F_DUPFD_CLOEXEC" in words)
        elif "F_SETFD" in words:
            (self._closed_by_exec.add if "FD_CLOEXEC" in words else self._closed_by_exec.discard)((table, fd))

    def _close_range(self, call: SystemCall) -> list[SocketCall]:
        first, last = (number(text) for text in [*call.arguments, "", ""][:2])
        if call.value != 0 or first is None or last is None:
            return []
        table = self._tables[call.pid]
        calls = []
        for fd in sorted(fd for fd in self._held.get(table, {}) if first <= fd <= last):
            one = self._let_go(table, fd)
            if one and one.protocol in ("TCP", "UDP"):
                calls.append(SocketCall(call, one, Deed.CLOSE, 0, not one.holders))
        return calls

    # ---------------------------------------------------------------- which socket a descriptor is

    def _known(self, table: int, fd: Descriptor) -> Socket | None:
        """The socket of a descriptor, by what is said of it and by what was followed; None when it is none."""
        held = self._held.setdefault(table, {})
        one = held.get(fd.number)
        if fd.is_other:
            self._let_go(table, fd.number)
            return None
        if one is not None and self._contradicts(one, fd):
            self._let_go(table, fd.number)
            one = None
        if one is None and fd.inode is not None:
            one = self._by_inode.get(fd.inode)
        if one is None and fd.local and fd.remote:
            one = next((s for s in self._sockets() if (s.local, s.remote) == (fd.local, fd.remote)), None)
        if one is None and (fd.protocol or fd.inode is not None):
            one = Socket(fd.protocol, listens=bool(fd.local and not fd.remote))
        if one is None:
            return None
        one.protocol = fd.protocol or one.protocol
        one.local, one.remote = fd.local or one.local, fd.remote or one.remote
        if fd.inode is not None:
            one.inode = fd.inode
            self._by_inode[fd.inode] = one
        if held.get(fd.number) is not one:
            self._hold(table, fd.number, one, False)
        return one

    def _contradicts(self, one: Socket, fd: Descriptor) -> bool:
        if fd.inode is not None and one.inode is not None:
            return fd.inode != one.inode
        return bool(
            (fd.protocol and one.protocol and fd.protocol != one.protocol)
            or (fd.remote and one.remote and fd.remote != one.remote)
            or (fd.remote and one.listens)
        )  # fmt: skip

    def _sockets(self) -> Iterable[Socket]:
        return (one for held in self._held.values() for one in held.values())

    def _hold(self, table: int, fd: int, one: Socket, closed_by_exec: bool) -> None:
        self._let_go(table, fd)
        self._held.setdefault(table, {})[fd] = one
        one.holders.add((table, fd))
        if one.inode is not None:
            self._by_inode[one.inode] = one
        if closed_by_exec:
            self._closed_by_exec.add((table, fd))

    def _let_go(self, table: int, fd: int) -> Socket | None:
        self._closed_by_exec.discard((table, fd))
        one = self._held.get(table, {}).pop(fd, None)
        if one:
            one.holders.discard((table, fd))
            if not one.holders and one.inode is not None:
                self._by_inode.pop(one.inode, None)
        return one


def _octets(call: SystemCall, deed: Deed) -> int:
    """Octets that a call wrote or read."""
    value = call.value
    if deed not in (Deed.READ, Deed.WRITE) or value is None or value <= 0:
        return 0
    if deed == Deed.READ and any("MSG_PEEK" in word for word in call.arguments):
        return 0
    if call.name in ("sendmmsg", "recvmmsg"):
        return sum(int(length) for length in _MESSAGE_LEN.findall(" ".join(call.arguments[1:2]))[:value])
    return value
