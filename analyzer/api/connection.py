"""A connection of an analysis, as callers see it: a light view of its rows, which looks at packets when asked.

Words are those of the records (``tcpflow-view export``): phases, states, events, causes. A value that is not known is
None. Sides are ``client`` and ``server``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from analyzer.errors import UsageError
from analyzer.explain import walk
from analyzer.export.connections import PROTOCOL_WORDS, STATE_WORDS
from analyzer.export.packets import EVENT_WORDS, FLAG_WORDS, PHASE_WORDS, SIDE_WORDS
from analyzer.language import _
from analyzer.render.addresses import address, port
from analyzer.render.screen import NARROWEST, Screen
from analyzer.tables import ACK, Life, Side

if TYPE_CHECKING:
    from analyzer.api.analysis import Analysis

SideName = Literal["client", "server"]


class Endpoint(NamedTuple):
    """One end of a connection; as text ``127.0.0.1:1235`` or ``[::1]:1235``."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class States(NamedTuple):
    """The states that each side went through, in order, by their names in RFC 9293; empty for UDP.

    One that a segment leads through at once, as FIN-WAIT-2 when the peer's FIN acknowledges too, is among them.
    """

    client: tuple[str, ...]
    server: tuple[str, ...]


class Visit(NamedTuple):
    """A state that a side was in."""

    state: str
    packet: int | None
    """Number of the packet that led there; None where the side was there before the first one."""
    ts_ns: int
    """When; the first packet's time where it was there before."""
    is_assumed: bool
    """Nothing that the side sent shows it."""


class Visits(NamedTuple):
    """The states of ``States``, each with what led there."""

    client: tuple[Visit, ...]
    server: tuple[Visit, ...]


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """The packets of one phase. ``…_bytes`` count payload, each octet once."""

    packets: int
    first_ns: int | None
    last_ns: int | None
    client_bytes: int
    client_throughput_bps: int | None
    server_bytes: int
    server_throughput_bps: int | None


class Phases(NamedTuple):
    """The three phases of a TCP connection; as text the names of those that have packets."""

    handshake: PhaseSpan
    data: PhaseSpan
    teardown: PhaseSpan

    def __str__(self) -> str:
        return " ".join(name for name, span in zip(self._fields, self, strict=True) if span.packets)


@dataclass(frozen=True, slots=True)
class Sent:
    """What one side sent: the columns ``client_sent`` and ``server_sent`` of the records, with the same names."""

    packets: int
    payload_bytes: int
    unique_bytes: int
    data_packets: int
    pure_acks: int
    retransmitted_packets: int
    retransmitted_bytes: int
    out_of_order_packets: int
    duplicate_acks: int
    zero_windows: int
    zero_window_probes: int
    resets: int
    syns: int
    fins: int
    sacks: int
    mss: int | None
    window_scale: int | None
    min_rtt_ns: int | None
    max_rtt_ns: int | None
    mean_rtt_ns: int | None
    rtt_samples: int
    stdev_rtt_ns: int | None
    max_idle_ns: int | None
    triple_duplicate_acks: int
    max_in_flight: int | None
    mean_in_flight: int | None
    min_window: int | None
    max_window: int | None
    mean_window: int | None
    throughput_bps: int | None
    data_throughput_bps: int | None
    capture_duplicates: int


class Packet(NamedTuple):
    """One packet of a connection."""

    number: int
    """In the capture, from 1."""
    ts_ns: int
    """When it was captured, in nanoseconds since 1970-01-01 UTC."""
    sender: SideName
    phase: str
    """``handshake``, ``data``, ``teardown`` or ``none``."""
    client_state: str | None
    """Of the client after it was sent and received; None for UDP."""
    server_state: str | None
    flags: str
    """tcpdump's letters; empty for UDP."""
    seq: int
    """Relative to its sender's initial sequence number."""
    ack: int | None
    """Relative to the receiver's; None without the ACK bit."""
    window: int
    """As sent, not scaled."""
    payload_len: int
    snippet: bytes
    """The first octets of its payload, 64 at most; ``Connection.bytes_from`` has all."""
    events: tuple[str, ...]
    refers_to: int | None
    """The packet that the events speak of."""


class PacketEvent(NamedTuple):
    """Something remarkable about a packet."""

    event: str
    packet: int
    """The packet's number."""
    sender: SideName
    ts_ns: int
    refers_to: int | None
    """Another packet that it speaks of, as the one that is sent again."""


class Connection:
    """One TCP connection, or one UDP conversation.

    ``packets``, ``events``, ``states``, ``bytes_from`` and ``ladder`` read the capture once more, for this connection
    and those after it, so that asking one after the other is cheap.
    """

    __slots__ = ("_analysis", "_row")

    def __init__(self, analysis: Analysis, row: int) -> None:
        self._analysis, self._row = analysis, row

    def __repr__(self) -> str:
        return f"<Connection {self}>"

    def __str__(self) -> str:
        ends = f"{self.number}: {self.client} → {self.server}"
        return f"{ends}, {self.cause}" if self.cause else ends

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Connection) and other._analysis is self._analysis
        return same and isinstance(other, Connection) and other._row == self._row

    def __hash__(self) -> int:
        return hash((id(self._analysis), self._row))

    @property
    def number(self) -> int:
        """From 1, in the order of the first packets."""
        return int(self._analysis.rows[0][self._row]["number"])

    @property
    def protocol(self) -> str:
        """``tcp`` or ``udp``."""
        return PROTOCOL_WORDS[int(self._analysis.rows[0][self._row]["protocol"])]

    @property
    def client(self) -> Endpoint:
        """The end that opened the connection; ``client_evidence`` says how that is known."""
        return self._end(Side.CLIENT)

    @property
    def server(self) -> Endpoint:
        """The other end."""
        return self._end(Side.SERVER)

    def _end(self, side: Side) -> Endpoint:
        row = self._analysis.rows[0][self._row]
        return Endpoint(address(row, side), port(row, side))

    @property
    def first_ns(self) -> int:
        """When its first packet was captured, in nanoseconds since 1970-01-01 UTC."""
        return int(self._analysis.rows[0][self._row]["first_ns"])

    @property
    def last_ns(self) -> int:
        """When its last packet was."""
        return int(self._analysis.rows[0][self._row]["last_ns"])

    @property
    def duration_ns(self) -> int:
        """From its first packet to its last."""
        return self.last_ns - self.first_ns

    def record(self) -> dict[str, Any]:
        """Its record, as ``tcpflow-view export`` writes it."""
        return deepcopy(self._record)

    @property
    def _record(self) -> dict[str, Any]:
        return self._analysis.record(self._row)

    @property
    def client_evidence(self) -> str:
        """Why the client is taken for it, as ``syn``."""
        return str(self._record["client_evidence"])

    @property
    def client_state(self) -> str | None:
        """The client's state in the end; None for UDP."""
        return self._word("client_state")

    @property
    def server_state(self) -> str | None:
        """The server's state in the end; None for UDP."""
        return self._word("server_state")

    @property
    def verdict(self) -> str | None:
        """Zeek's ``conn_state``; None for UDP."""
        return self._word("verdict")

    @property
    def history(self) -> str | None:
        """Zeek's letters; None for UDP."""
        return self._word("history")

    @property
    def completeness(self) -> int | None:
        """Wireshark's bits; None for UDP."""
        bits: int | None = self._record["completeness"]
        return bits

    @property
    def closed_by(self) -> str | None:
        """``client``, ``server``, ``both`` (the FINs crossed), or None."""
        return self._word("closed_by")

    @property
    def cause(self) -> str | None:
        """Why it ended, or has not, as a word: ``closed_by_server``, ``refused``; None for UDP that was not refused."""
        return self._word("cause")

    @property
    def why(self) -> str:
        """The same in sentences, which name the packets that prove it."""
        return self._word("why") or ""

    def _word(self, name: str) -> str | None:
        word: str | None = self._record[name]
        return word

    @property
    def evidence(self) -> tuple[int, ...]:
        """The packets that ``why`` names."""
        return tuple(self._record["evidence"] or ())

    @property
    def handshake_rtt_ns(self) -> int | None:
        """From the SYN to the ACK that ends the handshake."""
        rtt_ns: int | None = self._record["handshake_rtt_ns"]
        return rtt_ns

    @property
    def phases(self) -> Phases:
        """Its three phases. Raises UsageError for UDP, which has none."""
        if self.protocol != "tcp":
            raise UsageError(_("connection {number} is UDP: it has no phases").format(number=self.number))
        phases = self._record["phases"]
        return Phases(*(PhaseSpan(**phases[name]) for name in Phases._fields))

    @property
    def lifecycle(self) -> str:
        """The phases that have packets, as ``handshake data teardown``; empty for UDP."""
        return str(self.phases) if self.protocol == "tcp" else ""

    @property
    def client_sent(self) -> Sent:
        """What the client sent."""
        return Sent(**self._record["client_sent"])

    @property
    def server_sent(self) -> Sent:
        """What the server sent."""
        return Sent(**self._record["server_sent"])

    @property
    def states(self) -> States:
        """The states that each side went through."""
        return States(*(tuple(visit.state for visit in side) for side in self.visits))

    @property
    def visits(self) -> Visits:
        """The same states with the packets that led there."""
        if self.protocol != "tcp":
            return Visits((), ())
        paths = walk.walk(self._analysis.life(self._row))
        return Visits(*(tuple(map(_visit, path)) for path in paths))

    @property
    def packets(self) -> Packets:
        """Its packets, in the order of the capture."""
        return Packets(self._analysis.life(self._row), self.protocol == "tcp")

    @property
    def events(self) -> tuple[PacketEvent, ...]:
        """What is remarkable about its packets, in their order."""
        return tuple(
            PacketEvent(event, packet.number, packet.sender, packet.ts_ns, packet.refers_to)
            for packet in self.packets
            for event in packet.events
        )

    def bytes_from(self, side: SideName, *, gaps: bytes | None = None) -> bytes:
        """What a side said: each octet once, in order.

        ``gaps`` stands for each octet that the capture does not have: ``b"\\0"`` keeps the offsets, ``b""`` leaves it
        out. Without it such octets raise MissingOctetsError.
        """
        if side not in SIDE_WORDS:
            raise UsageError(_("a side is client or server, not {side}").format(side=side))
        return self._analysis.said(self._row, Side[side.upper()], gaps)

    def ladder(self, width: int = 100, *, whole: bool = False, marked: int = 0) -> str:
        """Its packets between two lifelines, as ``tcpflow-view read`` draws them.

        ``whole``: nothing is left out. ``marked`` is the number of a packet that is pointed at; 0 none.
        """
        screen = Screen(width=max(width, NARROWEST))
        return "\n".join(line.rstrip() for line in self.drawn(screen, whole=whole, marked=marked))

    def drawn(self, screen: Screen, *, whole: bool = False, marked: int = 0) -> Iterator[str]:
        """The ladder's lines for a screen."""
        return self._analysis.ladder(self._row, screen, whole=whole, marked=marked)


def _visit(visit: walk.Visit) -> Visit:
    return Visit(STATE_WORDS[visit.state], visit.packet or None, visit.entered_ns, visit.is_assumed)


class Packets(Sequence[Packet]):
    """The packets of one connection; each is made when it is asked for."""

    def __init__(self, life: Life, is_tcp: bool) -> None:
        self._life, self._is_tcp = life, is_tcp

    def __len__(self) -> int:
        return len(self._life.number)

    def __repr__(self) -> str:
        return f"<{len(self)} packets>"

    @overload
    def __getitem__(self, index: int) -> Packet: ...
    @overload
    def __getitem__(self, index: slice) -> list[Packet]: ...
    def __getitem__(self, index: int | slice) -> Packet | list[Packet]:
        if isinstance(index, slice):
            return [self._packet(i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._packet(index % len(self))

    def __iter__(self) -> Iterator[Packet]:
        return map(self._packet, range(len(self)))

    def _packet(self, i: int) -> Packet:
        life, is_tcp = self._life, self._is_tcp
        flags, events = int(life.flags[i]), int(life.events[i])
        return Packet(
            number=int(life.number[i]),
            ts_ns=int(life.ts_ns[i]),
            sender="client" if life.side[i] == Side.CLIENT else "server",
            phase=PHASE_WORDS[int(life.phase[i])],
            client_state=STATE_WORDS[int(life.client_state[i])] if is_tcp else None,
            server_state=STATE_WORDS[int(life.server_state[i])] if is_tcp else None,
            flags=FLAG_WORDS[flags & 0xFF] if is_tcp else "",
            seq=int(life.seq[i]),
            ack=int(life.ack[i]) if flags & ACK else None,
            window=int(life.window[i]),
            payload_len=int(life.payload_len[i]),
            snippet=life.payload[i],
            events=tuple(word for k, word in enumerate(EVENT_WORDS) if events >> k & 1),
            refers_to=int(life.refers_to[i]) or None,
        )
