"""Requests and responses."""

from __future__ import annotations

from analyzer.render.turns import turns
from analyzer.tables import ACK, FIN, Event, Phase
from tests.render.made import CLIENT, SERVER, segment


def test_requests_and_responses() -> None:
    life = [
        segment(ts_ns=0, phase=Phase.HANDSHAKE),
        segment(ts_ns=10, side=CLIENT, payload=b"GET"),
        segment(ts_ns=20, side=SERVER),
        segment(ts_ns=30, side=SERVER, payload=b"200"),
        segment(ts_ns=35, side=SERVER, payload=b"body"),
        segment(ts_ns=60, side=CLIENT, payload=b"GET again"),
    ]
    assert turns(life) == [
        ("request 1", CLIENT, 1, 1, 3, -1),
        ("response 1", SERVER, 3, 2, 7, 20),
        ("request 2", CLIENT, 5, 1, 9, 25),
    ]


def test_a_server_that_speaks_first_greets() -> None:
    names = [turn.name for turn in turns([segment(side=SERVER, payload=b"220"), segment(payload=b"HELO")])]
    assert names == ["greeting", "request 1"]


def test_one_side_alone_has_no_turns() -> None:
    assert turns([segment(payload=b"a"), segment(payload=b"b"), segment(side=SERVER)]) == []


def test_what_is_sent_again_is_no_turn() -> None:
    life = [
        segment(payload=b"a"),
        segment(side=SERVER, payload=b"b"),
        segment(payload=b"a", events=1 << Event.RETRANSMISSION),
        segment(side=SERVER, payload=b"c"),
    ]
    assert [(turn.name, turn.packets) for turn in turns(life)] == [("request 1", 1), ("response 1", 2)]


def test_what_follows_the_servers_fin_is_no_request() -> None:
    life = [
        segment(payload=b"one"),
        segment(side=SERVER, flags=FIN | ACK, phase=Phase.TEARDOWN),
        segment(payload=b"two"),
        segment(payload=b"three"),
    ]
    assert [(turn.name, turn.octets) for turn in turns(life)] == [("request 1", 3), ("after the server's FIN", 8)]


def test_a_response_after_the_clients_fin_is_one() -> None:
    life = [
        segment(payload=b"one"),
        segment(flags=FIN | ACK, phase=Phase.TEARDOWN),
        segment(side=SERVER, payload=b"two"),
    ]
    assert [turn.name for turn in turns(life)] == ["request 1", "response 1"]
