"""What a capture is worth: how much was read, what of it belongs to connections, and whether it is whole."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from analyzer.flaws import Flaw
from analyzer.tables import I64, Protocol, Rows, Side
from analyzer.tcp.states import State
from analyzer.tcp.summary import has_ended

NO_FLAWS: I64 = np.zeros(len(Flaw), np.int64)
NO_FLAWS.flags.writeable = False


class Coverage(NamedTuple):
    """How much of their lives was captured of some TCP connections: numbers of connections."""

    unseen_starts: int = 0
    """Without a SYN."""
    still_open: int = 0
    """Open after their last packet."""
    one_sided: int = 0
    """With packets of one side alone, more than unanswered SYNs."""

    def plus(self, other: Coverage) -> Coverage:
        """Both together."""
        return Coverage._make(map(sum, zip(self, other, strict=True)))


class Quality(NamedTuple):
    """A finished run in figures."""

    packets: int
    """Packets that passed the filter."""
    all_packets: int
    """Packets of the capture."""
    first_ns: int
    """The earliest time of a packet that passed."""
    last_ns: int
    tcp: int
    """TCP connections."""
    udp: int
    """UDP conversations."""
    strays: dict[Protocol, int]
    """Packets that belong to no connection, the most frequent kind first."""
    damaged_at: int
    """Offset of the first octet that could not be used; -1 when the capture is whole."""
    damage: str
    """What was wrong there."""
    lost: int = 0
    """Packets that passed the capture's own filter and were not captured, for there was no room for them."""
    filter_cuts: bool = False
    """Whether the filter may have taken some packets of a connection and left others."""
    copies: int = 0
    """Packets that the capture has again."""
    first_copy: int = 0
    """The packet that is the first of them."""
    coverage: Coverage = Coverage()
    beyond_mss: int = 0
    """Segments with more payload than their receiver's maximum segment size."""
    longest_beyond_mss: int = 0
    """Octets of payload of the longest of them."""
    datagrams: int = 0
    """Datagrams put together from IP fragments."""
    incomplete: int = 0
    """Datagrams some of whose fragments never came."""
    overlaps: int = 0
    """Fragments that bring octets again."""
    flaws: I64 = NO_FLAWS
    """By Flaw."""


def count_kinds(connections: Rows) -> tuple[int, int]:
    """How many of these CONNECTION rows are TCP connections, and how many UDP conversations."""
    tcp = int((connections["protocol"] == Protocol.TCP).sum())
    return tcp, len(connections) - tcp


def coverage_of(connections: Rows, endpoints: Rows) -> Coverage:
    """The coverage of these CONNECTION[n] and ENDPOINT[n, Side] rows; those that are not TCP do not count."""
    tcp = connections["protocol"] == Protocol.TCP
    state, segments = endpoints["state"], endpoints["packets"] - endpoints["capture_duplicates"]
    unanswered = (state[:, Side.CLIENT] == State.SYN_SENT) | (state[:, Side.SERVER] == State.SYN_RECEIVED)
    over = has_ended(connections, endpoints, 0) | (endpoints["fin_packet"] > 0).all(axis=1)
    unseen_starts = tcp & (endpoints["syns"] == 0).all(axis=1)
    one_sided = tcp & (segments == 0).any(axis=1) & (segments.sum(axis=1) > endpoints["syns"].sum(axis=1))
    return Coverage(int(unseen_starts.sum()), int((tcp & ~over & ~unanswered).sum()), int(one_sided.sum()))


_SYMMETRIC = re.compile(r"\bsrc\s+(or|and)\s+dst\b|\bdst\s+(or|and)\s+src\b")
_CUTTING = re.compile(r"\[|\b(src|dst|less|greater|len|inbound|outbound|broadcast|multicast|ifindex|ifname)\b")


def may_cut(filter_expression: str) -> bool:
    """Whether a pcap filter may take some packets of a connection and leave others: by direction, size or octets.

    Hosts, networks, ports and protocols take a connection as a whole.
    """
    return _CUTTING.search(_SYMMETRIC.sub("", filter_expression)) is not None


def most_frequent(strays: I64) -> dict[Protocol, int]:
    """Counts by Protocol without the zeros, the largest first."""
    order = np.argsort(-strays, kind="stable")
    return {Protocol(int(kind)): int(strays[kind]) for kind in order if strays[kind]}
