"""What every packet has: number, time stamp, hex dump, end of line; and how one is printed again."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.conversations import undo
from analyzer.render.tcpdump.dump import put_ascii, put_hex_and_ascii, put_hex_lines
from analyzer.render.tcpdump.page import (
    ASCII,
    AT,
    AT_BEFORE,
    CAPLEN,
    CHANGED_ROW,
    CONVERSATIONS,
    COUNT,
    DESTINATION_MAC,
    FRAME,
    HERE,
    HEX,
    HEX_ASCII,
    KIND,
    LENGTH,
    LIMIT,
    LINK_LEN,
    NUMBERED,
    ORIGLEN,
    PPI_LEN,
    PROTOCOL,
    QUOTES,
    REFERENCE,
    REFERENCE_BEFORE,
    ROOM,
    SNAPEND,
    SOURCE_MAC,
    STOPPED,
    TRUNCATED,
    Page,
)
from analyzer.render.tcpdump.protocols import put_truncated
from analyzer.render.tcpdump.text import put, put_decimal, say
from analyzer.render.tcpdump.timestamp import put_time

MOST_OCTETS = 262_144


@kernel
def put_bad_lengths(page: Page) -> bool:
    """Lengths that cannot be; gives False when there are none."""
    caplen = wide(page.state[CAPLEN])
    origlen = wide(page.state[ORIGLEN])
    if 0 < caplen <= origlen <= MOST_OCTETS:
        return False
    put(page, b"[Invalid header:")
    comma = False
    if caplen == 0:
        put(page, b" caplen==0")
        comma = True
    if origlen == 0 or origlen < caplen:
        if comma:
            put(page, b",")
        comma = True
        if origlen == 0:
            put(page, b" len==0")
        else:
            say(page, b" len(%u) < caplen(%u)", origlen, caplen)
    if caplen > MOST_OCTETS:
        if comma:
            put(page, b",")
        comma = True
        say(page, b" caplen(%u) > 262144", caplen)
    if origlen > MOST_OCTETS:
        if comma:
            put(page, b",")
        say(page, b" len(%u) > 262144", origlen)
    put(page, b"]\n")
    return True


@kernel
def print_dump(page: Page) -> None:
    """The octets behind the link-layer header, or with a doubled flag all of them."""
    state = page.state
    frame = wide(state[FRAME])
    caplen = wide(state[CAPLEN])
    link_len = wide(state[LINK_LEN])
    if wide(state[PPI_LEN]) and link_len:
        link_len += link_len - wide(state[PPI_LEN])
    flag = wide(state[HEX_ASCII])
    if not flag:
        flag = wide(state[HEX])
        if not flag:
            flag = wide(state[ASCII])
    if flag > 1:
        link_len = 0
    if flag == 0 or (flag == 1 and caplen <= link_len):
        return
    if wide(state[HEX_ASCII]):
        put_hex_and_ascii(page, frame + link_len, caplen - link_len)
    elif wide(state[HEX]):
        put_hex_lines(page, b"\n\t", frame + link_len, caplen - link_len)
    else:
        put_ascii(page, frame + link_len, caplen - link_len)


@kernel
def begin_packet(page: Page, ts_ns: int, offset_s: int) -> bool:
    """Number and time stamp of the packet whose place is in FRAME, CAPLEN, ORIGLEN; False when that is all.

    ``offset_s`` is what local time is ahead of UTC.
    """
    state = page.state
    state[STOPPED] = 0
    state[LIMIT] = wide(state[ROOM])
    state[PROTOCOL] = 0
    state[LINK_LEN] = 0
    state[PPI_LEN] = 0
    state[QUOTES] = 0
    state[SOURCE_MAC] = -1
    state[DESTINATION_MAC] = -1
    frame = wide(state[FRAME])
    state[SNAPEND] = frame + wide(state[CAPLEN])
    if wide(state[NUMBERED]):
        number = wide(state[COUNT]) + 1
        width = 10_000
        while width > 1 and number < width:
            put(page, b" ")
            width //= 10
        put_decimal(page, number)
        put(page, b"  ")
    if put_bad_lengths(page):
        return False
    put_time(page, ts_ns, offset_s)
    state[HERE] = frame
    state[LENGTH] = wide(state[ORIGLEN])
    state[KIND] = 0
    return True


@kernel
def end_packet(page: Page) -> None:
    """What was cut short, the dump, the end of the line."""
    state = page.state
    if wide(state[STOPPED]) == TRUNCATED:
        state[STOPPED] = 0
        state[LIMIT] = wide(state[ROOM])
        state[LINK_LEN] = 0
        put_truncated(page)
    state[SNAPEND] = wide(state[FRAME]) + wide(state[CAPLEN])
    print_dump(page)
    put(page, b"\n")


@kernel
def place(page: Page, start: int, caplen: int, origlen: int) -> None:
    """Where the next packet is; what could be needed to print it again is noted."""
    state = page.state
    state[FRAME] = start
    state[CAPLEN] = caplen
    state[ORIGLEN] = origlen
    state[CHANGED_ROW] = -1
    state[AT_BEFORE] = state[AT]
    state[REFERENCE_BEFORE] = state[REFERENCE]


@kernel
def settle(page: Page) -> bool:
    """Count the packet; False when it stopped, and is then as if it had not been printed."""
    state = page.state
    if wide(state[STOPPED]):
        undo(page)
        state[AT] = state[AT_BEFORE]
        state[REFERENCE] = state[REFERENCE_BEFORE]
        return False
    state[COUNT] = wide(state[COUNT]) + 1
    return True


@kernel
def is_crowded(page: Page) -> bool:
    """Whether the table of conversations is half full."""
    return 2 * (wide(page.state[CONVERSATIONS]) + 1) > len(page.conversations)
