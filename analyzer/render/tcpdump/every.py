"""Packets of every kind."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.arp import print_arp
from analyzer.render.tcpdump.chdlc import print_chdlc
from analyzer.render.tcpdump.cooked import SLL2_LEN, SLL_LEN, print_cooked
from analyzer.render.tcpdump.dump import put_default
from analyzer.render.tcpdump.ethernet import print_ethernet
from analyzer.render.tcpdump.ethertypes import PPP
from analyzer.render.tcpdump.fddi import print_fddi, print_ipnet
from analyzer.render.tcpdump.frame import begin_packet, end_packet, is_crowded, place, settle
from analyzer.render.tcpdump.icmp import print_after_quote, print_icmp
from analyzer.render.tcpdump.icmp6 import print_icmp6
from analyzer.render.tcpdump.ipv4 import print_ipv4
from analyzer.render.tcpdump.ipv6 import print_ipv6
from analyzer.render.tcpdump.ipv6_extensions import print_extension_headers
from analyzer.render.tcpdump.llc import print_llc
from analyzer.render.tcpdump.loopback import print_null, print_raw
from analyzer.render.tcpdump.mpls import print_mpls
from analyzer.render.tcpdump.page import AT, CAPLEN, FRAME, LIMIT, LINK_LEN, QUOTES, STOPPED, Page
from analyzer.render.tcpdump.payload import print_other_payload, print_payload
from analyzer.render.tcpdump.ppp import print_ppp, print_ppp_hdlc, print_ppp_payload, print_pppoe
from analyzer.render.tcpdump.protocols import enter, put_truncated
from analyzer.render.tcpdump.steps import (
    ARP_STEP,
    CHDLC_STEP,
    DONE,
    ETHERNET_STEP,
    EXTENSIONS_STEP,
    ICMP6_STEP,
    ICMP_STEP,
    IPV4_STEP,
    IPV6_STEP,
    LLC_STEP,
    MPLS_STEP,
    OTHER_STEP,
    PAYLOAD_STEP,
    PPP_PAYLOAD_STEP,
    PPP_STEP,
    PPPOE_STEP,
    TCP_STEP,
    UDP_STEP,
)
from analyzer.render.tcpdump.tcp import print_tcp
from analyzer.render.tcpdump.text import put
from analyzer.render.tcpdump.udp import print_udp
from analyzer.render.tcpdump.wireless import WIRELESS_LINK, print_ppi, print_radiotap, print_wireless
from analyzer.tables import I64, U16, U32

NULL, EN10MB, PPP_LINK, PPP_SERIAL, PPP_ETHER, RAW_BSD, RAW, C_HDLC, LOOP = 0, 1, 9, 50, 51, 12, 101, 104, 108
FDDI_LINK, RADIOTAP_LINK, PPI_LINK, IPNET_LINK = 10, 127, 192, 226
LINUX_SLL, IPV4_LINK, IPV6_LINK, LINUX_SLL2 = 113, 228, 229, 276


@kernel
def print_link(page: Page, linktype: int) -> int:
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
    if linktype == PPP_LINK:
        enter(page, PPP)
        if wide(page.state[CAPLEN]) < 4:
            put_truncated(page)
            page.state[LINK_LEN] = page.state[CAPLEN]
            return DONE
        page.state[LINK_LEN] = 4
        return PPP_STEP
    if linktype == FDDI_LINK:
        return print_fddi(page)
    if linktype == WIRELESS_LINK:
        return print_wireless(page)
    if linktype == RADIOTAP_LINK:
        return print_radiotap(page)
    if linktype == PPI_LINK:
        return print_ppi(page)
    if linktype == IPNET_LINK:
        return print_ipnet(page)
    if linktype == PPP_SERIAL:
        return print_ppp_hdlc(page)
    if linktype == PPP_ETHER:
        return PPPOE_STEP
    if linktype == C_HDLC:
        return CHDLC_STEP
    if not has_link_printer(linktype):
        put(page, b"UNSUPPORTED")
        put_default(page, wide(page.state[FRAME]), wide(page.state[CAPLEN]))
    return DONE


@kernel
def has_link_printer(linktype: int) -> bool:
    """Whether tcpdump prints this link type with a printer that this package does not have."""
    return linktype in (
        6, 7, 8, 10, 15, 16, 18, 19, 99, 100, 105, 106, 107, 109, 114, 117, 119, 120, 122, 123, 127, 129, 130, 131,
        132, 133, 134, 135, 137, 138, 141, 163, 167, 178, 179, 180, 181, 182, 183, 189, 192, 194, 195, 200, 201, 215,
        220, 226, 230, 239, 240, 241, 242, 258, 271, 281, 282, 283, 284, 285,
    )  # fmt: skip


@kernel
def print_headers(page: Page, step: int) -> None:
    """The chain of headers, from the one behind the link layer's."""
    state = page.state
    while wide(state[LIMIT]) >= 0:
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
        elif step == ICMP_STEP:
            step = print_icmp(page)
        elif step == ICMP6_STEP:
            step = print_icmp6(page)
        elif step == ARP_STEP:
            step = print_arp(page)
        elif step == MPLS_STEP:
            step = print_mpls(page)
        elif step == PPP_STEP:
            step = print_ppp(page)
        elif step == PPP_PAYLOAD_STEP:
            step = print_ppp_payload(page)
        elif step == PPPOE_STEP:
            step = print_pppoe(page)
        elif step == CHDLC_STEP:
            step = print_chdlc(page)
        elif step == LLC_STEP:
            step = print_llc(page)
        elif step == EXTENSIONS_STEP:
            step = print_extension_headers(page)
        elif step == OTHER_STEP:
            step = print_other_payload(page)
        elif step == ETHERNET_STEP:
            link_len = wide(state[LINK_LEN])
            step = print_ethernet(page)
            state[LINK_LEN] = link_len
        elif wide(state[QUOTES]) > 0:
            print_after_quote(page)
            step = DONE
        else:
            return


@kernel
def print_every_packet(
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
            print_headers(page, print_link(page, wide(linktype[i])))
            end_packet(page)
        if not settle(page):
            return i
        end[i] = page.state[AT]
    return last
