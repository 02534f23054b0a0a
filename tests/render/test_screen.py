"""Width, colour and glyphs of a screen."""

from __future__ import annotations

import io

import pytest

from analyzer.render import screen
from analyzer.render.screen import Screen, cells, fit, fit_middle, screen_of


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


class Pipe(Terminal):
    def isatty(self) -> bool:
        return False


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: True)


@pytest.mark.parametrize(
    ("policy", "on_terminal", "in_pipe"), [("auto", True, False), ("always", True, True), ("never", False, False)]
)
def test_colour_policy(policy: str, on_terminal: bool, in_pipe: bool) -> None:
    assert screen_of(policy, Terminal()).color is on_terminal
    assert screen_of(policy, Pipe()).color is in_pipe


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_environment_turns_colour_off(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert not screen_of("auto", Terminal()).color
    assert screen_of("always", Terminal()).color


def test_empty_no_color_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    assert screen_of("auto", Terminal()).color


@pytest.mark.parametrize(("columns", "width"), [(None, 100), ("132", 132), ("20", 60), ("many", 100), ("0", 100)])
def test_width_of_a_pipe(monkeypatch: pytest.MonkeyPatch, columns: str | None, width: int) -> None:
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert screen_of("auto", Pipe()).width == width


def test_ascii_where_the_locale_is_not_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    assert screen_of("auto", Pipe()).unicode
    latin = Pipe()
    latin.encoding = "iso8859-1"  # type: ignore[misc]
    assert not screen_of("auto", latin).unicode
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: False)
    assert not screen_of("auto", Pipe()).unicode


def test_ascii_keeps_columns() -> None:
    out = io.StringIO()
    text = "▌ 1 → ├─ 连 µ ─▶│ … ✗"
    Screen(80, unicode=False).write([text], out)
    assert out.getvalue() == "# 1 > |- ?? u ->| ~ !\n"
    assert cells(text) == len(out.getvalue()) - 1


def test_paint() -> None:
    assert Screen(80, color=True).paint("x", "bold reverse bright_blue") == "\x1b[1;7;94mx\x1b[0m"
    assert Screen(80, color=True).paint("x", "") == "x"
    assert Screen(80, color=True).paint("", "bold") == ""
    assert Screen(80).paint("x", "bold") == "x"


def test_lines_end_where_their_text_ends() -> None:
    out = io.StringIO()
    Screen(80).write(["a  ", ""], out)
    assert out.getvalue() == "a\n\n"


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("连接地址", 5, "连接…"), ("连接", 3, "连…"), ("ab", 0, "")],
)
def test_fit(text: str, width: int, fitted: str) -> None:
    assert fit(text, width) == fitted


def test_fit_middle() -> None:
    assert fit_middle("2001:db8::1234", 9) == "2001…1234"
    assert fit_middle("short", 9) == "short"
