"""What is right about the echo server's connections; all of it passes."""

from __future__ import annotations

import asyncio
import re
import socket
import unittest
from pathlib import Path

import pytest
from echo import ask

from analyzer.testing import (
    assert_lifecycle,
    cause,
    closed_by,
    max_duration,
    max_handshake_rtt,
    no,
    opened_once,
    said,
    states,
)


def test_echo(tcp_capture, server):
    ask(server.port, b"hello")
    [connection] = tcp_capture.connections.of(port=server.port)
    assert_lifecycle(connection, "handshake data teardown")
    closed_by(connection, "client")
    no(connection, "retransmission", "reset")
    states(connection, client="… FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT", server="… CLOSE-WAIT LAST-ACK CLOSED")


def test_all_that_is_said(tcp_capture, server):
    question = b"".join(b"line %d\n" % i for i in range(20_000))
    assert ask(server.port, question) == question
    [connection] = tcp_capture.connections.of(port=server.port)
    said(connection, client=question, server=len(question))
    said(connection, client=re.compile(rb"(line \d+\n)+"))
    opened_once(connection)
    max_handshake_rtt(connection, "5 s")
    max_duration(connection, "1 min")


def test_looking_twice(tcp_capture, server):
    assert len(tcp_capture.connections.of(port=server.port)) == 0
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        [connection] = tcp_capture.connections.of(port=server.port)
        states(connection, client="CLOSED SYN-SENT ESTABLISHED")
        closed_by(connection, None)
    [connection] = tcp_capture.connections.of(port=server.port)
    closed_by(connection, "client")


def test_nobody_listens(tcp_capture):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            ask(port, b"hello")
    [connection] = tcp_capture.connections.of(port=port)
    cause(connection, "refused")


@pytest.mark.tcp_capture(filter="udp")
def test_a_filter(tcp_capture, server):
    ask(server.port, b"hello")
    assert tcp_capture.connections.of(port=server.port) == []


def test_in_an_event_loop(tcp_capture):
    async def echo(reader, writer):
        writer.write(await reader.read(100))
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def talk():
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.read(100) == b"hello"
            writer.close()
            await asyncio.to_thread(tcp_capture.settle)
            [connection] = tcp_capture.connections.of(port=port)
            closed_by(connection, "client")
            states(connection, server="… LAST-ACK CLOSED")
            await writer.wait_closed()

    asyncio.run(talk())


class TestOfUnittest(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def captured(self, tcp_capture, server):
        self.capture, self.server = tcp_capture, server

    def test_echo(self):
        ask(self.server.port, b"hello")
        [connection] = self.capture.connections.of(port=self.server.port)
        closed_by(connection, "client")


def test_a_file(pcap, tcp_capture, server, tmp_path: Path):
    ask(server.port, b"hello")
    tcp_capture.settle()
    tcp_capture.save(tmp_path / "echo.pcap")
    [connection] = pcap(tmp_path / "echo.pcap", f"port {server.port}").connections
    said(connection, client="hello")
    assert pcap(tmp_path / "echo.pcap", f"port {server.port}") is pcap(tmp_path / "echo.pcap", f"port {server.port}")
