"""Lines of sentences: as textwrap has them, and in columns where characters are wide."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.render.screen import cells
from analyzer.render.wrapping import wrap


def test_words_are_textwraps() -> None:
    text = "A half-closed connection, of which µs and “words” are told in several lines."
    assert wrap(text, 20, "- ", "  ") == textwrap.wrap(text, 20, initial_indent="- ", subsequent_indent="  ")


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("三次握手，四次挥手。", 8, ["三次握", "手，四次", "挥手。"]),
        ("看 tcpdump 的输出", 10, ["看 tcpdump", "的输出"]),
        ("（参见）这里", 6, ["（参", "见）这", "里"]),
        ("--very-long-option 是", 8, ["--very-l", "ong-opti", "on 是"]),
        ("  空白 ", 10, ["空白"]),
        ("关闭。 重置：5 B 后", 30, ["关闭。重置：5 B 后"]),
    ],
)
def test_wide_characters(text: str, width: int, lines: list[str]) -> None:
    assert wrap(text, width) == lines


def test_indents() -> None:
    assert wrap("客户端先关闭", 8, "! ", "  ") == ["! 客户端", "  先关闭"]


@given(st.text("客户端，。（） abc-1", min_size=1), st.integers(4, 30))
def test_no_line_is_wider_and_nothing_is_lost(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
