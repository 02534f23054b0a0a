"""Connections as packetdrill's scripts: goldens, what its grammar takes, and what has no form in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.cli.export import command
from analyzer.errors import UsageError
from analyzer.explain.calls import inferred
from analyzer.export.packetdrill import script
from analyzer.export.segments import _options_text, segments_of
from analyzer.pipeline import Lives
from analyzer.tables import Batch, Side
from tests.script import play

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted(path for path in MADE.iterdir() if path.suffix in (".pcap", ".pcapng"))
WHOLE = [
    path
    for path in CAPTURES
    if path.name.removesuffix(".pcap") not in ("syn-ack-repeated", "echo-udp-23333", "refused-udp")
]

OPTION = (
    r"(mss \d+|wscale \d+|sackOK|nop|eol|TS val \d+ ecr \d+|sack( \d+:\d+)+|FO( [0-9a-f]+)?)"
)  # fmt: skip
PACKET = rf"[<>] [SFRPUEW]*\.? (\d+):(\d+)\((\d+)\)( ack \d+)?( win \d+)?( <({OPTION}(,{OPTION})*|\.\.\.)>)?"
ARGUMENT = r"(\.\.\.|[\w|]+|\[\w+\]|\{onoff=1, linger=0\})"
CALL = rf"[a-z]+\(({ARGUMENT}(, {ARGUMENT})*)\) = (-1 E[A-Z]+ \([\w ]+\)|\w+( \(flags O_RDWR\))?)"
EVENT = re.compile(rf"(0|\+\d+(\.\d{{1,6}})?) ({PACKET}|{CALL})( // [ \w:]+)?")
"""What packetdrill's parser takes, as far as scripts are written here."""


def export(capture: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [str(capture), "--format", "packetdrill", *arguments])


def lines_of(conversation: str, side: Side = Side.SERVER) -> list[str]:
    """Its packets alone, without their times."""
    story = play(conversation)
    some = list(segments_of(Batch(story.frames, story.packets, story.labels), 1))
    return [line.split(" ", 1)[1] for line in script(some, [], side, 4) if line and not line.startswith("//")]


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize(
    "name",
    ["loopback-echo-1235", "half-close", "reset-unread", "write-after-close", "refused", "echo-ipv6", "zero-window"],
)
def test_scripts(name: str, side: str, golden: Callable[[str, str], None]) -> None:
    result = export(MADE / f"{name}.pcap", "--side", side)
    assert (result.exit_code, result.stderr) == (0, "")
    golden(f"packetdrill/{name}.{side}.pkt", result.stdout)


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("capture", WHOLE, ids=lambda path: path.name)
def test_every_line_is_of_the_grammar(capture: Path, side: str) -> None:
    result = export(capture, "-c", "1", "--side", side)
    assert result.exit_code == 0
    comment, *events = [line for line in result.stdout.splitlines() if line]
    assert comment.startswith("//")
    if events[0].startswith("--"):
        assert events.pop(0) == "--ip_version=ipv6"
    assert events[0].startswith("0 ")
    for event in events:
        match = EVENT.fullmatch(event)
        assert match, event
        if match[4]:
            assert int(match[4]) + int(match[6]) == int(match[5])


@pytest.mark.skipif(not shutil.which("packetdrill") or os.geteuid() != 0, reason="packetdrill and root are needed")
@pytest.mark.parametrize("name", ["half-close", "write-after-close"])
def test_packetdrill_takes_them(name: str, tmp_path: Path) -> None:
    path = tmp_path / "script.pkt"
    path.write_text(export(MADE / f"{name}.pcap").stdout)
    subprocess.run(["packetdrill", "--dry_run", str(path)], check=True)


def test_windows_and_options() -> None:
    text = """
    C > S  S 100 win 500 mss 1460 sackOK ts 7 0 wscale 3
    S > C  SA 300 ack 101 mss 1000
    C > S  A 101 ack 301 sack 311:321,331:341
    C > S  UEW 101:103
    """
    assert lines_of(text) == [
        "< S 0:0(0) win 500 <mss 1460,wscale 3,sackOK,TS val 7 ecr 0,eol>",
        "> S. 0:0(0) ack 1 <mss 1000>",
        "< . 1:1(0) ack 1 win 1000 <sack 11:21 31:41,eol,eol>",
        "< UEW 1:3(2) win 1000",
    ]
    assert lines_of(text, Side.CLIENT)[1] == "< S. 0:0(0) ack 1 win 1000 <mss 1000>"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("", ""),
        ("0101080a0000000100000002", "nop,nop,TS val 1 ecr 2"),
        ("22041234", "FO 1234"),
        ("22020101", "FO,nop,nop"),
        ("1e040181", None),
        ("020405", None),
        ("0201", None),
        ("05", None),
        ("0506000000aa", None),
    ],
)
def test_options(octets: str, text: str | None) -> None:
    assert _options_text(bytes.fromhex(octets), 0) == text


def test_options_without_a_form_are_left_out() -> None:
    lines = lines_of("C > S  S 100 mss 1460 mptcp\nS > C  SA 300 ack 101 mss 1460 mptcp")
    assert lines == [
        "< S 0:0(0) win 1000 // options that have no form here are left out", "> S. 0:0(0) ack 1 <...>",
    ]  # fmt: skip


SHUT = """
C > S  S 100 mss 1460
S > C  SA 300 ack 101 win 4096 mss 1460
C > S  A 101 ack 301
C > S  PA 101:2149 ack 301
S > C  A 301 ack 2149 win 2048
C > S  PA 2149:4197 ack 301
S > C  A 301 ack 4197 win 0
"""


def script_of(conversation: str, side: Side = Side.SERVER) -> list[str]:
    """Packets and calls, without their times."""
    story = play(conversation)
    batch = Batch(story.frames, story.packets, story.labels)
    kept = Lives([1], 1000)
    kept.add(batch)
    made = story.reconstruction
    calls = inferred(made.connections[0], made.endpoints[0], kept.found()[1])
    lines = script(list(segments_of(batch, 1)), calls, side, 4)
    return [line.split(" ", 1)[1] for line in lines if line and not line.startswith("//")]


def test_a_program_with_a_full_buffer_does_not_read() -> None:
    """It was full of what it had not read when it closed: so RST, without SO_LINGER."""
    lines = script_of(SHUT + "+3 S > C  RA 301 ack 4197 win 4096")
    assert "setsockopt(3, SOL_SOCKET, SO_RCVBUF, [4096], 4) = 0" in lines
    assert "> . 1:1(0) ack 4097 win 0" in lines
    assert lines[-2:] == ["close(4) = 0", "> R. 1:1(0) ack 4097"]
    assert not any("read" in line or "LINGER" in line for line in lines)


def test_a_program_reads_when_its_window_opens() -> None:
    more = "+1 S > C  A 301 ack 4197 win 3000\nC > S  FPA 4197:4297 ack 301\nS > C  FA 301 ack 4298 win 3996"
    lines = script_of(SHUT + more)
    reads = [(line, lines[at + 1]) for at, line in enumerate(lines) if "read" in line]
    assert reads == [
        ("read(4, ..., 3000) = 3000", "> . 1:1(0) ack 4097"),
        ("read(4, ..., 1196) = 1196", "read(4, ..., 1) = 0"),
        ("read(4, ..., 1) = 0", "close(4) = 0"),
    ]  # fmt: skip


def test_what_came_beyond_the_largest_window_was_read_before() -> None:
    before = "S > C  A 301 ack 2149 win 4096\nC > S  PA 2149:6245 ack 301\nS > C  A 301 ack 6245 win 0"
    lines = script_of("\n".join(SHUT.strip().splitlines()[:4]) + "\n" + before)
    assert [line for line in lines if "read" in line] == ["read(4, ..., 2048) = 2048"]


def test_a_guess_is_marked() -> None:
    lines = script_of("C > S  S 100\nS > C  SA 300 ack 101\nC > S  A 101 ack 301\nS > C  RA 301 ack 101")
    assert lines[-3] == "setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0 // a guess: RST came"


def test_copies_of_the_capture_are_left_out() -> None:
    assert len(lines_of("C > S  S 100 id 7\n+0 C > S  S 100 id 7\nS > C  SA 300 ack 101")) == 2


def test_a_clock_that_steps_back() -> None:
    story = play("C > S  S 100\nS > C  SA 300 ack 101\nC > S  A 101 ack 301")
    some = list(segments_of(Batch(story.frames, story.packets, story.labels), 1))
    some[1] = some[1]._replace(ts_ns=some[0].ts_ns - 10**9)
    events = [line for line in script(some, [], Side.SERVER, 4) if line and not line.startswith("//")]
    assert [event.split()[0] for event in events] == ["0", "+0", "+0.002"]


def test_payload_that_is_too_long() -> None:
    story = play("C > S  S 100\nS > C  SA 300 ack 101\nC > S  A 101 ack 301")
    some = list(segments_of(Batch(story.frames, story.packets, story.labels), 1))
    with pytest.raises(UsageError, match="packet 3 has 70,000 bytes"):
        list(script([*some[:2], some[2]._replace(payload_len=70_000)], [], Side.SERVER, 4))


def test_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "connection.pkt"
    result = export(MADE / "select-5000.pcapng", "-c", "2", "-o", str(path))
    assert (result.exit_code, result.output) == (0, "")
    assert path.read_text() == export(MADE / "select-5000.pcapng", "-c", "2").stdout


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("select-5000.pcapng", [], "more than one TCP connection; choose with -c N"),
        ("select-5000.pcapng", ["-c", "4"], "there is no TCP connection 4"),
        ("echo-udp-23333.pcap", [], "there is no TCP connection"),
        ("echo-udp-23333.pcap", ["-c", "1"], "there is no TCP connection 1"),
        ("syn-ack-repeated.pcap", [], "connection 1: its first SYN was not captured"),
    ],
)
def test_problems(name: str, arguments: list[str], problem: str, tmp_path: Path) -> None:
    path = tmp_path / "connection.pkt"
    result = export(MADE / name, *arguments, "-o", str(path))
    assert isinstance(result.exception, UsageError)
    assert problem in str(result.exception)
    assert not path.exists()


@pytest.mark.parametrize("option", [["-c", "1"], ["--side", "client"]])
def test_options_of_scripts_alone(option: list[str]) -> None:
    result = CliRunner().invoke(command, [str(MADE / "half-close.pcap"), *option])
    assert isinstance(result.exception, UsageError)
    assert f"{option[0]} goes with --format packetdrill" in str(result.exception)
