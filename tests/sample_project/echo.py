"""A server that says everything again, and a client that asks it one thing."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


def serve(listener: socket.socket, stop_after: int = 0) -> None:
    """Serve one connection; after so many octets the server closes it, and never on its own account when 0."""
    taken, _peer = listener.accept()
    heard = 0
    with taken, suppress(ConnectionResetError):
        while octets := taken.recv(4096):
            taken.sendall(octets)
            heard += len(octets)
            if 0 < stop_after <= heard:
                break


class EchoServer:
    """A server in a thread that nobody waits for; ``port`` is where it listens."""

    def __init__(self, stop_after: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=serve, args=(self._listener, stop_after))
        self._thread.start()

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


def ask(port: int, question: bytes) -> bytes:
    """What the server answers, to the last octet."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(question)
        while len(answer) < len(question) and (octets := client.recv(4096)):
            answer += octets
    return answer
