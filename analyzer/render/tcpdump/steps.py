"""Which header comes next. A printer of a header puts where the next one is into the page's state and gives its step.

The chain of headers is a loop and not a nest of calls: a packet may hold thousands of headers.
"""

from __future__ import annotations

DONE = 0
ETHERNET_STEP = 1
IPV4_STEP = 3
IPV6_STEP = 4
PAYLOAD_STEP = 5  # KIND is the IP protocol
TCP_STEP = 6
UDP_STEP = 7
ICMP_STEP = 8
ICMP6_STEP = 9
ARP_STEP = 10
MPLS_STEP = 11
PPP_STEP = 13
PPP_PAYLOAD_STEP = 14  # KIND is the PPP protocol
PPPOE_STEP = 15
CHDLC_STEP = 16
LLC_STEP = 12
EXTENSIONS_STEP = 17  # the extension headers of IPv6
OTHER_STEP = 18  # KIND is an IP protocol that is seldom seen
