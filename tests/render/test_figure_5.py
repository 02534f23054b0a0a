"""The layout of figure 5 and what is drawn of it; everything from the tables of the states."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path as File
from xml.etree import ElementTree

import pytest

from analyzer.explain.walk import Path, walk
from analyzer.language import speak
from analyzer.pipeline import lives, survey
from analyzer.render.figure_5 import BOX_HEIGHT, BOX_WIDTH, BOXES, HEIGHT, ROUTES, WIDTH, label, picture
from analyzer.render.screen import Screen, cells
from analyzer.render.state_picture import state_picture
from analyzer.render.state_svg import state_svg
from analyzer.tables import ACK, RST, Protocol, Side
from analyzer.tcp.states import FIGURE_5, Input, State
from tests.render.made import life, segment

MADE = File(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted(path for path in MADE.iterdir() if path.suffix in (".pcap", ".pcapng"))
ECHO = MADE / "loopback-echo-1235.pcap"
SVG = "{http://www.w3.org/2000/svg}"
ESCAPES = re.compile(r"\x1b\[[\d;]*m")


def paths_of(capture: File) -> tuple[tuple[Path, Path], int]:
    run = survey(str(capture), "")
    assert run.connections["protocol"][0] in (Protocol.TCP, Protocol.UDP)
    return walk(lives(str(capture), "", [1])[1]), run.last_ns


def cells_of(points: tuple[tuple[int, int], ...]) -> set[tuple[int, int]]:
    found = set()
    for (x, y), (to_x, to_y) in pairwise(points):
        assert x == to_x or y == to_y
        found |= {(a, b) for a in range(min(x, to_x), max(x, to_x) + 1) for b in range(min(y, to_y), max(y, to_y) + 1)}
    return found


def boxed() -> dict[tuple[int, int], State]:
    return {
        (x, y): box.state
        for box in BOXES
        for x in range(box.x, box.x + BOX_WIDTH)
        for y in range(box.y, box.y + BOX_HEIGHT)
    }


def test_every_arrow_of_the_figure_is_drawn_once() -> None:
    paths, until_ns = paths_of(ECHO)
    drawn = [(arrow.before, arrow.what, arrow.after) for arrow in picture(paths, until_ns).arrows]
    assert sorted(drawn) == sorted(FIGURE_5)
    assert set(ROUTES) == {(before, what) for before, what, _ in FIGURE_5}
    assert {box.state for box in BOXES} == set(State)


def test_arrows_lead_from_their_state_to_their_state() -> None:
    places = boxed()
    for before, what, after in FIGURE_5:
        points = ROUTES[before, what].points
        for (x, y), (next_x, next_y), state in ((points[0], points[1], before), (points[-1], points[-2], after)):
            away = (x > next_x) - (x < next_x), (y > next_y) - (y < next_y)
            assert places[x + away[0], y + away[1]] == state, (before, what)


def test_nothing_is_drawn_over_something_else() -> None:
    taken = set(boxed())
    for (state, what), route in ROUTES.items():
        event, action = label(state, what)
        lines = [f"{event} / {action}"] if route.is_long else [event, action]
        words = {(route.x + k, route.y + row) for row, line in enumerate(lines) for k in range(len(line))}
        for some in (cells_of(route.points), words):
            assert not some & taken, (state, what)
            assert all(0 <= x < WIDTH and 0 <= y < HEIGHT for x, y in some), (state, what)
            taken |= some


def test_labels_are_the_figure_s() -> None:
    """Its own lines, as tcp/states.py has it."""
    figure = File(__import__("analyzer.tcp.states", fromlist=["states"]).__file__).read_text()
    for before, what, _ in FIGURE_5:
        event, action = label(before, what)
        assert event in figure
        assert not action or action in figure
    assert label(State.LISTEN, Input.SND_SYN) == ("SEND", "snd SYN")
    assert label(State.CLOSED, Input.SND_SYN) == ("active OPEN", "snd SYN")
    assert label(State.SYN_RECEIVED, Input.RCV_ACK_OF_SYN) == ("rcv ACK of SYN", "")


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("capture", ["loopback-echo-1235", "refused", "simultaneous-close"])
def test_pictures(capture: str, width: int, golden: Callable[[str, str], None]) -> None:
    lines = state_picture(*paths_of(MADE / f"{capture}.pcap"), Screen(width))
    golden(f"states/{capture}.{width}.txt", "\n".join(lines))


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_every_width_has_room(capture: File) -> None:
    paths, until_ns = paths_of(capture)
    for width in (60, 79, 80, 120, 140, 200):
        lines = list(state_picture(paths, until_ns, Screen(width, color=True)))
        plain = [ESCAPES.sub("", line) for line in lines]
        assert all(cells(line) <= width for line in plain)
        assert [line.rstrip() for line in plain] == [
            line.rstrip() for line in state_picture(paths, until_ns, Screen(width))
        ]


def test_wide_characters_move_nothing() -> None:
    some = [segment(number=4), segment(number=5, flags=RST, client_state=State.CLOSED, server_state=State.CLOSED)]
    drawn = []
    for language in ("en", "zh"):
        speak(language)
        drawn.append(list(state_picture(walk(life(some)), 0, Screen(WIDTH)))[2 : HEIGHT + 2])
    english, chinese = drawn
    assert "└assumed c s R…┘" in "".join(english)
    assert "└推定 c s RST …┘" in "".join(chinese)
    assert [cells(line) for line in english] == [cells(line) for line in chinese]


def test_a_side_is_known_without_colour() -> None:
    text = "\n".join(state_picture(*paths_of(ECHO), Screen(80)))
    client, server, both = (set(glyphs) & set(text) for glyphs in ("━┃┏┓┗┛", "═║╔╗╚╝", "─│"))
    assert all((client, server, both))
    assert "snd FIN s7" in text
    assert "snd ACK c7" in text


def test_ascii() -> None:
    screen = Screen(80, unicode=False)
    assert "".join(map(screen.encode, state_picture(*paths_of(ECHO), screen))).replace("?", "\0").isascii()
    assert "?" not in "".join(map(screen.encode, state_picture(*paths_of(ECHO), screen)))


def test_large_packet_numbers_are_cut_and_listed() -> None:
    some = [
        segment(number=10**12, flags=ACK),
        segment(number=10**12 + 1, flags=ACK, client_state=State.FIN_WAIT_1, server_state=State.CLOSE_WAIT),
    ]
    lines = list(state_picture(walk(life(some)), 0, Screen(80)))
    assert all(cells(line) <= 80 for line in lines)
    assert any("1000000000001  CLOSE-WAIT" in line for line in lines)


# ---------------------------------------------------------------- SVG


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_svg_is_well_formed_and_stands_alone(capture: File) -> None:
    root = ElementTree.fromstring(state_svg(*paths_of(capture), "a & b <script> → c"))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "style", "g", "path", "polygon", "text", "rect"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not attributes & {"href", "src", "id", "style"}
    assert not [name for name in attributes if name.startswith("on")]
    style = "".join(element.text or "" for element in root.iter(f"{SVG}style"))
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style
    assert "@import" not in style
    assert "a & b <script> → c" in "".join(root.itertext())


def test_svg_has_each_arrow_and_each_state_with_a_title() -> None:
    root = ElementTree.fromstring(state_svg(*paths_of(ECHO), "x"))
    titles = [group.findtext(f"{SVG}title") or "" for group in root.iter(f"{SVG}g") if group.get("role") == "img"]
    arrows = [title for title in titles if " → " in title]
    assert len(arrows) == len(set(arrows)) == len(FIGURE_5)
    assert len(titles) - len(arrows) == len(BOXES)
    assert "ESTABLISHED → FIN-WAIT-1: CLOSE / snd FIN. Walked by the server in packet 7." in arrows
    assert "ESTABLISHED. client: 743 µs; server: 725 µs" in titles
    assert "CLOSING. Nobody was here." in titles


def test_svg_shows_who_walked() -> None:
    root = ElementTree.fromstring(state_svg(*paths_of(MADE / "simultaneous-close.pcap"), "x"))
    walked = [
        {path.get("class") for path in group.iter(f"{SVG}path")}
        for group in root.iter(f"{SVG}g")
        if (group.findtext(f"{SVG}title") or "").startswith("CLOSING → TIME-WAIT")
    ]
    assert walked == [{side.name.lower() for side in Side}]
