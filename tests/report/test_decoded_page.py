"""What tshark decodes, in a page, beside the packet that is clicked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import dissected
from analyzer.cli.report import command
from analyzer.dissect import sharks
from tests.dissect.fake import FAILS, install, needs_tshark, processes_left
from tests.report.browser import CHROMIUM, Browser
from tests.report.saying import frames, write

HTTP = Path(__file__).parents[2] / "captures" / "made" / "http-get-80.pcap"
HOSTILE = b"GET /<img/src=x/onerror=alert(1)></script><b> HTTP/1.1\r\nHost: \xe2\x80\xaex\r\n\r\n"


def report(capture: Path, page: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(command, [str(capture), "-o", str(page), *arguments])
    assert processes_left() == []
    return result


def shown(page: Path, *packets: int) -> list[Any]:
    """What the panel says below "decoded", when each packet is chosen."""
    found = []
    with Browser() as browser:
        browser.open(page)
        for packet in packets:
            choice = f"{{detail: {{connection: 1, packet: {packet}}}}}"
            browser.run(f"document.dispatchEvent(new CustomEvent('packet', {choice}))")
            found.append(browser.run("document.querySelector('#packet .decoded')?.innerText ?? null"))
        assert browser.run("document.querySelectorAll('#packet img, #packet b, #packet script').length") == 0
        assert browser.complaints == []
        assert set(browser.requests) <= {page.as_uri(), "about:blank"}
    return found


@needs_tshark
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_packet_that_is_clicked(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = report(HTTP, page, "--dissect")
    assert (result.exit_code, result.stderr) == (0, "")
    first, fourth, sixth = shown(page, 1, 4, 6)
    assert first is None
    assert fourth.startswith("HTTP GET / HTTP/1.1")
    assert "Request Method: GET" in fourth
    assert "Status Code: 400" in sixth


@needs_tshark
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_nothing_of_it_is_markup(tmp_path: Path) -> None:
    capture, page = write(tmp_path / "evil.pcap", frames([(0, HOSTILE)])), tmp_path / "page.html"
    assert report(capture, page, "--dissect").exit_code == 0
    assert b"<img/src" not in page.read_bytes()
    (told,) = shown(page, 4)
    assert "<img/src=x/onerror=alert(1)></script><b>" in told
    assert "\u202e" not in told


@needs_tshark
def test_only_of_packets_that_the_page_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    assert report(HTTP, page, "--dissect", "--max-packets", "4").exit_code == 0
    assert "Request Method" not in page.read_text()
    monkeypatch.setattr(dissected, "MOST_PACKETS", 5)
    assert report(HTTP, page, "--dissect").exit_code == 0
    text = page.read_text()
    assert "Request Method" in text
    assert "Status Code: 400" not in text
    assert "tshark got the first 5 packets of these connections, and not the 5 after them." in text


@pytest.mark.parametrize("option", ["--anonymize", "--no-payload"])
def test_what_must_not_be_seen(option: str, tmp_path: Path) -> None:
    result = report(HTTP, tmp_path / "page.html", "--dissect", option)
    assert str(result.exception).startswith(f"--dissect does not go with {option}: ")
    assert not (tmp_path / "page.html").exists()


def test_without_dissection_there_is_none(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert report(HTTP, page).exit_code == 0
    assert '"decoded":{}' in page.read_text()


def test_a_tshark_that_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin", monkeypatch, FAILS)
    monkeypatch.setattr(sharks, "PATIENCE_S", 1.0)
    page = tmp_path / "page.html"
    result = report(HTTP, page, "--dissect")
    assert result.exit_code == 1
    assert result.stderr.startswith("tcpflow-view: warning: --dissect: tshark failed: The file is a horse; everything")
    assert '"decoded":{}' in page.read_text()
