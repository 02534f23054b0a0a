"""Captures that have packets twice, by the fault of whoever captured: real conversations, recorded carelessly.

sudo python captures/made/make_copies.py [NAME…]
"""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from pathlib import Path

from conversation import CLIENT_PORT, connect, listen, make, read_until_end
from recorder import Recorder

PORT = 1235


def twice(address: str, path: Path) -> int:
    """On its way out and on its way in: a connection that is refused, and one that carries data both ways."""
    recorder = Recorder(outgoing=True)
    with contextlib.suppress(ConnectionRefusedError):
        connect(address, PORT)
    recorder.until_packets(4)
    listener = listen(address, PORT, family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    client = connect(address, PORT, client_port=CLIENT_PORT + 1)
    server, _ = listener.accept()
    client.sendall(b"hello\n")
    server.sendall(server.recv(1024))
    client.recv(1024)
    client.shutdown(socket.SHUT_WR)
    read_until_end(server)
    server.sendall(b"bye\n")
    server.close()
    read_until_end(client)
    client.close()
    listener.close()
    recorder.until_closed(2)
    with contextlib.suppress(TimeoutError):
        recorder.until(lambda: False, 0.5)  # the last packet's copy
    return recorder.write(path)


CAPTURES = {
    "loopback-twice.pcap": partial(twice, "127.0.0.1"),
    "loopback-twice-ipv6.pcap": partial(twice, "::1"),
}

if __name__ == "__main__":
    make(CAPTURES)
