"""A capture judged by its expectations: which of them are met, and what is wrong with the others."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.expect import judgements
from analyzer.expect.expectations import Expectations, Problem
from analyzer.expect.judgements import Fault
from analyzer.expect.kinds import Path
from analyzer.expect.vocabulary import EVERY, hex_of, limit_of, regex_of
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
    problems: tuple[Problem, ...] = ()
    """What of that is wrong with its expectations."""

    @property
    def faults(self) -> list[tuple[Result, Fault]]:
        """The expectations that are not met."""
        return [(result, result.fault) for result in self.results if result.fault]


def judge(analysis: Analysis, expectations: Expectations) -> Iterator[Result]:
    """Judge a capture and its connections."""
    yield from (Result(path, fault) for path, fault in _capture(analysis, expectations.capture))
    connections = list(analysis.connections)
    choice = _Choice(connections)
    chosen = [choice.taken_by(table) for table in expectations.connections]
    judged: dict[tuple[int, int], list[Result]] = {}
    in_order = sorted((one.number, place, one) for place, several in enumerate(chosen) for one in several)
    for number, place, connection in in_order:  # as the capture has them: their packets are read a block at once
        judged[place, number] = list(_judged(connection, expectations.connections[place], place))
    for place, table in enumerate(expectations.connections):
        if not chosen[place]:
            yield Result(("connection", place), Fault(_missing(table)), None, table.get("name", ""))
        for connection in chosen[place]:
            yield from judged[place, connection.number]
    if expectations.capture.get("others") == "forbidden":
        others = [connection for connection in connections if connection.number not in choice.taken]
        for connection in others:
            told = _("No [[connection]] speaks of connection {number}: {client} → {server}.")
            told = told.format(number=connection.number, client=connection.client, server=connection.server)
            yield Result(("capture", "others"), Fault(told), connection)
        if not others:
            yield Result(("capture", "others"), None)


def _judged(connection: Connection, table: Mapping[str, Any], place: int) -> Iterator[Result]:
    """What comes of the expectations of one connection."""
    for key in filter(JUDGES.__contains__, table):
        for below, fault in JUDGES[key](connection, table[key]):
            yield Result(("connection", place, key, *below), fault, connection, table.get("name", ""))


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


class _Choice:
    """Chooses the connections that one table after the other speaks of.

    There may be thousands of both: tables that select alike share what they select, and each connection is looked at
    once for them.

    Attributes: ``taken`` are the numbers of those that were chosen.
    """

    def __init__(self, connections: Iterable[Connection]) -> None:
        self.taken: set[int] = set()
        self._connections = [(one, one.protocol, one.client, one.server) for one in connections]
        self._alike: dict[object, tuple[list[Connection], Iterator[Connection]]] = {}

    def taken_by(self, table: Mapping[str, Any]) -> list[Connection]:
        """The connections that the table speaks of."""
        key = table.get("protocol"), *(tuple(sorted(table.get(side, {}).items())) for side in ("client", "server"))
        taken = self.taken
        if key not in self._alike:
            selected = [
                one for one, protocol, client, server in self._connections
                if _is_selected(protocol, client, server, table)
            ]  # fmt: skip
            self._alike[key] = selected, (one for one in selected if one.number not in taken)
        selected, free = self._alike[key]
        nth = table.get("nth", 0)
        if nth == EVERY:
            chosen = list(free)
        else:
            chosen = selected[int(nth) - 1 : int(nth)] if nth else list(islice(free, 1))
        taken.update(one.number for one in chosen)
        return chosen


def _is_selected(protocol: str, client: Endpoint, server: Endpoint, table: Mapping[str, Any]) -> bool:
    is_of_protocol = table.get("protocol") in (None, protocol)
    return is_of_protocol and _is_end(client, table.get("client", {})) and _is_end(server, table.get("server", {}))


def _is_end(end: Endpoint, wanted: Mapping[str, Any]) -> bool:
    is_address = "address" not in wanted or _address(wanted["address"]) == _address(end.address)
    return is_address and wanted.get("port") in (None, end.port)


@lru_cache(1 << 16)
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
    "matches": lambda connection, side, value: judgements.said(connection, **{side: regex_of(value)}),
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
