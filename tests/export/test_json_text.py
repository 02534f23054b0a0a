"""Tables of any columns as JSON Lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.export.columns import NULL, Integers, Table, Texts, Words, WordSets
from analyzer.export.json_text import JsonLines, texts_before
from analyzer.export.octets import INTEGER_LEN, put_integer
from tests.export.rows import kernels


@given(st.integers(-(2**63) + 1, 2**63 - 1))
@example(0)
@example(9)
@example(10)
@example(99_999_999)
@example(100_000_000)
@example(10**16 - 1)
@example(10**16)
@example(2**63 - 1)
@example(-(2**63) + 1)
def test_integers(value: int) -> None:
    text = np.zeros(INTEGER_LEN + 1, np.uint8)
    end = put_integer(text, 1, value)
    assert text[1:end].tobytes() == str(value).encode()


@given(st.integers(0, 18), st.integers(0, 9), st.integers(-1, 1))
def test_integers_around_powers_of_ten(power: int, factor: int, offset: int) -> None:
    value = factor * 10**power + offset
    text = np.zeros(INTEGER_LEN, np.uint8)
    assert text[: put_integer(text, 0, value)].tobytes() == str(value).encode()


def test_dots_nest() -> None:
    names = ("a", "b.x", "b.y", "c.d.x", "c.e.x", "f", "g.x")
    values = iter(range(len(names)))
    text = "".join(before.decode() + str(next(values, "")) for before in texts_before('"head":9', names))
    assert json.loads(text) == {
        "head": 9, "a": 0, "b": {"x": 1, "y": 2}, "c": {"d": {"x": 3}, "e": {"x": 4}}, "f": 5, "g": {"x": 6},
    }  # fmt: skip
    assert text.endswith("}\n")


def table() -> Table:
    octets = np.frombuffer(b"zerotwo" + b"x" * 5000, np.uint8)
    return {
        "number": Integers(np.array([1, NULL, -5])),
        "word": Words(np.array([0, 1, 2]), ("one", None, "three")),
        "code": Words(np.array([NULL, 0, 0]), ("one",)),
        "set": WordSets(np.array([0, 0b101, 0b010]), ("a", "b", "c")),
        "text": Texts(octets, np.array([0, NULL, 4]), np.array([4, 9, 3])),
        "long": Texts(octets, np.array([7, 7, 7]), np.array([5000, 0, 1])),
    }


@pytest.mark.parametrize("mode", ["always", "never"])
def test_every_kind_of_column(mode: str) -> None:
    with kernels(mode):
        lines = JsonLines('"head":0').lines(table()).tobytes().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"head": 0, "number": 1, "word": "one", "code": None, "set": [], "text": "zero", "long": "x" * 5000},
        {"head": 0, "number": None, "word": None, "code": "one", "set": ["a", "c"], "text": None, "long": ""},
        {"head": 0, "number": -5, "word": "three", "code": "one", "set": ["b"], "text": "two", "long": "x"},
    ]


@pytest.mark.parametrize("mode", ["always", "never"])
def test_the_buffer_is_used_again(mode: str) -> None:
    writer = JsonLines('"head":0')
    with kernels(mode):
        first = writer.lines(table()).tobytes()
        writer.lines({"other": Integers(np.arange(1000))})
        assert writer.lines(table()).tobytes() == first
