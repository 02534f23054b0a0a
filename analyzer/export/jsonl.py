"""Records as JSON Lines: connections and packets, in blocks of rows, so that memory stays bounded."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import BinaryIO

from analyzer.export.connections import connection_table
from analyzer.export.json_text import JsonLines
from analyzer.export.packets import packet_table
from analyzer.tables import Frames, Labels, Packets, Rows

# Rows of a block: few enough for the processor's cache, many enough for NumPy
CONNECTION_ROWS = 4096
PACKET_ROWS = 4096

CONNECTION_HEAD = '"schema":1,"record":"connection"'
WRITERS = 2
"""Blocks of connections made at the same time."""


def write_connections(out: BinaryIO, connections: Rows, endpoints: Rows, count: int) -> None:
    """Write a line for each of the first ``count`` connections.

    Args: ``connections`` CONNECTION[n], ``endpoints`` ENDPOINT[n, Side], both in the order of the first packets.
    """

    def lines(text: JsonLines, first: int) -> memoryview:
        rows = slice(first, min(first + CONNECTION_ROWS, count))
        return text.lines(connection_table(connections[rows], endpoints[rows]))

    if count <= CONNECTION_ROWS:
        out.write(lines(JsonLines(CONNECTION_HEAD), 0))
        return
    texts = cycle([JsonLines(CONNECTION_HEAD) for _ in range(WRITERS)])
    with ThreadPoolExecutor(WRITERS) as pool:
        under_way: deque[Future[memoryview]] = deque()
        for first in range(0, count, CONNECTION_ROWS):
            if len(under_way) == WRITERS:  # the next text's buffer must be written out before it is used again
                out.write(under_way.popleft().result())
            under_way.append(pool.submit(lines, next(texts), first))
        while under_way:
            out.write(under_way.popleft().result())


def write_packets(out: BinaryIO, frames: Frames, packets: Packets, labels: Labels) -> None:
    """Write a line for each packet of a batch."""
    text = JsonLines('"schema":1,"record":"packet"')
    for first in range(0, len(frames.start), PACKET_ROWS):
        rows = slice(first, first + PACKET_ROWS)
        table = packet_table(
            Frames._make(column[rows] for column in frames)._replace(data=frames.data),
            Packets._make(column[rows] for column in packets),
            Labels._make(column[rows] for column in labels),
        )
        out.write(text.lines(table))
