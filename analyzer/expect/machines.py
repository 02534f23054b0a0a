"""What came of the expectations, for machines: a JSON document, JUnit's XML, GitHub's annotations."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from analyzer.expect.expectations import path_text
from analyzer.expect.judging import Checked, Result
from analyzer.expect.telling import name_of, place
from analyzer.render.untrusted import visible

_LADDER_WIDTH = 100
_MOST_LADDERS = 20
"""Failures of one capture that come with a ladder."""


def json_document(records: Sequence[dict[str, object]]) -> str:
    """All captures with all their expectations."""
    return json.dumps({"captures": records}, indent=2) + "\n"


def record(checked: Checked) -> dict[str, object]:
    """What JSON has of a capture."""
    return {
        "capture": checked.capture,
        "expectations": checked.expectations.path,
        "met": not checked.faults and not checked.error,
        "error": checked.error or None,
        "results": [_result(checked, result) for result in checked.results],
    }


def _result(checked: Checked, result: Result) -> dict[str, object]:
    fault = result.fault
    return {
        "expectation": path_text(result.path),
        "name": result.name or None,
        "line": checked.expectations.line(result.path) or None,
        "connection": result.connection.number if result.connection else None,
        "met": fault is None,
        "text": fault.text if fault else None,
        "packet": (fault.packet or None) if fault else None,
    }


# ---------------------------------------------------------------- JUnit


def suite(checked: Checked, number: int, now: datetime) -> ElementTree.Element:
    """What JUnit's XML has of a capture, which is the ``number``-th: a testcase an expectation.

    It has all that the stricter of the schemas in use ask for: empty properties and outputs, ``hostname``, times.
    """
    found = ElementTree.Element(
        "testsuite", name=_legal(checked.capture), package="tcpflow-view", id=str(number),
        tests=str(len(checked.results) or 1), failures=str(len(checked.faults)),
        errors=str(int(bool(checked.error))), skipped="0", time="0",
        timestamp=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"), hostname="localhost",
    )  # fmt: skip
    ElementTree.SubElement(found, "properties")
    ladders = 0
    for result in checked.results:
        case = _testcase(found, checked, name_of(result))
        if result.fault:
            failure = ElementTree.SubElement(case, "failure", type="expectation", message=_legal(result.fault.text))
            lines = [result.fault.text, place(checked, result), ""]
            if result.connection and ladders < _MOST_LADDERS:
                ladders += 1
                lines.append(result.connection.ladder(_LADDER_WIDTH, marked=result.fault.packet))
            failure.text = _legal("\n".join(lines))
    if not checked.results:
        case = _testcase(found, checked, "capture")
        if checked.error:
            error = ElementTree.SubElement(case, "error", type="error", message=_legal(checked.error))
            error.text = _legal(checked.error)
    ElementTree.SubElement(found, "system-out")
    ElementTree.SubElement(found, "system-err")
    return found


def junit(testsuites: Iterable[ElementTree.Element]) -> bytes:
    """JUnit's XML."""
    suites = ElementTree.Element("testsuites")
    suites.extend(testsuites)
    ElementTree.indent(suites)
    document: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _testcase(suite: ElementTree.Element, checked: Checked, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", name=_legal(name), classname=_legal(checked.capture), time="0")


_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _legal(text: str) -> str:
    """The text with what XML cannot have (XML 1.0 2.2) as escapes."""
    return _ILLEGAL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


# ---------------------------------------------------------------- GitHub


_ERROR = "::error"


def github_commands(checked: Checked) -> Iterator[str]:
    """GitHub's workflow commands, which mark the lines of the expectations that are not met, or are none."""
    name, expectations = visible(checked.capture), checked.expectations
    for problem in checked.problems:
        yield _command(problem.file, problem.line, "", problem.text)
    if checked.error and not checked.problems:
        yield _command(checked.capture, 0, name, checked.error)
    for result, fault in checked.faults:
        yield _command(expectations.path, expectations.line(result.path), f"{name}: {name_of(result)}", fault.text)


def _command(file: str, line: int, title: str, message: str) -> str:
    properties = {"file": _in_repository(file)} | ({"line": str(line)} if line else {})
    properties |= {"title": title} if title else {}
    written = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"{_ERROR} {written}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    """What would end a command or a property, as its code."""
    return re.sub(f"[%\r\n{more}]", lambda found: f"%{ord(found[0]):02X}", text)


def _in_repository(path: str) -> str:
    """The path from the root of the checkout on, where GitHub's runner says where that is."""
    root = os.environ.get("GITHUB_WORKSPACE", "")
    below = os.path.relpath(path, root) if root else path
    return visible(path if below.startswith(os.pardir) else below)
