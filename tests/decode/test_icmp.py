"""ICMP errors: what they say of the packet that they quote, and quotations that say nothing."""

from __future__ import annotations

import pytest

from analyzer.decode.icmp import reason_of, reason_of_6
from analyzer.decode.packets import decode
from analyzer.tables import Packets, Protocol
from analyzer.traces import BY_DESTINATION, QUOTES_UDP, Unreachable
from tests.script import HOSTS, Hosts, batch, frames, parse

IPV6: Hosts = {
    "C": ("2001:db8::1", 40_000), "S": ("2001:db8::2", 80), "R": ("2001:db8::ff", 0),
}  # fmt: skip

REASONS = {
    (3, 0): "NET", (3, 1): "HOST", (3, 2): "PROTOCOL", (3, 3): "PORT", (3, 4): "NONE", (3, 5): "OTHER", (3, 6): "NET",
    (3, 7): "HOST", (3, 9): "PROHIBITED", (3, 10): "PROHIBITED", (3, 11): "NET", (3, 12): "HOST",
    (3, 13): "PROHIBITED", (3, 14): "OTHER", (3, 16): "NONE", (11, 0): "HOPS", (11, 1): "NONE", (8, 0): "NONE",
}  # fmt: skip
REASONS_6 = {
    (1, 0): "NET", (1, 1): "PROHIBITED", (1, 2): "OTHER", (1, 3): "HOST", (1, 4): "PORT", (1, 5): "PROHIBITED",
    (1, 6): "NET", (3, 0): "HOPS", (3, 1): "NONE", (2, 0): "NONE", (128, 0): "NONE",
}  # fmt: skip


def test_types_and_codes() -> None:
    assert {key: Unreachable(reason_of(*key)).name for key in REASONS} == REASONS
    assert {key: Unreachable(reason_of_6(*key)).name for key in REASONS_6} == REASONS_6


def decoded(text: str, hosts: Hosts) -> Packets:
    return decode(frames(parse(text), hosts))


@pytest.mark.parametrize(("hosts", "kind", "code"), [(HOSTS, 3, 3), (IPV6, 1, 4)], ids=["IPv4", "IPv6"])
def test_the_packet_that_is_quoted(hosts: Hosts, kind: int, code: int) -> None:
    for router, by in (("R", 0), ("S", BY_DESTINATION)):
        rows = decoded(
            f"C > S S 77\n{router} > C ICMP {kind} {code} 1\nC > S UDP 9\n{router} > C ICMP {kind} {code} 3", hosts
        )
        assert rows.unreachable.tolist() == [0, Unreachable.PORT | by, 0, Unreachable.PORT | QUOTES_UDP | by]
        assert set(rows.protocol[1::2].tolist()) <= {Protocol.ICMP, Protocol.ICMPV6}
        for error, quoted in ((1, 0), (3, 2)):
            assert rows.address[error].tolist() == rows.address[quoted].tolist()
            for column in (rows.src_port, rows.dst_port, rows.seq):
                assert column[error] == column[quoted]


def test_an_echo_quotes_nothing() -> None:
    rows = decoded("C > S S 77\nR > C ICMP 8 0 1", HOSTS)
    assert rows.unreachable.tolist() == [0, 0]
    assert rows.src_port[1] == 0


def test_quotations_that_say_nothing() -> None:
    captured = frames(parse("C > S S 100\nR > C ICMP 3 13 1"))
    error = captured.data[int(captured.start[1]) :].tobytes()
    whole = error[: 14 + 20 + 8 + 20 + 8]
    changed = [
        whole,
        whole[:-1],  # ports and sequence number are cut
        whole[:40],
        whole[:42] + b"\x55" + whole[43:],  # of another version
        whole[:42] + b"\x44" + whole[43:],  # with a header that is too short
        whole[:48] + b"\x00\x01" + whole[50:],  # a later fragment
        whole[:51] + b"\x84" + whole[52:],  # SCTP
    ]
    found = decode(batch(changed))
    assert found.unreachable.tolist() == [Unreachable.PROHIBITED, 0, 0, 0, 0, 0, 0]
    assert found.src_port[1:].tolist() == [0] * 6
