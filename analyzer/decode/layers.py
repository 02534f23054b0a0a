"""The headers of one frame by name, from the link to the transport: for a person to read, packet by packet.

The kernels that decode find the headers; here they run interpreted, and what identifies a header is read beside them.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from analyzer.decode.ip import IP_TCP, IP_UDP, NO_HEADER, ipv4, ipv6
from analyzer.decode.link import (
    ETHERNET_FRAME,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    FABRIC_PATH,
    IP,
    MPLS,
    MPLS_MULTICAST,
    PPP_FRAME,
    PPPOE_SESSION,
    QINQ,
    QINQ_OLD,
    UNKNOWN,
    VLAN,
    WIRELESS,
    first_header,
    next_header,
)
from analyzer.decode.octets import be16, be32
from analyzer.decode.packets import MOST_TUNNELS
from analyzer.decode.tunnels import GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE, L2TP_LENGTH, is_tunnel_port, tunnel_in
from analyzer.tables import U8, Status, Tunnel


class Layer(NamedTuple):
    """A header."""

    name: str
    """As its standard calls it."""
    about: str
    """Between whom (``10.0.0.1 → 10.0.0.2``), or in which of many (``VNI 42``); empty when it says neither."""


TUNNEL_NAMES = {
    Tunnel.IP: "IP", Tunnel.GRE: "GRE", Tunnel.PPTP: "PPTP", Tunnel.ERSPAN: "ERSPAN", Tunnel.VXLAN: "VXLAN",
    Tunnel.GENEVE: "Geneve", Tunnel.GTP: "GTP", Tunnel.L2TP: "L2TP", Tunnel.TEREDO: "Teredo",
    Tunnel.L2TPV3: "L2TPv3",
}  # fmt: skip
"""IP right in IP has no header of its own, and no Layer."""


def layers(octets: U8, linktype: int, origlen: int) -> list[Layer]:
    """The headers that decoding went through, in their order; the last is the one that the packet's columns speak of.

    Args: the captured octets of a frame, its LINKTYPE_ value and its length on the wire.
    """
    end, wire_end = len(octets), origlen
    at, ethertype = first_header(octets, 0, end, linktype)
    found: list[Layer] = []
    ahead: list[Layer] = []  # headers that count when an IP header follows
    for depth in range(MOST_TUNNELS + 1):
        while ethertype not in (ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP, UNKNOWN):
            header_at, header = at, ethertype
            at, ethertype = next_header(octets, at, end, ethertype)
            if at <= end and header != IP:
                ahead += _link_layer(octets, header_at, header)
        status: int = Status.WHOLE
        after, length, number = at, 0, NO_HEADER
        if ethertype == ETHERTYPE_IPV4:
            status, after, length, number = ipv4(octets, at, end, wire_end)
        elif ethertype == ETHERTYPE_IPV6:
            status, after, length, number = ipv6(octets, at, end, wire_end)
        if depth and number < 0:
            return found
        found += ahead
        if number == NO_HEADER:
            return found
        found.append(_ip_layer(octets, at, ethertype))
        if status != Status.WHOLE:
            return found
        wire_end = after + length
        end = min(end, wire_end)
        if number in (IP_TCP, IP_UDP) and after + 4 <= end:
            ports = f"{be16(octets, after)} → {be16(octets, after + 2)}"
            found.append(Layer("TCP" if number == IP_TCP else "UDP", ports))
        tunnel, at, ethertype = tunnel_in(octets, after, end, wire_end, number)
        if tunnel == Tunnel.NONE or at > end:
            return found
        ahead = _tunnel_layer(octets, after, Tunnel(tunnel), number)
    return found


def tunnels_of(octets: U8, linktype: int, origlen: int, *, is_reply: bool) -> list[str]:
    """The tunnels that a frame's packet is in, the innermost first: ``VXLAN VNI 42, 192.0.2.1 → 192.0.2.2 (UDP 4789)``.

    Args: as for ``layers``; the addresses of a reply are exchanged, so that both directions of a tunnel read the same.
    """
    found: list[str] = []
    carrier = Layer("", "")  # the latest IP header
    name = port = ""
    for layer in layers(octets, linktype, origlen):
        if layer.name in ("IPv4", "IPv6"):
            if carrier.name:
                ends = carrier.about.split(" → ")
                found.insert(0, f"{name or carrier.name}, {' → '.join(reversed(ends) if is_reply else ends)}{port}")
            carrier, name, port = layer, "", ""
        elif layer.name == "UDP":
            ports = layer.about.split(" → ")
            port = f" (UDP {ports[1] if is_tunnel_port(int(ports[1])) else ports[0]})"
        elif layer.name in TUNNEL_NAMES.values():
            name = f"{layer.name} {layer.about}".rstrip()
    return found


def _link_layer(octets: U8, at: int, ethertype: int) -> list[Layer]:
    """The header of an EtherType at ``at``; nothing when it is none that leads on."""
    if ethertype == ETHERNET_FRAME:
        destination, source = (octets[k : k + 6].tobytes().hex(":") for k in (at, at + 6))
        return [Layer("Ethernet", f"{source} → {destination}")]
    if ethertype in (VLAN, QINQ, QINQ_OLD):
        return [Layer("VLAN", str(be16(octets, at) & 0xFFF))]
    if ethertype in (MPLS, MPLS_MULTICAST):
        return [Layer("MPLS", f"label {be32(octets, at) >> 12}")]
    if ethertype == PPPOE_SESSION:
        return [Layer("PPPoE", f"session {be16(octets, at + 2)}")]
    names = {PPP_FRAME: "PPP", FABRIC_PATH: "FabricPath", WIRELESS: "IEEE 802.11"}
    return [Layer(names[ethertype], "")] if ethertype in names else []


def _ip_layer(octets: U8, at: int, ethertype: int) -> Layer:
    if ethertype == ETHERTYPE_IPV4:
        ends = [str(IPv4Address(octets[k : k + 4].tobytes())) for k in (at + 12, at + 16)]
        return Layer("IPv4", " → ".join(ends))
    ends = [str(IPv6Address(octets[k : k + 16].tobytes())) for k in (at + 8, at + 24)]
    return Layer("IPv6", " → ".join(ends))


def _tunnel_layer(octets: U8, at: int, tunnel: Tunnel, number: int) -> list[Layer]:
    """The header of a tunnel, after the IP header that ends at ``at`` and is followed by the IP protocol ``number``."""
    if tunnel == Tunnel.IP:
        return []
    about, bits = "", be16(octets, at)
    if tunnel in (Tunnel.GRE, Tunnel.PPTP):
        key_at = at + (8 if bits & GRE_CHECKSUM else 4)
        if tunnel == Tunnel.PPTP:
            about = f"call {be16(octets, key_at + 2)}"
        elif bits & GRE_KEY:
            about = f"key {be32(octets, key_at)}"
    elif tunnel == Tunnel.ERSPAN:
        if bits & GRE_SEQUENCE:
            header_at = at + 4 + 4 * (bits & (GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE)).bit_count()
            about = f"session {be16(octets, header_at + 2) & 0x3FF}"
    elif tunnel in (Tunnel.VXLAN, Tunnel.GENEVE):
        about = f"VNI {be32(octets, at + 12) >> 8}"
    elif tunnel == Tunnel.GTP:
        about = f"TEID {be32(octets, at + 12)}"
    elif tunnel == Tunnel.L2TP:
        ids_at = at + (12 if be16(octets, at + 8) & L2TP_LENGTH else 10)
        about = f"tunnel {be16(octets, ids_at)}, session {be16(octets, ids_at + 2)}"
    elif tunnel == Tunnel.L2TPV3:
        about = f"session {be32(octets, at + 12 if number == IP_UDP else at)}"
    return [Layer(TUNNEL_NAMES[tunnel], about)]
