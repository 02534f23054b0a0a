"""Random packets of every kind that the printer knows: whole, cut, changed. The same seed gives the same packets."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable

ETHERNET, NULL, PPP, RAW, PPP_SERIAL, PPP_ETHER, FDDI = 1, 0, 9, 101, 50, 51, 10
C_HDLC, LOOP, SLL, SLL2, IPV4, IPV6, IPNET = 104, 108, 113, 276, 228, 229, 226
LINKTYPES = (ETHERNET, NULL, PPP, RAW, PPP_SERIAL, PPP_ETHER, FDDI, C_HDLC, LOOP, SLL, SLL2, IPV4, IPV6, IPNET)

ADDRESSES = ("1.2.3.4", "10.0.0.1", "127.0.0.1", "255.255.255.255", "0.0.0.0", "192.168.1.77")
ADDRESSES_6 = (
    "fe80::1", "::1", "::", "2001:db8::1:0:0:1", "::ffff:1.2.3.4", "::1.2.3.4", "ff02::1", "1:2:3:4:5:6:7:8",
    "fe80:0:0:1::",
)  # fmt: skip

Packet = tuple[bytes, int]
"""Octets captured, and how many were on the wire."""


def checksum(octets: bytes) -> int:
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


class Packets:
    """A source of packets."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.some = self.random.choice
        self.octets = self.random.randbytes

    def often(self, probability: float) -> bool:
        return self.random.random() < probability

    def many(self, linktype: int, count: int) -> list[Packet]:
        """Packets of a link type: a fifth of them cut short or changed."""
        packets: list[Packet] = []
        while len(packets) < count:
            frame = self.frame(linktype)
            origlen = len(frame)
            if self.often(0.12):
                frame = frame[: self.random.randint(1, max(1, len(frame)))]
            elif self.often(0.1):
                changed = bytearray(frame)
                for _ in range(self.random.randint(1, 3)):
                    changed[self.random.randrange(len(changed))] = self.random.getrandbits(8)
                frame = bytes(changed)
            if self.often(0.05):
                frame += b"\0" * self.random.randint(1, 20)
            packets.append((frame, max(origlen, len(frame))))
        return packets

    def frame(self, linktype: int) -> bytes:
        kind, packet = self.network()
        ppp = {0x0800: 0x21, 0x86DD: 0x57}.get(kind, 0x1234)
        if linktype == ETHERNET:
            return self.ethernet(kind, packet)
        if linktype == SLL:
            head = struct.pack(">HHH8s", self.some((0, 1, 2, 3, 4, 9)), 1, self.some((6, 6, 0)), self.octets(8))
            return head + struct.pack(">H", kind) + packet
        if linktype == SLL2:
            return struct.pack(">HHIHBB8s", kind, 0, 99_999, 1, self.some((0, 4, 9)), 6, self.octets(8)) + packet
        if linktype in (NULL, LOOP):
            family = {0x0800: 2, 0x86DD: self.some((24, 28, 30))}.get(kind, 99)
            return struct.pack(">I" if linktype == LOOP or self.often(0.2) else "<I", family) + packet
        if linktype == PPP:
            return self.some((b"\xff\3", b"", b"\0\3", b"\1\3")) + struct.pack(">H", ppp) + packet
        if linktype == PPP_SERIAL:
            cisco = b"\x0f\0" + struct.pack(">H", kind)
            return self.some((b"\xff\3" + struct.pack(">H", ppp), cisco, b"\x33\3\0\x21")) + packet
        if linktype == PPP_ETHER:
            return struct.pack(">BBHHH", 0x11, 0, 5, len(packet) + 2, ppp) + packet
        if linktype == C_HDLC:
            return b"\x0f\0" + struct.pack(">H", kind) + packet
        if linktype == FDDI:
            return b"\x50" + self.octets(12) + b"\xaa\xaa\3\0\0\0" + struct.pack(">H", kind) + packet
        if linktype == IPNET:
            return bytes((1, {0x0800: 2, 0x86DD: 26}.get(kind, 3), 0, 0)) + self.octets(20) + packet
        return packet or b"\0"

    def network(self) -> tuple[int, bytes]:
        """An EtherType and its packet."""
        chance = self.random.random()
        if chance < 0.5:
            return 0x0800, self.ipv4()
        if chance < 0.87:
            return 0x86DD, self.ipv6()
        if chance < 0.96:
            return self.some((0x0806, 0x0806, 0x8035)), self.arp()
        return self.some((0x0800, 0x86DD, 0x0806, 0x1234)), self.octets(self.random.randint(0, 60))

    def ethernet(self, kind: int, packet: bytes) -> bytes:
        macs = self.octets(12)
        chance = self.random.random()
        is_ip = kind in (0x0800, 0x86DD)
        if chance < 0.1:
            return macs + struct.pack(">HHH", self.some((0x8100, 0x88A8, 0x9100)), self.tag(), kind) + packet
        if chance < 0.14:
            return macs + struct.pack(">HHHHH", 0x88A8, self.tag(), 0x8100, self.tag(), kind) + packet
        if chance < 0.2:
            snap = b"\xaa\xaa\3" + self.some((b"\0\0\0", b"\0\0\xf8")) + struct.pack(">H", kind)
            return macs + struct.pack(">H", len(packet) + 8) + snap + packet
        if chance < 0.25:
            llc = self.some((b"\6\6\3", b"\x10\x11\x03", b"\x20\x20\x01\x02", b"\xf0\xf0\xbf\x81", b"\x04\x06\x02\x02"))
            return macs + struct.pack(">H", self.some((len(packet) + 3, 10, 1400))) + llc + packet
        if chance < 0.3 and is_ip:
            return macs + struct.pack(">H", self.some((0x8847, 0x8848))) + self.labels() + packet
        if chance < 0.35 and is_ip:
            size = len(packet) + 2 if self.often(0.9) else 3000
            header = struct.pack(">BBHH", self.some((0x11, 0x11, 0x21)), 0, self.some((0, 5)), size)
            return macs + b"\x88\x64" + header + (b"\0\x21" if kind == 0x0800 else b"\0\x57") + packet
        if chance < 0.38:
            return macs + b"\x88\x63" + self.discovery()
        return macs + struct.pack(">H", kind) + packet

    def tag(self) -> int:
        return self.random.getrandbits(16)

    def labels(self) -> bytes:
        values = [self.some((0, 1, 2, 3, 9, 16, 1000)) for _ in range(self.random.randint(1, 3))]
        entries = [value << 12 | self.random.getrandbits(3) << 9 | self.random.getrandbits(8) for value in values]
        entries[-1] |= 0x100
        return b"".join(struct.pack(">I", entry) for entry in entries)

    def discovery(self) -> bytes:
        values = [self.some((b"", b"hello", self.octets(5), self.octets(90))) for _ in range(self.random.randint(0, 3))]
        kinds = (0x101, 0x102, 0x103, 0x104, 0x120, 0x203, 0x999)
        tags = b"".join(struct.pack(">HH", self.some(kinds), len(value)) + value for value in values)
        code, session = self.some((9, 7, 0x19, 0x65, 0xA7, 0x33)), self.some((0, 5))
        return struct.pack(">BBHH", 0x11, code, session, len(tags)) + tags

    def arp(self) -> bytes:
        hardware_len, protocol_len = self.some([(6, 4)] * 8 + [(0, 4), (6, 0), (2, 3), (8, 4)])
        hardware = self.some([1] * 8 + [6, 7, 23, 99])
        protocol = self.some([0x0800] * 8 + [0x0806, 0x1000, 0x9999])
        operation = self.some((1, 1, 1, 2, 2, 3, 4, 8, 9, 10, 77))
        target = self.some((self.octets(hardware_len), b"\0" * hardware_len))
        header = struct.pack(">HHBBH", hardware, protocol, hardware_len, protocol_len, operation)
        return header + self.octets(hardware_len + protocol_len) + target + self.octets(protocol_len)

    def filled(self, protocol: int, pair: bytes, body: bytes, version: int) -> bytes:
        """A body with its checksum, most of the time."""
        at = {6: 16, 17: 6, 58: 2, 1: 2}.get(protocol)
        if at is None or len(body) < at + 2 or self.often(0.3):
            return body
        body = body[:at] + b"\0\0" + body[at + 2 :]
        pseudo = b""
        if protocol != 1:
            pseudo = pair + struct.pack(">HH" if version == 4 else ">II", protocol, len(body))
        return body[:at] + struct.pack(">H", checksum(pseudo + body)) + body[at + 2 :]

    def ipv4(self, depth: int = 0) -> bytes:
        makers: dict[int, Callable[[], bytes]] = {
            6: self.tcp, 17: self.udp, 1: lambda: self.icmp(depth + 1), 4: lambda: self.ipv4(depth + 1),
            41: lambda: self.ipv6(depth + 1), 51: self.authenticated,
        }  # fmt: skip
        several = (6, 6, 6, 17, 17, 1, 1, 1, 4, 41, 50, 51, 108, 59, 77, 99, 58, 143, 255)
        protocol = self.some(several if depth < 3 else (6, 17, 1))
        pair = socket.inet_aton(self.some(ADDRESSES)) + socket.inet_aton(self.some(ADDRESSES))
        body = makers.get(protocol, lambda: self.octets(self.random.randint(0, 20)))()
        body = self.filled(protocol, pair, body, 4)
        options = self.ipv4_options() if self.often(0.25) else b""
        words = 5 + len(options) // 4 if self.often(0.97) else self.random.randint(0, 15)
        total = 20 + len(options) + len(body)
        if self.often(0.1):
            total = max(0, total + self.some((-3, 3, -30, 100)))
        header = struct.pack(
            ">BBHHHBBH", 0x40 | words, self.some((0, 1, 2, 3, 0xB8)), total, self.random.getrandbits(16),
            self.some((0, 0, 0, 0, 0, 0x4000, 0x2000, 0x2001, 1, 0xA000)), self.some((0, 1, 64)), protocol, 0,
        )  # fmt: skip
        header += pair + options
        if self.often(0.7):
            header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
        return header + body

    def ipv4_options(self) -> bytes:
        options = b""
        for _ in range(self.random.randint(0, 3)):
            kind = self.some((0, 1, 7, 68, 68, 82, 130, 131, 137, 148, 148, 200))
            if kind < 2:
                options += bytes((kind,))
                continue
            data = self.octets(self.some((0, 1, 2, 4, 5, 6, 9, 10, 13)))
            if kind in (7, 131, 137) and data:
                data = bytes((self.some((4, 8, 12, 3, 0, 40)),)) + data[1:]
            if kind == 68 and len(data) > 1:
                data = bytes((self.some((5, 9, 13, 4)), self.some((0, 1, 3, 5, 0x31)))) + data[2:]
            if kind == 148:
                data = self.some((b"\0\0", b"\0\1", b"", data))
            size = len(data) + 2 if self.often(0.9) else self.random.randint(0, 40)
            options += bytes((kind, size)) + data
        options = options[:40]
        return options + b"\0" * (-len(options) % 4)

    def authenticated(self) -> bytes:
        following, words = self.some((6, 17, 59, 99, 51)), self.some((1, 4, 4, 0, 9))
        rest = self.tcp() if following == 6 else self.udp() if following == 17 else self.octets(8)
        return bytes((following, words)) + self.some((b"\0\0", b"\0\7")) + self.octets(words * 4 + 4) + rest

    def ipv6(self, depth: int = 0) -> bytes:
        makers: dict[int, Callable[[], bytes]] = {
            6: self.tcp, 17: self.udp, 58: lambda: self.icmp6(depth + 1), 4: lambda: self.ipv4(depth + 1),
            41: lambda: self.ipv6(depth + 1),
        }  # fmt: skip
        protocol = self.some((6, 6, 17, 58, 58, 58, 59, 4, 41, 50, 99, 1) if depth < 3 else (6, 17, 58))
        source, destination = (socket.inet_pton(socket.AF_INET6, self.some(ADDRESSES_6)) for _ in range(2))
        body = makers.get(protocol, lambda: self.octets(self.random.randint(0, 20)))()
        body = self.filled(protocol, source + destination, body, 6)
        for _ in range(self.some((0, 0, 0, 1, 1, 2))):
            kind = self.some((0, 60, 60, 43, 44, 51))
            body = self.extension_header(kind, protocol) + body
            protocol = kind
        payload_len = len(body)
        if self.often(0.12):
            payload_len = self.some((0, payload_len + 9, max(0, payload_len - 5), 3))
        word = (6 if self.often(0.97) else 5) << 28 | self.some((0, 0, 0x0B800000, 0x12345, 0x0BC12345))
        header = struct.pack(">IHBB", word, payload_len, protocol, self.some((0, 1, 64, 255)))
        return header + source + destination + body

    def extension_header(self, kind: int, following: int) -> bytes:
        if kind in (0, 60):
            options = b""
            for _ in range(self.random.randint(0, 3)):
                option = self.some((0, 1, 1, 5, 5, 194, 201, 99))
                size = {1: self.random.randint(0, 5), 5: 2, 194: 4, 201: 16}.get(option, 3)
                if option == 0:
                    options += b"\0"
                elif option == 201 and self.often(0.4):
                    options += bytes((option, size + 4)) + self.octets(16) + bytes((0, 9, 0, 1))
                else:
                    size = size if self.often(0.9) else self.random.randint(0, 20)
                    options += bytes((option, size)) + self.some((self.octets(size), b"\0\1\0\1"[:size]))
            options += b"\0" * (-(len(options) + 2) % 8)
            return bytes((following, (len(options) + 2) // 8 - 1)) + options
        if kind == 43:
            count = self.some((0, 1, 2))
            units = 2 * count + (1 if self.often(0.1) else 0)
            fixed = (following, units, self.some((0, 2, 4, 4, 3)), count, self.random.randint(0, 3), self.some((0, 1)))
            return bytes(fixed) + self.octets(2 + 16 * count)
        if kind == 44:
            return struct.pack(">BBHI", following, 0, self.some((0, 1, 8, 0x101)), self.random.getrandbits(32))
        words = self.some((1, 4))
        return bytes((following, words, 0, 0)) + self.octets(words * 4 + 4)

    def tcp(self) -> bytes:
        options = self.tcp_options()
        words = 5 + len(options) // 4 if self.often(0.95) else self.random.randint(0, 15)
        flags = self.some((2, 0x12, 0x10, 0x18, 4, 0x14, 0x11, 0, 0xFF, self.random.getrandbits(8)))
        header = struct.pack(
            ">HHIIBBHHH", self.some((1000, 445, 445, 443, 40_000)), self.some((2000, 40_001, 139)),
            self.some((0, 1, 2**32 - 1, self.random.getrandbits(32))), self.random.getrandbits(32), words << 4, flags,
            self.random.getrandbits(16), 0, self.some((0, 5)),
        )  # fmt: skip
        return header + options + self.octets(self.some((0, 0, 1, 5, 40)))

    def tcp_options(self) -> bytes:
        sizes = {2: 2, 3: 1, 4: 0, 6: 4, 7: 4, 8: 8, 11: 4, 12: 4, 13: 4, 19: 16, 20: 2, 28: 2}
        several = {
            5: (8, 16, 24), 29: (2, 4, 14), 30: (1, 2, 6, 8, 10, 14, 16, 18, 20, 22, 26, 28), 34: (0, 4, 6, 8, 16, 3),
            254: (2, 4, 8, 10, 1), 99: (0, 3, 8), 255: (0, 1, 2),
        }  # fmt: skip
        options = b""
        for _ in range(self.random.randint(0, 5)):
            kind = self.some((0, 1, 1, 30, 30, 34, 254, 5, 8, *sizes, *several))
            if kind < 2:
                options += bytes((kind,))
                continue
            data = self.octets(sizes[kind] if kind in sizes else self.some(several[kind]))
            if kind == 254 and self.often(0.7):
                data = b"\xf9\x89" + data[2:]
            if kind == 30:
                data = bytes((self.random.randint(0, 8) << 4 | self.some((0, 1, 4, 6, 9)),)) + data[1:]
            size = len(data) + 2 if self.often(0.93) else self.random.randint(0, 40)
            options += bytes((kind, size)) + data
        options = options[:40]
        return options + b"\0" * (-len(options) % 4)

    def udp(self) -> bytes:
        data = self.octets(self.some((0, 1, 3, 8, 40)))
        size = 8 + len(data)
        if self.often(0.15):
            size = self.some((0, 5, 8, size + 7, size - 1, 65535))
        ports = self.some((1000, 4000, 16520)), self.some((2000, 40_000, 50_000))
        return struct.pack(">HHHH", *ports, size, self.some((0, self.random.getrandbits(16)))) + data

    def icmp(self, depth: int) -> bytes:
        kind = self.some((0, 8, 3, 3, 3, 3, 5, 4, 11, 11, 12, 9, 10, 13, 14, 15, 16, 17, 18, 30, 200))
        code = self.some((0, 0, 1, 2, 3, 3, 4, self.random.randint(0, 20)))
        if kind in (3, 4, 5, 11, 12):
            quoted = self.ipv4(depth) if depth < 4 else self.octets(28)
            words, extension = 0, b""
            if self.often(0.3):
                quoted = quoted[: self.random.randint(0, len(quoted))]
            elif self.often(0.5):
                quoted = (quoted + b"\0" * 128)[:128]
                words, extension = self.some((0, 32)), self.extension()
            second = self.some((bytes((0, words, 0, 0)), self.octets(4), b"\0\0\5\xdc"))
            return bytes((kind, code, 0, 0)) + second + quoted + extension
        if kind == 9:
            count = self.random.randint(0, 3)
            lifetime = struct.pack(">H", self.some((5, 100, 4000, 65535)))
            return bytes((9, 0, 0, 0, count, self.some((2, 2, 2, 1)))) + lifetime + self.octets(8 * count)
        return bytes((kind, code, 0, 0)) + self.octets(self.some((4, 4, 8, 16, 16, 20)))

    def extension(self) -> bytes:
        """An extension structure of RFC 4884."""
        objects = b""
        for _ in range(self.random.randint(0, 3)):
            data = self.octets(self.some((4, 8, 4, 0)))
            size = 4 + len(data) if self.often(0.9) else self.random.randint(0, 30)
            objects += struct.pack(">HBB", size, *self.some(((1, 1), (1, 1), (2, 3), (7, 1), (0, 0)))) + data
        whole = bytes((self.some((0x20, 0x20, 0x20, 0x10)), 0, 0, 0)) + objects
        if self.often(0.7):
            whole = whole[:2] + struct.pack(">H", checksum(whole)) + whole[4:]
        return whole

    def icmp6(self, depth: int) -> bytes:
        kind = self.some((
            1, 1, 1, 2, 3, 3, 4, 4, 128, 129, 130, 130, 131, 132, 133, 134, 134, 135, 135, 136, 136, 137, 141, 142, 143,
            143, 144, 145, 146, 147, 100, 200, 201, 255,
        ))  # fmt: skip
        head = bytes((kind, self.some((0, 0, 1, 2, 3, 4, 4, 5, 9)), 0, 0))
        if kind < 5:
            quoted = self.ipv6(depth) if depth < 4 else self.octets(48)
            if self.often(0.4):
                quoted = quoted[: self.random.randint(0, len(quoted))]
            return head + self.octets(4) + quoted
        if kind in (130, 131, 132):
            head += self.some((b"\0\x0a\0\0", b"\x8f\0\0\0")) + self.octets(16)
            if self.often(0.5):
                return head
            fields = self.some((0, 10, 3)), self.some((5, 200)), 0, self.some((0, 1, 2))
            return head + bytes(fields) + self.octets(16 * self.some((0, 1, 2)))
        if kind == 143:
            return head + b"\0\0" + self.listener_records()
        fixed = {133: 4, 134: 12, 135: 20, 136: 20, 137: 36, 147: 4}
        if kind in fixed:
            return head + self.octets(fixed[kind]) + self.neighbor_options()
        return head + self.octets(self.some((4, 4, 10, 20, 36)))

    def listener_records(self) -> bytes:
        count = self.random.randint(0, 3)
        records = b""
        for _ in range(count):
            sources = self.some((0, 1, 2))
            records += bytes((self.some((1, 2, 3, 4, 5, 6, 9)), 0))
            records += struct.pack(">H", sources if self.often(0.9) else 99) + self.octets(16 + 16 * sources)
        return struct.pack(">H", count if self.often(0.9) else count + 1) + records

    def neighbor_options(self) -> bytes:
        units_of = {3: (4,), 5: (1,), 7: (1,), 8: (1,), 24: (1, 2, 3, 4), 25: (3, 5), 31: (3,)}
        options = b""
        for _ in range(self.random.randint(0, 3)):
            kind = self.some((1, 2, 3, 4, 5, 7, 8, 24, 25, 31, 99))
            units = self.some(units_of.get(kind, (1, 2)))
            data = self.octets(8 * units - 2)
            if kind == 31:
                data = (self.octets(6) + b"\3abc\2de\0\1x\0" + b"\0" * 20)[: 8 * units - 2]
            elif kind in (3, 24, 25) and self.often(0.3):
                data = (data[:2] + b"\xff" * 8 + data[10:])[: 8 * units - 2]
            options += bytes((kind, units if self.often(0.94) else self.some((0, 9)))) + data
        return options
