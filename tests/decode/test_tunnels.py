"""Packets inside packets: the innermost headers are what the columns speak of, however they got there."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.decode.layers import Layer, layers
from analyzer.decode.packets import MOST_TUNNELS, decode, decode_batch
from analyzer.jit import fastest
from analyzer.tables import Frames, Packets, Protocol, Status, Tunnel
from tests.decode.encapsulated import (
    GRE,
    ICMP,
    INNER4,
    INNER6,
    IP,
    OUTER4,
    SINGLE,
    TCP,
    UDP,
    WAYS,
    Raw,
    ether,
    gtp,
    ip,
    nested,
    segment,
    single,
    udp,
    vxlan,
)
from tests.decode.test_ip import addresses, said
from tests.script import batch, read_only

NESTED = [nested(random.Random(seed), 2 + seed % 4) for seed in range(60)]
MADE = [single(*way) for way in SINGLE] + [octets for octets, _ in NESTED]


def assert_segment(rows: Packets, version: int, i: int = 0) -> None:
    """Row ``i`` is that of the segment inside."""
    row = Packets._make(column[i : i + 1] for column in rows)
    assert said(row) == ("WHOLE", "TCP")
    assert addresses(row) == (INNER4 if version == 4 else INNER6)
    assert (row.ip_version[0], row.ttl[0], row.ip_id[0]) == (version, 9, 77 if version == 4 else 0)
    assert (row.src_port[0], row.dst_port[0], row.seq[0], row.ack[0]) == (40000, 443, 7, 9)
    assert (row.flags[0], row.window[0], row.payload_len[0], row.ts_val[0]) == (0x18, 5, 7, 5)


def named(octets: bytes) -> list[Layer]:
    return layers(np.frombuffer(octets, np.uint8), 1, len(octets))


def cut(octets: bytes, n: int) -> Frames:
    """The first ``n`` octets of a frame, and nothing behind them."""
    whole = batch([octets[:n]])
    return read_only(whole._replace(origlen=np.array([len(octets)], np.uint32)))


@pytest.mark.parametrize(("way", "version", "outer"), SINGLE)
def test_tunnel(way: str, version: int, outer: int) -> None:
    octets = single(way, version, outer)
    row = decode(batch([octets]))
    assert_segment(row, version)
    assert (row.depth[0], row.tunnel[0]) == (1, WAYS[way].tunnel)
    assert octets[row.payload_start[0] :] == b"payload"


def test_tunnels_in_tunnels() -> None:
    rows = decode(batch([octets for octets, _ in NESTED]))
    assert rows.depth.tolist() == [2 + seed % 4 for seed in range(60)]
    for i, (_, version) in enumerate(NESTED):
        assert_segment(rows, version, i)


def test_a_padded_frame_in_l2tpv3() -> None:
    """Ethernet is filled up to 60 octets: only then may there be more than the IP header says."""
    short = bytes(ether() / ip(4, True) / TCP(sport=1, dport=2))
    for head, port in ((b"\0\0\0\5", None), (flat(3, 0, 0, 5), 1701)):
        for padding, depth in ((60 - len(short), 1), (61 - len(short), 0)):
            payload = Raw(head + bytes(4) + short + b"p" * padding)
            outer = IP(src=OUTER4[0], dst=OUTER4[1], proto=115) if port is None else ip(4, False) / udp(port)
            row = decode(batch([bytes(ether() / outer / payload)]))
            assert (row.depth[0], row.tunnel[0]) == (depth, Tunnel.L2TPV3 if depth else Tunnel.NONE)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize(
    ("cookie", "size"), [(b"", "None"), (b"abcd", "4 Byte Cookie"), (b"\x08\0\x45\0abcd", "8 Byte Cookie")]
)
@pytest.mark.parametrize(("sublayer", "kind"), [(b"", "None"), (bytes(4), "Default L2-Specific")])
def test_l2tpv3_as_tshark_decodes_it(cookie: bytes, size: str, sublayer: bytes, kind: str, tmp_path: Path) -> None:
    """tshark must be told what is found out here."""
    frames = [
        bytes(ether() / IP(src=OUTER4[0], dst=OUTER4[1], proto=115) / Raw(flat(0, 5) + cookie + sublayer + FRAME)),
        bytes(ether() / ip(4, False) / udp(1701) / Raw(flat(3, 0, 0, 5) + cookie + sublayer + FRAME)),
    ]
    capture = tmp_path / "l2tpv3.pcap"
    records = [struct.pack("<IIII", 1, 0, len(one), len(one)) + one for one in frames]
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))
    options = [f"l2tp.cookie_size:{size}", f"l2tp.l2_specific:{kind}"]
    told = subprocess.run(
        ["tshark", "-n", "-r", str(capture), *(word for option in options for word in ("-o", option)),
         "-d", "l2tp.pw_type==0,eth", "-T", "fields", "-e", "l2tp.sid", "-e", "tcp.seq_raw"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    rows = decode(batch(frames))
    assert len(told) == len(frames)
    for i, line in enumerate(told):
        assert_segment(rows, 4, i)
        assert line.split("\t")[1] == str(rows.seq[i]), line


def test_vxlan_on_linux_own_port() -> None:
    row = decode(batch([bytes(ether() / ip(4, False) / udp(8472) / vxlan.VXLAN(vni=1, flags=8) / ether() / segment())]))
    assert_segment(row, 4)
    assert row.tunnel[0] == Tunnel.VXLAN


def test_as_many_tunnels_as_anybody_nests() -> None:
    def nest(depth: int) -> bytes:
        packet = segment()
        for _ in range(depth):
            packet = ip(4, True) / packet
        return bytes(ether() / packet)

    rows = decode(batch([nest(depth) for depth in (MOST_TUNNELS, MOST_TUNNELS + 1)]))
    assert rows.depth.tolist() == [MOST_TUNNELS] * 2
    assert [Protocol(protocol).name for protocol in rows.protocol.tolist()] == ["TCP", "IPV4"]


def test_the_padding_of_a_frame_is_in_no_tunnel() -> None:
    octets = single("GTP", 4, 4)
    longer = bytearray(octets)
    inner = octets.index(bytes(segment()))
    longer[inner + 2 : inner + 4] = struct.pack("!H", 1000)
    row = decode(batch([bytes(longer) + bytes(900)]))
    assert row.payload_len[0] == 1000 - 52  # as its header says, whatever was captured


def test_a_length_of_zero_means_what_carries_it() -> None:
    row = decode(batch([bytes(ether() / ip(4, False) / IP(len=0) / segment().payload) + bytes(20)]))
    assert (row.depth[0], row.payload_len[0]) == (1, 7)


@pytest.mark.parametrize(("way", "version", "outer"), SINGLE)
def test_cut_anywhere(way: str, version: int, outer: int) -> None:
    """From outside inwards: nothing, the tunnel's own packet, the inner IP packet without its TCP header, all of it."""
    octets = single(way, version, outer)
    inner_at = octets.index(bytes(segment(version)))
    tcp_at = inner_at + (20 if version == 4 else 40)
    carries = "UDP" if WAYS[way].head is not None and UDP in WAYS[way].head else f"IPV{outer}"
    for n in range(len(octets)):
        row = decode(cut(octets, n))
        depth = 1 if n >= tcp_at else 0
        assert row.depth[0] == depth
        if n >= tcp_at + 20:
            assert said(row) == ("WHOLE", "TCP")
        elif depth:
            assert said(row) == ("CUT", "TCP")
        elif row.status[0] == Status.WHOLE:
            assert said(row) == ("WHOLE", carries)
            assert (row.payload_len[0] > 0) == (carries == "UDP")


# ---------------------------------------------------------------- what only looks like a tunnel

INNER = bytes(segment())
INNER_SIX = bytes(segment(6))
FRAME = bytes(ether() / segment())
MPLS_LABEL = (33 << 12 | 1 << 8).to_bytes(4)


def flat(*parts: bytes | int) -> bytes:
    """Octets; an integer is a word of 16 bits."""
    return b"".join(struct.pack("!H", part) if isinstance(part, int) else part for part in parts)


NOT_IN_UDP = {
    "DNS": (5353, INNER),
    "too short": (4789, b"\x08" + bytes(6)),
    "VXLAN without its flag": (4789, bytes(8) + bytes(ether()) + INNER),
    "VXLAN with LLDP": (4789, b"\x08" + bytes(7) + bytes(12) + b"\x88\xcc" + INNER),
    "VXLAN with ARP": (4789, b"\x08" + bytes(7) + bytes(12) + b"\x08\x06" + bytes(28)),
    "VXLAN with half of an address": (4789, b"\x08" + bytes(7) + bytes(3)),
    "Geneve of version 1": (6081, b"\x40\0\x08\0" + bytes(4) + INNER),
    "Geneve with a length for an EtherType": (6081, b"\0\0\0\x30" + bytes(4) + b"\x06\x06\x03" + INNER),
    "Geneve with nothing that we read": (6081, b"\0\0\x88\xcc" + bytes(4) + INNER),
    "GTP of version 2": (2152, b"\x50\xff" + flat(len(INNER)) + bytes(4) + INNER),
    "GTP's echo": (2152, b"\x30\x01" + flat(len(INNER)) + bytes(4) + INNER),
    "GTP longer than the datagram": (2152, b"\x30\xff" + flat(len(INNER) + 1) + bytes(4) + INNER),
    "GTP with something else": (2152, b"\x30\xff" + flat(len(INNER)) + bytes(4) + b"\x55" + INNER[1:]),
    "GTP with an extension that is nothing": (2152, b"\x34\xff\0\x08" + bytes(4) + b"\0\0\0\x85\0\0\0\0"),
    "GTP with extensions without end": (2152, b"\x34\xff\0\x50" + bytes(4) + b"\0\0\0\x85" + b"\1\0\0\x85" * 19),
    "GTP with an extension that is not there": (2152, b"\x34\xff\0\x04" + bytes(4) + b"\0\0\0\x85"),
    "GTP with an extension that is longer": (2152, b"\x34\xff\0\x08" + bytes(4) + b"\0\0\0\x85\x09\0\0\0"),
    "L2TP's control": (1701, flat(0xC802, 20, 1, 0, 0, 0) + bytes(8)),
    "L2TPv3's control": (1701, flat(0xC803, 20, 0, 1, 0, 0) + bytes(8)),
    "L2TPv3 of session 0": (1701, flat(3, 0, 0, 0) + FRAME),
    "L2TPv3, cookie of 5 octets": (1701, flat(3, 0, 1, 2) + bytes(5) + FRAME),
    "L2TPv3, cookie of 8 octets and more": (1701, flat(3, 0, 1, 2) + bytes(16) + FRAME),
    "L2TPv3, no length of its own": (1701, flat(3, 0, 1, 2) + FRAME + bytes(3)),
    "L2TPv3, IP and more": (1701, flat(3, 0, 1, 2) + INNER[:2] + flat(len(INNER) - 1) + INNER[4:]),
    "L2TPv3, longer than the datagram": (1701, flat(3, 0, 1, 2) + FRAME[:-1]),
    "L2TPv3, IPv6 by name": (1701, flat(3, 0, 1, 2) + FRAME[:12] + b"\x86\xdd" + INNER),
    "L2TPv3 with frame relay": (1701, flat(3, 0, 1, 2, 0x0811, 0x0307) + INNER[:19]),
    "L2TP with LCP": (1701, flat(2, 7, 8, 0xFF03, 0xC021) + INNER),
    "L2TP without its offset": (1701, flat(0x0A02, 7, 8, 0, 0)),
    "L2TP with an offset beyond the datagram": (1701, flat(0x0202, 7, 8, 900) + INNER),
    "Teredo's bubble that is longer": (3544, INNER_SIX[:-1]),
    "Teredo without IPv6": (3544, b"\x50" + INNER_SIX[1:]),
    "Teredo with IPv4": (3544, b"\x45\0" + INNER),
    "Teredo's authentication alone": (3544, flat(1, 0) + bytes(9)),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_IN_UDP)
def test_what_stays_a_datagram(name: str) -> None:
    port, payload = NOT_IN_UDP[name]
    for outer in (4, 6):
        packet = bytes(ether() / ip(outer, False) / UDP(sport=9, dport=port) / Raw(payload))
        row = decode(batch([packet]))
        assert said(row) == ("WHOLE", "UDP")
        assert (row.depth[0], row.tunnel[0]) == (0, Tunnel.NONE)
        assert (row.src_port[0], row.dst_port[0], row.payload_len[0]) == (9, port, len(payload))
        assert packet[row.payload_start[0] :] == payload


NOT_IN_IP = {
    "GRE cut": (47, b"\0\0\x08"),
    "GRE with routing": (47, flat(0x4000, 0x0800, 0, 0) + INNER),
    "GRE of version 2": (47, flat(2, 0x0800) + INNER),
    "GRE with a length for an EtherType": (47, flat(0, 48) + b"\x06\x06\x03" + INNER),
    "GRE with LLDP": (47, flat(0, 0x88CC) + INNER),
    "GRE whose key is cut": (47, flat(0x2000, 0x0800, 1)),
    "ERSPAN III cut": (47, flat(0x1000, 0x22EB, 0, 1) + bytes(11)),
    "PPTP without data": (47, flat(0x2081, 0x880B, 0, 21, 0, 2)),
    "PPTP with another protocol": (47, flat(0x3001, 0x0800, 0, 21, 0, 2) + INNER),
    "IP in IP, another version": (4, INNER_SIX),
    "IP in IP, length too small": (4, INNER[:2] + b"\0\7" + INNER[4:]),
    "IP in IP, cut": (4, INNER[:19]),
    "IPv6 in IP, another version": (41, INNER),
    "IPv6 in IP, headers without end": (41, INNER_SIX[:6] + b"\x3c" + INNER_SIX[7:40] + b"\x3c\0\0\0\0\0\0\0" * 40),
    "L2TPv3's control": (115, flat(0, 0, 0xC803, 20) + bytes(16)),
    "L2TPv3 without a session": (115, b"\0\0\0"),
    "L2TPv3 without IP": (115, flat(0, 5) + bytes(60)),
    "ESP": (50, INNER),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_IN_IP)
def test_what_stays_a_packet(name: str) -> None:
    number, payload = NOT_IN_IP[name]
    row = decode(batch([bytes(ether() / IP(src=OUTER4[0], dst=OUTER4[1], proto=number) / Raw(payload))]))
    assert said(row) == ("WHOLE", "IPV4")
    assert addresses(row) == OUTER4
    assert (row.depth[0], row.src_port[0], row.payload_start[0]) == (0, 0, 0)


def test_what_a_tunnel_carries_besides_tcp_and_udp() -> None:
    row = decode(batch([bytes(ether() / ip(4, False) / GRE() / ip(4, True) / ICMP())]))
    assert said(row) == ("WHOLE", "ICMP")
    assert addresses(row) == INNER4
    assert row.depth[0] == 1


def test_datagram_in_a_tunnel() -> None:
    packet = ether() / ip(4, False) / udp(2152) / gtp.GTP_U_Header(teid=1) / ip(6, True) / UDP(sport=1, dport=53) / "?"
    row = decode(batch([bytes(packet)]))
    assert said(row) == ("WHOLE", "UDP")
    assert (row.src_port[0], row.dst_port[0], row.payload_len[0], row.ip_version[0]) == (1, 53, 1, 6)


# ---------------------------------------------------------------- whatever octets come


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A packet in a tunnel some of whose octets were changed, and its end lost."""
    octets = bytearray(draw(st.sampled_from(MADE)))
    for at, value in draw(st.lists(st.tuples(st.integers(12, len(octets) - 1), st.integers(0, 255)), max_size=4)):
        octets[at] = value
    return bytes(octets[: draw(st.integers(0, len(octets)))])


@given(st.lists(damaged(), min_size=1, max_size=4))
def test_damage_is_the_packets_own(made: list[bytes]) -> None:
    """Nothing is read that is not the packet's: the last octet of the array is its last, or another's."""
    together = decode(batch(made))
    for i, octets in enumerate(made):
        alone = decode(batch([octets]))
        if alone.payload_start[0] or alone.status[0] == Status.FRAGMENT:
            alone.payload_start[0] += sum(map(len, made[:i]))
        for name in Packets._fields:
            assert getattr(together, name)[i].tolist() == getattr(alone, name)[0].tolist(), name


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"), reason="NUMBA_DISABLE_JIT forbids compiling"
)
def test_compiled_and_interpreted_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
    assert fastest(decode_batch) is not decode_batch
    cuts = [octets[:n] for octets in MADE for n in range(40, len(octets) + 1, 3)]

    def agree(made: list[bytes]) -> None:
        monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
        compiled = decode(batch(made))
        monkeypatch.setenv("TCPFLOW_VIEW_JIT", "never")
        interpreted = decode(batch(made))
        for name in Packets._fields:
            assert getattr(compiled, name).tolist() == getattr(interpreted, name).tolist(), name

    agree(cuts)
    given(st.lists(damaged(), min_size=1, max_size=8))(agree)()


# ---------------------------------------------------------------- tshark


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_as_tshark_reads_them(tmp_path: Path) -> None:
    """But for L2TPv3, of which tshark must be told what is in the session."""
    made = [octets for octets in MADE if "L2TPv3" not in [layer.name for layer in named(octets)]]
    file = tmp_path / "made.pcap"
    records = [struct.pack("<IIII", 1, 0, len(octets), len(octets)) + octets for octets in made]
    file.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1) + b"".join(records))
    fields = ["tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.window_size_value", "tcp.len"]
    run = subprocess.run(
        ["tshark", "-n", "-r", str(file), "-T", "fields", *(word for field in fields for word in ("-e", field))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    rows = decode(batch(made))
    ours = zip(rows.src_port, rows.dst_port, rows.seq, rows.ack, rows.window, rows.payload_len, strict=True)
    assert ["\t".join(map(str, row)) for row in ours] == run.stdout.splitlines()
