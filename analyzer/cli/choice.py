"""Which connections a person wants to see, and in which order: ``-c``, ``--only`` and ``--sort``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from analyzer.errors import UsageError
from analyzer.explain.causes import Cause, causes_of, is_reset, is_undelivered
from analyzer.language import _
from analyzer.render.untrusted import visible
from analyzer.render.words import TROUBLES
from analyzer.tables import I64, Protocol, Rows

LONGEST_PART = 40
"""Characters of a number, or of a range of numbers, after -c."""

_CAUSES = {
    "closed": (Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER, Cause.CLOSED_BY_BOTH),
    "reset": tuple(filter(is_reset, Cause)),
    "refused": (Cause.REFUSED, *filter(is_undelivered, Cause)),
    "unanswered": (Cause.UNANSWERED, Cause.SYN_ACK_UNANSWERED, Cause.LIKELY_ACCEPT_QUEUE_FULL),
    "vanished": (Cause.CLIENT_VANISHED, Cause.SERVER_VANISHED),
    "half-closed": (Cause.HALF_CLOSED,),
    "open": (Cause.OPEN,),
}

KINDS = (*_CAUSES, "troubled", "tcp", "udp")
"""What ``--only`` knows."""

_KEYS: dict[str, Callable[[Rows, Rows], npt.NDArray[np.integer]]] = {
    "packets": lambda connections, ends: ends["packets"].sum(axis=1),
    "bytes": lambda connections, ends: ends["payload_bytes"].sum(axis=1),
    "lasted": lambda connections, ends: connections["last_ns"] - connections["first_ns"],
    "rtt": lambda connections, ends: connections["handshake_rtt_ns"],
    "retransmitted": lambda connections, ends: ends["retransmitted_packets"].sum(axis=1),
    "out-of-order": lambda connections, ends: ends["out_of_order_packets"].sum(axis=1),
    "zero-window": lambda connections, ends: ends["zero_windows"].sum(axis=1),
}

KEYS = tuple(_KEYS)
"""What ``--sort`` knows: the greatest come first."""


def chosen(connections: Rows, endpoints: Rows, named: str | None, only: str | None, sort: str | None) -> Sequence[int]:
    """The numbers of the connections that are ``named`` and of one of the kinds in ``only``, in the order of ``sort``.

    The rows are those of all connections, none of which was let go. Raises UsageError.
    """
    if named is not None:
        rows = np.array(numbers_of(named, len(connections)), np.int64) - 1
        connections, endpoints = connections[rows], endpoints[rows]
    numbers: I64 = connections["number"]
    if only is not None:
        is_chosen = _of_kinds(connections, endpoints, only)
        connections, endpoints, numbers = connections[is_chosen], endpoints[is_chosen], numbers[is_chosen]
    if sort is not None:
        numbers = numbers[np.argsort(-_KEYS[sort](connections, endpoints).astype(np.int64), kind="stable")]
    chosen_numbers: list[int] = numbers.tolist()
    return chosen_numbers


def _of_kinds(connections: Rows, endpoints: Rows, only: str) -> npt.NDArray[np.bool_]:
    causes = causes_of(connections, endpoints)
    is_chosen = np.zeros(len(connections), np.bool_)
    for kind in only.replace(" ", "").split(","):
        if kind in _CAUSES:
            is_chosen |= np.isin(causes, _CAUSES[kind])
        elif kind == "troubled":
            for counter in TROUBLES:
                is_chosen |= endpoints[counter].any(axis=1)
        elif kind in ("tcp", "udp"):
            is_chosen |= connections["protocol"] == Protocol[kind.upper()]
        else:
            raise UsageError(_("--only {kinds}: it knows {known}").format(kinds=visible(only), known=", ".join(KINDS)))
    return is_chosen


def ranges_of(chosen: str) -> list[range]:
    """The numbers of the connections, as they are written, whether or not there are so many. Raises UsageError."""
    ranges = []
    for part in chosen.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > LONGEST_PART:
            told = _("-c {numbers}: give numbers of the table, as in -c 3 or -c 1,4-7")
            raise UsageError(told.format(numbers=visible(chosen)))
        part_of = range(int(first), int(last if dash else first) + 1)
        if not part_of or part_of[0] < 1:
            told = _("-c {numbers}: no connection has such a number; they count from 1 upwards")
            raise UsageError(told.format(numbers=visible(chosen)))
        ranges.append(part_of)
    return ranges


def check_numbers(chosen: str, ranges: list[range], count: int) -> None:
    """Raise UsageError where there are fewer connections than the ranges say."""
    for part_of in ranges:
        if part_of[-1] > count:
            told = _("-c {numbers}: no connection {number}; {there_are}")
            raise UsageError(told.format(numbers=visible(chosen), number=part_of[-1], there_are=_there_are(count)))


def numbers_of(chosen: str, count: int) -> list[int]:
    """The numbers of the connections, in order, of so many that there are. Raises UsageError."""
    ranges = ranges_of(chosen)
    check_numbers(chosen, ranges, count)
    return sorted(set().union(*ranges))


def _there_are(count: int) -> str:
    if count == 0:
        return _("there is none at all")
    return _("there is only one") if count == 1 else _("the last one is {n}").format(n=f"{count:,}")
