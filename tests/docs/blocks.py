"""The fenced blocks of the documentation's pages, and how they are run.

A ``console`` block shows commands, each after ``$``, and what they print: both outputs, as a terminal would. ``⋮`` in a
line of its own stands for lines that are left out. A page's blocks run one after the other, in a folder that has the
repository's ``captures`` and ``docs``. A comment in the line before a block says what is special,
its parts separated by commas:

- ``COLUMNS=80`` or any other variable: the environment,
- ``status 2``: the exit status of its last command, 0 without it,
- ``when check``, ``when analyzer.live``: it waits for this command, or for this name, to exist,
- ``root``: it needs Linux and root,
- ``pytest``: a file of tests, which pytest runs,
- ``live``: packets of its own, so that times and ports differ; ``test_live.py`` plays it.

A ``python`` block is executed after those above it in its page. One with a title is the file of that name. The
``tcpflow-view`` lines of a ``sh`` block are parsed, not run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from analyzer.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

_FENCED = re.compile(r"^(?:<!-- ([^\n]*) -->\n)?```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"([A-Z_]+)=(.*)")
_CONTROL = {"|", "||", "&&", ";", "&", ">", "<", "2", ")", ">>"}

COLUMNS = "100"
LEFT_OUT = "⋮\n"


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    title: str
    marks: tuple[str, ...]
    text: str
    whole: str
    """With its fence and marks, as it stands in the page."""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(DOCS).as_posix()}:{self.line}"

    @property
    def is_live(self) -> bool:
        return "live" in self.marks

    @property
    def variables(self) -> dict[str, str]:
        return dict(found.groups() for mark in self.marks if (found := _VARIABLE.fullmatch(mark)))

    @property
    def status(self) -> int:
        return int(self.after("status ") or 0)

    @property
    def missing(self) -> str:
        """What it cannot do without and is not there."""
        wanted = self.after("when ")
        if wanted and not is_there(wanted):
            return wanted
        if "root" in self.marks and (sys.platform != "linux" or os.geteuid() != 0):
            return "root"
        return ""

    def after(self, word: str) -> str:
        return next((mark.removeprefix(word) for mark in self.marks if mark.startswith(word)), "")


def is_there(name: str) -> bool:
    """Whether there is a command of this name, or a module or a name in one."""
    module, _, attribute = name.rpartition(".")
    if not module:
        return name in COMMANDS
    if find_spec(module) is None:
        return False
    return hasattr(import_module(module), attribute) or (
        hasattr(import_module(module), "__path__") and find_spec(name) is not None
    )


class Step(NamedTuple):
    command: str
    shown: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for one in _FENCED.finditer(text):
        marks, language, info, body = one.groups(default="")
        title = re.search(r'title="([^"]*)"', info)
        line = text.count("\n", 0, one.start(2)) + 1
        parts = tuple(part.strip() for part in marks.split(",")) if marks else ()
        found.append(Block(page, line, language, title[1] if title else "", parts, body, one[0]))
    return found


def every(language: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language == language]


def steps(block: Block) -> list[Step]:
    """The commands of a console block, each with what stands below it."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    assert parts[0] == "", f"{block.place} begins without a command"
    return [Step(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


def abridged(printed: str, shown: str) -> str:
    """The output with as many of its first and last lines as a page shows, or the part of it that the page shows."""
    if LEFT_OUT not in shown:
        return printed
    first, *parts, last = (part.splitlines(keepends=True) for part in shown.split(LEFT_OUT))
    lines = printed.splitlines(keepends=True)
    now = [lines[: len(first)]]
    at = len(first)
    for part in parts:
        at = next((k for k in range(at, len(lines)) if part and lines[k] == part[0]), at)
        now.append(lines[at : at + len(part)])
        at += len(part)
    now.append(lines[len(lines) - len(last) :])
    return LEFT_OUT.join("".join(part) for part in now)


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What commands of the pages see: no colours, UTC, English, no settings, our command and this Python first."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "TCPFLOW_VIEW"))}
    told |= {
        "COLUMNS": COLUMNS, "NO_COLOR": "1", "TZ": "UTC0", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "XDG_CONFIG_HOME": str(folder / "config"),
        "TCPFLOW_VIEW_CONFIG": "",
    }  # fmt: skip
    return told | (more or {})


def place_to_run(folder: Path) -> Path:
    """A folder like the repository, where commands may write."""
    (folder / "bin").mkdir()
    for name, started in ("tcpflow-view", "-m analyzer"), ("python3", ""):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {started} "$@"\n')
        program.chmod(0o755)
    for name in "captures", "docs":
        (folder / name).symlink_to(ROOT / name)
    return folder


def ran(command: str, folder: Path, more: Mapping[str, str]) -> tuple[int, str]:
    """The exit status of a command line, and what it printed."""
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment(folder, more), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


def calls_of(text: str) -> Iterator[list[str]]:
    """The arguments of each ``tcpflow-view`` in lines of a shell, also in those that ssh or sudo would run."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
        for index, word in enumerate(words):
            if word == "tcpflow-view":
                rest = words[index + 1 :]
                end = next((k for k, one in enumerate(rest) if one in _CONTROL), len(rest))
                yield rest[:end]
            elif " " in word and "tcpflow-view " in word:
                yield from calls_of(word)
