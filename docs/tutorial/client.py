"""Say something, and print the answer until the server closes."""

import socket

with socket.create_connection(("127.0.0.1", 1235)) as connection:
    connection.sendall(b"client"[:5])
    while answer := connection.recv(128):
        print("answer", answer)
    print("the server has closed")
