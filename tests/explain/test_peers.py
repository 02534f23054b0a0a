"""Calls on UDP sockets: with whom they talk, and their datagrams."""

from __future__ import annotations

import pytest

from analyzer.explain.peers import by_peer
from analyzer.explain.tying import Packet, tied
from analyzer.strace.arguments import End
from analyzer.strace.log import parse
from analyzer.strace.sockets import SocketCall, Sockets
from analyzer.tables import Protocol, Side

A, B = (b"\x0a\0\0\1", 1000), (b"\x0a\0\0\2", 2000)
TO_A, TO_B = (f'{{sa_family=AF_INET, sin_port=htons({n}000), sin_addr=inet_addr("10.0.0.{n}")}}' for n in (1, 2))
SOCKET = "1 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3"


def calls_of(*lines: str) -> list[SocketCall]:
    sockets = Sockets()
    return [call for record in parse([SOCKET, *(f"1 {line}" for line in lines)])[1] for call in sockets.feed(record)]


def names(calls: list[SocketCall]) -> dict[End | None, list[str]]:
    return {peer: [seen.call.name for seen in some] for peer, some in by_peer(calls).items()}


def test_a_server_has_a_peer_for_each_datagram() -> None:
    calls = calls_of(
        "bind(3, {sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr(\"0.0.0.0\")}, 16) = 0",
        f'recvfrom(3, "a", 9, 0, {TO_A}, [16]) = 1', f'recvfrom(3, "bb", 9, 0, {TO_B}, [16]) = 2',
        f'sendto(3, "a", 1, 0, {TO_A}, 16) = 1', 'recvfrom(3, 0x7f, 9, 0, NULL, NULL) = -1 EAGAIN (Again)',
        f'sendmsg(3, {{msg_name={TO_B}, msg_namelen=16, msg_iov=[], msg_iovlen=0}}, 0) = 2', "close(3) = 0",
    )  # fmt: skip
    assert names(calls) == {
        A: ["socket", "bind", "recvfrom", "sendto"],
        B: ["recvfrom", "recvfrom", "sendmsg", "close"],
    }


def test_a_socket_that_is_connected_twice() -> None:
    calls = calls_of(
        f"connect(3, {TO_A}, 16) = 0", 'send(3, "a", 1, 0) = 1', f"connect(3, {TO_B}, 16) = 0",
        'write(3, "b", 1) = 1', f'sendto(3, "a", 1, 0, {TO_A}, 16) = 1',
    )  # fmt: skip
    assert names(calls) == {A: ["socket", "connect", "send", "sendto"], B: ["connect", "write"]}


def test_a_descriptor_names_the_peer() -> None:
    calls = calls_of('sendto(3<UDP:[10.0.0.9:5->10.0.0.1:1000]>, "a", 1, 0, NULL, 0) = 1')
    assert names(calls) == {A: ["socket", "sendto"]}


def test_a_socket_without_a_peer() -> None:
    assert names(calls_of("close(3) = 0")) == {None: ["socket", "close"]}


def sent(*lengths: int, side: Side = Side.CLIENT) -> list[Packet]:
    return [Packet(n, n, side, 0, 0, 0, length) for n, length in enumerate(lengths, 1)]


@pytest.mark.parametrize(
    ("line", "lengths", "places"),
    [
        ('sendto(3, "abc", 3, 0, NULL, 0) = 3', (3,), (0,)),
        ('sendto(3, "abc", 3, 0, NULL, 0) = 3', (5, 3), (1,)),
        ('sendto(3, "abc", 3, 0, NULL, 0) = 3', (5,), ()),
        ('sendto(3, "", 0, 0, NULL, 0) = 0', (5, 0), (1,)),
        ('sendto(3, "abc", 3, 0, NULL, 0) = -1 ECONNREFUSED (Connection refused)', (3,), ()),
        ("sendmmsg(3, [{msg_hdr={}, msg_len=5}, {msg_hdr={}, msg_len=6}], 2, 0) = 2", (5, 6, 7), (0, 1)),
    ],
)
def test_datagrams_that_are_written(line: str, lengths: tuple[int, ...], places: tuple[int, ...]) -> None:
    ties = tied(calls_of(line), Side.CLIENT, sent(*lengths), Protocol.UDP)
    assert (ties[-1].caused, ties[-1].needed) == (places, ())


@pytest.mark.parametrize(
    ("line", "lengths", "places"),
    [
        ('recvfrom(3, "abc", 9, 0, NULL, NULL) = 3', (5, 3), (1,)),
        ('recvfrom(3, "abc", 3, 0, NULL, NULL) = 3', (5, 3), (0,)),
        ('recvfrom(3, "abc", 9, MSG_PEEK, NULL, NULL) = 3', (3,), ()),
    ],
)
def test_datagrams_that_are_read(line: str, lengths: tuple[int, ...], places: tuple[int, ...]) -> None:
    ties = tied(calls_of(line), Side.CLIENT, sent(*lengths, side=Side.SERVER), Protocol.UDP)
    assert (ties[-1].caused, ties[-1].needed) == ((), places)
