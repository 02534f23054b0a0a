"""Segments that have not been acknowledged: one pool of rows (UNACKED) for all connections, a chain for each endpoint.

A chain goes from the earliest segment to the latest. Row 0 belongs to the pool: its ``next`` is the first of the rows
that were given back, its ``packet`` how many rows were ever used. A new pool is all zero.

Memory is bounded: an endpoint holds at most ``MOST_HELD`` segments, the pool at most ``MOST_ROWS`` rows. Past that an
endpoint's earliest segment makes room for its latest, and one that holds none goes without.

Deviates: Wireshark holds ten thousand segments of an endpoint, and past that no new ones.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.tables import I64, Rows
from analyzer.tcp.seq import seq_diff

MOST_HELD = 512
MOST_ROWS = 1 << 22

# Bit of ENDPOINT.seen: a segment of the chain begins before the end of the one sent before it
SCATTERED = 64


@kernel(inline=True)
def is_full(pool: Rows) -> bool:
    """Whether a segment may find no row though the pool could grow."""
    if wide(pool[0]["next"]) != 0 or len(pool) >= MOST_ROWS:
        return False
    return wide(pool[0]["packet"]) + 1 >= len(pool)


@kernel(inline=True)
def hold(pool: Rows, end: Rows, peer: Rows, seq: int, after: int, packet: int) -> None:
    """Remember a segment that ``end`` sends, from ``seq`` up to ``after``: what of it ``peer`` has not acknowledged."""
    last_ack = wide(peer["last_ack"])
    if last_ack and seq_diff(last_ack, seq) > 0:
        if seq_diff(last_ack, after) >= 0:
            return
        seq = last_ack
    unused = wide(pool[0]["packet"]) + 1
    full = wide(pool[0]["next"]) == 0 and unused >= len(pool)
    if full or wide(end["unacked_count"]) >= MOST_HELD:
        give_back_first(pool, end)
    row = wide(pool[0]["next"])
    if row:
        pool[0]["next"] = pool[row]["next"]
    elif unused < len(pool):
        row = unused
        pool[0]["packet"] = unused
    else:
        return
    pool[row]["next"] = 0
    pool[row]["seq"] = seq
    pool[row]["end"] = after
    pool[row]["packet"] = packet
    last = wide(end["unacked_last"])
    if last == 0:
        end["unacked_first"] = row
        end["seen"] = wide(end["seen"]) & ~SCATTERED
    else:
        pool[last]["next"] = row
        if seq_diff(seq, wide(pool[last]["end"])) < 0:
            end["seen"] = wide(end["seen"]) | SCATTERED
    end["unacked_last"] = row
    end["unacked_count"] = wide(end["unacked_count"]) + 1


@kernel(inline=True)
def give_back_first(pool: Rows, end: Rows) -> None:
    """Forget the earliest segment of an endpoint, if there is any."""
    row = wide(end["unacked_first"])
    if row == 0:
        return
    end["unacked_first"] = pool[row]["next"]
    end["unacked_count"] = wide(end["unacked_count"]) - 1
    if wide(end["unacked_first"]) == 0:
        end["unacked_last"] = 0
    pool[row]["next"] = pool[0]["next"]
    pool[0]["next"] = row


@kernel(inline=True)
def give_back_all(pool: Rows, end: Rows) -> None:
    """Forget the segments of an endpoint that is let go."""
    last = wide(end["unacked_last"])
    if last:
        pool[last]["next"] = pool[0]["next"]
        pool[0]["next"] = end["unacked_first"]
        end["unacked_first"] = 0
        end["unacked_last"] = 0
        end["unacked_count"] = 0


@kernel(inline=True)
def give_back_rows(pool: Rows, endpoints: Rows, rows: I64) -> None:
    """Forget the segments of both ends of each of these rows of ENDPOINT[n, Side]."""
    for k in range(len(rows)):
        row = wide(rows[k])
        give_back_all(pool, endpoints[row, 0])
        give_back_all(pool, endpoints[row, 1])


@kernel(inline=True)
def acknowledge(pool: Rows, end: Rows, ack: int) -> None:
    """The peer of ``end`` acknowledges all before ``ack``."""
    scattered = wide(end["seen"]) & SCATTERED
    before = 0
    row = wide(end["unacked_first"])
    while row:
        after = wide(pool[row]["next"])
        if seq_diff(ack, wide(pool[row]["end"])) < 0:
            if seq_diff(ack, wide(pool[row]["seq"])) > 0:
                pool[row]["seq"] = ack
            if not scattered:
                return
            before = row
        elif before == 0:
            give_back_first(pool, end)
        else:
            pool[before]["next"] = after
            if after == 0:
                end["unacked_last"] = before
            end["unacked_count"] = wide(end["unacked_count"]) - 1
            pool[row]["next"] = pool[0]["next"]
            pool[0]["next"] = row
        row = after


@kernel(inline=True)
def carrier(pool: Rows, end: Rows, seq: int, after: int) -> int:
    """Number of the earliest packet with a sequence number from ``seq`` up to ``after``; 0 when none is held."""
    row = wide(end["unacked_first"])
    while row:
        if seq_diff(wide(pool[row]["seq"]), after) < 0 and seq_diff(wide(pool[row]["end"]), seq) > 0:
            return wide(pool[row]["packet"])
        row = wide(pool[row]["next"])
    return 0
