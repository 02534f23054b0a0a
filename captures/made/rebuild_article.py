"""The two captures whose octets the article on PHP sockets and tcpdump prints, rebuilt from its hex dumps.

    python captures/made/rebuild_article.py [DIRECTORY]

Times, IP headers and everything above are as printed, unfinished checksums included. What the article does not print is
chosen here: the date, the Ethernet addresses on eth0 (those of lo are zeros), and that its clock ran at UTC+8.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from capture_file import ETHERNET, Packet, write_pcap

DATE = "2020-12-01"
CHINA = timezone(timedelta(hours=8))

LO = "000000000000 000000000000 0800"
ETH0 = "020000000001 020000000002 0800"
"""Locally administered: 02:00:00:00:00:01 for the gateway, 02:00:00:00:00:02 for the article's host."""

LOOPBACK_ECHO = """
22:23:41.475469
    4500 003c 64d4 4000 4006 d7e5 7f00 0001
    7f00 0001 bf62 04d3 2a92 aee5 0000 0000
    a002 aaaa fe30 0000 0204 ffd7 0402 080a
    f8d7 ca31 0000 0000 0103 0307
22:23:41.475494
    4500 003c 0000 4000 4006 3cba 7f00 0001
    7f00 0001 04d3 bf62 344e 35a2 2a92 aee6
    a012 aaaa fe30 0000 0204 ffd7 0402 080a
    f8d7 ca31 f8d7 ca31 0103 0307
22:23:41.475512
    4500 0034 64d5 4000 4006 d7ec 7f00 0001
    7f00 0001 bf62 04d3 2a92 aee6 344e 35a3
    8010 0156 fe28 0000 0101 080a f8d7 ca31
    f8d7 ca31
22:23:41.476100
    4500 0039 64d6 4000 4006 d7e6 7f00 0001
    7f00 0001 bf62 04d3 2a92 aee6 344e 35a3
    8018 0156 fe2d 0000 0101 080a f8d7 ca32
    f8d7 ca31 636c 6965 6e
22:23:41.476157
    4500 0034 ff92 4000 4006 3d2f 7f00 0001
    7f00 0001 04d3 bf62 344e 35a3 2a92 aeeb
    8010 0156 fe28 0000 0101 080a f8d7 ca32
    f8d7 ca32
22:23:41.476198
    4500 0036 ff93 4000 4006 3d2c 7f00 0001
    7f00 0001 04d3 bf62 344e 35a3 2a92 aeeb
    8018 0156 fe2a 0000 0101 080a f8d7 ca32
    f8d7 ca32 6869
22:23:41.476237
    4500 0034 ff94 4000 4006 3d2d 7f00 0001
    7f00 0001 04d3 bf62 344e 35a5 2a92 aeeb
    8011 0156 fe28 0000 0101 080a f8d7 ca32
    f8d7 ca32
22:23:41.482154
    4500 0034 64d7 4000 4006 d7ea 7f00 0001
    7f00 0001 bf62 04d3 2a92 aeeb 344e 35a5
    8010 0156 fe28 0000 0101 080a f8d7 ca38
    f8d7 ca32
22:23:41.482203
    4500 0034 64d8 4000 4006 d7e9 7f00 0001
    7f00 0001 bf62 04d3 2a92 aeeb 344e 35a6
    8011 0156 fe28 0000 0101 080a f8d7 ca38
    f8d7 ca32
22:23:41.482222
    4500 0034 ff95 4000 4006 3d2c 7f00 0001
    7f00 0001 04d3 bf62 344e 35a6 2a92 aeec
    8010 0156 fe28 0000 0101 080a f8d7 ca38
    f8d7 ca38
"""

SYN_ACK_REPEATED = """
21:31:54.825669
    4500 0030 0000 4000 4006 552d 0a00 1004
    678e 6409 0050 04d2 77e8 b7d7 5f46 992a
    7012 7210 fe10 0000 0204 05b4 0101 0402
21:32:03.025658
    4500 0030 0000 4000 4006 552d 0a00 1004
    678e 6409 0050 04d2 77e8 b7d7 5f46 992a
    7012 7210 fe10 0000 0204 05b4 0101 0402
21:32:19.025689
    4500 0030 0000 4000 4006 552d 0a00 1004
    678e 6409 0050 04d2 77e8 b7d7 5f46 992a
    7012 7210 fe10 0000 0204 05b4 0101 0402
"""


def packets(ethernet: str, dump: str) -> list[Packet]:
    """The packets of a dump: a line with the time of day, then the IP packet in hex."""
    rebuilt = []
    for time, octets in re.findall(r"^(\S+:\S+)\n((?: .*\n)+)", dump, re.MULTILINE):
        moment = datetime.fromisoformat(f"{DATE} {time}").replace(tzinfo=CHINA)
        ts_ns = int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1000
        frame = bytes.fromhex(ethernet + octets)
        rebuilt.append(Packet(ts_ns, frame, len(frame)))
    return rebuilt


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent
    write_pcap(directory / "loopback-echo-1235.pcap", packets(LO, LOOPBACK_ECHO), ETHERNET, nanoseconds=False)
    write_pcap(directory / "syn-ack-repeated.pcap", packets(ETH0, SYN_ACK_REPEATED), ETHERNET, nanoseconds=False)
