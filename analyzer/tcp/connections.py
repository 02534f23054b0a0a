"""Which connection a packet belongs to: a hash table of 4-tuples, incarnations on port reuse, who is the client.

The table has open addressing. A slot holds the row of the 4-tuple's latest incarnation plus one in its low half and
the hash in its high half, so that a probe seldom looks at a row of another 4-tuple. Empty slots are 0.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import (
    ACK,
    FIN,
    I64,
    KNOWS_ISS,
    KNOWS_SND,
    RST,
    SYN,
    Evidence,
    Packets,
    Protocol,
    Rows,
    Side,
)
from analyzer.tcp.seq import seq_add
from analyzer.tcp.states import State

# Ports below are for servers (RFC 6335 6: System Ports); from the other on, for clients (Linux's ephemeral range)
SYSTEM_PORTS_END = 1024
EPHEMERAL_PORTS = 32768


@kernel(inline=True)
def mix(packets: Packets, i: int, word: int, port: int) -> int:
    """Hash of one end: four words of address from column ``word`` on, and its port."""
    h = port
    for k in range(word, word + 4):
        h = ((h ^ wide(packets.address[i, k])) * 0x9E3779B1) & 0xFFFFFFFF
        h ^= h >> 15
    return h


@kernel(inline=True)
def hash_of(packets: Packets, i: int, protocol: int) -> int:
    """Hash of the packet's 4-tuple and a protocol, the same for both directions: 32 bits."""
    source = mix(packets, i, 0, wide(packets.src_port[i]))
    destination = mix(packets, i, 4, wide(packets.dst_port[i]))
    h = (source + destination + (source ^ destination) * 3 + protocol) & 0xFFFFFFFF
    h = (h * 0x85EBCA6B) & 0xFFFFFFFF
    return h ^ h >> 13


@kernel(inline=True)
def side_of(connection: Rows, packets: Packets, i: int, protocol: int) -> int:
    """The side that sent packet ``i`` of this protocol, or -1 when it belongs to another 4-tuple.

    A connection of an endpoint with itself is all the client's.
    """
    if wide(connection["protocol"]) != protocol:
        return -1
    if wide(connection["ip_version"]) != wide(packets.ip_version[i]):
        return -1
    src_port = wide(packets.src_port[i])
    dst_port = wide(packets.dst_port[i])
    client_port = wide(connection["client_port"])
    server_port = wide(connection["server_port"])
    address = connection["address"]
    if src_port == client_port and dst_port == server_port:
        same = True
        for k in range(8):
            if wide(address[k]) != wide(packets.address[i, k]):
                same = False
        if same:
            return Side.CLIENT
    if src_port == server_port and dst_port == client_port:
        for k in range(4):
            if wide(address[k]) != wide(packets.address[i, 4 + k]):
                return -1
            if wide(address[4 + k]) != wide(packets.address[i, k]):
                return -1
        return Side.SERVER
    return -1


@kernel(inline=True)
def find_slot(slots: I64, connections: Rows, packets: Packets, i: int, protocol: int, h: int) -> int:
    """The slot of packet ``i``'s 4-tuple, or the empty slot where it would go; there is always an empty one."""
    mask = len(slots) - 1
    slot = h & mask
    while True:
        entry = wide(slots[slot])
        if entry == 0:
            return slot
        if entry >> 32 == h >> 1 and side_of(connections[(entry & 0xFFFFFFFF) - 1], packets, i, protocol) >= 0:
            return slot
        slot = (slot + 1) & mask


@kernel(inline=True)
def rehash(old: I64, new: I64, connections: Rows) -> None:
    """Move every entry of a table into a larger one."""
    mask = len(new) - 1
    for k in range(len(old)):
        entry = wide(old[k])
        if entry:
            slot = wide(connections[(entry & 0xFFFFFFFF) - 1]["hash"]) & mask
            while wide(new[slot]):
                slot = (slot + 1) & mask
            new[slot] = entry


@kernel(inline=True)
def is_new_incarnation(fwd: Rows, rev: Rows, packets: Packets, i: int) -> bool:
    """Whether segment ``i`` starts another connection on a known 4-tuple.

    A SYN does with another initial sequence number, or after the former connection's end (not after ``was_refused``). A
    SYN whose number fits what was seen was only late, and in SYN-SENT the other side's SYN is a simultaneous open. A
    SYN-ACK with another number does after the end, or when nothing was seen of the client: else it is a stray, and so
    is one that answers the client's SYN when that had its answer.

    Deviates: to Wireshark 4.0 a SYN with the former number is never another connection, one with FIN or RST may be.
    """
    flags = wide(packets.flags[i])
    if not flags & SYN or flags & (FIN | RST):
        return False
    seq = wide(packets.seq[i])
    known = wide(fwd["known"])
    ended = wide(fwd["fins"]) + wide(fwd["resets"]) + wide(rev["fins"]) + wide(rev["resets"]) > 0
    if flags & ACK:
        answered = wide(rev["known"]) & KNOWS_SND and wide(rev["state"]) != State.SYN_SENT
        if answered and wide(packets.ack[i]) == seq_add(wide(rev["iss"]), 1):
            return False
        return known & KNOWS_SND != 0 and seq != wide(fwd["iss"]) and (ended or wide(rev["packets"]) == 0)
    if known & (KNOWS_ISS | KNOWS_SND):
        return seq != wide(fwd["iss"]) or (ended and not was_refused(fwd, rev))
    return wide(rev["state"]) != State.SYN_SENT


@kernel(inline=True)
def was_refused(fwd: Rows, rev: Rows) -> bool:
    """Whether a RST came after the SYN of ``fwd``, and no SYN from the other side: nothing has been open so far.

    The same SYN may then come again, for the same connect(): the RST was not acceptable (RFC 9293 3.10.7.3), or the
    client's own, against a half-open connection (figure 9), or the client is Windows, which tries again when refused.
    """
    if wide(fwd["syns"]) == 0 or wide(rev["syns"]) or wide(fwd["fins"]) + wide(rev["fins"]):
        return False
    return wide(fwd["resets"]) + wide(rev["resets"]) > 0


@kernel(inline=True)
def is_of_former(fwd: Rows, rev: Rows, packets: Packets, i: int) -> bool:
    """Whether segment ``i`` speaks of the incarnation before, of which only a SYN has been answered (figure 9).

    Deviates: to Wireshark it belongs to the latest incarnation.
    """
    flags = wide(packets.flags[i])
    if flags & SYN:
        return False
    if wide(fwd["state"]) == State.SYN_RECEIVED and wide(fwd["known"]) & KNOWS_SND == 0:
        return flags & ACK != 0 and wide(packets.ack[i]) != seq_add(wide(rev["iss"]), 1)
    if wide(fwd["state"]) == State.SYN_SENT and wide(rev["known"]) & KNOWS_SND == 0:
        return flags & RST != 0 and wide(packets.seq[i]) != wide(fwd["snd_nxt"])
    return False


@kernel(inline=True)
def known_as(servers: Rows, packets: Packets, i: int, word: int, port: int) -> int:
    """The best Evidence that an end of packet ``i``, its address from column ``word`` on, is a server's; 0 none."""
    best = 0
    for k in range(len(servers)):
        evidence = wide(servers[k]["evidence"])
        if wide(servers[k]["port"]) not in (0, port) or (best and best <= evidence):
            continue
        if wide(servers[k]["protocol"]) not in (0, wide(packets.protocol[i])):
            continue
        if wide(servers[k]["ip_version"]) not in (0, wide(packets.ip_version[i])):
            continue
        address = servers[k]["address"]
        mask = servers[k]["mask"]
        same = True
        for w in range(4):
            if wide(packets.address[i, word + w]) & wide(mask[w]) != wide(address[w]):
                same = False
        if same:
            best = evidence
    return best


@kernel(inline=True)
def client_evidence(packets: Packets, i: int, servers: Rows) -> tuple[int, int]:
    """Who is the client, told by the first packet seen: (the side that sent it, Evidence)."""
    flags = wide(packets.flags[i])
    if wide(packets.protocol[i]) == Protocol.TCP and flags & SYN:
        if flags & ACK:
            return Side.SERVER, Evidence.SYN_ACK
        return Side.CLIENT, Evidence.SYN
    src_port = wide(packets.src_port[i])
    dst_port = wide(packets.dst_port[i])
    if len(servers):
        source = known_as(servers, packets, i, 0, src_port)
        destination = known_as(servers, packets, i, 4, dst_port)
        if source and (destination == 0 or source < destination):
            return Side.SERVER, source
        if destination and destination != source:
            return Side.CLIENT, destination
    if (src_port < SYSTEM_PORTS_END) != (dst_port < SYSTEM_PORTS_END):
        return Side.SERVER if src_port < dst_port else Side.CLIENT, Evidence.PORTS
    if (src_port < EPHEMERAL_PORTS) != (dst_port < EPHEMERAL_PORTS):
        return Side.SERVER if src_port < dst_port else Side.CLIENT, Evidence.EPHEMERAL_PORT
    return Side.CLIENT, Evidence.FIRST_PACKET


@kernel(inline=True)
def is_clients_syn(rev: Rows, packets: Packets, i: int) -> bool:
    """Whether segment ``i`` proves its sender the client though it is not the first: a SYN, and ``rev`` sent none.

    It came late, or it opens what a stray SYN-ACK seemed to be a part of.
    """
    return wide(packets.flags[i]) & (SYN | ACK | FIN | RST) == SYN and wide(rev["syns"]) == 0


@kernel(inline=True)
def start_connection(connection: Rows, packets: Packets, i: int, h: int, ts_ns: int, number: int, servers: Rows) -> int:
    """Write the row (all zero before) of a connection that packet ``i`` starts.

    Returns: the side that sent it.
    """
    side, evidence = client_evidence(packets, i, servers)
    shift = 4 if side == Side.SERVER else 0
    for k in range(8):
        connection["address"][k] = packets.address[i, k ^ shift]
    connection["client_port"] = packets.src_port[i] if side == Side.CLIENT else packets.dst_port[i]
    connection["server_port"] = packets.dst_port[i] if side == Side.CLIENT else packets.src_port[i]
    connection["protocol"] = packets.protocol[i]
    connection["ip_version"] = packets.ip_version[i]
    connection["client_evidence"] = evidence
    connection["hash"] = h
    connection["first_ns"] = ts_ns
    connection["first_packet"] = number
    connection["handshake_rtt_ns"] = -1
    return side
