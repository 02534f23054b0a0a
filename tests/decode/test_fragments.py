"""Fragments to datagrams: in any order, doubled, overlapping, lost, too old, too many, in tunnels, over batches."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.decode import fragments
from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.pipeline import Run, lives
from analyzer.tables import Frames, Packets, Protocol, Status, Tunnel
from tests.decode.encapsulated import INNER4, INNER6, TCP, UDP, IPv6, Raw, carried, ether, ip, scapy
from tests.decode.test_ip import addresses, said
from tests.script import batch

inet6 = pytest.importorskip("scapy.layers.inet6")

PAYLOAD = bytes(random.Random(0).randbytes(100))
S = 1_000_000_000


def datagram(version: int = 4, number: int = 5, payload: bytes = PAYLOAD) -> Any:
    """The segment that is sent in fragments: 100 octets of payload."""
    around = ip(version, True)
    if version == 4:
        around.id = number
    else:
        around = around / inet6.IPv6ExtHdrFragment(id=number)
    return around / TCP(sport=40000, dport=443, seq=7, flags="PA") / Raw(payload)


def pieces(version: int = 4, number: int = 5, size: int = 48, payload: bytes = PAYLOAD) -> list[bytes]:
    """Its fragments, as scapy makes them: three with a payload of 48, 48 and 24 octets."""
    whole = datagram(version, number, payload)
    if version == 4:
        return [bytes(one) for one in scapy.fragment(whole, size)]
    made = inet6.fragment6(whole, size + 48 + 14)
    return [bytes(one) for one in made]


def join(
    octets: Sequence[bytes], ts_ns: Sequence[int] | None = None, fragments: Fragments | None = None,
    linktype: int = 101,
) -> tuple[Packets, Frames]:  # fmt: skip
    frames = batch(octets, ts_ns, linktype)
    packets = decode(frames)
    return packets, (fragments or Fragments()).join(frames, packets)


def statuses(packets: Packets) -> list[str]:
    return [Status(status).name for status in packets.status.tolist()]


def payload(packets: Packets, frames: Frames, i: int) -> bytes:
    start = int(packets.payload_start[i])
    return frames.data[start : start + int(packets.payload_len[i])].tobytes()


def assert_whole(packets: Packets, frames: Frames, i: int, version: int, octets: bytes = PAYLOAD) -> None:
    row = Packets._make(column[i : i + 1] for column in packets)
    assert said(row) == ("WHOLE", "TCP")
    assert addresses(row) == (INNER4 if version == 4 else INNER6)
    assert (row.src_port[0], row.dst_port[0], row.seq[0], row.ttl[0]) == (40000, 443, 7, 9)
    assert payload(packets, frames, i) == octets


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_any_order(version: int, order: tuple[int, ...]) -> None:
    made = pieces(version)
    assert len(made) == 3
    fragments = Fragments()
    packets, frames = join([made[k] for k in order], fragments=fragments)
    assert statuses(packets) == ["FRAGMENT", "FRAGMENT", "WHOLE"]
    assert_whole(packets, frames, 2, version)
    assert packets.fragments.tolist() == [0, 0, 3]
    assert packets.src_port.tolist() == [0, 0, 40000]
    assert (fragments.datagrams, fragments.given_up, fragments.overlaps, fragments.held) == (1, 0, 0, 0)


def test_a_batch_without_fragments_is_left_alone() -> None:
    frames = batch([bytes(ether() / datagram())])
    assert Fragments().join(frames, decode(frames)) is frames


def test_frames_keep_their_octets() -> None:
    """The rows beside a fragment's speak of the same octets as before, though the array is another."""
    made = [bytes(datagram(payload=b"before")), *pieces(), bytes(datagram(payload=b"after"))]
    before = batch([b"\0" * 50, *made], linktype=101)
    before = before._replace(**{name: getattr(before, name)[1:] for name in Frames._fields if name != "data"})
    packets = decode(before)
    frames = Fragments().join(before, packets)
    for i, octets in enumerate(made):
        start = int(frames.start[i])
        assert frames.data[start : start + int(frames.caplen[i])].tobytes() == octets
    assert [payload(packets, frames, i) for i in (0, 3, 4)] == [b"before", PAYLOAD, b"after"]
    assert not frames.data.flags.writeable


@pytest.mark.parametrize("version", [4, 6])
def test_over_batches(version: int) -> None:
    fragments = Fragments()
    for one in pieces(version)[:2]:
        assert statuses(join([one], fragments=fragments)[0]) == ["FRAGMENT"]
        assert fragments.held > 0
    packets, frames = join(pieces(version)[2:], fragments=fragments)
    assert_whole(packets, frames, 0, version)


def test_datagrams_apart() -> None:
    """By identification, addresses, and in IPv4 by protocol; each side of a connection has its own."""
    back = datagram()
    back.src, back.dst = back.dst, back.src
    other = datagram()
    other.proto = 17
    sets = [
        pieces(), pieces(number=6), pieces(6), pieces(6, number=6),
        [bytes(one) for one in scapy.fragment(back, 48)], [bytes(one) for one in scapy.fragment(other, 48)],
    ]  # fmt: skip
    packets, _ = join([made[k] for k in range(3) for made in sets])
    assert statuses(packets) == ["FRAGMENT"] * 12 + ["WHOLE"] * 6
    assert packets.protocol.tolist()[12:] == [Protocol.TCP] * 5 + [Protocol.UDP]


def test_ipv6_headers_before_and_behind_the_fragments() -> None:
    head = IPv6(src=INNER6[0], dst=INNER6[1], hlim=9) / inet6.IPv6ExtHdrHopByHop() / inet6.IPv6ExtHdrRouting()
    tail = inet6.IPv6ExtHdrDestOpt() / TCP(sport=40000, dport=443, seq=7, flags="PA") / Raw(PAYLOAD)
    made = inet6.fragment6(head / inet6.IPv6ExtHdrFragment(id=9) / tail, 140)
    packets, frames = join([bytes(one) for one in made])
    assert_whole(packets, frames, len(made) - 1, 6)


# ---------------------------------------------------------------- doubled, overlapping


def test_copies_do_not_count() -> None:
    a, b, c = pieces()
    fragments = Fragments()
    packets, frames = join([a, a, b, a, b, c], fragments=fragments)
    assert statuses(packets) == ["FRAGMENT"] * 5 + ["WHOLE"]
    assert_whole(packets, frames, 5, 4)
    assert (packets.fragments[5], fragments.overlaps) == (3, 0)


def test_a_copy_after_the_end_starts_anew() -> None:
    fragments = Fragments()
    packets, _ = join([*pieces(), *pieces()], fragments=fragments)
    assert statuses(packets) == ["FRAGMENT", "FRAGMENT", "WHOLE"] * 2
    assert fragments.datagrams == 2


def piece(start: int, octets: bytes, more: bool = True, number: int = 5) -> bytes:
    """A fragment of a UDP datagram's octets from ``start`` on."""
    around = ip(4, True)
    around.id, around.frag, around.flags, around.proto = number, start // 8, "MF" if more else 0, 17
    return bytes(around / Raw(octets))


WHOLE = bytes(UDP(sport=1, dport=2, len=48, chksum=0) / Raw(bytes(range(40))))
EVIL = b"\xee" * 48

OVERLAPS = {
    "what lies before": [(0, 24, True), (16, 48, False)],
    "what lies behind": [(24, 48, False), (0, 32, True)],
    "both": [(0, 16, True), (32, 48, False), (8, 40, True)],
    "one inside": [(0, 8, True), (16, 24, True), (40, 48, False), (8, 40, True)],
    "two inside": [(8, 16, True), (24, 32, True), (0, 40, True), (40, 48, False)],
    "all inside another": [(0, 40, True), (8, 24, True), (40, 48, False)],
    "the same place, other octets": [(0, 24, True), (0, 24, True), (24, 48, False)],
    "the same start, longer": [(0, 16, True), (0, 24, True), (24, 48, False)],
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_what_came_first_stays(name: str) -> None:
    covered: set[int] = set()
    made, copied = [], []
    for start, end, more in OVERLAPS[name]:
        octets = bytes(EVIL[k] if k in covered else WHOLE[k] for k in range(start, end))
        covered |= set(range(start, end))
        made.append(piece(start, octets, more))
        copied.append(piece(start, WHOLE[start:end], more))
    for sent in (made, copied):
        fragments = Fragments()
        packets, frames = join(sent, fragments=fragments)
        assert statuses(packets) == ["FRAGMENT"] * (len(made) - 1) + ["WHOLE"]
        assert (packets.src_port[-1], packets.dst_port[-1]) == (1, 2)
        assert payload(packets, frames, -1) == WHOLE[8:]
        assert fragments.overlaps == (0 if sent is copied and name.startswith("the same place") else 1)


def test_lengths_that_contradict_each_other() -> None:
    fragments = Fragments()
    longer, shorter = piece(40, EVIL[:16], False), piece(8, EVIL[:16], False)
    packets, frames = join(
        [piece(24, WHOLE[24:], False), longer, shorter, piece(48, EVIL), piece(0, WHOLE[:24])], fragments=fragments
    )
    assert statuses(packets) == ["FRAGMENT"] * 4 + ["WHOLE"]
    assert payload(packets, frames, 4) == WHOLE[8:]
    assert fragments.overlaps == 3


@given(st.data())
def test_any_cover_of_a_datagram(data: st.DataObject) -> None:
    """Fragments of the true octets, overlapping anyhow: the first moment at which all are there gives the datagram."""
    cuts = [(k, k + 8, k + 8 < 48) for k in range(0, 48, 8)]
    spans = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=8))
    cuts += [(8 * a, min(48, 8 * (a + n)), 8 * (a + n) < 48) for a, n in spans]
    order = data.draw(st.permutations(cuts))
    missing, expected = set(range(48)), []
    for start, end, _ in order:
        missing -= set(range(start, end))
        expected.append("FRAGMENT" if missing else "WHOLE")
        if not missing:
            break
    fragments = Fragments()
    sent = order[: len(expected)]
    packets, frames = join([piece(a, WHOLE[a:b], more) for a, b, more in sent], fragments=fragments)
    assert statuses(packets) == expected
    assert payload(packets, frames, -1) == WHOLE[8:]
    assert fragments.held == 0


# ---------------------------------------------------------------- lost, late, too many, too long


@pytest.mark.parametrize(("version", "kept_s"), [(4, 30), (6, 60)])
def test_what_waits_too_long(version: int, kept_s: int) -> None:
    a, b, c = pieces(version)
    in_time = Fragments()
    assert statuses(join([a, b, c], [0, S, kept_s * S], in_time)[0])[2] == "WHOLE"
    late = Fragments()
    packets, _ = join([a, b, c], [0, S, kept_s * S + 1], late)
    assert statuses(packets) == ["FRAGMENT"] * 3
    assert (late.datagrams, late.given_up) == (0, 1)
    packets, frames = join([a, b], [kept_s * S + 2, kept_s * S + 3], late)
    assert_whole(packets, frames, 1, version)
    assert late.held == 0


def test_what_waits_is_given_up_when_others_come() -> None:
    fragments = Fragments()
    join([pieces(number=1)[0], pieces(number=2)[0]], [0, 31 * S], fragments)
    assert fragments.given_up == 1


def test_the_pool_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MOST_OCTETS", 10_000)
    held = Fragments()
    firsts = [pieces(number=number)[0] for number in range(100)]
    join(firsts, fragments=held)
    assert 5_000 < held.held <= 10_000
    assert 70 < held.given_up < 100 == held.incomplete
    latest = statuses(join([pieces(number=99)[k] for k in (1, 2)], fragments=held)[0])
    oldest = statuses(join([pieces(number=0)[k] for k in (1, 2)], fragments=held)[0])
    assert (latest, oldest) == (["FRAGMENT", "WHOLE"], ["FRAGMENT", "FRAGMENT"])


def test_no_datagram_is_longer_than_its_length_can_say() -> None:
    fragments = Fragments()
    sent = [piece(start, bytes(8192)) for start in range(0, 57344, 8192)] + [piece(57344, bytes(8190), False)]
    assert set(statuses(join(sent, fragments=fragments)[0])) == {"FRAGMENT"}
    assert (fragments.datagrams, fragments.held) == (0, 0)
    sent[-1] = piece(57344, bytes(8171), False)
    assert statuses(join(sent)[0])[-1] == "WHOLE"


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_that_are_none(version: int) -> None:
    """Not a multiple of eight octets, without octets, cut: they stay, and nothing waits for them."""
    first, middle, last = pieces(version)
    head_len = 20 if version == 4 else 48
    odd, empty = bytearray(middle[:-1]), bytearray(middle[:head_len])
    for octets in odd, empty:
        struct.pack_into("!H", octets, 2 if version == 4 else 4, len(octets) - (0 if version == 4 else 40))
    packets, frames = join([first, bytes(odd), bytes(empty), middle[:-1], middle, last])
    assert statuses(packets) == ["FRAGMENT"] * 5 + ["WHOLE"]
    assert_whole(packets, frames, 5, version)


# ---------------------------------------------------------------- and tunnels


@pytest.mark.parametrize("way", ["IP", "GRE, Ethernet", "VXLAN", "GTP"])
@pytest.mark.parametrize("version", [4, 6])
def test_fragments_in_a_tunnel(way: str, version: int) -> None:
    made = [bytes(carried(way, (scapy.IP if version == 4 else IPv6)(one), version)) for one in pieces(version)]
    packets, frames = join(made)
    assert_whole(packets, frames, 2, version)
    assert packets.depth.tolist() == [1] * 3
    assert len(set(packets.tunnel.tolist())) == 1


@pytest.mark.parametrize("way", ["IP", "GRE, Ethernet", "VXLAN", "GTP"])
def test_a_tunnel_in_fragments(way: str) -> None:
    made = scapy.fragment(carried(way, scapy.IP(bytes(datagram())), 4), 48)
    packets, frames = join([bytes(one) for one in made])
    assert statuses(packets) == ["FRAGMENT"] * (len(made) - 1) + ["WHOLE"]
    assert_whole(packets, frames, len(made) - 1, 4)
    assert packets.depth.tolist() == [0] * (len(made) - 1) + [1]
    assert packets.tunnel[-1] != Tunnel.NONE


def both_fragmented() -> list[bytes]:
    """Inner fragments, of which the first two are in fragments of their tunnel, with plain ones between."""
    made: list[bytes] = []
    for number, one in enumerate(pieces()):
        around = carried("GRE", scapy.IP(one), 4)
        around.id = 100 + number
        made += [bytes(part) for part in scapy.fragment(around, 40)] if number < 2 else [bytes(around)]
    made[1:1] = pieces(number=5)[:1]  # the same fragment beside the tunnel is another's
    return made


@pytest.mark.parametrize("at_a_time", [1, 2, 3, 100])
def test_fragments_in_fragments(at_a_time: int) -> None:
    made = both_fragmented()
    fragments = Fragments()
    said_of = []
    for k in range(0, len(made), at_a_time):
        packets, frames = join(made[k : k + at_a_time], fragments=fragments)
        said_of += list(zip(statuses(packets), packets.depth.tolist(), packets.fragments.tolist(), strict=True))
    inner, outer = ("FRAGMENT", 1, 2), ("FRAGMENT", 0, 0)
    assert said_of == [outer, outer, inner, outer, inner, ("WHOLE", 1, 3)]
    assert_whole(packets, frames, len(packets.status) - 1, 4)
    assert fragments.datagrams == 3


def test_the_last_octets_of_a_tunnel_in_fragments_complete_what_is_inside() -> None:
    made = both_fragmented()
    packets, frames = join([made[5], made[0], made[2], made[3], made[4]])
    assert statuses(packets) == ["FRAGMENT"] * 4 + ["WHOLE"]
    assert_whole(packets, frames, 4, 4)
    assert (packets.depth[4], packets.tunnel[4], packets.fragments[4]) == (1, Tunnel.GRE, 3)


def in_tunnels(depth: int, octets: bytes) -> Any:
    packet = scapy.IP(octets)
    for _ in range(depth):
        packet = ip(4, False) / packet
    return packet


def test_fragments_in_fragments_in_too_many_tunnels() -> None:
    """Each time a datagram is complete it may be a fragment of another: that has an end."""

    def last_completes(tunnels: int) -> Packets:
        """Three times in fragments, so many tunnels between; all but the last octets of each came before."""
        first, *rest = pieces()
        made = [bytes(in_tunnels(2 * tunnels, one)) for one in rest]
        octets = bytes(in_tunnels(0, first))
        for number, depth in ((11, tunnels), (12, 0)):
            around = in_tunnels(tunnels, octets)
            around.id = number
            first, *rest = [bytes(part) for part in scapy.fragment(around, 56)]
            made += [bytes(in_tunnels(depth, one)) for one in rest]
            octets = first
        return join([*made, octets])[0]

    for tunnels, status in ((4, "WHOLE"), (5, "FRAGMENT")):
        packets = last_completes(tunnels)
        assert statuses(packets)[-1] == status
        assert packets.depth[-1] == 2 * tunnels


def test_a_length_in_a_tunnel_does_not_reach_into_the_next_datagram() -> None:
    inner = bytearray(bytes(datagram()))
    struct.pack_into("!H", inner, 2, 5000)
    around = ip(4, False)
    around.proto = 4
    made = [bytes(one) for one in scapy.fragment(around / Raw(bytes(inner)), 48)]
    packets, frames = join([*made, *pieces(number=9)])
    last = len(made) - 1
    assert_whole(packets, frames, last, 4)
    assert_whole(packets, frames, len(packets.status) - 1, 4)


@given(st.binary(max_size=80), st.integers(0, 100))
def test_whatever_octets_come(octets: bytes, at: int) -> None:
    for made in (pieces(), pieces(6), both_fragmented()):
        changed = [one[:at] + octets + one[at + len(octets) :] for one in made]
        packets, frames = join(changed)
        assert (packets.payload_start <= len(frames.data)).all()


# ---------------------------------------------------------------- the pipeline, and tshark


def capture_of(octets: Sequence[bytes], file: Path, linktype: int = 101) -> Path:
    records = [struct.pack("<IIII", 1, k, len(one), len(one)) + one for k, one in enumerate(octets)]
    file.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, linktype) + b"".join(records))
    return file


def test_lives_show_the_payload_of_what_was_reassembled(tmp_path: Path) -> None:
    file = capture_of([bytes(datagram(payload=b"one")), *pieces()], tmp_path / "fragments.pcap")
    with Run(file) as run:
        run.exhaust()
    assert (run.count, run.strays[Protocol.TCP], run.fragments.datagrams) == (1, 2, 1)
    life = lives(file, "", [1])[1]
    assert life.number.tolist() == [1, 4]
    assert life.payload_len.tolist() == [3, 100]
    assert life.payload == [b"one", PAYLOAD[: len(life.payload[1])]]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_as_tshark_reassembles(tmp_path: Path) -> None:
    """Of every set of fragments, the packet that completes it and what is in it."""
    sets: list[Callable[[int], list[bytes]]] = [
        lambda number: pieces(4, number), lambda number: pieces(6, number), lambda number: pieces(4, number)[::-1],
        lambda number: pieces(6, number, 24), lambda number: pieces(4, number, 8),
        lambda number: [pieces(4, number)[k] for k in (1, 0, 1, 2)], lambda number: pieces(6, number)[:2],
        lambda number: [bytes(one) for one in scapy.fragment(carried("GRE", scapy.IP(bytes(datagram())), 4), 48)],
    ]  # fmt: skip
    made = [one for number, fragments_of in enumerate(sets, 1) for one in fragments_of(number)]
    file = capture_of(made, tmp_path / "fragments.pcap")
    fields = ["tcp.srcport", "tcp.seq_raw", "tcp.len"]
    run = subprocess.run(
        ["tshark", "-n", "-r", str(file), "-T", "fields", *(word for field in fields for word in ("-e", field))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    packets, _ = join(made)
    ours = [
        f"{packets.src_port[i]}\t{packets.seq[i]}\t{packets.payload_len[i]}" if packets.src_port[i] else "\t\t"
        for i in range(len(made))
    ]
    assert ours == run.stdout.splitlines()
    assert sum(line != "\t\t" for line in ours) == len(sets) - 1
