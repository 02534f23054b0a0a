"""One notation for conversations, and a table that says what was made of one.

A line is a packet; what follows ``#`` is for the reader::

    [+SECONDS] FROM > TO  FLAGS SEQ[:END] [ack N] [win N] [mss N] [wscale N] [sackOK] [ts VAL ECR] [sack LEFT:RIGHT,…]
                                          [id N] [ttl N]
    [+SECONDS] FROM > TO  UDP OCTETS [id N]
    [+SECONDS] FROM > TO  ICMP TYPE CODE N    an ICMP error that quotes packet N

    C > S  S 100 mss 1460         SYN
    S > C  SA 300 ack 101         SYN,ACK
    C > S  PA 101:106 ack 301     five octets of payload, from sequence number 101 on
    +0.2 C > S  F 106             0.2 s after the packet before, without ACK; usually it is a millisecond

FLAGS are tcpdump's letters S F R P U E W, A for ACK, ``-`` for none. ``SEQ:END`` is the payload; a SYN or FIN counts
besides. Numbers are taken modulo 2**32. C and A open from a client's port, S and B have a server's; R is a router;
``Hosts`` gives other addresses. The window is 1000 until ``win`` says otherwise, the IPv4 identification 0, the time to
live 64. Checksums are 0.

``told`` plays such lines through decoding and reconstruction and writes each again with what was made of it::

    C > S  S 100        | handshake SYN-SENT SYN-RECEIVED
    +300 C > S  S 700   | #2 handshake SYN-SENT SYN-RECEIVED reused_ports

which is the connection's number when it is not the first, the phase, the client's and the server's state, the events
(unless they are left out). ``check`` compares a text that holds such columns with what ``told`` makes of its lines.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analyzer.decode.packets import decode
from analyzer.tables import (
    ACK,
    CWR,
    ECE,
    FIN,
    HAS_MPTCP,
    HAS_MSS,
    HAS_SACK,
    HAS_SACK_PERMITTED,
    HAS_TIMESTAMPS,
    HAS_WINDOW_SCALE,
    PSH,
    RST,
    SYN,
    URG,
    Event,
    Frames,
    Labels,
    Packets,
    Phase,
    Protocol,
    Status,
    empty_packets,
)
from analyzer.tcp.reconstruct import Reconstruction
from analyzer.tcp.states import State

Hosts = dict[str, tuple[str, int]]
"""A host's letter, its address and its port."""

HOSTS: Hosts = {
    "C": ("10.0.0.1", 40000),
    "S": ("10.0.0.2", 80),
    "A": ("10.0.0.3", 40001),
    "B": ("10.0.0.4", 50002),
    "R": ("10.0.0.254", 0),
}

LETTERS = {"S": SYN, "F": FIN, "R": RST, "P": PSH, "A": ACK, "U": URG, "E": ECE, "W": CWR, "-": 0}

START_NS = 1_700_000_000_000_000_000
USUAL_PAUSE_NS = 1_000_000
USUAL_WINDOW = 1000

HEAD = re.compile(r"(?:\+(?P<pause>[\d.]+)\s+)?(?P<source>\w) > (?P<destination>\w)\s+(?P<rest>.+)")


class Segment(NamedTuple):
    """A packet of a conversation: a TCP segment, a UDP datagram when ``flags`` is -1, an ICMP error when it is -2."""

    ts_ns: int
    source: str
    destination: str
    flags: int
    seq: int = 0
    ack: int = 0
    payload_len: int = 0
    window: int = USUAL_WINDOW
    mss: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    timestamps: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()
    ip_id: int = 0
    ttl: int = 64
    mptcp: bool = False
    icmp: tuple[int, int] = (0, 0)
    quotes: int = 0

    @property
    def seq_end(self) -> int:
        """SEG.SEQ + SEG.LEN."""
        return (self.seq + self.payload_len + bool(self.flags & SYN) + bool(self.flags & FIN)) % 2**32


def parse(text: str) -> list[Segment]:
    """The packets of a conversation; what stands after ``|`` or ``#`` in a line is left out."""
    segments: list[Segment] = []
    ts_ns = START_NS
    for line in packet_lines(text):
        head = HEAD.fullmatch(re.split(r"[|#]", line)[0].strip())
        assert head, f"not a packet: {line}"
        ts_ns += round(float(head["pause"]) * 1e9) if head["pause"] else USUAL_PAUSE_NS
        segments.append(_packet(Segment(ts_ns, head["source"], head["destination"], -1), head["rest"].split()))
    return segments


def packet_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def _packet(packet: Segment, words: list[str]) -> Segment:
    if words[0] == "UDP":
        ip_id = int(words[3]) if words[2:3] == ["id"] else 0
        return packet._replace(payload_len=int(words[1]), ip_id=ip_id)
    if words[0] == "ICMP":
        kind, code, quotes = map(int, words[1:])
        return packet._replace(flags=-2, icmp=(kind, code), quotes=quotes)
    seq, _, end = words[1].partition(":")
    packet = packet._replace(
        flags=sum(LETTERS[letter] for letter in words[0]),
        seq=int(seq) % 2**32,
        payload_len=int(end) - int(seq) if end else 0,
    )
    rest = iter(words[2:])
    for word in rest:
        match word:
            case "ack":
                packet = packet._replace(ack=int(next(rest)) % 2**32)
            case "win":
                packet = packet._replace(window=int(next(rest)))
            case "mss":
                packet = packet._replace(mss=int(next(rest)))
            case "wscale":
                packet = packet._replace(window_scale=int(next(rest)))
            case "sackOK":
                packet = packet._replace(sack_permitted=True)
            case "ts":
                packet = packet._replace(timestamps=(int(next(rest)), int(next(rest))))
            case "sack":
                blocks = [block.split(":") for block in next(rest).split(",")]
                packet = packet._replace(sack=tuple((int(left), int(right)) for left, right in blocks))
            case "mptcp":
                packet = packet._replace(mptcp=True)
            case "id":
                packet = packet._replace(ip_id=int(next(rest)))
            case "ttl":
                packet = packet._replace(ttl=int(next(rest)))
            case _:
                raise ValueError(f"unknown word: {word}")
    return packet


# ---------------------------------------------------------------- octets


def frames(segments: Sequence[Segment], hosts: Hosts = HOSTS) -> Frames:
    """The conversation as a capture has it: Ethernet, IPv4 or IPv6, TCP or UDP."""
    octets: list[bytes] = []
    for segment in segments:
        octets.append(frame(segment, hosts, octets[segment.quotes - 1][14:] if segment.quotes else b""))
    return batch(octets, [segment.ts_ns for segment in segments])


def batch(octets: Sequence[bytes], ts_ns: Sequence[int] | None = None, linktype: int = 1) -> Frames:
    """These frames, uncut, one after the other."""
    lengths = np.array([len(frame) for frame in octets], np.int64)
    data = np.frombuffer(b"".join(octets), np.uint8)
    numbers = np.arange(1, len(octets) + 1, dtype=np.int64)
    times = START_NS + numbers if ts_ns is None else np.array(ts_ns, np.int64)
    made = Frames(
        data=data, start=np.cumsum(lengths) - lengths, caplen=lengths.astype(np.uint32),
        origlen=lengths.astype(np.uint32), ts_ns=times, linktype=np.full(len(octets), linktype, np.uint16),
        interface=np.zeros(len(octets), np.uint16), number=numbers,
    )  # fmt: skip
    return read_only(made)


def read_only(columns: Frames) -> Frames:
    """The same columns, as captures give them."""
    for column in columns:
        column.flags.writeable = False
    return columns


def frame(segment: Segment, hosts: Hosts = HOSTS, quoted: bytes = b"") -> bytes:
    """The octets of a packet; ``quoted`` is what an ICMP error quotes."""
    (source, src_port), (destination, dst_port) = hosts[segment.source], hosts[segment.destination]
    source_octets, destination_octets = (ipaddress.ip_address(one).packed for one in (source, destination))
    if segment.flags == -2:
        protocol = 1 if len(source_octets) == 4 else 58
        transport = struct.pack("!BBHI", *segment.icmp, 0, 0) + quoted
    elif segment.flags < 0:
        protocol = 17
        transport = struct.pack("!4H", src_port, dst_port, 8 + segment.payload_len, 0)
    else:
        protocol = 6
        options = tcp_options(segment)
        words = (20 + len(options)) // 4
        transport = struct.pack(
            "!HHIIHHHH", src_port, dst_port, segment.seq, segment.ack, words << 12 | segment.flags, segment.window, 0, 0
        )
        transport += options
    transport += bytes(segment.payload_len)
    if len(source_octets) == 4:
        network = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(transport), segment.ip_id, 0, segment.ttl, protocol, 0)
    else:
        network = struct.pack("!IHBB", 6 << 28, len(transport), protocol, segment.ttl)
    ethertype = b"\x08\x00" if len(source_octets) == 4 else b"\x86\xdd"
    return bytes(12) + ethertype + network + source_octets + destination_octets + transport


def tcp_options(segment: Segment) -> bytes:
    octets = b""
    if segment.mss is not None:
        octets += struct.pack("!BBH", 2, 4, segment.mss)
    if segment.window_scale is not None:
        octets += struct.pack("!BBB", 3, 3, segment.window_scale)
    if segment.sack_permitted:
        octets += b"\x04\x02"
    if segment.timestamps is not None:
        octets += struct.pack("!BBII", 8, 10, *segment.timestamps)
    if segment.sack:
        edges = [edge for block in segment.sack for edge in block]
        octets += struct.pack(f"!BB{len(edges)}I", 5, 2 + 4 * len(edges), *edges)
    if segment.mptcp:
        octets += b"\x1e\x04\x01\x81"  # MP_CAPABLE of version 1, HMAC-SHA256 (RFC 8684 3.1)
    return octets + bytes(-len(octets) % 4)


def packets(segments: Sequence[Segment], hosts: Hosts = HOSTS) -> Packets:
    """The conversation as decoding would have it (``payload_start`` apart), without octets."""
    columns = empty_packets(len(segments))
    for i, segment in enumerate(segments):
        (source, src_port), (destination, dst_port) = hosts[segment.source], hosts[segment.destination]
        ip = ipaddress.ip_address(source)
        columns.status[i] = Status.WHOLE
        columns.protocol[i] = Protocol.UDP if segment.flags < 0 else Protocol.TCP
        columns.ip_version[i] = ip.version
        columns.ttl[i] = segment.ttl
        if ip.version == 4:
            columns.ip_id[i] = segment.ip_id
        for k, address in ((0, ip), (4, ipaddress.ip_address(destination))):
            columns.address[i, k : k + 4] = np.frombuffer(address.packed.rjust(16, b"\0"), ">u4")
        columns.src_port[i], columns.dst_port[i] = src_port, dst_port
        columns.payload_len[i] = segment.payload_len
        if segment.flags < 0:
            continue
        columns.seq[i], columns.ack[i], columns.flags[i] = segment.seq, segment.ack, segment.flags
        columns.window[i] = segment.window
        options = 0
        if segment.mss is not None:
            columns.mss[i] = segment.mss
            options |= HAS_MSS
        if segment.window_scale is not None:
            columns.window_scale[i] = segment.window_scale
            options |= HAS_WINDOW_SCALE
        if segment.sack_permitted:
            options |= HAS_SACK_PERMITTED
        if segment.timestamps is not None:
            columns.ts_val[i], columns.ts_ecr[i] = segment.timestamps
            options |= HAS_TIMESTAMPS
        if segment.sack:
            columns.sack_blocks[i] = len(segment.sack)
            columns.sack[i, : 2 * len(segment.sack)] = [edge for block in segment.sack for edge in block]
            options |= HAS_SACK
        if segment.mptcp:
            options |= HAS_MPTCP
        columns.options[i] = options
    return columns


# ---------------------------------------------------------------- what was made of it


class Story(NamedTuple):
    """A conversation and what was made of it."""

    reconstruction: Reconstruction
    frames: Frames
    packets: Packets
    labels: Labels


def play(conversation: str | Sequence[Segment], hosts: Hosts = HOSTS) -> Story:
    """Decode and reconstruct a conversation."""
    captured = frames(parse(conversation) if isinstance(conversation, str) else conversation, hosts)
    decoded = decode(captured)
    reconstruction = Reconstruction()
    return Story(reconstruction, captured, decoded, reconstruction.feed(captured, decoded))


def columns(labels: Labels, *, events: bool = True) -> list[str]:
    """What is said of each packet: connection (when not the first), phase, states, and the events unless left out."""
    said = []
    for i, number in enumerate(labels.connection.tolist()):
        words = [f"#{number}"] if number > 1 else [] if number else ["–"]
        words.append(Phase(int(labels.phase[i])).name.lower())
        words += [State(int(state[i])).name.replace("_", "-") for state in (labels.client_state, labels.server_state)]
        if events:
            bits = int(labels.events[i])
            if bits & 1 << Event.CAPTURE_DUPLICATE:
                bits = 1 << Event.CAPTURE_DUPLICATE  # the others are what Wireshark says of a copy
            words += [event.name.lower() for event in Event if bits >> event & 1]
        said.append(" ".join(words))
    return said


def told(text: str, hosts: Hosts = HOSTS, *, events: bool = True) -> list[str]:
    """Each packet of the text and what was made of it; spaces count once."""
    lines = [line.split("|")[0] for line in packet_lines(text)]
    said = columns(play("\n".join(lines), hosts).labels, events=events)
    return [" ".join(f"{line} | {what}".split()) for line, what in zip(lines, said, strict=True)]


def check(text: str, hosts: Hosts = HOSTS, *, events: bool = True) -> None:
    """Hold what a text says of its packets against what is made of them."""
    assert told(text, hosts, events=events) == [" ".join(line.split()) for line in packet_lines(text)]
