"""Who is the client, told by the data; and what it means for all that was said before."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from analyzer.decode.packets import decode
from analyzer.tables import (
    CONNECTION,
    HISTORY_LEN,
    KNOWN_SERVER,
    NO_SERVERS,
    ClosedBy,
    Event,
    Evidence,
    Frames,
    Labels,
    Rows,
    Side,
    frames_at,
)
from analyzer.tcp.reconstruct import Reconstruction
from analyzer.tcp.speakers import CLIENTS, LOOKED_AT, SERVERS, SIGNATURE_LEN, signatures, turn_history
from tests.script import Hosts, Segment, batch, frame, parse

HOSTS: Hosts = {"L": ("10.0.0.1", 5000), "H": ("10.0.0.2", 40000), "S": ("10.0.0.3", 80), "I": ("10.0.0.4", 40001)}
"""Low and high; a System Port; and another high one."""

GET = b"GET / HTTP/1.1\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\n\r\n"
CLIENT_HELLO, SERVER_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76"


def captured(text: str, payloads: dict[int, bytes]) -> Frames:
    """A conversation whose packets with these numbers have these payloads (their lengths are the text's)."""
    segments = parse(text)
    octets: list[bytes] = []
    for segment in segments:
        octets.append(frame(segment, HOSTS, octets[segment.quotes - 1][14:] if segment.quotes else b""))
    for number, payload in payloads.items():
        length = segments[number - 1].payload_len
        assert len(payload) <= length
        octets[number - 1] = octets[number - 1][:-length] + payload.ljust(length, b".")
    return batch(octets, [segment.ts_ns for segment in segments])


def fed(frames: Frames, *cuts: int, servers: Rows = NO_SERVERS) -> tuple[Reconstruction, list[Labels]]:
    reconstruction = Reconstruction()
    edges = [0, *cuts, len(frames.start)]
    parts = [frames_at(frames, slice(first, last)) for first, last in pairwise(edges)]
    for part in parts:
        for column in part:
            column.flags.writeable = False
    return reconstruction, [reconstruction.feed(part, decode(part), servers) for part in parts]


def ends(row: Rows) -> tuple[int, int, Evidence]:
    return int(row["client_port"]), int(row["server_port"]), Evidence(int(row["client_evidence"]))


@pytest.mark.parametrize(
    "payload", [GET, CLIENT_HELLO, b"EHLO x\r\n", b"\0\0\0\x08\x04\xd2\x16\x2f", b"\x03\0\0\x13\x0e\xe0"]
)
@pytest.mark.parametrize("sender", "LH")
def test_what_a_client_says(sender: str, payload: bytes) -> None:
    text = "L > H  PA 1:101 ack 7" if sender == "L" else "H > L  PA 1:101 ack 7"
    made, (labels,) = fed(captured(text, {1: payload}))
    client, server = ("L", "H") if sender == "L" else ("H", "L")
    assert ends(made.connections[0]) == (HOSTS[client][1], HOSTS[server][1], Evidence.DATA)
    assert labels.side.tolist() == [Side.CLIENT]
    assert labels.events.tolist() == [0], "nothing came before, and so nothing turns"


@pytest.mark.parametrize("payload", [RESPONSE, SERVER_HELLO, b"220 x", b"* OK x", b"+OK\r\n", b"\x4a\0\0\0\n8.0.1"])
@pytest.mark.parametrize("sender", "LH")
def test_what_a_server_says(sender: str, payload: bytes) -> None:
    text = "L > H  PA 1:101 ack 7" if sender == "L" else "H > L  PA 1:101 ack 7"
    made, (labels,) = fed(captured(text, {1: payload}))
    client, server = ("H", "L") if sender == "L" else ("L", "H")
    assert ends(made.connections[0]) == (HOSTS[client][1], HOSTS[server][1], Evidence.DATA)
    assert labels.side.tolist() == [Side.SERVER]


@pytest.mark.parametrize(
    "payload", [b"GET it", b"SSH-2.0-x", b"*1\r\n$4\r\nPING\r\n", b"\x17\x03\x03\0\x10\x01", b"get / HTTP/1.1", b"PRI"]
)
def test_what_tells_nothing(payload: bytes) -> None:
    made, _ = fed(captured("L > H  PA 1:101 ack 7", {1: payload}))
    assert ends(made.connections[0]) == (40000, 5000, Evidence.EPHEMERAL_PORT)


def test_stronger_evidence_is_not_asked_about() -> None:
    for text, evidence in (
        ("S > H  PA 1:101 ack 7", Evidence.PORTS),
        ("H > L  S 100\nL > H  PA 1:101 ack 101", Evidence.SYN),
        ("L > H  SA 0 ack 101\nL > H  PA 1:101 ack 101", Evidence.SYN_ACK),
    ):
        number = text.count("\n") + 1
        made, _ = fed(captured(text, {number: GET}))
        assert (made.connections[0]["client_port"], made.connections[0]["client_evidence"]) == (40000, evidence)
    named: Rows = np.zeros(1, KNOWN_SERVER)
    named["evidence"], named["port"] = Evidence.NAMED, 5000
    made, _ = fed(captured("L > H  PA 1:101 ack 7", {1: GET}), servers=named)
    assert ends(made.connections[0]) == (40000, 5000, Evidence.NAMED)


LIFE = """
    L > H  A 1:1001 ack 7                 # the middle of something: the high port is thought to be the client's
    H > L  A 7 ack 1001
    L > H  A 1001:2001 ack 7 win 500
    H > L  A 7 ack 2001
    L > H  PA 2001:2101 ack 7             # GET: it is the low one's
    H > L  PA 7:207 ack 2101
    L > H  FA 2101 ack 207
    H > L  FA 207 ack 2102
    L > H  A 2102 ack 208
"""


def test_a_connection_turns_round() -> None:
    made, (labels,) = fed(captured(LIFE, {5: GET}))
    row, (client, server) = made.connections[0], made.endpoints[0]
    assert ends(row) == (5000, 40000, Evidence.DATA)
    assert [int(row["address"][k]) & 0xFF for k in (3, 7)] == [1, 2]
    assert labels.side.tolist() == [1, 0, 1, 0, 0, 1, 0, 1, 0]
    assert np.flatnonzero(labels.events >> Event.TURNED_ROUND & 1).tolist() == [4]
    assert labels.connection.tolist() == [1] * 9
    assert (client["payload_bytes"], server["payload_bytes"]) == (2100, 200)
    assert (client["fin_packet"], server["fin_packet"], row["closed_by"]) == (7, 8, ClosedBy.CLIENT)
    assert bytes(row["history"][: row["history_len"]]).decode() == "DadFfA"
    known: Rows = np.zeros(1, KNOWN_SERVER)
    known["evidence"], known["port"] = Evidence.NAMED, 40000
    other, _ = fed(captured(LIFE, {5: GET}), servers=known)
    assert made.endpoints[0].tobytes() == other.endpoints[0].tobytes(), "as if it had been known from the start"
    for name in CONNECTION.names or ():
        if name != "client_evidence":
            assert made.connections[0][name].tolist() == other.connections[0][name].tolist(), name


def test_what_an_icmp_error_quoted_turns_too() -> None:
    text = """
        H > L  A 7 ack 1
        L > H  A 1:1001 ack 7
        H > L  ICMP 3 1 2
        L > H  PA 1001:1101 ack 7
    """
    for said, client, sender in ((RESPONSE, 40000, Side.SERVER), (GET, 5000, Side.CLIENT)):
        made, _ = fed(captured(text, {4: said}))
        row = made.connections[0]
        assert (row["client_port"], row["client_evidence"]) == (client, Evidence.DATA)
        assert (row["unreachable_packet"] > 0, row["unreachable_side"]) == (True, sender), "who sent what is quoted"


def test_any_split_gives_the_same() -> None:
    whole, (labels,) = fed(captured(LIFE, {5: GET}))
    for cut in range(1, 9):
        made, parts = fed(captured(LIFE, {5: GET}), cut)
        assert made.connections[0].tobytes() == whole.connections[0].tobytes()
        assert made.endpoints[0].tobytes() == whole.endpoints[0].tobytes()
        for k in range(len(labels)):
            assert np.concatenate([part[k] for part in parts]).tolist() == labels[k].tolist()


def test_it_turns_once() -> None:
    text = "L > H  PA 1:101 ack 7\nH > L  PA 7:107 ack 101\nL > H  PA 101:201 ack 107"
    made, (labels,) = fed(captured(text, {1: GET, 2: GET, 3: RESPONSE}))
    assert ends(made.connections[0]) == (5000, 40000, Evidence.DATA)
    assert labels.side.tolist() == [0, 1, 0]


def test_only_the_first_packets_are_looked_at() -> None:
    acks = "H > L  A 7 ack 1\n"
    for before, evidence in ((LOOKED_AT - 1, Evidence.DATA), (LOOKED_AT, Evidence.EPHEMERAL_PORT)):
        made, _ = fed(captured(acks * before + "L > H  PA 1:101 ack 7", {before + 1: GET}))
        assert made.connections[0]["client_evidence"] == evidence


def test_what_was_not_captured_is_not_read() -> None:
    whole = captured("L > H  PA 1:101 ack 7", {1: GET})
    for kept, evidence in ((54 + 5, Evidence.DATA), (54 + 4, Evidence.EPHEMERAL_PORT)):
        cut = whole._replace(caplen=np.array([kept], np.uint32))
        made, _ = fed(cut)
        assert made.connections[0]["client_evidence"] == evidence


def test_late_data_and_a_close_of_the_other_side_turn_too() -> None:
    text = """
        H > L  FA 7 ack 1
        L > H  A 1:101 ack 8
        L > H  PA 101:201 ack 8
    """
    made, _ = fed(captured(text, {3: GET}))
    row = made.connections[0]
    assert (row["closed_by"], row["late_data"]) == (ClosedBy.SERVER, 1 << Side.CLIENT)


@pytest.mark.parametrize(
    ("before", "after"),
    [("Aa", "^aA"), ("^aAd", "AaD"), ("", "^"), ("D" * HISTORY_LEN, "^" + "d" * (HISTORY_LEN - 1)), ("^", "")],
)
def test_a_history_turns(before: str, after: str) -> None:
    connection: Rows = np.zeros(1, CONNECTION)
    connection["history"][0, : len(before)] = list(before.encode())
    connection["history_len"] = len(before)
    turn_history(connection[0])
    assert bytes(connection["history"][0, : int(connection["history_len"][0])]).decode() == after
    assert not connection["history"][0, len(after) :].any()


def test_signatures_are_as_long_as_they_look() -> None:
    texts = [text for table in (CLIENTS, SERVERS) for some in table.values() for text in some]
    rows = signatures().rows
    assert rows["length"].tolist() == [len(text) for text in texts]
    assert min(rows["length"]) >= 4
    assert max(rows["length"]) <= SIGNATURE_LEN
    assert not (rows["octets"] & ~rows["mask"]).any()
    assert len({row.tobytes() for row in rows}) == len(rows)


def test_datagrams_are_not_read() -> None:
    segments = [Segment(1, "L", "H", -1, payload_len=100)]
    octets = frame(segments[0], HOSTS)
    made, _ = fed(batch([octets[:-100] + GET.ljust(100)], [1]))
    assert made.connections[0]["client_evidence"] == Evidence.EPHEMERAL_PORT
