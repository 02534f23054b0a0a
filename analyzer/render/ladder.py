"""One connection's life: its packets as arrows between two lifelines, in the three phases, states where they change.

     handshake  3 packets · 43 µs
    ▌  1 0.000000      SYN-SENT ├─ SYN mss 65495 ─────▶│ SYN-RECEIVED

Time flows down. The bar at the left has the phase's colour, an arrow the sender's, trouble its own. A state stands
beside the lifeline of the side that enters it, and where there is room also the socket calls that the side's program
made; on narrow screens these have rows of their own. What does not fit between the lifelines is left out, the least
telling first; events that do not fit get a row of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from analyzer.explain.calls import Call
from analyzer.explain.delays import delayed_writes
from analyzer.explain.icmp_errors import reason_of_error
from analyzer.explain.known_states import Known, states_of
from analyzer.explain.walk import PASSED
from analyzer.language import _, text
from analyzer.render.addresses import endpoint, port, shortened, written
from analyzer.render.arrow import SPACIOUS, arrow
from analyzer.render.calls import Beside, calls_hidden, lines_of
from analyzer.render.folding import SHOWN_WHOLE, folded, phase_runs
from analyzer.render.lifelines import Lifelines
from analyzer.render.quantities import counted, duration, seconds, seconds_decimals, size
from analyzer.render.remarks import remarks as remarks_on
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.segment import Segment, Traffic, segments, traffic
from analyzer.render.tunnels import tunnels
from analyzer.render.turns import Turn, turns
from analyzer.render.words import (
    ASSUMED,
    CONVERSATION,
    LOUD,
    PHASES,
    QUIET,
    SIDES,
    STATES,
    Word,
    events_of,
    marked,
    state_word,
    troubles_of,
)
from analyzer.render.wrapping import wrap
from analyzer.tables import ACK, SYN, Life, Phase, Protocol, Rows, Side
from analyzer.tcp.states import State

if TYPE_CHECKING:
    from analyzer.traces import IcmpError

_PAUSE_NS = 1_000_000_000
"""A pause from this length on is pointed out."""

_LEGENDS = (
    text('flags seq:next (bytes) ack window "payload"'),
    text('flags seq:next (bytes) ack "payload"'),
    text('flags seq:next (bytes) "payload"'),
)
_LONGEST_SENTENCE_LINE = 100


class Story(NamedTuple):
    """A connection as the ladder needs it."""

    number: int
    """Its number for people, from 1."""
    connection: Rows
    """Its CONNECTION row."""
    endpoints: Rows
    """Its two ENDPOINT rows."""
    life: Life
    ending: Word
    why: Sequence[str]
    """The closing paragraphs."""
    has_losses: bool = False
    """Whether the capture lost packets, so that some events are in doubt."""
    calls: Sequence[Call] = ()
    """Socket calls of its two sides."""


def ladder(story: Story, screen: Screen, *, whole: bool = False, marked: int = 0) -> Iterator[str]:
    """The lines of one connection. ``whole``: nothing is folded; ``marked``: the packet with this number is pointed at.

    The mark is ``▶`` right of the bar, and the packet is never folded.
    """
    return _Ladder(story, screen, whole, marked).lines()


class _Ladder:
    def __init__(self, story: Story, screen: Screen, whole: bool, marked: int) -> None:
        self._story, self._screen = story, screen
        self._segments = segments(story.life)
        self._all = whole
        self._marked = marked
        self._whole = whole or len(self._segments) <= SHOWN_WHOLE
        self._is_tcp = story.connection["protocol"] == Protocol.TCP
        self._first_ns = int(story.connection["first_ns"])
        last = self._segments[-1]
        ends = [(segment.number, segment.ts_ns) for segment in (self._segments[0], last)]
        ends += [(error.number, error.ts_ns) for error in story.life.errors[-1:]]
        number_width = max(3, len(str(max(ends)[0])) + 1)
        longest = max(abs(ts_ns - self._first_ns) for _, ts_ns in ends)
        self._decimals = seconds_decimals(longest)
        self._calls = Beside(story.calls, self._segments)
        self._grid = Lifelines(
            screen, number_width, max(8, len(self._time_at(max(ends)[1]))), has_calls=bool(story.calls)
        )
        scales = [int(scale) for scale in story.endpoints["window_scale"]]
        self._shifts = scales if min(scales) >= 0 else [0, 0]
        self._states = states_of(story.life) if self._is_tcp else ([], [])
        rtt_ns = int(story.connection["initial_rtt_ns"])
        self._delayed = delayed_writes(story.life, rtt_ns) if story.endpoints["nagle_waits"].any() else {}
        self._turns = {turn.first: turn for turn in turns(self._segments)} if self._is_tcp else {}
        self._errors = list(story.life.errors)

    def lines(self) -> Iterator[str]:
        """From the heading to the closing sentence."""
        yield from self._heading()
        for run in phase_runs(self._segments):
            word = PHASES[Phase(self._segments[run.start].phase)] if self._is_tcp else _conversation()
            packets, *rest = _totals(traffic(self._segments[run.start : run.stop]))
            yield self._grid.banner(word, packets, " · ".join(rest))
            bar = self._screen.paint(word.glyph, word.style)
            for item in run if self._whole else folded(self._segments, run, self._marked):
                yield from self._packet(item, bar) if isinstance(item, int) else self._fold(item, bar)
        yield ""
        if self._story.calls:
            legend = self._calls.legend(min(self._screen.width, _LONGEST_SENTENCE_LINE) - 1)
            yield from (self._screen.paint(line, QUIET) for line in legend)
            yield ""
        if any(known.is_assumed for states in self._states for known in states):
            lines = wrap(_(ASSUMED), min(self._screen.width, _LONGEST_SENTENCE_LINE) - 1, " ", " ")
            yield from (self._screen.paint(line, QUIET) for line in lines)
            yield ""
        if self._is_tcp:
            yield from remarks_on(self._story.life, self._screen, has_losses=self._story.has_losses, whole=self._all)
        for paragraph in self._story.why:
            yield from wrap(paragraph, min(self._screen.width, _LONGEST_SENTENCE_LINE) - 1, " ", " ")
            yield ""

    def _heading(self) -> Iterator[str]:
        paint, story = self._screen.paint, self._story
        number = str(story.number)
        room = (self._grid.width - len(f" {number}   → ")) // 2
        ends = [shortened(endpoint(story.connection, side), room) for side in Side]
        plain = f" {number}  {ends[0]} → {ends[1]}"
        styles = [f"bold {SIDES[side].style}" for side in Side]
        line = f" {paint(number, 'bold')}  {paint(ends[0], styles[0])} → {paint(ends[1], styles[1])}"
        packets = counted(int(story.endpoints["packets"].sum()), "packet")
        last_ns = max([int(story.connection["last_ns"]), *(error.ts_ns for error in story.life.errors)])
        lasted = duration(last_ns - int(story.connection["first_ns"]))
        facts = [Word(packets), story.ending, *troubles_of(story.endpoints), Word(lasted)]
        for fact, style in ((marked(word), word.style) for word in facts):
            if fact and cells(plain) + cells(fact) + 3 <= self._grid.width:
                plain += f" · {fact}"
                line += f" · {paint(fact, style)}"
        yield paint("─" * self._grid.width, QUIET)
        yield line
        yield from tunnels(story.life, self._screen)
        yield ""
        names = [f"{SIDES[side].text} :{port(story.connection, side)}" for side in Side]
        legends = tuple(map(_, _LEGENDS[self._grid.inside < SPACIOUS :] if self._is_tcp else ()))
        yield self._grid.heads(names[0], legends, names[1])
        processes = [fit(self._calls.process(side), self._grid.side_width) for side in Side]
        if any(processes):
            yield self._grid.row(" ", client=processes[0], server=processes[1])
        if self._is_tcp:
            yield from self._rows_of(self._led_to_states(), " ")
            client, server = (state_word(*states[0]) for states in self._states)
            yield self._grid.row(" ", client=client, server=server)

    def _packet(self, index: int, bar: str) -> Iterator[str]:
        segment, grid = self._segments[index], self._grid
        side = Side(segment.side)
        yield from self._before(index, bar)
        remarks = self._events(segment.events, segment.refers_to, segment.repeat) if self._is_tcp else []
        note = Word("")
        if remarks and grid.note_width:
            note = Word(" ".join(marked(word) for word in remarks), max(word.style for word in remarks))
        in_note = 0 < cells(note.text) <= grid.note_width
        middle, left_out = arrow(
            segment, grid.inside, self._screen, self._shifts[side], [] if in_note else remarks, is_tcp=self._is_tcp
        )
        states, passed = self._states_entered(index)
        before, after = self._calls_at(index)
        alone = [call for call in before if not call.packet or not grid.takes_calls]
        yield from self._rows_of(alone, bar)
        before = [call for call in before if call not in alone]
        errors = self._errors_to(index, bar)
        alone = [call for call in after if not call.packet or not grid.takes_calls or errors]
        after = [call for call in after if call not in alone]
        width = grid.side_width
        rows = [_around(states[s], passed[s], lines_of(before, s, width), lines_of(after, s, width)) for s in Side]
        for client, server in _aligned(rows[0].above, rows[1].above, at_end=True):
            yield grid.row(bar, client=client, server=server)
        yield grid.row(
            bar, str(segment.number), self._time(segment), rows[0].beside, middle, rows[1].beside,
            note if in_note else Word(""), ends="├│" if side == Side.CLIENT else "│┤",
            is_marked=segment.number == self._marked,
        )  # fmt: skip
        for client, server in _aligned(rows[0].below, rows[1].below):
            yield grid.row(bar, client=client, server=server)
        yield from errors
        yield from self._rows_of(alone, bar)
        for word in left_out:
            yield grid.aside(bar, marked(word), side, word.style)
        if self._story.life.omitted and index == len(self._segments) // 2 - 1:
            yield self._omission(bar)

    def _errors_to(self, index: int, bar: str) -> list[str]:
        """The rows of ICMP errors that came before the packet after this one, those told already apart."""
        following = self._segments[index + 1].number if index + 1 < len(self._segments) else None
        now = [error for error in self._errors if following is None or error.number < following]
        self._errors = self._errors[len(now) :]
        return [row for error in now for row in self._error(error, bar)]

    def _error(self, error: IcmpError, bar: str) -> Iterator[str]:
        """The rows of an ICMP error, at the end of the side whose packet it quotes."""
        number, time = str(error.number), self._time_at(error.ts_ns)
        address = written(error.sender, int(self._story.connection["ip_version"]))
        said = _("ICMP from {address}: {reason}, packet {packet}")
        said = said.format(address=address, reason=reason_of_error(error), packet=error.quoted)
        lines = [said]
        if cells(said) > self._grid.inside - 2:
            lines = [_("ICMP from {address}:").format(address=address), reason_of_error(error)]
        for line in lines:
            yield self._grid.aside(bar, line, Side(error.side), LOUD, number=number, time=time)
            number = time = ""

    def _calls_at(self, index: int) -> tuple[list[Call], list[Call]]:
        """The calls to tell before and after a packet; some before the first stand in the heading."""
        segment = self._segments[index]
        told = self._led_to_states() if index == 0 and self._is_tcp else []
        before = [call for call in self._calls.before(segment.number) if call not in told]
        return before, self._calls.after(segment.number)

    def _led_to_states(self) -> list[Call]:
        """The calls that led to the states before the first packet: all but those that this packet follows from."""
        first = self._segments[0]
        is_answer = first.flags & SYN and first.flags & ACK
        before = self._calls.before(first.number)
        return [call for call in before if is_answer or not call.packet or call.side != first.side]

    def _rows_of(self, some: list[Call], bar: str) -> Iterator[str]:
        """Calls in rows of their own: side by side unless it is known which came first."""
        if self._grid.takes_calls:
            is_ordered = any(call.ts_ns is not None for call in some)
            for together in [[call] for call in some] if is_ordered else [some]:
                client, server = (lines_of(together, side, self._grid.side_width) for side in Side)
                for words in _aligned(client, server):
                    yield self._grid.row(bar, client=words[0], server=words[1])
            return
        for call in some:
            for line in lines_of([call], call.side, self._grid.inside - 2):
                yield self._grid.aside(bar, line.text, call.side, f"{line.style} {SIDES[call.side].style}".lstrip())

    def _events(self, bits: int, refers_to: int = 0, repeat: int = 0) -> list[Word]:
        return events_of(bits, has_losses=self._story.has_losses, refers_to=refers_to, repeat=repeat)

    def _time(self, segment: Segment) -> str:
        return self._time_at(segment.ts_ns)

    def _time_at(self, ts_ns: int) -> str:
        return seconds(ts_ns - self._first_ns, self._decimals)

    def _before(self, index: int, bar: str) -> Iterator[str]:
        """A row before the packet where a turn begins or after a pause."""
        turn = self._turns.get(index)
        if turn:
            yield self._grid.aside(bar, _turn_text(turn, self._grid.inside - 2), Side(turn.side))
        elif index:
            pause = self._segments[index].ts_ns - self._segments[index - 1].ts_ns
            if pause >= _PAUSE_NS:
                yield self._grid.aside(bar, _("{time} later").format(time=duration(pause)))
        segment = self._segments[index]
        if segment.number in self._delayed:
            waited = duration(self._delayed[segment.number])
            told = _("{time}: waited for delayed ACK").format(time=waited)
            yield self._grid.aside(bar, told, Side(segment.side), LOUD)

    def _states_entered(self, index: int) -> tuple[list[str], list[str]]:
        """For each side the state that this packet moved it to, and the one that it passed; empty where none."""
        if not self._is_tcp:
            return ["", ""], ["", ""]
        steps = [(states[index], states[index + 1]) for states in self._states]
        entered = [state_word(*new) if new.state != old.state else "" for old, new in steps]
        return entered, [_passed(*step) for step in steps]

    def _fold(self, hidden: range, bar: str) -> Iterator[str]:
        """The rows for packets that are not shown."""
        some = self._segments[hidden.start : hidden.stop]
        yield self._folded(traffic(some), bar)
        if seen := self._calls.seen_at(some):
            yield self._grid.aside(bar, calls_hidden(seen))
        for told in self._trouble(some):
            yield self._grid.aside(bar, told, style=LOUD)
        yield from self._errors_to(hidden.stop - 1, bar)
        if self._story.life.omitted and hidden.start < len(self._segments) // 2 <= hidden.stop:
            yield self._omission(bar)

    def _omission(self, bar: str) -> str:
        """The row for packets that were not kept: they lie in the middle of the life."""
        kept = traffic(self._segments)
        sent = self._story.endpoints["payload_bytes"]
        half = len(self._segments) // 2
        gap_ns = self._segments[half].ts_ns - self._segments[half - 1].ts_ns
        return self._folded(
            Traffic(
                self._story.life.omitted, int(sent[0]) - kept.client_bytes, int(sent[1]) - kept.server_bytes, gap_ns
            ),
            bar,
        )

    def _folded(self, total: Traffic, bar: str) -> str:
        packets, *rest = _totals(total)
        return self._grid.fold(bar, f"… {packets}", " · ".join(rest))

    def _trouble(self, some: list[Segment]) -> list[str]:
        """What goes wrong in packets that are not shown."""
        tally = Counter(word for segment in some if segment.events for word in self._events(segment.events))
        return [f"{number:,} {marked(word)}" for word, number in tally.most_common() if word.style == LOUD]


def _passed(before: Known, after: Known) -> str:
    """The state that a segment moved an endpoint over, if it did; ESTAB is figure 5's own word."""
    state = PASSED.get((before.state, after.state))
    if state is None:
        return ""
    return _("by {state}").format(state="ESTAB" if state == State.ESTABLISHED else STATES[state].text)


class _Around(NamedTuple):
    """What stands beside one lifeline at a packet's row, and above and below it."""

    above: list[Word]
    beside: Word
    below: list[Word]


def _around(state: str, passed: str, before: list[Word], after: list[Word]) -> _Around:
    """A state that is entered stands at the packet; where there is none, what comes right before or after it does."""
    below = [*([Word(passed)] if passed else []), *after]
    if state:
        return _Around(before, Word(state), below)
    if before:
        return _Around(before[:-1], before[-1], below)
    return _Around([], below[0] if below else Word(""), below[1:])


def _aligned(client: list[Word], server: list[Word], *, at_end: bool = False) -> Iterator[tuple[Word, Word]]:
    """Both sides' rows, side by side from the first on, or up to the last."""
    if at_end:
        yield from reversed(list(_aligned(client[::-1], server[::-1])))
    else:
        yield from zip_longest(client, server, fillvalue=Word(""))


def _conversation() -> Word:
    """What stands where a phase would, for UDP."""
    return CONVERSATION._replace(text=_(CONVERSATION.text))


def _totals(total: Traffic) -> list[str]:
    """Packets, octets each way and time; what is nothing is left out."""
    facts = [counted(total.packets, "packet")]
    if total.client_bytes:
        facts.append(f"{size(total.client_bytes)} {SIDES[Side.CLIENT].glyph}")
    if total.server_bytes:
        facts.append(f"{size(total.server_bytes)} {SIDES[Side.SERVER].glyph}")
    if total.packets > 1:
        facts.append(duration(total.duration_ns))
    return facts


def _turn_text(turn: Turn, width: int) -> str:
    facts = [turn.name, size(turn.octets)]
    if turn.packets > 1:
        facts.append(counted(turn.packets, "packet"))
    if turn.wait_ns >= 0:
        facts.append(_("{time} later").format(time=duration(turn.wait_ns)))
    while sum(cells(fact) + 3 for fact in facts) - 3 > width and len(facts) > 2:
        del facts[2]
    return " · ".join(facts)
