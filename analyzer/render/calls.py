"""Socket calls as a ladder has them: beside which packet, in which words, how sure.

    socket(); connect() │
               SYN-SENT ├─ SYN ───▶│ SYN-RECEIVED

A call that was seen has full weight and its result; one that is inferred is dim, with a question mark where it is not
certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from analyzer.explain.calls import Call, Certainty
from analyzer.language import _, counted
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.segment import Segment
from analyzer.render.untrusted import visible
from analyzer.render.words import QUIET, SIDES, Word
from analyzer.render.wrapping import wrap
from analyzer.tables import Side

_MOST_LINES = 3
"""A call takes no more than that of a narrow column; what is longer is cut."""


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
    for part in re.split(r" (?!\?$)", text):
        joined = f"{lines[-1]} {part}" if lines[-1] else part
        if cells(joined) <= width or not lines[-1]:
            lines[-1] = joined
        elif len(lines) < _MOST_LINES:
            lines.append(part)
        else:
            lines[-1] = fit(f"{joined}{' ' * width}", width).rstrip()
            break
    return [fit(line, width) for line in lines]
