"""Records as tables of other libraries: Arrow's, and through it pandas' and polars'. The only door to these two.

All have the columns of a Parquet file of ``tcpflow-view export`` (docs/columns.md), but for ``schema`` and ``record``,
which are the same in every row: Arrow's table has them in its metadata. Integers of which all are known are not copied
on the way to Arrow and polars, and pandas gets columns of Arrow, so that integers stay integers where some are not
known. What is made for every row, and costs some hundred nanoseconds a value, is texts, lists and dictionaries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from analyzer.errors import UsageError
from analyzer.export.arrow import record_batch, schema_of, table_of
from analyzer.export.columns import Table
from analyzer.language import _

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_CONSTANT = ["schema", "record"]


class Tabular:
    """What can be given to other libraries."""

    _records: str
    """``connections`` or ``packets``."""

    def _tables(self) -> Iterable[Table]:
        raise NotImplementedError

    def to_arrow(self) -> pyarrow.Table:
        """As a table of Arrow. Raises UsageError without pyarrow."""
        schema = schema_of(self._records)
        batches = [record_batch(table, self._records) for table in self._tables()]
        return table_of(batches, schema).drop_columns(_CONSTANT)

    def to_pandas(self) -> pandas.DataFrame:
        """As a data frame of pandas, whose columns are Arrow's. Raises UsageError without pandas and pyarrow."""
        try:
            import pandas
        except ImportError:
            raise _lacks("pandas") from None
        mapped: Any = pandas.ArrowDtype
        return self.to_arrow().to_pandas(types_mapper=mapped)

    def to_polars(self) -> polars.DataFrame:
        """As a data frame of polars. Raises UsageError without polars and pyarrow."""
        try:
            import polars
        except ImportError:
            raise _lacks("polars") from None
        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame


def _lacks(name: str) -> UsageError:
    return UsageError(_("{library} is not installed: pip install {library} pyarrow").format(library=name))
