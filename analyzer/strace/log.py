"""Lines of a strace log → its system calls, signals and the ends of its processes (strace(1)).

All forms of time (``-t``, ``-tt``, ``-ttt``, ``-r``, ``--absolute-timestamps``, ``--relative-timestamps``) and of
``-f`` are read: a number before each line (``-o``), ``[pid N]`` (a terminal), a file for each process (``-ff``). A
call that another process interrupted in the log is put together. A line that cannot be read is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from analyzer.strace.arguments import number, split

_DAY_NS = 86_400_000_000_000
_LEAST_UNIX = 100_000_000
"""Seconds since 1970 are more than this, numbers of processes and relative times are less."""

_HEAD = re.compile(
    r"(?:\[pid\s+(?P<pid>\d+)\]\s+|(?P<bare>\d{1,7})\s+(?=\S))?"
    r"(?:(?P<space>\s*)(?P<time>\d\d:\d\d:\d\d(?:\.\d+)?|\d+(?:\.\d+)?)\s+)?"
    r"(?:\(\+\s*(?P<passed>\d+(?:\.\d+)?)\)\s+)?"
    r"(?:\[\s*\d+\]\s+)?(?:\[[0-9a-f?]+\]\s+)?"
)
_CALL = re.compile(r"([a-z_][a-z0-9_]*)\(", re.IGNORECASE)
_RESUMED = re.compile(r"<\.\.\. ([a-z0-9_]+) resumed>\s?", re.IGNORECASE)
_ENDED = re.compile(r"\+\+\+ (exited with \d+|killed by \S+|superseded by execve).*\+\+\+$")
_SIGNAL = re.compile(r"--- (?:stopped by )?([A-Z]+[A-Z0-9_+]*)\b.*---$")
_RESULT = re.compile(r"\s*= (.*)$", re.DOTALL)
_TOOK = re.compile(r"\s*<(\d+\.\d+|unavailable)>$")
_ERRNO = re.compile(r"(?:-\d+|\?) (E[A-Z0-9]+)\b")
_ATTACHED = re.compile(r"(.*?)(?:strace: |^)Process (\d+) (attached|detached)(?: \(.*)?$", re.DOTALL)
"""On a terminal it may come in the middle of a line."""
_ASIDE = re.compile(r"strace: |\[ Process PID=| > | \| [0-9a-f]{5}|\s*$|Process \d+ ")
"""Lines that strace writes besides: its messages, stacks of ``-k``, octets of ``-e read``."""

_UNFINISHED = re.compile(r"\s*<(?:unfinished|detached) \.\.\.>(?:\) += \?)?$")
FORKS = ("clone", "clone3", "fork", "vfork")


class Clock(IntEnum):
    """What the times of a log count from."""

    NONE = 0
    """There are none."""
    RELATIVE = 1
    """The first line of the log."""
    DAY = 2
    """Midnight, of an unknown day and time zone."""
    UNIX = 3
    """1970-01-01 UTC."""


class SystemCall(NamedTuple):
    """A system call that a log tells of. Times are nanoseconds by the log's clock; they are cut, not rounded."""

    pid: int
    """0 where the log does not say."""
    ts_ns: int
    """When it began."""
    end_ns: int | None
    """When it had returned, at the latest; None: nobody knows."""
    name: str
    arguments: list[str]
    result: str
    """As strace writes it: ``5``, ``-1``, ``3<TCP:[…]>``, ``?`` where it did not return."""
    errno: str
    """``EAGAIN``; empty where it did not fail."""
    duration_ns: int | None
    """By ``-T``; it does not count from ``ts_ns``, but from when strace let the call go on."""
    line: int
    """Line of the log on which it begins, from 1."""

    @property
    def value(self) -> int | None:
        """The number that it returned."""
        return number(self.result)


class Signal(NamedTuple):
    """A process got a signal."""

    pid: int
    ts_ns: int
    name: str
    line: int


class Ended(NamedTuple):
    """A process ended."""

    pid: int
    ts_ns: int
    how: str
    """``exited with 0``, ``killed by SIGKILL``."""
    line: int


class Began(NamedTuple):
    """A process is heard of while the call that made it has not returned yet."""

    pid: int
    ts_ns: int
    parent: int
    call: str
    """That call, as far as it is told."""
    line: int


Record = SystemCall | Signal | Ended | Began


class _Pending(NamedTuple):
    text: str
    ts_ns: int
    line: int


class StraceLog:
    """Reads one log, line by line. ``pid`` is the process that it is of (``-ff``), where its lines do not say.

    Attributes: ``clock``; ``precision_ns`` by which times are cut; ``lines`` read; ``unreadable`` lines, and
    the first of them with its number.
    """

    def __init__(self, pid: int = 0) -> None:
        self.clock = Clock.NONE
        self.precision_ns = 1_000_000_000
        self.lines = self.unreadable = 0
        self.first_unreadable: tuple[int, str] | None = None
        self._own = pid
        self._living: set[int] = set()
        self._heard: set[int] = set()
        self._pending: dict[int, _Pending] = {}
        self._now_ns = self._day_ns = 0
        self._begun = ""

    def feed(self, line: str) -> list[Record]:
        """Take a line, and give out what it completes."""
        self.lines += 1
        line, self._begun = self._begun + line.rstrip("\n"), ""
        if match := _ATTACHED.match(line):
            self._begun = match[1]
            self._attach(int(match[2]), match[3] == "attached")
            return []
        head = self._head(line)
        if head is None:
            return self._aside(line)
        pid, body = head
        if body is None:
            return self._aside(line)
        news = self._news(pid)
        if match := _ENDED.match(body):
            self._living.discard(pid)
            self._heard.discard(pid)
            return [*news, *self._given_up(pid), Ended(pid, self._now_ns, match[1], self.lines)]
        if match := _SIGNAL.match(body):
            return [*news, Signal(pid, self._now_ns, match[1], self.lines)]
        begun = _Pending("", self._now_ns, self.lines)
        if match := _RESUMED.match(body):
            if pid not in self._pending:
                return self._lost(line)
            begun = self._pending.pop(pid)
            if not begun.text.startswith(f"{match[1]}("):
                return self._lost(line)
            body = begun.text + body[match.end() :]
        if _CALL.match(body) is None:
            return self._aside(line)
        if unfinished := _UNFINISHED.search(body):
            lost = self._given_up(pid)
            self._pending[pid] = begun._replace(text=body[: unfinished.start()])
            return [*news, *lost]
        call = self._call(pid, body, begun)
        if call and call.name in FORKS and call.value in self._living:
            self._heard.add(call.value)
        return [*news, call] if call else self._lost(line)

    def finish(self) -> list[Record]:
        """The calls that never returned."""
        return [record for pid in list(self._pending) for record in self._given_up(pid)]

    def _head(self, line: str) -> tuple[int, str | None] | None:
        """The process and what follows its time; None where no line of a call begins so."""
        match = _HEAD.match(line)
        assert match
        pid, text, body = match["pid"] or match["bare"], match["time"], line[match.end() :]
        if not pid and text and not match["space"] and "." not in text and ":" not in text and int(text) < _LEAST_UNIX:
            pid, text = text, None  # a process without a time
        if not body or body[0].isspace():
            return None
        if text:
            self._tell_time(text)
        if pid:
            return int(pid), body
        if self._own or len(self._living) != 1:
            return self._own, body
        return next(iter(self._living)), body

    def _tell_time(self, text: str) -> None:
        whole, _, fraction = text.rpartition(":")[2].partition(".")
        self.precision_ns = 10 ** (9 - min(len(fraction), 9))
        time_ns = int(whole) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
        if ":" in text:
            self.clock = Clock.DAY
            time_ns += (int(text[:2]) * 60 + int(text[3:5])) * 60_000_000_000 + self._day_ns
            if time_ns < self._now_ns - _DAY_NS // 2:
                self._day_ns += _DAY_NS
                time_ns += _DAY_NS
        elif int(whole) >= _LEAST_UNIX:
            self.clock = Clock.UNIX
        else:
            self.clock = Clock.RELATIVE
            time_ns += self._now_ns
        self._now_ns = time_ns

    def _attach(self, pid: int, is_attached: bool) -> None:
        """strace says that it watches a process, or no longer: it may while the call that makes it runs."""
        if not is_attached:
            self._living.discard(pid)
            return
        self._living.add(pid)
        if not self._begun and not self._makers():
            self._heard.add(pid)

    def _makers(self) -> list[tuple[int, _Pending]]:
        """The calls that are making processes now, and whose they are."""
        return [(maker, begun) for maker, begun in self._pending.items() if begun.text.startswith(FORKS)]

    def _news(self, pid: int) -> list[Record]:
        """A process that is heard of for the first time, and who made it where that is to be seen."""
        if pid in self._heard:
            return []
        self._heard.add(pid)
        if pid not in self._living:
            self._living.add(pid)
            if 0 in self._living and pid:  # the first process, which had no name while it was alone
                self._living.discard(0)
                if 0 in self._pending:
                    self._pending[pid] = self._pending.pop(0)
                return []
        makers = self._makers()
        if not makers or pid in self._pending:
            return []
        parent, begun = makers[-1]
        return [Began(pid, self._now_ns, parent, begun.text, self.lines)]

    def _call(self, pid: int, body: str, begun: _Pending) -> SystemCall | None:
        name, _, rest = body.partition("(")
        found = split(rest)
        if not found or not (result := _RESULT.match(found[1])):
            return None
        told = result[1]
        duration_ns = None
        if took := _TOOK.search(told):
            told = told[: took.start()]
            if took[1] != "unavailable":
                duration_ns = round(float(took[1]) * 1e9)
        errno = _ERRNO.match(told)
        returned = told.split(" (")[0] if not errno else told.split()[0]
        end_ns = self._now_ns if begun.line != self.lines else None
        return SystemCall(
            pid, begun.ts_ns, end_ns, name, found[0], returned.strip(), errno[1] if errno else "", duration_ns,
            begun.line,
        )  # fmt: skip

    def _given_up(self, pid: int) -> list[Record]:
        begun = self._pending.pop(pid, None)
        if begun is None:
            return []
        name, _, rest = begun.text.partition("(")
        arguments, _ = split(rest.rstrip().rstrip(",") + ")") or ([rest], "")
        return [SystemCall(pid, begun.ts_ns, None, name, arguments, "?", "", None, begun.line)]

    def _aside(self, line: str) -> list[Record]:
        return [] if _ASIDE.match(line) else self._lost(line)

    def _lost(self, line: str) -> list[Record]:
        self.unreadable += 1
        if self.first_unreadable is None:
            self.first_unreadable = self.lines, line
        return []


def parse(lines: Iterable[str], pid: int = 0) -> tuple[StraceLog, list[Record]]:
    """A whole log: its records in the order in which they were complete.

    Where a log names its first process only once there are others, its first lines get that name.
    """
    log = StraceLog(pid)
    records = [record for line in lines for record in log.feed(line)]
    records += log.finish()
    children = {record.value for record in records if isinstance(record, SystemCall) and record.name in FORKS}
    children |= {record.pid for record in records if isinstance(record, Began)}
    first = next((record.pid for record in records if record.pid and record.pid not in children), 0)
    return log, with_ends([_named(record, first) for record in records])


def _named(record: Record, first: int) -> Record:
    """The same with the first process's name where it had none yet."""
    if isinstance(record, Began) and not record.parent:
        record = record._replace(parent=first)
    return record if record.pid else record._replace(pid=first)


def with_ends(records: list[Record]) -> list[Record]:
    """The same with ``end_ns`` of calls that do not say when they returned: then the process did something else."""
    next_ns: dict[int, int] = {}
    out: list[Record] = []
    for record in reversed(records):
        if isinstance(record, SystemCall) and record.end_ns is None and record.result != "?":
            record = record._replace(end_ns=next_ns.get(record.pid))
        next_ns[record.pid] = record.ts_ns
        out.append(record)
    return out[::-1]
