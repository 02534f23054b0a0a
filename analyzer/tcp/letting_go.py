"""Letting connections go, so that a run without an end needs memory that has one.

Those that ended go first, then those that were silent for the longest time. Rows that stay move together, in the order
of their numbers. A packet of a connection that was let go starts another one, of which no SYN was seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analyzer.jit import kernel, wide
from analyzer.tables import I64, Rows
from analyzer.tcp.summary import has_ended

_MOVED_AT_ONCE = 4_096
"""Rows: they are copied when they move."""


def first_to_go(connections: Rows, endpoints: Rows, surplus: int) -> I64:
    """So many rows, in order: those that ended, the earliest first, then those that were silent for the longest."""
    last_ns = connections["last_ns"]
    ended = has_ended(connections, endpoints, int(last_ns.max(initial=0)))
    order = np.lexsort((last_ns, ~ended))
    rows: I64 = np.sort(order[:surplus])
    return rows


def copied(table: Rows, rows: I64) -> Rows:
    """A copy of some rows: far sooner made than by NumPy's own way, which goes column by column."""
    return words_of(table)[rows].view(table.dtype).reshape(len(rows), *table.shape[1:])


def move_together(table: Rows, kept: I64, count: int) -> None:
    """Move the rows ``kept`` (in order) of the ``count`` in use to the front; what is behind them becomes zero."""
    words = words_of(table)
    for first in range(0, len(kept), _MOVED_AT_ONCE):
        part = kept[first : first + _MOVED_AT_ONCE]
        words[first : first + len(part)] = words[part]
    words[len(kept) : count] = 0


def words_of(table: Rows) -> I64:
    """The table's memory in one axis more: rows of tables are aligned, and so whole words."""
    octets: npt.NDArray[np.uint8] = table.view(np.uint8)
    words: I64 = octets.reshape(*table.shape, -1).view(np.int64)
    return words


@kernel(inline=True)
def keep_slots(old: I64, new: I64, connections: Rows, moved: I64) -> int:
    """Fill an empty table of slots with the entries whose rows stay; ``moved`` gives each row's new place, or -1.

    ``connections`` are the rows where they are now. Gives how many entries there are.
    """
    mask = len(new) - 1
    count = 0
    for k in range(len(old)):
        entry = wide(old[k])
        row = wide(moved[(entry & 0xFFFFFFFF) - 1]) if entry else -1
        if row >= 0:
            slot = wide(connections[row]["hash"]) & mask
            while wide(new[slot]):
                slot = (slot + 1) & mask
            new[slot] = entry >> 32 << 32 | (row + 1)
            count += 1
    return count
