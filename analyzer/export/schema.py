"""What stands in the records: each column's name, type, unit and one sentence, of both records.

``connections.py`` and ``packets.py`` make the tables, this module says what they mean; a test holds them against each
other. docs/columns.md is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

SCHEMA = 1
"""Version of the records: the value of their column ``schema``."""

FORMATS = """\
JSON Lines, CSV and Parquet have the same columns in the same order. Below, in CSV and in Parquet a dot joins nested
names: `client_sent.packets` is `packets` inside `client_sent` in JSON. What is not known is null; so is what only TCP
has for everything else. Times are integers, in Parquet too.

| type | JSON Lines | CSV | Parquet |
|---|---|---|---|
| int64 and other integers | number | digits | the same type |
| word: one of a few | string | the word | dictionary of strings |
| words: some of a few | array of strings | one field, a space between words | list of strings |
| text | string | text, quoted where it has a comma | string |
| integers: none or several | array of numbers | one field, a space between numbers | list of int64 |
| not known | `null` | empty field | null |

Lists in CSV are taken apart by pandas' `str.split()`, DuckDB's `string_split(events, ' ')` or a spreadsheet's "text to
columns". An empty text or list is `""` there, to be told from what is not known by those that can. In Parquet each
column's metadata have its `unit` and `description`, the file's have `schema`, `record`, `tool` and `tool_version`.
"""

PROMISE = """\
As long as `schema` is 1, a column keeps its name, its type, its unit and its meaning, and its place among those that
were there before it. A later version of the program may add columns at the end of a record or of a nested group, and
words to those that a column may hold (a new event, a new cause): whoever reads records leaves alone what it does not
know. A column that goes, gets another name, type or unit, or comes to mean something else, makes it 2.
"""

RECORDS = {"connections": "connection", "packets": "packet"}
"""What there are records of, and the value of their column ``record``."""

TIME = "ns since 1970-01-01 UTC"

WORD, WORDS, TEXT, INTEGERS = "word", "words", "text", "integers"
"""Types beside those of NumPy's integers: one of a few words, some of them, any text, none or several numbers."""


class Field(NamedTuple):
    """A column of a record."""

    name: str
    type: str
    """One of NumPy's integers, or WORD, WORDS, TEXT, INTEGERS."""
    unit: str
    """Empty for what has none."""
    about: str
    """One sentence."""


@cache
def fields_of(records: str) -> tuple[Field, ...]:
    """The columns of the records of ``connections`` or ``packets``, in their order."""
    fields = _connection_fields() if records == "connections" else iter(_PACKET)
    return (
        Field("schema", "uint8", "", "Version of the records."),
        Field("record", WORD, "", "What the record is of: connection or packet."),
        *fields,
    )


def _connection_fields() -> Iterator[Field]:
    yield from _CONNECTION
    for phase, told in ("handshake", "handshake"), ("data", "data phase"), ("teardown", "teardown"):
        for name, kind, unit, about in _PHASE:
            yield Field(f"phases.{phase}.{name}", kind, unit, about.format(phase=told))
    for side, peer in ("client", "server"), ("server", "client"):
        for name, kind, unit, about in _SENT:
            yield Field(f"{side}_sent.{name}", kind, unit, about.format(side=side, peer=peer))


_CONNECTION = (
    Field("connection", "int64", "", "Number of the connection, from 1 in the order of the first packets."),
    Field("protocol", WORD, "", "The transport: tcp or udp."),
    Field("client.address", TEXT, "", "Address of the client."),
    Field("client.port", "uint16", "", "Port of the client."),
    Field("server.address", TEXT, "", "Address of the server."),
    Field("server.port", "uint16", "", "Port of the server."),
    Field("client_evidence", WORD, "", "Why this end is taken for the client."),
    Field("first_ns", "int64", TIME, "Time of the first packet."),
    Field("last_ns", "int64", TIME, "Time of the last packet."),
    Field("packets", "int64", "packets", "Packets of both sides, copies that the capture made among them."),
    Field("client_state", WORD, "", "The client's state at the end of the capture (RFC 9293)."),
    Field("server_state", WORD, "", "The server's state at the end of the capture (RFC 9293)."),
    Field("verdict", WORD, "", "Zeek's conn_state."),
    Field("history", TEXT, "", "Zeek's history: a letter for each kind of segment, upper case for the client's."),
    Field("completeness", "int64", "", "Wireshark's bits: 1 SYN, 2 SYN-ACK, 4 ACK, 8 data, 16 FIN, 32 RST."),
    Field("closed_by", WORD, "", "Whose FIN came first: client, server, or both when they crossed."),
    Field("cause", WORD, "", "Why the connection ended, or has not (docs/causes.md)."),
    Field("why", TEXT, "", "The cause and its circumstances in English sentences."),
    Field("evidence", INTEGERS, "", "Numbers of the packets that why names, in its order."),
    Field("handshake_rtt_ns", "int64", "ns", "From the last SYN to the first ACK of the handshake after it."),
)

_PHASE = (
    ("packets", "int64", "packets", "Packets of the {phase}."),
    ("first_ns", "int64", TIME, "Time of the first packet of the {phase}."),
    ("last_ns", "int64", TIME, "Time of the last packet of the {phase}."),
    ("client_bytes", "int64", "bytes", "Payload that the client sent in the {phase}, each byte once."),
    ("client_throughput_bps", "int64", "bit/s", "These bytes by the time that the {phase} took."),
    ("server_bytes", "int64", "bytes", "Payload that the server sent in the {phase}, each byte once."),
    ("server_throughput_bps", "int64", "bit/s", "These bytes by the time that the {phase} took."),
)

_SENT = (
    ("packets", "int64", "packets", "Packets that the {side} sent, copies that the capture made among them."),
    ("payload_bytes", "int64", "bytes", "Payload of these packets, what was sent again counted again."),
    ("unique_bytes", "int64", "bytes", "Payload, each byte once."),
    ("data_packets", "uint32", "packets", "Packets with payload."),
    ("pure_acks", "uint32", "packets", "Packets that do nothing but acknowledge."),
    ("retransmitted_packets", "uint32", "packets", "Packets with sequence numbers that were sent before."),
    ("retransmitted_bytes", "int64", "", "Sequence numbers in them that were sent before."),
    ("out_of_order_packets", "uint32", "packets", "Packets with new bytes that came after later ones."),
    ("duplicate_acks", "uint32", "packets", "Acknowledgements that repeat the one before."),
    ("zero_windows", "uint32", "packets", "Packets that say that the {side} has no room (window 0)."),
    ("zero_window_probes", "uint32", "packets", "Packets that ask whether the {peer} has room again."),
    ("resets", "uint32", "packets", "Packets with RST."),
    ("syns", "uint32", "packets", "Packets with SYN."),
    ("fins", "uint32", "packets", "Packets with FIN."),
    ("sacks", "uint32", "packets", "Packets with selective acknowledgements."),
    ("mss", "int64", "bytes", "The maximum segment size that its SYN announced."),
    ("window_scale", "int64", "", "The shift count for its windows that its SYN offered."),
    ("min_rtt_ns", "int64", "ns", "The shortest round trip: from its segment to the acknowledgement of the {peer}."),
    ("max_rtt_ns", "int64", "ns", "The longest round trip."),
    ("mean_rtt_ns", "int64", "ns", "The mean round trip, rounded down."),
    ("rtt_samples", "uint32", "", "Round trips that were measured."),
    ("stdev_rtt_ns", "int64", "ns", "The standard deviation of the round trips."),
    ("max_idle_ns", "int64", "ns", "The longest time between two of its packets."),
    ("triple_duplicate_acks", "uint32", "", "Acknowledgements that were repeated three times."),
    ("max_in_flight", "int64", "bytes", "The most that was sent and not yet acknowledged."),
    ("mean_in_flight", "int64", "bytes", "The mean of that after each packet with payload, rounded down."),
    ("min_window", "int64", "bytes", "The smallest window that it announced after its SYN, scaled where known."),
    ("max_window", "int64", "bytes", "The largest of these windows."),
    ("mean_window", "int64", "bytes", "The mean of these windows, rounded down."),
    ("throughput_bps", "int64", "bit/s", "Its unique_bytes by the time from the first packet to the last."),
    ("data_throughput_bps", "int64", "bit/s", "Its bytes of the data phase by the time that this phase took."),
    ("capture_duplicates", "uint32", "packets", "Its packets that the capture has twice."),
)

_PACKET = (
    Field("packet", "int64", "", "Number of the packet in the capture, from 1; a filter leaves gaps."),
    Field("ts_ns", "int64", TIME, "Time of capture."),
    Field("caplen", "uint32", "bytes", "Bytes captured, link header included."),
    Field("origlen", "uint32", "bytes", "Bytes that were on the wire, link header included."),
    Field("protocol", WORD, "", "What the packet is, as far down as it could be read."),
    Field("connection", "int64", "", "Number of its connection."),
    Field("sender", WORD, "", "The side that sent it: client or server."),
    Field("phase", WORD, "", "Its place in the connection's life: handshake, data, teardown, or none."),
    Field("client_state", WORD, "", "The client's state after the packet was sent and received (RFC 9293)."),
    Field("server_state", WORD, "", "The server's state after the packet was sent and received (RFC 9293)."),
    Field("flags", WORD, "", "TCP's control bits in tcpdump's letters."),
    Field("seq", "int64", "", "Sequence number relative to the sender's initial one."),
    Field("ack", "int64", "", "Acknowledgement number relative to the receiver's initial sequence number."),
    Field("raw_seq", "int64", "", "Sequence number as sent."),
    Field("raw_ack", "int64", "", "Acknowledgement number as sent, whether or not the ACK bit is set."),
    Field("window", "int64", "", "Window as sent, not scaled."),
    Field("payload_len", "int64", "bytes", "Bytes of payload by the IP header's length."),
    Field("events", WORDS, "", "What is remarkable about the packet, in Wireshark's words and some of ours."),
    Field("refers_to", "int64", "", "Number of the packet that the events speak of."),
    Field("repeat", "int64", "", "How often its acknowledgement has been repeated, this time included."),
    Field("tunnel", WORD, "", "What carries the packet inside another, the innermost."),
    Field("depth", "uint8", "", "Tunnels that the packet is in."),
)
