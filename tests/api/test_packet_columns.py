"""All packets of a capture as columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analyzer import analyze
from analyzer.tables import Phase

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted([*MADE.glob("*.pcap"), *MADE.glob("*.pcapng")])


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_columns_are_those_of_the_batches(path: Path) -> None:
    analysis = analyze(path)
    columns = analysis.packets
    assert len(columns) == analysis.packet_count
    batches = [(batch.frames.ts_ns.copy(), batch.packets.seq.copy(), batch.labels.seq.copy())
               for batch in analysis.batches()]  # fmt: skip
    for name, parts in zip(("ts_ns", "raw_seq", "seq"), zip(*batches, strict=True), strict=True):
        np.testing.assert_array_equal(columns[name], np.concatenate(parts))
    for name in columns.keys():  # noqa: SIM118
        assert len(columns[name]) == len(columns)
        assert not columns[name].flags.writeable
    assert columns["phase"] is columns.labels.phase


def test_they_answer_questions() -> None:
    columns = analyze(MADE / "loopback-echo-1235.pcap").packets
    in_data = columns["phase"] == Phase.DATA
    assert columns["number"][in_data].tolist() == [4, 5, 6]
    assert columns["payload_len"][in_data].sum() == 7
    assert "<10 packets" in repr(columns)


def test_no_packets() -> None:
    columns = analyze(MADE / "loopback-echo-1235.pcap", "udp").packets
    assert len(columns) == 0
    assert columns["address"].shape == (0, 8)


def test_a_column_that_is_not_there() -> None:
    columns = analyze(MADE / "loopback-echo-1235.pcap").packets
    for name in ("data", "start", "payload_start", "sequence"):
        with pytest.raises(KeyError):
            columns[name]
