"""Port scans and SYN floods: many connections that are one thing; and connections that only look like it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyzer.decode.packets import decode
from analyzer.explain.findings import FLOOD_SYNS, SCAN_TARGETS, PortScan, Probes, SynFlood
from analyzer.render.findings import findings
from analyzer.render.screen import Screen
from analyzer.tables import Rows
from analyzer.tcp.reconstruct import Reconstruction
from tests.script import Hosts, frames, parse

Conversation = Callable[[int], tuple[Hosts, str]]

REFUSED = "C > S S 100\nS > C RA 0 ack 101 win 0"
REFUSED_AGAIN = "C > S S 500\nS > C RA 0 ack 501 win 0"
HALF_OPEN_SCAN = "C > S S 100\nS > C SA 7 ack 101\nC > S R 101"
USED = "C > S S 100\nS > C SA 7 ack 101\nC > S A 101 ack 8\nC > S PA 101:111 ack 8\nC > S RA 111 ack 8"


def tables(conversations: list[tuple[Hosts, str]]) -> tuple[Rows, Rows]:
    """Their connections, one after the other."""
    reconstruction = Reconstruction()
    for k, (hosts, text) in enumerate(conversations):
        captured = frames(parse(text), hosts)
        moved = captured._replace(ts_ns=captured.ts_ns + k * 10_000_000, number=captured.number + 10 * k)
        reconstruction.feed(moved, decode(moved))
    return reconstruction.connections[: reconstruction.count], reconstruction.endpoints[: reconstruction.count]


def found(conversations: list[tuple[Hosts, str]]) -> list[PortScan | SynFlood]:
    probes = Probes()
    probes.add(*tables(conversations))
    return probes.findings()


def to_port(port: int, text: str, version: int = 4) -> tuple[Hosts, str]:
    client, server = ("10.0.0.1", "10.0.0.2") if version == 4 else ("2001:db8::1", "2001:db8::2")
    return {"C": (client, 40_000 + port % 999), "S": (server, port), "R": (server, 0)}, text


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_scan(version: int) -> None:
    prohibited = "C > S S 100\nR > C ICMP 3 13 1" if version == 4 else "C > S S 100\nR > C ICMP 1 1 1"
    kinds = [REFUSED] * 20 + [HALF_OPEN_SCAN] * 3 + ["C > S S 100"] * 4 + [prohibited] * 2
    tried = [to_port(100 + k, text, version) for k, text in enumerate(kinds)]
    (scan,) = found([*tried, to_port(100, REFUSED_AGAIN, version)])
    assert isinstance(scan, PortScan)
    assert (scan.hosts, scan.ports, scan.opened, scan.refused, scan.filtered) == (1, 29, 3, 20, 6)
    assert scan.open_ports == [120, 121, 122]
    told = " ".join(" ".join(findings([scan], Screen(200))).split())
    assert "tried 29 ports on 1 host within 290 ms, from connection 1 (packet 1) on" in told
    assert "Open: 120, 121, 122." in told


def test_a_scan_of_many_hosts() -> None:
    tried: list[tuple[Hosts, str]] = [
        ({"C": ("10.0.0.1", 40_000), "S": (f"10.0.1.{k}", 22)}, "C > S S 100") for k in range(SCAN_TARGETS)
    ]
    (scan,) = found(tried)
    assert isinstance(scan, PortScan)
    assert (scan.hosts, scan.ports, scan.filtered) == (SCAN_TARGETS, SCAN_TARGETS, SCAN_TARGETS)


def test_what_is_no_scan() -> None:
    few = [to_port(100 + k, REFUSED) for k in range(SCAN_TARGETS - 1)]
    assert found(few) == []
    assert found([*few, *few]) == []  # the same ports again
    assert found([*few, to_port(7, USED)]) == []
    assert found([to_port(100 + k, HALF_OPEN_SCAN) for k in range(60)]) == []  # all open: a client of many ports
    clients: list[tuple[Hosts, str]] = [
        ({"C": (f"10.0.1.{k}", 40_000), "S": ("10.0.0.2", 80 + k)}, REFUSED) for k in range(60)
    ]
    assert found(clients) == []


def flood(n: int, text: str, port: int = 40_000) -> list[tuple[Hosts, str]]:
    """Each from another address."""
    return [({"C": (f"10.0.{k // 200}.{k % 200}", port), "S": ("10.1.0.1", 80)}, text) for k in range(n)]


def test_a_flood() -> None:
    (one,) = found(flood(FLOOD_SYNS, "C > S S 100\nS > C SA 7 ack 101") + flood(3, USED, 50_000))
    assert isinstance(one, SynFlood)
    assert (one.syns, one.sources, one.answered) == (FLOOD_SYNS, FLOOD_SYNS, FLOOD_SYNS)
    told = " ".join(" ".join(findings([one], Screen(80))).split())
    assert told.startswith("✗ SYN flood, or a server that nobody can reach: 100 connections to 10.1.0.1:80")
    assert "asked for by 100 addresses within 990 ms" in told


def test_what_is_no_flood() -> None:
    assert found(flood(FLOOD_SYNS - 1, "C > S S 100")) == []
    assert found(flood(FLOOD_SYNS, REFUSED)) == []
    connections, endpoints = tables(flood(FLOOD_SYNS, "C > S S 100"))
    connections["first_ns"] += connections["number"] * 1_000_000_000
    probes = Probes()
    probes.add(connections, endpoints)
    assert probes.findings() == []


def test_in_parts_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    connections, endpoints = tables([to_port(100 + k, REFUSED) for k in range(40)])
    whole, parts, few = Probes(), Probes(), Probes()
    whole.add(connections, endpoints)
    for k in range(40):
        parts.add(connections[k : k + 1], endpoints[k : k + 1])
    assert str(parts.findings()) == str(whole.findings())
    monkeypatch.setattr("analyzer.explain.findings.MOST_PROBES", 25)
    few.add(connections, endpoints)
    few.add(connections, endpoints)
    (scan,) = few.findings()
    assert isinstance(scan, PortScan)
    assert scan.ports == 25
