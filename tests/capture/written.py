"""Captures written octet by octet, as the formats' documents have them, and what was read of one as plain tuples."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from analyzer.capture.source import Capture

ETHERNET = 1


class Packet(NamedTuple):
    """A packet as it stands in a file: the fraction of the second is in the file's unit."""

    octets: bytes
    seconds: int = 1_700_000_000
    fraction: int = 5
    origlen: int | None = None


def packets(count: int, longest: int = 90) -> list[Packet]:
    """Packets of different lengths, contents and times."""
    return [
        Packet(bytes((i + k) & 0xFF for k in range(i * 7 % (longest + 1))), 1_700_000_000 + i, i * 11, 200 + i)
        for i in range(count)
    ]


def origlen_of(packet: Packet) -> int:
    return len(packet.octets) if packet.origlen is None else packet.origlen


def pcap(
    written: list[Packet],
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    version: tuple[int, int] = (2, 4),
    snaplen: int = 262_144,
    linktype: int = ETHERNET,
) -> bytes:
    octets = struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, linktype)
    for packet in written:
        lengths = len(packet.octets), origlen_of(packet)
        octets += struct.pack(order + "IIII", packet.seconds, packet.fraction, *lengths)
        if magic == 0xA1B2CD34:
            octets += struct.pack(order + "IHBB", 3, 0x800, 0, 0)
        octets += packet.octets
    return octets


def block(order: str, kind: int, body: bytes) -> bytes:
    length = 12 + len(body) + -len(body) % 4
    return struct.pack(order + "II", kind, length) + body + bytes(-len(body) % 4) + struct.pack(order + "I", length)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", *, version: tuple[int, int] = (1, 0), length: int = -1, options: bytes = b"") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, length) + options)


def interface(
    order: str = "<", linktype: int = ETHERNET, snaplen: int = 0, options: dict[int, bytes] | None = None
) -> bytes:
    body = struct.pack(order + "HHI", linktype, 0, snaplen)
    for code, value in (options or {}).items():
        body += option(order, code, value)
    return block(order, 1, body + (option(order, 0, b"") if options else b""))


def enhanced(
    octets: bytes, ticks: int, *, order: str = "<", number: int = 0, origlen: int | None = None, options: bytes = b""
) -> bytes:
    lengths = len(octets), len(octets) if origlen is None else origlen
    body = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFF_FFFF, *lengths)
    return block(order, 6, body + octets + bytes(-len(octets) % 4) + options)


def obsolete(octets: bytes, ticks: int, *, order: str = "<", number: int = 0) -> bytes:
    body = struct.pack(order + "HHIIII", number, 7, ticks >> 32, ticks & 0xFFFF_FFFF, len(octets), len(octets))
    return block(order, 2, body + octets)


def simple(octets: bytes, *, order: str = "<", origlen: int | None = None) -> bytes:
    return block(order, 3, struct.pack(order + "I", len(octets) if origlen is None else origlen) + octets)


class Read(NamedTuple):
    """What came out of a capture for one packet."""

    number: int
    ts_ns: int
    octets: bytes
    origlen: int
    linktype: int
    interface: int


def rows(capture: Capture) -> Iterator[Read]:
    for frames in capture:
        columns: list[list[Any]] = [column.tolist() for column in frames[1:]]
        for start, caplen, origlen, ts_ns, linktype, number_of_interface, number in zip(*columns, strict=True):
            octets = frames.data[start : start + caplen].tobytes()
            assert len(octets) == caplen
            yield Read(number, ts_ns, octets, origlen, linktype, number_of_interface)
