"""Every code's word, glyph and style, once.

The words are the ones of records and of the field (RFC 9293, Wireshark, Zeek), so that what stands on a screen can be
looked up and searched for. One thing has one colour everywhere: the client, the server, each phase, trouble. Only the
terminal's own sixteen colours are used, and of them those that can be read on a dark and on a light background.

A style is a few words that ``screen.Screen.paint`` knows: ``bold``, ``dim``, ``reverse`` and a colour's name.
"""

from __future__ import annotations

from typing import NamedTuple

from analyzer.explain.causes import Cause
from analyzer.explain.events import kinds_of
from analyzer.explain.losses import DOUBTFUL_EVENTS
from analyzer.tables import Event, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State


class Word(NamedTuple):
    """How a code is shown."""

    text: str
    style: str = ""
    glyph: str = ""
    about: str = ""
    """What an event refers to, which may be left out: ``of 12``."""


QUIET = "dim"
LOUD = "bold red"
TROUBLE_GLYPH = "✗"

SIDES = {
    Side.CLIENT: Word("client", "cyan", "→"),
    Side.SERVER: Word("server", "magenta", "←"),
}
"""The glyph is the direction of what the side sends."""

PHASES = {
    Phase.NONE: Word("none", QUIET, "│"),
    Phase.HANDSHAKE: Word("handshake", "green", "▌"),
    Phase.DATA: Word("data", "bright_blue", "▌"),
    Phase.TEARDOWN: Word("teardown", "yellow", "▌"),
}
"""The glyph is the bar beside the phase's packets."""

CONVERSATION = Word("datagrams", "bright_blue", "▌")
"""Stands where a phase would, for UDP."""

STATES = {state: Word(state.name.replace("_", "-")) for state in State}
"""A state has the colour of the side that is in it."""

_REMARKS = (
    Event.KEEP_ALIVE, Event.KEEP_ALIVE_ACK, Event.WINDOW_UPDATE, Event.REUSED_PORTS, Event.CAPTURE_DUPLICATE,
    Event.FAST_OPEN, Event.DSACK, Event.URGENT, Event.ECN_SETUP, Event.CONGESTION_ECHO, Event.WINDOW_REDUCED,
    Event.OLD_TIMESTAMP, Event.MPTCP,
)  # fmt: skip

EVENTS = {
    event: Word(event.name.lower()) if event in _REMARKS else Word(event.name.lower(), LOUD, TROUBLE_GLYPH)
    for event in Event
}
"""Trouble is loud and has a glyph; a remark is neither."""

PROTOCOLS = {
    Protocol.OTHER: Word("other"),
    Protocol.ARP: Word("ARP"),
    Protocol.IPV4: Word("other IPv4"),
    Protocol.IPV6: Word("other IPv6"),
    Protocol.ICMP: Word("ICMP"),
    Protocol.ICMPV6: Word("ICMPv6"),
    Protocol.IGMP: Word("IGMP"),
    Protocol.SCTP: Word("SCTP"),
    Protocol.TCP: Word("TCP"),
    Protocol.UDP: Word("UDP"),
}

ENDINGS = {
    Cause.NONE: Word(""),
    Cause.CLOSED_BY_CLIENT: Word("client closed"),
    Cause.CLOSED_BY_SERVER: Word("server closed"),
    Cause.CLOSED_BY_BOTH: Word("both closed"),
    Cause.RESET_BY_CLIENT: Word("client reset", LOUD),
    Cause.RESET_BY_SERVER: Word("server reset", LOUD),
    Cause.REFUSED: Word("refused", LOUD),
    Cause.UNANSWERED: Word("no answer", LOUD),
    Cause.SYN_ACK_UNANSWERED: Word("no ACK", LOUD),
    Cause.HALF_CLOSED: Word("half closed"),
    Cause.OPEN: Word("open"),
    Cause.ABORTED_BY_CLIENT: Word("client aborted", LOUD),
    Cause.ABORTED_BY_SERVER: Word("server aborted", LOUD),
    Cause.WRITE_AFTER_CLOSE: Word("late write", LOUD),
    Cause.HALF_OPEN: Word("forgotten", LOUD),
    Cause.KEEP_ALIVE_TIMEOUT: Word("keep-alive", LOUD),
    Cause.RETRANSMISSION_TIMEOUT: Word("timed out", LOUD),
    Cause.IDLE_RESET: Word("idle reset", LOUD),
    Cause.LIKELY_MIDDLEBOX_RESET: Word("middlebox?", LOUD),
    Cause.CLIENT_VANISHED: Word("client gone", LOUD),
    Cause.SERVER_VANISHED: Word("server gone", LOUD),
    Cause.LIKELY_ACCEPT_QUEUE_FULL: Word("queue full?", LOUD),
    Cause.PROHIBITED: Word("prohibited", LOUD),
    Cause.NET_UNREACHABLE: Word("no route", LOUD),
    Cause.HOST_UNREACHABLE: Word("no host", LOUD),
    Cause.PORT_UNREACHABLE: Word("no port", LOUD),
    Cause.UNREACHABLE: Word("unreachable", LOUD),
    Cause.HOPS_EXCEEDED: Word("hops ran out", LOUD),
}
"""How a connection ended, in a word or two; explain/why.py has the sentence."""

_DOUBTED_EVENTS = EVENTS | {event: Word(f"{EVENTS[event].text}?") for event in Event if DOUBTFUL_EVENTS >> event & 1}

_SENT_AGAIN = (Event.RETRANSMISSION, Event.FAST_RETRANSMISSION, Event.SPURIOUS_RETRANSMISSION)


def events_of(bits: int, *, has_losses: bool = False, refers_to: int = 0, repeat: int = 0) -> list[Word]:
    """The words of the events in ``Labels.events``, with the packet that they refer to: ``duplicate_ack #3 of 12``.

    Where the capture has losses of its own, events that may come from them have a question mark, and are not loud.
    """
    words = EVENTS if not has_losses else _DOUBTED_EVENTS
    if not refers_to:
        return [words[event] for event in kinds_of(bits)]
    about = dict.fromkeys(_SENT_AGAIN, f"of {refers_to}") | {Event.DUPLICATE_ACK: f"#{repeat} of {refers_to}"}
    return [words[event]._replace(about=about.get(event, "")) for event in kinds_of(bits)]


FLAG_WORDS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_FLAG_ORDER = (1, 2, 0, 3, 5, 6, 7, 8, 4)


def flag_words(flags: int) -> str:
    """TCP's control bits, the one that says most first: ``SYN,ACK``."""
    return ",".join(FLAG_WORDS[bit] for bit in _FLAG_ORDER if flags >> bit & 1)


TROUBLES = {
    "retransmitted_packets": "retransmitted",
    "out_of_order_packets": "out of order",
    "zero_windows": "zero window",
}
"""Counters of ENDPOINT that a connection should not have."""


def troubles_of(endpoints: Rows) -> list[Word]:
    """What went wrong on the way, of both sides together: ``3 retransmitted``."""
    totals = ((int(endpoints[counter].sum()), text) for counter, text in TROUBLES.items())
    return [Word(f"{total:,} {text}", LOUD, TROUBLE_GLYPH) for total, text in totals if total]


def marked(word: Word) -> str:
    """The word with its glyph before it, and behind it what it refers to."""
    return " ".join(filter(None, (word.glyph, word.text, word.about)))
