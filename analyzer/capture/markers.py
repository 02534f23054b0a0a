"""Datagrams to ourselves that tell how far a capture on loopback has come (Linux).

Linux hands a packet on loopback to packet sockets where it arrives: it waits in a queue of the processor that it was
sent on, and is taken out of it by that processor, first come, first served. Mostly that happens before send() returns;
on a busy machine it does not. So a datagram is sent from every processor, and once it was captured, so was everything
that had been sent there before.

Deviates: with Receive Packet Steering on loopback, which no system turns on by itself, a packet may be put into another
processor's queue.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np

from analyzer.tables import I64, Frames

_MAGIC = bytes.fromhex("7f1d5ab2c4e84f0e9a3386d1f04b62c7")
"""What all markers begin with, also those of other captures."""
_NUMBERS = struct.Struct("!16s16sQ")
"""A marker: the magic number, whose it is, and its own number."""


_LONGEST_FRAME = 128
"""More than a marker has with any link header."""


class Markers:
    """A socket that sends to itself; in the network namespace of the thread that makes it.

    Attributes: ``expression`` the filter that lets them in; empty where there is no loopback, and nothing to be marked.
    """

    def __init__(self) -> None:
        self._socket = _to_itself()
        self._owner = os.urandom(16)
        self._numbers = itertools.count(1)
        self.expression = f"udp port {self._socket.getsockname()[1]}" if self._socket else ""

    def close(self) -> None:
        """Send no more."""
        if self._socket:
            self._socket.close()

    def send(self) -> set[int]:
        """Send one from every processor where this process may run, and from the current one.

        Returns: their numbers; none where nothing can be sent.
        """
        if not self._socket:
            return set()
        sent: set[int] = set()
        self._send(sent)
        sender = threading.Thread(target=self._send_from_each, args=(sent,), name="tcpflow-view markers", daemon=True)
        sender.start()
        sender.join()
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(_NUMBERS.size, socket.MSG_DONTWAIT)
        return sent

    def _send_from_each(self, sent: set[int]) -> None:
        for processor in range(os.sysconf("SC_NPROCESSORS_CONF")):
            with suppress(OSError):  # it is off, or not for us
                os.sched_setaffinity(0, {processor})  # of this thread
                self._send(sent)

    def _send(self, sent: set[int]) -> None:
        number = next(self._numbers)
        with suppress(OSError):
            assert self._socket
            self._socket.send(_NUMBERS.pack(_MAGIC, self._owner, number))
            sent.add(number)

    def take_out(self, frames: Frames) -> tuple[Frames, set[int]]:
        """The frames without markers, and the numbers of those that were sent here."""
        length = _NUMBERS.size
        short = np.flatnonzero((frames.caplen >= length) & (frames.caplen <= _LONGEST_FRAME))
        ends: I64 = frames.start[short] + frames.caplen[short]
        tails = frames.data[ends[:, None] + np.arange(-length, 0)]
        is_marker = (tails[:, : len(_MAGIC)] == np.frombuffer(_MAGIC, np.uint8)).all(axis=1)
        if not is_marker.any():
            return frames, set()
        markers = [_NUMBERS.unpack(tail.tobytes()) for tail in tails[is_marker]]
        others: dict[str, Any] = {
            name: np.delete(column, short[is_marker]) for name, column in frames._asdict().items() if name != "data"
        }
        return frames._replace(**others), {number for _magic, owner, number in markers if owner == self._owner}


def _to_itself() -> socket.socket | None:
    """A datagram socket on loopback that is connected to itself; None where there is no loopback."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with ExitStack() as undone, suppress(OSError):
            made = undone.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            made.bind((address, 0))
            made.connect(made.getsockname())
            undone.pop_all()
            return made
    return None
