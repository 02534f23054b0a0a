"""The socket programs of five articles, ported call by call from PHP, and the captures of their conversations.

    sudo python captures/made/make_articles.py [NAME…]

Messages, ports and the order of the calls are the articles'. A server's endless loop ends when its clients have gone.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from select import select

from conversation import CLIENT_PORT, Server, connect, converse, listen, make, read_until_end, wait_for_peer
from network import ip
from recorder import Recorder

LAN_SERVER, LAN_CLIENT = "192.168.1.10", "192.168.1.73"


# Article on seeing a TCP and a UDP socket in a network analyser: an echo on port 23333 of a server in the LAN.


def echo_tcp_server() -> Server:
    sk = listen(LAN_SERVER, 23333)
    yield
    accepted, _ = sk.accept()
    request = accepted.recv(1024)
    accepted.sendall(b"Hello A, I am B. you msg is : " + request + b"\n")
    accepted.close()
    sk.close()


def echo_tcp_client() -> None:
    sk = connect(LAN_SERVER, 23333, client_address=LAN_CLIENT)
    sk.sendall(b"hello, I am A")
    read_until_end(sk)
    sk.close()


def echo_udp_server() -> Server:
    sk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sk.bind((LAN_SERVER, 23333))
    yield
    message, (address, client_port) = sk.recvfrom(1024)
    # The port in the text is the server's own, as the article's program has it.
    sk.sendto(f"Hello {address}:23333, I am Server. your msg : ".encode() + message + b"\n", (address, client_port))
    sk.close()


def echo_udp_client() -> None:
    sk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sk.bind((LAN_CLIENT, CLIENT_PORT))
    sk.sendto(b"hello, I am A", (LAN_SERVER, 23333))
    sk.recvfrom(1024)
    sk.close()


# Article on socket programming, tcpdump and the system calls of two languages.


def hi_server() -> Server:
    server = listen("0.0.0.0", 1234, 5)
    yield
    connection, _ = server.accept()
    connection.recv(128)
    connection.sendall(b"hi")
    server.close()
    connection.close()


def hi_client() -> None:
    client = connect("127.0.0.1", 1234)
    client.sendall(b"client"[:5])  # socket_write($client, "client", 5)
    client.recv(128)
    wait_for_peer(client)
    client.close()


def nihao_server() -> Server:
    s = listen("0.0.0.0", 1235, 5)
    yield
    c, _ = s.accept()
    c.send(b"nihao!")
    c.close()
    s.close()


def nihao_client() -> None:
    client = connect("127.0.0.1", 1235)
    read_until_end(client)
    client.close()


# Article on the states of opening and closing: the PHP manual's server, spoken to with telnet.


def read_line(sk: socket.socket) -> bytes:
    """``socket_read($sk, 2048, PHP_NORMAL_READ)``: up to CR, LF or the end."""
    line = b""
    while not line.endswith((b"\r", b"\n")) and (octet := sk.recv(1)):
        line += octet
    return line


def talk_server() -> Server:
    sock = listen("0.0.0.0", 54321, 5)
    yield
    connection, _ = sock.accept()
    connection.sendall(
        b"\nWelcome to the PHP Test Server. \nTo quit, type 'quit'. To shut down the server type 'shutdown'.\n"
    )
    # The article's server would ask a client that is gone for ever; this one closes, as the article's text describes.
    while line := read_line(connection):
        said = line.strip()
        if said == b"quit":
            break
        if said:
            connection.sendall(b"PHP: You said '" + said + b"'.\n")
    connection.close()
    sock.close()


def typed(address: str, port: int, *lines: bytes) -> socket.socket:
    """A connection on which each line was typed after the server's last words had been read."""
    sk = connect(address, port)
    for line in lines:
        sk.recv(8192)
        sk.sendall(line)
    return sk


def talk_client_quits() -> None:
    """Lines that end with LF, as netcat sends them."""
    sk = typed("127.0.0.1", 54321, b"hello\n", b"how are you\n", b"quit\n")
    read_until_end(sk)
    sk.close()


def talk_telnet_quits() -> None:
    """Lines that end with CR LF: the server stops reading at the CR, and closes with the LF unread."""
    sk = typed("127.0.0.1", 54321, b"hello\r\n", b"quit\r\n")
    with contextlib.suppress(ConnectionResetError):
        read_until_end(sk)
    sk.close()


def talk_client_closes() -> None:
    sk = typed("127.0.0.1", 54321, b"hello\r\n", b"bye\r\n")
    sk.recv(8192)
    sk.close()


# Article on what a socket is: a greeting in Chinese.


def greeting_server() -> Server:
    sk = listen("127.0.0.1", 1935, 4)
    yield
    connection, _ = sk.accept()
    name = connection.recv(8192)
    connection.sendall(name + " 你好!\n".encode())
    connection.close()
    sk.close()


def greeting_client() -> None:
    sk = connect("127.0.0.1", 1935)
    sk.sendall("张三: ".encode())
    read_until_end(sk)
    sk.close()


# Article on PHP socket programming.


def success_server() -> Server:
    sock = listen("127.0.0.1", 1935, 4)
    yield
    connection, _ = sock.accept()
    connection.sendall("测试成功！\n".encode())
    connection.recv(8192)
    connection.close()
    sock.close()


def success_client() -> None:
    sk = connect("127.0.0.1", 1935)
    wait_for_peer(sk)
    sk.sendall(b"Ho\r\nfirst blood\r\n")
    read_until_end(sk)
    sk.close()


def reverse_server() -> Server:
    sk = listen("192.168.1.99", 1234, 3)
    yield
    spawn, _ = sk.accept()
    spawn.sendall(spawn.recv(1024).strip()[::-1] + b"\n")
    spawn.close()
    sk.close()


def reverse_client() -> None:
    sk = connect("192.168.1.99", 1234)
    sk.sendall(b"Hello, socket\r\n")
    read_until_end(sk)
    sk.close()


def http_server() -> Server:
    """Stands in for the web server, which the article reaches over the Internet."""
    sk = listen("104.193.88.77", 80)
    yield
    connection, _ = sk.accept()
    connection.recv(8192)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    connection.close()
    sk.close()


def http_client() -> None:
    sk = connect("104.193.88.77", 80)
    sk.send(b"GET / HTTP/1.1\r\n\r\n")
    sk.recv(2045, socket.MSG_WAITALL)
    sk.close()


def accept_close_server() -> Server:
    sk = listen("127.0.0.1", 5001, 10)
    yield
    client, _ = sk.accept()
    client.close()
    sk.close()


def accept_close_client() -> None:
    sk = connect("127.0.0.1", 5001)
    read_until_end(sk)
    sk.close()


def ok_server() -> Server:
    sk = listen("127.0.0.1", 5001, 10)
    yield
    client, _ = sk.accept()
    client.sendall(b"OK .. " + client.recv(102400))
    client.close()
    sk.close()


def ok_client() -> None:
    sk = connect("127.0.0.1", 5001)
    sk.sendall(b"h")
    read_until_end(sk)
    sk.close()


def select_server() -> Server:
    sk = listen("0.0.0.0", 5000, 10)
    clients: list[socket.socket] = []
    yield
    served = False
    while clients or not served:
        readable, _, _ = select([sk, *clients], [], [])
        if sk in readable:
            served = True
            client, _ = sk.accept()
            clients.append(client)
            client.sendall(
                b"Welcome to php socket server version 1.0 \nEnter a message and press enter, and i shall reply back \n"
            )
        for client in [client for client in clients if client in readable]:
            if said := client.recv(1024):
                client.sendall(b"OK ... " + said)
            else:
                clients.remove(client)
                client.close()
    sk.close()


def select_clients() -> None:
    clients = [connect("127.0.0.1", 5000, client_port=CLIENT_PORT + number) for number in range(3)]
    for client in clients:
        client.recv(1024)
    for client, said in zip(clients, (b"one\r\n", b"two\r\n", b"three\r\n"), strict=True):
        client.sendall(said)
    for client in clients:
        client.recv(1024)
    clients[2].sendall(b"three again\r\n")
    clients[2].recv(1024)
    for client in (clients[1], clients[2], clients[0]):
        client.close()


def record(
    server: Callable[[], Server], client: Callable[[], None], path: Path, *, connections: int = 1, datagrams: int = 0
) -> int:
    """Record one conversation until its connections are over, or until so many datagrams have come."""
    for address in (LAN_SERVER, LAN_CLIENT, "192.168.1.99", "104.193.88.77"):
        ip(f"address add {address} dev lo")
    recorder = Recorder()
    converse(server(), client)
    if datagrams:
        recorder.until_packets(datagrams)
    else:
        recorder.until_closed(connections)
    return recorder.write(path)


CAPTURES: dict[str, Callable[[Path], int]] = {
    "echo-tcp-23333.pcap": partial(record, echo_tcp_server, echo_tcp_client),
    "echo-udp-23333.pcap": partial(record, echo_udp_server, echo_udp_client, datagrams=2),
    "hi-1234.pcap": partial(record, hi_server, hi_client),
    "nihao-1235.pcap": partial(record, nihao_server, nihao_client),
    "talk-54321-server-closes.pcap": partial(record, talk_server, talk_client_quits),
    "talk-54321-reset.pcap": partial(record, talk_server, talk_telnet_quits),
    "talk-54321-client-closes.pcap": partial(record, talk_server, talk_client_closes),
    "greeting-1935.pcap": partial(record, greeting_server, greeting_client),
    "success-1935.pcap": partial(record, success_server, success_client),
    "reverse-1234.pcap": partial(record, reverse_server, reverse_client),
    "http-get-80.pcap": partial(record, http_server, http_client),
    "accept-close-5001.pcap": partial(record, accept_close_server, accept_close_client),
    "ok-5001.pcap": partial(record, ok_server, ok_client),
    "select-5000.pcapng": partial(record, select_server, select_clients, connections=3),
}

if __name__ == "__main__":
    make(CAPTURES)
