"""What the capture has twice: each way to tell it, and what must not be taken for it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.tables import ACK, ENDPOINT, PSH, SYN, Count, Event, Side
from analyzer.tcp.reconstruct import Reconstruction
from tests.script import HOSTS, START_NS, Hosts, Segment, batch, check, frame, packet_lines, parse, play, read_only

IPV6: Hosts = {"C": ("2001:db8::1", 40000), "S": ("2001:db8::2", 80)}

HANDSHAKE = """
C > S  S 100 id 7
S > C  SA 300 ack 101
C > S  A 101 ack 301 id 8
"""


WIRESHARKS = ("duplicate_acks_now", "unacked_first", "unacked_last", "unacked_count", "seen")
"""Variables of events.py, which sees the copies as Wireshark does."""


def is_copy(text: str, hosts: Hosts = HOSTS) -> list[bool]:
    """Of each packet, whether it is a copy."""
    events = play(text, hosts).labels.events.tolist()
    return [bits >> Event.CAPTURE_DUPLICATE & 1 == 1 for bits in events]


def last(text: str, hosts: Hosts = HOSTS) -> bool:
    """Whether the last packet is a copy, and the only one."""
    *others, found = is_copy(text, hosts)
    assert not any(others)
    return found


# ---------------------------------------------------------------- the IP identification


@pytest.mark.parametrize("flags", ["PA 101:106", "A 101", "FA 101", "RA 101"])
def test_the_same_identification_is_the_same_packet(flags: str) -> None:
    again = f"C > S  {flags} ack 301 id 9"
    assert last(f"{HANDSHAKE}{again}\n+0.019 {again}")


def test_later_than_a_retransmission_it_may_be_one() -> None:
    """RFC 1122 3.2.1.5: what is sent again may keep its identification."""
    assert not last(HANDSHAKE + "C > S  PA 101:106 ack 301 id 9\n+0.021 C > S  PA 101:106 ack 301 id 9")


def test_another_identification_is_another_packet() -> None:
    assert not last(HANDSHAKE + "C > S  PA 101:106 ack 301 id 9\n+0.00001 C > S  PA 101:106 ack 301 id 10")


def test_a_copy_may_come_late_and_more_than_once() -> None:
    text = (
        HANDSHAKE
        + """
        C > S  PA 101:106 ack 301 id 9
        S > C  A 301 ack 106 id 55
        C > S  PA 101:106 ack 301 id 9
        C > S  PA 101:106 ack 301 id 9
    """
    )
    assert is_copy(text)[-3:] == [False, True, True]


def test_a_sender_that_writes_one_identification_says_nothing_by_it() -> None:
    sent = "C > S  S 100 id 1\nS > C  SA 300 ack 101 id 1\nC > S  PA 101:106 ack 301 id 1\n"
    assert not last(sent + "C > S  PA 101:106 ack 301 id 1")


@pytest.mark.parametrize(
    "change", ["PA 102:107 ack 301", "PA 101:107 ack 301", "PA 101:106 ack 302", "A 101:106 ack 301",
               "PA 101:106 ack 301 win 999", "PA 101:106 ack 301 ts 1 2", "PA 101:106 ack 301 sack 400:500"]
)  # fmt: skip
def test_other_headers_are_another_packet(change: str) -> None:
    assert not last(HANDSHAKE + f"C > S  PA 101:106 ack 301 id 9\n+0.00001 C > S  {change} id 9")


@pytest.mark.parametrize("option", ["sack 400:501", "sack 399:500", "sack 400:500,600:700", "ts 1 3", "ts 2 2"])
def test_other_options_are_another_packet(option: str) -> None:
    option_before = "ts 1 2" if option.startswith("ts") else "sack 400:500"
    before = HANDSHAKE + f"C > S  A 101 ack 301 {option_before} id 9\n+0.00001 C > S  A 101 ack 301 "
    assert last(f"{before} {option_before} id 9")
    assert not last(f"{before} {option} id 9")


def test_linux_numbers_its_packets_but_not_all() -> None:
    assert not last(HANDSHAKE + "C > S  R 101\n+0.001 C > S  R 101")


def test_a_clock_that_is_behind() -> None:
    data = [*parse(HANDSHAKE), *parse("+0.1 C > S  PA 101:106 ack 301 id 9")]
    for behind_ns, expected in ((19_000_000, True), (21_000_000, False)):
        story = play([*data, data[-1]._replace(ts_ns=data[-1].ts_ns - behind_ns)])
        assert (story.labels.events[-1] & 1 << Event.CAPTURE_DUPLICATE != 0) == expected


# ---------------------------------------------------------------- without it


@pytest.mark.parametrize("hosts", [HOSTS, IPV6], ids=["identification 0", "IPv6"])
@pytest.mark.parametrize("flags", ["S 100", "PA 101:106 ack 301", "FA 101 ack 301"])
def test_nobody_sends_again_so_soon(flags: str, hosts: Hosts) -> None:
    before = "" if flags == "S 100" else "C > S  S 100\nS > C  SA 300 ack 101\n"
    once = f"{before}C > S  {flags}\n"
    assert last(f"{once}+0.0004 C > S  {flags}", hosts)
    assert not last(f"{once}+0.0006 C > S  {flags}", hosts)


def test_what_the_other_side_said_may_be_a_reason_to_send_again() -> None:
    said = "C > S  S 100\nS > C  SA 300 ack 101\nC > S  PA 101:106 ack 301\n+0.0001 S > C  A 301 ack 101\n"
    assert not last(said + "+0.0001 C > S  PA 101:106 ack 301", IPV6)


@pytest.mark.parametrize("again", ["A 101 ack 301", "RA 101 ack 301", "R 101"])
def test_acks_and_resets_may_follow_each_other_at_once(again: str) -> None:
    before = "C > S  S 100\nS > C  SA 300 ack 101\n"
    assert not last(before + f"C > S  {again}\n+0.000001 C > S  {again}", IPV6)


def doubled(text: str) -> str:
    """Every packet twice within 10 µs, as on lo."""
    return "\n".join(f"{line}\n+0.00001 {line.split(maxsplit=1)[1] if line[0] == '+' else line}" for line in text)


def test_where_all_is_seen_twice_an_ack_is_too() -> None:
    talk = packet_lines("""
        C > S  S 100
        S > C  SA 300 ack 101
        C > S  A 101 ack 301
        C > S  PA 101:106 ack 301
        S > C  A 301 ack 106
        +0.0001 S > C  A 301 ack 106
        C > S  FA 106 ack 301
        S > C  RA 301 ack 107
    """)
    once, twice = play("\n".join(talk), IPV6), play(doubled(talk), IPV6)
    assert is_copy(doubled(talk), IPV6) == [False, True] * len(talk)
    for column in ("client_state", "server_state", "phase", "seq", "ack"):
        assert getattr(twice.labels, column)[::2].tolist() == getattr(once.labels, column).tolist()
        assert getattr(twice.labels, column)[1::2].tolist() == getattr(once.labels, column).tolist()
    assert twice.labels.events[::2].tolist() == once.labels.events.tolist()
    for counter in ENDPOINT.names or ():
        if counter not in ("packets", "capture_duplicates", *WIRESHARKS) and not counter.endswith(
            ("_packet", "_ns", "_squares")
        ):
            ends = (story.reconstruction.endpoints[0][counter].tolist() for story in (once, twice))
            assert len(set(map(tuple, ends))) == 1, counter


def test_a_refusal_seen_twice_is_one() -> None:
    check("""
        C > S  S 100                     | handshake SYN-SENT SYN-RECEIVED
        +0.00001 C > S  S 100            | handshake SYN-SENT SYN-RECEIVED capture_duplicate
        +0.00001 S > C  RA 0 ack 101     | teardown CLOSED CLOSED
        +0.00001 S > C  RA 0 ack 101     | teardown CLOSED CLOSED capture_duplicate
    """)  # fmt: skip


def test_a_copy_of_a_syn_opens_nothing() -> None:
    """The SYN on the far side of a bridge, after the RST that answers it on the near side."""
    check("""
        C > S  S 100                     | handshake SYN-SENT SYN-RECEIVED
        +0.00001 S > C  RA 0 ack 101     | teardown CLOSED CLOSED
        +0.00001 C > S  S 100 ttl 63     | teardown CLOSED CLOSED capture_duplicate
    """)  # fmt: skip


# ---------------------------------------------------------------- another place


def test_an_ack_on_the_other_side_of_a_router() -> None:
    before = "C > S  S 100\nS > C  SA 300 ack 101\n"
    assert last(before + "C > S  A 101 ack 301\n+0.007 C > S  A 101 ack 301 ttl 63", IPV6)
    assert not last(before + "C > S  A 101 ack 301\n+0.021 C > S  A 101 ack 301 ttl 63", IPV6)


def sll(direction: int, _: int) -> bytes:
    return struct.pack("!HHH8xH", direction, 1, 6, 0x86DD)


def sll2(direction: int, interface: int) -> bytes:
    return struct.pack("!HHIHBB8x", 0x86DD, 0, interface, 1, direction, 6)


@pytest.mark.parametrize(
    ("linktype", "header", "other"), [(113, sll, (4, 2)), (276, sll2, (4, 2)), (276, sll2, (2, 3)), (276, sll2, (0, 2))]
)
def test_cooked_captures_tell_interface_and_direction(linktype: int, header: object, other: tuple[int, int]) -> None:
    assert callable(header)
    segments = parse("C > S  A 101 ack 301\n+0.00001 C > S  A 101 ack 301")
    for second, expected in ((other, [0, 1]), ((2, 2), [0, 0])):
        octets = [header(*place) + frame(one, IPV6)[14:] for place, one in zip(((2, 2), second), segments, strict=True)]
        captured = batch(octets, [one.ts_ns for one in segments], linktype)
        labels = Reconstruction().feed(captured, decode(captured))
        assert (labels.events >> Event.CAPTURE_DUPLICATE & 1).tolist() == expected


def test_interfaces_of_one_capture() -> None:
    segments = parse("C > S  A 101 ack 301\n+0.00001 C > S  A 101 ack 301")
    captured = batch([frame(one, IPV6) for one in segments], [one.ts_ns for one in segments])
    captured = read_only(captured._replace(interface=np.array([0, 1], np.uint16)))
    labels = Reconstruction().feed(captured, decode(captured))
    assert (labels.events >> Event.CAPTURE_DUPLICATE & 1).tolist() == [0, 1]


# ---------------------------------------------------------------- counting


def test_a_copy_counts_as_a_packet_alone() -> None:
    data = "C > S  PA 101:106 ack 301 id 9"
    made = play(f"{HANDSHAKE}{data}\n{data}\n{data}").reconstruction
    client = made.endpoints[0, Side.CLIENT]
    assert (client["packets"], client["capture_duplicates"]) == (5, 2)
    assert (client["data_packets"], client["payload_bytes"], client["retransmitted_packets"]) == (1, 5, 0)
    assert (made.counted(Count.CAPTURE_DUPLICATES), made.counted(Count.FIRST_CAPTURE_DUPLICATE)) == (2, 5)


def test_segments_beyond_the_maximum_segment_size() -> None:
    made = play("""
        C > S  S 100 mss 1460
        S > C  SA 300 ack 101 mss 536
        C > S  PA 101:637 ack 301
        C > S  PA 637:1174 ack 301
        S > C  PA 301:3221 ack 1174
    """).reconstruction
    assert (made.counted(Count.BEYOND_MSS), made.counted(Count.LONGEST_BEYOND_MSS)) == (2, 2920)


# ---------------------------------------------------------------- an undisturbed conversation

PAUSES = st.integers(0, 2_000_000)
"""Nanoseconds between segments."""


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), PAUSES), max_size=40), st.sampled_from(["IPv6", "0", "n"]))
def test_an_undisturbed_conversation_has_no_copies(talk: list[tuple[bool, int, int]], numbering: str) -> None:
    """Data in both directions, and ACKs without news (of length 0) as fast as they like to come."""
    segments = [
        Segment(START_NS, "C", "S", SYN, 100, ip_id=int(numbering == "n")),
        Segment(START_NS + 1, "S", "C", SYN | ACK, 300, 101),
    ]
    nxt, ts_ns = {"C": 101, "S": 301}, START_NS + 2
    for number, (is_client, payload_len, pause_ns) in enumerate(talk, 2):
        source, other = ("C", "S") if is_client else ("S", "C")
        ts_ns += pause_ns
        ip_id = number if numbering == "n" else 0
        flags = ACK | (PSH if payload_len else 0)
        segments.append(Segment(ts_ns, source, other, flags, nxt[source], nxt[other], payload_len, ip_id=ip_id))
        nxt[source] += payload_len
    labels = play(segments, IPV6 if numbering == "IPv6" else HOSTS).labels
    assert not (labels.events >> Event.CAPTURE_DUPLICATE & 1).any()


# ---------------------------------------------------------------- datagrams


def datagrams(*sent: tuple[float, str, bytes, dict[str, int]], hosts: Hosts = HOSTS) -> list[bool]:
    """Of datagrams (milliseconds, ``C`` or ``S``, payload, id, ttl, DF and interface), which are copies."""
    octets, times, interfaces = [], [], []
    for ms, source, payload, fields in sent:
        datagram = Segment(
            0, source, "S" if source == "C" else "C", -1, payload_len=len(payload),
            ip_id=fields.get("id", 0), ttl=fields.get("ttl", 64),
        )  # fmt: skip
        whole = bytearray(frame(datagram, hosts))
        whole[len(whole) - len(payload) :] = payload
        if whole[14] >> 4 == 4:
            whole[20] = fields.get("df", 0) << 6
        octets.append(bytes(whole))
        times.append(START_NS + round(ms * 1e6))
        interfaces.append(fields.get("interface", 0))
    captured = read_only(batch(octets, times)._replace(interface=np.array(interfaces, np.uint16)))
    labels = Reconstruction().feed(captured, decode(captured))
    assert set(labels.events.tolist()) <= {0, 1 << Event.CAPTURE_DUPLICATE}
    return (labels.events != 0).tolist()


def test_a_datagram_with_the_same_identification() -> None:
    """Without DF a sender may not use a number twice; with it, it must have been seen to number its packets."""
    one = (b"question", {"id": 9})
    assert datagrams((0, "C", *one), (19, "C", *one)) == [False, True]
    assert datagrams((0, "C", *one), (21, "C", *one)) == [False, False]
    assert datagrams((0, "C", *one), (0, "C", *one), (0, "C", *one)) == [False, True, True]
    fixed = (b"question", {"id": 9, "df": 1})
    assert datagrams((0, "C", *fixed), (1, "C", *fixed)) == [False, False]
    same = (b"another", {"id": 9})
    assert datagrams((0, "C", *same), (1, "C", *one), (2, "C", *one)) == [False, False, False], "it numbers nothing"
    other = (b"question", {"id": 8, "df": 1})
    assert datagrams((0, "C", *other), (1, "C", *fixed), (2, "C", *fixed)) == [False, False, True]


@pytest.mark.parametrize(
    ("payload", "fields"),
    [(b"question", {"id": 10}), (b"Question", {"id": 9}), (b"questions", {"id": 9}), (b"", {"id": 9})],
)
def test_another_datagram(payload: bytes, fields: dict[str, int]) -> None:
    assert datagrams((0, "C", b"question", {"id": 9}), (0, "C", payload, fields)) == [False, False]


def test_the_answer_is_no_copy() -> None:
    assert datagrams((0, "C", b"x", {"id": 9}), (0, "S", b"x", {"id": 9})) == [False, False]


def test_two_equal_datagrams_without_identification_may_both_have_been_sent() -> None:
    assert datagrams((0, "C", b"x", {}), (0, "C", b"x", {})) == [False, False]
    assert datagrams((0, "C", b"x", {}), (0, "C", b"x", {"interface": 1})) == [False, False]
    assert datagrams((0, "C", b"x", {}), (0, "C", b"x", {}), hosts=IPV6) == [False, False]


def test_ipv6_datagrams_that_were_seen_elsewhere() -> None:
    for fields, copied in (({"interface": 1}, True), ({"ttl": 63}, True), ({"ttl": 65}, False)):
        assert datagrams((0, "C", b"x", {}), (0, "C", b"x", fields), hosts=IPV6) == [False, copied]
    assert datagrams((0, "C", b"x", {}), (21, "C", b"x", {"ttl": 63}), hosts=IPV6) == [False, False]


def test_what_is_not_compared_is_in_the_checksum() -> None:
    """Octets beyond the first are not; a checksum of 0 says nothing of them, and the identification decides."""
    assert datagrams((0, "C", b"x" * 99, {"id": 9}), (0, "C", b"x" * 98 + b"y", {"id": 9})) == [False, True]


def test_an_ipv4_header_with_options_is_not_looked_at() -> None:
    header = struct.pack("!BBHHHBBH4s4sI", 0x46, 0, 33, 9, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2", 0x01010100)
    one = bytes(12) + b"\x08\x00" + header + struct.pack("!4H", 40000, 80, 9, 0) + b"x"
    captured = batch([one, one])
    assert not Reconstruction().feed(captured, decode(captured)).events.any()


def test_a_datagram_in_fragments_can_be_a_copy() -> None:
    def fragment(offset: int, payload: bytes) -> bytes:
        field = offset // 8 | (0x2000 if offset == 0 else 0)
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 9, field, 64, 17, 0)
        return bytes(12) + b"\x08\x00" + header + b"\x0a\0\0\1\x0a\0\0\2" + payload

    datagram = struct.pack("!4H", 40000, 80, 28, 0) + b"a payload in two"[:16] + b"more"
    pair = [fragment(0, datagram[:16]), fragment(16, datagram[16:])]
    captured = batch(pair * 2)
    decoded = decode(captured)
    joined = Fragments().join(captured, decoded)
    events = Reconstruction().feed(joined, decoded).events
    assert (events >> Event.CAPTURE_DUPLICATE & 1).tolist() == [0, 0, 0, 1]


def test_a_copy_of_a_datagram_counts_as_a_packet_and_as_nothing_else() -> None:
    made = play("C > S UDP 5 id 9\n+0.001 C > S UDP 5 id 9\nS > C UDP 7 id 3").reconstruction
    client, server = made.endpoints[0]
    names = ("packets", "capture_duplicates", "data_packets", "payload_bytes", "unique_bytes")
    assert [int(client[name]) for name in names] == [2, 1, 1, 5, 5]
    assert [int(server[name]) for name in names] == [1, 0, 1, 7, 7]
    assert (made.counted(Count.CAPTURE_DUPLICATES), made.counted(Count.FIRST_CAPTURE_DUPLICATE)) == (1, 2)
