"""Durations, sizes and counts as a person reads them: two or three digits and a unit."""

from __future__ import annotations

from analyzer import language

_DURATIONS = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s"))
_SIZES = ((1, "B"), (10**3, "kB"), (10**6, "MB"), (10**9, "GB"), (10**12, "TB"), (10**15, "PB"))
_COUNTED = {
    "byte": lambda n: language.counted("{n} byte", "{n} bytes", n),
    "connection": lambda n: language.counted("{n} connection", "{n} connections", n),
    "datagram": lambda n: language.counted("{n} datagram", "{n} datagrams", n),
    "fragment": lambda n: language.counted("{n} fragment", "{n} fragments", n),
    "instant": lambda n: language.counted("{n} instant", "{n} instants", n),
    "other tunnel": lambda n: language.counted("{n} other tunnel", "{n} other tunnels", n),
    "packet": lambda n: language.counted("{n} packet", "{n} packets", n),
    "segment": lambda n: language.counted("{n} segment", "{n} segments", n),
    "state": lambda n: language.counted("{n} state", "{n} states", n),
    "TCP checksum": lambda n: language.counted("{n} TCP checksum", "{n} TCP checksums", n),
    "TCP connection": lambda n: language.counted("{n} TCP connection", "{n} TCP connections", n),
    "time": lambda n: language.counted("{n} time", "{n} times", n),
    "UDP conversation": lambda n: language.counted("{n} UDP conversation", "{n} UDP conversations", n),
    "verified TCP checksum": lambda n: language.counted("{n} verified TCP checksum", "{n} verified TCP checksums", n),
}
"""What is counted, in every language's forms."""

_LONG = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s"))


def duration(ns: int) -> str:
    """``850 ns``, ``6.8 ms``, ``43 s``, ``2m 05s``, ``3h 20m``, ``4d 01h``; at most seven columns below 100 days."""
    if ns < 0:
        return "-" + duration(-ns)
    seconds = (ns + 500_000_000) // 1_000_000_000
    for unit, name, part, part_name in _LONG:
        if seconds >= unit:
            return f"{seconds // unit}{name} {seconds % unit // part:02d}{part_name}"
    return _scaled(ns, _DURATIONS) if ns else "0 s"


def size(octets: int) -> str:
    """``5 B``, ``1.2 kB``, ``43 MB``; powers of 1000."""
    return _scaled(octets, _SIZES)


def count(number: int) -> str:
    """``1,204``."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """``1 packet``, ``1,204 packets``; the noun is one of those known above."""
    return _COUNTED[noun](number).format(n=count(number))


def seconds(ns: int, decimals: int = 6) -> str:
    """Time since some start in seconds, rounded down: ``0.000043``."""
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    whole, part = divmod(ns, 1_000_000_000)
    return f"{sign}{whole}.{part:09d}"[: decimals - 9] if decimals else f"{sign}{whole}"


def seconds_decimals(longest_ns: int) -> int:
    """Decimals for which ``seconds`` of nothing longer takes more than ten columns, as far as possible."""
    return next((decimals for decimals in (6, 3) if longest_ns < 10 ** (18 - decimals)), 0)


def _scaled(value: int, units: tuple[tuple[int, str], ...]) -> str:
    """The value in the smallest unit that leaves three digits before the point, with a decimal below ten."""
    unit, name = next(((unit, name) for unit, name in units if (value + unit // 2) // unit < 1_000), units[-1])
    tenths = (value * 10 + unit // 2) // unit
    if tenths < 100 and unit > 1:
        return f"{tenths // 10}.{tenths % 10} {name}"
    return f"{(value + unit // 2) // unit} {name}"
