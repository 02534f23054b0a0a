"""Who speaks when: the payload of a connection as requests of the client and responses of the server.

A turn is payload of one side until the other side sends some. The client's turns are requests and the server's the
responses to them; what a server says before it was asked is its greeting. What the client sends after the server's FIN
asks for nothing any more.
"""

from __future__ import annotations

from typing import NamedTuple

from analyzer.language import _
from analyzer.render.segment import Segment
from analyzer.tables import FIN, Phase, Side


class Turn(NamedTuple):
    """The payload of one side between the other's."""

    name: str
    """``request 1``, ``response 1``, ``greeting``."""
    side: int
    first: int
    """Index of its first segment."""
    packets: int
    octets: int
    wait_ns: int
    """From the last payload of the turn before, -1 for the first turn."""


def turns(life: list[Segment]) -> list[Turn]:
    """The turns of a TCP connection's data; none when only one side ever speaks."""
    found: list[Turn] = []
    requests = 0
    has_closed = [False, False]
    last_ns, was_late = 0, False
    for index, segment in enumerate(life):
        has_closed[segment.side] |= bool(segment.flags & FIN)
        if not segment.payload_len or segment.phase != Phase.DATA or segment.troubled or segment.is_copy:
            continue
        is_late = segment.side == Side.CLIENT and has_closed[Side.SERVER]
        if found and found[-1].side == segment.side and is_late == was_late:
            turn = found[-1]
            found[-1] = turn._replace(packets=turn.packets + 1, octets=turn.octets + segment.payload_len)
        else:
            requests += segment.side == Side.CLIENT and not is_late
            name = _("after the server's FIN") if is_late else turn_name(segment.side, requests)
            wait_ns = segment.ts_ns - last_ns if found else -1
            found.append(Turn(name, segment.side, index, 1, segment.payload_len, wait_ns))
        last_ns, was_late = segment.ts_ns, is_late
    return found if len(found) > 1 else []


def turn_name(side: int, requests: int) -> str:
    """What a turn is called when there were so many requests, itself among them."""
    if side == Side.CLIENT:
        return _("request {n}").format(n=requests)
    return _("response {n}").format(n=requests) if requests else _("greeting")
