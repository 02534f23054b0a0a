"""Two places on a screen: times to the digit that their uncertainty leaves."""

from __future__ import annotations

import pytest

from analyzer.render.vantage import exact


@pytest.mark.parametrize(
    ("ns", "uncertainty_ns", "shown"),
    [
        (3_204_131_415, 31_000, "3.20413 s"),
        (3_204_131_415, None, "3.204131415 s"),
        (1_500, 3, "1.500 µs"),
        (999_999_999, 1_000_000, "1.000 s"),
        (12_345_678, 40_000, "12.35 ms"),
        (50, 100, "100 ns"),
        (0, 5, "0 ns"),
        (5_000_000_000, 20_000_000_000, "10 s"),
    ],
)
def test_times_have_as_many_digits_as_are_known(ns: int, uncertainty_ns: int | None, shown: str) -> None:
    assert exact(ns, uncertainty_ns) == shown
