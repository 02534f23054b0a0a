"""All connections of a capture as a page has them: a row each, in columns, with what its life-line shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from analyzer.explain.causes import Cause, causes_of, code_of
from analyzer.explain.quality import Quality
from analyzer.export.connections import VERDICT_WORDS, write_verdicts
from analyzer.jit import fastest
from analyzer.language import _
from analyzer.render.addresses import address
from analyzer.render.quality import damage, doubts, facts_of, notes
from analyzer.render.words import ENDINGS, LOUD
from analyzer.report.columns import column
from analyzer.report.languages import told
from analyzer.tables import I64, RST, U8, Batch, Event, Phase, Protocol, Rows, Side

MOST_MARKS = 200_000
"""Marks on life-lines that a page has; later ones are left out."""

_PHASES = (Phase.HANDSHAKE, Phase.DATA, Phase.TEARDOWN)
_SENT_AGAIN, _RESET = 0, 1


class Marks:
    """When packets were sent again, and RSTs sent: what stands on life-lines."""

    def __init__(self) -> None:
        self._parts: list[tuple[I64, I64, U8]] = []
        self._count = 0

    def add(self, batch: Batch) -> None:
        """Take a batch."""
        labels = batch.labels
        is_copy = labels.events >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 > 0
        again = labels.events >> np.uint32(Event.RETRANSMISSION) & 1 > 0
        resets = (batch.packets.flags & RST > 0) & (labels.connection > 0)
        at = np.flatnonzero((again | resets) & ~is_copy)[: MOST_MARKS - self._count]
        if len(at):
            kind = np.where(resets[at], _RESET, _SENT_AGAIN)
            self._parts.append((labels.connection[at], batch.frames.ts_ns[at], kind))
            self._count += len(at)

    def columns(self) -> tuple[I64, I64, U8]:
        """Number of the connection, time and kind of each mark."""
        if not self._parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8)
        connection, ts_ns, kind = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        return connection, ts_ns, kind


def overview(found: Quality, connections: Rows, endpoints: Rows, marks: Marks) -> dict[str, Any]:
    """What the page's first part says: the capture, and the rows of all connections."""
    return {
        "quality": told(lambda: _quality(found)),
        "causes": told(_causes),
        "verdicts": list(VERDICT_WORDS),
        "addresses": _addresses(connections),
        "first": found.first_ns / 1e9,
        "last": found.last_ns / 1e9,
        "columns": _columns(found.first_ns, connections, endpoints),
        "marks": _marks(connections, marks),
    }


def _quality(found: Quality) -> dict[str, Any]:
    return {
        "facts": facts_of(found),
        "damage": damage(found) if found.damaged_at >= 0 else "",
        "doubts": list(doubts(found)),
        "notes": list(notes(found, True)),
    }


def _causes() -> list[dict[str, Any]]:
    """Each cause's code and words."""
    words = ((code_of(cause) or "", ENDINGS[cause]) for cause in Cause)
    return [{"code": code, "text": word.text or _("datagrams"), "loud": word.style == LOUD} for code, word in words]


def _addresses(connections: Rows) -> list[str]:
    """The addresses by their places in ``_places``."""
    _places, firsts = _distinct(connections)
    return [address(connections[first // 2], Side(first % 2)) for first in firsts.tolist()]


def _distinct(connections: Rows) -> tuple[I64, I64]:
    """For both ends of each connection the place of its address among the different ones; where each comes first."""
    words = np.empty((2 * len(connections), 5), np.uint32)
    words[:, :4] = connections["address"].reshape(-1, 4)
    words[:, 4] = np.repeat(connections["ip_version"], 2)
    _rows, firsts, places = np.unique(words, axis=0, return_index=True, return_inverse=True)
    return places.reshape(-1, 2), firsts


def _columns(start_ns: int, connections: Rows, endpoints: Rows) -> dict[str, Any]:
    n = len(connections)
    causes = causes_of(connections, endpoints)
    verdicts = np.empty(n, np.uint8)
    fastest(write_verdicts)(connections, endpoints, verdicts)
    places, _firsts = _distinct(connections)
    first_ns, last_ns = connections["first_ns"], connections["last_ns"]
    columns = {
        "number": column(connections["number"]),
        "protocol": column((connections["protocol"] == Protocol.TCP).astype(np.uint8)),
        "client": column(places[:, 0]),
        "server": column(places[:, 1]),
        "clientPort": column(connections["client_port"]),
        "serverPort": column(connections["server_port"]),
        "cause": column(causes),
        "verdict": column(verdicts),
        "first": column(np.round((first_ns - start_ns) / 1e9, 6)),
        "lasted": column((last_ns - first_ns) / 1e9),
        "packets": column(endpoints["packets"].sum(axis=1)),
        "clientBytes": column(endpoints["payload_bytes"][:, 0]),
        "serverBytes": column(endpoints["payload_bytes"][:, 1]),
    }
    for name in ("retransmitted_packets", "out_of_order_packets", "zero_windows"):
        columns[name.split("_packets")[0]] = column(endpoints[name].sum(axis=1))
    return columns | {"phases": column(_phases(connections))}


def _phases(connections: Rows) -> I64:
    """int64[n, 6]: begin and end of each of the three phases, in 65535ths of the life; 65535, 0 where there is none."""
    first_ns = connections["first_ns"][:, np.newaxis]
    lasted = np.maximum(connections["last_ns"] - connections["first_ns"], 1)[:, np.newaxis]
    parts = np.empty((len(connections), len(_PHASES), 2), np.int64)
    for end, name in enumerate(("phase_first_ns", "phase_last_ns")):
        since_ns = np.clip(connections[name][:, list(_PHASES)] - first_ns, 0, lasted)
        parts[:, :, end] = since_ns / lasted * 65_535
    parts[connections["phase_packets"][:, list(_PHASES)] == 0] = 65_535, 0
    return parts.reshape(len(connections), 2 * len(_PHASES))


def _marks(connections: Rows, marks: Marks) -> dict[str, Any]:
    """Row of the connection, place in its life in 65535ths, and kind of each mark, in the rows' order."""
    numbers, ts_ns, kinds = marks.columns()
    rows = np.searchsorted(connections["number"], numbers)
    order = np.argsort(rows, kind="stable")
    rows, ts_ns, kinds = rows[order], ts_ns[order], kinds[order]
    lasted = np.maximum(connections["last_ns"][rows] - connections["first_ns"][rows], 1)
    at = (ts_ns - connections["first_ns"][rows]) / lasted * 65_535
    return {"row": column(rows), "at": column(np.maximum(at, 0).astype(np.int64)), "kind": column(kinds)}
