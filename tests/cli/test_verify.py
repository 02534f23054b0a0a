"""``tcpflow-view verify``: a capture beside tshark's analysis of it."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from analyzer.cli import verify
from analyzer.cli.verify import command
from analyzer.dissect import tshark
from analyzer.errors import TsharkError, UsageError
from analyzer.pipeline import Run
from analyzer.tables import Event, Frames, Labels, Packets
from analyzer.tcp.identities import Identities
from tests.capture.brought import bringing
from tests.dissect.fake import CRASHES, FAILS, GARBAGE, HANGS, install, needs_tshark, processes_left
from tests.report.saying import frames, write

MADE = Path(__file__).parents[2] / "captures" / "made"
HTTP = str(MADE / "http-get-80.pcap")
TWICE = str(MADE / "loopback-twice.pcap")

SUMS = """\
 Compared with tshark {version}: 10 TCP packets, 100 % of which agree in everything.

 of packets
   connection                10 / 10         100 %
   events                    10 / 10         100 %
   seq                       10 / 10         100 %
   ack                        9 / 9          100 %
   payload_len               10 / 10         100 %
 of connections
   completeness               1 / 1          100 %
   initial_rtt_ns             1 / 1          100 %

 No difference.
"""


def run(*arguments: str, octets: bytes | None = None) -> Result:
    result = CliRunner().invoke(command, arguments, input=octets, env={"COLUMNS": "100"})
    assert processes_left() == []
    return result


@needs_tshark
def test_all_agree() -> None:
    result = run(HTTP)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == SUMS.format(version=tshark.installed("a test").version)


@needs_tshark
def test_differences_on_purpose() -> None:
    result = run(TWICE)
    assert result.exit_code == 1
    assert "connection 1 · initial_rtt_ns: we say" in result.stdout
    assert "The capture has packets twice" in result.stdout
    assert result.stdout.endswith(" 2 differences, all of them on purpose: docs/differences.md says why.\n")


@needs_tshark
def test_json() -> None:
    told = json.loads(run(TWICE, "--format", "json").stdout)
    assert (told["schema"], told["record"], told["tshark"]) == (1, "verification", tshark.installed("a test").version)
    assert (told["packets"], told["compared"], told["agreeing"], told["differing"], told["explained"]) == (
        28,
        28,
        28,
        2,
        2,
    )
    assert told["fields"]["events"] == {"same": 28, "different": 0}
    first = told["differences"][0]
    assert (first["packet"], first["connection"], first["field"]) == (1, 1, "initial_rtt_ns")
    assert first["reason"] == "copies"
    assert json.loads(run(HTTP, "--format", "json").stdout)["differences"] == []


@pytest.fixture
def mislabelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """An analysis that calls every packet a retransmission."""
    right = Run._reconstruct

    def wrong(self: Run, frames: Frames, packets: Packets, identities: Identities) -> Labels:
        labels = right(self, frames, packets, identities)
        return labels._replace(events=labels.events | np.uint32(1 << Event.RETRANSMISSION))

    monkeypatch.setattr(Run, "_reconstruct", wrong)


@needs_tshark
@pytest.mark.usefixtures("mislabelled")
def test_a_wrong_analysis_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(HTTP)
    assert result.exit_code == 1
    assert result.stdout.startswith("      1  connection 1 · events: we say retransmission, tshark says -\n")
    assert " 10 differences, none of which is known.\n" in result.stdout
    monkeypatch.setattr(verify, "MOST_LISTED", 4)
    listed = run(HTTP).stdout.splitlines()
    assert sum(" · events" in line for line in listed) == 4
    assert listed[4].strip() == "… 6 more differences; --all lists them"
    assert sum(" · events" in line for line in run(HTTP, "--all").stdout.splitlines()) == 10
    assert len(json.loads(run(HTTP, "--format", "json").stdout)["differences"]) == 4
    assert len(json.loads(run(HTTP, "--format", "json", "--all").stdout)["differences"]) == 10


@needs_tshark
def test_with_a_filter_both_see_what_passes(tmp_path: Path) -> None:
    """The packets keep the numbers that they have in the capture."""
    octets = [one for port in (40_000, 40_001) for one in frames([(0, b"x")], port=port)]
    path = write(tmp_path / "two.pcap", octets)
    told = json.loads(run(str(path), "port", "40001", "--format", "json").stdout)
    assert (told["packets"], told["connections"], told["differing"]) == (7, 1, 0)
    assert run(str(path), "tcp[tcpflags] & tcp-syn == 0").exit_code == 0


@needs_tshark
@pytest.mark.usefixtures("mislabelled")
def test_numbers_are_those_of_the_capture(tmp_path: Path) -> None:
    octets = [one for port in (40_000, 40_001) for one in frames([(0, b"x")], port=port)]
    path = write(tmp_path / "two.pcap", octets)
    told = json.loads(run(str(path), "port", "40001", "--format", "json").stdout)
    assert [one["packet"] for one in told["differences"]] == list(range(8, 15))


@needs_tshark
@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_compressed(compress: object, tmp_path: Path) -> None:
    assert callable(compress)
    (tmp_path / "http").write_bytes(compress(Path(HTTP).read_bytes()))
    assert run(str(tmp_path / "http")).exit_code == 0


@needs_tshark
def test_standard_input() -> None:
    result = run("-", octets=Path(HTTP).read_bytes())
    assert (result.exit_code, result.stdout) == (0, SUMS.format(version=tshark.installed("a test").version))


@needs_tshark
def test_a_pipe_by_its_name() -> None:
    with bringing(Path(HTTP).read_bytes()) as reading:
        result = run(f"/dev/fd/{reading}")
    assert (result.exit_code, result.stdout) == (0, SUMS.format(version=tshark.installed("a test").version))


@needs_tshark
def test_nothing_to_compare() -> None:
    result = run(str(MADE / "echo-udp-23333.pcap"))
    assert (result.exit_code, result.stdout) == (0, " There is no TCP packet to compare.\n")
    assert run(HTTP, "port", "9").stdout == " There is no TCP packet to compare.\n"


@needs_tshark
def test_a_capture_that_is_cut_short(tmp_path: Path) -> None:
    """tshark says so too; it is told once."""
    path = tmp_path / "cut.pcap"
    path.write_bytes(Path(HTTP).read_bytes()[:-5])
    result = run(str(path))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "the capture is cut" in result.stderr
    assert "9 TCP packets, 100 % of which" in result.stdout


@needs_tshark
def test_nobodys_preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "preferences").write_text("tcp.relative_sequence_numbers: FALSE\ntcp.analyze_sequence_numbers: FALSE\n")
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", str(tmp_path))
    assert run(HTTP).exit_code == 0


def test_without_tshark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run(HTTP)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith("verify needs tshark: apt install tshark")


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (FAILS, "tshark stopped before packet 1: tshark failed: The file is a horse"),
        (CRASHES, "tshark stopped before packet 1: tshark crashed (SIGSEGV)"),
        (HANGS, "tshark does not go on; it was ended"),
        (GARBAGE, "tshark's output cannot be read (packet 1)"),
    ],
)
def test_a_tshark_that_goes_wrong(does: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin", monkeypatch, does)
    monkeypatch.setattr(tshark, "PATIENCE_S", 0.3)
    result = run(HTTP)
    assert isinstance(result.exception, TsharkError)
    assert str(result.exception) == said
    assert result.stdout == ""
    assert run(HTTP, "--format", "json").stdout == "", "and no half of an object either"


@needs_tshark
def test_a_tshark_that_stops_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compared before is shown."""
    real = tshark.installed("a test").path
    does = f"import subprocess; told = subprocess.run([{real!r}, *sys.argv[1:]], capture_output=True, text=True).stdout"
    does += "\nprint(*told.splitlines()[:4], sep='\\n'); sys.stderr.write('tshark: Out of hay.\\n'); sys.exit(2)"
    install(tmp_path / "bin", monkeypatch, does)
    result = run(HTTP)
    assert result.exit_code == 1
    assert "4 TCP packets, 100 % of which agree" in result.stdout
    assert result.stderr == (
        "tcpflow-view: warning: tshark stopped before packet 5: tshark failed: Out of hay; "
        "what was compared before is shown\n"
    )


def test_no_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin", monkeypatch, "")
    (tmp_path / "text").write_text("no capture")
    assert "text" in str(run(str(tmp_path / "text")).exception)
    assert "port 99999" in str(run(HTTP, "port", "99999").exception) or run(HTTP, "port", "99999").exception
