"""Which connections a table speaks of, and what is judged of the capture."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.api import analysis as analysis_module
from analyzer.api.analysis import analyze
from analyzer.expect import judging
from analyzer.expect.expectations import path_text, read
from analyzer.expect.judging import judge
from analyzer.pipeline import lives

MADE = Path(__file__).parents[2] / "captures" / "made"
SELECT = MADE / "select-5000.pcapng"
"""Three connections to port 5000."""
QUEUE = MADE / "accept-queue-full.pcap"


def judged(toml: str, capture: Path = SELECT) -> list[tuple[str, int, bool]]:
    """Each expectation: its key, the number of the connection, whether it is met."""
    results = judge(analyze(capture), read(toml.encode(), "x"))
    return [
        (path_text(result.path), result.connection.number if result.connection else 0, result.fault is None)
        for result in results
        if result.path != ("capture", "damaged")
    ]


def chosen(*tables: str) -> list[int]:
    """The connections that tables speak of, 0 for none."""
    toml = "".join(f"[[connection]]\n{table}\nopened_once = true\n" for table in tables)
    return [number for _key, number, _is_met in judged(toml)]


def test_tables_take_connections_in_order() -> None:
    assert chosen("", "", "") == [1, 2, 3]
    assert chosen("server.port = 5000", "") == [1, 2]
    assert chosen("", "", "", "") == [1, 2, 3, 0]


def test_nth_counts_those_that_are_selected() -> None:
    assert chosen("nth = 2", "", "") == [2, 1, 3]
    assert chosen("nth = 2", "nth = 2") == [2, 2]
    assert chosen("nth = 4", "nth = 3") == [0, 3]
    assert chosen('nth = "every"') == [1, 2, 3]
    assert chosen("nth = 3", 'nth = "every"') == [3, 1, 2]
    assert chosen('nth = "every"', "") == [1, 2, 3, 0]


def test_connections_are_looked_at_once_for_tables_that_select_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    of_module = judging._is_selected
    monkeypatch.setattr(judging, "_is_selected", lambda *given: looked_at.append(given) or of_module(*given))
    alike, others = ["server.port = 5000", 'nth = "every"\nserver.port = 5000'] * 9, ["client.port = 1", ""]
    assert chosen(*alike, *others) == [1, 2, 3, *[0] * 18]
    assert len(looked_at) == 3 * 3


def test_packets_are_read_in_the_order_of_the_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis, read_again = analyze(SELECT), []
    monkeypatch.setattr(analysis_module, "lives", lambda *given, **more: read_again.append(1) or lives(*given, **more))
    toml = "".join(f'[[connection]]\nnth = {nth}\nmax_idle = "1 min"\n' for nth in (3, 1, 2, 3))
    found = [result.connection for result in judge(analysis, read(toml.encode(), "x")) if result.connection]
    assert [one.number for one in found] == [3, 1, 2, 3]
    assert len(read_again) == 1


def test_ends_choose() -> None:
    first, second, _third = analyze(SELECT).connections
    assert chosen(f'client.address = "{second.client.address}"\nclient.port = {second.client.port}') == [2]
    assert chosen(f'server.address = "{first.server.address}"\nserver.port = 5000', "client.port = 1") == [1, 0]
    assert chosen("server.port = 5001") == [0]
    assert chosen('protocol = "udp"') == [0]
    assert chosen('protocol = "tcp"') == [1]


def test_addresses_are_compared_as_such() -> None:
    capture = MADE / "echo-ipv6.pcap"
    address = analyze(capture).connections[0].server.address
    spelled = ":".join(["0"] * 7 + ["1"]) if address == "::1" else address.upper()
    assert spelled != address
    toml = f'[[connection]]\nserver.address = "{spelled}"\ncause = "closed_by_client"'
    assert judged(toml, capture) == [("connection[1].cause", 1, True)]


@pytest.mark.parametrize(
    ("toml", "results"),
    [
        ("[capture]\nconnections = 3", [("capture.connections", 0, True)]),
        ('[capture]\nconnections = "< 3"', [("capture.connections", 0, False)]),
        ("[capture]\ndropped = 0\nduplicates = 0", [("capture.dropped", 0, True), ("capture.duplicates", 0, True)]),
        ('[capture]\nothers = "allowed"', []),
        ('[capture]\nothers = "forbidden"', [("capture.others", number, False) for number in (1, 2, 3)]),
        ("[[connection]]", []),
        ("[[connection]]\nopened_once = false", []),
        (
            '[capture]\nothers = "forbidden"\n[[connection]]\nnth = "every"\nverdict = "SF"',
            [("connection[1].verdict", number, True) for number in (1, 2, 3)] + [("capture.others", 0, True)],
        ),
        (
            '[[connection]]\nevents = { reset = 0, retransmission = ">= 1" }',
            [("connection[1].events.reset", 1, True), ("connection[1].events.retransmission", 1, False)],
        ),
        (
            "[[connection]]\npackets.client = 1\nbytes.server = \">= 1\"\npackets.server = \">= 1\"",
            [("connection[1].packets.client", 1, False), ("connection[1].packets.server", 1, True),
             ("connection[1].bytes.server", 1, True)],
        ),
    ],
)  # fmt: skip
def test_results(toml: str, results: list[tuple[str, int, bool]]) -> None:
    assert judged(toml) == results


def test_copies_of_the_capture_are_counted() -> None:
    assert judged("[capture]\nduplicates = 0", MADE / "loopback-twice.pcap") == [("capture.duplicates", 0, False)]


def test_what_is_said_has_several_measures() -> None:
    echo = MADE / "loopback-echo-1235.pcap"
    toml = '[[connection]]\nsaid.client = { text = "clien", hex = "63 6c 69 65 6e", matches = "c.*", bytes = "< 5" }'
    assert judged(toml, echo) == [
        ("connection[1].said.client.text", 1, True),
        ("connection[1].said.client.hex", 1, True),
        ("connection[1].said.client.matches", 1, True),
        ("connection[1].said.client.bytes", 1, False),
    ]


def test_a_cause_is_judged_for_each() -> None:
    toml = '[[connection]]\nnth = "every"\nno = ["retransmission"]'
    assert judged(toml, QUEUE) == [("connection[1].no", 1, False), ("connection[1].no", 2, True)]
