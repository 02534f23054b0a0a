"""The printer against the installed tcpdump, on random packets of every link type and with every flag."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from packets import ETHERNET, LINKTYPES, RAW, Packets
from reference import from_tcpdump, needs_tcpdump, rendered, time_zone

pytestmark = needs_tcpdump

FLAGS = ("n", "nv", "nvv", "nvvv", "ne", "nS", "nX", "nXX", "nx", "nxx", "nq", "nqe", "neK", "nvK", "nA", "nAA", "nvve")
TIME_FLAGS = ("n", "nt", "ntt", "nttt", "ntttt", "nttttt", "n#", "n#tttt")
NOT_OURS = re.compile(r"STP|OSI|IPX|ipx|mobility|RPL|renumbering|NFS|MACsec|Loopback|kip|GRE|EAP|CCP|LCP|SMT|BFD")
"""Text of printers that the package leaves out; random octets reach them now and then."""
COUNT = 60


STAMP = re.compile(r"(?m)^(?= *(?:\d+  )?[- ]?(?:\d{4}-\d\d-\d\d )?(?:\d\d:\d\d:\d\d|\d{10})\.\d{6} )")


def different(linktype: int, flags: str, seed: int, zone: str = "UTC") -> list[str]:
    """What differs: tcpdump's text and ours, packet by packet."""
    packets = Packets(seed).many(linktype, COUNT)
    with time_zone(zone):
        ours = rendered(packets, flags, linktype)
    theirs = from_tcpdump(packets, flags, linktype, zone)
    if theirs == "".join(ours):
        return []
    wanted = [text for text in STAMP.split(theirs) if text]
    assert len(wanted) == len(ours)
    return [
        f"{octets.hex()} ({origlen}): want {want!r}, have {have!r}"
        for (octets, origlen), want, have in zip(packets, wanted, ours, strict=True)
        if want != have and not NOT_OURS.search(want)
    ]


@pytest.mark.parametrize("linktype", LINKTYPES)
@pytest.mark.parametrize("flags", ["n", "nvv", "nX", "neq"])
def test_link_types(linktype: int, flags: str) -> None:
    assert different(linktype, flags, seed=linktype) == []


@pytest.mark.parametrize("flags", FLAGS)
def test_flags(flags: str) -> None:
    assert different(ETHERNET, flags, seed=1000) == []


@pytest.mark.parametrize("seed", range(2000, 2008))
@pytest.mark.parametrize("flags", ["n", "nvv"])
def test_packets(seed: int, flags: str) -> None:
    assert different(RAW, flags, seed) == []


@pytest.mark.parametrize("flags", TIME_FLAGS)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_time_stamps(flags: str, zone: str) -> None:
    assert different(RAW, flags, 3000, zone) == []
