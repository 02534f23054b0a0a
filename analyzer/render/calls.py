"""Socket calls as a ladder has them: beside which packet, in which words, how sure.

    socket(); connect() │
               SYN-SENT ├─ SYN ───▶│ SYN-RECEIVED

A call that was seen has full weight and its result; one that is inferred is dim, with a question mark where it is not
certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analyzer.explain.calls import Call, Certainty, Kind
from analyzer.explain.writes import PAUSE_NS
from analyzer.language import _, counted
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.segment import Segment
from analyzer.render.untrusted import visible
from analyzer.render.words import QUIET, SIDES, Word
from analyzer.render.wrapping import wrap
from analyzer.tables import Side

_MOST_LINES = 3
"""A call takes no more than that of a narrow column; what is longer is cut."""


_BREAK = r"(?<![=]) (?!\?$|=|(?<=[A-Z] )\d)"
"""Where a call may go on in the next line: not before its mark, its result or the value of an option."""

_MOST_AT_ONCE = 65_536
"""Octets that a program may ask for in one recv(); more is no question of messages."""

_LEAST_IN_A_ROW = 12
"""A call is not begun in fewer columns."""
_BETWEEN_CALLS = " · "


def call_word(call: Call) -> Word:
    """What stands for a call; its colour is its side's."""
    if call.certainty == Certainty.SEEN:
        return Word(visible(f"{call.told} {call.result}".rstrip()), "")
    return Word(call.told if call.certainty == Certainty.CERTAIN else f"{call.told} ?", f"{QUIET} italic")


class Beside:
    """The calls of a connection by the packets that they stand beside."""

    def __init__(self, calls: Sequence[Call], segments: list[Segment]) -> None:
        self._before: dict[int, list[Call]] = {}
        self._after: dict[int, list[Call]] = {}
        self._seen = [call for call in calls if call.certainty == Certainty.SEEN]
        self._inferred = {call.side for call in calls if call.certainty != Certainty.SEEN}
        self._infers_close = any("close()" in call.told for call in calls if call.certainty != Certainty.SEEN)
        self._at_once = _at_once(calls, {segment.number: segment.ts_ns for segment in segments})
        several = {side: len({call.process for call in self._seen if call.side == side}) > 1 for side in Side}
        for call in sorted(calls, key=lambda call: call.ts_ns or 0):
            if several[call.side] and call.process:
                call = call._replace(told=f"{call.process} {call.told}")
            if call.packet:
                (self._after if call.follows else self._before).setdefault(call.packet, []).append(call)
            else:
                self._between(call, segments)

    def _between(self, call: Call, segments: list[Segment]) -> None:
        """A call that no packet belongs to stands before the first packet that is later."""
        later = (segment.number for segment in segments if call.ts_ns is not None and segment.ts_ns > call.ts_ns)
        number = next(later, 0)
        where = self._before if number else self._after
        where.setdefault(number or segments[-1].number, []).append(call)

    def process(self, side: Side) -> str:
        """The one process of a side whose calls were seen; empty where there are none, or several."""
        names = {call.process for call in self._seen if call.side == side}
        return visible(names.pop()) if len(names) == 1 else ""

    def before(self, packet: int) -> list[Call]:
        """Those that stand before a packet."""
        return self._before.get(packet, [])

    def after(self, packet: int) -> list[Call]:
        """Those that stand after it."""
        return self._after.get(packet, [])

    def seen_at(self, some: list[Segment]) -> int:
        """How many calls that were seen stand beside these packets."""
        near = (call for one in some for call in (*self.before(one.number), *self.after(one.number)))
        return sum(call.certainty == Certainty.SEEN for call in near)

    def legend(self, width: int) -> Iterator[str]:
        """What the calls are worth, in lines of so many columns."""
        sentences = []
        if self._seen:
            names = ", ".join(dict.fromkeys(visible(call.process) for call in self._seen if call.process))
            sentences.append(_("The socket calls of {names} were seen.").format(names=names or _("a program")))
        if len(self._inferred) == len(Side):
            sentences.append(_("The socket calls are inferred from the packets; ? marks those that are only likely."))
        elif Side.CLIENT in self._inferred:
            sentences.append(_("The client's socket calls are inferred from the packets; ? marks those only likely."))
        elif Side.SERVER in self._inferred:
            sentences.append(_("The server's socket calls are inferred from the packets; ? marks those only likely."))
        if self._infers_close:
            sentences.append(_("close() may also be the end of the program."))
        yield from wrap(" ".join(sentences), width, " ", " ")
        if self._at_once:
            side, first, last, n = self._at_once
            said = _(
                "TCP keeps no boundaries between messages: one recv() of the {side} may return all {n} bytes of "
                "packets {first} to {last}, or a part of them."
            )
            said = said.format(side=SIDES[side].text, n=f"{n:,}", first=first, last=last)
            yield from wrap(said, width, " ", " ")


class _AtOnce(NamedTuple):
    """What a side may read at once, though it came in several packets."""

    side: Side
    first: int
    last: int
    octets: int


def _at_once(calls: Sequence[Call], times: dict[int, int]) -> _AtOnce | None:
    """The first writes of a connection that one recv() may get: they came soon after each other, and nothing is known
    that the reader did between them."""
    latest: dict[Side, _AtOnce] = {}
    found: list[_AtOnce] = []
    for call in calls:
        before = latest.get(call.side)
        at_ns = times.get(call.packet)
        if call.kind != Kind.READ or at_ns is None:
            found += filter(None, [latest.pop(call.side, None)])
        elif before and at_ns - times[before.last] < PAUSE_NS:
            latest[call.side] = before._replace(last=call.packet, octets=before.octets + call.octets)
        else:
            found += filter(None, [before])
            latest[call.side] = _AtOnce(call.side, call.packet, call.packet, call.octets)
    several = [one for one in (*found, *latest.values()) if one.first != one.last and one.octets <= _MOST_AT_ONCE]
    return min(several, key=lambda one: one.first, default=None)


def in_a_row(some: Sequence[Call], screen: Screen, width: int) -> tuple[str, int]:
    """The calls beside a packet one after the other with their sides, painted, in at most so many columns, and how
    many those are."""
    text, used = "", 0
    for call in some:
        word, side = call_word(call), SIDES[call.side]
        before = _BETWEEN_CALLS if text else ""
        room = width - used - len(before)
        if room >= _LEAST_IN_A_ROW:
            told = fit(_("{side}: {call}").format(side=side.text, call=word.text), room)
            text += f"{before}{screen.paint(told, f'{word.style} {side.style}'.lstrip())}"
            used += len(before) + cells(told)
    return text, used


def lines_of(some: Sequence[Call], side: Side, width: int) -> list[Word]:
    """The calls of a side in lines of so many columns."""
    words = [call_word(call) for call in some if call.side == side]
    return [Word(line, word.style) for word in words for line in _wrapped(word.text, width)]


def calls_hidden(number: int) -> str:
    """That so many calls are not shown."""
    return counted("{n} call", "{n} calls", number).format(n=f"{number:,}")


def _wrapped(text: str, width: int) -> list[str]:
    """The text in a few lines, broken at spaces, by the columns that its characters take."""
    lines = [""]
    for part in _parts(text, width):
        joined = f"{lines[-1]} {part}" if lines[-1] else part
        if cells(joined) <= width or not lines[-1]:
            lines[-1] = joined
        elif len(lines) < _MOST_LINES:
            lines.append(part)
        else:
            lines[-1] = fit(f"{joined}{' ' * width}", width).rstrip()
            break
    return [fit(line, width) for line in lines]


def _parts(text: str, width: int) -> Iterator[str]:
    """What stays on one line where it has room."""
    for part in re.split(_BREAK, text):
        yield from [part] if cells(part) <= width else re.split(r" (?!\?$)", part)
