"""Two places on the way of the same packets: exactly what was dropped is told lost, and the clocks' offset is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.compare.fates import Fate
from analyzer.compare.places import A, B, Evidence, Whose
from analyzer.compare.vantage import Between, Vantage
from analyzer.render.vantage import is_untroubled
from analyzer.tables import ACK, PSH, SYN
from tests.compare.places import MS, Journey, capture, captured, conversation, travelled
from tests.script import HOSTS, Segment

PAYLOADS = [("C", 300), ("S", 1_400), ("S", 1_400), ("C", 20), ("S", 700)] * 3
TALK = conversation(PAYLOADS)
LAST = len(TALK) - 1


def between(journeys: list[Journey], offset_ns: int = 0, drift: float = 0.0) -> Vantage:
    start = journeys[0].segment.ts_ns
    b = capture(journeys, "B", lambda ns: ns + offset_ns + round((ns - start) * drift))
    return Between(capture(journeys, "A"), b).told()


@settings(max_examples=40)
@given(
    st.sets(st.integers(3, LAST - 3), max_size=8), st.integers(-10**15, 10**15), st.sampled_from("AB"),
    st.integers(0, 3 * MS), st.integers(0, 3 * MS), st.integers(0, 2**32), st.booleans(),
)  # fmt: skip
def test_exactly_the_dropped_packets_are_lost(
    dropped: set[int], offset_ns: int, client_at: str, there_ns: int, back_ns: int, seed: int, has_ids: bool
) -> None:
    chance = np.random.default_rng(seed)
    talk = TALK if has_ids else [segment._replace(ip_id=0) for segment in TALK]

    def delay(k: int, segment: Segment) -> int:
        least = 1 + (there_ns if segment.source == "C" else back_ns)
        return -1 if k in dropped else least + int(chance.integers(0, MS // 2))

    journeys = travelled(talk, delay, client_at=client_at)
    told = between(journeys, offset_ns)
    came = {talk[k].source for k in range(len(talk)) if k not in dropped}
    assert came == {"C", "S"}
    assert told.clock is not None
    assert told.clock.uncertainty_ns is not None
    assert abs(told.clock.offset_ns - offset_ns) <= told.clock.uncertainty_ns
    assert told.clock.drift == 0
    origin = {"C": A if client_at == "A" else B, "S": B if client_at == "A" else A}
    numbers_a = sorted(journey.at_a for journey in journeys if journey.at_a >= 0)
    numbers_b = sorted(journey.at_b for journey in journeys if journey.at_b >= 0)
    expected = {
        (origin[talk[k].source], (numbers_a if origin[talk[k].source] == A else numbers_b).index(talk[k].ts_ns))
        for k in dropped
    }
    assert {(trip.way, trip.a if trip.way == A else trip.b) for trip in told.of(Fate.LOST)} == expected
    assert told.places[Whose(A, 0)].client_at == origin["C"]
    assert told.places[Whose(A, 0)].evidence == Evidence.DELAYS


def test_times_to_live_tell_the_places() -> None:
    journeys = travelled(TALK, lambda k, segment: 40_000)
    a = capture(journeys, "A")
    b = capture(journeys, "B")
    a.seen["ttl"][a.seen["side"] == 1] = 60
    b.seen["ttl"][b.seen["side"] == 0] = 60
    told = Between(a, b).told()
    assert told.places[Whose(A, 0)] == (A, Evidence.TTL)
    assert told.hops == (4, 4)
    assert told.changes == []


def test_drift_is_found_where_it_shows() -> None:
    talk = conversation(PAYLOADS * 4, gap_ns=100 * MS)
    told = between(travelled(talk, lambda k, segment: 200_000 + k * 7_919 % 50_000), 5 * MS, drift=80e-6)
    assert told.clock is not None
    assert told.clock.drift == pytest.approx(80e-6, rel=0.1)
    assert told.of(Fate.LOST) == []
    assert told.delays[A] is not None
    assert told.delays[A].longest < 400_000


def test_a_late_packet_is_overtaken_and_late() -> None:
    held = 9
    told = between(travelled(TALK, lambda k, segment: 30 * MS if k == held else MS + k * 1_000))
    (late,) = [trip for trip in told.incidents if trip.is_late]
    assert late.delay_ns == pytest.approx(30 * MS, abs=MS // 4)
    assert late.overtaken > 0
    assert [trip for trip in told.incidents if trip.overtaken] == [late]


def test_a_packet_that_comes_twice_is_duplicated() -> None:
    journeys = travelled(TALK, lambda k, segment: MS)
    twice = journeys[9]
    assert twice.at_a < twice.at_b
    told = between([*journeys, twice._replace(at_a=-1, at_b=twice.at_b + 2_000)])
    assert [trip.fate for trip in told.incidents] == [Fate.DUPLICATED]


def test_of_equal_packets_the_lost_one_is_found_by_its_time() -> None:
    talk = [segment._replace(ip_id=0, timestamps=None) for segment in TALK]
    again = talk[9]._replace(ts_ns=talk[9].ts_ns + 2 * MS)
    for is_first_lost in (True, False):
        journeys = travelled(talk, lambda k, segment: MS)
        journeys.insert(10, Journey(again, again.ts_ns, again.ts_ns + MS))
        at = 9 if is_first_lost else 10
        journeys[at] = journeys[at]._replace(at_b=-1)
        (trip,) = between(journeys).of(Fate.LOST)
        assert capture(journeys, "A").seen["ts_ns"][trip.a] == journeys[at].at_a


def test_what_offload_cut_otherwise_is_matched_by_octets() -> None:
    big = conversation([("C", 4_000), ("S", 10), ("C", 3_000), ("S", 10)])
    cut: list[Segment] = []
    for segment in big:
        for at in range(0, max(segment.payload_len, 1), 1_448):
            length = min(1_448, segment.payload_len - at) if segment.payload_len else 0
            cut.append(segment._replace(seq=segment.seq + at, payload_len=length, ip_id=segment.ip_id + at // 1_448))
    for lost_at in (None, 1_448):
        a = captured(big)
        arrived = [one for one in cut if not (lost_at and one.payload_len and one.seq == 1_001 + lost_at)]
        b = captured([one._replace(ts_ns=one.ts_ns + (MS if one.source == "C" else -MS)) for one in arrived])
        told = Between(a, b).told()
        assert told.of(Fate.LOST) == []
        assert told.of(Fate.UNSEEN) == []
        assert [trip.missing for trip in told.of(Fate.PARTLY_LOST)][:1] == ([1_448] if lost_at else [])


def test_what_one_capture_missed_by_beginning_late_is_not_lost() -> None:
    journeys = travelled(TALK, lambda k, segment: MS)
    late = [journey._replace(at_b=-1) if k < 10 else journey for k, journey in enumerate(journeys)]
    told = between(late)
    assert told.of(Fate.LOST) == []
    assert told.of(Fate.UNSEEN) == []
    assert told.of(Fate.UNKNOWN)


@settings(max_examples=40)
@given(st.integers(0, LAST - 12), st.integers(10, LAST), st.sampled_from("AB"), st.integers(0, 2**32))
def test_nothing_is_lost_where_a_capture_begins_late_or_ends_early(
    first: int, count: int, which: str, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    journeys = travelled(TALK, lambda k, segment: 100_000 + int(chance.integers(0, MS)))
    times = sorted(journey.at_a if which == "A" else journey.at_b for journey in journeys)
    begin, end = times[first], times[min(first + count, LAST)]
    told = between([
        journey._replace(**{f"at_{which.lower()}": -1})
        if not begin <= (journey.at_a if which == "A" else journey.at_b) <= end else journey
        for journey in journeys
    ])  # fmt: skip
    assert told.of(Fate.LOST) == []
    assert told.of(Fate.UNSEEN) == []


def test_what_changes_on_the_way_is_told() -> None:
    journeys = travelled(TALK, lambda k, segment: MS)
    a = capture(journeys, "A")
    clamped = [
        journey._replace(segment=journey.segment._replace(mss=1_400, window_scale=None, timestamps=None))
        if k == 0 else journey
        for k, journey in enumerate(journeys)
    ]  # fmt: skip
    b = capture(clamped, "B")
    b.seen["traffic_class"][:] = 3
    found = {(change.what, change.sent, change.came): change.packets for change in Between(a, b).told().changes}
    assert found["mss", 1_460, 1_400] == [1]
    assert found["window_scale", 7, None] == [1]
    assert found["timestamps", 1, None] == [1]
    assert ("ecn", 0, 3) in found


def test_one_direction_alone_bounds_the_offset() -> None:
    talk = [segment for segment in TALK if segment.source == "C"]
    a = captured(talk)
    b = captured([segment._replace(ts_ns=segment.ts_ns + MS, ttl=63) for segment in talk])
    told = Between(a, b).told()
    assert told.places[Whose(A, 0)].evidence == Evidence.TTL
    assert told.clock is not None
    assert told.clock.uncertainty_ns is None


def test_nothing_in_common() -> None:
    a = captured(TALK)
    b = captured([Segment(TALK[0].ts_ns, "A", "B", PSH | ACK, 1, 1, 10)])
    told = Between(a, b).told()
    assert (told.clock, told.incidents, told.common, told.only) == (None, [], 0, (len(TALK), 1))


# ---------------------------------------------------------------- whole connections


def again(talk: list[Segment], k: int) -> list[Segment]:
    """The same conversation the k-th time, with the same ports and other initial numbers."""
    moved = {"C": k * 500_000, "S": k * 7_000_000}
    return [
        one._replace(
            ts_ns=one.ts_ns + k * 10**10, seq=one.seq + moved[one.source],
            ack=one.ack + moved[one.destination] if one.flags & ACK else 0, ip_id=one.ip_id + k * 1_000,
        )
        for one in talk
    ]  # fmt: skip


@pytest.mark.parametrize("client_at", ["A", "B"])
@pytest.mark.parametrize("lost", [4, LAST + 1 + 4, LAST + 1 + 6, 2 * LAST + 2 + 4])
def test_what_is_lost_belongs_to_the_connection_whose_ports_are_used_again(client_at: str, lost: int) -> None:
    talk = [one for k in range(3) for one in again(TALK, k)]
    journeys = travelled(talk, lambda k, segment: -1 if k == lost else MS, client_at=client_at)
    a, b = capture(journeys, "A"), capture(journeys, "B")
    assert (len(a.connections), len(b.connections)) == (3, 3)
    found = Between(a, b)
    told = found.told()
    (trip,) = told.incidents
    assert trip.fate == Fate.LOST
    assert told.rows_b == {0: 0, 1: 1, 2: 2}
    assert found.whose(trip) == Whose(A, lost // (LAST + 1))
    for row in range(3):
        assert len(found.trips_of(Whose(A, row))) == LAST + 1


def test_a_connection_of_which_nothing_came_through_is_known_by_its_neighbours() -> None:
    talk = [one for k in range(3) for one in again(TALK, k)]
    told = between(travelled(talk, lambda k, segment: -1 if k // (LAST + 1) == 1 else MS))
    assert told.rows_b == {0: 0, 1: 1, 2: 2}
    assert [trip.fate for trip in told.incidents] == [Fate.LOST] * (LAST + 1)


def test_one_of_the_connections_with_the_same_ports_is_in_one_capture_alone() -> None:
    talk = [one for k in range(3) for one in again(TALK, k)]
    journeys = travelled(talk, lambda k, segment: MS)
    gone = range(LAST + 1, 2 * LAST + 2)
    for which in "AB":
        left = [one._replace(**{f"at_{which.lower()}": -1}) if k in gone else one for k, one in enumerate(journeys)]
        found = Between(capture(left, "A"), capture(left, "B"))
        told = found.told()
        whose = {found.whose(trip) for trip in told.incidents}
        assert whose == {Whose(A, 1) if which == "B" else Whose(B, 1)}
        assert told.rows_b == ({0: 0, 1: 2} if which == "B" else {0: 0, 2: 1})
        assert {trip.fate for trip in told.incidents} == {Fate.LOST, Fate.UNSEEN}


@pytest.fixture
def other_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """``A`` is the client's host with another port."""
    monkeypatch.setitem(HOSTS, "A", (HOSTS["C"][0], 50_000))


@pytest.mark.usefixtures("other_client")
@pytest.mark.parametrize("place", [A, B])
def test_a_connection_that_never_came_through_is_lost(place: int) -> None:
    tries = [Segment(TALK[9].ts_ns + k, "A", "S", SYN, 77) for k in range(3)]
    name = "AB"[place]
    journeys = travelled(TALK, lambda k, segment: MS, client_at=name)
    journeys += [Journey(one, *((one.ts_ns, -1) if place == A else (-1, one.ts_ns))) for one in tries]
    a, b = capture(journeys, "A"), capture(journeys, "B")
    found = Between(a, b)
    told = found.told()
    assert [trip.fate for trip in told.incidents] == [Fate.LOST] * 3
    assert {found.whose(trip) for trip in told.incidents} == {Whose(place, 1)}
    assert told.places[Whose(place, 1)].client_at == place
    assert told.only == ((3, 0) if place == A else (0, 3))
    assert told.missed == (0, 0)
    assert len(found.trips_of(Whose(place, 1))) == 3
    assert not is_untroubled(told)


def test_a_connection_of_hosts_that_are_nowhere_is_missed_while_both_captured() -> None:
    journeys = travelled(TALK, lambda k, segment: MS)
    for at_ns, missed in ((TALK[9].ts_ns, 1), (TALK[0].ts_ns - 10**9, 0)):
        stray = Segment(at_ns, "A", "B", SYN, 77)
        told = between([*journeys, Journey(stray, at_ns, -1)])
        assert (told.only, told.missed, told.incidents) == ((1, 0), (missed, 0), [])
        assert is_untroubled(told) == (not missed)


def test_nothing_in_common_is_trouble() -> None:
    assert is_untroubled(between(travelled(TALK, lambda k, segment: MS)))
    only_one = captured([Segment(TALK[0].ts_ns, "A", "B", PSH | ACK, 1, 1, 10)])
    assert not is_untroubled(Between(captured(TALK), only_one).told())
