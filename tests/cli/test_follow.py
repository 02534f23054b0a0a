"""``tcpflow-view follow``: the sides' octets, what is marked, choosing connections, and whole screens as goldens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import pipeline
from analyzer.cli.follow import command
from analyzer.errors import UsageError
from analyzer.render import screen
from analyzer.render.screen import cells
from analyzer.tables import ACK, FIN, PSH, RST
from tests.cli.spoken import CLIENT, OPENING, SERVER, Said, closing, packets, write

MADE = Path(__file__).parents[2] / "captures" / "made"
ECHO = str(MADE / "loopback-echo-1235.pcap")
THREE = str(MADE / "select-5000.pcapng")
UDP = str(MADE / "echo-udp-23333.pcap")
GREETINGS = "你好，服务器\r\n".encode()


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: True)


def follow(*arguments: str, width: int = 100, octets: bytes | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=octets, env={"COLUMNS": str(width), "NO_COLOR": None})


def troubled(path: Path) -> Path:
    """A capture in which everything goes wrong that can."""
    page = ("<p>第一行 \x1b[31mred\x07 \u202e</p>\r\n" * 90).encode() + b"\xff\xfe\0end"
    return write(path, [
        *OPENING,
        Said(CLIENT, 0, GREETINGS[:4]),
        Said(CLIENT, 4, GREETINGS[4:]),
        Said(SERVER, 0, page[:1460], ACK, ack=20),
        Said(SERVER, 1460, page[1460:2000], ack=20, captured=64),
        Said(CLIENT, 20, b"again\n", ack=2000),
        Said(CLIENT, 20, b"agAIn\n", ack=2000, wait_ns=400_000_000),
        Said(SERVER, 2500, b"after a gap\n", ack=26),
        Said(CLIENT, 26, b"more\r", ack=2512),
        Said(SERVER, 2512, b"x" * 1460, ACK, ack=31),
        Said(SERVER, 3972, b"y" * 1460, ACK, ack=31, wait_ns=1_500_000_000),
        Said(SERVER, 5432, b"z" * 300, ACK, ack=31),
        Said(SERVER, 5732, page[-6:], ack=31),
        Said(CLIENT, 40, b"behind\tthe end", ack=5738),
        *closing(54, 5738),
        Said(CLIENT, 54, b"too late", ack=5739),
        Said(CLIENT, 55, b"because", RST | ACK, ack=5739),
    ])  # fmt: skip


# ---------------------------------------------------------------- screens


@pytest.mark.parametrize("view", ["text", "hex", "messages"])
@pytest.mark.parametrize("name", ["loopback-echo-1235.pcap", "http-get-80.pcap", "echo-udp-23333.pcap", "refused.pcap"])
def test_screens(name: str, view: str, golden: Callable[[str, str], None]) -> None:
    result = follow(str(MADE / name), *([] if view == "text" else [f"--{view}"]), width=80)
    assert (result.exit_code, result.stderr) == (0, "")
    golden(f"follow/{name}.{view}.txt", result.stdout)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("view", ["text", "hex", "messages"])
def test_a_screen_of_trouble(view: str, width: int, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    path = str(troubled(tmp_path / "troubled.pcap"))
    result = follow(path, *([] if view == "text" else [f"--{view}"]), width=width)
    assert (result.exit_code, result.stderr) == (0, "")
    if view != "text":
        assert max(cells(line) for line in result.stdout.splitlines()) <= width
    golden(f"follow/troubled.{view}.{width}.txt", result.stdout)


def test_several_one_after_the_other(golden: Callable[[str, str], None]) -> None:
    golden("follow/select-5000.pcapng.txt", follow(THREE, "-c", "3,1").stdout)


def test_colour_on_request() -> None:
    painted = follow(ECHO, "--color", "always").stdout
    assert "\x1b[36mclien\x1b[0m" in painted
    assert "\x1b[35mhi\x1b[0m" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == follow(ECHO).stdout


@pytest.mark.parametrize("view", [[], ["--hex"], ["--messages"]])
def test_payload_cannot_speak_to_the_terminal(view: list[str], tmp_path: Path) -> None:
    every = bytes(range(256)) + "\x9b31m\u2028\u200b\u202e".encode()
    path = write(tmp_path / "evil.pcap", [*OPENING, Said(CLIENT, 0, every), Said(SERVER, 0, every)])
    result = follow(str(path), *view)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u200b\u202e]", result.stdout)


def test_no_payload_passes_for_a_heading(tmp_path: Path) -> None:
    path = write(tmp_path / "evil.pcap", [*OPENING, Said(CLIENT, 0, "\r\n← response 1 · packet 6\nfine\n".encode())])
    assert not re.search(r"^← response", follow(str(path)).stdout, re.MULTILINE)


def test_a_character_in_two_segments(tmp_path: Path) -> None:
    said = [Said(CLIENT, k, GREETINGS[k : k + 1]) for k in range(len(GREETINGS))]
    result = follow(str(write(tmp_path / "one.pcap", [*OPENING, *said])))
    assert "\n  你好，服务器\n\n The client sent 20 bytes in 20 segments.\n" in result.stdout


def test_octets_that_are_no_text(tmp_path: Path) -> None:
    path = str(write(tmp_path / "one.pcap", [*OPENING, Said(CLIENT, 0, b"\xe4\xbd"), Said(SERVER, 0, b"a\rb\xff\r")]))
    assert "\n  \\xe4\\xbd\n" in follow(path).stdout
    assert "\n  a\\rb\\xff\\r\n" in follow(path).stdout


def test_ascii_where_there_is_no_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(write(tmp_path / "one.pcap", [*OPENING, Said(CLIENT, 0, GREETINGS[:3])]))
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: False)
    result = follow(path)
    assert result.stdout.isascii()
    assert "\n  \\xe4\\xbd\\xa0\n" in result.stdout


# ---------------------------------------------------------------- raw


def test_raw_octets(tmp_path: Path) -> None:
    assert follow(ECHO, "--raw", "client").stdout_bytes == b"clien"
    assert follow(ECHO, "--raw", "server", "-o", "-").stdout_bytes == b"hi"
    out = tmp_path / "out"
    result = follow(ECHO, "--raw", "server", "-o", str(out))
    assert (result.exit_code, result.stdout, result.stderr, out.read_bytes()) == (0, "", "", b"hi")


def test_raw_octets_with_what_is_missing(tmp_path: Path) -> None:
    path = str(troubled(tmp_path / "troubled.pcap"))
    result = follow(path, "--raw", "client")
    assert result.stdout_bytes == GREETINGS + b"again\nmore\rbehind\tthe end"
    assert result.stderr.splitlines() == [
        "tcpflow-view: connection 1, client: packet 9 differs from packet 8 in 2 bytes from byte 22 on: the first "
        "packet counts",
        "tcpflow-view: connection 1, client: 8 bytes of packet 20 left out: after the FIN",
        "tcpflow-view: connection 1, client, byte 31: 9 bytes missing between packets 11 and 16",
    ]
    zeros = follow(path, "--raw", "client", "--zeros")
    assert zeros.stdout_bytes == GREETINGS + b"again\nmore\r" + bytes(9) + b"behind\tthe end"
    assert "between packets 11 and 16, zeros instead" in zeros.stderr
    served = follow(path, "--raw", "server", "--zeros")
    assert len(served.stdout_bytes) == 5738
    assert served.stdout_bytes[1524:2500] == bytes(976)
    assert served.stdout_bytes[2500:2511] == b"after a gap"
    assert "server, byte 1,524: 476 bytes missing: only 64 of 540 bytes of packet 7 were captured" in served.stderr


def test_zeros_for_a_long_gap(tmp_path: Path) -> None:
    said = [*OPENING, Said(CLIENT, 100_000, b"end"), Said(SERVER, 0, b"yes", ack=100_003)]
    result = follow(str(write(tmp_path / "one.pcap", said)), "--raw", "client", "--zeros")
    assert result.stdout_bytes == bytes(100_000) + b"end"


@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark")
@pytest.mark.parametrize("path", sorted(MADE.glob("*.pcap*")), ids=lambda path: path.name)
def test_tshark_says_the_same(path: Path) -> None:
    with pipeline.Run(str(path)) as run:
        for _ in run:
            pass
    tcp = [number for number in range(1, run.count + 1) if run.connections["protocol"][number - 1] == 8]
    for stream, number in enumerate(tcp):
        done = subprocess.run(
            ["tshark", "-r", path, "-q", "-z", f"follow,tcp,raw,{stream}"], capture_output=True, text=True, check=True
        )
        lines = done.stdout.splitlines()[6:-1]
        first = b"".join(bytes.fromhex(line) for line in lines if not line.startswith("\t"))
        second = b"".join(bytes.fromhex(line.strip()) for line in lines if line.startswith("\t"))
        ours = [follow(str(path), "-c", str(number), "--raw", side).stdout_bytes for side in ("client", "server")]
        assert ours in ([first, second], [second, first])


# ---------------------------------------------------------------- choosing


def test_the_only_connection() -> None:
    assert follow(ECHO).stdout == follow(ECHO, "-c", "1").stdout
    assert follow(UDP).stdout == follow(UDP, "-c", "1").stdout


def test_a_filter_leaves_one() -> None:
    assert "48995" in follow(THREE, "port", "48995").stdout


def test_more_than_one_connection() -> None:
    result = follow(THREE)
    assert isinstance(result.exception, UsageError)
    assert re.search(r"more than one TCP connection; choose with -c N \(tcpflow-view read", str(result.exception))
    assert result.stdout == ""


@pytest.mark.parametrize("batch_packets", [1, 16_384])
def test_one_connection_among_datagrams(batch_packets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PACKETS", batch_packets)
    said = [*OPENING, Said(CLIENT, 0, b"asked"), *closing(5, 0)]
    path = write(tmp_path / "mixed.pcap", said)
    path.write_bytes(path.read_bytes()[:24] + datagram(7) + datagram(8) + packets(said))
    assert "\n  asked\n" in follow(str(path)).stdout
    only = tmp_path / "datagrams.pcap"
    only.write_bytes(path.read_bytes()[:24] + datagram(7))
    assert "\n  hello\n" in follow(str(only)).stdout
    only.write_bytes(path.read_bytes()[:24] + datagram(7) + datagram(8))
    assert "no TCP connection, but 2 UDP conversations" in str(follow(str(only)).exception)


def test_nothing_to_follow() -> None:
    assert "there is no connection to follow" in str(follow(ECHO, "port", "9").exception)


def test_a_number_that_is_not_there() -> None:
    result = follow(THREE, "-c", "2,4")
    assert "no connection 4; the last one is 3" in str(result.exception)
    assert "48995" in result.stdout
    result = follow(THREE, "-c", f"2-{10**30}")
    assert f"no connection {10**30}" in str(result.exception)
    assert result.stdout == follow(THREE, "-c", "2-3").stdout


@pytest.mark.parametrize("batch_packets", [1, 5, 16_384])
@pytest.mark.parametrize("chosen", ["1-3", "3,2,1", "1,3", "2"])
def test_connections_that_come_mixed(chosen: str, batch_packets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = sorted({"1-3": {1, 2, 3}, "3,2,1": {1, 2, 3}, "1,3": {1, 3}, "2": {2}}[chosen])
    alone = "".join(follow(THREE, "-c", str(number)).stdout for number in numbers)
    monkeypatch.setattr(pipeline, "BATCH_PACKETS", batch_packets)
    assert follow(THREE, "-c", chosen).stdout == alone


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--hex", "--raw", "client"], "choose one"), (["--messages", "--hex"], "choose one"),
        (["--zeros"], "goes with --raw"), (["-c", "x"], "give numbers"), (["-o", ECHO], "the capture itself"),
        (["-o", "/nowhere/out"], "cannot write there"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(arguments: list[str], reason: str) -> None:
    result = follow(ECHO, *arguments)
    assert isinstance(result.exception, UsageError)
    assert reason in str(result.exception)


def test_raw_octets_do_not_go_to_a_terminal_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.cli.follow.is_terminal", lambda out: True)
    assert "-o FILE says where to" in str(follow(ECHO, "--raw", "client").exception)
    assert follow(ECHO, "--raw", "client", "-o", "-").stdout_bytes == b"clien"


# ---------------------------------------------------------------- where from, where to


def test_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", "follow", "-", "-c", "1", "--raw", "server"],
        input=Path(ECHO).read_bytes(), capture_output=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"hi", b"")


def test_text_in_a_file(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    assert follow(ECHO, "-o", str(out)).stdout == ""
    assert out.read_text() == follow(ECHO).stdout


def test_a_cut_capture(tmp_path: Path) -> None:
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(Path(ECHO).read_bytes()[:-5])
    result = follow(str(capture))
    assert result.exit_code == 1
    assert "\n  clien\n" in result.stdout
    assert "at byte" in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_told() -> None:
    result = follow(ECHO, "-o", "/dev/full")
    assert isinstance(result.exception, UsageError)
    assert "cannot write" in str(result.exception)


def test_a_fin_ends_a_write(tmp_path: Path) -> None:
    said = [*OPENING, Said(CLIENT, 0, b"a" * 1460, ACK), Said(CLIENT, 1460, b"b" * 1460, FIN | ACK)]
    rows = follow(str(write(tmp_path / "one.pcap", said)), "--messages").stdout.splitlines()
    assert [row[21:28] for row in rows[5:7]] == ["      ╷", "FIN   ╵"]


def test_an_octet_pushed(tmp_path: Path) -> None:
    """A capture that begins late says so."""
    result = follow(str(write(tmp_path / "late.pcap", [Said(CLIENT, 70, b"x", PSH | ACK), Said(SERVER, 9, b"yes")])))
    assert "[ what the client sent before packet 1 was not captured ]\n→ request 1 · packet 1\n  x\n" in result.stdout


def datagram(port: int) -> bytes:
    """The record of a packet to this port."""
    udp = bytes([0x9C, 0x40]) + port.to_bytes(2, "big") + bytes([0, 13, 0, 0]) + b"hello"
    ip = bytes.fromhex("45000021 00000000 40110000 c0000201 c0000202")
    return bytes(8) + (33).to_bytes(4, "little") * 2 + ip + udp
