"""Every capture of captures/made in every format, as the readers of these formats see it: the same values."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analyzer.cli.export import command
from analyzer.export.schema import INTEGERS, TEXT, WORD, WORDS, fields_of
from tests.export.flattened import flat

MADE = sorted((Path(__file__).parents[2] / "captures" / "made").glob("*.pcap*"))
TYPICAL = [path for path in MADE if path.stem in ("fast-retransmission", "echo-udp-23333", "refused", "syn-unanswered")]
RECORDS = ["connections", "packets"]
BOTH = pytest.mark.parametrize("records", RECORDS)
EACH = pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
SOME = pytest.mark.parametrize("path", TYPICAL, ids=lambda path: path.name)


def needs(name: str) -> Any:
    """A library that reads what we write."""
    return pytest.importorskip(name, reason=f"needs {name}")


def exported(path: Path, *arguments: str) -> bytes:
    result = CliRunner().invoke(command, [str(path), *arguments])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout_bytes


@cache
def rows_of_jsonl(path: Path, records: str) -> list[dict[str, Any]]:
    return [flat(json.loads(line)) for line in exported(path, "--records", records).splitlines()]


@cache
def rows_of_csv(path: Path, records: str) -> list[dict[str, str]]:
    text = exported(path, "--records", records, "--format", "csv").decode("ascii")
    header, *rows = csv.reader(text.splitlines(), strict=True)
    assert header == [field.name for field in fields_of(records)]
    return [dict(zip(header, row, strict=True)) for row in rows]


def value_of(field: str, kind: str) -> Any:
    """A field of CSV as a value; an empty list and none are the same there."""
    if kind in (WORDS, INTEGERS):
        return [int(one) if kind == INTEGERS else one for one in field.split(" ")] if field else []
    if kind in (WORD, TEXT):
        return field or None
    return int(field) if field else None


def without_empty(rows: list[dict[str, Any]], records: str) -> list[dict[str, Any]]:
    """Rows of which lists that are not known are empty, and empty texts not known, as in CSV."""
    lists = {field.name for field in fields_of(records) if field.type in (WORDS, INTEGERS)}
    return [{name: (value or ([] if name in lists else value if value == 0 else None)) for name, value in row.items()}
            for row in rows]  # fmt: skip


@BOTH
@EACH
def test_csv_as_json(path: Path, records: str) -> None:
    types = {field.name: field.type for field in fields_of(records)}
    read = [{name: value_of(field, types[name]) for name, field in row.items()} for row in rows_of_csv(path, records)]
    assert read == without_empty(rows_of_jsonl(path, records), records)


@BOTH
@EACH
def test_parquet_as_json(path: Path, records: str, tmp_path: Path) -> None:
    parquet = needs("pyarrow.parquet")
    exported(path, "--records", records, "-o", str(tmp_path / "out.parquet"))
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.to_pylist() == rows_of_jsonl(path, records)
    assert exported(path, "--records", records, "--format", "parquet") == (tmp_path / "out.parquet").read_bytes()


@BOTH
@SOME
def test_duckdb(path: Path, records: str, tmp_path: Path) -> None:
    duckdb = needs("duckdb")
    needs("pyarrow")
    names = {}
    for ending in "parquet", "csv":
        names[ending] = str(tmp_path / f"out.{ending}")
        exported(path, "--records", records, "-o", names[ending])
    expected = rows_of_jsonl(path, records)
    with duckdb.connect() as database:
        rows = database.sql(f"select * from '{names['parquet']}'")
        assert [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()] == expected
        number = records.removesuffix("s")
        of_csv = database.sql(f"select {number}, protocol, string_split({'events' if records == 'packets' else 'why'}, "
                              f"' ') as words from '{names['csv']}' order by {number}").fetchall()  # fmt: skip
        assert [row[:2] for row in of_csv] == [(row[number], row["protocol"]) for row in expected]
        if records == "packets":
            assert [row[2] or [] for row in of_csv] == [row["events"] for row in expected]
        same = f"select count(*) from '{names['csv']}' join '{names['parquet']}' using ({number}, protocol)"
        assert database.sql(same).fetchall() == [(len(expected),)]


@BOTH
@SOME
def test_polars(path: Path, records: str, tmp_path: Path) -> None:
    polars = needs("polars")
    needs("pyarrow")
    exported(path, "--records", records, "-o", str(tmp_path / "out.parquet"))
    assert polars.read_parquet(tmp_path / "out.parquet").to_dicts() == rows_of_jsonl(path, records)


@BOTH
@SOME
def test_pandas(path: Path, records: str, tmp_path: Path) -> None:
    pandas = needs("pandas")
    exported(path, "--records", records, "-o", str(tmp_path / "out.csv"))
    frame = pandas.read_csv(tmp_path / "out.csv", dtype_backend="numpy_nullable")
    expected = rows_of_jsonl(path, records)
    for field in fields_of(records):
        read = [None if value is pandas.NA else value for value in frame[field.name].tolist()]
        if field.type in (WORDS, INTEGERS):
            assert [str(value or "").split() for value in read] == [
                [str(one) for one in row[field.name] or []] for row in expected
            ]
        else:
            assert read == [None if row[field.name] == "" else row[field.name] for row in expected]


@BOTH
def test_a_capture_without_packets(records: str, tmp_path: Path) -> None:
    parquet = needs("pyarrow.parquet")
    arguments = ["--records", records, "port", "9"]
    path = MADE[0]
    assert exported(path, *arguments) == b""
    names = [field.name for field in fields_of(records)]
    assert exported(path, *arguments, "--format", "csv").decode() == ",".join(names) + "\n"
    exported(path, *arguments, "-o", str(tmp_path / "out.parquet"))
    table = parquet.read_table(tmp_path / "out.parquet")
    assert (table.column_names, table.num_rows) == (names, 0)


def test_the_libraries_are_those_that_ci_installs() -> None:
    """What is skipped without them must not be skipped there."""
    ci = (Path(__file__).parents[2] / ".ci" / "run").read_text()
    [line] = [line for line in ci.splitlines() if "pip install" in line and "duckdb" in line]
    for name in ("duckdb", "pandas", "parsezeeklogs", "polars", "pyarrow"):
        assert name in line
