"""``analyze``: a capture in, its connections out."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np

from analyzer import jit
from analyzer.api.connection import Connection, Packets
from analyzer.api.data_frames import Tabular
from analyzer.api.material import Material, Rereadable
from analyzer.api.packet_columns import PacketColumns
from analyzer.api.servers import servers_named
from analyzer.api.story import quality_of, story_of
from analyzer.errors import MissingOctetsError, UsageError
from analyzer.explain.quality import Quality
from analyzer.export.columns import Table
from analyzer.export.connections import connection_table
from analyzer.export.text_writer import text_writer
from analyzer.language import _
from analyzer.pipeline import Run, Streams, lives, survey
from analyzer.render.ladder import ladder
from analyzer.render.quality import quality
from analyzer.render.screen import NARROWEST, Screen
from analyzer.render.table import table
from analyzer.streams import Gap, Piece, StreamItem
from analyzer.tables import Batch, Life, Protocol, Rows, Side

_BLOCK_CONNECTIONS = 1024
"""Connections whose records are made together, or whose packets are looked for together."""
_BLOCK_PACKETS = 250_000
"""Packets that are kept in memory together, unless one connection has more."""
_TABLE_ROWS = 16_384
"""Connections of a batch of Arrow."""
_BLOCK_OCTETS = 64 << 20
"""Octets of what is said that are kept in memory together, unless one connection says more."""


def analyze(capture: Material, filter: str = "", *, servers: Sequence[str] = ()) -> Analysis:
    """Analyse a whole capture.

    Args:
        capture: the name of a pcap or pcapng file, compressed or not (``-`` is standard input); an open binary file;
            the octets of a capture; or packets of scapy.
        filter: a pcap filter, as ``port 1235``.
        servers: ends that are servers' where no SYN tells, as ``10.0.0.1:1235`` or ``1235``.

    Raises: CaptureOpenError, CaptureFormatError where it is no capture, FilterError, UsageError. A capture that is
    damaged or cut short is analysed as far as it can be read; then ``Analysis.damage`` says where it ends.
    """
    return Analysis(capture, filter, servers)


class Analysis:
    """A capture that was analysed: one row a connection in memory; packets are read again when they are asked for.

    ``on_batch`` is called after each batch of the first pass.

    Attributes: ``path`` and ``filter`` as they were given.
    """

    def __init__(
        self, capture: Material, filter: str = "", servers: Sequence[str] = (), *,
        on_batch: Callable[[Run], None] | None = None,
    ) -> None:  # fmt: skip
        self._capture = Rereadable(capture)
        self._servers = servers_named(servers, filter)
        self.filter = filter
        self.path = self._capture.path
        jit.expect_anew()
        with self._capture.opened() as source:
            self._run = survey(source, filter, self._servers, on_batch=on_batch)
        self._lives: dict[int, Life] = {}
        self._packets: tuple[int, Packets] | None = None
        self._said: dict[int, tuple[_Said, _Said]] = {}
        self._records: dict[int, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"<Analysis of {self.path}: {self.packet_count} packets, {len(self.connections)} connections>"

    @property
    def connections(self) -> Connections:
        """TCP connections and UDP conversations, in the order of their first packets."""
        return Connections(self)

    @cached_property
    def packets(self) -> PacketColumns:
        """All packets as columns. This reads the capture once more, and keeps some 220 octets a packet."""
        return PacketColumns(self.batches())

    def batches(self) -> Iterator[Batch]:
        """The packets batch by batch, in bounded memory; each batch is valid until the next is asked for."""
        with self._capture.opened() as source, Run(source, self.filter, self._servers) as run:
            yield from run

    @property
    def rows(self) -> tuple[Rows, Rows]:
        """The tables: CONNECTION rows, and ENDPOINT rows ``[connection, Side]`` (docs/columns.md)."""
        run = self._run
        return run.connections[: run.count], run.endpoints[: run.count]

    @property
    def packet_count(self) -> int:
        """Packets that passed the filter."""
        return self._run.packets

    @property
    def first_ns(self) -> int | None:
        """The earliest time of a packet, in nanoseconds since 1970-01-01 UTC; None where there is none."""
        return self._run.first_ns if self._run.packets else None

    @property
    def last_ns(self) -> int | None:
        """The latest."""
        return self._run.last_ns if self._run.packets else None

    @property
    def damage(self) -> str | None:
        """Why and where reading ended early; None where it did not."""
        damage = self._run.capture.damage
        return str(damage) if damage else None

    @property
    def dropped(self) -> int:
        """Packets that the capturing program missed, as far as it wrote so."""
        return self._run.capture.dropped

    def summary(self, width: int = 100) -> str:
        """What ``tcpflow-view read`` prints first: how good the capture is, and the table of its connections."""
        screen, numbers = _screen(width), range(self._run.count)
        lines = list(quality(self._quality, self.path, screen, whole=True))
        if numbers:
            lines += ["", *table(*self.rows, numbers, screen, whole=True)]
        return "\n".join(line.rstrip() for line in lines)

    @cached_property
    def _quality(self) -> Quality:
        return quality_of(self._run, self.filter)

    def record(self, row: int) -> dict[str, Any]:
        """The record of the connection in this row; not to be changed."""
        if row not in self._records:
            first = row - row % _BLOCK_CONNECTIONS
            connections, endpoints = (rows[first : first + _BLOCK_CONNECTIONS] for rows in self.rows)
            text = io.BytesIO()
            text_writer("jsonl", "connections", text).connections(connections, endpoints, len(connections))
            self._records = dict(enumerate(map(json.loads, text.getvalue().splitlines()), first))
        return self._records[row]

    def life(self, row: int) -> Life:
        """The packets of the connection in this row."""
        if row not in self._lives:
            rows = self._block(row, lambda ends: int(ends["packets"].sum()), _BLOCK_PACKETS)
            numbers = self.rows[0]["number"][rows.start : rows.stop].tolist()
            with self._capture.opened() as source:
                found = lives(source, self.filter, numbers, self._servers, most_packets=sys.maxsize)
            self._lives = {rows.start + i: found[number] for i, number in enumerate(numbers)}
        return self._lives[row]

    def packets_of(self, row: int) -> Packets:
        """The same as objects; those of the latest row that was asked for are kept."""
        if self._packets is None or self._packets[0] != row:
            is_tcp = self.rows[0][row]["protocol"] == Protocol.TCP
            self._packets = row, Packets(self.life(row), bool(is_tcp))
        return self._packets[1]

    def said(self, row: int, side: Side, gaps: bytes | None) -> bytes:
        """What a side of the connection in this row said; ``gaps`` as in ``Connection.bytes_from``."""
        if row not in self._said:
            rows = self._block(row, lambda ends: int(ends["unique_bytes"].sum()), _BLOCK_OCTETS)
            numbers = self.rows[0]["number"][rows.start : rows.stop].tolist()
            said = {number: (_Said(), _Said()) for number in numbers}
            with self._capture.opened() as source, Run(source, self.filter, self._servers) as run:
                streams = Streams(run, [range(number, number + 1) for number in numbers])
                for number, item in (found for batch in run for found in streams.add(batch)):
                    said[number][item.side].add(item)
                for number, item in streams.finish():
                    said[number][item.side].add(item)
            self._said = {rows.start + i: said[number] for i, number in enumerate(numbers)}
        return self._said[row][side].joined(gaps)

    def ladder(self, row: int, screen: Screen, *, whole: bool, marked: Collection[int]) -> Iterator[str]:
        """The packets of the connection in this row between two lifelines, line by line; some of them marked."""
        run, life = self._run, self.life(row)
        story = story_of(run, row, life, self._quality, expression=self.filter)
        return ladder(story, screen, whole=whole, marked=marked)

    def _block(self, row: int, weight: Callable[[Rows], int], most: int) -> range:
        """The row and those after it that are read together with it."""
        total, last = 0, row
        for ends in self.rows[1][row : row + _BLOCK_CONNECTIONS]:
            total += weight(ends)
            if total > most and last > row:
                break
            last += 1
        return range(row, last)


class Connections(Tabular, Sequence[Connection]):
    """The connections of an analysis, or those in some of its rows; a view of each is made when it is asked for."""

    _records = "connections"

    def __init__(self, analysis: Analysis, rows: Sequence[int] | None = None) -> None:
        self._analysis = analysis
        self._rows = range(len(analysis.rows[0])) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<{len(self)} connections of {self._analysis.path}>"

    @overload
    def __getitem__(self, index: int) -> Connection: ...
    @overload
    def __getitem__(self, index: slice) -> list[Connection]: ...
    def __getitem__(self, index: int | slice) -> Connection | list[Connection]:
        if isinstance(index, slice):
            return [Connection(self._analysis, row) for row in self._rows[index]]
        return Connection(self._analysis, self._rows[index])

    def of(self, *, host: str | None = None, port: int | None = None, protocol: str | None = None) -> list[Connection]:
        """Those with this address, this port at either end, this protocol (``tcp``, ``udp``).

        Raises UsageError for a port that is no number, and another protocol.
        """
        if not isinstance(port, int | None) or protocol not in (None, "tcp", "udp"):
            raise UsageError(_("a port is a number, a protocol is tcp or udp"))
        return [
            one for one in self
            if (host is None or host in (one.client.address, one.server.address))
            and (port is None or port in (one.client.port, one.server.port))
            and (protocol is None or one.protocol == protocol)
        ]  # fmt: skip

    def table(self, width: int = 100, *, most: int | None = None) -> str:
        """A line each, as ``tcpflow-view read`` prints them; ``most`` lines, where that is given."""
        lines = table(*self._analysis.rows, self._rows[:most], _screen(width), whole=True)
        return "\n".join(line.rstrip() for line in lines)

    def _tables(self) -> Iterator[Table]:
        connections, endpoints = self._analysis.rows
        for first in range(0, len(self), _TABLE_ROWS):
            rows = np.array(self._rows[first : first + _TABLE_ROWS], np.int64)
            yield connection_table(connections[rows], endpoints[rows])


class _Said:
    """One side's octets, and how many are missing between them."""

    def __init__(self) -> None:
        self._pieces: list[bytes | int] = []

    def add(self, item: StreamItem) -> None:
        if isinstance(item, Piece):
            self._pieces.append(item.octets[: item.length])
            if len(item.octets) < item.length:
                self._pieces.append(item.length - len(item.octets))
        elif isinstance(item, Gap):
            self._pieces.append(item.length)

    def joined(self, gaps: bytes | None) -> bytes:
        missing = sum(piece for piece in self._pieces if isinstance(piece, int))
        if missing and gaps is None:
            told = _("{octets} bytes are not in the capture; gaps=… says what stands in their place")
            raise MissingOctetsError(told.format(octets=missing))
        return b"".join(piece if isinstance(piece, bytes) else (gaps or b"") * piece for piece in self._pieces)


def _screen(width: int) -> Screen:
    return Screen(width=max(width, NARROWEST))
