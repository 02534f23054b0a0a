"""A connection as a sequence diagram in SVG: two lifelines, an arrow a packet, both states beside it, three phases.

Time flows down. An arrow falls with the time that its packet was on the way, where the handshake tells that and where
it can be seen; a pause is told. Long connections are folded as the ladder on a terminal is (folding.py), less tightly.

Every packet is a group with its number in ``data-packet``: the page listens there, and a file needs no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from analyzer.explain.known_states import states_of
from analyzer.language import _
from analyzer.render.addresses import endpoint
from analyzer.render.arrow import pieces
from analyzer.render.calls import Beside, lines_of
from analyzer.render.folding import folded, phase_runs
from analyzer.render.ladder import Story
from analyzer.render.quantities import counted, duration, seconds, seconds_decimals, size
from analyzer.render.segment import Segment, segments, traffic
from analyzer.render.turns import turns
from analyzer.render.untrusted import excerpt
from analyzer.render.words import CONVERSATION, LOUD, PHASES, SIDES, Word, events_of, flag_words, marked, state_word
from analyzer.tables import RST, Phase, Protocol, Side

WIDTH = 880
SHOWN_WHOLE = 400
"""Packets of a connection that is drawn without folds."""

_NUMBER, _TIME = 62, 150
"""Right edges of the first columns."""
_LINES = 316, 690
"""The lifelines of client and server."""
_LABEL = 48
"""Characters that an arrow's label has room for."""
_BESIDE = 21
"""Characters beside a lifeline."""
_LINE = 15
_FLAT, _STEEP = 3, 15
"""Pixels that an arrow falls, at least and at most."""
_PAUSE_NS = 1_000_000_000

STYLE = """
.tcp-ladder { --ink: #1d232b; --quiet: #66707c; --paper: #ffffff; --line: #b8c0ca; --client: #0b7285; --server: #a61e8f;
  --loud: #c92a2a; --handshake: #27803a; --data: #1c6fd6; --teardown: #a86000; --none: #868e96; --chosen: #ffe066;
  font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace;
  background: var(--paper); max-width: 100%; height: auto; }
@media screen and (prefers-color-scheme: dark) { .tcp-ladder { --ink: #e4e9ef; --quiet: #95a0ad; --paper: #12161c;
  --line: #4a5563; --client: #3bc9db; --server: #f590e4; --loud: #ff8787; --handshake: #51cf66; --data: #4dabf7;
  --teardown: #fcc419; --none: #868e96; --chosen: #665200; } }
.tcp-ladder text { fill: var(--ink); white-space: pre; }
.tcp-ladder .quiet { fill: var(--quiet); }
.tcp-ladder .call { fill: var(--quiet); font-style: italic; }
.tcp-ladder .client { fill: var(--client); }
.tcp-ladder .server { fill: var(--server); }
.tcp-ladder .loud { fill: var(--loud); }
.tcp-ladder .strong { font-weight: bold; }
.tcp-ladder .end { text-anchor: end; }
.tcp-ladder .middle { text-anchor: middle; }
.tcp-ladder .lifeline { stroke: var(--line); stroke-width: 2; }
.tcp-ladder .folded { stroke-dasharray: 3 5; }
.tcp-ladder .ground { opacity: 0.07; }
.tcp-ladder .title { font-weight: bold; font-size: 15px; }
.tcp-ladder .arrow { stroke-width: 1.8; fill: none; }
.tcp-ladder path.client { stroke: var(--client); }
.tcp-ladder path.server { stroke: var(--server); }
.tcp-ladder path.loud { stroke: var(--loud); }
.tcp-ladder .handshake { fill: var(--handshake); }
.tcp-ladder .data { fill: var(--data); }
.tcp-ladder .teardown { fill: var(--teardown); }
.tcp-ladder .none { fill: var(--none); }
.tcp-ladder .hit { fill: transparent; }
.tcp-ladder .packet.chosen .hit { fill: var(--chosen); fill-opacity: 0.45; }
"""


def diagram(story: Story) -> str:
    """The SVG of a connection: one string that needs nothing else."""
    return _Diagram(story).svg()


class _Diagram:
    def __init__(self, story: Story) -> None:
        self._story = story
        self._segments = segments(story.life)
        self._is_tcp = bool(story.connection["protocol"] == Protocol.TCP)
        self._first_ns = int(story.connection["first_ns"])
        self._decimals = seconds_decimals(abs(self._segments[-1].ts_ns - self._first_ns))
        self._calls = Beside(story.calls, self._segments)
        scales = [int(scale) for scale in story.endpoints["window_scale"]]
        self._shifts = scales if min(scales) >= 0 else [0, 0]
        self._turns = {turn.first: turn for turn in turns(self._segments)} if self._is_tcp else {}
        self._states = states_of(story.life) if self._is_tcp else ([], [])
        self._on_the_way_ns = max(int(story.connection["handshake_rtt_ns"]), 0) / 2
        self._behind: list[str] = []
        self._parts: list[str] = []
        self._y = 0.0

    def svg(self) -> str:
        """From the names of both ends to the last packet."""
        ends = [endpoint(self._story.connection, side) for side in Side]
        self._y = 30
        for side, anchor in zip(Side, ("end", ""), strict=True):
            x = _LINES[side] + (6 if side == Side.CLIENT else -6)
            self._text(x, 18, f"{SIDES[side].text} {ends[side]}", f"{side.name.lower()} strong {anchor}".strip())
        if self._is_tcp:
            for side, states in zip(Side, self._states, strict=True):
                self._beside(side, self._y + 12, Word(state_word(*states[0])), "quiet")
            self._y += 20
        for run in phase_runs(self._segments):
            self._phase(run)
        height = self._y + 8
        lifelines = "".join(f'<path class="lifeline" d="M{x} 26V{height - 4:g}"/>' for x in _LINES)
        title = _("Sequence diagram of {client} → {server}").format(client=ends[0], server=ends[1])
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" class="tcp-ladder" viewBox="0 0 {WIDTH} {height:g}" '
            f'width="{WIDTH}" height="{height:g}" role="group"><title>{escape(title)}</title>',
            f"<style>{STYLE}</style>", *self._behind, lifelines, *self._parts, "</svg>\n",
        ])  # fmt: skip

    def _phase(self, run: range) -> None:
        """The packets of a phase on its ground, below its name."""
        some = self._segments[run.start : run.stop]
        phase = Phase(some[0].phase)
        kind = phase.name.lower() if self._is_tcp else "data"
        word = PHASES[phase] if self._is_tcp else CONVERSATION
        top = self._y
        self._text(20, top + 21, word.text, f"{kind} title")
        self._text(_LINES[0] + 14, top + 21, " · ".join(self._totals(run)), "quiet")
        self._y += 32
        for item in run if len(self._segments) <= SHOWN_WHOLE else folded(self._segments, run):
            if isinstance(item, int):
                self._packet(item)
            else:
                self._fold(self._totals(item))
        self._y += 6
        area = f'y="{top:g}" height="{self._y - top - 4:g}"'
        self._behind.append(f'<rect class="ground {kind}" x="0" width="{WIDTH}" {area} rx="4"/>')
        self._behind.append(f'<rect class="{kind}" x="0" width="9" {area} rx="4"/>')

    def _packet(self, index: int) -> None:
        segment, side = self._segments[index], Side(self._segments[index].side)
        self._before(index)
        events = events_of(
            segment.events, has_losses=self._story.has_losses, refers_to=segment.refers_to, repeat=segment.repeat
        )
        is_loud = segment.troubled or bool(segment.flags & RST)
        kind = "loud" if is_loud else side.name.lower()
        states = [Word(state_word(*known[index + 1])) for known in self._states if known]
        entered = self._entered(index)
        calls = [self._calls.before(segment.number), self._calls.after(segment.number)]
        above = [lines_of(calls[0], one, _BESIDE) for one in Side]
        below = [lines_of(calls[1], one, _BESIDE) for one in Side]
        top = self._y
        fall = self._fall(index)
        line_y = top + 24 + _LINE * max(map(len, above))
        under = [marked(word) for word in events]
        if segment.payload and (said := excerpt(segment.payload, segment.payload_len, _LABEL - 4)):
            under.append(said)
        lowest = line_y + max(fall + _LINE * len(under), _LINE * max(len(some) + self._is_tcp - 1 for some in below))
        height = lowest - top + 14
        parts = self._parts
        parts.append(f'<g class="packet" data-packet="{segment.number}" role="img">')
        parts.append(f"<title>{escape(self._spoken(segment, states, under))}</title>")
        parts.append(f'<rect class="hit" x="12" y="{top:g}" width="{WIDTH - 14}" height="{height:g}" rx="3"/>')
        self._text(_NUMBER, line_y + 4, str(segment.number), "end")
        self._text(_TIME, line_y + 4, seconds(segment.ts_ns - self._first_ns, self._decimals), "quiet end")
        from_x, to_x = _LINES[side], _LINES[1 - side]
        back = 9 if to_x < from_x else -9
        end_y = line_y + fall
        parts.append(f'<path class="arrow {kind}" d="M{from_x} {line_y:g}L{to_x + back * 0.6:g} {end_y:g}"/>')
        head = f"{to_x},{end_y:g} {to_x + back},{end_y - 4.5:g} {to_x + back},{end_y + 4.5:g}"
        parts.append(f'<polygon class="{kind}" points="{head}"/>')
        self._label(segment, kind, line_y - 6)
        for k, said in enumerate(under):
            loud = "loud" if k < len(events) and events[k].style == LOUD else "quiet"
            self._text(sum(_LINES) / 2, end_y + 15 + k * _LINE, said, f"{loud} middle")
        for one in Side:
            for k, word in enumerate(above[one]):
                self._beside(one, line_y + 4 - _LINE * (len(above[one]) - k), word, "call")
            if self._is_tcp:
                self._beside(one, line_y + 4, states[one], f"{one.name.lower()} strong" if entered[one] else "quiet")
            for k, word in enumerate(below[one]):
                self._beside(one, line_y + 4 + _LINE * (k + self._is_tcp), word, "call")
        parts.append("</g>")
        self._y += height
        if self._story.life.omitted and index == len(self._segments) // 2 - 1:
            self._fold([counted(self._story.life.omitted, "packet")])

    def _before(self, index: int) -> None:
        """What stands before a packet: a turn that begins, a pause."""
        if turn := self._turns.get(index):
            facts = [turn.name, size(turn.octets)]
            if turn.wait_ns >= 0:
                facts.append(_("{time} later").format(time=duration(turn.wait_ns)))
            side = Side(turn.side)
            x, anchor = (_LINES[0] + 14, "") if side == Side.CLIENT else (_LINES[1] - 14, " end")
            glyph = SIDES[side].glyph
            self._text(x, self._y + 14, f"{glyph} {' · '.join(facts)}", f"{side.name.lower()}{anchor}")
            self._y += 20
        elif index:
            pause_ns = self._segments[index].ts_ns - self._segments[index - 1].ts_ns
            if pause_ns >= _PAUSE_NS:
                self._text(_TIME, self._y + 14, _("{time} later").format(time=duration(pause_ns)), "quiet end")
                self._y += 22

    def _totals(self, run: range) -> list[str]:
        """What some packets come to, in a few words each, with those that were left out among them."""
        packets, client, server, lasted_ns = traffic(self._segments[run.start : run.stop])
        if self._story.life.omitted and run.start < len(self._segments) // 2 < run.stop:
            kept = traffic(self._segments)
            packets += self._story.life.omitted
            client += int(self._story.endpoints["payload_bytes"][Side.CLIENT]) - kept.client_bytes
            server += int(self._story.endpoints["payload_bytes"][Side.SERVER]) - kept.server_bytes
        sent = zip(Side, (client, server), strict=True)
        said = [f"{SIDES[side].glyph} {size(octets)}" for side, octets in sent if octets > 0]
        return [counted(packets, "packet"), duration(lasted_ns), *said]

    def _fold(self, facts: Sequence[str]) -> None:
        """Packets that are not drawn."""
        self._text(sum(_LINES) / 2, self._y + 20, f"… {' · '.join(facts)}", "quiet middle")
        for x in _LINES:
            self._parts.append(f'<path class="lifeline folded" d="M{x} {self._y:g}v32"/>')
        self._y += 32

    def _fall(self, index: int) -> float:
        """How far an arrow falls: the part of the time to the next packet that its own was on the way."""
        if index + 1 == len(self._segments):
            return _FLAT
        gap_ns = self._segments[index + 1].ts_ns - self._segments[index].ts_ns
        part = self._on_the_way_ns / gap_ns if gap_ns > 0 else 1.0
        return _FLAT + (_STEEP - _FLAT) * min(part, 1.0)

    def _label(self, segment: Segment, kind: str, y: float) -> None:
        """What a packet says, the least telling left out where it does not fit."""
        if not self._is_tcp:
            self._text(sum(_LINES) / 2, y, f"UDP ({segment.payload_len})", f"{kind} strong middle")
            return
        chosen, used = [], -1
        offered = pieces(segment, "", self._shifts[segment.side], True)
        for piece in sorted(offered, key=lambda piece: piece.rank):
            if used + len(piece.text) + 1 <= _LABEL:
                chosen.append(piece)
                used += len(piece.text) + 1
        first, *rest = (piece for piece in offered if piece in chosen)
        spans = f'<tspan class="{kind} strong">{escape(first.text)}</tspan>'
        spans += "".join(
            f'<tspan class="{"loud" if piece.style == LOUD else "ink"}"> {escape(piece.text)}</tspan>' for piece in rest
        )
        self._parts.append(f'<text class="middle" x="{sum(_LINES) / 2:g}" y="{y:g}">{spans}</text>')

    def _entered(self, index: int) -> tuple[bool, bool]:
        """Whether a packet moved each side to another state."""
        client, server = (
            states[index + 1].state != states[index].state if states else False for states in self._states
        )
        return client, server

    def _spoken(self, segment: Segment, states: list[Word], under: list[str]) -> str:
        """A packet in a sentence, for those who do not see it."""
        flags = flag_words(segment.flags) if self._is_tcp else "UDP"
        sender, receiver = SIDES[Side(segment.side)].text, SIDES[Side(1 - segment.side)].text
        told = _("Packet {packet}, {sender} to {receiver}: {flags}, {bytes}").format(
            packet=segment.number, sender=sender, receiver=receiver, flags=flags,
            bytes=counted(segment.payload_len, "byte"),
        )  # fmt: skip
        return "; ".join(filter(None, [told, ", ".join(state.text for state in states), *under]))

    def _beside(self, side: Side, y: float, word: Word, kind: str) -> None:
        """A word at the outer side of a lifeline."""
        x, anchor = (_LINES[0] - 10, " end") if side == Side.CLIENT else (_LINES[1] + 10, "")
        self._text(x, y, word.text, kind + anchor)

    def _text(self, x: float, y: float, words: str, kind: str) -> None:
        self._parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(words)}</text>')


def embedded(svg: str) -> str:
    """The drawing without its style, for a page that has it."""
    return svg.replace(f"<style>{STYLE}</style>\n", "")
