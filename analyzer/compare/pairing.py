"""Which connection of one capture is which of the other's.

A pairing is made in stages, the surest first; each looks at what those before left. In a stage the connections of the
two captures that have something in common, such as the server's end, are a group. A group's are paired as equal ones
come, whatever their order; or they are put side by side in order, by what they say as far as that is equal, and in the
gaps between by less and less, so that a connection that one capture has more of in the middle moves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from analyzer.compare.alignment import aligned, gaps
from analyzer.tables import Rows, Side

WAYS = ("auto", "ends", "content", "order")
"""What connections can be paired by."""


class Identity(NamedTuple):
    """What a connection is known by."""

    protocol: int
    ends: tuple[bytes, bytes]
    """Address and port of both ends, without regard to which is the client's."""
    server: bytes
    """Address and port of the server."""
    server_port: int
    said: bytes
    """Stands for all that both sides said."""
    is_silent: bool
    """Nothing was said."""
    opening: tuple[bytes, bytes]
    """The first octets that each side said."""


class Pair(NamedTuple):
    """Two connections taken for the same."""

    a: int
    """Row of the one in A."""
    b: int
    by: str
    """What they were paired by: one of ``WAYS``."""


class Pairing(NamedTuple):
    """Rows of both captures."""

    pairs: list[Pair]
    """In the order of A."""
    only_a: list[int]
    only_b: list[int]


Key = Callable[[Identity], Any]


class _Stage(NamedTuple):
    """``group`` is what the connections of a group have in common; without ``keys`` they are paired as they come."""

    by: str
    group: Key
    keys: tuple[Key, ...] = ()


def _said(one: Identity) -> Hashable:
    return one.said


def _opening(one: Identity) -> Hashable:
    return one.opening


def _request(one: Identity) -> Hashable:
    return one.opening[Side.CLIENT]


def _any(one: Identity) -> Hashable:
    return 0


def _protocol(one: Identity) -> Hashable:
    return one.protocol


def _server(one: Identity) -> Hashable:
    return one.protocol, one.server


def _port(one: Identity) -> Hashable:
    return one.protocol, one.server_port


def _spoken(one: Identity) -> Hashable:
    return None if one.is_silent else (one.protocol, one.said)


_SIMILAR = _opening, _request, _any

_ENDS = (
    _Stage("ends", lambda one: (one.protocol, one.ends, one.said)),
    _Stage("ends", _server, (_said,)),
    _Stage("content", lambda one: None if one.is_silent else (_server(one), one.said)),
    _Stage("ends", lambda one: (one.protocol, one.ends)),
    _Stage("ends", _server, _SIMILAR),
)
_STAGES = {
    "ends": tuple(stage._replace(by="ends") for stage in _ENDS),
    "content": (
        _Stage("content", _protocol, (_said,)),
        _Stage("content", _spoken),
        _Stage("content", lambda one: None if one.is_silent else one.protocol, (_opening, _request)),
    ),
    "order": (_Stage("order", _protocol, (_said, *_SIMILAR)),),
    "auto": (
        *_ENDS,
        _Stage("ends", _port, (_said, *_SIMILAR)),
        _Stage("content", _spoken),
        _Stage("order", _protocol, _SIMILAR),
    ),
}


def identities(connections: Rows, traits: Rows) -> list[Identity]:
    """Of CONNECTION rows and their TRAIT rows."""
    address, said, length, head = (
        connections["address"],
        traits["said"],
        traits["said_len"],
        traits["head"],
    )
    ports = [connections["client_port"].tolist(), connections["server_port"].tolist()]
    found = []
    for row, protocol in enumerate(connections["protocol"].tolist()):
        client, server = (
            address[row, 4 * side : 4 * side + 4].tobytes() + ports[side][row].to_bytes(2, "big") for side in Side
        )
        found.append(
            Identity(
                protocol, (min(client, server), max(client, server)), server, ports[Side.SERVER][row],
                said[row].tobytes() + length[row].tobytes(), not length[row].any(),
                (head[row, 0].tobytes(), head[row, 1].tobytes()),
            )
        )  # fmt: skip
    return found


def paired(a: Sequence[Identity], b: Sequence[Identity], way: str = "auto") -> Pairing:
    """Pair the connections of two captures, each in the order of first packets; ``way`` is one of ``WAYS``.

    The same comes of exchanged captures, exchanged.
    """
    if (len(a), list(a)) > (len(b), list(b)):
        turned = paired(b, a, way)
        pairs = sorted(pair._replace(a=pair.b, b=pair.a) for pair in turned.pairs)
        return Pairing(pairs, turned.only_b, turned.only_a)
    found = _Found(a, b)
    for stage in _STAGES[way]:
        found.take(stage)
    return found.pairing()


class _Found:
    """The pairs so far: for each connection of A and of B its pair's number, from 1; 0 none."""

    def __init__(self, a: Sequence[Identity], b: Sequence[Identity]) -> None:
        self._ones = a, b
        self._pair_of: tuple[list[int], list[int]] = [0] * len(a), [0] * len(b)
        self._pairs: list[Pair] = []

    def take(self, stage: _Stage) -> None:
        """Pair what a stage finds."""
        if all(self._pair_of[0]) or all(self._pair_of[1]):
            return
        groups_a, groups_b = (self._groups(which, stage) for which in (0, 1))
        for key, group_a in groups_a.items():
            group_b = groups_b.get(key)
            if not group_b:
                continue
            if stage.keys:
                self._put_side_by_side(group_a, group_b, stage)
            else:
                for one, other in zip(group_a, group_b, strict=False):
                    self._pair(one, other, stage.by)

    def pairing(self) -> Pairing:
        """What came of it."""
        left = [[row for row, number in enumerate(pair_of) if not number] for pair_of in self._pair_of]
        return Pairing(sorted(self._pairs), left[0], left[1])

    def _groups(self, which: int, stage: _Stage) -> dict[Any, list[int]]:
        """The rows of each group; where they are put in order, those that have a pair hold the others in place."""
        groups: defaultdict[Any, list[int]] = defaultdict(list)
        for row, one in enumerate(self._ones[which]):
            if (stage.keys or not self._pair_of[which][row]) and (key := stage.group(one)) is not None:
                groups[key].append(row)
        return groups

    def _put_side_by_side(self, group_a: list[int], group_b: list[int], stage: _Stage) -> None:
        """Align by pairs there are, then in each gap by one key after the other."""
        a, b = self._ones
        stretches = [(range(len(group_a)), range(len(group_b)))]
        keys_a: list[Any] = [self._known(0, row) for row in group_a]
        keys_b: list[Any] = [self._known(1, row) for row in group_b]
        for key in (None, *stage.keys):
            if key is not None:
                keys_a = [(1, row) if self._pair_of[0][row] else (0, key(a[row])) for row in group_a]
                keys_b = [(2, row) if self._pair_of[1][row] else (0, key(b[row])) for row in group_b]
            left = []
            for in_a, in_b in stretches:
                found = aligned(keys_a[in_a.start : in_a.stop], keys_b[in_b.start : in_b.stop])
                places = [(in_a.start + i, in_b.start + j) for i, j in found]
                if key is not None:
                    for i, j in places:
                        self._pair(group_a[i], group_b[j], stage.by)
                stretches_here = gaps(places, (in_a.start, in_b.start), (in_a.stop, in_b.stop))
                left += [(some, others) for some, others in stretches_here if some and others]
            stretches = left

    def _known(self, which: int, row: int) -> tuple[int, int]:
        """The same for two that are a pair, different for all others."""
        number = self._pair_of[which][row]
        return (0, number) if number else (1 + which, row)

    def _pair(self, one: int, other: int, by: str) -> None:
        self._pairs.append(Pair(one, other, by))
        self._pair_of[0][one] = self._pair_of[1][other] = len(self._pairs)
