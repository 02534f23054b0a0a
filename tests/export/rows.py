"""Rows of any content for the tests of records, and the records that they must give, told in plain Python."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from analyzer.explain.causes import Cause, cause_of
from analyzer.explain.why import evidence_of, why
from analyzer.tables import (
    ACK,
    CONNECTION,
    ENDPOINT,
    HISTORY_LEN,
    MOST_SQUARES,
    ClosedBy,
    Event,
    Evidence,
    Frames,
    Labels,
    Packets,
    Phase,
    Protocol,
    Rows,
    Side,
    Status,
    Tunnel,
    empty_labels,
    empty_packets,
)
from analyzer.tcp.history import ZeekState
from analyzer.tcp.states import State
from analyzer.tcp.summary import Verdict, verdict

SMALL_CODES = {
    "client_evidence": (1, len(Evidence)), "closed_by": (0, len(ClosedBy) - 1), "history_len": (0, HISTORY_LEN),
    "late_data": (0, 3), "ip_version": (4, 6), "state": (0, len(State) - 1), "zeek_state": (0, len(ZeekState) - 1),
    "window_scale": (-1, 14), "side": (0, 1), "phase": (0, len(Phase) - 1), "client_state": (0, len(State) - 1),
    "server_state": (0, len(State) - 1), "status": (0, len(Status) - 1), "protocol": (0, len(Protocol) - 1),
    "connection": (0, 2**62 - 1), "events": (0, 2 ** len(Event) - 1), "flags": (0, 0x1FF),
    "packets": (0, 2**62 - 1), "unique_bytes": (0, 2**62), "rtt_squares": (0, MOST_SQUARES),
    "rtt_sum_ns": (0, 2**62), "in_flight_sum": (0, 2**62), "window_sum": (0, 2**62),
    "refers_to": (0, 2**62 - 1), "tunnel": (0, len(Tunnel) - 1), "unreachable_side": (0, 1), "spoke_last": (0, 2),
    "first_packet": (1, 2**62), "first_ns": (0, 2**62), "last_ns": (0, 2**62),
}  # fmt: skip
"""Columns that hold no other values than from the first to the second."""


@contextmanager
def kernels(mode: str) -> Iterator[None]:
    """Run kernels compiled (``always``) or interpreted (``never``)."""
    before = os.environ.get("TCPFLOW_VIEW_JIT")
    os.environ["TCPFLOW_VIEW_JIT"] = mode
    try:
        yield
    finally:
        if before is None:
            del os.environ["TCPFLOW_VIEW_JIT"]
        else:
            os.environ["TCPFLOW_VIEW_JIT"] = before


def fill(name: str, column: Any, random: np.random.Generator) -> None:
    """Values of all sizes; the least and the greatest, and 0, more often than by chance."""
    info = np.iinfo(column.dtype)
    low, high = SMALL_CODES.get(name, (max(int(info.min), 1 - 2**63), int(info.max)))
    values = random.integers(low, high, column.shape, np.int64, endpoint=True)
    if low >= 0 and high > 255:
        values >>= random.integers(0, 64, column.shape)
    extremes = np.array([low, high, max(low, 0), max(low, min(high, 1))])
    values = np.where(random.random(column.shape) < 0.3, random.choice(extremes, column.shape), np.maximum(values, low))
    column[...] = values


def connection_rows(seed: int, n: int) -> tuple[Rows, Rows]:
    """CONNECTION[n] and ENDPOINT[n, Side]."""
    random = np.random.default_rng(seed)
    connections, endpoints = np.zeros(n, CONNECTION), np.zeros((n, 2), ENDPOINT)
    for table in connections, endpoints:
        for name in table.dtype.names or ():
            fill(name, table[name], random)
    connections["protocol"] = random.choice([Protocol.TCP, Protocol.TCP, Protocol.TCP, Protocol.UDP], n)
    connections["number"] = np.arange(1, n + 1)
    connections["ip_version"] = random.choice([4, 6], n)
    connections["history"] = random.choice(list(b"ShAaDdFfRrQqIiTtWwGgCc^"), (n, HISTORY_LEN))
    for name in ("syn_packet", "fin_packet", "rst_packet"):
        endpoints[name] *= random.random((n, 2)) < 0.3
        np.abs(endpoints[name], out=endpoints[name])
    endpoints["capture_duplicates"] *= random.random((n, 1)) < 0.2
    for name in ("tries", "reset_idle_s", "ignored_acks", "numbers_packets"):
        endpoints[name] *= random.random((n, 2)) < 0.3
    connections["unreachable"] *= random.random(n) < 0.3
    endpoints["reset_traits"] &= np.where(random.random((n, 2)) < 0.5, 0xFB, 0xFF).astype(np.uint8)
    for name in ("syns", "resets", "packets"):
        few = random.random((n, 2)) < 0.5
        endpoints[name] = np.where(few, random.integers(0, 3, (n, 2)), endpoints[name])
    return connections, endpoints


def packet_rows(seed: int, n: int) -> tuple[Frames, Packets, Labels]:
    """One batch."""
    random = np.random.default_rng(seed)
    data = np.zeros(1, np.uint8)
    data.flags.writeable = False
    frames = Frames(
        data, np.zeros(n, np.int64), np.zeros(n, np.uint32), np.zeros(n, np.uint32), np.zeros(n, np.int64),
        np.zeros(n, np.uint16), np.zeros(n, np.uint16), np.zeros(n, np.int64),
    )  # fmt: skip
    packets, labels = empty_packets(n), empty_labels(n)
    for batch in frames, packets, labels:
        for name, column in batch._asdict().items():
            if name not in ("data", "packets"):
                fill(name, column, random)
    packets.protocol[random.random(n) < 0.6] = Protocol.TCP
    packets.status[random.random(n) < 0.6] = Status.WHOLE
    return frames, packets, labels


def address(words: Any, ip_version: int) -> str:
    """An address as Python writes it; RFC 5952's dotted form of IPv4-mapped ones is newer than Python 3.11."""
    number = int.from_bytes(b"".join(int(word).to_bytes(4, "big") for word in words), "big")
    if ip_version == 4:
        return str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    if number >> 32 == 0xFFFF:
        return f"::ffff:{ipaddress.IPv4Address(number & 0xFFFFFFFF)}"
    return str(ipaddress.IPv6Address(number))


def connection_record(connection: Rows, client: Rows, server: Rows) -> dict[str, Any]:
    """The record, in the contract's order."""
    tcp = connection["protocol"] == Protocol.TCP

    def only_tcp(value: Any) -> Any:
        return value if tcp else None

    cause = Cause(cause_of(connection, client, server))
    return {
        "schema": 1,
        "record": "connection",
        "connection": int(connection["number"]),
        "protocol": "tcp" if tcp else "udp",
        "client": {
            "address": address(connection["address"][:4], connection["ip_version"]),
            "port": int(connection["client_port"]),
        },
        "server": {
            "address": address(connection["address"][4:], connection["ip_version"]),
            "port": int(connection["server_port"]),
        },
        "client_evidence": Evidence(connection["client_evidence"]).name.lower(),
        "first_ns": int(connection["first_ns"]),
        "last_ns": int(connection["last_ns"]),
        "packets": int(client["packets"]) + int(server["packets"]),
        "client_state": only_tcp(state_word(client["state"])),
        "server_state": only_tcp(state_word(server["state"])),
        "verdict": only_tcp(Verdict(verdict(connection, client, server)).name),
        "history": only_tcp(bytes(connection["history"][: connection["history_len"]]).decode()),
        "completeness": only_tcp(int(connection["completeness"])),
        "closed_by": only_tcp([None, "client", "server", "both"][connection["closed_by"]]),
        "cause": cause.name.lower() if cause else None,
        "why": why(connection, client, server) if cause else None,
        "evidence": evidence_of(connection, client, server) if cause else None,
        "handshake_rtt_ns": only_tcp(known(connection["handshake_rtt_ns"], connection["handshake_rtt_ns"] >= 0)),
        "phases": {
            phase.name.lower(): {
                "packets": only_tcp(int(connection["phase_packets"][phase])),
                "first_ns": only_tcp(
                    known(connection["phase_first_ns"][phase], connection["phase_packets"][phase] > 0)
                ),
                "last_ns": only_tcp(known(connection["phase_last_ns"][phase], connection["phase_packets"][phase] > 0)),
                **{
                    name: only_tcp(value)
                    for side, end in (("client", client), ("server", server))
                    for name, value in sent_in(connection, end, phase, side)
                },
            }
            for phase in (Phase.HANDSHAKE, Phase.DATA, Phase.TEARDOWN)
        },
        "client_sent": sent_record(connection, client, bool(tcp)),
        "server_sent": sent_record(connection, server, bool(tcp)),
    }


def sent_record(connection: Rows, end: Rows, tcp: bool) -> dict[str, Any]:
    """What one side sent."""
    samples, windows, data_packets = int(end["rtt_samples"]), int(end["windows"]), int(end["data_packets"])
    elapsed_ns = difference(connection["last_ns"], connection["first_ns"])
    data_ns = difference(connection["phase_last_ns"][Phase.DATA], connection["phase_first_ns"][Phase.DATA])
    stdev_rtt_ns = None
    if samples > 1 and end["rtt_squares"] < MOST_SQUARES:
        sum_ns = float(end["rtt_sum_ns"])
        variance = (int(end["rtt_squares"]) * 2.0**20 - sum_ns * sum_ns / samples) / (samples - 1)
        stdev_rtt_ns = int(max(variance, 0) ** 0.5)
    counters = (
        "packets payload_bytes unique_bytes data_packets pure_acks retransmitted_packets retransmitted_bytes "
        "out_of_order_packets duplicate_acks zero_windows zero_window_probes resets syns fins sacks"
    )
    return {
        **{name: int(end[name]) for name in counters.split()},
        "mss": known(end["mss"], tcp and end["mss"] > 0),
        "window_scale": known(end["window_scale"], tcp and end["syns"] > 0 and end["window_scale"] >= 0),
        "min_rtt_ns": known(end["min_rtt_ns"], samples),
        "max_rtt_ns": known(end["max_rtt_ns"], samples),
        "mean_rtt_ns": int(end["rtt_sum_ns"]) // samples if samples else None,
        "rtt_samples": samples,
        "stdev_rtt_ns": stdev_rtt_ns,
        "max_idle_ns": known(end["max_idle_ns"], tcp and end["packets"] > 1),
        "triple_duplicate_acks": int(end["triple_duplicate_acks"]),
        "max_in_flight": known(end["max_in_flight"], tcp and data_packets),
        "mean_in_flight": int(end["in_flight_sum"]) // data_packets if tcp and data_packets else None,
        "min_window": known(end["min_window"], windows),
        "max_window": known(end["max_window"], windows),
        "mean_window": int(end["window_sum"]) // windows if windows else None,
        "throughput_bps": rate(int(end["unique_bytes"]), elapsed_ns),
        "data_throughput_bps": rate(int(end["unique_bytes"]) - int(end["aside_bytes"]), data_ns if tcp else 0),
        "capture_duplicates": int(end["capture_duplicates"]),
    }


def sent_in(connection: Rows, end: Rows, phase: Phase, side: str) -> list[tuple[str, int | None]]:
    """What one side sent in a phase."""
    unique, aside, handshake = (int(end[name]) for name in ("unique_bytes", "aside_bytes", "handshake_bytes"))
    octets = {"HANDSHAKE": handshake, "DATA": unique - aside, "TEARDOWN": aside - handshake}[phase.name]
    elapsed_ns = difference(connection["phase_last_ns"][phase], connection["phase_first_ns"][phase])
    return [(f"{side}_bytes", octets), (f"{side}_throughput_bps", rate(octets, elapsed_ns))]


def difference(later: Any, earlier: Any) -> int:
    """As 64 bits have it."""
    return (int(later) - int(earlier) + 2**63) % 2**64 - 2**63


def rate(octets: int, elapsed_ns: int) -> int | None:
    return int(min(max(octets * 8e9 / elapsed_ns, 0), 2.0**62)) if elapsed_ns > 0 else None


def packet_record(frames: Frames, packets: Packets, labels: Labels, i: int) -> dict[str, Any]:
    """The record, in the contract's order."""
    whole = packets.status[i] == Status.WHOLE
    tcp = bool(whole and packets.protocol[i] == Protocol.TCP)
    udp = bool(whole and packets.protocol[i] == Protocol.UDP)
    followed = bool(labels.connection[i] > 0)
    flags = int(packets.flags[i])
    letters = "".join(letter for bit, letter in enumerate("FSRP.UEW") if flags >> bit & 1)
    return {
        "schema": 1,
        "record": "packet",
        "packet": int(frames.number[i]),
        "ts_ns": int(frames.ts_ns[i]),
        "caplen": int(frames.caplen[i]),
        "origlen": int(frames.origlen[i]),
        "protocol": Protocol(packets.protocol[i]).name.lower(),
        "connection": int(labels.connection[i]) if followed else None,
        "sender": Side(labels.side[i]).name.lower() if followed else None,
        "phase": Phase(labels.phase[i]).name.lower(),
        "client_state": state_word(labels.client_state[i]) if tcp and followed else None,
        "server_state": state_word(labels.server_state[i]) if tcp and followed else None,
        "flags": known(letters or "none", tcp),
        "seq": known(labels.seq[i], tcp and followed),
        "ack": known(labels.ack[i], tcp and followed and bool(flags & ACK)),
        "raw_seq": known(packets.seq[i], tcp),
        "raw_ack": known(packets.ack[i], tcp),
        "window": known(packets.window[i], tcp),
        "payload_len": known(packets.payload_len[i], tcp or udp),
        "events": [event.name.lower() for event in Event if int(labels.events[i]) >> event & 1],
        "refers_to": known(labels.refers_to[i], labels.refers_to[i] > 0),
        "repeat": known(labels.repeat[i], tcp and followed),
        "tunnel": Tunnel(packets.tunnel[i]).name.lower() if packets.tunnel[i] else None,
        "depth": int(packets.depth[i]),
    }


def known(value: Any, is_known: Any) -> Any:
    """The value as Python has it, or None."""
    if not is_known:
        return None
    return value if isinstance(value, str) else int(value)


def state_word(state: int) -> str:
    """As RFC 9293 spells it."""
    return State(state).name.replace("_", "-")
