"""Records as a Parquet file: tables in row groups of a bounded size."""

from __future__ import annotations

from typing import Any, BinaryIO

from analyzer.export.arrow import parquet_writer, record_batch, write_row_group
from analyzer.export.columns import Table
from analyzer.export.connections import connection_table
from analyzer.export.packets import packet_table
from analyzer.tables import Frames, Labels, Packets, Rows

CONNECTION_ROWS = 16_384
"""Rows of a row group: some 100 columns and a text each."""

PACKET_ROWS = 131_072
"""Rows of a row group. Readers take whole groups, each on a processor: many rows pay, and cost 200 octets of memory."""


class ParquetWriter:
    """Writes one file of ``connections`` or ``packets``; ``close`` completes it."""

    def __init__(self, out: BinaryIO, records: str) -> None:
        self._records = records
        self._file = parquet_writer(out, records)
        self._batches: list[Any] = []
        self._rows = 0

    def connections(self, connections: Rows, endpoints: Rows, count: int) -> None:
        """Write the first ``count`` connections: CONNECTION[n] and ENDPOINT[n, Side] in the order of first packets."""
        for first in range(0, count, CONNECTION_ROWS):
            rows = slice(first, min(first + CONNECTION_ROWS, count))
            self._add(connection_table(connections[rows], endpoints[rows]), CONNECTION_ROWS)

    def packets(self, frames: Frames, packets: Packets, labels: Labels) -> None:
        """Write the packets of a batch."""
        if len(frames.start):
            self._add(packet_table(frames, packets, labels), PACKET_ROWS)

    def _add(self, table: Table, most_rows: int) -> None:
        batch = record_batch(table, self._records)
        if self._rows + batch.num_rows > most_rows:
            self.flush()
        self._batches.append(batch)
        self._rows += batch.num_rows

    def flush(self) -> None:
        """Write what has come so far as a row group."""
        if self._batches:
            write_row_group(self._file, self._batches)
        self._batches, self._rows = [], 0

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self.flush()
        self._file.close()
