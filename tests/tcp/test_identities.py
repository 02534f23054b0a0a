"""What a packet tells by itself: afterwards nobody asks for its octets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analyzer.capture.source import open_capture
from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.tables import Frames, Packets
from analyzer.tcp.identities import Identities, identify
from analyzer.tcp.reconstruct import Reconstruction

CAPTURES = Path(__file__).parents[2] / "captures"
SOME = sorted(path for path in CAPTURES.rglob("*.pcap*") if path.stat().st_size < 200_000)


def batches(path: Path) -> list[tuple[Frames, Packets, Identities]]:
    fragments = Fragments()
    found = []
    with open_capture(str(path), batch_packets=16) as capture:
        for frames in capture:
            packets = decode(frames)
            frames = fragments.join(frames, packets)
            found.append((frames, packets, identify(frames, packets)))
    return found


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.name)
def test_the_reconstruction_touches_no_octet(path: Path) -> None:
    """In a run that reads ahead they are those of the next batches by then."""
    with_octets, without = Reconstruction(), Reconstruction()
    for frames, packets, identities in batches(path):
        gone = frames._replace(data=np.full_like(frames.data, 0x5A))
        labels = with_octets.feed(frames, packets), without.feed(gone, packets, identities=identities)
        for seen, unseen in zip(*labels, strict=True):
            np.testing.assert_array_equal(seen, unseen)
    assert with_octets.count == without.count
    assert with_octets.connections[: with_octets.count].tobytes() == without.connections[: without.count].tobytes()
    assert with_octets.endpoints[: with_octets.count].tobytes() == without.endpoints[: without.count].tobytes()
