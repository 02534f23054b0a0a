"""A file of expectations: where it is, what it says, and on which line."""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from analyzer.errors import UsageError
from analyzer.expect.description import EXPECTATIONS
from analyzer.expect.kinds import Path
from analyzer.language import _, counted, reason
from analyzer.render.untrusted import visible

ENDING = ".expect.toml"
CAPTURES = (".pcap", ".pcapng", ".cap")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
"""What names of captures end in, and what may follow."""


class Problem(NamedTuple):
    """What is wrong with a file, and where; as text a line."""

    file: str
    line: int
    """0 not known."""
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


class BadExpectations(UsageError):
    """There are no expectations that a capture could be judged by."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first, n = problems[0], len(problems) - 1
        more = counted("{problem} ({n} more problem)", "{problem} ({n} more problems)", n)
        super().__init__(more.format(problem=first, n=n) if n else str(first))
        self.problems = tuple(problems)


class Expectations(NamedTuple):
    """What a file says; faultless."""

    path: str
    capture: dict[str, Any]
    connections: list[dict[str, Any]]
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """The line of a key, or of what it is in; 0 not known."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 0)

    def problem(self, path: Path, told: str) -> Problem:
        """What is wrong with a key."""
        return Problem(self.path, self.line(path), f"{visible(path_text(path))}: {told}")


def beside(capture: str) -> str:
    """The file with the expectations of a capture: ``capture.expect.toml`` for ``capture.pcapng.gz``."""
    path = _unpacked(FilePath(capture))
    return str(path.parent / path.stem) + ENDING


def is_capture(path: FilePath) -> bool:
    """Whether the name is one that captures have."""
    return _unpacked(path).suffix in CAPTURES


def _unpacked(path: FilePath) -> FilePath:
    return path.with_suffix("") if path.suffix in COMPRESSED else path


def load(path: str, capture: str = "") -> Expectations:
    """Read the file; ``capture`` is the one that it is beside. Raises BadExpectations."""
    try:
        octets = FilePath(path).read_bytes()
    except OSError as error:
        if capture and isinstance(error, FileNotFoundError):
            raise BadExpectations([_unwritten(path, capture)]) from None
        raise BadExpectations([Problem(path, 0, reason(error))]) from None
    return read(octets, path)


def _unwritten(path: str, capture: str) -> Problem:
    """What to do about expectations that are not there."""
    try:
        if stat.S_ISDIR(os.stat(capture).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        return Problem(capture or "''", 0, reason(error))
    told = _("what it should be is not written down in {path}; this writes it: {command}")
    command = shlex.join(["tcpflow-view", "check", "--record", capture])
    return Problem(capture, 0, told.format(path=path, command=command))


def read(octets: bytes, path: str) -> Expectations:
    """The expectations in these octets; ``path`` is where they are from. Raises BadExpectations."""
    try:
        written = octets.decode()
        found = tomllib.loads(written)
    except (ValueError, RecursionError) as error:  # the first also of numbers with thousands of digits
        at = re.search(r"\bline (\d+)\b", str(error))
        told = _("this is no TOML: {error}").format(error=visible(str(error)))
        raise BadExpectations([Problem(path, int(at[1]) if at else 0, told)]) from None
    lines = dict(_lines(written))
    expectations = Expectations(path, {}, [], lines)
    problems = list(EXPECTATIONS.problems(found, ()))
    if problems:
        raise BadExpectations([expectations.problem(*problem) for problem in problems])
    return expectations._replace(capture=found.get("capture", {}), connections=found.get("connection", []))


def path_text(path: Path) -> str:
    """``connection[2].closed_by``: tables are counted from 1, as connections are."""
    return re.sub(r"^\.", "", "".join(f"[{one + 1}]" if isinstance(one, int) else f".{one}" for one in path))


# ---------------------------------------------------------------- lines

_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAMES})\s*\]")
_KEY = re.compile(rf"\s*({_NAMES})\s*=")


def _lines(written: str) -> Iterator[tuple[Path, int]]:
    """Paths and the lines where they begin, as far as a look at the beginnings of lines tells."""
    above: Path = ()
    tables: dict[Path, int] = {}
    quote = ""
    for number, line in enumerate(written.split("\n"), 1):
        if quote:
            quote = "" if line.count(quote) % 2 else quote
            continue
        if header := _HEADER.match(line):
            names = _path(header[2])
            if header[1] == "[[":
                tables[names] = tables.get(names, -1) + 1
                above = (*names, tables[names])
            else:
                above = _inside(names, tables)
            yield above, number
        elif key := _KEY.match(line):
            yield (*above, *_path(key[1])), number
        quote = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")


def _path(names: str) -> Path:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, names))


def _inside(names: Path, tables: dict[Path, int]) -> Path:
    """The path of a table by its header: it may be in the latest of an array."""
    for n in range(len(names), 0, -1):
        if names[:n] in tables:
            return (*names[:n], tables[names[:n]], *names[n:])
    return names
