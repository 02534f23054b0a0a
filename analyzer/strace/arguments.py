"""Values as strace writes them (strace(1)): arguments, strings in C's form, descriptors, socket addresses."""

from __future__ import annotations

import re
import socket

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/|(?<=[\dD])<.*?>(?:\(deleted\))?(?=[,)\]} ]|$)|[()\[\]{},]')
"""A string, a comment, what ``-y`` says of a descriptor, or a mark that groups or parts arguments."""

_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"b": b"\b"}
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?')

_DESCRIPTOR = re.compile(r"(-?\d+)(?:<(.*)>(?:\(deleted\))?)?$", re.DOTALL)
_TUPLE = re.compile(r"(TCP|UDP)(?:v6)?:\[(.+)->(.+)\]$")
_BOUND = re.compile(r"(TCP|UDP)(?:v6)?:\[(.+:\d+)\]$")
_INODE = re.compile(r"(?:socket|TCP|UDP|TCPv6|UDPv6):\[(\d+)\]$")

_NUMBER = re.compile(r"-?(?:0x[0-9a-f]+|(0[0-7]+)(?!\d)|0(?!\d)|[1-9]\d*)")

_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
_ADDRESS = re.compile(r'inet_addr\(("[^"]*")\)|inet_pton\(AF_INET6, ("[^"]*")')

End = tuple[bytes, int]
"""Address (an IPv4 address mapped into IPv6 by its four octets) and port."""


def split(text: str) -> tuple[list[str], str] | None:
    """Arguments and what follows the parenthesis that closes them; None when none does."""
    arguments: list[str] = []
    depth = start = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in ("(", "[", "{"):
            depth += 1
        elif mark == ")" and depth == 0:
            last = text[start : token.start()].strip()
            return ([*arguments, last] if last or arguments else []), text[token.end() :]
        elif mark in (")", "]", "}"):
            depth -= 1
        elif mark == "," and depth == 0:
            arguments.append(text[start : token.start()].strip())
            start = token.end()
    return None


def octets(quoted: str) -> bytes:
    """What stands in a string, without its quotes, in any of the forms of ``-x`` and ``-xx``."""

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if code[:1] == b"x" and len(code) == 3:
            return bytes([int(code[1:], 16)])
        return bytes([int(code, 8) & 0xFF]) if code.isdigit() else _LETTERS.get(code, code)

    return _ESCAPE.sub(plain, quoted.encode())


def strings(text: str) -> list[tuple[bytes, bool]]:
    """Each string in a text, and whether strace has cut it (``-s``)."""
    return [(octets(match[1]), bool(match[2])) for match in _STRING.finditer(text)]


class Descriptor:
    """A file descriptor and what ``-y`` or ``-yy`` says of it.

    Attributes: ``number``; ``protocol`` ``"TCP"``, ``"UDP"`` or empty; ``local`` and ``remote`` ends, ``inode``, None
    where they are not told; ``is_other``: it is told to be something else than a TCP or UDP socket.
    """

    def __init__(self, text: str) -> None:
        self.number = -1
        self.protocol = ""
        self.local: End | None = None
        self.remote: End | None = None
        self.inode: int | None = None
        self.is_other = False
        match = _DESCRIPTOR.match(text)
        if not match:
            return
        self.number = int(match[1])
        about = match[2] or ""
        if both := _TUPLE.match(about):
            self.protocol, self.local, self.remote = both[1], end_of(both[2]), end_of(both[3])
        elif bound := _BOUND.match(about):
            self.protocol, self.local = bound[1], end_of(bound[2])
        elif known := _INODE.match(about):
            self.inode = int(known[1])
            self.protocol = about[:3] if about[:3] in ("TCP", "UDP") else ""
        else:
            self.is_other = bool(about)


def end_of(text: str) -> End | None:
    """``127.0.0.1:80`` or ``[::1]:80``; None when it is neither."""
    address, _, port = text.rpartition(":")
    try:
        return packed(address.strip("[]")), int(port)
    except (OSError, ValueError):
        return None


def packed(address: str) -> bytes:
    """The octets of an address. Raises OSError, ValueError."""
    if ":" not in address:
        return socket.inet_pton(socket.AF_INET, address)
    found = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return found[12:] if found[:12] == bytes(10) + b"\xff\xff" else found


def sockaddr(text: str) -> End | None:
    """The end in a ``{sa_family=…}``; None when it is of another family or not decoded."""
    port, address = _PORT.search(text), _ADDRESS.search(text)
    if not port or not address:
        return None
    try:
        return packed(octets((address[1] or address[2])[1:-1]).decode("ascii", "replace")), int(port[1])
    except (OSError, ValueError):
        return None


def number(text: str) -> int | None:
    """A number as strace writes it, decimal, hexadecimal or octal; None when it is none."""
    match = _NUMBER.match(text)
    if not match:
        return None
    return int(match[0], 8) if match[1] else int(match[0], 0)
