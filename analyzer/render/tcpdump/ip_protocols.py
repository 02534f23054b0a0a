"""IP protocol numbers, and the words that ``-v`` has for them."""

from __future__ import annotations

HOPOPTS = 0
ICMP = 1
IGMP = 2
IPV4 = 4
TCP = 6
EGP = 8
PIGP = 9
UDP = 17
DCCP = 33
IPV6 = 41
ROUTING = 43
FRAGMENT = 44
RSVP = 46
GRE = 47
ESP = 50
AH = 51
MOBILE = 55
ICMPV6 = 58
NONE = 59
DSTOPTS = 60
MOBILITY_OLD = 62
ND = 77
EIGRP = 88
OSPF = 89
PIM = 103
IPCOMP = 108
VRRP = 112
PGM = 113
SCTP = 132
MOBILITY = 135
ETHERNET = 143
