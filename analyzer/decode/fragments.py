"""Fragments of IPv4 (RFC 791 3.2, RFC 815) and IPv6 (RFC 8200 4.5) to datagrams, in capture order.

The packet that completes a datagram gets its transport header and its payload; the others stay FRAGMENTs. Fragments
are copied to a pool, for a batch's octets are gone with it. The pool is bounded: what waits too long by the capture's
time is given up, and the oldest when there is too much. A fragment is only taken when all of it was captured.

Deviates: RFC 8200 and Linux drop a datagram whose fragments overlap, Wireshark and Zeek complete it. So is done here,
for nobody sees in a capture what its receiver made of it: the octets that came first stay, and ``overlaps`` counts.

This is plain Python, some 10 µs a fragment; a batch without fragments costs one look at a column.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from analyzer.decode.ip import IPV6_FRAGMENT, MORE_FRAGMENTS, extension_len_of
from analyzer.decode.link import RAW
from analyzer.decode.octets import be16
from analyzer.decode.packets import MOST_TUNNELS, decode
from analyzer.tables import U8, Frames, Packets, Status

KEPT_NS = {4: 30_000_000_000, 6: 60_000_000_000}
"""How long a datagram may wait for its fragments, by IP version: as Linux has it, and RFC 8200 4.5."""

MOST_OCTETS = 16 << 20
"""What all fragments that wait may hold, with what it takes to hold each."""

FRAGMENT_COST, DATAGRAM_COST = 100, 400

LONGEST = 65_535
"""What the length field of either version may say."""


class Fragments:
    """The fragments that wait for others. Give it batches in capture order; any split gives the same answer.

    Attributes: ``datagrams`` completed; ``given_up``, some of whose fragments never came; ``overlaps``, fragments that
    bring octets again, other than as a copy of a fragment; ``held``, octets in the pool.
    """

    def __init__(self) -> None:
        self.datagrams = 0
        self.given_up = 0
        self.overlaps = 0
        self.held = 0
        self._waiting: dict[bytes, _Datagram] = {}

    @property
    def incomplete(self) -> int:
        """Datagrams some of whose fragments have not come, or never did."""
        return self.given_up + len(self._waiting)

    def join(self, frames: Frames, packets: Packets) -> Frames:
        """Take a batch; the rows that complete a datagram become what decoding it gives.

        Returns: the frames, with the datagrams behind them in ``data`` for ``payload_start`` to speak of.
        """
        rows = np.flatnonzero(packets.status == Status.FRAGMENT)
        if not len(rows):
            return frames
        ends = frames.start + frames.caplen
        low, high = int(frames.start.min()), int(ends.max())
        data = frames.data[low:high]
        np.maximum(packets.payload_start - low, 0, out=packets.payload_start)
        made = [data]
        complete: list[tuple[int, int, bytes]] = []
        for row in rows.tolist():
            if complete and packets.depth[row]:  # what is in those may be fragments of the same datagram
                self._decode(frames, packets, complete, made)
            octets = self._fragment(data, packets, row, int(ends[row]) - low, int(frames.ts_ns[row]))
            if octets is not None:
                complete.append((row, *octets))
        if complete:
            self._decode(frames, packets, complete, made)
        data = np.concatenate(made)
        data.flags.writeable = False
        return frames._replace(data=data, start=frames.start - low)

    def _decode(self, frames: Frames, packets: Packets, complete: list[tuple[int, int, bytes]], made: list[U8]) -> None:
        """Write the rows of complete datagrams, and append their octets to ``made``. Empties ``complete``."""
        rows = np.array([row for row, _, _ in complete])
        lengths = np.array([len(octets) for _, _, octets in complete], np.uint32)
        ends = np.cumsum(lengths, dtype=np.int64)
        inside = Frames(
            data=np.frombuffer(b"".join(octets for _, _, octets in complete), np.uint8),
            start=ends - lengths, caplen=lengths, origlen=lengths,
            ts_ns=frames.ts_ns[rows], linktype=np.full(len(rows), RAW, np.uint16), interface=frames.interface[rows],
            number=frames.number[rows],
        )  # fmt: skip
        found = decode(inside)
        found.fragments[:] = [fragments for _, fragments, _ in complete]
        found.depth[:] += packets.depth[rows]
        found.tunnel[:] = np.where(found.tunnel, found.tunnel, packets.tunnel[rows])
        # A length in a tunnel may say more than the datagram has: what follows in ``data`` is another's
        found.payload_len[:] = np.minimum(found.payload_len, np.maximum(ends - found.payload_start, 0))
        inside = self.join(inside, found)
        found.payload_start[found.payload_start > 0] += sum(map(len, made))
        columns: zip[tuple[np.ndarray, np.ndarray]] = zip(packets, found, strict=True)
        for column, of_datagrams in columns:
            column[rows] = of_datagrams
        made.append(inside.data)
        complete.clear()

    def _fragment(self, data: U8, packets: Packets, row: int, end: int, ts_ns: int) -> tuple[int, bytes] | None:
        """Take a fragment. Returns: the number of fragments and the octets of the datagram that it completes."""
        if packets.depth[row] > MOST_TUNNELS:
            return None
        at = int(packets.payload_start[row])
        version = int(packets.ip_version[row])
        depth = bytes([packets.depth[row]])  # what is captured in a tunnel and beside it comes in fragments twice
        if version == 4:
            payload_at, fragment_end = at + (int(data[at]) & 15) * 4, at + be16(data, at + 2)
            field = be16(data, at + 6)
            start, more = (field & 0x1FFF) * 8, field & MORE_FRAGMENTS
            head = data[at:payload_at].tobytes()
            key = depth + head[4:6] + head[9:10] + head[12:20]
        else:
            head, payload_at = _unfragmentable(data, at)
            fragment_end = at + 40 + be16(data, at + 4)
            field = be16(data, payload_at - 6)
            start, more = field & 0xFFF8, field & 1
            key = depth + data[payload_at - 4 : payload_at].tobytes() + head[8:40]
        octets = data[payload_at:fragment_end].tobytes()
        if not payload_at < fragment_end <= end or (more and len(octets) % 8):
            return None
        datagram = self._waiting.get(key)
        if datagram and datagram.is_late(ts_ns):
            self._give_up(key)
            datagram = None
        if not datagram:
            datagram = self._waiting[key] = _Datagram(version, ts_ns)
            self.held += datagram.held
        self.held -= datagram.held
        self.overlaps += datagram.take(start, octets, head, bool(more))
        self.held += datagram.held
        if datagram.is_complete():
            del self._waiting[key]
            self.held -= datagram.held
            whole = datagram.octets()
            self.datagrams += whole is not None
            return (datagram.fragments, whole) if whole else None
        while True:  # the oldest first
            key, datagram = next(iter(self._waiting.items()))
            if self.held <= MOST_OCTETS and not datagram.is_late(ts_ns):
                return None
            self._give_up(key)

    def _give_up(self, key: bytes) -> None:
        self.held -= self._waiting.pop(key).held
        self.given_up += 1


class _Datagram:
    """What was received of one datagram: pieces in order, none of which overlaps another."""

    def __init__(self, version: int, first_ns: int) -> None:
        self.fragments = 0
        self.held = DATAGRAM_COST
        self._version = version
        self._first_ns = first_ns
        self._head = b""
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        self._received = 0
        self._end = -1

    def is_late(self, ts_ns: int) -> bool:
        """Whether it has waited too long."""
        return self._first_ns + KEPT_NS[self._version] < ts_ns

    def take(self, start: int, octets: bytes, head: bytes, more: bool) -> bool:
        """Add a fragment; what was received before stays. Returns: whether some of it was, and it is not a copy."""
        end = start + len(octets)
        last_end = self._starts[-1] + len(self._pieces[-1]) if self._starts else 0
        if (self._end >= 0 and end > self._end) or (not more and end < last_end):
            return True  # it contradicts the length that others gave
        at = bisect_left(self._starts, start)
        if at < len(self._starts) and self._starts[at] == start and self._pieces[at] == octets:
            return False
        self.fragments += 1
        if not more:
            self._end = end
        if start == 0:
            self._head = self._head or head
        received = self._received
        gap = max(start, self._starts[at - 1] + len(self._pieces[at - 1])) if at else start
        while gap < end:
            gap_end = min(end, self._starts[at]) if at < len(self._starts) else end
            if gap < gap_end:
                self._starts.insert(at, gap)
                self._pieces.insert(at, octets[gap - start : gap_end - start])
                self._received += gap_end - gap
                self.held += gap_end - gap + FRAGMENT_COST
                at += 1
            if gap_end == end:
                break
            gap = self._starts[at] + len(self._pieces[at])
            at += 1
        return self._received < received + len(octets)

    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self._received == self._end

    def octets(self) -> bytes | None:
        """The datagram with the header of its first fragment; None when it is longer than a datagram can be."""
        head = bytearray(self._head)
        length = self._received + len(head) - (0 if self._version == 4 else 40)
        if length > LONGEST:
            return None
        if self._version == 4:
            head[2:4], head[6:8] = length.to_bytes(2), bytes(2)
        else:
            head[4:6] = length.to_bytes(2)
        return bytes(head) + b"".join(self._pieces)


def _unfragmentable(data: U8, at: int) -> tuple[bytes, int]:
    """What stands before an IPv6 packet's Fragment header, which it leads past, and where that header ends.

    The packet is known to have one.
    """
    head_at, field, protocol = at, at + 6, int(data[at + 6])
    at += 40
    while protocol != IPV6_FRAGMENT:
        field, protocol, at = at, int(data[at]), at + extension_len_of(data, at, protocol)
    head = bytearray(data[head_at:at].tobytes())
    head[field - head_at] = data[at]
    return bytes(head), at + 8
