"""A capture as it would be if its programs ran again: other ports of clients, other initial sequence numbers, times."""

from __future__ import annotations

from typing import Any

from analyzer.api.analysis import analyze


def packets_of(path: str) -> list[Any]:
    """The packets of a capture, for scapy."""
    from scapy.layers.inet import TCP, UDP  # noqa: F401
    from scapy.layers.inet6 import IPv6  # noqa: F401
    from scapy.layers.l2 import Ether  # noqa: F401
    from scapy.utils import rdpcap

    return list(rdpcap(path))


def recaptured(path: str, *, port: int = 7, isn: int = 0x12345678, later_s: int = 86_400, slower: int = 3) -> list[Any]:
    """The packets, changed; ``port``, ``isn`` are added, times are stretched."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6

    clients = {(str(one.client.address), one.client.port) for one in analyze(path).connections}
    packets = packets_of(path)
    first = packets[0].time
    for packet in packets:
        packet.time = first + later_s + (packet.time - first) * slower
        segment = packet[TCP] if TCP in packet else packet[UDP]
        network = packet[IP] if IP in packet else packet[IPv6]
        source, destination = (network.src, segment.sport), (network.dst, segment.dport)
        if source in clients:
            segment.sport += port
        if destination in clients:
            segment.dport += port
        if TCP in packet:
            mine, peers = (isn, isn >> 1) if source in clients else (isn >> 1, isn)
            segment.seq = (segment.seq + mine) & 0xFFFFFFFF
            if segment.flags.A:
                segment.ack = (segment.ack + peers) & 0xFFFFFFFF
            segment.options = [_moved(one, peers) for one in segment.options]
    return packets


def _moved(option: Any, peers: int) -> Any:
    """Edges of SACK blocks belong to the peer's numbers."""
    if option[0] != "SAck":
        return option
    return option[0], tuple((edge + peers) & 0xFFFFFFFF for edge in option[1])
