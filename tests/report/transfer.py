"""A long transfer over a line that loses packets, simulated: a capture at the sender, which is the server.

A sender with slow start, congestion avoidance, fast retransmission and SACK; a receiver that acknowledges every second
segment, whose window scale is 7 and whose program now and then does not read. All is a function of the arguments.
"""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from analyzer.pipeline import lives, survey
from analyzer.tables import Life, Rows

MSS, DELAY, RTO, EACH, SCALE = 1448, 0.02, 0.3, 0.0004, 7
"""Octets; seconds from the sender to the receiver, and back, until it sends again, and on the line for a segment; the
shift of the receiver's window."""
SYN, FIN, PSH, ACK = 2, 1, 8, 16
CLIENT, SERVER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
CLIENT_ISN, SERVER_ISN = 1_000, 0xFFF00000  # the server's wraps around soon
Block = tuple[int, int]
Analysed = tuple[Rows, Rows, Life]
"""A connection's row, its endpoints and its life."""


class Receiver:
    """Takes segments, answers with an acknowledgement, a window and SACK blocks."""

    def __init__(self) -> None:
        self.next = 0
        self.held: list[Block] = []
        self.unanswered = 0

    def take(self, start: int, end: int) -> bool:
        """Whether an acknowledgement goes out at once."""
        if start > self.next:
            self.held = merged([*self.held, (start, end)])
            self.held.sort(key=lambda block: block[0] != start)
            return True
        filled = bool(self.held)
        self.next = max(self.next, end)
        for block in sorted(self.held):
            if block[0] <= self.next:
                self.next = max(self.next, block[1])
        self.held = [block for block in self.held if block[0] > self.next]
        self.unanswered += 1
        return filled or self.unanswered >= 2


def merged(blocks: list[Block]) -> list[Block]:
    whole: list[Block] = []
    for start, end in sorted(blocks):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], end)
        else:
            whole.append((start, end))
    return whole


def segments(total: int, loss: float, seed: int) -> list[tuple[float, int, int, int, int, int, int, list[Block]]]:
    """Time, side, flags, seq, ack, window, octets and SACK blocks of each packet; relative numbers from 0."""
    chance = random.Random(seed)
    said = [
        (0.0, 0, SYN, 0, 0, 65535, 0, []), (0.00001, 1, SYN | ACK, 0, 1, 65535, 0, []),
        (2 * DELAY, 0, ACK, 1, 1, 512, 0, []), (2 * DELAY + 0.0001, 0, PSH | ACK, 1, 1, 512, 200, []),
    ]  # fmt: skip
    receiver = Receiver()
    una = sent = 0
    room, closed_to = 512, 0.0
    window, threshold, repeats, recovering_to = 10.0, 300.0, 0, 0
    sacked: list[Block] = []
    again: set[int] = set()
    now, free, timer, line = 2 * DELAY + 0.0002, 0.0, 0.0, 0.0
    arriving: list[tuple[float, int, int, int, list[Block]]] = []  # at the receiver (0) or, an ACK, at the sender (1)

    def put(start: int) -> None:
        nonlocal free, timer, line
        free = max(now, free) + 0.00001
        timer = free + RTO
        end = min(start + MSS, total)
        said.append((free, 1, ACK | (PSH if end == total else 0), 1 + start, 201, 502, end - start, []))
        if chance.random() >= loss:
            line = max(line, free) + EACH * (0.9 + 0.2 * chance.random())
            heapq.heappush(arriving, (line + DELAY, 0, start, end, []))

    while una < total:
        out = sent - una - sum(end - start for start, end in sacked)
        while sent < total and out < window * MSS and sent + MSS <= una + (room << SCALE):
            out += MSS
            put(sent)
            sent = min(sent + MSS, total)
        if not arriving or timer < arriving[0][0]:
            now, window, threshold, repeats = timer, 2.0, max(window / 2, 2.0), 0
            again.clear()
            sacked = []
            put(una)
            continue
        now, place, start, end, blocks = heapq.heappop(arriving)
        if place == 0:
            if receiver.take(start, end) or end == total:
                receiver.unanswered = 0
                heapq.heappush(arriving, (now + DELAY, 1, receiver.next, 0, receiver.held[:3]))
            continue
        if not closed_to and start > 0.48 * total:
            closed_to = now + 0.5
        room = 3 if now < closed_to else max(900 - len(blocks) * 40, 100)
        said.append((now, 0, ACK, 201, 1 + start, room, 0, [(1 + left, 1 + right) for left, right in blocks]))
        sacked = merged([block for block in [*sacked, *blocks] if block[1] > start])
        if start > una:
            una, repeats, timer = start, 0, now + RTO
            if una >= recovering_to:
                again.clear()
                window += 1.0 if window < threshold else 1.0 / window
        else:
            repeats += 1
        if repeats == 3 and una >= recovering_to:
            threshold = window = max(window / 2, 2.0)
            recovering_to = sent
        if una < recovering_to and (repeats >= 3 or again):
            hole = next((left for left in range(una, sacked[-1][0] if sacked else una + 1, MSS) if left not in again
                         and not any(a <= left < b for a, b in sacked)), None)  # fmt: skip
            if hole is not None:
                again.add(hole)
                put(hole)
    last = max(said[-1][0], free)
    said += [
        (last + 0.001, 1, FIN | ACK, 1 + total, 201, 502, 0, []),
        (last + 0.041, 0, FIN | ACK, 201, 2 + total, 800, 0, []),
        (last + 0.0411, 1, ACK, 2 + total, 202, 502, 0, []),
    ]  # fmt: skip
    return sorted(said, key=lambda one: one[0])


def write(path: Path, total: int, loss: float = 0.005, seed: int = 1) -> int:
    """Write the capture (raw IP, nanoseconds, headers only); its packets."""
    said = segments(total, loss, seed)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 96, 101))
        for moment, side, flags, seq, ack, window, octets, blocks in said:
            options = b"\x02\x04\x05\xb4\x03\x03\x07\x01\x04\x02\x01\x01" if flags & SYN else b""
            if blocks:
                bases = SERVER_ISN, CLIENT_ISN
                options = b"\x01\x01\x05" + bytes([2 + 8 * len(blocks)])
                options += b"".join(
                    struct.pack(">II", *((edge + bases[side]) & 0xFFFFFFFF for edge in b)) for b in blocks
                )
            isn, peer_isn = (CLIENT_ISN, SERVER_ISN) if side == 0 else (SERVER_ISN, CLIENT_ISN)
            ports = (40000, 80) if side == 0 else (80, 40000)
            tcp = struct.pack(
                ">HHIIHHHH", *ports, (seq + isn) & 0xFFFFFFFF, (ack + peer_isn) & 0xFFFFFFFF if flags & ACK else 0,
                (5 + len(options) // 4) << 12 | flags, window, 0, 0,
            ) + options  # fmt: skip
            source, destination = (CLIENT, SERVER) if side == 0 else (SERVER, CLIENT)
            length = 20 + len(tcp) + octets
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 1, 0, 64, 6, 0, source, destination)
            ns = 1_700_000_000_000_000_000 + round(moment * 1e9)
            file.write(struct.pack("<IIII", *divmod(ns, 1_000_000_000), len(ip + tcp), length) + ip + tcp)
    return len(said)


def every(path: Path) -> Iterator[Analysed]:
    """The connections of a capture."""
    run = survey(str(path))
    numbers = [int(number) for number in run.connections["number"][: run.count]]
    found = lives(str(path), "", numbers)
    for row, number in enumerate(numbers):
        yield run.connections[row], run.endpoints[row], found[number]


def repeated(life: Life, times: int) -> Life:
    """The life so many times one after the other, as one connection; places go on, numbers wrap around."""
    n = len(life.number)
    ends = [int((life.seq[life.side == side].astype(np.int64)).max()) for side in (0, 1)]
    turn = np.repeat(np.arange(times), n)
    columns = {name: np.tile(value, (times, 1) if name == "sack" else times)
               for name, value in life._asdict().items() if isinstance(value, np.ndarray)}  # fmt: skip
    side = columns["side"]
    own = np.where(side == 0, ends[0], ends[1]) * turn
    other = np.where(side == 0, ends[1], ends[0]) * turn
    columns["number"] = columns["number"] + turn * n
    columns["ts_ns"] = columns["ts_ns"] + turn * int(life.ts_ns[-1] - life.ts_ns[0] + 1_000_000)
    columns["seq"] = (columns["seq"] + own).astype(np.uint32)
    columns["ack"] = (columns["ack"] + other).astype(np.uint32)
    columns["sack"] = (columns["sack"] + other[:, np.newaxis]).astype(np.uint32)
    columns["refers_to"] = np.where(columns["refers_to"], columns["refers_to"] + turn * n, 0)
    return life._replace(**columns, payload=[b""] * (n * times), tunnels=[""] * (n * times))
