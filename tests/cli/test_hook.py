"""The hook for pre-commit: which captures it has checked."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.cli import hook
from analyzer.cli.main import COMMANDS
from analyzer.expect.expectations import CAPTURES, COMPRESSED, is_capture

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
CAPTURE = ROOT / "captures" / "made" / "loopback-echo-1235.pcap"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with captures, some with expectations, to be in."""
    for name in (
        "a.pcap",
        "a.expect.toml",
        "b.pcapng.gz",
        "b.expect.toml",
        "c.cap",
        "d.expect.toml",
        "ab.pcap",
        "b",
        "a.txt",
        "e.pcap.zst",
        "e.expect.toml",
    ):
        (tmp_path / name).touch()
    (tmp_path / "made").mkdir()
    shutil.copy(tmp_path / "a.pcap", tmp_path / "made")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.pcap"], ["a.pcap"]),
        (["a.expect.toml"], ["a.pcap"]),
        (["a.expect.toml", "a.pcap", "b.expect.toml"], ["a.pcap", "b.pcapng.gz"]),
        (["b.pcapng.gz", "a.pcap"], ["b.pcapng.gz", "a.pcap"]),
        (["c.cap"], []),
        (["e.expect.toml"], ["e.pcap.zst"]),
        (["e.pcap.zst", "a.txt", "b"], ["e.pcap.zst"]),
        (["made/a.pcap"], []),
        (["made/../a.pcap"], ["made/../a.pcap"]),
        ([], []),
    ],
)
def test_captures(names: list[str], expected: list[str], folder: Path) -> None:
    assert list(hook.captures(names)) == expected


@pytest.mark.parametrize("folder_name", [".", "made"])
def test_expectations_without_a_capture(folder_name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "made" / "d.expect.toml").touch()
    name = str(Path(folder_name) / "d.expect.toml")
    with pytest.raises(SystemExit) as ended:
        hook.run(["a.pcap", name])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"tcpflow-view: {name}: there is no capture beside it\n"


def test_what_is_called(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(hook, "main", called.append)
    hook.run(["c.cap"])
    assert called == []
    hook.run(["c.cap", "b.expect.toml", "a.pcap"])
    assert called == [["check", "--", "b.pcapng.gz", "a.pcap"]]


@pytest.mark.skipif(not shutil.which("pre-commit"), reason="pre-commit is not installed")
def test_the_manifest_is_valid() -> None:
    subprocess.run(["pre-commit", "validate-manifest", str(MANIFEST)], check=True)


def test_it_wants_what_has_a_captures_name() -> None:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    [one] = yaml.safe_load(MANIFEST.read_text())
    for ending in ("", ".txt", ".zip", *CAPTURES):
        for packed in ("", ".rar", *COMPRESSED):
            name = f"a{ending}{packed}"
            assert bool(re.search(one["files"], name)) == is_capture(Path(name))


@pytest.mark.parametrize(
    ("name", "is_meant"),
    [
        ("tests/a.pcap", True), ("a.pcapng", True), ("a.cap.gz", True), ("a.expect.toml", True), ("a.toml", False),
        ("pcap", False), ("a.pcap.py", False), ("pyproject.toml", False),
    ],
)  # fmt: skip
def test_which_files_it_wants(name: str, is_meant: bool) -> None:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    [one] = yaml.safe_load(MANIFEST.read_text())
    assert one["language"] == "python"
    assert bool(re.search(one["files"], name)) == is_meant


@pytest.mark.skipif("check" not in COMMANDS, reason="there is no command check")
@pytest.mark.parametrize("is_changed", [False, True])
def test_the_hook_itself(is_changed: bool, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    [one] = yaml.safe_load(MANIFEST.read_text())
    program, *words = shlex.split(one["entry"])
    assert program == "python"
    shutil.copy(CAPTURE, tmp_path / "echo.pcap")
    expected = tmp_path / "echo.expect.toml"
    record = [sys.executable, "-m", "analyzer", "check", "--record", str(tmp_path / "echo.pcap"), "--expect"]
    subprocess.run([*record, str(expected)], check=True, cwd=ROOT, capture_output=True)
    if is_changed:
        shutil.copy(CAPTURE.with_name("refused.pcap"), tmp_path / "echo.pcap")
    done = subprocess.run([sys.executable, *words, str(expected)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == is_changed, done.stdout + done.stderr
