"""Two lives put side by side, packet by packet, as diff does it with lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

from analyzer.compare.alignment import aligned, gaps
from analyzer.compare.differences import Aspect
from analyzer.explain.events import ORDINARY
from analyzer.tables import ACK, FIN, RST, SYN, Event, Life, Side


class Step(NamedTuple):
    """A packet that both lives have, or one of them."""

    a: int
    """Its place in A's life; -1 where it has it not."""
    b: int
    is_noise: bool = False
    """It is in one life alone, which tells nothing of what is compared."""

    @property
    def differs(self) -> bool:
        """Whether only one of the two has it, and that matters."""
        return (self.a < 0 or self.b < 0) and not self.is_noise


_ORDINARY_BITS = sum(1 << event for event in ORDINARY)
_CONTROLS = SYN | FIN | RST


class _Packets:
    """A life's packets as keys: the same for what counts as the same."""

    def __init__(self, life: Life, aspects: Collection[Aspect]) -> None:
        self.columns = list(
            zip(
                life.side.tolist(), life.flags.tolist(), life.seq.tolist(), life.ack.tolist(),
                life.payload_len.tolist(), life.events.tolist(), life.window.tolist(), life.options.tolist(),
                life.mss.tolist(), life.window_scale.tolist(), life.payload, strict=True,
            )
        )  # fmt: skip
        self._aspects = aspects
        self.keys: list[Any] = [self._key(*column) for column in self.columns]

    def is_telling(self, i: int) -> bool:
        """Whether the packet is compared as such: not what acknowledges and nothing else, but where that is asked."""
        return bool(self.keys[i])

    def _key(
        self, side: int, flags: int, seq: int, ack: int, payload_len: int, events: int, window: int, options: int,
        mss: int, window_scale: int, payload: bytes,
    ) -> tuple[Any, ...]:  # fmt: skip
        aspects = self._aspects
        told = events if Aspect.EVENTS in aspects else 0
        if Aspect.ACKS not in aspects:
            told &= ~_ORDINARY_BITS
        if told & 1 << Event.FAST_RETRANSMISSION or told & 1 << Event.SPURIOUS_RETRANSMISSION:
            told &= ~(1 << Event.RETRANSMISSION)
        if Aspect.ACKS not in aspects and not (flags & _CONTROLS or payload_len or told):
            return ()
        key: tuple[Any, ...] = (side, flags & _CONTROLS, payload_len, payload, told)
        key += (flags, seq) if Aspect.SEGMENTS in aspects else (0, 0)
        key += (ack if flags & ACK else -1,) if Aspect.ACKS in aspects else (0,)
        key += (window,) if Aspect.WINDOWS in aspects else (0,)
        offers = Aspect.OPTIONS in aspects and flags & SYN
        return (*key, *((options, mss, window_scale) if offers else (0, 0, 0)))


def steps(a: Life, b: Life, aspects: Collection[Aspect]) -> list[Step]:
    """All packets of both, in order; those that both have once."""
    ones, others = _Packets(a, aspects), _Packets(b, aspects)
    told_a = [i for i in range(len(ones.keys)) if ones.is_telling(i)]
    told_b = [j for j in range(len(others.keys)) if others.is_telling(j)]
    pairs = [
        (told_a[i], told_b[j]) for i, j in aligned([ones.keys[i] for i in told_a], [others.keys[j] for j in told_b])
    ]
    made: list[Step] = []
    ends = len(ones.keys), len(others.keys)
    between = {(some.start, rest.start): (some, rest) for some, rest in gaps(pairs, (0, 0), ends)}
    i = j = 0
    for one, other in [*pairs, ends]:
        if (i, j) in between:
            made += _between(ones, others, *between[i, j], aspects)
        if (one, other) != ends:
            made.append(Step(one, other))
        i, j = one + 1, other + 1
    return made


def _between(ones: _Packets, others: _Packets, in_a: range, in_b: range, aspects: Collection[Aspect]) -> list[Step]:
    """What lies between two packets that both have: pure ACKs pair by their senders, the rest stands alone."""
    is_cut_otherwise = Aspect.SEGMENTS not in aspects and _say_the_same(ones, others, in_a, in_b)
    keys_a = [(1, i) if ones.is_telling(i) else (0, ones.columns[i][0]) for i in in_a]
    keys_b = [(2, j) if others.is_telling(j) else (0, others.columns[j][0]) for j in in_b]
    made = []
    i, j = in_a.start, in_b.start
    for one, other in [*aligned(keys_a, keys_b), (len(in_a), len(in_b))]:
        made += [Step(k, -1, is_cut_otherwise or not ones.is_telling(k)) for k in range(i, in_a.start + one)]
        made += [Step(-1, k, is_cut_otherwise or not others.is_telling(k)) for k in range(j, in_b.start + other)]
        if one < len(in_a):
            made.append(Step(in_a.start + one, in_b.start + other))
        i, j = in_a.start + one + 1, in_b.start + other + 1
    return made


def _say_the_same(ones: _Packets, others: _Packets, in_a: range, in_b: range) -> bool:
    """Whether the packets bring the same octets and control bits of each side, in whatever segments."""
    return _brought(ones, in_a) == _brought(others, in_b) and all(
        _begin_alike(*(_first_payload(packets, some, side) for packets, some in ((ones, in_a), (others, in_b))))
        for side in Side
    )


def _brought(packets: _Packets, some: range) -> Counter[tuple[int, str]]:
    total: Counter[tuple[int, str]] = Counter()
    for i in some:
        side, flags, _seq, _ack, payload_len, *_rest = packets.columns[i]
        events = packets.keys[i][4] if packets.is_telling(i) else 0
        total[side, "octets"] += payload_len
        total[side, "events"] += events
        for bit in (SYN, FIN, RST):
            total[side, f"{bit}"] += bool(flags & bit)
    return total


def _first_payload(packets: _Packets, some: range, side: int) -> bytes:
    return next((packets.columns[i][-1] for i in some if packets.columns[i][0] == side and packets.columns[i][4]), b"")


def _begin_alike(one: bytes, other: bytes) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
