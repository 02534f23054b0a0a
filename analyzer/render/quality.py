"""The first lines of a screen: what was read, how much of it, whether the capture is whole, and what to think of it.

Below the first line stands what was found wrong with the capture itself: loud what makes findings doubtful, quiet what
only explains them. Of a capture without flaws nothing is said.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from analyzer.explain.quality import Quality
from analyzer.flaws import Flaw
from analyzer.language import _
from analyzer.render.fragments import overlapping, reassembled
from analyzer.render.quantities import count, counted, duration, size
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, PROTOCOLS, QUIET, TROUBLE_GLYPH
from analyzer.render.wrapping import wrap
from analyzer.tables import Protocol

_LONGEST_SENTENCE_LINE = 100

_COARSE = 10
"""A coarse clock is told of when at least one packet in so many has the time of the one before."""

_MANY = 3
"""So many connections at least make a rule."""


def quality(found: Quality, path: str, screen: Screen, *, whole: bool = False) -> Iterator[str]:
    """The lines about a capture that was read from ``path``; ``whole``: also what falsifies nothing."""
    name = _("standard input") if path == "-" else visible(os.path.basename(path))
    line = screen.paint(fit(name, screen.width), "bold")
    used = min(cells(name), screen.width)
    for fact in facts_of(found):
        if used + 3 + cells(fact) > screen.width:
            yield line
            line, used = f"  {fact}", 2 + cells(fact)
        else:
            line, used = f"{line} · {fact}", used + 3 + cells(fact)
    yield line
    if found.damaged_at >= 0:
        yield screen.paint(f"{TROUBLE_GLYPH} {fit(damage(found), screen.width - 2)}", LOUD)
    for style, glyph, sentences in ((LOUD, TROUBLE_GLYPH, doubts(found)), (QUIET, " ", notes(found, whole))):
        for sentence in sentences:
            width = min(screen.width, _LONGEST_SENTENCE_LINE)
            for text in wrap(sentence, width, f"{glyph} ", "  "):
                yield screen.paint(text, style)


def facts_of(found: Quality) -> list[str]:
    """How much was read, in a few words each."""
    facts = [counted(found.packets, "packet")]
    if found.packets != found.all_packets:
        facts[0] = _("{n} of {packets}").format(n=count(found.packets), packets=counted(found.all_packets, "packet"))
    if found.packets:
        facts.append(duration(found.last_ns - found.first_ns))
    if found.tcp or not found.udp:
        facts.append(counted(found.tcp, "TCP connection"))
    if found.udp:
        facts.append(counted(found.udp, "UDP conversation"))
    if found.strays:
        strays = (_stray(protocol, number) for protocol, number in found.strays.items())
        facts.append(_("besides {others}").format(others=_(", ").join(strays)))
    if found.damaged_at < 0 and not found.lost:
        facts.append(_("complete"))
    return facts


def damage(found: Quality) -> str:
    """Where the capture is damaged."""
    where = _("damaged at byte {offset}: {damage}").format(offset=count(found.damaged_at), damage=found.damage)
    return visible(where)


def doubts(found: Quality) -> Iterator[str]:
    """What makes findings doubtful."""
    flaws, coverage = found.flaws, found.coverage
    if found.lost:
        text = _("{n} lost: some of what looks lost or unanswered below may only be missing here")
        yield text.format(n=count(found.lost))
    if headers := int(flaws[Flaw.CUT_HEADERS]):
        yield _("{packets} cut within the headers: no connection has them").format(packets=counted(headers, "packet"))
    if coverage.one_sided >= _MANY and 2 * coverage.one_sided > found.tcp:
        yield _(
            "{n} of {connections} with packets of one side only: the capture saw one direction, and the other side's "
            "states are guesses"
        ).format(n=count(coverage.one_sided), connections=counted(found.tcp, "TCP connection"))
    if sentence := overlapping(found.overlaps):
        yield sentence
    if steps := int(flaws[Flaw.STEPS_BACK]):
        text = _("clock set back {times}, by up to {longest}, first at packet {packet}: times across it are wrong")
        yield text.format(
            times=counted(steps, "time"), longest=duration(int(flaws[Flaw.LONGEST_STEP_BACK_NS])),
            packet=count(int(flaws[Flaw.FIRST_STEP_BACK])),
        )  # fmt: skip


def notes(found: Quality, whole: bool) -> Iterator[str]:
    """What explains findings, or can be left out of account."""
    flaws, coverage = found.flaws, found.coverage
    if found.filter_cuts:
        yield _("this filter can split connections: what looks lost or unanswered below may only be filtered out")
    if found.copies:
        yield _(
            "{n} of {packets} copied by the capture, first packet {first}: marked capture_duplicate, they are no "
            "retransmissions"
        ).format(n=count(found.copies), packets=counted(found.packets, "packet"), first=count(found.first_copy))
    if sentence := reassembled(found.datagrams, found.incomplete):
        yield sentence
    if cut := int(flaws[Flaw.CUT]):
        yield _("{n} of {packets} cut to at most {bytes}: some payload is missing").format(
            n=count(cut), packets=counted(found.packets, "packet"), bytes=counted(int(flaws[Flaw.LONGEST_CUT]), "byte")
        )
    facts = []
    if coverage.unseen_starts:
        facts.append(_("{n} without SYN, from before the capture").format(n=count(coverage.unseen_starts)))
    if coverage.still_open:
        facts.append(_("{n} still open at its end").format(n=count(coverage.still_open)))
    if facts:
        connections = counted(found.tcp, "TCP connection")
        yield _("of {connections} {facts}").format(connections=connections, facts=_(", ").join(facts))
    if found.beyond_mss:
        yield _(
            "{segments} beyond the maximum segment size, up to {size}: offloading joins segments, on the wire there "
            "were more"
        ).format(segments=counted(found.beyond_mss, "segment"), size=size(found.longest_beyond_mss))
    if wrong := int(flaws[Flaw.WRONG_CHECKSUMS]):
        verified = counted(int(flaws[Flaw.VERIFIED_CHECKSUMS]), "verified TCP checksum")
        yield _(
            "{n} of {checksums} wrong, first in packet {packet}: damaged on the way, or changed after capture"
        ).format(n=count(wrong), checksums=verified, packet=count(int(flaws[Flaw.FIRST_WRONG_CHECKSUM])))
    if _COARSE * int(flaws[Flaw.SAME_TIMES]) > found.packets and int(flaws[Flaw.TICK_NS]) > 1:
        yield _("coarse clock, of {tick}: {n} of {packets} at the time of the one before").format(
            tick=duration(int(flaws[Flaw.TICK_NS])), n=count(int(flaws[Flaw.SAME_TIMES])),
            packets=counted(found.packets, "packet"),
        )  # fmt: skip
    if whole and (unfinished := int(flaws[Flaw.UNFINISHED_CHECKSUMS])):
        yield _("{n} of {checksums} unfinished: left to the network card (offload)").format(
            n=count(unfinished), checksums=counted(int(flaws[Flaw.CHECKSUMS]), "TCP checksum")
        )


def _stray(protocol: Protocol, number: int) -> str:
    """TCP and UDP without a connection lack a readable header: cut, damaged or a later fragment."""
    name = PROTOCOLS[protocol].text
    is_lacking = protocol in (Protocol.TCP, Protocol.UDP)
    text = _("{n} {protocol} without header") if is_lacking else _("{n} {protocol}")
    return text.format(n=count(number), protocol=name)
