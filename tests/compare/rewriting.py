"""Captures made of other captures: with other clients' ports, sequence numbers and times; with packets left out."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.config import conf
    from scapy.layers.inet import IP, TCP, UDP, UDPerror
    from scapy.layers.inet6 import IPv6
    from scapy.packet import Packet
    from scapy.utils import PcapReader, PcapWriter

Change = Callable[[list[Packet]], Iterable[Packet]]


def rewritten(path: Path, to: Path, change: Change) -> Path:
    """The packets of a capture after a change that leaves their lengths as they are; checksums are made anew."""
    with PcapReader(str(path)) as reader:
        packets = list(reader)
    conf_of_link = {type(packet): conf.l2types.layer2num[type(packet)] for packet in packets}
    assert len(conf_of_link) == 1
    with PcapWriter(str(to), linktype=conf_of_link.popitem()[1], nano=True) as writer:
        for packet in change(packets):
            for layer in (IP, TCP, UDP):
                if layer in packet:
                    del packet[layer].chksum
            whole = packet.__class__(bytes(packet))
            whole.time, whole.wirelen = packet.time, packet.wirelen
            if IP in packet:  # of pcapng scapy forgets it
                whole.wirelen = len(packet) - len(packet[IP]) + packet[IP].len
            writer.write(whole)
    return to


def disguised(seed: int) -> Change:
    """What no two runs have in common is other: clients' ports, initial sequence numbers, timestamps, times."""
    chance = random.Random(seed)

    def change(packets: list[Packet]) -> Iterable[Packet]:
        ports: dict[tuple[str, int], int] = {}
        starts: dict[tuple[object, ...], int] = {}
        clocks = chance.randrange(1 << 32)
        first, later, pace = packets[0].time, Decimal(chance.randrange(10**6)), Decimal(chance.randrange(90, 110)) / 100
        servers = {_server_port(packet) for packet in packets} - {0}
        for packet in packets:
            packet.time = first + later + (packet.time - first) * pace
            network = packet.getlayer(IP) or packet.getlayer(IPv6)
            transport = packet.getlayer(TCP) or packet.getlayer(UDP)
            if network is None or transport is None:
                if UDPerror in packet:
                    packet[UDPerror].sport = ports[packet[IP].dst, packet[UDPerror].sport]
                yield packet
                continue
            ends = (network.src, transport.sport), (network.dst, transport.dport)
            new = [
                port if port in servers else ports.setdefault((address, port), 20_000 + len(ports) * 7)
                for address, port in ends
            ]
            if TCP in packet:
                flow, back = ends, ends[::-1]
                shift = starts.setdefault(flow, chance.randrange(1 << 32))
                other = starts.setdefault(back, chance.randrange(1 << 32))
                # A RST without ACK that answers a SYN has the number 0, which is nobody's.
                if not ("R" in str(transport.flags) and transport.seq == 0):
                    transport.seq = (transport.seq + shift) % 2**32
                if "A" in str(transport.flags):
                    transport.ack = (transport.ack + other) % 2**32
                transport.options = [_shifted(one, clocks, other) for one in transport.options]
            transport.sport, transport.dport = new
            yield packet

    return change


def _shifted(option: tuple[str, object], clock: int, other: int) -> tuple[str, object]:
    name, value = option
    if name == "Timestamp" and isinstance(value, tuple):
        return name, tuple((one + clock) % 2**32 if one else 0 for one in value)
    if name == "SAck" and isinstance(value, tuple):
        return name, tuple((edge + other) % 2**32 for edge in value)
    return option


def _server_port(packet: Packet) -> int:
    """Of a packet that says which end is the server's."""
    if TCP in packet and "S" in str(packet[TCP].flags):
        return int(packet[TCP].sport if "A" in str(packet[TCP].flags) else packet[TCP].dport)
    if UDP in packet:
        return min(int(packet[UDP].sport), int(packet[UDP].dport))
    return 0
