"""tcpdump's print flags."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.render.tcpdump import page
from analyzer.tables import I64


@dataclass(frozen=True)
class TcpdumpOptions:
    """Each field is how often its flag was given, unless said otherwise."""

    time: int = 0
    """-t: 0 time of day, 1 none, 2 seconds since 1970, 3 since the previous packet, 4 with date, 5 since the first."""
    verbose: int = 0
    """-v"""
    quiet: int = 0
    """-q"""
    ethernet: int = 0
    """-e: the link-layer header"""
    numeric: int = 0
    """-n: no names"""
    absolute: int = 0
    """-S: absolute sequence numbers"""
    hex: int = 0
    """-x"""
    hex_ascii: int = 0
    """-X"""
    ascii: int = 0
    """-A"""
    number: int = 0
    """-#, --number: packet numbers"""
    unchecked: int = 0
    """-K: checksums are not verified"""

    def write_to(self, state: I64) -> None:
        """Put the flags into a page's state."""
        state[page.TIME] = self.time
        state[page.VERBOSE] = self.verbose
        state[page.QUIET] = self.quiet
        state[page.ETHERNET] = self.ethernet
        state[page.NUMERIC] = self.numeric
        state[page.ABSOLUTE] = self.absolute
        state[page.HEX] = self.hex
        state[page.HEX_ASCII] = self.hex_ascii
        state[page.ASCII] = self.ascii
        state[page.NUMBERED] = self.number
        state[page.UNCHECKED] = self.unchecked
