"""Which connection a segment belongs to when ports are used again, and who is the client."""

from __future__ import annotations

import ipaddress

import numpy as np
import pytest

from analyzer.tables import KNOWN_SERVER, Evidence, Protocol, Rows, Side
from analyzer.tcp.connections import side_of
from analyzer.tcp.reconstruct import Reconstruction
from tests.script import HOSTS, Hosts, Segment, check, columns, frames, packets, parse, play

OPEN = """
C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
"""

CASES = {
    "a SYN come again is the same connection": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        +1 C > S  S 100              | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        +1 S > C  SA 300 ack 101     | handshake ESTABLISHED SYN-RECEIVED
        C > S  S 100                 | handshake ESTABLISHED SYN-RECEIVED
    """,
    "a SYN with another number is another connection": OPEN + """
        C > S  S 900                 | #2 handshake SYN-SENT SYN-RECEIVED
        S > C  SA 700 ack 901        | #2 handshake ESTABLISHED SYN-RECEIVED
    """,
    "a SYN that was refused comes again for the same connect()": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  RA 0 ack 101          | teardown CLOSED CLOSED
        +0.5 C > S  S 100            | handshake SYN-SENT SYN-RECEIVED
        S > C  RA 0 ack 101          | teardown CLOSED CLOSED
        +0.5 C > S  S 100            | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
        C > S  PA 101:106 ack 301    | data ESTABLISHED ESTABLISHED
    """,
    "after a RST that was not acceptable it is the same too": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  RA 0 ack 700          | teardown SYN-SENT CLOSED
        +1 C > S  S 100              | handshake SYN-SENT SYN-RECEIVED
    """,
    "and after the client's RST to a half-open connection that was not captured": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  A 9000000 ack 8000000 | data SYN-SENT SYN-RECEIVED
        C > S  R 8000000             | teardown SYN-SENT LISTEN
        +1 C > S  S 100              | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
    """,
    "a stray SYN,ACK was refused, then its sender's SYN comes with the same number": """
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  R 101                 | teardown CLOSED LISTEN
        S > C  S 300                 | handshake SYN-SENT SYN-RECEIVED
        C > S  SA 101 ack 301        | handshake ESTABLISHED SYN-RECEIVED
        S > C  A 301 ack 102         | handshake ESTABLISHED ESTABLISHED
    """,
    "a FIN with it, or one before it, is no such SYN": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  RA 0 ack 101          | teardown CLOSED CLOSED
        C > S  SF 100                | teardown SYN-SENT CLOSED
        C > S  S 100                 | #2 handshake SYN-SENT SYN-RECEIVED
    """,
    "after a RST one with the same number is another, when the first was answered": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  R 101                 | teardown CLOSED LISTEN
        C > S  S 100                 | #2 handshake SYN-SENT SYN-RECEIVED
    """,
    "after a FIN so is one with the same number": OPEN + """
        C > S  FA 101 ack 301        | teardown FIN-WAIT-1 CLOSE-WAIT
        C > S  S 100                 | #2 handshake SYN-SENT SYN-RECEIVED
    """,
    "the server's SYN after the end is a connection of its own": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  RA 0 ack 101          | teardown CLOSED CLOSED
        S > C  S 700                 | #2 handshake SYN-SENT SYN-RECEIVED
    """,
    "the server's SYN in reply to one is a simultaneous open": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  S 300                 | handshake SYN-RECEIVED SYN-RECEIVED
    """,
    "a SYN that fits what was seen was only late": """
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  S 100                 | handshake ESTABLISHED SYN-RECEIVED
        C > S  A 101 ack 301         | handshake ESTABLISHED ESTABLISHED
    """,
    "a SYN that does not fit is another connection": """
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        C > S  S 500                 | #2 handshake SYN-SENT SYN-RECEIVED
    """,
    "a SYN after its own payload was only late": """
        C > S  PA 101:106 ack 301    | data ESTABLISHED ESTABLISHED
        C > S  S 100                 | handshake ESTABLISHED ESTABLISHED
    """,
    "a SYN,ACK with another number, when nothing was seen of the client": """
        S > C  SA 300 ack 101        | handshake ESTABLISHED SYN-RECEIVED
        S > C  SA 700 ack 501        | #2 handshake ESTABLISHED SYN-RECEIVED
    """,
    "a SYN,ACK with another number, after the end": OPEN + """
        C > S  R 101                 | teardown CLOSED CLOSED
        S > C  SA 700 ack 501        | #2 handshake ESTABLISHED SYN-RECEIVED
    """,
    "no SYN,ACK that answers the client's SYN again": OPEN + """
        C > S  R 101                 | teardown CLOSED CLOSED
        S > C  SA 700 ack 101        | handshake CLOSED CLOSED
    """,
    "a SYN,ACK that answers the client's SYN for the first time": """
        C > S  S 100                 | handshake SYN-SENT SYN-RECEIVED
        S > C  SA 300 ack 91         | handshake SYN-SENT SYN-RECEIVED
        C > S  R 91                  | teardown SYN-SENT LISTEN
        S > C  SA 700 ack 101        | #2 handshake ESTABLISHED SYN-RECEIVED
    """,
    "no SYN that says FIN or RST too": OPEN + """
        C > S  SR 900                | teardown ESTABLISHED ESTABLISHED
        C > S  SF 900                | teardown ESTABLISHED ESTABLISHED
    """,
    "until the SYN is answered, what does not fit it is the former's (RFC 9293 figure 9)": OPEN + """
        C > S  S 900                 | #2 handshake SYN-SENT SYN-RECEIVED
        S > C  PA 301:306 ack 101    | data ESTABLISHED ESTABLISHED
        C > S  R 101                 | teardown CLOSED CLOSED
        +1 C > S  S 900              | #2 handshake SYN-SENT SYN-RECEIVED
        S > C  SA 700 ack 901        | #2 handshake ESTABLISHED SYN-RECEIVED
        C > S  A 901 ack 701         | #2 handshake ESTABLISHED ESTABLISHED
        S > C  PA 301:306 ack 101    | #2 data ESTABLISHED ESTABLISHED
    """,
}  # fmt: skip


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_case(text: str) -> None:
    check(text, events=False)


def test_a_new_incarnation_says_so() -> None:
    said = columns(play("C > S S 100\nS > C SA 300 ack 101\nC > S S 900\nS > C SA 700 ack 901").labels)
    assert ["reused_ports" in words for words in said] == [False, False, True, False]


@pytest.mark.parametrize(
    ("text", "client", "evidence"),
    [
        ("S > C  S 1", "S", Evidence.SYN),
        ("S > C  SA 1 ack 7", "C", Evidence.SYN_ACK),
        ("C > S  SA 1 ack 7", "S", Evidence.SYN_ACK),
        ("C > S  PA 1:5 ack 7", "C", Evidence.PORTS),
        ("S > C  A 1 ack 7", "C", Evidence.PORTS),
        ("M > E  A 1 ack 7", "E", Evidence.EPHEMERAL_PORT),
        ("E > M  A 1 ack 7", "E", Evidence.EPHEMERAL_PORT),
        ("E > F  A 1 ack 7", "E", Evidence.FIRST_PACKET),
        ("F > E  A 1 ack 7", "F", Evidence.FIRST_PACKET),
        ("S > Z  A 1 ack 7", "S", Evidence.FIRST_PACKET),
        ("S > C  UDP 4", "C", Evidence.PORTS),
        ("F > E  UDP 4", "F", Evidence.FIRST_PACKET),
    ],
)
def test_who_is_the_client(text: str, client: str, evidence: Evidence) -> None:
    hosts: Hosts = {
        "C": ("10.0.0.1", 40000), "S": ("10.0.0.2", 80), "M": ("10.0.0.3", 8080), "E": ("10.0.0.4", 32768),
        "F": ("10.0.0.5", 65535), "Z": ("10.0.0.6", 1023),
    }  # fmt: skip
    row = play(text, hosts).reconstruction.connections[0]
    address, port = hosts[client]
    assert (int(row["client_port"]), int(row["address"][3]) & 0xFF) == (port, int(address.split(".")[3]))
    assert Evidence(int(row["client_evidence"])) == evidence


def server(address: str, port: int, prefix: int = 128, evidence: Evidence = Evidence.LISTENER) -> Rows:
    """A KNOWN_SERVER row."""
    row: Rows = np.zeros(1, KNOWN_SERVER)
    octets = ipaddress.ip_address(address)
    row["ip_version"], row["port"], row["evidence"] = octets.version, port, evidence
    row["protocol"] = Protocol.TCP if evidence == Evidence.LISTENER else 0
    mask = (2**128 - 1) >> (128 - prefix) << (128 - prefix)
    for name, value in (("address", int(octets) & mask), ("mask", mask)):
        row[name] = [value >> shift & 0xFFFFFFFF for shift in (96, 64, 32, 0)]
    return row


ANY_40000 = server("0.0.0.0", 40000, 0, Evidence.FILTER)
ANY_40000["ip_version"] = 0


@pytest.mark.parametrize(
    ("text", "servers", "client", "evidence"),
    [
        ("S > C  A 1 ack 7", [server("10.0.0.1", 40000)], "S", Evidence.LISTENER),
        ("C > S  A 1 ack 7", [server("10.0.0.1", 40000)], "S", Evidence.LISTENER),
        ("C > S  A 1 ack 7", [server("10.0.0.7", 9), server("10.0.0.200", 40000, 120)], "S", Evidence.LISTENER),
        ("C > S  A 1 ack 7", [server("10.0.1.1", 40000, 120)], "C", Evidence.PORTS),
        ("C > S  A 1 ack 7", [server("10.0.0.1", 40001)], "C", Evidence.PORTS),
        ("C > S  A 1 ack 7", [server("::a00:1", 40000)], "C", Evidence.PORTS),
        ("C > S  A 1 ack 7", [server("10.0.0.1", 40000), server("10.0.0.2", 80)], "C", Evidence.PORTS),
        ("C > S  SA 1 ack 7", [server("10.0.0.2", 80)], "S", Evidence.SYN_ACK),
        ("S > C  S 1", [server("10.0.0.2", 80)], "S", Evidence.SYN),
        ("S > C  UDP 4", [server("10.0.0.1", 40000)], "C", Evidence.PORTS),
        ("S > C  UDP 4", [server("10.0.0.1", 40000, 128, Evidence.NAMED)], "S", Evidence.NAMED),
        ("S > C  A 1 ack 7", [server("::", 0, 0, Evidence.FILTER), server("10.0.0.1", 40000)], "S", Evidence.LISTENER),
        ("S > C  A 1 ack 7", [ANY_40000, server("10.0.0.2", 80, 128, Evidence.NAMED)], "C", Evidence.NAMED),
        ("S > C  A 1 ack 7", [ANY_40000], "S", Evidence.FILTER),
        ("C > S  A 1 ack 7", [server("10.0.0.1", 40000, 128, Evidence.NAMED), ANY_40000], "S", Evidence.NAMED),
        ("C > S  A 1 ack 7", [ANY_40000, server("10.0.0.1", 40000, 128, Evidence.NAMED)], "S", Evidence.NAMED),
        ("D > E  A 1 ack 7", [server("2001:db8::", 7, 64)], "D", Evidence.LISTENER),
    ],
)
def test_a_known_server(text: str, servers: list[Rows], client: str, evidence: Evidence) -> None:
    hosts: Hosts = {
        "C": ("10.0.0.1", 40000), "S": ("10.0.0.2", 80), "D": ("2001:db8::1", 80), "E": ("2001:db8::2", 7),
    }  # fmt: skip
    segments, reconstruction = parse(text), Reconstruction()
    reconstruction.feed(frames(segments, hosts), packets(segments, hosts), np.concatenate(servers))
    row = reconstruction.connections[0]
    assert (int(row["client_port"]), Evidence(int(row["client_evidence"]))) == (hosts[client][1], evidence)


def test_addresses_that_share_both_ports_are_told_apart() -> None:
    """Tuples that differ in one word of an address, whichever it is, and in the direction of their ports."""
    hosts: Hosts = {"S": ("2001:db8::1", 80), "T": ("2001:db8::1", 40000)}
    clients = [f"2001:db8:{a}:{b}:{c}::{d}" for a in (1, 2) for b in (1, 2) for c in (1, 2) for d in (1, 2)]
    hosts |= {f"C{i}": (address, 40000) for i, address in enumerate(clients)}
    hosts |= {f"D{i}": (address, 80) for i, address in enumerate(clients)}
    segments = [Segment(i, f"C{i}", "S", 2) for i in range(len(clients))]
    segments += [Segment(i, f"D{i}", "T", 2) for i in range(len(clients))]
    segments += [Segment(i, "S", f"C{i}", 18, 5, 1) for i in range(len(clients))]
    made = play(segments, hosts)
    assert made.labels.connection.tolist() == [*range(1, 33), *range(1, 17)]


def test_side_of() -> None:
    """A row is asked in earnest only by packets whose hash is that of its 4-tuple; it tells all others off too."""
    connection = play("C > S S 1").reconstruction.connections[0]
    elsewhere: Hosts = {"C": ("10.0.0.9", 40000), "S": HOSTS["S"]}
    for hosts, text, side in (
        (HOSTS, "C > S A 2 ack 1", Side.CLIENT),
        (HOSTS, "S > C A 2 ack 1", Side.SERVER),
        (HOSTS, "C > S UDP 1", -1),
        (HOSTS, "S > C UDP 1", -1),
        (elsewhere, "C > S A 2 ack 1", -1),
        (elsewhere, "S > C A 2 ack 1", -1),
        ({"C": HOSTS["C"], "S": ("10.0.0.9", 80)}, "C > S A 2 ack 1", -1),
        ({"C": HOSTS["C"], "S": ("10.0.0.9", 80)}, "S > C A 2 ack 1", -1),
        ({"C": HOSTS["C"], "S": (HOSTS["S"][0], 81)}, "C > S A 2 ack 1", -1),
        ({"C": (HOSTS["C"][0], 40001), "S": HOSTS["S"]}, "S > C A 2 ack 1", -1),
    ):
        row = packets(parse(text), hosts)
        assert row.protocol[0] == (Protocol.UDP if "UDP" in text else Protocol.TCP)
        assert side_of(connection, row, 0, int(row.protocol[0])) == side, (hosts, text)
