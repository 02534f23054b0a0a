"""Tables of any columns in every notation, read back by the standard library's readers and by a split."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.export import zeek
from analyzer.export.columns import NULL, Integers, Lists, Micros, Table, Texts, Words, WordSets
from analyzer.export.csv_text import csv_lines, header
from analyzer.export.json_text import json_lines, texts_before
from analyzer.export.row_text import Notation, RowText
from tests.export.rows import kernels

MODES = ["always", "never"]
NUMBERS = st.none() | st.integers(-(2**63) + 1, 2**63 - 1) | st.sampled_from([0, 2**63 - 1, -(2**63) + 1])
ANY_WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
# What Texts and WordSets promise
PLAIN = st.text(st.sampled_from("abcXYZ019 .,;:=-()[]'\t#"), max_size=30).map(lambda text: text.replace("\t", ""))
SET_WORDS = ("fast_retransmission", "b", "c3", "zero_window")

MICROS_NAME = "seconds"
COLUMNS = ("first", "number", "word", "set", "text", "list", MICROS_NAME)


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[str | None], list[dict[str, Any]]]:
    """The words of a table's column of words, and its rows as Python's values."""
    words = draw(st.lists(st.none() | ANY_WORD, min_size=1, max_size=4, unique=True))
    row = st.fixed_dictionaries(
        {
            "first": st.integers(0, 9),
            "number": NUMBERS,
            "word": st.none() | st.sampled_from(words),
            "set": st.lists(st.sampled_from(SET_WORDS), unique=True).map(
                lambda some: sorted(some, key=SET_WORDS.index)
            ),
            "text": st.none() | PLAIN,
            "list": st.none() | st.lists(st.integers(0, 2**63 - 1), max_size=4),
            MICROS_NAME: NUMBERS,
        }
    ).map(lambda row: {name: row[name] for name in COLUMNS})
    return words, draw(st.lists(row, min_size=1, max_size=6))


def table_of(words: list[str | None], some: list[dict[str, Any]]) -> Table:
    """These rows as columns; texts lie in the order of the last row first."""

    def numbers(name: str) -> Any:
        return np.array([NULL if row[name] is None else row[name] for row in some], np.int64)

    def texts(name: str, kind: type[Texts | Lists]) -> Any:
        octets, start, size = b"?", [], []
        for row in reversed(some):
            value = row[name]
            text = "" if value is None else value if isinstance(value, str) else ",".join(map(str, value))
            start.append(NULL if value is None else len(octets))
            size.append(len(text))
            octets += text.encode("ascii")
        return kind(np.frombuffer(octets, np.uint8), np.array(start[::-1]), np.array(size[::-1]))

    codes = [words.index(row["word"]) if row["word"] in words and row["word"] is not None else NULL for row in some]
    return {
        "first": Integers(np.array([row["first"] for row in some])),
        "number": Integers(numbers("number")),
        "word": Words(np.array(codes, np.int64), tuple(words)),
        "set": WordSets(np.array([sum(1 << SET_WORDS.index(word) for word in row["set"]) for row in some]), SET_WORDS),
        "text": texts("text", Texts),
        "list": texts("list", Lists),
        MICROS_NAME: Micros(numbers(MICROS_NAME)),
    }


def written(notation: Notation, table: Table, mode: str) -> str:
    with kernels(mode):
        return RowText(notation).lines(table).tobytes().decode()


def micros(value: int | None) -> str | None:
    if value is None:
        return None
    return f"{'-' if value < 0 else ''}{abs(value) // 10**6}.{abs(value) % 10**6:06d}"


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=60)
@given(made=rows())
def test_json(mode: str, made: tuple[list[str | None], list[dict[str, Any]]]) -> None:
    words, some = made
    read = [
        json.loads(line, parse_float=str)
        for line in written(json_lines('"head":0'), table_of(words, some), mode).split("\n")[:-1]
    ]
    assert read == [{"head": 0, **row, MICROS_NAME: micros(row[MICROS_NAME])} for row in some]


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=60)
@given(made=rows())
def test_csv(mode: str, made: tuple[list[str | None], list[dict[str, Any]]]) -> None:
    words, some = made
    text = written(csv_lines("0,"), table_of(words, some), mode)

    def field(value: Any) -> str:
        return "" if value is None else " ".join(map(str, value)) if isinstance(value, list) else str(value)

    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == [
        ["0", *(field(value) for value in {**row, MICROS_NAME: micros(row[MICROS_NAME])}.values())] for row in some
    ]


@pytest.mark.parametrize("mode", MODES)
def test_csv_tells_nothing_from_not_known(mode: str) -> None:
    nothing = {"first": 1, "number": None, "word": "", "set": [], "text": "", "list": [], MICROS_NAME: None}
    unknown = {"first": 2, "number": None, "word": None, "set": ["b"], "text": None, "list": None, MICROS_NAME: 0}
    assert written(csv_lines(""), table_of(["", "x"], [nothing, unknown]), mode) == (
        '1,,"","","","",\n2,,,b,,,0.000000\n'
    )


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=60)
@given(made=rows())
def test_zeek(mode: str, made: tuple[list[str | None], list[dict[str, Any]]]) -> None:
    _, some = made
    table = table_of(["tcp", "udp"], [{**row, "word": "udp"} for row in some])

    def field(value: Any) -> str:
        if value is None:
            return "-"
        return (",".join(map(str, value)) if isinstance(value, list) else str(value)) or "(empty)"

    expected = [{**row, "word": "udp", MICROS_NAME: micros(row[MICROS_NAME])} for row in some]
    lines = written(zeek.TSV, table, mode).split("\n")
    assert [line.split("\t") for line in lines[:-1]] == [[field(value) for value in row.values()] for row in expected]
    read = [json.loads(line, parse_float=str) for line in written(zeek.JSON, table, mode).split("\n")[:-1]]
    assert read == [{name: value for name, value in row.items() if value is not None} for row in expected]


def test_the_header_of_csv() -> None:
    assert header(["a.b", 'with "quotes"', "a,b"]) == b'a.b,"with ""quotes""","a,b"\n'


def test_dots_nest() -> None:
    names = ("a", "b.x", "b.y", "c.d.x", "c.e.x", "f", "g.x")
    values = iter(range(len(names)))
    text = "".join(before.decode() + str(next(values, "")) for before in texts_before('"head":9', names))
    assert json.loads(text) == {
        "head": 9, "a": 0, "b": {"x": 1, "y": 2}, "c": {"d": {"x": 3}, "e": {"x": 4}}, "f": 5, "g": {"x": 6},
    }  # fmt: skip
    assert text.endswith("}\n")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("notation", [json_lines('"head":0'), csv_lines("")], ids=["json", "csv"])
def test_long_texts(mode: str, notation: Notation) -> None:
    octets = np.frombuffer(b"x," * 5000, np.uint8)
    table: Table = {"text": Texts(octets, np.array([0, 1, NULL]), np.array([10000, 1, 5]))}
    text = written(notation, table, mode)
    assert text.splitlines() == (
        [f'{{"head":0,"text":"{"x," * 5000}"}}', '{"head":0,"text":","}', '{"head":0,"text":null}']
        if "head" in text
        else [f'"{"x," * 5000}"', '","', ""]
    )


@pytest.mark.parametrize("mode", MODES)
def test_the_buffer_is_used_again(mode: str) -> None:
    table = table_of(["a"], [{"first": 1, "number": 2, "word": "a", "set": ["b"], "text": "t", "list": [1, 2],
                              MICROS_NAME: 3}])  # fmt: skip
    writer = RowText(json_lines('"head":0'))
    with kernels(mode):
        first = writer.lines(table).tobytes()
        writer.lines({"other": Integers(np.arange(1000))})
        assert writer.lines(table).tobytes() == first
