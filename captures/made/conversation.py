"""What the recorded programs share: fixed ports, a server and a client that run side by side, the command line.

A server is a generator: it runs to its first ``yield`` when it listens, and on when the client starts.
"""

from __future__ import annotations

import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from select import select

from network import in_new_namespace

Server = Iterator[None]

CLIENT_PORT = 48994
"""The client's port in the capture that the article on PHP sockets and tcpdump prints, and in all captures here."""

socket.setdefaulttimeout(20)


def listen(address: str, port: int, backlog: int = 5, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sk = socket.socket(family, socket.SOCK_STREAM)
    sk.bind((address, port))
    sk.listen(backlog)
    return sk


def bound(address: str, port: int = CLIENT_PORT, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A client's socket that has its port before it connects."""
    sk = socket.socket(family, socket.SOCK_STREAM)
    sk.bind((address, port))
    return sk


def connect(address: str, port: int, client_address: str = "", client_port: int = CLIENT_PORT) -> socket.socket:
    """A connection from the client's fixed port; from the server's own address when none is given."""
    sk = bound(client_address or address, client_port, socket.AF_INET6 if ":" in address else socket.AF_INET)
    sk.connect((address, port))
    return sk


def read_until_end(sk: socket.socket) -> bytes:
    """PHP's ``while ($out = socket_read(...))``: everything up to the peer's FIN."""
    return b"".join(iter(lambda: sk.recv(8192), b""))


def wait_for_peer(sk: socket.socket) -> None:
    """Until the peer's data or FIN is there to be read, where the order would otherwise be a matter of luck."""
    assert select([sk], [], [], socket.getdefaulttimeout())[0]


def converse(server: Server, client: Callable[[], None]) -> None:
    next(server)
    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(deque, server, 0)
        client()
        serving.result()


def make(captures: dict[str, Callable[[Path], int]]) -> None:
    """Make the captures named on the command line, or all, beside the script."""
    for name in sys.argv[1:] or captures:
        path = Path(__file__).with_name(name)
        print(name, in_new_namespace(partial(captures[name], path)), "packets")
