"""Saved captures: what is read back, by us and by tcpdump; rotation; what is left when a run ends badly."""

from __future__ import annotations

import io
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capture import saving
from analyzer.capture.saving import CaptureWriter, put_records
from analyzer.capture.source import open_capture
from analyzer.errors import AnalyzerError
from analyzer.tables import Frames
from tests.capture.written import Read, rows
from tests.script import batch

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND

formats = pytest.mark.parametrize("suffix", [".pcap", ".pcapng"])
payloads = st.lists(st.binary(max_size=70), min_size=1, max_size=20)


def made(octets: list[bytes], ts_ns: list[int] | None = None) -> Frames:
    frames = batch(octets, ts_ns)
    return frames._replace(origlen=frames.origlen + np.uint32(3))


def read(path: Path) -> list[Read]:
    with open_capture(path) as capture:
        packets = list(rows(capture))
        assert capture.damage is None
    return packets


def octets_of(path: Path) -> list[bytes]:
    return [packet.octets for packet in read(path)]


# ---------------------------------------------------------------- what is read back


@formats
@given(batches=st.lists(payloads, max_size=4))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, batches: list[list[bytes]]
) -> None:
    path = tmp_path_factory.mktemp("saved") / f"capture{suffix}"
    written = [made(octets, [START + 7 * i for i in range(len(octets))]) for octets in batches]
    with CaptureWriter(path, 276, 1_000, interface="eth0") as writer:
        for frames in written:
            writer.write(frames)
        assert writer.packets == sum(map(len, batches))
        assert writer.paths == [path]
    expected = [(octets, START + 7 * i, len(octets) + 3) for some in batches for i, octets in enumerate(some)]
    assert [(packet.octets, packet.ts_ns, packet.origlen) for packet in read(path)] == expected
    with open_capture(path) as capture:
        assert capture.format == suffix[1:]
        assert capture.interfaces == [(276, 1_000, "eth0" if suffix == ".pcapng" else "", "", True)]


@formats
def test_a_batch_can_be_read_as_soon_as_it_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"capture{suffix}"
    with CaptureWriter(path, 1) as writer:
        assert read(path) == []
        for count in range(1, 4):
            writer.write(made([b"abc"]))
            assert octets_of(path) == [b"abc"] * count


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@formats
def test_tcpdump_reads_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"capture{suffix}"
    frames = batch([b"\0\1" * 6 + b"\x12\x34" + bytes([i] * i) for i in range(50)])
    with CaptureWriter(path, 1) as writer:
        writer.write(frames)
    command = ["tcpdump", "-n", "-tt", "--time-stamp-precision=nano", "-r", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    times = re.findall(r"^(\d+)\.(\d{9}) .*length (\d+)", ran.stdout, re.MULTILINE)
    assert [(int(s) * SECOND + int(ns), int(length)) for s, ns, length in times] == [
        (ts_ns, 14 + i) for i, ts_ns in enumerate(frames.ts_ns.tolist())
    ]


@formats
@given(octets=payloads)
def test_the_kernel_writes_what_is_written_without_it(suffix: str, octets: list[bytes]) -> None:
    frames = made(octets)
    records = (saving._pcapng_records if suffix == ".pcapng" else saving._pcap_records)(frames)
    columns = frames.data, frames.start, frames.caplen
    out = np.full(int(records.lengths.sum()) + 1, 0xEE, np.uint8)
    assert put_records(*records[:3], *columns, out) == len(out) - 1
    assert out[-1] == 0xEE
    assert out[:-1].tobytes() == b"".join(saving._pieces(records, *columns))


# ---------------------------------------------------------------- rotation


@formats
@given(octets=payloads, limit=st.integers(1, 400), parts=st.integers(1, 3))
def test_files_of_bounded_size(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, octets: list[bytes], limit: int, parts: int
) -> None:
    folder = tmp_path_factory.mktemp("saved")
    with CaptureWriter(folder / f"capture{suffix}", 1, rotate_bytes=limit) as writer:
        for part in range(parts):
            if octets[part::parts]:
                writer.write(made(octets[part::parts]))
    assert writer.paths == sorted(folder.iterdir())
    assert [path.name for path in writer.paths] == [f"capture-{i + 1:04}{suffix}" for i in range(len(writer.paths))]
    kept = [read(path) for path in writer.paths]
    assert [packet.octets for one in kept for packet in one] == [
        one for part in range(parts) for one in octets[part::parts]
    ]
    for i, (path, packets) in enumerate(zip(writer.paths, kept, strict=True)):
        assert path.stat().st_size <= limit or len(packets) == 1
        if i:
            previous = writer.paths[i - 1].stat().st_size
            first = len(packets[0].octets) + 16 if suffix == ".pcap" else -(-len(packets[0].octets) // 4) * 4 + 32
            assert previous + first > limit


def test_files_of_bounded_time(tmp_path: Path) -> None:
    """Ten seconds each from the first packet on; none for a time without packets."""
    seconds = [0, 4, 9, 10, 19, 45, 44, 49, 50]
    with CaptureWriter(tmp_path / "capture.pcap", 1, rotate_ns=10 * SECOND) as writer:
        for part in (seconds[:4], seconds[4:]):
            writer.write(made([b"%d" % second for second in part], [START + second * SECOND for second in part]))
    kept = [[int(octets) for octets in octets_of(path)] for path in writer.paths]
    assert kept == [[0, 4, 9], [10, 19], [45, 44, 49], [50]]


def test_the_oldest_files_are_removed(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "capture.pcap", 1, rotate_bytes=1, keep_files=3) as writer:
        writer.write(made([b"%d" % i for i in range(10)]))
        assert sorted(tmp_path.iterdir()) == writer.paths
    assert [path.name for path in writer.paths] == ["capture-0008.pcap", "capture-0009.pcap", "capture-0010.pcap"]
    assert [octets_of(path) for path in writer.paths] == [[b"7"], [b"8"], [b"9"]]


def test_files_of_an_earlier_run_stay(tmp_path: Path) -> None:
    for name in ("capture-0007.pcap", "capture-12.pcap", "capture-0099.pcapng", "other-0100.pcap"):
        (tmp_path / name).write_bytes(b"mine")
    with CaptureWriter(tmp_path / "capture.pcap", 1, rotate_bytes=1, keep_files=1) as writer:
        writer.write(made([b"a", b"b"]))
    assert [path.name for path in writer.paths] == ["capture-0009.pcap"]
    assert sum(path.read_bytes() == b"mine" for path in tmp_path.iterdir()) == 4


# ---------------------------------------------------------------- when it goes wrong


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match=r"nowhere/capture\.pcap: cannot be written: No such file"):
        CaptureWriter(tmp_path / "nowhere" / "capture.pcap", 1)
    with pytest.raises(AnalyzerError, match="Is a directory"):
        CaptureWriter(tmp_path, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_is_called_so() -> None:
    with pytest.raises(AnalyzerError, match="/dev/full: cannot be written: the disk is full"):
        CaptureWriter("/dev/full", 1)


@formats
def test_a_disk_that_becomes_full(tmp_path: Path, suffix: str) -> None:
    """The limit on a file's size stands for the disk: a write ends in the middle of a packet, the next one fails."""
    path = tmp_path / f"capture{suffix}"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))
    try:
        writer = CaptureWriter(path, 1)
        writer.write(made([b"kept"] * 20))
        with pytest.raises(AnalyzerError, match="cannot be written: File too large; the 20 packets before are saved"):
            writer.write(made([bytes(100)] * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        writer.close()
    assert octets_of(path) == [b"kept"] * 20


KILLED = """
import sys
sys.path[:0] = sys.argv[2:]
from analyzer.capture.saving import CaptureWriter
from tests.script import batch
frames = batch([bytes([i] * i) for i in range(200)])
writer = CaptureWriter(sys.argv[1], 1)
while True:
    writer.write(frames)
    print(writer.packets, flush=True)
"""


@formats
def test_a_run_that_is_killed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"capture{suffix}"
    root = str(Path(__file__).parents[2])
    with subprocess.Popen([sys.executable, "-c", KILLED, path, root], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        written = [int(process.stdout.readline()) for _ in range(20)][-1]
        process.send_signal(signal.SIGKILL)
    octets = path.read_bytes()
    with open_capture(io.BytesIO(octets)) as capture:
        packets = list(rows(capture))
        assert capture.damage is None or "cut" in str(capture.damage)
    assert len(packets) >= written
    assert all(packet.octets == bytes([i % 200] * (i % 200)) for i, packet in enumerate(packets))


# ---------------------------------------------------------------- link types


def test_several_link_types(tmp_path: Path) -> None:
    """pcapng has an interface for each, described where it comes first."""
    frames = made([b"abc", b"de", b"f"])
    with CaptureWriter(tmp_path / "mixed.pcapng", 1, mixes_linktypes=True) as writer:
        for linktypes in ([1, 1, 1], [113, 1, 276]):
            writer.write(frames._replace(linktype=np.array(linktypes, np.uint16)))
    with open_capture(tmp_path / "mixed.pcapng") as capture:
        read = [linktype for batch in capture for linktype in batch.linktype.tolist()]
        assert read == [1, 1, 1, 113, 1, 276]
        assert [interface.linktype for interface in capture.interfaces] == [1, 113, 276]
        assert capture.damage is None


def test_rotated_files_describe_all_that_came_before(tmp_path: Path) -> None:
    frames = made([b"abc", b"def"])._replace(linktype=np.array([1, 113], np.uint16))
    with CaptureWriter(tmp_path / "mixed.pcapng", 1, mixes_linktypes=True, rotate_bytes=1) as writer:
        writer.write(frames)
        writer.write(frames)
    read = []
    for path in writer.paths:
        with open_capture(path) as capture:
            read += [linktype for batch in capture for linktype in batch.linktype.tolist()]
            assert capture.damage is None
    assert read == [1, 113, 1, 113]
