"""The ring that Linux writes captured packets into (packet(7), TPACKET_V3), and the kernel that walks it.

The ring is memory shared with Linux, divided into blocks. Linux fills a block with packets, and hands it over when it
is full or ``RETIRE_MS`` after its first packet; it is given back when its packets were used. Nothing is copied: frames
are given out where Linux put them. What Linux took off a frame is put back into the room before it, which Linux leaves:

- a VLAN tag (IEEE 802.1Q) goes back between the addresses and the EtherType;
- on a cooked socket (``SOCK_DGRAM``), where Linux takes off the link header, a header of LINKTYPE_LINUX_SLL2 is made of
  what Linux says of the packet; a VLAN tag stands behind it.
"""

from __future__ import annotations

import errno
import mmap
import socket
import struct
from collections import deque

import numpy as np

from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8, U16, U32, Frames

SLL2_HEADER_LEN = 20
VLAN_TAG_LEN = 4
RETIRE_MS = 10

SOL_PACKET = 263
_PACKET_RX_RING, _PACKET_VERSION, _PACKET_RESERVE = 5, 10, 12
_TPACKET_V3 = 2

_RESERVED = 32
"""Octets left free before each frame: more than the SLL2 header and the VLAN tag have."""

_PACKET_HEADERS = 256
"""More than the block's header, the packet's and the reserved octets have together."""

_USUAL_BLOCK = 64 << 10
"""Smaller ones wake the reader more often; larger ones are soon used up, each by the few packets of ``RETIRE_MS``."""

_FEWEST_BLOCKS = 4

_BATCH_SHARE = 8
"""A batch holds at most this part of the ring: Linux fills the rest meanwhile."""

# struct tpacket_block_desc, in words of 32 bits
_STATUS, _PACKETS, _FIRST, _LENGTH = 2, 3, 4, 5
_OURS = 1
"""TP_STATUS_USER."""

# struct tpacket3_hdr, in words; in halves of words
_NEXT, _SECONDS, _NANOSECONDS, _CAPLEN, _ORIGLEN, _FLAGS, _TCI = 0, 1, 2, 3, 4, 5, 8
_MAC, _TPID = 12, 18
_VLAN_VALID, _TPID_VALID = 0x10, 0x40
_VLAN = 0x8100

# struct sockaddr_ll, which follows it: in octets, words and halves from the packet's header on
_PROTOCOL, _PACKET_TYPE, _ADDRESS_LEN, _ADDRESS = 50, 58, 59, 60
_IFINDEX, _HARDWARE_TYPE = 13, 28
_ADDRESS_ROOM = 8

# How a link type wants what Linux took off put back
NOTHING_OFF, VLAN_OFF, COOKED = 0, 1, 2


class Ring:
    """Blocks of packets over memory that is shared with Linux.

    ``taken`` counts the packets given out so far.
    """

    def __init__(self, octets: U8, block_len: int, taken_off: int) -> None:
        """``octets`` is the memory, writeable; ``taken_off`` is NOTHING_OFF, VLAN_OFF or COOKED."""
        self.taken = 0
        self._octets = octets
        self._taken_off = taken_off
        self._data, self._halves, self._words = octets[:], octets.view(np.uint16), octets.view(np.uint32)
        for view in (self._data, self._halves, self._words):
            view.flags.writeable = False
        self._block_words = block_len // 4
        self._blocks = len(octets) // block_len
        self._status: U32 = octets.view(np.uint32)[_STATUS :: self._block_words]
        self._block = 0  # the block that the walk is in, or the next one
        self._at = 0  # word of the next packet's header in it
        self._left = 0  # packets left in it
        self._done = 0  # blocks before it that are used up and not yet given back
        self._aside: deque[Ring] = deque()  # blocks before those of this ring, each by itself
        self._aside_len = 0

    def take(self, most: int, linktype: int) -> Frames | None:
        """The packets that are there, at most so many; valid until ``release``. None when there are none.

        ``number`` counts from 1 within this batch.
        """
        while self._aside and not self._left:
            frames = self._aside[0].take(most, linktype)
            if frames is not None:
                self.taken += len(frames.number)
                return frames
            self._aside_len -= len(self._aside.popleft()._octets)
        ready = min(self._ready(), max(self._blocks // _BATCH_SHARE, 1))
        if not ready and not self._left:
            return None
        start, ts_ns = np.empty(most, np.int64), np.empty(most, np.int64)
        caplen, origlen = np.empty(most, np.uint32), np.empty(most, np.uint32)
        count, done, self._block, self._at, self._left = fastest(walk_ring)(
            self._octets, self._halves, self._words, self._block_words, self._blocks, self._taken_off,
            ready, self._block, self._at, self._left, start, caplen, origlen, ts_ns,
        )  # fmt: skip
        self.taken += count
        self._done += done
        columns = start[:count], caplen[:count], origlen[:count], ts_ns[:count]
        linktypes, interfaces = np.full(count, linktype, np.uint16), np.zeros(count, np.uint16)
        return Frames(self._data, *columns, linktypes, interfaces, np.arange(1, count + 1))

    def release(self) -> None:
        """Give the blocks back whose packets were all taken."""
        while self._done:
            self._status[(self._block - self._done) % self._blocks] = 0
            self._done -= 1

    def set_aside(self, most: int) -> None:
        """Where more than half of the ring is waiting, copy it and give it back, until ``most`` octets were copied.

        For when packets cannot be used as fast as they come, but soon will be. Call it after ``release``.
        """
        waiting = self._ready() + (self._left > 0)
        if waiting <= self._blocks // 2:
            return
        while waiting and self._aside_len < most:
            first = self._block * self._block_words
            used = int(self._words[first + _LENGTH])
            copy = Ring(self._octets[first * 4 : first * 4 + used].copy(), used, self._taken_off)
            copy._at, copy._left = self._at - first, self._left
            self._left = 0
            self._aside.append(copy)
            self._aside_len += used
            self._status[self._block] = 0
            self._block = (self._block + 1) % self._blocks
            waiting -= 1

    def _ready(self) -> int:
        """Blocks that Linux handed over and that the walk has not begun.

        They are looked for here and not in the kernel: calling compiled code takes and gives locks, and so no
        processor reads a block's packets before its status.
        """
        begun = self._done + (self._left > 0)
        ready = 0
        while begun + ready < self._blocks:
            if not int(self._status[(self._block + (self._left > 0) + ready) % self._blocks]) & _OURS:
                break
            ready += 1
        return ready


def open_ring(sock: socket.socket, buffer_bytes: int, longest: int, taken_off: int) -> Ring:
    """Put a ring on a packet socket: about ``buffer_bytes``, in blocks that hold a packet of ``longest`` octets.

    Takes less where Linux has no such memory. Raises ``OSError``.
    """
    block_len = _power_of_2(longest + _PACKET_HEADERS, mmap.PAGESIZE)
    while block_len * 2 <= min(_USUAL_BLOCK, buffer_bytes // _FEWEST_BLOCKS):
        block_len *= 2
    blocks = max(buffer_bytes // block_len, _FEWEST_BLOCKS)
    sock.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
    sock.setsockopt(SOL_PACKET, _PACKET_RESERVE, _RESERVED)
    while True:
        try:
            request = struct.pack("7I", block_len, blocks, block_len, blocks, RETIRE_MS, 0, 0)
            sock.setsockopt(SOL_PACKET, _PACKET_RX_RING, request)
            break
        except OSError as error:
            if error.errno != errno.ENOMEM or blocks // 2 < _FEWEST_BLOCKS:
                raise
            blocks //= 2
    memory = mmap.mmap(sock.fileno(), block_len * blocks, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    return Ring(np.frombuffer(memory, np.uint8), block_len, taken_off)


def _power_of_2(least: int, smallest: int) -> int:
    return max(smallest, 1 << (least - 1).bit_length())


def rehearse() -> Frames:
    """Walk a ring of one empty packet, as ``ahead`` wants it; gives that packet."""
    octets = np.zeros(mmap.PAGESIZE, np.uint8)
    words = octets.view(np.uint32)
    words[_STATUS], words[_PACKETS], words[_FIRST] = _OURS, 1, _PACKET_HEADERS
    frames = Ring(octets, len(octets), COOKED).take(1, 1)
    assert frames is not None
    return frames


@kernel
def walk_ring(
    octets: U8,
    halves: U16,
    words: U32,
    block_words: int,
    blocks: int,
    taken_off: int,
    ready: int,
    block: int,
    at: int,
    left: int,
    start: I64,
    caplen: U32,
    origlen: U32,
    ts_ns: I64,
) -> tuple[int, int, int, int, int]:
    """Fill the columns with packets: ``left`` of the block begun, then those of the next ``ready`` blocks.

    ``octets``, ``halves`` and ``words`` are the same memory. Gives the number of packets, the blocks used up, and where
    the walk stands: block, word in it, packets left in it.
    """
    count = 0
    done = 0
    while count < len(start):
        if left == 0:
            if ready == 0:
                break
            ready -= 1
            left = wide(words[block * block_words + _PACKETS])
            at = block * block_words + wide(words[block * block_words + _FIRST]) // 4
        else:
            frame = at * 4 + wide(halves[at * 2 + _MAC])
            added = put_back(octets, halves, words, at, frame, taken_off)
            start[count] = frame - added
            caplen[count] = wide(words[at + _CAPLEN]) + added
            origlen[count] = wide(words[at + _ORIGLEN]) + added
            ts_ns[count] = wide(words[at + _SECONDS]) * 1_000_000_000 + wide(words[at + _NANOSECONDS])
            count += 1
            left -= 1
            at += wide(words[at + _NEXT]) // 4
        if left == 0:
            block = (block + 1) % blocks
            done += 1
    return count, done, block, at, left


@kernel
def put_back(octets: U8, halves: U16, words: U32, at: int, frame: int, taken_off: int) -> int:
    """Put back what Linux took off the frame of the packet at word ``at``; gives the octets added before it."""
    tag = 0
    tpid = _VLAN
    flags = wide(words[at + _FLAGS])
    if flags & _VLAN_VALID and taken_off != NOTHING_OFF:
        tag = VLAN_TAG_LEN
        if flags & _TPID_VALID:
            tpid = wide(halves[at * 2 + _TPID])
    tci = wide(words[at + _TCI])
    if taken_off == COOKED:
        address = at * 4
        protocol = wide(octets[address + _PROTOCOL]) << 8 | wide(octets[address + _PROTOCOL + 1])
        if tag:
            put16(octets, frame - 4, tci)
            put16(octets, frame - 2, protocol)
            protocol = tpid
        header = frame - tag - SLL2_HEADER_LEN
        put16(octets, header, protocol)
        put16(octets, header + 2, 0)
        ifindex = wide(words[at + _IFINDEX])
        put16(octets, header + 4, ifindex >> 16)
        put16(octets, header + 6, ifindex)
        put16(octets, header + 8, wide(halves[at * 2 + _HARDWARE_TYPE]))
        octets[header + 10] = octets[address + _PACKET_TYPE]
        octets[header + 11] = octets[address + _ADDRESS_LEN]
        for k in range(_ADDRESS_ROOM):
            known = k < wide(octets[address + _ADDRESS_LEN])
            octets[header + 12 + k] = wide(octets[address + _ADDRESS + k]) if known else 0
        return tag + SLL2_HEADER_LEN
    if tag and wide(words[at + _CAPLEN]) >= 12:
        for k in range(12):
            octets[frame - VLAN_TAG_LEN + k] = octets[frame + k]
        put16(octets, frame + 8, tpid)
        put16(octets, frame + 10, tci)
        return VLAN_TAG_LEN
    return 0


@kernel
def put16(octets: U8, i: int, value: int) -> None:
    """Write the lower 16 bits of a number in network byte order."""
    octets[i] = value >> 8 & 0xFF
    octets[i + 1] = value & 0xFF
