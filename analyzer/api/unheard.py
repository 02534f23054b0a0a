"""What may have answered a SYN without being captured: an ICMP error, where the filter lets none through."""

from __future__ import annotations

import ipaddress
import struct

import numpy as np

from analyzer.capture.filter import Filter
from analyzer.errors import FilterError
from analyzer.explain.processes import ends_of
from analyzer.tables import Frames, Rows

_ETHERNET = 1
_ROUTERS = {4: "192.0.2.254", 6: "2001:db8::fffe"}
"""Addresses for documentation (RFC 5737, RFC 3849): any device on the way."""


def hides_icmp_errors(expression: str, connection: Rows) -> bool:
    """Whether a filter would drop an ICMP error of a router that quotes the client's SYN."""
    if not expression.strip():
        return False
    octets = _icmp_error(connection)
    data = np.frombuffer(octets, np.uint8)
    one = np.ones(1, np.int64)
    frames = Frames(
        data=data, start=0 * one, caplen=np.full(1, len(octets), np.uint32), origlen=np.full(1, len(octets), np.uint32),
        ts_ns=0 * one, linktype=np.full(1, _ETHERNET, np.uint16), interface=np.zeros(1, np.uint16), number=one,
    )  # fmt: skip
    for column in frames:
        column.flags.writeable = False
    try:
        return len(Filter(expression, [_ETHERNET], "<").apply(frames).number) == 0
    except FilterError:
        return False


def _icmp_error(connection: Rows) -> bytes:
    """An Ethernet frame that says to the client that the server's host cannot be reached."""
    version = int(connection["ip_version"])
    (client, client_port), (server, server_port) = ends_of(connection)
    source, destination = _address(client, version), _address(server, version)
    router = ipaddress.ip_address(_ROUTERS[version]).packed
    syn = struct.pack("!HHIIBBHHH", client_port, server_port, 0, 0, 5 << 4, 2, 0, 0, 0)
    if version == 4:
        quoted = _ipv4(6, len(syn)) + source + destination + syn
        error = struct.pack("!BBHI", 3, 1, 0, 0) + quoted
        return bytes(12) + b"\x08\x00" + _ipv4(1, len(error)) + router + source + error
    quoted = _ipv6(6, len(syn)) + source + destination + syn
    error = struct.pack("!BBHI", 1, 3, 0, 0) + quoted
    return bytes(12) + b"\x86\xdd" + _ipv6(58, len(error)) + router + source + error


def _address(octets: bytes, version: int) -> bytes:
    return octets[-4:] if version == 4 else octets


def _ipv4(protocol: int, length: int) -> bytes:
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, protocol, 0)


def _ipv6(protocol: int, length: int) -> bytes:
    return struct.pack("!IHBB", 6 << 28, length, protocol, 64)
