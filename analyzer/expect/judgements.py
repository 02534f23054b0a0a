"""Judgements: what is wrong with a connection, by one expectation each; None where nothing is.

    fault = closed_by(connection, "client")
    if fault:
        print(fault.text, connection.ladder(marked=fault.packet))

A fault's text says what should be and what was seen. Packets that are the capture's own copies count for nothing.
Raises UsageError where the expectation itself makes no sense: a word that there is not, a time without its unit.
"""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

from analyzer.errors import MissingOctetsError, UsageError
from analyzer.expect.vocabulary import (
    CAUSES,
    CLOSERS,
    EVENTS,
    LIFECYCLES,
    NOBODY,
    PHASES,
    RESET,
    VERDICTS,
    known,
    limit_of,
    nanoseconds,
    way_of,
)
from analyzer.expect.ways import first_difference
from analyzer.language import _, counted, text
from analyzer.render.quantities import duration
from analyzer.render.screen import fit
from analyzer.render.untrusted import visible

if TYPE_CHECKING:
    from analyzer.api.connection import Connection, Packet, SideName

Speech = bytes | str | re.Pattern[bytes] | re.Pattern[str] | int
"""What a side should say: the octets, the same as text in UTF-8, what they match, or how many they are."""

_COPY = "capture_duplicate"
_EXCERPT = 48
"""Columns of what was said that a sentence shows."""


class Fault(NamedTuple):
    """An expectation that is not met."""

    text: str
    """One sentence: what should be, and what was seen."""
    packet: int = 0
    """Number of the packet where it went wrong; 0 none."""


def lifecycle(connection: Connection, phases: str) -> Fault | None:
    """Which of ``handshake data teardown`` have packets, and no others."""
    known(phases, LIFECYCLES, _("lifecycle"))
    seen = connection.lifecycle
    if seen == phases:
        return None
    told = _("The lifecycle should be {expected}; it is {seen}.")
    told = told.format(expected=phases or _("empty"), seen=seen or _("empty"))
    for phase in PHASES:
        if (phase in seen) != (phase in phases):
            return Fault(told, _turned(connection, phase))
    return Fault(told)


def _turned(connection: Connection, phase: str) -> int:
    """The first packet of a phase, or of one after it, or else the last packet."""
    after = PHASES[PHASES.index(phase) :]
    own = _own(connection)
    return next((packet.number for packet in own if packet.phase in after), _latest(own))


_SHOULD_CLOSE = {
    "client": text("The client should have closed first"),
    "server": text("The server should have closed first"),
    "both": text("Both sides should have closed at once"),
    NOBODY: text("Nobody should have closed"),
}
_DID_CLOSE = {
    "client": text("the client did (FIN in packet {packet})."),
    "server": text("the server did (FIN in packet {packet})."),
    "both": text("both did at once (FIN in packet {packet})."),
    NOBODY: text("nobody did."),
}


def closed_by(connection: Connection, who: str | None) -> Fault | None:
    """Whose FIN came first: ``client``, ``server``, ``both`` when they crossed, ``nobody`` (or None)."""
    who = known(who or NOBODY, CLOSERS, _("side"))
    seen = connection.closed_by or NOBODY
    if seen == who:
        return None
    packet = next((one.number for one in _own(connection) if "F" in one.flags), 0) if seen != NOBODY else 0
    did = _(_DID_CLOSE[seen]).format(packet=packet)
    return Fault(_("{should}; {did}").format(should=_(_SHOULD_CLOSE[who]), did=did), packet or _reset(connection))


def cause(connection: Connection, word: str) -> Fault | None:
    """Why it ended, or has not, as the records have it: ``closed_by_server``, ``refused``."""
    known(word, CAUSES, _("cause"))
    if connection.cause == word:
        return None
    packet = next(iter(connection.evidence), 0)
    return Fault(_should_be(_("cause"), word, connection.cause), packet)


def verdict(connection: Connection, word: str) -> Fault | None:
    """Zeek's ``conn_state``: ``SF``."""
    known(word, VERDICTS, _("verdict"))
    if connection.verdict == word:
        return None
    packet = next((one.number for one in _own(connection) if "F" in one.flags or "R" in one.flags), 0)
    return Fault(_should_be(_("verdict"), word, connection.verdict), packet)


def protocol(connection: Connection, word: str) -> Fault | None:
    """``tcp`` or ``udp``."""
    known(word, ("tcp", "udp"), _("protocol"))
    return None if connection.protocol == word else Fault(_should_be(_("protocol"), word, connection.protocol))


def _should_be(what: str, expected: str, seen: str | None) -> str:
    told = _("The {what} should be {expected}; it is {seen}.")
    return told.format(what=what, expected=expected, seen=seen or _("none"))


def no(connection: Connection, *words: str) -> Fault | None:
    """None of these events; ``reset`` is a RST."""
    for word in words:
        known(word, EVENTS, _("event"))
    for packet in connection.packets:
        for word in words:
            if word in _words(packet):
                n = len(_with(connection, word))
                told = counted(
                    "There should be no {event}; packet {packet} is one.",
                    "There should be no {event}; there are {n}, the first in packet {packet}.",
                    n,
                )
                return Fault(told.format(event=word, n=f"{n:,}", packet=packet.number), packet.number)
    return None


def events(connection: Connection, word: str, limit: int | str) -> Fault | None:
    """So many of an event, or of ``reset``: ``3``, ``<= 3``, ``>= 3``."""
    found = _with(connection, known(word, EVENTS, _("event")))
    return _too_many_or_few(word, found, limit)


def packets(connection: Connection, limit: int | str, side: SideName | None = None) -> Fault | None:
    """So many packets, of both sides or of one."""
    own = [one for one in _own(connection) if side in (None, one.sender)]
    names = {None: _("packets"), "client": _("packets of the client"), "server": _("packets of the server")}
    return _too_many_or_few(names[_side(side) if side else None], own, limit)


def _too_many_or_few(what: str, found: list[Packet], limit: int | str) -> Fault | None:
    bounds = limit_of(limit)
    if len(found) in bounds:
        return None
    told = _("{what}: there should be {expected}; there are {seen}.")
    told = told.format(what=what, expected=bounds, seen=f"{len(found):,}")
    is_too_many = bounds.most is not None and len(found) > bounds.most
    if is_too_many:
        return Fault(told, found[bounds.most or 0].number)
    return Fault(told, _latest(found))


def octets(connection: Connection, side: SideName, limit: int | str) -> Fault | None:
    """So many bytes said by a side, each once."""
    bounds, sent = limit_of(limit), getattr(connection, f"{_side(side)}_sent").unique_bytes
    if sent in bounds:
        return None
    told = {
        "client": _("The client should say {expected} bytes; it says {seen}."),
        "server": _("The server should say {expected} bytes; it says {seen}."),
    }[side].format(expected=bounds, seen=f"{sent:,}")
    is_too_much = bounds.most is not None and sent > bounds.most
    return Fault(told, _bringer(connection, side, bounds.most or 0 if is_too_much else sent))


def max_handshake_rtt(connection: Connection, longest: str) -> Fault | None:
    """The handshake takes no longer: from the latest SYN to the ACK that ends it."""
    limit_ns, seen_ns = nanoseconds(longest), connection.handshake_rtt_ns
    if seen_ns is None:
        told = _("The handshake should take {time} at most; it is not complete.")
        return Fault(told.format(time=longest), next((p.number for p in _own(connection) if "S" in p.flags), 0))
    if seen_ns <= limit_ns:
        return None
    told = _("The handshake should take {time} at most; it took {seen}.")
    return Fault(told.format(time=longest, seen=_longer(seen_ns, limit_ns)), _ending_handshake(connection))


def max_duration(connection: Connection, longest: str) -> Fault | None:
    """From its first packet to its last no longer than that."""
    limit_ns = nanoseconds(longest)
    if connection.duration_ns <= limit_ns:  # with copies
        return None
    own = _own(connection)
    seen_ns = own[-1].ts_ns - own[0].ts_ns if own else 0
    if seen_ns <= limit_ns:
        return None
    late = next((packet.number for packet in own if packet.ts_ns - own[0].ts_ns > limit_ns), 0)
    told = _("The connection should last {time} at most; it lasted {seen}.")
    return Fault(told.format(time=longest, seen=_longer(seen_ns, limit_ns)), late)


def max_idle(connection: Connection, longest: str) -> Fault | None:
    """No longer pause between two packets."""
    limit_ns = nanoseconds(longest)
    pauses = [(after.ts_ns - before.ts_ns, after.number) for before, after in pairwise(_own(connection))]
    seen_ns, packet = max(pauses, default=(0, 0), key=lambda pause: pause[0])
    if seen_ns <= limit_ns:
        return None
    told = _("No pause should be longer than {time}; before packet {packet} one is {seen}.")
    return Fault(told.format(time=longest, packet=packet, seen=_longer(seen_ns, limit_ns)), packet)


def states(connection: Connection, *, client: str | None = None, server: str | None = None) -> Fault | None:
    """The ways through RFC 9293's states: ``… FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT``; ``…`` is any, or none."""
    for side, expected in (("client", client), ("server", server)):
        if expected is None:
            continue
        visits = getattr(connection.visits, side)
        way, seen = way_of(expected), tuple(visit.state for visit in visits)
        difference = first_difference(way, seen)
        if difference is None:
            continue
        at, awaited = difference
        packet = visits[at].packet or 0 if at < len(visits) else 0
        told = {
            "client": _("The client should go {expected}; it goes {seen}: {why}"),
            "server": _("The server should go {expected}; it goes {seen}: {why}"),
        }[side].format(
            expected=" ".join(way), seen=" ".join(seen) or _("nowhere"), why=_turn(seen, at, awaited, packet)
        )
        return Fault(told, packet or (_latest(_own(connection)) if at else 0))
    return None


def _turn(seen: tuple[str, ...], at: int, awaited: str, packet: int) -> str:
    """Where the way is left."""
    if at == len(seen):
        return _("{state} is missing.").format(state=awaited)
    if not awaited:
        told = _("packet {packet} leads on to {state}.") if packet else _("it begins in {state}.")
    elif packet:
        told = _("packet {packet} leads to {state}, not to {expected}.")
    else:
        told = _("it begins in {state}, not in {expected}.")
    return told.format(packet=packet, state=seen[at], expected=awaited)


def said(connection: Connection, *, client: Speech | None = None, server: Speech | None = None) -> Fault | None:
    """What the sides say: octets, text, what they match (from the first octet to the last), or how many they are.

    What is not all in the capture is a fault, except for how many.
    """
    expectations: tuple[tuple[SideName, Speech | None], ...] = (("client", client), ("server", server))
    for side, expected in expectations:
        if isinstance(expected, int):
            fault = octets(connection, side, expected)
        elif isinstance(expected, re.Pattern):
            fault = _said_like(connection, side, expected)
        elif expected is not None:
            fault = _said_so(connection, side, expected.encode() if isinstance(expected, str) else bytes(expected))
        else:
            fault = None
        if fault:
            return fault
    return None


def _heard(connection: Connection, side: SideName) -> bytes | Fault:
    """What a side says."""
    try:
        return connection.bytes_from(side)
    except MissingOctetsError:
        told = {
            "client": _("What the client says is not all in the capture."),
            "server": _("What the server says is not all in the capture."),
        }[side]
        return Fault(told, _bringer(connection, side, -1))


def _said_so(connection: Connection, side: SideName, expected: bytes) -> Fault | None:
    seen = _heard(connection, side)
    if isinstance(seen, Fault):
        return seen
    if seen == expected:
        return None
    same = next((k for k, pair in enumerate(zip(seen, expected, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(seen), len(expected)) if same is None else same
    told = {
        "client": _("The client should say {expected}; it says {seen}."),
        "server": _("The server should say {expected}; it says {seen}."),
    }[side]
    return Fault(told.format(expected=_quoted(expected, at), seen=_quoted(seen, at)), _bringer(connection, side, at))


def _said_like(connection: Connection, side: SideName, pattern: re.Pattern[bytes] | re.Pattern[str]) -> Fault | None:
    seen = _heard(connection, side)
    if isinstance(seen, Fault):
        return seen
    given: bytes | str = pattern.pattern
    if isinstance(given, bytes):
        found = cast(re.Pattern[bytes], pattern).fullmatch(seen) is not None
        written = given.decode(errors="backslashreplace")
    else:
        found = cast(re.Pattern[str], pattern).fullmatch(seen.decode(errors="backslashreplace")) is not None
        written = given
    if found:
        return None
    told = {
        "client": _("What the client says should match {expected}; it says {seen}."),
        "server": _("What the server says should match {expected}; it says {seen}."),
    }[side].format(expected=visible(written), seen=_quoted(seen, 0))
    return Fault(told, _bringer(connection, side, 0))


def digest(connection: Connection, side: SideName, sha256: str) -> Fault | None:
    """The SHA-256 of what a side says, in hexadecimal."""
    heard = _heard(connection, _side(side))
    if isinstance(heard, Fault):
        return heard
    seen = hashlib.sha256(heard).hexdigest()
    if seen == sha256.lower():
        return None
    told = {
        "client": _("What the client says should have the SHA-256 {expected}; it has {seen}."),
        "server": _("What the server says should have the SHA-256 {expected}; it has {seen}."),
    }[side].format(expected=visible(sha256), seen=seen)
    return Fault(told, _bringer(connection, side, 0))


def opened_once(connection: Connection) -> Fault | None:
    """One SYN, one SYN-ACK, and the client's ACK: none of them was sent again."""
    own = _own(connection)
    syns = [packet for packet in own if "S" in packet.flags and "." not in packet.flags]
    answers = [packet for packet in own if "S" in packet.flags and "." in packet.flags]
    if not syns:
        return Fault(_("The connection should be opened by a SYN; none was captured."))
    if len(syns) > 1:
        told = _("The connection should be opened by one SYN; packet {packet} is another.")
        return Fault(told.format(packet=syns[1].number), syns[1].number)
    if not answers:
        told = _("A SYN-ACK should answer the SYN (packet {packet}); none did.")
        return Fault(told.format(packet=syns[0].number), syns[0].number)
    if len(answers) > 1:
        told = _("The connection should be opened by one SYN-ACK; packet {packet} is another.")
        return Fault(told.format(packet=answers[1].number), answers[1].number)
    if not _ending_handshake(connection):
        told = _("An ACK should answer the SYN-ACK (packet {packet}); none did.")
        return Fault(told.format(packet=answers[0].number), answers[0].number)
    return None


# ---------------------------------------------------------------- packets


def _own(connection: Connection) -> list[Packet]:
    """Its packets without those that the capture has again."""
    return [packet for packet in connection.packets if _COPY not in packet.events]


def _latest(packets: list[Packet]) -> int:
    return packets[-1].number if packets else 0


def _words(packet: Packet) -> tuple[str, ...]:
    """What is counted of a packet; of a copy only that it is one."""
    if _COPY in packet.events:
        return (_COPY,)
    return (*packet.events, RESET) if "R" in packet.flags else packet.events


def _with(connection: Connection, word: str) -> list[Packet]:
    """The packets with an event."""
    return [packet for packet in connection.packets if word in _words(packet)]


def _reset(connection: Connection) -> int:
    return next((packet.number for packet in _with(connection, RESET)), 0)


def _ending_handshake(connection: Connection) -> int:
    """The client's first ACK after the server's SYN; 0 none."""
    is_answered = False
    for packet in _own(connection):
        is_syn = "S" in packet.flags
        is_answered |= is_syn and packet.sender == "server"
        is_ack = "." in packet.flags and not is_syn and "R" not in packet.flags
        if is_answered and packet.sender == "client" and is_ack:
            return packet.number
    return 0


def _bringer(connection: Connection, side: SideName, offset: int) -> int:
    """The packet that brought the octet at this offset of what a side says, or else the side's last with payload."""
    latest = 0
    first: int | None = None
    for packet in _own(connection):
        if packet.sender != side:
            continue
        if first is None:
            first = packet.seq + ("S" in packet.flags)
        if packet.payload_len:
            latest = packet.number
            start = (packet.seq + ("S" in packet.flags) - first) & 0xFFFFFFFF
            if start <= offset < start + packet.payload_len:
                return latest
    return latest


def _side(side: str) -> SideName:
    if side not in ("client", "server"):
        raise UsageError(_("a side is client or server, not {side}").format(side=visible(side)))
    return "client" if side == "client" else "server"


def _quoted(octets: bytes, at: int) -> str:
    """Octets for a sentence, from a little before the place that matters."""
    if not octets:
        return _("nothing")
    start = max(0, at - 12) if len(octets) > _EXCERPT else 0
    shown = visible(octets[start : start + 4 * _EXCERPT].decode(errors="backslashreplace"))
    return f'{"…" if start else ""}"{fit(shown, _EXCERPT)}"'


def _longer(seen_ns: int, limit_ns: int) -> str:
    """A time that is longer than another, and reads so."""
    seen = duration(seen_ns)
    return seen if seen != duration(limit_ns) else f"{seen_ns:,} ns"
