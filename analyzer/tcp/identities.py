"""What a packet tells by itself, before any connection is looked at: its hashes, where it was seen, who speaks.

The thread that reads ahead finds this out. So the reconstruction, which must take one packet after the other, has less
to do, and touches no octet of a capture, whose window may be gone by then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyzer.jit import fastest, kernel, wide
from analyzer.tables import I64, U8, Frames, Packets, Protocol, Status
from analyzer.tcp.connections import hash_of
from analyzer.tcp.duplicates import datagram_fingerprint, fingerprint_of, may_be_fragmented, seen_at
from analyzer.tcp.speakers import Signatures, signatures, speaker_of


class Identities(NamedTuple):
    """Columns of a batch; they mean nothing where there is no whole TCP or UDP header."""

    hash: I64
    """The 4-tuple's and protocol's, the same for both directions: 32 bits."""
    fingerprint: I64
    """What copies of the packet have in common."""
    place: I64
    """Interface, direction and time to live."""
    speaker: U8
    """The Side that says what its payload begins with (speakers.py); NOBODY."""
    fragmentable: U8
    """Whether a datagram's IPv4 header allows it to be fragmented."""


def identify(frames: Frames, packets: Packets) -> Identities:
    """The identities of a batch."""
    n = len(frames.start)
    words, octets = np.empty((3, n), np.int64), np.empty((2, n), np.uint8)
    identities = Identities(*words, *octets)
    fastest(identify_batch)(frames, packets, signatures(), identities)
    return identities


@kernel(inline=True)
def identify_batch(frames: Frames, packets: Packets, known: Signatures, identities: Identities) -> None:
    """Fill ``identities``."""
    for i in range(len(packets.status)):
        protocol = wide(packets.protocol[i])
        if protocol not in (Protocol.TCP, Protocol.UDP) or wide(packets.status[i]) != Status.WHOLE:
            continue
        h = hash_of(packets, i, protocol)
        identities.hash[i] = h
        identities.place[i] = seen_at(frames, packets, i)
        if protocol == Protocol.TCP:
            identities.fingerprint[i] = fingerprint_of(packets, i, h)
            identities.speaker[i] = speaker_of(frames, packets, i, known)
        else:
            identities.fingerprint[i] = datagram_fingerprint(frames, packets, i, h)
            identities.fragmentable[i] = 1 if may_be_fragmented(frames, packets, i) else 0
