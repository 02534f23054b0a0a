"""Events: Wireshark's ``tcp.analysis.*`` flags, each in the smallest conversation that has it.

The same texts are given to tshark, when it is installed, which must say the same.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.decode.packets import decode
from analyzer.tables import ACK, SYN, Event
from analyzer.tcp.reconstruct import Reconstruction
from tests.script import HOSTS, Segment, frame, frames, packet_lines, parse, play
from tests.tcp.conversations import conversations

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
    "out of order, though seen before": OPEN + """
        C > S  PA 101:106 ack 301           |
        C > S  PA 106:111 ack 301           |
        C > S  PA 101:106 ack 301           | out_of_order
        C > S  PA 106:111 ack 301           | retransmission
    """,
    "out of order within 3 ms when the round trip is not known": """
        C > S  PA 111:121 ack 301           |
        C > S  PA 101:106 ack 301           | out_of_order
        +0.0025 C > S  PA 101:106 ack 301   | retransmission
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
    "no duplicate ACK": OPEN + """
        S > C  PA 301:306 ack 101           |
        C > S  A 101 ack 306                |
        C > S  A 101 ack 301                |
        C > S  A 101 ack 306                |
        C > S  RA 101 ack 306               |
        C > S  A 106 ack 306                | lost_segment
        C > S  A 106 ack 306                | duplicate_ack
    """,
    "an ACK of what was not seen, and the duplicates after it": OPEN + """
        C > S  PA 101:106 ack 320           | ack_lost_segment
        C > S  A 106 ack 330                |
        S > C  A 301 ack 106                |
        C > S  A 106 ack 330                | ack_lost_segment duplicate_ack
    """,
    "what was not seen is acknowledged past and then repeated": OPEN + """
        S > C  A 301 ack 120                | ack_lost_segment
        S > C  PA 301:311 ack 120           |
        S > C  PA 311:316 ack 120           |
        C > S  A 120 ack 330                | lost_segment ack_lost_segment
        C > S  PA 120:130 ack 330           |
        S > C  PA 301:311 ack 120           | ack_lost_segment retransmission spurious_retransmission
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
    "a probe's octet that was taken": OPEN + """
        C > S  PA 101:106 ack 301           |
        S > C  A 301 ack 106 win 0          | zero_window
        +1 C > S  A 106:107 ack 301         | zero_window_probe
        S > C  A 301 ack 107 win 0          | zero_window ack_lost_segment
        +1 C > S  A 107:108 ack 301         | lost_segment
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
    "window full, not scaled until the SYN is acknowledged": """
        C > S  S 100 wscale 2               |
        S > C  SA 300 ack 101 wscale 1 win 5 |
        C > S  PA 101:106 ack 301           | window_full
        S > C  A 301 ack 106 win 5          |
        C > S  PA 106:116 ack 301           | window_full
    """,
    "window full, not scaled when one does not": """
        C > S  S 100 wscale 2               |
        S > C  SA 300 ack 101               |
        C > S  A 101 ack 301                |
        S > C  A 301 ack 101 win 5          | window_update
        C > S  PA 101:106 ack 301           | window_full
    """,
    "window full, not scaled when the SYN did not": """
        C > S  S 100                        |
        S > C  SA 300 ack 101 wscale 2      |
        C > S  A 101 ack 301                |
        S > C  A 301 ack 101 win 5          | window_update
        C > S  PA 101:106 ack 301           | window_full
    """,
    "the scale of one that did not scale before": """
        C > S  S 100 wscale 1               |
        S > C  SA 300 ack 101               |
        +1 S > C  SA 300 ack 101            | retransmission
        +1 C > S  S 100 wscale 1            | retransmission
        C > S  A 101 ack 301 win 5          |
        S > C  PA 301:311 ack 101           | window_full
    """,
    "no window full when the scale is not known": """
        S > C  A 301 ack 101 win 5          |
        C > S  PA 101:106 ack 301           |
    """,
    "a SYN,ACK with another number": OPEN + """
        S > C  A 301 ack 101                | duplicate_ack
        +1 S > C  SA 900 ack 101            | reused_ports lost_segment
    """,
    "a SYN that comes again puts the next sequence number back": """
        C > S  S 100                        |
        C > S  PA 105:110 ack 301           | lost_segment
        C > S  S 100                        | retransmission
        C > S  PA 101:105 ack 301           |
    """,
    "reused ports": OPEN + """
        C > S  S 900                        | reused_ports
        S > C  SA 800 ack 901               |
    """,
    "a SYN that was refused comes again": """
        C > S  S 100                        |
        S > C  RA 0 ack 101                 |
        C > S  S 100                        | retransmission
        S > C  SA 300 ack 101               | reused_ports
        C > S  A 101 ack 301                |
    """,
}  # fmt: skip

OURS = {
    "reused ports, the same number after the end": OPEN + """
        C > S  R 101                        |
        C > S  S 100                        | reused_ports
    """,
    "Fast Open": """
        C > S  S 100:110                    | fast_open
        S > C  SA 300 ack 111               |
        C > S  A 111 ack 301                |
    """,
    "D-SACK": OPEN + """
        S > C  A 301 ack 201 sack 101:111   | ack_lost_segment dsack
        S > C  A 301 ack 201 sack 211:221   | duplicate_ack
        S > C  A 301 ack 201 sack 213:215,211:221 | duplicate_ack dsack
        S > C  A 301 ack 201 sack 208:215,211:221 | duplicate_ack
        S > C  A 301 ack 201 sack 213:225,211:221 | duplicate_ack
    """,
    "congestion": """
        C > S  SEW 100                      | ecn_setup
        S > C  SAE 300 ack 101              | ecn_setup
        C > S  A 101 ack 301                |
        C > S  PA 101:111 ack 301           |
        S > C  AE 301 ack 111               | congestion_echo
        C > S  PAW 111:121 ack 301          | window_reduced
    """,
    "congestion, not taken": """
        C > S  SEW 100                      | ecn_setup
        S > C  SA 300 ack 101               |
    """,
    "congestion, half offered": """
        C > S  SE 100                       |
        S > C  SAEW 300 ack 101             |
    """,
    "old timestamps": """
        C > S  S 100 ts 50 0                |
        S > C  SA 300 ack 101 ts 9 50       |
        C > S  A 101 ack 301 ts 51 9        |
        C > S  PA 111:121 ack 301 ts 60 9   | lost_segment
        C > S  PA 101:111 ack 301 ts 55 9   | out_of_order
        C > S  PA 121:131 ack 301 ts 54 9   | old_timestamp
        C > S  RA 131 ack 301 ts 54 9       |
        C > S  A 131 ack 301                | duplicate_ack
        C > S  S 900 ts 3 0                 | reused_ports
    """,
    "Multipath TCP": """
        C > S  S 100 mptcp                  | mptcp
        S > C  SA 300 ack 101 mptcp         | mptcp
        C > S  A 101 ack 301 mptcp          |
    """,
    "urgent data": OPEN + """
        C > S  PAU 101:106 ack 301          | urgent
    """,
}  # fmt: skip
"""Where Wireshark 4.0 says something else (to it the last SYN of the first is a retransmission) or has no word."""


def meant(text: str) -> list[list[str]]:
    """The events that a text says of each packet."""
    return [sorted(line.split("|")[1].split()) for line in packet_lines(text)]


@pytest.mark.parametrize("text", (CASES | OURS).values(), ids=CASES | OURS)
def test_case(text: str) -> None:
    lines = [line.split("|")[0] for line in packet_lines(text)]
    events = play("\n".join(lines)).labels.events.tolist()
    assert [sorted(event.name.lower() for event in Event if bits >> event & 1) for bits in events] == meant(text)


def test_time_that_steps_back_is_no_time_between() -> None:
    text = OPEN + "C > S PA 111:121 ack 301\nC > S PA 101:106 ack 301"
    *others, late = parse("\n".join(line.split("|")[0] for line in packet_lines(text)))
    events = [play([*others, late._replace(ts_ns=late.ts_ns - back)]).labels.events[-1] for back in (0, 2_000_000)]
    assert events == [1 << Event.OUT_OF_ORDER, 1 << Event.RETRANSMISSION]


REFERENCES = {
    "the segment sent again": (OPEN + """
        C > S  PA 101:111 ack 301           |
        C > S  PA 111:121 ack 301           |
        +1 C > S  PA 111:121 ack 301        | 5
        +1 C > S  PA 106:126 ack 301        | 4
        S > C  A 301 ack 111                |
        +1 C > S  PA 111:121 ack 301        | 5
        S > C  A 301 ack 126                |
        +1 C > S  PA 111:121 ack 301        | 0
    """),
    "what begins in a segment": (OPEN + """
        C > S  PA 101:111 ack 301           |
        C > S  PA 121:131 ack 301           |
        +1 C > S  PA 111:121 ack 301        | 0
        +1 C > S  PA 129:141 ack 301        | 5
    """),
    "the ACK that is repeated, and how often": (OPEN + """
        S > C  PA 301:306 ack 101           |
        C > S  A 101 ack 306                |
        C > S  A 101 ack 306                | 5 1
        S > C  PA 316:326 ack 101           |
        C > S  A 101 ack 306                | 5 2
        C > S  A 101 ack 316                |
        C > S  A 101 ack 316                | 9 1
    """),
}  # fmt: skip


@pytest.mark.parametrize("text", REFERENCES.values(), ids=REFERENCES)
def test_what_events_refer_to(text: str) -> None:
    lines = [line.split("|") for line in packet_lines(text)]
    labels = play("\n".join(line for line, _ in lines)).labels
    told = [tuple(map(int, said.split())) for _, said in lines]
    assert labels.refers_to.tolist() == [words[0] if words else 0 for words in told]
    assert labels.repeat.tolist() == [words[1] if len(words) > 1 else 0 for words in told]


def test_a_frame_that_had_no_room_for_its_payload() -> None:
    """Records that say how long a frame was are believed over an IP header that claims more."""
    segments = parse("C > S S 100\nS > C SA 300 ack 101\nC > S PA 101:901 ack 301\nC > S PA 901:950 ack 301")
    captured = frames(segments)
    for origlen, event in ((854, 0), (74, 1 << Event.LOST_SEGMENT), (40, 0)):
        lengths = captured.origlen.copy()
        lengths[2] = origlen
        claimed = captured._replace(origlen=lengths)
        labels = Reconstruction().feed(claimed, decode(captured))
        assert labels.events.tolist() == [0, 0, 0, event]


def test_every_event_has_its_case() -> None:
    assert {word for text in (CASES | OURS).values() for events in meant(text) for word in events} == {
        event.name.lower() for event in Event if event not in (Event.CAPTURE_DUPLICATE, Event.TURNED_ROUND)
    }


TSHARK = [
    "retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "duplicate_ack",
    "lost_segment", "ack_lost_segment", "keep_alive", "keep_alive_ack", "zero_window", "zero_window_probe",
    "zero_window_probe_ack", "window_full", "window_update", "reused_ports",
]  # fmt: skip


def told_by_tshark(path: Path, conversations: list[list[Segment]]) -> list[list[str]]:
    """tshark's events of each packet of these conversations, in one pass, each with a port of its own."""
    octets = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    for k, segments in enumerate(conversations):
        hosts = {"C": (HOSTS["C"][0], 40000 + k), "S": HOSTS["S"]}
        for segment in segments:
            one = frame(segment, hosts)
            seconds, nanoseconds = divmod(segment.ts_ns, 10**9)
            octets += struct.pack("<IIII", seconds, nanoseconds, len(one), len(one)) + one
    path.write_bytes(octets)
    names = [word for name in TSHARK for word in ("-e", f"tcp.analysis.{name}")]
    run = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", *names], check=True, capture_output=True, text=True
    )
    return [
        sorted(name for name, value in zip(TSHARK, line.split("\t"), strict=True) if value)
        for line in run.stdout.splitlines()
    ]


needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@needs_tshark
def test_tshark_says_the_same(tmp_path: Path) -> None:
    said = [events for text in CASES.values() for events in meant(text)]
    assert told_by_tshark(tmp_path / "events.pcap", [parse(text) for text in CASES.values()]) == said


@needs_tshark
@settings(max_examples=6)
@given(st.lists(conversations(), min_size=8, max_size=16))
def test_tshark_says_the_same_of_what_is_made_up(made_up: list[list[Segment]]) -> None:
    """But for what we or it see as several connections, and for sequence numbers 0 and one before."""
    asked, said = [], []
    for segments in made_up:
        labels = play(segments).labels
        bare_syn = np.array([one.flags & (SYN | ACK) == SYN for one in segments], np.bool_)
        one_connection = (labels.connection == 1).all() and not (
            labels.events[bare_syn] >> Event.REUSED_PORTS & 1
        ).any()
        numbers = [number for one in segments for number in (one.seq, one.seq + 1, one.seq_end)]
        numbers += [one.ack for one in segments if one.flags & ACK]
        if one_connection and all(number % 2**32 for number in numbers):
            asked.append(segments)
            said += [[name for name in sorted(TSHARK) if bits >> Event[name.upper()] & 1] for bits in labels.events]
    with tempfile.TemporaryDirectory() as folder:
        assert told_by_tshark(Path(folder) / "events.pcap", asked) == said
