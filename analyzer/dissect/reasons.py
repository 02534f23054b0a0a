"""Why we differ from Wireshark on purpose: the reasons of docs/differences.md, and which difference has which."""

from __future__ import annotations

from enum import Enum

from analyzer.language import text
from analyzer.tables import ACK, FIN, RST, SYN, SYN_SEEN, Event


class Reason(Enum):
    """A reason; its value is one sentence, which docs/differences.md explains under the reason's name."""

    SECOND_PASS = text("Wireshark's second pass calls a SYN,ACK reused for the sake of another one that comes later.")
    NEW_INCARNATION = text("A SYN after a FIN or RST starts a connection here, whatever its number.")
    SYN_FIN = text("A SYN that says FIN or RST too starts no connection here.")
    LONG_HEADER = text("A TCP header that is longer than its IP packet contradicts itself: nothing of it is believed.")
    SNAPLEN = text("The records hold more than the file's header says was captured; here the header is believed.")
    IP_LENGTH = text("The payload's length is the IP header's; Wireshark counts the octets of the frame.")
    NUMBERED_ANEW = text("A SYN with another number: relative numbers stay those of the first SYN here.")
    UNSEEN_START = text("The SYN was not captured: relative numbers begin with what was seen first here.")
    ANNOUNCED = text("Wireshark does not count the SYN of a connection that a protocol like FTP announced.")
    COPIES = text("The capture has packets twice; times are taken from the first here.")


def of_events(ours: frozenset[str], theirs: frozenset[str], flags: int) -> Reason | None:
    """Why the events differ."""
    is_answer = flags & (SYN | ACK) == SYN | ACK
    return Reason.SECOND_PASS if is_answer and theirs - ours == {Event.REUSED_PORTS.name.lower()} else None


def of_grouping(flags: int, *, is_new_here: bool, is_new_there: bool) -> Reason | None:
    """Why a packet is in another connection."""
    if flags & SYN and flags & (FIN | RST) and is_new_there:
        return Reason.SYN_FIN
    if flags & SYN and is_new_here and not is_new_there:
        return Reason.NEW_INCARNATION
    return None


def of_completeness(ours: int, theirs: int) -> Reason | None:
    """Why a connection has other parts."""
    return Reason.ANNOUNCED if ours == theirs | SYN_SEEN else None
