"""A tshark that a test wrote, and what is left of one when it was used."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import psutil
import pytest

TSHARK = shutil.which("tshark")
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

VERSION = "TShark (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3)."


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str, version: str = VERSION) -> Path:
    """A tshark, the only program on PATH that has this name: lines of Python, with ``sys`` and ``os`` at hand."""
    folder.mkdir(exist_ok=True)
    path = folder / "tshark"
    said = f"if '--version' in sys.argv: print({version!r}); sys.exit()"
    path.write_text(f"#!{sys.executable} -IS\nimport os, sys, time\n{said}\n{does}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return path


def processes_left() -> list[str]:
    """The processes of ours, and theirs, that still run or were not waited for."""
    return [child.name() for child in psutil.Process().children(recursive=True)]


HANGS = "time.sleep(600)"
HANGS_WITH_A_CHILD = "import subprocess; subprocess.run(['sleep', '600'])"
FAILS = "sys.stderr.write('tshark: The file is a horse.\\n'); sys.exit(2)"
CRASHES = "import signal; os.kill(os.getpid(), signal.SIGSEGV)"
GARBAGE = "print('<packet>' + 'x' * 100 + '</packet>'); print('\\0\\1 no XML')"
ENDLESS = "\nwhile True: print('y' * 1000)"
"""Ways in which it goes wrong."""
