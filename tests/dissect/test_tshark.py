"""The installed tshark: found, asked, and ended, whatever it does."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from pathlib import Path

import pytest

from analyzer.dissect import tshark
from analyzer.dissect.tshark import Output, Tshark, check_decode_as, environment, installed
from analyzer.errors import TsharkError, UsageError
from tests.dissect.fake import (
    CRASHES,
    ENDLESS,
    FAILS,
    HANGS,
    HANGS_WITH_A_CHILD,
    install,
    needs_tshark,
    processes_left,
)


def output(does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Output:
    return Output(Tshark(str(install(tmp_path / "bin", monkeypatch, does)), "4.0.17"), [])


def test_none_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"^verify needs tshark: apt install tshark"):
        installed("verify")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("TShark (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3).", "4.0.17"),
        ("TShark (Wireshark) 3.6.2 (Git v3.6.2 packaged as 3.6.2-2)", "3.6.2"),
        ("TShark (Wireshark) 4.6.0.", "4.6.0"),
    ],
)
def test_which_one_it_is(said: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install(tmp_path / "bin", monkeypatch, "", said)
    assert installed("verify") == (str(path), version)


@pytest.mark.parametrize(
    ("said", "told"),
    [("TShark 1.12.1 (Git Rev Unknown from unknown)", "is tshark 1.12.1; verify needs 3.6"), ("moo", "does not say")],
)
def test_one_that_is_too_old(said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin", monkeypatch, "", said)
    with pytest.raises(UsageError, match=told):
        installed("verify")


def test_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with output("os.write(1, b'one\\ntw'); os.write(1, b'o\\n\\xff\\nlast')", tmp_path, monkeypatch) as out:
        assert list(out.lines()) == ["one", "two", "\ufffd", "last"]
        out.finish()
        assert out.complaint() == ""
    assert processes_left() == []


@pytest.mark.parametrize(
    ("does", "told"),
    [
        (FAILS, "^tshark failed: The file is a horse$"),
        (CRASHES, r"^tshark crashed \(SIGSEGV\)$"),
        ("sys.exit(3)", "^tshark failed with exit status 3$"),
    ],
)
def test_one_that_fails(does: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with output(does, tmp_path, monkeypatch) as out, pytest.raises(TsharkError, match=told):
        out.finish()
    assert processes_left() == []


@pytest.mark.parametrize("does", [HANGS, HANGS_WITH_A_CHILD, "os.close(1)\n" + HANGS])
def test_one_that_hangs(does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tshark, "PATIENCE_S", 0.2)
    with output(does, tmp_path, monkeypatch) as out, pytest.raises(TsharkError, match="does not go on"):
        out.finish()
    assert processes_left() == []


@pytest.mark.parametrize("does", ["", FAILS, CRASHES, ENDLESS])
def test_nobody_else_is_ended(does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its end was asked for, its number may be another's."""
    killed = []
    out = output(does, tmp_path, monkeypatch)
    killpg = os.killpg

    def noted(pid: int, number: int) -> None:
        killed.append(out._process.returncode is None)
        killpg(pid, number)

    monkeypatch.setattr(os, "killpg", noted)
    with out:
        next(out.lines(), "")
        if does != ENDLESS:
            with suppress(TsharkError):
                out.finish()
            out.ending()
    assert killed == [True]


@pytest.mark.parametrize("how", ["sys.exit(3)", "sys.exit()", "os.kill(os.getpid(), 11)"])
def test_what_it_leaves_behind_is_ended(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = tmp_path / "held"  # its end comes when nobody has it open for writing
    os.mkfifo(held)
    left = f"import subprocess\nsubprocess.Popen(['sleep', '600'], stdout=open({str(held)!r}, 'wb'))"
    reading = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with output(f"{left}\nprint('left')\nsys.stdout.flush()\n{how}", tmp_path, monkeypatch) as out:
            assert list(out.lines()) == ["left"]
            with suppress(TsharkError):
                out.finish()
        assert select.select([reading], [], [], 10)[0], "it goes on"
        assert os.read(reading, 1) == b""
    finally:
        os.close(reading)


def test_one_that_thinks_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tshark, "PATIENCE_S", 0.1)
    does = "end = time.process_time() + 1\nwhile time.process_time() < end: pass\nprint('thought')"
    with output(does, tmp_path, monkeypatch) as out:
        assert list(out.lines()) == ["thought"]


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does = "\nwhile True: os.write(1, b'y' * 65536)"
    with output(does, tmp_path, monkeypatch) as out, pytest.raises(TsharkError, match="cannot be read"):
        next(out.lines())
    assert processes_left() == []


def test_one_that_is_left_alone_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with output(ENDLESS, tmp_path, monkeypatch) as out:
        assert next(out.lines()) == "y" * 1000
    assert processes_left() == []


def test_one_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(TsharkError, match="cannot be started: No such file"):
        Output(Tshark(str(tmp_path / "tshark"), ""), [])


def test_the_preferences_are_nobodys(tmp_path: Path) -> None:
    assert environment(str(tmp_path))["WIRESHARK_CONFIG_DIR"] == str(tmp_path)
    assert environment()["LC_ALL"] == "C.UTF-8"


@needs_tshark
@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("tcp.port==1235,foo", 'Unknown protocol -- "foo"'),
        ("tcp.prt==1235,http", "Unknown layer type -- tcp.prt"),
        ("nonsense", "template"),
        ("tcp.port==x,http", "selector"),
    ],
)
def test_rules_that_tshark_does_not_take(rule: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^--decode-as {rule}: .*{told}.*; write it as"):
        check_decode_as(installed("--dissect"), ["udp.port==5353,dns", rule])


@needs_tshark
def test_rules_that_it_takes() -> None:
    check_decode_as(installed("--dissect"), ["tcp.port==1235,http", "udp.port==9-12,echo"])
