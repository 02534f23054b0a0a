"""Events: Wireshark's ``tcp.analysis.*`` flags, each in the smallest conversation that has it.

The same texts are given to tshark, when it is installed, which must say the same.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from analyzer.tables import Event
from tests.script import HOSTS, frame, packet_lines, parse, play

OPEN = """
+1 C > S  S 100 mss 1460 wscale 2           |
+0.01 S > C  SA 300 ack 101 mss 1460 wscale 1 |
+0.01 C > S  A 101 ack 301                  |
"""
"""A handshake whose round trip is 20 ms. The windows, 1000 unless said, are scaled by 4 and by 2."""

CASES = {
    "nothing": OPEN + """
        C > S  PA 101:106 ack 301           |
        S > C  A 301 ack 106                |
        S > C  PA 301:306 ack 106           |
        C > S  A 106 ack 306                |
        C > S  FA 106 ack 306               |
        S > C  FA 306 ack 107               |
        C > S  A 107 ack 307                |
    """,
    "retransmission": OPEN + """
        C > S  PA 101:106 ack 301           |
        +1 C > S  PA 101:106 ack 301        | retransmission
    """,
    "retransmission of SYN, of SYN,ACK and of FIN": """
        C > S  S 100                        |
        +1 C > S  S 100                     | retransmission
        S > C  SA 300 ack 101               |
        +1 S > C  SA 300 ack 101            | retransmission
        C > S  A 101 ack 301                |
        C > S  FA 101 ack 301               |
        +1 C > S  FA 101 ack 301            | retransmission
    """,
    "more than an octet from one before the next on is new": OPEN + """
        C > S  PA 101:106 ack 301           |
        +1 C > S  PA 105:108 ack 301        |
    """,
    "a keep-alive with payload is none": OPEN + """
        C > S  PA 101:106 ack 301           |
        +60 C > S  A 105:106 ack 301        | keep_alive
    """,
    "spurious retransmission": OPEN + """
        C > S  PA 101:106 ack 301           |
        S > C  A 301 ack 106                |
        +1 C > S  PA 101:106 ack 301        | retransmission spurious_retransmission
    """,
    "fast retransmission": OPEN + """
        C > S  PA 101:111 ack 301           |
        S > C  A 301 ack 111                |
        C > S  PA 121:131 ack 301           | lost_segment
        S > C  A 301 ack 111                | duplicate_ack
        C > S  PA 131:141 ack 301           |
        S > C  A 301 ack 111                | duplicate_ack
        C > S  PA 111:121 ack 301           | retransmission fast_retransmission
    """,
    "too late to be a fast retransmission": OPEN + """
        C > S  PA 101:111 ack 301           |
        S > C  A 301 ack 111                |
        C > S  PA 121:131 ack 301           | lost_segment
        S > C  A 301 ack 111                | duplicate_ack
        C > S  PA 131:141 ack 301           |
        S > C  A 301 ack 111                | duplicate_ack
        +0.05 C > S  PA 111:121 ack 301     | retransmission
    """,
    "out of order": OPEN + """
        C > S  PA 111:121 ack 301           | lost_segment
        C > S  PA 101:106 ack 301           | out_of_order
    """,
    "too late to be out of order": OPEN + """
        C > S  PA 111:121 ack 301           | lost_segment
        +0.03 C > S  PA 101:106 ack 301     | retransmission
    """,
    "duplicate ACK": OPEN + """
        S > C  PA 301:306 ack 101           |
        C > S  A 101 ack 306                |
        S > C  PA 316:326 ack 101           | lost_segment
        C > S  A 101 ack 306                | duplicate_ack
        C > S  A 101 ack 306 sack 316:326   | duplicate_ack
    """,
    "lost segment": OPEN + """
        S > C  PA 306:311 ack 101           | lost_segment
        S > C  FA 315 ack 101               | lost_segment
        S > C  RA 400 ack 101               |
    """,
    "ACK of a lost segment": OPEN + """
        C > S  A 101 ack 400                | ack_lost_segment
    """,
    "keep-alive and its ACK": OPEN + """
        C > S  PA 101:106 ack 301           |
        S > C  A 301 ack 106                |
        +60 C > S  A 105 ack 301            | keep_alive
        S > C  A 301 ack 106                | keep_alive_ack
        +60 C > S  A 105 ack 301            | keep_alive
        S > C  A 301 ack 106                | keep_alive_ack
    """,
    "window update": OPEN + """
        S > C  A 301 ack 101 win 2000       | window_update
        S > C  A 301 ack 101 win 2000       | duplicate_ack
    """,
    "a window update that comes twice after a probe": OPEN + """
        C > S  PA 101:106 ack 301           |
        S > C  A 301 ack 106 win 0          | zero_window
        +1 C > S  A 106:107 ack 301         | zero_window_probe
        S > C  A 301 ack 106 win 2000       | window_update
        S > C  A 301 ack 106 win 2000       | duplicate_ack
    """,
    "zero window, its probe and the probe's ACK, the update": OPEN + """
        C > S  PA 101:106 ack 301           |
        S > C  A 301 ack 106 win 0          | zero_window
        +1 C > S  A 106:107 ack 301         | zero_window_probe
        S > C  A 301 ack 106 win 0          | zero_window zero_window_probe_ack
        S > C  A 301 ack 106 win 900        | window_update
    """,
    "window 0 of SYN, FIN, RST is no zero window": """
        C > S  S 100 win 0                  |
        S > C  SA 300 ack 101 win 0         |
        C > S  A 101 ack 301                |
        S > C  FA 301 ack 101 win 0         |
        C > S  RA 101 ack 302 win 0         |
    """,
    "window full": OPEN + """
        S > C  A 301 ack 101 win 5          | window_update
        C > S  PA 101:106 ack 301           |
        C > S  PA 106:111 ack 301           | window_full
    """,
    "reused ports": OPEN + """
        C > S  S 900                        | reused_ports
        S > C  SA 800 ack 901               |
    """,
}  # fmt: skip

OURS = {
    "reused ports, the same number after the end": """
        C > S  S 100                        |
        S > C  RA 0 ack 101                 |
        C > S  S 100                        | reused_ports
    """,
}  # fmt: skip
"""Where Wireshark 4.0 says something else: to it the last SYN is a retransmission."""


def meant(text: str) -> list[list[str]]:
    """The events that a text says of each packet."""
    return [sorted(line.split("|")[1].split()) for line in packet_lines(text)]


@pytest.mark.parametrize("text", (CASES | OURS).values(), ids=CASES | OURS)
def test_case(text: str) -> None:
    lines = [line.split("|")[0] for line in packet_lines(text)]
    events = play("\n".join(lines)).labels.events.tolist()
    assert [sorted(event.name.lower() for event in Event if bits >> event & 1) for bits in events] == meant(text)


def test_every_event_has_its_case() -> None:
    assert {word for text in CASES.values() for events in meant(text) for word in events} == {
        event.name.lower() for event in Event if event != Event.CAPTURE_DUPLICATE
    }


TSHARK = [
    "retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "duplicate_ack",
    "lost_segment", "ack_lost_segment", "keep_alive", "keep_alive_ack", "zero_window", "zero_window_probe",
    "zero_window_probe_ack", "window_full", "window_update", "reused_ports",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_says_the_same(tmp_path: Path) -> None:
    octets = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    said = []
    for k, text in enumerate(CASES.values()):
        hosts = {"C": (HOSTS["C"][0], 40000 + k), "S": HOSTS["S"]}
        for segment in parse(text):
            one = frame(segment, hosts)
            seconds, nanoseconds = divmod(segment.ts_ns, 10**9)
            octets += struct.pack("<IIII", seconds, nanoseconds, len(one), len(one)) + one
        said += meant(text)
    path = tmp_path / "events.pcap"
    path.write_bytes(octets)
    names = [word for name in TSHARK for word in ("-e", f"tcp.analysis.{name}")]
    run = subprocess.run(
        ["tshark", "-n", "-2", "-r", str(path), "-T", "fields", *names], check=True, capture_output=True, text=True
    )
    told = [
        sorted(name for name, value in zip(TSHARK, line.split("\t"), strict=True) if value)
        for line in run.stdout.splitlines()
    ]
    assert told == said
