"""Pairing: ends, content, order; one connection more in the middle; connections that only one capture has."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.compare.pairing import WAYS, Identity, Pairing, paired


def one(client: int, said: str, server: int = 80, address: bytes = b"s") -> Identity:
    ends = b"c" + client.to_bytes(2, "big"), address + server.to_bytes(2, "big")
    opening = said.partition("/")[0].encode(), said.encode()
    return Identity(8, (min(ends), max(ends)), ends[1], server, said.encode(), not said, opening)


def places(pairing: Pairing) -> list[tuple[int, int]]:
    return [(pair.a, pair.b) for pair in pairing.pairs]


def test_other_client_ports_and_one_connection_more() -> None:
    a = [one(5_000 + k, said) for k, said in enumerate(["x", "y", "x", "z"])]
    b = [one(6_000 + k, said) for k, said in enumerate(["x", "more", "y", "x", "z"])]
    for way in WAYS:
        assert places(paired(a, b, way)) == [(0, 0), (1, 2), (2, 3), (3, 4)], way
        assert paired(a, b, way).only_b == [1], way


def test_a_changed_answer_is_paired_by_its_request() -> None:
    a = [one(1, "get/1"), one(2, "put/1"), one(3, "get/9")]
    b = [one(7, "get/1"), one(9, "new/1"), one(8, "put/2"), one(6, "get/9")]
    for way in WAYS:
        assert places(paired(a, b, way)) == [(0, 0), (1, 2), (2, 3)], way


def test_a_port_that_another_run_has_for_another_connection_misleads_nobody() -> None:
    a = [one(50_001, "first"), one(50_002, "second")]
    b = [one(50_002, "first"), one(50_003, "second")]
    assert places(paired(a, b)) == [(0, 0), (1, 1)]


def test_both_ends_alike_are_paired_in_spite_of_the_order() -> None:
    a = [one(1, "x"), one(2, "y")]
    b = [one(2, "other"), one(1, "words")]
    assert places(paired(a, b)) == [(0, 1), (1, 0)]
    assert places(paired(a, b, "order")) == [(0, 0), (1, 1)]


def test_a_server_that_moved() -> None:
    a, b = [one(1, "hello", server=80)], [one(1, "hello", server=8_080, address=b"t")]
    assert paired(a, b).pairs[0].by == "content"
    assert paired(a, b, "ends").pairs == []
    b = [one(1, "other words", server=8_080, address=b"t")]
    assert paired(a, b).pairs[0].by == "order"
    assert paired(a, b, "content").pairs == []


def test_silent_ones_are_not_paired_by_what_they_say() -> None:
    a, b = [one(1, "", server=80)], [one(2, "", server=81, address=b"t"), one(3, "talk", server=82, address=b"t")]
    assert paired(a, b).pairs[0].by == "order"


CONNECTIONS = st.lists(
    st.builds(one, st.integers(1, 5), st.sampled_from(["", "x", "y/1", "y/2", "z"]), st.integers(80, 82)), max_size=12
)


@given(CONNECTIONS, CONNECTIONS, st.sampled_from(WAYS))
def test_everybody_is_somewhere_once(a: list[Identity], b: list[Identity], way: str) -> None:
    found = paired(a, b, way)
    assert sorted([pair.a for pair in found.pairs] + found.only_a) == list(range(len(a)))
    assert sorted([pair.b for pair in found.pairs] + found.only_b) == list(range(len(b)))


@example(
    a=[one(1, "", 81), one(1, "", 81), one(1, "x", 81)],
    b=[one(1, "x", 81), one(1, "", 81), one(1, "", 80)],
    way="auto",
)
@given(CONNECTIONS, CONNECTIONS, st.sampled_from(WAYS))
def test_exchanged_captures_give_exchanged_pairs(a: list[Identity], b: list[Identity], way: str) -> None:
    there, back = paired(a, b, way), paired(b, a, way)
    assert sorted(places(there)) == sorted((j, i) for i, j in places(back))
    assert (there.only_a, there.only_b) == (back.only_b, back.only_a)


@given(CONNECTIONS, st.sampled_from(WAYS))
def test_the_same_connections_are_pairs(a: list[Identity], way: str) -> None:
    assert {(a[pair.a].said, a[pair.b].said) for pair in paired(a, a, way).pairs} <= {(x.said, x.said) for x in a}
    if way in ("auto", "ends", "order"):
        assert len(paired(a, a, way).pairs) == len(a)


@pytest.mark.parametrize("way", WAYS)
def test_many_connections(way: str) -> None:
    chance = random.Random(3)
    a = [one(k % 60_000, f"{chance.randrange(50)}/{chance.randrange(9)}") for k in range(30_000)]
    b = [one((k * 7) % 60_000, one_of.said.decode()) for k, one_of in enumerate(a)]
    del b[100:200]
    found = paired(a, b, way)
    assert len(found.pairs) == len(b)
    same = sum(a[pair.a].said == b[pair.b].said for pair in found.pairs)
    assert same > 0.99 * len(b)
