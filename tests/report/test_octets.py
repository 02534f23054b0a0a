"""The frames that a page keeps: the first and the last of each connection, the same as its life's packets."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.pipeline import Lives, Run
from analyzer.report.octets import MOST_OCTETS, KeptFrames, first_and_last, tcpdump_lines, without_payload
from tests.report.saying import frames, write


@pytest.mark.parametrize(("turns", "share"), [(0, 6), (1, 7), (1, 6), (20, 26), (20, 24), (20, 10), (20, 2)])
def test_the_same_packets_as_the_life(turns: int, share: int, tmp_path: Path) -> None:
    one, other = frames([(0, b"x")] * turns), frames([(1, b"y")] * turns, port=50000)
    path = write(tmp_path / "a.pcap", [frame for pair in zip(one, other, strict=True) for frame in pair])
    lives, kept = Lives([1, 2], 1000), KeptFrames({1: share, 2: 4})
    with Run(str(path)) as run:
        for batch in run:
            lives.add(batch)
            kept.add(batch)
    for number, most, sent in ((1, share, one), (2, 4, other)):
        life = first_and_last(lives.found()[number], most)
        assert [frame.number for frame in kept.found()[number]] == life.number.tolist()
        assert len(life.number) + life.omitted == turns + 6
        assert [kept.found()[number][end].octets for end in (0, -1)] == [sent[0], sent[-1]]
    assert kept.is_full(2)


def test_long_packets_are_cut_and_tcpdump_is_told(tmp_path: Path) -> None:
    kept = KeptFrames({1: 10})
    with Run(str(write(tmp_path / "a.pcap", frames([(0, b"z" * 5000)])))) as run:
        for batch in run:
            kept.add(batch)
    found = kept.found()[1]
    assert [len(frame.octets) for frame in found][3] == MOST_OCTETS
    assert found[3].origlen == 5054
    assert found[3].octets[found[3].payload_start :] == b"z" * (MOST_OCTETS - 54)
    lines = tcpdump_lines(found)
    assert lines[4].endswith("seq 1:5001, ack 1, win 8192, length 5000")
    assert without_payload(found[3]).octets == found[3].octets[:54]
    assert without_payload(found[0]) == found[0]


def test_no_frames_have_no_lines() -> None:
    assert tcpdump_lines([]) == {}
