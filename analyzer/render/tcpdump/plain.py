"""Packets of the common kinds alone: IP with TCP or UDP on the usual links.

This is what a large capture is made of, and a fraction of the code: it is compiled in a fraction of the time. A packet
of another kind stops with RARE, and is printed by every.py.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.cooked import SLL2_LEN, SLL_LEN, print_cooked
from analyzer.render.tcpdump.ethernet import print_ethernet
from analyzer.render.tcpdump.every import EN10MB, IPV4_LINK, IPV6_LINK, LINUX_SLL, LINUX_SLL2, LOOP, NULL, RAW, RAW_BSD
from analyzer.render.tcpdump.frame import begin_packet, end_packet, is_crowded, place, settle
from analyzer.render.tcpdump.ipv4 import print_ipv4
from analyzer.render.tcpdump.ipv6 import print_ipv6
from analyzer.render.tcpdump.loopback import print_null, print_raw
from analyzer.render.tcpdump.page import AT, LIMIT, RARE, STOPPED, Page, stop
from analyzer.render.tcpdump.payload import print_payload
from analyzer.render.tcpdump.steps import DONE, IPV4_STEP, IPV6_STEP, PAYLOAD_STEP, TCP_STEP, UDP_STEP
from analyzer.render.tcpdump.tcp import print_tcp
from analyzer.render.tcpdump.udp import print_udp
from analyzer.tables import I64, U16, U32


@kernel
def print_plain_link(page: Page, linktype: int) -> int:
    """The link layer's header."""
    if linktype == EN10MB:
        return print_ethernet(page)
    if linktype == LINUX_SLL:
        return print_cooked(page, SLL_LEN)
    if linktype == LINUX_SLL2:
        return print_cooked(page, SLL2_LEN)
    if linktype in (NULL, LOOP):
        return print_null(page)
    if linktype in (RAW, RAW_BSD, IPV4_LINK, IPV6_LINK):
        return print_raw(page)
    stop(page, RARE)
    return DONE


@kernel
def print_plain_headers(page: Page, step: int) -> None:
    """The chain of headers, from the one behind the link layer's."""
    while wide(page.state[LIMIT]) >= 0:
        if step == IPV4_STEP:
            step = print_ipv4(page)
        elif step == PAYLOAD_STEP:
            step = print_payload(page)
        elif step == TCP_STEP:
            step = print_tcp(page)
        elif step == UDP_STEP:
            step = print_udp(page)
        elif step == IPV6_STEP:
            step = print_ipv6(page)
        else:
            if step != DONE:
                stop(page, RARE)
            return


@kernel
def print_plain_packets(
    page: Page, start: I64, caplen: U32, origlen: U32, ts_ns: I64, offset_s: I64, linktype: U16, first: int, last: int,
    end: I64,
) -> int:  # fmt: skip
    """The packets from ``first`` to ``last``; gives the next one.

    It ends early when a packet stopped (STOPPED says why), or when the table of conversations is half full (STOPPED is
    0): it goes on from there.
    """
    for i in range(first, last):
        if is_crowded(page):
            page.state[STOPPED] = 0
            return i
        place(page, wide(start[i]), wide(caplen[i]), wide(origlen[i]))
        if begin_packet(page, wide(ts_ns[i]), wide(offset_s[i])):
            print_plain_headers(page, print_plain_link(page, wide(linktype[i])))
            end_packet(page)
        if not settle(page):
            return i
        end[i] = page.state[AT]
    return last
