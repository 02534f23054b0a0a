"""What comes mixed is written one after the other."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from analyzer.cli.aside import Aside


@given(st.lists(st.tuples(st.integers(1, 4), st.binary(max_size=9)), max_size=40), st.integers(0, 30))
def test_each_number_gets_its_own_back(written: list[tuple[int, bytes]], most_kept: int) -> None:
    with Aside(most_kept) as aside:
        for number, octets in written:
            aside.write(number, octets)
            assert aside._kept_len <= most_kept
        for wanted in range(1, 6):
            out = io.BytesIO()
            aside.write_out(wanted, out)
            assert out.getvalue() == b"".join(octets for number, octets in written if number == wanted)
