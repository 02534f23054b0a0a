"""One line a packet: our columns, then tcpdump's line.

    ▌  1  1 handshake SYN-SENT     SYN-RECEIVED 22:23:41.475469 IP 127.0.0.1.48994 > 127.0.0.1.1235: Flags [S], …

The columns are packet, connection, phase, the client's and the server's state, and events and socket calls where there
are any. On a
terminal a line never wraps: where tcpdump's addresses take too much room, an arrow stands for them and a connection is
introduced by a line of its own; then tcpdump's options and the line itself are shortened. Elsewhere lines are whole.
Lines are plain strings, made by the hundred thousand a second; what is the same for many packets is made once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from analyzer.explain.calls import Call
from analyzer.explain.known_states import Heard
from analyzer.render.calls import Beside, in_a_row
from analyzer.render.screen import Screen, cells, fit, ljust
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.render.untrusted import visible
from analyzer.render.words import PHASES, SIDES, STATES, Word, events_of, marked, state_word
from analyzer.tables import U8, Batch, Event, Phase, Protocol, Side
from analyzer.tcp.states import State

_STATE_WIDTH = max(len(word.text) for word in STATES.values()) + 1
_PHASE_FROM = 100
"""Narrower terminals show the phase by the colour of its bar alone, and of tcpdump's line only what tells most."""

_ADDRESSES_FROM = 160
"""Narrower terminals show an arrow for the addresses."""

_LEAST_ROOM = 32
"""Columns for the numbers, the time and the arrow."""

_MOST_INTRODUCED = 100_000
"""Connections that are remembered to have been introduced; beyond that, all are introduced again."""

_NO_CALLS: Mapping[int, Beside] = MappingProxyType({})

_UNUSUAL = re.compile(r"[^\n\x20-\x7e]")
_OPTIONS = re.compile(r", options \[([^\]]*)\]")
_DISPENSABLE = re.compile(r"^Flags |, win \d+|, options \[[^\]]*\]")
_WINDOW = re.compile(r", win \d+")
_ENDPOINTS = re.compile(r"^(\S+) IP6? (\S+) > (\S+): ")


class Timeline:
    """Turns batches into text. ``printer`` gives tcpdump's lines; columns grow when numbers do.

    A state that is assumed so far has a question mark; ``heard`` knows, and may be shared with another timeline that
    goes on with the same capture. ``calls`` has the socket calls of connections by their numbers: they stand behind a
    packet's events; those of no packet, and all of them on narrower terminals, in lines of their own.

    Attributes: ``has_losses`` whether the capture lost packets up to now, so that some events are in doubt.
    """

    def __init__(
        self,
        screen: Screen,
        printer: TcpdumpPrinter,
        calls: Mapping[int, Beside] = _NO_CALLS,
        heard: Heard | None = None,
    ) -> None:
        self.has_losses = False
        self._heard = heard or Heard()
        self._calls = calls
        self._screen, self._printer = screen, printer
        self._number_width, self._connection_width = 2, 1
        self._has_phase = not screen.terminal or screen.width >= _PHASE_FROM
        self._has_addresses = not screen.terminal or screen.width >= _ADDRESSES_FROM
        self._phase_width = max(cells(word.text) for word in PHASES.values())
        self._bar_width = 1 if screen.color or self._has_phase else max(cells(word.text[0]) for word in PHASES.values())
        self._bars = {int(phase): self._bar(word) for phase, word in PHASES.items()}
        self._arrows = [screen.paint(SIDES[side].glyph, SIDES[side].style) for side in Side]
        self._columns: dict[tuple[int, int, int, bool, int], str] = {}
        self._columns_width = 2 * (_STATE_WIDTH + 1) + (self._phase_width + 1 if self._has_phase else 0)
        self._remarks: dict[tuple[int, bool], tuple[str, int]] = {}
        self._introduced: set[int] = set()

    def render(self, batch: Batch, assumed: U8 | None = None) -> str:
        """The lines of a batch, each with its line end; ``assumed`` is what ``Heard`` says, where it was asked."""
        return self._screen.encode("".join(self._lines(batch, assumed)))

    def _lines(self, batch: Batch, assumed: U8 | None) -> Iterator[str]:
        if assumed is None:
            assumed = self._heard.assumed(batch)
        frames, packets, labels = batch
        text, end = self._printer.render(frames)
        printed = text.tobytes().decode("latin-1")
        is_usual = not _UNUSUAL.search(printed)
        number_width = self._number_width = max(self._number_width, len(str(frames.number[-1])))
        connection_width = self._connection_width = max(self._connection_width, len(str(labels.connection.max())))
        room = self._screen.width - (self._bar_width + number_width + connection_width + 2 + self._columns_width)
        start = 0
        for number, connection, side, phase, client, server, events, refers_to, repeat, protocol, doubted, stop in zip(
            frames.number.tolist(), labels.connection.tolist(), labels.side.tolist(), labels.phase.tolist(),
            labels.client_state.tolist(), labels.server_state.tolist(), labels.events.tolist(),
            labels.refers_to.tolist(), labels.repeat.tolist(), packets.protocol.tolist(), assumed.tolist(),
            end.tolist(), strict=True,
        ):  # fmt: skip
            line = printed[start : stop - 1]
            start = stop
            if not is_usual:
                line = harmless(line)
            key = (phase, client, server, connection > 0 and protocol == Protocol.TCP, doubted)
            columns = self._columns.get(key) or self._make_columns(*key)
            if refers_to:
                remark, remark_width = self._make_remark(events, refers_to, repeat)
            else:
                remark, remark_width = self._remarks.get((events, self.has_losses)) or self._make_remark(events)
            before = f"{self._bars[phase]}{number:>{number_width}} {connection or '':>{connection_width}} {columns}"
            earlier = later = ""
            if beside := self._calls.get(connection):
                calls = beside.before(number), beside.after(number)
                earlier, later = (self._aside(some, connection) for some in calls)
                near = [call for some in calls for call in some if self._stands_beside(call)]
                note, note_width = in_a_row(near, self._screen, self._room_for_remarks(remark_width) - 3)
                if note:
                    remark, remark_width = f"{remark}{note} · ", remark_width + note_width + 3
            if not self._screen.terminal:
                yield f"{earlier}{before}{remark}{line}\n{later}"
                continue
            line, *more = line.split("\n")
            if not self._has_addresses and connection and (match := _ENDPOINTS.match(line)):
                if connection not in self._introduced or events >> Event.TURNED_ROUND & 1:
                    if len(self._introduced) == _MOST_INTRODUCED:
                        self._introduced.clear()
                    self._introduced.add(connection)
                    yield self._introduction(connection, match[2 + side], match[3 - side])
                before = f"{before}{match[1]} {self._arrows[side]} {remark}"
                line = line[match.end() :]
                if not self._has_phase:
                    line = _DISPENSABLE.sub("", line)
                yield f"{earlier}{before}{_cut(line, room - len(match[1]) - 3 - remark_width)}\n"
            else:
                yield f"{earlier}{before}{remark}{_cut(line, room - remark_width)}\n"
            yield from (f"{fit(line, self._screen.width)}\n" for line in more)
            yield later

    def _bar(self, word: Word) -> str:
        """The phase's bar, or its initial where neither colour nor a column tells the phase."""
        if self._screen.color or self._has_phase:
            return self._screen.paint(word.glyph, word.style)
        return ljust(word.glyph if word == PHASES[Phase.NONE] else word.text[0], self._bar_width)

    def _make_columns(self, phase: int, client: int, server: int, has_states: bool, assumed: int) -> str:
        """Phase and states."""
        paint, word = self._screen.paint, PHASES[Phase(phase)]
        text = ""
        if self._has_phase:
            text = paint(f"{ljust(word.text if has_states else '', self._phase_width)} ", word.style)
        for side, state in zip(Side, (client, server), strict=True):
            name = state_word(State(state), bool(assumed >> side & 1)) if has_states else ""
            text += paint(f"{name:<{_STATE_WIDTH}} ", SIDES[side].style)
        self._columns[phase, client, server, has_states, assumed] = text
        return text

    def _make_remark(self, bits: int, refers_to: int = 0, repeat: int = 0) -> tuple[str, int]:
        """The events, and how wide they are; on a terminal not so wide that no column is left."""
        remark, width = "", 0
        for word in events_of(bits, has_losses=self.has_losses, refers_to=refers_to, repeat=repeat):
            room = self._room_for_remarks(width)
            text = marked(word)
            if cells(text) > room - 1:
                text = fit(marked(word._replace(about="")), room - 1)
            if text:
                remark += f"{self._screen.paint(text, word.style)} "
                width += cells(text) + 1
        if not refers_to:
            self._remarks[bits, self.has_losses] = remark, width
        return remark, width

    def _room_for_remarks(self, used: int) -> int:
        """Columns for more remarks beside so many."""
        return self._screen.width - self._columns_width - _LEAST_ROOM - used if self._screen.terminal else 1_000

    def _aside(self, calls: Sequence[Call], connection: int) -> str:
        """A line of those calls that have no place in a packet's line."""
        some = [call for call in calls if not self._stands_beside(call)]
        if not some:
            return ""
        before = f"{connection:>{self._bar_width + self._number_width + self._connection_width + 1}} "
        text, _ = in_a_row(some, self._screen, self._screen.width - len(before) if self._screen.terminal else 1_000)
        return f"{before}{text}\n"

    def _stands_beside(self, call: Call) -> bool:
        """Whether a call stands in its packet's line: it has one, and the line has room for addresses, so for calls."""
        return bool(call.packet) and self._has_addresses

    def _introduction(self, connection: int, client: str, server: str) -> str:
        """Whose packets will have this connection's number."""
        number = f"{connection:>{self._bar_width + self._number_width + self._connection_width + 1}}"
        names = f"{client} → {server}"
        if len(number) + 1 + len(names) > self._screen.width:
            return f"{number} {fit(names, self._screen.width - len(number) - 1)}\n"
        painted = (
            self._screen.paint(name, SIDES[side].style) for side, name in zip(Side, (client, server), strict=True)
        )
        return f"{number} {' → '.join(painted)}\n"


def _cut(line: str, width: int) -> str:
    """tcpdump's line in so many columns: with fewer of its options, then without the window, then without its end."""
    if len(line) <= width:
        return line
    if options := _OPTIONS.search(line):
        told = options[1].replace("nop,", "")
        room = width - len(line) + len(options[1])
        if len(told) > room:
            told = told[: max(room, 0)].rpartition(",")[0]
            told = f"{told},…" if told else ""
        line = line[: options.start()] + (f", options [{told}]" if told else "") + line[options.end() :]
    if len(line) > width:
        line = _WINDOW.sub("", line)
    return fit(line, width)


def harmless(text: str) -> str:
    """Printed text, an octet a character, without anything that a terminal obeys."""
    lines = text.encode("latin-1").decode(errors="surrogateescape").expandtabs().split("\n")
    return "\n".join(map(visible, lines))
