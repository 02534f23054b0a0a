"""Nothing that a terminal obeys, and nothing that misleads the eye, leaves the program."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.render.screen import cells
from analyzer.render.untrusted import excerpt, legible, visible


def is_harmless(text: str) -> bool:
    """No control, format or unassigned character, no zero-width mark, no line separator."""
    return not any(
        unicodedata.category(character)[0] == "C" or unicodedata.category(character) in ("Mn", "Me", "Zl", "Zp")
        for character in text
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain.pcap", "plain.pcap"), ("连接.pcap", "连接.pcap"), ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\nb\tc", "a\\nb\\tc"),
        ("a\u202eb", "a\\u202eb"), ("a\u200bb", "a\\u200bb"), ("a\u2028b", "a\\u2028b"), ("\udcff", "\\xff"),
        ("\x9b31m", "\\x9b31m"), ("\U000e0001", "\\U000e0001"),
    ],
)  # fmt: skip
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters()))
def test_visible_lets_nothing_pass(text: str) -> None:
    assert is_harmless(visible(text))


@given(st.text(st.characters() | st.sampled_from("\n\r\t")))
def test_legible_text_has_the_same_lines(text: str) -> None:
    assert legible(text) == "\n".join(map(visible, text.split("\n")))


@pytest.mark.parametrize(
    ("payload", "payload_len", "width", "shown"),
    [
        (b"clien", 5, 20, '"clien"'),
        (b"hi\r\n", 4, 20, '"hi\\r\\n"'),
        (b"hello, I am A", 13, 12, '"hello, I …"'),
        (b"hello", 500, 20, '"hello…"'),
        (b"hello", 500, 7, '"hell…"'),
        ("连接地址".encode(), 12, 20, '"连接地址"'),
        ("连接地址".encode()[:11], 12, 20, '"连接地…"'),
        (b"a\x1b[2Jb", 6, 20, '"a·[2Jb"'),
        (b"\x16\x03\x01\x02\x00\x01", 6, 20, "16 03 01 02 00 01"),
        (b"\x16\x03\x01\x02\x00\x01", 517, 20, "16 03 01 02 00 01 …"),
        (b"\x16\x03\x01\x02\x00\x01", 6, 12, "16 03 01 …"),
        (b"", 100, 20, ""),
        (b"hello", 5, 5, ""),
    ],
)
def test_excerpt(payload: bytes, payload_len: int, width: int, shown: str) -> None:
    assert excerpt(payload, payload_len, width) == shown


@given(st.binary(max_size=64), st.integers(0, 2000), st.integers(-3, 90))
def test_excerpt_fits_and_is_harmless(payload: bytes, more: int, width: int) -> None:
    shown = excerpt(payload, len(payload) + more, width)
    assert cells(shown) <= max(width, 0)
    assert is_harmless(shown)
