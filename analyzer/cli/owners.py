"""Learning who owns the ends of connections while a capture goes on, beside it and at a bounded cost."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from analyzer.capture.live import interfaces
from analyzer.explain.processes import Programs, ends_of
from analyzer.language import _
from analyzer.render.untrusted import visible
from analyzer.render.words import SIDES
from analyzer.tables import Protocol, Rows, Side

_PAUSE_S, _PAUSE_SHARE = 0.2, 5
"""Between two looks: so long, or so many times of what a look takes."""

_HASTE_SHARE = 1
"""The same when a connection is new: its sockets may soon be gone."""


class Owners:
    """Looks at this machine's sockets in a thread of its own while it is entered; ``tick`` is to be called often."""

    patience_s = _PAUSE_S

    def __init__(self) -> None:
        addresses = [address for one in interfaces() for address in one.addresses]
        self._programs = Programs(addresses)
        self._thread = ThreadPoolExecutor(1, "owners")
        self._looking: Future[None] | None = None
        self._took_s = 0.0
        self._in_haste = False
        self._ended = -math.inf

    def __enter__(self) -> Self:
        self._programs.look_for_servers()
        self.tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        if kind is None:
            self._look()  # what came since the last look may still be there

    def tick(self, *, is_news: bool = False) -> None:
        """Look again if it is time, or soon where a connection is new."""
        self._in_haste |= is_news
        if self._looking is not None:
            if not self._looking.done():
                return
            self._looking.result()
            self._looking = None
        pause_s = _HASTE_SHARE * self._took_s if self._in_haste else max(_PAUSE_S, _PAUSE_SHARE * self._took_s)
        if time.monotonic() - self._ended >= pause_s:
            self._in_haste = False
            self._looking = self._thread.submit(self._look)

    def of(self, connection: Rows) -> tuple[str, str]:
        """The programs behind client and server of a CONNECTION row; empty where they are not known."""
        protocol = Protocol(int(connection["protocol"]))
        client, server = ends_of(connection)
        return self._programs.of(protocol, client, server), self._programs.of(protocol, server, client)

    def known_servers(self) -> Rows:
        """The ends on which this machine's TCP sockets listen, since before the first packet: KNOWN_SERVER rows."""
        return self._programs.known_servers()

    def is_here(self, address: bytes) -> bool:
        """Whether an address is this machine's."""
        return self._programs.is_here(address)

    def sentence(self, connection: Rows) -> str:
        """Who was behind a connection, in a sentence; empty when nothing is known."""
        known = zip(Side, self.of(connection), strict=True)
        part = _("the {side} was {program}")
        parts = [part.format(side=SIDES[side].text, program=visible(owner)) for side, owner in known if owner]
        text = _(", ").join(parts)
        return _("{sentence}.").format(sentence=f"{text[0].upper()}{text[1:]}") if parts else ""

    def _look(self) -> None:
        is_first = self._ended == -math.inf
        began = time.monotonic()
        self._programs.look()
        self._ended = time.monotonic()
        self._took_s = 0.0 if is_first else self._ended - began  # the first one imports what it needs
