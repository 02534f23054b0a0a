"""Records as text: tables of connections and packets in blocks of rows, so that memory stays bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import BinaryIO

from analyzer.export import csv_text, zeek
from analyzer.export.columns import Table
from analyzer.export.connections import connection_table
from analyzer.export.json_text import json_lines
from analyzer.export.packets import packet_table
from analyzer.export.row_text import Notation, RowText
from analyzer.export.schema import RECORDS, SCHEMA, fields_of
from analyzer.tables import Frames, Labels, Packets, Rows

# Rows of a block: few enough for the processor's cache, many enough for NumPy
CONNECTION_ROWS = 4096
PACKET_ROWS = 4096

WRITERS = 2
"""Blocks of connections made at the same time."""

MakeTable = Callable[[Rows, Rows], Table]


def packet_tables(frames: Frames, packets: Packets, labels: Labels) -> Iterator[Table]:
    """The records of a batch's packets, block by block."""
    for first in range(0, len(frames.start), PACKET_ROWS):
        rows = slice(first, first + PACKET_ROWS)
        yield packet_table(
            Frames._make(column[rows] for column in frames)._replace(data=frames.data),
            Packets._make(column[rows] for column in packets),
            Labels._make(column[rows] for column in labels),
        )


class TextWriter:
    """Writes lines of a notation, a line a record."""

    def __init__(self, out: BinaryIO, notation: Notation, make_table: MakeTable = connection_table) -> None:
        self._out = out
        self._notation = notation
        self._make_table = make_table
        self._packets = RowText(notation)

    def connections(self, connections: Rows, endpoints: Rows, count: int) -> None:
        """Write the first ``count`` connections: CONNECTION[n] and ENDPOINT[n, Side] in the order of first packets."""

        def lines(text: RowText, first: int) -> memoryview:
            rows = slice(first, min(first + CONNECTION_ROWS, count))
            return text.lines(self._make_table(connections[rows], endpoints[rows]))

        if count <= CONNECTION_ROWS:
            self._out.write(lines(RowText(self._notation), 0))
            return
        texts = cycle([RowText(self._notation) for _ in range(WRITERS)])
        with ThreadPoolExecutor(WRITERS) as pool:
            under_way: deque[Future[memoryview]] = deque()
            for first in range(0, count, CONNECTION_ROWS):
                if len(under_way) == WRITERS:  # the next text's buffer must be written out before it is used again
                    self._out.write(under_way.popleft().result())
                under_way.append(pool.submit(lines, next(texts), first))
            while under_way:
                self._out.write(under_way.popleft().result())

    def packets(self, frames: Frames, packets: Packets, labels: Labels) -> None:
        """Write the packets of a batch."""
        for table in packet_tables(frames, packets, labels):
            self._out.write(self._packets.lines(table))

    def close(self) -> None:
        """Write what stands at the end."""


class ZeekWriter(TextWriter):
    """Writes Zeek's ``conn.log`` as TSV, whose header and footer have the times of the capture. It knows no packets."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__(out, zeek.TSV, zeek.zeek_table)

    def connections(self, connections: Rows, endpoints: Rows, count: int) -> None:
        """Write the log of the first ``count`` connections."""
        rows = connections[:count]
        self._out.write(zeek.header(int(rows["first_ns"].min()) if count else 0))
        super().connections(connections, endpoints, count)
        self._out.write(zeek.footer(int(rows["last_ns"].max()) if count else 0))


def text_writer(form: str, records: str, out: BinaryIO) -> TextWriter:
    """A writer of ``jsonl``, ``csv``, ``zeek`` or ``zeek-json``; Zeek's log has connections alone."""
    if form == "zeek":
        return ZeekWriter(out)
    if form == "zeek-json":
        return TextWriter(out, zeek.JSON, zeek.zeek_table)
    if form == "jsonl":
        return TextWriter(out, json_lines(f'"schema":{SCHEMA},"record":"{RECORDS[records]}"'))
    out.write(csv_text.header([field.name for field in fields_of(records)]))
    return TextWriter(out, csv_text.csv_lines(f"{SCHEMA},{RECORDS[records]},"))
