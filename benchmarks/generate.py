"""Generate captures for benchmarks: so many connections, each with the same number of packets, many open at a time.

    python benchmarks/generate.py OUT.pcap --packets 10_000_000 --packets-per-connection 30 --open 1000

Every connection is a handshake, requests and responses with their ACKs, and a close from the client; Ethernet, IPv4,
TCP with timestamps, checksums right. Everything is a function of the arguments: the same call writes the same octets.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

RECORD_LEN, ETHERNET_LEN, IP_LEN, TCP_LEN = 16, 14, 20, 32
HEADERS_LEN = ETHERNET_LEN + IP_LEN + TCP_LEN
FIN, SYN, PSH, ACK = 1, 2, 8, 16
REQUEST_LEN, RESPONSE_LEN = 24, 64
FIRST_SECOND = 1_700_000_000
ROUNDS_AT_ONCE = 10_000
SERVER_PORT = 9000
"""One for which tcpdump has no dissector, so that its text can be compared."""


class Segment(NamedTuple):
    """A packet of the conversation that every connection has."""

    side: int
    flags: int
    payload_len: int

    @property
    def seg_len(self) -> int:
        """Sequence numbers that it takes."""
        return self.payload_len + (self.flags & SYN > 0) + (self.flags & FIN > 0)

    @property
    def record_len(self) -> int:
        """Octets that it takes in the file."""
        return RECORD_LEN + HEADERS_LEN + self.payload_len


OPENING = [Segment(0, SYN, 0), Segment(1, SYN | ACK, 0), Segment(0, ACK, 0)]
TURN = [
    Segment(0, PSH | ACK, REQUEST_LEN), Segment(1, ACK, 0), Segment(1, PSH | ACK, RESPONSE_LEN), Segment(0, ACK, 0),
]  # fmt: skip
CLOSING = [Segment(0, FIN | ACK, 0), Segment(1, ACK, 0), Segment(1, FIN | ACK, 0), Segment(0, ACK, 0)]


def checksums(octets: np.ndarray, pseudo: np.ndarray) -> np.ndarray:
    """The Internet checksum of each row (even length), its pseudo-header's sum added."""
    words = octets[:, 0::2].astype(np.uint32) << 8 | octets[:, 1::2]
    total = words.sum(axis=1, dtype=np.uint64) + pseudo
    for _ in range(3):
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).astype(np.int64)


def put(octets: np.ndarray, at: int, length: int, values: np.ndarray) -> None:
    """Write big-endian integers into columns ``at`` and following."""
    for k in range(length):
        octets[:, at + k] = values >> 8 * (length - 1 - k) & 0xFF


def fill(records: np.ndarray, segment: Segment, c: np.ndarray, sent: np.ndarray, moment_ns: np.ndarray) -> None:
    """Write one segment of n connections (or n times of one).

    Args: ``records`` is uint8[n, segment.record_len], zero; ``c`` the connections' numbers; ``sent`` int64[2, n], the
    sequence numbers that each side has used up before; ``moment_ns`` the times since the first second.
    """
    n = len(c)
    side, flags, payload_len = segment
    header = np.zeros((n, 4), "<u4")
    header[:, 0] = FIRST_SECOND + moment_ns // 1_000_000_000
    header[:, 1] = moment_ns % 1_000_000_000 // 1_000
    header[:, 2] = header[:, 3] = segment.record_len - RECORD_LEN
    records[:, :RECORD_LEN] = header.view(np.uint8)
    frame = records[:, RECORD_LEN:]
    ends = "020000000001", "020000000002"
    frame[:, 0:12] = np.frombuffer(bytes.fromhex(ends[1 - side] + ends[side]), np.uint8)
    put(frame, 12, 2, np.full(n, 0x0800))
    ip = frame[:, ETHERNET_LEN:]
    ip[:, 0] = 0x45
    put(ip, 2, 2, np.full(n, IP_LEN + TCP_LEN + payload_len))
    put(ip, 4, 2, c + sent[side])
    ip[:, 6], ip[:, 8], ip[:, 9] = 0x40, 64, 6
    client, server = 0x0A000000 + c // 50_000 + 1, np.full(n, 0xC0A80001)
    put(ip, 12, 4, server if side else client)
    put(ip, 16, 4, client if side else server)
    put(ip, 10, 2, checksums(ip[:, :IP_LEN], np.zeros(n, np.uint64)))
    tcp = ip[:, IP_LEN:]
    client_port, server_port = 10_000 + c % 50_000, np.full(n, SERVER_PORT)
    put(tcp, 0, 2, server_port if side else client_port)
    put(tcp, 2, 2, client_port if side else server_port)
    first = c * 7919 + 1, c * 7919 + 104_730
    put(tcp, 4, 4, first[side] + sent[side] & 0xFFFFFFFF)
    put(tcp, 8, 4, (first[1 - side] + sent[1 - side] & 0xFFFFFFFF) * (flags & ACK > 0))
    tcp[:, 12], tcp[:, 13] = TCP_LEN // 4 << 4, flags
    put(tcp, 14, 2, np.full(n, 512))
    options = "020405b40103030704020101" if flags & SYN else "0101080a0000000100000001"
    tcp[:, 20:32] = np.frombuffer(bytes.fromhex(options), np.uint8)
    tcp[:, TCP_LEN:] = np.resize(np.frombuffer(b"the quick brown fox jumps over the lazy dog. ", np.uint8), payload_len)
    pseudo = ((client >> 16) + (client & 0xFFFF) + 0xC0A8 + 0x0001 + 6 + TCP_LEN + payload_len).astype(np.uint64)
    put(tcp, 16, 2, checksums(tcp, pseudo))


def write(path: Path, packets: int, packets_per_connection: int, open_at_a_time: int) -> int:
    """Write a capture; returns how many packets it has."""
    turns, rest = divmod(max(0, packets_per_connection - len(OPENING) - len(CLOSING)), len(TURN))
    life = [*OPENING, *TURN * min(turns, 1), *TURN[:rest], *CLOSING]
    connections = max(1, packets // packets_per_connection)
    moment_ns = 0
    with path.open("wb") as out:
        out.write(np.array((0xA1B2C3D4, 2 | 4 << 16, 0, 0, 262_144, 1), "<u4").tobytes())
        for first in range(0, connections, open_at_a_time):
            c = np.arange(first, min(first + open_at_a_time, connections), dtype=np.int64)
            sent = np.zeros((2, len(c)), np.int64)
            at = 0
            while at < len(life):
                if at == len(OPENING) and turns:
                    for begin in range(0, turns, ROUNDS_AT_ONCE):
                        moment_ns = write_turns(out, c, sent, moment_ns, min(ROUNDS_AT_ONCE, turns - begin))
                    at += len(TURN)
                    continue
                records = np.zeros((len(c), life[at].record_len), np.uint8)
                fill(records, life[at], c, sent, moment_ns + np.arange(len(c), dtype=np.int64) * 1_000)
                out.write(records.tobytes())
                moment_ns += len(c) * 1_000
                sent[life[at].side] += life[at].seg_len
                at += 1
    return connections * (len(OPENING) + turns * len(TURN) + rest + len(CLOSING))


def write_turns(out: BinaryIO, c: np.ndarray, sent: np.ndarray, moment_ns: int, rounds: int) -> int:
    """Write so many requests and responses, ``sent`` being advanced; returns the time after them."""
    per_round = np.array([[sum(segment.seg_len for segment in TURN if segment.side == side)] for side in (0, 1)])
    if len(c) > 1:  # all connections take one step, then the next
        for _ in range(rounds):
            for segment in TURN:
                records = np.zeros((len(c), segment.record_len), np.uint8)
                fill(records, segment, c, sent, moment_ns + np.arange(len(c), dtype=np.int64) * 1_000)
                out.write(records.tobytes())
                moment_ns += len(c) * 1_000
                sent[segment.side] += segment.seg_len
        return moment_ns
    number = np.arange(rounds, dtype=np.int64)
    all_sent = sent + per_round * number
    block = np.zeros((rounds, sum(segment.record_len for segment in TURN)), np.uint8)
    at = 0
    for step, segment in enumerate(TURN):
        moments = moment_ns + (number * len(TURN) + step) * 1_000
        fill(block[:, at : at + segment.record_len], segment, np.repeat(c, rounds), all_sent, moments)
        all_sent[segment.side] += segment.seg_len
        at += segment.record_len
    out.write(block.tobytes())
    sent += per_round * rounds
    return moment_ns + rounds * len(TURN) * 1_000


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
