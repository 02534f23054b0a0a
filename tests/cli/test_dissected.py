"""``read --dissect``: the application's messages below each ladder, and what happens without a tshark that works."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from analyzer.cli import dissected
from analyzer.cli.read import command
from analyzer.dissect import chosen, sharks
from analyzer.errors import UsageError
from tests.dissect.fake import CRASHES, FAILS, GARBAGE, HANGS, install, needs_tshark, processes_left
from tests.report.saying import frames, write

MADE = Path(__file__).parents[2] / "captures" / "made"
HTTP = str(MADE / "http-get-80.pcap")
UDP = str(MADE / "echo-udp-23333.pcap")


def read(*arguments: str, octets: bytes | None = None) -> Result:
    result = CliRunner().invoke(command, arguments, input=octets, env={"COLUMNS": "100"})
    assert processes_left() == []
    return result


def below(result: Result) -> list[str]:
    """What stands below the first ladder."""
    lines = result.stdout.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(" Decoded by tshark"))
    return lines[start + 1 : lines.index("", start)]


@needs_tshark
def test_messages() -> None:
    result = read(HTTP, "--dissect")
    assert (result.exit_code, result.stderr) == (0, "")
    assert below(result) == ["  4 → HTTP  GET / HTTP/1.1", "  6 ← HTTP  HTTP/1.1 400 Bad Request"]


@needs_tshark
def test_fields() -> None:
    assert "          Request Method: GET" in below(read(HTTP, "--dissect-fields"))


@needs_tshark
def test_a_port_that_speaks_echo() -> None:
    assert "--decode-as" in " ".join(below(read(UDP, "--dissect")))
    told = below(read(UDP, "--dissect", "--decode-as", "udp.port==23333,echo"))
    assert told == ["  1 → ECHO  Request", "  2 ← ECHO  Response"]


@needs_tshark
def test_only_the_chosen_connections(tmp_path: Path) -> None:
    octets = [one for port in (40_000, 40_001) for one in frames([(0, b"GET /%d HTTP/1.1\r\n\r\n" % port)], port=port)]
    path = write(tmp_path / "two.pcap", octets)
    result = read(str(path), "-c", "2", "--dissect")
    assert below(result) == ["  11 → HTTP  GET /40001 HTTP/1.1"]
    assert "40000" not in "".join(below(result))
    assert read(str(path), "port", "40001", "--dissect").stdout.count("Decoded by") == 1


@needs_tshark
def test_standard_input_and_compressed_files(tmp_path: Path) -> None:
    import gzip

    octets = Path(HTTP).read_bytes()
    assert len(below(read("-", "--dissect", octets=octets))) == 2
    (tmp_path / "http.pcap.gz").write_bytes(gzip.compress(octets))
    assert len(below(read(str(tmp_path / "http.pcap.gz"), "--dissect"))) == 2


@needs_tshark
def test_what_is_too_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissected, "MOST_PACKETS", 5)
    monkeypatch.setattr(dissected, "MOST_TREES", 0)
    result = read(HTTP, "--dissect-fields")
    assert below(result) == ["  4 → HTTP  GET / HTTP/1.1"]
    assert (
        "tshark got the first 5 packets of these connections, and not the 5 after them. --all leaves" in result.stdout
    )
    assert "1 message is told without its fields" in result.stdout
    assert len(below(read(HTTP, "--dissect", "--all"))) == 2
    assert chosen.MOST_PACKETS > 5


@needs_tshark
def test_none_is_chosen() -> None:
    result = read(HTTP, "--only", "refused", "--dissect")
    assert (result.exit_code, "Decoded" in result.stdout) == (0, False)


def test_without_tshark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = read(HTTP, "--dissect")
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith("--dissect needs tshark: apt install tshark")
    assert result.stdout == ""


def test_rules_alone() -> None:
    result = read(HTTP, "--decode-as", "tcp.port==80,http")
    assert str(result.exception) == "--decode-as goes with --dissect"


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (FAILS, "tshark failed: The file is a horse"),
        (CRASHES, "tshark crashed (SIGSEGV)"),
        (HANGS, "tshark does not go on; it was ended"),
        (GARBAGE, "tshark's output cannot be read"),
    ],
)
def test_a_tshark_that_goes_wrong(does: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else is there, one line says what is not, and so does the exit status."""
    install(tmp_path / "bin", monkeypatch, does)
    monkeypatch.setattr(sharks, "PATIENCE_S", 0.5)
    result = read(HTTP, "--dissect")
    assert result.exit_code == 1
    assert result.stderr == f"tcpflow-view: warning: --dissect: {said}; everything else is shown\n"
    assert result.stdout == read(HTTP).stdout


def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does = f"import signal; os.kill({os.getpid()}, signal.SIGINT); {HANGS}"
    install(tmp_path / "bin", monkeypatch, does)
    with pytest.raises(click.Abort):
        command.main([HTTP, "--dissect"], standalone_mode=False)
    assert processes_left() == []
    assert shutil.which("tshark") == str(tmp_path / "bin" / "tshark")
