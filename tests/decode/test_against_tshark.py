"""The example captures decoded as tshark decodes them."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from analyzer.pipeline import Run
from analyzer.tables import Packets, Protocol, Status
from analyzer.traces import BY_DESTINATION, QUOTES_UDP, Unreachable

CAPTURES = sorted((Path(__file__).parents[2] / "captures" / "made").glob("*.pcap*"))

FIELDS = {
    "ip.src": "", "ip.dst": "", "ip.id": "", "ip.ttl": "", "ipv6.src": "", "ipv6.dst": "", "ipv6.hlim": "",
    "tcp.srcport": "src_port", "tcp.dstport": "dst_port", "tcp.seq_raw": "seq", "tcp.ack_raw": "ack",
    "tcp.flags": "flags", "tcp.window_size_value": "window", "tcp.len": "payload_len",
    "tcp.options.mss_val": "mss", "tcp.options.wscale.shift": "window_scale",
    "tcp.options.timestamp.tsval": "ts_val", "tcp.options.timestamp.tsecr": "ts_ecr",
    "tcp.options.sack_le": "", "tcp.options.sack_re": "", "udp.srcport": "", "udp.dstport": "", "udp.length": "",
}  # fmt: skip
"""tshark's field and our column, where the value is simply that."""

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def dissected(path: Path) -> list[dict[str, str]]:
    """Of each packet tshark's fields; where a header stands in another (ICMP), those of the first."""
    flags = [word for field in FIELDS for word in ("-e", field)]
    run = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|", *flags],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in run.stdout.splitlines()]


def number(text: str) -> int:
    return int(text.split("|")[0] or "0", 0)


def addresses(rows: Packets, i: int) -> list[str]:
    words = [rows.address[i, at : at + 4].astype(">u4").tobytes() for at in (0, 4)]
    version = int(rows.ip_version[i])
    return [str(ipaddress.ip_address(word[-4:] if version == 4 else word)) for word in words]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_capture(path: Path) -> None:
    told = dissected(path)
    seen = 0
    with Run(path) as run:
        for frames, rows, _ in run:
            for i, n in enumerate(frames.number.tolist()):
                check(rows, i, told[n - 1])
                seen += 1
    assert seen == len(told) > 0


def check(rows: Packets, i: int, told: dict[str, str]) -> None:
    assert rows.status[i] == Status.WHOLE
    ip = "ip" if rows.ip_version[i] == 4 else "ipv6"
    header = -1 if rows.unreachable[i] else 0  # that of the packet that an ICMP error quotes, or the packet's own
    assert addresses(rows, i) == [told[f"{ip}.{end}"].split("|")[header] for end in ("src", "dst")]
    assert rows.ttl[i] == number(told["ip.ttl"] or told["ipv6.hlim"])
    assert rows.ip_id[i] == number(told["ip.id"])
    protocol = Protocol(int(rows.protocol[i]))
    if protocol == Protocol.TCP:
        assert told["tcp.srcport"]
        for field, column in FIELDS.items():
            if column:
                assert getattr(rows, column)[i] == number(told[field]), field
        edges = [told[f"tcp.options.sack_{side}"].split("|") for side in ("le", "re")] if rows.sack_blocks[i] else []
        # tshark's edges are relative numbers: the blocks' widths are what can be compared
        widths = [int(right) - int(left) for left, right in zip(*edges, strict=True)] if edges else []
        sack = rows.sack[i].astype(np.int64)
        blocks = int(rows.sack_blocks[i])
        assert [int(sack[2 * k + 1] - sack[2 * k]) for k in range(blocks)] == widths
    elif protocol == Protocol.UDP:
        assert (rows.src_port[i], rows.dst_port[i]) == (number(told["udp.srcport"]), number(told["udp.dstport"]))
        assert rows.payload_len[i] == number(told["udp.length"]) - 8
    else:
        assert protocol == Protocol.ICMP
        assert rows.unreachable[i] == Unreachable.PORT | QUOTES_UDP | BY_DESTINATION
        assert (rows.src_port[i], rows.dst_port[i]) == (number(told["udp.srcport"]), number(told["udp.dstport"]))
