"""The pytest plugin, by test runs of its own; test_packages.py runs a whole project with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from analyzer import pytest_plugin
from tests.capture.namespaces import needs_root

ROOT = Path(__file__).parents[1]

CAPTURES = """
import socket, unittest
import pytest

def talk(count=1):
    for _ in range(count):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client, listener.accept()[0] as taken:
                client.sendall(b"hello")
                taken.recv(100)
    return port
"""


def ran(folder: Path, tests: str, *options: str, conftest: str = "", ini: str = "") -> tuple[int, str]:
    """pytest's exit status and what it printed."""
    (folder / "test_it.py").write_text(CAPTURES + tests, encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}", encoding="utf-8")
    plugin = "-p", "no:tcpflow_view", "-p", "analyzer.pytest_plugin"
    others = "-p", "no:cacheprovider", "-W", "error", "--strict-markers", "--strict-config"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *others, *options], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120", "NO_COLOR": "1"}, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def counts(printed: str) -> dict[str, int]:
    return {word.rstrip("s"): int(n) for n, word in re.findall(r"(\d+) ([a-z]+)", printed.splitlines()[-1])}


# ---------------------------------------------------------------- the right to capture

NOT_ALLOWED = """
from analyzer.capture import live
live.is_allowed = lambda: False
"""
NOT_LINUX = """
import platform
platform.system = lambda: "Darwin"
"""
ONE = "def test_it(tcp_capture):\n    talk()\n"


@pytest.mark.parametrize(
    ("conftest", "reason"),
    [(NOT_ALLOWED, "no permission to capture packets. Allow this Python to, once and for all: sudo setcap cap_net_raw"),
     (NOT_LINUX, "live capture needs Linux")],
)  # fmt: skip
def test_without_the_right_to_capture(conftest: str, reason: str, tmp_path: Path) -> None:
    status, printed = ran(tmp_path, ONE, "-rs", conftest=conftest)
    assert status == 0
    assert counts(printed)["skipped"] == 1
    assert reason in printed
    status, printed = ran(tmp_path, ONE, "--tcp-capture=require", conftest=conftest)
    assert status == 1
    assert counts(printed)["error"] == 1
    assert reason in printed
    status, printed = ran(tmp_path, ONE, conftest=conftest, ini="tcp_capture = require")
    assert counts(printed)["error"] == 1


@needs_root
def test_an_option_is_stronger_than_the_ini_file(tmp_path: Path) -> None:
    assert counts(ran(tmp_path, ONE, ini="tcp_capture = skip")[1])["skipped"] == 1
    assert counts(ran(tmp_path, ONE, "--tcp-capture=auto", ini="tcp_capture = skip")[1])["passed"] == 1


def test_a_choice_that_there_is_not(tmp_path: Path) -> None:
    status, printed = ran(tmp_path, ONE, ini="tcp_capture = perhaps")
    assert status != 0
    assert "tcp_capture = perhaps: it is one of auto, require, skip" in printed
    assert "invalid choice" in ran(tmp_path, ONE, "--tcp-capture=perhaps")[1]


def test_who_does_not_use_it_does_not_pay() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import analyzer.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert shown.split() == ["analyzer", "analyzer.pytest_plugin"]


def test_its_marker_and_options_are_known(tmp_path: Path) -> None:
    assert "@pytest.mark.tcp_capture(interface='lo', filter='', " in ran(tmp_path, "", "--markers")[1]
    printed = ran(tmp_path, "", "--help")[1]
    assert "--tcp-capture={auto,require,skip}" in printed
    assert "--tcp-capture-dir=DIR" in printed
    assert "tcp_capture - what the fixture" not in printed


# ---------------------------------------------------------------- what is told of a test that failed

FAILING = """
def test_many(tcp_capture):
    talk(25)
    assert not "many"

def test_none(tcp_capture):
    assert not "none"

class TestCase(unittest.TestCase):
    @pytest.mark.usefixtures("tcp_capture")
    @pytest.mark.tcp_capture(filter="tcp")
    def test_of_unittest(self):
        talk()
        self.fail("unittest")

@pytest.mark.parametrize("word", ["a/b c", "d"])
def test_names(word, tcp_capture):
    talk()
    assert not word

@pytest.mark.xfail(strict=True)
def test_expected_to_fail(tcp_capture):
    talk()
    assert not "expected"

def test_passes(tcp_capture):
    talk()
"""


@needs_root
def test_what_is_told_of_a_failure(tmp_path: Path) -> None:
    saved = tmp_path / "to" / "saved"
    status, printed = ran(tmp_path, FAILING, f"--tcp-capture-dir={saved}")
    assert status == 1
    assert counts(printed) == {"failed": 5, "passed": 1, "xfailed": 1}
    sections = re.split(r"^_{5,} (\S+) _{5,}$", printed, flags=re.MULTILINE)
    told = dict(zip(sections[1::2], sections[2::2], strict=True))
    many = told["test_many"].partition("- tcp capture -")[2]
    table, *ladders = many.split("─" * 100)
    assert len(re.findall(r"^ *\d+  127\.0\.0\.1:\d+", table, re.MULTILINE)) == 20
    assert len(ladders) == 5
    assert re.search(r"^… \d+ more$", ladders[-1], re.MULTILINE)
    assert "╷ server" in told["TestCase.test_of_unittest"]
    files = sorted(path.name for path in saved.iterdir())
    assert files == [
        "test_it.py-TestCase-test_of_unittest.pcap", "test_it.py-test_many.pcap",
        "test_it.py-test_names[a-b-c].pcap", "test_it.py-test_names[d].pcap", "test_it.py-test_none.pcap",
    ]  # fmt: skip
    assert f"packets: {saved}/test_it.py-test_many.pcap" in many


@needs_root
def test_packets_that_cannot_be_saved(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, printed = ran(tmp_path, ONE + "    assert 0\n", f"--tcp-capture-dir={tmp_path / 'file' / 'below'}")
    assert status == 1
    assert re.search("^packets: not saved: .*Not a directory", printed, re.MULTILINE)
    assert "╷ server" in printed, "and everything else is told"
    assert "INTERNALERROR" not in printed


def test_names_of_files_differ_and_are_not_too_long() -> None:
    name = pytest_plugin._file_name
    assert name("test_it.py::TestCase::test_it[a/b]") == "test_it.py-TestCase-test_it[a-b].pcap"
    long = [name(f"test_it.py::test_it[{word * 300}-{n}]") for word in ("a", "字", "𝄞", "\ud800") for n in range(3)]
    assert len(set(long)) == 12
    assert all(190 < len(one.encode()) <= 205 for one in long)
    assert name("a" * 200) == "a" * 200 + ".pcap"


@needs_root
def test_what_is_not_settled_is_told(tmp_path: Path) -> None:
    status, printed = ran(
        tmp_path,
        """
held = []

def test_half_closed(tcp_capture):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        held.append(listener.accept()[0])
        client.close()
        assert not tcp_capture.settle(0)
        assert 0

def test_afterwards():
    held.pop().close()
""",
    )
    assert status == 1
    assert re.search(r"^not settled: connection \d+: 127\.0\.0\.1:\d+ has not closed$", printed, re.MULTILINE)


# ---------------------------------------------------------------- files


def test_where_files_are_looked_for(tmp_path: Path) -> None:
    capture = (ROOT / "captures" / "made" / "loopback-echo-1235.pcap").read_bytes()
    for folder in ("captures", "tests/captures"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tests" / "captures" / "beside.pcap").write_bytes(capture)
    (tmp_path / "captures" / "root.pcap").write_bytes(capture)
    (tmp_path / "tests" / "test_files.py").write_text("""
import os
from pathlib import Path

def test_files(pcap, tmp_path):
    os.chdir(tmp_path)
    beside = pcap("captures/beside.pcap", "port 1235")
    assert len(beside.connections) > 0
    assert len(pcap(Path("captures/root.pcap")).connections) > 0
    assert pcap(Path(__file__).with_name("captures") / "beside.pcap", "port 1235") is beside
    assert pcap("captures/beside.pcap", "port 1236") is not beside
    assert pcap("captures/beside.pcap", "port 1235", servers=["1235"]) is not beside

def test_the_session_keeps_them(pcap):
    first = pcap("captures/beside.pcap")
    file = Path(__file__).with_name("captures") / "beside.pcap"
    os.utime(file, (1, 1))
    assert pcap("captures/beside.pcap") is not first
""")
    status, printed = ran(tmp_path, "")
    assert status == 0, printed
    assert counts(printed)["passed"] == 2


# ---------------------------------------------------------------- beside others


@needs_root
@pytest.mark.skipif(find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_several_workers_at_once(tmp_path: Path) -> None:
    tests = """
@pytest.mark.parametrize("run", range(12))
def test_it(run, tcp_capture):
    port = talk()
    [connection] = tcp_capture.connections.of(port=port)
    assert connection.lifecycle == "handshake data teardown"
    assert all(one.protocol == "tcp" for one in tcp_capture.connections)
"""
    status, printed = ran(tmp_path, tests, "-n", "2")
    assert status == 0, printed
    assert counts(printed)["passed"] == 12


@needs_root
def test_many_runs_miss_nothing() -> None:
    """The benchmark makes a thousand."""
    command = [sys.executable, str(ROOT / "benchmarks" / "capture_fixture.py"), "--runs", "50", "--burners", "1"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "50 runs, 0 flakes" in printed, printed
