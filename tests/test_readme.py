"""The README shows what the program prints today, and the commands that CI runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```console\n\$ tcpflow-view (.*)\n((?:.*\n)*?)```", README)


@pytest.mark.parametrize(("arguments", "shown"), EXAMPLES, ids=[arguments for arguments, _ in EXAMPLES])
def test_an_example_prints_what_it_shows(arguments: str, shown: str) -> None:
    environment = dict(os.environ, COLUMNS="100", NO_COLOR="1", TZ="UTC0", LC_ALL="C.UTF-8")
    command = [sys.executable, "-m", "analyzer", *arguments.split()]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip("\n") + "\n" == shown


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2


def test_ci_runs_the_command_for_the_tests() -> None:
    [command] = re.findall(r"^python3 -m venv .*pytest -n auto$", README, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text()


def test_the_test_shown_is_one_that_is_run() -> None:
    [shown] = re.findall(r"```python\nfrom analyzer.testing import .*\n\n\n((?:.*\n)*?)```", README)
    sample = ROOT / "tests" / "sample_project" / "tests" / "test_echo.py"
    assert shown in sample.read_text(encoding="utf-8")
