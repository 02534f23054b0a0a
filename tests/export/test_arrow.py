"""Tables as Arrow's record batches."""

from __future__ import annotations

import builtins
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.export import arrow
from analyzer.export.columns import NULL, Integers, Lists, Table, Texts, Words, WordSets
from analyzer.export.connections import connection_table
from analyzer.export.packets import packet_table
from analyzer.export.parquet import ParquetWriter
from analyzer.export.schema import SCHEMA, fields_of
from tests.export.flattened import flat
from tests.export.rows import connection_record, connection_rows, packet_record, packet_rows

pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 6))
def test_connections(seed: int, n: int) -> None:
    connections, endpoints = connection_rows(seed, n)
    batch = arrow.record_batch(connection_table(connections, endpoints), "connections")
    batch.validate(full=True)
    assert batch.to_pylist() == [
        flat(connection_record(connections[i], endpoints[i, 0], endpoints[i, 1])) for i in range(n)
    ]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 20))
def test_packets(seed: int, n: int) -> None:
    rows = packet_rows(seed, n)
    batch = arrow.record_batch(packet_table(*rows), "packets")
    batch.validate(full=True)
    assert batch.to_pylist() == [packet_record(*rows, i) for i in range(n)]


@pytest.mark.parametrize("records", ["connections", "packets"])
def test_no_rows(records: str) -> None:
    tables = {"connections": connection_table(*connection_rows(1, 0)), "packets": packet_table(*packet_rows(1, 0))}
    batch = arrow.record_batch(tables[records], records)
    batch.validate(full=True)
    assert (batch.num_rows, batch.schema) == (0, arrow.schema_of(records))


@pytest.mark.parametrize("records", ["connections", "packets"])
def test_the_schema_says_what_columns_mean(records: str) -> None:
    schema = arrow.schema_of(records)
    assert schema.metadata[b"schema"] == str(SCHEMA).encode()
    assert schema.metadata[b"record"] == records.removesuffix("s").encode()
    assert schema.metadata[b"tool"] == b"tcpflow-view"
    assert schema.metadata[b"tool_version"]
    told = [(field.name, field.metadata.get(b"unit", b""), field.metadata[b"description"]) for field in schema]
    assert told == [(field.name, field.unit.encode(), field.about.encode()) for field in fields_of(records)]


def test_known_integers_are_not_copied() -> None:
    frames, packets, labels = packet_rows(2, 100)
    batch = arrow.record_batch(packet_table(frames, packets, labels), "packets")
    for name, values in ("ts_ns", frames.ts_ns), ("caplen", frames.caplen), ("depth", packets.depth):
        assert batch.column(name).buffers()[1].address == values.ctypes.data


TEXTS = st.lists(st.none() | st.text(st.sampled_from("abc ,;"), max_size=5), min_size=1, max_size=8)
NUMBERS = st.lists(
    st.none() | st.lists(st.integers(0, 2**63 - 1) | st.just(2**63 - 1), max_size=4), min_size=1, max_size=8
)


def texts_of(values: list[str | None]) -> tuple[Any, Any, Any]:
    """Octets, starts and sizes, the last text first and with gaps between them."""
    octets, start, size = b"", [], []
    for value in reversed(values):
        octets += b"??"
        start.append(NULL if value is None else len(octets))
        size.append(0 if value is None else len(value))
        octets += (value or "").encode()
    return np.frombuffer(octets, np.uint8), np.array(start[::-1]), np.array(size[::-1])


@given(TEXTS, NUMBERS)
def test_texts_and_lists_of_any_order(texts: list[str | None], lists: list[list[int] | None]) -> None:
    read = arrow._array(Texts(*texts_of(texts)), pa.string())
    read.validate(full=True)
    assert read.to_pylist() == texts
    written = [None if some is None else ",".join(map(str, some)) for some in lists]
    read = arrow._array(Lists(*texts_of(written)), pa.list_(pa.int64()))
    read.validate(full=True)
    assert read.to_pylist() == lists


@given(st.lists(st.integers(-1, 3), min_size=1), st.lists(st.integers(0, 7), min_size=1))
def test_words(codes: list[int], bits: list[int]) -> None:
    words = ("a", None, "b", "c")
    column = Words(np.array([NULL if code < 0 else code for code in codes]), words)
    read = arrow._array(column, None)
    assert read.to_pylist() == [None if code < 0 else words[code] for code in codes]
    read = arrow._array(WordSets(np.array(bits), ("x", "y", "z")), None)
    assert read.to_pylist() == [[word for k, word in enumerate("xyz") if one >> k & 1] for one in bits]


def test_the_extremes_of_integers() -> None:
    values = np.array([2**63 - 1, NULL, 1 - 2**63])
    assert arrow._array(Integers(values), pa.int64()).to_pylist() == [2**63 - 1, None, 1 - 2**63]


def test_row_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.export.parquet.CONNECTION_ROWS", 7)
    monkeypatch.setattr("analyzer.export.parquet.PACKET_ROWS", 50)
    rows, out = connection_rows(4, 20), io.BytesIO()
    writer = ParquetWriter(out, "connections")
    writer.connections(*rows, 20)
    writer.close()
    file = parquet.ParquetFile(out)
    assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [7, 7, 6]
    assert file.read().column("connection").to_pylist() == list(range(1, 21))
    out = io.BytesIO()
    writer = ParquetWriter(out, "packets")
    for seed in range(5):
        writer.packets(*packet_rows(seed, 20))
    writer.packets(*packet_rows(9, 0))
    writer.close()
    file = parquet.ParquetFile(out)
    assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [40, 40, 20]


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return imported(name, *arguments)

    arrow._schema_of.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    table: Table = packet_table(*packet_rows(1, 1))
    for asks in arrow.require, lambda: arrow.schema_of("packets"), lambda: arrow.record_batch(table, "packets"):
        with pytest.raises(UsageError, match=r"pip install .*pyarrow"):
            asks()
