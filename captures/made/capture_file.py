"""Writes capture files: classic pcap with microseconds or nanoseconds, and pcapng with nanoseconds.

Formats: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html and draft-ietf-opsawg-pcapng. Little-endian, so
that the same packets give the same octets on every machine.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

ETHERNET = 1
RAW_IP = 101


class Packet(NamedTuple):
    ts_ns: int
    """Time of capture, nanoseconds since 1970-01-01 UTC."""
    data: bytes
    origlen: int
    """Octets that were on the wire: at least ``len(data)``."""


def write_pcap(path: Path, packets: list[Packet], linktype: int, *, snaplen: int = 262144, nanoseconds: bool) -> None:
    magic, unit_ns = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    octets = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, snaplen, linktype)]
    for packet in packets:
        seconds, fraction_ns = divmod(packet.ts_ns, 1_000_000_000)
        octets.append(struct.pack("<IIII", seconds, fraction_ns // unit_ns, len(packet.data), packet.origlen))
        octets.append(packet.data)
    path.write_bytes(b"".join(octets))


def write_pcapng(path: Path, packets: list[Packet], linktype: int, *, snaplen: int = 262144, interface: str) -> None:
    """One section, one interface with the options if_name and if_tsresol (9: nanoseconds)."""
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    options = _option(2, interface.encode()) + _option(9, b"\x09") + _option(0, b"")
    octets = [_block(0x0A0D0D0A, section), _block(1, struct.pack("<HHI", linktype, 0, snaplen) + options)]
    for packet in packets:
        high, low = divmod(packet.ts_ns, 1 << 32)
        head = struct.pack("<IIIII", 0, high, low, len(packet.data), packet.origlen)
        octets.append(_block(6, head + packet.data))
    path.write_bytes(b"".join(octets))


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(_padded(body)))
    return struct.pack("<I", kind) + length + _padded(body) + length
