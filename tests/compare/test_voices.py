"""Voices: the same octets in whatever segments, order and repetition; what is missing; the reassembly as the oracle."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.compare import voices
from analyzer.compare.sides import Sides
from analyzer.compare.voices import END, MOST_WAITING, PIECE_COST, Said, Utterance, Voice, Voices
from analyzer.pipeline import Run, Streams
from analyzer.streams import Gap, Piece, StreamItem
from analyzer.tables import ACK, FIN, PSH, SYN
from tests.capture.written import Packet, pcap

OCTETS = bytes(range(60))


def heard(segments: list[tuple[int, bytes]]) -> list[Utterance]:
    """Everything that is given out of (sequence number, payload)."""
    voice = Voice(1)
    out = [octets for seq, payload in segments for octets in voice.add(seq, len(payload), payload)]
    out += voice.finish()
    assert voice.held == 0
    return out


def joined(said: Iterable[Utterance]) -> list[Utterance]:
    """The same with neighbouring octets put together, and with what is missing between them."""
    made: list[Utterance] = []
    for one in said:
        if (made and isinstance(one, bytes) and isinstance(made[-1], bytes)) or (
            made and one and made[-1] and isinstance(one, int) and isinstance(made[-1], int)
        ):
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


# ---------------------------------------------------------------- the reassembly as the oracle


class Sent(NamedTuple):
    """A segment, its numbers relative to the initial ones."""

    side: int
    seq: int
    payload: bytes
    ack: int
    flags: int = ACK | PSH
    cut: int = 0
    """Octets of its payload that were not captured."""


ISNS = ((1 << 32) - 30, 7_000)


def packet(number: int, sent: Sent, port: int = 40_000) -> Packet:
    """As a packet of a capture with link type RAW."""
    seq, ack = (ISNS[sent.side] + sent.seq) % 2**32, (ISNS[1 - sent.side] + sent.ack) % 2**32 * bool(sent.flags & ACK)
    ports = (port, 1_235) if sent.side == 0 else (1_235, port)
    octets = b"".join(
        number.to_bytes(length, "big") for number, length in (
            (ports[0], 2), (ports[1], 2), (seq, 4), (ack, 4), (5 << 4, 1), (sent.flags, 1), (9_000, 2), (0, 4),
        )
    )  # fmt: skip
    octets += sent.payload
    header = bytes([0x45, 0]) + (20 + len(octets)).to_bytes(2, "big") + ((number + 1) % 65_536).to_bytes(2, "big")
    header += bytes([0, 0, 64, 6, 0, 0, 10, 0, 0, 1 + sent.side, 10, 0, 0, 2 - sent.side])
    whole = header + octets
    return Packet(whole[: len(whole) - sent.cut], 1_000, number * 1_000, len(whole))


Everything = dict[tuple[int, int], list[Utterance]]
"""What each side says, by its connection's row and its side."""


def by_voices(octets: bytes) -> Everything:
    sides, all_voices = Sides(), Voices()
    found: dict[int, list[Utterance]] = {}
    with Run(io.BytesIO(octets)) as run:
        told = [one for batch in run for one in all_voices.add(batch, sides.taken(batch))]
    for identity, one in [*told, *all_voices.finish()]:
        found.setdefault(identity, []).append(one)
    whose = {
        (row, side ^ int(sides.turned(np.array([row]))[0])): identity
        for (row, side), identity in all_voices.whose().items()
    }
    return {of: joined(one for one in found[identity] if one) for of, identity in whose.items() if identity in found}


def by_reassembly(octets: bytes) -> Everything:
    found: dict[tuple[int, int], list[Utterance]] = {}
    with Run(io.BytesIO(octets)) as run:
        streams = Streams(run, [range(1, 1 << 40)])
        told = [one for batch in run for one in streams.add(batch)]
        told += streams.finish()
    for number, item in told:
        for one in utterances(item):
            found.setdefault((number - 1, item.side), []).append(one)
    return {of: joined(some) for of, some in found.items()}


def utterances(item: StreamItem) -> Iterable[Utterance]:
    """What a voice says in the place of an item."""
    if isinstance(item, Gap):
        yield item.length
    elif isinstance(item, Piece):
        yield from (one for one in (item.octets, item.length - len(item.octets)) if one)


def without_ends(said: Everything, *, has_begin: bool) -> Everything:
    """Without what is missing at the end, and at the begin where that was not captured."""
    found = {}
    for of, some in said.items():
        while some and isinstance(some[-1], int):
            some = some[:-1]
        while not has_begin and some and isinstance(some[0], int):
            some = some[1:]
        if some:
            found[of] = some
    return found


@st.composite
def lossy(draw: st.DrawFn) -> list[Sent]:
    """What a capture has of two sides that say 60 octets each: lost, doubled, in any order, cut, and contradicting."""
    acked = [1, 1]
    made: list[Sent] = []
    for _ in range(draw(st.integers(1, 16))):
        side, at, length = draw(st.integers(0, 1)), draw(st.integers(0, 60)), draw(st.integers(0, 25))
        payload = bytes(k ^ draw(st.sampled_from([0, 0, 0, 128])) for k in OCTETS[at : at + length])
        acked[side] = max(acked[side], draw(st.integers(1, 62)))
        cut = draw(st.sampled_from([0, 0, 0, len(payload) // 2]))
        is_last = draw(st.sampled_from([at + len(payload) == 60, False, False, False, True]))
        made.append(Sent(side, 1 + at, payload, acked[side], ACK | PSH | FIN * is_last, cut))
    return made


@settings(max_examples=300, deadline=None)
@given(lossy())
def test_voices_say_what_the_streams_of_follow_say(segments: list[Sent]) -> None:
    opening = [Sent(0, 0, b"", 0, SYN), Sent(1, 0, b"", 1, SYN | ACK), Sent(0, 1, b"", 1, ACK)]
    octets = pcap([packet(k, one) for k, one in enumerate([*opening, *segments])], linktype=101)
    assert without_ends(by_voices(octets), has_begin=True) == without_ends(by_reassembly(octets), has_begin=True)


@settings(max_examples=200, deadline=None)
@given(lossy())
def test_they_say_the_same_where_no_syn_was_captured(segments: list[Sent]) -> None:
    begin = [Sent(0, 1, OCTETS[:2], 1), Sent(1, 1, OCTETS[:2], 3)]
    octets = pcap([packet(k, one) for k, one in enumerate([*begin, *segments])], linktype=101)
    assert without_ends(by_voices(octets), has_begin=False) == without_ends(by_reassembly(octets), has_begin=False)


@pytest.mark.parametrize("flags", [PSH | ACK, ACK])
def test_an_octet_that_may_keep_alive_begins_nothing(flags: int) -> None:
    first = Sent(0, 1, b"x", 1, flags)
    octets = pcap([packet(0, first), packet(1, Sent(0, 2, b"yz", 1))], linktype=101)
    said = {PSH | ACK: b"xyz", ACK: b"yz"}[flags]
    assert by_voices(octets) == by_reassembly(octets) == {(0, 0): [said]}


def test_numbers_wrap_around() -> None:
    near = (1 << 32) - 5
    voice = Voice(near)
    assert [*voice.add(near, 5, b"bcdef"), *voice.add(0, 2, b"gh")] == [b"bcdef", b"gh"]


# ---------------------------------------------------------------- what waits


def test_what_waits_is_bounded() -> None:
    voice, octets = Voice(1), bytes(MOST_WAITING // 2)
    assert list(voice.add(1, 1, b"a")) == [b"a"]
    assert list(voice.add(10, 1, b"b")) == []
    assert list(voice.add(20, len(octets), octets)) == []
    assert list(voice.add(len(octets) + 30, len(octets), octets)) == [8, b"b", 9, octets]
    assert voice.held == len(octets) + PIECE_COST
    assert list(voice.finish()) == [10, octets]
    assert voice.held == 0


def many_gaps(connections: int, segments: int, *, speaks: bool) -> bytes:
    """Of each connection the server's second segment is missing; the client acknowledges it, and may speak."""
    made: list[Packet] = []
    for k in range(connections):
        said = [Sent(0, 0, b"", 0, SYN), Sent(1, 0, b"", 1, SYN | ACK), Sent(1, 1, b"x" * 1_000, 1)]
        said += [Sent(1, 1 + 1_000 * n, bytes([n % 256]) * 1_000, 1) for n in range(2, segments)]
        said.append(Sent(0, 1, b"more" * speaks, 1 + 1_000 * segments))
        made += [packet(len(made) + n, one, port=20_000 + k) for n, one in enumerate(said)]
    return pcap(made, linktype=101)


def test_what_waits_behind_many_gaps_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    connections, segments, most = 60, 20, 50_000
    octets = many_gaps(connections, segments, speaks=False)
    expected = by_reassembly(octets)
    monkeypatch.setattr(voices, "MOST_HELD", most)
    held = []
    sides, all_voices = Sides(), Voices()
    said: dict[int, list[Utterance]] = {}
    with Run(io.BytesIO(octets)) as run:
        for batch in run:
            for identity, one in all_voices.add(batch, sides.taken(batch)):
                held.append(sum(voice.held for voice in all_voices._voices.values()))
                said.setdefault(identity, []).append(one)
    for identity, one in all_voices.finish():
        said.setdefault(identity, []).append(one)
    longest = 1_000 + PIECE_COST
    assert most - longest < max(held) <= most + longest
    assert len(said) == connections
    found = {of: joined(said[identity]) for of, identity in all_voices.whose().items()}
    assert found == without_ends(expected, has_begin=True)


def test_what_its_receiver_has_does_not_wait_when_it_speaks() -> None:
    sides, all_voices = Sides(), Voices()
    with Run(io.BytesIO(many_gaps(3, 5, speaks=True))) as run:
        for batch in run:
            list(all_voices.add(batch, sides.taken(batch)))
    assert [voice.held for voice in all_voices._voices.values()] == [0] * 6
    assert all_voices._held == 0
    assert list(all_voices.finish()) == []


# ---------------------------------------------------------------- what was said


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
