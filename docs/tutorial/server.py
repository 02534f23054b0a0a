"""Answer one client with "hi" and close."""

import socket

PORT = 1235

with socket.socket() as listening:
    listening.bind(("0.0.0.0", PORT))
    listening.listen(5)
    print("listening on port", PORT, flush=True)
    connection, (address, port) = listening.accept()
with connection:
    print("heard", connection.recv(128), "from", address)
    connection.sendall(b"hi")
