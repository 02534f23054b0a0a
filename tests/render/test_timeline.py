"""One line a packet: our columns and tcpdump's line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.explain.calls import Call, Certainty, inferred
from analyzer.pipeline import Run, lives, survey
from analyzer.render import timeline as timeline_module
from analyzer.render.calls import Beside
from analyzer.render.screen import Screen, cells
from analyzer.render.segment import segments
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.timeline import Timeline
from analyzer.tables import Event, Side

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted(path for path in MADE.iterdir() if path.suffix in (".pcap", ".pcapng"))
ECHO = MADE / "loopback-echo-1235.pcap"
PIPE = Screen(100)


def timeline(capture: Path, screen: Screen, **flags: int) -> str:
    """The whole text; times are seconds since 1970, which no time zone changes."""
    shown = Timeline(screen, TcpdumpPrinter(TcpdumpOptions(**{"numeric": 1, "time": 2} | flags)))
    with Run(capture) as run:
        return "".join(map(shown.render, run))


def tcpdump(capture: Path, **flags: int) -> list[str]:
    printer = TcpdumpPrinter(TcpdumpOptions(**{"numeric": 1, "time": 2} | flags))
    with Run(capture) as run:
        return "".join(printer.render(batch.frames).text.tobytes().decode() for batch in run).splitlines()


@pytest.mark.parametrize("name", ["loopback-echo-1235.pcap", "fast-retransmission.pcapng", "refused-udp.pcap"])
@pytest.mark.parametrize(
    "screen", [PIPE, Screen(80, terminal=True), Screen(140, terminal=True)], ids=["pipe", "80", "140"]
)
def test_timelines(name: str, screen: Screen, golden: Callable[[str, str], None]) -> None:
    kind = screen.width if screen.terminal else "pipe"
    golden(f"timeline/{name}.{kind}.txt", timeline(MADE / name, screen))


@pytest.mark.parametrize(
    "screen", [PIPE, Screen(80, terminal=True), Screen(180, terminal=True)], ids=["pipe", "80", "180"]
)
def test_socket_calls(screen: Screen, golden: Callable[[str, str], None]) -> None:
    kind = screen.width if screen.terminal else "pipe"
    golden(f"timeline/calls.{kind}.txt", with_calls(screen))


@pytest.mark.parametrize("width", [60, 80, 99, 100, 140, 160, 200])
def test_lines_with_calls_never_wrap(width: int) -> None:
    assert all(cells(line) <= width for line in with_calls(Screen(width, terminal=True)).splitlines())


def with_calls(screen: Screen) -> str:
    """The article's connection with its calls, two of them of no packet."""
    run = survey(ECHO)
    life = lives(ECHO, "", [1])[1]
    seen = [
        Call(0, Side.SERVER, "read(4)", False, Certainty.SEEN, int(life.ts_ns[3]) + at, "= -1 EAGAIN", "php")
        for at in (1, 10**10)
    ]
    calls = [*inferred(run.connections[0], run.endpoints[0], life), *seen]
    shown = Timeline(screen, TcpdumpPrinter(TcpdumpOptions(numeric=1, time=2)), {1: Beside(calls, segments(life))})
    with Run(ECHO) as again:
        return "".join(map(shown.render, again))


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_a_pipe_gets_tcpdump_s_lines_whole(capture: Path) -> None:
    lines = timeline(capture, PIPE).splitlines()
    printed = tcpdump(capture)
    assert len(lines) == len(printed)
    assert all(line.endswith(f" {text}") for line, text in zip(lines, printed, strict=True))


@pytest.mark.parametrize("width", [60, 80, 99, 100, 140, 160, 200])
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_a_terminal_s_lines_never_wrap(capture: Path, width: int) -> None:
    for line in timeline(capture, Screen(width, terminal=True), hex_ascii=1).splitlines():
        assert cells(line) <= width


def test_numbers_states_and_phases() -> None:
    columns = [line[1:52].split() for line in timeline(ECHO, PIPE).splitlines()]
    assert [row[:5] for row in columns[:3]] == [
        ["1", "1", "handshake", "SYN-SENT", "SYN-RECEIVED?"],
        ["2", "1", "handshake", "ESTABLISHED", "SYN-RECEIVED"],
        ["3", "1", "handshake", "ESTABLISHED", "ESTABLISHED"],
    ]
    assert columns[-1][:5] == ["10", "1", "teardown", "CLOSED", "TIME-WAIT"]


def test_further_lines_of_a_packet_follow_it() -> None:
    lines = timeline(ECHO, PIPE, hex=1).splitlines()
    assert lines[1].startswith("        0x0000:  4500 003c 64d4")
    assert len(lines) == len(tcpdump(ECHO, hex=1))


def test_a_connection_is_introduced_where_addresses_are_left_out() -> None:
    lines = timeline(MADE / "select-5000.pcapng", Screen(120, terminal=True)).splitlines()
    assert [line.split() for line in lines if not line.startswith("▌")] == [
        [str(number), f"127.0.0.1.{48993 + number}", "→", "127.0.0.1.5000"] for number in (1, 2, 3)
    ]
    assert not any("IP 127" in line for line in lines)
    assert all("IP 127" in line for line in timeline(ECHO, Screen(160, terminal=True)).splitlines())


def test_options_are_shortened_before_the_line_is() -> None:
    first = timeline(ECHO, Screen(140, terminal=True)).splitlines()[1]
    assert re.search(r"options \[mss 65495,\S*…\], length 0$", first)


def test_phases_without_colour_on_a_narrow_terminal() -> None:
    assert "".join(line[0] for line in timeline(ECHO, Screen(80, terminal=True)).splitlines()) == " hhhdddtttt"


@pytest.mark.parametrize("screen", [Screen(100, color=True), Screen(80, color=True, terminal=True)])
def test_colour_changes_no_text(screen: Screen) -> None:
    painted = re.sub(r"\x1b\[[\d;]*m", "", timeline(MADE / "fast-retransmission.pcapng", screen))
    plain = timeline(MADE / "fast-retransmission.pcapng", screen._replace(color=False))
    assert re.sub("^[hdt▌]", "", painted, flags=re.MULTILINE) == re.sub("^[hdt▌]", "", plain, flags=re.MULTILINE)


def test_ascii_where_there_is_no_utf8() -> None:
    assert timeline(ECHO, Screen(80, unicode=False, terminal=True)).isascii()


def test_payload_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    capture = tmp_path / "bad.pcap"
    capture.write_bytes(ECHO.read_bytes().replace(b"clien", b"\x1b[2J\t"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", timeline(capture, PIPE, ascii=1))


def test_batches_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = timeline(ECHO, Screen(80, terminal=True))
    monkeypatch.setattr("analyzer.pipeline.BATCH_PACKETS", 9)
    assert timeline(ECHO, Screen(80, terminal=True)).replace(" ", "") == whole.replace(" ", "")


def test_what_a_capture_with_losses_cannot_tell() -> None:
    shown = Timeline(PIPE, TcpdumpPrinter(TcpdumpOptions(numeric=1)))
    with Run(ECHO) as run:
        (batch,) = run
    batch.labels.events[:] = 1 << Event.LOST_SEGMENT | 1 << Event.ZERO_WINDOW
    assert "✗ lost_segment ✗ zero_window " in shown.render(batch)
    shown.has_losses = True
    assert " lost_segment? ✗ zero_window " in shown.render(batch)


def test_what_events_refer_to() -> None:
    lines = timeline(MADE / "fast-retransmission.pcapng", PIPE).splitlines()
    assert " ✗ duplicate_ack #3 of 14 " in lines[16]
    assert " ✗ fast_retransmission of 6 " in lines[17]
    narrow = timeline(MADE / "fast-retransmission.pcapng", Screen(80, terminal=True)).splitlines()
    assert " ✗ duplicate_ack " in narrow[17]
    assert "#" not in narrow[17]


def test_who_was_introduced_too_long_ago_is_introduced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "_MOST_INTRODUCED", 1)
    shown = Timeline(Screen(80, terminal=True), TcpdumpPrinter(TcpdumpOptions(numeric=1)))
    introduction = re.compile(r"^ *[12] 127\.0\.0\.1\.\d+ → ", re.MULTILINE)
    with Run(ECHO) as run:
        (batch,) = run
        assert len(introduction.findall(shown.render(batch))) == 1
        assert not introduction.findall(shown.render(batch))
        batch.labels.connection[5:] = 2
        assert len(introduction.findall(shown.render(batch))) == 1
        assert len(introduction.findall(shown.render(batch))) == 2
