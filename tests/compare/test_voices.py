"""Voices: the same octets in whatever segments, order and repetition; what is missing; the reassembly as the oracle."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from analyzer.compare.voices import END, MOST_WAITING, Said, Utterance, Voice
from analyzer.streams import Gap, Piece
from analyzer.tables import ACK, SYN
from analyzer.tcp.reassembly import Reassembly, Segment

OCTETS = bytes(range(60))


def heard(segments: list[tuple[int, bytes]]) -> list[Utterance]:
    """Everything that is given out of (sequence number, payload)."""
    voice = Voice()
    out = [octets for seq, payload in segments for octets in voice.add(seq, len(payload), payload)]
    return [*out, *voice.finish()]


def joined(said: list[Utterance]) -> list[Utterance]:
    """The same with neighbouring octets put together."""
    made: list[Utterance] = []
    for one in said:
        if made and isinstance(one, bytes) and isinstance(made[-1], bytes):
            made[-1] += one
        else:
            made.append(one)
    return made


SEGMENTS = st.lists(st.tuples(st.integers(0, 59), st.integers(1, 20)), max_size=12)


@given(st.lists(st.integers(1, 59), max_size=6), st.randoms(), SEGMENTS)
def test_order_and_repetition_do_not_matter(cuts: list[int], chance: object, more: list[tuple[int, int]]) -> None:
    edges = sorted({0, 60, *cuts})
    whole = [(1 + a, OCTETS[a:b]) for a, b in itertools.pairwise(edges)]
    several = [*whole, *((1 + at, OCTETS[at : at + length]) for at, length in more)]
    chance.shuffle(several)  # type: ignore[attr-defined]
    assert joined(heard([whole[0], *several])) == [OCTETS]


@given(SEGMENTS)
def test_the_reassembly_says_the_same(segments: list[tuple[int, int]]) -> None:
    given_octets = [(0, OCTETS[:1]), *((at, OCTETS[at : at + length]) for at, length in segments)]
    stream = Reassembly()
    items = stream.add(Segment(0, 1, 1, 999, 0, SYN, 0, b""))
    for number, (at, payload) in enumerate(given_octets, 2):
        items += stream.add(Segment(0, number, number, 1_000 + at, 1, ACK, len(payload), payload))
    items += stream.finish()
    expected: list[Utterance] = [
        one.octets if isinstance(one, Piece) else one.length for one in items if isinstance(one, Piece | Gap)
    ]
    assert joined(heard([(1 + at, payload) for at, payload in given_octets])) == joined(expected)


def test_numbers_wrap_around() -> None:
    near = (1 << 32) - 5
    voice = Voice()
    said = [*voice.add(1, 1, b"a")]
    voice._next = near
    said += [*voice.add(near, 5, b"bcdef"), *voice.add(0, 2, b"gh")]
    assert said == [b"a", b"bcdef", b"gh"]


def test_what_waits_is_bounded() -> None:
    voice = Voice()
    assert list(voice.add(1, 1, b"a")) == [b"a"]
    assert list(voice.add(10, 1, b"b")) == []
    assert list(voice.add(20, MOST_WAITING, b"c")) == [8, b"b", 9, b"c", MOST_WAITING - 1]
    assert list(voice.finish()) == []


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_what_was_said_is_known_by_its_octets_alone(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    one, other = Said(), Said()
    one.add(whole)
    for piece in pieces:
        other.add(piece)
    assert (one.digest(), one.length, one.head) == (other.digest(), other.length, other.head)
    assert one.head == whole[:64]
    more = Said()
    more.add(whole + b"x")
    assert more.digest() != one.digest()


def test_ends_of_datagrams_and_gaps_count() -> None:
    variants: list[list[Utterance]] = [[b"ab"], [b"a", END, b"b"], [b"ab", END], [b"a", 1], [b"a", 2]]
    digests = set()
    for variant in variants:
        said = Said()
        for octets in variant:
            said.add(octets)
        digests.add(said.digest())
    assert len(digests) == len(variants)
