"""``tcpflow-view run``: every socket call once, in order, with its packets; and the program as if nobody watched it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import scapy.arch.linux  # noqa: F401 (a namespace that ends has scapy list the interfaces)

from analyzer.cli import straced
from analyzer.explain.seen_calls import SeenCalls, Sided
from analyzer.explain.tying import Tie
from analyzer.pipeline import lives, survey
from analyzer.strace.sockets import Deed
from analyzer.tables import Protocol, Side
from tests.capture.namespaces import PATIENCE, namespace, needs_root, needs_tcpdump

ROOT = Path(__file__).parents[2]
TALK = ROOT / "tests" / "strace" / "talk.py"
PORT = 1235

PHP_SERVER = """<?php
$server = socket_create(AF_INET, SOCK_STREAM, 0);
socket_set_option($server, SOL_SOCKET, SO_REUSEADDR, 1);
socket_bind($server, "127.0.0.1", 1235);
socket_listen($server, 5);
for ($i = 0; $i < 2; $i++) {
    $connection = socket_accept($server);
    $said = socket_read($connection, 128);
    socket_write($connection, "hi", 2);
    socket_write($connection, "ho", 2);
    socket_close($connection);
}
socket_close($server);
"""
"""A server like the articles'."""

PYTHON_SERVER = """
import socket
with socket.socket() as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", 1235))
    server.listen(5)
    for _ in range(2):
        connection, _ = server.accept()
        connection.recv(128)
        connection.sendall(b"hi")
        connection.sendall(b"ho")
        connection.close()
"""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
needs_php = pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed")


@pytest.fixture(autouse=True)
def loopback() -> Iterator[None]:
    with namespace():
        yield


def words(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "analyzer", "run", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"} | more


def run(*arguments: object, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words(*arguments), env=environment(**more), input=stdin, capture_output=True, text=True, timeout=3 * PATIENCE,
        check=False,
    )  # fmt: skip
    assert "Traceback (most recent" not in done.stderr
    return done


def ask(port: int = PORT) -> None:
    """A client: says something and reads to the end."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(b"clien")
            while client.recv(128):
                pass
            return
        time.sleep(0.02)  # until it listens
    raise AssertionError("nobody listens")


def simply_read(log: Path) -> dict[int, list[str]]:
    """An independent reading of a log of ``-f -yy -o``: for each process the names of its calls on TCP sockets."""
    found: dict[int, list[str]] = defaultdict(list)
    for line in log.read_text(errors="replace").splitlines():
        if match := re.match(r"(\d+) +[\d.]+ (\w+)\((\d+<TCP[^,>]*|AF_INET6?, SOCK_STREAM)", line):
            found[int(match[1])].append(match[2])
    return dict(found)


def live_calls(shown: str) -> dict[int, list[str]]:
    """The calls in the lines that are shown while the program runs."""
    found: dict[int, list[str]] = defaultdict(list)
    for pid, name in re.findall(r"^ {4} *\d* +\d\d:\d\d:\d\d\.\d+ \S+ \((\d+)\): ([a-z0-9_]+)", shown, re.MULTILINE):
        found[int(pid)].append(name)
    return dict(found)


def packets_of(capture: Path) -> dict[tuple[int, int], list[tuple[int, str, int, int]]]:
    """An independent reading of a capture: of each two ports what the first sent: number, flags, octets from and to."""
    command = ["tcpdump", "-nr", str(capture)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[tuple[int, int], list[tuple[int, str, int, int]]] = defaultdict(list)
    for number, line in enumerate(lines, 1):
        head = re.search(r" IP6? \S+\.(\d+) > \S+\.(\d+): Flags \[([^\]]*)\]", line)
        assert head
        octets = re.search(r"seq (\d+):(\d+)", line)
        start, end = (int(octets[1]), int(octets[2])) if octets and "S" not in head[3] else (0, 0)
        found[int(head[1]), int(head[2])].append((number, head[3], start, end))
    return dict(found)


def check(capture: Path, log: Path, shown: str) -> None:
    """Every call once, in order, and each with the packets that simple arithmetic gives it."""
    expected = simply_read(log)
    live = live_calls(shown)
    assert live == expected, {pid: (live.get(pid), expected.get(pid)) for pid in live.keys() | expected.keys()}
    run = survey(str(capture))
    rows = run.connections[: run.count]
    numbers = rows["number"].tolist()
    seen = SeenCalls(straced.read_logs([str(log)]), rows)
    seen.tie(lives(str(capture), "", numbers), dict.fromkeys(numbers, Protocol.TCP))
    ties = [(number, sided, tie) for number in numbers for sided in seen.sided(number) for tie in sided.ties]
    told = [tie.seen.call for _, _, tie in ties if tie.seen.deed != Deed.EXIT]
    told += [call.call for _, call in seen.apart()]
    by_process: dict[int, list[str]] = defaultdict(list)
    for call in sorted(told, key=lambda call: call.line):
        by_process[call.pid].append(call.name)
    assert by_process == expected
    summary = shown[shown.index("no.  seconds") :]
    for name in {name for names in expected.values() for name in names}:
        shown_times = len(re.findall(rf"\b{name}\b", summary))
        assert shown_times >= sum(names.count(name) for names in expected.values())
    sent = packets_of(capture)
    for number, sided, tie in ties:
        row = rows[numbers.index(number)]
        ports = int(row["client_port"]), int(row["server_port"])
        mine, theirs = (sent[ports[:: 1 if side == Side.CLIENT else -1]] for side in (sided.side, 1 - sided.side))
        all_packets = seen.packets(number)
        caused, needed = ([all_packets[at].number for at in some] for some in (tie.caused, tie.needed))
        start, end = tie.start + 1, tie.start + 1 + tie.seen.octets
        if tie.seen.deed == Deed.WRITE:
            assert caused == [n for n, _, a, b in mine if a < end and b > start]
        elif tie.seen.deed == Deed.READ and tie.seen.octets:
            assert needed == [n for n, _, a, b in theirs if a < end and b > start]
        elif tie.seen.deed == Deed.CONNECT:
            assert caused == [n for n, flags, _, _ in mine if flags == "S"]
        elif tie.seen.deed == Deed.SHUTDOWN or (tie.seen.deed == Deed.CLOSE and tie.caused):
            assert caused == [n for n, flags, _, _ in mine if "F" in flags]
    ends = [tie for _, sided, tie in ties if tie.seen.deed in (Deed.CLOSE, Deed.SHUTDOWN) and tie.caused]
    assert len(ends) == sum(
        "F" in flags for pair, some in sent.items() for _, flags, _, _ in some if pair in _watched(ties)
    )
    offset = seen.offsets[0]
    assert offset.ns == 0
    assert not offset.is_contradictory


def _watched(ties: list[tuple[int, Sided, Tie]]) -> set[tuple[int, int]]:
    """The ports, its own first, of the sockets whose calls were seen."""
    sockets = [tie.seen.socket for _, _, tie in ties if tie.seen.deed in (Deed.READ, Deed.WRITE)]
    return {(one.local[1], one.remote[1]) for one in sockets if one.local and one.remote}


def ran_with_clients(tmp_path: Path, *program: str) -> None:
    capture, log, shown = (tmp_path / name for name in ("a.pcap", "a.log", "shown.txt"))
    command = words("--port", PORT, "-w", capture, "--strace-log", log, "-o", shown, "--all", "--", *program)
    with subprocess.Popen(command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as one:
        ask()
        ask()
        out, err = one.communicate(timeout=3 * PATIENCE)
    assert (one.returncode, out, err) == (0, "", "")
    check(capture, log, shown.read_text())


@needs_root
@needs_strace
@needs_tcpdump
@needs_php
def test_a_php_server(tmp_path: Path) -> None:
    (tmp_path / "server.php").write_text(PHP_SERVER)
    ran_with_clients(tmp_path, "php", str(tmp_path / "server.php"))


@needs_root
@needs_strace
@needs_tcpdump
def test_a_python_server(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(PYTHON_SERVER)
    ran_with_clients(tmp_path, sys.executable, str(tmp_path / "server.py"))


@needs_root
@needs_strace
@needs_tcpdump
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_ends_without_a_port(tmp_path: Path, address: str) -> None:
    capture, log = tmp_path / "a.pcap", tmp_path / "a.log"
    done = run("-w", capture, "--strace-log", log, "--all", "--", sys.executable, TALK, address)
    assert (done.returncode, done.stdout) == (0, "")
    check(capture, log, done.stderr)
    assert "TCP keeps no boundaries between messages" in " ".join(done.stderr.split())


@needs_root
@needs_strace
def test_only_its_own_connections_are_shown(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(PYTHON_SERVER)
    shown = tmp_path / "shown.txt"
    with (
        socket.socket() as other,
        subprocess.Popen(words("-o", shown, "--", sys.executable, tmp_path / "server.py"), env=environment()) as one,
    ):
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ask()
        with socket.create_connection(other.getsockname()):
            pass
        ask()
        assert one.wait(3 * PATIENCE) == 0
    text = shown.read_text()
    assert not re.search(rf"[.:]{port}\b", text)
    assert len(re.findall(r"^ +\d+  127\.0\.0\.1:\d+  127\.0\.0\.1:1235 ", text, re.MULTILINE)) == 2


UDP_SERVER = """
import socket
with socket.socket(socket.{family}, socket.SOCK_DGRAM) as server:
    server.bind(("{address}", 1235))
    print("ready", flush=True)
    for _ in range(5):
        said, peer = server.recvfrom(100)
        server.sendto(said.upper() + b"!", peer)
"""


@needs_root
@needs_strace
@needs_tcpdump
@pytest.mark.parametrize(("family", "address"), [("AF_INET", "0.0.0.0"), ("AF_INET6", "::")])
@pytest.mark.parametrize("is_port_named", [True, False])
def test_a_udp_server_with_two_clients(tmp_path: Path, family: str, address: str, is_port_named: bool) -> None:
    capture, log, shown = (tmp_path / name for name in ("a.pcap", "a.log", "shown.txt"))
    port = ("--port", PORT) if is_port_named else ()
    program = tmp_path / "server.py"
    program.write_text(UDP_SERVER.format(family=family, address=address))
    command = words(*port, "-w", capture, "--strace-log", log, "-o", shown, "--", sys.executable, program)
    version = getattr(socket, family)
    said: dict[int, list[int]] = defaultdict(list)
    with (
        socket.socket(version, socket.SOCK_DGRAM) as one,
        socket.socket(version, socket.SOCK_DGRAM) as two,
        subprocess.Popen(command, env=environment(), text=True, stdout=subprocess.PIPE) as running,
    ):
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        for client, octets in ((one, b"a"), (two, b"bb"), (two, b""), (one, b"cccc"), (two, b"d")):
            client.settimeout(PATIENCE)
            client.sendto(octets, ("127.0.0.1" if version == socket.AF_INET else "::1", PORT))
            assert client.recv(100) == octets.upper() + b"!"
            said[client.getsockname()[1]] += [len(octets), len(octets) + 1]
        assert running.wait(3 * PATIENCE) == 0
    run = survey(str(capture))
    rows = run.connections[: run.count]
    assert {int(row["client_port"]) for row in rows} == said.keys()
    seen = SeenCalls(straced.read_logs([str(log)]), rows)
    numbers = rows["number"].tolist()
    seen.tie(lives(str(capture), "", numbers), dict.fromkeys(numbers, Protocol.UDP))
    for row in rows:
        [sided] = seen.sided(int(row["number"]))
        talk = [tie for tie in sided.ties if tie.seen.deed in (Deed.READ, Deed.WRITE)]
        assert sided.side == Side.SERVER
        assert [tie.seen.octets for tie in talk] == said[int(row["client_port"])]
        assert [at for tie in talk for at in (*tie.needed, *tie.caused)] == list(range(len(talk)))
    text = shown.read_text()
    [names] = live_calls(text).values()
    assert names == ["socket", "bind", *["recvfrom", "sendto"] * 5, "close"]
    summary = text[text.index("no.  seconds") :]
    assert len(re.findall(r"\bsendto\b", summary)) == len(re.findall(r"\brecvfrom\b", summary)) == 5
    assert "Calls beside no connection" not in summary


# ---------------------------------------------------------------- what goes wrong with servers

DEAF_SERVER = """
import socket, sys
with socket.create_server(("127.0.0.1", 1235), backlog=0):
    print("ready", flush=True)
    sys.stdin.read()
"""


@needs_root
@needs_strace
def test_a_server_that_never_accepts(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(DEAF_SERVER)
    shown = tmp_path / "shown.txt"
    command = words("-o", shown, "--", sys.executable, tmp_path / "server.py")
    with subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        with socket.create_connection(("127.0.0.1", PORT), PATIENCE), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(("127.0.0.1", PORT))
            one.communicate(timeout=3 * PATIENCE)
    lines = shown.read_text()
    text = " ".join(lines.split())
    assert "listens on port 1235 (backlog 0) and never called accept(): 1 connection waited" in text
    assert "1 found the queue full" in text
    assert "call close() while the connection waited in the accept queue" in text
    assert "the host is down" not in text
    assert "accept() not called" in lines
    assert "listen(0) = 0" in lines
    assert "accept can return" not in text
    assert "None of these calls" not in text
    assert "clock" not in text
    assert "getsockname" not in lines[lines.index("no.  seconds") :]


@needs_root
@needs_strace
@pytest.mark.parametrize("is_set", [False, True])
def test_a_port_that_time_wait_keeps(tmp_path: Path, is_set: bool) -> None:
    program = (
        "import socket\n"
        "server = socket.socket()\n"
        f"server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, {is_set:d})\n"
        "server.bind(('127.0.0.1', 1235))\n"
        "server.listen()\n"
        "connection, _ = server.accept()\n"
        "connection.close()\n"
    )
    (tmp_path / "server.py").write_text(program)
    shown = tmp_path / "shown.txt"
    with subprocess.Popen(words("-o", shown, "--", sys.executable, tmp_path / "server.py"), env=environment()) as one:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", PORT), PATIENCE) as client:
                assert client.recv(1) == b""
                break
            time.sleep(0.02)  # until it listens
        assert one.wait(3 * PATIENCE) == 0
    text = " ".join(shown.read_text().split())
    assert "TIME-WAIT at the end of the capture: the server 127.0.0.1:1235 holds 1" in text
    assert ("strace saw it set SO_REUSEADDR" in text) == is_set
    assert ("strace saw that it did not set SO_REUSEADDR" in text) == (not is_set)
    (tmp_path / "again.py").write_text(
        "import contextlib, socket\nwith contextlib.suppress(OSError):\n    socket.socket().bind(('127.0.0.1', 1235))\n"
    )
    again = run("--", sys.executable, tmp_path / "again.py")
    text = " ".join(again.stderr.split())
    assert (
        "could not bind() TCP port 1235: EADDRINUSE. Earlier connections of that port still have it: 1 × TIME" in text
    )
    assert "strace saw no SO_REUSEADDR on this socket: set it before bind(), in every server." in text
    assert "· 0 packets" in text
    assert "None of these calls" not in text


# ---------------------------------------------------------------- the program as if nobody watched it


@needs_root
@needs_strace
def test_input_output_and_status_pass_through() -> None:
    program = "import sys; print(sys.stdin.read().upper()); print('oops', file=sys.stderr); sys.exit(3)"
    done = run("--", sys.executable, "-c", program, stdin="hello")
    assert (done.returncode, done.stdout) == (3, "HELLO\n")
    assert "oops\n" in done.stderr
    assert "exit status 3" in done.stderr


@needs_root
@needs_strace
def test_a_signal_that_ends_the_program_is_its_status() -> None:
    assert run("--", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


@needs_root
@needs_strace
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_go_to_the_program(tmp_path: Path, number: signal.Signals) -> None:
    program = (
        "import signal, sys\n"
        "for number in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(number, lambda number, _: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    shown = tmp_path / "shown.txt"
    command = words("-o", shown, "--", sys.executable, "-c", program)
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        one.send_signal(number)
        assert one.wait(PATIENCE) == 7
    assert "exit status 7" in shown.read_text()


@needs_root
@needs_strace
def test_a_program_that_is_not_there_is_said() -> None:
    done = run("--", "no-such-program")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tcpflow-view: run: no-such-program: there is no such program\n"


@needs_root
def test_without_strace_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'started')!r}, 'w')"
    done = run("--", sys.executable, "-c", program, PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "apt install strace, dnf install strace" in done.stderr
    assert not (tmp_path / "started").exists()


@needs_root
@needs_strace
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_without_the_right_to_capture_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    command = ["setpriv", "--inh-caps=-all", "--bounding-set=-net_raw,-net_admin"]
    program = "touch", str(tmp_path / "started")
    command += words("--port", PORT, "--", *program)
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("tcpflow-view: run: no permission to capture. Run it as root")
    assert f"--port {PORT} -- {' '.join(program)}" in done.stderr
    assert not (tmp_path / "started").exists()


@needs_root
@needs_strace
@pytest.mark.skipif(shutil.which("id") is None, reason="id is not installed")
def test_a_program_of_another_user() -> None:
    done = run("--user", "nobody", "--", "sh", "-c", "id -un; echo $USER; exit 4")
    assert (done.returncode, done.stdout) == (4, "nobody\nnobody\n")
    done = run("--user", "no-such-user", "--", "true")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tcpflow-view: --user no-such-user: there is no such user\n"


@needs_root
@needs_strace
def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    done = run("-o", tmp_path / "no" / "such", "--", "true")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = run("--strace-log", tmp_path / "no" / "such", "--", "true")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
