"""pcap, the capture file of libpcap (draft-ietf-opsawg-pcap), as libpcap reads it.

A file header of 24 octets, then records: a header (seconds, fraction, captured length, original length) and the
captured octets. The magic number tells the byte order and the variant:

    a1b2c3d4    microseconds
    a1b23c4d    nanoseconds
    a1b2cd34    microseconds, record headers of 24 octets (Kuznetzov's patched libpcap)

Deviates: seconds are unsigned, as the draft has them, so that times go to 2106; libpcap 1.10 takes them as signed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from analyzer.capture.interface import Interface, linktype_of, longest_packet, snaplen_of
from analyzer.jit import fastest, kernel, wide
from analyzer.language import _, text
from analyzer.tables import I64, U8, U32, Frames

FILE_HEADER_LEN = 24
MICROSECONDS = 0xA1B2C3D4
NANOSECONDS = 0xA1B23C4D
KUZNETZOV = 0xA1B2CD34

_LINKTYPE_MASK = 0x03FF_FFFF
"""Above it stand the length of the frame check sequence and flags, which say nothing of the link type."""

# Which of a record's two lengths comes first. It changed with version 2.3, but some programs wrote that version
# and the old order.
_CAPLEN_FIRST, _ORIGLEN_FIRST, _SHORTER_IS_CAPLEN = 0, 1, 2

_WALKED, _IMPOSSIBLE_CAPLEN = 0, 1


class Walk(NamedTuple):
    """What one walk over a window found."""

    frames: Frames
    """The frames, in order; ``number`` counts from 1 within this walk."""
    cursor: int
    """Index in the window of the first octet not used."""
    needed: int
    """Octets that the record or block at ``cursor`` has, as far as can be told; 0 where the batch is full."""
    problem: str
    """Why what stands at ``cursor`` cannot be read, or empty."""


def byte_order(magic: bytes) -> str:
    """``<`` or ``>`` where these four octets begin a pcap file, else empty."""
    for order in "<>":
        if struct.unpack(order + "I", magic)[0] in (MICROSECONDS, NANOSECONDS, KUZNETZOV):
            return order
    return ""


def file_header(linktype: int, snaplen: int, order: str) -> bytes:
    """The header of a file of version 2.4 with times in microseconds."""
    return struct.pack(order + "IHHIIII", MICROSECONDS, 2, 4, 0, 0, snaplen, linktype)


class PcapReader:
    """Walks the records of a pcap file."""

    name = "pcap"
    cut = text("the capture is cut in the middle of a record")
    dropped = 0

    def __init__(self, header: bytes) -> None:
        """Raises ``ValueError`` with the reason, for the path and the offset to be added."""
        self.order = order = byte_order(header[:4])
        magic, major, minor, snaplen, linktype = struct.unpack(order + "IHH8xII", header[:FILE_HEADER_LEN])
        if not (major == 2 and minor <= 4) and (major, minor) != (543, 0):
            raise ValueError(_("pcap version {version} is not supported").format(version=f"{major}.{minor}"))
        self._lengths = _CAPLEN_FIRST
        if major == 543 or minor < 3:
            self._lengths = _ORIGLEN_FIRST
        elif minor == 3:
            self._lengths = _SHORTER_IS_CAPLEN
        linktype = linktype_of(linktype & _LINKTYPE_MASK)
        snaplen = snaplen_of(snaplen, linktype)
        if magic == KUZNETZOV and linktype == 1:
            snaplen += 14  # captures on a cooked socket got an Ethernet header on top of snaplen octets
        self._record_header_len = 24 if magic == KUZNETZOV else 16
        self._fraction_ns = 1 if magic == NANOSECONDS else 1000
        self._longest = longest_packet(linktype)
        self.interfaces = [Interface(linktype & 0xFFFF, snaplen, "", "", magic == NANOSECONDS)]

    def walk(self, data: U8, cursor: int, most: int) -> Walk:
        """The frames from ``cursor`` on, at most ``most``."""
        most = min(most, (len(data) - cursor) // self._record_header_len + 1)
        start, ts_ns = np.empty(most, np.int64), np.empty(most, np.int64)
        caplen, origlen = np.empty(most, np.uint32), np.empty(most, np.uint32)
        interface = self.interfaces[0]
        count, cursor, needed, outcome = fastest(walk_records)(
            data,
            cursor,
            int(self.order == ">"),
            self._record_header_len,
            self._fraction_ns,
            self._lengths,
            interface.snaplen,
            self._longest,
            start,
            caplen,
            origlen,
            ts_ns,
        )
        frames = Frames(
            data,
            start[:count],
            caplen[:count],
            origlen[:count],
            ts_ns[:count],
            np.full(count, interface.linktype, np.uint16),
            np.zeros(count, np.uint16),
            np.arange(1, count + 1),
        )
        problem = ""
        if outcome == _IMPOSSIBLE_CAPLEN:
            lengths = struct.unpack_from(self.order + "II", data.data, cursor + 8)
            length = min(lengths) if self._lengths == _SHORTER_IS_CAPLEN else lengths[self._lengths]
            problem = _("a record of {length} octets, where {longest} is the longest possible").format(
                length=f"{length:,}", longest=f"{self._longest:,}"
            )
        return Walk(frames, cursor, needed, problem)


@kernel
def walk_records(
    data: U8,
    cursor: int,
    big_endian: int,
    header_len: int,
    fraction_ns: int,
    lengths: int,
    snaplen: int,
    longest: int,
    start: I64,
    caplen: U32,
    origlen: U32,
    ts_ns: I64,
) -> tuple[int, int, int, int]:
    """Fill the columns with the records from ``cursor`` on, until they or the octets end.

    Gives the number of records, the index of the first octet not used, the octets that the record there has (0 where
    the columns are full), and whether its length is impossible.
    """
    size = len(data)
    count = 0
    while count < len(start):
        if size - cursor < header_len:
            return count, cursor, header_len, _WALKED
        first = unsigned32(data, cursor + 8, big_endian)
        second = unsigned32(data, cursor + 12, big_endian)
        if lengths == _ORIGLEN_FIRST or (lengths == _SHORTER_IS_CAPLEN and first > second):
            first, second = second, first
        if first > longest:
            return count, cursor, 0, _IMPOSSIBLE_CAPLEN
        if size - cursor - header_len < first:
            return count, cursor, header_len + first, _WALKED
        seconds = unsigned32(data, cursor, big_endian)
        fraction = unsigned32(data, cursor + 4, big_endian)
        ts_ns[count] = seconds * 1_000_000_000 + fraction * fraction_ns
        start[count] = cursor + header_len
        caplen[count] = min(first, snaplen)  # libpcap too drops what a record has beyond the snapshot length
        origlen[count] = second
        cursor += header_len + first
        count += 1
    return count, cursor, 0, _WALKED


@kernel
def unsigned32(data: U8, i: int, big_endian: int) -> int:
    """The 32-bit number at ``data[i]``; the caller has checked the bounds."""
    if big_endian:
        return wide(data[i]) << 24 | wide(data[i + 1]) << 16 | wide(data[i + 2]) << 8 | wide(data[i + 3])
    return wide(data[i + 3]) << 24 | wide(data[i + 2]) << 16 | wide(data[i + 1]) << 8 | wide(data[i])
