"""pytest's fixtures ``tcp_capture`` and ``pcap``. Who does not use them pays for nothing but this file."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from analyzer.api.analysis import Analysis
    from analyzer.api.live import Recording

_MARKER = "tcp_capture"
_CHOICES = "auto", "require", "skip"

_MOST_CONNECTIONS, _MOST_LADDERS, _MOST_LINES = 20, 5, 60
"""What is told of a test that failed: lines of the table, ladders, and lines of each."""

_WIDTH = 100

_LONGEST_NAME = 200
"""Octets of a file's name before its ending; file systems take 255."""

_recording = pytest.StashKey["Recording"]()
_analyses = pytest.StashKey[dict[tuple[Any, ...], "Analysis"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tcpflow-view", "TCP connections in tests (tcpflow-view)")
    group.addoption(
        "--tcp-capture",
        choices=_CHOICES,
        help="tests that capture packets, where that is not allowed: auto skips them, require fails them; skip skips "
        "them everywhere (default: auto, or tcp_capture of the ini file)",
    )
    group.addoption("--tcp-capture-dir", metavar="DIR", help="save the packets of each test that fails in this folder")
    parser.addini("tcp_capture", "auto, require or skip, as --tcp-capture", default="auto")


def pytest_configure(config: pytest.Config) -> None:
    options = "interface='lo', filter='', servers=(), patience=1.0, opened_only=True"
    config.addinivalue_line("markers", f"{_MARKER}({options}): what the fixture tcp_capture captures")


@pytest.fixture
def tcp_capture(request: pytest.FixtureRequest) -> Iterator[Recording]:
    """Packets on loopback from now on; ``tcp_capture.connections`` waits until all is in that was sent.

    TCP connections that were open before are left out. Options: ``@pytest.mark.tcp_capture(filter="port 1235")``.
    """
    marker = request.node.get_closest_marker(_MARKER) or pytest.mark.tcp_capture().mark
    if why := _hindrance(_choice(request.config)):
        if _choice(request.config) == "require":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    from analyzer.api.live import live
    from analyzer.errors import AnalyzerError

    recording, why = None, ""
    try:
        recording = live(*marker.args, **{"opened_only": True, **marker.kwargs}).__enter__()
    except (AnalyzerError, TypeError) as error:
        why = f"{_MARKER}: {error}"
    if recording is None:
        pytest.fail(why, pytrace=False)
    request.node.stash[_recording] = recording
    try:
        yield recording
    finally:
        del request.node.stash[_recording]
        recording.stop()


@pytest.fixture
def pcap(request: pytest.FixtureRequest) -> Callable[..., Analysis]:
    """``pcap("captures/echo.pcap", "port 1235")``: the file analysed, once a session.

    It is looked for beside the test's file, then in pytest's rootdir.
    """
    known = request.config.stash.setdefault(_analyses, {})

    def analysed(path: str | os.PathLike[str], filter: str = "", *, servers: Sequence[str] = ()) -> Analysis:
        __tracebackhide__ = True
        from analyzer.api.analysis import analyze

        found = _found(Path(path), request)
        status = found.stat()
        key = found, status.st_mtime_ns, status.st_size, filter, tuple(servers)
        if key not in known:
            known[key] = analyze(found, filter, servers=servers)
        return known[key]

    return analysed


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    if report.when == "call" and report.failed and _recording in item.stash:
        report.sections.append(("tcp capture", "\n".join(_told(item.stash[_recording], item, report.longreprtext))))


# ---------------------------------------------------------------- capturing


def _choice(config: pytest.Config) -> str:
    choice = str(config.getoption("tcp_capture") or config.getini("tcp_capture"))
    if choice not in _CHOICES:
        raise pytest.UsageError(f"tcp_capture = {choice}: it is one of {', '.join(_CHOICES)}")
    return choice


def _hindrance(choice: str) -> str:
    """Why a test that captures is not run; empty where it is."""
    from analyzer.capture import live
    from analyzer.errors import CaptureOpenError
    from analyzer.language import _

    if choice == "skip":
        return _("--tcp-capture=skip: tests that capture packets are not run")
    try:
        if not live.is_allowed():
            told = _("no permission to capture packets. Allow this Python to, once and for all: {command} — or be root")
            return told.format(command=live.allowing())
    except CaptureOpenError as error:
        return str(error)
    return ""


def _told(recording: Recording, item: pytest.Item, before: str) -> Iterator[str]:
    """What is said of a test that failed; no ladders where one was shown ``before``."""
    from analyzer.errors import AnalyzerError
    from analyzer.language import _

    try:
        recording.settle(0)
        connections = recording.so_far()
        if folder := item.config.getoption("tcp_capture_dir"):
            yield _saved(recording, Path(folder, _file_name(item.nodeid)))
        for missing in recording.unsettled:
            yield _("not settled: {what}").format(what=missing)
        if not connections:
            yield _("no connections")
            return
        yield connections.table(_WIDTH, most=_MOST_CONNECTIONS)
        if any(f" {one.client} → {one.server} " in before for one in connections):
            return
        for connection in connections[:_MOST_LADDERS]:
            lines = connection.ladder(_WIDTH).splitlines()
            yield from lines[:_MOST_LINES]
            if len(lines) > _MOST_LINES:
                yield " …"
        if len(connections) > _MOST_LADDERS:
            yield _("… {n} more").format(n=len(connections) - _MOST_LADDERS)
    except (AnalyzerError, OSError) as error:
        yield str(error)


def _saved(recording: Recording, path: Path) -> str:
    """Where its packets are, or why they are not there."""
    from analyzer.language import _

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recording.save(path)
    except OSError as error:
        return _("packets: not saved: {reason}").format(reason=error)
    return _("packets: {path}").format(path=path)


def _file_name(nodeid: str) -> str:
    """The name of a test as that of a file. What is too long for one ends in a number of its own."""
    name = re.sub(r"[^\w.\[\]-]", "-", nodeid.replace("::", "-"))
    octets = name.encode(errors="replace")
    if len(octets) > _LONGEST_NAME:
        number = f"-{zlib.crc32(nodeid.encode(errors='replace')):08x}"
        name = octets[: _LONGEST_NAME - len(number)].decode(errors="ignore") + number
    return f"{name}.pcap"


# ---------------------------------------------------------------- files


def _found(path: Path, request: pytest.FixtureRequest) -> Path:
    """Where the capture is. Raises CaptureOpenError."""
    __tracebackhide__ = True
    places = [request.path.parent / path, request.config.rootpath / path]
    for place in places:
        if place.is_file():
            return place
    from analyzer.errors import CaptureOpenError
    from analyzer.language import _

    told = _("{path}: no such file beside the test ({here}) or in pytest's rootdir ({root})")
    raise CaptureOpenError(told.format(path=path, here=request.path.parent, root=request.config.rootpath))
