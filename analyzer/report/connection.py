"""One connection as a page has it: what is said of it in every language, its packets in columns, their octets."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from analyzer.dissect.told import Decoded, Field
from analyzer.explain.events import remarkable
from analyzer.explain.known_states import Known, states_of
from analyzer.explain.walk import walk
from analyzer.language import _
from analyzer.render.addresses import endpoint
from analyzer.render.calls import Beside
from analyzer.render.ladder import Story
from analyzer.render.quantities import counted, duration
from analyzer.render.remarks import MOST_OF_A_KIND, sentence
from analyzer.render.segment import Segment, segments
from analyzer.render.state_svg import STYLE, state_svg
from analyzer.render.tunnels import MOST_TOLD
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, events_of, flag_words, marked, state_word, troubles_of
from analyzer.report.conversation import Conversation
from analyzer.report.diagram import diagram, embedded
from analyzer.report.languages import merged_markup, told
from analyzer.report.octets import Frame
from analyzer.report.transactions import phases, transactions
from analyzer.tables import ACK, KNOWS_ISS, SYN, Life, Protocol, Side
from analyzer.tcp.states import State

MOST_TRANSACTIONS = 400
"""Of more, the first and the last ones are listed."""


_ONE_LINE = 10_000


class Told(NamedTuple):
    """A connection that a page tells of in detail."""

    story: Callable[[], Story]
    """Makes it in the language chosen, with the packets that the page has and no others."""
    whole: Life
    """All of its packets, or very many of them."""
    packets: int
    """How many it had."""
    frames: list[Frame]
    """The frames of those of the story; without their payload where it is left out."""
    lines: dict[int, str]
    """tcpdump's text by the packets' numbers."""
    conversation: Conversation | None
    """None where payload is left out."""
    until_ns: int
    """The end of the capture."""
    decoded: Sequence[Decoded]
    """What tshark makes of what was said, where somebody asked."""


def connection_data(one: Told) -> dict[str, Any]:
    """Everything but drawings and plots, for JSON."""
    story = one.story()
    life = segments(story.life)
    is_tcp = bool(story.connection["protocol"] == Protocol.TCP)
    return {
        "number": story.number,
        "tcp": is_tcp,
        "ends": [endpoint(story.connection, side) for side in Side],
        "said": told(lambda: _said(one, life)),
        "phases": phases(story.connection, story.endpoints, one.whole) if is_tcp else [],
        "transactions": told(lambda: _transactions(one.whole)) if is_tcp else {"listed": [], "leftOut": 0},
        "packets": _packets(story, life, is_tcp),
        "tcpdump": [one.lines.get(segment.number, "") for segment in life],
        "frames": [
            [b64encode(frame.octets).decode(), frame.origlen, frame.payload_start] for frame in one.frames
        ],
        "decoded": _decoded(one),
        "conversation": one.conversation.data(one.frames) if one.conversation else None,
        "iss": [int(end["iss"]) if int(end["known"]) & KNOWS_ISS else None for end in story.endpoints],
    }  # fmt: skip


def drawings(one: Told) -> dict[str, str]:
    """The sequence diagram, and of TCP the walk through the states: SVG without styles, which the page has."""
    drawn = {"diagram": embedded(merged_markup(lambda: diagram(one.story())))}
    if one.story().connection["protocol"] == Protocol.TCP:
        drawn["states"] = merged_markup(lambda: states(one)).replace(f"<style>{STYLE}</style>\n", "")
    return drawn


def states(one: Told) -> str:
    """Both sides' ways through figure 5."""
    story = one.story()
    client, server = (endpoint(story.connection, side) for side in Side)
    return state_svg(walk(story.life), one.until_ns, f"{client} → {server}")


def _said(one: Told, life: list[Segment]) -> dict[str, Any]:
    """The sentences and words about a connection, in the language chosen."""
    story = one.story()
    facts = [
        counted(one.packets, "packet"),
        duration(int(story.connection["last_ns"] - story.connection["first_ns"])),
        *(marked(word) for word in troubles_of(story.endpoints)),
    ]
    ways = [way for way in dict.fromkeys(story.life.tunnels) if way]
    omitted = ""
    if story.life.omitted:
        text = _("{omitted} from the middle are not told one by one: this page has the first and the last of them.")
        omitted = text.format(omitted=counted(story.life.omitted, "packet"))
    return {
        "ending": marked(story.ending),
        "loud": story.ending.style == LOUD,
        "why": " ".join(story.why),
        "facts": facts,
        "omitted": omitted,
        "events": {str(i): _events(segment, story.has_losses) for i, segment in enumerate(life) if segment.events},
        "remarks": _remarks(story),
        "calls": " ".join(line.strip() for line in Beside(story.calls, life).legend(_ONE_LINE)) if story.calls else "",
        "tunnels": [_("in {tunnel}").format(tunnel=way) for way in ways[:MOST_TOLD]],
    }


def _events(segment: Segment, has_losses: bool) -> list[Any]:
    """Whether something is wrong with a packet, and its events in words."""
    words = events_of(segment.events, has_losses=has_losses, refers_to=segment.refers_to, repeat=segment.repeat)
    return [any(word.style == LOUD for word in words), ", ".join(marked(word) for word in words)]


def _remarks(story: Story) -> list[dict[str, Any]]:
    """Each kind of event with the packets that have it, and why it is called so."""
    if story.connection["protocol"] != Protocol.TCP:
        return []
    found = []
    for event, kind in remarkable(story.life, MOST_OF_A_KIND).items():
        word = events_of(1 << event, has_losses=story.has_losses)[0]
        findings = [[finding.packet, sentence(finding)] for finding in kind.told]
        found.append({"event": marked(word), "loud": word.style == LOUD, "packets": kind.packets, "told": findings})
    return found


def _transactions(life: Life) -> dict[str, Any]:
    listed, left_out = transactions(life, MOST_TRANSACTIONS)
    return {"listed": [{**one._asdict(), "phase": one.phase.name.lower()} for one in listed], "leftOut": left_out}


def _packets(story: Story, life: list[Segment], is_tcp: bool) -> dict[str, Any]:
    """The packets in columns; times are nanoseconds since the first, windows are scaled."""
    scales = [int(scale) for scale in story.endpoints["window_scale"]]
    shifts = scales if min(scales) >= 0 else [0, 0]
    first_ns = int(story.connection["first_ns"])
    columns: dict[str, Any] = {
        "number": [segment.number for segment in life],
        "time": [segment.ts_ns - first_ns for segment in life],
        "side": [segment.side for segment in life],
        "length": [segment.payload_len for segment in life],
    }
    if not is_tcp:
        return columns
    client, server = ([_place(known) for known in states] for states in states_of(story.life))
    return columns | {
        "phase": [segment.phase for segment in life],
        "flags": [flag_words(segment.flags) for segment in life],
        "seq": [segment.seq for segment in life],
        "ack": [segment.ack if segment.flags & ACK else -1 for segment in life],
        "window": [segment.window << (0 if segment.flags & SYN else shifts[segment.side]) for segment in life],
        "states": [client[1:], server[1:]],
        "names": [state_word(state, is_assumed) for is_assumed in (False, True) for state in State],
        "before": [client[0], server[0]],
    }


def _decoded(one: Told) -> dict[str, Any]:
    """tshark's line and tree by the packet's number, for packets that the page has."""
    told = {frame.number for frame in one.frames}
    return {
        str(each.summary.packet): [visible(each.summary.protocol), visible(each.summary.info), _tree(each.tree)]
        for each in one.decoded if each.summary.packet in told
    }  # fmt: skip


def _tree(fields: Sequence[Field]) -> list[Any]:
    return [[visible(field.text), _tree(field.fields)] for field in fields]


def _place(known: Known) -> int:
    """The place of its name among the names: all states, and all states assumed."""
    return int(known.state) + len(State) * known.is_assumed
