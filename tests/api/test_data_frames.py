"""Connections and packets in Arrow, pandas and polars, held against the records."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from analyzer import UsageError, analyze
from analyzer.cli.export import command as export
from tests.export.flattened import flat

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = [MADE / name for name in ("loopback-echo-1235.pcap", "echo-udp-23333.pcap", "fast-retransmission.pcapng")]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
@pytest.mark.parametrize("records", ["connections", "packets"])
def test_arrow_has_the_records(path: Path, records: str) -> None:
    pytest.importorskip("pyarrow")
    lines = CliRunner().invoke(export, [str(path), "--records", records]).stdout.splitlines()
    expected = [flat(json.loads(line)) for line in lines]
    for record in expected:
        assert record.pop("schema") == 1
        assert record.pop("record") == records[:-1]
    table = getattr(analyze(path), records).to_arrow()
    assert table.to_pylist() == expected
    assert table.schema.metadata[b"schema"] == b"1"


def test_integers_are_not_copied() -> None:
    pytest.importorskip("pyarrow")
    columns = analyze(CAPTURES[0]).packets
    [chunk] = columns.to_arrow()["ts_ns"].chunks
    assert np.shares_memory(chunk.to_numpy(), columns["ts_ns"])


def test_pandas() -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    connections = analyze(CAPTURES[0]).connections.to_pandas()
    assert connections["client.port"].tolist() == [48994]
    packets = analyze(CAPTURES[0]).packets.to_pandas()
    assert packets[packets["phase"] == "data"]["payload_len"].tolist() == [5, 0, 2]
    assert str(packets["ack"].dtype).startswith("int64")


def test_polars() -> None:
    polars = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    packets = analyze(CAPTURES[0]).packets.to_polars()
    assert packets.filter(polars.col("phase") == "data")["payload_len"].to_list() == [5, 0, 2]


def test_nothing_in_it() -> None:
    pytest.importorskip("pyarrow")
    analysis = analyze(CAPTURES[0], "icmp")
    for table in (analysis.connections.to_arrow(), analysis.packets.to_arrow()):
        assert table.num_rows == 0
        assert table.num_columns > 10


@pytest.mark.parametrize(
    ("method", "library"), [("to_arrow", "pyarrow"), ("to_pandas", "pandas"), ("to_polars", "polars")]
)
def test_without_the_library(method: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == library:
            raise ImportError(name)
        return real(name, *rest)

    connections = analyze(CAPTURES[0]).connections
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=f"pip install .*{library}"):
        getattr(connections, method)()
