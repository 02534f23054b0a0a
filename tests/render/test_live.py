"""What stays on the screen of a live capture: its lines, which connections it shows, and how frames are drawn."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analyzer.pipeline import Run
from analyzer.render import watched
from analyzer.render.live import Heading, LiveTable
from analyzer.render.pinned import Pinned
from analyzer.render.screen import Screen, cells
from analyzer.render.watched import LINGER_NS, Watched
from analyzer.tables import CONNECTION, ENDPOINT, Batch, Event, Frames, Protocol, Rows, empty_labels, empty_packets
from analyzer.tcp.states import State
from analyzer.tcp.summary import SILENCE_NS

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted(path for path in MADE.iterdir() if path.suffix in (".pcap", ".pcapng"))
SECOND = 1_000_000_000
HEADING = Heading("lo", "port 1235", 12 * SECOND, 1_204, 0, "", keys="q quits")


def programs(connection: Rows) -> tuple[str, str]:
    return "client1.py (6829)", "server1.py (6828)"


def lines(
    capture: Path, screen: Screen, *, packets: int = 1_000_000, room: int = 20, later_ns: int = SECOND
) -> list[str]:
    """What stays after so many packets of a capture and some time."""
    shown = Watched()
    table = LiveTable(shown, programs)
    with Run(capture) as run:
        frames = next(iter(run.capture))
        frames = Frames._make([frames.data, *(column[:packets] for column in frames[1:])])
        shown.note(run.take(frames))
    rows = run.connections[: run.count], run.endpoints[: run.count]
    return table.lines(HEADING, *rows, run.last_ns + later_ns, screen, room)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_article(width: int, golden: Callable[[str, str], None]) -> None:
    screen = Screen(width, terminal=True)
    frames = [lines(MADE / "loopback-echo-1235.pcap", screen, packets=count) for count in (1, 3, 6, 7, 10)]
    text = "\n\n".join("\n".join(frame) for frame in frames)
    golden(f"live/loopback-echo-1235.{width}.txt", text + "\n")


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
@pytest.mark.parametrize("room", [1, 4, 7, 20])
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_nothing_wraps(capture: Path, width: int, room: int) -> None:
    shown = lines(capture, Screen(width, color=True, terminal=True), room=room)
    assert len(shown) <= room
    assert all(cells(re.sub(r"\x1b\[[\d;]*m", "", line)) <= width for line in shown)


def test_who_ended_stays_for_a_while() -> None:
    echo, screen = MADE / "loopback-echo-1235.pcap", Screen(140, color=True, terminal=True)
    row = lines(echo, screen, later_ns=LINGER_NS - SECOND)[2]
    assert "server closed" in row
    assert "\x1b[2mCLOSED" in row, "dimmed"
    assert "no connection lives" in lines(echo, screen, later_ns=LINGER_NS + SECOND)[1]


def test_trouble_stays_for_a_while() -> None:
    capture = MADE / "zero-window.pcap"
    with Run(capture) as run:
        (batch,) = run
    trouble = int(np.flatnonzero(batch.labels.events)[0]) + 1
    screen = Screen(140, terminal=True)
    assert "✗ " in lines(capture, screen, packets=trouble)[2]
    assert "✗ " not in lines(capture, screen, packets=trouble, later_ns=4 * SECOND)[2]


@pytest.mark.parametrize("seconds", [(0, "00:00"), (125, "02:05"), (7_325, "2:02:05")])
def test_heading(seconds: tuple[int, str]) -> None:
    heading = HEADING._replace(elapsed_ns=seconds[0] * SECOND, lost=5, saved_to="/tmp/x.pcap", filter_expression="")
    no_rows = np.zeros(0, CONNECTION), np.zeros((0, 2), ENDPOINT)
    first, second = LiveTable(Watched(), programs).lines(heading, *no_rows, 0, Screen(100, terminal=True), 9)
    assert first.startswith(f" live on lo · {seconds[1]} · 1,204 packets · ✗ 5 lost · saved to x.pcap  ")
    assert first.endswith("q quits")
    assert "waiting for packets" in second


# ---------------------------------------------------------------- which connections


def connections(
    states: list[tuple[State, State]], last_ns: list[int], protocol: int = Protocol.TCP
) -> tuple[Rows, Rows]:
    rows, ends = np.zeros(len(states), CONNECTION), np.zeros((len(states), 2), ENDPOINT)
    rows["number"] = np.arange(1, len(states) + 1)
    rows["protocol"], rows["last_ns"], ends["state"] = protocol, last_ns, states
    return rows, ends


def batch(rows: list[int], ts_ns: list[int], events: list[int]) -> Batch:
    count = len(rows)
    labels = empty_labels(count)._replace(connection=np.array(rows, np.int64) + 1, events=np.array(events, np.uint32))
    zeros = np.zeros(count, np.int64)
    frames = Frames(np.zeros(0, np.uint8), *[zeros] * 7)._replace(ts_ns=np.array(ts_ns, np.int64))
    return Batch(frames, empty_packets(count), labels)


OPEN, ENDED = (State.ESTABLISHED, State.ESTABLISHED), (State.CLOSED, State.TIME_WAIT)


def test_the_troubled_and_the_new_come_first() -> None:
    shown = Watched()
    lost = 1 << Event.LOST_SEGMENT
    shown.note(batch([0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [0] * 5))
    shown.note(batch([0, 1], [6, 7], [0, lost]))
    table = connections([OPEN] * 5, [6, 7, 3, 4, 5])
    assert shown.choose(*table, 10, 2) == ([1, 4], 5)
    assert shown.choose(*table, 10, 3) == ([1, 3, 4], 5)
    assert shown.choose(*table, 10, 9) == ([0, 1, 2, 3, 4], 5)


def test_the_ended_go() -> None:
    table = connections([OPEN, ENDED, ENDED, (State.CLOSED, State.LISTEN)], [0, 0, 9 * SECOND, 0])
    assert Watched().choose(*table, 10 * SECOND, 9) == ([0, 2], 2)
    conversations = connections([(State.CLOSED, State.CLOSED)] * 2, [0, 9 * SECOND], Protocol.UDP)
    assert Watched().choose(*conversations, SILENCE_NS + SECOND, 9) == ([1], 1)


def test_among_many_the_silent_ones_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lives long and silently among many that come and go is shown again when those have gone."""
    monkeypatch.setattr(watched, "_EVERY_TIME", 10)
    count = 5_000
    shown = Watched()
    for first in range(0, count, 500):
        rows = list(range(first, first + 500))
        shown.note(batch(rows, rows, [0] * 500))
    table = connections([OPEN, *[ENDED] * (count - 1)], list(range(count)))
    chosen, living = shown.choose(*table, count, 20)
    assert len(chosen) == 20
    assert living == count
    assert shown.choose(*table, 10 * SECOND, 20) == ([0], 1)
    assert len(shown._touched) <= 4 * watched._MOST


# ---------------------------------------------------------------- frames


class Emulator:
    """As much of a terminal as ``Pinned`` uses."""

    def __init__(self) -> None:
        self.rows = [""]
        self.row = self.column = 0

    def write(self, text: str) -> None:
        for part in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", text):
            if part == "\r":
                self.column = 0
            elif part == "\n":
                self.row, self.column = self.row + 1, 0
                self.rows += [""] * (self.row + 1 - len(self.rows))
            elif part == "\x1b[A":
                self.row -= 1
            elif part == "\x1b[K":
                self.rows[self.row] = self.rows[self.row][: self.column]
            elif part == "\x1b[2K":
                self.rows[self.row] = ""
            elif not part.startswith("\x1b"):
                self.rows[self.row] = self.rows[self.row][: self.column] + part
                self.column += len(part)
            else:
                assert part in ("\x1b[?2026h", "\x1b[?2026l"), part


def test_lines_scroll_above_what_stays() -> None:
    terminal, pinned = Emulator(), Pinned()
    terminal.write(pinned.frame("", ["heading", "row"], 80))
    terminal.write(pinned.frame("1\n2\n", ["heading", "row", "another"], 80))
    assert terminal.rows == ["1", "2", "heading", "row", "another"]
    terminal.write(pinned.frame("3\n", ["heading"], 80))
    assert [row for row in terminal.rows if row] == ["1", "2", "3", "heading"]
    terminal.write(pinned.frame("", [], 80))
    assert [row for row in terminal.rows if row] == ["1", "2", "3"]
    assert (terminal.row, terminal.column) == (3, 0)


def test_nothing_new_is_not_drawn() -> None:
    pinned = Pinned()
    assert pinned.frame("", ["heading"], 80)
    assert pinned.frame("", ["heading"], 80) == ""


def test_a_terminal_that_became_narrower_broke_the_lines() -> None:
    terminal, pinned = Emulator(), Pinned()
    terminal.write(
        pinned.frame("", ["\x1b[1m" + "x" * 100 + "\x1b[0m", "y"], 120).replace("\x1b[1m", "").replace("\x1b[0m", "")
    )
    terminal.rows, terminal.row = ["x" * 60, "x" * 40, "y"], 2
    terminal.write(pinned.frame("", [], 60))
    assert terminal.rows == ["", "", ""]
    assert terminal.row == 0
