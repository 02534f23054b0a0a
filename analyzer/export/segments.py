"""The packets of one connection with their options, as packetdrill's scripts have them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from analyzer.tables import I64, Batch, Event, Frames, Packets

_SHORTEST_HEADER, _LONGEST_HEADER = 20, 60


class Segment(NamedTuple):
    """A packet of the connection."""

    number: int
    ts_ns: int
    side: int
    flags: int
    seq: int
    """Relative, as all sequence numbers here."""
    ack: int
    window: int
    payload_len: int
    options: str | None
    """As packetdrill has them; None where they could not be read, or have no form there."""


def segments_of(batch: Batch, number: int) -> Iterator[Segment]:
    """The packets of the connection of this number in a batch, without the capture's copies."""
    frames, packets, labels = batch
    is_copy = labels.events & 1 << Event.CAPTURE_DUPLICATE != 0
    at: I64 = np.flatnonzero((labels.connection == number) & ~is_copy)
    for i in at.tolist():
        ack = int(labels.ack[i])
        yield Segment(
            int(frames.number[i]), int(frames.ts_ns[i]), int(labels.side[i]), int(packets.flags[i]), int(labels.seq[i]),
            ack, int(packets.window[i]), int(packets.payload_len[i]),
            _options(frames, packets, i, (int(packets.ack[i]) - ack) & 0xFFFFFFFF),
        )  # fmt: skip


def _options(frames: Frames, packets: Packets, i: int, peer_start: int) -> str | None:
    """The options of a packet's TCP header in their order; ``peer_start`` is the peer's initial sequence number."""
    end = int(packets.payload_start[i])
    ports_and_seq = struct.pack(
        "!HHI", *(int(column[i]) for column in (packets.src_port, packets.dst_port, packets.seq))
    )
    for header_len in range(_SHORTEST_HEADER, _LONGEST_HEADER + 4, 4):
        header = frames.data[max(end - header_len, 0) : end].tobytes()
        if header[:8] == ports_and_seq and header[12] >> 4 == header_len // 4:
            return _options_text(header[_SHORTEST_HEADER:], peer_start)
    return None


def _options_text(octets: bytes, peer_start: int) -> str | None:
    words = []
    at = 0
    while at < len(octets):
        kind = octets[at]
        if kind < 2:
            words.append("nop" if kind else "eol")
            at += 1
            continue
        length = octets[at + 1] if at + 1 < len(octets) else 0
        body = octets[at + 2 : at + length]
        if length < 2 or len(body) != length - 2:
            return None
        match kind, len(body):
            case 2, 2:
                words.append(f"mss {int.from_bytes(body)}")
            case 3, 1:
                words.append(f"wscale {body[0]}")
            case 4, 0:
                words.append("sackOK")
            case 5, blocks if blocks and blocks % 8 == 0:
                edges = [(edge - peer_start) & 0xFFFFFFFF for edge in struct.unpack(f"!{blocks // 4}I", body)]
                words.append("sack " + " ".join(f"{a}:{b}" for a, b in zip(edges[::2], edges[1::2], strict=True)))
            case 8, 8:
                words.append("TS val {} ecr {}".format(*struct.unpack("!II", body)))
            case 34, _:
                words.append(f"FO {body.hex()}".rstrip())
            case _:
                return None
        at += length
    return ",".join(words)
