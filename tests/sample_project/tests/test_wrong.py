"""What is wrong; each of these fails."""

from __future__ import annotations

import socket
import struct

import pytest
from echo import EchoServer, ask

from analyzer.testing import assert_lifecycle, closed_by, no, said, states


@pytest.fixture
def hasty():
    started = EchoServer(stop_after=1)
    yield started
    started.close()


def test_who_closes(tcp_capture, hasty):
    with socket.create_connection(("127.0.0.1", hasty.port)) as client:
        client.sendall(b"hello")
        while client.recv(100):
            pass
    [connection] = tcp_capture.connections.of(port=hasty.port)
    closed_by(connection, "client")


def test_no_reset(tcp_capture, server):
    client = socket.create_connection(("127.0.0.1", server.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    [connection] = tcp_capture.connections.of(port=server.port)
    no(connection, "retransmission", "reset")


def test_phases(tcp_capture, server):
    socket.create_connection(("127.0.0.1", server.port)).close()
    [connection] = tcp_capture.connections.of(port=server.port)
    assert_lifecycle(connection, "handshake data teardown")


def test_states(tcp_capture, server):
    ask(server.port, b"hello")
    [connection] = tcp_capture.connections.of(port=server.port)
    states(connection, server="… FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT")


def test_what_is_said(tcp_capture, server):
    ask(server.port, b"hello")
    [connection] = tcp_capture.connections.of(port=server.port)
    said(connection, server=b"help!")


def test_something_else(tcp_capture, server):
    answer = ask(server.port, b"hello")
    assert answer == b"goodbye"


def test_a_word_that_there_is_not(tcp_capture, server):
    ask(server.port, b"hello")
    [connection] = tcp_capture.connections.of(port=server.port)
    no(connection, "retransmision")


def test_no_such_file(pcap):
    pcap("captures/none.pcap")


@pytest.mark.tcp_capture(filter="tpc")
def test_no_such_filter(tcp_capture):
    raise AssertionError("never reached")
