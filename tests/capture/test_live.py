"""Live capture: every packet once, as tcpdump has it; filters before the first packet; how a capture ends."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from analyzer.capture import live
from analyzer.capture.live import LiveCapture, interfaces
from analyzer.decode.packets import decode
from analyzer.errors import CaptureOpenError, FilterError
from tests.capture.namespaces import (
    MARK,
    MARK_PORT,
    PATIENCE,
    Reference,
    check_same,
    converse,
    ip,
    namespace,
    needs_root,
    needs_tcpdump,
    pair,
    quiet,
    send,
    within,
)
from tests.capture.written import Read, rows

pytestmark = needs_root

SLL2 = 276


@pytest.fixture
def loopback() -> Iterator[None]:
    """A namespace with nothing but loopback, and somebody who takes datagrams."""
    with namespace(), listening("127.0.0.1"), listening("::1"):
        yield


@pytest.fixture
def far() -> Iterator[int]:
    """A namespace with ``near``; gives the one with ``far``, where somebody takes datagrams."""
    with pair() as there:
        with within(there):
            sink = listening("10.9.0.2")
        with sink:
            sink.settimeout(PATIENCE)
            send("10.9.0.2", MARK_PORT, b"who has that address?")
            sink.recv(64)
            yield there


def listening(address: str) -> socket.socket:
    sink = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((address, MARK_PORT))
    return sink


def finish(capture: LiveCapture) -> list[Read]:
    """All packets that are there."""
    capture.stop()
    packets = list(rows(capture))
    assert len(packets) == capture.packets
    assert [packet.number for packet in packets] == list(range(1, len(packets) + 1))
    return packets


# ---------------------------------------------------------------- every packet once


@needs_tcpdump
@pytest.mark.usefixtures("loopback")
def test_loopback_as_tcpdump_sees_it(tmp_path: Path) -> None:
    reference = Reference(tmp_path, "lo")
    with LiveCapture("lo") as capture:
        converse("127.0.0.1", 30)
        converse("::1", 30)
        send("127.0.0.1", MARK_PORT, bytes(65_000), MARK)
        packets = finish(capture)
        assert capture.dropped == 0
        assert capture.received == len(packets) > 600
    check_same(packets, reference.packets())
    assert max(len(packet.octets) for packet in packets) == 14 + 28 + 65_000


@needs_tcpdump
def test_a_pair_of_interfaces_as_tcpdump_sees_it(far: int, tmp_path: Path) -> None:
    reference = Reference(tmp_path, "near")
    with LiveCapture("near") as capture:
        converse("10.9.0.2", 20, far)
        send("10.9.0.2", MARK_PORT, MARK)
        packets = finish(capture)
    check_same(packets, reference.packets())
    directions = {packet.octets[:6] for packet in packets}
    assert len(directions) == 2


@needs_tcpdump
def test_all_interfaces_as_tcpdump_sees_them(far: int, tmp_path: Path) -> None:
    reference = Reference(tmp_path, "any")
    with LiveCapture("any") as capture:
        assert capture.linktype == SLL2
        converse("10.9.0.2", 5, far)
        converse("127.0.0.1", 5)
        send("10.9.0.2", MARK_PORT, MARK)
        packets = finish(capture)
    assert {packet.linktype for packet in packets} == {SLL2}
    expected = [packet._replace(octets=address_padded(packet.octets)) for packet in reference.packets()]
    check_same(packets, expected)
    hardware_types = {packet.octets[8:10] for packet in packets}
    assert hardware_types == {struct.pack("!H", 1), struct.pack("!H", 772)}


def address_padded(frame: bytes) -> bytes:
    """An SLL2 frame with zeros behind its address, where Linux leaves what was there before."""
    length = frame[11]
    return frame[: 12 + length] + bytes(8 - length) + frame[20:]


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(("interface", "expression"), [("lo", "udp"), ("any", "udp"), ("any", "udp and len > 0")])
def test_loopback_s_packets_come_once(monkeypatch: pytest.MonkeyPatch, interface: str, expression: str) -> None:
    """Whoever keeps the copies out: Linux asked to, its filter, and before a filter of our own."""
    for option in (live._PACKET_IGNORE_OUTGOING, -1):
        monkeypatch.setattr(live, "_PACKET_IGNORE_OUTGOING", option)
        with LiveCapture(interface, expression) as capture:
            send("127.0.0.1", MARK_PORT, b"1", b"2", b"3")
            assert len(finish(capture)) == 3
            assert capture.received == 3


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("interface", ["lo", "any"])
def test_batches_are_decoded_where_they_stand(interface: str) -> None:
    with LiveCapture(interface, "udp") as capture:
        send("127.0.0.1", MARK_PORT, b"ab")
        frames = capture.poll(PATIENCE)
        assert frames is not None
        assert not frames.data.flags.writeable
        packets = decode(frames)
        assert packets.payload_len.tolist() == [2]
        assert packets.dst_port.tolist() == [MARK_PORT]
        assert frames.linktype.tolist() == [capture.linktype]


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("expression", ["udp", "udp and len > 0"])
def test_a_rehearsal_is_like_the_capture(expression: str) -> None:
    """Code that was compiled for the frame of the rehearsal serves for those of a capture."""
    with LiveCapture("any", expression) as capture:
        send("127.0.0.1", MARK_PORT, b"x")
        frames = capture.poll(PATIENCE)
    assert frames is not None
    for column, rehearsed in zip(frames, live.rehearse(), strict=True):
        assert (column.dtype, column.ndim) == (rehearsed.dtype, rehearsed.ndim)
        assert column.flags.c_contiguous == rehearsed.flags.c_contiguous
        assert column.flags.writeable == rehearsed.flags.writeable


@pytest.mark.usefixtures("loopback")
def test_more_packets_than_the_ring_has_room_for() -> None:
    """What was taken makes room: blocks are given back and used again."""
    with LiveCapture("lo", "udp", snaplen=64, buffer_bytes=1 << 16) as capture:
        seen: list[int] = []
        while len(seen) < 5_000:
            send("127.0.0.1", MARK_PORT, *(struct.pack("!I", len(seen) + i) for i in range(50)))
            wanted = len(seen) + 50
            while len(seen) < wanted:
                frames = capture.poll(PATIENCE)
                assert frames is not None
                payloads = frames.data[(frames.start + 42)[:, None] + np.arange(4)]
                seen += payloads.copy().view(">u4")[:, 0].tolist()
        assert seen == list(range(5_000))
        assert capture.dropped == 0


@pytest.mark.usefixtures("loopback")
def test_a_ring_that_overflows() -> None:
    with LiveCapture("lo", "udp", snaplen=64, buffer_bytes=1 << 14) as capture:
        send("127.0.0.1", MARK_PORT, *[b"x"] * 2_000)
        packets = finish(capture)
        assert capture.received == 2_000
        assert 0 < capture.dropped < 2_000
        assert len(packets) == 2_000 - capture.dropped


# ---------------------------------------------------------------- what is kept of a packet


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("interface", "expression", "header_len"),
    [("lo", "udp", 14), ("any", "udp", 20), ("any", "udp and len > 30", 20), ("any", "", 20)],
)
def test_snaplen(interface: str, expression: str, header_len: int) -> None:
    with LiveCapture(interface, expression, snaplen=60) as capture:
        send("127.0.0.1", MARK_PORT, b"x" * 1_000, b"y")
        long, short = finish(capture)
    assert capture.interfaces[0].snaplen == 60
    assert (len(long.octets), long.origlen) == (60, header_len + 28 + 1_000)
    assert (len(short.octets), short.origlen) == (header_len + 29, header_len + 29)


@needs_tcpdump
@pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
def test_vlan_tags_are_put_back(far: int, tmp_path: Path, tpid: int) -> None:
    """Linux takes the tag off what arrives, whoever made it."""
    with within(far):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        raw.bind(("far", 0))
    tag = struct.pack("!HH", tpid, 0x6005)
    mac = Ether(src="02:00:00:00:00:07", dst="02:00:00:00:00:08")
    frame = bytes(mac / IP(src="10.9.0.7", dst="10.9.0.8") / UDP(dport=9) / b"tagged")
    near_index = socket.if_nametoindex("near")
    reference = Reference(tmp_path, "near", "udp")
    with (
        raw,
        LiveCapture("near", "udp") as capture,
        LiveCapture("any", "udp and inbound") as cooked,
        LiveCapture("near", "vlan 5 and udp", snaplen=44) as chosen,
        LiveCapture("near", "vlan 6 and udp") as other,
    ):
        raw.send(frame[:12] + tag + frame[12:])
        send("10.9.0.2", MARK_PORT, MARK)
        packets, headless, cut, none = (finish(one) for one in (capture, cooked, chosen, other))
    check_same(packets, reference.packets())
    assert packets[0].octets == frame[:12] + tag + frame[12:]
    assert packets[0].origlen == len(frame) + 4
    assert packets[1].octets[12:14] == b"\x08\x00"
    (packet,) = headless
    assert packet.octets[:2] == tag[:2]
    assert packet.octets[2:12] == struct.pack("!HIHBB", 0, near_index, 1, 3, 6)
    assert packet.octets[12:20] == frame[6:12] + bytes(2)
    assert packet.octets[20:] == tag[2:] + frame[12:]
    assert packet.origlen == len(packet.octets)
    assert [(packet.octets, packet.origlen) for packet in cut] == [(packets[0].octets[:44], packets[0].origlen)]
    assert none == []


# ---------------------------------------------------------------- filters


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("interface", ["lo", "any"])
def test_the_filter_stands_before_the_first_packet(interface: str) -> None:
    enough = threading.Event()
    flooding = threading.Thread(target=flood, args=(enough,))
    flooding.start()
    try:
        for _ in range(10):
            with LiveCapture(interface, "udp port 7") as capture:
                send("127.0.0.1", 7, b"wanted")
                ports = [struct.unpack_from("!H", packet.octets, -8 - 6 + 2)[0] for packet in finish(capture)[:1]]
                assert ports == [7]
                assert capture.packets <= 2  # on "any" ICMP answers with a copy
    finally:
        enough.set()
        flooding.join()


def flood(enough: threading.Event) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not enough.is_set():
            for _ in range(100):
                sender.sendto(b"not wanted", ("127.0.0.1", MARK_PORT))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("udp and outbound", [b"from near"]),
        ("udp and inbound", [b"from far"]),
        ("udp and ifindex {near}", [b"from near", b"from far"]),
        ("udp and ifindex 77", []),
    ],
)
@pytest.mark.parametrize("interface", ["near", "any"])
def test_what_only_linux_knows(far: int, interface: str, expression: str, expected: list[bytes]) -> None:
    expression = expression.format(near=socket.if_nametoindex("near"))
    with listening("10.9.0.1"), LiveCapture(interface, expression) as capture:
        send("10.9.0.2", MARK_PORT, b"from near")
        with within(far):
            send("10.9.0.1", MARK_PORT, b"from far")
        packets = finish(capture)
    assert [packet.octets[packet.octets.find(b"from") :] for packet in packets] == expected


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("expression", "said"),
    [("tcp porrt 5", "syntax error"), ("vlan and inbound", "direction"), ("ip protochain 6 and outbound", "direction")],
)
def test_filters_that_cannot_be(expression: str, said: str) -> None:
    with pytest.raises(FilterError, match=said):
        LiveCapture("lo", expression)


# ---------------------------------------------------------------- how it ends


@pytest.mark.usefixtures("loopback")
def test_stopped_by_a_signal() -> None:
    with LiveCapture("lo", "udp") as capture:
        before = signal.signal(signal.SIGALRM, lambda *_: capture.stop())
        try:
            send("127.0.0.1", MARK_PORT, b"x", b"y")
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            assert sum(len(frames.number) for frames in capture) == 2
        finally:
            signal.signal(signal.SIGALRM, before)
        assert capture.ended == ""
        assert capture.damage is None
        assert capture.poll(PATIENCE) is None


@pytest.mark.usefixtures("loopback")
def test_stopped_by_another_thread() -> None:
    with LiveCapture("lo", "udp") as capture:
        stopping = threading.Timer(0.1, capture.stop)
        stopping.start()
        assert list(capture) == []
        stopping.join()
    capture.stop()
    capture.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [(("link", "del"), "the interface is gone"), (("link", "set", "down"), "the interface went down")],
)
def test_an_interface_that_ends(far: int, words: tuple[str, ...], said: str) -> None:
    with LiveCapture("near", "udp") as capture:
        send("10.9.0.2", MARK_PORT, b"before")
        ip(*words[:2], "near", *words[2:])
        assert len(list(rows(capture))) == 1
        assert capture.ended == said


@pytest.mark.usefixtures("loopback")
def test_nothing_comes_in_time() -> None:
    with LiveCapture("lo", "udp") as capture:
        assert capture.poll(0) is None
        assert capture.poll(0.02) is None


# ---------------------------------------------------------------- where it can listen


@pytest.mark.usefixtures("far")
def test_interfaces() -> None:
    found = {one.name: one for one in interfaces()}
    assert set(found) == {"any", "lo", "near"}
    assert found["lo"] == ("lo", ("127.0.0.1", "::1"), True, True, 1, True)
    assert found["near"] == ("near", ("10.9.0.1",), True, False, 1, True)
    assert found["any"] == ("any", (), True, False, SLL2, True)
    ip("link", "set", "near", "down")
    assert not {one.name: one.may_listen for one in interfaces()}["near"]
    with pytest.raises(CaptureOpenError, match="near: the interface is down; sudo ip link set near up"):
        LiveCapture("near")


@pytest.mark.usefixtures("far")
def test_an_interface_takes_all_frames_while_it_is_listened_to() -> None:
    with LiveCapture("near"):
        assert promiscuity("near") == 1
    assert promiscuity("near") == 0


def promiscuity(interface: str) -> int:
    said = subprocess.run(["ip", "-d", "link", "show", interface], capture_output=True, text=True, check=True).stdout
    return int(said.split(" promiscuity ")[1].split()[0])


@pytest.mark.usefixtures("loopback")
def test_no_such_interface() -> None:
    with pytest.raises(CaptureOpenError, match="eth7: no such interface; there are any, lo"):
        LiveCapture("eth7")


def test_an_interface_without_a_link_header() -> None:
    with namespace():
        ip("tuntap", "add", "tun0", "mode", "tun")
        quiet("tun0")
        ip("link", "set", "tun0", "up")
        assert {one.name: one.linktype for one in interfaces()}["tun0"] == 101


def test_off_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.platform, "system", lambda: "Darwin")
    with pytest.raises(CaptureOpenError, match=r"needs Linux; .* sudo tcpdump -U -w - -i IFACE | tcpflow-view read -"):
        LiveCapture("en0")


UNPRIVILEGED = """
import os, sys
from analyzer.capture.live import LiveCapture, interfaces, lacking
interfaces()
os.setresuid(65534, 65534, 65534)
print(os.path.realpath(sys.executable))
print(lacking())
print([one.may_listen for one in interfaces()])
for name in "lo", "any":
    try:
        LiveCapture(name, "tcp port 80")
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_without_permission() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", UNPRIVILEGED],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    python, lacking, may_listen, *errors = ran.stdout.splitlines()
    assert "live -i IFACE" in lacking
    assert "True" not in may_listen
    assert len(errors) == 2
    for name, error in zip(("lo", "any"), errors, strict=True):
        assert error.startswith(f"CaptureOpenError {name}: no permission to capture")
        assert f"live -i {name} tcp port 80" in error
        assert f"sudo setcap cap_net_raw,cap_net_admin=eip {python}" in error
        assert f"sudo tcpdump -U -w - -i {name} tcp port 80 | tcpflow-view read -" in error
