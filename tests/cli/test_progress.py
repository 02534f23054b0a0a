"""The progress bar: only on a terminal, only when reading takes a while, gone at the end."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from analyzer.cli import progress
from analyzer.cli.progress import CountingProgress, ReadingProgress
from analyzer.pipeline import Run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(position: int, size: int | None = 2_000_000) -> Run:
    fake: Any = SimpleNamespace(capture=SimpleNamespace(position=position, size=size), packets=1_204)
    return cast(Run, fake)


def shown(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO, *, waited: float, size: int | None = 2_000_000) -> str:
    """What is written when a tick comes after ``waited`` seconds."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stderr", stderr)
    clock = iter([0.0, waited])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with ReadingProgress("reading") as bar:
        bar.tick(run(1_000_000, size))
        bar.tick(run(1_500_000, size))
    return stderr.getvalue()


def test_a_long_wait_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), waited=1.5)
    assert "reading" in text
    assert "1.5/2.0 MB" in text
    assert "1,204 packets" in text
    assert text.endswith("\x1b[2K"), "the line is erased"


def test_a_pipe_of_unknown_length(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "1.5/? MB" in shown(monkeypatch, Terminal(), waited=1.5, size=None)


def test_a_short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: 0.0))
    with ReadingProgress() as bar:
        bar.tick(run(1))
    assert terminal.getvalue() == ""


def counted(monkeypatch: pytest.MonkeyPatch, color: str) -> str:
    """What is written while packets are counted, for a command with this --color."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    clock = iter([0.0, 1.5])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    context = click.Context(click.Command("read"))
    context.params["color"] = color
    with context, CountingProgress("decoding", 1_204) as bar:
        bar.tick(1_000)
        bar.tick(1_100)
    return terminal.getvalue()


def test_packets_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    colored, plain = counted(monkeypatch, "auto"), counted(monkeypatch, "never")
    for text in (colored, plain):
        assert "decoding" in text
        assert "1000/1204" in text or "1100/1204" in text
    assert re.search(r"\x1b\[[0-9;]*3[0-9;]*m", colored)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9;]*m", plain), "--color never"


def test_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO(), waited=1.5) == ""
