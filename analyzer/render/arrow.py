"""One packet between two lifelines: an arrow, and on it what the packet says."""

from __future__ import annotations

from typing import NamedTuple

from analyzer.render.screen import Screen, cells
from analyzer.render.segment import Segment
from analyzer.render.untrusted import excerpt
from analyzer.render.words import LOUD, SIDES, Word, flag_words, marked
from analyzer.tables import (
    ACK,
    FIN,
    HAS_MSS,
    HAS_SACK_PERMITTED,
    HAS_TIMESTAMPS,
    HAS_WINDOW_SCALE,
    PSH,
    RST,
    SYN,
    Side,
)

_ENDS = 5
"""Columns of an arrow that are no label: the shaft at both sides, spaces, the head."""

SPACIOUS = 55
"""Arrows of this width also show the window, and come to the payload's text after it."""


class Piece(NamedTuple):
    """A part of a label; of those that do not all fit, the ones of low rank stay."""

    text: str
    rank: float
    style: str = ""


def arrow(
    segment: Segment, width: int, screen: Screen, shift: int, remarks: list[Word], *, is_tcp: bool
) -> tuple[str, list[Word]]:
    """What stands between the lifelines, ``width`` columns, and those of the ``remarks`` that found no room in it.

    ``remarks`` are the events to tell, ``shift`` is the sender's window scale.
    """
    style = LOUD if segment.troubled or segment.flags & RST else SIDES[Side(segment.side)].style
    offered = [Piece(f"UDP ({segment.payload_len})", 0, style)]
    if is_tcp:
        offered = pieces(segment, style, shift, width >= SPACIOUS)
    for word in remarks:
        offered.append(Piece(marked(word._replace(about="")), 2, word.style))
        if word.about:
            offered.append(Piece(word.about, 3.2, word.style))
    label, used = _fitting(offered, segment, width - _ENDS)
    said = {piece.text for piece in label}
    left_out = [word for word in remarks if marked(word._replace(about="")) not in said]
    shaft = "─" * (width - _ENDS - used + 1)
    text = " ".join(screen.paint(piece.text, piece.style) for piece in label)
    if segment.side == Side.CLIENT:
        return f"{screen.paint('─', style)} {text} {screen.paint(shaft + '▶', style)}", left_out
    return f"{screen.paint('◀' + shaft, style)} {text} {screen.paint('─', style)}", left_out


def pieces(segment: Segment, style: str, shift: int, spacious: bool) -> list[Piece]:
    """All that could be said of a TCP segment, in the order of reading; ``spacious``: its window, too."""
    flags = segment.flags
    shown = flags if flags & (SYN | RST) or not flags & ~ACK else flags & ~ACK
    bold = style if style == LOUD else f"bold {style}"
    pure_ack = flags & ~PSH == ACK and not segment.payload_len
    said: list[Piece] = []
    if pure_ack:
        said.append(Piece(f"{flag_words(flags)} {segment.ack}", 0, style))
    elif shown & ~ACK or not segment.payload_len:
        said.append(Piece(flag_words(shown), 0, bold))
    if segment.payload_len:
        if not flags & SYN:
            said.append(Piece(f"{segment.seq}:{(segment.seq + segment.payload_len) & 0xFFFFFFFF}", 3))
        said.append(Piece(f"({segment.payload_len})", 1))
    elif flags & (FIN | RST):
        said.append(Piece(str(segment.seq), 3))
    if flags & ACK and not pure_ack and not flags & SYN:
        said.append(Piece(f"ack {segment.ack}", 5))
    if segment.sack_blocks:
        said.append(Piece(f"sack {segment.sack_blocks}", 5))
    if flags & SYN:
        said += _syn_options(segment)
    if spacious or (segment.window == 0 and not flags & RST):
        window = segment.window << (0 if flags & SYN else shift)
        said.append(Piece(f"win {window}", 6, "" if window else LOUD))
    return said


def _syn_options(segment: Segment) -> list[Piece]:
    options = (
        (HAS_MSS, f"mss {segment.mss}", 3),
        (HAS_WINDOW_SCALE, f"ws {segment.window_scale}", 4),
        (HAS_SACK_PERMITTED, "sackOK", 7),
        (HAS_TIMESTAMPS, "TS", 7),
    )
    return [Piece(text, rank) for bit, text, rank in options if segment.options & bit]


def _fitting(offered: list[Piece], segment: Segment, width: int) -> tuple[list[Piece], int]:
    """The pieces that fit with the payload's text in what they leave, and the columns used."""
    chosen: list[Piece] = []
    used = -1
    text_rank = 6.5 if width + _ENDS >= SPACIOUS else 3.5
    text = ""

    def add_text() -> None:
        nonlocal text, used
        text = excerpt(segment.payload, segment.payload_len, width - used - 1)
        used += cells(text) + 1 if text else 0

    tried = False
    for piece in sorted(offered, key=lambda piece: piece.rank):
        if piece.rank > text_rank and not tried:
            tried = True
            add_text()
        needed = cells(piece.text) + 1
        if used + needed <= width:
            chosen.append(piece)
            used += needed
    if not tried:
        add_text()
    label = [piece for piece in offered if piece in chosen]
    return ([*label, Piece(text, 0)] if text else label), max(used, 0)
