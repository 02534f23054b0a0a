"""Batches of frames in, tcpdump's text out."""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from analyzer.jit import compiles, fastest
from analyzer.render.tcpdump import page as state_of
from analyzer.render.tcpdump.addresses import FAMILY, NAME_COLUMNS, NAME_END, NAME_START, WORD, name_row
from analyzer.render.tcpdump.conversations import CONVERSATION_COLUMNS, move_conversations
from analyzer.render.tcpdump.every import print_every_packet
from analyzer.render.tcpdump.names import Names, interfaces
from analyzer.render.tcpdump.options import TcpdumpOptions
from analyzer.render.tcpdump.page import Page
from analyzer.render.tcpdump.plain import print_plain_packets
from analyzer.render.tcpdump.words import word_index
from analyzer.tables import I64, U8, Frames

A = TypeVar("A", bound=npt.NDArray[Any])

FIRST_ROOM = 1 << 16
FIRST_CONVERSATIONS = 1 << 10
FIRST_NAMES = 1 << 8
COLD_PACKETS = 100_000
"""So many packets are worth the compile of plain.py, which takes a quarter of a minute."""
RARE_PACKETS = 50_000
"""So many packets that plain.py does not print are worth the compile of every.py."""
QUARTER_NS = 900 * 1_000_000_000
"""Time zones change their offset at quarters of an hour."""


class TextBatch(NamedTuple):
    """The text of a batch of packets, valid until the printer is called again."""

    text: U8
    """The text of all packets, one after the other, each with its line end."""
    end: I64
    """Offset in ``text`` of the end of each packet's text."""


class TcpdumpPrinter:
    """Prints packets as tcpdump does. It keeps tcpdump's table of conversations, and the names it looked up."""

    def __init__(self, options: TcpdumpOptions, names: Names | None = None, *, most_kept: int = sys.maxsize) -> None:
        """``names`` are used unless the options say that there shall be none; without them, the machine's are.

        Where there are more than ``most_kept`` conversations or names, all are forgotten: sequence numbers are absolute
        once more, and addresses are looked up again.
        """
        state = np.zeros(state_of.STATE_LEN, dtype=np.int64)
        options.write_to(state)
        self._names = None if options.numeric else names or Names()
        self._known = 0
        self._most_kept = most_kept
        self._rare = 0
        self._offsets: dict[int, int] = {}
        spelled, places = _spell(self._names, state)
        self._words_len = self._spelled_len = len(spelled)
        self._page = Page(
            text=np.empty(FIRST_ROOM, dtype=np.uint8),
            state=state,
            data=_read_only(np.zeros(0, dtype=np.uint8)),
            conversations=np.zeros((FIRST_CONVERSATIONS, CONVERSATION_COLUMNS), dtype=np.int64),
            names=np.zeros((FIRST_NAMES if self._names else 0, NAME_COLUMNS), dtype=np.int64),
            places=places,
            spelled=spelled,
        )

    def render(self, frames: Frames) -> TextBatch:
        """The text of a batch."""
        count = len(frames.start)
        end = np.zeros(count, dtype=np.int64)
        state = self._page.state
        state[state_of.AT] = 0
        self._page = self._page._replace(data=_read_only(frames.data))
        columns = (
            _read_only(frames.start),
            _read_only(frames.caplen),
            _read_only(frames.origlen),
            _read_only(frames.ts_ns),
            _read_only(self._zone_offsets(frames.ts_ns)),
            _read_only(frames.linktype),
        )
        compiled = compiles(print_plain_packets, COLD_PACKETS)
        run = fastest(print_plain_packets, COLD_PACKETS) if compiled else print_every_packet
        done = 0
        while done < count:
            state[state_of.ROOM] = len(self._page.text)
            done = int(run(self._page, *columns, done, count, end))
            if done == count:
                break
            stopped = int(state[state_of.STOPPED])
            if stopped == state_of.RARE:
                self._rare += 1
                run_rare = fastest(print_every_packet) if self._rare > RARE_PACKETS else print_every_packet
                done = int(run_rare(self._page, *columns, done, done + 1, end))
                stopped = int(state[state_of.STOPPED])
                if stopped == 0:
                    continue
            if stopped == state_of.FULL:
                self._make_room()
            elif stopped == state_of.NAME_WANTED:
                self._look_up()
            else:
                self._make_room_for_conversations()
        at = int(state[state_of.AT])
        return TextBatch(self._page.text[:at], end)

    def _make_room(self) -> None:
        text = np.empty(2 * len(self._page.text), dtype=np.uint8)
        at = int(self._page.state[state_of.AT])
        text[:at] = self._page.text[:at]
        self._page = self._page._replace(text=text)

    def _make_room_for_conversations(self) -> None:
        old = self._page.conversations
        if len(old) > 2 * self._most_kept:
            old[:] = 0
            self._page.state[state_of.CONVERSATIONS] = 0
            return
        table = np.zeros((4 * len(old), CONVERSATION_COLUMNS), dtype=np.int64)
        fastest(move_conversations)(old, table)
        self._page = self._page._replace(conversations=table)

    def _look_up(self) -> None:
        """Look up the address that the packet wanted, and keep its name."""
        assert self._names is not None
        family, *words = (int(word) for word in self._page.state[state_of.WANTED : state_of.WANTED + 5])
        address = b"".join(word.to_bytes(4, "big") for word in words)
        name = (self._names.host(address[12:] if family == 4 else address) or "").encode(errors="surrogateescape")
        table = self._page.names
        if self._known >= max(self._most_kept, FIRST_NAMES):
            table[:] = 0
            self._known, self._spelled_len = 0, self._words_len
        if 2 * (self._known + 1) > len(table):
            larger = np.zeros((4 * len(table), NAME_COLUMNS), dtype=np.int64)
            for row in table[table[:, FAMILY] != 0]:
                larger[name_row(larger, *(int(key) for key in row[:NAME_START]))] = row
            table = larger
        row = name_row(table, family, *words)
        spelled, start = self._page.spelled, self._spelled_len
        if start + len(name) > len(spelled):
            spelled = np.resize(spelled, 2 * len(spelled) + len(name))
        spelled[start : start + len(name)] = np.frombuffer(name, dtype=np.uint8)
        self._spelled_len += len(name)
        self._known += 1
        table[row, FAMILY] = family
        table[row, WORD:NAME_START] = words
        table[row, NAME_START], table[row, NAME_END] = start, start + len(name)
        self._page = self._page._replace(names=table, spelled=spelled)

    def _zone_offsets(self, ts_ns: I64) -> I64:
        """Seconds that local time is ahead of UTC at each of these times."""
        quarters = ts_ns // QUARTER_NS
        first = np.flatnonzero(np.diff(quarters, prepend=quarters[:1] - 1))
        offsets = [self._zone_offset(int(quarter)) for quarter in quarters[first]]
        return np.repeat(np.array(offsets, dtype=np.int64), np.diff(first, append=len(quarters)))

    def _zone_offset(self, quarter: int) -> int:
        if quarter not in self._offsets:
            try:
                self._offsets[quarter] = time.localtime(quarter * 900).tm_gmtoff
            except (OverflowError, ValueError, OSError):
                self._offsets[quarter] = 0
        return self._offsets[quarter]


def _read_only(array: A) -> A:
    """A contiguous view that cannot be written, so that kernels are compiled for one kind of array."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view  # type: ignore[return-value]


def _spell(names: Names | None, state: I64) -> tuple[U8, I64]:
    """All words and names in one row, and where each is (see ``Page.places``)."""
    spelled = bytearray()
    index = word_index(spelled)
    links = interfaces()
    state[state_of.INTERFACES] = len(index)
    state[state_of.LINKS] = min(max(links, default=0) + 1, 1 << 16)
    index.append(len(spelled))
    for number in range(int(state[state_of.LINKS])):
        spelled += links.get(number, "").encode(errors="surrogateescape")
        index.append(len(spelled))
    if names is not None:
        state[state_of.PORTS] = len(index)
        index.append(len(spelled))
        for table in (names.tcp, names.udp):
            for number in range(65_536):
                spelled += table.get(number, "").encode(errors="surrogateescape")
                index.append(len(spelled))
    return np.frombuffer(bytes(spelled), dtype=np.uint8).copy(), np.array(index, dtype=np.int64)
