"""pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each section with its own byte order and interfaces.

The packet blocks are walked by a kernel; it stops at a section header, an interface description and interface
statistics, which are read here. A description becomes the row that the kernel needs to understand that interface's
packets. Statistics tell how many packets were missed; what is wrong with them is passed over. Blocks of other types are
skipped.

Deviates: libpcap 1.10 wants one byte order, one link type and one snapshot length in a file; here all of them may
change, as the draft has it. A packet longer than its interface's snapshot length is kept whole, a section without an
interface is a capture without packets, and a length that is no multiple of 4 is taken as meant without the padding, as
Wireshark takes it.
"""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np

from analyzer.capture.interface import Interface, linktype_of, longest_packet, snaplen_of
from analyzer.capture.pcap import Walk, unsigned32
from analyzer.jit import fastest, kernel, wide
from analyzer.language import _, text
from analyzer.tables import I64, U8, U16, U32, Frames

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6

BYTE_ORDER_MAGIC = 0x1A2B3C4D
LONGEST_BLOCK = 16 << 20
"""As in libpcap; with room for a packet of the link types that may be longer (see ``_longest_block``)."""

_STATISTIC_IFDROP, _STATISTIC_OSDROP = 5, 7
_OPTION_END, _OPTION_NAME, _OPTION_DESCRIPTION, _OPTION_TSRESOL, _OPTION_TSOFFSET = 0, 2, 3, 9, 14

# Columns of the table of interfaces.
_LINKTYPE, _SNAPLEN, _LONGEST, _MULTIPLIER, _DIVISOR, _SHIFT, _OFFSET_NS, _COLUMNS = range(8)

LATEST_NS = (1 << 62) - 1
"""The latest time there is (2116), and its negative the earliest: so that differences of times fit 64 bits too."""

_WALKED, _DESCRIPTION = 0, 1
_LENGTH_IMPOSSIBLE, _LENGTHS_DIFFER, _BLOCK_TOO_SHORT, _NO_INTERFACE, _CAPLEN_IMPOSSIBLE = 2, 3, 4, 5, 6
_IMPOSSIBLE_RESOLUTION = text("an interface description with a time resolution of {resolution} s")
_RESOLUTION_MISSIZED = text("an interface description with a time resolution of the wrong size")
_OFFSET_MISSIZED = text("an interface description with a time offset of the wrong size")

_PROBLEMS = {
    _LENGTH_IMPOSSIBLE: text("a block with an impossible length ({length} octets)"),
    _LENGTHS_DIFFER: text("a block whose two lengths differ"),
    _BLOCK_TOO_SHORT: text("a block too short for what it says it holds"),
    _NO_INTERFACE: text("a packet of an interface that was not described"),
    _CAPLEN_IMPOSSIBLE: text("a packet longer than possible"),
}


def byte_order(header: bytes) -> str:
    """``<`` or ``>`` where these 12 octets begin a section, else empty."""
    if len(header) >= 12 and struct.unpack("<I", header[:4])[0] == SECTION_HEADER:
        for order in "<>":
            if struct.unpack(order + "I", header[8:12])[0] == BYTE_ORDER_MAGIC:
                return order
    return ""


class PcapngReader:
    """Walks the blocks of a pcapng file."""

    name = "pcapng"
    cut = text("the capture is cut in the middle of a block")

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []
        self.order = "<"
        self._section_interface = 0  # number in the capture of the section's first interface
        self._longest_block = LONGEST_BLOCK
        self._table = np.zeros((1, _COLUMNS), np.int64)
        self._drops: dict[int, int] = {}

    @property
    def dropped(self) -> int:
        """Packets that the interfaces and the operating system missed, by the latest statistics of each interface."""
        return sum(self._drops.values())

    def walk(self, data: U8, cursor: int, most: int) -> Walk:
        """The frames from ``cursor`` on, at most ``most``; with none wanted, goes on to the first packet."""
        most = min(most, (len(data) - cursor) // 16 + 1)
        start, ts_ns = np.empty(most, np.int64), np.empty(most, np.int64)
        caplen, origlen = np.empty(most, np.uint32), np.empty(most, np.uint32)
        linktype, interface = np.empty(most, np.uint16), np.empty(most, np.uint16)
        count, needed, problem = 0, 0, ""
        while True:
            count, cursor, needed, outcome = fastest(walk_blocks)(
                data,
                cursor,
                int(self.order == ">"),
                self._table,
                len(self.interfaces) - self._section_interface,
                self._section_interface,
                self._longest_block,
                count,
                start,
                caplen,
                origlen,
                ts_ns,
                linktype,
                interface,
            )
            if outcome == _DESCRIPTION:
                cursor, needed, problem = self._describe(data, cursor)
                if not needed and not problem:
                    continue
            elif outcome != _WALKED:
                length = struct.unpack_from(self.order + "I", data.data, cursor + 4)[0]
                problem = _(_PROBLEMS[outcome]).format(length=f"{length:,}")
            frames = Frames(
                data,
                start[:count],
                caplen[:count],
                origlen[:count],
                ts_ns[:count],
                linktype[:count],
                interface[:count],
                np.arange(1, count + 1),
            )
            return Walk(frames, cursor, needed, problem)

    def _describe(self, data: U8, cursor: int) -> tuple[int, int, str]:
        """Read the section header, interface description or interface statistics at ``cursor``.

        Gives the index after it; or the octets that it has, where they are not all there; or why it cannot be read.
        """
        order = self.order
        kind = struct.unpack_from(order + "I", data.data, cursor)[0]
        if kind == SECTION_HEADER:
            if len(data) - cursor < 12:
                return cursor, 12, ""
            order = byte_order(data[cursor : cursor + 12].tobytes())
            if not order:
                return cursor, 0, _("a section whose byte order cannot be told")
        length = struct.unpack_from(order + "I", data.data, cursor + 4)[0]
        shortest = {SECTION_HEADER: 28, INTERFACE_DESCRIPTION: 20, INTERFACE_STATISTICS: 12}
        if not shortest[kind] <= length <= self._longest_block:
            return cursor, 0, _(_PROBLEMS[_LENGTH_IMPOSSIBLE]).format(length=f"{length:,}")
        end = cursor + padded(length)
        if len(data) < end:
            return cursor, end - cursor, ""
        if struct.unpack_from(order + "I", data.data, end - 4)[0] != length:
            return cursor, 0, _(_PROBLEMS[_LENGTHS_DIFFER])
        body = data[cursor + 8 : end - 4].tobytes()
        try:
            if kind == SECTION_HEADER:
                self._begin_section(order, body)
            elif kind == INTERFACE_DESCRIPTION:
                self._add_interface(body)
            else:
                self._take_statistics(body)
        except ValueError as error:
            return cursor, 0, str(error)
        return end, 0, ""

    def _begin_section(self, order: str, body: bytes) -> None:
        major, minor = struct.unpack_from(order + "HH", body, 4)
        if major != 1 or minor not in (0, 2):
            told = _("a section of pcapng version {version}, which is not supported")
            raise ValueError(told.format(version=f"{major}.{minor}"))
        self.order = order
        self._section_interface = len(self.interfaces)

    def _add_interface(self, body: bytes) -> None:
        linktype, snaplen = struct.unpack_from(self.order + "H2xI", body)
        linktype = linktype_of(linktype)
        options = _options(self.order, body[8:])
        texts = [options.get(code, b"").decode("utf-8", "replace") for code in (_OPTION_NAME, _OPTION_DESCRIPTION)]
        resolution = _number("B", options.get(_OPTION_TSRESOL, b"\x06"), _RESOLUTION_MISSIZED)
        offset = _number(self.order + "q", options.get(_OPTION_TSOFFSET, bytes(8)), _OFFSET_MISSIZED)
        multiplier, divisor, shift = _ticks(resolution)
        number = len(self.interfaces) - self._section_interface
        if number == len(self._table):
            self._table = np.concatenate((self._table, np.zeros_like(self._table)))
        row = self._table[number]
        row[_LINKTYPE] = linktype
        row[_SNAPLEN] = snaplen_of(snaplen, linktype)
        row[_LONGEST] = longest_packet(linktype)
        row[_MULTIPLIER], row[_DIVISOR], row[_SHIFT] = multiplier, divisor, shift
        row[_OFFSET_NS] = max(-LATEST_NS, min(offset * 1_000_000_000, LATEST_NS))
        # libpcap's allowance: the longest packet, its block, and 128 KiB of options.
        self._longest_block = max(self._longest_block, longest_packet(linktype) + 32 + (128 << 10))
        finer = resolution & 0x7F > (19 if resolution & 0x80 else 6)
        self.interfaces.append(Interface(linktype, snaplen_of(snaplen, linktype), texts[0], texts[1], finer))

    def _take_statistics(self, body: bytes) -> None:
        with suppress(ValueError, struct.error):
            interface = self._section_interface + struct.unpack_from(self.order + "I", body)[0]
            options = _options(self.order, body[12:])
            drops = [options.get(code, b"") for code in (_STATISTIC_IFDROP, _STATISTIC_OSDROP)]
            self._drops[interface] = sum(_number(self.order + "Q", octets) for octets in drops if octets)


def _options(order: str, octets: bytes) -> dict[int, bytes]:
    """The options of a block; of several with one code the first."""
    options: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(octets):
        code, length = struct.unpack_from(order + "HH", octets, at)
        if code == _OPTION_END:
            break
        if at + 4 + length > len(octets):
            raise ValueError(_("an interface description whose options exceed it"))
        options.setdefault(code, octets[at + 4 : at + 4 + length])
        at += 4 + padded(length)
    return options


def _number(layout: str, octets: bytes, trouble: str = "") -> int:
    if len(octets) != struct.calcsize(layout):
        raise ValueError(_(trouble))
    value: int = struct.unpack(layout, octets)[0]
    return value


def _ticks(resolution: int) -> tuple[int, int, int]:
    """How ticks of ``if_tsresol`` become nanoseconds: times the first, through the second, or, where the third is
    not negative, times 10^9 and shifted right by it."""
    exponent = resolution & 0x7F
    if resolution & 0x80:
        if exponent > 63:
            raise ValueError(_(_IMPOSSIBLE_RESOLUTION).format(resolution=f"2^-{exponent}"))
        return 1, 1, exponent
    if exponent > 19:
        raise ValueError(_(_IMPOSSIBLE_RESOLUTION).format(resolution=f"10^-{exponent}"))
    return 10 ** max(9 - exponent, 0), 10 ** max(exponent - 9, 0), -1


@kernel
def walk_blocks(
    data: U8,
    cursor: int,
    big_endian: int,
    interfaces: I64,
    interface_count: int,
    section_interface: int,
    longest_block: int,
    count: int,
    start: I64,
    caplen: U32,
    origlen: U32,
    ts_ns: I64,
    linktype: U16,
    interface: U16,
) -> tuple[int, int, int, int]:
    """Fill the columns from row ``count`` on with the packets from ``cursor`` on.

    Gives the number of rows filled, the index of the first octet not used, the octets that the block there has where
    it is not whole (0 where the columns are full), and what stopped the walk.
    """
    size = len(data)
    while True:
        if size - cursor < 8:
            return count, cursor, 8, _WALKED
        kind = unsigned32(data, cursor, big_endian)
        if kind in (SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS):
            return count, cursor, 0, _DESCRIPTION
        length = unsigned32(data, cursor + 4, big_endian)
        if length < 12 or length > longest_block:
            return count, cursor, 0, _LENGTH_IMPOSSIBLE
        block_len = padded(length)
        packet = kind in (ENHANCED_PACKET, SIMPLE_PACKET, OBSOLETE_PACKET)
        if packet and count == len(start):
            return count, cursor, 0, _WALKED
        if size - cursor < block_len:
            return count, cursor, block_len, _WALKED
        if unsigned32(data, cursor + block_len - 4, big_endian) != length:
            return count, cursor, 0, _LENGTHS_DIFFER
        if packet:
            header_len = 12 if kind == SIMPLE_PACKET else 28
            if block_len < header_len + 4:
                return count, cursor, 0, _BLOCK_TOO_SHORT
            number = 0
            if kind == ENHANCED_PACKET:
                number = unsigned32(data, cursor + 8, big_endian)
            elif kind == OBSOLETE_PACKET:
                number = unsigned16(data, cursor + 8, big_endian)
            if number >= interface_count:
                return count, cursor, 0, _NO_INTERFACE
            original = unsigned32(data, cursor + header_len - 4, big_endian)
            high = 0
            low = 0
            if kind == SIMPLE_PACKET:
                captured = min(original, wide(interfaces[number, _SNAPLEN]))
            else:
                captured = unsigned32(data, cursor + 20, big_endian)
                high = unsigned32(data, cursor + 12, big_endian)
                low = unsigned32(data, cursor + 16, big_endian)
            if captured > wide(interfaces[number, _LONGEST]):
                return count, cursor, 0, _CAPLEN_IMPOSSIBLE
            if captured > block_len - header_len - 4:
                return count, cursor, 0, _BLOCK_TOO_SHORT
            start[count] = cursor + header_len
            caplen[count] = captured
            origlen[count] = original
            ts_ns[count] = nanoseconds(
                high,
                low,
                wide(interfaces[number, _MULTIPLIER]),
                wide(interfaces[number, _DIVISOR]),
                wide(interfaces[number, _SHIFT]),
                wide(interfaces[number, _OFFSET_NS]),
            )
            linktype[count] = wide(interfaces[number, _LINKTYPE])
            interface[count] = min(section_interface + number, 0xFFFF)
            count += 1
        cursor += block_len


@kernel
def nanoseconds(high: int, low: int, multiplier: int, divisor: int, shift: int, offset_ns: int) -> int:
    """The time for a 64-bit number of ticks in two halves, rounded down; see ``_ticks`` for the unit.

    Exact wherever the answer fits 63 bits, and no step exceeds them.
    """
    if shift >= 0:
        upper = high * 1_000_000_000 + (low * 1_000_000_000 >> 32)
        lower = low * 1_000_000_000 & 0xFFFF_FFFF
        if shift >= 32:
            ns = upper >> (shift - 32)
        elif upper > LATEST_NS >> (32 - shift):
            ns = LATEST_NS
        else:
            ns = upper << (32 - shift) | lower >> shift
    elif divisor > 1:
        half = high << 31 | low >> 1
        ns = half // divisor * 2
        if half % divisor * 2 + (low & 1) >= divisor:
            ns += 1
    elif high >= 1 << 31 or (high << 32 | low) > LATEST_NS // multiplier:
        ns = LATEST_NS
    else:
        ns = (high << 32 | low) * multiplier
    return min(min(ns, LATEST_NS) + offset_ns, LATEST_NS)


@kernel
def unsigned16(data: U8, i: int, big_endian: int) -> int:
    """The 16-bit number at ``data[i]``; the caller has checked the bounds."""
    if big_endian:
        return wide(data[i]) << 8 | wide(data[i + 1])
    return wide(data[i + 1]) << 8 | wide(data[i])


@kernel
def padded(length: int) -> int:
    """The next multiple of 4."""
    return (length + 3) // 4 * 4
