"""A connection as Mermaid's sequenceDiagram: text that a README shows as a picture.

Mermaid spaces messages evenly and has no time: what the drawing of diagram.py tells by place and colour, notes tell.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from analyzer.explain.known_states import states_of
from analyzer.render.addresses import endpoint
from analyzer.render.arrow import pieces
from analyzer.render.folding import folded, phase_runs
from analyzer.render.ladder import Story
from analyzer.render.quantities import counted, duration
from analyzer.render.segment import Segment, segments, traffic
from analyzer.render.untrusted import excerpt
from analyzer.render.words import CONVERSATION, PHASES, SIDES, events_of, marked, state_word
from analyzer.tables import RST, Phase, Protocol, Side

SHOWN_WHOLE = 60
"""Packets of a connection that is written without folds; a page of more arrows cannot be read."""

_NAMES = "C", "S"
_GROUNDS = {
    Phase.NONE: "134, 142, 150",
    Phase.HANDSHAKE: "43, 138, 62",
    Phase.DATA: "28, 111, 214",
    Phase.TEARDOWN: "199, 119, 0",
}
_LONGEST_EXCERPT, _LONGEST_LINE = 32, 64


def mermaid(story: Story) -> Iterator[str]:
    """The lines of the diagram."""
    life = segments(story.life)
    is_tcp = bool(story.connection["protocol"] == Protocol.TCP)
    yield "sequenceDiagram"
    for side in Side:
        yield f"    participant {_NAMES[side]} as {_text(f'{SIDES[side].text} {endpoint(story.connection, side)}')}"
    states: list[str] = []
    known_states = states_of(story.life) if is_tcp else ()
    for run in phase_runs(life):
        some = life[run.start : run.stop]
        word = PHASES[Phase(some[0].phase)] if is_tcp else CONVERSATION
        yield f"    rect rgba({_GROUNDS[Phase(some[0].phase)]}, 0.12)"
        omitted = story.life.omitted if run.start < len(life) // 2 < run.stop else 0
        facts = [word.text, counted(len(some) + omitted, "packet"), duration(traffic(some).duration_ns)]
        yield f"    Note over C,S: {_text(' · '.join(facts))}"
        for item in run if len(life) <= SHOWN_WHOLE else folded(life, run):
            if isinstance(item, range):
                hidden = len(item) + (omitted if item.start < len(life) // 2 < item.stop else 0)
                yield f"    Note over C,S: {_text('… ' + counted(hidden, 'packet'))}"
                continue
            yield _message(life[item], story.has_losses, is_tcp)
            entered = [state_word(*known[item + 1]) for known in known_states]
            for side in Side if is_tcp else ():
                if not states or states[side] != entered[side]:
                    place = "left" if side == Side.CLIENT else "right"
                    yield f"    Note {place} of {_NAMES[side]}: {entered[side]}"
            states = [*entered]
            if story.life.omitted and item == len(life) // 2 - 1:
                yield f"    Note over C,S: {_text('… ' + counted(story.life.omitted, 'packet'))}"
        yield "    end"
    if story.why:
        lines = [_text(line) for told in story.why for line in textwrap.wrap(told, _LONGEST_LINE)]
        yield f"    Note over C,S: {'<br/>'.join(lines)}"


def _message(segment: Segment, has_losses: bool, is_tcp: bool) -> str:
    """A packet: a cross at the head says that it resets or that something is wrong with it."""
    sender, receiver = _NAMES[segment.side], _NAMES[1 - segment.side]
    said = [f"UDP ({segment.payload_len})"]
    if is_tcp:
        said = [piece.text for piece in pieces(segment, "", 0, False) if piece.rank < 7]
    said += [
        marked(word)
        for word in events_of(segment.events, has_losses=has_losses, refers_to=segment.refers_to, repeat=segment.repeat)
    ]
    if text := excerpt(segment.payload, segment.payload_len, _LONGEST_EXCERPT):
        said.append(text)
    head = "-x" if segment.flags & RST or segment.troubled else "->>"
    return f"    {sender}{head}{receiver}: {_text(f'{segment.number} ' + ' '.join(said))}"


def _text(words: str) -> str:
    """Words in which nothing means something to Mermaid or to HTML: such characters stand as their code points."""
    return "".join(c if c.isalnum() or c in " .,:()[]/_-+=*'·…→←✗µ?" else f"#{ord(c)};" for c in words)
