"""What frames show of a capture's flaws, each in a batch that has it."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capture.source import open_capture
from analyzer.decode import flaws as flaws_module
from analyzer.decode.flaws import Flaws
from analyzer.decode.packets import decode
from analyzer.flaws import Flaw
from analyzer.tables import PSH, Frames
from tests.script import START_NS, Hosts, Segment, batch, frame, read_only

IPV6: Hosts = {"C": ("2001:db8::1", 40000), "S": ("2001:db8::2", 80)}
MADE = Path(__file__).parents[2] / "captures" / "made"
MS = 1_000_000
BESIDES = Flaw.TICK_NS, Flaw.VERIFIED_CHECKSUMS, Flaw.VERIFIED_OCTETS


def flaws_of(*batches: Frames) -> dict[str, int]:
    """The tally without its zeros, the tick, and how much was verified."""
    flaws = Flaws()
    for frames in batches:
        flaws.add(frames, decode(frames))
    return {flaw.name: int(flaws.tally[flaw]) for flaw in Flaw if flaws.tally[flaw] and flaw not in BESIDES}


def captured(octets: Sequence[bytes], caplen: int, ts_ns: Sequence[int] | None = None) -> Frames:
    """These frames, cut to ``caplen`` octets."""
    made = batch([one[:caplen] for one in octets], ts_ns)
    return read_only(made._replace(origlen=np.array([len(one) for one in octets], np.uint32)))


# ---------------------------------------------------------------- what was cut


def test_cut_payload_and_cut_headers() -> None:
    frames = [frame(Segment(0, "C", "S", PSH, payload_len=length)) for length in (0, 10, 100)]
    assert flaws_of(captured(frames, 60)) == {
        "CUT": 2, "LONGEST_CUT": 60, "CHECKSUMS": 3, "UNFINISHED_CHECKSUMS": 3,
    }  # fmt: skip
    assert flaws_of(captured(frames, 53)) == {"CUT": 3, "LONGEST_CUT": 53, "CUT_HEADERS": 3}


def test_a_frame_that_was_sent_too_short_is_not_the_capture_s_fault() -> None:
    assert flaws_of(batch([frame(Segment(0, "C", "S", PSH))[:53]])) == {}


# ---------------------------------------------------------------- checksums


def internet_checksum(octets: bytes) -> int:
    """RFC 1071, word by word."""
    total = sum(struct.unpack(f"!{len(octets + b'x') // 2}H", octets + bytes(len(octets) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def tcp_frame(payload: bytes, written: str, hosts: Hosts | None = None, *, ttl: int = 64) -> bytes:
    """A frame whose TCP checksum is right, or what else is said."""
    segment = Segment(0, "C", "S", PSH, payload_len=len(payload), ttl=ttl)
    octets = frame(segment, hosts) if hosts else frame(segment)
    at = 54 if hosts else 34
    addresses = octets[22:54] if hosts else octets[26:34]
    tcp = octets[at : at + 20] + payload
    pseudo = addresses + struct.pack("!II", len(tcp), 6)
    without_len = addresses + struct.pack("!II", 0, 6)
    checksum = {
        "right": 0xFFFF - internet_checksum(pseudo + tcp),
        "wrong": 0xFFFF - internet_checksum(pseudo + tcp) ^ 0x0100,
        "partial": internet_checksum(pseudo),
        "partial without length": internet_checksum(without_len),
        "0": 0,
    }[written]
    return octets[:at] + tcp[:16] + struct.pack("!H", checksum) + tcp[18:]


@pytest.mark.parametrize("hosts", [None, IPV6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(
    ("written", "flaw"),
    [("right", {}), ("wrong", {"WRONG_CHECKSUMS": 1, "FIRST_WRONG_CHECKSUM": 1}),
     ("partial", {"UNFINISHED_CHECKSUMS": 1}), ("partial without length", {"UNFINISHED_CHECKSUMS": 1}),
     ("0", {"UNFINISHED_CHECKSUMS": 1})],
)  # fmt: skip
@pytest.mark.parametrize("payload", [b"", b"a", b"ab", b"abc", b"abcd", b"\xff" * 1_461])
def test_checksums(payload: bytes, written: str, flaw: dict[str, int], hosts: Hosts | None) -> None:
    assert flaws_of(batch([tcp_frame(payload, written, hosts)])) == {"CHECKSUMS": 1} | flaw


@given(st.binary(max_size=300))
def test_a_right_checksum_is_never_wrong(payload: bytes) -> None:
    assert "WRONG_CHECKSUMS" not in flaws_of(batch([tcp_frame(payload, "right")]))


def test_the_first_wrong_one_is_named() -> None:
    octets = [tcp_frame(b"abc", written) for written in ("right", "wrong", "wrong")]
    assert flaws_of(batch(octets)) == {"CHECKSUMS": 3, "WRONG_CHECKSUMS": 2, "FIRST_WRONG_CHECKSUM": 2}


def test_of_a_cut_segment_only_the_sum_over_the_pseudo_header_is_known() -> None:
    octets = [tcp_frame(b"abcdefgh", written) for written in ("wrong", "partial")]
    found = flaws_of(captured(octets, 60))
    assert (found["CHECKSUMS"], found["UNFINISHED_CHECKSUMS"], "WRONG_CHECKSUMS" in found) == (2, 1, False)


def test_not_every_octet_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "never")
    monkeypatch.setattr(flaws_module, "FIRST_OCTETS", 100)
    octets = [tcp_frame(bytes(80), "right")] * 3 + [tcp_frame(b"", "wrong")] * 2
    tallies = []
    for batches in ([batch(octets)], [batch([one]) for one in octets]):
        flaws = Flaws()
        for frames in batches:
            flaws.add(frames, decode(frames))
        tallies.append(flaws.tally[: Flaw.FIRST_WRONG_CHECKSUM].tolist())
    assert tallies[0] == tallies[1] == [0, 0, 0, 5, 0, 4, 100 + 100 + 20 + 20, 2]


def test_fragments_options_and_extensions_are_left_out() -> None:
    whole = tcp_frame(b"abc", "wrong")
    fragment = whole[:20] + b"\x20\x00" + whole[22:]
    longer = struct.pack("!H", len(whole) - 14 + 4)
    options = whole[:14] + b"\x46" + whole[15:16] + longer + whole[18:34] + bytes(4) + whole[34:]
    ipv6 = tcp_frame(b"abc", "wrong", IPV6)
    extended = ipv6[:18] + struct.pack("!HB", len(ipv6) - 54 + 8, 60) + ipv6[21:54] + b"\x06" + bytes(7) + ipv6[54:]
    decoded = decode(batch([fragment, options, extended]))
    assert decoded.src_port.tolist() == [0, 40000, 40000]
    assert flaws_of(batch([fragment, options, extended])) == {}


def test_udp_has_none() -> None:
    assert flaws_of(batch([frame(Segment(0, "C", "S", -1, payload_len=5))])) == {}


def test_linux_leaves_them_unfinished_on_loopback() -> None:
    with open_capture(MADE / "echo-tcp-23333.pcap") as loopback, open_capture(MADE / "simultaneous-close.pcap") as wire:
        assert flaws_of(*loopback) == {"CHECKSUMS": 10, "UNFINISHED_CHECKSUMS": 10}
        assert flaws_of(*wire) == {"CHECKSUMS": 11}


# ---------------------------------------------------------------- clocks

EMPTY = bytes(12) + b"\x88\xcc"


def at(*times_ns: int, interface: Sequence[int] | None = None) -> Frames:
    made = batch([EMPTY] * len(times_ns), [START_NS + one for one in times_ns])
    return read_only(made._replace(interface=np.array(interface or [0] * len(times_ns), np.uint16)))


def test_a_clock_set_back() -> None:
    assert flaws_of(at(5 * MS, 4 * MS, 9 * MS, 7 * MS + 1, 3 * MS)) == {
        "STEPS_BACK": 2, "LONGEST_STEP_BACK_NS": 4 * MS + 1, "FIRST_STEP_BACK": 4,
    }  # fmt: skip


def test_each_interface_has_its_clock() -> None:
    times = 0, 50 * MS, 1 * MS, 51 * MS
    assert flaws_of(at(*times, interface=[0, 1, 0, 1])) == {}
    assert flaws_of(at(*times, interface=[0, 1, 1, 1]))["FIRST_STEP_BACK"] == 3


def test_batches_go_on_where_the_last_one_ended() -> None:
    assert flaws_of(at(5 * MS, 9 * MS), at(0))["LONGEST_STEP_BACK_NS"] == 9 * MS
    assert flaws_of(at(5), at(5)) == {"SAME_TIMES": 1}


@pytest.mark.parametrize(
    ("times", "tick_ns"),
    [([0, 10 * MS, 50 * MS], 10 * MS), ([0, 1_000 * MS, 3_000 * MS], 1_000 * MS), ([0, 10 * MS, 10 * MS + 1_000], 1)],
)
def test_the_tick_of_the_clock(times: list[int], tick_ns: int) -> None:
    flaws = Flaws()
    for frames in (at(times[0]), at(*times[1:]), at(times[-1])):
        flaws.add(frames, decode(frames))
    assert flaws.tally[Flaw.TICK_NS] == tick_ns


# ---------------------------------------------------------------- compiled and interpreted

NO_JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


@pytest.mark.skipif(NO_JIT, reason="NUMBA_DISABLE_JIT forbids compiling")
def test_compiled_and_interpreted_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = batch([tcp_frame(b"abcdefg", "wrong")] * 3)
    for frames in (wrong, at(9 * MS, 2 * MS, 2 * MS), captured([frame(Segment(0, "C", "S", PSH))], 53)):
        tallies = []
        for mode in ("always", "never"):
            monkeypatch.setenv("TCPFLOW_VIEW_JIT", mode)
            tallies.append(flaws_of(frames))
        assert tallies[0] == tallies[1] != {}
