"""Segments, lives and rows of tables made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from analyzer.pipeline import Life
from analyzer.render.ladder import Story
from analyzer.render.segment import Segment
from analyzer.render.words import Word
from analyzer.tables import ACK, CONNECTION, ENDPOINT, Phase, Protocol, Rows, Side, empty_labels, empty_packets
from analyzer.tcp.states import State

CLIENT, SERVER = Side.CLIENT, Side.SERVER


def segment(**given: Any) -> Segment:
    """A pure ACK of the client in ESTABLISHED, but for what is given."""
    usual: dict[str, Any] = dict.fromkeys(Segment._fields, 0)
    usual |= {"number": 1, "side": CLIENT, "phase": Phase.DATA, "flags": ACK, "window": 342, "payload": b""}
    usual |= {"client_state": State.ESTABLISHED, "server_state": State.ESTABLISHED, "seq": 1, "ack": 1}
    made = usual | given
    if made["payload"] and "payload_len" not in given:
        made["payload_len"] = len(made["payload"])
    return Segment(**made)


def life(some: list[Segment], omitted: int = 0) -> Life:
    """The segments as columns."""
    packets, labels = empty_packets(0), empty_labels(0)
    columns = {}
    for name in Life._fields[:18]:
        source = labels if hasattr(labels, name) else packets
        dtype = getattr(source, name).dtype if hasattr(source, name) else np.dtype(np.int64)
        columns[name] = np.array([getattr(one, name) for one in some], dtype)
    columns["sack"] = np.zeros((len(some), 8), np.uint32)
    return Life(**columns, payload=[one.payload for one in some], tunnels=[""] * len(some), omitted=omitted)


def connection(**given: Any) -> Rows:
    """A CONNECTION row: TCP over IPv4 from 192.0.2.1:48994 to 192.0.2.2:80, but for what is given."""
    rows = np.zeros(1, CONNECTION)
    rows["number"] = 1
    rows["address"][0] = [0, 0, 0, 0xC0000201, 0, 0, 0, 0xC0000202]
    usual = {
        "protocol": Protocol.TCP, "ip_version": 4, "client_port": 48994, "server_port": 80, "handshake_rtt_ns": -1,
    }  # fmt: skip
    for name, value in (usual | given).items():
        rows[name][0] = value
    return rows[0]


def endpoints(client: dict[str, Any] | None = None, server: dict[str, Any] | None = None) -> Rows:
    """The two ENDPOINT rows of a connection."""
    rows = np.zeros(2, ENDPOINT)
    rows["window_scale"] = -1
    for row, given in ((rows[0], client), (rows[1], server)):
        for name, value in (given or {}).items():
            row[name] = value
    return rows


def story(some: list[Segment], *, omitted: int = 0, why: str = "", **given: Any) -> Story:
    """The segments as a story; ``given`` goes to the CONNECTION row."""
    sent = [sum(one.payload_len for one in some if one.side == side) for side in Side]
    ends = endpoints({"payload_bytes": sent[0], "packets": len(some) + omitted}, {"payload_bytes": sent[1]})
    given.setdefault("first_ns", some[0].ts_ns)
    given.setdefault("last_ns", some[-1].ts_ns)
    return Story(3, connection(**given), ends, life(some, omitted), Word("open"), (why,) if why else ())
