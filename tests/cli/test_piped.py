"""Pipes that are read while they are written: whose packets are shown as they come, and how it ends."""

from __future__ import annotations

import fcntl
import gzip
import io
import os
import re
import resource
import select
import signal
import struct
import subprocess
import termios
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from analyzer.capture.kept import empty
from analyzer.cli.piped import copy_of, survey_piped
from analyzer.pipeline import Run
from analyzer.render.screen import Screen
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.tables import NO_SERVERS, frames_at
from tests.capture.namespaces import PATIENCE, namespace, needs_root, needs_tcpdump
from tests.cli.test_live import LAST, PORT, ROOT, converse, environment, words

ECHO = ROOT / "captures" / "made" / "loopback-echo-1235.pcap"
HEADER_LEN, RECORD_HEADER_LEN = 24, 16


def records() -> list[bytes]:
    """The ten records of the article's capture."""
    octets, found = ECHO.read_bytes()[HEADER_LEN:], []
    while octets:
        end = RECORD_HEADER_LEN + int.from_bytes(octets[8:12], "little")
        found.append(octets[:end])
        octets = octets[end:]
    return found


HEADER, RECORDS = ECHO.read_bytes()[:HEADER_LEN], records()


class Child:
    """A command that reads a pipe, and of which every wait has an end."""

    def __init__(self, *arguments: object, limit: int = 0) -> None:
        def limited() -> None:
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        self.process = subprocess.Popen(
            words(*arguments), cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0, preexec_fn=limited,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input: BinaryIO = self.process.stdin
        self._read: dict[BinaryIO, bytes] = {}

    def line(self, stream: BinaryIO | None = None) -> str:
        """The next line of its output, or of another stream of its."""
        stream = stream or self.process.stdout
        assert stream is not None
        read = self._read.get(stream, b"")
        while b"\n" not in read:
            assert select.select([stream], [], [], PATIENCE)[0], f"nothing came after {read!r}"
            octets = os.read(stream.fileno(), 65_536)
            assert octets, f"it ended after {read!r}"
            read += octets
        line, _, self._read[stream] = read.partition(b"\n")
        return line.decode()

    def ended(self, *, close: bool = True) -> tuple[int, str, str]:
        """Its status, and the rest of what it wrote."""
        if close:
            self.input.close()
        self.process.stdin = None
        out, err = self.process.communicate(timeout=PATIENCE)
        before = {stream: octets.decode() for stream, octets in self._read.items()}
        assert b"Traceback" not in err
        return (
            self.process.returncode,
            before.get(self.process.stdout, "") + out.decode(),  # type: ignore[call-overload]
            before.get(self.process.stderr, "") + err.decode(),  # type: ignore[call-overload]
        )


@contextmanager
def child(*arguments: object, limit: int = 0) -> Iterator[Child]:
    made = Child(*arguments, limit=limit)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        for stream in (made.input, made.process.stdout, made.process.stderr):
            assert stream is not None
            stream.close()


def summary() -> list[str]:
    """What ``read`` prints of the capture as a file, but for the first line, which names it."""
    done = subprocess.run(words("read", ECHO), cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[1:]


def timeline() -> list[str]:
    done = subprocess.run(
        words("timeline", ECHO), cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


# ---------------------------------------------------------------- what is shown


def test_each_packet_is_shown_when_it_comes_and_then_the_summary() -> None:
    """Packets of the past, of a pipe that pauses."""
    with child("read", "-") as reader:
        reader.input.write(HEADER)
        shown = []
        for record in RECORDS:
            reader.input.write(record)
            shown.append(" ".join(reader.line().split()))
        assert shown == timeline()
        assert reader.process.poll() is None
        status, out, err = reader.ended()
    assert (status, err) == (0, "")
    blank, first, *rest = out.splitlines()
    assert (blank, first) == ("", "standard input · 10 packets · 6.8 ms · 1 TCP connection · complete")
    assert rest == summary()


def test_what_came_before_the_pause_is_shown_too() -> None:
    with child("read", "-") as reader:
        reader.input.write(HEADER + b"".join(RECORDS[:4]))
        assert [reader.line().split()[1] for _ in range(4)] == ["1", "2", "3", "4"]


def test_a_copy_of_a_batch_takes_its_own_octets_and_no_more() -> None:
    options = TcpdumpOptions(numeric=1, hex_ascii=1)
    with Run(ECHO) as run:
        [frames] = run.capture
        ring = np.zeros(1 << 20, np.uint8)
        ring[-len(frames.data) :] = frames.data
        ring.flags.writeable = False
        moved = frames._replace(data=ring, start=frames.start + len(ring) - len(frames.data))
        for some in (moved, frames_at(moved, slice(3, 6))):
            batch = run.take(some)
            copied = copy_of(batch)
            assert len(copied.frames.data) == batch.frames.caplen.sum()
            assert not copied.frames.data.flags.writeable
            shown, expected = (Timeline(Screen(200), TcpdumpPrinter(options)).render(one) for one in (copied, batch))
            assert shown == expected
            assert "hi" in shown


@pytest.mark.parametrize("octets", [ECHO.read_bytes(), gzip.compress(ECHO.read_bytes())], ids=["stored", "gzip"])
def test_a_file_sent_through_a_pipe_is_a_summary_alone(octets: bytes) -> None:
    arguments = words("read", "-")
    done = subprocess.run(arguments, cwd=ROOT, env=environment(), input=octets, capture_output=True, check=True)
    assert done.stderr == b""
    first, *rest = done.stdout.decode().splitlines()
    assert first.startswith("standard input · 10 packets · ")
    assert rest == summary()


def piped(octets: bytes) -> tuple[int, bytes]:
    """Survey a pipe that never pauses; gives packets and the copy."""
    read_end, write_end = os.pipe()
    os.write(write_end, octets)
    os.close(write_end)
    with open(read_end, "rb", buffering=0) as pipe, empty("pipe") as copy:
        packets = survey_piped(pipe, copy, "", NO_SERVERS, "never").packets
        copy.seek(0)
        return packets, copy.read()


@pytest.mark.parametrize(("later_s", "is_shown"), [(-3_600, False), (-1, False), (1, True), (3_600, False)])
def test_a_packet_younger_than_the_program_happens_now(
    later_s: int, is_shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds, microseconds = divmod(time.time_ns() // 1_000 + later_s * 1_000_000, 1_000_000)
    stamp = struct.pack("<II", seconds, microseconds)
    octets = HEADER + b"".join(RECORDS[:9]) + stamp + RECORDS[9][8:]
    assert piped(octets) == (10, octets)
    written = capsys.readouterr()
    assert len(written.out.splitlines()) == (11 if is_shown else 0)
    assert written.err == ""


def test_too_many_packets_before_the_pause_are_counted() -> None:
    squeezed = zlib.compressobj(9, wbits=31)
    with child("read", "-") as reader:
        before = squeezed.compress(HEADER + RECORDS[0] * 17_000) + squeezed.flush(zlib.Z_SYNC_FLUSH)
        assert len(before) < select.PIPE_BUF * 8, "it may be written piece by piece, and so pause"
        reader.input.write(before)
        assert reader.process.stderr is not None
        assert reader.line(reader.process.stderr) == "tcpflow-view: 17,000 packets came before"  # type: ignore[arg-type]
        reader.input.write(squeezed.compress(RECORDS[1]) + squeezed.flush())
        assert reader.line().startswith("▌17001 1 handshake ")
        status, out, _ = reader.ended()
    assert (status, out.splitlines()[1].split(" · ")[1]) == (0, "17,001 packets")


def test_a_named_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with child("read", fifo) as reader:
        with open(fifo, "wb", buffering=0) as writer:
            writer.write(HEADER + RECORDS[0])
            assert reader.line().split()[:2] == ["▌", "1"]
            writer.write(RECORDS[1])
            assert reader.line().split()[:2] == ["▌", "2"]
        status, out, err = reader.ended()
    assert (status, err) == (0, "")
    assert "fifo · 2 packets" in out


@pytest.mark.parametrize("arguments", [("timeline", "-"), ("timeline", "--tcpdump", "-n", "-"), ("export", "-")])
def test_other_commands_do_not_wait_for_more(arguments: tuple[str, ...]) -> None:
    if arguments[0] == "export":
        arguments = (*arguments, "--records", "packets")
    with child(*arguments) as reader:
        reader.input.write(HEADER)
        for record in RECORDS[:3]:
            reader.input.write(record)
            assert reader.line()


@needs_root
@needs_tcpdump
def test_with_tcpdump() -> None:
    listening = ["tcpdump", "-U", "--immediate-mode", "-w", "-", "-i", "lo", "port", str(PORT)]
    with (
        namespace(), child("read", "-") as reader,
        subprocess.Popen(listening, stdout=reader.input, stderr=subprocess.PIPE, text=True) as tcpdump,
    ):  # fmt: skip
        reader.input.close()
        assert tcpdump.stderr is not None
        while "listening on" not in tcpdump.stderr.readline():
            assert tcpdump.poll() is None
        for _ in range(2):
            converse()
            lines = [reader.line()]
            while not re.search(LAST, lines[-1]):
                lines.append(reader.line())
            assert "SYN-SENT" in lines[0]
            assert len(lines) >= 7
        tcpdump.send_signal(signal.SIGINT)
        tcpdump.communicate(timeout=PATIENCE)
        status, out, err = reader.ended()
    assert (status, err) == (0, "")
    assert out.count("The server closed first") == 2


# ---------------------------------------------------------------- how it ends


def test_after_ctrl_c_what_the_writer_still_writes_counts() -> None:
    with child("read", "-") as reader:
        reader.input.write(HEADER + RECORDS[0])
        reader.line()
        reader.process.send_signal(signal.SIGINT)
        reader.input.write(b"".join(RECORDS[1:]))
        status, out, err = reader.ended()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line[1:3].strip() for line in lines[:9]] == [str(number) for number in range(2, 11)]
    assert lines[11:] == summary()


def test_a_second_ctrl_c_ends_at_once() -> None:
    with child("read", "-") as reader:
        reader.input.write(HEADER + RECORDS[0])
        reader.line()
        reader.process.send_signal(signal.SIGINT)
        reader.input.write(RECORDS[1])
        reader.line()
        reader.process.send_signal(signal.SIGINT)
        assert reader.ended(close=False) == (130, "", "\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_writer_that_does_not_end(number: signal.Signals) -> None:
    """It is not waited for, and the record that it did not finish is nobody's fault."""
    with child("read", "-") as reader:
        reader.input.write(HEADER + b"".join(RECORDS[:9]) + RECORDS[9][:40])
        for _ in range(9):
            reader.line()
        reader.process.send_signal(number)
        status, out, err = reader.ended(close=False)
    assert (status, err) == (0, "")
    assert "standard input · 9 packets" in out
    assert "complete" in out
    assert "The server closed first" in out


def test_a_writer_that_is_cut_off() -> None:
    with child("read", "-") as reader:
        reader.input.write(HEADER + b"".join(RECORDS[:9]) + RECORDS[9][:40])
        for _ in range(9):
            reader.line()
        status, out, err = reader.ended()
    assert status == 1
    assert "✗ damaged at byte" in out
    assert re.fullmatch(r"tcpflow-view: warning: standard input: the capture is cut .* \(at byte \d+\)\n", err)


def test_no_room_for_the_copy() -> None:
    with child("read", "-", limit=500) as reader:
        reader.input.write(HEADER + RECORDS[0])
        reader.line()
        reader.input.write(b"".join(RECORDS[1:]))
        status, out, err = reader.ended()
    assert (status, out) == (2, "")
    assert re.fullmatch(r"tcpflow-view: standard input: cannot keep a copy of what it brings: .*\n", err)


def test_who_reads_has_seen_enough() -> None:
    """While the pipe pauses, which must not pass for trouble with the pipe."""
    with child("read", "-") as reader:
        assert reader.process.stdout is not None
        reader.process.stdout.close()
        reader.input.write(HEADER + RECORDS[0])
        assert reader.process.wait(PATIENCE) == 0
        assert reader.process.stderr is not None
        assert reader.process.stderr.read() == b""


# ---------------------------------------------------------------- a terminal


class OnTerminal:
    """A terminal of 100 columns and 30 lines with ``read`` on it; standard input is a pipe unless a file is named."""

    def __init__(self, file: object = "-") -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", 30, 100, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            words("read", file), cwd=ROOT, env=environment(TERM="xterm"),
            stdin=subprocess.PIPE if file == "-" else self.slave, stdout=self.slave, stderr=self.slave, bufsize=0,
            preexec_fn=self._take,
        )  # fmt: skip
        self.input = self.process.stdin

    def _take(self) -> None:
        os.setsid()
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    def until(self, pattern: str) -> str:
        """What is written up to a pattern, without colours."""
        deadline, seen = time.monotonic() + PATIENCE, ""
        while not re.search(pattern, seen):
            assert select.select([self.master], [], [], deadline - time.monotonic())[0], seen
            seen += os.read(self.master, 65_536).decode(errors="replace")
            seen = plain(seen)
        return seen

    def end(self) -> str:
        """What is written from now on; the terminal must be as it was."""
        os.set_blocking(self.master, False)
        seen = b""
        while True:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
            with suppress(BlockingIOError):
                while True:
                    seen += os.read(self.master, 1 << 20)
            if self.process.returncode is not None:
                break
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.master)
        os.close(self.slave)
        return plain(seen.decode(errors="replace"))


def plain(text: str) -> str:
    return re.sub(r"\x1b\[\??[\d;]*\w", "", text)


def test_on_a_terminal() -> None:
    terminal = OnTerminal()
    writer = terminal.input
    assert isinstance(writer, io.RawIOBase)
    writer.write(HEADER)
    waiting = terminal.until("waiting for packets")
    assert "live on standard input" in waiting
    assert "Ctrl-C ends" in waiting
    assert "lost" not in waiting
    writer.write(b"".join(RECORDS[:9]))
    assert "handshake" in terminal.until("9 packets(.*\n)+.*→ FIN")
    os.write(terminal.master, b"\x03")
    terminal.until(r"\^C")
    os.write(terminal.slave, b"9 packets captured\n")
    writer.write(RECORDS[9])
    writer.close()
    rest = terminal.end()
    assert terminal.process.returncode == 0
    assert rest.startswith("9 packets captured\r\n\r\n▌10 ")
    assert "The server closed first" in rest


def test_q_on_a_terminal_ends_a_named_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    terminal = OnTerminal(fifo)
    with open(fifo, "wb", buffering=0) as writer:
        writer.write(HEADER + b"".join(RECORDS))
        terminal.until("10 packets")
        os.write(terminal.master, b"q")
        rest = terminal.end()
    assert terminal.process.returncode == 0
    assert "The server closed first" in rest
