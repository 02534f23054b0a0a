"""Markers: from every processor, taken out of what is captured, and nothing else with them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from analyzer.capture.live import LiveCapture
from analyzer.capture.markers import Markers
from analyzer.tables import Frames
from tests.capture.namespaces import MARK_PORT, PATIENCE, ip, namespace, needs_root, send
from tests.script import batch

LINK_HEADERS = {"Ethernet": 14, "cooked": 20, "none": 0}
IPV4_UDP = 28


@pytest.fixture
def markers() -> Iterator[Markers]:
    made = Markers()
    yield made
    made.close()


def sent_by(markers: Markers) -> list[bytes]:
    """The payloads of what is sent, in a socket that is as its own."""
    payloads: list[bytes] = []

    class Wire:
        def send(self, octets: bytes) -> None:
            payloads.append(octets)

        def recv(self, *_arguments: int) -> bytes:
            raise BlockingIOError

    own, markers._socket = markers._socket, Wire()  # type: ignore[assignment]
    markers.send()
    markers._socket = own
    return payloads


def frames_of(octets: list[bytes]) -> Frames:
    return batch(octets, list(range(len(octets))))


@pytest.mark.parametrize("header", LINK_HEADERS.values(), ids=LINK_HEADERS)
def test_they_are_taken_out(header: int, markers: Markers) -> None:
    payloads = sent_by(markers)
    assert len(payloads) == 1 + len(os.sched_getaffinity(0))
    heads = bytes(header + IPV4_UDP)
    others = [b"", b"short", bytes(200), heads + bytes(40), heads + payloads[0] + b"more"]
    frames = frames_of([others[0], heads + payloads[0], *others[1:], heads + payloads[1]])
    left, numbers = markers.take_out(frames)
    assert numbers == {1, 2}
    assert left.ts_ns.tolist() == [0, 2, 3, 4, 5]
    whole = [left.data[start : start + length].tobytes() for start, length in zip(left.start, left.caplen, strict=True)]
    assert whole == others


def test_those_of_other_captures_too(markers: Markers) -> None:
    other = Markers()
    [payload, *_more] = sent_by(other)
    other.close()
    left, numbers = markers.take_out(frames_of([bytes(42) + payload, bytes(60)]))
    assert numbers == set()
    assert left.ts_ns.tolist() == [1]


def test_nothing_is_copied_where_there_are_none(markers: Markers) -> None:
    frames = frames_of([bytes(60)])
    left, numbers = markers.take_out(frames)
    assert left is frames
    assert numbers == set()


@needs_root
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_what_was_sent_before_was_captured_before(address: str) -> None:
    with namespace():
        if address == "::1":
            ip("address", "del", "127.0.0.1/8", "dev", "lo")
        family = socket.AF_INET6 if address == "::1" else socket.AF_INET
        markers = Markers()
        with socket.socket(family, socket.SOCK_DGRAM) as sink, LiveCapture("lo", "udp", rehearsal=None) as capture:
            sink.bind((address, MARK_PORT))
            for _ in range(5):
                send(address, MARK_PORT, *[b"%d" % i for i in range(100)])
                wanted, count = markers.send(), 0
                while wanted:
                    frames = capture.poll(PATIENCE)
                    assert frames is not None
                    left, numbers = markers.take_out(frames)
                    wanted -= numbers
                    count += len(left.number)
                assert count == 100
        markers.close()


@needs_root
def test_where_there_is_no_loopback() -> None:
    with namespace():
        ip("address", "flush", "dev", "lo")
        markers = Markers()
        assert markers.expression == ""
        assert markers.send() == set()
        assert markers.take_out(frames_of([bytes(80)]))[1] == set()
        markers.close()


def test_processors_that_are_not_ours(markers: Markers, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_process: int, _processors: set[int]) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refused)
    assert len(markers.send()) == 1


def test_this_thread_stays_where_it_was(markers: Markers) -> None:
    before = os.sched_getaffinity(0)
    assert len(markers.send()) == 1 + len(before)
    assert os.sched_getaffinity(0) == before
    assert np.unique(list(before)).size == len(before)
