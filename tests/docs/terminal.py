"""A terminal of 100 columns without colours, and who types there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.capture.namespaces import PATIENCE
from tests.docs.blocks import COLUMNS, environment


class Terminal:
    """A command that runs in a terminal, and what it has printed so far."""

    def __init__(self, command: str, folder: Path) -> None:
        self.text = ""
        self._reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 50, int(COLUMNS), 0, 0))
        self._process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"], cwd=folder, env=environment(folder, {"TERM": "dumb"}), stdin=writer,
            stdout=writer, stderr=writer, start_new_session=True,
        )  # fmt: skip
        os.close(writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._reader)

    def wait_for(self, pattern: str) -> None:
        """Read until the pattern is there."""
        while not re.search(pattern, self.text):
            assert self._read(), f"no {pattern!r} in:\n{self.text}"

    def interrupt(self) -> str:
        """All that it printed, after Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.ended()

    def ended(self) -> str:
        """All that it printed, when it has ended by itself."""
        while self._read():
            pass
        self._process.wait(PATIENCE)
        return self.text

    def _read(self) -> bool:
        ready, _, _ = select.select([self._reader], [], [], PATIENCE)
        assert ready, f"nothing more after:\n{self.text}"
        try:
            octets = os.read(self._reader, 65_536)
        except OSError:  # Linux says so when nobody is left at the other end
            return False
        self.text += octets.decode().replace("\r\n", "\n")
        return bool(octets)
