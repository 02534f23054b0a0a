"""``tcpflow-view export``: records on standard output or in a file, and how it ends when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.cli.export import command
from analyzer.errors import UsageError

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURE = str(MADE / "nihao-1235.pcap")
UDP_CAPTURE = str(MADE / "echo-udp-23333.pcap")


def export(*arguments: str, octets: bytes | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=octets)


def test_connections() -> None:
    result = export(CAPTURE, "--records", "connections", "--format", "jsonl")
    assert (result.exit_code, result.stderr) == (0, "")
    (record,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert record["server"] == {"address": "127.0.0.1", "port": 1235}
    assert record["client_evidence"] == "syn"
    assert (record["client_state"], record["server_state"]) == ("CLOSED", "TIME-WAIT")
    assert (record["verdict"], record["history"], record["completeness"]) == ("SF", "ShAdfFa", 31)
    assert (record["closed_by"], record["cause"]) == ("server", "closed_by_server")
    assert [record["phases"][phase]["packets"] for phase in ("handshake", "data", "teardown")] == [3, 2, 3]
    assert record["server_sent"]["payload_bytes"] == 6


def test_packets() -> None:
    result = export(CAPTURE, "--records", "packets")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["packet"] for record in records] == list(range(1, 9))
    assert [record["flags"] for record in records] == ["S", "S.", ".", "P.", ".", "F.", "F.", "."]
    assert records[0]["ack"] is None
    assert (records[0]["client_state"], records[0]["server_state"]) == ("SYN-SENT", "SYN-RECEIVED")
    assert (records[-1]["client_state"], records[-1]["server_state"]) == ("CLOSED", "TIME-WAIT")


def test_udp() -> None:
    result = export(UDP_CAPTURE)
    record = json.loads(result.stdout.splitlines()[0])
    assert record["protocol"] == "udp"
    for name in ("client_state", "server_state", "verdict", "history", "completeness", "closed_by", "cause", "why"):
        assert record[name] is None
    assert all(value is None for phase in record["phases"].values() for value in phase.values())
    assert record["client_sent"]["packets"] > 0


def test_filter() -> None:
    assert export(CAPTURE, "port", "1235").stdout.count("\n") == 1
    assert export(CAPTURE, "port", "--records", "packets", "80").stdout == ""


def test_output_file(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    result = export(CAPTURE, "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert path.read_text() == export(CAPTURE).stdout


def test_cut_capture_on_standard_input() -> None:
    octets = Path(CAPTURE).read_bytes()
    result = export("-", "--records", "packets", octets=octets[:-10])
    assert result.exit_code == 1
    assert result.stdout.count("\n") == 7
    assert result.stderr.startswith("tcpflow-view: warning: -: ")


def test_the_capture_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(Path(CAPTURE).read_bytes())
    result = export(str(path), "-o", str(path))
    assert isinstance(result.exception, UsageError)
    assert path.read_bytes() == Path(CAPTURE).read_bytes()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    result = export(CAPTURE, "-o", str(tmp_path / "none" / "records"))
    assert isinstance(result.exception, UsageError)
    assert "No such file or directory" in str(result.exception)


@pytest.mark.parametrize(
    ("name", "arguments", "begins"),
    [
        ("out.csv", [], b"schema,record,connection,"),
        ("OUT.CSV", ["--records", "packets"], b"schema,record,packet,"),
        ("out.jsonl", [], b'{"schema":1,'),
        ("conn.log", [], b"#separator"),
        ("other.log", [], b'{"schema":1,'),
        ("out", [], b'{"schema":1,'),
        ("out.csv", ["--format", "jsonl"], b'{"schema":1,'),
        ("out.jsonl", ["--format", "zeek-json"], b'{"ts":'),
    ],
)
def test_the_name_of_the_file_says_the_format(name: str, arguments: list[str], begins: bytes, tmp_path: Path) -> None:
    assert export(CAPTURE, "-o", str(tmp_path / name), *arguments).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    path = tmp_path / "out.parquet"
    assert export(CAPTURE, "-o", str(path)).exit_code == 0
    octets = path.read_bytes()
    assert (octets[:4], octets[-4:]) == (b"PAR1", b"PAR1")
    cut = export("-", "--records", "packets", "--format", "parquet", octets=Path(CAPTURE).read_bytes()[:-10])
    assert cut.exit_code == 1
    assert cut.stdout_bytes[-4:] == b"PAR1"


def test_parquet_is_not_for_a_terminal() -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    controlling, terminal = os.openpty()
    try:
        result = run_into(terminal, "--format", "parquet")
    finally:
        os.close(controlling)
        os.close(terminal)
    assert result.returncode == 2
    assert result.stderr == b"tcpflow-view: Parquet is not for a terminal: write it to a file with -o, or into a pipe\n"


def test_without_pyarrow_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = export(CAPTURE, "-o", str(tmp_path / "out.parquet"))
    assert isinstance(result.exception, UsageError)
    assert "pip install" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["zeek", "zeek-json"])
def test_zeeks_log_has_no_packets(form: str) -> None:
    result = export(CAPTURE, "--records", "packets", "--format", form)
    assert isinstance(result.exception, UsageError)
    assert "connections only" in str(result.exception)


def run_into(descriptor: int, *more: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, its standard output being this descriptor."""
    arguments = [sys.executable, "-m", "analyzer", "export", CAPTURE, "--records", "packets", *more]
    return subprocess.run(arguments, stdout=descriptor, stderr=subprocess.PIPE, check=False)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_broken_pipe_ends_quietly(form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = run_into(write_end, "--format", form)
    finally:
        os.close(write_end)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_full_disk(form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    with open("/dev/full", "wb") as full:
        result = run_into(full.fileno(), "--format", form)
    assert result.returncode == 2
    assert result.stderr == b"tcpflow-view: standard output: cannot write: No space left on device\n"


def test_a_name_after_o_is_stronger_than_the_usual_format(tmp_path: Path) -> None:
    """What stands on the command line wins over the file of defaults."""
    for name, begins in (("a.jsonl", b"{"), ("a.csv", b"schema,"), ("a", b"schema,")):
        output = str(tmp_path / name)
        CliRunner().invoke(command, [CAPTURE, "-o", output], default_map={"form": "csv"}, catch_exceptions=False)
        assert Path(output).read_bytes().startswith(begins)
