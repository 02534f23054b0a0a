"""A program on a terminal of its own, with somebody who presses keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SETSID = shutil.which("setsid") or ""
PROGRAM = [sys.executable, "-m", "analyzer"]

_LONGEST_WAIT_S = 30


class Shown(NamedTuple):
    """What was on the terminal, all of it, and how the program ended."""

    status: int
    text: str
    """Lines end in ``\\n``, whatever the terminal makes of it."""


def on_a_terminal(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, columns: int = 100, lines: int = 24,
    keys: Sequence[tuple[str, str]] = (), folder: Path = ROOT,
) -> Shown:  # fmt: skip
    """Run it there. ``keys`` are pressed one after the other, each when the text before it has come."""
    main, ours = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"COLUMNS", "LINES", "LESS", "LV", "PAGER", "TCPFLOW_VIEW_PAGER", "NO_COLOR", "FORCE_COLOR"}
    }
    full = inherited | {"TERM": "xterm", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)} | dict(environment or {})
    program = subprocess.Popen(
        [SETSID, "--ctty", "--wait", *command], stdin=ours, stdout=ours, stderr=ours, env=full, cwd=folder
    )  # fmt: skip
    os.close(ours)
    seen, pressed = b"", list(keys)
    try:
        while select.select([main], [], [], _LONGEST_WAIT_S)[0]:
            try:
                octets = os.read(main, 1 << 16)
            except OSError:  # nobody has the terminal any more
                break
            if not octets:
                break
            seen += octets
            if pressed and pressed[0][0].encode() in seen:
                os.write(main, pressed.pop(0)[1].encode())
        else:
            raise AssertionError(f"nothing happens any more after {seen[-500:]!r}")
        status = program.wait(_LONGEST_WAIT_S)
    finally:
        program.kill()
        program.wait()
        os.close(main)
    assert not pressed, f"{pressed[0][0]!r} did not come in {seen!r}"
    return Shown(status, seen.decode(errors="replace").replace("\r\n", "\n"))
