"""The printer by itself: known lines, batches, room, names, and the command around it."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from packets import ETHERNET, RAW, Packets
from reference import frames, lines, options, part, rendered, time_zone

from analyzer.cli.timeline import command
from analyzer.errors import UsageError
from analyzer.render.tcpdump.names import Names
from analyzer.render.tcpdump.printer import FIRST_CONVERSATIONS, FIRST_NAMES, TcpdumpPrinter

IPV4 = bytes.fromhex("4500002800010000400600007f0000017f000001")


def segment(seq: int, ack: int, flags: int, ports: tuple[int, int] = (48994, 1235), data: bytes = b"") -> bytes:
    """A TCP segment on the loopback interface, in IPv4."""
    ip = IPV4[:2] + struct.pack(">H", 40 + len(data)) + IPV4[4:]
    return ip + struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, 512, 0, 0) + data


def whole(*octets: bytes) -> list[tuple[bytes, int]]:
    return [(each, len(each)) for each in octets]


def test_relative_numbers_count_from_the_first_segment_with_ack() -> None:
    packets = whole(
        segment(100, 0, 0x02), segment(700, 101, 0x12, (1235, 48994)), segment(101, 701, 0x10),
        segment(101, 701, 0x18, data=b"nihao"),
    )  # fmt: skip
    assert rendered(packets, "nt", RAW) == [
        "IP 127.0.0.1.48994 > 127.0.0.1.1235: Flags [S], seq 100, win 512, length 0\n",
        "IP 127.0.0.1.1235 > 127.0.0.1.48994: Flags [S.], seq 700, ack 101, win 512, length 0\n",
        "IP 127.0.0.1.48994 > 127.0.0.1.1235: Flags [.], ack 1, win 512, length 0\n",
        "IP 127.0.0.1.48994 > 127.0.0.1.1235: Flags [P.], seq 1:6, ack 1, win 512, length 5\n",
    ]


def test_what_was_not_captured_ends_the_line() -> None:
    packet = segment(100, 0, 0x02)
    assert rendered([(packet[:30], 40), (packet[:22], 40), (packet[:10], 40)], "nt", RAW) == [
        "IP 127.0.0.1.48994 > 127.0.0.1.1235:  [|tcp]\n", "IP 127.0.0.1 > 127.0.0.1: [|tcp]\n", "IP  [|ip]\n",
    ]  # fmt: skip


@pytest.mark.parametrize("flags", ["n", "nvv", "nttt", "n#"])
def test_any_split_into_batches_gives_the_same_text(flags: str) -> None:
    batch = frames(Packets(7).many(ETHERNET, 90), ETHERNET)
    printer = TcpdumpPrinter(options(flags))
    pieces = [lines(printer, part(batch, first, first + 13)) for first in range(0, 90, 13)]
    assert [line for piece in pieces for line in piece] == lines(TcpdumpPrinter(options(flags)), batch)


def test_room_grows_with_the_text_and_the_table_with_the_conversations() -> None:
    packets = whole(*(segment(5, 9, 0x10, (1000 + i, 80), bytes(200)) for i in range(1500)))
    twice = rendered([*packets, *packets], "ntX", RAW)
    assert all("seq 5:205, ack 9," in text for text in twice[:1500])
    assert all("seq 0:200, ack 1," in text for text in twice[1500:])


def test_what_is_kept_has_a_bound() -> None:
    """Where there are too many conversations or names, all are forgotten; the text is right before and after."""
    packets = whole(*(segment(5, 9, 0x10, (1000 + i, 80)) for i in range(1200)))
    batch = frames([*packets, *packets[-9:]], RAW)
    printer = TcpdumpPrinter(options("nt"), most_kept=100)
    texts = lines(printer, batch)
    again = [text.replace("ack 9,", "ack 1,") for text in texts[1191:1200]]
    assert texts[1200:] == again
    assert len(printer._page.conversations) == FIRST_CONVERSATIONS
    asked: list[bytes] = []
    names = Names("/dev/null", "/dev/null")
    names.host = lambda address: asked.append(address) or f"host-{address[2]}-{address[3]}"  # type: ignore[func-returns-value]
    packets = [
        (packet[:12] + bytes((10, 0, i >> 8, i & 255)) + packet[16:], size)
        for i, (packet, size) in enumerate(whole(*[segment(1, 0, 2)] * 600))
    ]
    printer = TcpdumpPrinter(options("t"), names, most_kept=1)
    texts = lines(printer, frames([*packets, *packets], RAW))
    assert texts[:600] == texts[600:]
    assert all(
        text.startswith(f"IP host-{i >> 8}-{i & 255}.48994 > host-0-1.1235") for i, text in enumerate(texts[:600])
    )
    assert len(printer._page.names) == 4 * FIRST_NAMES
    assert len(asked) > 1_200


def test_names_of_files(tmp_path: Path) -> None:
    hosts, services = tmp_path / "hosts", tmp_path / "services"
    hosts.write_text("127.0.0.1 home.example here # us\n127.0.0.1 other\n::1 six\n")
    services.write_text("# name port\nnihao 1235/tcp hello\nlater 1235/tcp\nsky 48994/udp\n")
    names = Names(hosts, services)
    assert rendered(whole(segment(1, 0, 2)), "t", RAW, names) == [
        "IP home.example.48994 > home.example.nihao: Flags [S], seq 1, win 512, length 0\n"
    ]


def test_many_names_are_looked_up_once() -> None:
    names = Names("/dev/null", "/dev/null")
    asked: list[bytes] = []

    def host(address: bytes) -> str:
        asked.append(address)
        return f"host-{address[2]}-{address[3]}"

    names.host = host
    packets = []
    for i in range(1, 600):
        packet = segment(1, 0, 2)
        packets.append(packet[:12] + bytes((10, 0, i >> 8, i & 255)) + packet[16:])
    texts = rendered(whole(*packets, *packets), "t", RAW, names)
    assert texts[599] == texts[0] == "IP host-0-1.48994 > host-0-1.1235: Flags [S], seq 1, win 512, length 0\n"
    assert len(asked) == len(set(asked)) == 600


def test_a_names_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="cannot read /no/such/hosts"):
        Names(hosts="/no/such/hosts")


def test_local_time() -> None:
    packet = whole(segment(1, 0, 2))
    with time_zone("Asia/Kolkata"):
        (text,) = rendered(packet, "ntttt", RAW)
    assert text.startswith("2023-11-15 03:43:20.000000 IP ")


def test_text_offsets_cover_the_text() -> None:
    batch = frames(Packets(3).many(ETHERNET, 20), ETHERNET)
    text = TcpdumpPrinter(options("nX")).render(batch)
    assert text.end[-1] == len(text.text)
    assert np.all(np.diff(text.end, prepend=0) > 0)
    assert all(line.endswith("\n") for line in lines(TcpdumpPrinter(options("nX")), batch))


def pcap(packets: list[tuple[bytes, int]]) -> bytes:
    header = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, RAW)
    return header + b"".join(struct.pack("<IIII", 0, 0, len(octets), size) + octets for octets, size in packets)


def test_the_command_takes_clusters_of_flags_before_and_after_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.pcap"
    file.write_bytes(pcap(whole(segment(1, 0, 2), segment(9, 2, 0x12, (1235, 48994)))))
    result = CliRunner().invoke(command, ["--tcpdump", "-nS", str(file), "-t#", "-c", "1"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "    1  IP 127.0.0.1.48994 > 127.0.0.1.1235: Flags [S], seq 1, win 512, length 0\n"


def test_the_command_prints_what_a_damaged_file_has(tmp_path: Path) -> None:
    file = tmp_path / "a.pcap"
    file.write_bytes(pcap(whole(segment(1, 0, 2), segment(9, 2, 0x12)))[:-7])
    result = CliRunner().invoke(command, ["--tcpdump", "-nt", str(file)])
    assert result.exit_code == 1
    assert result.stdout.count("\n") == 1
    assert result.stderr.startswith("tcpflow-view: warning: ")


def test_too_many_time_flags(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--tcpdump", "-tttttt", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
