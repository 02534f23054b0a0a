"""What was read, in a line."""

from __future__ import annotations

from analyzer.errors import CaptureFormatError
from analyzer.explain.quality import Quality
from analyzer.render.quality import quality
from analyzer.render.screen import Screen
from analyzer.tables import Protocol


def run(
    tcp: int = 1, udp: int = 0, *, packets: int = 10, passed: int = 10, damage: CaptureFormatError | None = None
) -> Quality:
    return Quality(
        packets=passed,
        all_packets=packets,
        first_ns=5,
        last_ns=6_800_005 if passed else 0,
        tcp=tcp,
        udp=udp,
        strays={},
        damaged_at=damage.offset if damage else -1,
        damage=damage.expected if damage else "",
    )


def lines(
    given: Quality, path: str = "/some/where/a.pcap", strays: dict[Protocol, int] | None = None, width: int = 100
) -> list[str]:
    return [*quality(given._replace(strays=strays or {}), path, Screen(width))]


def test_a_whole_capture() -> None:
    assert lines(run()) == ["a.pcap · 10 packets · 6.8 ms · 1 TCP connection · complete"]


def test_conversations_and_strays() -> None:
    strays = {Protocol.ARP: 1_204, Protocol.TCP: 2}
    assert lines(run(2, 3), strays=strays, width=140) == [
        "a.pcap · 10 packets · 6.8 ms · 2 TCP connections · 3 UDP conversations"
        " · besides 1,204 ARP, 2 TCP without header · complete"
    ]


def test_udp_alone_does_not_speak_of_tcp() -> None:
    assert lines(run(0, 1)) == ["a.pcap · 10 packets · 6.8 ms · 1 UDP conversation · complete"]


def test_an_empty_capture() -> None:
    assert lines(run(0, packets=0, passed=0)) == ["a.pcap · 0 packets · 0 TCP connections · complete"]


def test_a_filter_tells_of_how_many() -> None:
    assert lines(run(packets=1_000))[0].startswith("a.pcap · 10 of 1,000 packets · ")


def test_standard_input() -> None:
    assert lines(run(), "-")[0].startswith("standard input · ")


def test_damage_is_loud_and_tells_where() -> None:
    damage = CaptureFormatError("a.pcap", 1_234, "the capture is cut in the middle of a record")
    first, second = lines(run(damage=damage))
    assert "complete" not in first
    assert second == "✗ damaged at byte 1,234: the capture is cut in the middle of a record"
    painted = [*quality(run(damage=damage), "a", Screen(100, color=True))]
    assert painted[1].startswith("\x1b[1;31m")


def test_a_name_cannot_speak_to_the_terminal() -> None:
    assert lines(run(), "a\x1b[2J.pcap")[0].startswith("a\\x1b[2J.pcap · ")


def test_narrow_screens_get_more_lines() -> None:
    for line in lines(run(2, 3), strays={Protocol.ARP: 7}, width=60):
        assert len(line) <= 60


def test_lost_packets_are_loud() -> None:
    first, second = lines(run()._replace(lost=1_494))
    assert first == "a.pcap · 10 packets · 6.8 ms · 1 TCP connection"
    assert second.startswith("✗ 1,494 lost: ")
