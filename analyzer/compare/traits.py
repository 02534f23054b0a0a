"""What is kept of every connection of a capture, so that its life can be compared with another's: a row each.

All of it is free of what no two runs have in common: times, initial sequence numbers, the client's port.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from analyzer.compare.voices import HEAD, U64, Said, Sides, Utterance, Voices, payload_sums, sides_of
from analyzer.explain.walk import PASSED
from analyzer.tables import ACK, FIN, I64, RST, SYN, Batch, Event, Protocol, Rows, Side

PATH_LEN = 16
"""States kept of a side's path; nobody walks through so many."""

_FIRST_ROWS = 1_024

TRAIT = np.dtype(
    [
        ("events", np.uint32, (2, len(Event))),  # how often each event was the side's, by the nearest name
        ("path", np.uint8, (2, PATH_LEN)),  # the states of each side in order, plus one
        ("path_len", np.uint8, (2,)),
        ("said_len", np.int64, (2,)),
        ("said", np.uint64, (2, 2)),  # a hash of what each side said
        ("head", np.uint8, (2, HEAD)),  # the first octets of it
        ("packets", np.uint32),
        # hashes over the packets in order
        ("options", np.uint64),  # what the SYNs offer
        ("segments", np.uint64),  # all but pure ACKs, with their payload
        ("segments_len", np.uint32),
        ("acks", np.uint64),  # pure ACKs, and all acknowledgement numbers
        ("windows", np.uint64),
    ],
    align=True,
)
"""A connection's traits; axes of length 2 are by Side."""

_NEARER = 1 << Event.FAST_RETRANSMISSION | 1 << Event.SPURIOUS_RETRANSMISSION


class Traits:
    """Collects them from the batches of a run in which no connection is let go.

    ``has_packets``: hashes over the packets are wanted too.
    """

    def __init__(self, *, has_packets: bool) -> None:
        self._rows: Rows = np.zeros(_FIRST_ROWS, TRAIT)
        self._voices = Voices()
        self._said: list[Said] = []
        self._has_packets = has_packets

    def add(self, batch: Batch) -> None:
        """Take the next batch, while its octets are there."""
        sides = sides_of(batch)
        if not len(sides.at):
            return
        self._make_room(int(sides.rows.max()) + 1)
        for row in sides.turned:
            for name in ("events", "path", "path_len"):
                self._rows[name][row] = self._rows[name][row, ::-1].copy()
        self._note_events(sides, batch.labels.events[sides.at])
        is_tcp = batch.packets.protocol[sides.at] == Protocol.TCP
        self._note_paths(sides.rows[is_tcp], sides.states[is_tcp] + 1)
        self._note_said(self._voices.add(batch, sides))
        if self._has_packets:
            self._note_packets(batch, sides)
        np.add.at(self._rows["packets"], sides.rows, 1)

    def finished(self, count: int) -> Rows:
        """TRAIT rows of the first ``count`` connections, when all batches were taken."""
        self._make_room(count)
        rows = self._rows[:count]
        self._note_said(self._voices.finish())
        for (number, side), identity in self._voices.whose().items():
            row, said = rows[number], self._said[identity]
            row["said_len"][side] = said.length
            row["said"][side] = np.frombuffer(said.digest(), np.uint64)
            row["head"][side, : len(said.head)] = np.frombuffer(said.head, np.uint8)
        return rows

    def _make_room(self, count: int) -> None:
        if count > len(self._rows):
            rows = np.zeros(max(count, 2 * len(self._rows)), TRAIT)
            rows[: len(self._rows)] = self._rows
            self._rows = rows

    def _note_events(self, sides: Sides, bits: npt.NDArray[np.uint32]) -> None:
        at = np.flatnonzero(bits)
        rows, side, bits = sides.rows[at], sides.side[at], bits[at]
        copy = np.uint32(1 << Event.CAPTURE_DUPLICATE)
        bits = np.where(bits & copy, copy, bits)
        bits = np.where(bits & np.uint32(_NEARER), bits & ~np.uint32(1 << Event.RETRANSMISSION), bits)
        for event in Event:
            has = np.flatnonzero(bits >> np.uint32(event) & 1)
            np.add.at(self._rows["events"][:, :, event], (rows[has], side[has]), 1)

    def _note_paths(self, rows: I64, states: I64) -> None:
        """Write down the states entered, with those that a segment moved its side over."""
        order = np.argsort(rows, kind="stable")
        rows, states = rows[order], states[order]
        is_first = np.ones(len(rows), np.bool_)
        is_first[1:] = rows[1:] != rows[:-1]
        path, length = self._rows["path"], self._rows["path_len"]
        for side in Side:
            before = np.zeros(len(rows), np.int64)
            before[1:] = states[:-1, side]
            first = rows[is_first]
            before[is_first] = path[first, side, np.maximum(length[first, side].astype(np.int64) - 1, 0)]
            for k in np.flatnonzero(states[:, side] != before).tolist():
                row, state = int(rows[k]), int(states[k, side])
                for entered in (_PASSED.get((int(before[k]), state), 0), state):
                    at = int(length[row, side])
                    if entered and at < PATH_LEN:
                        path[row, side, at] = entered
                        length[row, side] = at + 1

    def _note_said(self, said: Iterator[tuple[int, Utterance]]) -> None:
        for identity, octets in said:
            if identity == len(self._said):
                self._said.append(Said())
            self._said[identity].add(octets)

    def _note_packets(self, batch: Batch, sides: Sides) -> None:
        _frames, packets, labels = batch
        at, rows = sides.at, sides.rows
        is_copy = labels.events[at] >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 == 1
        flags, lengths, ack = (
            column[at].astype(np.uint64) for column in (packets.flags, packets.payload_len, labels.ack)
        )
        ack[flags & np.uint64(ACK) == 0] = 0
        is_pure = (flags & np.uint64(SYN | FIN | RST) == 0) & (lengths == 0) & ~is_copy
        senders = sides.side.astype(np.uint64)
        place = _places(rows, self._rows["packets"])
        telling = rows[~is_pure]
        segment = _mixed(
            senders,
            flags,
            labels.seq[at].astype(np.uint64),
            lengths,
            payload_sums(batch, at),
            is_copy.astype(np.uint64),
        )
        among_segments = _places(telling, self._rows["segments_len"])
        np.add.at(self._rows["segments"], telling, _mixed(among_segments, segment[~is_pure]))
        np.add.at(self._rows["segments_len"], telling, 1)
        sack = packets.sack_blocks[at].astype(np.uint64)
        np.add.at(self._rows["acks"], rows, _mixed(place, senders, ack, is_pure.astype(np.uint64), sack))
        np.add.at(self._rows["windows"], rows, _mixed(place, packets.window[at].astype(np.uint64)))
        opens = flags & np.uint64(SYN) > 0
        offers = (
            column[at[opens]].astype(np.uint64) for column in (packets.options, packets.mss, packets.window_scale)
        )
        np.bitwise_or.at(self._rows["options"], rows[opens], _mixed(senders[opens], *offers))


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


def _mixed(*columns: U64) -> U64:
    """A hash of each row of the columns (splitmix64's steps, one column after the other)."""
    with np.errstate(over="ignore"):
        value = np.zeros(len(columns[0]), np.uint64)
        for column in columns:
            value = value + column + np.uint64(0x9E3779B97F4A7C15)
            value = (value ^ value >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
            value = (value ^ value >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
            value ^= value >> np.uint64(31)
    return value
