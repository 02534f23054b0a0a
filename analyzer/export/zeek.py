"""Zeek's ``conn.log``: a line for each TCP connection and UDP conversation, in Zeek's fields and with Zeek's meanings.

What Zeek knows and these rows do not is unset (``-``): ``service``, ``local_orig`` and ``local_resp`` (Zeek is told
which networks are local), ``orig_ip_bytes`` and ``resp_ip_bytes`` (IP headers are not counted), ``tunnel_parents``.

Deviates: Zeek writes a connection when it is over, here they stand in the order of their first packets; there is no
line for ICMP; the times of ``#open`` and ``#close`` are the capture's, so that the same capture gives the same log.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from analyzer.export.address_text import address_texts
from analyzer.export.columns import NULL, Column, Integers, Micros, Table, Texts, Words, where
from analyzer.export.connections import PROTOCOL_WORDS, VERDICT_WORDS, write_verdicts
from analyzer.export.json_text import json_word
from analyzer.export.row_text import Notation
from analyzer.jit import fastest
from analyzer.mixing import mixed
from analyzer.tables import HISTORY_LEN, I64, KNOWS_SND, SENT_FIN, Protocol, Rows, Side
from analyzer.tcp.summary import Verdict

BASE_62 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)
UID_LEN = 18
"""``C`` and 17 digits to the base 62, of 64 and 32 bits: 11 and 6 of them."""


class ZeekField(NamedTuple):
    """A field of the log."""

    name: str
    type: str


FIELDS = (
    ZeekField("ts", "time"),
    ZeekField("uid", "string"),
    ZeekField("id.orig_h", "addr"),
    ZeekField("id.orig_p", "port"),
    ZeekField("id.resp_h", "addr"),
    ZeekField("id.resp_p", "port"),
    ZeekField("proto", "enum"),
    ZeekField("service", "string"),
    ZeekField("duration", "interval"),
    ZeekField("orig_bytes", "count"),
    ZeekField("resp_bytes", "count"),
    ZeekField("conn_state", "string"),
    ZeekField("local_orig", "bool"),
    ZeekField("local_resp", "bool"),
    ZeekField("missed_bytes", "count"),
    ZeekField("history", "string"),
    ZeekField("orig_pkts", "count"),
    ZeekField("orig_ip_bytes", "count"),
    ZeekField("resp_pkts", "count"),
    ZeekField("resp_ip_bytes", "count"),
    ZeekField("tunnel_parents", "set[string]"),
    ZeekField("ip_proto", "count"),
)
"""As Zeek 8 has them, in its order; readers go by the names."""


def zeek_table(connections: Rows, endpoints: Rows) -> Table:
    """Columns of the log.

    Args: ``connections`` CONNECTION[n], ``endpoints`` ENDPOINT[n, Side].
    """
    n = len(connections)
    orig, resp = endpoints[:, Side.CLIENT], endpoints[:, Side.SERVER]
    duration = connections_last_us(connections, endpoints) - connections["first_ns"] // 1000
    lasted = duration > 0
    sizes = {side: size_of(connections, endpoints[:, side]) for side in Side}
    beyond = {side: np.maximum(sizes[side] - endpoints["unique_bytes"][:, side], 0) for side in Side}
    missed = {side: np.where(endpoints["history_gaps"][:, side] > 0, beyond[side], 0) for side in Side}
    history_len = connections["history_len"].astype(np.int64)
    columns: dict[str, Column] = {
        "ts": Micros(connections["first_ns"] // 1000),
        "uid": uids(connections),
        "id.orig_h": address_texts(connections, Side.CLIENT),
        "id.orig_p": Integers(connections["client_port"]),
        "id.resp_h": address_texts(connections, Side.SERVER),
        "id.resp_p": Integers(connections["server_port"]),
        "proto": Words(connections["protocol"], PROTOCOL_WORDS),
        "duration": Micros(where(lasted, duration)),
        "orig_bytes": Integers(where(lasted, sizes[Side.CLIENT])),
        "resp_bytes": Integers(where(lasted, sizes[Side.SERVER])),
        "conn_state": Words(conn_states(connections, endpoints), VERDICT_WORDS),
        "missed_bytes": Integers(missed[Side.CLIENT] + missed[Side.SERVER]),
        "history": Texts(
            np.ascontiguousarray(connections["history"]).reshape(-1),
            where(history_len > 0, np.arange(n) * HISTORY_LEN),
            history_len,
        ),
        "orig_pkts": Integers(orig["packets"]),
        "resp_pkts": Integers(resp["packets"]),
        "ip_proto": Integers(np.where(connections["protocol"] == Protocol.TCP, 6, 17)),
    }
    unset = Integers(np.full(n, NULL))
    return {field.name: columns.get(field.name, unset) for field in FIELDS}


def connections_last_us(connections: Rows, endpoints: Rows) -> I64:
    """When each connection ended by Zeek's count, in microseconds.

    Once both sides have closed, what follows does not count: not the last ACK, so that rates come out right. The second
    FIN is what its receiver entered TIME-WAIT by; where the FINs crossed, it is the ACK of one of them.
    """
    closed_ns = endpoints["closed_ns"]
    first_closed_ns = np.where(closed_ns > 0, closed_ns, np.iinfo(np.int64).max).min(axis=1)
    last_us: I64 = np.minimum(first_closed_ns, connections["last_ns"]) // 1000
    return last_us


def size_of(connections: Rows, ends: Rows) -> I64:
    """Octets of payload that each of these ENDPOINT rows sent: of TCP by sequence numbers, as Zeek has it.

    What was acknowledged and not captured counts, but nothing of a side that was never heard. Numbers start again after
    4 GB: of a longer transfer as many turns count as what was captured tells.
    """
    snd_nxt, snd_una, iss = (ends[name].astype(np.int64) for name in ("snd_nxt", "snd_una", "iss"))
    acked_beyond = (snd_una - snd_nxt & 0xFFFFFFFF) < 1 << 31
    span = np.where(acked_beyond, snd_una, snd_nxt) - iss & 0xFFFFFFFF
    controls = 1 + (ends["known"] & SENT_FIN != 0)
    was_heard = (ends["packets"] > 0) & (ends["known"] & KNOWS_SND != 0)
    size = np.where(was_heard, np.maximum(span - controls, 0), 0)
    captured = ends["unique_bytes"]
    turns = np.where(captured > size, (captured - size + (1 << 31)) >> 32, 0)
    return np.where(connections["protocol"] == Protocol.TCP, size + (turns << 32), captured)


def conn_states(connections: Rows, endpoints: Rows) -> I64:
    """Zeek's ``conn_state`` as Verdict; of UDP by who sent anything."""
    verdicts = np.empty(len(connections), np.uint8)
    fastest(write_verdicts)(connections, endpoints, verdicts)
    orig, resp = endpoints["packets"][:, Side.CLIENT] > 0, endpoints["packets"][:, Side.SERVER] > 0
    of_udp = np.where(orig, np.where(resp, Verdict.SF, Verdict.S0), np.where(resp, Verdict.SHR, Verdict.OTH))
    return np.where(connections["protocol"] == Protocol.TCP, verdicts, of_udp).astype(np.int64)


def uids(connections: Rows) -> Texts:
    """A name for each connection in Zeek's form, from its ends, its first packet and its time: always the same."""
    n = len(connections)
    words = [connections["address"][:, k] for k in range(8)]
    words += [connections[name] for name in ("client_port", "server_port", "protocol", "first_ns", "first_packet")]
    state = mixed(*words)
    octets = np.empty((n, UID_LEN), np.uint8)
    octets[:, 0] = ord("C")
    rest = mixed(state)
    for k in range(1, UID_LEN):
        if k == 12:
            rest = mixed(state + np.uint64(1))
        rest, digit = np.divmod(rest, np.uint64(62))
        octets[:, k] = BASE_62[digit.astype(np.int64)]
    return Texts(octets.reshape(-1), np.arange(n) * UID_LEN, np.full(n, UID_LEN))


# ---------------------------------------------------------------- notations


def _tsv_befores(names: Sequence[str]) -> list[bytes]:
    return [b"", *[b"\t"] * (len(names) - 1), b"\n"]


def _json_befores(names: Sequence[str]) -> list[bytes]:
    keys = [json.dumps(name).encode() + b":" for name in names]
    return [b"{" + keys[0], *(b"," + key for key in keys[1:]), b"}\n"]


TSV = Notation(_tsv_befores, str.encode, null=b"-", empty=b"(empty)", text_mark="", list_marks="", separator=",")
"""What Zeek writes unless it is told otherwise."""

JSON = Notation(
    _json_befores, json_word, null=b"null", empty=b"", text_mark='"', list_marks="[]", separator=",", omits_null=True
)
"""What Zeek writes with ``LogAscii::use_json=T``: names as they are, unset fields left out."""


def header(first_ns: int) -> bytes:
    """What stands before the lines of TSV."""
    lines = (
        "#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn",
        f"#open\t{zeek_time(first_ns)}", "\t".join(("#fields", *(field.name for field in FIELDS))),
        "\t".join(("#types", *(field.type for field in FIELDS))),
    )  # fmt: skip
    return "".join(f"{line}\n" for line in lines).encode()


def footer(last_ns: int) -> bytes:
    """What stands after them."""
    return f"#close\t{zeek_time(last_ns)}\n".encode()


def zeek_time(ns: int) -> str:
    """Seconds of UTC, as ``#open`` has them."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d-%H-%M-%S")
