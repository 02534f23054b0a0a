"""Who is said to be a server, where the SYN was not captured: by name, or by the filter."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence

import numpy as np

from analyzer.errors import UsageError
from analyzer.language import _
from analyzer.render.untrusted import visible
from analyzer.tables import KNOWN_SERVER, Evidence, Rows

_ENDS = "10.0.0.1", "1235", "10.0.0.1:1235", "[::1]:1235"
_PORT = re.compile(r"(?:^|[\s(])(?:(not|!)\s*)?(?:(?:tcp|udp|src|dst)\s+)*port\s+([\w-]+)")


def servers_named(ends: Sequence[str], expression: str) -> Rows:
    """KNOWN_SERVER rows: the ends that were named, and the ports that the filter asks for. Raises UsageError."""
    rows = [_named(end) for end in ends]
    ports = {_port(name) for negated, name in _PORT.findall(expression) if not negated}
    rows += [_row(Evidence.FILTER, None, port) for port in sorted(port for port in ports if port)]
    found = np.concatenate(rows) if rows else np.zeros(0, KNOWN_SERVER)
    found.flags.writeable = False
    return found


def _named(end: str) -> Rows:
    """``1235``, ``10.0.0.1``, ``10.0.0.0/8``, ``10.0.0.1:80``, ``[2001:db8::1]:80``, ``:80``."""
    address, port = end, ""
    if end.isdecimal():
        address, port = "", end
    elif match := re.fullmatch(r"(?:\[([^]]*)\]|([^:]*)):(\d+)", end):
        address, port = match[1] or match[2] or "", match[3]
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    try:
        if not end or end == ":":
            raise ValueError
        network = ipaddress.ip_network(address, strict=False) if address else None
        if port and not 0 < int(port) < 1 << 16:
            raise ValueError
    except ValueError:
        told = _("“{end}” is no server: give an address, a port, or both: {examples}")
        raise UsageError(told.format(end=visible(end), examples=", ".join(_ENDS))) from None
    return _row(Evidence.NAMED, network, int(port or 0))


def _row(evidence: Evidence, network: ipaddress.IPv4Network | ipaddress.IPv6Network | None, port: int) -> Rows:
    row: Rows = np.zeros(1, KNOWN_SERVER)
    row["evidence"], row["port"] = evidence, port
    if network is not None:
        row["ip_version"] = network.version
        for name, value in (("address", network.network_address), ("mask", network.netmask)):
            row[name] = np.frombuffer(value.packed.rjust(16, b"\0"), ">u4")
    return row


def _port(name: str) -> int:
    """A port's number; 0 for a name that is not known."""
    if name.isdecimal():
        return int(name)
    for protocol in ("tcp", "udp"):
        try:
            return socket.getservbyname(name, protocol)
        except OSError:
            continue
    return 0
