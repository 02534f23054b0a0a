"""A sentence about a program that listens and does not accept."""

from __future__ import annotations

from collections.abc import Iterable

from analyzer.explain.listening import Listener, Queued
from analyzer.language import _, counted
from analyzer.render.quantities import count


def never_accepted(listener: Listener, queued: Iterable[Queued], process: str) -> str:
    """What became of the connections that no accept() gave; empty where there was none."""
    mine = [one for one in queued if one.listener is listener]
    waited = sum(one.is_established for one in mine)
    refused = sum(one.met_full_queue for one in mine)
    if not waited and not refused:
        return ""
    if listener.never_asked:
        who = _("{process} listens on port {port} (backlog {backlog}) and never called accept()")
    else:
        who = _("{process} listens on port {port} (backlog {backlog}) and did not accept all that came")
    about = who.format(process=process, port=listener.local[1], backlog=count(listener.backlog))
    told = counted("{n} connection waited in its queue", "{n} connections waited in its queue", waited)
    parts = [told.format(n=count(waited))] if waited else []
    if refused:
        told = counted("{n} found the queue full", "{n} found the queue full", refused)
        parts.append(told.format(n=count(refused)))
    return _("{listener}: {queue}.").format(listener=about, queue=_(", ").join(parts))
