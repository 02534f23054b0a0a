"""Rows of numbers as one hash each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]


def mixed(*columns: npt.NDArray[np.integer]) -> U64:
    """A hash of each row of the columns (SplitMix64's step of Steele, Lea, Flood 2014, one column after the other)."""
    with np.errstate(over="ignore"):
        value = np.zeros(len(columns[0]), np.uint64)
        for column in columns:
            value = value + column.astype(np.uint64, copy=False) + np.uint64(0x9E3779B97F4A7C15)
            value = (value ^ value >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
            value = (value ^ value >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
            value ^= value >> np.uint64(31)
    return value
