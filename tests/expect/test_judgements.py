"""Each judgement: met, and not met with what is said and the packet that is named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analyzer.api.analysis import analyze
from analyzer.api.connection import Connection
from analyzer.errors import UsageError
from analyzer.expect import judgements as j
from analyzer.expect.judgements import Fault
from analyzer.expect.vocabulary import EVENTS
from tests import script

MADE = Path(__file__).parents[2] / "captures" / "made"


def connection(name: str, number: int = 1) -> Connection:
    return analyze(MADE / name).connections[number - 1]


@pytest.fixture(scope="module")
def echo() -> Connection:
    return connection("loopback-echo-1235.pcap")


def played(text: str) -> Connection:
    """The connection of a script."""
    from tests.capture.written import Packet, pcap

    frames = script.frames(script.parse(text))
    octets = frames.data.tobytes()
    packets = []
    for start, caplen, ts_ns in zip(frames.start.tolist(), frames.caplen.tolist(), frames.ts_ns.tolist(), strict=True):
        packets.append(Packet(octets[start : start + caplen], ts_ns // 10**9, ts_ns % 10**9))
    return analyze(pcap(packets, magic=0xA1B23C4D)).connections[0]


OPENING = """
    C > S  S 100
    S > C  SA 300 ack 101
    C > S  A 101 ack 301
"""

MET: list[tuple[Callable[..., Fault | None], tuple[Any, ...], dict[str, Any]]] = [
    (j.lifecycle, ("handshake data teardown",), {}),
    (j.closed_by, ("server",), {}),
    (j.cause, ("closed_by_server",), {}),
    (j.verdict, ("SF",), {}),
    (j.no, EVENTS, {}),
    (j.events, ("reset", 0), {}),
    (j.events, ("duplicate_ack", "<= 3"), {}),
    (j.packets, (10,), {}),
    (j.packets, (5, "server"), {}),
    (j.octets, ("client", "<= 5"), {}),
    (j.max_handshake_rtt, ("43 us",), {}),
    (j.max_duration, ("6753 us",), {}),
    (j.max_idle, ("1 s",), {}),
    (j.states, (), {"client": "… CLOSED", "server": "... FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT"}),
    (j.said, (), {"client": "clien", "server": b"hi"}),
    (j.said, (), {"client": 5, "server": re.compile("h.")}),
    (j.said, (), {"client": re.compile(b"cl.*", re.DOTALL)}),
    (j.digest, ("server", hashlib.sha256(b"hi").hexdigest().upper()), {}),
    (j.opened_once, (), {}),
]


@pytest.mark.parametrize(("judgement", "given", "named"), MET)
def test_what_is_met(echo: Connection, judgement: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    assert judgement(echo, *given, **named) is None


NOT_MET: list[tuple[Callable[[Connection], Fault | None], str, int]] = [
    (lambda c: j.lifecycle(c, "handshake teardown"),
     "The lifecycle should be handshake teardown; it is handshake data teardown.", 4),
    (lambda c: j.lifecycle(c, ""), "The lifecycle should be empty; it is handshake data teardown.", 1),
    (lambda c: j.closed_by(c, "client"), "The client should have closed first; the server did (FIN in packet 7).", 7),
    (lambda c: j.closed_by(c, None), "Nobody should have closed; the server did (FIN in packet 7).", 7),
    (lambda c: j.cause(c, "refused"), "The cause should be refused; it is closed_by_server.", 7),
    (lambda c: j.verdict(c, "S0"), "The verdict should be S0; it is SF.", 7),
    (lambda c: j.events(c, "reset", ">= 1"), "reset: there should be at least 1; there are 0.", 0),
    (lambda c: j.packets(c, "<= 6"), "packets: there should be at most 6; there are 10.", 7),
    (lambda c: j.packets(c, 12), "packets: there should be 12; there are 10.", 10),
    (lambda c: j.packets(c, 2, "server"), "packets of the server: there should be 2; there are 5.", 6),
    (lambda c: j.octets(c, "client", "< 4"), "The client should say at most 3 bytes; it says 5.", 4),
    (lambda c: j.octets(c, "server", 4), "The server should say 4 bytes; it says 2.", 6),
    (lambda c: j.max_handshake_rtt(c, "42 us"), "The handshake should take 42 us at most; it took 43 µs.", 3),
    (lambda c: j.max_duration(c, "6.7 ms"), "The connection should last 6.7 ms at most; it lasted 6.8 ms.", 9),
    (lambda c: j.max_duration(c, "6.752 ms"), "The connection should last 6.752 ms at most; it lasted 6,753,000 ns.",
     10),
    (lambda c: j.max_idle(c, "1 ms"), "No pause should be longer than 1 ms; before packet 8 one is 5.9 ms.", 8),
    (lambda c: j.states(c, client="… FIN-WAIT-1 …"),
     "The client should go … FIN-WAIT-1 …; it goes CLOSED SYN-SENT ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED: packet 7 "
     "leads to CLOSE-WAIT, not to FIN-WAIT-1.", 7),
    (lambda c: j.states(c, server="… FIN-WAIT-1"),
     "The server should go … FIN-WAIT-1; it goes LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT: "
     "packet 9 leads on to FIN-WAIT-2.", 9),
    (lambda c: j.states(c, server="… TIME-WAIT CLOSED"),
     "The server should go … TIME-WAIT CLOSED; it goes LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 "
     "TIME-WAIT: CLOSED is missing.", 10),
    (lambda c: j.states(c, server="CLOSED …"),
     "The server should go CLOSED …; it goes LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT: it "
     "begins in LISTEN, not in CLOSED.", 0),
    (lambda c: j.said(c, client="client"), 'The client should say "client"; it says "clien".', 4),
    (lambda c: j.said(c, server=b"h\x00"), 'The server should say "h\\x00"; it says "hi".', 6),
    (lambda c: j.said(c, server=""), 'The server should say nothing; it says "hi".', 6),
    (lambda c: j.said(c, server=re.compile("h")), 'What the server says should match h; it says "hi".', 6),
    (lambda c: j.said(c, client=7), "The client should say 7 bytes; it says 5.", 4),
    (lambda c: j.digest(c, "client", "00"),
     "What the client says should have the SHA-256 00; it has "
     f"{hashlib.sha256(b'clien').hexdigest()}.", 4),
]  # fmt: skip


@pytest.mark.parametrize(("judgement", "told", "packet"), NOT_MET)
def test_what_is_not(echo: Connection, judgement: Any, told: str, packet: int) -> None:
    assert judgement(echo) == Fault(told, packet)


def test_events_are_named_with_their_first_packet() -> None:
    repeated = connection("syn-unanswered.pcap")
    first = next(event for event in repeated.events if event.event == "retransmission").packet
    fault = j.no(repeated, "reset", "retransmission")
    assert fault
    assert fault.packet == first
    assert fault.text.endswith(f"the first in packet {first}.")
    assert j.events(repeated, "retransmission", ">= 1") is None
    too_many = j.events(repeated, "retransmission", "<= 1")
    assert too_many
    assert too_many.packet == repeated.events[1].packet
    reset = connection("reset-linger.pcap")
    assert j.no(reset, "reset") == Fault("There should be no reset; packet 6 is one.", 6)


def test_copies_that_the_capture_made_count_for_nothing() -> None:
    twice = connection("loopback-twice.pcap", 2)
    assert any("retransmission" in packet.events for packet in twice.packets)
    assert j.no(twice, "retransmission") is None
    assert j.opened_once(twice) is None
    fault = j.no(twice, "capture_duplicate")
    assert fault
    assert j.packets(twice, len(twice.packets) // 2) is None


def test_times_are_those_of_packets_that_are_no_copies() -> None:
    """The last packet has a copy 3 µs later, and between two others is one."""
    twice = connection("loopback-twice.pcap", 2)
    assert j.max_duration(twice, "119 us") is None
    assert j.max_duration(twice, "118 us") == Fault("The connection should last 118 us at most; it lasted 119 µs.", 27)
    assert j.max_idle(twice, "33 us") is None
    assert j.max_idle(twice, "32 us") == Fault(
        "No pause should be longer than 32 us; before packet 11 one is 32,458 ns.", 11
    )
    fault = j.states(twice, client="… TIME-WAIT CLOSED")
    assert fault
    assert fault.packet == 27


@pytest.mark.parametrize(
    ("seen", "expected", "told"),
    [
        ("both", "client", "The client should have closed first; both did at once (FIN in packet 8)."),
        ("nobody", "both", "Both sides should have closed at once; nobody did."),
    ],
)
def test_who_closed(seen: str, expected: str, told: str) -> None:
    names = {"both": "simultaneous-close.pcap", "nobody": "reset-linger.pcap"}
    one = connection(names[seen])
    fault = j.closed_by(one, expected)
    assert fault
    assert fault.text == told
    assert j.closed_by(one, seen) is None


@pytest.mark.parametrize(
    ("lines", "told", "packet"),
    [
        (OPENING, "", 0),
        ("C > S  S 100\nC > S  S 100\n", "The connection should be opened by one SYN; packet 2 is another.", 2),
        ("C > S  S 100\n", "A SYN-ACK should answer the SYN (packet 1); none did.", 1),
        ("C > S  S 100\nS > C  SA 300 ack 101\n", "An ACK should answer the SYN-ACK (packet 2); none did.", 2),
        (
            "C > S  S 100\nS > C  SA 300 ack 101\nS > C  SA 300 ack 101\nC > S  A 101 ack 301",
            "The connection should be opened by one SYN-ACK; packet 3 is another.", 3,
        ),
        ("C > S  PA 101:106 ack 301\n", "The connection should be opened by a SYN; none was captured.", 0),
        ("C > S  S 100\nS > C  SA 300 ack 101\nC > S  RA 101 ack 301",
         "An ACK should answer the SYN-ACK (packet 2); none did.", 2),
    ],
)  # fmt: skip
def test_opened_once(lines: str, told: str, packet: int) -> None:
    assert j.opened_once(played(lines)) == (Fault(told, packet) if told else None)


def test_a_handshake_that_was_never_complete() -> None:
    told = "The handshake should take 5 ms at most; it is not complete."
    assert j.max_handshake_rtt(connection("syn-unanswered.pcap"), "5 ms") == Fault(told, 1)


def test_the_packet_that_brought_what_differs() -> None:
    one = played(OPENING + "C > S  PA 101:106 ack 301\nC > S  PA 106:116 ack 301\nC > S  PA 116:120 ack 301")
    assert j.said(one, client=bytes(19)) is None
    for at, packet in ((4, 4), (5, 5), (14, 5), (15, 6), (18, 6)):
        fault = j.said(one, client=bytes(at) + b"x" + bytes(18 - at))
        assert fault
        assert fault.packet == packet
    fault = j.said(one, client=bytes(20))
    assert fault
    assert fault.packet == 6


def test_what_is_not_all_captured_is_a_fault() -> None:
    cut = connection("zero-window.pcap")
    for judgement in (
        partial(j.said, server="x"), partial(j.said, server=re.compile("x")),
        partial(j.digest, side="server", sha256="0"),
    ):  # fmt: skip
        fault = judgement(cut)
        assert fault
        assert fault.text == "What the server says is not all in the capture."
    assert j.octets(cut, "server", cut.server_sent.unique_bytes) is None


def test_a_long_text_is_shown_around_the_place() -> None:
    one = connection("http-get-80.pcap")
    octets = one.bytes_from("server")
    fault = j.said(one, server=octets[:40] + b"?" + octets[41:])
    assert fault
    assert "…" in fault.text
    assert "?" in fault.text
    assert len(fault.text) < 180


def test_udp() -> None:
    udp = connection("echo-udp-23333.pcap")
    assert j.protocol(udp, "udp") is None
    assert j.protocol(udp, "tcp") == Fault("The protocol should be tcp; it is udp.")
    assert j.lifecycle(udp, "") is None
    assert j.states(udp, client="…") is None
    assert j.states(udp, client="CLOSED") == Fault("The client should go CLOSED; it goes nowhere: CLOSED is missing.")
    assert j.closed_by(udp, "nobody") is None
    assert j.cause(udp, "refused") == Fault("The cause should be refused; it is none.")
    assert j.said(udp, client="hello, I am A") is None


@pytest.mark.parametrize(
    ("judgement", "given"),
    [
        (j.lifecycle, ("data handshake",)), (j.closed_by, ("sever",)), (j.cause, ("closed",)), (j.verdict, ("sf",)),
        (j.no, ("resets",)), (j.events, ("retransmision", 0)), (j.events, ("reset", "three")), (j.packets, ("1",)),
        (j.packets, (1, "peer")), (j.octets, ("peer", 1)), (j.max_idle, ("5",)), (j.max_duration, (5,)),
        (j.max_handshake_rtt, ("5 hours",)), (j.digest, ("peer", "")), (j.protocol, ("icmp",)),
    ],
)  # fmt: skip
def test_expectations_without_sense(echo: Connection, judgement: Any, given: tuple[Any, ...]) -> None:
    with pytest.raises(UsageError):
        judgement(echo, *given)
