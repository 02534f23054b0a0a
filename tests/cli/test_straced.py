"""``--strace`` of read and timeline."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import read, timeline
from analyzer.errors import UsageError
from analyzer.pipeline import survey
from analyzer.render import screen
from analyzer.render.screen import cells
from tests.cli.spoken import CLIENT as ASKING
from tests.cli.spoken import OPENING, SERVER, Said, write
from tests.explain.test_seen_calls import ECHO, LISTEN, TIMES

CLIENT = """\
8 1606832621.475000 socket(AF_INET, SOCK_STREAM, 0) = 3
8 1606832621.475400 connect(3, {sa_family=AF_INET, sin_port=htons(1235), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
8 1606832621.476050 write(3, "c", 1) = 1
8 1606832621.476060 write(3, "lien", 4) = 4
8 1606832621.476070 recvfrom(3, "hi", 128, 0, NULL, NULL) = 2
8 1606832621.482190 close(3) = 0
"""


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: True)


@pytest.fixture
def server(tmp_path: Path) -> str:
    path = tmp_path / "server.log"
    program = '7 1606832599.000000 execve("/usr/bin/php", ["php", "server1.php"], 0x7f /* 9 vars */) = 0\n'
    path.write_text(program + LISTEN.format(*TIMES))
    return str(path)


@pytest.fixture
def client(tmp_path: Path) -> str:
    path = tmp_path / "client.log"
    path.write_text(CLIENT)
    return str(path)


def shown(command: object, *arguments: str, width: int = 100) -> Result:
    result = CliRunner().invoke(command, arguments, env={"COLUMNS": str(width), "NO_COLOR": None})  # type: ignore[arg-type]
    if result.exception and not isinstance(result.exception, UsageError | SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("width", [80, 100, 140])
def test_both_programs_in_their_columns(server: str, client: str, width: int) -> None:
    result = shown(read.command, ECHO, "--strace", server, "--strace", client, width=width)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert all(cells(line) <= width for line in lines)
    order = ("bind 0.0.0.0:1235", "accept() = 5", "recvfrom 128 bytes = 5", "write 2 bytes = 2")
    at = [next(k for k, line in enumerate(lines) if words in line) for words in order]
    assert at == sorted(at)
    assert "server1.php (7)" in result.stdout
    assert "inferred" not in result.stdout
    assert "2 writes of 1, 4 bytes → 1 segment (4) → 1 read of 5 bytes" in result.stdout
    assert "One read got what several writes had written" in result.stdout
    told = f"{server}: 8 calls on TCP and UDP sockets; its clock is that of the capture, to"
    assert "".join(told.split()) in "".join(result.stdout.split())


def test_one_program_alone_leaves_the_other_inferred(server: str) -> None:
    result = shown(read.command, ECHO, "--strace", server)
    assert "The client's socket calls are inferred from the packets" in " ".join(result.stdout.split())


def test_a_line_that_cannot_be_read_is_told(server: str) -> None:
    with open(server, "a", encoding="utf-8") as file:
        file.write("nonsense \x1b[31m\nmore of it\n")
    text = " ".join(shown(read.command, ECHO, "--strace", server).stdout.split())
    assert "2 lines of it could not be read, the first is line 11: nonsense" in text
    assert "\x1b" not in text


def test_a_log_of_something_else_is_told(tmp_path: Path) -> None:
    log = tmp_path / "other.log"
    log.write_text(LISTEN.format(*TIMES).replace("48994", "1"))
    text = " ".join(shown(read.command, ECHO, "--strace", str(log)).stdout.split())
    assert "None of these calls belongs to a connection of this capture." in text
    assert "no packet tells how its clock and that of the capture differ" in text


def test_a_log_that_is_not_there() -> None:
    result = shown(read.command, ECHO, "--strace", "/no/such")
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "--strace /no/such: No such file or directory"


def test_logs_of_strace_ff_are_one(tmp_path: Path, server: str, client: str) -> None:
    for path, pid in ((server, 7), (client, 8)):
        lines = Path(path).read_text().splitlines(keepends=True)
        (tmp_path / f"both.{pid}").write_text("".join(line[2:] for line in lines))
    result = shown(read.command, ECHO, "--strace", str(tmp_path / "both"))
    assert "inferred" not in result.stdout
    assert "both: 14 calls on TCP and UDP sockets" in " ".join(result.stdout.split())


def test_another_clock_is_told(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(LISTEN.format(*(f"{float(time) - 3_600:.6f}" for time in TIMES)))
    text = " ".join(shown(read.command, ECHO, "--strace", str(log)).stdout.split())
    assert "its clock is 1h 00m behind that of the capture, to" in text


def test_the_timeline_has_them_too(server: str, client: str) -> None:
    result = shown(timeline.command, ECHO, "--strace", server, "--strace", client)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line for line in lines if "client: write 1 byte = 1 · client: write 4 bytes = 4" in line]
    assert [line for line in lines if "server: accept() = 5" in line]
    assert shown(timeline.command, "--tcpdump", ECHO, "--strace", server).exit_code != 0


def test_what_the_calls_tell_takes_the_place_of_what_the_wire_leaves_open(tmp_path: Path) -> None:
    said = [*OPENING, Said(ASKING, 0, b"hello"), Said(SERVER, 0, flags=0x14, ack=5)]
    capture = str(write(tmp_path / "a.pcap", said))
    row = survey(capture).connections[0]
    address = socket.inet_ntoa(int(row["address"][3]).to_bytes(4))
    peer = f'{{sa_family=AF_INET, sin_port=htons({row["client_port"]}), sin_addr=inet_addr("{address}")}}'
    log = tmp_path / "server.log"
    log.write_text(
        "1 socket(AF_INET, SOCK_STREAM, 0) = 3\n1 listen(3, 5) = 0\n"
        f'1 accept(3, {peer}, [16]) = 4\n1 read(4, "he", 2) = 2\n1 close(4) = 0\n'
    )
    left_open = " ".join(shown(read.command, capture).stdout.split())
    assert "wire does not tell which" in left_open
    text = " ".join(shown(read.command, capture, "--strace", str(log)).stdout.split())
    assert "strace saw process 1 call close() while 3 bytes that had come were unread." in text
    assert "does not tell" not in text
    assert "SO_LINGER 0" not in text


LATER = """\
9 1606832622.000000 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
9 1606832622.000100 bind(3, {{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr("0.0.0.0")}}, 16) = {}
"""
IN_USE = "-1 EADDRINUSE (Address already in use)"


def test_calls_of_listening_sockets_are_named_and_those_that_only_ask_are_not(server: str) -> None:
    *called, ended = Path(server).read_text().splitlines(keepends=True)
    asks = (
        "7 1606832621.482400 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 6\n"
        "7 1606832621.482500 getsockname(6, {sa_family=AF_INET, sin_port=htons(0)}, [16]) = 0\n"
    )
    Path(server).write_text("".join([*called, asks, ended]))
    text = shown(read.command, ECHO, "--strace", server).stdout
    assert "server1.php (7): close 4, the listening socket = 0\n" in text
    assert "getsockname" not in text
    assert "  … 1 more call; --all shows it\n" in text
    assert "getsockname = 0" in shown(read.command, ECHO, "--strace", server, "--all").stdout


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (
            1235,
            "process 9 could not bind() TCP port 1235: EADDRINUSE. Earlier connections of that port still have it: 1 ×",
        ),
        (99, "process 9 could not bind() TCP port 99: EADDRINUSE. Another socket has the port (ss -tanp shows which)"),
    ],
)
def test_a_port_in_use_is_explained(server: str, port: int, expected: str) -> None:
    with open(server, "a", encoding="utf-8") as file:
        file.write(LATER.format(port, IN_USE))
    text = " ".join(shown(read.command, ECHO, "--strace", server).stdout.split())
    assert f"✗ {expected}" in text
    assert text.index(expected) < text.index("client server packets")
    assert "strace saw that it did not set SO_REUSEADDR: until then a new server's bind() to port 1235" in text
