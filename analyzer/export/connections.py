"""The record of a connection: its columns, in their order.

A UDP conversation has counters and times, and a cause where ICMP refused it; what only TCP has is NULL in each of its
columns.
"""

from __future__ import annotations

import numpy as np

from analyzer.explain.causes import Cause, causes_of, code_of
from analyzer.export.address_text import address_texts
from analyzer.export.columns import Column, Flags, Integers, Integral, Table, Texts, Words, where
from analyzer.export.why_text import why_texts
from analyzer.jit import fastest, kernel
from analyzer.tables import HISTORY_LEN, I64, MOST_SQUARES, U8, ClosedBy, Evidence, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State
from analyzer.tcp.summary import Verdict, verdict

PROTOCOL_WORDS = tuple(protocol.name.lower() for protocol in Protocol)
STATE_WORDS = tuple(state.name.replace("_", "-") for state in State)
EVIDENCE_WORDS = (None, *(evidence.name.lower() for evidence in Evidence))
VERDICT_WORDS = tuple(verdict.name for verdict in Verdict)
CLOSED_BY_WORDS = tuple(closed_by.name.lower() if closed_by else None for closed_by in ClosedBy)
CAUSE_WORDS = tuple(code_of(cause) for cause in Cause)

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
    texts, evidence = why_texts(connections, endpoints, causes)
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
        "why": texts,
        "evidence": evidence,
        "handshake_rtt_ns": Integers(where(tcp & (rtt_ns >= 0), rtt_ns)),
    }
    for phase in (Phase.HANDSHAKE, Phase.DATA, Phase.TEARDOWN):
        name = f"phases.{phase.name.lower()}"
        packets = connections["phase_packets"][:, phase]
        seen = tcp & (packets > 0)
        table[f"{name}.packets"] = Integers(where(tcp, packets))
        table[f"{name}.first_ns"] = Integers(where(seen, connections["phase_first_ns"][:, phase]))
        table[f"{name}.last_ns"] = Integers(where(seen, connections["phase_last_ns"][:, phase]))
        phase_ns = connections["phase_last_ns"][:, phase] - connections["phase_first_ns"][:, phase]
        for side in Side:
            octets = bytes_of(endpoints[:, side], phase)
            table[f"{name}.{side.name.lower()}_bytes"] = Integers(where(tcp, octets))
            table[f"{name}.{side.name.lower()}_throughput_bps"] = rate(octets, np.where(tcp, phase_ns, 0))
    for side in Side:
        for name, column in sent_columns(connections, endpoints[:, side], tcp).items():
            table[f"{side.name.lower()}_sent.{name}"] = column
    return table


def sent_columns(connections: Rows, ends: Rows, tcp: Flags) -> dict[str, Column]:
    """What one side of each connection sent: ``ends`` ENDPOINT[n]. The window scale is known from a SYN only."""
    mss, window_scale = ends["mss"], ends["window_scale"]
    samples, windows, data_packets = ends["rtt_samples"], ends["windows"], ends["data_packets"]
    data_ns = connections["phase_last_ns"][:, Phase.DATA] - connections["phase_first_ns"][:, Phase.DATA]
    return {
        **{name: Integers(ends[name]) for name in COUNTERS},
        "mss": Integers(where(tcp & (mss > 0), mss)),
        "window_scale": Integers(where(tcp & (window_scale >= 0) & (ends["syns"] > 0), window_scale)),
        "min_rtt_ns": Integers(where(samples > 0, ends["min_rtt_ns"])),
        "max_rtt_ns": Integers(where(samples > 0, ends["max_rtt_ns"])),
        "mean_rtt_ns": mean(ends["rtt_sum_ns"], samples),
        "rtt_samples": Integers(samples),
        "stdev_rtt_ns": deviation(ends["rtt_sum_ns"], ends["rtt_squares"], samples),
        "max_idle_ns": Integers(where(tcp & (ends["packets"] > 1), ends["max_idle_ns"])),
        "triple_duplicate_acks": Integers(ends["triple_duplicate_acks"]),
        "max_in_flight": Integers(where(tcp & (data_packets > 0), ends["max_in_flight"])),
        "mean_in_flight": mean(ends["in_flight_sum"], where(tcp, data_packets)),
        "min_window": Integers(where(windows > 0, ends["min_window"])),
        "max_window": Integers(where(windows > 0, ends["max_window"])),
        "mean_window": mean(ends["window_sum"], windows),
        "throughput_bps": rate(ends["unique_bytes"], connections["last_ns"] - connections["first_ns"]),
        "data_throughput_bps": rate(bytes_of(ends, Phase.DATA), np.where(tcp, data_ns, 0)),
        "capture_duplicates": Integers(ends["capture_duplicates"]),
    }


def bytes_of(ends: Rows, phase: Phase) -> I64:
    """Octets of payload that each of these ENDPOINT rows sent in a phase, each octet once."""
    handshake, aside = ends["handshake_bytes"].astype(np.int64), ends["aside_bytes"].astype(np.int64)
    by_phase = {
        Phase.HANDSHAKE: handshake,
        Phase.DATA: ends["unique_bytes"] - aside,
        Phase.TEARDOWN: aside - handshake,
    }
    return by_phase[phase]


def mean(sums: Integral, counts: Integral) -> Integers:
    """Sums by their counts, rounded down; not known where nothing was counted."""
    return Integers(where(counts > 0, sums // np.maximum(counts, 1)))


def deviation(sums: Integral, squares: Integral, counts: Integral) -> Integers:
    """The standard deviation of samples, from their sum and that of their squares in units of 2**20."""
    known = (counts > 1) & (squares < MOST_SQUARES)
    n = np.maximum(counts, 2).astype(np.float64)
    variance = (squares * 2.0**20 - np.square(sums.astype(np.float64)) / n) / (n - 1)
    return Integers(where(known, np.sqrt(np.maximum(variance, 0)).astype(np.int64)))


def rate(octets: Integral, elapsed_ns: Integral) -> Integers:
    """Bits a second; not known where no time has passed."""
    bits = np.clip(octets * 8e9 / np.maximum(elapsed_ns, 1), 0, 2.0**62)
    return Integers(where(elapsed_ns > 0, bits.astype(np.int64)))


@kernel
def write_verdicts(connections: Rows, endpoints: Rows, verdicts: U8) -> None:
    """The Verdict of every connection; that of a UDP conversation means nothing."""
    for i in range(len(verdicts)):
        verdicts[i] = verdict(connections[i], endpoints[i, 0], endpoints[i, 1])
