"""What a file of expectations may hold: its keys, what they may be, and what they mean.

The file is checked by this description, and the JSON Schema that editors read is made of it
(``expectations.schema.json``, by docs/generate.py).
"""

from __future__ import annotations

import json
from typing import Any

from analyzer.expect.kinds import Either, Flag, Key, Notation, Several, Table, Text, Whole, Word
from analyzer.expect.vocabulary import (
    CAUSES,
    CLOSERS,
    DIGEST_PATTERN,
    EVENTS,
    EVERY,
    HEX_PATTERN,
    LIFECYCLES,
    LIMIT_PATTERN,
    TIME_PATTERN,
    VERDICTS,
    WAY_PATTERN,
    digest_of,
    hex_of,
    limit_of,
    nanoseconds,
    way_of,
)
from analyzer.language import text

_LIMIT = (Whole(), Notation(LIMIT_PATTERN, limit_of))
LIMIT = Either(_LIMIT)
TIME = Notation(TIME_PATTERN, nanoseconds)
WAY = Notation(WAY_PATTERN, way_of)

_SAID = Either(
    (
        Text(),
        Table(
            {
                "text": Key(Text(), "All that it says, as text in UTF-8."),
                "hex": Key(Notation(HEX_PATTERN, hex_of), 'All that it says, as hexadecimal digits: "00 ff".'),
                "matches": Key(Text(is_regex=True), "A regular expression (Python's) that all of it matches."),
                "bytes": Key(LIMIT, "How many bytes it says, each once."),
                "sha256": Key(Notation(DIGEST_PATTERN, digest_of), "The SHA-256 of all that it says."),
            }
        ),
    )
)


def _sides(kind: Any, client: str, server: str) -> Table:
    return Table({"client": Key(kind, client), "server": Key(kind, server)})


def _end(whose: str) -> Table:
    return Table(
        {
            "address": Key(Text(), f"Only connections with this IP address of the {whose}."),
            "port": Key(Whole(most=65535), f"Only connections with this port of the {whose}."),
        }
    )


CAPTURE = Table(
    {
        "connections": Key(LIMIT, 'How many connections and UDP conversations: 2, or "<= 2".'),
        "others": Key(
            Word(("allowed", "forbidden"), text("switch")),
            "Whether there may be connections that no [[connection]] speaks of; they are allowed without this key.",
        ),
        "damaged": Key(Flag(), "Whether the capture may be damaged or cut short; without this key it may not."),
        "dropped": Key(LIMIT, "How many packets the capturing program missed, as far as it wrote so."),
        "duplicates": Key(LIMIT, "How many packets the capture has twice."),
        "filter": Key(Text(), 'Only packets that pass this pcap filter are looked at: "port 1235".'),
        "servers": Key(
            Several(Text()), 'Ends that are servers\' where no SYN tells, as for --server: "10.0.0.1:1235", "1235".'
        ),
    }
)

SELECTORS = {
    "server": Key(_end("server"), "Only connections to this server."),
    "client": Key(_end("client"), "Only connections of this client."),
    "protocol": Key(Word(("tcp", "udp"), text("protocol")), "Only connections of this protocol."),
    "nth": Key(
        Either((Whole(least=1), Word((EVERY,), text("place")))),
        'Which of the connections that are selected: 2 is the second; "every" is each that no table before took. '
        "Without this key it is the first that no table before took.",
    ),
}
"""Keys that choose the connections that a table speaks of."""

JUDGED = {
    "lifecycle": Key(
        Word(LIFECYCLES, text("lifecycle")), "The phases that have packets, in order: \"handshake data teardown\"."
    ),
    "opened_once": Key(Flag(), "True: one SYN, one SYN-ACK, an ACK; none of them was sent again."),
    "closed_by": Key(
        Word(CLOSERS, text("side")), "Whose FIN came first; both: they crossed; nobody: there was none."
    ),
    "cause": Key(Word(CAUSES, text("cause")), "Why it ended, or has not (docs/causes.md)."),
    "verdict": Key(Word(VERDICTS, text("verdict")), "How it went, as Zeek's conn_state."),
    "no": Key(
        Several(Word(EVENTS, text("event"))), "Events that no packet has; \"reset\" is a RST."
    ),
    "events": Key(
        Table({word: Key(LIMIT, f"How many packets have {word}.") for word in EVENTS}),
        "How many packets have an event: { duplicate_ack = \"<= 3\" }.",
    ),
    "states": Key(
        _sides(WAY, "The client's way.", "The server's way."),
        "The ways through RFC 9293's states, from the first to the last; … or ... stands for any: "
        "\"… FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT\".",
    ),
    "said": Key(_sides(_SAID, "What the client says.", "What the server says."), "What the sides say."),
    "bytes": Key(
        _sides(LIMIT, "Bytes of the client.", "Bytes of the server."), "How many bytes the sides say, each once."
    ),
    "packets": Key(
        Either((*_LIMIT, _sides(LIMIT, "Packets of the client.", "Packets of the server."))),
        "How many packets: of both sides together, or of each.",
    ),
    "max_handshake_rtt": Key(TIME, "How long the handshake may take: \"5 ms\"."),
    "max_duration": Key(TIME, "How long it may last: \"1.5 s\"."),
    "max_idle": Key(TIME, "How long a pause between two packets may be: \"200 ms\"."),
}  # fmt: skip
"""Keys that say what a connection should be."""

CONNECTION = Table({"name": Key(Text(), "A name for people."), **SELECTORS, **JUDGED})

EXPECTATIONS = Table(
    {
        "$schema": Key(Text(), "Where this schema is, for editors."),
        "capture": Key(CAPTURE, "What the capture should be, and how to read it."),
        "connection": Key(
            Several(CONNECTION), "What connections should be: a table each, in the order of their first packets."
        ),
    }
)


def json_schema() -> dict[str, Any]:
    """The description as JSON Schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tcpflow-view: what the connections of a capture should be",
        "description": "What tcpflow-view check judges a capture by; capture.pcap has its own in capture.expect.toml.",
        **EXPECTATIONS.schema(),
    }


def schema_text() -> str:
    """The same as it is shipped."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
