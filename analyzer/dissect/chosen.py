"""The packets of some connections in a file of their own, for tshark: in their order, none of any other connection."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Collection
from types import TracebackType
from typing import Self

import numpy as np

from analyzer.capture.saving import CaptureWriter
from analyzer.tables import I64, Batch, Event, Side, Status, frames_at

MOST_PACKETS = 20_000
"""Packets that tshark gets, unless all are asked for."""


class ChosenPackets:
    """A context manager that collects the packets of connections from a run's batches.

    The fragments of datagrams between two ends of such a connection are among them. A connection's packets after the
    first ``most`` packets of all are left out.

    Attributes: ``path`` of the file, a pcapng; ``numbers`` of its packets in the capture; ``left_out`` counts packets.
    """

    def __init__(self, connections: Collection[int], most: int = MOST_PACKETS) -> None:
        self._wanted = np.array(sorted(connections), np.int64)
        self._most = most
        self._folder = tempfile.TemporaryDirectory(prefix="tcpflow-view-")
        self._writer: CaptureWriter | None = None
        self._ends: set[tuple[int, ...]] = set()
        self._owners = array("q")
        self._sides = array("b")
        self._found: dict[int, dict[int, Side]] = {}
        self.path = os.path.join(self._folder.name, "chosen.pcapng")
        self.numbers = array("q")
        self.left_out = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self._folder.cleanup()

    def add(self, batch: Batch) -> None:
        """Take a batch."""
        frames, packets, labels = batch
        is_wanted = np.isin(labels.connection, self._wanted)
        if is_wanted.any():
            own = packets.address[is_wanted]
            self._ends |= {tuple(ends) for ends in np.unique(own, axis=0).tolist()}
        for i in np.flatnonzero(packets.status == Status.FRAGMENT).tolist():
            there = tuple(packets.address[i].tolist())
            is_wanted[i] = there in self._ends or (*there[4:], *there[:4]) in self._ends
        at = np.flatnonzero(is_wanted)
        room = max(self._most - len(self.numbers), 0)
        self._note_sides(batch, at, room)
        self.left_out += len(at[room:])
        at = at[:room]
        if not len(at):
            return
        self.numbers.extend(frames.number[at].tolist())
        if self._writer is None:
            self._writer = CaptureWriter(self.path, int(frames.linktype[at[0]]), mixes_linktypes=True)
        self._writer.write(frames_at(frames, at))

    def close(self) -> None:
        """No more packets come; the file is there where ``numbers`` are."""
        if self._writer:
            self._writer.close()

    def of(self, connection: int) -> dict[int, Side]:
        """The numbers of a connection's packets, and who sent each; when no more come."""
        if not self._found:
            for number, owner, side in zip(self.numbers, self._owners, self._sides, strict=True):
                self._found.setdefault(owner, {})[number] = Side(side)
        return self._found.get(connection, {})

    def _note_sides(self, batch: Batch, at: I64, room: int) -> None:
        """Remember whose the first packets are; those before any at which a connection turned round are turned too."""
        labels = batch.labels
        owners, sides = labels.connection[at], labels.side[at]
        turned = np.flatnonzero(labels.events[at] >> np.uint32(Event.TURNED_ROUND) & 1)
        for place in turned.tolist():
            before = np.flatnonzero(owners[:place] == owners[place])
            sides[before] = 1 - sides[before]
            for row, owner in enumerate(self._owners):
                if owner == owners[place]:
                    self._sides[row] = 1 - self._sides[row]
        self._owners.extend(owners[:room].tolist())
        self._sides.extend(sides[:room].tolist())
