"""``tcpflow-view live --report``: the page at the end, with and without a file of packets, and where it cannot be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.capture.namespaces import needs_root
from tests.cli.test_live import PORT, converse, ended, live, loopback, run

__all__ = ["loopback"]


def overview(page: Path) -> dict[str, object]:
    found = re.search('id="report">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found
    return dict(json.loads(found[1]))


@needs_root
@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("is_saved", [False, True])
def test_the_page_tells_what_was_seen(is_saved: bool, tmp_path: Path) -> None:
    page, saved = tmp_path / "page.html", tmp_path / "saved.pcap"
    saving = ["-w", saved] if is_saved else []
    with live("-i", "lo", "--report", page, *saving, "--count", 8, "port", PORT) as process:
        converse()
        status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert out.endswith(f" the page is written to {page}\n")
    told = overview(page)
    assert (told["file"], told["told"]) == ("lo", [1])
    assert saved.exists() == is_saved == (f"packets saved to {saved}" in out)
    assert "live.pcapng" not in out


@needs_root
@pytest.mark.usefixtures("loopback")
def test_nothing_seen_is_a_page_too(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with live("-i", "lo", "--report", page, "--duration", "0.2", "port", PORT) as process:
        assert ended(process)[0] == 0
    assert overview(page)["told"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report", "no/such/page.html"], "--report no/such/page.html: cannot write there"),
        (["--report", "page.html", "-w", "x.pcap", "--rotate-size", "1"], "--report needs all packets"),
    ],
)
def test_what_cannot_be(arguments: list[str], message: str) -> None:
    done = run("live", "-i", "lo", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
