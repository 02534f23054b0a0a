"""``tcpflow-view report``: what the page has, what it leaves out, and what is said where it cannot be written."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analyzer.cli.export import command as export
from analyzer.cli.report import command
from analyzer.errors import UsageError
from tests.capture.brought import bringing
from tests.report.saying import CLIENT, SERVER, frames, write

MADE = Path(__file__).parents[2] / "captures" / "made"
ARTICLE = MADE / "loopback-echo-1235.pcap"
THREE = MADE / "select-5000.pcapng"


def report(*arguments: object, octets: bytes | None = None) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments], input=octets)


def data(path: Path, name: str) -> Any:
    """What an element of the page holds."""
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', path.read_text(encoding="utf-8"))
    return json.loads(found[1]) if found else None


def page_of(tmp_path: Path, *arguments: object) -> Path:
    path = tmp_path / "report.html"
    result = report(*arguments, "-o", path)
    assert (result.exit_code, result.output) == (0, "")
    return path


def test_the_article_s_page(tmp_path: Path) -> None:
    path = page_of(tmp_path, ARTICLE)
    assert path.stat().st_size < 600_000
    overview, one = data(path, "report"), data(path, "connection-1")
    assert (overview["file"], overview["told"], overview["leftOut"]) == (ARTICLE.name, [1], [])
    assert one["ends"] == ["127.0.0.1:48994", "127.0.0.1:1235"]
    assert one["packets"]["flags"][:3] == ["SYN", "SYN,ACK", "ACK"]
    assert one["said"]["why"]["en"].startswith("The server closed first (FIN in packet 7)")
    assert one["tcpdump"][0].endswith("length 0")
    octets, wire, start = one["frames"][3]
    assert b64decode(octets)[start:] == b"clien"
    assert len(b64decode(octets)) == wire
    assert one["conversation"] == [[0, 4, 0, 5, 0], [1, 6, 0, 2, 0]]
    assert data(path, "plots-1")["packets"] == 10


def test_both_languages_are_in_it(tmp_path: Path) -> None:
    one = data(page_of(tmp_path, ARTICLE), "connection-1")
    assert one["transactions"]["listed"][0]["name"] == {"en": "handshake", "zh": "建立连接"}
    assert '<text data-en="handshake" data-zh="建立连接"' not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'data-zh="建立连接">handshake</text>' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_filter_and_a_choice(tmp_path: Path) -> None:
    path = page_of(tmp_path, THREE, "-c", "2", "port", "5000")
    assert data(path, "report")["told"] == [2]
    assert data(path, "report")["filter"] == "port 5000"
    assert data(path, "connection-1") is None
    assert data(path, "connection-2")["number"] == 2
    assert data(page_of(tmp_path, THREE, "--only", "udp"), "report")["told"] == []
    assert len(data(page_of(tmp_path, THREE, "--sort", "packets"), "report")["told"]) == 3


def test_datagrams(tmp_path: Path) -> None:
    path = page_of(tmp_path, MADE / "echo-udp-23333.pcap")
    one = data(path, "connection-1")
    assert not one["tcp"]
    assert one["transactions"]["listed"] == one["phases"] == []
    assert len(one["conversation"]) == 2
    assert 'id="states-1"' not in path.read_text(encoding="utf-8")


def test_most_packets(tmp_path: Path) -> None:
    capture = write(tmp_path / "long.pcap", frames([(i % 2, b"x" * 20) for i in range(90)]))
    one = data(page_of(tmp_path, capture, "--max-packets", 20), "connection-1")
    numbers = one["packets"]["number"]
    assert numbers == [*range(1, 11), *range(87, 97)]
    assert len(one["frames"]) == len(one["tcpdump"]) == 20
    assert "76 packets" in one["said"]["omitted"]["en"]
    assert data(tmp_path / "report.html", "plots-1")["packets"] == 96
    assert {item[1] for item in one["conversation"] if len(item) == 5} <= set(numbers)


def test_without_payload(tmp_path: Path) -> None:
    capture = write(
        tmp_path / "secret.pcap",
        frames([(0, b"GET /top-secret HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 200 hidden\r\n\r\n")]),
    )
    path = page_of(tmp_path, capture, "--no-payload")
    text = path.read_text(encoding="utf-8")
    assert "top-secret" not in text
    assert "hidden\\r" not in text
    one = data(path, "connection-1")
    assert one["conversation"] is None
    assert all(b"secret" not in b64decode(octets) for octets, _wire, _start in one["frames"])
    assert [wire for _octets, wire, _start in one["frames"]][3] == 54 + 28
    assert any("left out" in said["en"] for said in data(path, "report")["leftOut"])
    assert "top-secret" in page_of(tmp_path, capture).read_text(encoding="utf-8")


@pytest.mark.parametrize("addresses", [(CLIENT, SERVER), ("2001:db8::a:77", "2001:db8:1::23")])
def test_anonymous(tmp_path: Path, addresses: tuple[str, str]) -> None:
    capture = write(tmp_path / "our-host.pcap", frames([(0, b"hello")], addresses))
    path = page_of(tmp_path, capture, "--anonymize", "--svg", tmp_path / "svg", f"host {addresses[0]}")
    drawn = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "svg").iterdir())
    for secret in (*addresses, "our-host"):
        assert secret not in path.read_text(encoding="utf-8")
        assert secret not in drawn
    one = data(path, "connection-1")
    client = one["ends"][0].rsplit(":", 1)[0].strip("[]")
    assert all(client in line for line in one["tcpdump"])
    assert data(path, "report")["addresses"].count(client) == 1


HOSTILE = b"</script><img src=x onerror=alert(1)><!--\xe2\x80\xa8\xe2\x80\xae</template>"


def test_hostile_payload_and_names(tmp_path: Path) -> None:
    capture = write(tmp_path / "<img src=x onerror=alert(1)>\u202e'\".pcap", frames([(0, HOSTILE), (1, HOSTILE)]))
    path = page_of(tmp_path, capture)
    text = path.read_text(encoding="utf-8")
    usual = write(tmp_path / "usual.pcap", frames([(0, b"x" * len(HOSTILE)), (1, b"x" * len(HOSTILE))]))
    other = page_of(tmp_path, usual).read_text(encoding="utf-8")
    assert "<img" not in text
    for tag in ("<script", "</script", "<template", "</template", "<!--", "<svg", "<g ", "<text", "<title"):
        assert text.count(tag) == other.count(tag)


def test_drawings(tmp_path: Path) -> None:
    page_of(tmp_path, THREE, "-c", "1,3", "--svg", tmp_path / "svg")
    names = sorted(path.name for path in (tmp_path / "svg").iterdir())
    kinds = ("ladder", "sequence", "states")
    assert names == [f"connection-{number}-{kind}.svg" for number in (1, 3) for kind in kinds]
    assert all("<style>" in path.read_text(encoding="utf-8") for path in (tmp_path / "svg").iterdir())


def test_standard_input_and_output() -> None:
    result = report("-", "-o", "-", octets=ARTICLE.read_bytes())
    assert result.exit_code == 0
    assert result.stdout.startswith("<!DOCTYPE html>")
    assert '"file":"standard input"' in result.stdout


def test_a_pipe_by_its_name(tmp_path: Path) -> None:
    with bringing(ARTICLE.read_bytes()) as reading:
        assert data(page_of(tmp_path, f"/dev/fd/{reading}"), "report")["told"]


def test_an_empty_capture_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "empty.pcap").write_bytes(ARTICLE.read_bytes()[:24])
    assert data(page_of(tmp_path, tmp_path / "empty.pcap"), "report")["told"] == []


def test_a_damaged_capture_has_a_page_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "cut.pcap").write_bytes(ARTICLE.read_bytes()[:-5])
    result = report(tmp_path / "cut.pcap", "-o", tmp_path / "report.html")
    assert result.exit_code == 1
    assert "warning" in result.stderr
    assert data(tmp_path / "report.html", "report")["quality"]["damage"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([ARTICLE, "-o", ARTICLE], "that is the capture itself"),
        ([ARTICLE, "-o", "no/such/folder.html"], "cannot write there"),
        ([ARTICLE, "-o", "report.html", "-c", "7"], "there is only one"),
        ([ARTICLE, "-o", "report.html", "--only", "nonsense"], "it knows"),
        ([ARTICLE, "-o", "report.html", "--svg", ARTICLE], "--svg"),
        (["no-such-file", "-o", "report.html"], "no-such-file"),
    ],
)
def test_what_cannot_be(
    arguments: list[object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    result = report(*arguments)
    assert isinstance(result.exception, Exception)
    assert message in str(result.exception)


def test_mermaid() -> None:
    result = CliRunner().invoke(export, [str(ARTICLE), "--format", "mermaid"])
    assert result.exit_code == 0
    assert result.stdout.startswith("sequenceDiagram\n")
    result = CliRunner().invoke(export, [str(THREE), "--format", "mermaid", "-c", "2"])
    assert ":5000" in result.stdout
    with pytest.raises(UsageError, match="goes with --format packetdrill"):
        CliRunner().invoke(export, [str(THREE), "--format", "mermaid", "--side", "client"], catch_exceptions=False)
