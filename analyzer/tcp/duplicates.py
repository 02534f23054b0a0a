"""Segments that the capture has twice: seen at two places of their way, or twice at one of them.

The loopback interface shows a socket each packet on its way out and on its way in; a mirror port gives both directions
of two ports; a bridge, a veth pair and a router have each packet on both sides. Such a copy says nothing of TCP: it is
no retransmission, and it moves no state.

A segment is a copy when another of its connection had the same sender, the same headers (IP identification, sequence
and acknowledgement number, control bits, window, length, timestamps, first SACK block) just before, and

1. the sender numbers its packets, so that the IP identification proves it (RFC 6864 4.1): a retransmission is another
   packet with another number. Senders that write 0, or always the same number, do not count, nor does IPv6, which has
   none; RFC 1122 3.2.1.5 lets a retransmission keep the number, hence ``LONGEST_NS``, the shortest time after which
   anybody sends again; or
2. it was seen elsewhere: on another interface, in another direction of a cooked capture, with another time to live; or
3. it occupies sequence numbers and came sooner than anybody sends again without having heard of the other side
   (``SOON_NS``), which was silent in between; or
4. it came as soon, and the capture has shown before that it has the packets of this connection twice. Only this tells
   an ACK or RST from one that was sent again, for those may follow each other at once; so of each there is one copy.

An application may send the same datagram twice, and at once, so that of UDP less is called a copy: what has the same
octets too (the UDP checksum and the first ``COMPARED`` of its payload), came within ``LONGEST_NS``, and

- over IPv4, has the same IP identification, not 0, that two packets of this sender cannot share: it may be fragmented
  (RFC 6864 4.3) and is the sender's first one, or the sender was seen to number its packets; or
- over IPv6, was seen elsewhere: on another interface, in another direction, or a router farther on. A hop limit that is
  higher than before is traceroute's next probe.

What cannot be told: copies that the network made are copies of the capture here; an IPv6 datagram that a program sends
by two interfaces, from one address, within that time is called a copy.

Deviates: Wireshark and Zeek know no copies and call them retransmissions; tcptrace marks them as hardware duplicates,
and counts them all the same. Wireshark's own words (events.py) stay what Wireshark says, copies included: beside them
stands capture_duplicate, and screens, counters and causes heed that alone.

Memory is one table for all connections, a place for each fingerprint, which the next segment with the same place takes.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import FIN, I64, SYN, Frames, Packets, Rows

LONGEST_NS = 20_000_000
"""FreeBSD's shortest retransmission timeout is 30 ms, Linux's 200 ms; the longest way of a copy that was seen, 7 ms."""

SOON_NS = 500_000

COMPARED = 32
"""Octets of a datagram's payload."""

DONT_FRAGMENT = 0x40  # in the seventh octet of an IPv4 header

PLACES = 1 << 11
"""Segments that are remembered: what a link of 10 Gbit/s brings in some milliseconds."""

# Columns of the table of recent segments: what the segment is, when and where it was seen, and the segments that the
# other side had sent by then times two, plus one where a copy of it was found.
FINGERPRINT, SEEN_NS, SEEN_AT, PEER_SENT, COLUMNS = range(5)

LINUX_SLL, LINUX_SLL2 = 113, 276

# Odd numbers without a pattern: a sum of words times these is the same only where all words are
FACTOR_1, FACTOR_2, FACTOR_3, FACTOR_4 = 0x1F83D9ABFB41BD6B, 0x1BE0CD19137E2179, 0x243F6A8885A308D3, 0x13198A2E03707345
FACTOR_5, FACTOR_6, FACTOR_7, FACTOR_8 = 0x24093822299F31D1, 0x082EFA98EC4E6C89, 0x05821E638D01377B, 0x1E5466CF34E90C6D
WORD = (1 << 62) - 1


@kernel(inline=True)
def fingerprint_of(packets: Packets, i: int, h: int) -> int:
    """A number not 0 that copies of segment ``i`` have in common and, but for chance, nothing else has.

    ``h`` is the hash of its 4-tuple.
    """
    found = (h << 16 | wide(packets.src_port[i])) * FACTOR_1
    found += (wide(packets.seq[i]) << 16 | wide(packets.ip_id[i])) * FACTOR_2
    found += (wide(packets.ack[i]) << 16 | wide(packets.window[i])) * FACTOR_3
    found += (wide(packets.payload_len[i]) << 16 | wide(packets.flags[i])) * FACTOR_4
    found += wide(packets.ts_val[i]) * FACTOR_5 + wide(packets.ts_ecr[i]) * FACTOR_6
    blocks = wide(packets.sack_blocks[i])
    if blocks:
        found += (wide(packets.sack[i, 0]) << 4 | blocks) * FACTOR_7 + wide(packets.sack[i, 1]) * FACTOR_8
    return found & WORD | 1


@kernel(inline=True)
def seen_at(frames: Frames, packets: Packets, i: int) -> int:
    """Where packet ``i`` was captured, as a number: interface and direction, and how far it had come (time to live)."""
    place = wide(packets.ttl[i]) | wide(frames.interface[i]) << 8
    linktype = wide(frames.linktype[i])
    if linktype in (LINUX_SLL, LINUX_SLL2):
        at = wide(frames.start[i])
        if linktype == LINUX_SLL:
            place |= wide(frames.data[at + 1]) << 24
        else:
            place |= wide(frames.data[at + 10]) << 24
            place |= (wide(frames.data[at + 6]) << 8 | wide(frames.data[at + 7])) << 32
    return place


@kernel(inline=True)
def is_copy(
    recent: I64, fingerprint: int, place: int, fwd: Rows, rev: Rows, packets: Packets, i: int, ts_ns: int
) -> bool:
    """Whether segment ``i``, which ``fwd`` sent, is a copy of one of the ``recent`` segments; marks that one if so."""
    k = fingerprint >> 40 & PLACES - 1
    if wide(recent[k, FINGERPRINT]) != fingerprint:
        return False
    passed_ns = abs(ts_ns - wide(recent[k, SEEN_NS]))
    if passed_ns > LONGEST_NS:
        return False
    before = wide(recent[k, PEER_SENT])
    copies = wide(fwd["capture_duplicates"]) + wide(rev["capture_duplicates"])
    is_numbered = wide(packets.ip_id[i]) != 0 and wide(fwd["numbers_packets"]) != 0
    if not is_numbered and wide(recent[k, SEEN_AT]) == place:
        if passed_ns > SOON_NS:
            return False
        occupies = wide(packets.payload_len[i]) > 0 or wide(packets.flags[i]) & (SYN | FIN) != 0
        if not occupies or before >> 1 != sent(rev):
            is_doubled = 4 * copies >= wide(fwd["packets"]) + wide(rev["packets"])
            if not is_doubled or before & 1:
                return False
    recent[k, PEER_SENT] = before | 1
    return True


@kernel(inline=True)
def datagram_fingerprint(frames: Frames, packets: Packets, i: int, h: int) -> int:
    """The same for a datagram, by its checksum and its first octets."""
    found = (h << 16 | wide(packets.src_port[i])) * FACTOR_1 + wide(packets.ip_id[i]) * FACTOR_2
    found += wide(packets.payload_len[i]) * FACTOR_4
    start = wide(packets.payload_start[i])
    end = min(start + min(wide(packets.payload_len[i]), COMPARED), captured_end(frames, packets, i))
    for at in range(max(start - 2, 0), end):
        found = (found + wide(frames.data[at]) + 1) * FACTOR_5 & WORD
    return found & WORD | 1


@kernel(inline=True)
def captured_end(frames: Frames, packets: Packets, i: int) -> int:
    """Where the captured octets of packet ``i`` end; those of a datagram that came in fragments are all there."""
    if wide(packets.fragments[i]):
        return len(frames.data)
    return wide(frames.start[i]) + wide(frames.caplen[i])


@kernel(inline=True)
def is_datagram_copy(
    recent: I64, fingerprint: int, place: int, fragmentable: int, fwd: Rows, packets: Packets, i: int, ts_ns: int
) -> bool:
    """Whether datagram ``i``, which ``fwd`` sent, is a copy of one of the ``recent`` packets."""
    k = fingerprint >> 40 & PLACES - 1
    if wide(recent[k, FINGERPRINT]) != fingerprint or abs(ts_ns - wide(recent[k, SEEN_NS])) > LONGEST_NS:
        return False
    if wide(packets.ip_version[i]) == 4:
        if wide(packets.ip_id[i]) == 0:
            return False
        return wide(fwd["numbers_packets"]) != 0 or (sent(fwd) == 1 and fragmentable != 0)
    before = wide(recent[k, SEEN_AT])
    return before >> 8 != place >> 8 or place & 0xFF < before & 0xFF


@kernel(inline=True)
def may_be_fragmented(frames: Frames, packets: Packets, i: int) -> bool:
    """Whether the IPv4 header of datagram ``i`` allows it; one with options is not looked at."""
    if wide(packets.fragments[i]):
        return True
    at = wide(packets.payload_start[i]) - 28
    if at < wide(frames.start[i]) or wide(frames.data[at]) != 0x45:
        return False
    return wide(frames.data[at + 6]) & DONT_FRAGMENT == 0


@kernel(inline=True)
def remember(
    recent: I64, fingerprint: int, place: int, fwd: Rows, rev: Rows, packets: Packets, i: int, ts_ns: int
) -> None:
    """Remember segment ``i``, and whether ``fwd`` gives each of its packets another IP identification."""
    k = fingerprint >> 40 & PLACES - 1
    recent[k, FINGERPRINT] = fingerprint
    recent[k, SEEN_NS] = ts_ns
    recent[k, SEEN_AT] = place
    recent[k, PEER_SENT] = sent(rev) << 1
    ip_id = wide(packets.ip_id[i])
    if ip_id:
        if ip_id != wide(fwd["ip_id"]) and wide(fwd["packets"]) > 0:
            fwd["numbers_packets"] = 1
        fwd["ip_id"] = ip_id


@kernel(inline=True)
def sent(end: Rows) -> int:
    """Segments of an endpoint, each counted once."""
    return wide(end["packets"]) - wide(end["capture_duplicates"])
