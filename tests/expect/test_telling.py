"""What people are told of a capture's expectations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.api.analysis import analyze
from analyzer.expect import telling
from analyzer.expect.expectations import read
from analyzer.expect.judging import Checked, judge
from analyzer.expect.telling import summary, told
from analyzer.language import speak
from analyzer.render.screen import Screen, cells

MADE = Path(__file__).parents[2] / "captures" / "made"

TOML = b"""\
[capture]
connections = 1
others = "forbidden"

[[connection]]
name = "the first to come"
closed_by = "server"
states.client = "\xe2\x80\xa6 CLOSE-WAIT \xe2\x80\xa6"
no = ["reset", "retransmission"]
max_idle = "1 ms"
said.server = "Welcome"

[[connection]]
server.port = 80
"""


def checked(toml: bytes = TOML, name: str = "select-5000.pcapng") -> Checked:
    expectations = read(toml, "select.expect.toml")
    return Checked(name, expectations, list(judge(analyze(MADE / name), expectations)))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [80, 100, 140])
def test_screens(width: int, language: str, golden: Callable[[str, str], None]) -> None:
    speak(language)
    lines = [line.rstrip() for line in told(checked(), Screen(width))]
    assert all(cells(line) <= width for line in lines)
    golden(f"expect/select-5000.{language}.{width}.txt", "\n".join(lines) + "\n")


ANY_BUT_THIS = b"""\
[[connection]]
nth = "every"
lifecycle = ""
opened_once = true
closed_by = "both"
cause = "half_open"
verdict = "SHR"
no = ["reset", "retransmission", "capture_duplicate"]
events = { window_full = ">= 1" }
states = { client = "LISTEN", server = "SYN-SENT ... CLOSED" }
said = { client = "\\u0000", server = { matches = "x", sha256 = "%s", bytes = "> 9999" } }
packets = { client = 0, server = 0 }
max_handshake_rtt = "0 s"
max_duration = "0 s"
max_idle = "0 s"
""" % (b"0" * 64)


@pytest.mark.parametrize("capture", sorted(MADE.glob("*.pcap*")), ids=lambda path: path.name)
def test_every_fault_of_every_capture_fits(capture: Path) -> None:
    for language in ("en", "zh"):
        speak(language)
        one = checked(ANY_BUT_THIS, capture.name)
        assert len(one.faults) > 8
        for width in (60, 100, 140):
            _name, *lines = told(one, Screen(width))
            assert all(cells(line) <= width for line in lines)


def test_what_is_met_is_one_line() -> None:
    assert list(told(checked(b'[[connection]]\nverdict = "SF"'), Screen(80))) == [
        "✓ select-5000.pcapng · 2 expectations met"
    ]


def test_what_could_not_be_judged() -> None:
    broken = Checked("a\x1b.pcap", read(b"", "x"), [], "gone")
    assert list(told(broken, Screen(80))) == ["✗ a\\x1b.pcap · could not be judged"]


def test_every_wrong_packet_is_marked_in_one_ladder() -> None:
    one = checked(b'[[connection]]\nclosed_by = "server"\npackets = 1\n')
    lines = list(told(one, Screen(100)))
    assert sum("▌▶" in line for line in lines) == 2
    assert sum(line.startswith("───") for line in lines) == 1
    assert not any("▌▶" in line for line in told(one, Screen(100), ladders=False))


def test_few_ladders_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "MOST_LADDERS", 1)
    lines = list(told(checked(b'[[connection]]\nnth = "every"\ncause = "refused"\n'), Screen(100)))
    assert sum(line.startswith("───") for line in lines) == 1
    assert lines[-1] == "  2 more connections have no ladder here: tcpflow-view read -c N draws them."


def test_colour_changes_no_text() -> None:
    import re

    plain = list(told(checked(), Screen(100)))
    painted = list(told(checked(), Screen(100, color=True)))
    assert painted != plain
    assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in painted] == plain


def test_several_captures_have_a_line_together() -> None:
    assert list(summary(1, 0, Screen(80))) == []
    assert list(summary(2, 0, Screen(80))) == ["2 captures: as expected"]
    assert list(summary(2, 1, Screen(80))) == ["2 captures: 1 not as expected"]
