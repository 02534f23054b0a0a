"""The first lines of a screen: what was read, how much of it, whether the capture is whole, and what to think of it.

Below the first line stands what was found wrong with the capture itself: loud what makes findings doubtful, quiet what
only explains them. Of a capture without flaws nothing is said.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator

from analyzer.explain.quality import Quality
from analyzer.flaws import Flaw
from analyzer.render.fragments import overlapping, reassembled
from analyzer.render.quantities import count, counted, duration, size
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, PROTOCOLS, QUIET, TROUBLE_GLYPH
from analyzer.tables import Protocol

_LONGEST_SENTENCE_LINE = 100

_COARSE = 10
"""A coarse clock is told of when at least one packet in so many has the time of the one before."""

_MANY = 3
"""So many connections at least make a rule."""


def quality(found: Quality, path: str, screen: Screen, *, whole: bool = False) -> Iterator[str]:
    """The lines about a capture that was read from ``path``; ``whole``: also what falsifies nothing."""
    name = "standard input" if path == "-" else visible(os.path.basename(path))
    facts = [counted(found.packets, "packet")]
    if found.packets != found.all_packets:
        facts[0] = f"{count(found.packets)} of {counted(found.all_packets, 'packet')}"
    if found.packets:
        facts.append(duration(found.last_ns - found.first_ns))
    if found.tcp or not found.udp:
        facts.append(counted(found.tcp, "TCP connection"))
    if found.udp:
        facts.append(counted(found.udp, "UDP conversation"))
    if found.strays:
        facts.append("besides " + ", ".join(_stray(protocol, number) for protocol, number in found.strays.items()))
    if found.damaged_at < 0 and not found.lost:
        facts.append("complete")
    line = screen.paint(fit(name, screen.width), "bold")
    used = min(cells(name), screen.width)
    for fact in facts:
        if used + 3 + len(fact) > screen.width:
            yield line
            line, used = f"  {fact}", 2 + len(fact)
        else:
            line, used = f"{line} · {fact}", used + 3 + len(fact)
    yield line
    if found.damaged_at >= 0:
        where = f"damaged at byte {count(found.damaged_at)}: {found.damage}"
        yield screen.paint(f"{TROUBLE_GLYPH} {fit(visible(where), screen.width - 2)}", LOUD)
    for style, glyph, sentences in ((LOUD, TROUBLE_GLYPH, _loud(found)), (QUIET, " ", _quiet(found, whole))):
        for sentence in sentences:
            width = min(screen.width, _LONGEST_SENTENCE_LINE)
            for text in textwrap.wrap(sentence, width, initial_indent=f"{glyph} ", subsequent_indent="  "):
                yield screen.paint(text, style)


def _loud(found: Quality) -> Iterator[str]:
    """What makes findings doubtful."""
    flaws, coverage = found.flaws, found.coverage
    if found.lost:
        yield f"{count(found.lost)} lost: some of what looks lost or unanswered below may only be missing here"
    if headers := int(flaws[Flaw.CUT_HEADERS]):
        yield f"{counted(headers, 'packet')} cut within the headers: no connection has them"
    if coverage.one_sided >= _MANY and 2 * coverage.one_sided > found.tcp:
        yield (
            f"{count(coverage.one_sided)} of {counted(found.tcp, 'TCP connection')} with packets of one side only: the "
            "capture saw one direction, and the other side's states are guesses"
        )
    if sentence := overlapping(found.overlaps):
        yield sentence
    if steps := int(flaws[Flaw.STEPS_BACK]):
        yield (
            f"clock set back {counted(steps, 'time')}, by up to {duration(int(flaws[Flaw.LONGEST_STEP_BACK_NS]))}, "
            f"first at packet {count(int(flaws[Flaw.FIRST_STEP_BACK]))}: times across it are wrong"
        )


def _quiet(found: Quality, whole: bool) -> Iterator[str]:
    """What explains findings, or can be left out of account."""
    flaws, coverage = found.flaws, found.coverage
    if found.filter_cuts:
        yield "this filter can split connections: what looks lost or unanswered below may only be filtered out"
    if found.copies:
        yield (
            f"{count(found.copies)} of {counted(found.packets, 'packet')} copied by the capture, first packet "
            f"{count(found.first_copy)}: marked capture_duplicate, they are no retransmissions"
        )
    if sentence := reassembled(found.datagrams, found.incomplete):
        yield sentence
    if cut := int(flaws[Flaw.CUT]):
        octets = counted(int(flaws[Flaw.LONGEST_CUT]), "byte")
        yield f"{count(cut)} of {counted(found.packets, 'packet')} cut to at most {octets}: some payload is missing"
    facts = []
    if coverage.unseen_starts:
        facts.append(f"{count(coverage.unseen_starts)} without SYN, from before the capture")
    if coverage.still_open:
        facts.append(f"{count(coverage.still_open)} still open at its end")
    if facts:
        yield f"of {counted(found.tcp, 'TCP connection')} {', '.join(facts)}"
    if found.beyond_mss:
        yield (
            f"{counted(found.beyond_mss, 'segment')} beyond the maximum segment size, up to "
            f"{size(found.longest_beyond_mss)}: offloading joins segments, on the wire there were more"
        )
    if wrong := int(flaws[Flaw.WRONG_CHECKSUMS]):
        verified = counted(int(flaws[Flaw.VERIFIED_CHECKSUMS]), "verified TCP checksum")
        yield (
            f"{count(wrong)} of {verified} wrong, first in packet "
            f"{count(int(flaws[Flaw.FIRST_WRONG_CHECKSUM]))}: damaged on the way, or changed after capture"
        )
    if _COARSE * int(flaws[Flaw.SAME_TIMES]) > found.packets and int(flaws[Flaw.TICK_NS]) > 1:
        yield (
            f"coarse clock, of {duration(int(flaws[Flaw.TICK_NS]))}: {count(int(flaws[Flaw.SAME_TIMES]))} of "
            f"{counted(found.packets, 'packet')} at the time of the one before"
        )
    if whole and (unfinished := int(flaws[Flaw.UNFINISHED_CHECKSUMS])):
        yield (
            f"{count(unfinished)} of {counted(int(flaws[Flaw.CHECKSUMS]), 'TCP checksum')} unfinished: left to the "
            "network card (offload)"
        )


def _stray(protocol: Protocol, number: int) -> str:
    """TCP and UDP without a connection lack a readable header: cut, damaged or a later fragment."""
    name = PROTOCOLS[protocol].text
    lacking = " without header" if protocol in (Protocol.TCP, Protocol.UDP) else ""
    return f"{count(number)} {name}{lacking}"
