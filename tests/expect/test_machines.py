"""What machines get: JUnit's XML, GitHub's workflow commands, JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.api.analysis import analyze
from analyzer.expect import machines
from analyzer.expect.expectations import read
from analyzer.expect.judgements import Fault
from analyzer.expect.judging import Checked, Result, judge
from analyzer.expect.machines import github_commands, json_document, junit, record, suite

MADE = Path(__file__).parents[2] / "captures" / "made"
ECHO = MADE / "loopback-echo-1235.pcap"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

TOML = b"""\
[[connection]]
name = "the echo"
closed_by = "client"
no = ["reset"]

[[connection]]
server.port = 80
"""


def checked(toml: bytes = TOML, name: str = "echo.pcap") -> Checked:
    expectations = read(toml, name.replace(".pcap", ".expect.toml"))
    return Checked(name, expectations, list(judge(analyze(ECHO), expectations)))


def of_texts(text: str) -> Checked:
    """Someone else's text wherever there may be one."""
    results = [Result(("connection", 0), Fault(text), None, text), Result(("connection", 0), None, None, text)]
    return Checked(text, read(b"[[connection]]", text), results)


def written(*all_checked: Checked) -> bytes:
    return junit(suite(one, number, NOW) for number, one in enumerate(all_checked))


# ---------------------------------------------------------------- JUnit

ATTRIBUTES = {
    "testsuite": {"name", "package", "id", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
}
"""What the stricter schema asks for (Ant's, as of Windy Road), all of which the looser one of Jenkins knows."""


def test_junit_has_all_that_schemas_ask_for() -> None:
    broken = Checked("x.pcap", read(b"", "x.expect.toml"), [], "x.pcap: no such file")
    suites = ElementTree.fromstring(written(checked(), broken))
    assert suites.tag == "testsuites"
    assert [one.get("id") for one in suites] == ["0", "1"]
    for one in suites:
        assert one.tag == "testsuite"
        assert [child.tag for child in one] == [
            "properties", *["testcase"] * (len(one) - 3), "system-out", "system-err",
        ]  # fmt: skip
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", one.get("timestamp", ""))
        for kind, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            assert int(one.get(kind, "")) == len(list(one.iter(tag)))
        for element in one.iter():
            assert set(element.attrib) == ATTRIBUTES.get(element.tag, set())
    names = [case.get("name") for case in suites[0].iter("testcase")]
    assert names == [
        "capture.damaged", "connection[1].closed_by (the echo)", "connection[1].no (the echo)", "connection[2]",
    ]  # fmt: skip


def test_a_failure_has_its_sentence_and_the_ladder() -> None:
    closed, missing = ElementTree.fromstring(written(checked())).iter("failure")
    assert closed.get("message") == "The client should have closed first; the server did (FIN in packet 7)."
    assert closed.text
    assert closed.text.startswith(f"{closed.get('message')}\necho.expect.toml:3: connection[1].closed_by (the echo)\n")
    assert [line[:4] for line in closed.text.splitlines() if "▶ " in line[:3]] == ["▌▶ 7"]
    assert missing.get("message") == "There should be a connection with server.port = 80; there is none."


@given(st.text(st.characters(codec=None, exclude_categories=[])))
def test_junit_is_xml_whatever_captures_say(text: str) -> None:
    suites = ElementTree.fromstring(written(of_texts(text)))
    assert len(list(suites.iter("failure"))) == 1


def test_junit_with_many_failures_has_few_ladders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_MOST_LADDERS", 1)
    toml = b'[[connection]]\nclosed_by = "client"\ncause = "refused"\n'
    failures = list(ElementTree.fromstring(written(checked(toml))).iter("failure"))
    assert ["▌▶" in (failure.text or "") for failure in failures] == [True, False]


# ---------------------------------------------------------------- GitHub


def test_github_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    assert list(github_commands(checked(name="100%,a:b.pcap"))) == [
        "::error file=100%25%2Ca%3Ab.expect.toml,line=3,title=100%25%2Ca%3Ab.pcap%3A connection[1].closed_by (the echo)"
        "::The client should have closed first; the server did (FIN in packet 7).",
        "::error file=100%25%2Ca%3Ab.expect.toml,line=6,title=100%25%2Ca%3Ab.pcap%3A connection[2]"
        "::There should be a connection with server.port = 80; there is none.",
    ]


def parsed(command: str) -> tuple[dict[str, str], str]:
    """A workflow command as GitHub's runner reads it (ActionCommand.TryParseV2): the code of % comes last."""
    found = re.fullmatch(r"::error ([^\r\n]*?)::([^\r\n]*)", command)
    assert found
    properties = dict(one.split("=", 1) for one in found[1].split(","))
    assert all(name in ("file", "line", "title") for name in properties)
    codes = "%0D", "%0A", "%3A", "%2C", "%25"
    return {name: unescaped(value, codes) for name, value in properties.items()}, unescaped(
        found[2], codes[:2] + codes[4:]
    )


def unescaped(value: str, codes: tuple[str, ...]) -> str:
    for code in codes:
        value = value.replace(code, chr(int(code[1:], 16)))
    return value


@given(st.text(st.sampled_from("a%:,=\r\n02A5DC"), max_size=12))
def test_github_reads_back_what_was_said(text: str) -> None:
    one = Checked("x.pcap", read(b"", "x.toml"), [Result(("capture",), Fault(text))])
    [command] = github_commands(one)
    properties, message = parsed(command)
    assert message == text
    assert properties == {"file": "x.toml", "title": "x.pcap: capture"}


@given(st.text(st.characters(codec=None, exclude_categories=[])))
def test_nobody_else_gives_github_commands(text: str) -> None:
    [command] = github_commands(of_texts(text))
    assert "\n" not in command
    assert "\r" not in command
    parsed(command)


@pytest.mark.parametrize(
    ("root", "path", "told"),
    [
        ("/w/repo", "/w/repo/a/x.toml", "a/x.toml"),
        ("/w/repo", "/etc/x.toml", "/etc/x.toml"),
        ("", "a/x.toml", "a/x.toml"),
    ],
)
def test_files_are_named_from_the_root_of_the_checkout(
    root: str, path: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", root)
    one = Checked("x.pcap", read(b"", path), [Result(("capture",), Fault("x"))])
    [command] = github_commands(one)
    assert parsed(command)[0]["file"] == told


def test_what_could_not_be_judged_is_an_annotation_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    broken = Checked("x.pcap", read(b"", "x.expect.toml"), [], "x.pcap: gone")
    assert list(github_commands(broken)) == ["::error file=x.pcap,title=x.pcap::x.pcap: gone"]


# ---------------------------------------------------------------- JSON


def test_json() -> None:
    [capture] = json.loads(json_document([record(checked())]))["captures"]
    assert (capture["capture"], capture["expectations"], capture["met"], capture["error"]) == (
        "echo.pcap", "echo.expect.toml", False, None,
    )  # fmt: skip
    assert capture["results"][1] == {
        "expectation": "connection[1].closed_by", "name": "the echo", "line": 3, "connection": 1, "met": False,
        "text": "The client should have closed first; the server did (FIN in packet 7).", "packet": 7,
    }  # fmt: skip
    assert [result["met"] for result in capture["results"]] == [True, False, True, False]
