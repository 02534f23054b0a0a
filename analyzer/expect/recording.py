"""Expectations written down from a capture that is right: what holds in each run of the same programs.

Clients' ports, sequence numbers, times and how many ACKs there were are another matter each time, and left out; limits
for times are proposed in comments.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analyzer.errors import MissingOctetsError
from analyzer.expect import judgements
from analyzer.expect.vocabulary import CLOSERS, NOBODY, RESET
from analyzer.language import _
from analyzer.render.quantities import counted, duration
from analyzer.render.wrapping import wrap

if TYPE_CHECKING:
    from analyzer.api.analysis import Analysis
    from analyzer.api.connection import Connection, SideName

TROUBLES = (
    RESET, "retransmission", "out_of_order", "lost_segment", "ack_lost_segment", "duplicate_ack", "zero_window",
)  # fmt: skip
"""Events that are written down where they do not occur: programs decide over none of the others."""

_SHORT = 200
"""Octets that are written down as they are."""
_FIRST_EPHEMERAL_PORT = 32768
"""From here on Linux chooses ports (ip_local_port_range), also for servers that bind to port 0."""

_LONGEST_COMMENT = 100

_SIDES: tuple[SideName, ...] = ("client", "server")


def record(analysis: Analysis, capture: str, command: str, servers: Sequence[str] = ()) -> Iterator[str]:
    """The lines of the file.

    ``capture`` is its name for people, ``command`` what judges it again; ``servers`` are those that were named.
    """
    yield from _comment(_("What the connections of {capture} should be; this judges it: {command}"), capture, command)
    advice = _(
        "Made from a capture that was right. Take out what does not matter. Where what is said changes from run to "
        'run, write said.server.matches = "a regular expression" instead.'
    )
    yield from wrap(advice, _LONGEST_COMMENT, "# ", "# ")
    yield from _comment(_("All keys: tcpflow-view check --schema"))
    yield ""
    yield "[capture]"
    yield f"connections = {len(analysis.connections)}"
    yield 'others = "forbidden"'
    if analysis.damage:
        yield "damaged = true"
    if analysis.filter:
        yield f"filter = {quoted(analysis.filter)}"
    if servers:
        yield f"servers = [{', '.join(map(quoted, servers))}]"
    for connection in analysis.connections:
        yield ""
        yield "[[connection]]"
        yield from _connection(connection)


def _comment(told: str, capture: str = "", command: str = "") -> Iterator[str]:
    written = told.format(capture=capture, command=command)
    yield "# " + "".join(character if character.isprintable() else "?" for character in written)


def _connection(connection: Connection) -> Iterator[str]:
    client, server = connection.client, connection.server
    yield from _comment(
        f"{connection.number}: {client.address} → {server}, {counted(len(connection.packets), 'packet')}"
    )
    port = f"server.port = {server.port}"
    if server.port < _FIRST_EPHEMERAL_PORT:
        yield port
    else:
        chosen = _("a port that the system may have chosen")
        yield f"# {port}  # {chosen}"
    yield f"protocol = {quoted(connection.protocol)}"
    if connection.cause:
        yield f"cause = {quoted(connection.cause)}"
    if connection.protocol == "tcp":
        yield from _life(connection)
    yield from _said(connection)
    rtt_ns = connection.handshake_rtt_ns
    if rtt_ns is not None:
        took = _("it took {time}").format(time=duration(rtt_ns))
        yield f'# max_handshake_rtt = "{_generous(rtt_ns)}"  # {took}'
    lasted = _("it lasted {time}").format(time=duration(connection.duration_ns))
    yield f'# max_duration = "{_generous(connection.duration_ns)}"  # {lasted}'


def _life(connection: Connection) -> Iterator[str]:
    yield f"lifecycle = {quoted(connection.lifecycle)}"
    if judgements.opened_once(connection) is None:
        yield "opened_once = true"
    yield f"closed_by = {quoted(connection.closed_by if connection.closed_by in CLOSERS else NOBODY)}"
    for side in _SIDES:
        yield f"states.{side} = {quoted(' '.join(getattr(connection.states, side)))}"
    absent = [quoted(word) for word in TROUBLES if judgements.no(connection, word) is None]
    if absent:
        yield f"no = [{', '.join(absent)}]"
    for word, number in Counter(event.event for event in connection.events).items():
        if word in TROUBLES and quoted(word) not in absent:
            yield f'# events.{word} = "<= {number}"'


def _said(connection: Connection) -> Iterator[str]:
    for side in _SIDES:
        try:
            octets = connection.bytes_from(side)
        except MissingOctetsError:
            sent = getattr(connection, f"{side}_sent").unique_bytes
            missing = _("not all of them are in the capture")
            yield f"bytes.{side} = {sent}  # {missing}"
            continue
        if len(octets) > _SHORT:
            digest = hashlib.sha256(octets).hexdigest()
            yield f'said.{side} = {{ bytes = {len(octets)}, sha256 = "{digest}" }}'
            continue
        try:
            yield f"said.{side} = {quoted(octets.decode())}"
        except UnicodeDecodeError:
            yield f'said.{side} = {{ hex = "{octets.hex(" ")}" }}'


def _generous(ns: int) -> str:
    """A time that is long enough in other runs, too: ten times as long, as one digit."""
    unit, name = next((u, n) for u, n in ((10**9, "s"), (10**6, "ms"), (1, "")) if ns * 10 >= u or u == 1)
    if unit == 1:
        return "1 ms"
    times = -(-ns * 10 // unit)
    scale = 10 ** (len(str(times)) - 1)
    return f"{-(-times // scale) * scale} {name}"


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(text: str) -> str:
    """A basic string of TOML, on one line and without anything that is not seen."""
    return '"' + "".join(_ESCAPES.get(one) or (one if one.isprintable() else _escaped(one)) for one in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
