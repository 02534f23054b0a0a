"""Clocks: the offset lies within its uncertainty, whatever the delays; drift where it is proven; figures of delays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.compare.clocks import clock_between, delays_of

TIMES = st.lists(st.integers(0, 10**10), min_size=1, max_size=30)
START = 1_700_000_000_000_000_000


@given(
    TIMES, TIMES, st.integers(-(10**18), 10**18), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 2**32)
)
def test_the_offset_is_within_its_uncertainty(
    forth: list[int], back: list[int], offset: int, delay: int, other: int, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    sent, came = np.array(forth, np.int64) + START, np.array(back, np.int64) + START
    gained = offset + delay + chance.integers(0, 10**7, len(sent))
    lost = offset - other - chance.integers(0, 10**7, len(came))
    clock = clock_between(sent, gained, came, lost)
    assert clock.uncertainty_ns is not None
    assert abs(clock.offset_ns - offset) <= clock.uncertainty_ns + 1
    assert (clock.drift, clock.is_consistent) == (0.0, True)
    there = clock.to_a(sent + clock.offset_at(sent))
    assert (there == sent).all()


@given(st.floats(-4e-4, 4e-4), st.integers(0, 2**32))
def test_drift_is_taken_off(drift: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    times = START + np.arange(0, 600 * 10**9, 10**9)
    gain = np.rint((times - START) * drift).astype(np.int64) + 12_345_678
    delays = 100_000 + chance.integers(0, 300_000, (2, len(times)))
    clock = clock_between(times, gain + delays[0], times + 5, gain - delays[1])
    assert clock.is_consistent
    assert clock.drift == pytest.approx(drift, abs=2e-6)
    errors = clock.offset_at(times) - gain
    assert np.abs(errors).max() < 600_000
    assert np.abs(clock.to_a(times + gain) - times).max() < 600_000


def test_a_clock_that_is_set_is_no_drift() -> None:
    times = START + np.arange(100) * 10**9
    step = np.where(np.arange(100) < 50, 0, 10**9)
    clock = clock_between(times, step + 1_000, times, step - 1_000)
    assert (clock.is_consistent, clock.drift) == (False, 0.0)


def test_late_is_far_above_the_usual() -> None:
    figures = delays_of(np.array([100_000] * 90 + [150_000] * 9 + [30_000_000], np.int64))
    assert figures is not None
    assert (figures.packets, figures.least, figures.median, figures.longest) == (100, 100_000, 100_000, 30_000_000)
    assert 150_000 < figures.late_from < 30_000_000
    assert delays_of(np.zeros(0, np.int64)) is None
