"""``tcpflow-view live`` as it is called, in a network namespace of its own; and ``interfaces``."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import scapy.arch.linux  # noqa: F401 (a namespace that ends has scapy list the interfaces)

from analyzer.cli.shown import most_telling
from analyzer.pipeline import Run
from analyzer.tables import Event
from tests.capture.namespaces import PATIENCE, ip, namespace, needs_root, pair, within

ROOT = Path(__file__).parents[2]
PORT = 1235


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"TZ": "UTC0", "LC_ALL": "C.UTF-8", "TCPFLOW_VIEW_JIT": "never", "COLUMNS": "100"} | more


def words(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "analyzer", *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def live(*arguments: object, file_size: int = 0) -> Iterator[subprocess.Popen[str]]:
    """``live`` with these arguments, when it listens; killed in the end if it is still there."""

    def limit() -> None:
        if file_size:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    with subprocess.Popen(
        words("live", *arguments), cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, preexec_fn=limit,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("tcpflow-view: listening on ")
            yield process
        finally:
            process.kill()


@pytest.fixture
def loopback() -> Iterator[None]:
    with namespace():
        yield


def converse(port: int = PORT, address: str = "127.0.0.1", there: int = -1) -> None:
    """The article's conversation: ten packets or a few more, the server closes first."""
    with socket.socket() if there < 0 else made_in(there) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        with socket.create_connection((address, port), PATIENCE) as client, server.accept()[0] as accepted:
            client.sendall(b"clien")
            accepted.recv(128)
            accepted.sendall(b"hi")
            client.recv(128)
            accepted.close()
            client.recv(128)


def made_in(there: int) -> socket.socket:
    with within(there):
        return socket.socket()


def next_lines(process: subprocess.Popen[str], last: str) -> list[str]:
    """Lines of its output up to the first in which a pattern is found."""
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    while not re.search(last, lines[-1]):
        assert lines[-1], "".join(lines)
        lines.append(process.stdout.readline())
    return lines


LAST = r"CLOSED +TIME-WAIT"
"""Both ends' states after the conversation's last packet."""


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its status, and the rest of what it wrote."""
    out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    return process.returncode, out, err


# ---------------------------------------------------------------- lines and the summary


@needs_root
@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("name", ["saved.pcap", "saved.pcapng"])
def test_what_is_told_is_what_read_tells_of_the_saved_file(tmp_path: Path, name: str) -> None:
    saved = tmp_path / name
    with live("-i", "lo", "-w", saved, "--count", 8, "port", PORT) as process:
        converse()
        status, out, err = ended(process)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[:8] == run("timeline", saved).stdout.splitlines()
    assert lines[8] == ""
    first, *rest = run("read", saved).stdout.splitlines()
    assert lines[9] == first.replace(name, "lo")
    ladder = max(k for k, line in enumerate(rest) if line.startswith("▌")) + 1
    assert ladder > 15
    assert lines[10 : 10 + ladder] == rest[:ladder]
    assert lines[-1] == f" 8 packets saved to {saved}"


@needs_root
@pytest.mark.usefixtures("loopback")
def test_a_line_comes_with_its_packet() -> None:
    """While the program goes on, and so nothing waits for more."""
    with live("-i", "lo", "port", PORT) as process:
        for _ in range(2):
            converse()
            assert next_lines(process, LAST)
        assert process.poll() is None


@needs_root
@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_the_summary(tmp_path: Path, number: signal.Signals) -> None:
    saved = tmp_path / "saved.pcap"
    with live("-i", "lo", "-w", saved, "tcp port 1235 or tcp port 1236") as process:
        converse()
        packets = len(next_lines(process, LAST))
        process.send_signal(number)
        status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert f"lo · {packets} packets · " in out
    assert "The server closed first" in out
    assert len(run("timeline", saved).stdout.splitlines()) == packets


@needs_root
@pytest.mark.usefixtures("loopback")
def test_many_connections_are_a_table() -> None:
    with live("-i", "lo", "--check-kernel") as process:
        for port in range(PORT, PORT + 7):
            converse(port)
            next_lines(process, LAST)
        process.send_signal(signal.SIGINT)
        status, out, _ = ended(process)
    assert status == 0
    assert len(re.findall(r"server closed +SF", out)) == 7
    assert "closed first" not in out
    assert " kernel: " in out


@needs_root
@pytest.mark.usefixtures("loopback")
def test_connections_are_let_go() -> None:
    with live("-i", "lo", "--max-connections", 4) as process:
        for port in range(PORT, PORT + 9):
            converse(port)
            next_lines(process, LAST)
        process.send_signal(signal.SIGINT)
        status, out, _ = ended(process)
    assert status == 0
    assert "· 9 TCP connections ·" in out
    told = [int(number) for number in re.findall(r"^ (\d) .* server closed +SF$", out, re.MULTILINE)]
    assert told == list(range(10 - len(told), 10))
    assert len(told) <= 4
    assert f" {9 - len(told)} connections let go before the end, to keep at most 4 (--max-connections): " in out
    assert f"{9 - len(told)} server closed; {10 * (9 - len(told))} packets, " in out


@needs_root
@pytest.mark.usefixtures("loopback")
def test_who_listens_is_the_server() -> None:
    """Although neither the SYN nor the ports tell it."""
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("127.0.0.1", PORT))
        client.connect(server.getsockname())
        with server.accept()[0] as accepted, live("-i", "lo", "--count", 2) as process:
            accepted.sendall(b"hi")
            status, out, _ = ended(process)
        port = server.getsockname()[1]
    assert status == 0
    assert f" 1  127.0.0.1:{PORT} → 127.0.0.1:{port} " in out


@needs_root
@pytest.mark.usefixtures("loopback")
def test_a_duration() -> None:
    with live("-i", "lo", "--duration", "0.2") as process:
        assert ended(process) == (0, "lo · 0 packets · 0 TCP connections · complete\n", "")


@needs_root
@pytest.mark.usefixtures("loopback")
def test_who_reads_has_seen_enough(tmp_path: Path) -> None:
    saved = tmp_path / "saved.pcap"
    with live("-i", "lo", "-w", saved, "port", PORT) as process:
        assert process.stdout is not None
        process.stdout.close()
        converse()
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert run("timeline", saved).returncode == 0


@needs_root
@pytest.mark.usefixtures("loopback")
def test_the_programs_are_named() -> None:
    with (
        live("-i", "lo", "port", PORT) as process,
        socket.create_server(("127.0.0.1", PORT)) as server,
        socket.create_connection(("127.0.0.1", PORT)),
        server.accept()[0],
    ):
        next_lines(process, "ESTABLISHED +ESTABLISHED")
        process.send_signal(signal.SIGINT)
        _, out, _ = ended(process)
    assert re.search(rf"client\s+was\s+\S+\s+\({os.getpid()}\)", out)


@needs_root
@pytest.mark.usefixtures("loopback")
def test_files_of_bounded_size(tmp_path: Path) -> None:
    rotation = "--rotate-size", 0.001, "--rotate-files", 2
    with live("-i", "lo", "-w", tmp_path / "a.pcap", *rotation, "port", PORT) as process:
        for _ in range(5):
            converse()
            next_lines(process, LAST)
        process.send_signal(signal.SIGINT)
        status, out, _ = ended(process)
    first, second = sorted(tmp_path.iterdir())
    assert (status, f" saved, the latest to {first} … {second}" in out) == (0, True)
    assert max(first.stat().st_size, second.stat().st_size) <= 1_000
    assert run("timeline", second).returncode == 0


# ---------------------------------------------------------------- how else it ends


@needs_root
def test_an_interface_that_goes_down() -> None:
    with pair(), live("-i", "near") as process:
        ip("link", "set", "near", "down")
        status, out, err = ended(process)
    assert (status, err) == (1, "tcpflow-view: warning: near: the interface went down\n")
    assert out.splitlines()[-1].startswith("near · ")


@needs_root
@pytest.mark.usefixtures("loopback")
def test_a_full_disk(tmp_path: Path) -> None:
    saved = tmp_path / "saved.pcap"
    with live("-i", "lo", "-w", saved, "port", PORT, file_size=300) as process:
        converse()
        converse()
        status, out, err = ended(process)
    assert status == 1
    assert re.fullmatch(rf"tcpflow-view: warning: {saved}: cannot be written: .*\n", err)
    assert "lo · " in out
    assert run("timeline", saved).returncode == 0


@needs_root
@pytest.mark.usefixtures("loopback")
def test_root_is_given_up(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder = tmp_path / "nobody"
    folder.mkdir()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o7777 == 0o700:  # pytest's own
            parent.chmod(0o755)
    with live("-i", "lo", "--user", "nobody", "-w", folder / "saved.pcap", "--count", 3, "port", PORT) as process:
        assert Path(f"/proc/{process.pid}").stat().st_uid == nobody.pw_uid
        converse()
        assert ended(process)[0] == 0
    assert (folder / "saved.pcap").stat().st_uid == nobody.pw_uid


# ---------------------------------------------------------------- a terminal


class Terminal:
    """A terminal of 100 columns and 30 lines with ``live`` on it."""

    def __init__(self, *arguments: object, name: str = "xterm") -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", 30, 100, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        self.process = subprocess.Popen(
            words("live", *arguments), cwd=ROOT, env=environment(TERM=name), stdin=self.slave, stdout=self.slave,
            stderr=self.slave, preexec_fn=self._take,
        )  # fmt: skip

    def _take(self) -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def until(self, pattern: str) -> str:
        """What is written up to a pattern."""
        while not re.search(pattern, self.seen):
            self.seen += os.read(self.master, 65_536).decode(errors="replace")
        seen, self.seen = self.seen, ""
        return seen

    def end(self) -> str:
        """What is written from now on; the terminal must be as it was."""
        os.set_blocking(self.master, False)
        while True:
            try:
                self.process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                self._read()
        self._read()
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.master)
        os.close(self.slave)
        return self.seen

    def _read(self) -> None:
        with suppress(BlockingIOError):
            self.seen += os.read(self.master, 1 << 20).decode(errors="replace")


@needs_root
@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("how", ["q", "Ctrl-C", "SIGTERM"])
def test_on_a_terminal(how: str) -> None:
    terminal = Terminal("-i", "lo", "port", PORT)
    assert "live on lo" in terminal.until("waiting for packets")
    assert not termios.tcgetattr(terminal.slave)[3] & termios.ECHO
    converse()
    shown = terminal.until("server closed")
    assert "\x1b[" in shown
    assert "handshake" in shown
    if how == "SIGTERM":
        terminal.process.terminate()
    else:
        os.write(terminal.master, b"q" if how == "q" else b"\x03")
    rest = terminal.end()
    assert terminal.process.returncode == 0
    assert "The server closed first" in rest
    assert "live on lo" not in rest[rest.index("TCP connection") :]


@needs_root
@pytest.mark.usefixtures("loopback")
def test_a_terminal_that_is_resized() -> None:
    terminal = Terminal("-i", "lo", "port", PORT)
    terminal.until("waiting for packets")
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("4H", 20, 70, 0, 0))
    converse()
    shown = re.sub(r"\x1b\[\??[\d;]*\w", "", terminal.until("server closed"))
    assert max(map(len, shown[shown.index("SYN-SENT") - 20 :].splitlines())) <= 70
    os.write(terminal.master, b"q")
    terminal.end()


@needs_root
@pytest.mark.usefixtures("loopback")
def test_a_terminal_that_can_do_nothing_gets_lines() -> None:
    terminal = Terminal("-i", "lo", "port", PORT, name="dumb")
    terminal.until("listening on lo")
    converse()
    assert "\x1b" not in terminal.until(LAST)
    os.write(terminal.master, b"\x03")
    assert "The server closed first" in terminal.end()


def test_the_most_telling_packets() -> None:
    with Run(ROOT / "captures" / "made" / "loopback-echo-1235.pcap") as capture:
        (batch,) = capture
    assert most_telling(batch, 3).tolist() == [1, 6, 8]
    assert most_telling(batch, 4).tolist() == [0, 1, 6, 8]
    assert most_telling(batch, 6).tolist() == [0, 1, 6, 7, 8, 9]
    batch.labels.events[6] = 1 << Event.CAPTURE_DUPLICATE | 1 << Event.RETRANSMISSION
    assert most_telling(batch, 3).tolist() == [0, 1, 8], "a copy is no news, whatever Wireshark says of it"


# ---------------------------------------------------------------- what cannot be, and interfaces


@needs_root
@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "-i: any, lo"),
        (["-i", "eth7"], "eth7: no such interface"),
        (["-i", "lo", "port", "nonsense"], "nonsense"),
        (["-i", "lo", "--rotate-size", "1"], "-w FILE"),
        (["-i", "lo", "-w", "x.pcap", "--rotate-files", "1"], "--rotate-size"),
        (["-i", "lo", "-w", "-"], "-w"),
        (["-i", "lo", "-w", "/nowhere/x.pcap"], "/nowhere/x.pcap"),
        (["-i", "lo", "--user", "nobody-at-all"], "no such user"),
        (["-i", "lo", "--count", "0"], "--count"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(arguments: list[str], said: str) -> None:
    done = run("live", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


@needs_root
def test_interfaces() -> None:
    with pair():
        ip("link", "set", "near", "down")
        done = run("interfaces")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(rows) == ["interface", "any", "lo", "near"]
    assert re.search(r"up +yes +127\.0\.0\.1 ::1$", rows["lo"])
    assert "not while it is down" in rows["near"]


@needs_root
def test_interfaces_without_permission() -> None:
    code = "import os, sys; from analyzer.__main__ import main; import analyzer.cli.interfaces, scapy.arch.linux; "
    code += "os.setresuid(65534, 65534, 65534); main(['interfaces'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no permission" in done.stdout
    assert "sudo setcap" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:3])) <= 100
