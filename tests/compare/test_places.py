"""Two hosts, a capture at each, and a wire between them that loses, delays and doubles packets: what is told of it."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import scapy.arch.linux  # noqa: F401 (a namespace that ends has scapy list the interfaces)
from click.testing import CliRunner

from analyzer.capture.source import open_capture
from analyzer.cli.diff import command
from analyzer.tables import Packets
from tests.capture.namespaces import (
    FAR,
    MARK,
    MARK_PORT,
    NEAR,
    PATIENCE,
    Reference,
    converse,
    namespace,
    needs_root,
    needs_tcpdump,
    pair,
    send,
    within,
)
from tests.capture.written import Packet, pcap, rows
from tests.explain.lab import ADDRESSES, Lab, lab

pytestmark = [needs_root, needs_tcpdump]

_SIOCETHTOOL, _ETHTOOL_STSO, _ETHTOOL_SGRO = 0x8946, 0x1F, 0x2C


def shifted(path: Path, to: Path, by_ns: int) -> Path:
    """The same capture by another clock."""
    with open_capture(path) as capture:
        read = list(rows(capture))
    packets = [Packet(one.octets, *divmod(one.ts_ns + by_ns, 10**9), one.origlen) for one in read]
    to.write_bytes(pcap(packets, magic=0xA1B23C4D, linktype=read[0].linktype))
    return to


def told(near: Path, far: Path, *more: str) -> tuple[dict[str, Any], int]:
    result = CliRunner().invoke(command, ["--vantage", str(near), str(far), "--format", "json", *more, "tcp"])
    assert result.exit_code in (0, 1), result.output
    assert result.stderr == ""
    return json.loads(result.stdout), result.exit_code


def test_a_wire_that_loses_nothing(tmp_path: Path) -> None:
    with pair() as there:
        near = Reference(tmp_path, "near")
        with within(there):
            far = Reference(tmp_path, "far")
        with near, far:
            converse("10.9.0.2", 3, there)
            send("10.9.0.2", MARK_PORT, MARK)
            near.end()
            far.end()
    by_ns = 987_654_321_012
    found, status = told(near.path, shifted(far.path, tmp_path / "shifted.pcap", by_ns))
    assert (found["packets"], found["changes"], status) == ([], [], 0)
    clock = found["clock"]
    assert abs(clock["offset_ns"] - by_ns) <= clock["uncertainty_ns"] < 10_000_000
    assert {one["place"] for one in found["client_at"].values()} == {"a"}


def offload(interface: str, command: int, *, on: bool) -> None:
    """Switch an offload of an interface."""
    value = ctypes.create_string_buffer(struct.pack("II", command, on))
    request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)


def test_segments_that_one_place_sees_whole_and_the_other_in_parts(tmp_path: Path) -> None:
    with pair() as there:
        offload("near", _ETHTOOL_STSO, on=False)
        near = Reference(tmp_path, "near")
        with within(there):
            offload("far", _ETHTOOL_SGRO, on=True)
            far = Reference(tmp_path, "far")
        with near, far:
            converse("10.9.0.2", 40, there)
            send("10.9.0.2", MARK_PORT, MARK)
            near.end()
            far.end()
    assert len(numbered(far.path)) < len(numbered(near.path))
    by_ns = 5_000_000_000
    found, status = told(near.path, shifted(far.path, tmp_path / "shifted.pcap", by_ns))
    assert (found["changes"], [one for one in found["packets"] if one["fate"] != "arrived"], status) == ([], [], 0)
    assert abs(found["clock"]["offset_ns"] - by_ns) <= found["clock"]["uncertainty_ns"]


@contextmanager
def both_ends(there: Lab, folder: Path) -> Iterator[tuple[Reference, Reference]]:
    near = Reference(folder, "near")
    with within(there.far):
        far = Reference(folder, "far")
    with near, far:
        yield near, far
        there.rule = lambda to, packet, octets: True
        with there.made(NEAR, socket.SOCK_DGRAM) as sender:
            sender.sendto(MARK, (ADDRESSES[there.version][FAR], MARK_PORT))
        near.end()
        far.end()


def talk(there: Lab, count: int) -> None:
    """Messages to and fro, then both close; the last packets are on the wire when it ends."""
    client, server = there.connected()
    with client, server:
        for k in range(count):
            message = bytes([k]) * (200 + 317 * k % 900)
            for one, other in ((client, server), (server, client)):
                one.sendall(message)
                left = len(message)
                while left:
                    left -= len(other.recv(left))


@pytest.mark.parametrize("version", [4, 6])
def test_exactly_what_the_wire_dropped_is_lost(version: int, tmp_path: Path) -> None:
    dropped: list[tuple[int, bytes]] = []
    count = [0]

    def rule(to: int, packet: Packets, octets: bytes) -> bool:
        if packet.payload_len[0] == 0:
            return True
        count[0] += 1
        if count[0] % 7 == 0:
            dropped.append((to, octets))
            return False
        return True

    with lab(version, 3) as there, both_ends(there, tmp_path) as (near, far):
        there.rule = rule
        talk(there, 20)
    assert len(dropped) >= 4
    by_ns = -31_415_926_535
    found, status = told(near.path, shifted(far.path, tmp_path / "shifted.pcap", by_ns))
    assert status == 1
    octets = [numbered(path) for path in (near.path, far.path)]
    lost = [one for one in found["packets"] if one["fate"] != "arrived"]
    assert {one["fate"] for one in lost} == {"lost"}
    expected = sorted((FAR if one["way"] == "a_to_b" else NEAR, sent(one, octets)) for one in lost)
    assert expected == sorted(dropped)
    clock = found["clock"]
    assert abs(clock["offset_ns"] - by_ns) <= clock["uncertainty_ns"]


def test_what_came_late_and_what_came_twice_are_told(tmp_path: Path) -> None:
    held: list[tuple[int, bytes]] = []
    doubled: list[tuple[int, bytes]] = []
    count = [0]

    with lab(4, 5) as there, both_ends(there, tmp_path) as (near, far):

        def rule(to: int, packet: Packets, octets: bytes) -> bool:
            if packet.payload_len[0] == 0:
                return True
            count[0] += 1
            if count[0] == 20:
                doubled.append((to, octets))
                os.write(there._ends[to], octets)
            if count[0] == 9:
                held.append((to, octets))
                return False
            if held and not released and to == held[0][0]:
                # What was sent again passed it; now the first may come.
                os.write(there._ends[to], octets)
                os.write(there._ends[held[0][0]], held[0][1])
                released.append(True)
                return False
            return True

        released: list[bool] = []
        there.rule = rule
        talk(there, 20)
    found, status = told(near.path, far.path)
    assert status == 1
    octets = [numbered(path) for path in (near.path, far.path)]
    overtaken = [one for one in found["packets"] if one["overtaken_by"]]
    twice = [one for one in found["packets"] if one["fate"] == "duplicated"]
    assert [(FAR if one["way"] == "a_to_b" else NEAR, sent(one, octets)) for one in overtaken] == held
    assert len(twice) == 1
    at = 1 if twice[0]["way"] == "a_to_b" else 0
    assert octets[at][twice[0]["b" if at else "a"] - 1] == doubled[0][1]
    assert {one["fate"] for one in found["packets"]} == {"arrived", "duplicated"}


def test_a_program_that_runs_twice_behaves_the_same(tmp_path: Path) -> None:
    paths = []
    for run in range(2):
        folder = tmp_path / str(run)
        folder.mkdir()
        with namespace(), Reference(folder, "lo") as reference:
            for k in range(3):
                with socket.create_server(("127.0.0.1", 1235)) as listening:
                    client = socket.create_connection(("127.0.0.1", 1235), PATIENCE)
                    with listening.accept()[0] as server, client:
                        client.sendall(b"request %d" % k)
                        assert server.recv(100)
                        server.sendall(b"response" * 400)
                        assert client.recv(8 * 400, socket.MSG_WAITALL)
                        client.shutdown(socket.SHUT_WR)
                        assert server.recv(100) == b""
                        server.shutdown(socket.SHUT_WR)
                        assert client.recv(100) == b""
            send("127.0.0.1", MARK_PORT, MARK)
            reference.end()
        paths.append(reference.path)
    result = CliRunner().invoke(command, [*map(str, paths), "tcp"])
    assert (result.exit_code, result.stderr) == (0, ""), result.stdout
    assert "Nothing differs: 3 the same" in result.stdout


def numbered(path: Path) -> list[bytes]:
    with open_capture(path) as capture:
        return [one.octets for one in rows(capture)]


def sent(one: dict[str, Any], octets: list[list[bytes]]) -> bytes:
    return octets[0][one["a"] - 1] if one["way"] == "a_to_b" else octets[1][one["b"] - 1]
