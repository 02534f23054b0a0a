"""EtherTypes: their words, and which tcpdump prints with a printer of their own."""

from __future__ import annotations

from analyzer.jit import kernel
from analyzer.render.tcpdump.page import Page
from analyzer.render.tcpdump.text import put, say
from analyzer.render.tcpdump.words import ETHERTYPES, put_word

IPV4, ARP, REVERSE_ARP, TRAIL, IPV6 = 0x0800, 0x0806, 0x8035, 0x1000, 0x86DD
VLAN, VLAN_9100, VLAN_9200, QINQ = 0x8100, 0x9100, 0x9200, 0x88A8
MPLS, MPLS_MULTICAST, PPP, PPPOE_DISCOVERY, PPPOE_SESSION, JUMBO = 0x8847, 0x8848, 0x880B, 0x8863, 0x8864, 0x8870
PPPOE_DISCOVERY_2, PPPOE_SESSION_2, ISO = 0x3C12, 0x3C13, 0xFEFE
MOST_LENGTH = 1500  # what is not larger is a length (IEEE 802.3 3.2.6)


@kernel
def put_ethertype(page: Page, kind: int, quiet: int) -> None:
    """``ethertype IPv4 (0x0800)``, or with -q the word alone."""
    if quiet:
        if not put_word(page, ETHERTYPES, kind):
            say(page, b"Unknown Ethertype (0x%4)", kind)
        return
    put(page, b"ethertype ")
    if not put_word(page, ETHERTYPES, kind):
        put(page, b"Unknown")
    say(page, b" (0x%4)", kind)


@kernel
def has_ethertype_printer(kind: int) -> bool:
    """Whether tcpdump prints this EtherType with a printer that this package does not have."""
    return kind in (
        0x0707, 0x1111, 0x6003, 0x809B, 0x80F3, 0x8137, 0x8808, 0x8809, 0x886F, 0x888E, 0x8899, 0x88A2, 0x88CA,
        0x88CC, 0x88E5, 0x88F7, 0x8902, 0x8947, 0x894F, 0x9000, 0xABCD, ISO,
    )  # fmt: skip
