"""The manual page has everything that help has, and troff finds nothing wrong with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from analyzer.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tcpflow-view.1"

needs_groff = pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")


@pytest.fixture(scope="module")
def shown() -> str:
    """The page as a very wide terminal shows it, so that no line is broken."""
    command = ["groff", "-ww", "-man", "-Tutf8", "-P-c", "-rLL=1000n", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "", "groff warns"
    return re.sub(r".\x08", "", done.stdout)


@needs_groff
def test_every_command_and_option_is_there(shown: str) -> None:
    parts = re.split(
        r"^   tcpflow-view (\S+) .*\n",
        shown.partition("COMMANDS\n")[2].partition("\nEXIT STATUS")[0],
        flags=re.MULTILINE,
    )
    about = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(about) == list(COMMANDS)
    for name, text in about.items():
        command = import_module(f"analyzer.cli.{name}").command
        assert isinstance(command, click.Command)
        for param in command.params:
            for option in param.opts if isinstance(param, click.Option) else []:
                assert re.search(rf"^ +.*(?<!\S){re.escape(option)}(?![\w-])", text, re.MULTILINE), (name, option)
            if isinstance(param, click.Option):
                assert param.help
                assert " ".join(param.help.split()) in text


@needs_groff
def test_its_sections(shown: str) -> None:
    found = re.findall(r"^[A-Z][A-Z ]+$", shown, re.MULTILINE)
    assert found == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES",
        "SEE ALSO",
    ]  # fmt: skip
    assert "tcpflow-view - see the life of every TCP connection in a capture\n" in shown
    for status in (0, 1, 2, 130):
        assert re.search(rf"^ +{status} +\w", shown, re.MULTILINE)


@needs_groff
def test_variables_that_the_program_reads_are_told(shown: str) -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "analyzer").rglob("*.py"))
    own = set(re.findall(r"\"(TCPFLOW_VIEW_[A-Z_]+)\"", sources))
    assert own
    assert {name for name in own if name not in shown} == set()


@pytest.mark.skipif(not shutil.which("man") or not shutil.which("groff"), reason="man or groff is not installed")
@pytest.mark.parametrize("width", [80, 100, 140])
def test_man_shows_it_without_warnings(width: int) -> None:
    environment = os.environ | {"MANWIDTH": str(width), "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
    command = ["man", "--local-file", "--warnings=w", "--pager=cat", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    assert "TCPFLOW-VIEW(1)" in done.stdout


def test_nothing_in_it_is_taken_for_a_command() -> None:
    known = {'.\\"', ".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".nh", ".ad"}
    lines = PAGE.read_text(encoding="ascii").splitlines()
    assert {line.split()[0] for line in lines if line.startswith((".", "'"))} == known


def test_it_is_installed_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {"docs/tcpflow-view.1": "share/man/man1/tcpflow-view.1"}
