"""Live capture under load: what is lost beside what tcpdump loses, how late a line is, and memory over time.

    python benchmarks/live.py [--rates 50000 100000 200000 0] [--seconds 5] [--runs 3]
    python benchmarks/live.py --minutes 10 [--rates 50000] [-- OPTION ...]

Needs Linux, root, tcpdump and tcpreplay. Two network namespaces of its own are joined by a veth pair: tcpreplay sends a
generated capture of small TCP packets of many connections from ``near``, and programs capture on ``far``, one after the
other, each with the ring that it has by default: tcpdump -w, tcpflow-view live -w and without -w, both with the screen
on, on a terminal of 120 x 40 that is read and thrown away. Rate 0 is tcpreplay's top speed. One load comes first that
does not count, so that code is compiled and files are cached.

Told are medians of the runs: packets sent, packets that came out (of -w: records in the file), lost of them all, what
the program itself calls dropped, and processor time of the program with its children. Then the time from the sending of
a packet to its line, where standard output is a pipe.

With --minutes nothing is compared: thousands of new connections a second, none of them seen before, for so long, and
the resident set of ``live`` with the screen on every ten seconds: all of it, with the ring and libraries, and what is
anonymous memory of its own. Options for ``live`` stand behind ``--``.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

OURS = [sys.executable, "-m", "analyzer", "live", "-i", "far"]
TCPDUMP = ["tcpdump", "-n", "-Z", "root", "-i", "far"]
GENERATE = [sys.executable, str(Path(__file__).with_name("generate.py"))]
NEAR, FAR = (["ip", "netns", "exec", f"tcpflow-view-{end}-{os.getpid()}"] for end in ("near", "far"))

EACH = 10
"""Packets of a connection."""

COLUMNS, LINES = 120, 40
SETTLED_S = 1.0
"""After the last packet, before a program is ended."""

SOAK_PACKETS = 1_000_000
RSS_EVERY_S = 10

SEND = """
import socket, struct, sys, time
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("near", 0))
frame = bytes.fromhex(sys.argv[1])
for k in range(int(sys.argv[2])):
    time.sleep(0.02 + k % 10 * 0.001)
    print(time.monotonic_ns(), flush=True)
    out.send(frame)
"""
"""Packets one by one, and when each was sent."""


class Load(NamedTuple):
    """What tcpreplay sent."""

    packets: int
    a_second: float


class Loss(NamedTuple):
    """What a program made of it."""

    sent: int
    a_second: float
    captured: int
    dropped: int
    cpu_s: float


class Terminal:
    """A process on a terminal whose output is read at once; the latest of it is kept."""

    def __init__(self, command: list[str]) -> None:
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", LINES, COLUMNS, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._master = master
        self._seen = b""
        self._came = threading.Condition()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._master, 1 << 16)
            except OSError:  # nobody is on the terminal any more
                return
            with self._came:
                self._seen = (self._seen + part)[-100_000:]
                self._came.notify_all()

    def wait_for(self, words: bytes) -> None:
        """Wait until this is written."""
        with self._came:
            if not self._came.wait_for(lambda: words in self._seen, 60):
                self.process.kill()
                sys.exit(f"nothing came but {self._seen[-500:]!r}")

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[str, float]:
        """What was written at last, and the processor time of it all."""
        self.process.send_signal(number)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._reading.join()
        os.close(self._master)
        return self._seen.decode(errors="replace"), usage.ru_utime + usage.ru_stime


@contextmanager
def namespaces() -> Iterator[None]:
    """``near`` and ``far``, joined; nothing else speaks there."""
    names = NEAR[-1], FAR[-1]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", names[1])
        for name, interface in zip(names, ("near", "far"), strict=True):
            ip("-n", name, "link", "set", interface, "addrgenmode", "none")
            ip("-n", name, "link", "set", interface, "up")
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def generated(folder: Path, packets: int, each: int) -> Path:
    """A capture with so many packets."""
    file = folder / f"{packets}-{each}.pcap"
    if not file.exists():
        shape = "--packets", str(packets), "--packets-per-connection", str(each)
        subprocess.run([*GENERATE, str(file), *shape], check=True, stdout=subprocess.DEVNULL)
    return file


def replay(file: Path, rate: int, *words: str) -> Load:
    """Send packets, so many a second; 0 is as many as can be."""
    speed = ["--pps", str(rate)] if rate else ["--topspeed"]
    command = [*NEAR, "tcpreplay", "--intf1=near", "--preload-pcap", "--no-flow-stats", *speed, *words, str(file)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    sent, rated = re.search(r"Successful packets: +(\d+)", said), re.search(r"Rated:.* ([\d.]+) pps", said)
    assert sent, said
    assert rated, said
    return Load(int(sent[1]), float(rated[1]))


def records(file: Path) -> int:
    """Packets in a pcap file."""
    found = 0
    with file.open("rb") as octets:
        octets.seek(24)
        while len(head := octets.read(16)) == 16:
            octets.seek(struct.unpack_from("=I", head, 8)[0], os.SEEK_CUR)
            found += 1
    return found


def number(pattern: str, said: str) -> int:
    """The number in the last match; 0 when there is none."""
    matches = re.findall(pattern, said)
    return int(matches[-1].replace(",", "")) if matches else 0


def loss(command: list[str], ready: bytes, load: list[str], rate: int, saved: Path | None) -> Loss:
    """Let a program capture a load."""
    saving = ["-w", str(saved)] if saved else []
    terminal = Terminal([*FAR, *command, *saving])
    terminal.wait_for(ready)
    sent = replay(Path(load[0]), rate, *load[1:])
    time.sleep(SETTLED_S)
    said, cpu_s = terminal.end()
    plain = re.sub(r"\x1b\[[\d;?]*\w", "", said)
    dropped = number(r"(\d+) packets dropped by kernel", plain) + number(r"✗ ([\d,]+) lost:", plain)
    captured = records(saved) if saved else number(r"far · ([\d,]+) packets", plain)
    if saved:
        saved.unlink()
    return Loss(sent.packets, sent.a_second, captured, dropped, cpu_s)


def compare(rates: list[int], seconds: float, runs: int, folder: Path, options: list[str]) -> None:
    """The table of losses."""
    saved = folder / "saved.pcap"
    programs: list[tuple[str, list[str], bytes, Path | None]] = [
        ("tcpdump -w", TCPDUMP, b"listening on", saved),
        ("live -w, screen", [*OURS, *options], b"waiting for packets", saved),
        ("live, screen", [*OURS, *options], b"waiting for packets", None),
    ]
    file = generated(folder, int(max(*rates, 200_000) * seconds), EACH)
    for name, command, ready, where in programs:
        loss(command, ready, [str(file), "--limit=500000"], 50_000, where)
        print(f"{name}: warmed up", file=sys.stderr)
    print(f"{'packets/s':>9}  {'program':<16} {'sent':>9} {'at':>8} {'captured':>9} {'lost':>8} {'lost':>7} "
          f"{'said':>8} {'CPU s':>6}")  # fmt: skip
    for rate in rates:
        load = [str(file)] + ([f"--limit={int(rate * seconds)}"] if rate else [])
        found: dict[str, list[Loss]] = {name: [] for name, *_ in programs}
        for _ in range(runs):
            for name, command, ready, where in programs:
                found[name].append(loss(command, ready, load, rate, where))
        for name, losses in found.items():
            sent, a_second, captured, dropped, cpu_s = map(statistics.median, zip(*losses, strict=True))
            missing = statistics.median(one.sent - one.captured for one in losses)
            print(f"{rate or 'top':>9}  {name:<16} {sent:>9.0f} {a_second:>8.0f} {captured:>9.0f} {missing:>8.0f} "
                  f"{missing / sent:>7.2%} {dropped:>8.0f} {cpu_s:>6.2f}", flush=True)  # fmt: skip


def latency(folder: Path, count: int = 200) -> None:
    """From the sending of a packet to its line."""
    frame = generated(folder, EACH, EACH).read_bytes()[40:][: 14 + 20 + 32]
    live = subprocess.Popen(
        [*FAR, *OURS, "--count", str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert live.stdout is not None
    assert live.stderr is not None
    live.stderr.readline()
    send = [*NEAR, sys.executable, "-c", SEND, frame.hex(), str(count)]
    with subprocess.Popen(send, stdout=subprocess.PIPE, text=True) as sending:
        took_ms = []
        for _ in range(count):
            line = live.stdout.readline()
            now = time.monotonic_ns()
            assert "SYN-SENT" in line, line
            assert sending.stdout is not None
            took_ms.append((now - int(sending.stdout.readline())) / 1e6)
    live.communicate()
    took_ms.sort()
    median, most, latest = (took_ms[int(share * (count - 1))] for share in (0.5, 0.9, 1))
    print(f"from a packet to its line: median {median:.1f} ms, 90 % within {most:.1f} ms, latest {latest:.1f} ms")


def soak(minutes: float, rate: int, folder: Path, options: list[str]) -> None:
    """New connections without end; memory every ten seconds."""
    file = generated(folder, SOAK_PACKETS, EACH)
    terminal = Terminal([*FAR, *OURS, *options])
    terminal.wait_for(b"waiting for packets")
    sent: list[Load] = []
    words = ["--loop=0", "--unique-ip", f"--duration={round(minutes * 60)}"]
    sending = threading.Thread(target=lambda: sent.append(replay(file, rate, *words)))
    began = time.monotonic()
    sending.start()
    print(f"{rate:,} packets/s, {rate // EACH:,} new connections/s\n seconds  resident MB       own MB")
    while sending.is_alive():
        print_memory(terminal.process.pid, began)
        sending.join(RSS_EVERY_S)
    time.sleep(SETTLED_S)
    print_memory(terminal.process.pid, began)
    said, cpu_s = terminal.end()
    plain = re.sub(r"\x1b\[[\d;?]*\w", "", said)
    captured, dropped = number(r"far · ([\d,]+) packets", plain), number(r"✗ ([\d,]+) lost:", plain)
    connections = number(r"([\d,]+) TCP connections", plain)
    print(f"sent {sent[0].packets:,}, captured {captured:,}, said to be lost {dropped:,}, {connections:,} connections, "
          f"{cpu_s:.0f} s of processor time")  # fmt: skip


def print_memory(pid: int, began: float) -> None:
    """Print a line of a process's resident set."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    all_mb, own_mb = (number(rf"{name}:\s+(\d+) kB", status) / 1024 for name in ("VmRSS", "RssAnon"))
    print(f"{time.monotonic() - began:8.0f}  {all_mb:11.0f}  {own_mb:11.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=int, nargs="+", default=[50_000, 100_000, 200_000, 0], metavar="PPS")
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--minutes", type=float, help="watch memory instead, at the first of the rates")
    parser.add_argument("--folder", type=Path, help="keep the generated captures here")
    parser.add_argument("options", nargs="*", metavar="OPTION", help="for tcpflow-view live")
    wanted = parser.parse_args()
    for tool in ("ip", "tcpdump", "tcpreplay"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed")
    if os.geteuid() != 0:
        sys.exit("run it as root: network namespaces are made and captured in")
    print(f"load of this machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="tcpflow-view-benchmarks-") as temporary, namespaces():
        folder = wanted.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if wanted.minutes:
            soak(wanted.minutes, wanted.rates[0], folder, wanted.options)
        else:
            compare(wanted.rates, wanted.seconds, wanted.runs, folder, wanted.options)
            latency(folder)
    print(f"load of this machine after: {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
