"""Compiled code for those who cannot wait: loaded where it is there, else made by another process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer import jit, native
from analyzer.capture import ahead
from analyzer.capture.ahead import CompiledAhead
from analyzer.tcp.seq import seq_add
from tests.capture.namespaces import wait_for

REHEARSAL = """
import os, pathlib
from analyzer import jit
from analyzer.tcp.seq import seq_add
def rehearse():
    with open(pathlib.Path(__file__).with_name("rehearsed"), "a") as file:
        file.write(os.environ["TCPFLOW_VIEW_JIT"] + " ")
    assert jit.fastest(seq_add)(1, 2) == 3
    if os.environ["TCPFLOW_VIEW_JIT"] == "always":
        {then}
"""


@pytest.fixture(autouse=True)
def choice_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is compiled yet, and nobody says whether it shall be."""
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "auto")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(jit, "_only_from_disk", False)
    native.cache_folder.cache_clear()
    native._found.clear()
    jit._native.cache_clear()
    yield
    native.cache_folder.cache_clear()
    native._found.clear()
    jit._native.cache_clear()


def rehearsal(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str = "pass") -> str:
    name = f"rehearsal_{folder.name}"
    (folder / f"{name}.py").write_text(REHEARSAL.format(then=then))
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    return name


def ready(one: CompiledAhead) -> bool:
    one.tick()
    return one.is_ready


def test_another_process_compiles_and_this_one_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = CompiledAhead(rehearsal(tmp_path, monkeypatch))
    assert not first.is_ready
    assert not jit.compiles(seq_add)
    first.tick(jit.WARM_PACKETS - 1)
    assert first._process is None
    first.tick(1)
    assert first._process is not None
    wait_for(lambda: ready(first))
    assert jit.compiles(seq_add)
    assert jit.fastest(seq_add)(1, 2) == 3
    first.close()
    assert CompiledAhead(rehearsal(tmp_path, monkeypatch)).is_ready
    assert (tmp_path / "rehearsed").read_text() == "auto always auto "


def test_few_packets_in_a_long_time_are_worth_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PATIENCE_S", 0)
    one = CompiledAhead(rehearsal(tmp_path, monkeypatch))
    one.tick()
    assert one._process is not None
    one.close()


def test_what_is_not_there_is_interpreted_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where code for other arguments is there."""
    jit.only_from_disk()
    monkeypatch.setattr(native, "is_on_disk", lambda function: True)
    assert jit.fastest(seq_add)(2**32 - 1, 2) == 1
    assert jit.lacks_code()


def test_a_rehearsal_that_fails_leaves_kernels_interpreted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = CompiledAhead(rehearsal(tmp_path, monkeypatch, "raise SystemExit(3)"))
    one.tick(jit.WARM_PACKETS)
    wait_for(lambda: ready(one))
    process = one._process
    one.tick(1_000_000)
    assert one._process is process


def test_no_process_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = CompiledAhead(rehearsal(tmp_path, monkeypatch))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    one.tick(jit.WARM_PACKETS)
    assert one.is_ready
    one.close()
    assert jit.fastest(seq_add)(1, 2) == 3


def test_the_process_ends_with_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = CompiledAhead(rehearsal(tmp_path, monkeypatch, "import time; time.sleep(1_000)"))
    one.tick(jit.WARM_PACKETS)
    wait_for(lambda: "always" in (tmp_path / "rehearsed").read_text())
    assert one._process is not None
    one.close()
    assert one._process.returncode is not None


@pytest.mark.parametrize("mode", ["always", "never"])
def test_nothing_is_made_elsewhere_where_the_choice_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setitem(os.environ, "TCPFLOW_VIEW_JIT", mode)
    one = CompiledAhead(rehearsal(tmp_path, monkeypatch))
    assert one.is_ready
    one.tick(100_000)
    assert one._process is None
    assert (tmp_path / "rehearsed").exists() == (mode == "always")
