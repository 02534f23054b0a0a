"""What counters that went up say of a connection: when they settle it, and when they do not."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.explain.kernel_counters import MARGIN_NS, NAMES, KernelCounters, counters_of, read_counters
from analyzer.explain.processes import packed
from analyzer.tables import Rows
from tests.script import START_NS, play

HERE = packed("10.0.0.2")
ABORTED = """
    C > S  S 100 mss 1460
    S > C  SA 100 ack 101 mss 1460
    C > S  A 101 ack 101
    C > S  PA 101:111 ack 101
    S > C  RA 101 ack 111
"""
END_NS = START_NS + 5_000_000
SOON, LATER = END_NS - 10_000_000, END_NS + 10_000_000


def rows(text: str, count: int = 1) -> tuple[Rows, Rows]:
    """The same connection so many times."""
    reconstruction = play(text).reconstruction
    connections = np.repeat(reconstruction.connections[:1], count)
    return connections, np.repeat(reconstruction.endpoints[:1], count, axis=0)


def said(text: str, *readings: tuple[int, dict[str, int]], count: int = 1, here: bytes = HERE) -> str:
    """What is told of the first connection after these readings."""
    now: dict[str, int] = {}
    counters = KernelCounters(lambda address: address == here, lambda: tuple(now.get(name, 0) for name in NAMES))
    for ts_ns, now in readings:  # noqa: B007
        counters.tick(ts_ns, is_last=True)
    return counters.sentence(0, *rows(text, count))


@pytest.mark.parametrize(
    ("counter", "meaning"),
    [
        ("TCPAbortOnClose", "unread data"), ("TCPAbortOnData", "SO_LINGER 0"), ("TCPAbortOnTimeout", "a timeout"),
        ("TCPAbortOnMemory", "memory"), ("TCPAbortOnLinger", "TCP_LINGER2"),
    ],
)  # fmt: skip
def test_one_abort(counter: str, meaning: str) -> None:
    told = said(ABORTED, (SOON, {counter: 7}), (LATER, {counter: 8}))
    assert told.startswith(f"Linux counted it ({counter} +1): ")
    assert meaning in told
    assert told.endswith("unless a connection that was not captured moved it.")


def test_what_settles_nothing() -> None:
    one = {"TCPAbortOnClose": 1}
    both = {"TCPAbortOnClose": 1, "TCPAbortOnData": 1}
    nothing = "it settles nothing."
    assert said(ABORTED, (SOON, {}), (LATER, one)).endswith("moved it.")
    assert said(ABORTED, (SOON, {}), (LATER, one), count=2).endswith(nothing)
    assert said(ABORTED, (SOON, {}), (LATER, {"TCPAbortOnClose": 2}), count=2).endswith("moved it.")
    assert said(ABORTED, (SOON, {}), (LATER, {"TCPAbortOnClose": 2})).endswith(nothing)
    assert said(ABORTED, (SOON, {}), (LATER, both)).endswith(nothing)
    assert said(ABORTED, (SOON, {}), (LATER, both), count=2).endswith(nothing)


def test_what_says_nothing() -> None:
    one = {"TCPAbortOnClose": 1}
    far_before, far_after = START_NS - MARGIN_NS, END_NS + 2 * MARGIN_NS
    assert said(ABORTED, (SOON, {}), (LATER, {})) == ""
    assert said(ABORTED, (SOON, {}), (LATER, {"ListenOverflows": 1})) == ""
    assert said(ABORTED, (SOON, {}), (LATER, one), here=packed("10.0.0.1")) == ""  # the other end's machine
    assert said(ABORTED, (SOON, {}), (far_before, one), (LATER, one)) == ""
    assert said(ABORTED, (SOON, {}), (far_after, {}), (far_after + 1, one)) == ""
    assert said(ABORTED.replace("S > C  RA", "S > C  FA"), (SOON, {}), (LATER, one)) == ""


def test_a_full_accept_queue() -> None:
    text = "C > S S 100\n+1 C > S S 100\n+2 C > S S 100"
    readings = (
        (START_NS, {}),
        (START_NS + 10**9, {"ListenOverflows": 1}),
        (START_NS + 4 * 10**9, {"ListenOverflows": 3}),
    )
    assert said(text, *readings) == (
        "Linux counted it (ListenOverflows +3): the accept queue of a listening socket was full, unless a connection "
        "that was not captured moved it."
    )
    assert said(text, *readings, count=2).endswith("it settles nothing.")
    assert "the SYN queue" in said(text, (START_NS, {}), (LATER, {"TCPReqQFullDrop": 1}))


def test_a_late_write() -> None:
    """Whether Linux counts the RST that answers it depends on what became of the socket."""
    text = ABORTED.replace("S > C  RA 101 ack 111", "S > C FA 101 ack 111\nC > S PA 111:121 ack 102\nS > C R 102 win 0")
    assert said(text, (SOON, {}), (LATER, {"TCPAbortOnData": 1})).endswith("it settles nothing.")


def test_the_file() -> None:
    text = "TcpExt: SyncookiesSent ListenOverflows TCPAbortOnData\nTcpExt: 1 22 333\nIpExt: InOctets\nIpExt: 5\n"
    found = dict(zip(NAMES, counters_of(text), strict=True))
    assert {name: value for name, value in found.items() if value} == {"ListenOverflows": 22, "TCPAbortOnData": 333}
    assert counters_of("") == (0,) * len(NAMES)


def test_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.explain.kernel_counters.NETSTAT", "/nowhere")
    assert read_counters() is None
    counters = KernelCounters(lambda _: True)
    counters.tick(START_NS)
    counters.tick(LATER, is_last=True)
    assert counters.sentence(0, *rows(ABORTED)) == ""


def test_readings_have_pauses() -> None:
    read = []
    counters = KernelCounters(lambda _: True, lambda: read.append(1) or (0,) * len(NAMES))
    for _ in range(50):
        counters.tick(START_NS)
    assert len(read) < 50
