"""``tcpflow-view timeline``, as it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = ROOT / "captures" / "made"
ECHO = MADE / "loopback-echo-1235.pcap"


def timeline(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "analyzer", "timeline", *map(str, arguments)]
    given = dict(os.environ, TZ="UTC0", LC_ALL="C.UTF-8", TCPFLOW_VIEW_JIT="never") | environment
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["loopback-echo-1235", "syn-ack-repeated"])
def test_the_article_s_text(name: str) -> None:
    """With the names of the article's host, and in its time zone: what tcpdump printed there."""
    names = "--hosts", MADE / "article.hosts", "--services", MADE / "article.services"
    done = timeline("--tcpdump", "-X", *names, MADE / f"{name}.pcap", TZ="Asia/Shanghai")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "tests" / "golden" / "article" / f"{name}.X.txt").read_text()


def test_our_columns_stand_before_tcpdump_s_line() -> None:
    ours = timeline(ECHO).stdout.splitlines()
    tcpdump = timeline("--tcpdump", "-n", ECHO).stdout.splitlines()
    assert len(ours) == len(tcpdump) == 10
    assert all(line.endswith(printed) for line, printed in zip(ours, tcpdump, strict=True))
    assert ours[6].split()[:5] == ["▌", "7", "1", "teardown", "CLOSE-WAIT"]


@pytest.mark.parametrize("mode", [(), ("--tcpdump", "-n")])
def test_the_first_packets(mode: tuple[str, ...]) -> None:
    whole = timeline(*mode, ECHO).stdout.splitlines()
    for count in (1, 9, 10, 11):
        assert timeline(*mode, "-c", str(count), ECHO).stdout.splitlines() == whole[:count]


def test_flags_in_a_cluster_and_behind_the_file() -> None:
    assert timeline("--tcpdump", "-nvXS", ECHO).stdout == timeline("--tcpdump", ECHO, "-n", "-v", "-X", "-S").stdout


@pytest.mark.parametrize("mode", [(), ("--tcpdump", "-n")])
def test_a_cut_capture_is_told_as_far_as_it_goes(mode: tuple[str, ...], tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(ECHO.read_bytes()[:300])
    done = timeline(*mode, cut)
    assert done.returncode == 1
    assert done.stdout == timeline(*mode, "-c", "3", ECHO).stdout
    assert done.stderr.startswith("tcpflow-view: warning: ")
    assert "at byte 286" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--tcpdump", "-tttttt", ECHO], "only -t"),
        (["-c", "0", ECHO], "-c"),
        ([ECHO, "port", "nonsense"], "nonsense"),
        (["--tcpdump", "--hosts", "nowhere", ECHO], "nowhere"),
        (["nowhere.pcap"], "nowhere.pcap"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_in_a_line(arguments: list[str | Path], reason: str) -> None:
    done = timeline(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert reason in done.stderr


def test_socket_calls() -> None:
    lines = timeline(ECHO, "--calls").stdout.splitlines()
    assert " server: socket(); bind(); listen() · client: socket(); connect() · " in lines[0]
    assert len(lines) == 10


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["-", "--calls"], "would have to be read twice"), ([ECHO, "--calls", "--tcpdump"], "does not go with --tcpdump")],
)
def test_where_socket_calls_cannot_be(arguments: list[str | Path], problem: str) -> None:
    done = timeline(*arguments)
    assert done.returncode == 2
    assert problem in done.stderr
