"""What is kept of every connection of a capture, so that its life can be compared with another's: a row each.

All of it is free of what no two runs have in common: times, initial sequence numbers, the client's port.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from analyzer.compare.sides import Sides, Taken
from analyzer.compare.voices import HEAD, Said, Utterance, Voices, payload_sums
from analyzer.explain.known_states import states_before
from analyzer.explain.walk import PASSED
from analyzer.mixing import U64, mixed
from analyzer.tables import ACK, FIN, I64, RST, SYN, Batch, Event, Protocol, Rows, Side
from analyzer.tcp.states import State

PATH_LEN = 16
"""States kept of a side's path; nobody walks through so many."""

_FIRST_ROWS = 1_024

TRAIT = np.dtype(
    [
        ("events", np.uint32, (2, len(Event))),  # how often each event was the side's, by the nearest name
        ("path", np.uint8, (2, PATH_LEN)),  # the states of each side in order, plus one
        ("path_len", np.uint8, (2,)),
        ("sent", np.uint8, (2,)),  # of _SENT, _MORE_THAN_SYN, _MORE_THAN_RST
        ("said_len", np.int64, (2,)),
        ("said", np.uint64, (2, 2)),  # a hash of what each side said
        ("head", np.uint8, (2, HEAD)),  # the first octets of it
        ("packets", np.uint32),
        # hashes over the packets of each side, and their places among both sides'
        ("options", np.uint64, (2,)),  # what the SYNs offer
        ("segments", np.uint64, (2,)),  # all but pure ACKs, with their payload
        ("segments_len", np.uint32),  # of both sides
        ("acks", np.uint64, (2,)),  # pure ACKs, and all acknowledgement numbers
        ("windows", np.uint64, (2,)),
    ],
    align=True,
)
"""A connection's traits; axes of length 2 are by Side."""

_BY_SIDE = [name for name in TRAIT.names or () if TRAIT[name].shape[:1] == (2,)]

_SENT, _MORE_THAN_SYN, _MORE_THAN_RST = 1, 2, 4
"""Bits of what a side sent: anything; anything but a SYN alone; anything but a RST."""

_NEARER = 1 << Event.FAST_RETRANSMISSION | 1 << Event.SPURIOUS_RETRANSMISSION


class Traits:
    """Collects them from the batches of a run in which no connection is let go.

    ``has_packets``: hashes over the packets are wanted too.
    """

    def __init__(self, *, has_packets: bool) -> None:
        self._rows: Rows = np.zeros(_FIRST_ROWS, TRAIT)
        self._sides = Sides()
        self._voices = Voices()
        self._said: dict[int, Said] = {}
        self._has_packets = has_packets

    def add(self, batch: Batch) -> None:
        """Take the next batch, while its octets are there."""
        taken = self._sides.taken(batch)
        if not len(taken.at):
            return
        self._make_room(int(taken.rows.max()) + 1)
        self._note_events(taken, batch.labels.events[taken.at])
        self._note_paths(batch, taken)
        self._note_said(self._voices.add(batch, taken))
        if self._has_packets:
            self._note_packets(batch, taken)
        np.add.at(self._rows["packets"], taken.rows, 1)

    def finished(self, count: int) -> Rows:
        """TRAIT rows of the first ``count`` connections, when all batches were taken."""
        self._make_room(count)
        rows = self._rows[:count]
        self._note_said(self._voices.finish())
        for (number, side), identity in self._voices.whose().items():
            if said := self._said.get(identity):
                row = rows[number]
                row["said_len"][side] = said.length
                row["said"][side] = np.frombuffer(said.digest(), np.uint64)
                row["head"][side, : len(said.head)] = np.frombuffer(said.head, np.uint8)
        turned = self._sides.turned(np.arange(count))
        for name in _BY_SIDE:
            rows[name][turned] = rows[name][turned, ::-1]
        has_only_refused = rows["sent"][:, Side.CLIENT] & (_SENT | _MORE_THAN_SYN) == _SENT
        has_only_refused &= rows["sent"][:, Side.SERVER] & (_SENT | _MORE_THAN_RST) == _SENT
        rows["path"][has_only_refused, Side.SERVER] = [State.CLOSED + 1, *[0] * (PATH_LEN - 1)]
        rows["path_len"][has_only_refused, Side.SERVER] = 1
        return rows

    def _make_room(self, count: int) -> None:
        if count > len(self._rows):
            rows = np.zeros(max(count, 2 * len(self._rows)), TRAIT)
            rows[: len(self._rows)] = self._rows
            self._rows = rows

    def _note_events(self, taken: Taken, bits: npt.NDArray[np.uint32]) -> None:
        at = np.flatnonzero(bits)
        rows, side, bits = taken.rows[at], taken.side[at], bits[at]
        copy = np.uint32(1 << Event.CAPTURE_DUPLICATE)
        bits = np.where(bits & copy, copy, bits)
        bits = np.where(bits & np.uint32(_NEARER), bits & ~np.uint32(1 << Event.RETRANSMISSION), bits)
        for event in Event:
            has = np.flatnonzero(bits >> np.uint32(event) & 1)
            np.add.at(self._rows["events"][:, :, event], (rows[has], side[has]), 1)

    def _note_paths(self, batch: Batch, taken: Taken) -> None:
        """Write down the states entered, with those that a segment moved its side over (explain/walk.py)."""
        is_tcp = batch.packets.protocol[taken.at] == Protocol.TCP
        rows, sender, flags = taken.rows[is_tcp], taken.side[is_tcp], batch.packets.flags[taken.at[is_tcp]]
        sent = _SENT | np.where(flags & (SYN | ACK | FIN) == SYN, 0, _MORE_THAN_SYN)
        sent |= np.where(flags & RST > 0, 0, _MORE_THAN_RST)
        np.bitwise_or.at(self._rows["sent"], (rows, sender), sent.astype(np.uint8))
        order = np.argsort(rows, kind="stable")
        rows, states = rows[order], taken.states[is_tcp][order] + 1
        is_first = np.ones(len(rows), np.bool_)
        is_first[1:] = rows[1:] != rows[:-1]
        path, length = self._rows["path"], self._rows["path_len"]
        for k in np.flatnonzero(is_first & (length[rows, Side.CLIENT] == 0)).tolist():
            row, packet = int(rows[k]), int(order[k])
            path[row, :, 0] = [1 + state for state in states_before(int(flags[packet]), Side(int(sender[packet])))]
            length[row] = 1
        for side in Side:
            before = np.zeros(len(rows), np.int64)
            before[1:] = states[:-1, side]
            first = rows[is_first]
            before[is_first] = path[first, side, length[first, side].astype(np.int64) - 1]
            for k in np.flatnonzero(states[:, side] != before).tolist():
                row, state = int(rows[k]), int(states[k, side])
                for entered in (_PASSED.get((int(before[k]), state), 0), state):
                    at = int(length[row, side])
                    if entered and at < PATH_LEN:
                        path[row, side, at] = entered
                        length[row, side] = at + 1

    def _note_said(self, said: Iterator[tuple[int, Utterance]]) -> None:
        for identity, octets in said:
            if identity not in self._said:
                self._said[identity] = Said()
            self._said[identity].add(octets)

    def _note_packets(self, batch: Batch, taken: Taken) -> None:
        _frames, packets, labels = batch
        at, rows, sender = taken.at, taken.rows, taken.side
        is_copy = labels.events[at] >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 == 1
        flags, lengths = packets.flags[at], packets.payload_len[at]
        ack = np.where(flags & ACK > 0, labels.ack[at], 0)
        is_pure = (flags & (SYN | FIN | RST) == 0) & (lengths == 0) & ~is_copy
        place = _places(rows, self._rows["packets"])
        segment = mixed(flags, labels.seq[at], lengths, payload_sums(batch, at), is_copy)[~is_pure]
        telling = rows[~is_pure]
        among_segments = _places(telling, self._rows["segments_len"])
        np.add.at(self._rows["segments"], (telling, sender[~is_pure]), mixed(among_segments, segment))
        np.add.at(self._rows["segments_len"], telling, 1)
        np.add.at(self._rows["acks"], (rows, sender), mixed(place, ack, is_pure, packets.sack_blocks[at]))
        np.add.at(self._rows["windows"], (rows, sender), mixed(place, packets.window[at]))
        opens = flags & SYN > 0
        offers = mixed(*(column[at[opens]] for column in (packets.options, packets.mss, packets.window_scale)))
        np.bitwise_or.at(self._rows["options"], (rows[opens], sender[opens]), offers)


_PASSED = {(before + 1, after + 1): passed + 1 for (before, after), passed in PASSED.items()}


def _places(rows: I64, counted: npt.NDArray[np.uint32]) -> U64:
    """For each packet how many of its connection came before it, ``counted`` up to this batch."""
    order = np.argsort(rows, kind="stable")
    in_order = rows[order]
    starts = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]])) if len(rows) else rows
    run = np.repeat(starts, np.diff([*starts, len(rows)]))
    places = np.empty(len(rows), np.uint64)
    places[order] = np.arange(len(rows)) - run + counted[in_order]
    return places
