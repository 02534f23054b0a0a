"""The description of expectations against JSON Schema: the same files are good, and the same are bad."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.expect import description
from analyzer.expect.description import CONNECTION, EXPECTATIONS, JUDGED, json_schema
from analyzer.expect.judging import JUDGES
from analyzer.expect.kinds import Either, Flag, Kind, Notation, Several, Table, Text, Whole, Word
from analyzer.expect.vocabulary import DIGEST_PATTERN, HEX_PATTERN, LIMIT_PATTERN, TIME_PATTERN, WAY_PATTERN

SHIPPED = Path(description.__file__).with_name("expectations.schema.json")

WRITTEN = {
    LIMIT_PATTERN: ["<= 3", ">0", "< 10", " >=  2 ", "<1"],
    TIME_PATTERN: ["5 ms", "1.5s", "200µs", "1 min"],
    WAY_PATTERN: ["… FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT", "CLOSED", "... ESTABLISHED ..."],
    HEX_PATTERN: ["", "00 ff", "c3A9"],
    DIGEST_PATTERN: ["0" * 64],
}


def good(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of a kind."""
    match kind:
        case Text(is_regex=True):
            return st.sampled_from(["a.*", "", "[0-9]+"])
        case Text():
            return st.text(max_size=5)
        case Notation(pattern=pattern):
            return st.sampled_from(WRITTEN[pattern])
        case Word(words=words):
            return st.sampled_from(words)
        case Whole(least=least, most=most):
            return st.integers(least, most) | st.integers(least, 99).map(float)
        case Flag():
            return st.booleans()
        case Several(of=of):
            return st.lists(good(of), max_size=2)
        case Either(kinds=kinds):
            return st.one_of(*map(good, kinds))
        case Table(keys=keys):
            return st.fixed_dictionaries({}, optional={name: good(key.kind) for name, key in keys.items()})
    raise AssertionError(kind)


ODD = st.sampled_from(
    ["", "x", "3", "5", "<= -1", "< 0", "<00 ", "<= 0", 2**53, 2**53 - 1, 10**400,
     "client", "reset", "data", "every", "FIN", -1, 0, 1, 70_000, 1.5, float("nan"),
     float("inf"), True, False, [], ["reset"], [1], {}, {"port": -1}, {"client": {}}, {"x": 1}, "[", "0", "zz"]
)  # fmt: skip


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            found += paths_in(one, (*path, key))
    return found


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A good file with a few values exchanged, or keys added."""
    document = copy.deepcopy(draw(good(EXPECTATIONS)))
    for _ in range(draw(st.integers(0, 2))):
        path = draw(st.sampled_from(paths_in(document)))
        if not path:
            document[draw(st.sampled_from(["conection", "capture", "connection"]))] = draw(ODD)
            continue
        above = document
        for key in path[:-1]:
            above = above[key]
        above[path[-1]] = draw(ODD)
    return document


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    kind = jsonschema.Draft202012Validator
    kind.check_schema(json_schema())
    return kind(json_schema(), format_checker=kind.FORMAT_CHECKER)


@given(good(EXPECTATIONS))
def test_good_files(validator: Any, document: Any) -> None:
    assert list(EXPECTATIONS.problems(document, ())) == []
    assert validator.is_valid(document)


@given(spoiled())
def test_bad_files_are_bad_for_both(validator: Any, document: Any) -> None:
    problems = list(EXPECTATIONS.problems(document, ()))
    assert (not problems) == validator.is_valid(document), problems


def test_editors_that_know_no_later_drafts_can_read_it() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.Draft4Validator.check_schema(json_schema())
    words = set()

    def collect(schema: Any) -> None:
        words.update(schema)
        for below in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
            collect(below)
        if "items" in schema:
            collect(schema["items"])

    collect(json_schema())
    assert words <= {
        "$schema", "title", "description", "type", "properties", "additionalProperties", "items", "anyOf", "enum",
        "pattern", "minimum", "maximum", "format",
    }  # fmt: skip


def test_the_shipped_schema_is_this_one() -> None:
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == json_schema()


def test_every_key_is_judged() -> None:
    assert JUDGED.keys() == JUDGES.keys()
    assert JUDGED.keys() <= CONNECTION.keys.keys()


@pytest.mark.parametrize(
    ("written", "path", "told"),
    [
        ('conection = []', ("conection",), "there is no key “conection”; did you mean connection?"),
        ('[[connection]]\nclosed-by = "client"', ("connection", 0, "closed-by"), "did you mean closed_by?"),
        ('[[connection]]\nclosed_by = "sever"', ("connection", 0, "closed_by"), "did you mean server?"),
        ('[[connection]]\nno = ["reset", "retransmision"]', ("connection", 0, "no", 1), "did you mean retransmission,"),
        ("[[connection]]\nevents.resets = 0", ("connection", 0, "events", "resets"), "did you mean reset"),
        ('[[connection]]\nevents.reset = "none"', ("connection", 0, "events", "reset"), "is no number of things"),
        ("[[connection]]\nserver.port = 70000", ("connection", 0, "server", "port"), "should be 65535 at most"),
        ("[[connection]]\nnth = 0", ("connection", 0, "nth"), "should be 1 at least"),
        ('[[connection]]\nnth = "all"', ("connection", 0, "nth"), "there is no place “all”"),
        ("[[connection]]\nmax_idle = 5", ("connection", 0, "max_idle"), "should be a text"),
        ('[[connection]]\nmax_idle = "5"', ("connection", 0, "max_idle"), "write a number and its unit"),
        ('[[connection]]\nstates.client = "FIN-WAIT"', ("connection", 0, "states", "client"), "did you mean FIN-WAIT-"),
        ('[[connection]]\nsaid.client.matches = "("', ("connection", 0, "said", "client", "matches"), "no regular"),
        ("[[connection]]\nsaid.client.mathces = 1", ("connection", 0, "said", "client", "mathces"), "mean matches?"),
        ("[[connection]]\nsaid.client = 5", ("connection", 0, "said", "client"), "should be a text"),
        ("[[connection]]\nopened_once = 1", ("connection", 0, "opened_once"), "should be true or false"),
        ("[[connection]]\npackets.server = true", ("connection", 0, "packets", "server"), "should be a whole number"),
        ("[connection]\nnth = 1", ("connection",), "should be an array"),
        ('[[connection]]\nevents.reset = "< 0"', ("connection", 0, "events", "reset"), "is no number of things"),
        (f"capture.connections = {10**400}", ("capture", "connections"), "should be 9007199254740991 at most"),
        (f"capture.connections = 0x{'f' * 5_000}", ("capture", "connections"), "should be 9007199254740991 at most"),
        (f"[[connection]]\ncause = 0x{'f' * 5_000}", ("connection", 0, "cause"), "should be a text"),
        (
            '[[connection]]\nsaid.client.matches = "a{99999999999}"', ("connection", 0, "said", "client", "matches"),
            "no regular expression",
        ),
        ("capture = 1", ("capture",), "should be a table"),
        ('[[connection]]\nlifecycle = "data handshake"', ("connection", 0, "lifecycle"), "did you mean"),
        ('[[connection]]\nsaid.client.sha256 = "00"', ("connection", 0, "said", "client", "sha256"), "64 hexadecimal"),
        ('[[connection]]\nsaid.client.hex = "0"', ("connection", 0, "said", "client", "hex"), "two digits a byte"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_bad_file(written: str, path: tuple[Any, ...], told: str) -> None:
    [problem] = EXPECTATIONS.problems(tomllib.loads(written), ())
    assert problem.path == path
    assert told in problem.text
