"""Why the connections of a table ended that nobody asked to be told one by one: a line for each cause of trouble.

server aborted ×3 (2, 5, 9): RST without a FIN: unread data, SO_LINGER 0, or never accepted
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analyzer.explain.causes import Cause, causes_of
from analyzer.explain.circumstances import STALLED_SHORT
from analyzer.explain.neighbors import ends_that_answered
from analyzer.language import _, text
from analyzer.render.quantities import count
from analyzer.render.screen import Screen, cells
from analyzer.render.words import ENDINGS, LOUD, QUIET
from analyzer.render.wrapping import wrap
from analyzer.tables import I64, Protocol, Rows

_MOST_NAMED = 5
_LONGEST_LINE = 100

_ABORTED = text("RST without a FIN: unread data, SO_LINGER 0, or never accepted")
_RESET = text("a RST ended it")
_VANISHED = text("nothing answered what was sent again: host down, cut off, or packets dropped")
_UNREACHABLE = text("an ICMP error says so: look at the routes, and whether the host is up")

REASONS = {
    Cause.RESET_BY_CLIENT: _RESET,
    Cause.RESET_BY_SERVER: _RESET,
    Cause.REFUSED: text("no program listens on the port, or a firewall says so"),
    Cause.UNANSWERED: text("no SYN-ACK came: firewall, host down, accept queue full, or packets lost"),
    Cause.SYN_ACK_UNANSWERED: text("the SYN-ACK was never acknowledged"),
    Cause.ABORTED_BY_CLIENT: _ABORTED,
    Cause.ABORTED_BY_SERVER: _ABORTED,
    Cause.WRITE_AFTER_CLOSE: text("written after the peer had closed its socket: the next write gets EPIPE"),
    Cause.HALF_OPEN: text("one side no longer knew the connection"),
    Cause.KEEP_ALIVE_TIMEOUT: text("keep-alive probes stayed unanswered"),
    Cause.RETRANSMISSION_TIMEOUT: text("what was sent again stayed unanswered"),
    Cause.IDLE_RESET: text("RST after long silence: a timeout of the program, or of a firewall"),
    Cause.LIKELY_MIDDLEBOX_RESET: text("RST probably sent by a device on the way"),
    Cause.CLIENT_VANISHED: _VANISHED,
    Cause.SERVER_VANISHED: _VANISHED,
    Cause.LIKELY_ACCEPT_QUEUE_FULL: text("the SYN-ACK came again after the ACK: accept() is called too seldom"),
    Cause.PROHIBITED: text("a firewall says so by an ICMP error"),
    Cause.NET_UNREACHABLE: _UNREACHABLE,
    Cause.HOST_UNREACHABLE: _UNREACHABLE,
    Cause.PORT_UNREACHABLE: text("an ICMP error says so: no program has the port, or a firewall"),
    Cause.UNREACHABLE: _UNREACHABLE,
    Cause.HOPS_EXCEEDED: text("an ICMP error says so: a loop of routes"),
    Cause.HALF_CLOSED: text("one side never closed: its program has to call close() when recv() gives 0"),
}
"""In short, for the causes that are told; -c has all that is known."""


def reasons(connections: Rows, endpoints: Rows, rows: Sequence[int], screen: Screen) -> Iterator[str]:
    """The lines for these rows of CONNECTION[n] with ENDPOINT[n, Side], the most frequent first, an empty one after."""
    chosen = np.array(rows, np.int64)
    found, ends = connections[chosen], endpoints[chosen]
    causes = causes_of(found, ends)
    listened = ends_that_answered(connections, endpoints)[chosen] & (causes == Cause.UNANSWERED)
    told = [
        (ENDINGS[cause].text, ENDINGS[cause].style, found["number"][(causes == cause) & ~listened], _(REASONS[cause]))
        for cause in REASONS
    ]
    no_answer = ENDINGS[Cause.UNANSWERED]
    queue_full = _("other connections show that the port listened: most likely the accept queue was full")
    told.append((no_answer.text, no_answer.style, found["number"][listened], queue_full))
    is_tcp = found["protocol"] == Protocol.TCP
    stalled = ((ends["stalled_from"] > 0) | (ends["stalled"] >= STALLED_SHORT)).any(axis=1)
    waited = (ends["nagle_waits"] > 0).any(axis=1)
    did_not_read = _("a zero window made the writer wait: the reader has to call recv() more often")
    delayed = _("small writes waited for delayed ACKs (Nagle): one write for what belongs together, or TCP_NODELAY")
    told.append((_("did not read"), LOUD, found["number"][is_tcp & stalled], did_not_read))
    told.append((_("writes waited"), LOUD, found["number"][is_tcp & waited], delayed))
    some = sorted((one for one in told if len(one[2])), key=lambda one: -len(one[2]))
    width = min(screen.width, _LONGEST_LINE) - 1
    for name, style, numbers, reason in some:
        head = f"{name} ×{count(len(numbers))}"
        first, *rest = wrap(_(": ").join((f"{head} ({_named(numbers)})", reason)), width, " ", "   ")
        yield first.replace(head, screen.paint(head, style or QUIET), 1) if cells(head) < width else first
        yield from rest
    if some:
        yield ""


def _named(numbers: I64) -> str:
    named = ", ".join(map(str, numbers[:_MOST_NAMED].tolist()))
    return f"{named}, …" if len(numbers) > _MOST_NAMED else named
