"""Findings about the whole capture, each in a sentence or two: what many connections are together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.explain.findings import PortScan, SynFlood
from analyzer.language import _, counted
from analyzer.render.addresses import address, endpoint
from analyzer.render.quantities import count, duration
from analyzer.render.screen import Screen
from analyzer.render.words import LOUD, TROUBLE_GLYPH
from analyzer.render.wrapping import wrap
from analyzer.tables import Side

_LONGEST_LINE = 100
_MOST_PORTS = 10
"""Open ports that are told by number."""


def findings(found: Sequence[PortScan | SynFlood], screen: Screen) -> Iterator[str]:
    """The lines about them; none where nothing was found."""
    width = min(screen.width, _LONGEST_LINE)
    for one in found:
        sentence = _scan(one) if isinstance(one, PortScan) else _flood(one)
        for line in wrap(sentence, width, f"{TROUBLE_GLYPH} ", "  "):
            yield screen.paint(line, LOUD)


def _scan(scan: PortScan) -> str:
    """Who tried which ports, and what became of it."""
    ports = counted("{n} port", "{n} ports", scan.ports).format(n=count(scan.ports))
    hosts = counted("{n} host", "{n} hosts", scan.hosts).format(n=count(scan.hosts))
    told = _(
        "port scan: {client} tried {ports} on {hosts} within {time}, from connection {number} (packet {packet}) on: "
        "{opened} open, {refused} refused, {filtered} without an answer or prohibited."
    ).format(
        client=address(scan.probe, Side.CLIENT), ports=ports, hosts=hosts, time=duration(scan.lasted_ns),
        number=scan.probe["number"], packet=scan.probe["first_packet"], opened=count(scan.opened),
        refused=count(scan.refused), filtered=count(scan.filtered),
    )  # fmt: skip
    if not scan.open_ports:
        return told
    numbers = ", ".join(map(str, scan.open_ports[:_MOST_PORTS])) + (", …" if len(scan.open_ports) > _MOST_PORTS else "")
    return f"{told} " + _("Open: {ports}.").format(ports=numbers)


def _flood(flood: SynFlood) -> str:
    """What was flooded, by how many."""
    sources = counted("{n} address", "{n} addresses", flood.sources).format(n=count(flood.sources))
    return _(
        "SYN flood, or a server that nobody can reach: {syns} connections to {server} were asked for by {sources} "
        "within {time}, from connection {number} (packet {packet}) on, and none came to be; {answered} of the SYNs "
        "were answered. Against a flood net.ipv4.tcp_syncookies helps."
    ).format(
        syns=count(flood.syns), server=endpoint(flood.probe, Side.SERVER), sources=sources,
        time=duration(flood.lasted_ns), number=flood.probe["number"], packet=flood.probe["first_packet"],
        answered=count(flood.answered),
    )  # fmt: skip
