"""What tshark tells of packets: its words, untrusted, for they have what programs sent."""

from __future__ import annotations

from typing import NamedTuple


class Summary(NamedTuple):
    """A packet as tshark's list of packets has it."""

    packet: int
    """Number of the packet in the capture."""
    protocol: str
    info: str
    layers: tuple[str, ...]
    """The protocols that it found above TCP or UDP, by tshark's names; ``data`` where it knows none."""

    @property
    def is_decoded(self) -> bool:
        """Whether it found an application's message that ends in this packet: of a part of one it says TCP alone."""
        return bool(set(self.layers) - {"data"}) and self.protocol not in ("TCP", "UDP")


class Field(NamedTuple):
    """A line of tshark's tree of a packet, and the lines under it."""

    text: str
    fields: tuple[Field, ...] = ()


class Decoded(NamedTuple):
    """What an application sent, at the packet that completes it."""

    summary: Summary
    tree: tuple[Field, ...] = ()
    """Each protocol above TCP or UDP; empty where nobody asked for it."""
