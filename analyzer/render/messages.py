"""What was written, sent and read, below the ladder of a connection whose programs were watched.

Messages
 client → server  3 writes of 3 bytes → 1 segment (4) → 1 read of 9 bytes
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from analyzer.explain.messages import Direction, Exchange
from analyzer.explain.seen_ends import How, SeenEnd
from analyzer.language import _, counted, text
from analyzer.render.screen import Screen, cells
from analyzer.render.words import SIDES
from analyzer.render.wrapping import wrap
from analyzer.tables import Side

MOST_TOLD = 6
"""Lines of a direction, unless all are asked for."""

_MOST_SIZES = 4
_WIDEST = 120


def messages(directions: Sequence[Direction], screen: Screen, *, whole: bool = False) -> Iterator[str]:
    """The lines, an empty one after them; none where nothing was sent. ``whole``: every exchange."""
    told = [one for one in directions if one.exchanges]
    if not told:
        return
    width = min(screen.width, _WIDEST) - 1
    heading = _("Messages")
    yield screen.paint(f" {heading}", "bold")
    for one in told:
        sender, receiver = SIDES[one.sender], SIDES[Side(1 - one.sender)]
        heading = f"{sender.text} → {receiver.text}"
        blank = " " * cells(heading)
        lines = list(_lines(one))
        hidden = 0 if whole else max(len(lines) - MOST_TOLD, 0)
        for at, line in enumerate(lines[: len(lines) - hidden]):
            before = blank if at else screen.paint(heading, sender.style)
            first, *more = wrap(line, width - cells(heading) - 4, "", "  ")
            yield f"  {before}  {first}"
            yield from (f"  {blank}  {rest}" for rest in more)
        if hidden:
            rest = counted("… {n} more exchange; --all shows it", "… {n} more exchanges; --all shows them", hidden)
            yield f"  {blank}  {rest.format(n=f'{hidden:,}')}"
    for sentence in _findings(told):
        yield from wrap(sentence, width, " ", " ")
    yield ""


def _lines(one: Direction) -> Iterator[str]:
    """Exchanges, those of the same kind that follow each other in one line."""
    for _shape, group in groupby(one.exchanges, lambda exchange: exchange[:2] + exchange[3:]):
        some = list(group)
        told = _exchange(some[0], one, [number for exchange in some for number in exchange.packets])
        yield told if len(some) == 1 else _("{n} times: {exchange}").format(n=f"{len(some):,}", exchange=told)


def _exchange(exchange: Exchange, of: Direction, packets: list[int]) -> str:
    parts = []
    if of.knows_writes:
        parts.append(_sized(counted("{n} write", "{n} writes", len(exchange.writes)), exchange.writes))
    segments = counted("{n} segment", "{n} segments", len(exchange.segments)).format(n=len(exchange.segments))
    if not (of.knows_writes and of.knows_reads):
        segments = _sized(counted("{n} segment", "{n} segments", len(exchange.segments)), exchange.segments)
    shown = ", ".join(map(str, packets[:_MOST_SIZES])) + (", …" if len(packets) > _MOST_SIZES else "")
    parts.append(f"{segments} ({shown})" if shown else segments)
    if of.knows_reads and not exchange.reads:
        parts.append(_("not read"))
    elif of.knows_reads:
        parts.append(_sized(counted("{n} read", "{n} reads", len(exchange.reads)), exchange.reads))
    return " → ".join(parts)


def _sized(what: str, sizes: Sequence[int]) -> str:
    """``3 writes of 3 bytes``, ``2 reads of 5, 4 bytes``, ``9 reads of 1 to 20 bytes``."""
    named = what.format(n=f"{len(sizes):,}")
    if not sizes:
        return named
    least, most = min(sizes), max(sizes)
    if least == most:
        told = f"{least:,}"
    elif len(sizes) <= _MOST_SIZES:
        told = ", ".join(f"{size:,}" for size in sizes)
    else:
        told = _("{least} to {most}").format(least=f"{least:,}", most=f"{most:,}")
    return counted("{what} of {sizes} byte", "{what} of {sizes} bytes", most).format(what=named, sizes=told)


def _findings(told: Sequence[Direction]) -> Iterator[str]:
    joins, parts = any(one.joins for one in told), any(one.parts for one in told)
    if joins and parts:
        yield _(
            "Reads do not end where writes did, here or there: TCP keeps no boundaries between messages. The reader "
            "must find them, by a length before each or a mark after it."
        )
    elif joins:
        yield _(
            "One read got what several writes had written: TCP keeps no boundaries between messages. The reader must "
            "find them, by a length before each or a mark after it."
        )
    elif parts:
        yield _(
            "One write came in several reads: TCP keeps no boundaries between messages. The reader must read on until "
            "it has a whole one, by a length before each or a mark after it."
        )
    elif any(one.joins_segments for one in told):
        yield _(
            "One read got what several segments had brought: TCP keeps no boundaries between messages. The reader must "
            "find them, by a length before each or a mark after it."
        )
    elif any(one.sends_joined for one in told):
        yield _(
            "One segment brought what several writes had written: TCP keeps no boundaries between messages. The reader "
            "must find them, by a length before each or a mark after it."
        )
    for one in told:
        if one.unread:
            unread = counted(
                "When the {side} closed, {n} byte that had come was unread: it is lost.",
                "When the {side} closed, {n} bytes that had come were unread: they are lost.", one.unread,
            )  # fmt: skip
            sentence = unread.format(side=SIDES[Side(1 - one.sender)].text, n=f"{one.unread:,}")
            if one.reset:
                sentence += " " + _("That is why it sent RST (packet {packet}) and not FIN.").format(packet=one.reset)
            yield sentence


_LINGERED = text(
    "Seen: the {side} had set SO_LINGER without a time, so that closing it sent RST (packet {packet}) and threw away "
    "what was not sent yet."
)
_ENDS = {
    How.ENDED: text("Seen: the {side}'s program ended without close(); the kernel closed for it (packet {packet})."),
    How.KILLED: text("Seen: {signal} ended the {side}'s program; the kernel closed for it (packet {packet})."),
}


def ends(some: Sequence[SeenEnd], screen: Screen) -> Iterator[str]:
    """How sides closed that were watched, an empty line after it; nothing where there is nothing to tell."""
    width = min(screen.width, _WIDEST) - 1
    told_of = [one for one in some if one.lingers or one.how in _ENDS]
    for one in told_of:
        told = _(_LINGERED if one.lingers else _ENDS[one.how]).format(
            side=SIDES[one.side].text, packet=one.packet, signal=one.signal
        )
        yield from wrap(told, width, " ", " ")
    if told_of:
        yield ""
