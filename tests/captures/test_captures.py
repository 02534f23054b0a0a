"""The example captures: the index names each, tells their packets rightly, and the rebuilt ones can be rebuilt."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader

CAPTURES = Path(__file__).parents[2] / "captures"

INDEX = dict(re.findall(r"^\| `(made/\S+)` \| (\d+) \|", (CAPTURES / "README.md").read_text("utf-8"), re.MULTILINE))


def test_index_names_every_capture_and_no_other() -> None:
    suffixes = {".pcap", ".pcapng"}
    assert set(INDEX) == {
        path.relative_to(CAPTURES).as_posix() for path in CAPTURES.rglob("*") if path.suffix in suffixes
    }


@pytest.mark.parametrize("name", INDEX)
def test_capture_has_the_packets_that_the_index_says(name: str) -> None:
    with RawPcapReader(str(CAPTURES / name)) as packets:
        assert sum(1 for _ in packets) == int(INDEX[name])


@pytest.mark.parametrize("name", INDEX)
def test_captures_are_small(name: str) -> None:
    assert (CAPTURES / name).stat().st_size < 20_000


def test_rebuilt_captures_equal_the_committed_ones(tmp_path: Path) -> None:
    subprocess.run([sys.executable, CAPTURES / "made" / "rebuild_article.py", tmp_path], check=True)
    rebuilt = sorted(tmp_path.iterdir())
    assert [path.name for path in rebuilt] == ["loopback-echo-1235.pcap", "syn-ack-repeated.pcap"]
    for path in rebuilt:
        assert path.read_bytes() == (CAPTURES / "made" / path.name).read_bytes()
