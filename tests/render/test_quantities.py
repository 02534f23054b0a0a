"""Units for people."""

from __future__ import annotations

import pytest

from analyzer.render.quantities import count, counted, duration, seconds, seconds_decimals, size


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"), (1, "1 ns"), (999, "999 ns"), (1_000, "1.0 µs"), (9_949, "9.9 µs"), (9_951, "10 µs"),
        (43_000, "43 µs"), (999_499, "999 µs"), (999_500, "1.0 ms"), (6_753_000, "6.8 ms"), (999_500_000, "1.0 s"),
        (59_400_000_000, "59 s"), (59_500_000_000, "1m 00s"), (125_000_000_000, "2m 05s"),
        (3_600_000_000_000, "1h 00m"), (90_061_000_000_000, "1d 01h"), (-43_000, "-43 µs"),
    ],
)  # fmt: skip
def test_duration(ns: int, text: str) -> None:
    assert duration(ns) == text


def test_durations_are_short() -> None:
    assert all(len(duration(3**k)) <= 7 for k in range(34))


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (5, "5 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_500, "1.0 MB"),
        (10**18, "1000 PB"),
    ],
)
def test_size(octets: int, text: str) -> None:
    assert size(octets) == text


def test_counts() -> None:
    assert (count(1204), counted(1, "packet"), counted(1204, "packet")) == ("1,204", "1 packet", "1,204 packets")
    assert counted(0, "packet") == "0 packets"


@pytest.mark.parametrize(
    ("ns", "decimals", "text"),
    [(43_999, 6, "0.000043"), (1_500_000_000, 3, "1.500"), (1_999_999_999, 0, "1"), (-43_999, 6, "-0.000043")],
)
def test_seconds(ns: int, decimals: int, text: str) -> None:
    assert seconds(ns, decimals) == text


@pytest.mark.parametrize(("longest", "decimals"), [(10**12 - 1, 6), (10**12, 3), (10**15 - 1, 3), (10**15, 0)])
def test_seconds_take_ten_columns(longest: int, decimals: int) -> None:
    assert seconds_decimals(longest) == decimals
    assert len(seconds(longest, decimals)) <= 10
