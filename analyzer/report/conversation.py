"""What the two sides of a connection said, in order, as a page has it: where it stands in the packets' octets."""

from __future__ import annotations

from functools import partial
from typing import Any

from analyzer.language import _
from analyzer.render.follow import notice
from analyzer.render.quantities import counted
from analyzer.report.languages import told
from analyzer.report.octets import Frame
from analyzer.streams import Piece, StreamItem


class Conversation:
    """Collects what is said in the packets of one connection."""

    def __init__(self) -> None:
        self._items: list[StreamItem] = []

    def add(self, item: StreamItem) -> None:
        """The next item."""
        self._items.append(item)

    def data(self, frames: list[Frame]) -> list[Any]:
        """A list for each piece: side, packet, offset in the packet's payload, length, offset in the stream.

        For what is wrong with a stream: side, sentence. Pieces of packets that are not among ``frames`` are left out.
        """
        known = {frame.number: frame for frame in frames}
        said: list[Any] = []
        for item in self._items:
            if isinstance(item, Piece) and (frame := known.get(item.packet)):
                payload = frame.octets[frame.payload_start :]
                at = 0 if item.length == item.payload_len else max(payload.find(item.octets), 0)
                said.append([item.side, item.packet, at, item.length, item.offset])
                if missing := len(item.octets) - len(payload[at : at + item.length]):
                    said.append([item.side, told(partial(_not_here, missing))])
            if not isinstance(item, Piece) or len(item.octets) < item.length:
                said.append([item.side, told(partial(notice, item))])
        return said


def _not_here(missing: int) -> str:
    return _("{bytes} are not in this page").format(bytes=counted(missing, "byte"))
