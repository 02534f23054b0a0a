"""Numbers as text."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.export.octets import INTEGER_LEN, put_integer, put_micros


@given(st.integers(-(2**63) + 1, 2**63 - 1))
@example(0)
@example(9)
@example(10)
@example(99_999_999)
@example(100_000_000)
@example(10**16 - 1)
@example(10**16)
@example(2**63 - 1)
@example(-(2**63) + 1)
def test_integers(value: int) -> None:
    text = np.zeros(INTEGER_LEN + 1, np.uint8)
    end = put_integer(text, 1, value)
    assert text[1:end].tobytes() == str(value).encode()


@given(st.integers(0, 18), st.integers(0, 9), st.integers(-1, 1))
def test_integers_around_powers_of_ten(power: int, factor: int, offset: int) -> None:
    value = factor * 10**power + offset
    text = np.zeros(INTEGER_LEN, np.uint8)
    assert text[: put_integer(text, 0, value)].tobytes() == str(value).encode()


@given(st.integers(-(2**63) + 1, 2**63 - 1))
@example(0)
@example(-1)
@example(999_999)
@example(1_000_000)
@example(-(2**63) + 1)
def test_microseconds(value: int) -> None:
    text = np.zeros(INTEGER_LEN + 3, np.uint8)
    written = text[1 : put_micros(text, 1, value)].tobytes().decode()
    assert written == f"{Decimal(value).scaleb(-6):.6f}"
