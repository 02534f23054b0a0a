"""Records as text: every value of every row, in the contract's order, from compiled and interpreted kernels."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.export import text_writer as writers
from analyzer.export.schema import fields_of
from analyzer.export.text_writer import text_writer
from analyzer.tables import Frames, Labels, Packets, Rows
from tests.export.rows import connection_record, connection_rows, kernels, packet_record, packet_rows

MODES = ["always", "never"]
FORMS = ["jsonl", "csv", "zeek", "zeek-json"]


def connection_lines(connections: Rows, endpoints: Rows, count: int, form: str = "jsonl") -> bytes:
    out = io.BytesIO()
    writer = text_writer(form, "connections", out)
    writer.connections(connections, endpoints, count)
    writer.close()
    return out.getvalue()


def packet_lines(frames: Frames, packets: Packets, labels: Labels, form: str = "jsonl") -> bytes:
    out = io.BytesIO()
    text_writer(form, "packets", out).packets(frames, packets, labels)
    return out.getvalue()


def text_of(records: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(record, separators=(",", ":")) for record in records]


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 6))
def test_connections(mode: str, seed: int, n: int) -> None:
    connections, endpoints = connection_rows(seed, n)
    with kernels(mode):
        lines = connection_lines(connections, endpoints, n)
    assert lines.decode("ascii").splitlines() == text_of(
        [connection_record(connections[i], endpoints[i, 0], endpoints[i, 1]) for i in range(n)]
    )


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 20))
def test_packets(mode: str, seed: int, n: int) -> None:
    batch = packet_rows(seed, n)
    with kernels(mode):
        lines = packet_lines(*batch)
    assert lines.decode("ascii").splitlines() == text_of([packet_record(*batch, i) for i in range(n)])


@pytest.mark.parametrize("form", FORMS)
def test_compiled_as_interpreted(form: str) -> None:
    rows, batch = connection_rows(5, 300), packet_rows(6, 300)
    written = []
    for mode in MODES:
        with kernels(mode):
            packets = b"" if form.startswith("zeek") else packet_lines(*batch, form)
            written.append((connection_lines(*rows, 300, form), packets))
    assert written[0] == written[1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", FORMS)
def test_blocks_do_not_show(form: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, batch = connection_rows(7, 50), packet_rows(8, 50)
    with kernels(mode):
        whole = connection_lines(*rows, 50, form), packet_lines(*batch, "csv")
        monkeypatch.setattr(writers, "CONNECTION_ROWS", 7)
        monkeypatch.setattr(writers, "PACKET_ROWS", 9)
        assert (connection_lines(*rows, 50, form), packet_lines(*batch, "csv")) == whole


def test_rows_beyond_the_count_are_not_written() -> None:
    connections, endpoints = connection_rows(9, 5)
    lines = connection_lines(connections, endpoints, 3).splitlines()
    assert [json.loads(line)["connection"] for line in lines] == [1, 2, 3]
    assert connection_lines(connections, endpoints, 0) == b""


@pytest.mark.parametrize("records", ["connections", "packets"])
def test_nothing_is_a_line_of_names_in_csv(records: str) -> None:
    names = ",".join(field.name for field in fields_of(records)).encode() + b"\n"
    nothing = connection_lines(*connection_rows(1, 0), 0, "csv"), packet_lines(*packet_rows(10, 0), "csv")
    assert nothing[records == "packets"] == names


def test_a_batch_without_packets() -> None:
    assert packet_lines(*packet_rows(10, 0)) == b""


CONNECTION_KEYS = (
    "schema record connection protocol client server client_evidence first_ns last_ns packets client_state "
    "server_state verdict history completeness closed_by cause why evidence handshake_rtt_ns phases "
    "client_sent server_sent"
)
PACKET_KEYS = (
    "schema record packet ts_ns caplen origlen protocol connection sender phase client_state server_state flags seq "
    "ack raw_seq raw_ack window payload_len events refers_to repeat tunnel depth"
)


def test_keys() -> None:
    """The names are part of the program's outside; scripts rely on them."""
    connection = json.loads(connection_lines(*connection_rows(1, 1), 1))
    assert " ".join(connection) == CONNECTION_KEYS
    assert " ".join(connection["client"]) == " ".join(connection["server"]) == "address port"
    assert " ".join(connection["phases"]) == "handshake data teardown"
    assert " ".join(connection["phases"]["data"]) == (
        "packets first_ns last_ns client_bytes client_throughput_bps server_bytes server_throughput_bps"
    )
    assert list(connection["client_sent"]) == list(connection["server_sent"])
    assert " ".join(json.loads(packet_lines(*packet_rows(1, 1)))) == PACKET_KEYS
