"""Pseudonyms: consistent, prefix-preserving, and nothing of the real addresses is left in a frame's headers."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.decode.packets import decode
from analyzer.pipeline import Run
from analyzer.report.anonymous import Pseudonyms
from analyzer.report.octets import Frame, _as_columns, tcpdump_lines
from analyzer.tables import CONNECTION
from tests.report.saying import MACS, checksum, frames, write

KEY = b"a key"
ADDRESSES = ("192.0.2.77", "198.51.100.23"), ("2001:db8::a:77", "2001:db8:1::23")


def common_bits(a: bytes, b: bytes) -> int:
    differing = int.from_bytes(a, "big") ^ int.from_bytes(b, "big")
    return 8 * len(a) - differing.bit_length()


def is_usual(address: bytes) -> bool:
    ip = ipaddress.ip_address(address)
    return not (ip.is_loopback or ip.is_multicast or ip.is_unspecified or ip.is_link_local or int(ip) == 0xFFFFFFFF)


@given(st.binary(min_size=4, max_size=4).filter(is_usual), st.integers(0, 31))
def test_neighbours_stay_neighbours(address: bytes, bit: int) -> None:
    other = (int.from_bytes(address, "big") ^ 1 << bit).to_bytes(4, "big")
    pseudonyms = Pseudonyms(KEY)
    one, two = pseudonyms.of(address), pseudonyms.of(other)
    assert one == pseudonyms.of(address) != address
    if is_usual(other) and all(map(is_usual, (pseudonyms._turned(address, 0), pseudonyms._turned(other, 0)))):
        assert common_bits(one, two) == common_bits(address, other)


def test_every_page_has_other_pseudonyms() -> None:
    address = bytes([192, 0, 2, 1])
    assert len({Pseudonyms().of(address) for _ in range(8)}) > 1


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "ff02::1", "255.255.255.255"])
def test_what_is_no_secret_stays(text: str) -> None:
    packed = ipaddress.ip_address(text).packed
    assert Pseudonyms(KEY).of(packed) == packed


def test_link_local_addresses_stay_link_local() -> None:
    address = ipaddress.ip_address("fe80::ba2a:72ff:fec0:ffee").packed
    made = Pseudonyms(KEY).of(address)
    assert made[:8] == address[:8]
    assert made[8:] != address[8:]


def test_mapped_addresses_are_those_of_ipv4() -> None:
    pseudonyms = Pseudonyms(KEY)
    inner = bytes([192, 0, 2, 1])
    assert pseudonyms.of(bytes(10) + b"\xff\xff" + inner) == bytes(10) + b"\xff\xff" + pseudonyms.of(inner)


def kept(octets: list[bytes]) -> list[Frame]:
    """The frames as the report keeps them."""
    columns = _as_columns([Frame(i + 1, i, one, len(one), 1, len(one)) for i, one in enumerate(octets)])
    starts = (decode(columns).payload_start - columns.start).tolist()
    return [Frame(i + 1, i, one, len(one), 1, start) for i, (one, start) in enumerate(zip(octets, starts, strict=True))]


@pytest.mark.parametrize("addresses", ADDRESSES)
def test_no_header_betrays_an_address(addresses: tuple[str, str]) -> None:
    pseudonyms = Pseudonyms(KEY)
    for before in kept(frames([(0, b"hello"), (1, b"world")], addresses)):
        after = pseudonyms.frame(before)
        assert len(after.octets) == len(before.octets)
        assert after.octets[after.payload_start :] == before.octets[before.payload_start :]
        for secret in (*MACS, *(ipaddress.ip_address(text).packed for text in addresses)):
            assert secret in before.octets
            assert secret not in after.octets
        (line,) = tcpdump_lines([after]).values()
        assert not [text for text in addresses if text in line]


def test_checksums_stay_right() -> None:
    for before in kept(frames([(0, b"hello")])):
        octets = Pseudonyms(KEY).frame(before).octets
        assert checksum(octets[14:34]) == 0
        pseudo = octets[26:34] + (6).to_bytes(2, "big") + (len(octets) - 34).to_bytes(2, "big")
        assert checksum(pseudo + octets[34:]) == 0


def test_checksums_stay_wrong_or_unfinished() -> None:
    octets = bytearray(frames([])[0])
    pseudo = bytes(octets[26:34]) + (6).to_bytes(2, "big") + (20).to_bytes(2, "big")
    unfinished = checksum(pseudo) ^ 0xFFFF
    octets[50:52] = unfinished.to_bytes(2, "big")
    after = Pseudonyms(KEY).frame(kept([bytes(octets)])[0]).octets
    pseudo = after[26:34] + pseudo[8:]
    assert int.from_bytes(after[50:52], "big") == checksum(pseudo) ^ 0xFFFF
    octets[50:52] = b"\x12\x34"
    after = Pseudonyms(KEY).frame(kept([bytes(octets)])[0]).octets
    assert checksum(after[26:34] + pseudo[8:] + after[34:]) not in (0, 0xFFFF)


def test_tunnels_have_other_addresses_inside_and_outside() -> None:
    inner = frames([], ("10.1.2.3", "10.4.5.6"))[0]
    udp = (4789).to_bytes(2, "big") * 2 + (16 + len(inner)).to_bytes(2, "big") + bytes(2)
    ip = bytearray(bytes.fromhex("4500000000010000401100000a00000108080808"))
    ip[2:4] = (36 + len(inner)).to_bytes(2, "big")
    ip[10:12] = checksum(bytes(ip)).to_bytes(2, "big")
    outer = bytes.fromhex("02aabbccddee02ffeeddccbb0800") + bytes(ip) + udp + bytes.fromhex("0800000000002a00") + inner
    after = Pseudonyms(KEY).frame(kept([outer])[0]).octets
    secrets = ("0a000001", "08080808", "0a010203", "0a040506", *(mac.hex() for mac in MACS), "02aabbccddee")
    assert [secret for secret in secrets if secret in after.hex()] == []
    assert decode(_as_columns(kept([after])))[0][0] == 0


def test_routing_headers_betray_nobody() -> None:
    waypoint = ipaddress.ip_address("2001:db8:2::1").packed
    octets = frames([], ADDRESSES[1])[0]
    routing = bytes([6, 2, 0, 1, 0, 0, 0, 0]) + waypoint
    routed = octets[:18] + (len(octets) - 54 + len(routing)).to_bytes(2, "big") + b"\x2b" + octets[21:54] + routing
    after = Pseudonyms(KEY).frame(kept([routed + octets[54:]])[0]).octets
    assert waypoint not in after
    assert after[54:62] == routing[:8]


def test_rows_and_texts_have_the_same_pseudonyms(tmp_path: Path) -> None:
    with Run(str(write(tmp_path / "a.pcap", frames([])))) as run:
        run.exhaust()
    pseudonyms = Pseudonyms(KEY)
    (row,) = pseudonyms.rows(run.connections[:1])
    client = ipaddress.ip_address(pseudonyms.of(bytes([192, 0, 2, 77])))
    assert row["address"][3] == int(client)
    told = pseudonyms.text("in VXLAN VNI 42, 192.0.2.77 → 2001:db8::1 (UDP 4789) at 10:20:30")
    assert told.startswith(f"in VXLAN VNI 42, {client} → ")
    assert "2001:db8::1 " not in told
    assert told.endswith(" (UDP 4789) at 10:20:30")
    assert np.array_equal(run.connections[:1]["address"][0][:3], row["address"][:3])


def test_no_rows() -> None:
    assert len(Pseudonyms(KEY).rows(np.zeros(0, CONNECTION))) == 0
