"""The record of a connection: its columns, in their order.

A UDP conversation has counters and times; what only TCP has is NULL in each of its columns.
"""

from __future__ import annotations

import numpy as np

from analyzer.explain.why import CAUSES, Cause, causes_of
from analyzer.export.address_text import address_texts
from analyzer.export.columns import NULL, Column, Integers, Table, Texts, Words, where
from analyzer.export.why_text import why_texts
from analyzer.jit import fastest, kernel
from analyzer.tables import HISTORY_LEN, U8, ClosedBy, Evidence, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State
from analyzer.tcp.summary import Verdict, verdict

PROTOCOL_WORDS = tuple(protocol.name.lower() for protocol in Protocol)
STATE_WORDS = tuple(state.name.replace("_", "-") for state in State)
EVIDENCE_WORDS = (None, *(evidence.name.lower() for evidence in Evidence))
VERDICT_WORDS = tuple(verdict.name for verdict in Verdict)
CLOSED_BY_WORDS = tuple(closed_by.name.lower() if closed_by else None for closed_by in ClosedBy)
CAUSE_WORDS = tuple(CAUSES[cause][0] for cause in Cause)

COUNTERS = (
    "packets", "payload_bytes", "unique_bytes", "data_packets", "pure_acks", "retransmitted_packets",
    "retransmitted_bytes", "out_of_order_packets", "duplicate_acks", "zero_windows", "zero_window_probes", "resets",
    "syns", "fins", "sacks",
)  # fmt: skip
"""Columns of ENDPOINT that are columns of the record as they are."""


def connection_table(connections: Rows, endpoints: Rows) -> Table:
    """Columns of the record.

    Args: ``connections`` CONNECTION[n], ``endpoints`` ENDPOINT[n, Side].
    """
    n = len(connections)
    verdicts, causes = np.empty(n, np.uint8), causes_of(connections, endpoints)
    fastest(write_verdicts)(connections, endpoints, verdicts)
    tcp = connections["protocol"] == Protocol.TCP
    rtt_ns = connections["handshake_rtt_ns"]
    table: Table = {
        "connection": Integers(connections["number"]),
        "protocol": Words(connections["protocol"], PROTOCOL_WORDS),
        "client.address": address_texts(connections, Side.CLIENT),
        "client.port": Integers(connections["client_port"]),
        "server.address": address_texts(connections, Side.SERVER),
        "server.port": Integers(connections["server_port"]),
        "client_evidence": Words(connections["client_evidence"], EVIDENCE_WORDS),
        "first_ns": Integers(connections["first_ns"]),
        "last_ns": Integers(connections["last_ns"]),
        "packets": Integers(endpoints["packets"].sum(axis=1)),
        "client_state": Words(where(tcp, endpoints["state"][:, Side.CLIENT]), STATE_WORDS),
        "server_state": Words(where(tcp, endpoints["state"][:, Side.SERVER]), STATE_WORDS),
        "verdict": Words(where(tcp, verdicts), VERDICT_WORDS),
        "history": Texts(
            np.ascontiguousarray(connections["history"]).reshape(-1),
            where(tcp, np.arange(n) * HISTORY_LEN),
            connections["history_len"].astype(np.int64),
        ),
        "completeness": Integers(where(tcp, connections["completeness"])),
        "closed_by": Words(where(tcp, connections["closed_by"]), CLOSED_BY_WORDS),
        "cause": Words(causes, CAUSE_WORDS),
        "why": why_texts(connections, endpoints, causes),
        "handshake_rtt_ns": Integers(where(tcp & (rtt_ns >= 0), rtt_ns)),
    }
    for phase in (Phase.HANDSHAKE, Phase.DATA, Phase.TEARDOWN):
        name = f"phases.{phase.name.lower()}"
        packets = connections["phase_packets"][:, phase]
        seen = tcp & (packets > 0)
        table[f"{name}.packets"] = Integers(where(tcp, packets))
        table[f"{name}.first_ns"] = Integers(where(seen, connections["phase_first_ns"][:, phase]))
        table[f"{name}.last_ns"] = Integers(where(seen, connections["phase_last_ns"][:, phase]))
    for side in Side:
        for name, column in sent_columns(endpoints[:, side], tcp).items():
            table[f"{side.name.lower()}_sent.{name}"] = column
    return table


def sent_columns(ends: Rows, tcp: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> dict[str, Column]:
    """What one side of each connection sent: ``ends`` ENDPOINT[n]. The window scale is known from a SYN only."""
    mss, window_scale = ends["mss"], ends["window_scale"]
    unknown = Integers(np.full(len(ends), NULL))
    return {
        **{name: Integers(ends[name]) for name in COUNTERS},
        "mss": Integers(where(tcp & (mss > 0), mss)),
        "window_scale": Integers(where(tcp & (window_scale >= 0) & (ends["syns"] > 0), window_scale)),
        "min_rtt_ns": unknown,
        "max_rtt_ns": unknown,
        "mean_rtt_ns": unknown,
        "rtt_samples": unknown,
    }


@kernel
def write_verdicts(connections: Rows, endpoints: Rows, verdicts: U8) -> None:
    """The Verdict of every connection; that of a UDP conversation means nothing."""
    for i in range(len(verdicts)):
        verdicts[i] = verdict(connections[i], endpoints[i, 0], endpoints[i, 1])
