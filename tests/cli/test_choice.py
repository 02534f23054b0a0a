"""Which connections are chosen, and in which order."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from analyzer.cli.choice import KEYS, KINDS, chosen, numbers_of
from analyzer.errors import UsageError
from analyzer.explain.causes import Cause, cause_of
from analyzer.pipeline import survey
from analyzer.render.words import TROUBLES
from analyzer.tables import Protocol, Rows
from tests.script import play

MADE = Path(__file__).parents[2] / "captures" / "made"


def rows() -> tuple[Rows, Rows]:
    """The connections of all captures, of two that end before their time, and one whose server falls silent."""
    connections, endpoints = [], []
    octets = (MADE / "loopback-echo-1235.pcap").read_bytes()
    ends = [24]
    while ends[-1] < len(octets):
        ends.append(ends[-1] + 16 + int.from_bytes(octets[ends[-1] + 8 : ends[-1] + 12], "little"))
    captures = sorted(path for path in MADE.iterdir() if path.suffix in (".pcap", ".pcapng"))
    for source in (*captures, *(io.BytesIO(octets[: ends[packets]]) for packets in (6, 7))):
        run = survey(source)
        connections.append(run.connections[: run.count])
        endpoints.append(run.endpoints[: run.count])
    gone = play("C > S S 1\nS > C SA 1 ack 2\nC > S A 2 ack 2\n" + 4 * "+1 C > S PA 2:9 ack 2\n").reconstruction
    connections.append(gone.connections[:1])
    endpoints.append(gone.endpoints[:1])
    table = np.concatenate(connections)
    table["number"] = np.arange(1, len(table) + 1)
    return table, np.concatenate(endpoints)


TABLES = rows()


def kinds_of(connection: Rows, endpoints: Rows) -> set[str]:
    """By the cause's own name."""
    cause = Cause(cause_of(connection, *endpoints)).name.lower().replace("_", "-")
    kinds = {Protocol(int(connection["protocol"])).name.lower()}
    words = set(cause.split("-"))
    if words & {"closed", "vanished", "refused", "unanswered"} and cause != "half-closed":
        kinds |= words & {"closed", "vanished", "refused", "unanswered"}
    elif words & {"unreachable", "prohibited", "exceeded"}:
        kinds.add("refused")
    elif cause == "likely-accept-queue-full":
        kinds.add("unanswered")
    elif cause in ("half-closed", "open"):
        kinds.add(cause)
    elif cause != "none":
        kinds.add("reset")
    if any(endpoints[counter].sum() for counter in TROUBLES):
        kinds.add("troubled")
    return kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind(kind: str) -> None:
    connections, endpoints = TABLES
    expected = [i + 1 for i in range(len(connections)) if kind in kinds_of(connections[i], endpoints[i])]
    assert expected
    assert chosen(*TABLES, None, kind, None) == expected


def test_several_kinds_and_names() -> None:
    some = chosen(*TABLES, None, "refused, reset", None)
    assert some == sorted(set(chosen(*TABLES, None, "refused", None)) | set(chosen(*TABLES, None, "reset", None)))
    assert chosen(*TABLES, f"{some[1]},{some[0]}", "reset,refused", None) == some[:2]


@pytest.mark.parametrize("key", KEYS)
def test_the_greatest_come_first(key: str) -> None:
    order = chosen(*TABLES, None, None, key)
    assert sorted(order) == list(range(1, len(order) + 1))
    column = {
        "packets": TABLES[1]["packets"].sum(axis=1), "bytes": TABLES[1]["payload_bytes"].sum(axis=1),
        "lasted": TABLES[0]["last_ns"] - TABLES[0]["first_ns"], "rtt": TABLES[0]["handshake_rtt_ns"],
        "retransmitted": TABLES[1]["retransmitted_packets"].sum(axis=1),
        "out-of-order": TABLES[1]["out_of_order_packets"].sum(axis=1),
        "zero-window": TABLES[1]["zero_windows"].sum(axis=1),
    }[key]  # fmt: skip
    assert order == sorted(order, key=lambda number: (-int(column[number - 1]), number))


@pytest.mark.parametrize("only", ["", "resett", "reset,,refused", "RESET"])
def test_no_kind(only: str) -> None:
    with pytest.raises(UsageError, match="--only"):
        chosen(*TABLES, None, only, None)


@pytest.mark.parametrize("named", ["", "x", "1-", "-2", "1,,2", "0", "3-1", "4", "1-4", "²"])
def test_what_cannot_be_named(named: str) -> None:
    with pytest.raises(UsageError, match=r"^-c "):
        numbers_of(named, 3)


@pytest.mark.parametrize(
    ("count", "reason"), [(0, "there is none at all"), (1, "only one"), (1_204, "the last one is 1,204")]
)
def test_a_number_beyond_the_last(count: int, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        numbers_of("2000", count)
