"""TCP's header and options, as scapy writes them, well and ill formed."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from analyzer.decode.packets import decode
from analyzer.tables import (
    HAS_MPTCP,
    HAS_MSS,
    HAS_OTHER_OPTION,
    HAS_SACK,
    HAS_SACK_PERMITTED,
    HAS_TIMESTAMPS,
    HAS_WINDOW_SCALE,
    Packets,
    Protocol,
    Status,
)
from tests.script import batch

scapy = pytest.importorskip("scapy.all")
IP, TCP, Raw = scapy.IP, scapy.TCP, scapy.Raw


def read(segment: Any) -> Packets:
    return decode(batch([bytes(IP(src="1.2.3.4", dst="5.6.7.8") / segment)], linktype=101))


def with_options(octets: bytes, payload: bytes = b"") -> bytes:
    """A packet whose options are exactly these octets, a multiple of four."""
    words = 5 + len(octets) // 4
    head = struct.pack("!HHIIHHHH", 1, 2, 3, 4, words << 12 | 0x10, 5, 0, 0)
    return bytes(IP(src="1.2.3.4", dst="5.6.7.8", proto=6) / Raw(head + octets + payload))


def options_of(octets: bytes) -> Packets:
    return decode(batch([with_options(octets)], linktype=101))


def test_fields() -> None:
    row = read(TCP(sport=1, dport=65535, seq=2**32 - 1, ack=2**31, flags="SA", window=65535) / Raw(b"abc"))
    assert (row.src_port[0], row.dst_port[0], row.seq[0], row.ack[0]) == (1, 65535, 2**32 - 1, 2**31)
    assert (row.flags[0], row.window[0], row.payload_len[0], row.payload_start[0]) == (0x12, 65535, 3, 40)
    assert row.options[0] == 0


@pytest.mark.parametrize("bit", range(9))
def test_every_flag(bit: int) -> None:
    assert read(TCP(flags=1 << bit)).flags[0] == 1 << bit


def test_reserved_bits_are_no_flags() -> None:
    assert read(TCP(reserved=7, flags="A")).flags[0] == 0x10


def test_an_ack_field_is_read_without_the_ack_bit() -> None:
    assert read(TCP(flags="R", ack=77)).ack[0] == 77


@pytest.mark.parametrize("words", [0, 4])
def test_header_shorter_than_twenty_octets(words: int) -> None:
    row = read(TCP(dataofs=words) / Raw(bytes(40)))
    assert (row.status[0], row.protocol[0]) == (Status.BAD, Protocol.TCP)
    assert row.src_port[0] == row.flags[0] == 0


def test_header_longer_than_the_segment() -> None:
    assert read(TCP(dataofs=6)).status[0] == Status.BAD
    assert read(TCP(dataofs=6) / Raw(bytes(4))).status[0] == Status.WHOLE


def test_cut_header_has_no_ports_and_cut_options_are_whole() -> None:
    whole = bytes(IP() / TCP(sport=1, dport=2, options=[("MSS", 1460), ("WScale", 7), ("NOP", None)]) / Raw(b"x"))
    rows = decode(batch([whole[:n] for n in range(20, len(whole) + 1)], linktype=101))
    assert rows.status.tolist() == [Status.CUT] * 20 + [Status.WHOLE] * 10
    assert rows.protocol.tolist() == [Protocol.TCP] * 30
    assert rows.src_port.tolist() == [0] * 20 + [1] * 10
    assert rows.mss.tolist() == [0] * 24 + [1460] * 6
    assert rows.window_scale.tolist() == [0] * 27 + [7] * 3


# ---------------------------------------------------------------- options

ALL = {
    "MSS": ([("MSS", 1460)], HAS_MSS),
    "window scale": ([("WScale", 14)], HAS_WINDOW_SCALE),
    "SACK permitted": ([("SAckOK", b"")], HAS_SACK_PERMITTED),
    "timestamps": ([("Timestamp", (2**32 - 1, 7))], HAS_TIMESTAMPS),
    "SACK": ([("SAck", (1, 2, 3, 2**32 - 1))], HAS_SACK),
    "another": ([(254, b"ab")], HAS_OTHER_OPTION),
    "multipath": ([(30, b"\x01\x81")], HAS_MPTCP),
    "fast open": ([("TFO", (1, 2))], HAS_OTHER_OPTION),
    "a SYN's": (
        [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (11, 0)), ("NOP", None), ("WScale", 7)],
        HAS_MSS | HAS_SACK_PERMITTED | HAS_TIMESTAMPS | HAS_WINDOW_SCALE,
    ),
    "a duplicate ACK's": (
        [("NOP", None), ("NOP", None), ("Timestamp", (5, 6)), ("NOP", None), ("NOP", None), ("SAck", (9, 12))],
        HAS_TIMESTAMPS | HAS_SACK,
    ),
    "what most segments carry": ([("NOP", None), ("NOP", None), ("Timestamp", (5, 6))], HAS_TIMESTAMPS),
}


@pytest.mark.parametrize("name", ALL)
def test_options(name: str) -> None:
    options, has = ALL[name]
    row = read(TCP(options=options))
    told = dict(options)  # type: ignore[call-overload]
    edges = told.get("SAck", ())
    assert row.options[0] == has
    assert row.mss[0] == told.get("MSS", 0)
    assert row.window_scale[0] == told.get("WScale", 0)
    assert (row.ts_val[0], row.ts_ecr[0]) == told.get("Timestamp", (0, 0))
    assert row.sack_blocks[0] == len(edges) // 2
    assert row.sack[0].tolist() == [*edges, *[0] * (8 - len(edges))]


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_sack_blocks(blocks: int) -> None:
    edges = tuple(range(100, 100 + 2 * blocks))
    row = read(TCP(options=[("SAck", edges)]))
    assert row.sack_blocks[0] == blocks
    assert row.sack[0].tolist()[: 2 * blocks] == list(edges)


def test_a_shift_count_above_fourteen_is_used_as_fourteen() -> None:
    assert options_of(bytes([3, 3, 15, 0])).window_scale[0] == 14  # RFC 7323 2.3
    assert options_of(bytes([3, 3, 255, 0])).window_scale[0] == 14


MSS = b"\x02\x04\x05\xb4"

ILL_FORMED = {
    "nothing after the end of the list": (b"\0" + bytes([3, 3, 7]), 0),
    "length 0": (MSS + b"\x08\x00" + bytes(2), HAS_MSS),
    "length 1": (MSS + b"\x05\x01" + bytes(2), HAS_MSS),
    "beyond the header": (MSS + b"\x08\x0a" + bytes(2), HAS_MSS),
    "kind without length": (MSS + b"\1\1\1\x08", HAS_MSS),
    "MSS of three octets": (b"\x02\x03\x05\1", HAS_OTHER_OPTION),
    "window scale of four": (b"\x03\x04\x07\x07", HAS_OTHER_OPTION),
    "SACK permitted of four": (b"\x04\x04\0\0", HAS_OTHER_OPTION),
    "timestamps of eight": (b"\x08\x08" + bytes(6), HAS_OTHER_OPTION),
    "SACK of twelve": (b"\x05\x0c" + bytes(10), HAS_OTHER_OPTION),
    "SACK without a block": (b"\x05\x02\1\1", HAS_OTHER_OPTION),
    "NOPs alone": (b"\1\1\1\1", 0),
    "an option after one not known": (b"\xfe\x04\0\0" + MSS, HAS_OTHER_OPTION | HAS_MSS),
}


@pytest.mark.parametrize("name", ILL_FORMED)
def test_ill_formed_options_end_the_list(name: str) -> None:
    octets, has = ILL_FORMED[name]
    row = options_of(octets)
    assert (row.status[0], row.options[0]) == (Status.WHOLE, has)
    assert row.mss[0] == (1460 if has & HAS_MSS else 0)
    assert row.payload_len[0] == 0


def test_options_end_where_the_payload_begins() -> None:
    row = decode(batch([with_options(b"\1\1\1\x08", b"\x0a" + bytes(8))], linktype=101))
    assert (row.options[0], row.payload_len[0]) == (0, 9)
