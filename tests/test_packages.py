"""What is built: a wheel and an sdist with all that is needed; and a project that uses the plugin from a wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from analyzer.capture.saving import CaptureWriter
from tests.capture.namespaces import needs_root
from tests.script import frames, parse

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "tests" / "sample_project"

needs_build = pytest.mark.skipif(
    not all(map(find_spec, ("build", "hatchling", "pip"))), reason="build, hatchling or pip is not installed"
)
pytestmark = needs_build

HANDSHAKE = """
C > S S 100
S > C SA 300 ack 101
C > S A 101 ack 301
"""

SHIPPED = (
    "analyzer/py.typed", "analyzer/pytest_plugin.py", "analyzer/testing.py", "analyzer/locale/zh/LC_MESSAGES/*.mo",
    "analyzer/report/page/*.js", "analyzer/report/page/*.css", "analyzer/report/page/vendor/*",
)  # fmt: skip


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    return subprocess.run(
        [*map(str, command)], cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False
    )


def made(*command: object, cwd: Path) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist, the wheel made of it, and in ``direct`` the wheel made of the checkout."""
    folder = tmp_path_factory.mktemp("built")
    build = sys.executable, "-m", "build", "--no-isolation"
    made(*build, "--outdir", folder, ROOT, cwd=folder)
    made(*build, "--wheel", "--outdir", folder / "direct", ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the sdist's wheel; everything else is that of the environment at hand."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    [wheel] = built.glob("*.whl")
    made(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    [site] = folder.glob("lib/python*/site-packages")
    # Behind the wheel's place; .pth files there, such as those of editable installs, are not read.
    others = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "others.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    home = made(python, "-c", "import analyzer; print(analyzer.__file__)", cwd=folder).strip()
    assert Path(home).is_relative_to(site)
    return python


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_wheel_and_sdist_have_the_same_files(built: Path) -> None:
    [wheel], [direct] = built.glob("*.whl"), (built / "direct").glob("*.whl")
    assert files_of(wheel) == files_of(direct)
    for pattern in SHIPPED:
        expected = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern) if path.is_file()}
        assert expected, pattern
        assert expected <= files_of(wheel)


def test_all_of_the_package_is_in_the_wheel(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "analyzer").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in files_of(wheel) if name.startswith("analyzer/")} == here


def test_the_sdist_has_what_the_tests_need(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "tests/conftest.py", "tests/sample_project/echo.py"} <= names


def test_the_installed_program_reads_a_capture(installed: Path, tmp_path: Path) -> None:
    capture = tmp_path / "one.pcap"
    with CaptureWriter(capture, linktype=1) as writer:
        writer.write(frames(parse(HANDSHAKE)))
    shown = made(installed.with_name("tcpflow-view"), "--lang", "zh", "read", capture, cwd=tmp_path)
    assert "10.0.0.1:40000" in shown
    assert "建立连接" in shown
    page = tmp_path / "page.html"
    made(installed, "-m", "analyzer", "report", capture, "-o", page, cwd=tmp_path)
    assert "uPlot" in page.read_text(encoding="utf-8")


# ---------------------------------------------------------------- a project that uses the plugin

PASSES = {
    "test_echo", "test_all_that_is_said", "test_looking_twice", "test_nobody_listens", "test_a_filter",
    "test_in_an_event_loop", "test_a_file",
}  # fmt: skip
LADDER = "…"
FAILS = {
    "test_who_closes": ("AssertionError: The client should have closed first; the server did", LADDER),
    "test_no_reset": ("AssertionError: There should be no reset; packet 4 is one.", LADDER),
    "test_phases": (
        "AssertionError: The lifecycle should be handshake data teardown; it is handshake teardown",
        LADDER,
    ),
    "test_states": ("leads to CLOSE-WAIT, not to FIN-WAIT-1.", LADDER),
    "test_what_is_said": ('AssertionError: The server should say "help!"; it says "hello".', LADDER),
    "test_something_else": ("assert b'hello' == b'goodbye'",),
    "test_a_word_that_there_is_not": ("did you mean retransmission",),
    "test_no_such_file": ("CaptureOpenError: captures/none.pcap: no such file beside the test",),
    "test_no_such_filter": ("tcp_capture: filter “tpc”: can't parse filter expression",),
}
"""By what their messages have; LADDER stands for one that points at a packet."""


def sample(python: Path, folder: Path, *options: str) -> tuple[dict[str, tuple[str, str]], str]:
    """The sample project's tests run: outcome and message of each, and what pytest printed."""
    results = folder / "results.xml"
    plugins = "-p", "no:cacheprovider", "-p", "no:randomly"
    ran = run(
        python, "-B", "-m", "pytest", *plugins, f"--junitxml={results}", "-o", "junit_logging=no", *options,
        cwd=SAMPLE, COLUMNS="120",
    )  # fmt: skip
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    found = {}
    for case in ElementTree.parse(results).iter("testcase"):
        outcome = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        told = "" if outcome is None else f"{outcome.get('message')}\n{outcome.text}"
        found[str(case.get("name"))] = ("passed" if outcome is None else outcome.tag, told)
    return found, ran.stdout


@needs_root
def test_the_sample_project(installed: Path, tmp_path: Path) -> None:
    found, printed = sample(installed, tmp_path, "--tcp-capture=require", f"--tcp-capture-dir={tmp_path / 'saved'}")
    passed = {name for name, (outcome, _told) in found.items() if outcome == "passed"}
    assert passed == PASSES, printed
    assert set(found) - passed == set(FAILS)
    for name, messages in FAILS.items():
        outcome, told = found[name]
        assert outcome == ("error" if name == "test_no_such_filter" else "failure")
        for message in messages:
            if message == LADDER:
                assert re.search(r"client :\d+ ╷ .*╷ server :\d+", told)
                assert len(re.findall(r"^.*▌▶ ?\d+ \d", told, re.MULTILINE)) == 1
            else:
                assert message in told
    saved = sorted(path.name for path in (tmp_path / "saved").iterdir())
    fails_in_a_test = sorted(set(FAILS) - {"test_no_such_file", "test_no_such_filter"})
    assert saved == [f"tests-test_wrong.py-{name}.pcap" for name in fails_in_a_test]
    assert "- tcp capture -" in printed
    sections = re.split(r"^_{5,} (\S+) _{5,}$", printed, flags=re.MULTILINE)
    section = sections[sections.index("test_something_else") + 1].partition("- tcp capture -")[2]
    assert "client closed" in section
    assert "╷ server" in section


def test_captures_are_skipped_with_a_reason(installed: Path, tmp_path: Path) -> None:
    found, printed = sample(installed, tmp_path, "--tcp-capture=skip")
    assert {outcome for outcome, _told in found.values()} == {"skipped", "failure"}
    assert [name for name, (outcome, _told) in found.items() if outcome == "failure"] == ["test_no_such_file"]
    assert "--tcp-capture=skip" in found["test_echo"][1], printed
