"""Sentences about connections in TIME-WAIT and CLOSE-WAIT, and the line that a live screen has for them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from analyzer.explain.waiting import LINUX_TIME_WAIT_NS, RFC_TIME_WAIT_NS, Waiting
from analyzer.language import _, counted, text
from analyzer.render.addresses import address, endpoint
from analyzer.render.quantities import count, duration
from analyzer.render.screen import Screen
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, TROUBLE_GLYPH, Word
from analyzer.render.wrapping import wrap
from analyzer.tables import Side
from analyzer.tcp.states import State

_MOST_HOLDERS = 5
"""That are told of each state."""

_MOST_PROGRAMS, _MOST_PORTS = 3, 5
_LONGEST_LINE = 100

_CLOSE = text("Let it call close() when recv() gives 0.")


def after_the_capture(
    found: Iterable[Waiting], end_ns: int, screen: Screen, reuse: Mapping[int, bool] = MappingProxyType({})
) -> Iterator[str]:  # fmt: skip
    """Lines about what a capture that ended at this time shows.

    ``reuse`` tells whether the servers on these ports had set SO_REUSEADDR, as far as it is known.
    """
    return _lines((_told_at_the_end(one, end_ns, reuse) for one in _most(found)), screen)


def still_there(found: Iterable[Waiting], now_ns: int, screen: Screen) -> Iterator[str]:
    """Lines about what this machine's programs hold now."""
    return _lines((_told_now(one, now_ns) for one in _most(found)), screen)


def finding(found: Iterable[Waiting], now_ns: int) -> Word:
    """The one of these that a person who watches should know of; empty where there is none."""
    some = list(found)
    for one in some:
        if one.seems_forgotten:
            text = _("CLOSE-WAIT: a leak? {who} closed none of {n}, the oldest after {age}").format(
                who=_who(one), n=count(one.total), age=duration(now_ns - one.since_ns)
            )
            return Word(text, LOUD, TROUBLE_GLYPH)
    for one in some:
        if one.state == State.TIME_WAIT and one.side == Side.SERVER:
            text = _("TIME-WAIT until {clock}: bind() to {ports} fails without SO_REUSEADDR; {who} closed")
            clock = _clock(one.latest_ns + LINUX_TIME_WAIT_NS)
            who = _programs(one) or _who(one)
            return Word(text.format(who=who, clock=clock, ports=_ports(one)))
    return Word("")


def _most(found: Iterable[Waiting]) -> Iterator[Waiting]:
    told = dict.fromkeys(State, 0)
    for one in found:
        told[one.state] += 1
        if told[one.state] <= _MOST_HOLDERS:
            yield one


def _lines(sentences: Iterable[str], screen: Screen) -> Iterator[str]:
    width = min(screen.width, _LONGEST_LINE) - 1
    for sentence in sentences:
        yield from wrap(sentence, width, " ", " ")


def _told_at_the_end(one: Waiting, end_ns: int, reuse: Mapping[int, bool]) -> str:
    if one.state == State.CLOSE_WAIT:
        sentence = counted(
            "CLOSE-WAIT at the end of the capture: {who} has {n}, for {age}: its peer closed, its own program did not.",
            "CLOSE-WAIT at the end of the capture: {who} has {n}, the oldest for {age}: their peers closed, its own "
            "program did not.",
            one.total,
        ).format(who=_who(one), n=count(one.total), age=duration(end_ns - one.since_ns))
        return " ".join(filter(None, (sentence, _habit(one), _(_CLOSE))))
    linux_ns = one.latest_ns + LINUX_TIME_WAIT_NS - end_ns
    rfc = duration(one.latest_ns + RFC_TIME_WAIT_NS - end_ns)
    if linux_ns <= 0:
        return counted(
            "TIME-WAIT: {who} held {n} until {ago} before the end of the capture on Linux (60 s); by RFC 9293 (2 MSL) "
            "for another {rfc}.",
            "TIME-WAIT: {who} held {n}, the last until {ago} before the end of the capture on Linux (60 s); by RFC "
            "9293 (2 MSL) for another {rfc}.",
            one.total,
        ).format(who=_who(one), n=count(one.total), ago=duration(-linux_ns), rfc=rfc)
    sentence = counted(
        "TIME-WAIT at the end of the capture: {who} holds {n}, for another {linux} on Linux, {rfc} by RFC 9293 "
        "(2 MSL).",
        "TIME-WAIT at the end of the capture: {who} holds {n}, the last for another {linux} on Linux, {rfc} by RFC "
        "9293 (2 MSL).",
        one.total,
    ).format(who=_who(one), n=count(one.total), linux=duration(linux_ns), rfc=rfc)
    return f"{sentence} {_bind(one, reuse)}".rstrip()


def _told_now(one: Waiting, now_ns: int) -> str:
    if one.state == State.CLOSE_WAIT:
        sentence = counted(
            "CLOSE-WAIT: {who} has {n} connection in it, for {age}: the peer closed, the program has not.",
            "CLOSE-WAIT: {who} has {n} connections in it, the oldest for {age}: the peers closed, the program has not.",
            one.total,
        ).format(who=_who(one), n=count(one.total), age=duration(now_ns - one.since_ns))
        return " ".join(filter(None, (sentence, _habit(one), _(_CLOSE))))
    sentence = counted(
        "TIME-WAIT: {who} left {n}, which lasts until {clock} (60 s on Linux; 2 MSL of RFC 9293 are 4 min).",
        "TIME-WAIT: {who} left {n}, the last until {clock} (60 s on Linux; 2 MSL of RFC 9293 are 4 min).",
        one.total,
    ).format(who=_who(one), n=count(one.total), clock=_clock(one.latest_ns + LINUX_TIME_WAIT_NS))
    return f"{sentence} {_bind(one)}".rstrip()


def _habit(one: Waiting) -> str:
    """What else the holder did with connections that the peer closed."""
    if one.seems_forgotten:
        return _(
            "It closed none whose peer closed first, and their number grew to {n} within {grew}: it seems never to "
            "call close() after the peer's end of file, a leak of sockets."
        ).format(n=count(one.total), grew=duration(one.latest_ns - one.since_ns))
    if one.closed:
        return counted(
            "{n} other, whose peer closed first too, it closed.",
            "{n} others, whose peers closed first too, it closed.",
            one.closed,
        ).format(n=count(one.closed))
    return ""


def _bind(one: Waiting, reuse: Mapping[int, bool] = MappingProxyType({})) -> str:
    """What TIME-WAIT on a server's own port means for the next server."""
    if one.side == Side.CLIENT:
        return ""
    known = {reuse.get(port) for port in one.ports}
    if known == {True}:
        return _(
            "strace saw it set SO_REUSEADDR: a new server that sets it too can bind() to {ports} at once."
        ).format(ports=_ports(one))  # fmt: skip
    if known == {False}:
        return _(
            "strace saw that it did not set SO_REUSEADDR: until then a new server's bind() to {ports} fails with "
            "EADDRINUSE. Set it before bind()."
        ).format(ports=_ports(one))
    return _(
        "Until then a new server's bind() to {ports} fails with EADDRINUSE, unless it and the old one set SO_REUSEADDR."
    ).format(ports=_ports(one))


def _who(one: Waiting) -> str:
    """``server1.py (6828) on port 80``, ``the server 192.0.2.1:80``, ``the client 192.0.2.2 to port 80``."""
    if one.side == Side.SERVER:
        if one.programs:
            return _("{program} on {ports}").format(program=_programs(one), ports=_ports(one))
        return _("the server {server}").format(server=endpoint(one.connection, Side.SERVER))
    client = _programs(one) or _("the client {client}").format(client=address(one.connection, Side.CLIENT))
    return _("{client} to {ports}").format(client=client, ports=_ports(one))


def _programs(one: Waiting) -> str:
    known = ", ".join(visible(program) for program in one.programs[:_MOST_PROGRAMS])
    return f"{known}, …" if len(one.programs) > _MOST_PROGRAMS else known


def _ports(one: Waiting) -> str:
    ports = ", ".join(str(port) for port in one.ports[:_MOST_PORTS])
    more = ", …" if len(one.ports) > _MOST_PORTS else ""
    return counted("port {ports}", "ports {ports}", len(one.ports)).format(ports=ports + more)


def _clock(ts_ns: int) -> str:
    """The time of day here."""
    return time.strftime("%H:%M:%S", time.localtime(ts_ns // 1_000_000_000))
