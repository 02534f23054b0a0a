"""Our labels beside tshark's: what is the same, what is not, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from analyzer.dissect.comparison import EVENTS, Comparison, Difference, arguments
from analyzer.dissect.reasons import Reason
from analyzer.dissect.tshark import Output, environment, installed
from analyzer.errors import TsharkError
from analyzer.pipeline import Run
from analyzer.tables import ACK, RST, SYN, Batch, Event
from tests.dissect.fake import needs_tshark

ROOT = Path(__file__).parents[2]
CAPTURES = sorted((ROOT / "captures" / "made").glob("*.pcap*"))
HTTP = ROOT / "captures" / "made" / "http-get-80.pcap"

ON_PURPOSE = {
    ("loopback-twice.pcap", "initial_rtt_ns"): Reason.COPIES,
    ("loopback-twice-ipv6.pcap", "initial_rtt_ns"): Reason.COPIES,
}
"""All differences that there are in our example captures."""


def spoken(batch: Batch, run: Run) -> list[list[str]]:
    """What tshark would say if it agreed in everything: a list of fields for each packet."""
    frames, packets, labels = batch
    lines = []
    for i in range(len(frames.number)):
        row = run.connections[int(labels.connection[i]) - 1]
        rtt = int(row["initial_rtt_ns"])
        events = ["1" if int(labels.events[i]) >> event & 1 else "" for event in EVENTS]
        lines.append([
            str(frames.number[i]), str(frames.caplen[i]), "eth:ip:tcp", str(labels.connection[i] - 1),
            f"0x{int(packets.flags[i]):04x}", str(packets.payload_len[i]), str(labels.seq[i]), str(labels.ack[i]),
            str(row["completeness"]), f"{rtt // 10**9}.{rtt % 10**9:09}" if rtt else "", *events,
        ])  # fmt: skip
    return lines


NUMBER, CAPLEN, LAYERS, STREAM, FLAGS, LENGTH, SEQ, ACKED, COMPLETENESS, RTT = range(10)


def column_of(event: Event) -> int:
    return RTT + 1 + list(EVENTS).index(event)


class Taken:
    """A capture that was read, and what tshark would say of it; a test changes either, and compares."""

    def __init__(self, path: Path = HTTP) -> None:
        with Run(path) as self.run:
            (self.batch,) = self.run
            self.lines = spoken(self.batch, self.run)

    def differences(self, *, numbered: bool = True) -> list[Difference]:
        self.comparison = Comparison()
        lines = iter(["\t".join(line) for line in self.lines])
        found = list(self.comparison.add(self.batch, lines, numbered=numbered))
        rows = self.run.connections[: self.run.count], self.run.endpoints[: self.run.count]
        return found + self.comparison.finish(*rows, lines)

    def relabel(self, **columns: np.ndarray) -> None:
        self.batch = self.batch._replace(labels=self.batch.labels._replace(**columns))

    def reflag(self, packet: int, flags: int) -> None:
        column = self.batch.packets.flags.copy()
        column[packet - 1] = flags
        self.batch = self.batch._replace(packets=self.batch.packets._replace(flags=column))


def test_all_agree() -> None:
    taken = Taken()
    assert taken.differences() == []
    comparison = taken.comparison
    assert (comparison.packets, comparison.compared, comparison.agreeing, comparison.connections) == (10, 10, 10, 1)
    assert comparison.tally["ack", True] == 9
    assert not any(count for (_field, is_same), count in comparison.tally.items() if not is_same)


@pytest.mark.parametrize(
    ("column", "value", "field", "ours", "theirs"),
    [
        (SEQ, "20", "seq", "1", "20"),
        (ACKED, "2", "ack", "1", "2"),
        (LENGTH, "17", "payload_len", "18", "17"),
        (column_of(Event.RETRANSMISSION), "1", "events", "-", "retransmission"),
        (STREAM, "7", "connection", "with packet 1", "a new connection"),
    ],
)
def test_what_tshark_says_otherwise_is_found(column: int, value: str, field: str, ours: str, theirs: str) -> None:
    taken = Taken()
    taken.lines[3][column] = value
    assert taken.differences() == [Difference(4, 1, field, ours, theirs, None)]
    assert (taken.comparison.agreeing, taken.comparison.explained) == (9, 0)
    assert taken.comparison.tally[field, False] == 1


@pytest.mark.parametrize("name", ["seq", "ack", "events", "connection"])
def test_a_label_that_is_wrong_is_found(name: str) -> None:
    taken = Taken()
    column = getattr(taken.batch.labels, name).copy()
    column[3] ^= 1 << Event.RETRANSMISSION if name == "events" else 2
    taken.relabel(**{name: column})
    assert [(one.packet, one.field) for one in taken.differences()] == [(4, name)]


def test_copies_have_no_counterpart() -> None:
    taken = Taken()
    events = taken.batch.labels.events.copy()
    events[3] |= 1 << Event.CAPTURE_DUPLICATE
    taken.relabel(events=events)
    assert taken.differences() == []


def test_a_connection_says_otherwise() -> None:
    taken = Taken()
    for line in taken.lines:
        line[COMPLETENESS], line[RTT] = "15", "0.5" if line[RTT] else ""
    assert taken.differences() == [
        Difference(1, 1, "completeness", "31", "15", None),
        Difference(1, 1, "initial_rtt_ns", "28282", "500000000", None),
    ]


def test_an_announced_connection() -> None:
    taken = Taken()
    for line in taken.lines:
        line[COMPLETENESS] = "30"
    assert taken.differences() == [Difference(1, 1, "completeness", "31", "30", Reason.ANNOUNCED)]


OF_CLIENT = (1, 3, 4, 7, 9)


def shifted(taken: Taken, by: int, since: int) -> None:
    """Let tshark count the client's octets from another number."""
    for line in taken.lines:
        if int(line[NUMBER]) >= since:
            column = SEQ if int(line[NUMBER]) in OF_CLIENT else ACKED
            line[column] = str((int(line[column]) + by) % 2**32)


def reasons_of(taken: Taken) -> set[tuple[int, str, Reason | None]]:
    return {(one.packet, one.field, one.reason) for one in taken.differences()}


def without_start(taken: Taken) -> None:
    taken.lines = taken.lines[3:]
    taken.batch = Batch._make(
        type(part)._make(column if name == "data" else column[3:] for name, column in part._asdict().items())
        for part in taken.batch
    )


def test_numbers_that_begin_elsewhere() -> None:
    taken = Taken()
    without_start(taken)
    shifted(taken, -5, 1)
    assert reasons_of(taken) == {
        (number, "seq" if number in OF_CLIENT else "ack", Reason.UNSEEN_START) for number in range(4, 11)
    }


def test_a_shift_that_changes_has_no_reason() -> None:
    taken = Taken()
    without_start(taken)
    shifted(taken, 400, 6)
    assert {reason for _packet, _field, reason in reasons_of(taken)} == {None}


def test_a_start_that_was_seen_is_no_reason() -> None:
    taken = Taken()
    shifted(taken, 1, 1)
    assert {(1, "seq", None), (10, "ack", None)} <= reasons_of(taken)
    assert taken.comparison.explained == 0


def test_a_syn_with_another_number() -> None:
    taken = Taken()
    taken.reflag(4, SYN)
    shifted(taken, -1, 4)
    assert reasons_of(taken) == {
        (number, "seq" if number in OF_CLIENT else "ack", Reason.NUMBERED_ANEW) for number in range(4, 11)
    }


def test_the_second_pass() -> None:
    taken = Taken()
    taken.lines[1][column_of(Event.REUSED_PORTS)] = "1"
    assert [one.reason for one in taken.differences()] == [Reason.SECOND_PASS]
    taken.lines[3][column_of(Event.REUSED_PORTS)] = "1"
    assert [one.reason for one in taken.differences()] == [Reason.SECOND_PASS, None]


@pytest.mark.parametrize(
    ("flags", "ours", "theirs", "reason"),
    [
        (SYN, 2, 0, Reason.NEW_INCARNATION),
        (SYN | RST, 1, 1, Reason.SYN_FIN),
        (ACK, 2, 0, None),
        (SYN, 1, 1, None),
    ],
)
def test_a_packet_of_another_connection(flags: int, ours: int, theirs: int, reason: Reason | None) -> None:
    taken = Taken()
    taken.reflag(9, flags)
    connection = taken.batch.labels.connection.copy()
    connection[8:] = ours
    taken.relabel(connection=connection)
    for line in taken.lines[8:]:
        line[STREAM] = str(theirs)
    found = [one for one in taken.differences() if one.field == "connection"]
    assert [(one.packet, one.reason) for one in found] == [(9, reason), (10, reason)]


def test_who_sees_tcp() -> None:
    taken = Taken()
    taken.lines[0][STREAM:] = [""] * (len(taken.lines[0]) - STREAM)
    taken.lines[0][LAYERS] = "eth:ip:data"
    assert taken.differences() == [Difference(1, 1, "connection", "a TCP packet", "no TCP packet", None)]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [(CAPLEN, "1000", Reason.SNAPLEN), (LENGTH, "", Reason.LONG_HEADER), (SEQ, "0", None)],
)
def test_who_does_not(column: int, value: str, reason: Reason | None) -> None:
    taken = Taken()
    connection = taken.batch.labels.connection.copy()
    connection[0] = 0
    taken.relabel(connection=connection)
    taken.lines[0][column] = value
    found = taken.differences()
    assert found[0] == Difference(1, 0, "connection", "no TCP packet", "a TCP packet", reason)


@pytest.mark.parametrize(
    ("layers", "flags"), [("eth:ip:tcp:ip:tcp", "0x0002"), ("eth:ip:icmp:ip:tcp", "0x0002"), ("eth:ip:tcp", "")]
)
def test_headers_that_cannot_be_told_apart_are_not_compared(layers: str, flags: str) -> None:
    taken = Taken()
    taken.lines[4][LAYERS], taken.lines[4][FLAGS], taken.lines[4][SEQ] = layers, flags, "1,2"
    assert taken.differences() == []
    assert taken.comparison.compared == 9


def test_a_frame_that_is_shorter_than_its_packet() -> None:
    taken = Taken()
    origlen = taken.batch.frames.origlen.copy()
    origlen[3] = 80
    taken.batch = taken.batch._replace(frames=taken.batch.frames._replace(origlen=origlen))
    taken.lines[3][LENGTH] = "14"
    assert [one.reason for one in taken.differences()] == [Reason.IP_LENGTH]


def test_tshark_counts_what_it_got() -> None:
    taken = Taken()
    number = taken.batch.frames.number * 7
    taken.batch = taken.batch._replace(frames=taken.batch.frames._replace(number=number))
    assert taken.differences(numbered=False) == []
    with pytest.raises(TsharkError, match=r"^tshark's packet 1 is not our packet 7: it reads"):
        taken.differences()


def test_tshark_stops() -> None:
    taken = Taken()
    del taken.lines[6:]
    with pytest.raises(TsharkError, match=r"^tshark stopped before packet 7$"):
        taken.differences()
    assert taken.comparison.compared == 6


@pytest.mark.parametrize(("column", "value"), [(NUMBER, "x"), (SEQ, "moo"), (RTT, "a.b"), (STREAM, "1,2")])
def test_tshark_cannot_be_understood(column: int, value: str) -> None:
    taken = Taken()
    taken.lines[6][column] = value
    with pytest.raises(TsharkError, match=r"^tshark's output cannot be read \(packet 7\)$"):
        taken.differences()


def test_tshark_goes_on() -> None:
    taken = Taken()
    taken.lines.append(taken.lines[-1])
    with pytest.raises(TsharkError, match=r"^tshark finds more packets than the 10 that are there$"):
        taken.differences()


def found_in(path: Path, tmp_path: Path) -> Iterator[Difference]:
    comparison = Comparison()
    with Output(installed("a test"), arguments(str(path)), environment(str(tmp_path))) as output, Run(path) as run:
        lines = output.lines()
        for batch in run:
            yield from comparison.add(batch, lines, numbered=True)
        yield from comparison.finish(run.connections[: run.count], run.endpoints[: run.count], lines)
        output.finish()
    tcp = [one for one in (comparison.compared,) if one]
    assert tcp or "udp" in path.name


@needs_tshark
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_captures(path: Path, tmp_path: Path) -> None:
    """No difference is left that is not known, and none of those has gone unnoticed."""
    found = list(found_in(path, tmp_path))
    assert {(path.name, one.field): one.reason for one in found} == {
        key: reason for key, reason in ON_PURPOSE.items() if key[0] == path.name
    }


def test_every_reason_is_written_down() -> None:
    told = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    assert [reason.name for reason in Reason if f"`{reason.name.lower()}`" not in told] == []
