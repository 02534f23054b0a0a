"""A capture judged by its expectations: which of them are met, and what is wrong with the others."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.expect import judgements
from analyzer.expect.expectations import Expectations
from analyzer.expect.judgements import Fault
from analyzer.expect.kinds import Path
from analyzer.expect.vocabulary import EVERY, hex_of, limit_of
from analyzer.language import _
from analyzer.render.untrusted import visible

if TYPE_CHECKING:
    from analyzer.api.analysis import Analysis
    from analyzer.api.connection import Connection, Endpoint

Judged = Iterator[tuple[Path, Fault | None]]
"""Keys below the judged one, and what is wrong."""


class Result(NamedTuple):
    """An expectation and what came of it."""

    path: Path
    """Its key in the file."""
    fault: Fault | None
    connection: Connection | None = None
    """The one that was judged; None where the capture was."""
    name: str = ""
    """The name of its table."""


class Checked(NamedTuple):
    """A capture and what came of its expectations."""

    capture: str
    """Its name as it was given."""
    expectations: Expectations
    results: list[Result]
    error: str = ""
    """Why it could not be judged."""

    @property
    def faults(self) -> list[tuple[Result, Fault]]:
        """The expectations that are not met."""
        return [(result, result.fault) for result in self.results if result.fault]


def judge(analysis: Analysis, expectations: Expectations) -> Iterator[Result]:
    """Judge a capture and its connections."""
    yield from (Result(path, fault) for path, fault in _capture(analysis, expectations.capture))
    taken: set[int] = set()
    connections = list(analysis.connections)
    for place, table in enumerate(expectations.connections):
        path, name = ("connection", place), table.get("name", "")
        chosen = _chosen(connections, table, taken)
        if not chosen:
            yield Result(path, Fault(_missing(table)), None, name)
        for connection in chosen:
            taken.add(connection.number)
            for key in filter(JUDGES.__contains__, table):
                for below, fault in JUDGES[key](connection, table[key]):
                    yield Result((*path, key, *below), fault, connection, name)
    if expectations.capture.get("others") == "forbidden":
        others = [connection for connection in connections if connection.number not in taken]
        for connection in others:
            told = _("No [[connection]] speaks of connection {number}: {client} → {server}.")
            told = told.format(number=connection.number, client=connection.client, server=connection.server)
            yield Result(("capture", "others"), Fault(told), connection)
        if not others:
            yield Result(("capture", "others"), None)


# ---------------------------------------------------------------- the capture


def _capture(analysis: Analysis, table: Mapping[str, Any]) -> Judged:
    damage = analysis.damage
    if not table.get("damaged"):
        told = _("The capture should be whole: {damage}.").format(damage=visible(damage or ""))
        yield ("capture", "damaged"), Fault(told) if damage else None
    counts: dict[str, tuple[str, Callable[[], int]]] = {
        "connections": (_("connections"), lambda: len(analysis.connections)),
        "dropped": (_("packets that were not captured"), lambda: analysis.dropped),
        "duplicates": (_("packets that are there twice"), lambda: int(analysis.rows[1]["capture_duplicates"].sum())),
    }
    for key, (what, count) in counts.items():
        if key in table:
            limit, seen = limit_of(table[key]), count()
            told = _("{what}: there should be {expected}; there are {seen}.")
            told = told.format(what=what, expected=limit, seen=f"{seen:,}")
            yield ("capture", key), None if seen in limit else Fault(told)


# ---------------------------------------------------------------- choosing


def _chosen(connections: list[Connection], table: Mapping[str, Any], taken: set[int]) -> list[Connection]:
    """The connections that a table speaks of."""
    selected = [connection for connection in connections if _is_selected(connection, table)]
    nth = table.get("nth", 0)
    if nth and nth != EVERY:
        return selected[int(nth) - 1 : int(nth)]
    free = [connection for connection in selected if connection.number not in taken]
    return free if nth == EVERY else free[:1]


def _is_selected(connection: Connection, table: Mapping[str, Any]) -> bool:
    is_of_protocol = table.get("protocol") in (None, connection.protocol)
    ends = (connection.client, table.get("client", {})), (connection.server, table.get("server", {}))
    return is_of_protocol and all(_is_end(end, wanted) for end, wanted in ends)


def _is_end(end: Endpoint, wanted: Mapping[str, Any]) -> bool:
    is_address = "address" not in wanted or _address(wanted["address"]) == _address(end.address)
    return is_address and wanted.get("port") in (None, end.port)


def _address(written: str) -> object:
    try:
        return ipaddress.ip_address(written)
    except ValueError:
        return written


def _missing(table: Mapping[str, Any]) -> str:
    wanted = [f"{side}.{key} = {value}" for side in ("client", "server") for key, value in table.get(side, {}).items()]
    wanted += [f"{key} = {table[key]}" for key in ("protocol", "nth") if key in table]
    if not wanted:
        return _("There should be one more connection; there is none.")
    return _("There should be a connection with {wanted}; there is none.").format(wanted=visible(", ".join(wanted)))


# ---------------------------------------------------------------- judging


def _one(judgement: Callable[[Connection, Any], Fault | None]) -> Callable[[Connection, Any], Judged]:
    def judged(connection: Connection, value: Any) -> Judged:
        yield (), judgement(connection, value)

    return judged


def _no(connection: Connection, words: list[str]) -> Judged:
    yield (), judgements.no(connection, *words)


def _opened_once(connection: Connection, is_expected: bool) -> Judged:
    if is_expected:
        yield (), judgements.opened_once(connection)


def _events(connection: Connection, limits: dict[str, int | str]) -> Judged:
    for word, limit in limits.items():
        yield (word,), judgements.events(connection, word, limit)


def _states(connection: Connection, ways: dict[str, str]) -> Judged:
    for side, way in ways.items():
        yield (side,), judgements.states(connection, **{side: way})


def _bytes(connection: Connection, limits: dict[Any, int | str]) -> Judged:
    for side, limit in limits.items():
        yield (side,), judgements.octets(connection, side, limit)


def _packets(connection: Connection, limit: Any) -> Judged:
    if isinstance(limit, dict):
        for side, one in limit.items():
            yield (side,), judgements.packets(connection, one, side)
    else:
        yield (), judgements.packets(connection, limit)


def _said(connection: Connection, speeches: dict[Any, Any]) -> Judged:
    for side, speech in speeches.items():
        if isinstance(speech, str):
            yield (side,), judgements.said(connection, **{side: speech})
            continue
        for key, value in speech.items():
            yield (side, key), _SAID[key](connection, side, value)


_SAID: dict[str, Callable[[Connection, Any, Any], Fault | None]] = {
    "text": lambda connection, side, value: judgements.said(connection, **{side: value}),
    "hex": lambda connection, side, value: judgements.said(connection, **{side: hex_of(value)}),
    "matches": lambda connection, side, value: judgements.said(connection, **{side: re.compile(value)}),
    "bytes": judgements.octets,
    "sha256": judgements.digest,
}

JUDGES: dict[str, Callable[[Connection, Any], Judged]] = {
    "lifecycle": _one(judgements.lifecycle),
    "opened_once": _opened_once,
    "closed_by": _one(judgements.closed_by),
    "cause": _one(judgements.cause),
    "verdict": _one(judgements.verdict),
    "no": _no,
    "events": _events,
    "states": _states,
    "said": _said,
    "bytes": _bytes,
    "packets": _packets,
    "max_handshake_rtt": _one(judgements.max_handshake_rtt),
    "max_duration": _one(judgements.max_duration),
    "max_idle": _one(judgements.max_idle),
}
"""What judges each key of ``description.JUDGED``."""
