"""Every code's word, glyph and style, once.

The words are the ones of records and of the field (RFC 9293, Wireshark, Zeek), so that what stands on a screen can be
looked up and searched for. Another language has its own for all but states, protocols and flags; records have codes in
every language. One thing has one colour everywhere: the client, the server, each phase, trouble. Only the terminal's
own sixteen colours are used, and of them those that can be read on a dark and on a light background.

A style is a few words that ``screen.Screen.paint`` knows: ``bold``, ``dim``, ``reverse`` and a colour's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple, TypeVar

from analyzer.explain.causes import Cause
from analyzer.explain.events import kinds_of
from analyzer.explain.losses import DOUBTFUL_EVENTS
from analyzer.language import _, text
from analyzer.tables import Event, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State


class Word(NamedTuple):
    """How a code is shown."""

    text: str
    style: str = ""
    glyph: str = ""
    about: str = ""
    """What an event refers to, which may be left out: ``of 12``."""


Code = TypeVar("Code", bound=IntEnum)


class Words(Mapping[Code, Word]):
    """A table's words in the language that is chosen when one is looked up."""

    def __init__(self, words: dict[Code, Word]) -> None:
        self._words = words

    def __getitem__(self, code: Code) -> Word:
        word = self._words[code]
        return word._replace(text=_(word.text))

    def __iter__(self) -> Iterator[Code]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)


QUIET = "dim"
LOUD = "bold red"
TROUBLE_GLYPH = "✗"

SIDES = Words(
    {
        Side.CLIENT: Word(text("client"), "cyan", "→"),
        Side.SERVER: Word(text("server"), "magenta", "←"),
    }
)
"""The glyph is the direction of what the side sends."""

PHASES = Words(
    {
        Phase.NONE: Word(text("none"), QUIET, "│"),
        Phase.HANDSHAKE: Word(text("handshake"), "green", "▌"),
        Phase.DATA: Word(text("data"), "bright_blue", "▌"),
        Phase.TEARDOWN: Word(text("teardown"), "yellow", "▌"),
    }
)
"""The glyph is the bar beside the phase's packets."""

CONVERSATION = Word(text("datagrams"), "bright_blue", "▌")
"""Stands where a phase would, for UDP."""

STATES = {state: Word(state.name.replace("_", "-")) for state in State}
"""A state has the colour of the side that is in it."""


def state_word(state: State, is_assumed: bool = False) -> str:
    """A state's name, with a question mark where what was captured does not show it."""
    return f"{STATES[state].text}?" if is_assumed else STATES[state].text


ASSUMED = text("A state with ? is assumed: what was captured does not show it.")

_REMARKS = (
    Event.KEEP_ALIVE, Event.KEEP_ALIVE_ACK, Event.WINDOW_UPDATE, Event.REUSED_PORTS, Event.CAPTURE_DUPLICATE,
    Event.FAST_OPEN, Event.DSACK, Event.URGENT, Event.ECN_SETUP, Event.CONGESTION_ECHO, Event.WINDOW_REDUCED,
    Event.OLD_TIMESTAMP, Event.MPTCP, Event.TURNED_ROUND,
)  # fmt: skip

EVENTS = Words(
    {
        event: Word(event.name.lower()) if event in _REMARKS else Word(event.name.lower(), LOUD, TROUBLE_GLYPH)
        for event in Event
    }
)
"""Trouble is loud and has a glyph; a remark is neither."""

PROTOCOLS = Words(
    {
        Protocol.OTHER: Word(text("other")),
        Protocol.ARP: Word("ARP"),
        Protocol.IPV4: Word(text("other IPv4")),
        Protocol.IPV6: Word(text("other IPv6")),
        Protocol.ICMP: Word("ICMP"),
        Protocol.ICMPV6: Word("ICMPv6"),
        Protocol.IGMP: Word("IGMP"),
        Protocol.SCTP: Word("SCTP"),
        Protocol.TCP: Word("TCP"),
        Protocol.UDP: Word("UDP"),
    }
)

ENDINGS = Words(
    {
        Cause.NONE: Word(""),
        Cause.CLOSED_BY_CLIENT: Word(text("client closed")),
        Cause.CLOSED_BY_SERVER: Word(text("server closed")),
        Cause.CLOSED_BY_BOTH: Word(text("both closed")),
        Cause.RESET_BY_CLIENT: Word(text("client reset"), LOUD),
        Cause.RESET_BY_SERVER: Word(text("server reset"), LOUD),
        Cause.REFUSED: Word(text("refused"), LOUD),
        Cause.UNANSWERED: Word(text("no answer"), LOUD),
        Cause.SYN_ACK_UNANSWERED: Word(text("no ACK"), LOUD),
        Cause.HALF_CLOSED: Word(text("half closed")),
        Cause.OPEN: Word(text("open")),
        Cause.ABORTED_BY_CLIENT: Word(text("client aborted"), LOUD),
        Cause.ABORTED_BY_SERVER: Word(text("server aborted"), LOUD),
        Cause.WRITE_AFTER_CLOSE: Word(text("late write"), LOUD),
        Cause.HALF_OPEN: Word(text("forgotten"), LOUD),
        Cause.KEEP_ALIVE_TIMEOUT: Word(text("keep-alive"), LOUD),
        Cause.RETRANSMISSION_TIMEOUT: Word(text("timed out"), LOUD),
        Cause.IDLE_RESET: Word(text("idle reset"), LOUD),
        Cause.LIKELY_MIDDLEBOX_RESET: Word(text("middlebox?"), LOUD),
        Cause.CLIENT_VANISHED: Word(text("client gone"), LOUD),
        Cause.SERVER_VANISHED: Word(text("server gone"), LOUD),
        Cause.LIKELY_ACCEPT_QUEUE_FULL: Word(text("queue full?"), LOUD),
        Cause.PROHIBITED: Word(text("prohibited"), LOUD),
        Cause.NET_UNREACHABLE: Word(text("no route"), LOUD),
        Cause.HOST_UNREACHABLE: Word(text("no host"), LOUD),
        Cause.PORT_UNREACHABLE: Word(text("no port"), LOUD),
        Cause.UNREACHABLE: Word(text("unreachable"), LOUD),
        Cause.HOPS_EXCEEDED: Word(text("hops ran out"), LOUD),
    }
)
"""How a connection ended, in a word or two; explain/why.py has the sentence."""

_SENT_AGAIN = (Event.RETRANSMISSION, Event.FAST_RETRANSMISSION, Event.SPURIOUS_RETRANSMISSION)


def events_of(bits: int, *, has_losses: bool = False, refers_to: int = 0, repeat: int = 0) -> list[Word]:
    """The words of the events in ``Labels.events``, with the packet that they refer to: ``duplicate_ack #3 of 12``.

    Where the capture has losses of its own, events that may come from them have a question mark, and are not loud.
    """
    words = []
    for event in kinds_of(bits):
        word, about = EVENTS[event], ""
        if has_losses and DOUBTFUL_EVENTS >> event & 1:
            word = Word(f"{word.text}?")
        if refers_to and event in _SENT_AGAIN:
            about = _("of {packet}").format(packet=refers_to)
        elif refers_to and event == Event.DUPLICATE_ACK:
            about = _("#{repeat} of {packet}").format(repeat=repeat, packet=refers_to)
        words.append(word._replace(about=about))
    return words


FLAG_WORDS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_FLAG_ORDER = (1, 2, 0, 3, 5, 6, 7, 8, 4)


def flag_words(flags: int) -> str:
    """TCP's control bits, the one that says most first: ``SYN,ACK``."""
    return ",".join(FLAG_WORDS[bit] for bit in _FLAG_ORDER if flags >> bit & 1)


TROUBLES = {
    "retransmitted_packets": text("{n} retransmitted"),
    "out_of_order_packets": text("{n} out of order"),
    "zero_windows": text("{n} zero window"),
}
"""Counters of ENDPOINT that a connection should not have."""


def troubles_of(endpoints: Rows) -> list[Word]:
    """What went wrong on the way, of both sides together: ``3 retransmitted``."""
    totals = ((int(endpoints[counter].sum()), said) for counter, said in TROUBLES.items())
    return [Word(_(said).format(n=f"{total:,}"), LOUD, TROUBLE_GLYPH) for total, said in totals if total]


def marked(word: Word) -> str:
    """The word with its glyph before it, and behind it what it refers to."""
    return " ".join(filter(None, (word.glyph, word.text, word.about)))
