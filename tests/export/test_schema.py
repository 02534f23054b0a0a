"""What is written about the records holds of the tables that they are made of."""

from __future__ import annotations

import re

import pytest

from analyzer.export.columns import Integers, Lists, Table, Texts, Words, WordSets
from analyzer.export.connections import connection_table
from analyzer.export.packets import packet_table
from analyzer.export.schema import INTEGERS, PROMISE, SCHEMA, TEXT, TIME, WORD, WORDS, Field, fields_of
from tests.export.rows import connection_rows, packet_rows

KINDS = {Words: WORD, WordSets: WORDS, Texts: TEXT, Lists: INTEGERS}
TABLES = {"connections": connection_table(*connection_rows(3, 4)), "packets": packet_table(*packet_rows(3, 4))}
ALL = [field for records in TABLES for field in fields_of(records)]


@pytest.mark.parametrize("records", TABLES)
def test_every_column_is_there_with_its_type(records: str) -> None:
    """And none that is not in the table, but for those that say what the record is."""
    table: Table = TABLES[records]
    types = {
        name: str(column.values.dtype) if isinstance(column, Integers) else KINDS[type(column)]
        for name, column in table.items()
    }
    fields = fields_of(records)
    assert [field.name for field in fields[:2]] == ["schema", "record"]
    assert {field.name: field.type for field in fields[2:]} == types
    assert [field.name for field in fields[2:]] == list(table)


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_units_are_those_that_names_end_with(field: Field) -> None:
    name = field.name.split(".")[-1]
    if name in ("first_ns", "last_ns", "ts_ns"):
        assert field.unit == TIME
    elif name.endswith("_ns"):
        assert field.unit == "ns"
    elif name.endswith("_bps"):
        assert field.unit == "bit/s"
    elif name.endswith(("_bytes", "_len")) and name != "retransmitted_bytes":
        assert field.unit == "bytes"
    elif name == "packets" or name.endswith("_packets"):
        assert field.unit == "packets"


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_each_has_one_sentence(field: Field) -> None:
    assert re.fullmatch(r"[A-Z].*[^.]\.", field.about)
    assert "{" not in field.about


def test_the_promise_is_of_this_version() -> None:
    assert f"`schema` is {SCHEMA}" in PROMISE
    assert f"makes it {SCHEMA + 1}" in PROMISE
