"""Colours where they are wanted: ``--color``, then NO_COLOR, then FORCE_COLOR, then what the terminal can."""

from __future__ import annotations

import os
import subprocess
from importlib import import_module
from pathlib import Path

import click
import pytest

from analyzer.cli.main import COMMANDS
from analyzer.cli.progress import _begun
from analyzer.render.screen import screen_of
from tests.cli.terminal import PROGRAM, ROOT, SETSID, on_a_terminal

CAPTURE = str(ROOT / "captures" / "made" / "loopback-echo-1235.pcap")
REFUSED = str(ROOT / "captures" / "made" / "refused.pcap")

SHOWING = [
    ["read", CAPTURE],
    ["timeline", CAPTURE],
    ["follow", CAPTURE],
    ["interfaces"],
    ["config"],
    ["check", CAPTURE],
    ["verify", CAPTURE],
    ["diff", CAPTURE, REFUSED],
]
"""Each command that shows something in colours without being root, with its arguments."""

LIVE = {"live", "run"}

WHOLE = [
    ({}, True),
    ({"NO_COLOR": "1"}, False),
    ({"NO_COLOR": "0"}, False),
    ({"NO_COLOR": ""}, True),
    ({"TERM": "dumb"}, False),
    ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
]


def test_every_command_with_colors_is_tried() -> None:
    colored = {name for name in COMMANDS if "color" in {param.name for param in command(name).params}}
    assert colored == {arguments[0] for arguments in SHOWING} | LIVE


def command(name: str) -> click.Command:
    found = import_module(f"analyzer.cli.{name}").command
    assert isinstance(found, click.Command)
    return found


@pytest.mark.skipif(not SETSID, reason="setsid is not installed")
@pytest.mark.parametrize("arguments", SHOWING, ids=lambda arguments: str(arguments[0]))
@pytest.mark.parametrize(("environment", "is_colored"), WHOLE, ids=lambda value: str(value))
def test_on_a_terminal(arguments: list[str], environment: dict[str, str], is_colored: bool) -> None:
    shown = on_a_terminal([*PROGRAM, *arguments, "--no-pager"], environment, lines=100)
    assert shown.status == (arguments[0] == "diff")
    assert ("\x1b" in shown.text) == is_colored
    if environment in ({}, {"NO_COLOR": "1"}):
        for word in ("always", "never"):
            text = on_a_terminal([*PROGRAM, *arguments, "--no-pager", "--color", word], environment, lines=100).text
            assert ("\x1b" in text) == (word == "always")


@pytest.mark.parametrize(
    ("environment", "is_colored"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_elsewhere(
    environment: dict[str, str], is_colored: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "file").open("w") as file:
        assert screen_of(stream=file).color == is_colored
        assert screen_of("never", file).color is False
        assert screen_of("always", file).color is True


@pytest.mark.parametrize("arguments", [["export", CAPTURE], ["timeline", "--tcpdump", CAPTURE], ["--version"]])
def test_what_has_no_colors(arguments: list[str]) -> None:
    environment = os.environ | {"FORCE_COLOR": "1"}
    shown = subprocess.run([*PROGRAM, *arguments], env=environment, capture_output=True, check=True, cwd=ROOT).stdout
    assert b"\x1b" not in shown


@pytest.mark.parametrize(
    ("color", "environment", "is_colorless"),
    [("auto", {}, False), ("never", {}, True), ("always", {}, False), ("auto", {"NO_COLOR": "1"}, True)],
)
def test_the_progress_bar(
    color: str, environment: dict[str, str], is_colorless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    context = click.Context(command("read"))
    context.params["color"] = color
    with context:
        bar = _begun([], "", 100)
    bar.stop()
    assert bar.console.no_color == is_colorless


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_version_and_help(word: str) -> None:
    shown = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert shown.startswith("tcpflow-view ")
    for name in COMMANDS:
        told = subprocess.run([*PROGRAM, name, word], capture_output=True, text=True, check=True, cwd=ROOT)
        assert told.stdout.startswith(f"Usage: tcpflow-view {name} ")
        assert "--no-pager" in told.stdout
