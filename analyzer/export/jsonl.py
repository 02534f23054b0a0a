"""Records as JSON Lines: connections and packets, in blocks of rows, so that memory stays bounded."""

from __future__ import annotations

from typing import BinaryIO

from analyzer.export.connections import connection_table
from analyzer.export.json_text import JsonLines
from analyzer.export.packets import packet_table
from analyzer.tables import Frames, Labels, Packets, Rows

# Rows whose columns and text stay in the processor's cache
CONNECTION_ROWS = 1024
PACKET_ROWS = 4096


def write_connections(out: BinaryIO, connections: Rows, endpoints: Rows, count: int) -> None:
    """Write a line for each of the first ``count`` connections.

    Args: ``connections`` CONNECTION[n], ``endpoints`` ENDPOINT[n, Side], both in the order of the first packets.
    """
    text = JsonLines('"schema":1,"record":"connection"')
    for first in range(0, count, CONNECTION_ROWS):
        rows = slice(first, min(first + CONNECTION_ROWS, count))
        out.write(text.lines(connection_table(connections[rows], endpoints[rows], first)))


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
