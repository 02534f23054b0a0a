"""The first line of a screen: what was read, how much of it, and whether the capture is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator

from analyzer.explain.quality import Quality
from analyzer.render.quantities import count, counted, duration
from analyzer.render.screen import Screen, cells, fit
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, PROTOCOLS, TROUBLE_GLYPH
from analyzer.tables import Protocol


def quality(found: Quality, path: str, screen: Screen) -> Iterator[str]:
    """The lines about a capture that was read from ``path``."""
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
    if found.lost:
        where = f"{count(found.lost)} lost: some of what looks lost or unanswered below may only be missing here"
        yield screen.paint(f"{TROUBLE_GLYPH} {fit(where, screen.width - 2)}", LOUD)
    if found.damaged_at >= 0:
        where = f"damaged at byte {count(found.damaged_at)}: {found.damage}"
        yield screen.paint(f"{TROUBLE_GLYPH} {fit(visible(where), screen.width - 2)}", LOUD)


def _stray(protocol: Protocol, number: int) -> str:
    """TCP and UDP without a connection lack a readable header: cut, damaged or a later fragment."""
    name = PROTOCOLS[protocol].text
    lacking = " without header" if protocol in (Protocol.TCP, Protocol.UDP) else ""
    return f"{count(number)} {name}{lacking}"
