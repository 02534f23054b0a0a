"""The record of a packet: its columns, in their order.

What only TCP has is NULL for every other packet, and for a segment whose header could not be read.
"""

from __future__ import annotations

from analyzer.export.columns import Integers, Table, Words, WordSets, where
from analyzer.export.connections import PROTOCOL_WORDS, STATE_WORDS
from analyzer.tables import ACK, Event, Frames, Labels, Packets, Phase, Protocol, Side, Status, Tunnel

PHASE_WORDS = tuple(phase.name.lower() for phase in Phase)
SIDE_WORDS = tuple(side.name.lower() for side in Side)
EVENT_WORDS = tuple(event.name.lower() for event in Event)
TUNNEL_WORDS = tuple(tunnel.name.lower() if tunnel else None for tunnel in Tunnel)

FLAG_LETTERS = "FSRP.UEW"
"""tcpdump's letters, by bit; AE has none in tcpdump 4.99.3."""

FLAG_WORDS = tuple(
    "".join(letter for k, letter in enumerate(FLAG_LETTERS) if flags >> k & 1) or "none" for flags in range(256)
)
"""Every combination of control bits."""


def packet_table(frames: Frames, packets: Packets, labels: Labels) -> Table:
    """Columns of the record, for batches or slices of batches."""
    whole = packets.status == Status.WHOLE
    tcp = whole & (packets.protocol == Protocol.TCP)
    has_payload_len = tcp | (whole & (packets.protocol == Protocol.UDP))
    in_connection = labels.connection > 0
    followed = tcp & in_connection
    flags = packets.flags
    return {
        "packet": Integers(frames.number),
        "ts_ns": Integers(frames.ts_ns),
        "caplen": Integers(frames.caplen),
        "origlen": Integers(frames.origlen),
        "protocol": Words(packets.protocol, PROTOCOL_WORDS),
        "connection": Integers(where(in_connection, labels.connection)),
        "sender": Words(where(in_connection, labels.side), SIDE_WORDS),
        "phase": Words(labels.phase, PHASE_WORDS),
        "client_state": Words(where(followed, labels.client_state), STATE_WORDS),
        "server_state": Words(where(followed, labels.server_state), STATE_WORDS),
        "flags": Words(where(tcp, flags & 0xFF), FLAG_WORDS),
        "seq": Integers(where(followed, labels.seq)),
        "ack": Integers(where(followed & (flags & ACK != 0), labels.ack)),
        "raw_seq": Integers(where(tcp, packets.seq)),
        "raw_ack": Integers(where(tcp, packets.ack)),
        "window": Integers(where(tcp, packets.window)),
        "payload_len": Integers(where(has_payload_len, packets.payload_len)),
        "events": WordSets(labels.events, EVENT_WORDS),
        "refers_to": Integers(where(labels.refers_to > 0, labels.refers_to)),
        "repeat": Integers(where(followed, labels.repeat)),
        "tunnel": Words(packets.tunnel, TUNNEL_WORDS),
        "depth": Integers(packets.depth),
    }
