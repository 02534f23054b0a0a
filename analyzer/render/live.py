"""What stays on the terminal during a live capture: a heading, and a table of the connections that live.

     live on lo · port 1235 · 00:12 · 10 packets · 0 lost                            q quits
       #  client           server          phase      states                    last
    ▌  1  127.0.0.1:48994  127.0.0.1:1235  teardown   CLOSED · TIME-WAIT        server closed

Where not all columns find room, some are left out, and told in a line of their own while there are few connections.
Connections that ended are dimmed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from analyzer.explain.causes import Cause, cause_of
from analyzer.explain.known_states import assumed_sides
from analyzer.language import _, text
from analyzer.render.addresses import endpoint, shortened
from analyzer.render.quantities import count, counted, duration, size
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.untrusted import visible
from analyzer.render.watched import Touch, Watched
from analyzer.render.words import (
    CONVERSATION,
    ENDINGS,
    LOUD,
    PHASES,
    QUIET,
    SIDES,
    STATES,
    TROUBLE_GLYPH,
    Word,
    events_of,
    flag_words,
    marked,
    state_word,
)
from analyzer.tables import ACK, FIN, PSH, RST, SYN, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State
from analyzer.tcp.summary import has_ended

Owners = Callable[[Rows], tuple[str, str]]
"""Gives the programs behind the client and the server of a CONNECTION row, empty where they are not known."""

_TROUBLE_STAYS_NS = 3_000_000_000
_WIDEST_LAST = 24
_SHORTEST_ENDPOINT = 12


class Heading(NamedTuple):
    """What is listened to, and how it goes."""

    interface: str
    filter_expression: str
    elapsed_ns: int
    packets: int
    lost: int | None
    """None where nobody knows."""
    saved_to: str
    """Name of the file that packets are saved to, if any."""
    let_go: int = 0
    """Connections that are no longer in the tables."""
    keys: str = ""
    """What a person can do."""
    finding: Word = Word("")
    """What a person should know of, in a line of its own."""


class _Column(NamedTuple):
    heading: str
    right: bool = False
    dispensable: int = 0
    """The higher, the earlier it is left out; 0 stays."""


_COLUMNS = (
    _Column("#", right=True),
    _Column(text("client")),
    _Column(text("server")),
    _Column(text("program"), dispensable=1),
    _Column(text("phase"), dispensable=2),
    _Column(text("client is")),
    _Column(text("server is")),
    _Column(text("packets"), right=True, dispensable=4),
    _Column(text("bytes"), right=True, dispensable=5),
    _Column(text("age"), right=True, dispensable=3),
    _Column(text("last")),
)
_CLIENT, _SERVER, _PROGRAM, _PHASE, _CLIENT_STATE, _SERVER_STATE, _PACKETS, _BYTES, _AGE, _LAST = range(1, 11)
_STATE_WIDTH = max(len(word.text) for word in STATES.values())


class LiveTable:
    """Lays out what stays below. ``owners`` is asked for what is shown, and no more."""

    def __init__(self, watched: Watched, owners: Owners) -> None:
        self._watched, self._owners = watched, owners
        self._widths = [cells(_(column.heading)) for column in _COLUMNS]
        self._widths[_CLIENT_STATE], self._widths[_SERVER_STATE] = _STATE_WIDTH, _STATE_WIDTH + len("?")
        self._widths[_PHASE] = max(cells(word.text) for word in PHASES.values())

    def lines(
        self, heading: Heading, connections: Rows, endpoints: Rows, now_ns: int, screen: Screen, room: int
    ) -> list[str]:
        """At most ``room`` lines for the connections at this time; the rows are those in use."""
        lines = [_heading(heading, screen)]
        if room < 4:
            return lines
        if heading.finding.text and room > 4:
            line = fit(marked(heading.finding), screen.width - 1)
            lines.append(f" {screen.paint(line, heading.finding.style)}")
        chosen, living = self._watched.choose(connections, endpoints, now_ns, room - len(lines) - 2)
        if not chosen:
            told = _("no connection lives") if len(connections) else _("waiting for packets")
            return [*lines, screen.paint(f" {told}", QUIET)]
        rows = []
        over = has_ended(connections[chosen], endpoints[chosen], now_ns).tolist()
        for row, is_over in zip(chosen, over, strict=True):
            touch = self._watched.touched(int(connections[row]["number"]))
            last = _last(touch, now_ns, has_losses=bool(heading.lost))
            rows.append(self._row(connections[row], endpoints[row], last, is_over, now_ns))
        more = living - len(rows)
        has_room = more <= 0 and len(lines) + 1 + 2 * len(rows) <= room
        shown, gap = self._fit(rows, screen.width, has_room)
        lines.append(screen.paint(" " + _join([Word(_(column.heading)) for column in _COLUMNS], shown, gap), QUIET))
        for cells_of_row, row in zip(rows, chosen, strict=True):
            bar = self._bar(connections[row], screen)
            lines.append(bar + _join(cells_of_row, shown, gap, screen))
            if has_room and (details := self._details(cells_of_row, endpoints[row], shown)):
                indent = " " * (shown[0] + 3)
                lines.append(indent + screen.paint(fit(details, screen.width - len(indent)), QUIET))
        if more > 0:
            lines.append(screen.paint(" " + _("… {n} more").format(n=count(more)), QUIET))
        return lines

    def _row(self, connection: Rows, endpoints: Rows, last: Word, is_over: bool, now_ns: int) -> list[Word]:
        """The cells of a connection."""
        is_tcp = connection["protocol"] == Protocol.TCP
        phase = PHASES[Phase(int(connection["phase"]))] if is_tcp else CONVERSATION._replace(text=_(CONVERSATION.text))
        until_ns = int(connection["last_ns"]) if is_over else now_ns
        assumed = assumed_sides(endpoints)
        words = [
            Word(str(connection["number"])),
            *(Word(endpoint(connection, side), SIDES[side].style) for side in Side),
            Word(visible(_programs(*self._owners(connection)))),
            phase,
            *(Word(state_word(State(int(endpoints[s]["state"])), assumed[s]), SIDES[s].style) for s in Side),
            Word(count(int(endpoints["packets"].sum()))),
            Word(size(int(endpoints["payload_bytes"].sum()))),
            Word(duration(max(until_ns - int(connection["first_ns"]), 0))),
            last,
        ]
        if not is_tcp:
            words[_CLIENT_STATE] = words[_SERVER_STATE] = Word("")
        if is_over:
            cause = Cause(cause_of(connection, *endpoints))
            ending = ENDINGS[cause] if is_tcp or cause else Word(_("silent"))
            words = [word._replace(style=QUIET) for word in words]
            words[_LAST] = Word(marked(ending), ending.style or QUIET)
        return words

    def _fit(self, rows: list[list[Word]], width: int, has_room: bool) -> tuple[dict[int, int], int]:
        """The columns that find room with how wide each is, and the gap between them.

        What once was wide stays so: nothing jumps. Where there is room for lines besides, what does not fit goes there
        together.
        """
        for k in range(len(_COLUMNS)):
            longest = max(cells(row[k].text) for row in rows)
            self._widths[k] = max(self._widths[k], min(longest, _WIDEST_LAST) if k == _LAST else longest)
        widths = list(self._widths)
        told = [k for k in range(len(_COLUMNS)) if k != _PROGRAM or any(row[k].text for row in rows)]
        few = [k for k in told if not _COLUMNS[k].dispensable]
        choices = [[k for k in told if _COLUMNS[k].dispensable <= level] for level in range(_LAST, -1, -1)]
        if has_room:
            choices = [
                told,
                *([k for k in told if k in few or k in more] for more in ((_PROGRAM, _PHASE), (_PHASE,), ())),
            ]
        for shown in (*choices, few[:-1]):
            missing = sum(widths[k] + 2 for k in shown) - width
            if missing <= 0:
                break
        gap = 2
        if missing > 0:
            missing -= len(shown) - 1
            gap = 1
        for k in (_CLIENT, _SERVER):
            if missing > 0:
                cut = min(missing if k == _SERVER else (missing + 1) // 2, max(widths[k] - _SHORTEST_ENDPOINT, 0))
                widths[k] -= cut
                missing -= cut
        for row in rows:
            for k in (_CLIENT, _SERVER):
                row[k] = row[k]._replace(text=shortened(row[k].text, widths[k]))
            row[_LAST] = row[_LAST]._replace(text=fit(row[_LAST].text, widths[_LAST]))
        return {k: widths[k] for k in shown}, gap

    def _details(self, row: list[Word], endpoints: Rows, shown: Collection[int]) -> str:
        """What found no room in the row."""
        texts = {
            _LAST: row[_LAST].text, _PROGRAM: row[_PROGRAM].text,
            _PACKETS: counted(int(endpoints["packets"].sum()), "packet"),
            _BYTES: row[_BYTES].text, _AGE: row[_AGE].text,
        }  # fmt: skip
        return " · ".join(told for k, told in texts.items() if k not in shown and told)

    def _bar(self, connection: Rows, screen: Screen) -> str:
        word = PHASES[Phase(int(connection["phase"]))] if connection["protocol"] == Protocol.TCP else CONVERSATION
        return screen.paint(word.glyph, word.style)


def _heading(heading: Heading, screen: Screen) -> str:
    minutes, seconds = divmod(heading.elapsed_ns // 1_000_000_000, 60)
    clock = f"{minutes:02d}:{seconds:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    facts = [Word(visible(heading.filter_expression)), Word(clock), Word(counted(heading.packets, "packet"))]
    if heading.lost is not None:
        style, glyph = (LOUD, TROUBLE_GLYPH) if heading.lost else ("", "")
        facts.append(Word(_("{n} lost").format(n=count(heading.lost)), style, glyph))
    if heading.let_go:
        facts.append(Word(_("{n} let go").format(n=count(heading.let_go))))
    if heading.saved_to:
        facts.append(Word(_("saved to {file}").format(file=visible(os.path.basename(heading.saved_to)))))
    title = _("live on {interface}").format(interface=visible(heading.interface))
    line, used = screen.paint(title, "bold"), cells(title) + 1
    room = screen.width - 2
    longest = room - sum(cells(marked(fact)) + 3 for fact in facts[1:]) - used - 3
    facts[0] = facts[0]._replace(text=fit(facts[0].text, max(longest, 8)))
    for fact in facts:
        told = marked(fact)
        if told and used + cells(told) + 3 <= room:
            line += f" · {screen.paint(told, fact.style)}"
            used += cells(told) + 3
    if used + cells(heading.keys) + 3 <= room:
        line += " " * (room - used - cells(heading.keys)) + screen.paint(heading.keys, QUIET)
    return f" {line}"


def _join(row: list[Word], shown: Mapping[int, int], gap: int, screen: Screen | None = None) -> str:
    texts = []
    for k, width in shown.items():
        blanks = " " * (width - cells(row[k].text))
        told = screen.paint(row[k].text, row[k].style) if screen else row[k].text
        texts.append(blanks + told if _COLUMNS[k].right else told + blanks)
    return " " + (" " * gap).join(texts).rstrip()


def _programs(client: str, server: str) -> str:
    """``client1.py (6829) → server1.py (6828)``; one alone without an arrow is behind both ends."""
    return client if client == server else f"{client} → {server}".strip()


def _last(touch: Touch | None, now_ns: int, *, has_losses: bool) -> Word:
    """What happened last: trouble for a while, else the last packet."""
    if touch is None:
        return Word("")
    if touch.events and now_ns - touch.events_ns < _TROUBLE_STAYS_NS:
        words = events_of(touch.events, has_losses=has_losses)
        loudest = max(words, key=lambda word: len(word.style))
        return Word(marked(loudest), loudest.style)
    side = SIDES[Side(touch.side)]
    if touch.flags & (SYN | FIN | RST):
        kept = touch.flags & ~PSH if touch.flags & SYN else touch.flags & ~(PSH | ACK)
        what = flag_words(kept)
    else:
        what = size(touch.payload_len) if touch.payload_len else "ACK"
    return Word(f"{side.glyph} {what}", side.style)
