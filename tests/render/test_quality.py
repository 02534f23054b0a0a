"""What was read, in a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analyzer.errors import CaptureFormatError
from analyzer.explain.quality import Coverage, Quality
from analyzer.flaws import Flaw
from analyzer.render.quality import quality
from analyzer.render.screen import Screen
from analyzer.tables import Protocol


def run(
    tcp: int = 1, udp: int = 0, *, packets: int = 10, passed: int = 10, damage: CaptureFormatError | None = None
) -> Quality:
    return Quality(
        packets=passed,
        all_packets=packets,
        first_ns=5,
        last_ns=6_800_005 if passed else 0,
        tcp=tcp,
        udp=udp,
        strays={},
        damaged_at=damage.offset if damage else -1,
        damage=damage.expected if damage else "",
    )


def lines(
    given: Quality, path: str = "/some/where/a.pcap", strays: dict[Protocol, int] | None = None, width: int = 100
) -> list[str]:
    return [*quality(given._replace(strays=strays or {}), path, Screen(width))]


def test_a_whole_capture() -> None:
    assert lines(run()) == ["a.pcap · 10 packets · 6.8 ms · 1 TCP connection · complete"]


def test_conversations_and_strays() -> None:
    strays = {Protocol.ARP: 1_204, Protocol.TCP: 2}
    assert lines(run(2, 3), strays=strays, width=140) == [
        "a.pcap · 10 packets · 6.8 ms · 2 TCP connections · 3 UDP conversations"
        " · besides 1,204 ARP, 2 TCP without header · complete"
    ]


def test_udp_alone_does_not_speak_of_tcp() -> None:
    assert lines(run(0, 1)) == ["a.pcap · 10 packets · 6.8 ms · 1 UDP conversation · complete"]


def test_an_empty_capture() -> None:
    assert lines(run(0, packets=0, passed=0)) == ["a.pcap · 0 packets · 0 TCP connections · complete"]


def test_a_filter_tells_of_how_many() -> None:
    assert lines(run(packets=1_000))[0].startswith("a.pcap · 10 of 1,000 packets · ")


def test_standard_input() -> None:
    assert lines(run(), "-")[0].startswith("standard input · ")


def test_damage_is_loud_and_tells_where() -> None:
    damage = CaptureFormatError("a.pcap", 1_234, "the capture is cut in the middle of a record")
    first, second = lines(run(damage=damage))
    assert "complete" not in first
    assert second == "✗ damaged at byte 1,234: the capture is cut in the middle of a record"
    painted = [*quality(run(damage=damage), "a", Screen(100, color=True))]
    assert painted[1].startswith("\x1b[1;31m")


def test_a_name_cannot_speak_to_the_terminal() -> None:
    assert lines(run(), "a\x1b[2J.pcap")[0].startswith("a\\x1b[2J.pcap · ")


def test_narrow_screens_get_more_lines() -> None:
    for line in lines(run(2, 3), strays={Protocol.ARP: 7}, width=60):
        assert len(line) <= 60


def test_lost_packets_are_loud() -> None:
    first, second = lines(run()._replace(lost=1_494))
    assert first == "a.pcap · 10 packets · 6.8 ms · 1 TCP connection"
    assert second.startswith("✗ 1,494 lost: ")


def flaws(**counts: int) -> Quality:
    """A capture of 100 packets and 10 TCP connections with these flaws, by Flaw."""
    tally = np.zeros(len(Flaw), np.int64)
    for name, number in counts.items():
        tally[Flaw[name]] = number
    return run(10, packets=100, passed=100)._replace(flaws=tally)


FINDINGS = [
    (
        run(packets=28, passed=28)._replace(copies=14, first_copy=2),
        "  14 of 28 packets copied by the capture, first packet 2: marked capture_duplicate, they are no\n"
        "  retransmissions",
    ),
    (flaws(CUT=7, LONGEST_CUT=96), "  7 of 100 packets cut to at most 96 bytes: some payload is missing"),
    (
        flaws(CUT=7, LONGEST_CUT=40, CUT_HEADERS=5),
        "✗ 5 packets cut within the headers: no connection has them\n"
        "  7 of 100 packets cut to at most 40 bytes: some payload is missing",
    ),
    (
        flaws()._replace(coverage=Coverage(3, 2, 0)),
        "  of 10 TCP connections 3 without SYN, from before the capture, 2 still open at its end",
    ),
    (flaws()._replace(coverage=Coverage(0, 2, 0)), "  of 10 TCP connections 2 still open at its end"),
    (
        flaws()._replace(coverage=Coverage(one_sided=6)),
        "✗ 6 of 10 TCP connections with packets of one side only: the capture saw one direction, and the\n"
        "  other side's states are guesses",
    ),
    (flaws()._replace(coverage=Coverage(one_sided=5)), ""),
    (run(2)._replace(coverage=Coverage(one_sided=2)), ""),
    (
        flaws()._replace(beyond_mss=4, longest_beyond_mss=64_000),
        "  4 segments beyond the maximum segment size, up to 64 kB: offloading joins segments, on the wire\n"
        "  there were more",
    ),
    (
        flaws(VERIFIED_CHECKSUMS=90, WRONG_CHECKSUMS=3, FIRST_WRONG_CHECKSUM=1_204, UNFINISHED_CHECKSUMS=5),
        "  3 of 90 verified TCP checksums wrong, first in packet 1,204: damaged on the way, or changed after\n"
        "  capture",
    ),
    (flaws(CHECKSUMS=90, UNFINISHED_CHECKSUMS=90), ""),
    (
        flaws(STEPS_BACK=1, LONGEST_STEP_BACK_NS=2_000_000_000, FIRST_STEP_BACK=77),
        "✗ clock set back 1 time, by up to 2.0 s, first at packet 77: times across it are wrong",
    ),
    (
        flaws(SAME_TIMES=11, TICK_NS=10_000_000),
        "  coarse clock, of 10 ms: 11 of 100 packets at the time of the one before",
    ),
    (flaws(SAME_TIMES=10, TICK_NS=10_000_000), ""),
    (flaws(SAME_TIMES=50, TICK_NS=1), ""),
    (
        run()._replace(filter_cuts=True),
        "  this filter can split connections: what looks lost or unanswered below may only be filtered out",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("found", "text"), FINDINGS)
def test_what_was_wrong_with_the_capture(found: Quality, text: str) -> None:
    assert "\n".join(lines(found)[1:]) == text


@pytest.mark.parametrize(("found", "text"), FINDINGS)
def test_findings_find_room(found: Quality, text: str) -> None:
    narrow = lines(found, width=60)
    assert all(len(line) <= 60 for line in narrow)
    assert not text or " ".join(narrow).split()[-3:] == text.split()[-3:]


def test_what_falsifies_findings_is_loud_and_the_rest_is_not() -> None:
    found = flaws(CUT=7, LONGEST_CUT=40, CUT_HEADERS=5)
    _, loud, quiet = quality(found, "a", Screen(100, color=True))
    assert (loud[:7], quiet[:4]) == ("\x1b[1;31m", "\x1b[2m")


def test_unfinished_checksums_are_told_on_request() -> None:
    found: Any = quality(flaws(CHECKSUMS=90, UNFINISHED_CHECKSUMS=80), "a", Screen(100), whole=True)
    assert [*found][1:] == ["  80 of 90 TCP checksums unfinished: left to the network card (offload)"]


def test_fragments() -> None:
    found = run()._replace(datagrams=12, incomplete=1, overlaps=2)
    assert lines(found)[1:] == [
        "✗ 2 fragments overlap others: what came first is shown, the receiver may have seen else",
        "  12 datagrams reassembled from fragments, 1 incomplete",
    ]
