"""What is doubted when the capture itself lost packets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analyzer.explain.losses import doubt
from analyzer.tables import CONNECTION, ENDPOINT, ClosedBy, Protocol, Rows
from analyzer.tcp.states import State

CLOSED = ({"state": State.CLOSED, "fin_packet": 8}, {"state": State.TIME_WAIT, "fin_packet": 7})


def rows(client: dict[str, Any], server: dict[str, Any], protocol: Protocol = Protocol.TCP) -> tuple[Rows, Rows]:
    connections, endpoints = np.zeros(1, CONNECTION), np.zeros((1, 2), ENDPOINT)
    connections["protocol"], connections["closed_by"] = protocol, ClosedBy.SERVER
    for side, given in enumerate((client, server)):
        for name, value in {"packets": 5, "syns": 1, "syn_packet": 1 + side, **given}.items():
            endpoints[name][0, side] = value
    return connections[0], endpoints[0]


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ({"state": State.SYN_SENT, "packets": 1}, {"state": State.SYN_RECEIVED, "syns": 0, "packets": 0}),
        ({"state": State.ESTABLISHED}, {"state": State.ESTABLISHED}),
        ({"state": State.CLOSED, "rst_packet": 9}, {"state": State.CLOSED}),
        (CLOSED[0], CLOSED[1] | {"history_gaps": 1}),
        (CLOSED[0] | {"syns": 0}, CLOSED[1] | {"syns": 0}),
    ],
    ids=["unanswered", "open", "reset out of nothing", "gap", "start unseen"],
)
def test_what_may_only_be_missing_here(client: dict[str, Any], server: dict[str, Any]) -> None:
    assert doubt(*rows(client, server), 0) == ""
    assert "lost 1,204 packets: " in doubt(*rows(client, server), 1_204)
    assert "lost a packet: " in doubt(*rows(client, server), 1)
    assert doubt(*rows(client, server, Protocol.UDP), 1_204) == ""


def test_a_filter_may_have_left_it_out() -> None:
    unanswered = rows({"state": State.SYN_SENT, "packets": 1}, {"syns": 0, "packets": 0})
    assert "left out by the filter" in doubt(*unanswered, 0, filter_cuts=True)
    assert "lost 3 packets: " in doubt(*unanswered, 3, filter_cuts=True)


def test_what_was_seen_is_not_doubted() -> None:
    assert doubt(*rows(*CLOSED), 1_204) == doubt(*rows(*CLOSED), 0, filter_cuts=True) == ""
