"""What plots are drawn from, against the counters of the analysis."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer.report import plots, thinning
from analyzer.report.course import NONE, Course, course_of
from analyzer.report.plot_svg import plot_svg
from analyzer.report.plots import column, plot_data
from analyzer.tables import ACK, SYN, Event, Protocol, Rows, Side
from tests.report import transfer
from tests.report.transfer import MSS, Analysed

ROOT = Path(__file__).parents[2]
MADE = sorted((ROOT / "captures" / "made").glob("*.pcap*"))


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    """A transfer of some thousand packets with losses."""
    path = tmp_path_factory.mktemp("plots") / "lossy.pcap"
    transfer.write(path, 6_000_000, loss=0.003)
    (analysed,) = transfer.every(path)
    return analysed


def decoded(form: dict[str, Any], n: int) -> np.ndarray:
    """A column as the page reads it."""
    if "constant" in form:
        return np.full(n, form["constant"])
    values = np.frombuffer(base64.b64decode(form["data"]), "<" + form["type"]).astype(np.int64)
    return form["from"] + np.cumsum(values) if "from" in form else values


# ---------------------------------------------------------------- measures


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.stem)
def test_measures_are_those_of_the_analysis(path: Path) -> None:
    for _connection, endpoints, life in transfer.every(path):
        check_measures(course_of(life, endpoints), endpoints)


def test_measures_of_a_lossy_transfer_are_those_of_the_analysis(lossy: Analysed) -> None:
    _connection, endpoints, life = lossy
    assert int(endpoints["retransmitted_packets"].sum()) > 10
    check_measures(course_of(life, endpoints), endpoints)


def check_measures(course: Course, endpoints: Rows) -> None:
    for side, in_flight in zip(Side, (course.client_in_flight, course.server_in_flight), strict=True):
        end = endpoints[side]
        samples = course.rtt_ns[(course.side != side) & (course.rtt_ns != NONE)]
        assert len(samples) == end["rtt_samples"]
        if len(samples):
            assert (samples.min(), samples.max()) == (end["min_rtt_ns"], end["max_rtt_ns"])
            assert samples.sum() == end["rtt_sum_ns"]
        says = (course.side == side) & (course.payload_len > 0)
        says &= course.events >> np.uint32(Event.CAPTURE_DUPLICATE) & 1 == 0
        assert max(in_flight[says], default=0) == end["max_in_flight"]
        windows = course.window[(course.side == side) & (course.window != NONE) & (course.flags & 2 == 0)]
        windows = windows if end["windows"] else windows[:0]
        assert (max(windows, default=0), min(windows, default=0)) == (end["max_window"], end["min_window"])


def test_places_go_on_where_numbers_wrap_around(lossy: Analysed) -> None:
    _connection, endpoints, life = lossy
    start = 0xFFFF0000
    shifted = life._replace(
        seq=life.seq + np.where(life.side == 1, start, 0).astype(np.uint32),
        ack=life.ack + np.where(life.side == 0, start, 0).astype(np.uint32),
        sack=life.sack + np.where(life.side == 0, start, 0).astype(np.uint32)[:, np.newaxis],
    )
    usual, moved = course_of(life, endpoints), course_of(shifted, endpoints)
    from_server = life.side == 1
    difference = (moved.start - usual.start)[from_server]
    assert len(set(difference.tolist())) == 1
    assert (np.diff(usual.start[from_server][usual.payload_len[from_server] > 0]) > -(1 << 20)).all()
    assert (moved.rtt_ns == usual.rtt_ns).all()
    assert (moved.server_in_flight == usual.server_in_flight).all()
    blocks = usual.sack != NONE
    assert blocks.any()
    assert (moved.sack[blocks] - usual.sack[blocks] == difference[0]).all()


def test_a_stray_syn_ack_moves_nothing(lossy: Analysed) -> None:
    _connection, endpoints, life = lossy
    usual = course_of(life, endpoints)
    row = int(np.flatnonzero((life.side == 1) & (life.payload_len == MSS))[1])
    columns = {name: getattr(life, name).copy() for name in ("flags", "seq", "events")}
    columns["flags"][row], columns["seq"][row] = SYN | ACK, 99_310_615
    columns["events"][row] = 1 << Event.REUSED_PORTS
    strayed = course_of(life._replace(**columns), endpoints)
    others = np.arange(len(life.number)) != row
    assert strayed.start[row] == 99_310_615
    assert (strayed.start == usual.start)[others].all()
    assert strayed.server_in_flight.max() == usual.server_in_flight.max()


def test_sack_blocks_are_where_the_octets_are(lossy: Analysed) -> None:
    _connection, endpoints, life = lossy
    course = course_of(life, endpoints)
    rows = np.flatnonzero(course.sack[:, 0] != NONE)
    assert (course.sack[rows, 0] > course.acked[rows]).all()
    reached = np.maximum.accumulate(np.where(course.side == 1, course.end, 0))
    assert (course.sack[rows, 1] <= reached[rows]).all()


# ---------------------------------------------------------------- what is kept


@pytest.mark.parametrize(("most", "losses"), [(400, 0), (1_000, 0), (4_000, 0), (1_000, 100), (300, 2_000)])
def test_the_bound_is_kept(lossy: Analysed, most: int, losses: int) -> None:
    connection, endpoints, life = lossy
    events = life.events.copy()
    events[np.linspace(5, len(events) - 5, losses).astype(int)] |= 1 << Event.RETRANSMISSION
    told = plot_data(life._replace(events=events), connection, endpoints, most)
    assert most * 0.9 <= told["drawn"] <= most
    assert told["packets"] == len(life.number)


def test_what_is_small_is_whole(lossy: Analysed) -> None:
    connection, endpoints, life = lossy
    told = plot_data(life, connection, endpoints, len(life.number))
    assert told["drawn"] == told["packets"] == len(life.number)
    columns = {name: decoded(form, told["drawn"]) for name, form in told["columns"].items()}
    assert (columns["number"] == life.number).all()
    assert (columns["time_ns"] == life.ts_ns - life.ts_ns[0]).all()
    assert (columns["octets"] == life.payload_len).all()
    assert (columns["packets"] == 1).all()
    course = course_of(life, endpoints)
    owners = decoded(told["sack"]["packet"], 0)
    assert (np.unique(owners) == np.flatnonzero(course.sack[:, 0] != NONE)).all()
    assert (decoded(told["sack"]["left"], 0) > course.acked[owners]).all()


def test_trouble_is_never_dropped(lossy: Analysed) -> None:
    connection, endpoints, life = lossy
    told = plot_data(life, connection, endpoints, 600)
    numbers = set(decoded(told["columns"]["number"], told["drawn"]).tolist())
    trouble = 1 << Event.RETRANSMISSION | 1 << Event.OUT_OF_ORDER | 1 << Event.LOST_SEGMENT
    assert set(life.number[life.events & trouble != 0].tolist()) <= numbers
    assert told["remarkable_drawn"] == told["remarkable"] > 10


def test_extremes_of_every_moment_are_kept(lossy: Analysed) -> None:
    _connection, endpoints, life = lossy
    course = course_of(life, endpoints)
    chosen = np.zeros(len(life.number), np.bool_)
    room = 1_000
    thinning._choose_extremes(chosen, course, np.ones(len(chosen), np.bool_), room)
    assert chosen.sum() <= room
    moments = room // 22
    moment = course.time_ns // (int(course.time_ns[-1]) // moments + 1)
    measures = (course.end, course.rtt_ns, course.gap_ns, course.server_in_flight, course.window)
    for values in measures:
        for side in Side:
            mine = (course.side == side) & (values != NONE)
            for one in np.unique(moment[mine]):
                here = mine & (moment == one)
                assert values[here & chosen].max() == values[here].max()


def test_octets_that_were_left_out_are_counted(lossy: Analysed) -> None:
    connection, endpoints, life = lossy
    told = plot_data(life, connection, endpoints, 500)
    columns = {name: decoded(form, told["drawn"]) for name, form in told["columns"].items()}
    for side in Side:
        mine = columns["side"] == side
        assert columns["octets"][mine].sum() == life.payload_len[life.side == side].sum()
        assert columns["packets"][mine].sum() == (life.side == side).sum()


def test_packets_stand_in_the_order_of_time(lossy: Analysed) -> None:
    connection, endpoints, life = lossy
    ts_ns = life.ts_ns.copy()
    ts_ns[100] -= 50_000_000
    told = plot_data(life._replace(ts_ns=ts_ns), connection, endpoints)
    assert (np.diff(decoded(told["columns"]["time_ns"], told["drawn"])) >= 0).all()


@pytest.mark.parametrize(
    "values",
    [[7, 7, 7], [0, 255], [-1, 3], [1, 2, 3, 70_000], [0, -(1 << 31), 1 << 31], [1 << 40, 3, -(1 << 45)],
     [1 << 40, (1 << 40) + 1], [(1 << 53) - 1, 0, 5]],
)  # fmt: skip
def test_columns_are_exact(values: list[int]) -> None:
    form = column(np.array(values))
    assert decoded(json.loads(json.dumps(form)), len(values)).tolist() == values


@pytest.mark.parametrize(
    ("values", "kind", "start"),
    [
        (np.arange(1 << 40, (1 << 40) + 9), "u1", 1 << 40),
        (np.arange(0, 500, 2), "u1", 0),
        (np.arange(200, 100, -1), "u1", None),
        (np.array([0, 1 << 40, 5]), "f8", None),
    ],
)
def test_a_column_takes_the_shortest_form(values: np.ndarray, kind: str, start: int | None) -> None:
    form = column(values)
    assert (form["type"], form.get("from")) == (kind, start)


def test_datagrams_have_plots_too() -> None:
    ((connection, endpoints, life),) = transfer.every(ROOT / "captures" / "made" / "echo-udp-23333.pcap")
    told = plot_data(life, connection, endpoints)
    assert told["protocol"] == "udp"
    assert decoded(told["columns"]["octets"], told["drawn"]).tolist() == life.payload_len.tolist()


def test_a_million_packets(lossy: Analysed, capsys: pytest.CaptureFixture[str]) -> None:
    connection, endpoints, life = lossy
    long = transfer.repeated(life, 1_000_000 // len(life.number) + 1)
    begin = time.perf_counter()
    told = plot_data(long, connection, endpoints)
    seconds = time.perf_counter() - begin
    octets = len(json.dumps(told))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{told['packets']:,} packets: {seconds:.1f} s; {told['drawn']:,} drawn, {octets:,} octets\n"
        )
    assert told["drawn"] <= plots.MOST_POINTS
    assert octets < 70 * plots.MOST_POINTS
    columns = {name: decoded(form, told["drawn"]) for name, form in told["columns"].items()}
    assert columns["octets"].sum() == long.payload_len.sum()
    assert columns["start"].max() > 1 << 29


# ---------------------------------------------------------------- SVG


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.stem)
def test_svg_is_well_formed(path: Path) -> None:
    for connection, endpoints, life in transfer.every(path):
        if connection["protocol"] != Protocol.TCP:
            continue
        for side in (*Side, None):
            root = ElementTree.fromstring(plot_svg(life, connection, endpoints, '<a> & "b"', side))
            assert root.get("class") == "tcp-plot"
            assert "nan" not in ElementTree.tostring(root, encoding="unicode")


def test_svg_has_every_packet_that_was_sent_again(lossy: Analysed) -> None:
    connection, endpoints, life = lossy
    svg = plot_svg(life, connection, endpoints, "here")
    again = life.number[(life.events >> np.uint32(Event.RETRANSMISSION) & 1 == 1) & (life.side == 1)]
    assert len(again) > 10
    assert {int(number) for number in re.findall(r'class="again"[^>]*><title>#(\d+):', svg)} == set(again.tolist())
    assert len(svg) < 400_000
