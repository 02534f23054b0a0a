"""What decoding keeps to, whatever octets come: a row each, no exception, nothing read that is not there."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.decode.link import (
    C_HDLC,
    ETHERNET,
    IPV4,
    IPV6,
    LINUX_SLL,
    LINUX_SLL2,
    LOOP,
    NULL,
    PPP,
    PPP_ETHER,
    PPP_HDLC,
    RAW,
)
from analyzer.decode.packets import decode, decode_batch
from analyzer.jit import fastest
from analyzer.tables import Frames, Packets, Protocol, Status
from tests.script import HOSTS, Hosts, Segment, batch, frame, frames, packets, read_only
from tests.tcp.conversations import garbage

LINKTYPES = [NULL, ETHERNET, PPP, PPP_HDLC, PPP_ETHER, RAW, C_HDLC, LOOP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2]

SIX: Hosts = {"C": ("2001:db8::1", 40000), "S": ("2001:db8::2", 80)}

IN_FRONT = {
    NULL: [b"\2\0\0\0", b"\x1e\0\0\0"], ETHERNET: [bytes(12) + b"\x08\0", bytes(12) + b"\x81\0\0\5\x86\xdd"],
    PPP: [b"\xff\3\0\x21"], PPP_HDLC: [b"\xff\3\0\x57"], PPP_ETHER: [b"\x11\0\0\1\0\0\0\x21"], RAW: [b""],
    C_HDLC: [b"\x0f\0\x08\0"], LOOP: [b"\0\0\0\2"], LINUX_SLL: [bytes(14) + b"\x08\0"], IPV4: [b""], IPV6: [b""],
    LINUX_SLL2: [b"\x08\0" + bytes(18)],
}  # fmt: skip


@st.composite
def framed(draw: st.DrawFn) -> tuple[int, bytes]:
    """A link type and octets: any at all, or a packet some of whose octets were changed."""
    linktype = draw(st.sampled_from([*LINKTYPES, 127]))
    if linktype == 127 or draw(st.booleans()):
        return linktype, draw(st.binary(max_size=120))
    six = draw(st.booleans())
    segments = draw(garbage(3)) or [Segment(0, "C", "S", 2)]
    octets = draw(st.sampled_from(IN_FRONT[linktype])) + frame(segments[0], SIX if six else HOSTS)[14:]
    changed = bytearray(octets)
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(octets) - 1), st.integers(0, 255)), max_size=4)):
        changed[at] = value
    return linktype, bytes(changed)


def assembled(made: list[tuple[int, bytes]], cut: int = 0) -> Frames:
    """A batch of frames, the last ``cut`` octets of each not captured."""
    octets = [frame for _, frame in made]
    whole = batch(octets)
    caplen = np.array([max(0, len(one) - cut) for one in octets], np.uint32)
    return read_only(whole._replace(caplen=caplen, linktype=np.array([kind for kind, _ in made], np.uint16)))


FRAMES = st.lists(framed(), min_size=1, max_size=6)


def assert_same(one: Packets, other: Packets) -> None:
    for name in Packets._fields:
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name


@given(FRAMES)
def test_every_frame_has_a_row_within_its_columns(made: list[tuple[int, bytes]]) -> None:
    captured = assembled(made)
    rows = decode(captured)
    assert {len(column) for column in rows} == {len(made)}
    assert set(rows.status.tolist()) <= set(Status)
    assert set(rows.protocol.tolist()) <= set(Protocol)
    assert set(rows.ip_version.tolist()) <= {0, 4, 6}
    assert (rows.flags <= 0x1FF).all()
    assert (rows.window_scale <= 14).all()
    assert (rows.sack_blocks <= 4).all()
    ported = (rows.src_port > 0) | (rows.dst_port > 0)
    assert np.isin(rows.protocol[ported], [Protocol.TCP, Protocol.UDP]).all()
    assert (rows.status[ported] == Status.WHOLE).all()
    transport = (rows.payload_start > 0) & (rows.status != Status.FRAGMENT)
    assert (rows.payload_start[transport] > captured.start[transport]).all()
    assert (rows.address[rows.ip_version == 0] == 0).all()


@given(FRAMES)
def test_a_frames_neighbours_do_not_matter(made: list[tuple[int, bytes]]) -> None:
    together = decode(assembled(made))
    for i, one in enumerate(made):
        alone = decode(assembled([one]))
        if alone.payload_start[0] or alone.status[0] == Status.FRAGMENT:
            alone.payload_start[0] += sum(len(octets) for _, octets in made[:i])
        for name in Packets._fields:
            assert getattr(together, name)[i].tolist() == getattr(alone, name)[0].tolist(), name


@given(FRAMES, st.integers(1, 100))
def test_what_lies_before_a_cut_stays(made: list[tuple[int, bytes]], cut: int) -> None:
    """A field of a cut frame is that of the whole frame, or is missing; what is WHOLE lacks options at most."""
    whole, part = decode(assembled(made)), decode(assembled(made, cut))
    for i in range(len(made)):
        for name in set(Packets._fields) - {"status", "protocol", "options", "sack", "address"}:
            assert getattr(part, name)[i] in (getattr(whole, name)[i], 0), name
        assert part.address[i].tolist() in (whole.address[i].tolist(), [0] * 8)
        assert int(part.options[i]) & ~int(whole.options[i]) == 0
        assert part.status[i] in (whole.status[i], Status.CUT)
        assert part.protocol[i] in (whole.protocol[i], Protocol.IPV4, Protocol.IPV6, Protocol.OTHER)
        if part.status[i] == Status.WHOLE:
            for name in ("ip_version", "ttl", "src_port", "dst_port", "seq", "ack", "flags", "window", "payload_len"):
                assert getattr(part, name)[i] == getattr(whole, name)[i], name


@given(garbage(), st.booleans())
def test_packets_come_through_octets_as_they_were_meant(segments: list[Segment], six: bool) -> None:
    hosts = SIX if six else HOSTS
    rows, meant = decode(frames(segments, hosts)), packets(segments, hosts)
    for name in set(Packets._fields) - {"payload_start", "ttl"}:
        assert getattr(rows, name).tolist() == getattr(meant, name).tolist(), name


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"), reason="NUMBA_DISABLE_JIT forbids compiling"
)
def test_compiled_and_interpreted_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
    assert fastest(decode_batch) is not decode_batch

    @given(FRAMES, st.integers(0, 60))
    def agree(made: list[tuple[int, bytes]], cut: int) -> None:
        captured = assembled(made, cut)
        monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
        compiled = decode(captured)
        monkeypatch.setenv("TCPFLOW_VIEW_JIT", "never")
        assert_same(compiled, decode(captured))

    agree()
