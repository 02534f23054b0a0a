"""What a capture lacks, as its frames show it: cut packets, checksums, clocks. For screens; records do without.

A TCP checksum is *unfinished* where the sender left it to the network card: then it is the sum over the pseudo-header
alone, or over that without the length (so segments are handed over that the card cuts up), or 0. That takes no look at
the payload. Other checksums of segments that are there as a whole are verified (RFC 9293 3.1): all of them in the first
megabyte, then as many as ``OCTETS_A_PACKET`` allows, because a sum over all payload would take longer than everything
else. Fragments, what comes in tunnels, IPv4 headers with options and IPv6 headers with extensions are left out.
"""

from __future__ import annotations

import math

import numpy as np

from analyzer.decode.ip import IP_TCP
from analyzer.decode.link import ETHERTYPE_IPV4, ETHERTYPE_IPV6, first_header, network_layer
from analyzer.decode.octets import be16, be32
from analyzer.flaws import Flaw
from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8, Frames, Packets, Protocol, Status

CLOCKS = 16
"""Interfaces whose clocks are told apart; of more, some share a place."""

FIRST_OCTETS, OCTETS_A_PACKET = 1 << 20, 64
"""Octets whose checksums are verified: so many, and for each packet so many more."""

REORDERED_NS = 1_000_000
"""Packets of several processors or queues may be captured in another order than they were stamped, within less."""

FINEST_NS, COARSEST_NS = 1_000_000, 1_000_000_000
"""Times that are multiples of less than the first are fine enough; no clock ticks slower than the second."""


class Flaws:
    """Attributes: ``tally`` is by Flaw. ``add`` wants batches in capture order."""

    def __init__(self) -> None:
        self.tally: I64 = np.zeros(len(Flaw), np.int64)
        self._clocks: I64 = np.zeros(CLOCKS, np.int64)

    def add(self, frames: Frames, packets: Packets) -> None:
        """Take a batch."""
        fastest(note_flaws)(frames, packets, self._clocks, self.tally)
        if self.tally[Flaw.TICK_NS] != 1:
            self._note_tick(frames.ts_ns)

    def _note_tick(self, ts_ns: I64) -> None:
        """All times so far are multiples of the tick; 1 once it is known to be a fine one."""
        tick = math.gcd(int(self.tally[Flaw.TICK_NS]) or COARSEST_NS, int(np.gcd.reduce(ts_ns)))
        self.tally[Flaw.TICK_NS] = tick if tick >= FINEST_NS else 1


@kernel(inline=True)
def note_flaws(frames: Frames, packets: Packets, clocks: I64, tally: I64) -> None:
    """Add a batch to ``tally``; ``clocks`` has the latest time of each interface, 0 where there is none."""
    for i in range(len(frames.start)):
        number = wide(frames.number[i])
        caplen = wide(frames.caplen[i])
        if caplen < wide(frames.origlen[i]):
            tally[Flaw.CUT] = wide(tally[Flaw.CUT]) + 1
            tally[Flaw.LONGEST_CUT] = max(wide(tally[Flaw.LONGEST_CUT]), caplen)
            if wide(packets.status[i]) == Status.CUT:
                tally[Flaw.CUT_HEADERS] = wide(tally[Flaw.CUT_HEADERS]) + 1
        k = wide(frames.interface[i]) % CLOCKS
        ts_ns = wide(frames.ts_ns[i])
        before_ns = wide(clocks[k])
        if before_ns:
            if ts_ns == before_ns:
                tally[Flaw.SAME_TIMES] = wide(tally[Flaw.SAME_TIMES]) + 1
            elif before_ns - ts_ns > REORDERED_NS:
                if wide(tally[Flaw.STEPS_BACK]) == 0:
                    tally[Flaw.FIRST_STEP_BACK] = number
                tally[Flaw.STEPS_BACK] = wide(tally[Flaw.STEPS_BACK]) + 1
                tally[Flaw.LONGEST_STEP_BACK_NS] = max(wide(tally[Flaw.LONGEST_STEP_BACK_NS]), before_ns - ts_ns)
        clocks[k] = ts_ns
        is_segment = wide(packets.protocol[i]) == Protocol.TCP and wide(packets.status[i]) == Status.WHOLE
        if is_segment and wide(packets.depth[i]) == 0:
            note_checksum(frames, packets, i, number, tally)


@kernel(inline=True)
def note_checksum(frames: Frames, packets: Packets, i: int, number: int, tally: I64) -> None:
    """Look at the checksum of segment ``i``, whose headers are there."""
    data = frames.data
    end = wide(frames.start[i]) + wide(frames.caplen[i])
    at, ethertype = first_header(data, wide(frames.start[i]), end, wide(frames.linktype[i]))
    at, ethertype = network_layer(data, at, end, ethertype)
    if ethertype == ETHERTYPE_IPV4:
        if wide(data[at]) & 15 != 5 or be16(data, at + 6) & 0x3FFF:
            return
        at += 20
    elif ethertype == ETHERTYPE_IPV6 and wide(data[at + 6]) == IP_TCP:
        at += 40
    else:
        return
    segment_len = wide(packets.payload_start[i]) - at + wide(packets.payload_len[i])
    without_len = IP_TCP
    for word in range(8):
        without_len += wide(packets.address[i, word])
    written = be16(data, at + 16)
    tally[Flaw.CHECKSUMS] = wide(tally[Flaw.CHECKSUMS]) + 1
    if written in (folded(without_len + segment_len), folded(without_len), 0):
        tally[Flaw.UNFINISHED_CHECKSUMS] = wide(tally[Flaw.UNFINISHED_CHECKSUMS]) + 1
        return
    octets = wide(tally[Flaw.VERIFIED_OCTETS]) + segment_len
    if at + segment_len > end or octets > FIRST_OCTETS + OCTETS_A_PACKET * wide(tally[Flaw.CHECKSUMS]):
        return
    tally[Flaw.VERIFIED_OCTETS] = octets
    tally[Flaw.VERIFIED_CHECKSUMS] = wide(tally[Flaw.VERIFIED_CHECKSUMS]) + 1
    if folded(without_len + segment_len + summed(data, at, at + segment_len)) != 0xFFFF:
        if wide(tally[Flaw.WRONG_CHECKSUMS]) == 0:
            tally[Flaw.FIRST_WRONG_CHECKSUM] = number
        tally[Flaw.WRONG_CHECKSUMS] = wide(tally[Flaw.WRONG_CHECKSUMS]) + 1


@kernel(inline=True)
def summed(data: U8, at: int, end: int) -> int:
    """The sum of these octets as big-endian words of 32 bits, the last padded with zeros."""
    total = 0
    while at + 4 <= end:
        total += be32(data, at)
        at += 4
    shift = 24
    while at < end:
        total += wide(data[at]) << shift
        shift -= 8
        at += 1
    return total


@kernel(inline=True)
def folded(total: int) -> int:
    """A sum of 16-bit or 32-bit words as one word of 16 bits, carries added (RFC 1071)."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total
