"""A file of expectations: where it is, what it says, and on which line."""

from __future__ import annotations

import re
import shlex
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
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst", ".zstd"}


class BadExpectations(UsageError):
    """A file says what cannot be.

    Attributes: ``problems``, a line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        more = counted("{problem} ({n} more problem)", "{problem} ({n} more problems)", len(problems) - 1)
        super().__init__(more.format(problem=problems[0], n=len(problems) - 1) if len(problems) > 1 else problems[0])
        self.problems = problems


class Expectations(NamedTuple):
    """What a file says; faultless."""

    path: str
    capture: dict[str, Any]
    connections: list[dict[str, Any]]
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """The line of a key, or of what it is in; 0 not known."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 0)


def beside(capture: str) -> str:
    """The file with the expectations of a capture: ``capture.expect.toml`` for ``capture.pcapng.gz``."""
    path = FilePath(capture)
    if path.suffix in _COMPRESSED:
        path = path.with_suffix("")
    return str(path.with_suffix("")) + ENDING


def load(path: str, capture: str = "") -> Expectations:
    """Read the file; ``capture`` is the one that it is beside. Raises UsageError."""
    try:
        octets = FilePath(path).read_bytes()
    except OSError as error:
        if capture and isinstance(error, FileNotFoundError):
            told = _("{capture}: what it should be is not written down in {path}; this writes it: {command}")
            command = shlex.join(["tcpflow-view", "check", "--record", capture])
            raise UsageError(told.format(capture=capture, path=path, command=command)) from None
        raise UsageError(_("{path}: {reason}").format(path=path, reason=reason(error))) from None
    return read(octets, path)


def read(octets: bytes, path: str) -> Expectations:
    """The expectations in these octets; ``path`` is where they are from. Raises UsageError, BadExpectations."""
    try:
        written = octets.decode()
        found = tomllib.loads(written)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        told = _("{path}: this is no TOML: {error}")
        raise UsageError(told.format(path=path, error=visible(str(error)))) from None
    lines = dict(_lines(written))
    expectations = Expectations(path, {}, [], lines)
    problems = list(EXPECTATIONS.problems(found, ()))
    if problems:
        raise BadExpectations([_problem(expectations, *problem) for problem in problems])
    return expectations._replace(capture=found.get("capture", {}), connections=found.get("connection", []))


def _problem(expectations: Expectations, path: Path, told: str) -> str:
    line = expectations.line(path)
    where = f"{expectations.path}:{line}" if line else expectations.path
    return f"{where}: {visible(path_text(path))}: {told}"


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
