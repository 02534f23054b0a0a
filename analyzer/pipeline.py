"""From a capture to connections, labels and lives: the only place where capture, decode and tcp are wired together."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from analyzer.capture.source import open_capture
from analyzer.decode.flaws import Flaws
from analyzer.decode.fragments import Fragments
from analyzer.decode.layers import TUNNEL_NAMES, tunnels_of
from analyzer.decode.packets import decode
from analyzer.errors import CaptureFormatError, CaptureOpenError
from analyzer.language import _
from analyzer.streams import StreamItem
from analyzer.tables import (
    I64,
    NO_SERVERS,
    SNIPPET_LEN,
    SYN,
    U32,
    Batch,
    Count,
    Event,
    Evidence,
    Frames,
    Labels,
    Life,
    Packets,
    Protocol,
    Rows,
    Side,
    Tunnel,
    rows_of,
)
from analyzer.tcp.identities import Identities, identify
from analyzer.tcp.letting_go import copied, first_to_go
from analyzer.tcp.quoting import ends_of, latest_sent, sender_of
from analyzer.tcp.reassembly import Datagrams, Reassembly, Segment
from analyzer.tcp.reconstruct import Reconstruction
from analyzer.tcp.speakers import LOOKED_AT
from analyzer.traces import QUOTES_UDP, IcmpError

Source = str | os.PathLike[str] | BinaryIO

BATCH_PACKETS = 16_384
"""Packets of a batch: its columns stay in the processor's cache from one kernel to the next."""


@typing.runtime_checkable
class OpenCapture(typing.Protocol):
    """What a capture is to those who take its packets: ``source.Capture`` and ``live.LiveCapture`` are such."""

    path: str
    packets: int
    damage: CaptureFormatError | None

    @property
    def dropped(self) -> int:
        """Packets that passed the capture's own filter and were not captured, as far as anybody said so."""

    @property
    def size(self) -> int | None:
        """Octets that there are to read, None where nobody knows."""

    @property
    def position(self) -> int:
        """Octets of them that were read."""

    def __iter__(self) -> Iterator[Frames]: ...

    def close(self) -> None:
        """Take no more packets."""


class Run:
    """One pass over a capture, batch by batch; each batch is valid until the next is asked for.

    The capture is opened from a source, or is open already; then the filter is its own, and ``take`` may be given its
    frames one batch after the other.

    Attributes: ``capture``; ``connections`` and ``endpoints`` as in Reconstruction, rows ``[:count]`` in use;
    ``packets`` that passed the filter, and the earliest and the latest of their times, 0 while there is none;
    ``strays`` counts those that belong to no connection, by Protocol; ``fragments`` holds the IP fragments.
    ``known_servers`` (KNOWN_SERVER, read-only) may be set at any time. ``tally`` has the capture's flaws, by Flaw,
    where ``judges`` says that somebody wants to know.
    """

    def __init__(
        self, source: Source | OpenCapture, filter_expression: str = "", known_servers: Rows = NO_SERVERS, *,
        judges: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(source, OpenCapture):
            self.capture: OpenCapture = source
        else:
            self.capture = open_capture(source, filter_expression, batch_packets=BATCH_PACKETS)
        self.fragments = Fragments()
        self._reconstruction = Reconstruction()
        self._flaws = Flaws() if judges else None
        self.known_servers = known_servers
        self.packets = 0
        self.first_ns = 0
        self.last_ns = 0
        self.strays: I64 = np.zeros(len(Protocol), np.int64)

    @property
    def connections(self) -> Rows:
        """CONNECTION rows."""
        return self._reconstruction.connections

    @property
    def endpoints(self) -> Rows:
        """ENDPOINT rows, ``[connection, Side]``."""
        return self._reconstruction.endpoints

    @property
    def count(self) -> int:
        """Connections in the tables."""
        return self._reconstruction.count

    @property
    def started(self) -> int:
        """Connections seen so far, those that were let go among them."""
        return self._reconstruction.started

    def counted(self, what: Count) -> int:
        """What was counted so far, over all connections."""
        return self._reconstruction.counted(what)

    @property
    def tally(self) -> I64:
        """The capture's flaws, by Flaw."""
        assert self._flaws
        return self._flaws.tally

    def make_room(self, most: int) -> tuple[Rows, Rows] | None:
        """Where there are more than ``most`` connections, let a quarter of those go that matter least (letting_go.py).

        Returns: copies of their CONNECTION and ENDPOINT rows; None when all can stay.
        """
        count = self.count
        if count <= most:
            return None
        connections, endpoints = self.connections[:count], self.endpoints[:count]
        rows = first_to_go(connections, endpoints, count - most * 3 // 4)
        gone = copied(connections, rows), copied(endpoints, rows)
        self._reconstruction.let_go(rows)
        return gone

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.capture.close()

    def __iter__(self) -> Iterator[Batch]:
        return map(self.take, self.capture)

    def take(self, frames: Frames) -> Batch:
        """Take one batch of the capture."""
        frames, packets, identities = self._decode(frames)
        return Batch(frames, packets, self._reconstruct(frames, packets, identities))

    def exhaust(self, on_batch: Callable[[Run], None] | None = None) -> None:
        """Take the whole capture for its connections alone: the next batch is read and decoded meanwhile.

        What a pipe brings is not awaited in another thread, which could not be interrupted. ``on_batch`` must not look
        at octets: those of the batch may be gone.
        """
        if self.capture.size is None:
            for _batch in self:
                if on_batch:
                    on_batch(self)
            return
        decoded = map(self._decode, self.capture)
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(next, decoded, None)
            while (batch := ahead.result()) is not None:
                ahead = reader.submit(next, decoded, None)
                self._reconstruct(*batch)
                if on_batch:
                    on_batch(self)

    def _decode(self, frames: Frames) -> tuple[Frames, Packets, Identities]:
        """Everything that asks for the octets of a batch."""
        packets = decode(frames)
        if self._flaws:
            self._flaws.add(frames, packets)
        frames = self.fragments.join(frames, packets)
        return frames, packets, identify(frames, packets)

    def _reconstruct(self, frames: Frames, packets: Packets, identities: Identities) -> Labels:
        earliest, latest = int(frames.ts_ns.min()), int(frames.ts_ns.max())
        self.first_ns = earliest if self.packets == 0 else min(self.first_ns, earliest)
        self.last_ns = latest if self.packets == 0 else max(self.last_ns, latest)
        self.packets += len(frames.start)
        labels = self._reconstruction.feed(frames, packets, self.known_servers, identities)
        self.strays += np.bincount(packets.protocol[labels.connection == 0], minlength=len(Protocol))
        return labels


def survey(
    source: Source, filter_expression: str = "", known_servers: Rows = NO_SERVERS, *,
    on_batch: Callable[[Run], None] | None = None,
) -> Run:  # fmt: skip
    """Take a whole capture for its connections and its flaws; ``on_batch`` is called after each batch."""
    with Run(source, filter_expression, known_servers, judges=True) as run:
        run.exhaust(on_batch)
    return run


def lives(
    source: Source,
    filter_expression: str,
    numbers: Collection[int],
    known_servers: Rows = NO_SERVERS,
    *,
    most_packets: int = 20_000,
    on_batch: Callable[[Run], None] | None = None,
    also: Callable[[Batch], None] = lambda batch: None,
) -> dict[int, Life]:
    """Take a capture once more for every packet of the connections with these numbers; ``also`` is given each batch.

    Of a connection with more than ``most_packets`` the first and the last halves of that number are kept. Raises
    CaptureOpenError when the capture no longer has one of them: it was changed since it was surveyed.
    """
    kept = Lives(numbers, most_packets)
    with Run(source, filter_expression, known_servers) as run:
        for batch in run:
            kept.add(batch)
            also(batch)
            if on_batch:
                on_batch(run)
    found = kept.found()
    if len(found) < len(numbers):
        raise CaptureOpenError(_("{path}: it was changed while it was read; run again").format(path=run.capture.path))
    return found


class Lives:
    """Collects the packets of some connections from the batches of a run.

    Where a connection turned round, its packets before that are labelled anew. Of a connection with more than
    ``most_packets`` the first and the last halves of that number are kept.
    """

    def __init__(self, numbers: Collection[int], most_packets: int) -> None:
        self._wanted = np.array(sorted(numbers), np.int64)
        self._parts = {int(number): _Parts(most_packets) for number in self._wanted}

    def add(self, batch: Batch) -> None:
        """Take a batch."""
        hits = np.flatnonzero(np.isin(batch.labels.connection, self._wanted))
        owners = batch.labels.connection[hits]
        for number in np.unique(owners):
            self._parts[int(number)].add(batch, hits[owners == number])
        for i in np.flatnonzero(batch.packets.unreachable).tolist():
            quoted = ends_of(batch.packets, i), ends_of(batch.packets, i, turned=True)
            of = [part for part in self._parts.values() if part.client in quoted]
            if of:  # the latest of those with these ports
                of[-1].add_error(batch, i, Side(quoted.index(of[-1].client)))

    def found(self) -> dict[int, Life]:
        """The lives by the connections' numbers, without those that no packet came of."""
        return {number: part.life() for number, part in self._parts.items() if not part.is_empty()}


class Streams:
    """What the sides of some connections say, from the batches of a run.

    A connection that may still turn round waits until it cannot (speakers.py).

    Attributes: ``wanted`` are the numbers of the connections; it may grow by those that begin in the next batch.
    """

    def __init__(self, run: Run, wanted: Sequence[range] = ()) -> None:
        self.wanted = list(wanted)
        self._run = run
        self._streams: dict[int, Reassembly | Datagrams] = {}
        self._waiting: dict[int, list[Segment]] = {}

    def add(self, batch: Batch) -> Iterator[tuple[int, StreamItem]]:
        """Take the run's latest batch, and give out what can be, with the connection's number."""
        frames, packets, labels = batch
        is_wanted = np.zeros(len(labels.connection), np.bool_)
        for numbers in self.wanted:
            is_wanted |= (labels.connection >= numbers.start) & (labels.connection < numbers.stop)
        at = np.flatnonzero(is_wanted)
        columns = (
            labels.connection, packets.protocol, packets.payload_start, frames.start + frames.caplen, labels.events,
            labels.side, frames.number, frames.ts_ns, packets.seq, packets.ack, packets.flags, packets.payload_len,
        )  # fmt: skip
        for number, protocol, start, captured_end, events, *said, payload_len in zip(
            *(column[at].tolist() for column in columns), strict=True
        ):
            stream = self._streams.get(number)
            if stream is None:
                stream = self._streams[number] = Datagrams() if protocol == Protocol.UDP else Reassembly()
                if protocol == Protocol.TCP and not said[-1] & SYN:
                    self._waiting[number] = []
            if protocol == Protocol.UDP and events >> Event.CAPTURE_DUPLICATE & 1:
                continue
            payload = frames.data[start : min(start + payload_len, captured_end)].tobytes()
            segment = Segment._make((*said, payload_len, payload))
            waiting = self._waiting.get(number)
            if waiting is None:
                yield from ((number, item) for item in stream.add(segment))
                continue
            if events >> Event.TURNED_ROUND & 1:
                waiting[:] = [before._replace(side=1 - before.side) for before in waiting]
            waiting.append(segment)
        for number in [number for number in self._waiting if not self._may_turn(number)]:
            yield from self._let_in(number)

    def _may_turn(self, number: int) -> bool:
        """Whether one more packet may tell that client and server are the other way round."""
        row = int(rows_of(self._run.connections[: self._run.count], [number])[0])
        if row < 0 or self._run.connections[row]["client_evidence"] <= Evidence.DATA:
            return False
        return int(self._run.endpoints[row]["packets"].sum()) < LOOKED_AT

    def _let_in(self, number: int) -> Iterator[tuple[int, StreamItem]]:
        for segment in self._waiting.pop(number):
            yield from ((number, item) for item in self._streams[number].add(segment))

    def finish(self) -> Iterator[tuple[int, StreamItem]]:
        """What still waits, connection by connection."""
        for number in list(self._waiting):
            yield from self._let_in(number)
        for number, stream in self._streams.items():
            for item in stream.finish():
                yield number, item


class _Parts:
    """Pieces of one life while it is collected.

    Attributes: ``client`` names the connection, seen from the client; empty before its first packet.
    """

    def __init__(self, most_packets: int) -> None:
        self._half = max(1, most_packets // 2)
        self._head: list[Life] = []
        self._head_len = 0
        self._tail: list[Life] = []
        self._tail_len = 0
        self._omitted = 0
        self.client: tuple[int, ...] = ()
        self._starts: list[int | None] = [None, None]
        self._errors: list[IcmpError] = []

    def add_error(self, batch: Batch, i: int, side: Side) -> None:
        """Take the ICMP error ``i`` about a packet of ``side``, unless it quotes what was not sent (RFC 5927 4.1)."""
        frames, packets, _ = batch
        start = self._starts[side]
        is_tcp = not packets.unreachable[i] & QUOTES_UDP
        if is_tcp and start is None:
            return
        seq = (int(packets.seq[i]) - (start or 0)) & 0xFFFFFFFF
        number, ts_ns = int(frames.number[i]), int(frames.ts_ns[i])
        found = (latest_sent(piece, side, seq if is_tcp else None, number) for piece in self._latest())
        if quoted := next(filter(None, found), 0):
            self._errors.append(
                IcmpError(number, ts_ns, side, quoted, int(packets.unreachable[i]), sender_of(batch, i))
            )

    def _latest(self) -> Iterator[Life]:
        yield from reversed(self._tail)
        yield from reversed(self._head)

    def add(self, batch: Batch, at: I64) -> None:
        """Take the packets at these places of a batch."""
        packets, labels = batch.packets, batch.labels
        for side in Side:
            sent = at[labels.side[at] == side]
            if len(sent):
                i = int(sent[-1])
                self._starts[side] = (int(packets.seq[i]) - int(labels.seq[i])) & 0xFFFFFFFF
                self.client = ends_of(packets, i, turned=side == Side.SERVER)
        turned = np.flatnonzero(batch.labels.events[at] >> np.uint32(Event.TURNED_ROUND) & 1)
        if len(turned):  # once at most in the life of a connection
            self._add(batch, at[: turned[0]])
            self._head, self._tail = [_turned(piece) for piece in self._head], [_turned(piece) for piece in self._tail]
            self._errors = [error._replace(side=1 - error.side) for error in self._errors]
            at = at[turned[0] :]
        self._add(batch, at)

    def _add(self, batch: Batch, at: I64) -> None:
        room = self._half - self._head_len
        if room > 0 and len(at):
            self._head.append(_piece(batch, at[:room]))
            self._head_len += len(at[:room])
            at = at[room:]
        if len(at):
            self._tail.append(_piece(batch, at))
            self._tail_len += len(at)
        while self._tail and self._tail_len - len(self._tail[0].number) >= self._half:
            dropped = len(self._tail.pop(0).number)
            self._tail_len -= dropped
            self._omitted += dropped

    def is_empty(self) -> bool:
        """Whether no packet came."""
        return not self._head

    def life(self) -> Life:
        """All pieces as one; there is at least one."""
        tail = self._tail
        surplus = self._tail_len - self._half
        if surplus > 0:
            first = tail[0]
            tail = [_from(first, surplus), *tail[1:]]
            self._omitted += surplus
        pieces = [*self._head, *tail]
        columns: list[Any] = [np.concatenate(column) for column in zip(*(piece[:-4] for piece in pieces), strict=True)]
        payload = [octets for piece in pieces for octets in piece.payload]
        tunnels = [words for piece in pieces for words in piece.tunnels]
        return Life._make((*columns, payload, tunnels, self._omitted, tuple(self._errors)))


def _piece(batch: Batch, at: I64) -> Life:
    frames, packets, labels = batch
    return Life(
        number=frames.number[at], ts_ns=frames.ts_ns[at], side=labels.side[at], phase=labels.phase[at],
        client_state=labels.client_state[at], server_state=labels.server_state[at],
        events=labels.events[at] & ~np.uint32(1 << Event.TURNED_ROUND),
        seq=labels.seq[at], ack=labels.ack[at], flags=packets.flags[at], window=packets.window[at],
        payload_len=packets.payload_len[at], options=packets.options[at], mss=packets.mss[at],
        window_scale=packets.window_scale[at], sack_blocks=packets.sack_blocks[at], refers_to=labels.refers_to[at],
        repeat=labels.repeat[at], sack=_relative_sack(packets, labels, at),
        payload=[_snippet(frames, packets, int(i)) for i in at],
        tunnels=[_tunnels(batch, int(i)) for i in at], omitted=0,
    )  # fmt: skip


def _relative_sack(packets: Packets, labels: Labels, at: I64) -> U32:
    """The edges of SACK blocks, relative to the number that the acknowledgements are relative to; 0 where none is."""
    edges = packets.sack[at] - (packets.ack[at] - labels.ack[at])[:, np.newaxis]
    edges[np.arange(8) >= 2 * packets.sack_blocks[at, np.newaxis]] = 0
    return edges


def _turned(piece: Life) -> Life:
    """The same packets with client and server exchanged."""
    return piece._replace(
        side=1 - piece.side, client_state=piece.server_state, server_state=piece.client_state,
        tunnels=[re.sub(r"(\S+) → ([^\s,]+)", r"\2 → \1", way) for way in piece.tunnels],
    )  # fmt: skip


def _snippet(frames: Frames, packets: Packets, i: int) -> bytes:
    start = int(packets.payload_start[i])
    captured_end = int(frames.start[i]) + int(frames.caplen[i])
    if packets.fragments[i]:  # it is in a datagram made of fragments, all of which were captured
        captured_end = len(frames.data)
    end = min(start + int(packets.payload_len[i]), captured_end, start + SNIPPET_LEN)
    return frames.data[start:end].tobytes() if start else b""


def _tunnels(batch: Batch, i: int) -> str:
    frames, packets, labels = batch
    if not packets.depth[i]:
        return ""
    start = int(frames.start[i])
    octets = frames.data[start : start + int(frames.caplen[i])]
    is_reply = bool(labels.side[i] == Side.SERVER)
    words = tunnels_of(octets, int(frames.linktype[i]), int(frames.origlen[i]), is_reply=is_reply)
    if len(words) < packets.depth[i]:
        words.insert(0, f"{TUNNEL_NAMES[Tunnel(packets.tunnel[i])]} in fragments")
    return ", in ".join(words)


def _from(life: Life, first: int) -> Life:
    columns: Any = life[:-2]
    return Life._make((*(column[first:] for column in columns), 0, ()))
