"""The installed tshark: where it is, which one, and its output line by line.

It runs in a session of its own, so that nothing of it is left when it is ended, whatever it started. One that gives no
line and takes no processor time for a while has stopped, and is ended.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from analyzer.errors import TsharkError, UsageError
from analyzer.language import _

OLDEST = (3, 6)
"""The first that tells ``tcp.completeness``."""

PATIENCE_S = 30.0
"""So long tshark may do nothing."""

_ENDING_S, _LOOKS_S = 1.0, 0.005
_LONGEST_LINE = 1 << 20
_MOST_SAID = 4_096
_PIECE = 1 << 16
_EMPTY_PCAP = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)


class Tshark(NamedTuple):
    """A tshark."""

    path: str
    version: str


def installed(what: str) -> Tshark:
    """The tshark that is found by PATH, for ``what`` needs it. Raises UsageError without one that is new enough."""
    path = shutil.which("tshark")
    if path is None:
        told = _("{what} needs tshark: apt install tshark, dnf install wireshark-cli, brew install wireshark")
        raise UsageError(told.format(what=what))
    said = _output_of([path, "--version"])
    found = re.match(r"TShark[^\n]*?\b(\d+)\.(\d+)(?:\.\d+)*", said)
    if found is None:
        raise UsageError(_("{path}: it does not say which tshark it is").format(path=path))
    version = found[0].split()[-1]
    if (int(found[1]), int(found[2])) < OLDEST:
        told = _("{path} is tshark {version}; {what} needs {oldest} or newer")
        raise UsageError(told.format(path=path, version=version, what=what, oldest=".".join(map(str, OLDEST))))
    return Tshark(os.path.abspath(path), version)


def check_decode_as(tshark: Tshark, rules: Sequence[str]) -> None:
    """Raise UsageError for a rule that tshark does not take: it is asked about each with an empty capture."""
    for rule in rules:
        with tempfile.NamedTemporaryFile(suffix=".pcap") as empty:
            empty.write(_EMPTY_PCAP)
            empty.flush()
            with Output(tshark, ["-d", rule, "-r", empty.name]) as output:
                try:
                    output.finish()
                except TsharkError as error:
                    about = output.complaint() or str(error)
                    told = _("--decode-as {rule}: {reason}; write it as in tcp.port==1235,http")
                    raise UsageError(told.format(rule=rule, reason=about)) from None


def environment(profile: str = "") -> dict[str, str]:
    """The environment that tshark runs in; ``profile`` is a folder of preferences instead of the user's."""
    own = {"LC_ALL": "C.UTF-8"}
    if profile:
        own["WIRESHARK_CONFIG_DIR"] = profile
    return {**os.environ, **own}


class Output:
    """A context manager: tshark with these arguments, its lines, and its end.

    ``variables`` is its environment.
    """

    def __init__(self, tshark: Tshark, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [tshark.path, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors,
                env=environment() if variables is None else variables, start_new_session=True, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            self._errors.close()
            raise TsharkError(_("tshark cannot be started: {reason}").format(reason=error.strerror)) from None
        assert self._process.stdout
        self._out = self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            end(self._process.pid)
        self._process.wait()
        self._out.close()
        self._errors.close()

    def lines(self) -> Iterator[str]:
        """The lines, as they come. Raises TsharkError where it does not go on."""
        begun = b""
        while piece := self._read():
            *whole, begun = (begun + piece).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
            if len(begun) > _LONGEST_LINE:
                raise TsharkError(_("tshark's output cannot be read"))
        if begun:
            yield begun.decode(errors="replace")

    def finish(self) -> None:
        """Wait for its end. Raises TsharkError where it ended badly."""
        for _line in self.lines():
            pass
        try:
            status = self._wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise TsharkError(_("tshark does not go on; it was ended")) from None
        if status:
            raise TsharkError(failure(status, self.complaint()))

    def ending(self) -> str:
        """How it ended, where it ended badly just now; else empty."""
        with suppress(subprocess.TimeoutExpired):
            if status := self._wait(_ENDING_S):
                return failure(status, self.complaint())
        return ""

    def complaint(self) -> str:
        """The first line with which it complains; empty if it did not."""
        self._errors.seek(0)
        return complaint_in(self._errors.read(_MOST_SAID).decode(errors="replace"))

    def _wait(self, patience_s: float) -> int:
        """Its exit status; what it started ends with it. Raises TimeoutExpired."""
        until = time.monotonic() + patience_s
        while self._process.returncode is None and not _has_ended(self._process.pid):
            if time.monotonic() >= until:
                raise subprocess.TimeoutExpired("tshark", patience_s)
            time.sleep(_LOOKS_S)
        if self._process.returncode is None:
            end(self._process.pid)  # nobody has been told of its end yet: until then the id is nobody else's
        return self._process.wait()

    def _read(self) -> bytes:
        used = -1.0
        while not select.select([self._out], [], [], PATIENCE_S)[0]:
            before, used = used, _processor_time(self._process.pid)
            if used <= before:
                raise TsharkError(_("tshark does not go on; it was ended"))
        return os.read(self._out.fileno(), _PIECE)


def complaint_in(said: str) -> str:
    """The first line of what tshark says on standard error that is a complaint."""
    complaints = (line.partition("tshark: ")[2] for line in said.splitlines() if line.startswith("tshark: "))
    return next(complaints, "").strip().rstrip(".")


def failure(status: int, said: str) -> str:
    """How it ended, in a line."""
    if status < 0:
        with suppress(ValueError):
            return _("tshark crashed ({signal})").format(signal=signal.Signals(-status).name)
    if said:
        return _("tshark failed: {reason}").format(reason=said)
    return _("tshark failed with exit status {status}").format(status=status)


def end(pid: int) -> None:
    """End the session that this process leads, and all that it started; nobody may have waited for it yet."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used; 0 of one that is gone."""
    import psutil  # type: ignore[import-untyped]

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _has_ended(pid: int) -> bool:
    """Whether a child of this process has, which was not waited for."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _output_of(command: list[str]) -> str:
    """What a command says at once; empty where it does not."""
    with Output(Tshark(command[0], ""), command[1:]) as output, suppress(TsharkError):
        return "\n".join(output.lines())
    return ""
