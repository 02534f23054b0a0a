"""ICMP errors that quote a packet: of which connection, which packet, and who sent the error."""

from __future__ import annotations

import numpy as np

from analyzer.tables import Batch, Life, Packets, Protocol
from analyzer.traces import QUOTES_UDP


def ends_of(packets: Packets, i: int, *, turned: bool = False) -> tuple[int, ...]:
    """What names a connection: protocol, addresses and ports of source and destination, or the other way."""
    is_udp = packets.protocol[i] == Protocol.UDP or int(packets.unreachable[i]) & QUOTES_UDP > 0
    address = packets.address[i].tolist()
    ends = [(*address[:4], int(packets.src_port[i])), (*address[4:], int(packets.dst_port[i]))]
    return (is_udp, *ends[1], *ends[0]) if turned else (is_udp, *ends[0], *ends[1])


def latest_sent(piece: Life, side: int, seq: int | None, before: int) -> int:
    """The latest packet that a side sent with a relative sequence number, any without one; 0 none."""
    of_side = (piece.side == side) & (piece.number < before)
    found = np.flatnonzero(of_side if seq is None else of_side & (piece.seq == seq))
    return int(piece.number[found[-1]]) if len(found) else 0


def sender_of(batch: Batch, i: int) -> tuple[int, int, int, int]:
    """The words of the address that an ICMP error came from; in its row are those of what it quotes."""
    at = int(batch.packets.payload_start[i])
    is_4 = batch.packets.ip_version[i] == 4
    octets = batch.frames.data[at + 12 : at + 16] if is_4 else batch.frames.data[at + 8 : at + 24]
    words = np.frombuffer(octets.tobytes(), ">u4").tolist()
    return (0, 0, 0, words[0]) if is_4 else (words[0], words[1], words[2], words[3])
