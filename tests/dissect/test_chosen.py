"""The packets that tshark gets: those of the chosen connections, in order, and no others."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from analyzer.capture.source import open_capture
from analyzer.dissect.chosen import ChosenPackets
from analyzer.pipeline import Run
from analyzer.tables import Evidence, Side
from tests.capture.written import rows
from tests.report.saying import frames, write


def two(folder: Path) -> Path:
    """Two connections whose packets come by turns, five and seven octets said."""
    first, second = (frames([(0, said)], port=port) for said, port in ((b"first", 40_000), (b"seconds", 40_001)))
    return write(folder / "two.pcap", [one for pair in zip(first, second, strict=True) for one in pair])


def octets_of(path: str | Path) -> list[bytes]:
    with open_capture(path) as capture:
        return [row.octets for row in rows(capture)]


def chosen(path: Path, connections: Collection[int], most: int = 1000) -> ChosenPackets:
    packets = ChosenPackets(connections, most)
    with Run(path) as run:
        for batch in run:
            packets.add(batch)
    packets.close()
    return packets


def test_one_of_two(tmp_path: Path) -> None:
    path = two(tmp_path)
    with chosen(path, [2]) as packets:
        assert list(packets.numbers) == list(range(2, 15, 2))
        assert octets_of(packets.path) == octets_of(path)[1::2]
        assert packets.left_out == 0
        sides = packets.of(2)
    assert sides == dict(zip(range(2, 15, 2), [Side(side) for side in (0, 1, 0, 0, 0, 1, 0)], strict=True))
    assert packets.of(1) == {}
    assert not Path(packets.path).parent.exists()


def test_both_in_their_order(tmp_path: Path) -> None:
    path = two(tmp_path)
    with chosen(path, [1, 2]) as packets:
        assert octets_of(packets.path) == octets_of(path)
        assert list(packets.of(1)) == list(range(1, 15, 2))


def test_there_is_a_limit(tmp_path: Path) -> None:
    with chosen(two(tmp_path), [1, 2], most=5) as packets:
        assert list(packets.numbers) == [1, 2, 3, 4, 5]
        assert packets.left_out == 9
        assert len(octets_of(packets.path)) == 5


def test_none_is_there(tmp_path: Path) -> None:
    with chosen(two(tmp_path), [3]) as packets:
        assert not packets.numbers
        assert not Path(packets.path).exists()


@pytest.mark.parametrize("most", [1, 2, 1000])
@pytest.mark.parametrize("batch_packets", [1, 3, 100])
def test_a_connection_that_turns_round(batch_packets: int, most: int, tmp_path: Path) -> None:
    """What is said tells the client later: the packets before are turned too, also when that one is left out."""
    said = [(1, b"x"), (0, b"GET / HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 200 OK\r\n\r\n")]
    captured = [one.replace(b"\0\x50", b"\xc3\x50") for one in frames(said)[3:]]
    path = write(tmp_path / "turned.pcap", captured)
    packets = ChosenPackets([1], most)
    with open_capture(str(path), batch_packets=batch_packets) as capture, Run(capture) as run:
        for batch in run:
            packets.add(batch)
        row = run.connections[0]
    packets.close()
    assert row["client_evidence"] == Evidence.DATA
    with packets:
        ports = [int.from_bytes(octets[34:36]) for octets in octets_of(packets.path)]
        assert list(packets.of(1).values()) == [Side(int(port != row["client_port"])) for port in ports]


def test_fragments_come_along(tmp_path: Path) -> None:
    """Of this conversation's datagram, and of no other's."""
    inet = pytest.importorskip("scapy.layers.inet")
    whole = inet.IP(src="10.0.0.1", dst="10.0.0.2", id=7) / inet.UDP(sport=40_000, dport=9) / (b"x" * 100)
    other = inet.IP(src="10.0.0.3", dst="10.0.0.2", id=8) / inet.UDP(sport=40_000, dport=9) / (b"y" * 100)
    pieces = [
        bytes(one) for pair in zip(inet.fragment(whole, 48), inet.fragment(other, 48), strict=True) for one in pair
    ]
    header = bytes(12) + b"\x08\0"
    path = write(tmp_path / "fragments.pcap", [header + one for one in pieces])
    with chosen(path, [1]) as packets:
        assert list(packets.numbers) == [1, 3, 5]
        assert packets.of(1) == {5: Side.CLIENT}
