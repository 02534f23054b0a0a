"""Why a connection ended, or has not, in plain words: sentences that name the packets that prove it.

The text is troubles on the way, the sentence of the cause (causes.py), those of the circumstances that the rows prove
besides (circumstances.py), and what to do about it. All are templates in tables: a new one is a member and its row
there, and the test that finds it in ``cause_of`` or ``remarks_on``. Whoever writes the text (``why`` below, the
compiled writers of records) fills these templates, so that it is the same everywhere; records stay English.

A template speaks of the ``{actor}``, the side whose FIN, RST or silence the sentence is about, and of its ``{peer}``.
``{actor_…}``, ``{peer_…}`` and the plain names of ``Number`` stand for integers; ``sentence`` makes one template a
side. English texts are ASCII and hold nothing that JSON would have to escape. The evidence is the packets that the
text names, in its order.

What the wire cannot tell, the sentences say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum

import numpy as np

from analyzer.explain.causes import ADVICE, CAUSES, Cause, actor_of, cause_of
from analyzer.explain.circumstances import (
    ABOUT,
    PORT_LISTENED,
    PORT_LISTENED_ADVICE,
    REMARKS,
    TROUBLES,
    Remark,
    remarks_on,
)
from analyzer.explain.seen_ends import CHOICES
from analyzer.jit import kernel, wide
from analyzer.language import _, text
from analyzer.tables import I64, Rows, Side
from analyzer.traces import SHORT_NS, packet_at


class Number(IntEnum):
    """Placeholders of the templates: numbers of packets (0: there is none), and from ``AMOUNTS`` on other numbers."""

    CLIENT_SYN = 0
    SERVER_SYN = 1
    CLIENT_FIN = 2
    SERVER_FIN = 3
    CLIENT_RST = 4
    SERVER_RST = 5
    FIRST_RST = 6
    LAST_PACKET = 7
    ANSWERED = 8
    ICMP_PACKET = 9
    CLIENT_STALL = 10
    SERVER_STALL = 11
    NAGLE_PACKET = 12
    CLIENT_SYNS = 13
    SERVER_SYNS = 14
    SERVER_PORT = 15
    SERVER_IGNORED_ACKS = 16
    CLIENT_TRIES = 17
    SERVER_TRIES = 18
    CLIENT_SILENT_S = 19
    SERVER_SILENT_S = 20
    IDLE_S = 21
    CLIENT_TTL = 22
    SERVER_TTL = 23
    CLIENT_RST_TTL = 24
    SERVER_RST_TTL = 25
    CLIENT_STALLED_MS = 26
    SERVER_STALLED_MS = 27
    CLIENT_LONGEST_STALL_MS = 28
    SERVER_LONGEST_STALL_MS = 29
    NAGLE_WAITS = 30
    NAGLE_MS = 31


AMOUNTS = Number.CLIENT_SYNS
"""The first that is no packet's number."""

SIDES = text("client"), text("server")
"""The words for a Side."""


_WHERE_ANOTHER_WAS_ANSWERED = {
    REMARKS[Remark.SILENT_SERVER]: PORT_LISTENED, ADVICE[Cause.UNANSWERED]: PORT_LISTENED_ADVICE,
}  # fmt: skip


def sentence(template: str, actor: Side, sides: tuple[str, ...] = SIDES) -> str:
    """A template with its roles filled in: what is left in braces are names of ``Number`` in lower case."""
    names = "client", "server"
    for role, side in (("actor", actor), ("peer", 1 - actor)):
        template = template.replace(f"{{{role}}}", sides[side]).replace(f"{{{role}_", f"{{{names[side]}_")
    return template


def why(connection_row: Rows, client_row: Rows, server_row: Rows, *, settled: str = "") -> str:
    """Why a connection ended, or has not, in the language chosen; empty when there is nothing to say."""
    return " ".join(paragraphs(connection_row, client_row, server_row, settled=settled))


def paragraphs(
    connection_row: Rows, client_row: Rows, server_row: Rows, *, other: int = 0, settled: str = ""
) -> list[str]:
    """The same as a paragraph on troubles, where there are any, and one on why it ended.

    ``other`` is the number of a connection that shows that the server's port listens, where one does; ``settled`` is
    told in the place of the sentences that leave a choice (seen_ends.py).
    """
    numbers = numbers_of(connection_row, client_row, server_row) | {"other": other}
    sides = tuple(map(_, SIDES))
    troubles: list[str] = []
    ended = [settled] if settled else []
    for template, actor, is_trouble in _told(connection_row, client_row, server_row):
        if settled and template in CHOICES:
            continue
        if other:
            template = _WHERE_ANOTHER_WAS_ANSWERED.get(template, template)
        told = troubles if is_trouble else ended
        told.append(sentence(_(template), actor, sides).format_map(numbers))
    return [" ".join(told) for told in (troubles, ended) if told]


def evidence_of(connection_row: Rows, client_row: Rows, server_row: Rows) -> list[int]:
    """The packets that the text of ``why`` names, each once, in its order."""
    numbers = numbers_of(connection_row, client_row, server_row)
    packets: dict[int, None] = {}
    for template, actor, _is_trouble in _told(connection_row, client_row, server_row):
        for name in re.findall(r"\{(\w+)\}", sentence(template, actor)):
            if Number[name.upper()] < AMOUNTS and numbers[name]:
                packets[numbers[name]] = None
    return list(packets)


def _told(connection: Rows, client: Rows, server: Rows) -> Iterator[tuple[str, Side, bool]]:
    """The templates of a connection's text, each with its actor and whether it speaks of a trouble."""
    cause = Cause(cause_of(connection, client, server))
    if not cause:
        return
    actor = Side(actor_of(cause, connection, client, server))
    bits = remarks_on(cause, actor, connection, client, server)
    remarks = [remark for remark in Remark if bits >> remark & 1]
    yield from ((REMARKS[remark], ABOUT.get(remark, actor), True) for remark in remarks if remark in TROUBLES)
    yield CAUSES[cause], actor, False
    yield from ((REMARKS[remark], ABOUT.get(remark, actor), False) for remark in remarks if remark not in TROUBLES)
    if cause in ADVICE:
        yield ADVICE[cause], actor, False


def numbers_of(connection: Rows, client: Rows, server: Rows) -> dict[str, int]:
    """The value of every Number, by its name in lower case."""
    numbers = np.zeros(len(Number), np.int64)
    write_numbers(connection, client, server, numbers)
    return {number.name.lower(): int(numbers[number]) for number in Number}


@kernel
def write_numbers(connection: Rows, client: Rows, server: Rows, numbers: I64) -> None:
    """Write the value of every ``Number`` into ``numbers``."""
    numbers[Number.CLIENT_SYN] = wide(client["syn_packet"])
    numbers[Number.SERVER_SYN] = wide(server["syn_packet"])
    numbers[Number.CLIENT_FIN] = wide(client["fin_packet"])
    numbers[Number.SERVER_FIN] = wide(server["fin_packet"])
    numbers[Number.CLIENT_RST] = wide(client["rst_packet"])
    numbers[Number.SERVER_RST] = wide(server["rst_packet"])
    client_rst = wide(client["rst_packet"])
    other_rst = wide(server["rst_packet"])
    first_rst = client_rst
    if first_rst == 0 or (other_rst and other_rst < first_rst):
        first_rst = other_rst
    numbers[Number.FIRST_RST] = first_rst
    numbers[Number.LAST_PACKET] = wide(connection["last_packet"])
    numbers[Number.ANSWERED] = packet_at(connection, wide(connection["answered_packet"]))
    numbers[Number.ICMP_PACKET] = packet_at(connection, wide(connection["unreachable_packet"]))
    numbers[Number.CLIENT_STALL] = packet_at(connection, wide(client["stalled_packet"]))
    numbers[Number.SERVER_STALL] = packet_at(connection, wide(server["stalled_packet"]))
    numbers[Number.NAGLE_PACKET] = packet_at(connection, wide(connection["nagle_packet"]))
    numbers[Number.CLIENT_SYNS] = wide(client["syns"])
    numbers[Number.SERVER_SYNS] = wide(server["syns"])
    numbers[Number.SERVER_PORT] = wide(connection["server_port"])
    numbers[Number.SERVER_IGNORED_ACKS] = wide(server["ignored_acks"])
    numbers[Number.CLIENT_TRIES] = wide(client["tries"])
    numbers[Number.SERVER_TRIES] = wide(server["tries"])
    last_ns = wide(connection["last_ns"])
    numbers[Number.CLIENT_SILENT_S] = max(last_ns - wide(client["last_ns"]), 0) // 1_000_000_000
    numbers[Number.SERVER_SILENT_S] = max(last_ns - wide(server["last_ns"]), 0) // 1_000_000_000
    is_client = client_rst > 0 and client_rst == first_rst
    numbers[Number.IDLE_S] = wide(client["reset_idle_s"]) if is_client else wide(server["reset_idle_s"])
    numbers[Number.CLIENT_TTL] = wide(client["ttl"])
    numbers[Number.SERVER_TTL] = wide(server["ttl"])
    numbers[Number.CLIENT_RST_TTL] = wide(client["reset_ttl"])
    numbers[Number.SERVER_RST_TTL] = wide(server["reset_ttl"])
    lasted = max(last_ns - wide(connection["first_ns"]), 0) // SHORT_NS + 1
    numbers[Number.CLIENT_STALLED_MS] = milliseconds(wide(client["stalled"]) + since(client, lasted))
    numbers[Number.SERVER_STALLED_MS] = milliseconds(wide(server["stalled"]) + since(server, lasted))
    numbers[Number.CLIENT_LONGEST_STALL_MS] = milliseconds(max(wide(client["stalled_longest"]), since(client, lasted)))
    numbers[Number.SERVER_LONGEST_STALL_MS] = milliseconds(max(wide(server["stalled_longest"]), since(server, lasted)))
    numbers[Number.NAGLE_WAITS] = wide(client["nagle_waits"]) + wide(server["nagle_waits"])
    numbers[Number.NAGLE_MS] = milliseconds(wide(connection["nagle_time"]))


@kernel
def since(end: Rows, lasted: int) -> int:
    """How long the window of ``end`` has been zero when the connection has lasted so long, in SHORT_NS."""
    return max(lasted - wide(end["stalled_from"]), 0) if wide(end["stalled_from"]) else 0


@kernel
def milliseconds(short: int) -> int:
    """From units of SHORT_NS."""
    return (short * SHORT_NS + 500_000) // 1_000_000
