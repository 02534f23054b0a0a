"""Keys on a terminal of a test's own, which a shell takes from the program and gives back: Ctrl-Z, ``fg``, ``bg``."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from analyzer.cli import shown
from analyzer.cli.keyboard import Keyboard
from analyzer.pipeline import Run
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
CTRL_Z = b"\x1a"

SHELL = """
import fcntl, os, signal, sys, termios
def say(line):
    os.write(1, line.encode() + b"\\n")
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
say(str(job))
for command in os.fdopen(int(sys.argv[2])):
    if command == "wait\\n":
        _, status = os.waitpid(job, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpid())
        say("stopped" if os.WIFSTOPPED(status) else f"exit {os.waitstatus_to_exitcode(status)}")
    elif command in ("fg\\n", "take\\n"):
        os.tcsetpgrp(0, job if command == "fg\\n" else os.getpid())
    else:
        os.kill(job, signal.SIGCONT)
        say("continued")
"""
"""A shell with job control: what a shell does at ``fg`` is ``fg`` and ``cont`` here, at ``bg`` ``cont`` alone.

The program has the same standard output: a line is written at once, so that none comes into another.
"""

JOB = """
import os, select, signal
from analyzer.cli.keyboard import Keyboard
def say(*words):
    os.write(1, " ".join(words).encode() + b"\\n")
{before}
with Keyboard() as keyboard:
    say("entered")
    keys, was_ours = "", True
    while "q" not in keys:
        ours = keyboard.is_ours()
        if ours != was_ours:
            say("ours" if ours else "not ours")
            was_ours = ours
        if ours and keyboard.was_away():
            say("was away")
        if ours and (keys := keyboard.pressed()):
            say("keys", keys.strip())
        select.select([], [], [], 0.005)
say(*(repr(signal.getsignal(number)) for number in (signal.SIGTSTP, signal.SIGCONT)))
"""
DEFAULTS = f"{signal.SIG_DFL!r} {signal.SIG_DFL!r}"


class Session:
    """A terminal, a shell on it and the program that the shell started in the foreground."""

    def __init__(self, before: str = "") -> None:
        self.master, self._slave = os.openpty()
        self.before = self.modes()
        commands, self._commands = os.pipe()
        self._shell = subprocess.Popen(
            [sys.executable, "-c", SHELL, JOB.format(before=before), str(commands)], cwd=ROOT, stdin=self._slave,
            stdout=subprocess.PIPE, pass_fds=[commands], start_new_session=True,
        )  # fmt: skip
        os.close(commands)
        assert self._shell.stdout is not None
        self._said = self._shell.stdout.fileno()
        self.job = int(self.said())
        self._has_ended = False
        assert self.said() == "entered"
        assert self.takes_single_keys()

    def close(self) -> None:
        os.close(self._commands)
        if not self._has_ended:
            os.kill(self.job, signal.SIGKILL)
        self._shell.kill()
        self._shell.communicate()
        os.close(self.master)
        os.close(self._slave)

    def said(self) -> str:
        """The next line of the program or the shell."""
        line = b""
        while not line.endswith(b"\n"):
            assert select.select([self._said], [], [], PATIENCE)[0], f"nothing but {line!r} was said"
            octets = os.read(self._said, 1)
            assert octets, "both are gone"
            line += octets
        return line.decode().rstrip("\n")

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def tell(self, command: str) -> None:
        """Have the shell do something."""
        os.write(self._commands, command.encode() + b"\n")

    def waited(self) -> str:
        """What became of the program, whose terminal the shell has now."""
        self.tell("wait")
        said = self.said()
        self._has_ended = said.startswith("exit")
        return said

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def set_modes(self, modes: list[Any]) -> None:
        termios.tcsetattr(self._slave, termios.TCSANOW, modes)

    def takes_single_keys(self) -> bool:
        return self.modes()[3] & (termios.ICANON | termios.ECHO) == 0


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    made = Session(*getattr(request, "param", ()))
    yield made
    made.close()


def ends(session: Session) -> None:
    """It takes q without Enter, and leaves everything as it was."""
    session.type(b"q")
    assert session.said() == "keys q"
    assert session.said() == DEFAULTS
    assert session.waited() == "exit 0"
    assert session.modes() == session.before


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(session: Session) -> None:
    for _ in range(2):
        session.type(CTRL_Z)
        assert session.waited() == "stopped"
        assert session.modes() == session.before
        session.tell("fg")
        session.tell("cont")
        assert sorted((session.said(), session.said())) == ["continued", "was away"]
        session.type(b"x")
        assert session.said() == "keys x"
        assert session.takes_single_keys()
    ends(session)


def test_a_stop_that_cannot_be_handled(session: Session) -> None:
    """The shell sees to its terminal itself then."""
    os.kill(session.job, signal.SIGSTOP)
    assert session.waited() == "stopped"
    session.set_modes(session.before)
    session.tell("fg")
    session.tell("cont")
    assert sorted((session.said(), session.said())) == ["continued", "was away"]
    session.type(b"x")
    assert session.said() == "keys x"
    assert session.takes_single_keys()
    ends(session)


def test_in_the_background_the_terminal_is_left_alone(session: Session) -> None:
    session.type(CTRL_Z)
    assert session.waited() == "stopped"
    session.tell("cont")
    assert sorted((session.said(), session.said())) == ["continued", "not ours"]
    assert session.modes() == session.before
    session.type(b"for the shell\n")
    session.tell("fg")  # no signal tells of it
    assert session.said() == "ours"
    assert session.said() == "was away"
    assert session.said() == "keys for the shell"
    assert session.takes_single_keys()
    ends(session)


def test_a_terminal_that_is_taken_without_a_word(session: Session) -> None:
    session.tell("take")
    assert session.said() == "not ours"
    session.set_modes(session.before)
    session.tell("fg")
    assert (session.said(), session.said()) == ("ours", "was away")
    assert session.takes_single_keys()
    ends(session)


def test_it_ends_in_the_background(session: Session) -> None:
    """Where a program that touches the terminal's modes is stopped."""
    session.type(CTRL_Z)
    assert session.waited() == "stopped"
    os.kill(session.job, signal.SIGINT)
    session.tell("cont")
    assert session.said() == "continued"
    assert session.waited() == f"exit {-signal.SIGINT}"
    assert session.modes() == session.before


HANDLED = """
signal.signal(signal.SIGTSTP, lambda number, frame: say("asked to stop"))
signal.signal(signal.SIGCONT, lambda number, frame: say("continued"))
"""


@pytest.mark.parametrize("session", [(HANDLED,)], indirect=True)
def test_who_handled_the_signals_before_still_does(session: Session) -> None:
    session.type(CTRL_Z)
    assert session.said() == "asked to stop"
    assert session.said() == "was away"
    os.kill(session.job, signal.SIGCONT)
    assert session.said() == "continued"
    assert session.said() == "was away"
    session.type(b"q")
    assert session.said() == "keys q"
    assert session.said().count("<function <lambda>") == 2


@pytest.mark.parametrize("session", [("signal.signal(signal.SIGTSTP, signal.SIG_IGN)",)], indirect=True)
def test_ctrl_z_that_was_ignored_still_is(session: Session) -> None:
    session.type(CTRL_Z + b"x")
    assert session.said() == "keys x"
    session.type(b"q")
    assert session.said() == "keys q"
    assert session.said().startswith(repr(signal.SIG_IGN))


def test_elsewhere_than_in_the_main_thread_no_signal_is_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    handlers = []

    def use() -> None:
        with Keyboard() as keyboard:
            handlers.extend(map(signal.getsignal, (signal.SIGTSTP, signal.SIGCONT)))
            assert keyboard.is_ours()
            assert keyboard.pressed() == ""

    with os.fdopen(slave) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    os.close(master)
    assert handlers == [signal.SIG_DFL, signal.SIG_DFL]


def test_without_a_terminal_its_coming_back_is_noticed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def before(number: int, frame: FrameType | None) -> None:
        calls.append(number)

    former = signal.signal(signal.SIGCONT, before)
    try:
        with open(os.devnull) as nothing:
            monkeypatch.setattr(sys, "stdin", nothing)
            with Keyboard() as keyboard:
                assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL
                assert not keyboard.was_away()
                signal.raise_signal(signal.SIGCONT)
                assert (keyboard.was_away(), keyboard.was_away()) == (True, False)
                assert keyboard.is_ours()
                assert keyboard.pressed() == ""
        assert signal.getsignal(signal.SIGCONT) is before
        assert calls == [signal.SIGCONT]
    finally:
        signal.signal(signal.SIGCONT, former)


def test_a_screen_that_others_wrote_on_is_not_erased(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shown, "_FRAME_S", 0.0)
    printer = TcpdumpPrinter(TcpdumpOptions(numeric=1))
    with open(os.devnull) as nothing, Run(ROOT / "captures" / "made" / "loopback-echo-1235.pcap") as run:
        monkeypatch.setattr(sys, "stdin", nothing)
        (batch,) = run
        frames = []
        with shown.Terminal(printer, "never", "", "", lambda connection: ("", "")) as terminal:
            for is_back in (False, False, True, False):
                if is_back:
                    signal.raise_signal(signal.SIGCONT)
                terminal.add(batch)
                terminal.tick(run, 0)
                frames.append(capsys.readouterr().out)
    assert [" live on " in frame for frame in frames] == [True] * 4
    assert ["\x1b[A" in frame for frame in frames] == [False, True, False, True]
