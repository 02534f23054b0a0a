"""Long results on a terminal go through a pager, and nothing else does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.cli import paging
from analyzer.cli.main import COMMANDS
from analyzer.cli.settings import Settings
from tests.cli.terminal import PROGRAM, ROOT, SETSID, on_a_terminal

CAPTURES = ROOT / "captures" / "made"
LONG = CAPTURES / "loopback-echo-1235.pcap"
READ = [*PROGRAM, "read", str(LONG)]
FEW_LINES = 10

PATIENT = [sys.executable, "-c", "from analyzer.cli import main, paging; paging._PATIENCE_S = 60; main.main()"]
"""The program, on a machine that is never too busy to print a screenful at once."""

pytestmark = pytest.mark.skipif(not SETSID, reason="setsid is not installed")

Maker = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path) -> Maker:
    """Makes programs of lines of sh, which can write to files in their own folder."""
    made = 0

    def make(lines: str) -> str:
        nonlocal made
        made += 1
        path = tmp_path / f"pager{made}"
        path.write_text(f"#!/bin/sh\ncd {tmp_path}\n{lines}\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def keeping(script: Maker) -> str:
    """A pager that keeps what it gets, and its environment."""
    return script('env > environment\ncat > paged\necho "that was the pager"')


def plainly(*arguments: str, columns: int = 100) -> str:
    """What a terminal shows without a pager."""
    return on_a_terminal([*PROGRAM, "--no-pager", *arguments], columns=columns).text


def test_commands_that_are_paged_are_there() -> None:
    assert set(COMMANDS) >= paging.PAGED
    assert not paging.PAGED & {"export", "interfaces", "live", "report", "run"}


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_a_long_result(columns: int, keeping: str, tmp_path: Path) -> None:
    shown = on_a_terminal(READ, {"PAGER": keeping}, columns=columns, lines=FEW_LINES)
    assert shown == (0, "that was the pager\n")
    paged = (tmp_path / "paged").read_text()
    assert "\x1b[" in paged, "colours are kept"
    expected = plainly("read", str(LONG), columns=columns)
    assert paged == expected
    environment = (tmp_path / "environment").read_text().splitlines()
    assert {"LESS=FRX", "LV=-c"} <= set(environment)


def test_a_short_result_is_printed_plainly(keeping: str, tmp_path: Path) -> None:
    shown = on_a_terminal([*PATIENT, "read", str(LONG)], {"PAGER": keeping}, lines=200)
    assert shown.text == plainly("read", str(LONG))
    assert not (tmp_path / "paged").exists()


def test_lines_that_wrap_count_as_often(keeping: str, tmp_path: Path) -> None:
    arguments = ["timeline", "--tcpdump", "-n", str(LONG)]
    lines = plainly(*arguments).count("\n")
    on_a_terminal([*PATIENT, *arguments], {"PAGER": keeping}, columns=300, lines=lines + 1)
    assert not (tmp_path / "paged").exists()
    on_a_terminal([*PATIENT, *arguments], {"PAGER": keeping}, columns=60, lines=lines + 1)
    assert (tmp_path / "paged").exists()


def test_the_last_line_is_the_prompts(keeping: str, tmp_path: Path) -> None:
    arguments = ["read", str(LONG)]
    lines = plainly(*arguments).count("\n")
    on_a_terminal([*PATIENT, *arguments], {"PAGER": keeping}, lines=lines + 1)
    assert not (tmp_path / "paged").exists()
    on_a_terminal([*PATIENT, *arguments], {"PAGER": keeping}, lines=lines)
    assert (tmp_path / "paged").exists()


@pytest.mark.parametrize("command", ["timeline", "follow --hex", "read --states"])
def test_other_commands(command: str, keeping: str, tmp_path: Path) -> None:
    arguments = [*command.split(), str(LONG)]
    on_a_terminal([*PROGRAM, *arguments], {"PAGER": keeping}, lines=3)
    assert (tmp_path / "paged").read_text() == plainly(*arguments)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--no-pager", "read", str(LONG)], {}),
        (["read", str(LONG), "--no-pager"], {}),
        (["--lang", "en", "read", "--no-pager", str(LONG), "port", "1235"], {}),
        (["read", str(LONG)], {"TCPFLOW_VIEW_PAGER": ""}),
        (["read", str(LONG)], {"TCPFLOW_VIEW_PAGER": "cat"}),
        (["read", str(LONG)], {"TERM": "dumb"}),
        (["export", str(LONG), "--records", "packets"], {}),
        (["follow", "--raw", "client", "-o", "-", str(LONG)], {}),
        (["read", "--help"], {}),
    ],
)
def test_no_pager(arguments: list[str], environment: dict[str, str], keeping: str, tmp_path: Path) -> None:
    shown = on_a_terminal([*PROGRAM, *arguments], {"PAGER": keeping} | environment, lines=3)
    assert shown.status == 0
    assert len(shown.text) >= 5
    assert not (tmp_path / "paged").exists()


def test_what_comes_through_a_pipe_is_shown_as_it_comes(keeping: str, tmp_path: Path) -> None:
    pipe = f"{sys.executable} -m analyzer timeline - < {LONG}"
    for command in (pipe, f"cat {LONG} | {sys.executable} -m analyzer read -"):
        assert "teardown" in on_a_terminal(["sh", "-c", command], {"PAGER": keeping}, lines=3).text
    assert not (tmp_path / "paged").exists()


def test_elsewhere_than_on_a_terminal(keeping: str, tmp_path: Path) -> None:
    environment = os.environ | {"PAGER": keeping, "LINES": "3", "TERM": "xterm"}
    subprocess.run(READ, env=environment, capture_output=True, check=True, cwd=ROOT)
    assert not (tmp_path / "paged").exists()


def test_the_file_of_defaults(keeping: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    environment = {"TCPFLOW_VIEW_CONFIG": str(config)}
    config.write_text("pager = false")
    on_a_terminal(READ, environment | {"PAGER": keeping}, lines=3)
    assert not (tmp_path / "paged").exists()
    config.write_text(f"pager = '{keeping}'")
    assert on_a_terminal(READ, environment | {"PAGER": "cat"}, lines=3).text == "that was the pager\n"


# ---------------------------------------------------------------- which


@pytest.mark.parametrize(
    ("own", "of_the_file", "of_all", "words", "origin"),
    [
        (None, None, None, ["less"], ""),
        (None, None, "more -e", ["more", "-e"], "PAGER"),
        (None, "less -S", "more", ["less", "-S"], "/the/file"),
        ("more", "less -S", "less", ["more"], "TCPFLOW_VIEW_PAGER"),
        ("less '-P a b'", None, None, ["less", "-P a b"], "TCPFLOW_VIEW_PAGER"),
        (None, False, "more", [], "/the/file"),
        ("more", False, None, [], "/the/file"),
        (None, True, "more", ["more"], "PAGER"),
        ("", "less", "less", [], "TCPFLOW_VIEW_PAGER"),
        (None, "cat", "less", [], "/the/file"),
        ("not-there", None, "more", ["more"], "PAGER"),
        (None, None, "less '", ["less"], ""),
        (None, None, "gone", ["less"], ""),
    ],
)
def test_which_pager(
    own: str | None, of_the_file: str | bool | None, of_all: str | None, words: list[str], origin: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(shutil, "which", lambda name: name if name in ("less", "more") else None)
    for name, value in ((paging.OWN_VARIABLE, own), (paging.VARIABLE, of_all)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert paging.pager(Settings("/the/file", pager=of_the_file)) == (words, origin)


def test_without_any_pager(tmp_path: Path) -> None:
    shown = on_a_terminal(READ, {"PATH": str(tmp_path)}, lines=3)
    assert shown == (0, plainly("read", str(LONG)))


def test_a_pager_that_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "pager"
    path.write_bytes(b"\x7fELF, but not really")
    path.chmod(0o755)
    shown = on_a_terminal(READ, {"PAGER": str(path)}, lines=3)
    assert shown == (0, plainly("read", str(LONG)))


# ---------------------------------------------------------------- how it ends


def test_who_quits_early_has_seen_enough(script: Maker) -> None:
    shown = on_a_terminal(endless(), {"PAGER": script("head -n 2; exit 3")}, lines=3)
    assert shown == (0, "line 0\nline 1\n")


def test_the_status_is_the_commands_and_warnings_come_after_the_pager(script: Maker, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(LONG.read_bytes()[:-5])
    pager = script('cat > paged\necho "that was the pager"\nexit 5')
    shown = on_a_terminal([*PROGRAM, "read", str(cut)], {"PAGER": pager}, lines=3)
    assert shown.status == 1
    first, second = shown.text.splitlines()
    assert first == "that was the pager"
    assert second.startswith("tcpflow-view: warning: ")


def test_errors_need_no_pager(keeping: str, tmp_path: Path) -> None:
    shown = on_a_terminal([*PROGRAM, "read", "/not/there"], {"PAGER": keeping}, lines=1)
    assert shown.status == 2
    assert shown.text.startswith("tcpflow-view: /not/there: ")
    assert not (tmp_path / "paged").exists()


def test_interrupting(script: Maker) -> None:
    pager = script("trap '' INT; head -n 1; cat > /dev/null; echo gone")
    shown = on_a_terminal(endless(), {"PAGER": pager}, lines=3, keys=[("line 0", "\x03")])
    assert shown.status == 130
    assert shown.text.replace("^C", "").split("\n") == ["line 0", "gone", "", ""]


def test_interrupting_the_pager_does_not_end_it(script: Maker) -> None:
    """The command is done, its result is looked at."""
    pager = script("trap 'echo heard; exit' INT; cat > /dev/null; echo ready; read line < /dev/tty")
    shown = on_a_terminal(READ, {"PAGER": pager}, lines=3, keys=[("ready", "\x03")])
    assert shown == (0, "ready\n^Cheard\n")


# ---------------------------------------------------------------- nothing is held back

MADE_COMMAND = """
import os, sys
import click
from analyzer.cli import main, paging

main.COMMANDS["made"] = ""
made = click.Command("made", callback={callback})
main.import_module = lambda name: type("Module", (), {{"command": made}})
paging.PAGED = frozenset({{"made"}})
main.main(["made"])
"""


def made(callback: str, before: str = "") -> list[str]:
    """A program with a command that is this function."""
    return [sys.executable, "-c", before + MADE_COMMAND.format(callback=callback)]


def endless() -> list[str]:
    counting = "def count():\n    n = 0\n    while True:\n        print(f'line {n}')\n        n += 1\n"
    return made("count", counting)


def test_a_line_is_not_waited_for_others(script: Maker, tmp_path: Path) -> None:
    """The command goes on only when the pager has shown its first line."""
    os.mkfifo(tmp_path / "shown")
    pager = script('read line; echo "$line"; echo yes > shown; cat')
    command = made(f"lambda: print('one') or print(open({str(tmp_path / 'shown')!r}).read())")
    shown = on_a_terminal(command, {"PAGER": pager})
    assert shown == (0, "one\nyes\n\n")


@pytest.mark.skipif(not shutil.which("less"), reason="less is not installed")
def test_less() -> None:
    keys = [("server closed", " "), ("handshake", "q")]
    shown = on_a_terminal([*READ, "--no-calls"], lines=FEW_LINES, keys=keys)
    assert shown.status == 0
    assert "\x1b[" in shown.text
    assert "ESC[" not in shown.text
