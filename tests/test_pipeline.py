"""The wiring: a whole pass, a pass ahead of itself, the lives of chosen connections."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from analyzer import pipeline
from analyzer.capture.source import open_capture
from analyzer.errors import CaptureOpenError
from analyzer.pipeline import Lives, Run, Streams, lives, survey
from analyzer.streams import Piece
from analyzer.tables import Batch, Event, Protocol
from analyzer.tcp.states import State
from tests.script import play
from tests.tcp.test_speakers import GET, LIFE, captured

MADE = Path(__file__).parents[1] / "captures" / "made"
ECHO = MADE / "loopback-echo-1235.pcap"
SELECT = MADE / "select-5000.pcapng"
CAPTURES = sorted(path for path in MADE.iterdir() if path.suffix in (".pcap", ".pcapng"))


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
@pytest.mark.parametrize("batch_packets", [1, 3, 16_384])
def test_reading_ahead_changes_nothing(capture: Path, batch_packets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run(capture) as run:
        batches = sum(1 for _ in run)
    assert batches == 1
    monkeypatch.setattr(pipeline, "BATCH_PACKETS", batch_packets)
    seen: list[int] = []
    ahead = survey(capture, on_batch=lambda run: seen.append(run.packets))
    assert seen[-1] == run.packets
    assert len(seen) == -(-run.packets // batch_packets)
    assert (ahead.count, ahead.packets, ahead.first_ns, ahead.last_ns) == (
        run.count, run.packets, run.first_ns, run.last_ns,
    )  # fmt: skip
    assert np.array_equal(ahead.connections[: ahead.count], run.connections[: run.count])
    assert np.array_equal(ahead.endpoints[: ahead.count], run.endpoints[: run.count])
    assert np.array_equal(ahead.strays, run.strays)


def test_strays_are_counted_by_kind() -> None:
    run = survey(MADE / "refused-udp.pcap")
    assert run.strays[Protocol.ICMP] == 1
    assert run.strays.sum() == 1


def test_a_filter_leaves_packets_out() -> None:
    run = survey(SELECT, "port 48994")
    assert run.count == 1
    assert 0 < run.packets < run.capture.packets


def test_an_error_while_reading_ahead_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(frames: object) -> object:
        raise RuntimeError("decoding failed")

    monkeypatch.setattr(pipeline, "decode", fail)
    with pytest.raises(RuntimeError, match="decoding failed"):
        survey(ECHO)


@pytest.mark.parametrize("batch_packets", [1, 3, 16_384])
@pytest.mark.parametrize("most_packets", [1, 2, 4, 5, 9, 10, 11, 1000])
def test_a_life_keeps_both_ends(batch_packets: int, most_packets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lives(ECHO, "", [1])[1]
    monkeypatch.setattr(pipeline, "BATCH_PACKETS", batch_packets)
    life = lives(ECHO, "", [1], most_packets=most_packets)[1]
    half = max(1, most_packets // 2)
    kept = list(range(1, 11))
    if 2 * half < 10:
        kept = kept[:half] + kept[-half:]
    assert life.number.tolist() == kept
    assert life.omitted == 10 - len(kept)
    at = life.number - 1
    assert life.payload == [whole.payload[i] for i in at]
    assert np.array_equal(life.seq, whole.seq[at])


def test_lives_of_several_connections() -> None:
    found = lives(SELECT, "", [1, 3])
    assert sorted(found) == [1, 3]
    run = survey(SELECT)
    for number, life in found.items():
        sent = run.endpoints[number - 1]
        assert len(life.number) == sent["packets"].sum()
        assert life.payload_len.sum() == sent["payload_bytes"].sum()
        assert all(len(octets) == n for octets, n in zip(life.payload, life.payload_len, strict=True) if n <= 64)


@pytest.mark.parametrize("batch_packets", [1, 3, 16_384])
@pytest.mark.parametrize("capture", [SELECT, MADE / "echo-udp-23333.pcap"], ids=lambda path: path.name)
def test_streams_have_every_octet(capture: Path, batch_packets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PACKETS", batch_packets)
    sent: dict[int, list[int]] = {}
    with Run(capture) as run:
        streams = Streams(run, [range(1, 2), range(3, 9)])
        items = [one for batch in run for one in streams.add(batch)]
    for number, item in [*items, *streams.finish()]:
        assert isinstance(item, Piece)
        sent.setdefault(number, [0, 0])[item.side] += len(item.octets)
    wanted = [number for number in (1, 3) if number <= run.count]
    assert sent == {number: run.endpoints["unique_bytes"][number - 1].tolist() for number in wanted}


@pytest.fixture
def turning(tmp_path: Path) -> Path:
    """A capture of one connection whose fifth packet tells that the client is the other one."""
    frames = captured(LIFE, {5: GET})
    octets = [frames.data[start : start + n].tobytes() for start, n in zip(frames.start, frames.caplen, strict=True)]
    path = tmp_path / "turning.pcap"
    records = [struct.pack("<IIII", k, 0, len(one), len(one)) + one for k, one in enumerate(octets)]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))
    return path


@pytest.mark.parametrize("batch_packets", [1, 3, 5, 16_384])
def test_a_life_is_told_with_the_sides_that_are_known_in_the_end(
    turning: Path, batch_packets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PACKETS", batch_packets)
    life = lives(turning, "", [1])[1]
    assert life.side.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    both = zip(life.client_state, life.server_state, strict=True)
    states = [(State(client).name, State(server).name) for client, server in both]
    assert states[5:] == [
        ("ESTABLISHED", "ESTABLISHED"), ("FIN_WAIT_1", "CLOSE_WAIT"), ("TIME_WAIT", "LAST_ACK"), ("TIME_WAIT", "CLOSED")
    ]  # fmt: skip
    assert not (life.events >> Event.TURNED_ROUND & 1).any()
    few = lives(turning, "", [1], most_packets=2)[1]
    assert (few.side.tolist(), few.omitted) == ([0, 0], 7)


def test_tunnels_turn_with_their_packets() -> None:
    way = "VXLAN VNI 42, 192.0.2.1 → 192.0.2.2 (UDP 4789), in IPv6, 2001:db8::1 → ::2"
    piece = pipeline._turned(lives(ECHO, "", [1])[1]._replace(tunnels=[way, ""]))
    assert piece.tunnels == ["VXLAN VNI 42, 192.0.2.2 → 192.0.2.1 (UDP 4789), in IPv6, ::2 → 2001:db8::1", ""]


@pytest.mark.parametrize("batch_packets", [1, 3, 5, 16_384])
def test_streams_wait_until_the_sides_are_known(
    turning: Path, batch_packets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BATCH_PACKETS", batch_packets)
    with Run(turning) as run:
        streams = Streams(run, [range(1, 2)])
        items = [one for batch in run for _, one in streams.add(batch)]
    pieces = [item for item in [*items, *(item for _, item in streams.finish())] if isinstance(item, Piece)]
    assert [(piece.side, piece.packet) for piece in pieces] == [(0, 1), (0, 3), (0, 5), (1, 6)]


def test_streams_give_out_what_never_tells(turning: Path) -> None:
    with Run(turning, "less 60") as run:  # nothing with payload
        streams = Streams(run, [range(1, 2)])
        assert not [one for batch in run for one in streams.add(batch)]
    assert not [item for _, item in streams.finish() if isinstance(item, Piece)]


def test_a_capture_that_shrank_meanwhile(tmp_path: Path) -> None:
    capture = tmp_path / "capture.pcapng"
    shutil.copy(SELECT, capture)
    last = survey(capture).count
    capture.write_bytes(SELECT.read_bytes()[:700])
    with pytest.raises(CaptureOpenError, match="changed while it was read"):
        lives(capture, "", [last])


def test_a_capture_that_is_open_already() -> None:
    """Its frames may also be given one batch after the other."""
    whole = survey(SELECT)
    with open_capture(SELECT, batch_packets=3) as capture, Run(capture) as run:
        for frames in capture:
            run.take(frames)
    assert run.capture is capture
    assert (run.count, run.packets) == (whole.count, whole.packets)
    assert np.array_equal(run.connections[: run.count], whole.connections[: whole.count])


def test_a_life_knows_its_tunnels(tmp_path: Path) -> None:
    """VXLAN there and back, then without; and once more in a datagram that came in fragments."""
    inner = bytes(12) + b"\x08\x00" + ip(0x0A000001, 0x0A000002, 6, tcp(40000, 80))
    answer = bytes(12) + b"\x08\x00" + ip(0x0A000002, 0x0A000001, 6, tcp(80, 40000))
    there = udp(4789, b"\x08" + bytes(5) + b"\x2a\0" + inner)
    back = udp(4789, b"\x08" + bytes(5) + b"\x2a\0" + answer)
    frames = [
        ip(0xC0000201, 0xC0000202, 17, there),
        ip(0xC0000202, 0xC0000201, 17, back),
        inner[14:],
        ip(0xC0000201, 0xC0000202, 17, there[:24], 0x2000),
        ip(0xC0000201, 0xC0000202, 17, there[24:], 3),
    ]
    capture = tmp_path / "tunnels.pcap"
    records = [struct.pack("<IIII", k, 0, len(one), len(one)) + one for k, one in enumerate(frames)]
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + b"".join(records))
    life = lives(capture, "", [1])[1]
    assert life.number.tolist() == [1, 2, 3, 5]
    vxlan = "VXLAN VNI 42, 192.0.2.1 → 192.0.2.2 (UDP 4789)"
    assert life.tunnels == [vxlan, vxlan, "", "VXLAN in fragments"]
    assert lives(capture, "", [1], most_packets=2)[1].tunnels == [vxlan, "VXLAN in fragments"]


def ip(source: int, destination: int, protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    return struct.pack(
        "!BBHHHBBHII", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0, source, destination
    ) + payload  # fmt: skip


def udp(port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", 50505, port, 8 + len(payload), 0) + payload


def tcp(source: int, destination: int) -> bytes:
    return struct.pack("!HHIIHHHH", source, destination, 1, 1, 0x5010, 1000, 0, 0)


def test_a_life_knows_what_its_events_refer_to() -> None:
    life = lives(MADE / "fast-retransmission.pcapng", "", [1])[1]
    assert life.refers_to.tolist()[14:19] == [14, 14, 14, 6, 14]
    assert life.repeat.tolist()[14:19] == [1, 2, 3, 0, 4]


def errors_of(conversation: str, number: int = 1) -> list[tuple[int, int, int]]:
    """What says that packets of a connection were not delivered: its number, whose packet, and which."""
    story = play(conversation)
    kept = Lives([number], 1000)
    kept.add(Batch(story.frames, story.packets, story.labels))
    errors = kept.found()[number].errors
    assert all(error.sender == (0, 0, 0, 0x0A0000FE) for error in errors)
    return [(error.number, error.side, error.quoted) for error in errors]


def test_icmp_errors_are_kept_with_what_they_quote() -> None:
    assert errors_of("C > S  S 100\nR > C  ICMP 3 1 1\n+1 C > S  S 100\nR > C  ICMP 3 1 3") == [(2, 0, 1), (4, 0, 3)]
    opened = "C > S  S 100\nS > C  SA 300 ack 101\nC > S  A 101 ack 301\n"
    assert errors_of(opened + "S > C  PA 301:310 ack 101\nR > S  ICMP 11 0 4") == [(5, 1, 4)]
    assert errors_of("A > S  S 100\nC > S  S 100\nR > C  ICMP 3 1 2") == []
    assert errors_of("C > S  UDP 5\nR > C  ICMP 3 3 1") == [(2, 0, 1)]
