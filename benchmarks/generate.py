"""Generate captures for benchmarks: so many connections, each with the same number of packets, many open at a time.

    python benchmarks/generate.py OUT.pcap --packets 10_000_000 --packets-per-connection 30 --open 1000

Every connection is a handshake, requests and responses with their ACKs, and a close from the client; Ethernet, IPv4,
TCP with timestamps, checksums right. Everything is a function of the arguments: the same call writes the same octets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

RECORD_LEN, ETHERNET_LEN, IP_LEN, TCP_LEN = 16, 14, 20, 32
HEADERS_LEN = ETHERNET_LEN + IP_LEN + TCP_LEN
FIN, SYN, PSH, ACK = 1, 2, 8, 16
REQUEST_LEN, RESPONSE_LEN = 24, 64
FIRST_SECOND = 1_700_000_000


def conversation(packets: int) -> list[tuple[int, int, int]]:
    """(side, flags, payload length) of each packet of a connection; ``packets`` >= 7."""
    life = [(0, SYN, 0), (1, SYN | ACK, 0), (0, ACK, 0)]
    turn = [(0, PSH | ACK, REQUEST_LEN), (1, ACK, 0), (1, PSH | ACK, RESPONSE_LEN), (0, ACK, 0)]
    while len(life) < packets - 4:
        life.append(turn[(len(life) - 3) % 4])
    return [*life, (0, FIN | ACK, 0), (1, ACK, 0), (1, FIN | ACK, 0), (0, ACK, 0)]


def checksums(octets: np.ndarray, pseudo: np.ndarray) -> np.ndarray:
    """The Internet checksum of each row (even length), its pseudo-header's sum added."""
    words = octets[:, 0::2].astype(np.uint32) << 8 | octets[:, 1::2]
    total = words.sum(axis=1, dtype=np.uint64) + pseudo
    for _ in range(3):
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).astype(np.uint16)


def put(octets: np.ndarray, at: int, length: int, values: np.ndarray) -> None:
    """Write big-endian integers into columns ``at`` and following."""
    for k in range(length):
        octets[:, at + k] = values >> 8 * (length - 1 - k) & 0xFF


def packets_of(first: int, last: int, place: int, life: list[tuple[int, int, int]]) -> np.ndarray:
    """Frames of packet number ``place`` of connections ``first`` to ``last``, record headers left empty."""
    side, flags, payload_len = life[place]
    n = last - first
    c = np.arange(first, last, dtype=np.int64)
    octets = np.zeros((n, RECORD_LEN + HEADERS_LEN + payload_len), np.uint8)
    frame = octets[:, RECORD_LEN:]
    frame[:, 0:12] = np.frombuffer(
        bytes.fromhex("020000000002020000000001" if not side else "020000000001020000000002"), np.uint8
    )
    put(frame, 12, 2, np.full(n, 0x0800))
    ip = frame[:, ETHERNET_LEN:]
    ip[:, 0] = 0x45
    put(ip, 2, 2, np.full(n, IP_LEN + TCP_LEN + payload_len))
    put(ip, 4, 2, c + place)
    ip[:, 6], ip[:, 8], ip[:, 9] = 0x40, 64, 6
    client, server = 0x0A000000 + c // 50_000 + 1, np.full(n, 0xC0A80001)
    put(ip, 12, 4, server if side else client)
    put(ip, 16, 4, client if side else server)
    put(ip, 10, 2, checksums(ip[:, :IP_LEN], np.zeros(n, np.uint64)).astype(np.int64))
    tcp = ip[:, IP_LEN:]
    client_port, server_port = 10_000 + c % 50_000, np.full(n, 8080)
    put(tcp, 0, 2, server_port if side else client_port)
    put(tcp, 2, 2, client_port if side else server_port)
    sent, heard = [
        sum(p + (f & SYN > 0) + (f & FIN > 0) for s, f, p in life[:place] if s == who) for who in (side, 1 - side)
    ]
    iss, irs = c * 7919 + 1 + side * 104_729, c * 7919 + 1 + (1 - side) * 104_729
    put(tcp, 4, 4, iss + sent & 0xFFFFFFFF)
    put(tcp, 8, 4, (irs + heard & 0xFFFFFFFF) if flags & ACK else np.zeros(n, np.int64))
    tcp[:, 12], tcp[:, 13] = TCP_LEN // 4 << 4, flags
    put(tcp, 14, 2, np.full(n, 512))
    options = (
        bytes.fromhex("0101080a0000000100000001") if not flags & SYN else bytes.fromhex("020405b40103030704020101")
    )
    tcp[:, 20:32] = np.frombuffer(options, np.uint8)
    tcp[:, TCP_LEN:] = np.resize(np.frombuffer(b"the quick brown fox jumps over the lazy dog. ", np.uint8), payload_len)
    pseudo = ((client >> 16) + (client & 0xFFFF) + 0xC0A8 + 0x0001 + 6 + TCP_LEN + payload_len).astype(np.uint64)
    put(tcp, 16, 2, checksums(tcp, pseudo).astype(np.int64))
    return octets


def write(path: Path, packets: int, packets_per_connection: int, open_at_a_time: int) -> int:
    """Write a capture; returns how many packets it has."""
    life = conversation(packets_per_connection)
    connections = max(1, packets // packets_per_connection)
    moment_ns = 0
    with path.open("wb") as out:
        header = (0xA1B2C3D4, 2 | 4 << 16, 0, 0, 262_144, 1)
        out.write(np.array(header, "<u4").tobytes())
        for first in range(0, connections, open_at_a_time):
            last = min(first + open_at_a_time, connections)
            for place in range(len(life)):
                octets = packets_of(first, last, place, life)
                moments = moment_ns + np.arange(last - first, dtype=np.int64) * 1_000
                moment_ns = int(moments[-1]) + 1_000
                record = np.zeros((last - first, 4), "<u4")
                record[:, 0] = FIRST_SECOND + moments // 1_000_000_000
                record[:, 1] = moments % 1_000_000_000 // 1_000
                record[:, 2] = record[:, 3] = octets.shape[1] - RECORD_LEN
                octets[:, :RECORD_LEN] = record.view(np.uint8)
                out.write(octets.tobytes())
    return connections * len(life)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--packets-per-connection", type=int, default=30)
    parser.add_argument("--open", type=int, default=1000, help="connections open at a time")
    wanted = parser.parse_args()
    print(write(wanted.out, wanted.packets, wanted.packets_per_connection, wanted.open), "packets")


if __name__ == "__main__":
    main()
