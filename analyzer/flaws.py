"""What is counted of a capture's flaws: the places of a tally."""

from __future__ import annotations

from enum import IntEnum


class Flaw(IntEnum):
    """What is counted of a capture's flaws."""

    CUT = 0
    """Packets of which not all octets were captured."""
    LONGEST_CUT = 1
    """Octets captured of the longest of them: the snapshot length."""
    CUT_HEADERS = 2
    """Those of which the captured octets end inside a header."""
    CHECKSUMS = 3
    """TCP checksums that were looked at."""
    UNFINISHED_CHECKSUMS = 4
    """Those that the sender left to its network card."""
    VERIFIED_CHECKSUMS = 5
    """Those that were compared with all octets of their segments."""
    VERIFIED_OCTETS = 6
    """Octets of these segments."""
    WRONG_CHECKSUMS = 7
    """Those of them that are wrong."""
    FIRST_WRONG_CHECKSUM = 8
    """The packet that is the first of them."""
    STEPS_BACK = 9
    """Packets that are earlier than the one before, by more than reordering explains."""
    LONGEST_STEP_BACK_NS = 10
    FIRST_STEP_BACK = 11
    """The packet that is the first of them."""
    SAME_TIMES = 12
    """Packets with the time of the one before."""
    TICK_NS = 13
    """All times are multiples of this; 1 where it is less than what matters, 0 where there is no packet."""
