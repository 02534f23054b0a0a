"""What the calls of a program say of a connection's end that the wire does not: SO_LINGER, octets left unread, a
program that died, a connection that was never accepted."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from analyzer.explain.causes import ADVICE, CAUSES, Cause
from analyzer.explain.circumstances import REMARKS, Remark
from analyzer.explain.listening import Queued
from analyzer.explain.tying import Packet, Tie
from analyzer.language import _, counted, text
from analyzer.strace.sockets import Deed
from analyzer.tables import RST, Side


class How(IntEnum):
    """How a side's socket was closed."""

    CLOSED = 1
    """By close()."""
    ENDED = 2
    """By the kernel, when the program ended without close()."""
    KILLED = 3
    """The same, when a signal ended the program."""


class SeenEnd(NamedTuple):
    """An end that was seen."""

    side: Side
    how: How
    packet: int
    """The FIN or RST that it made."""
    signal: str = ""
    """Of KILLED: ``SIGKILL``."""
    lingers: bool = False
    """It made a RST, for the socket had SO_LINGER and no time (RFC 9293 3.9.1.5, socket(7))."""
    unread: int = 0
    """It made a RST, for so many octets were unread (RFC 2525 2.17)."""
    pid: int = 0

    @property
    def is_abort(self) -> bool:
        """Whether it is known why it made a RST."""
        return self.lingers or self.unread > 0


def seen_end(side: Side, ties: Sequence[Tie], packets: Sequence[Packet], offset_ns: int = 0) -> SeenEnd | None:
    """How a side closed, where its calls tell more than its packets.

    ``offset_ns`` is what to add to the calls' times. A RST from before close() is not its own.
    """
    lingers = False
    for tie in ties:
        call = tie.seen.call
        if call.name == "setsockopt" and "SO_LINGER" in call.arguments and not call.errno:
            value = " ".join(call.arguments[3:4])
            lingers = "l_onoff=1" in value and "l_linger=0" in value
        if not tie.caused or tie.seen.deed not in (Deed.CLOSE, Deed.EXIT):
            continue
        packet = packets[tie.caused[0]]
        how, signal = How.CLOSED, ""
        if tie.seen.deed == Deed.EXIT:
            words = call.result.split()
            how, signal = (How.KILLED, words[-1]) if words[0] == "killed" else (How.ENDED, "")
        elif packet.flags & RST and call.ts_ns and packet.ts_ns < call.ts_ns + offset_ns:
            return None
        if packet.flags & RST and (lingers or tie.unread):
            return SeenEnd(side, how, packet.number, signal, lingers, tie.unread, call.pid)
        return None if how == How.CLOSED else SeenEnd(side, how, packet.number, signal, pid=call.pid)
    return None


# ---------------------------------------------------------------- the sentence that leaves no choice

_SETTLED = {
    Cause.ABORTED_BY_CLIENT, Cause.ABORTED_BY_SERVER, Cause.RESET_BY_CLIENT, Cause.RESET_BY_SERVER, Cause.IDLE_RESET,
    Cause.RETRANSMISSION_TIMEOUT,
}  # fmt: skip
"""Causes whose sentences leave a choice that calls settle."""

_GUESSES = (
    Remark.NO_FIN_BEFORE_RST, Remark.RST_AFTER_SILENCE, Remark.RST_RIGHT_AFTER_HANDSHAKE, Remark.CLOSED_UNREAD,
    Remark.PERHAPS_NOT_ACCEPTED, Remark.NOTHING_UNREAD, Remark.NOTHING_UNREAD_PERHAPS_NOT_ACCEPTED,
    Remark.PERHAPS_UNREAD, Remark.NEVER_USED, Remark.SILENT_SERVER, Remark.ADVICE_READ, Remark.ADVICE_ACCEPT,
    Remark.ADVICE_LINGER, Remark.ADVICE_ACCEPT_OR_LINGER,
)  # fmt: skip
"""Remarks that leave one too, or guess."""

CHOICES = frozenset(
    [CAUSES[cause] for cause in (*_SETTLED, Cause.UNANSWERED)]
    + [ADVICE[cause] for cause in (*_SETTLED, Cause.UNANSWERED) if cause in ADVICE]
    + [REMARKS[remark] for remark in _GUESSES]
)
"""The templates of why.py that are not told where calls settle them."""

_WHAT = {
    How.CLOSED: text("strace saw {process} call close()"),
    How.ENDED: text("strace saw {process} end without close()"),
    How.KILLED: text("strace saw {signal} end {process}"),
}
_READ_ALL = text("Let the program read what came, up to the peer's FIN, before it closes: then a FIN ends it.")
_NO_LINGER = text("Close without SO_LINGER 0: then a FIN ends the connection and nothing is lost.")


def what_ended(end: SeenEnd, process: str) -> str:
    """What strace saw a program do, or be done to: part of a sentence."""
    return _(_WHAT[end.how]).format(process=process, signal=end.signal)


def settling(cause: Cause, reset: int, end: SeenEnd, side: str, process: str) -> str:
    """Why a connection that ``reset`` ended did so, by the call that was seen, and what to do; empty where the call
    does not settle it. ``side`` and ``process`` are the words for them."""
    if cause not in _SETTLED or not end.is_abort or end.packet != reset:
        return ""
    what = what_ended(end, process)
    if not end.unread:
        told = _("The {side} aborted the connection (RST in packet {packet}): {what}, and the socket had SO_LINGER 0.")
    elif end.lingers:
        told = counted(
            "The {side} aborted the connection (RST in packet {packet}): {what} while {n} byte that had come was "
            "unread; the socket had SO_LINGER 0 besides.",
            "The {side} aborted the connection (RST in packet {packet}): {what} while {n} bytes that had come were "
            "unread; the socket had SO_LINGER 0 besides.",
            end.unread,
        )
    else:
        told = counted(
            "The {side} aborted the connection (RST in packet {packet}): {what} while {n} byte that had come was "
            "unread.",
            "The {side} aborted the connection (RST in packet {packet}): {what} while {n} bytes that had come were "
            "unread.",
            end.unread,
        )
    advice = [_(_READ_ALL)] * (end.unread > 0) + [_(_NO_LINGER)] * end.lingers
    return " ".join([told.format(side=side, packet=end.packet, what=what, n=f"{end.unread:,}"), *advice])


_NEVER_ASKED = text("{process} listens on port {port} (backlog {backlog}) and never called accept()")
_NOT_ACCEPTED = text("{process} listens on port {port} (backlog {backlog}) and did not accept this connection")
_ACCEPT = text("Let the program call accept() in a loop, soon after each connection.")


def unaccepted(cause: Cause, syn: int, one: Queued, end: SeenEnd | None, process: str) -> str:
    """Why a connection went as it did that no accept() gave, and what to do; empty where its calls say nothing of it.

    ``syn`` is the client's; ``end`` what became of the listening socket, where its close() reset the connection.
    """
    listener = one.listener
    who = _(_NEVER_ASKED if listener.never_asked else _NOT_ACCEPTED).format(
        process=process, port=listener.local[1], backlog=listener.backlog
    )
    if cause == Cause.UNANSWERED and one.met_full_queue:
        told = _("No SYN-ACK answered the client's SYN (packet {packet}): {who}; its accept queue was full.")
        return f"{told.format(packet=syn, who=who)} {_(_ACCEPT)}"
    if cause == Cause.UNANSWERED:
        return _(
            "No SYN-ACK answered the client's SYN (packet {packet}): {who}. A firewall dropped the SYN, its accept "
            "queue was full, or its answer was lost."
        ).format(packet=syn, who=who)
    if cause == Cause.LIKELY_ACCEPT_QUEUE_FULL:
        return _("Its accept queue was full: {who}.").format(who=who)
    if not one.is_established:
        return ""
    if end and cause in _SETTLED:
        told = _(
            "The server aborted the connection (RST in packet {packet}): {what} while the connection waited in the "
            "accept queue. {who}."
        ).format(packet=end.packet, what=what_ended(end, process), who=who)
        return f"{told} {_(_ACCEPT)}"
    return _("The connection waited in the accept queue: {who}.").format(who=who)
