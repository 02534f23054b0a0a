"""Where tshark says something else, and how often it says the same.

42  connection 15  events  we: -  tshark: reused_ports
    Wireshark's second pass calls a SYN,ACK reused for the sake of another one that comes later.
"""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.dissect.comparison import CONNECTION_FIELDS, PACKET_FIELDS, Comparison, Difference
from analyzer.dissect.reasons import Reason
from analyzer.language import _, counted
from analyzer.render.screen import Screen, ljust
from analyzer.render.untrusted import visible
from analyzer.render.words import LOUD, QUIET
from analyzer.render.wrapping import wrap

_WIDEST = 100


def difference(found: Difference, screen: Screen) -> Iterator[str]:
    """The lines of a difference."""
    where = _("connection {n}").format(n=found.connection) if found.connection else _("no connection")
    told = _("we say {ours}, tshark says {theirs}").format(ours=visible(found.ours), theirs=visible(found.theirs))
    packet = screen.paint(f" {found.packet:>6}", "" if found.reason else LOUD)
    lines = wrap(f"{where} · {found.field}: {told}", min(screen.width, _WIDEST) - 9, "", "  ")
    for at, line in enumerate(lines):
        yield f"{packet if at == 0 else ' ' * 7}  {line}"
    if found.reason:
        for line in wrap(_(found.reason.value), min(screen.width, _WIDEST) - 11, "", ""):
            yield screen.paint(f"{' ' * 9}{line}", QUIET)


def unlisted(count: int, screen: Screen) -> Iterator[str]:
    """A line for differences that are not listed."""
    if count:
        told = counted("… {n} more difference; --all lists it", "… {n} more differences; --all lists them", count)
        yield screen.paint(f"         {told.format(n=f'{count:,}')}", QUIET)


def verdict(comparison: Comparison, version: str, screen: Screen) -> Iterator[str]:
    """What was compared, and how much of it is the same."""
    width = min(screen.width, _WIDEST) - 1
    if not comparison.compared:
        yield from wrap(_("There is no TCP packet to compare."), width, " ", " ")
        return
    told = counted(
        "Compared with tshark {version}: {n} TCP packet, {share} of which agree in everything.",
        "Compared with tshark {version}: {n} TCP packets, {share} of which agree in everything.",
        comparison.compared,
    )
    share = _share(comparison.agreeing, comparison.compared)
    yield from wrap(told.format(version=version, n=f"{comparison.compared:,}", share=share), width, " ", " ")
    if comparison.packets > comparison.compared:
        told = counted("{n} other packet was not compared.", "{n} other packets were not compared.", left(comparison))
        yield f" {told.format(n=f'{left(comparison):,}')}"
    yield ""
    for fields, heading in ((PACKET_FIELDS, _("of packets")), (CONNECTION_FIELDS, _("of connections"))):
        yield screen.paint(f" {heading}", "bold")
        for field in fields:
            same, different = (comparison.tally[field, is_same] for is_same in (True, False))
            row = f"{same:>12,} / {same + different:<10,} {_share(same, same + different)}"
            yield screen.paint(f"   {ljust(field, 16)}{row}", LOUD if different else "").rstrip()
    yield ""
    yield from wrap(_explained(comparison), width, " ", " ")


def left(comparison: Comparison) -> int:
    """Packets that were not compared."""
    return comparison.packets - comparison.compared


def _explained(comparison: Comparison) -> str:
    found = comparison.differing
    if not found:
        return _("No difference.")
    told = counted("{n} difference", "{n} differences", found).format(n=f"{found:,}")
    if comparison.explained == found:
        return _("{differences}, all of them on purpose: docs/differences.md says why.").format(differences=told)
    if comparison.explained:
        text = _("{differences}, {n} of them on purpose: docs/differences.md says why.")
        return text.format(differences=told, n=f"{comparison.explained:,}")
    return _("{differences}, none of which is known.").format(differences=told)


def _share(part: int, whole: int) -> str:
    """A percentage that is 100 only where all are."""
    if not whole:
        return "-"
    return "100 %" if part == whole else f"{min(100 * part / whole, 99.99):.2f} %"


def reason_name(reason: Reason | None) -> str | None:
    """A reason's name in records."""
    return reason.name.lower() if reason else None
