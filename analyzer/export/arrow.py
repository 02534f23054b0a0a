"""Tables of records as Arrow's record batches, and Parquet files of them: the only door to pyarrow.

Types: integers as wide as in the tables; words as dictionaries; sets of words and lists as lists; times are int64
nanoseconds since 1970-01-01 UTC as in all records, never timestamps, so that arithmetic between columns is the same
everywhere (``unit`` says so). What is not known is null. Each field's metadata have its ``unit``, where it has one, and
a sentence, ``description``; the schema's have the version of the records (``schema``), what they are of (``record``),
``tool`` and ``tool_version``.

pyarrow is the extra ``parquet`` and imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.errors import UsageError
from analyzer.export.columns import NULL, Column, Integers, Lists, Table, Texts, Words, WordSets, rows_in
from analyzer.export.schema import INTEGERS, RECORDS, SCHEMA, TEXT, WORD, WORDS, Field, fields_of
from analyzer.language import _
from analyzer.tables import I64, U8

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

COMMA = ord(",")


def require() -> None:
    """Raise UsageError where there is no pyarrow."""
    _arrow()


def schema_of(records: str) -> pyarrow.Schema:
    """The schema of the records of ``connections`` or ``packets``. Raises UsageError without pyarrow."""
    return _schema_of(records)


def record_batch(table: Table, records: str) -> pyarrow.RecordBatch:
    """A table of ``connections`` or ``packets`` with the columns of ``schema_of(records)``.

    Integers are not copied where all are known and they lie side by side: the batch then shares their memory. A batch
    holds 2 GB of texts at most; ``connection_table`` of some 10,000 rows at a time keeps far below. Raises UsageError
    without pyarrow.
    """
    pa = _arrow()
    constant = np.zeros(rows_in(table), np.uint8)
    columns: dict[str, Column] = {
        "schema": Integers(constant + np.uint8(SCHEMA)), "record": Words(constant, (RECORDS[records],)), **table,
    }  # fmt: skip
    schema = _schema_of(records)
    arrays = [_array(columns[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def table_of(batches: Sequence[pyarrow.RecordBatch], schema: pyarrow.Schema) -> pyarrow.Table:
    """Batches of this schema as one table, which shares their memory."""
    return _arrow().Table.from_batches(batches, schema)


def parquet_writer(out: BinaryIO, records: str) -> pyarrow.parquet.ParquetWriter:
    """A writer of a Parquet file with this schema, which ``zstd`` compresses. Raises UsageError without pyarrow."""
    _arrow()
    import pyarrow.parquet as parquet

    return parquet.ParquetWriter(out, _schema_of(records), compression="zstd")


def write_row_group(file: pyarrow.parquet.ParquetWriter, batches: Sequence[pyarrow.RecordBatch]) -> None:
    """Write batches as one row group."""
    file.write_table(_arrow().Table.from_batches(batches))


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        told = _("Arrow and Parquet need pyarrow: pip install 'tcpflow-view[parquet]', or pip install pyarrow")
        raise UsageError(told) from None
    return pyarrow


@cache
def _schema_of(records: str) -> Any:
    pa = _arrow()
    about = {
        "schema": str(SCHEMA), "record": RECORDS[records], "tool": "tcpflow-view",
        "tool_version": version("tcpflow-view"),
    }  # fmt: skip
    return pa.schema([_field(field) for field in fields_of(records)], metadata=about)


def _field(field: Field) -> Any:
    pa = _arrow()
    types = {
        WORD: lambda: pa.dictionary(pa.int16(), pa.string()), WORDS: lambda: pa.list_(pa.string()), TEXT: pa.string,
        INTEGERS: lambda: pa.list_(pa.int64()),
    }  # fmt: skip
    kind = types[field.type]() if field.type in types else pa.from_numpy_dtype(np.dtype(field.type))
    about = {"unit": field.unit} if field.unit else {}
    return pa.field(field.name, kind, metadata={**about, "description": field.about})


def _array(column: Column, kind: Any) -> Any:
    pa = _arrow()
    match column:
        case Words(codes, words):
            known = [word for word in words if word is not None]
            places = np.cumsum([word is not None for word in words], dtype=np.int16) - np.int16(1)
            places[[word is None for word in words]] = -1
            is_known = codes != NULL
            index = places[np.where(is_known, codes, 0)]
            unknown = ~is_known | (index < 0)
            indices = pa.array(index, mask=unknown if unknown.any() else None)
            return pa.DictionaryArray.from_arrays(indices, pa.array(known, pa.string()))
        case WordSets(bits, words):
            some = np.flatnonzero(bits)
            members = bits[some, np.newaxis].astype(np.int64) >> np.arange(len(words)) & 1
            counts = np.zeros(len(bits), np.int64)
            counts[some] = members.sum(axis=1)
            offsets = _offsets(counts)
            return pa.ListArray.from_arrays(pa.array(offsets), pa.array(words).take(pa.array(members.nonzero()[1])))
        case Texts():
            octets, offsets, missing = _gathered(column)
            buffers = map(pa.py_buffer, (offsets, octets))
            bitmap, null_count = (None, 0) if missing is None else (_bitmap(missing), int(missing.sum()))
            return pa.StringArray.from_buffers(len(column.start), *buffers, bitmap, null_count)
        case Lists():
            octets, offsets, missing = _gathered(column)
            numbers, starts = _numbers(octets, offsets)
            mask = None if missing is None else pa.array(missing)
            return pa.ListArray.from_arrays(pa.array(starts), pa.array(numbers), mask=mask)
        case _:
            values = np.ascontiguousarray(column.values)
            missing = values == NULL
            return pa.array(values, mask=missing if missing.any() else None).cast(kind)


class _Gathered(NamedTuple):
    octets: U8
    """Of one text after the other."""
    offsets: npt.NDArray[np.int32]
    """Where each begins; the next entry is where it ends."""
    missing: npt.NDArray[np.bool_] | None
    """Which are not known; None when all are."""


def _gathered(texts: Texts | Lists) -> _Gathered:
    missing = texts.start == NULL
    size = np.where(missing, 0, texts.size)
    offsets = _offsets(size)
    places = np.repeat(np.where(missing, 0, texts.start) - offsets[:-1], size) + np.arange(int(offsets[-1]))
    return _Gathered(texts.octets[places], offsets, missing if missing.any() else None)


def _offsets(sizes: I64) -> npt.NDArray[np.int32]:
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    if offsets[-1] >= 1 << 31:
        raise OverflowError("more than 2 GB of text in one record batch")
    return offsets.astype(np.int32)


def _bitmap(missing: npt.NDArray[np.bool_]) -> Any:
    return _arrow().py_buffer(np.packbits(~missing, bitorder="little"))


def _numbers(octets: U8, offsets: npt.NDArray[np.int32]) -> tuple[I64, npt.NDArray[np.int32]]:
    """The numbers of lists that are texts, and where each list's begin."""
    if len(octets) == 0:
        return np.zeros(0, np.int64), np.zeros(len(offsets), np.int32)
    pc, pa = _compute(), _arrow()
    strings = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(octets))
    numbers = pc.split_pattern(strings.filter(pc.greater(pc.binary_length(strings), 0)), ",").flatten()
    commas = np.concatenate(([0], np.cumsum(octets == COMMA)))
    counts = commas[offsets[1:]] - commas[offsets[:-1]] + (offsets[1:] > offsets[:-1])
    return numbers.cast(pa.int64()).to_numpy(), _offsets(counts)


def _compute() -> Any:
    import pyarrow.compute

    return pyarrow.compute
