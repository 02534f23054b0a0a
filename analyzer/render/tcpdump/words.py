"""Words of numbers: the tables of tcpdump's own words for types, codes and protocols.

A table is known by its place in ``TABLES``. Kernels find its rows in ``Page.places`` (written by ``word_index``): for
each table the offset of its first row, then the rows, three integers each: number, start and end of the word in
``Page.spelled``. The first rows are found soonest.
"""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.page import Page
from analyzer.render.tcpdump.text import put_spelled, say

(
    PRINTERS, IP_PROTOCOLS, IPV4_OPTIONS, ETHERTYPES, SAPS, LLC_COMMANDS, LLC_SUPERVISION, HARDWARE, ARP_OPERATIONS,
    ICMP6_TYPES, MLD_RECORDS, ND_OPTIONS, PREFERENCES, TCP_OPTIONS, PPP_PROTOCOLS, PPPOE_CODES, PPPOE_TAGS, FAMILIES,
    PROTOCOL_NAMES, ORGANIZATIONS,
) = range(20)  # fmt: skip

TABLES: tuple[dict[int, str], ...] = (
    # Names of the printers, as they stand in ``[|tcp]``
    {
        6: "ip", 7: "ip6", 8: "tcp", 9: "udp", 10: "icmp", 11: "icmp6", 12: "hbhopt", 13: "dstopt", 14: "frag6",
        15: "rt6", 16: "ah", 17: "esp", 18: "mptcp", 29: "gre", 30: "ipcomp", 31: "igmp", 32: "ipn", 33: "fddi",
        34: "ipnet", 35: "802.11", 36: "ppi", 37: "802.11_radio", 1: "ether",
        2: "vlan", 3: "llc", 4: "snap", 5: "arp", 19: "sll", 20: "sll2", 21: "null", 22: "raw", 23: "ppp",
        24: "ppp_hdlc", 25: "pppoe", 26: "chdlc", 27: "chdlc_slarp", 28: "mpls",
    },
    # IP protocols
    {
        6: "TCP", 17: "UDP", 1: "ICMP", 58: "ICMPv6", 0: "Options", 2: "IGMP", 4: "IPIP", 8: "EGP", 9: "IGRP",
        33: "DCCP", 41: "IPv6", 43: "Routing", 44: "Fragment", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH",
        55: "Mobile IP", 62: "Mobile IP (old)", 88: "EIGRP", 89: "OSPF", 103: "PIM", 108: "Compressed IP",
        112: "VRRP", 113: "PGM", 132: "SCTP", 135: "Mobility", 143: "Ethernet",
    },
    # Options of IPv4
    {
        0: "EOL", 1: "NOP", 68: "timestamp", 130: "security", 7: "RR", 137: "SSRR", 131: "LSRR", 148: "RA",
        82: "traceroute",
    },
    # EtherTypes
    {
        0x0800: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP", 0x8035: "Reverse ARP", 0x8100: "802.1Q",
        0x9100: "802.1Q-9100", 0x9200: "802.1Q-9200", 0x88A8: "802.1Q-QinQ", 0x8847: "MPLS unicast",
        0x8848: "MPLS multicast", 0x880B: "PPP", 0x8863: "PPPoE D", 0x8864: "PPPoE S", 0x8870: "Jumbo",
        0x6558: "TEB", 0x1000: "Trail", 0x0600: "NS", 0x0707: "GeoNet (old)", 0x1111: "CALM FAST", 0x6001: "MOP DL",
        0x6002: "MOP RC", 0x6003: "DN", 0x6004: "LAT", 0x6007: "SCA", 0x8038: "Lanbridge", 0x803C: "DEC DNS",
        0x803E: "DEC DTS", 0x805B: "VEXP", 0x805C: "VPROD", 0x809B: "Appletalk", 0x80F3: "Appletalk ARP",
        0x8137: "IPX", 0x8808: "MPCP", 0x8809: "Slow Protocols", 0x886F: "MS NLB heartbeat", 0x888E: "EAPOL",
        0x8899: "Realtek protocols", 0x88A2: "AoE", 0x88CA: "TIPC", 0x88CC: "LLDP", 0x88E5: "802.1AE MACsec",
        0x88F7: "PTP", 0x8902: "CFM", 0x893A: "IEEE1905.1", 0x8947: "GeoNet", 0x894F: "NSH", 0x9000: "Loopback",
        0xABCD: "CFM (old)", 0xFEFE: "OSI",
    },
    # Service access points of LLC
    {
        0x00: "Null", 0x02: "802.1B I", 0x04: "SNA", 0x06: "IP", 0x0E: "ProWay NM", 0x42: "STP", 0x4E: "RS511",
        0x7E: "ISO8208", 0x8E: "ProWay", 0xAA: "SNAP", 0xE0: "IPX", 0xF0: "NetBeui", 0xFE: "OSI",
    },
    # Unnumbered commands of LLC
    {
        0x03: "ui", 0x0F: "dm", 0x43: "disc", 0x63: "ua", 0x6F: "sabme", 0x87: "frmr", 0xAF: "xid", 0xE3: "test",
    },
    # Supervisory frames of LLC
    {
        0: "Receiver Ready", 1: "Receiver not Ready", 2: "Reject",
    },
    # Hardware types of ARP
    {
        1: "Ethernet", 6: "TokenRing", 7: "ArcNet", 15: "FrameRelay", 19: "ATM", 23: "Strip", 24: "IEEE 1394",
        32: "InfiniBand",
    },
    # Operations of ARP
    {
        1: "Request ", 2: "Reply ", 3: "Reverse Request ", 4: "Reverse Reply ", 8: "Inverse Request ",
        9: "Inverse Reply ", 10: "NACK Reply ",
    },
    # Types of ICMPv6 messages
    {
        1: "destination unreachable", 2: "packet too big", 3: "time exceeded in-transit", 4: "parameter problem",
        128: "echo request", 129: "echo reply", 130: "multicast listener query", 131: "multicast listener report",
        132: "multicast listener done", 133: "router solicitation", 134: "router advertisement",
        135: "neighbor solicitation", 136: "neighbor advertisement", 137: "redirect", 138: "router renumbering",
        139: "who-are-you request", 140: "who-are-you reply", 141: "inverse neighbor solicitation",
        142: "inverse neighbor advertisement", 143: "multicast listener report v2", 144: "ha discovery request",
        145: "ha discovery reply", 146: "mobile router solicitation", 147: "mobile router advertisement",
        200: "mtrace response", 201: "mtrace message", 155: "RPL",
    },
    # Types of multicast listener records
    {
        1: " is_in", 2: " is_ex", 3: " to_in", 4: " to_ex", 5: " allow", 6: " block",
    },
    # Options of neighbor discovery
    {
        1: "source link-address", 2: "destination link-address", 3: "prefix info", 4: "redirected header", 5: "mtu",
        25: "rdnss", 31: "dnssl", 7: "advertisement interval", 8: "homeagent information", 24: "route info",
    },
    # Preferences of routers
    {
        0: "medium", 1: "high", 2: "rsv",
    },
    # TCP options
    {
        1: "nop", 8: "TS", 2: "mss", 4: "sackOK", 3: "wscale", 5: "sack", 0: "eol", 6: "echo", 7: "echoreply",
        11: "cc", 12: "ccnew", 13: "", 19: "md5", 20: "scps", 28: "uto", 29: "tcp-ao", 30: "mptcp", 34: "tfo",
        254: "exp",
    },
    # PPP protocols
    {
        0x0021: "IP", 0x0057: "IP6", 0x0023: "OSI", 0x0025: "NS", 0x0027: "DECNET", 0x0029: "APPLE", 0x002B: "IPX",
        0x002D: "VJC IP", 0x002F: "VJNC IP", 0x0031: "BRPDU", 0x0033: "STII", 0x0035: "VINES", 0x003D: "MLPPP",
        0x00FD: "Compressed", 0x0201: "HELLO", 0x0231: "LUXCOM", 0x0233: "SNS", 0x0281: "MPLS", 0x0283: "MPLS",
        0x8021: "IPCP", 0x8023: "OSICP", 0x8025: "NSCP", 0x8027: "DECNETCP", 0x8029: "APPLECP", 0x802B: "IPXCP",
        0x8033: "STIICP", 0x8035: "VINESCP", 0x8057: "IP6CP", 0x80FD: "CCP", 0x8281: "MPLSCP", 0xC021: "LCP",
        0xC023: "PAP", 0xC025: "LQM", 0xC027: "SPAP", 0xC02B: "BACP", 0xC02D: "BAP", 0xC03D: "MLPPP-CP",
        0xC223: "CHAP", 0xC227: "EAP",
    },
    # Codes of PPPoE
    {
        0x00: "", 0x09: "PADI", 0x07: "PADO", 0x19: "PADR", 0x65: "PADS", 0xA7: "PADT",
    },
    # Tags of PPPoE
    {
        0x0000: "EOL", 0x0101: "Service-Name", 0x0102: "AC-Name", 0x0103: "Host-Uniq", 0x0104: "AC-Cookie",
        0x0105: "Vendor-Specific", 0x0110: "Relay-Session-ID", 0x0120: "PPP-Max-Payload",
        0x0201: "Service-Name-Error", 0x0202: "AC-System-Error", 0x0203: "Generic-Error",
    },
    # Address families of BSD
    {
        2: "IPv4", 24: "IPv6", 28: "IPv6", 30: "IPv6", 6: "NS", 7: "ISO", 16: "AppleTalk", 23: "IPX",
    },
    # Names of IP protocols, without -n
    {
        0: "hopopt", 1: "icmp", 2: "igmp", 3: "ggp", 4: "ipencap", 5: "st", 6: "tcp", 7: "cbt", 8: "egp", 9: "igp",
        10: "bbn-rcc-mon", 11: "nvp-ii", 12: "pup", 13: "argus", 14: "emcon", 15: "xnet", 16: "chaos", 17: "udp",
        18: "mux", 19: "dcn-meas", 20: "hmp", 21: "prm", 22: "xns-idp", 23: "trunk-1", 24: "trunk-2", 25: "leaf-1",
        26: "leaf-2", 27: "rdp", 28: "irtp", 29: "iso-tp4", 30: "netblt", 31: "mfe-nsp", 32: "merit-inp", 33: "dccp",
        34: "3pc", 35: "idpr", 36: "xtp", 37: "ddp", 38: "idpr-cmtp", 39: "tp++", 40: "il", 41: "ipv6", 42: "sdrp",
        43: "ipv6-route", 44: "ipv6-frag", 45: "idrp", 46: "rsvp", 47: "gre", 48: "dsr", 49: "bna", 50: "esp",
        51: "ah", 52: "i-nlsp", 53: "swipe", 54: "narp", 55: "mobile", 56: "tlsp", 57: "skip", 58: "ipv6-icmp",
        59: "ipv6-nonxt", 60: "ipv6-opts", 62: "cftp", 64: "sat-expak", 65: "kryptolan", 66: "rvd", 67: "ippc",
        69: "sat-mon", 70: "visa", 71: "ipcv", 72: "cpnx", 73: "rspf", 74: "wsn", 75: "pvp", 76: "br-sat-mon",
        77: "sun-nd", 78: "wb-mon", 79: "wb-expak", 80: "iso-ip", 81: "vmtp", 82: "secure-vmtp", 83: "vines",
        84: "ttp", 85: "nsfnet-igp", 86: "dgp", 87: "tcf", 88: "eigrp", 89: "ospf", 90: "sprite-rpc", 91: "larp",
        92: "mtp", 93: "ax.25", 94: "ipip", 95: "micp", 96: "scc-sp", 97: "etherip", 98: "encap", 100: "gmtp",
        101: "ifmp", 102: "pnni", 103: "pim", 104: "aris", 105: "scps", 106: "qnx", 107: "a/n", 108: "ipcomp",
        109: "snp", 110: "compaq-peer", 111: "ipx-in-ip", 112: "vrrp", 113: "pgm", 115: "l2tp", 116: "ddx",
        117: "iatp", 118: "stp", 119: "srp", 120: "uti", 121: "smp", 122: "sm", 123: "ptp", 124: "isis", 125: "fire",
        126: "crtp", 127: "crudp", 128: "sscopmce", 129: "iplt", 130: "sps", 131: "pipe", 132: "sctp", 133: "fc",
        134: "rsvp-e2e-ignore", 135: "mobility-header", 136: "udplite", 137: "mpls-in-ip", 138: "manet", 139: "hip",
        140: "shim6", 141: "wesp", 142: "rohc", 253: "exptest-253", 254: "exptest-254", 255: "reserved",
    },
    # Organizations that give out MAC addresses, without -n
    {
        0x000000: "Ethernet",
    },
)


def word_index(spelled: bytearray) -> list[int]:
    """The index of all tables; their words are appended to ``spelled``."""
    starts: list[int] = []
    rows: list[int] = []
    for table in TABLES:
        starts.append(len(TABLES) + 1 + len(rows))
        for number, word in table.items():
            rows += (number, len(spelled), len(spelled) + len(word))
            spelled += word.encode()
    return [*starts, len(TABLES) + 1 + len(rows), *rows]


@kernel
def put_word(page: Page, table: int, number: int) -> bool:
    """The word of a number; gives False when it has none."""
    places = page.places
    for row in range(wide(places[table]), wide(places[table + 1]), 3):
        if wide(places[row]) == number:
            put_spelled(page, wide(places[row + 1]), wide(places[row + 2]))
            return True
    return False


@kernel
def put_word_or(page: Page, table: int, otherwise: bytes, number: int) -> None:
    """The word of a number, or ``otherwise``, a form for ``say``, with the number."""
    if not put_word(page, table, number):
        say(page, otherwise, number)
