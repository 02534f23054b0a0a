"""Packets through both programs: the installed tcpdump, and the printer."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from analyzer.render.tcpdump.names import Names
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.printer import TcpdumpPrinter
from analyzer.tables import Frames

FIELDS = {
    "n": "numeric", "S": "absolute", "v": "verbose", "q": "quiet", "e": "ethernet", "x": "hex", "X": "hex_ascii",
    "A": "ascii", "#": "number", "K": "unchecked", "t": "time",
}  # fmt: skip
START_S = 1_700_000_000
STEP_US = 700_300
"""Time between packets."""


def installed_version() -> str:
    if shutil.which("tcpdump") is None:
        return "none"
    return subprocess.run(["tcpdump", "--version"], capture_output=True, text=True).stdout.partition("\n")[0]


needs_tcpdump = pytest.mark.skipif(
    "4.99.3" not in installed_version(), reason=f"needs tcpdump 4.99.3; installed is {installed_version()}"
)


def options(flags: str) -> TcpdumpOptions:
    """``nvv`` as options."""
    counts: dict[str, int] = {}
    for flag in flags:
        counts[FIELDS[flag]] = counts.get(FIELDS[flag], 0) + 1
    return TcpdumpOptions(**counts)


def times_us(count: int) -> list[int]:
    return [START_S * 1_000_000 + i * STEP_US for i in range(count)]


def frames(packets: Sequence[tuple[bytes, int]], linktype: int = 1) -> Frames:
    """Packets (octets, octets on the wire) as a batch."""
    sizes = np.array([len(octets) for octets, _ in packets], dtype=np.int64)
    return Frames(
        data=np.frombuffer(b"".join(octets for octets, _ in packets), dtype=np.uint8),
        start=np.cumsum(sizes) - sizes,
        caplen=sizes.astype(np.uint32),
        origlen=np.array([origlen for _, origlen in packets], dtype=np.uint32),
        ts_ns=np.array(times_us(len(packets)), dtype=np.int64) * 1000,
        linktype=np.full(len(packets), linktype, dtype=np.uint16),
        interface=np.zeros(len(packets), dtype=np.uint16),
        number=np.arange(1, len(packets) + 1, dtype=np.int64),
    )


def part(batch: Frames, first: int, last: int) -> Frames:
    """Some of a batch's packets."""
    return Frames(batch.data, *(column[first:last] for column in batch[1:]))


def lines(printer: TcpdumpPrinter, batch: Frames) -> list[str]:
    """The text of each packet."""
    text = printer.render(batch)
    octets = text.text.tobytes().decode("latin-1")
    ends = text.end.tolist()
    return [octets[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def rendered(
    packets: Sequence[tuple[bytes, int]], flags: str, linktype: int = 1, names: Names | None = None
) -> list[str]:
    """The printer's text of each packet."""
    return lines(TcpdumpPrinter(options(flags), names), frames(packets, linktype))


def from_tcpdump(packets: Sequence[tuple[bytes, int]], flags: str, linktype: int = 1, zone: str = "UTC") -> str:
    """tcpdump's text of all packets."""
    capture = [struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, linktype)]
    for (octets, origlen), time_us in zip(packets, times_us(len(packets)), strict=True):
        capture.append(struct.pack("<IIII", *divmod(time_us, 1_000_000), len(octets), origlen) + octets)
    command = ["tcpdump", "-r", "-", *([f"-{flags}"] if flags else [])]
    run = subprocess.run(
        command, input=b"".join(capture), capture_output=True, env={**os.environ, "TZ": zone}, check=True
    )
    return run.stdout.decode("latin-1")


@contextmanager
def time_zone(name: str) -> Iterator[None]:
    """Local time of a zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()
