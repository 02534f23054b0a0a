"""``tcpflow-view check``: what it prints, where it writes, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from analyzer.api.analysis import Analysis
from analyzer.cli import check as check_module
from analyzer.cli.main import main
from analyzer.expect.description import schema_text
from analyzer.render import screen

ROOT = Path(__file__).parents[2]
MADE = ROOT / "captures" / "made"


class Ended:
    """A run of the program: its status and what it wrote."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


class Program:
    def __init__(self, output: pytest.CaptureFixture[str]) -> None:
        self._output = output

    def __call__(self, *arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(["check", *arguments, "--lang", "en"])
        out, err = self._output.readouterr()
        return Ended(int(ended.value.code or 0), out, err)


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with captures, none of which has expectations."""
    for name, made in (("echo", "loopback-echo-1235"), ("reset", "reset-linger"), ("udp", "echo-udp-23333")):
        shutil.copy(MADE / f"{made}.pcap", tmp_path / f"{name}.pcap")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_record_and_check(here: Path, check: Program) -> None:
    recorded = check("--record", "echo.pcap", "udp.pcap")
    assert (recorded.status, recorded.err) == (0, "")
    assert recorded.out.splitlines() == [
        f"{name}.expect.toml: written; read it, and take out what does not matter" for name in ("echo", "udp")
    ]
    done = check("echo.pcap", "udp.pcap")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "✓ echo.pcap · 12 expectations met", "✓ udp.pcap · 5 expectations met", "2 captures: as expected",
    ]  # fmt: skip


def test_what_is_not_met_ends_with_1(here: Path, check: Program) -> None:
    check("--record", "echo.pcap")
    done = check("reset.pcap", "--expect", "echo.expect.toml")
    assert (done.status, done.err) == (1, "")
    assert done.out.startswith("✗ reset.pcap · 7 of 12 expectations not met\n")
    assert "\n  echo.expect.toml:" in done.out
    assert re.search("^▌▶ 6 .*RST", done.out, re.MULTILINE)
    assert "▶ 6" not in check("reset.pcap", "--expect", "echo.expect.toml", "--no-ladder").out


def test_a_capture_without_expectations(here: Path, check: Program) -> None:
    done = check("echo.pcap")
    assert (done.status, done.out) == (2, "✗ echo.pcap · could not be judged\n")
    assert done.err == (
        "tcpflow-view: echo.pcap: what it should be is not written down in echo.expect.toml; this writes it: "
        "tcpflow-view check --record echo.pcap\n"
    )


def test_compressed_captures(here: Path, check: Program) -> None:
    Path("packed.pcap.gz").write_bytes(gzip.compress(Path("echo.pcap").read_bytes()))
    assert check("--record", "packed.pcap.gz").status == 0
    assert Path("packed.expect.toml").exists()
    assert check("packed.pcap.gz").status == 0


def test_nothing_is_overwritten_without_force(here: Path, check: Program) -> None:
    Path("echo.expect.toml").write_text("[capture]\n")
    done = check("--record", "udp.pcap", "echo.pcap")
    assert (done.status, done.out) == (2, "")
    assert done.err == "tcpflow-view: echo.expect.toml: there are expectations already; --force writes new ones\n"
    assert not Path("udp.expect.toml").exists()
    assert check("--record", "--force", "echo.pcap").status == 0
    assert "closed_by_server" in Path("echo.expect.toml").read_text()


@pytest.mark.parametrize("other", ["echo.pcapng", "echo.pcap.gz", "../here/echo.cap"])
def test_two_captures_with_one_name(other: str, here: Path, check: Program) -> None:
    other = other.replace("here", here.name)
    shutil.copy("udp.pcap", other)
    done = check("--record", "--force", "echo.pcap", "reset.pcap", other)
    assert (done.status, done.out) == (2, "")
    assert f": echo.pcap and {other} would both have their expectations there; record one with --expect" in done.err
    assert not Path("echo.expect.toml").exists()


@pytest.mark.parametrize("name", [".", "/", "", ".."])
def test_what_has_no_name_of_a_capture(name: str, here: Path, check: Program) -> None:
    done = check(name)
    assert done.status == 2
    assert len(done.err.splitlines()) == 1
    assert "internal error" not in done.err
    assert "--record" not in done.err


def test_record_to_another_place(here: Path, check: Program) -> None:
    assert check("--record", "echo.pcap", "--expect", "other.toml").status == 0
    assert "tcpflow-view check echo.pcap --expect other.toml" in Path("other.toml").read_text(encoding="utf-8")
    assert check("echo.pcap", "--expect", "other.toml").status == 0
    printed = check("--record", "echo.pcap", "--expect", "-")
    assert '\ncause = "closed_by_server"\n' in printed.out
    assert check("--record", "echo.pcap", "udp.pcap", "--expect", "one.toml").status == 2
    capture = Path("echo.pcap").read_bytes()
    assert check("--record", "--force", "echo.pcap", "--expect", "echo.pcap").status == 2
    assert Path("echo.pcap").read_bytes() == capture


def test_a_filter(here: Path, check: Program) -> None:
    assert check("--record", "echo.pcap", "--filter", "port 1235").status == 0
    assert 'filter = "port 1235"' in Path("echo.expect.toml").read_text(encoding="utf-8")
    assert check("echo.pcap").status == 0
    assert check("echo.pcap", "--filter", "port 9", "--no-ladder").status == 1
    done = check("echo.pcap", "--filter", "prot 9")
    assert (done.status, done.out) == (2, "✗ echo.pcap · could not be judged\n")
    assert done.err.startswith("tcpflow-view: ")


def test_a_damaged_capture(here: Path, check: Program) -> None:
    Path("echo.pcap").write_bytes(Path("echo.pcap").read_bytes()[:-3])
    recorded = check("--record", "echo.pcap")
    assert recorded.status == 0
    assert recorded.err.startswith("tcpflow-view: warning: echo.pcap: ")
    assert check("echo.pcap").status == 0
    Path("echo.expect.toml").write_text("")
    done = check("echo.pcap")
    assert done.status == 1
    assert "The capture should be whole: echo.pcap: " in done.out


def test_what_cannot_be_read_does_not_stop_the_others(here: Path, check: Program) -> None:
    for name in ("echo", "gone", "noise"):
        Path(f"{name}.expect.toml").write_text("")
    Path("noise.pcap").write_bytes(b"no capture" * 9)
    done = check("gone.pcap", "noise.pcap", "echo.pcap", "--junit", "out.xml")
    assert done.status == 2
    assert done.out.splitlines() == [
        "✗ gone.pcap · could not be judged", "✗ noise.pcap · could not be judged", "✓ echo.pcap · 1 expectation met",
        "3 captures: 2 not as expected",
    ]  # fmt: skip
    assert len(done.err.splitlines()) == 2
    errors = [error.get("message") for error in ElementTree.parse("out.xml").iter("error")]
    assert errors == [line.removeprefix("tcpflow-view: ") for line in done.err.splitlines()]


def test_bad_expectations(here: Path, check: Program) -> None:
    Path("echo.expect.toml").write_text('[[connection]]\ncolsed_by = "x"\nno = ["rest"]\n')
    done = check("echo.pcap")
    assert (done.status, done.out) == (2, "✗ echo.pcap · could not be judged\n")
    assert done.err.splitlines() == [
        f"tcpflow-view: echo.expect.toml:{problem}"
        for problem in (
            "2: connection[1].colsed_by: there is no key “colsed_by”; did you mean closed_by?",
            "3: connection[1].no[1]: there is no event “rest”; did you mean reset, urgent?",
        )
    ]


def test_bad_expectations_do_not_stop_the_others(here: Path, check: Program) -> None:
    check("--record", "udp.pcap")
    Path("echo.expect.toml").write_text("a =")
    done = check("echo.pcap", "reset.pcap", "udp.pcap")
    assert done.status == 2
    assert done.out.splitlines() == [
        "✗ echo.pcap · could not be judged", "✗ reset.pcap · could not be judged", "✓ udp.pcap · 5 expectations met",
        "3 captures: 2 not as expected",
    ]  # fmt: skip


def test_bad_expectations_are_told_to_machines(here: Path, check: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    Path("bad.toml").write_text('[[connection]]\nno = ["rest"]\n[capture]\nservers = ["1235", "bad end"]\n')
    wrong = "2: connection[1].no[1]: there is no event “rest”; did you mean reset, urgent?"
    for problem in (wrong, "4: capture.servers[2]: “bad end” is no server: give an address, a port, or both: "):
        line, _blank, text = problem.partition(": ")
        done = check("echo.pcap", "udp.pcap", "--expect", "bad.toml", "--format", "github", "--junit", "out.xml")
        assert done.status == 2
        assert len(done.err.splitlines()) == 1, "once for all captures"
        assert done.err.startswith(f"tcpflow-view: bad.toml:{problem}")
        [annotation] = [one for one in done.out.splitlines() if one.startswith("::error")]
        assert annotation.startswith(f"::error file=bad.toml,line={line}::{text}")
        errors = list(ElementTree.parse("out.xml").iter("error"))
        assert [f"tcpflow-view: {error.get('message')}\n" for error in errors] == [done.err] * 2
        [capture, _other] = json.loads(check("echo.pcap", "udp.pcap", "--expect", "bad.toml", "--format", "json").out)[
            "captures"
        ]
        assert (capture["met"], f"tcpflow-view: {capture['error']}\n") == (False, done.err)
        Path("bad.toml").write_text(Path("bad.toml").read_text().replace("rest", "reset"))


def test_missing_expectations_are_told_to_github(here: Path, check: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    *_lines, annotation = check("echo.pcap", "--format", "github").out.splitlines()
    assert annotation.startswith("::error file=echo.pcap::what it should be is not written down in echo.expect.toml; ")


def test_captures_are_let_go_one_by_one(here: Path, check: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = weakref.WeakSet[Analysis]()
    most = 0

    def analysed(*given: Any, **more: Any) -> Analysis:
        nonlocal most
        found = Analysis(*given, **more)
        alive.add(found)
        most = max(most, len(alive))
        return found

    monkeypatch.setattr(check_module, "Analysis", analysed)
    Path("client.toml").write_text('[[connection]]\nclosed_by = "client"\n')
    for kind in ("text", "github", "json"):
        done = check(*["echo.pcap"] * 3, "--expect", "client.toml", "--format", kind, "--junit", "out.xml")
        assert done.status == 1
    assert most == 1


def test_github(here: Path, check: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    Path("echo.expect.toml").write_text('[[connection]]\nclosed_by = "client"\n')
    first, *lines = check("echo.pcap", "--format", "github").out.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert lines[0] == "✗ echo.pcap · 1 of 2 expectations not met"
    assert lines[lines.index(f"::{token}::") + 1 :] == [
        "::error file=echo.expect.toml,line=2,title=echo.pcap%3A connection[1].closed_by"
        "::The client should have closed first; the server did (FIN in packet 7)."
    ]


def test_json_is_english(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("echo.expect.toml").write_text('[[connection]]\nclosed_by = "client"\n')
    with pytest.raises(SystemExit) as ended:
        main(["check", "echo.pcap", "--format", "json", "--lang", "zh"])
    assert ended.value.code == 1
    [capture] = json.loads(capsys.readouterr().out)["captures"]
    assert capture["results"][1]["text"] == "The client should have closed first; the server did (FIN in packet 7)."


def test_junit_is_written_beside_the_text(here: Path, check: Program) -> None:
    check("--record", "echo.pcap")
    assert check("echo.pcap", "--junit", "out.xml").out.startswith("✓ echo.pcap")
    assert ElementTree.parse("out.xml").getroot().tag == "testsuites"
    assert check("echo.pcap", "--junit", "/no/such/place.xml").status == 2


def test_standard_input(here: Path) -> None:
    command = [sys.executable, "-m", "analyzer", "check", "-"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), LC_ALL="C.UTF-8", LANGUAGE="en", TCPFLOW_VIEW_JIT="auto")

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        with open("echo.pcap", "rb") as capture:
            return subprocess.run([*command, *more], stdin=capture, capture_output=True, text=True, env=environment)

    assert "--expect must name the expectations" in run().stderr
    assert run("--record", "--expect", "echo.toml").returncode == 0
    done = run("--expect", "echo.toml")
    assert (done.returncode, done.stdout) == (0, "✓ - · 12 expectations met\n")


def test_the_schema(check: Program) -> None:
    done = check("--schema")
    assert (done.status, done.out) == (0, schema_text())


def test_no_file(check: Program) -> None:
    done = check()
    assert (done.status, done.out) == (2, "")
    assert "FILE..." in done.err


def test_the_readme_shows_what_is_printed(here: Path, check: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: True)
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## In CI")[1].split("\n## ")[0]
    [written] = re.findall("```toml\n(.*?)```", section, re.DOTALL)
    [shown] = re.findall("```text\n(.*?)```", section, re.DOTALL)
    shutil.copy("echo.pcap", "capture.pcap")
    Path("capture.expect.toml").write_text(written, encoding="utf-8")
    printed = check("capture.pcap").out
    above, below = shown.split("…\n▌")
    assert printed.startswith(above)
    assert f"\n▌{below}" in printed


def test_who_only_checks_pays_for_nothing_else(here: Path, check: Program) -> None:
    check("--record", "echo.pcap")
    program = (
        "import sys\nfrom analyzer.cli.main import main\ntry:\n    main(['check', 'echo.pcap'])\n"
        "except SystemExit as ended:\n    print(ended.code or 0, *sys.modules)\n"
    )
    environment = dict(os.environ, PYTHONPATH=str(ROOT), LC_ALL="C.UTF-8", LANGUAGE="en", TCPFLOW_VIEW_JIT="auto")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    status, *modules = done.stdout.splitlines()[-1].split()
    assert status == "0"
    assert "analyzer.expect.judging" in modules
    assert not {"numba", "llvmlite", "scapy", "cypcap", "rich", "xml.etree", "analyzer.expect.machines"} & {*modules}


def test_what_is_told_and_xml_do_not_mix(here: Path, check: Program) -> None:
    check("--record", "echo.pcap")
    done = check("echo.pcap", "--junit", "-")
    assert (done.status, done.out) == (2, "")
    assert "--junit needs the name of a file" in done.err
