"""Records the packets of one interface, each once, with the kernel's time stamps in nanoseconds.

A loopback packet passes a packet socket twice, on its way out and on its way in; the recorder leaves the first out. No
thread reads along: the packets wait in the socket's buffer until somebody waits for a condition on them.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from capture_file import ETHERNET, RAW_IP, Packet, write_pcap, write_pcapng

FIN, SYN, RST, ACK = 1, 2, 4, 16

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING = 263, 6, 23
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@qq")


class Segment(NamedTuple):
    source: int
    destination: int
    seq: int
    ack: int
    flags: int
    window: int
    payload_len: int


class Recorder:
    """Everything that arrives on an interface; with ``outgoing``, also what leaves by it.

    ``snaplen`` is the number of octets of each packet that the file keeps.
    """

    def __init__(self, interface: str = "lo", *, outgoing: bool = False, snaplen: int = 262144) -> None:
        self.interface, self.snaplen = interface, snaplen
        self.linktype = ETHERNET if interface == "lo" else RAW_IP
        self.packets: list[Packet] = []
        self.segments: list[Segment] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, not outgoing)
        self._socket.bind((interface, ETH_P_ALL))

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Take packets until the condition holds; TimeoutError when it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-6))
            try:
                self._take()
            except TimeoutError:
                seen = "\n".join(map(str, self.segments))
                raise TimeoutError(f"{len(self.packets)} packets came, not what was waited for:\n{seen}") from None

    def until_packets(self, count: int) -> None:
        self.until(lambda: len(self.packets) >= count)

    def until_closed(self, connections: int = 1) -> None:
        """Until so many connections are over: reset, or both FINs acknowledged."""
        self.until(lambda: self._closed() >= connections)

    def write(self, path: Path) -> int:
        """Write the packets taken so far as pcap or pcapng, by the path's suffix; return their number."""
        _, drops = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert not drops, f"the kernel dropped {drops} packets"
        self._socket.close()
        times = [packet.ts_ns for packet in self.packets]
        assert times == sorted(times), "the time stamps step back"
        if path.suffix == ".pcapng":
            write_pcapng(path, self.packets, self.linktype, snaplen=self.snaplen, interface=self.interface)
        else:
            write_pcap(path, self.packets, self.linktype, snaplen=self.snaplen, nanoseconds=True)
        return len(self.packets)

    def _take(self) -> None:
        frame, ancillary, _, _ = self._socket.recvmsg(1 << 17, socket.CMSG_SPACE(TIMESPEC.size))
        seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
        ts_ns = seconds * 1_000_000_000 + nanoseconds
        self.packets.append(Packet(ts_ns, frame[: self.snaplen], len(frame)))
        packet = frame[14:] if self.linktype == ETHERNET else frame
        self.segments.extend(_segments(packet))

    def _closed(self) -> int:
        connections: dict[frozenset[int], list[Segment]] = {}
        for segment in self.segments:
            connections.setdefault(frozenset((segment.source, segment.destination)), []).append(segment)
        return sum(_is_closed(segments) for segments in connections.values())


def _segments(packet: bytes) -> list[Segment]:
    """The TCP segment of an IPv4 packet, or of an IPv6 packet without extension headers; none of another one."""
    if packet[0] >> 4 == 4:
        header_len, protocol, packet_len = (packet[0] & 15) * 4, packet[9], int.from_bytes(packet[2:4])
    else:
        header_len, protocol, packet_len = 40, packet[6], 40 + int.from_bytes(packet[4:6])
    if protocol != socket.IPPROTO_TCP:
        return []
    source, destination, seq, ack, offset, flags, window = struct.unpack_from("!HHIIBBH", packet, header_len)
    payload_len = packet_len - header_len - (offset >> 4) * 4
    return [Segment(source, destination, seq, ack, flags, window, payload_len)]


def _is_closed(segments: list[Segment]) -> bool:
    if any(segment.flags & RST for segment in segments):
        return True
    fins = [segment for segment in segments if segment.flags & FIN]
    after_fin = {(fin.destination, (fin.seq + fin.payload_len + 1) % 2**32) for fin in fins}
    return len({fin.source for fin in fins}) == 2 and after_fin <= {(one.source, one.ack) for one in segments}
