"""The action for GitHub: what its description may hold, and what its steps run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

KEYS = {"name", "author", "description", "inputs", "outputs", "runs", "branding"}
STEP_KEYS = {"id", "name", "if", "env", "shell", "run", "uses", "with", "working-directory", "continue-on-error"}


@pytest.fixture(scope="module")
def action() -> Any:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    return yaml.safe_load((ROOT / "action.yml").read_text())


def test_its_keys(action: Any) -> None:
    assert {"name", "description", "runs"} <= set(action) <= KEYS
    assert action["runs"]["using"] == "composite"
    assert set(action["runs"]) == {"using", "steps"}
    for about in action["inputs"].values():
        assert about["description"]
        assert set(about) <= {"description", "required", "default", "deprecationMessage"}
        assert about["required"] != ("default" in about)


def test_its_steps(action: Any) -> None:
    used = []
    for step in action["runs"]["steps"]:
        assert set(step) <= STEP_KEYS
        assert ("run" in step) != ("uses" in step)
        if "run" in step:
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "what others may write comes by the environment, never as a script"
        else:
            used.append(step["uses"])
    assert len(used) == 1
    assert re.fullmatch(r"actions/setup-python@v\d+", used[0])


def test_inputs_are_used_and_known(action: Any) -> None:
    named = set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", (ROOT / "action.yml").read_text()))
    assert named == set(action["inputs"])


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("given", "captures"),
    [
        ({"CAPTURES": "a.pcap"}, ["a.pcap"]),
        ({"CAPTURES": "*.pcap made/*.pcapng"}, ["a.pcap", "b c.pcap", "made/d.pcapng"]),
        ({"CAPTURES": "**/*.pcapng"}, ["made/d.pcapng", "made/more/e.pcapng"]),
        ({"CAPTURES": "not-there.pcap"}, ["not-there.pcap"]),
        ({"CAPTURES": "a.pcap", "EXPECT": "x y.toml"}, ["a.pcap"]),
        ({"CAPTURES": "a.pcap", "EXPECT": "e.toml", "JUNIT": "out/$(id).xml"}, ["a.pcap"]),
        ({"CAPTURES": "--junit=a.pcap *.cap"}, ["--junit=a.pcap", "--force.cap"]),
        ({"CAPTURES": "*.nothing"}, []),
        ({"CAPTURES": "*.pcap *.nothing"}, []),
    ],
)
def test_what_is_called(given: dict[str, str], captures: list[str], action: Any, tmp_path: Path) -> None:
    for name in ("a.pcap", "b c.pcap", "made/d.pcapng", "made/more/e.pcapng", "--force.cap", "bin/tcpflow-view"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    program = tmp_path / "bin" / "tcpflow-view"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 1\n')
    program.chmod(0o755)
    step = action["runs"]["steps"][-1]
    environment = dict.fromkeys(step["env"], "") | given | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    if not captures:
        assert (done.returncode, done.stdout) == (2, "::error::there is no such capture: *.nothing\n")
        return
    options = [word for name in ("EXPECT", "JUNIT") if name in given for word in (f"--{name.lower()}", given[name])]
    expected = ["check", "--format", "github", *options, "--", *captures]
    assert done.returncode == 1, "the status is that of check"
    assert done.stdout.splitlines() == expected
