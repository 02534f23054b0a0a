"""What tshark tells of packets through pyshark, and what happens when it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from analyzer.dissect import sharks
from analyzer.dissect.sharks import summaries, trees
from analyzer.dissect.told import Field, Summary
from analyzer.dissect.tshark import Tshark, installed
from analyzer.errors import TsharkError, UsageError
from tests.dissect.fake import (
    CRASHES,
    ENDLESS,
    FAILS,
    GARBAGE,
    HANGS,
    HANGS_WITH_A_CHILD,
    install,
    needs_tshark,
    processes_left,
)
from tests.report.saying import frames, write

MADE = Path(__file__).parents[2] / "captures" / "made"
HTTP = MADE / "http-get-80.pcap"


def told(path: Path, numbers: Sequence[int], *decode_as: str) -> dict[int, Summary]:
    ticks: list[int] = []
    found = summaries(installed("a test"), str(path), numbers, decode_as, ticks.append)
    assert ticks == list(range(1, len(numbers) + 1))
    assert processes_left() == []
    return {number: one for number, one in found.items() if one.is_decoded}


def fields(path: Path, numbers: Sequence[int], wanted: Sequence[int]) -> dict[int, tuple[Field, ...]]:
    found = trees(installed("a test"), str(path), numbers, [], wanted, lambda done: None)
    assert processes_left() == []
    return found


def lines(tree: Sequence[Field]) -> list[str]:
    return [line for field in tree for line in (field.text, *lines(field.fields))]


@needs_tshark
def test_http() -> None:
    found = told(HTTP, range(1, 11))
    assert found == {
        4: Summary(4, "HTTP", "GET / HTTP/1.1", ("http",)),
        6: Summary(6, "HTTP", "HTTP/1.1 400 Bad Request", ("http",)),
    }
    (http,) = fields(HTTP, range(1, 11), [4])[4]
    assert http.text == "Hypertext Transfer Protocol"
    assert http.fields[0].text == "GET / HTTP/1.1\\r\\n"
    assert [field.text for field in http.fields[0].fields][:2] == ["Request Method: GET", "Request URI: /"]


@needs_tshark
def test_numbers_are_those_of_the_capture() -> None:
    numbers = [100 * number for number in range(1, 11)]
    assert list(told(HTTP, numbers)) == [400, 600]
    found = fields(HTTP, numbers, [600])
    assert list(found) == [600]
    assert "Request in frame: 400" in lines(found[600])


@needs_tshark
def test_a_message_stands_at_the_packet_that_completes_it(tmp_path: Path) -> None:
    said = [(0, b"GET /there HTTP/1.1\r\nHost: a.exa"), (0, b"mple\r\nAccept: */*\r\n"), (0, b"\r\n")]
    path = write(tmp_path / "said.pcap", frames(said))
    numbers = range(11, 20)
    found = told(path, numbers)
    assert {number: one.info for number, one in found.items()} == {16: "GET /there HTTP/1.1"}
    tree = lines(fields(path, numbers, [16])[16])
    assert "Host: a.example\\r\\n" in tree
    assert any("#14(" in line and "#16(" in line for line in tree)


@needs_tshark
def test_what_a_port_speaks(tmp_path: Path) -> None:
    path = MADE / "talk-54321-client-closes.pcap"
    with_rule = told(path, range(1, count_of(path) + 1), "tcp.port==54321,echo")
    assert {one.protocol for one in with_rule.values()} == {"ECHO"}
    assert told(path, range(1, count_of(path) + 1)) == {}


@needs_tshark
def test_udp() -> None:
    found = told(MADE / "echo-udp-23333.pcap", [1, 2], "udp.port==23333,echo")
    assert [one.info for one in found.values()] == ["Request", "Response"]


@needs_tshark
def test_a_server_that_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "hello.pcap", frames([(0, client_hello(b"where.example"))]))
    (found,) = told(path, range(1, 8), "tcp.port==80,tls").values()
    assert found.protocol.startswith("TLS")
    assert found.info.endswith("SNI where.example") or "SNI=where.example" in found.info


@needs_tshark
def test_evil_text_is_told_as_it_is(tmp_path: Path) -> None:
    evil = b"GET /</packet><packet>&amp;]]>\xe2\x80\xae\x1b[31m HTTP/1.1\r\nHost: <b>\r\n\r\n"
    path = write(tmp_path / "evil.pcap", frames([(0, evil)]))
    found = told(path, range(1, 8))
    assert "</packet><packet>&amp;]]>" in found[4].info
    assert "Host: <b>\\r\\n" in lines(fields(path, range(1, 8), [4])[4])


@needs_tshark
def test_nothing_is_wanted() -> None:
    assert trees(Tshark("/nowhere", ""), "/nowhere", [1], [], [], lambda done: None) == {}


@needs_tshark
def test_a_configuration_that_lies_about_does_not_matter(tmp_path: Path) -> None:
    """pyshark itself would take the path of tshark from there, or stop at a file that is not its own."""
    (tmp_path / "config.ini").write_text("[other]\nkey = value\n")
    command = [sys.executable, "-W", "error", "-m", "analyzer", "read", str(HTTP), "--dissect"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert "HTTP  GET / HTTP/1.1" in run.stdout


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (FAILS, "^tshark failed: The file is a horse$"),
        (CRASHES, r"^tshark crashed \(SIGSEGV\)$"),
        (HANGS, "^tshark does not go on; it was ended$"),
        (HANGS_WITH_A_CHILD, "^tshark does not go on; it was ended$"),
        (ENDLESS, "^tshark does not go on; it was ended$"),
        (GARBAGE, "^tshark's output cannot be read$"),
        ("", "^tshark told of 0 of 10 packets$"),
        ("print('<packet><section>11</section>' + '<section>x</section>' * 4 + '</packet>')", "cannot be read"),
        ("print('<packet><section>')", "^tshark told of 0 of 10 packets$"),
    ],
)
def test_one_that_goes_wrong(does: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin", monkeypatch, does)
    monkeypatch.setattr(sharks, "PATIENCE_S", 1.0)
    with pytest.raises(TsharkError, match=said):
        summaries(installed("a test"), str(HTTP), range(1, 11), [], lambda done: None)
    assert processes_left() == []


def test_one_that_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TsharkError, match="cannot be started"):
        summaries(Tshark(str(tmp_path / "tshark"), ""), str(HTTP), range(1, 11), [], lambda done: None)


def test_pyshark_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyshark", None)
    with pytest.raises(UsageError, match=r"^--dissect needs pyshark: pip install pyshark$"):
        sharks.available("--dissect")


@pytest.mark.parametrize("module", ["read", "report", "verify"])
def test_nobody_else_pays_for_it(module: str) -> None:
    script = f"import sys, analyzer.cli.{module}; print(sorted({{'pyshark', 'lxml', 'asyncio'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def count_of(path: Path) -> int:
    from analyzer.pipeline import survey

    return survey(str(path)).packets


def client_hello(name: bytes) -> bytes:
    """A TLS record with a Client Hello that names a server (RFC 8446 4.1.2, RFC 6066 3)."""
    entry = b"\0" + len(name).to_bytes(2) + name
    names = len(entry).to_bytes(2) + entry
    extensions = b"\0\0" + len(names).to_bytes(2) + names
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + len(extensions).to_bytes(2) + extensions
    handshake = b"\x01" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2) + handshake
