"""tcpdump's table of TCP conversations: the numbers from which relative sequence numbers count.

A conversation is a pair of addresses and ports, whatever the direction. Its row is written by the first segment with
ACK, and again by every one with SYN and ACK; a segment that writes it is printed with absolute numbers.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.page import (
    CHANGED_ACK,
    CHANGED_NEW,
    CHANGED_ROW,
    CHANGED_SEQ,
    CONVERSATIONS,
    IP,
    VERSION,
    Page,
    four_octets,
)
from analyzer.tables import I64

FAMILY, PORTS, SEQ, ACK, FIRST, SECOND = 0, 1, 2, 3, 4, 8
CONVERSATION_COLUMNS = 12


@kernel
def reversed_pair(page: Page, source_port: int, destination_port: int) -> bool:
    """Whether the segment goes from the second endpoint of its conversation to the first."""
    if source_port != destination_port:
        return source_port > destination_port
    ip = wide(page.state[IP])
    if wide(page.state[VERSION]) == 4:
        return four_octets(page, ip + 12) > four_octets(page, ip + 16)
    for i in range(0, 16, 4):
        source = four_octets(page, ip + 8 + i)
        destination = four_octets(page, ip + 24 + i)
        if source != destination:
            return source > destination
    return False


@kernel
def conversation(page: Page, ports: int, backward: bool) -> int:
    """The row of the segment's conversation; one that is not there yet gets its row (FAMILY is 0 until it is kept)."""
    table = page.conversations
    version = wide(page.state[VERSION])
    words = 1 if version == 4 else 4
    first = wide(page.state[IP]) + (12 if version == 4 else 8)
    second = first + 4 * words
    if backward:
        first, second = second, first
    rows = len(table)
    mixed = ports * 40_503
    for i in range(words):
        mixed += four_octets(page, first + 4 * i) * 31 + four_octets(page, second + 4 * i) * 131
    row = (mixed ^ mixed >> 15 ^ mixed >> 31) & (rows - 1)
    while True:
        if wide(table[row, FAMILY]) == 0:
            break
        same = wide(table[row, FAMILY]) == version and wide(table[row, PORTS]) == ports
        i = 0
        while same and i < words:
            same = (
                wide(table[row, FIRST + i]) == four_octets(page, first + 4 * i)
                and wide(table[row, SECOND + i]) == four_octets(page, second + 4 * i)
            )  # fmt: skip
            i += 1
        if same:
            return row
        row = (row + 1) & (rows - 1)
    table[row, PORTS] = ports
    for i in range(words):
        table[row, FIRST + i] = four_octets(page, first + 4 * i)
        table[row, SECOND + i] = four_octets(page, second + 4 * i)
    return row


@kernel
def keep(page: Page, row: int, seq: int, ack: int) -> None:
    """Write the numbers of a conversation, and note how to undo it."""
    table = page.conversations
    state = page.state
    new = 1 if wide(table[row, FAMILY]) == 0 else 0
    state[CHANGED_ROW] = row
    state[CHANGED_NEW] = new
    state[CHANGED_SEQ] = table[row, SEQ]
    state[CHANGED_ACK] = table[row, ACK]
    table[row, FAMILY] = state[VERSION]
    table[row, SEQ] = seq
    table[row, ACK] = ack
    state[CONVERSATIONS] = wide(state[CONVERSATIONS]) + new


@kernel
def undo(page: Page) -> None:
    """Take back what the packet kept."""
    row = wide(page.state[CHANGED_ROW])
    if row < 0:
        return
    page.conversations[row, SEQ] = page.state[CHANGED_SEQ]
    page.conversations[row, ACK] = page.state[CHANGED_ACK]
    if wide(page.state[CHANGED_NEW]):
        page.conversations[row, FAMILY] = 0
        page.state[CONVERSATIONS] = wide(page.state[CONVERSATIONS]) - 1
    page.state[CHANGED_ROW] = -1


@kernel
def move_conversations(old: I64, new: I64) -> None:
    """Copy every conversation of a table into a larger, empty one."""
    rows = len(new)
    for i in range(len(old)):
        version = wide(old[i, FAMILY])
        if version == 0:
            continue
        mixed = wide(old[i, PORTS]) * 40_503
        for k in range(1 if version == 4 else 4):
            mixed += wide(old[i, FIRST + k]) * 31 + wide(old[i, SECOND + k]) * 131
        row = (mixed ^ mixed >> 15 ^ mixed >> 31) & (rows - 1)
        while wide(new[row, FAMILY]) != 0:
            row = (row + 1) & (rows - 1)
        for k in range(CONVERSATION_COLUMNS):
            new[row, k] = old[i, k]
