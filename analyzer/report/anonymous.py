"""Other addresses in place of the real ones: each always the same, and neighbours stay neighbours.

Two addresses that share their first n bits have pseudonyms that share their first n bits and no more, as Crypto-PAn
has it (Xu, Fan, Ammar, Moon: Prefix-Preserving IP Address Anonymization, ICNP 2002); the key is new for every page, and
nobody has it. Loopback, unspecified, multicast and broadcast addresses are no secret and stay.

In a frame everything before the payload is looked through for IP headers, those in tunnels among them. Their addresses
are replaced, and checksums stay as right, wrong or unfinished as they were. Link-layer addresses get others, too.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from hashlib import blake2b

import numpy as np

from analyzer.report.octets import Frame
from analyzer.tables import Rows

_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.:]*")
_LINKS = {1: ((0, 6), (6, 12)), 113: ((6, 14),), 276: ((12, 20),)}
"""Where link-layer addresses stand, by LINKTYPE_ value: Ethernet, Linux cooked capture and its second version."""

_CHECKSUM_AT = {6: 16, 17: 6}
"""Offset of the checksum in the headers of TCP and UDP."""

_NEXT_HEADERS = {0, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 60, 115}
"""What may follow an IPv6 header."""

_ROUTING = 43
"""The routing header, as a next header of IPv6."""

_TRAILER = 8
"""Octets that may follow an IP packet in its frame: a checksum, a VLAN's padding."""

_ETHERTYPES = (b"\x08\x00", b"\x86\xdd")


class Pseudonyms:
    """The pseudonyms of one page."""

    def __init__(self, key: bytes = b"") -> None:
        self._key = key or secrets.token_bytes(32)
        self._known: dict[bytes, bytes] = {}

    def of(self, address: bytes) -> bytes:
        """The pseudonym of an IP address of 4 or 16 octets, or of a link-layer address of any other length."""
        if address not in self._known:
            self._known[address] = self._made(address)
        return self._known[address]

    def rows(self, connections: Rows) -> Rows:
        """A copy of CONNECTION rows with other addresses."""
        changed = connections.copy()
        octets = connections["address"].astype(">u4").tobytes()
        written = bytearray(octets)
        for row, version in enumerate(connections["ip_version"].tolist()):
            for start in (32 * row, 32 * row + 16):
                first = start if version == 6 else start + 12
                written[first : start + 16] = self.of(octets[first : start + 16])
        changed["address"] = np.frombuffer(bytes(written), ">u4").reshape(-1, 8)
        return changed

    def text(self, text: str) -> str:
        """A text with other addresses in it."""
        return _ADDRESS.sub(self._spelled, text)

    def frame(self, frame: Frame) -> Frame:
        """A frame with other addresses in its headers."""
        octets, end = bytearray(frame.octets), frame.payload_start
        for start, stop in _LINKS.get(frame.linktype, ()):
            if any(octets[start:stop]):
                octets[start:stop] = self.of(bytes(octets[start:stop]))
        at, before = max((stop for _start, stop in _LINKS.get(frame.linktype, ())), default=0), 0
        while at + 20 <= end:
            version = self._version(octets, at, frame.origlen)
            if not version:
                at += 1
                continue
            if before and at - before >= 14 and bytes(octets[at - 2 : at]) in _ETHERTYPES:  # Ethernet in a tunnel
                for start in (at - 14, at - 8):
                    octets[start : start + 6] = self.of(bytes(octets[start : start + 6]))
            at = before = self._header(octets, at, version)
        return frame._replace(octets=bytes(octets))

    # -------------------------------------------------------- addresses

    def _made(self, address: bytes) -> bytes:
        if len(address) not in (4, 16):
            if address[0] & 1:  # a group's
                return address
            return b"\x02" + self._digest(b"link" + address)[: len(address) - 1]
        if _is_no_secret(address):
            return address
        if address[:12] == bytes(10) + b"\xff\xff":
            return address[:12] + self.of(address[12:])
        kept = 64 if address[:2] == b"\xfe\x80" else 0  # the prefix of link-local addresses
        made = self._turned(address, kept)
        while _is_no_secret(made):  # it ends: what is turned again and again comes back to the address
            made = self._turned(made, kept)
        return made

    def _turned(self, address: bytes, kept: int) -> bytes:
        """The address with each bit turned or not, as the bits before it and the key decide."""
        size = 8 * len(address)
        value = int.from_bytes(address, "big")
        turned = 0
        for bit in range(kept, size):
            prefix = value >> (size - bit)
            digest = self._digest(bytes([size, bit]) + prefix.to_bytes(16, "big"))
            turned |= (digest[0] & 1) << (size - 1 - bit)
        return (value ^ turned).to_bytes(len(address), "big")

    def _digest(self, said: bytes) -> bytes:
        return blake2b(said, key=self._key, digest_size=16).digest()

    def _spelled(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            return match[0]
        return str(ipaddress.ip_address(self.of(address.packed)))

    # -------------------------------------------------------- headers

    def _version(self, octets: bytearray, at: int, origlen: int) -> int:
        """4 or 6 where an IP header begins, else 0.

        It has addresses of connections, or else a right checksum (IPv4), or as many octets as the frame (IPv6).
        """
        if octets[at] >> 4 == 4:
            size = (octets[at] & 15) * 4
            is_header = size >= 20 and at + size <= len(octets)
            return 4 if is_header and (self._knows(octets, at + 12, 4) or _sum(octets[at : at + size]) == 0xFFFF) else 0
        if octets[at] >> 4 == 6 and at + 40 <= len(octets):
            length = int.from_bytes(octets[at + 4 : at + 6], "big")
            is_whole = 0 <= origlen - at - 40 - length <= _TRAILER and octets[at + 6] in _NEXT_HEADERS
            return 6 if self._knows(octets, at + 8, 16) or is_whole else 0
        return 0

    def _knows(self, octets: bytearray, at: int, size: int) -> bool:
        """Whether two addresses of connections stand here."""
        pair = bytes(octets[at : at + size]), bytes(octets[at + size : at + 2 * size])
        return all(address in self._known for address in pair)

    def _segments(self, octets: bytearray, at: int) -> None:
        """Replace the addresses of the routing header here (RFC 8200 4.4, RFC 8754 2)."""
        end = min(at + 8 + 8 * octets[at + 1], len(octets)) if at + 2 <= len(octets) else 0
        for start in range(at + 8, end - 15, 16):
            octets[start : start + 16] = self.of(bytes(octets[start : start + 16]))

    def _header(self, octets: bytearray, at: int, version: int) -> int:
        """Replace the addresses of the IP header here; gives where it ends."""
        first, size = (at + 12, 4) if version == 4 else (at + 8, 16)
        stop = first + 2 * size
        end = at + (octets[at] & 15) * 4 if version == 4 else at + 40
        total = int.from_bytes(octets[at + 2 : at + 4], "big") - (end - at)
        length = total if version == 4 else int.from_bytes(octets[at + 4 : at + 6], "big")
        protocol = octets[at + 9] if version == 4 else octets[at + 6]
        old = bytes(octets[first:stop])
        new = self.of(old[:size]) + self.of(old[size:])
        octets[first:stop] = new
        if version == 4:
            _update(octets, at + 10, old, new)
        elif protocol == _ROUTING:
            self._segments(octets, end)
        is_first = version == 6 or not int.from_bytes(octets[at + 6 : at + 8], "big") & 0x1FFF
        if is_first and protocol in _CHECKSUM_AT:
            place = end + _CHECKSUM_AT[protocol]
            tail = bytes([0, protocol]) + length.to_bytes(4, "big", signed=length < 0)
            if int.from_bytes(octets[place : place + 2], "big") == _sum(old + tail):  # left to the network card
                octets[place : place + 2] = _sum(new + tail).to_bytes(2, "big")
            elif any(octets[place : place + 2]):
                _update(octets, place, old, new)
        return end


def _is_no_secret(address: bytes) -> bool:
    ip = ipaddress.ip_address(address)
    return ip.is_loopback or ip.is_unspecified or ip.is_multicast or address == b"\xff" * 4


def _sum(octets: bytes | bytearray) -> int:
    """The sum of 16-bit words in ones' complement (RFC 1071)."""
    total = sum(int.from_bytes(octets[i : i + 2], "big") for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _update(octets: bytearray, place: int, old: bytes, new: bytes) -> None:
    """The checksum here after other octets were written (RFC 1624)."""
    if place + 2 > len(octets):
        return
    checksum = int.from_bytes(octets[place : place + 2], "big") ^ 0xFFFF
    without = checksum.to_bytes(2, "big") + bytes(octet ^ 0xFF for octet in old) + new
    octets[place : place + 2] = (_sum(without) ^ 0xFFFF).to_bytes(2, "big")
