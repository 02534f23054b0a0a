"""Every table: its columns, their types, their units, one sentence each; and the codes that columns hold.

A batch of packets is a ``NamedTuple`` of NumPy arrays of one length: row i of every column speaks of the same packet.
``Frames`` is what a capture gives, ``Packets`` what decoding finds in it, ``Labels`` what the reconstruction says.
Connections and their two endpoints are structured arrays, one row each, that live as long as the analysis.

Widths in memory are as narrow as the field; kernels widen on load (see jit.py). Octets are what ``_len`` and
``_bytes`` count, nanoseconds what ``_ns`` counts; a time is nanoseconds since 1970-01-01 UTC; a packet is named by its
number in the capture, from 1, and 0 means that there is none.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from analyzer.traces import IcmpError

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]
"""A structured array: a table whose rows are connections or endpoints."""


# ---------------------------------------------------------------- codes


class Protocol(IntEnum):
    """What a packet is, as far down as it could be read."""

    OTHER = 0
    ARP = 1
    IPV4 = 2
    """IPv4 that carries none of those below."""
    IPV6 = 3
    ICMP = 4
    ICMPV6 = 5
    IGMP = 6
    SCTP = 7
    TCP = 8
    UDP = 9


class Status(IntEnum):
    """How well a packet's headers could be read."""

    WHOLE = 0
    CUT = 1
    """The captured octets end inside a header."""
    BAD = 2
    """A header contradicts itself."""
    FRAGMENT = 3
    """An IP fragment that did not complete its datagram: the packet that does has the transport header.

    A first fragment whose octets were not all captured is none: it is read as far as it goes.
    """


class Tunnel(IntEnum):
    """What carries a packet inside another."""

    NONE = 0
    IP = 1
    """An IP header right after another, of whatever versions."""
    GRE = 2
    PPTP = 3
    """PPP in GRE's version 1."""
    ERSPAN = 4
    VXLAN = 5
    GENEVE = 6
    GTP = 7
    L2TP = 8
    TEREDO = 9
    L2TPV3 = 10


class Phase(IntEnum):
    """A packet's place in its connection's life."""

    NONE = 0
    HANDSHAKE = 1
    DATA = 2
    TEARDOWN = 3


class Side(IntEnum):
    """An endpoint of a connection."""

    CLIENT = 0
    SERVER = 1


class Evidence(IntEnum):
    """Why an endpoint is taken for the client, the strongest first."""

    SYN = 1
    SYN_ACK = 2
    """The other endpoint answered a SYN that was not captured."""
    LISTENER = 3
    """The other endpoint is one of those where a program is known to listen."""
    NAMED = 4
    """The other endpoint was named as a server by the user."""
    FILTER = 5
    """The other endpoint's port is one that the filter asks for."""
    PORTS = 6
    """The other endpoint's port is a System Port, its own is not."""
    DATA = 7
    """What one of the two said, only a client says, or only a server (tcp/speakers.py)."""
    EPHEMERAL_PORT = 8
    """Its own port is from the range that clients are given, the other endpoint's is not."""
    FIRST_PACKET = 9
    """It sent the first packet seen."""


class ClosedBy(IntEnum):
    """Whose FIN came first."""

    NOBODY = 0
    CLIENT = 1
    SERVER = 2
    BOTH = 3
    """Simultaneous close: the FINs crossed."""


class Event(IntEnum):
    """What is remarkable about a segment: the number of its bit in ``Labels.events``.

    A fast or spurious retransmission has the bit of RETRANSMISSION too.
    """

    RETRANSMISSION = 0
    FAST_RETRANSMISSION = 1
    SPURIOUS_RETRANSMISSION = 2
    OUT_OF_ORDER = 3
    DUPLICATE_ACK = 4
    LOST_SEGMENT = 5
    ACK_LOST_SEGMENT = 6
    KEEP_ALIVE = 7
    KEEP_ALIVE_ACK = 8
    ZERO_WINDOW = 9
    ZERO_WINDOW_PROBE = 10
    ZERO_WINDOW_PROBE_ACK = 11
    WINDOW_FULL = 12
    WINDOW_UPDATE = 13
    REUSED_PORTS = 14
    # Beyond Wireshark's
    CAPTURE_DUPLICATE = 15
    """The capture has the packet twice: whatever else is said of it is Wireshark's, who knows no copies."""
    FAST_OPEN = 16
    """A SYN with payload (RFC 7413)."""
    DSACK = 17
    """Octets came twice (RFC 2883)."""
    URGENT = 18
    """The urgent pointer is in use."""
    ECN_SETUP = 19
    """A SYN that offers explicit congestion notification, or the answer that takes it (RFC 3168 6.1.1)."""
    CONGESTION_ECHO = 20
    """ECE: its sender got a packet that a router had marked (RFC 3168 6.1.3)."""
    WINDOW_REDUCED = 21
    """CWR: its sender has reduced its congestion window (RFC 3168 6.1.2)."""
    OLD_TIMESTAMP = 22
    """The timestamp is older than the latest that the receiver took: PAWS drops the segment (RFC 7323 5.3)."""
    MPTCP = 23
    """A SYN of Multipath TCP (RFC 8684)."""
    TURNED_ROUND = 24
    """The data tell that client and server are the other way round: labels of earlier packets have them exchanged."""


class Count(IntEnum):
    """What a run counts over all its connections."""

    CONNECTIONS = 0
    """Rows in use of the tables of connections."""
    SLOTS = 1
    """Entries of the table of 4-tuples."""
    STARTED = 2
    """Connections that there ever were."""
    CAPTURE_DUPLICATES = 3
    """Packets that the capture has again."""
    FIRST_CAPTURE_DUPLICATE = 4
    """The packet that is the first of them."""
    BEYOND_MSS = 5
    """Segments with more payload than their receiver's maximum segment size."""
    LONGEST_BEYOND_MSS = 6
    """Octets of payload of the longest of them."""


# TCP's control bits (RFC 9293 3.1)
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x100

# Bits of Packets.options: which of TCP's options the header carries
HAS_MSS, HAS_WINDOW_SCALE, HAS_SACK_PERMITTED, HAS_SACK, HAS_TIMESTAMPS, HAS_OTHER_OPTION = 1, 2, 4, 8, 16, 32
HAS_MPTCP = 64


# ---------------------------------------------------------------- batches of packets


class Frames(NamedTuple):
    """The frames of one batch, as the capture has them. ``data`` is read-only and valid until the next batch."""

    data: U8
    """Octets that hold the frames, among others: a window of the file, or a buffer."""
    start: I64
    """Offset in ``data`` of the frame's first octet; ``start + caplen <= len(data)`` always holds."""
    caplen: U32
    """Octets captured."""
    origlen: U32
    """Octets that were on the wire."""
    ts_ns: I64
    """Time of capture."""
    linktype: U16
    """LINKTYPE_ value of the interface (https://www.tcpdump.org/linktypes.html)."""
    interface: U16
    """Number of the capture's interface: the order of pcapng's interface descriptions, else 0."""
    number: I64
    """Number of the packet in the capture, from 1; a filter leaves gaps."""


class Packets(NamedTuple):
    """The headers of one batch. Columns beyond ``ip_version`` hold 0 where the packet has no such header.

    Of a packet in a tunnel they are the innermost headers.
    """

    status: U8
    """Status."""
    protocol: U8
    """Protocol."""
    depth: U8
    """Tunnels that the packet is in: IP headers before the one that the columns speak of."""
    tunnel: U8
    """The innermost of them: Tunnel."""
    fragments: U16
    """Fragments that the packet completes a datagram of; 0 when it came in one."""
    ip_version: U8
    """4, 6, or 0."""
    ttl: U8
    """Time to live, or hop limit."""
    ip_id: U16
    """IPv4 identification."""
    address: U32
    """uint32[n, 8]: the source's four words, the destination's four; an IPv4 address is the last word of its four.

    In an ICMP error that says ``unreachable`` they are those of the packet that it quotes, as are ports and ``seq``.
    """
    src_port: U16
    """Source port (TCP, UDP)."""
    dst_port: U16
    """Destination port (TCP, UDP)."""
    seq: U32
    """SEG.SEQ."""
    ack: U32
    """SEG.ACK, whether or not the ACK bit is set."""
    flags: U16
    """TCP's control bits, AE to FIN."""
    window: U16
    """SEG.WND as sent, not scaled."""
    payload_len: U32
    """Octets of payload by the IP header's length, however many were captured."""
    payload_start: I64
    """Offset in ``Frames.data`` of the payload; of the IP header in a FRAGMENT and where ``unreachable`` is not 0."""
    options: U8
    """Which TCP options are there: HAS_… bits."""
    mss: U16
    """Maximum segment size option."""
    window_scale: U8
    """Window scale option's shift count."""
    ts_val: U32
    """Timestamps option: the sender's clock."""
    ts_ecr: U32
    """Timestamps option: the echoed clock."""
    sack_blocks: U8
    """Blocks in the SACK option."""
    sack: U32
    """uint32[n, 8]: left and right edges of up to four SACK blocks."""
    unreachable: U8
    """Of an ICMP error: Unreachable and bits, see traces.py."""


class Labels(NamedTuple):
    """What the reconstruction says of each packet of one batch; states are those after it was sent and received."""

    connection: I64
    """Number of the packet's connection, from 1 in the order of their first packets; 0 none."""
    side: U8
    """Side that sent it."""
    phase: U8
    """Phase."""
    client_state: U8
    """State of the client."""
    server_state: U8
    """State of the server."""
    events: U32
    """Bit 1 << Event for each event."""
    seq: U32
    """SEG.SEQ relative to the sender's initial sequence number."""
    ack: U32
    """SEG.ACK relative to the receiver's initial sequence number."""
    refers_to: I64
    """Packet that the events speak of: what is retransmitted here, the ACK that is repeated; 0 none, or not known."""
    repeat: U32
    """How often the ACK has been repeated, this one included; 0 unless it is a DUPLICATE_ACK."""


def empty_packets(n: int) -> Packets:
    """Columns for n packets."""
    u1, u2, u4 = np.uint8, np.uint16, np.uint32
    return Packets(
        status=np.zeros(n, u1), protocol=np.zeros(n, u1), depth=np.zeros(n, u1), tunnel=np.zeros(n, u1),
        fragments=np.zeros(n, u2), ip_version=np.zeros(n, u1), ttl=np.zeros(n, u1),
        ip_id=np.zeros(n, u2), address=np.zeros((n, 8), u4), src_port=np.zeros(n, u2), dst_port=np.zeros(n, u2),
        seq=np.zeros(n, u4), ack=np.zeros(n, u4), flags=np.zeros(n, u2), window=np.zeros(n, u2),
        payload_len=np.zeros(n, u4), payload_start=np.zeros(n, np.int64), options=np.zeros(n, u1),
        mss=np.zeros(n, u2), window_scale=np.zeros(n, u1), ts_val=np.zeros(n, u4), ts_ecr=np.zeros(n, u4),
        sack_blocks=np.zeros(n, u1), sack=np.zeros((n, 8), u4), unreachable=np.zeros(n, u1),
    )  # fmt: skip


def empty_labels(n: int) -> Labels:
    """Columns for n packets."""
    u1, u4 = np.uint8, np.uint32
    return Labels(
        connection=np.zeros(n, np.int64), side=np.zeros(n, u1), phase=np.zeros(n, u1),
        client_state=np.zeros(n, u1), server_state=np.zeros(n, u1), events=np.zeros(n, u4),
        seq=np.zeros(n, u4), ack=np.zeros(n, u4), refers_to=np.zeros(n, np.int64), repeat=np.zeros(n, u4),
    )  # fmt: skip


class Batch(NamedTuple):
    """One batch of packets: what the capture gave, what decoding found, what the reconstruction says."""

    frames: Frames
    packets: Packets
    labels: Labels


def frames_at(frames: Frames, at: slice | I64) -> Frames:
    """Some frames of a batch; their octets stay where they are."""
    return Frames._make([frames.data, *(column[at] for column in frames[1:])])


def batch_at(batch: Batch, at: slice | I64) -> Batch:
    """Some packets of a batch."""
    packets = Packets._make(column[at] for column in batch.packets)
    labels = Labels._make(column[at] for column in batch.labels)
    return Batch(frames_at(batch.frames, at), packets, labels)


SNIPPET_LEN = 64
"""Octets kept of each payload in a Life."""


class Life(NamedTuple):
    """The packets of one connection, in order: columns of one length as in Frames, Packets and Labels."""

    number: I64
    ts_ns: I64
    side: U8
    phase: U8
    client_state: U8
    server_state: U8
    events: U32
    seq: U32
    ack: U32
    """Relative, as in Labels; so are ``seq`` and the edges of ``sack``."""
    flags: U16
    window: U16
    payload_len: U32
    options: U8
    mss: U16
    window_scale: U8
    sack_blocks: U8
    refers_to: I64
    repeat: U32
    sack: U32
    payload: list[bytes]
    """The first SNIPPET_LEN captured octets of each payload."""
    tunnels: list[str]
    """The tunnels that each packet came in, in words and in the client's direction (layers.py); empty for none."""
    omitted: int
    """Packets left out of the middle because there were too many."""
    errors: tuple[IcmpError, ...] = ()
    """What says that packets of it were not delivered, in order."""


# ---------------------------------------------------------------- connections

HISTORY_LEN = 32
"""Octets kept of a history; what comes after is not written down."""

CONNECTION = np.dtype(
    [
        ("address", np.uint32, (8,)),  # the client's four words, the server's four, as in Packets.address
        ("client_port", np.uint16),
        ("server_port", np.uint16),
        ("protocol", np.uint8),  # Protocol: TCP or UDP
        ("ip_version", np.uint8),
        ("client_evidence", np.uint8),  # Evidence
        ("completeness", np.uint8),  # Wireshark's bits, see SYN_SEEN and the following
        ("hash", np.uint32),  # of the 4-tuple, the same for both directions
        ("phase", np.uint8),  # Phase of the latest packet
        ("closed_by", np.uint8),  # ClosedBy
        ("history_len", np.uint8),
        ("late_data", np.uint8),  # payload was sent after the peer's FIN: bit 1 << Side of its sender
        ("former", np.int32),  # row of the incarnation before, plus one; 0 none
        ("unreachable", np.uint8),  # of the first ICMP error that quotes a packet of it: as in Packets
        ("unreachable_side", np.uint8),  # Side that sent this packet
        ("spoke_last", np.uint8),  # Side that sent the latest payload, plus one; 0 none
        ("number", np.int64),  # from 1, in the order of the first packets
        ("first_ns", np.int64),
        ("last_ns", np.int64),
        ("first_packet", np.int64),
        ("last_packet", np.int64),
        ("handshake_rtt_ns", np.int64),  # first ACK of the handshake after the last SYN; -1 unknown
        ("syn_ns", np.int64),  # the latest SYN without ACK
        ("initial_rtt_ns", np.int64),  # Wireshark's: the first ACK after that SYN, whoever sent it; 0 unknown
        ("phase_packets", np.uint32, (4,)),  # by Phase
        ("phase_first_ns", np.int64, (4,)),
        ("phase_last_ns", np.int64, (4,)),
        ("history", np.uint8, (HISTORY_LEN,)),  # Zeek's letters, ASCII
        # for explain/why.py (tcp/reasons.py); packets as ``packet_ahead`` has them, times in SHORT_NS
        ("unreachable_packet", np.uint32),  # that ICMP error
        ("answered_packet", np.uint32),  # what the first RST came right after, where its receiver had sent it
        ("nagle_packet", np.uint32),  # the first small write that waited for a delayed ACK
        ("nagle_time", np.uint32),  # how long all such writes waited
    ],
    align=True,
)
"""A connection (TCP) or a conversation (UDP)."""


def rows_of(connections: Rows, numbers: npt.ArrayLike) -> I64:
    """The row of each connection by its number; -1 where it is not there (any more).

    ``connections`` are the rows in use, in the order of their numbers.
    """
    wanted = np.asarray(numbers, np.int64)
    count = len(connections)
    if count == 0:
        return np.full(len(wanted), -1, np.int64)
    first, last = int(connections["number"][0]), int(connections["number"][-1])
    if last - first == count - 1:  # nothing between them was let go
        return np.where((wanted >= first) & (wanted <= last), wanted - first, -1)
    known = connections["number"]
    rows = np.searchsorted(known, wanted)
    return np.where(known[np.minimum(rows, count - 1)] == wanted, rows, -1)


# Bits of completeness (Wireshark's tcp.completeness)
SYN_SEEN, SYN_ACK_SEEN, ACK_SEEN, DATA_SEEN, FIN_SEEN, RST_SEEN = 1, 2, 4, 8, 16, 32

MOST_SQUARES = 1 << 62
"""Where ENDPOINT's ``rtt_squares`` end: past it the spread of the samples is not known."""

ENDPOINT = np.dtype(
    [
        # RFC 9293 3.3.1
        ("state", np.uint8),  # State
        ("opened", np.uint8),  # how it left CLOSED: Opened
        ("known", np.uint16),  # which of the variables below are known: KNOWS_… bits
        ("window_scale", np.int8),  # offered in its SYN; -1 none
        ("numbers_packets", np.uint8),  # whether its IPv4 identifications, 0 apart, were seen to differ
        ("mss", np.uint16),  # announced in its SYN; 0 none
        ("window", np.uint16),  # latest SEG.WND as sent
        ("ip_id", np.uint16),  # the latest of these
        ("iss", np.uint32),  # initial send sequence number
        ("snd_una", np.uint32),  # oldest sequence number not acknowledged by the peer
        ("snd_nxt", np.uint32),  # one after the highest sequence number that it sent
        ("rcv_nxt", np.uint32),  # next sequence number expected from the peer: all before was seen
        ("ahead_from", np.uint32),  # a stretch received ahead of rcv_nxt …
        ("ahead_to", np.uint32),  # … and one after its end
        ("beyond_to", np.uint32),  # one after the end of what came farther ahead and is not remembered
        ("ts_recent", np.uint32),  # TS.Recent (RFC 7323 4.3): the latest of the peer's timestamps that it took
        ("fin_seq", np.uint32),  # sequence number of its FIN
        ("ack", np.uint32),  # latest SEG.ACK that it sent
        # for explain/why.py (tcp/reasons.py)
        ("ttl", np.uint8),  # time to live, or hop limit, of its latest packet without RST
        ("tries", np.uint8),  # segments sent again and probes since the peer's latest segment, 255 at most
        ("tried", np.uint8),  # of which kinds: TRIED_… bits
        ("reset_traits", np.uint8),  # its first RST: RST_… bits
        # times
        ("closed_ns", np.int64),  # when it entered TIME-WAIT
        # packets that matter for its story
        ("syn_packet", np.int64),
        ("fin_packet", np.int64),
        ("fin_acked_packet", np.int64),  # the first that acknowledges its FIN
        ("rst_packet", np.int64),
        # Wireshark's view (tcp/events.py); a sequence number 0 is one that is not known
        ("nextseq", np.uint32),  # one after the highest sequence number that it sent, zero-window probes apart
        ("ackable_to", np.uint32),  # one after the highest sequence number up to which nothing that it sent is missing
        ("base_seq", np.uint32),  # what a SYN of this connection has
        ("last_ack", np.uint32),  # acknowledgement field of its latest segment
        ("last_ns", np.int64),  # when that was sent
        ("nextseq_ns", np.int64),  # when nextseq was sent
        ("ack_packet", np.int64),  # the first that acknowledged so far
        ("duplicate_acks_now", np.int32),  # how often it repeated that; -1 when it lagged behind what came
        ("unacked_first", np.int32),  # what it sent and was not acknowledged: row of UNACKED, the earliest segment …
        ("unacked_last", np.int32),  # … and the latest; 0 none
        ("unacked_count", np.uint16),
        ("seen", np.uint8),  # bits of tcp/events.py
        ("scale", np.uint8),  # of its window: 0 unknown, else the shift count and one, NO_SCALE
        # Zeek's view
        ("zeek_state", np.uint8),  # ZeekState
        ("zeek_before", np.uint8),  # ZeekState before the latest change
        ("history_once", np.uint8),  # letters written already: WROTE_… bits
        ("history_syn", np.uint32),  # sequence number of its latest SYN, FIN, RST
        ("history_fin", np.uint32),
        ("history_rst", np.uint32),
        ("history_gaps", np.uint32),
        ("history_retransmissions", np.uint32),
        ("history_zero_windows", np.uint32),
        # counters of what it sent; copies that the capture made count as packets, and as nothing else
        ("capture_duplicates", np.uint32),  # such copies
        ("packets", np.int64),
        ("payload_bytes", np.int64),
        ("unique_bytes", np.int64),
        ("retransmitted_bytes", np.int64),
        ("data_packets", np.uint32),
        ("pure_acks", np.uint32),
        ("retransmitted_packets", np.uint32),
        ("out_of_order_packets", np.uint32),
        ("duplicate_acks", np.uint32),
        ("zero_windows", np.uint32),
        ("zero_window_probes", np.uint32),
        ("resets", np.uint32),
        ("syns", np.uint32),
        ("fins", np.uint32),
        ("sacks", np.uint32),
        ("triple_duplicate_acks", np.uint32),  # ACKs that were repeated three times
        ("aside_bytes", np.uint32),  # of unique_bytes, those sent in the handshake and the teardown …
        ("handshake_bytes", np.uint32),  # … and of these, those in the handshake
        ("stalled", np.uint32),  # how long its window was zero, in SHORT_NS, without the time since stalled_from
        # measures of what it sent (tcp/measures.py)
        ("max_idle_ns", np.int64),  # the longest time between two of its segments
        ("rtt_samples", np.uint32),  # round trips measured, from its segment to the peer's ACK
        ("max_in_flight", np.uint32),  # SND.NXT - SND.UNA after a segment with payload; their sum is below
        ("min_rtt_ns", np.int64),
        ("max_rtt_ns", np.int64),
        ("rtt_sum_ns", np.int64),
        ("rtt_squares", np.int64),  # sum of the squares in units of 2**20 ns**2, at most MOST_SQUARES
        ("in_flight_sum", np.int64),
        ("window_sum", np.int64),
        ("windows", np.uint32),  # windows advertised, after the SYN; scaled when both SYNs were seen
        ("min_window", np.uint32),
        ("max_window", np.uint32),
        # for explain/why.py (tcp/reasons.py)
        ("last_len", np.uint16),  # payload of its latest segment; NOT_PLAIN of SYN, FIN and RST, and at most that
        ("reset_idle_s", np.uint16),  # seconds of silence on the connection before its first RST
        ("stalled_from", np.uint32),  # since when its window is zero: SHORT_NS after first_ns, plus one; 0 it is not
        ("stalled_longest", np.uint32),  # in SHORT_NS
        ("stalled_packet", np.uint32),  # the first with a zero window, as ``packet_ahead`` has it
        ("nagle_waits", np.uint16),  # its small writes that waited for a delayed ACK; those of one side are counted
        ("ignored_acks", np.uint8),  # SYN-ACKs that it sent again though the ACK of one was seen
        ("reset_ttl", np.uint8),  # time to live of its first RST
    ],
    align=True,
)
"""One end of a connection, what it sent and what was sent to it. Rows are ``[connection, Side]``."""

UNACKED = np.dtype(
    [
        ("next", np.int32),  # row of the segment sent after it, 0 none
        ("seq", np.uint32),  # its first sequence number, or the first that is not acknowledged
        ("end", np.uint32),  # one after its last sequence number
        ("advances", np.uint8),  # 1 when nothing up to its end had been sent before
        ("packet", np.int64),
        ("ts_ns", np.int64),  # when it was sent
    ],
    align=True,
)
"""A segment that has not been acknowledged: those of an endpoint are a chain, row 0 is none (unacknowledged.py)."""

# Bits of known
KNOWS_ISS, KNOWS_SND, KNOWS_RCV, SENT_FIN, KNOWS_AHEAD, GOT_ACK, GOT_FIN, KNOWS_BEYOND = 1, 2, 4, 8, 16, 32, 64, 128
KNOWS_TS_RECENT = 256

KNOWN_SERVER = np.dtype(
    [
        ("evidence", np.uint8),  # Evidence: how it is known
        ("protocol", np.uint8),  # Protocol: TCP or UDP; 0 both
        ("ip_version", np.uint8),  # 0 both
        ("port", np.uint16),  # 0 any
        ("address", np.uint32, (4,)),  # words as in Packets.address: an IPv4 address is the last, the others are 0
        ("mask", np.uint32, (4,)),
    ],
    align=True,
)
"""An end that is a server's. An address of this version matches when ``address & mask`` is equal."""

NO_SERVERS: Rows = np.zeros(0, KNOWN_SERVER)
NO_SERVERS.flags.writeable = False
