"""Names of the printers, as they stand in ``[|tcp]``, and of protocols by their numbers."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.page import PROTOCOL, STOPPED, Page
from analyzer.render.tcpdump.text import put
from analyzer.render.tcpdump.words import PRINTERS, put_word

NONE = 0
ETHER = 1
VLAN = 2
LLC = 3
SNAP = 4
ARP = 5
IP_V4 = 6
IP_V6 = 7
TCP = 8
UDP = 9
ICMP = 10
ICMP6 = 11
HBHOPT = 12
DSTOPT = 13
FRAG6 = 14
RT6 = 15
AH = 16
ESP = 17
MPTCP = 18
SLL = 19
SLL2 = 20
NULL = 21
RAW = 22
PPP = 23
PPP_HDLC = 24
PPPOE = 25
CHDLC = 26
SLARP = 27
MPLS = 28
GRE = 29
IPCOMP = 30
IGMP = 31
IPN = 32
FDDI = 33
IPNET = 34
IEEE_802_11 = 35
PPI = 36
RADIOTAP = 37


@kernel
def enter(page: Page, protocol: int) -> None:
    """The printer that prints now."""
    if wide(page.state[STOPPED]) == 0:
        page.state[PROTOCOL] = protocol


@kernel
def put_truncated(page: Page) -> None:
    """``[|tcp]``: the protocol that is printed now was cut short."""
    put(page, b" [|")
    put_word(page, PRINTERS, wide(page.state[PROTOCOL]))
    put(page, b"]")


@kernel
def put_invalid(page: Page) -> None:
    """What the protocol forbids."""
    put(page, b" (invalid)")
