"""Round trips, silences, octets in flight and windows: known answers, the oracle, and tcptrace's."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.export.columns import NULL, Integers, Integral, Table
from analyzer.export.connections import connection_table, deviation
from analyzer.pipeline import Run
from analyzer.tables import ENDPOINT, MOST_SQUARES, Protocol, Rows
from analyzer.tcp import unacknowledged
from analyzer.tcp.measures import note_round_trip
from tests.script import START_NS, Segment, play
from tests.tcp.measures_oracle import Step, measure

CAPTURES = sorted((Path(__file__).parents[2] / "captures" / "made").glob("*.pcap*"))

OPEN = "C > S S 100\nS > C SA 300 ack 101\nC > S A 101 ack 301\n"
"""The client's round trip takes 1 ms, and so does the server's."""


def ends(text: str) -> tuple[Rows, Rows]:
    """Client and server of a conversation's first connection."""
    made = play(text).reconstruction
    return made.endpoints[0, 0], made.endpoints[0, 1]


def values_of(table: Table, name: str) -> Integral:
    """The values of a column of numbers."""
    column = table[name]
    assert isinstance(column, Integers)
    return column.values


def round_trips(text: str) -> tuple[int, int, int, int]:
    """Those of the client after the handshake's: how many; the least, the greatest and the sum of all, in ms."""
    client, _ = ends(OPEN + text)
    return (
        int(client["rtt_samples"]) - 1,
        *(int(client[name]) // 1_000_000 for name in ("min_rtt_ns", "max_rtt_ns", "rtt_sum_ns")),
    )


@pytest.mark.parametrize(
    ("told", "text"),
    [
        pytest.param((1, 1, 7, 8), "C > S PA 101:111 ack 301\n+0.007 S > C A 301 ack 111", id="one segment"),
        pytest.param((0, 1, 1, 1), "C > S PA 101:111 ack 301\nS > C A 301 ack 106", id="a part of it"),
        pytest.param((0, 1, 1, 1), "C > S PA 101:111 ack 301\nS > C A 301 ack 101", id="nothing of it"),
        pytest.param(
            (1, 1, 3, 4), "C > S PA 101:111 ack 301\nC > S PA 111:121 ack 301\n+0.003 S > C A 301 ack 121",
            id="two at once: the latter",
        ),
        pytest.param(
            (0, 1, 1, 1), "C > S PA 101:111 ack 301\nC > S PA 101:111 ack 301\nS > C A 301 ack 111", id="sent again"
        ),
        pytest.param(
            (0, 1, 1, 1), "C > S PA 101:111 ack 301\nC > S PA 101:106 ack 301\nS > C A 301 ack 111",
            id="sent again in part",
        ),
        pytest.param(
            (0, 1, 1, 1), "C > S PA 101:111 ack 301\nC > S PA 101:121 ack 301\nS > C A 301 ack 111",
            id="sent again with more, and the first of it acknowledged",
        ),
        pytest.param(
            (1, 1, 2, 3), "C > S PA 101:111 ack 301\nC > S PA 101:121 ack 301\n+0.002 S > C A 301 ack 121",
            id="sent again with more, and the new part acknowledged",
        ),
        pytest.param(
            (0, 1, 1, 1),
            "C > S PA 101:111 ack 301\nC > S PA 111:121 ack 301\nC > S PA 101:111 ack 301\nS > C A 301 ack 121",
            id="it waited for an earlier one to be sent again",
        ),
        pytest.param(
            (1, 1, 9, 10),
            "C > S PA 101:111 ack 301\n+0.004 C > S PA 111:121 ack 301\n+0.001 C > S PA 111:121 ack 301\n"
            "+0.004 S > C A 301 ack 111\n+0.004 S > C A 301 ack 121",
            id="a later one was sent again",
        ),
        pytest.param(
            (2, 1, 7, 13),
            "C > S PA 111:121 ack 301\nC > S PA 101:111 ack 301\n+0.005 S > C A 301 ack 111\nS > C A 301 ack 121",
            id="out of order, acknowledged one by one",
        ),
        pytest.param(
            (0, 1, 1, 1), "C > S PA 111:121 ack 301\nC > S PA 101:111 ack 301\nS > C A 301 ack 121",
            id="out of order, acknowledged together",
        ),
        pytest.param(
            (1, 1, 2, 3),
            "C > S PA 101:111 ack 301\n+0.002 S > C A 301 ack 111\nS > C A 301 ack 101\nC > S PA 101:111 ack 301\n"
            "S > C A 301 ack 111",
            id="acknowledged before, and an old ACK since",
        ),
        pytest.param((1, 1, 2, 3), "C > S FA 101 ack 301\n+0.002 S > C A 301 ack 102", id="a FIN"),
        pytest.param((1, 1, 2, 3), "C > S PA 101:111 ack 301\n+0.002 S > C RA 301 ack 111", id="a RST answers"),
    ],
)  # fmt: skip
def test_round_trips(told: tuple[int, int, int, int], text: str) -> None:
    assert round_trips(text) == told


def test_round_trips_of_the_handshake() -> None:
    client, server = ends(OPEN)
    assert [(int(end["rtt_samples"]), int(end["min_rtt_ns"])) for end in (client, server)] == [(1, 1_000_000)] * 2
    client, server = ends("C > S S 100\n" + OPEN)
    assert [int(end["rtt_samples"]) for end in (client, server)] == [0, 1]


def test_a_clock_that_steps_back_tells_no_round_trip() -> None:
    opened = [Segment(START_NS + 9, "C", "S", 2, 100), Segment(START_NS, "S", "C", 18, 300, 101)]
    assert play(opened).reconstruction.endpoints[0, 0]["rtt_samples"] == 0


def test_round_trips_when_segments_find_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent again may be taken for new then, unless it goes beyond all that was sent."""
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "never")  # compiled code has the limit in it
    monkeypatch.setattr(unacknowledged, "MOST_HELD", 2)
    three = "".join(f"C > S PA {at}:{at + 10} ack 301\n" for at in (101, 111, 121))
    assert round_trips(three + "S > C A 301 ack 131")[0] == 1
    assert round_trips(three + "C > S PA 101:111 ack 301\nS > C A 301 ack 111")[0] == 0
    later = three + "S > C A 301 ack 131\nC > S PA 141:151 ack 301\nC > S PA 131:141 ack 301\n"
    assert round_trips(later + "S > C A 301 ack 141")[0] == 1
    assert round_trips(later + "S > C A 301 ack 141\nS > C A 301 ack 151")[0] == 2


STEPS = st.lists(
    st.tuples(
        st.booleans(), st.integers(0, 9), st.integers(1, 4), st.sampled_from([1_000, 700_000, 9_000_000, 400_000_000])
    ),
    max_size=30,
)


@given(STEPS, st.sampled_from([100, 2**32 - 2, 2**32 - 6, 2**31 - 6, 2**32 - 14]))
def test_against_the_oracle(drawn: list[tuple[bool, int, int, int]], iss: int) -> None:
    """Any octets of a small stretch, sent and acknowledged in any order: lost, late, again, in other pieces.

    But an acknowledgement field of 0 is one that is not known, as in Wireshark.
    """
    ts_ns = START_NS
    drawn = [one for one in drawn if one[0] or (iss + 1 + one[1]) % 2**32]
    steps = []
    for sends, first, octets, pause_ns in drawn:
        ts_ns += pause_ns
        steps.append(Step(ts_ns, sends, first, first + octets))
    segments = [
        Segment(START_NS - 2_000_000, "C", "S", 2, iss),
        Segment(START_NS - 1_000_000, "S", "C", 18, 300, (iss + 1) % 2**32),
        Segment(START_NS, "C", "S", 16, (iss + 1) % 2**32, 301),
    ]
    for step in steps:
        place = (iss + 1 + step.first) % 2**32
        segments.append(
            Segment(step.ts_ns, "C", "S", 24, place, 301, step.after - step.first)
            if step.sends
            else Segment(step.ts_ns, "S", "C", 16, 301, place)
        )
    segments = [segment._replace(ip_id=number) for number, segment in enumerate(segments, 1)]  # so none is a copy
    client = play(segments).reconstruction.endpoints[0, 0]
    measures = measure(steps)
    told = [1_000_000, *measures.round_trips]
    assert int(client["rtt_samples"]) == len(told)
    assert [int(client[name]) for name in ("min_rtt_ns", "max_rtt_ns", "rtt_sum_ns")] == [
        min(told),
        max(told),
        sum(told),
    ]
    assert int(client["max_in_flight"]) == max(measures.in_flight, default=0)
    assert int(client["in_flight_sum"]) == sum(measures.in_flight)
    times = [START_NS - 2_000_000, START_NS, *(step.ts_ns for step in steps if step.sends)]
    assert int(client["max_idle_ns"]) == max(np.diff(times).tolist())


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50), st.integers(0, 10**9))
def test_mean_and_deviation(spread: list[int], least: int) -> None:
    """To a thousandth, and a microsecond."""
    told = [least + one for one in spread]
    end = np.zeros(1, ENDPOINT)
    for rtt_ns in told:
        note_round_trip(end[0], rtt_ns)
    column = deviation(end["rtt_sum_ns"], end["rtt_squares"], end["rtt_samples"]).values
    if len(told) == 1:
        assert column[0] == NULL
    else:
        assert column[0] == pytest.approx(statistics.stdev(told), rel=1e-3, abs=2_000 + least * 1e-7)


def test_the_deviation_of_too_much_is_not_known() -> None:
    end = np.zeros(1, ENDPOINT)
    for _ in range(3):
        note_round_trip(end[0], 10**13)
    assert end["rtt_squares"][0] == MOST_SQUARES
    assert deviation(end["rtt_sum_ns"], end["rtt_squares"], end["rtt_samples"]).values[0] == NULL
    assert (end["rtt_sum_ns"][0], end["max_rtt_ns"][0]) == (3 * 10**13, 10**13)


@pytest.mark.parametrize(
    ("windows", "text"),
    [
        ((0, 0, 0, 0), "C > S S 100 win 7\nS > C SA 300 ack 101\nC > S R 101 win 5"),
        ((2, 5, 9, 14), "C > S A 101 ack 301 win 9\nC > S A 101 ack 301 win 5"),
        ((1, 20, 20, 20), "C > S S 100 wscale 2\nS > C SA 300 ack 101 wscale 0\nC > S A 101 ack 301 win 5"),
        ((1, 5, 5, 5), "C > S S 100 wscale 2\nS > C SA 300 ack 101\nC > S A 101 ack 301 win 5"),
        ((1, 5, 5, 5), "C > S S 100\nS > C SA 300 ack 101\nC > S A 101 ack 301 win 5"),
        ((1, 5, 5, 5), "C > S S 100 wscale 2\nC > S A 101 ack 301 win 5"),
        ((1, *[5 << 14] * 3), "C > S S 100 wscale 15\nS > C SA 300 ack 101 wscale 0\nC > S A 101 ack 301 win 5"),
        ((2, 0, 5, 5), "C > S A 101 ack 301 win 5\nC > S A 101 ack 301 win 0"),
    ],
)  # fmt: skip
def test_windows(windows: tuple[int, ...], text: str) -> None:
    client, _ = ends(text)
    assert tuple(int(client[name]) for name in ("windows", "min_window", "max_window", "window_sum")) == windows


def test_rates_and_silences() -> None:
    made = play(
        "C > S S 100\n+0.1 S > C SA 300 ack 101\n+0.1 C > S A 101 ack 301\nC > S PA 101:201 ack 301\n"
        "+0.5 S > C PA 301:311 ack 201\n+0.3 C > S FPA 201:301 ack 311\nS > C A 311 ack 302"
    ).reconstruction
    table = {
        name: int(column.values[0])
        for name, column in connection_table(made.connections[:1], made.endpoints[:1]).items()
        if isinstance(column, Integers)
    }
    elapsed_ns = table["last_ns"] - table["first_ns"]
    assert table["client_sent.throughput_bps"] == 200 * 8 * 10**9 // elapsed_ns
    assert table["client_sent.data_throughput_bps"] == 100 * 8 * 2
    assert table["server_sent.data_throughput_bps"] == 10 * 8 * 2
    assert table["client_sent.max_idle_ns"] == 800_000_000
    assert table["client_sent.max_in_flight"] == 101  # the FIN has a sequence number
    assert table["client_sent.mean_in_flight"] == 100


def test_octets_and_rates_of_each_phase() -> None:
    """Fast Open brings payload in the handshake, a FIN brings some in the teardown; half-closed data is data."""
    made = play(
        "C > S S 100:120\n+0.1 S > C SA 300:305 ack 121\n+0.1 C > S A 121 ack 306\n"
        "C > S PA 121:221 ack 306\n+0.5 S > C PA 306:316 ack 221\nC > S PA 121:221 ack 306\n"
        "C > S FPA 221:251 ack 316\nS > C A 316 ack 252\n+1 S > C PA 316:416 ack 252\n+2 S > C FA 416 ack 252"
    ).reconstruction
    table = connection_table(made.connections[:1], made.endpoints[:1])
    told = {
        phase: [
            int(values_of(table, f"phases.{phase}.{side}_{what}")[0])
            for side in ("client", "server")
            for what in ("bytes", "throughput_bps")
        ]
        for phase in ("handshake", "data", "teardown")
    }
    data_ns = 1_503_000_000
    assert told == {
        "handshake": [20, 20 * 8 * 5, 5, 5 * 8 * 5],
        "data": [100, 100 * 8 * 10**9 // data_ns, 110, 110 * 8 * 10**9 // data_ns],
        "teardown": [30, 30 * 8 * 10**9 // 3_001_000_000, 0, 0],
    }


def test_a_conversation_has_no_phases() -> None:
    made = play("C > S UDP 5\nS > C UDP 5").reconstruction
    table = connection_table(made.connections[:1], made.endpoints[:1])
    for phase in ("handshake", "data", "teardown"):
        for name in ("client_bytes", "client_throughput_bps", "server_bytes", "server_throughput_bps"):
            assert values_of(table, f"phases.{phase}.{name}")[0] == NULL


def test_a_reset_alone_tells_nothing() -> None:
    """Its sequence number may be of another connection."""
    client, _ = ends("C > S R 900:905\nS > C A 101 ack 905")
    assert (int(client["data_packets"]), int(client["max_in_flight"]), int(client["rtt_samples"])) == (1, 0, 0)


def test_one_packet_has_no_rate() -> None:
    made = play("C > S S 100").reconstruction
    table = connection_table(made.connections[:1], made.endpoints[:1])
    for name in ("throughput_bps", "data_throughput_bps", "max_idle_ns", "max_in_flight", "mean_window"):
        assert values_of(table, f"client_sent.{name}")[0] == NULL


TCPTRACE = shutil.which("tcptrace")

SAME = {
    "RTT samples": "rtt_samples", "RTT min": "min_rtt_ns", "RTT max": "max_rtt_ns", "RTT avg": "mean_rtt_ns",
    "idletime max": "max_idle_ns", "unique bytes sent": "unique_bytes", "pure acks sent": "pure_acks",
    "rexmt data pkts": "retransmitted_packets", "rexmt data bytes": "retransmitted_bytes",
    "outoforder pkts": "out_of_order_packets",
}  # fmt: skip
"""Lines of tcptrace's long output, and the columns that say the same."""


ONCE = [path for path in CAPTURES if "twice" not in path.name]
"""tcptrace counts what the capture has twice."""


@pytest.mark.skipif(TCPTRACE is None, reason="tcptrace is not installed")
@pytest.mark.parametrize("path", ONCE, ids=lambda path: path.name)
def test_example_captures_as_tcptrace(path: Path) -> None:
    assert TCPTRACE
    done = subprocess.run([TCPTRACE, "-n", "-l", "-r", path], capture_output=True, check=True)
    blocks = re.split(r"TCP connection \d+:\n", done.stdout.decode(errors="replace"))[1:]
    with Run(path) as run:
        for _ in run:
            pass
    rows = np.flatnonzero(run.connections["protocol"][: run.count] == Protocol.TCP)
    table = connection_table(run.connections[rows], run.endpoints[rows])
    assert len(blocks) == len(rows)
    for row, block in enumerate(blocks):
        ports = re.findall(r"host \w+: .*:(\d+)$", block, re.MULTILINE)
        client_is_first = int(ports[0]) == run.connections["client_port"][rows[row]]
        sides = ("client", "server") if client_is_first else ("server", "client")
        lines = re.findall(r"^\s+(\S[^:\n]*):\s+(\S+)[^:\n]*?\s+\1:\s+(\S+)", block, re.MULTILINE)
        theirs = {name: values for name, *values in lines if name in SAME}
        assert len(theirs) >= 7
        for name, values in theirs.items():
            for side, value in zip(sides, values, strict=True):
                mine = max(0, int(values_of(table, f"{side}_sent.{SAME[name]}")[row]))
                told = 0.0 if value == "NA" else float(value)
                if SAME[name].endswith("_ns"):
                    assert mine / 1e6 == pytest.approx(told, abs=0.1), (name, side)
                else:
                    assert mine == told, (name, side)
