"""Causes of connections that real programs made, over IPv4 and IPv6, with either side at fault.

Two hosts and a wire (lab.py) are made for each; ports and sizes come from a seed. What cannot be told from the wire
must not be told.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import IPv6

from analyzer.explain.calls import Certainty
from analyzer.explain.causes import Cause
from analyzer.explain.circumstances import Remark
from analyzer.explain.findings import PortScan, Probes, SynFlood
from analyzer.explain.kernel_counters import KernelCounters
from analyzer.explain.processes import packed
from analyzer.tables import SYN, Rows, Side
from tests.capture.namespaces import FAR, NEAR, ip, needs_root, wait_for, within
from tests.explain.lab import ADDRESSES, BEYOND, Lab, Told, closes_window, has_data, is_fin, is_rst, is_syn, lab

pytestmark = needs_root

SEEDS = (1, 2)
TCP_REPAIR = 19

Experiment = Callable[[Lab, Side], None]

EITHER: dict[str, tuple[Experiment, tuple[Cause, Cause]]] = {}
"""Experiments by name; the second thing is the cause when the client, and when the server is at fault."""


def either(*causes: Cause) -> Callable[[Experiment], Experiment]:
    def note(experiment: Experiment) -> Experiment:
        EITHER[experiment.__name__] = experiment, (causes[0], causes[-1])
        return experiment

    return note


def by_fault(lab: Lab, side: Side) -> tuple[socket.socket, socket.socket]:
    """Connected sockets: that of the side at fault first. They spoke once, in both directions."""
    ends = lab.connected()
    exchange(lab, *ends)
    return ends[side], ends[1 - side]


def exchange(lab: Lab, one: socket.socket, other: socket.socket) -> None:
    for sender, receiver in ((one, other), (other, one)):
        said = lab.random.randbytes(lab.random.randrange(1, 1_000))
        sender.sendall(said)
        assert received(receiver, len(said)) == said


def received(one: socket.socket, size: int) -> bytes:
    """So many octets."""
    octets = b""
    while len(octets) < size:
        octets += one.recv(size - len(octets)) or pytest.fail("it ended")
    return octets


def settle(*ends: socket.socket) -> None:
    """Wait until all that was sent is acknowledged."""
    wait_for(lambda: all(unacknowledged(one) == 0 for one in ends))


def unacknowledged(one: socket.socket) -> int:
    """Segments, by TCP_INFO (tcpi_unacked)."""
    return int(struct.unpack_from("I", one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0])


def without_linger(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


@either(Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER)
def normal(lab: Lab, side: Side) -> None:
    first, second = by_fault(lab, side)
    first.close()
    assert second.recv(1) == b""
    second.close()
    lab.wait_until(2, is_fin)


@either(Cause.CLOSED_BY_BOTH)
def both_at_once(lab: Lab, side: Side) -> None:
    first, second = by_fault(lab, side)
    settle(first, second)
    lab.hold(lambda to, packet, octets: bool(is_fin(packet)[0]))
    first.close()
    second.close()
    wait_for(lambda: len(lab.held) == 2)
    lab.release()


@either(Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER)
def half_close(lab: Lab, side: Side) -> None:
    first, second = by_fault(lab, side)
    first.shutdown(socket.SHUT_WR)
    assert second.recv(1) == b""
    second.sendall(b"still here")
    assert received(first, 10) == b"still here"
    second.close()
    assert first.recv(1) == b""
    first.close()
    lab.wait_until(2, is_fin)


@either(Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER)
def never_used(lab: Lab, side: Side) -> None:
    ends = lab.connected()
    ends[side].close()
    assert ends[1 - side].recv(1) == b""
    ends[1 - side].close()
    lab.wait_until(2, is_fin)


@either(Cause.ABORTED_BY_CLIENT, Cause.ABORTED_BY_SERVER)
def linger_0(lab: Lab, side: Side) -> None:
    first, second = by_fault(lab, side)
    without_linger(first)
    lab.wait_until(1, is_rst)
    second.close()


@either(Cause.ABORTED_BY_CLIENT, Cause.ABORTED_BY_SERVER)
def unread_data(lab: Lab, side: Side) -> None:
    first, second = by_fault(lab, side)
    second.sendall(b"nobody reads this")
    assert first.recv(1) == b"n"
    first.close()
    lab.wait_until(1, is_rst)
    second.close()


@either(Cause.WRITE_AFTER_CLOSE)
def write_after_close(lab: Lab, side: Side) -> None:
    writer, closing = by_fault(lab, side)
    closing.close()
    assert writer.recv(1) == b""
    writer.sendall(b"too late")
    lab.wait_until(1, is_rst)
    with pytest.raises(BrokenPipeError):
        writer.sendall(b"and again")
    writer.close()


@either(Cause.HALF_OPEN)
def half_open(lab: Lab, side: Side) -> None:
    """The socket of a side is gone without a packet, as after a power cut."""
    lost, other = by_fault(lab, side)
    lost.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    lost.close()
    other.sendall(b"are you there?")
    lab.wait_until(1, is_rst)
    with pytest.raises(ConnectionResetError):
        other.recv(1)
    other.close()


@either(Cause.CLIENT_VANISHED, Cause.SERVER_VANISHED)
def vanished(lab: Lab, side: Side) -> None:
    lost, other = by_fault(lab, side)
    settle(lost, other)
    cut_off(lab, side)
    before = int(has_data(lab.captured()).sum())
    other.sendall(b"are you there?")
    lab.wait_until(before + 4, has_data)
    forget(lost, other)


def cut_off(lab: Lab, side: Side) -> None:
    """Let nothing reach this side any more."""
    to_lost = NEAR if side == Side.CLIENT else FAR
    lab.rule = lambda to, packet, octets: to != to_lost


def forget(*ends: socket.socket) -> None:
    """Close sockets without a packet."""
    for one in ends:
        one.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        one.close()


@either(Cause.KEEP_ALIVE_TIMEOUT)
def keep_alive(lab: Lab, side: Side) -> None:
    """The wire is cut, and the side that is not at fault sends keep-alives."""
    lost, other = by_fault(lab, side)
    settle(lost, other)
    cut_off(lab, side)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 1)):
        other.setsockopt(socket.IPPROTO_TCP, option, value)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with pytest.raises(TimeoutError):
        other.recv(1)
    lab.wait_until(1, is_rst)
    forget(lost)
    other.close()


@either(Cause.RETRANSMISSION_TIMEOUT)
def given_up(lab: Lab, side: Side) -> None:
    """The wire is cut, and the side that is not at fault gives up after it has sent again."""
    lost, other = by_fault(lab, side)
    settle(lost, other)
    cut_off(lab, side)
    before = int(has_data(lab.captured()).sum())
    other.sendall(b"are you there?")
    lab.wait_until(before + 3, has_data)
    without_linger(other)
    lab.wait_until(1, is_rst)
    forget(lost)


@either(Cause.IDLE_RESET)
def idle_reset(lab: Lab, side: Side) -> None:
    first, second = by_fault(lab, side)
    settle(first, second)
    lab.pass_time(lab.random.randrange(60, 3_600))
    without_linger(first)
    lab.wait_until(1, is_rst)
    second.close()


@either(Cause.LIKELY_MIDDLEBOX_RESET)
def middlebox(lab: Lab, side: Side) -> None:
    """A device on the way ends the connection in the name of a side."""
    one, other = by_fault(lab, side)
    settle(one, other)
    other.sendall(b"something forbidden")
    lab.wait_until(3, has_data)
    packets = lab.captured()
    last = max(i for i in range(len(packets.status)) if has_data(packets)[i])
    victim, named = (ADDRESSES[lab.version][host] for host in ((FAR, NEAR) if side == Side.CLIENT else (NEAR, FAR)))
    ports = {"sport": int(packets.dst_port[last]), "dport": int(packets.src_port[last])}
    rst = TCP(**ports, seq=int(packets.ack[last]), flags="R", window=0)
    header = IP(src=named, dst=victim, ttl=200) if lab.version == 4 else IPv6(src=named, dst=victim, hlim=200)
    lab.put(FAR if side == Side.CLIENT else NEAR, bytes(header / rst))
    with pytest.raises(ConnectionResetError):
        other.recv(1)
    forget(one)
    other.close()


@either(Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER)
def stalled(lab: Lab, side: Side) -> None:
    """The side at fault does not read until its window was zero for some time; then all ends well."""
    reader, writer = by_fault(lab, side)
    writer.setblocking(False)
    sent = 0

    while lab.span_ns(closes_window) < 0:
        with suppress(BlockingIOError):
            sent += writer.send(bytes(50_000))
    wait_for(lambda: lab.span_ns(closes_window) > 100_000_000)  # it is probed meanwhile
    writer.settimeout(20)
    received(reader, sent)
    reader.close()
    assert writer.recv(1) == b""
    writer.close()
    lab.wait_until(2, is_fin)


@either(Cause.CLOSED_BY_CLIENT, Cause.CLOSED_BY_SERVER)
def nagle(lab: Lab, side: Side) -> None:
    """The side at fault writes in pieces, to one that delays its ACKs and answers the whole only."""
    writer, reader = by_fault(lab, side)
    for _ in range(3):
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        writer.sendall(b"head")
        writer.sendall(b"body")
        assert received(reader, 8) == b"headbody"
        reader.sendall(b"answer")
        assert received(writer, 6) == b"answer"
    writer.close()
    assert reader.recv(1) == b""
    reader.close()
    lab.wait_until(2, is_fin)


EXPECTED: dict[str, set[Remark]] = {
    "half_close": {Remark.LATE_DATA}, "never_used": {Remark.NEVER_USED}, "write_after_close": {Remark.RST_ANSWERS},
    "half_open": {Remark.RST_ANSWERS}, "unread_data": {Remark.PERHAPS_UNREAD},
}  # fmt: skip
"""Remarks that must be there, besides the cause."""

OF_A_SIDE = {
    "stalled": (Remark.CLIENT_STALLED, Remark.SERVER_STALLED),
    "nagle": (Remark.CLIENT_NAGLE_OFTEN, Remark.SERVER_NAGLE_OFTEN),
}  # fmt: skip

TROUBLES = {
    Remark.CLIENT_STALLED, Remark.SERVER_STALLED, Remark.NEVER_USED, Remark.ICMP_BESIDES, Remark.CLIENT_STILL_STALLED,
    Remark.SERVER_STILL_STALLED, Remark.CLIENT_STALLED_OFTEN, Remark.SERVER_STALLED_OFTEN,
}  # fmt: skip
"""Remarks that must not be there unless they are expected."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.name.lower())
@pytest.mark.parametrize("name", EITHER)
def test_either_side(name: str, side: Side, seed: int) -> None:
    experiment, causes = EITHER[name]
    with lab(4 if seed % 2 else 6, seed) as made:
        experiment(made, side)
        told = made.told()
    assert told.cause.name == causes[side].name, told.text
    expected = set(EXPECTED.get(name, ()))
    if name in OF_A_SIDE:
        expected.add(OF_A_SIDE[name][side])
    assert expected <= told.remarks
    assert not told.remarks & (TROUBLES - expected)
    check_modesty(told)


def check_modesty(told: Told) -> None:
    """Where two causes look the same, the text says so; and what it names was captured."""
    if told.cause in (Cause.ABORTED_BY_CLIENT, Cause.ABORTED_BY_SERVER):
        assert "SO_LINGER 0" in told.text
        assert "unread" in told.text
        assert "ss -K" in told.text
        assert "The wire does not tell which" in told.text
    if told.cause in (Cause.UNANSWERED, Cause.IDLE_RESET, Cause.REFUSED):
        assert re_any(told.text, "the wire does not tell which", "on the wire the two look the same")
    if told.cause == Cause.LIKELY_MIDDLEBOX_RESET:
        assert "probably" in told.text
    assert told.evidence
    for packet in told.evidence:
        assert str(packet) in told.text


def re_any(text: str, *parts: str) -> bool:
    return any(part in text for part in parts)


# ---------------------------------------------------------------- connections that never came to be


def attempt(lab: Lab) -> None:
    """A connection is asked for that does not come about."""
    with lab.client() as client, pytest.raises(ConnectionRefusedError):
        client.connect(lab.server_end)


def refused(lab: Lab) -> None:
    attempt(lab)


def unanswered(lab: Lab) -> None:
    lab.rule = lambda to, packet, octets: False
    with lab.client() as client:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.connect(lab.server_end)
        lab.wait_until(2, is_syn)


def accept_queue_drops_syns(lab: Lab) -> None:
    """The wire cannot tell it from a firewall."""
    with lab.listener(0), lab.client() as first, lab.client() as client:
        first.connect(lab.server_end)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.connect(lab.server_end)
        lab.wait_until(4, is_syn)


def syn_ack_unanswered(lab: Lab) -> None:
    """The SYN is of a host that is not there."""
    source, destination = ADDRESSES[lab.version]
    source = source.removesuffix("1") + "77"
    header = IP(src=source, dst=destination) if lab.version == 4 else IPv6(src=source, dst=destination)
    with lab.listener():
        lab.put(FAR, bytes(header / TCP(sport=lab.random.randrange(33_000, 60_000), dport=lab.port, flags="S")))
        lab.wait_until(3, is_syn)


def accept_queue_ignores_acks(lab: Lab) -> None:
    """Its ACK arrives when another connection has taken the queue's only place since."""
    with lab.listener(0) as listening, lab.client() as late, lab.client() as other:
        port = late.getsockname()[1]
        lab.hold(lambda to, packet, octets: bool(packet.src_port[0] == port and packet.flags[0] & SYN == 0))
        late.connect(lab.server_end)
        other.connect(lab.server_end)
        wait_for(lambda: len(lab.held) == 1 and unacknowledged(listening) == 1)  # tcpi_unacked is its accept queue
        lab.release()
        lab.wait_until(5, is_syn)


ATTEMPTS: dict[str, tuple[Callable[[Lab], None], Cause]] = {
    "refused": (refused, Cause.REFUSED),
    "unanswered": (unanswered, Cause.UNANSWERED),
    "accept queue drops SYNs": (accept_queue_drops_syns, Cause.UNANSWERED),
    "SYN-ACK never acknowledged": (syn_ack_unanswered, Cause.SYN_ACK_UNANSWERED),
    "accept queue ignores ACKs": (accept_queue_ignores_acks, Cause.LIKELY_ACCEPT_QUEUE_FULL),
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", ATTEMPTS)
def test_attempts(name: str, version: int) -> None:
    experiment, cause = ATTEMPTS[name]
    with lab(version, seed=version) as made:
        experiment(made)
        numbers = (1, 2) if name.startswith("accept") else (1,)
        tellings = [made.told(number) for number in numbers]
    assert cause.name in [told.cause.name for told in tellings], [told.text for told in tellings]
    for told in tellings:
        check_modesty(told)


ROUTES = {
    ("prohibit", 4): Cause.PROHIBITED, ("prohibit", 6): Cause.PROHIBITED,
    ("unreachable", 4): Cause.HOST_UNREACHABLE, ("unreachable", 6): Cause.NET_UNREACHABLE,
}  # fmt: skip


@pytest.mark.parametrize(("route", "version"), ROUTES)
def test_a_router_refuses(route: str, version: int) -> None:
    """FAR is a router with such a route, and says so by ICMP."""
    with lab(version, seed=7) as made:
        setting = "ipv4/ip_forward" if version == 4 else "ipv6/conf/all/forwarding"
        made.setting(FAR, setting, 1)
        network = BEYOND[version] + ("0/24" if version == 4 else "/64")
        with within(made.far):
            ip(f"-{version}", "route", "add", route, network)
        ip(f"-{version}", "route", "add", network, "via", ADDRESSES[version][FAR])
        with made.client() as client:
            failure = client.connect_ex((BEYOND[version] + "9", made.port))
        told = made.told()
        unreachable = made.captured().unreachable
        [*_, failing] = made.inferred()
    assert failing.told == f"connect fails: {errno.errorcode[failure]}"
    assert (failing.packet, failing.side, failing.certainty) == (1, Side.CLIENT, Certainty.LIKELY)
    assert told.cause == ROUTES[route, version], told.text
    assert Remark.ICMP_FROM_THE_WAY in told.remarks
    assert told.evidence == [1 + int(np.flatnonzero(unreachable)[0])]


@pytest.mark.parametrize("version", [4, 6])
def test_nobody_receives_datagrams(version: int) -> None:
    with lab(version, seed=3) as made:
        with made.made(NEAR, socket.SOCK_DGRAM) as client:
            client.connect(made.server_end)
            client.send(b"hello?")
            with pytest.raises(ConnectionRefusedError):
                client.recv(1)
        told = made.told()
    assert told.cause == Cause.PORT_UNREACHABLE
    assert {Remark.ICMP_FROM_DESTINATION, Remark.NO_UDP_PROGRAM} <= told.remarks


def test_a_firewall_rejects() -> None:
    """As iptables does with REJECT: a port unreachable for TCP."""
    with lab(4, seed=5) as made:
        made.rule = lambda to, packet, octets: to == NEAR
        with made.client() as client:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.connect(made.server_end)
            made.wait_until(1, is_syn)
            near, far = ADDRESSES[4]
            quoted = bytes(IP(src=near, dst=far) / TCP(sport=client.getsockname()[1], dport=made.port))
            syn = made.captured()
            quoted = quoted[:24] + int(syn.seq[0]).to_bytes(4) + quoted[28:]
            made.put(NEAR, bytes(IP(src=far, dst=near) / ICMP(type=3, code=3) / quoted))
            client.settimeout(20)
            wait_for(lambda: bool(select.select([], [client], [], 0)[1]))
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        told = made.told()
        assert made.inferred()[-1].told == "connect fails: ECONNREFUSED"
    assert told.cause == Cause.PORT_UNREACHABLE
    assert {Remark.ICMP_FROM_DESTINATION, Remark.REJECTED_BY_A_RULE} <= told.remarks


# ---------------------------------------------------------------- what the kernel knows besides


def rows_of(lab: Lab) -> tuple[Rows, Rows]:
    reconstruction = lab.reconstructed()
    return reconstruction.connections[: reconstruction.count], reconstruction.endpoints[: reconstruction.count]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("experiment", "counter", "meaning"),
    [(linger_0, "TCPAbortOnData +1", "SO_LINGER 0"), (unread_data, "TCPAbortOnClose +1", "unread data"),
     (keep_alive, "TCPAbortOnTimeout +1", "timeout")],
)  # fmt: skip
def test_counters_settle_it(experiment: Experiment, counter: str, meaning: str, version: int) -> None:
    """The client aborts, in the namespace whose counters are read."""
    with lab(version, seed=11) as made:
        counters = KernelCounters(lambda address: address == packed(ADDRESSES[version][NEAR]))
        counters.tick(time.time_ns(), is_last=True)
        experiment(made, Side.SERVER if experiment is keep_alive else Side.CLIENT)
        counters.tick(time.time_ns(), is_last=True)
        connections, endpoints = rows_of(made)
        said = counters.sentence(0, connections, endpoints)
        elsewhere = KernelCounters(lambda _: False)
        assert elsewhere.sentence(0, connections, endpoints) == ""
    assert said.startswith(f"Linux counted it ({counter}): "), said
    assert meaning in said
    assert "unless a connection that was not captured moved it" in said


@pytest.mark.parametrize("version", [4, 6])
def test_counters_tell_of_a_full_accept_queue(version: int) -> None:
    with lab(version, seed=12) as made, within(made.far):
        counters = KernelCounters(lambda address: address == packed(ADDRESSES[version][FAR]))
        counters.tick(time.time_ns(), is_last=True)
        accept_queue_drops_syns(made)
        counters.tick(time.time_ns(), is_last=True)
        connections, endpoints = rows_of(made)
        said = counters.sentence(1, connections, endpoints)
    assert said.startswith("Linux counted it (ListenOverflows +")
    assert "the accept queue of a listening socket was full" in said


def test_counters_settle_nothing_for_two() -> None:
    """One of them was closed with unread data, the other with SO_LINGER 0, and nobody knows which."""
    with lab(4, seed=13) as made:
        counters = KernelCounters(lambda address: address == packed(ADDRESSES[4][NEAR]))
        counters.tick(time.time_ns(), is_last=True)
        linger_0(made, Side.CLIENT)
        made.port += 1
        unread_data(made, Side.CLIENT)
        made.wait_until(2, is_rst)
        counters.tick(time.time_ns(), is_last=True)
        connections, endpoints = rows_of(made)
        said = [counters.sentence(row, connections, endpoints) for row in (0, 1)]
    assert said[0] == said[1]
    assert said[0] == (
        "Linux counted TCPAbortOnClose +1, TCPAbortOnData +1 meanwhile; other connections may have moved that, so it "
        "settles nothing."
    )


# ---------------------------------------------------------------- many connections


def found(lab: Lab) -> list[PortScan | SynFlood]:
    probes = Probes()
    probes.add(*rows_of(lab))
    return probes.findings()


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_scan(version: int) -> None:
    """One port is open, some are filtered by the wire, the others refuse."""
    with lab(version, seed=21) as made, made.listener():
        filtered = {made.port + 1, made.port + 2}
        made.rule = lambda to, packet, octets: int(packet.dst_port[0]) not in filtered
        for port in made.random.sample(range(made.port, made.port + 40), 40):
            with made.client() as client:
                client.settimeout(0.05 if port in filtered else 20)
                client.connect_ex((made.server_end[0], port))
        (scan,) = found(made)
    assert isinstance(scan, PortScan)
    assert (scan.hosts, scan.ports, scan.opened, scan.refused, scan.filtered) == (1, 40, 1, 37, 2)
    assert scan.open_ports == [made.port]


@pytest.mark.parametrize("version", [4, 6])
def test_a_syn_flood(version: int) -> None:
    """SYNs of hosts that are not there, to a program that listens."""
    source, destination = ADDRESSES[version]
    layer = IP if version == 4 else IPv6
    with lab(version, seed=22) as made, made.listener(1_000):
        for k in range(150):
            header = layer(src=source[:-1] + str(1_000 + k if version == 6 else 50 + k), dst=destination)
            made.put(FAR, bytes(header / TCP(sport=made.random.randrange(33_000, 60_000), dport=made.port, flags="S")))
        made.wait_until(300, is_syn)
        (flood,) = found(made)
    assert isinstance(flood, SynFlood)
    assert (flood.syns, flood.sources, flood.answered) == (150, 150, 150)
