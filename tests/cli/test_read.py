"""``tcpflow-view read``: whole screens as goldens, choosing connections, and how it ends when something is wrong."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.cli.read import command
from analyzer.errors import CaptureOpenError
from analyzer.render import screen
from analyzer.render.screen import cells

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted(path for path in MADE.iterdir() if path.suffix in (".pcap", ".pcapng"))
ECHO = str(MADE / "loopback-echo-1235.pcap")
THREE = str(MADE / "select-5000.pcapng")


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: True)


def read(*arguments: str, width: int = 100, octets: bytes | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=octets, env={"COLUMNS": str(width), "NO_COLOR": None})


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_screens(capture: Path, width: int, golden: Callable[[str, str], None]) -> None:
    result = read(str(capture), width=width)
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(cells(line) <= width for line in result.stdout.splitlines())
    golden(f"read/{capture.name}.{width}.txt", result.stdout)


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", ["loopback-echo-1235.pcap", "zero-window.pcap"])
def test_socket_calls(name: str, width: int, golden: Callable[[str, str], None]) -> None:
    result = read(str(MADE / name), "--calls", width=width)
    assert all(cells(line) <= width for line in result.stdout.splitlines())
    golden(f"read/{name}.calls.{width}.txt", result.stdout)


def test_socket_calls_are_told_where_there_is_room() -> None:
    assert "connect()" not in read(ECHO, width=99).stdout
    assert "connect()" in read(ECHO, width=100).stdout
    assert "connect()" not in read(ECHO, "--no-calls", width=140).stdout
    assert "socket calls" not in read(str(MADE / "echo-udp-23333.pcap"), "--calls").stdout


def told(result: Result) -> list[int]:
    """The connections whose lives are told."""
    return [int(number) for number in re.findall(r"^─+\n (\d+)  ", result.stdout, re.MULTILINE)]


def test_few_connections_are_all_told() -> None:
    assert told(read(THREE)) == [1, 2, 3]


@pytest.mark.parametrize(("chosen", "numbers"), [("2", [2]), ("3,1", [1, 3]), ("1-2", [1, 2]), ("2-3,2", [2, 3])])
def test_chosen_connections(chosen: str, numbers: list[int]) -> None:
    result = read(THREE, "-c", chosen)
    assert told(result) == numbers
    assert [int(line.split()[0]) for line in result.stdout.splitlines()[3 : 3 + len(numbers)]] == numbers


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        (["--sort", "bytes"], [3, 1, 2]),
        (["--sort", "lasted"], [1, 3, 2]),
        (["--sort", "rtt", "-c", "2-3"], [2, 3]),
        (["--only", "closed,reset"], [1, 2, 3]),
        (["--only", "tcp", "-c", "3"], [3]),
    ],
)
def test_chosen_and_sorted_connections(arguments: list[str], numbers: list[int]) -> None:
    result = read(THREE, *arguments)
    assert told(result) == numbers
    assert [int(line.split()[0]) for line in result.stdout.splitlines()[3 : 3 + len(numbers)]] == numbers


def test_none_is_of_such_a_kind() -> None:
    result = read(THREE, "--only", "refused")
    assert (result.exit_code, result.stdout.splitlines()[1:]) == (
        0, ["", " None of the 3 connections is of such a kind.", ""],
    )  # fmt: skip


def test_many_connections_are_told_when_asked_for(tmp_path: Path) -> None:
    capture = tmp_path / "many.pcap"
    capture.write_bytes(syns(12))
    result = read(str(capture))
    assert told(result) == []
    assert "-c N shows" in result.stdout
    assert told(read(str(capture), "-c", "11-12")) == [11, 12]


def test_filter_words() -> None:
    assert "3 of 35 packets" in read(THREE, "tcp[13]", "&", "2", "!=", "0", "and", "src", "port", "5000").stdout
    result = read(ECHO, "port", "9")
    assert (result.exit_code, result.stdout) == (
        0,
        "loopback-echo-1235.pcap · 0 of 10 packets · 0 TCP connections · complete\n",
    )


def test_a_filter_that_splits_connections_is_doubted() -> None:
    split = " ".join(read(ECHO, "dst port 1235").stdout.split())
    assert "this filter can split connections" in split
    assert "What seems to be missing here may have been left out by the filter." in split
    assert "filter" not in read(ECHO, "port 1235").stdout


def test_more_of_the_capture_s_quality_on_request() -> None:
    assert "10 of 10 TCP checksums unfinished" in read(ECHO, "--all").stdout
    assert "checksum" not in read(ECHO).stdout


def test_losses_that_the_capture_tells_of(tmp_path: Path) -> None:
    capture = tmp_path / "lossy.pcapng"
    statistics = struct.pack("<5I2HQI", 5, 36, 0, 0, 0, 5, 8, 1_204, 36)
    capture.write_bytes(Path(THREE).read_bytes() + statistics)
    result = read(str(capture))
    assert result.exit_code == 0
    assert "✗ 1,204 lost: some of what looks lost" in result.stdout


def test_standard_input_is_read_twice() -> None:
    result = read("-", octets=Path(ECHO).read_bytes())
    assert told(result) == [1]
    assert result.stdout.splitlines()[1:] == read(ECHO).stdout.splitlines()[1:]


def test_a_file_on_standard_input_is_read_from_where_it_stands(tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    longer.write_bytes(b"before it" + Path(ECHO).read_bytes())
    with longer.open("rb", buffering=0) as stream:
        stream.seek(len(b"before it"))
        done = subprocess.run(
            [sys.executable, "-m", "analyzer", "read", "-"], stdin=stream, capture_output=True, text=True, check=True,
            env=os.environ | {"COLUMNS": "100", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    assert done.stdout.splitlines()[1:] == read(ECHO).stdout.splitlines()[1:]


def test_colour_on_request() -> None:
    assert "\x1b[" not in read(ECHO).stdout
    painted = read(ECHO, "--color", "always").stdout
    assert re.sub(r"\x1b\[[\d;]*m", "", painted).split() == read(ECHO).stdout.split()
    assert not re.search(r"\x1b\[[\d;]*(?:3|9)[07]m", painted), "white or black text cannot be read on every background"


def test_ascii_where_there_is_no_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = [cells(line) for line in read(ECHO).stdout.splitlines()]
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: False)
    plain = read(ECHO).stdout
    assert plain.isascii()
    assert [len(line) for line in plain.splitlines()] == widths


@pytest.mark.parametrize(("locale", "is_ascii"), [("C", True), ("C.UTF-8", False)])
def test_the_locale_decides(locale: str, is_ascii: bool) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", "read", ECHO], capture_output=True, check=True,
        env=environment | {"LC_ALL": locale},
    )  # fmt: skip
    assert done.stdout.isascii() is is_ascii


def test_a_cut_capture(tmp_path: Path) -> None:
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(Path(ECHO).read_bytes()[:-5])
    result = read(str(capture))
    assert result.exit_code == 1
    assert "cut.pcap · 9 packets" in result.stdout
    assert "✗ damaged at byte" in result.stdout
    assert re.fullmatch(r"tcpflow-view: warning: .*cut\.pcap: .* \(at byte \d+\)\n", result.stderr)


def test_no_such_file() -> None:
    result = read("/nowhere.pcap")
    assert isinstance(result.exception, CaptureOpenError)
    assert result.stdout == ""


def test_a_payload_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    octets = Path(ECHO).read_bytes().replace(b"clien", b"\x1b[2J\x07")
    capture = tmp_path / "bad\x1b[31m\u202e.pcap"
    capture.write_bytes(octets)
    result = read(str(capture))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.stdout + result.stderr)
    assert "·[2J·" in result.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "analyzer", "read", ECHO],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard output" in done.stderr


def syns(count: int) -> bytes:
    """A capture of so many connections, a SYN each."""
    octets = bytearray.fromhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000")
    for number in range(count):
        octets += bytes.fromhex("00000000 00000000 36000000 36000000") + bytes(12) + bytes.fromhex("0800")
        octets += bytes.fromhex("45000028 00000000 40060000 c0000201 c0000202")
        octets += (40_000 + number).to_bytes(2, "big") + bytes.fromhex("0050 00000001 00000000 5002 0400 0000 0000")
    return bytes(octets)
