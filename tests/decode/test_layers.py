"""The headers of a frame by name, held against what scapy was asked to write and what decoding found."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.decode.layers import TUNNEL_NAMES, Layer, layers, tunnels_of
from analyzer.decode.packets import MOST_TUNNELS, decode
from analyzer.tables import Tunnel
from tests.decode.encapsulated import (
    INNER4,
    INNER6,
    OUTER4,
    OUTER6,
    SINGLE,
    WAYS,
    Dot1AD,
    Dot1Q,
    Ether,
    PPPoE,
    Raw,
    ether,
    ip,
    mpls,
    raw,
    segment,
    single,
    udp,
)
from tests.decode.test_tunnels import MADE, NOT_IN_IP, NOT_IN_UDP
from tests.script import batch

ETHERNET = Layer("Ethernet", "02:00:00:00:00:01 → 02:00:00:00:00:02")
TCP = Layer("TCP", "40000 → 443")


def named(octets: bytes, linktype: int = 1) -> list[Layer]:
    return layers(np.frombuffer(octets, np.uint8), linktype, len(octets))


def ip_layer(version: int, inner: bool) -> Layer:
    four, six = (INNER4, INNER6) if inner else (OUTER4, OUTER6)
    return Layer(f"IPv{version}", " → ".join(four if version == 4 else six))


@pytest.mark.parametrize(("way", "version", "outer"), SINGLE)
def test_tunnel(way: str, version: int, outer: int) -> None:
    found = named(single(way, version, outer))
    assert found[:2] == [ETHERNET, ip_layer(outer, False)]
    assert found[-2:] == [ip_layer(version, True), TCP]
    spelled = {Tunnel.GENEVE: "Geneve", Tunnel.TEREDO: "Teredo", Tunnel.L2TPV3: "L2TPv3"}
    tunnel = WAYS[way].tunnel
    if tunnel != Tunnel.IP:
        assert Layer(spelled.get(tunnel, tunnel.name), WAYS[way].about) in found
    assert ("Ethernet" in [layer.name for layer in found[2:]]) == ("ether" in way.lower() or tunnel in {
        Tunnel.ERSPAN, Tunnel.VXLAN, Tunnel.GENEVE
    })  # fmt: skip


LINKS = {
    "VLAN": (ether() / Dot1Q(vlan=5), [ETHERNET, Layer("VLAN", "5")]),
    "QinQ": (ether() / Dot1AD(vlan=6) / Dot1Q(vlan=5), [ETHERNET, Layer("VLAN", "6"), Layer("VLAN", "5")]),
    "MPLS": (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x8847)
        / mpls.MPLS(label=16, s=0) / mpls.MPLS(label=17, s=1),
        [ETHERNET, Layer("MPLS", "label 16"), Layer("MPLS", "label 17")],
    ),
    "PPPoE": (
        ether() / PPPoE(sessionid=7) / raw(0x21), [ETHERNET, Layer("PPPoE", "session 7"), Layer("PPP", "")]
    ),
    "FabricPath": (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x8903) / raw(1) / ether(),
        [ETHERNET, Layer("FabricPath", ""), ETHERNET],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINKS)
def test_link(name: str) -> None:
    head, expected = LINKS[name]
    assert named(bytes(head / segment())) == [*expected, ip_layer(4, True), TCP]


def test_other_links() -> None:
    assert named(bytes(segment(6)), 101) == [ip_layer(6, True), TCP]
    assert named(b"\xff\x03\0\x21" + bytes(segment()), 9) == [Layer("PPP", ""), ip_layer(4, True), TCP]
    logical = b"\xaa\xaa\x03\0\0\0\x08\0"
    assert named(b"\x08" + bytes(23) + logical + bytes(segment()), 105)[0] == Layer("IEEE 802.11", "")
    assert named(bytes(13) + logical + bytes(segment()), 10) == [ip_layer(4, True), TCP]


def test_what_is_no_packet() -> None:
    assert named(b"") == named(bytes(9)) == []
    assert named(bytes(12) + b"\x88\xcc" + bytes(9))[0].name == "Ethernet"
    assert len(named(bytes(12) + b"\x08\x06" + bytes(30))) == 1


def test_fragments_have_no_transport() -> None:
    packet = ip(4, True)
    packet.flags = "MF"
    assert named(bytes(ether() / packet / segment().payload)) == [ETHERNET, ip_layer(4, True)]


@pytest.mark.parametrize("name", [*NOT_IN_UDP, *NOT_IN_IP])
def test_what_only_looks_like_a_tunnel(name: str) -> None:
    if name in NOT_IN_UDP:
        port, payload = NOT_IN_UDP[name]
        expected = [ETHERNET, ip_layer(4, False), Layer("UDP", f"50505 → {port}")]
        assert named(bytes(ether() / ip(4, False) / udp(port) / Raw(payload))) == expected
    else:
        number, payload = NOT_IN_IP[name]
        around = ip(4, False)
        around.proto = number
        assert named(bytes(ether() / around / Raw(payload))) == [ETHERNET, ip_layer(4, False)]


def test_as_deep_as_decoding_goes() -> None:
    packet = segment()
    for _ in range(MOST_TUNNELS + 3):
        packet = ip(4, False) / packet
    assert len(named(bytes(ether() / packet))) == 1 + 1 + MOST_TUNNELS


@pytest.mark.parametrize("n", range(0, 200, 7))
def test_cut_anywhere_as_decoding_finds_it(n: int) -> None:
    for octets in MADE:
        found = [layer.name for layer in layers(np.frombuffer(octets[:n], np.uint8), 1, len(octets))]
        row = decode(batch([octets[:n]]))
        ip_headers = sum(name in ("IPv4", "IPv6") for name in found)
        assert ip_headers == (int(row.depth[0]) + 1 if row.ip_version[0] else 0)


# ---------------------------------------------------------------- the tunnels alone


def ways(octets: bytes, linktype: int = 1, *, is_reply: bool = False) -> list[str]:
    return tunnels_of(np.frombuffer(octets, np.uint8), linktype, len(octets), is_reply=is_reply)


def test_no_tunnel() -> None:
    assert ways(bytes(ether() / segment())) == []
    assert ways(bytes(ether() / segment())[:20]) == []


@pytest.mark.parametrize(("way", "version", "outer"), SINGLE)
def test_the_tunnel_in_words(way: str, version: int, outer: int) -> None:
    tunnel = WAYS[way].tunnel
    name = f"IPv{outer}" if tunnel == Tunnel.IP else f"{TUNNEL_NAMES[tunnel]} {WAYS[way].about}".rstrip()
    ports = {
        Tunnel.VXLAN: 4789, Tunnel.GENEVE: 6081, Tunnel.GTP: 2152, Tunnel.L2TP: 1701, Tunnel.TEREDO: 3544,
        Tunnel.L2TPV3: 1701,
    }  # fmt: skip
    port = f" (UDP {ports[tunnel]})" if tunnel in ports and not WAYS[way].number else ""
    ends = OUTER4 if outer == 4 else OUTER6
    assert ways(single(way, version, outer)) == [f"{name}, {' → '.join(ends)}{port}"]
    assert ways(single(way, version, outer), is_reply=True) == [f"{name}, {' → '.join(reversed(ends))}{port}"]


def test_the_innermost_comes_first() -> None:
    nested = bytes(ether() / ip(4, False) / WAYS["GRE"].head / ip(6, False) / WAYS["VXLAN"].head / segment())
    assert [way.split(",")[0] for way in ways(nested)] == ["VXLAN VNI 42", "GRE"]
