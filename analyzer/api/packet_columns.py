"""All packets of a capture as columns: NumPy arrays of one length, packet by packet in the capture's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.api.data_frames import Tabular
from analyzer.export.columns import Table
from analyzer.export.packets import packet_table
from analyzer.tables import Batch, Frames, Labels, Packets, empty_labels, empty_packets


class PacketColumns(Tabular):
    """The columns of ``Frames`` (without octets), ``Packets`` and ``Labels`` (docs/columns.md), read-only.

    ``columns["ts_ns"]`` gives one by its name, ``columns.labels.phase`` one whose type is known. As in the records,
    ``seq`` and ``ack`` are relative, ``raw_seq`` and ``raw_ack`` those of the header. They hold codes
    (``analyzer.tables``), and take some 220 octets a packet.

    Attributes: ``frames``, ``packets``, ``labels``.
    """

    _records = "packets"

    def __init__(self, batches: Iterable[Batch]) -> None:
        parts = list(map(_copied, batches)) or [Batch(_no_frames(), empty_packets(0), empty_labels(0))]
        frames, packets, labels = zip(*parts, strict=True)
        self.frames = Frames._make(map(_joined, zip(*frames, strict=True)))
        self.packets = Packets._make(map(_joined, zip(*packets, strict=True)))
        self.labels = Labels._make(map(_joined, zip(*labels, strict=True)))
        headers = {_RAW.get(name, name): column for name, column in self.packets._asdict().items()}
        columns = self.frames._asdict() | headers | self.labels._asdict()
        self._named: dict[str, npt.NDArray[Any]] = {
            name: column for name, column in columns.items() if name not in _OF_OCTETS
        }

    def __len__(self) -> int:
        return len(self.frames.number)

    def __repr__(self) -> str:
        return f"<{len(self)} packets in columns>"

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._named[name]

    def _tables(self) -> Iterator[Table]:
        if len(self):
            yield packet_table(self.frames, self.packets, self.labels)

    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self._named)


_OF_OCTETS = {"data", "start", "payload_start"}
"""Columns that mean something only where the octets are."""

_RAW = {"seq": "raw_seq", "ack": "raw_ack"}
"""Columns of Packets whose names Labels has too."""


def _copied(batch: Batch) -> Batch:
    """A batch that stays as it is when the next one is asked for."""
    frames = batch.frames._replace(data=np.zeros(0, np.uint8))
    return Batch(
        Frames._make(column.copy() for column in frames),
        Packets._make(column.copy() for column in batch.packets),
        Labels._make(column.copy() for column in batch.labels),
    )


def _joined(parts: tuple[npt.NDArray[Any], ...]) -> npt.NDArray[Any]:
    column = parts[0] if len(parts) == 1 else np.concatenate(parts)
    column.flags.writeable = False
    return column


def _no_frames() -> Frames:
    i64, u32, u16 = np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint16)
    return Frames(np.zeros(0, np.uint8), i64, u32, u32, i64, u16, u16, i64)
