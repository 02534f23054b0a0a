"""A capture of one connection in which the sides say what a test wants: over Ethernet, checksums right."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from pathlib import Path

CLIENT, SERVER = "192.0.2.77", "198.51.100.23"
MACS = bytes.fromhex("b82a72c0ffee"), bytes.fromhex("3c970e123456")
FIN, SYN, PSH, ACK = 1, 2, 8, 16


def checksum(octets: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(octets) + 1) // 2}H", octets + b"\0" * (len(octets) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def frame(addresses: Sequence[str], side: int, seq: int, ack: int, flags: int, payload: bytes, port: int) -> bytes:
    """One packet; ``side`` 0 is the client."""
    ends = [ipaddress.ip_address(addresses[side]), ipaddress.ip_address(addresses[1 - side])]
    ports = (port, 80) if side == 0 else (80, port)
    packed = b"".join(end.packed for end in ends)
    header = struct.pack("!HHIIBBHHH", *ports, seq, ack, 5 << 4, flags, 8192, 0, 0)
    pseudo = packed + struct.pack("!II", len(header) + len(payload), 6)
    tcp = header[:16] + struct.pack("!H", checksum(pseudo + header + payload)) + header[18:] + payload
    if ends[0].version == 6:
        ip, kind = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + packed, 0x86DD
    else:
        start = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0)
        ip, kind = start[:10] + struct.pack("!H", checksum(start + packed)) + packed, 0x0800
    return MACS[1 - side] + MACS[side] + struct.pack("!H", kind) + ip + tcp


def frames(
    said: Sequence[tuple[int, bytes]], addresses: Sequence[str] = (CLIENT, SERVER), port: int = 40000
) -> list[bytes]:
    """Handshake, what is said by whom, and the client's close."""
    seq = [1000, 2000]
    made = [
        frame(addresses, 0, 1000, 0, SYN, b"", port), frame(addresses, 1, 2000, 1001, SYN | ACK, b"", port),
        frame(addresses, 0, 1001, 2001, ACK, b"", port),
    ]  # fmt: skip
    seq = [1001, 2001]
    for side, payload in said:
        made.append(frame(addresses, side, seq[side], seq[1 - side], PSH | ACK, payload, port))
        seq[side] += len(payload)
    for side in (0, 1):
        made.append(frame(addresses, side, seq[side], seq[1 - side], FIN | ACK, b"", port))
        seq[side] += 1
    made.append(frame(addresses, 0, seq[0], seq[1], ACK, b"", port))
    return made


def write(path: Path, octets: Sequence[bytes]) -> Path:
    """A pcap file with these frames, a millisecond apart."""
    records = [struct.pack("<IIII", 1_700_000_000, 1000 * i, len(one), len(one)) + one for i, one in enumerate(octets)]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))
    return path
