"""A connection as a list of transactions: the handshake, each request and its response, the close."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.language import _
from analyzer.render.turns import turn_name
from analyzer.render.words import EVENTS, LOUD, PHASES
from analyzer.tables import I64, Event, Life, Phase, Rows, Side

_TROUBLED = np.uint32(sum(1 << event for event in Event if EVENTS[event].style == LOUD))
_COPY = np.uint32(1 << Event.CAPTURE_DUPLICATE)
_SENT_AGAIN = np.uint32(1 << Event.RETRANSMISSION)


class Transaction(NamedTuple):
    """Packets that belong together."""

    name: str
    phase: Phase
    side: int
    """Side that speaks; -1 where both do."""
    first: int
    """Number of its first packet."""
    packets: int
    client_bytes: int
    server_bytes: int
    duration_ns: int
    interval_ns: int
    """From the last packet before it; -1 for the first."""
    retransmissions: int


class _Turn(NamedTuple):
    side: int
    requests: int
    """How many there were, this one included."""


def transactions(life: Life, most: int) -> tuple[list[Transaction], int]:
    """The transactions of a TCP connection, in order, and how many are left out of their middle."""
    turns = _turns(life)
    begins = _begins(life, turns)
    sums = _sums(life, np.array(begins, np.int64))
    listed = list(range(len(begins)))
    if len(listed) > most:
        listed[most // 2 : -(most // 2)] = []
    found = []
    for k in listed:
        begin, phase = begins[k], Phase(int(life.phase[begins[k]]))
        turn = turns.get(begin)
        if turn is None and phase == Phase.DATA:  # what stands before the first turn of a phase belongs to it
            end = begins[k + 1] if k + 1 < len(begins) else len(life.number)
            turn = next((turns[at] for at in turns if begin <= at < end), None)
        name = turn_name(turn.side, turn.requests) if turn else _named(phase)
        figures = {what: int(values[k]) for what, values in sums.items()}
        found.append(Transaction(name, phase, turn.side if turn else -1, int(life.number[begin]), **figures))
    return found, len(begins) - len(listed)


def phases(connection: Rows, endpoints: Rows, life: Life) -> list[dict[str, Any]]:
    """For each phase that was seen its name, first packet, packets, nanoseconds, and octets of payload, each once."""
    handshake, aside, unique = (
        int(endpoints[name].sum(dtype=np.int64)) for name in ("handshake_bytes", "aside_bytes", "unique_bytes")
    )
    octets = {Phase.HANDSHAKE: handshake, Phase.DATA: unique - aside, Phase.TEARDOWN: aside - handshake}
    return [
        {
            "phase": phase.name.lower(),
            "first": int(life.number[np.argmax(life.phase == phase)]),
            "packets": int(connection["phase_packets"][phase]),
            "duration_ns": int(connection["phase_last_ns"][phase] - connection["phase_first_ns"][phase]),
            "bytes": octets[phase],
        }
        for phase in octets
        if connection["phase_packets"][phase]
    ]


def _named(phase: Phase) -> str:
    return _("close") if phase == Phase.TEARDOWN else PHASES[phase].text


def _turns(life: Life) -> dict[int, _Turn]:
    """The turns as turns.py has them, by the places of their first packets; none when only one side ever speaks."""
    speaks = (life.payload_len > 0) & (life.phase == Phase.DATA) & (life.events & (_TROUBLED | _COPY) == 0)
    at = np.flatnonzero(speaks)
    at = at[np.diff(life.side[at].astype(np.int64), prepend=-1) != 0]
    if len(at) < 2:
        return {}
    sides = life.side[at].tolist()
    requests = np.cumsum(life.side[at] == Side.CLIENT).tolist()
    return {begin: _Turn(side, n) for begin, side, n in zip(at.tolist(), sides, requests, strict=True)}


def _begins(life: Life, turns: dict[int, _Turn]) -> list[int]:
    """Where a transaction begins: with a phase, and with each turn but the first of its phase."""
    runs = np.flatnonzero(np.diff(life.phase.astype(np.int64), prepend=-1)).tolist()
    begins = set(runs)
    places = np.array(list(turns), np.int64)
    firsts = {int(places[i]) for i in np.searchsorted(places, runs) if i < len(places)}
    for begin in turns:
        if begin not in firsts:
            begins.add(begin)
    return sorted(begins)


def _sums(life: Life, begins: I64) -> dict[str, npt.NDArray[Any]]:
    """The figures of each stretch of packets."""
    stops = np.append(begins[1:], len(life.number))
    is_copy = life.events & _COPY > 0
    octets = np.where(is_copy, 0, life.payload_len).astype(np.int64)
    again = (life.events & _SENT_AGAIN > 0) & ~is_copy
    before_ns = life.ts_ns[np.maximum(begins - 1, 0)]
    return {
        "packets": stops - begins,
        "client_bytes": np.add.reduceat(np.where(life.side == Side.CLIENT, octets, 0), begins),
        "server_bytes": np.add.reduceat(np.where(life.side == Side.SERVER, octets, 0), begins),
        "duration_ns": life.ts_ns[stops - 1] - life.ts_ns[begins],
        "interval_ns": np.where(begins > 0, life.ts_ns[begins] - before_ns, -1),
        "retransmissions": np.add.reduceat(again.astype(np.int64), begins),
    }
