"""Compiled code for live captures: made elsewhere, expected only when it is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from analyzer import jit
from analyzer.capture.ahead import CompiledAhead
from tests.capture.namespaces import wait_for

REHEARSAL = """
import os, pathlib
def rehearse():
    pathlib.Path(__file__).with_name("rehearsed").write_text(os.environ["TCPFLOW_VIEW_JIT"])
    {then}
"""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What ``jit.expect`` is told, where that decides."""
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "auto")
    told: list[int] = []
    monkeypatch.setattr(jit, "expect", told.append)
    return told


def rehearsal(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str = "") -> str:
    (folder / "made_rehearsal.py").write_text(REHEARSAL.format(then=then))
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    return "made_rehearsal"


def test_packets_are_expected_when_the_code_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[int]
) -> None:
    ahead = CompiledAhead(rehearsal(tmp_path, monkeypatch))
    ahead.came(jit.WARM_PACKETS - 1)
    assert ahead._process is None
    ahead.came(1)
    sent = jit.WARM_PACKETS

    def is_there() -> bool:
        nonlocal sent
        ahead.came(1)
        sent += 1
        return bool(told)

    wait_for(is_there)
    assert (tmp_path / "rehearsed").read_text() == "always"
    assert told == [sent]
    ahead.came(9)
    assert told == [sent, 9]
    ahead.close()


def test_a_rehearsal_that_fails_leaves_kernels_interpreted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[int]
) -> None:
    ahead = CompiledAhead(rehearsal(tmp_path, monkeypatch, "raise SystemExit(3)"))
    ahead.came(jit.WARM_PACKETS)
    assert ahead._process is not None
    ahead._process.wait()
    ahead.came(1_000_000)
    assert told == []


def test_the_process_ends_with_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[int]) -> None:
    ahead = CompiledAhead(rehearsal(tmp_path, monkeypatch, "import time; time.sleep(1_000)"))
    ahead.came(jit.WARM_PACKETS)
    wait_for((tmp_path / "rehearsed").exists)
    assert ahead._process is not None
    ahead.close()
    assert ahead._process.returncode is not None
    assert told == []


@pytest.mark.parametrize("mode", ["always", "never"])
def test_nothing_is_made_where_the_choice_is_made(monkeypatch: pytest.MonkeyPatch, told: list[int], mode: str) -> None:
    monkeypatch.setitem(os.environ, "TCPFLOW_VIEW_JIT", mode)
    ahead = CompiledAhead("no.such.module")
    ahead.came(100_000)
    assert ahead._process is None
    assert told == [100_000]
