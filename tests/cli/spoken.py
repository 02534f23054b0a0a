"""Captures of one TCP connection with payload that a test gives: raw IPv4 in a classic pcap file."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from analyzer.tables import ACK, FIN, PSH, SYN

RAW_IP = 101
CLIENT, SERVER = 0, 1
ISS = 1_000, 5_000
"""Initial sequence numbers of the client and the server."""


class Said(NamedTuple):
    """A segment of one side; ``at`` is the offset of its payload in what that side sends."""

    side: int
    at: int
    payload: bytes = b""
    flags: int = PSH | ACK
    ack: int = 0
    """How much it has of what the other side sent."""
    captured: int | None = None
    """Octets of the payload in the capture, all for None."""
    wait_ns: int = 1_000_000


OPENING = [Said(CLIENT, -1, flags=SYN), Said(SERVER, -1, flags=SYN | ACK), Said(CLIENT, 0, flags=ACK)]


def closing(client: int, server: int) -> list[Said]:
    """Both FINs, after so many octets of each side."""
    return [
        Said(CLIENT, client, flags=FIN | ACK, ack=server),
        Said(SERVER, server, flags=FIN | ACK, ack=client + 1),
        Said(CLIENT, client + 1, flags=ACK, ack=server + 1),
    ]


def write(path: Path, said: list[Said], port: int = 40_000) -> Path:
    """Write the capture, with a MSS of 1460 in both SYNs."""
    octets = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, RAW_IP)
    return _written(path, octets + packets(said, port))


def packets(said: list[Said], port: int = 40_000) -> bytes:
    """The records of a capture file."""
    octets, now_ns = b"", 0
    for one in said:
        now_ns += one.wait_ns
        packet = _packet(one, port)
        left_out = len(one.payload) - one.captured if one.captured is not None else 0
        captured = packet[: len(packet) - left_out]
        octets += struct.pack("<IIII", *divmod(now_ns, 10**9), len(captured), len(packet)) + captured
    return octets


def _written(path: Path, octets: bytes) -> Path:
    path.write_bytes(octets)
    return path


def _packet(one: Said, port: int) -> bytes:
    ports = (port, 80) if one.side == CLIENT else (80, port)
    addresses = (b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02")
    options = struct.pack("!BBH", 2, 4, 1460) if one.flags & SYN else b""
    seq = (ISS[one.side] + 1 + one.at) % 2**32
    ack = (ISS[1 - one.side] + 1 + one.ack) % 2**32 if one.flags & ACK else 0
    tcp = struct.pack("!HHIIBBHHH", *ports, seq, ack, (5 + len(options) // 4) << 4, one.flags, 1_000, 0, 0)
    tcp += options + one.payload
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
    return ip + addresses[one.side] + addresses[1 - one.side] + tcp
