"""``live``: what happens on an interface while a block of code runs, captured and analysed."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from analyzer.api.analysis import Analysis, Connections
from analyzer.api.packet_columns import PacketColumns
from analyzer.capture.filter import compile_filter
from analyzer.capture.live import LiveCapture
from analyzer.capture.markers import Markers
from analyzer.capture.ring import RETIRE_MS
from analyzer.capture.saving import CaptureWriter
from analyzer.errors import FilterError, UsageError
from analyzer.explain.owed import Debt, debts_of, unpaid
from analyzer.language import _, counted
from analyzer.tables import I64, Evidence, Protocol, Rows, Side

PATIENCE_S = 1.0
"""How long a capture usually waits for what an end owes."""

_MARKED_S, _ONCE_MARKED_S = 10.0, 1.0
"""How long it waits for its own markers, and after which time it sends others."""

_BUFFER, _SNAPLEN = 64 << 20, (128 << 10) - 256
"""Room for packets that wait: half a thousand blocks, each of them enough for the longest packet of loopback."""


def live(
    interface: str = "lo", filter: str = "", *, servers: Sequence[str] = (), patience: float = PATIENCE_S,
    opened_only: bool = False,
) -> Recording:  # fmt: skip
    """Capture on an interface while a ``with`` block runs (Linux; it needs the right to capture).

        with live("lo", "port 1235") as capture:
            …
        for connection in capture.connections: …

    ``filter`` and ``servers`` are as for ``analyze``; ``patience`` is how many seconds to wait for what is owed
    (``Recording.settle``); ``opened_only`` leaves TCP connections out whose SYN was sent before.

    Raises, when the block begins: CaptureOpenError, which says what to do, FilterError, UsageError.
    """
    return Recording(interface, filter, servers, patience, opened_only)


class Recording:
    """Packets of an interface, from the moment the block begins until it ends, and what they come to.

    A thread takes them from Linux into a file that goes with the last object that needs it. What goes wrong in it is
    raised by the next call.

    Attributes: ``interface``, ``filter``; ``unsettled``: what the latest ``settle`` did not see, in words.
    """

    def __init__(self, interface: str, filter: str, servers: Sequence[str], patience: float, opened_only: bool) -> None:
        self.interface, self.filter = interface, filter.strip()
        self.unsettled: tuple[str, ...] = ()
        self._servers, self._patience, self._opened_only = servers, patience, opened_only
        self._news = threading.Condition()
        self._seen: set[int] = set()  # markers that came
        self._written = 0  # packets that the thread has written, or left out as markers
        self._size = 0  # octets of the file that are whole records
        self._waiting = 0  # callers that wait for markers
        self._over = True
        self._process: int | None = None  # none before the block
        self._trouble: BaseException | None = UsageError(_("live: there is no capture before its block: with live(…)"))
        self._asking = threading.Lock()
        self._latest: tuple[int, Analysis] | None = None

    def __enter__(self) -> Self:
        if self._process is not None:
            raise UsageError(_("live: this capture had its block; for another one call live(…) again"))
        with ExitStack() as undone:
            self._markers = Markers()
            undone.callback(self._markers.close)
            self._live = undone.enter_context(self._listen())
            self._stored = _Stored()
            self._writer = self._stored.writer(self._live.linktype)
            self._size = self._stored.size()
            self._spoken = self._filter_of_files()
            self._process, self._over, self._trouble = os.getpid(), False, None
            self._thread = threading.Thread(target=self._take, name=f"capture on {self.interface}", daemon=True)
            self._thread.start()
            undone.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.settle()
        finally:
            self.stop()
        if error is None:
            self._raise_trouble()

    def __repr__(self) -> str:
        return f"<capture on {self.interface}: {self._size} octets>"

    @property
    def dropped(self) -> int:
        """Packets that were lost because nobody took them in time, by Linux's count."""
        self._check_begun()
        return self._live.dropped

    def stop(self) -> None:
        """End the capture now: what was captured is kept, nothing is waited for."""
        self._check_begun()
        if os.getpid() != self._process:
            return  # a child that inherited it
        self._live.stop()
        self._thread.join()
        self._live.close()
        self._writer.close()
        self._markers.close()

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until all is in that was sent before this call, and what is owed for it.

        - Every packet that was sent on this machine before, by whatever socket and process: a marker is sent from every
          processor, and it is waited for (on loopback and ``any``; elsewhere, every packet that Linux has captured).
        - What the ends of the captured TCP connections owe at that moment: the acknowledgement of octets, SYN and FIN;
          and where one side has said FIN, the end of the connection. That is waited for ``timeout`` seconds at most.

        An interface that vanishes or goes down ends the capture: then nothing is settled any more.

        What a program has yet to send is not known to anybody: wait for the answers of your servers, or join them.

        Returns: whether all came; else ``unsettled`` says what did not. From any thread: a test that runs in an event
        loop does ``await asyncio.to_thread(capture.settle)``, so that a server in this loop can do its part.
        """
        if self._over:
            self._raise_trouble()
            self.unsettled = tuple(dict.fromkeys((*self.unsettled, *self._ended_early())))
            return not self.unsettled
        missing = [] if self._pass_markers() else [_("packets may be on their way to the capture")]
        until = time.monotonic() + (self._patience if timeout is None else timeout)
        debts: list[Debt] | None = None
        while True:
            is_last = time.monotonic() >= until
            analysis = self._analyse()
            connections, endpoints = analysis.rows
            if debts is None:
                rows = self._rows(connections)
                debts = debts_of(connections[rows], endpoints[rows])
            debts = unpaid(debts, connections, endpoints)
            if not debts or is_last:
                break
            self._await_more(analysis, until)
        missing += [_told(debt, analysis.connections) for debt in debts]
        if self.dropped:
            told = counted("{n} packet found no room", "{n} packets found no room", self.dropped)
            missing.append(told.format(n=self.dropped))
        self.unsettled = (*missing, *self._ended_early())
        return not self.unsettled

    def analyze(self, timeout: float | None = None) -> Analysis:
        """What came so far, settled; after the block all that came."""
        self.settle(timeout)
        return self._analyse()

    @property
    def analysis(self) -> Analysis:
        """The same, with the usual patience; as long as nothing new comes, the same object."""
        return self.analyze()

    @property
    def connections(self) -> Connections:
        """Its connections, in the order of their first packets; settled."""
        self.settle()
        return self.so_far()

    def so_far(self) -> Connections:
        """The same without waiting for anything."""
        self._raise_trouble()
        analysis = self._analyse()
        return Connections(analysis, self._rows(analysis.rows[0]).tolist())

    @property
    def packets(self) -> PacketColumns:
        """Its packets, as columns."""
        return self.analysis.packets

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what came so far into a pcap file."""
        self._check_begun()
        with open(path, "wb") as file:
            shutil.copyfileobj(self._past(), file)

    # ------------------------------------------------------------ the thread

    def _take(self) -> None:
        try:
            for batch in self._live:
                frames, markers = self._markers.take_out(batch)
                if len(frames.number):
                    self._writer.write(frames)
                with self._news:
                    self._seen |= markers if self._waiting else set()
                    self._written += len(batch.number)
                    self._size = self._stored.size()
                    self._news.notify_all()
        except BaseException as error:
            self._trouble = error
        finally:
            with self._news:
                self._over = True
                self._news.notify_all()

    # ------------------------------------------------------------ its callers

    def _listen(self) -> LiveCapture:
        """The capture, which lets markers in beside what passes the filter."""
        # Before it, for some words of a filter (vlan) move all that stands behind them.
        mark = self._markers.expression
        marked = f"({mark}) or ({self.filter})" if mark and self.filter else self.filter
        try:
            return LiveCapture(self.interface, marked, snaplen=_SNAPLEN, buffer_bytes=_BUFFER, rehearsal=None)
        except FilterError:
            LiveCapture(self.interface, self.filter, snaplen=_SNAPLEN, rehearsal=None).close()  # says it in its words
            raise

    def _filter_of_files(self) -> str:
        """The filter, where a saved capture can be asked it; the file has nothing else in it anyway."""
        try:
            compile_filter(self.filter, self._live.linktype, saved="<")
        except FilterError:
            return ""
        return self.filter

    def _pass_markers(self) -> bool:
        """Send markers until those of one time came; False where they do not."""
        if not self._live.hears_loopback or not self._markers.expression:
            return self._take_all()
        with self._expecting_markers():
            until = time.monotonic() + _MARKED_S
            while sent := self._markers.send():
                with self._news:
                    came = self._news.wait_for(partial(self._has, sent), _ONCE_MARKED_S)
                self._raise_trouble()
                if came:
                    return not self._over
                if time.monotonic() > until:
                    break
            return False

    @contextmanager
    def _expecting_markers(self) -> Iterator[None]:
        """Markers are noted for as long as anybody waits for some; those that come later, of none."""
        with self._news:
            self._waiting += 1
        try:
            yield
        finally:
            with self._news:
                self._waiting -= 1
                if not self._waiting:
                    self._seen.clear()

    def _take_all(self) -> bool:
        """Wait until all is written that Linux has captured; False where that takes too long."""
        expected, until = self._live.to_be_taken(), time.monotonic() + _MARKED_S
        with self._news:
            while not self._over and (self._live.taken < expected or self._written < self._live.packets):
                self._news.wait(RETIRE_MS / 1000)  # nobody says when all that was taken is filtered out
                if time.monotonic() > until:
                    return False
        self._raise_trouble()
        return True

    def _has(self, markers: set[int]) -> bool:
        return markers <= self._seen or self._over

    def _await_more(self, analysis: Analysis, until: float) -> None:
        """Wait for packets that an analysis does not have."""
        with self._news:
            self._news.wait_for(lambda: not self._has_all(analysis) or self._over, max(0.0, until - time.monotonic()))
        self._raise_trouble()

    def _has_all(self, analysis: Analysis) -> bool:
        return self._latest == (self._size, analysis)

    def _analyse(self) -> Analysis:
        with self._asking:
            past = self._past()
            if self._latest is None or self._latest[0] != past.size:
                self._latest = past.size, Analysis(past, self._spoken, self._servers)
            return self._latest[1]

    def _rows(self, connections: Rows) -> I64:
        """Those that are looked at."""
        was_opened = (connections["protocol"] != Protocol.TCP) | (connections["client_evidence"] == Evidence.SYN)
        return np.flatnonzero(was_opened | (not self._opened_only))

    def _past(self) -> _Past:
        with self._news:
            return _Past(self._stored, self._size, self.interface)

    def _ended_early(self) -> list[str]:
        """Why nothing comes any more, where nobody stopped it."""
        if not self._live.ended:
            return []
        told = _("{interface}: {reason}; what came afterwards was not captured")
        return [told.format(interface=self.interface, reason=self._live.ended)]

    def _check_begun(self) -> None:
        """Raise UsageError before the block."""
        if self._process is None:
            self._raise_trouble()

    def _raise_trouble(self) -> None:
        if self._trouble:
            raise self._trouble


def _told(debt: Debt, connections: Connections) -> str:
    connection = next(one for one in connections if one.number == debt.number)
    who = connection.client if debt.side == Side.CLIENT else connection.server
    if debt.up_to is None:
        told = _("connection {connection}: {end} has not closed")
    else:
        told = _("connection {connection}: {end} has not acknowledged all that was sent to it")
    return told.format(connection=connection.number, end=who)


class _Stored:
    """A capture file without a name: it is gone when nobody has it open, however that comes about."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="tcpflow-view-")
        self.path = Path(self._folder, "live.pcap")
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self.descriptor)

    def writer(self, linktype: int) -> CaptureWriter:
        """What writes it. Raises AnalyzerError."""
        try:
            return CaptureWriter(self.path, linktype, _SNAPLEN)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def size(self) -> int:
        """Octets that were written."""
        return os.fstat(self.descriptor).st_size


class _Past(io.RawIOBase):
    """The first octets of a capture that may go on, to be read again and again.

    Attributes: ``size``; ``name`` for people.
    """

    def __init__(self, stored: _Stored, size: int, name: str) -> None:
        self._stored, self.size, self.name = stored, size, name
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stored.descriptor

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, room: Any) -> int:
        octets = memoryview(room)[: max(0, self.size - self._at)]
        count = os.preadv(self._stored.descriptor, [octets], self._at)
        self._at += count
        return count
