"""The walk over rings that were made here, octet by octet as linux/if_packet.h has them."""

from __future__ import annotations

import os
import struct
import sys
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capture import ring
from analyzer.capture.ring import COOKED, NOTHING_OFF, VLAN_OFF, Ring

BLOCK_LEN = 4096
HOST, OUTGOING = 0, 4
ETHERNET_HARDWARE = 1
VLAN_VALID, TPID_VALID = 0x10, 0x40
MAC = struct.pack("!6B", 2, 0, 0, 0, 0, 9)


class Sent(NamedTuple):
    """A packet as Linux has it, and what it says of it."""

    octets: bytes
    ts_ns: int = 1_700_000_000_123_456_789
    origlen: int = 1500
    flags: int = 0
    tci: int = 0
    tpid: int = 0
    packet_type: int = HOST
    hardware_type: int = ETHERNET_HARDWARE
    protocol: int = 0x0800
    address: bytes = MAC


def block(packets: list[Sent]) -> bytes:
    """A block handed over by Linux."""
    octets = b""
    for packet in packets:
        mac = 68 + 32
        end = -(-(mac + len(packet.octets)) // 8) * 8
        last = packet is packets[-1]
        header = struct.pack(
            "=6IHHIIH10x", 0 if last else end, *divmod(packet.ts_ns, 10**9), len(packet.octets), packet.origlen,
            packet.flags, mac, mac, 0, packet.tci, packet.tpid,
        )  # fmt: skip
        header += struct.pack("=H", 17) + struct.pack("!H", packet.protocol)
        header += struct.pack("=iHBB", 7, packet.hardware_type, packet.packet_type, len(packet.address))
        header += packet.address.ljust(8, b"\xee")
        octets += (header.ljust(mac, b"\xdd") + packet.octets).ljust(end, b"\xcc")
    octets = struct.pack("=6I", 1, 0, 1, len(packets), 48, 48 + len(octets)).ljust(48, b"\0") + octets
    assert len(octets) <= BLOCK_LEN
    return octets.ljust(BLOCK_LEN, b"\0")


def walk(walked: Ring, most: int = 100) -> list[tuple[int, bytes, int]]:
    """What is there: time, octets, original length."""
    frames = walked.take(most, 1)
    if frames is None:
        return []
    assert frames.number.tolist() == list(range(1, len(frames.number) + 1))
    assert not frames.data.flags.writeable
    return [
        (ts_ns, frames.data[start : start + caplen].tobytes(), origlen)
        for start, caplen, origlen, ts_ns in zip(*(column.tolist() for column in frames[1:5]), strict=True)
    ]


def taken(packet: Sent, taken_off: int) -> tuple[bytes, int]:
    walked = Ring(np.frombuffer(bytearray(block([packet])), np.uint8), BLOCK_LEN, taken_off)
    ((ts_ns, octets, origlen),) = walk(walked)
    assert ts_ns == packet.ts_ns
    return octets, origlen


packets = st.tuples(st.binary(max_size=60), st.integers(0, 2**32 * 10**9 - 1), st.integers(0, 2**32 - 1)).map(
    lambda values: Sent(*values)
)
many = st.lists(st.lists(packets, min_size=1, max_size=9), max_size=12)


@given(many, st.lists(st.integers(1, 7), min_size=1), st.integers(1, 4), st.sampled_from([0, 1, 700, 1 << 20]))
def test_every_packet_once_however_it_is_taken(
    sent: list[list[Sent]], batches: list[int], blocks: int, most_aside: int
) -> None:
    memory = np.zeros(blocks * BLOCK_LEN, np.uint8)
    status = memory.view(np.uint32)[2 :: BLOCK_LEN // 4]
    walked = Ring(memory, BLOCK_LEN, NOTHING_OFF)
    waiting, filled, got = list(sent), 0, []
    while True:
        while waiting and not status[filled % blocks]:  # as Linux does: where the block was given back, in turn
            at = filled % blocks * BLOCK_LEN
            memory[at : at + BLOCK_LEN] = np.frombuffer(block(waiting.pop(0)), np.uint8)
            filled += 1
        if most_aside:
            walked.set_aside(most_aside)
        most = batches[len(got) % len(batches)]
        batch = walk(walked, most)
        assert len(batch) <= most
        if not batch:
            break
        got += batch
        assert walked.taken == len(got)
        walked.release()
    expected = [packet for packets in sent for packet in packets]
    assert got == [(packet.ts_ns, packet.octets, packet.origlen) for packet in expected]
    assert not status.any()


def test_blocks_are_kept_until_they_are_released() -> None:
    memory = np.frombuffer(bytearray(block([Sent(b"a"), Sent(b"b")]) + block([Sent(b"c")])), np.uint8)
    status = memory.view(np.uint32)[2 :: BLOCK_LEN // 4]
    walked = Ring(memory, BLOCK_LEN, NOTHING_OFF)
    assert [octets for _, octets, _ in walk(walked, 1)] == [b"a"]
    walked.release()
    assert status.tolist() == [1, 1]
    assert [octets for _, octets, _ in walk(walked)] == [b"b", b"c"]
    assert walk(walked) == []
    assert status.tolist() == [1, 1]
    walked.release()
    assert status.tolist() == [0, 0]


def test_a_batch_leaves_most_of_the_ring_to_linux() -> None:
    memory = np.frombuffer(bytearray(b"".join(block([Sent(b"%d" % i)]) for i in range(24))), np.uint8)
    walked = Ring(memory, BLOCK_LEN, NOTHING_OFF)
    assert [octets for _, octets, _ in walk(walked)] == [b"0", b"1", b"2"]
    walked.release()
    assert memory.view(np.uint32)[2 :: BLOCK_LEN // 4].tolist() == [0] * 3 + [1] * 21


def test_what_is_set_aside_makes_room() -> None:
    blocks = [block([Sent(b"%d" % i)]) for i in range(4)]
    memory = np.frombuffer(bytearray(b"".join(blocks)), np.uint8)
    status = memory.view(np.uint32)[2 :: BLOCK_LEN // 4]
    walked = Ring(memory, BLOCK_LEN, NOTHING_OFF)
    walked.set_aside(len(blocks) * 100)
    assert status.tolist() == [0, 0, 0, 1]  # each has 152 octets in use
    walked.set_aside(1 << 20)
    assert status.tolist() == [0, 0, 0, 1]  # less than half is waiting
    memory[:] = 0
    assert [octets for _ in range(3) for _, octets, _ in walk(walked)] == [b"0", b"1", b"2"]
    assert walk(walked) == []
    assert walked.taken == 3


FRAME = bytes(range(12)) + b"\x08\x00" + b"payload"


@pytest.mark.parametrize(
    ("flags", "tag"),
    [(0, b""), (VLAN_VALID, b"\x81\x00\x60\x05"), (VLAN_VALID | TPID_VALID, b"\x88\xa8\x60\x05")],
)
def test_a_vlan_tag_goes_back_behind_the_addresses(flags: int, tag: bytes) -> None:
    octets, origlen = taken(Sent(FRAME, flags=flags, tci=0x6005, tpid=0x88A8), VLAN_OFF)
    assert octets == FRAME[:12] + tag + FRAME[12:]
    assert origlen == 1500 + len(tag)


def test_a_vlan_tag_with_no_place_to_go() -> None:
    assert taken(Sent(FRAME[:11], flags=VLAN_VALID), VLAN_OFF) == (FRAME[:11], 1500)
    assert taken(Sent(FRAME, flags=VLAN_VALID), NOTHING_OFF) == (FRAME, 1500)


@pytest.mark.parametrize(
    ("flags", "protocol", "tag"),
    [
        (0, b"\x08\x00", b""),
        (VLAN_VALID, b"\x81\x00", b"\x60\x05\x08\x00"),
        (VLAN_VALID | TPID_VALID, b"\x88\xa8", b"\x60\x05\x08\x00"),
    ],
)
def test_a_cooked_frame_gets_its_header(flags: int, protocol: bytes, tag: bytes) -> None:
    sent = Sent(b"payload", flags=flags, tci=0x6005, tpid=0x88A8, packet_type=OUTGOING)
    octets, origlen = taken(sent, COOKED)
    header = protocol + struct.pack("!HIHBB", 0, 7, 1, OUTGOING, 6) + MAC + b"\0\0"
    assert octets == header + tag + b"payload"
    assert origlen == 1500 + 20 + len(tag)


def test_addresses_of_other_lengths() -> None:
    for length in (0, 4, 8):
        octets, _ = taken(Sent(b"payload", address=bytes(range(1, length + 1))), COOKED)
        assert octets[11:20] == bytes([length]) + bytes(range(1, length + 1)).ljust(8, b"\0")


@pytest.mark.skipif(sys.platform != "linux", reason="a packet socket needs Linux")
@pytest.mark.parametrize(
    ("buffer_bytes", "longest", "length"),
    [(64 << 20, 262_144, 64 << 20), (1 << 20, 96, 1 << 20), (1, 96, 4 * 4096), (1, 262_144, 4 * 524_288)],
)
def test_sizes_of_rings(monkeypatch: pytest.MonkeyPatch, buffer_bytes: int, longest: int, length: int) -> None:
    """Blocks hold the longest packet, there are several, and the whole is what was asked for, or the least possible."""
    socket = PretendedSocket()
    monkeypatch.setattr(ring.mmap, "mmap", lambda _, length, *about: bytearray(length))
    made = ring.open_ring(socket, buffer_bytes, longest, NOTHING_OFF)  # type: ignore[arg-type]
    block_len, blocks, frame_len, frames, retire_ms, *_ = socket.request
    assert len(made._octets) == block_len * blocks == length
    assert (frame_len, frames, retire_ms) == (block_len, blocks, 10)
    assert block_len > longest + 200
    assert block_len % os.sysconf("SC_PAGE_SIZE") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="a packet socket needs Linux")
def test_a_smaller_ring_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    socket = PretendedSocket(room=3 << 20)
    monkeypatch.setattr(ring.mmap, "mmap", lambda _, length, *about: bytearray(length))
    assert len(ring.open_ring(socket, 16 << 20, 96, NOTHING_OFF)._octets) == 2 << 20  # type: ignore[arg-type]
    with pytest.raises(OSError, match="Cannot allocate"):
        ring.open_ring(PretendedSocket(room=0), 16 << 20, 96, NOTHING_OFF)  # type: ignore[arg-type]


class PretendedSocket:
    """A packet socket whose Linux has so much room for a ring."""

    def __init__(self, room: int = 1 << 30) -> None:
        self._room = room
        self.request: tuple[int, ...] = ()

    def fileno(self) -> int:
        return -1

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        if isinstance(value, bytes):
            self.request = struct.unpack("7I", value)
            if self.request[0] * self.request[1] > self._room:
                raise OSError(12, "Cannot allocate memory")
