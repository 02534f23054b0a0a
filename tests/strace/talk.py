"""A server and its client in two processes, for strace: every family of writes and reads, dup, shutdown, close."""

from __future__ import annotations

import os
import socket
import sys


def main(address: str) -> None:
    """Listen on a port that is free, and talk to a child."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        server.listen(5)
        if os.fork() == 0:
            _ask(address, server)
            os._exit(0)
        connection, _ = server.accept()
        again = os.dup2(connection.fileno(), 20)
        got = 0
        while got < 65:
            got += len(connection.recv(20))
        os.write(again, b"hello")
        assert os.readv(again, [bytearray(3)]) == 0
        os.close(again)
        connection.close()
    os.wait()


def _ask(address: str, server: socket.socket) -> None:
    port = server.getsockname()[1]
    server.close()
    with socket.create_connection((address, port)) as client:
        client.sendall(b'a\x00\xff"\n1\\')
        client.sendmsg([b"abc", b"def"])
        os.writev(client.fileno(), [b"gh", b"x" * 50])
        assert client.recv(5, socket.MSG_WAITALL) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""


if __name__ == "__main__":
    main(sys.argv[1])
