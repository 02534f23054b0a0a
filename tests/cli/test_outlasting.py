"""The status of ``check``, ``diff`` and ``verify`` is the true one, whoever reads what they print."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from analyzer.cli.main import COMMANDS
from analyzer.cli.outlasting import OUTLASTING
from analyzer.cli.paging import PAGED
from tests.cli.terminal import PROGRAM, ROOT, SETSID, on_a_terminal

CAPTURES = ROOT / "captures" / "made"
ECHO, TWICE = str(CAPTURES / "loopback-echo-1235.pcap"), str(CAPTURES / "loopback-twice.pcap")
WRONG, RIGHT = 'closed_by = "client"', 'closed_by = "server"'


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    yield write_end
    os.close(write_end)


def expected(folder: Path, written: str) -> str:
    path = folder / "expect.toml"
    path.write_text(f"[[connection]]\n{written}\n")
    return str(path)


def into(out: int, *arguments: str) -> tuple[int, bytes]:
    """How the program ends, and what it says."""
    done = subprocess.run([*PROGRAM, *arguments], stdout=out, stderr=subprocess.PIPE, cwd=ROOT)
    return done.returncode, done.stderr


def test_they_are_commands_that_are_paged() -> None:
    assert set(COMMANDS) >= OUTLASTING
    assert PAGED >= OUTLASTING


@pytest.mark.parametrize("kind", ["text", "github", "json"])
@pytest.mark.parametrize(("written", "status"), [(WRONG, 1), (RIGHT, 0), ("x = 1", 2)])
def test_check(written: str, status: int, kind: str, unread: int, tmp_path: Path) -> None:
    results = tmp_path / "results.xml"
    given = ["--expect", expected(tmp_path, written), "--format", kind, "--junit", str(results)]
    ended, said = into(unread, "check", *[ECHO] * 3, *given)
    assert ended == status
    assert len(said.splitlines()) == (status == 2)
    assert len(list(ElementTree.parse(results).iter("testsuite"))) == 3


def test_check_whose_reader_goes_after_the_first_line(tmp_path: Path) -> None:
    command = [*PROGRAM, "check", *[ECHO] * 9, "--expect", expected(tmp_path, WRONG)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert program.stdout
    assert program.stderr
    with program.stdout as lines:
        assert lines.readline().endswith(b"1 of 2 expectations not met\n")
    said = program.stderr.read()
    program.stderr.close()
    assert (program.wait(), said) == (1, b"")


def test_record_writes_all(unread: int, tmp_path: Path) -> None:
    names = [str(shutil.copy(ECHO, tmp_path / f"{name}.pcap")) for name in "abc"]
    assert into(unread, "check", "--record", *names) == (0, b"")
    assert sorted(path.name for path in tmp_path.glob("*.toml")) == [f"{name}.expect.toml" for name in "abc"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_diff(form: str, unread: int) -> None:
    assert into(unread, "diff", ECHO, TWICE, "--format", form) == (1, b"")
    assert into(unread, "diff", ECHO, ECHO, "--format", form) == (0, b"")


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("form", ["text", "json"])
def test_verify(form: str, unread: int) -> None:
    for capture, status in ((TWICE, 1), (ECHO, 0)):
        assert subprocess.run([*PROGRAM, "verify", capture], capture_output=True, cwd=ROOT).returncode == status
        assert into(unread, "verify", capture, "--format", form) == (status, b"")


def test_others_have_shown_enough(unread: int, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(Path(ECHO).read_bytes()[:-5])
    for command in ("read", "timeline", "follow"):
        assert into(unread, command, ECHO) == (0, b"")
        assert into(unread, command, str(cut))[0] in (0, 1)


@pytest.mark.skipif(not SETSID, reason="setsid is not installed")
@pytest.mark.parametrize(("written", "status"), [(WRONG, 1), (RIGHT, 0)])
def test_who_quits_the_pager_early(written: str, status: int, tmp_path: Path) -> None:
    results = tmp_path / "results.xml"
    command = [*PROGRAM, "check", *[ECHO] * 9, "--expect", expected(tmp_path, written), "--junit", str(results)]
    shown = on_a_terminal(command, {"PAGER": "head -n 1", "LC_ALL": "C.UTF-8"}, lines=3)
    assert shown.status == status
    assert shown.text.count("\n") == 1
    assert len(list(ElementTree.parse(results).iter("testsuite"))) == 9


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_full_disk_is_told(kind: str, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = into(full.fileno(), "check", ECHO, "--expect", expected(tmp_path, WRONG), "--format", kind)
    assert ended == (2, b"tcpflow-view: standard output: cannot write: No space left on device\n")
