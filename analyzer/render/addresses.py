"""An endpoint's address as it is written (RFC 5952): ``192.0.2.1:80``, ``[2001:db8::1]:80``."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.render.screen import fit_middle
from analyzer.tables import Rows, Side


def address(connection: Rows, side: Side) -> str:
    """The address of one side of a CONNECTION row, without the port."""
    words = [int(word) for word in connection["address"][4 * side : 4 * side + 4]]
    return written(words, int(connection["ip_version"]))


def written(words: Sequence[int], ip_version: int) -> str:
    """The address that has these four words."""
    if ip_version == 6:
        import ipaddress

        ip = ipaddress.IPv6Address(words[0] << 96 | words[1] << 64 | words[2] << 32 | words[3])
        return f"::ffff:{ip.ipv4_mapped}" if ip.ipv4_mapped else str(ip)
    word = words[3]
    return f"{word >> 24}.{word >> 16 & 255}.{word >> 8 & 255}.{word & 255}"


def port(connection: Rows, side: Side) -> int:
    """The port of one side."""
    return int(connection["client_port" if side == Side.CLIENT else "server_port"])


def endpoint(connection: Rows, side: Side) -> str:
    """Address and port."""
    ip = address(connection, side)
    return f"[{ip}]:{port(connection, side)}" if connection["ip_version"] == 6 else f"{ip}:{port(connection, side)}"


def shortened(text: str, width: int) -> str:
    """An ``endpoint`` whose address is cut in its middle where it is longer than the width; the port stays whole."""
    if len(text) <= width:
        return text
    end = text.rindex(":")
    return fit_middle(text[:end], max(width - len(text) + end, 3)) + text[end:]
