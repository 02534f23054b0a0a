"""Assertions about connections, for tests: each fails with one sentence and the ladder, which points at the packet.

    from analyzer import analyze
    from analyzer.testing import assert_lifecycle, closed_by, no, states

    [connection] = analyze("capture.pcap", "port 1235").connections
    assert_lifecycle(connection, "handshake data teardown")
    closed_by(connection, "client")
    no(connection, "retransmission", "reset")
    states(connection, server="… CLOSE-WAIT LAST-ACK CLOSED")

Words are those of the records. A word that there is not, or a time without its unit, raises UsageError.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from analyzer.expect import judgements
from analyzer.expect.judgements import Fault, Speech

if TYPE_CHECKING:
    from analyzer.api.connection import Connection, SideName

__all__ = [
    "assert_lifecycle",
    "cause",
    "closed_by",
    "events",
    "max_duration",
    "max_handshake_rtt",
    "max_idle",
    "no",
    "octets",
    "opened_once",
    "packets",
    "said",
    "states",
    "verdict",
]

_NARROW, _WIDE, _MARGIN = 60, 100, 4
"""Columns of a ladder; pytest writes before each line."""


def assert_lifecycle(connection: Connection, phases: str) -> None:
    """These of ``handshake data teardown`` have packets, and no others."""
    __tracebackhide__ = True
    _pass(connection, judgements.lifecycle(connection, phases))


def closed_by(connection: Connection, who: str | None) -> None:
    """Whose FIN came first: ``client``, ``server``, ``both`` when they crossed, ``nobody`` (or None)."""
    __tracebackhide__ = True
    _pass(connection, judgements.closed_by(connection, who))


def cause(connection: Connection, word: str) -> None:
    """Why it ended, or has not: ``closed_by_server``, ``refused``."""
    __tracebackhide__ = True
    _pass(connection, judgements.cause(connection, word))


def verdict(connection: Connection, word: str) -> None:
    """Zeek's ``conn_state``: ``SF``."""
    __tracebackhide__ = True
    _pass(connection, judgements.verdict(connection, word))


def no(connection: Connection, *words: str) -> None:
    """None of these events, as ``retransmission``; ``reset`` is a RST."""
    __tracebackhide__ = True
    _pass(connection, judgements.no(connection, *words))


def events(connection: Connection, word: str, limit: int | str) -> None:
    """So many of an event, or of ``reset``: ``3``, ``<= 3``, ``>= 3``."""
    __tracebackhide__ = True
    _pass(connection, judgements.events(connection, word, limit))


def packets(connection: Connection, limit: int | str, side: SideName | None = None) -> None:
    """So many packets, of both sides or of one."""
    __tracebackhide__ = True
    _pass(connection, judgements.packets(connection, limit, side))


def octets(connection: Connection, side: SideName, limit: int | str) -> None:
    """So many bytes said by a side, each counted once."""
    __tracebackhide__ = True
    _pass(connection, judgements.octets(connection, side, limit))


def said(connection: Connection, *, client: Speech | None = None, server: Speech | None = None) -> None:
    """What the sides say: octets, text, what they match (from the first octet to the last), or how many they are."""
    __tracebackhide__ = True
    _pass(connection, judgements.said(connection, client=client, server=server))


def states(connection: Connection, *, client: str | None = None, server: str | None = None) -> None:
    """The ways through RFC 9293's states: ``… FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT``; ``…`` or ``...`` is any, or none."""
    __tracebackhide__ = True
    _pass(connection, judgements.states(connection, client=client, server=server))


def opened_once(connection: Connection) -> None:
    """One SYN, one SYN-ACK, and the client's ACK."""
    __tracebackhide__ = True
    _pass(connection, judgements.opened_once(connection))


def max_handshake_rtt(connection: Connection, longest: str) -> None:
    """The handshake takes no longer than this, as ``5 ms``: from the latest SYN to the ACK that ends it."""
    __tracebackhide__ = True
    _pass(connection, judgements.max_handshake_rtt(connection, longest))


def max_duration(connection: Connection, longest: str) -> None:
    """From its first packet to its last no longer than this."""
    __tracebackhide__ = True
    _pass(connection, judgements.max_duration(connection, longest))


def max_idle(connection: Connection, longest: str) -> None:
    """No longer pause between two packets."""
    __tracebackhide__ = True
    _pass(connection, judgements.max_idle(connection, longest))


def _pass(connection: Connection, fault: Fault | None) -> None:
    __tracebackhide__ = True
    if fault:
        columns = shutil.get_terminal_size((_WIDE + _MARGIN, 24)).columns
        width = min(_WIDE, max(_NARROW, columns - _MARGIN))
        raise AssertionError(f"{fault.text}\n{connection.ladder(width, marked=fault.packet)}")
