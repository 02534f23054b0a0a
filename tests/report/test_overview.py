"""The rows of all connections as columns, and the marks on their life-lines."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.api.story import quality_of
from analyzer.pipeline import Run
from analyzer.report import overview as overviews
from analyzer.report.columns import column
from analyzer.report.overview import Marks, overview
from analyzer.tables import Phase

MADE = Path(__file__).parents[2] / "captures" / "made"
TYPES = {"Uint8Array": "u1", "Uint16Array": "<u2", "Uint32Array": "<u4", "Float64Array": "<f8"}


def decoded(given: dict[str, Any]) -> list[float]:
    """A column as the page's data.js reads it."""
    if "same" in given:
        return [given["same"]] * given["length"]
    return np.frombuffer(b64decode(given["data"]), TYPES[given["type"]]).tolist()


def made(name: str) -> tuple[Run, dict[str, Any]]:
    marks = Marks()
    with Run(str(MADE / name), judges=True) as run:
        for batch in run:
            marks.add(batch)
    return run, overview(quality_of(run, ""), run.connections[: run.count], run.endpoints[: run.count], marks)


@given(st.lists(st.integers(-5, 1 << 40), max_size=20))
def test_columns_lose_nothing(values: list[int]) -> None:
    assert decoded(column(np.array(values, np.int64))) == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_fractions_stay(values: list[float]) -> None:
    assert decoded(column(np.array(values, np.float64))) == values


@pytest.mark.parametrize(("most", "kind"), [(255, "Uint8Array"), (256, "Uint16Array"), (1 << 16, "Uint32Array")])
def test_columns_are_as_narrow_as_can_be(most: int, kind: str) -> None:
    assert column(np.array([0, most]))["type"] == kind


def test_rows() -> None:
    run, told = made("select-5000.pcapng")
    columns = {name: decoded(values) for name, values in told["columns"].items() if name != "phases"}
    assert columns["number"] == [1, 2, 3]
    assert columns["serverPort"] == [5000, 5000, 5000]
    assert [told["addresses"][int(place)] for place in columns["server"]] == ["127.0.0.1"] * 3
    assert columns["packets"] == run.endpoints[:3]["packets"].sum(axis=1).tolist()
    assert {told["causes"][int(cause)]["code"] for cause in columns["cause"]} <= {
        "closed_by_client",
        "closed_by_server",
    }
    assert told["verdicts"][int(columns["verdict"][0])] == "SF"
    assert told["quality"]["facts"][0] == {"en": f"{run.packets} packets", "zh": f"{run.packets} 个数据包"}


def test_phases_are_parts_of_the_life() -> None:
    run, told = made("loopback-echo-1235.pcap")
    parts = np.array(decoded(told["columns"]["phases"])).reshape(3, 2) / 65_535
    assert parts[0, 0] == 0
    assert parts[2, 1] == 1
    assert (np.diff(parts.ravel()) >= 0).all()
    row = run.connections[0]
    lasted = row["last_ns"] - row["first_ns"]
    assert parts[1, 0] == pytest.approx((row["phase_first_ns"][Phase.DATA] - row["first_ns"]) / lasted, abs=1e-4)


def test_a_phase_that_was_not_seen_begins_after_its_end() -> None:
    _run, told = made("syn-unanswered.pcap")
    parts = decoded(told["columns"]["phases"])
    assert parts == [0, 65_535, 65_535, 0, 65_535, 0]


def test_marks() -> None:
    run, told = made("fast-retransmission.pcapng")
    rows, places, kinds = (decoded(told["marks"][name]) for name in ("row", "at", "kind"))
    assert (rows, kinds) == ([0], [0])
    assert 0 < places[0] < 65_535
    assert run.endpoints[0]["retransmitted_packets"].sum() == 1
    _run, told = made("refused.pcap")
    assert decoded(told["marks"]["kind"]) == [1]


def test_copies_of_the_capture_have_no_marks() -> None:
    _run, told = made("loopback-twice.pcap")
    assert decoded(told["marks"]["row"]) == [0]
    assert decoded(told["marks"]["kind"]) == [1]


def test_marks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overviews, "MOST_MARKS", 2)
    _run, told = made("syn-unanswered.pcap")
    assert len(decoded(told["marks"]["row"])) == 2
