"""Lives side by side: every packet is somewhere once, in order; what is noise is no difference."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analyzer.compare.differences import USUAL, Aspect, parting
from analyzer.compare.steps import Step, steps
from analyzer.render.segment import Segment
from analyzer.tables import ACK, FIN, PSH, SYN
from tests.render.made import CLIENT, SERVER, life, segment

STRICT = frozenset(Aspect)
PACKETS = st.lists(
    st.builds(
        lambda side, flags, payload: segment(side=side, flags=flags, payload=payload),
        st.sampled_from([CLIENT, SERVER]), st.sampled_from([ACK, PSH | ACK, FIN | ACK, SYN]),
        st.sampled_from([b"", b"", b"a", b"bb"]),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@given(PACKETS, PACKETS, st.booleans())
def test_every_packet_is_somewhere_once_and_in_order(a: list[Segment], b: list[Segment], is_strict: bool) -> None:
    made = steps(life(a), life(b), STRICT if is_strict else USUAL)
    assert [step.a for step in made if step.a >= 0] == list(range(len(a)))
    assert [step.b for step in made if step.b >= 0] == list(range(len(b)))
    assert all(a[step.a].side == b[step.b].side for step in made if step.a >= 0 and step.b >= 0)
    assert not any(step.is_noise for step in made if is_strict)


@given(PACKETS, PACKETS)
def test_exchanged_lives_differ_in_the_same(a: list[Segment], b: list[Segment]) -> None:
    there, back = steps(life(a), life(b), USUAL), steps(life(b), life(a), USUAL)
    assert {(step.a, step.b) for step in there} == {(step.b, step.a) for step in back}
    assert sum(step.differs for step in there) == sum(step.differs for step in back)


@given(PACKETS)
def test_a_life_does_not_differ_from_itself(a: list[Segment]) -> None:
    assert steps(life(a), life(a), STRICT) == [Step(i, i) for i in range(len(a))]


def test_segments_and_pure_acks_are_noise_unless_they_are_asked_for() -> None:
    opening = [segment(flags=SYN), segment(side=SERVER, flags=SYN | ACK)]
    whole = [*opening, segment(seq=1, payload=b"hello"), segment(side=SERVER), segment(flags=FIN | ACK, seq=6)]
    parts = [
        *opening, segment(seq=1, payload=b"he"), segment(side=SERVER), segment(seq=3, payload=b"llo"),
        segment(side=SERVER), segment(flags=FIN | ACK, seq=6),
    ]  # fmt: skip
    made = steps(life(whole), life(parts), USUAL)
    assert not any(step.differs for step in made)
    assert any(step.is_noise for step in made)
    assert any(step.differs for step in steps(life(whole), life(parts), STRICT))
    other = [*parts[:4], segment(seq=3, payload=b"LLO"), *parts[5:]]
    assert any(step.differs for step in steps(life(parts), life(other), USUAL))


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(1, 9), st.integers(1, 9))
def test_streams_part_where_they_do(octets: bytes, at: int, one: int, other: int) -> None:
    def cut(stream: bytes, length: int) -> list[bytes]:
        return [stream[k : k + length] for k in range(0, len(stream), length)]

    assert parting(iter(cut(octets, one)), iter(cut(octets, other))) is None
    at = min(at, len(octets))
    changed = octets[:at] + b"\xff\x00"
    if octets[at : at + 2] == b"\xff\x00" and len(octets) == len(changed):
        return
    found = parting(iter(cut(octets, one)), iter(cut(changed, other)))
    first = next((k for k, (x, y) in enumerate(zip(octets, changed, strict=False)) if x != y), None)
    expected = first if first is not None else min(len(octets), len(changed))
    if octets == changed:
        assert found is None
    else:
        assert found is not None
        assert found.offset == expected
        assert found.a == octets[expected : expected + 48]
        assert found.b == changed[expected : expected + 48]
        assert found.before == octets[max(expected - 16, 0) : expected]
