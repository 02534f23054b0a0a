"""What the reconstruction as a whole keeps to, whatever is said in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analyzer.jit import fastest
from analyzer.tables import ACK, Event, Frames, Labels, Packets, Protocol, Rows
from analyzer.tcp import reconstruct
from analyzer.tcp.reconstruct import Reconstruction, reconstruct_batch
from tests.script import HOSTS, Hosts, Segment, columns, frames, packets, parse, play
from tests.tcp.conversations import conversations, garbage

SEGMENTS = st.one_of(conversations(), garbage())


def piece(captured: Frames, decoded: Packets, where: slice) -> tuple[Frames, Packets]:
    """Rows of a batch; the octets stay."""
    frames_part = {name: column if name == "data" else column[where] for name, column in captured._asdict().items()}
    return Frames(**frames_part), Packets(**{name: column[where] for name, column in decoded._asdict().items()})


def fed(captured: Frames, decoded: Packets, cuts: Sequence[int] = ()) -> tuple[Reconstruction, Labels]:
    """Feed a conversation, cut into batches at these places."""
    reconstruction = Reconstruction()
    edges = [0, *sorted(cuts), len(captured.start)]
    labels = [reconstruction.feed(*piece(captured, decoded, slice(a, b))) for a, b in pairwise(edges)]
    return reconstruction, Labels(*(np.concatenate(column) for column in zip(*labels, strict=True)))


def assert_same_labels(one: Labels, other: Labels) -> None:
    for name in Labels._fields:
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name


def assert_same_rows(one: Rows, other: Rows, but: Sequence[str] = ()) -> None:
    assert len(one) == len(other)
    for name in one.dtype.names or ():
        if name not in but:
            assert one[name].tolist() == other[name].tolist(), name


def assert_same_tables(one: Reconstruction, other: Reconstruction, but: Sequence[str] = ()) -> None:
    assert one.count == other.count
    assert_same_rows(one.connections[: one.count], other.connections[: other.count], but)
    assert_same_rows(one.endpoints[: one.count], other.endpoints[: other.count], but)


# ---------------------------------------------------------------- properties


@given(SEGMENTS, st.lists(st.integers(0, 30), max_size=5))
def test_any_split_into_batches_gives_the_same_answer(segments: list[Segment], cuts: list[int]) -> None:
    captured, decoded = frames(segments), packets(segments)
    whole, labels = fed(captured, decoded)
    split, split_labels = fed(captured, decoded, [min(cut, len(segments)) for cut in cuts])
    assert_same_labels(labels, split_labels)
    assert_same_tables(whole, split)


RAW_NUMBERS = (
    "iss", "snd_una", "snd_nxt", "rcv_nxt", "ahead_from", "ahead_to", "beyond_to", "ackable_to", "nextseq", "fin_seq",
    "ack", "last_ack", "last_seq", "base_seq", "history_syn", "history_fin", "history_rst",
)  # fmt: skip
"""Columns of an endpoint that hold sequence numbers as they were sent."""


@given(SEGMENTS, st.sampled_from("CS"), st.integers(1, 2**32 - 1))
def test_labels_do_not_depend_on_the_initial_sequence_numbers(
    segments: list[Segment], letter: str, octets: int
) -> None:
    def moved(segment: Segment) -> Segment:
        if segment.source == letter:
            return segment._replace(seq=(segment.seq + octets) % 2**32)
        if segment.flags & ACK:
            return segment._replace(ack=(segment.ack + octets) % 2**32)
        return segment

    # Without the ACK bit the field means nothing, and a RST that has no connection to speak of says 0.
    segments = [one if one.flags & ACK else one._replace(ack=0) for one in segments]
    shifted = [moved(segment) for segment in segments]
    # Wireshark's analysis takes a number 0 for one that is not known.
    assume(all(one.ack or not one.flags & ACK for one in (*segments, *shifted)))
    assume(all(one.seq and one.seq_end and (one.seq + one.payload_len + 1) % 2**32 for one in (*segments, *shifted)))
    one, labels = fed(frames(segments), packets(segments))
    other, shifted_labels = fed(frames(shifted), packets(shifted))
    assert_same_labels(labels, shifted_labels)
    assert_same_tables(one, other, but=RAW_NUMBERS)


@given(conversations())
def test_exchanging_the_two_addresses_changes_nothing_else(segments: list[Segment]) -> None:
    if not segments or not segments[0].flags & 0x02:
        segments = parse("C > S S 1\n S > C SA 7 ack 2") + segments  # a SYN tells the client, whatever its port
    one, labels = fed(frames(segments), packets(segments))
    hosts: Hosts = {"C": HOSTS["S"], "S": HOSTS["C"]}
    other, exchanged_labels = fed(frames(segments, hosts), packets(segments, hosts))
    if all(row["client_evidence"] <= 2 for row in one.connections[: one.count]):
        assert_same_labels(labels, exchanged_labels)
        assert_same_tables(one, other, but=("address", "client_port", "server_port", "hash"))
    assert one.connections["hash"].tolist() == other.connections["hash"].tolist()


@given(SEGMENTS)
def test_times_may_start_anywhere(segments: list[Segment]) -> None:
    one, labels = fed(frames(segments), packets(segments))
    earlier = [segment._replace(ts_ns=segment.ts_ns - 1_600_000_000_000_000_000) for segment in segments]
    other, earlier_labels = fed(frames(earlier), packets(earlier))
    assert_same_labels(labels, earlier_labels)
    assert one.endpoints[: one.count]["state"].tolist() == other.endpoints[: other.count]["state"].tolist()


@given(SEGMENTS)
def test_what_is_counted_adds_up(segments: list[Segment]) -> None:
    made, labels = fed(frames(segments), packets(segments))
    rows, ends = made.connections[: made.count], made.endpoints[: made.count]
    assert ends["packets"].sum() == len(segments)
    copies = labels.events & 1 << Event.CAPTURE_DUPLICATE != 0
    assert ends["capture_duplicates"].sum() == copies.sum()
    once = [segment.payload_len for segment, is_copy in zip(segments, copies, strict=True) if not is_copy]
    assert ends["payload_bytes"].sum() == sum(once)
    controls = ends["syns"] + ends["fins"]
    assert (ends["unique_bytes"] + ends["retransmitted_bytes"] <= ends["payload_bytes"] + controls).all()
    assert (ends["aside_bytes"] <= ends["unique_bytes"]).all()
    assert (ends["handshake_bytes"] <= ends["aside_bytes"]).all()
    assert (ends["rtt_samples"] <= (ends["packets"] - ends["pure_acks"])).all()
    assert (ends["windows"] + ends["syns"] + ends["resets"] >= ends["pure_acks"]).all()
    for row in range(made.count):
        mine = labels.connection == row + 1
        assert rows[row]["phase_packets"].sum() == mine.sum() == ends[row]["packets"].sum()
        numbers = np.flatnonzero(mine) + 1
        assert (rows[row]["first_packet"], rows[row]["last_packet"]) == (numbers[0], numbers[-1])
        assert rows[row]["history_len"] <= len(rows[row]["history"])


# ---------------------------------------------------------------- compiled and interpreted

NO_JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


@pytest.mark.skipif(NO_JIT, reason="NUMBA_DISABLE_JIT forbids compiling")
def test_compiled_and_interpreted_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPFLOW_VIEW_JIT", "always")
    assert fastest(reconstruct_batch) is not reconstruct_batch

    @given(SEGMENTS)
    def agree(segments: list[Segment]) -> None:
        captured, decoded = frames(segments), packets(segments)
        made = []
        for mode in ("always", "never"):
            monkeypatch.setenv("TCPFLOW_VIEW_JIT", mode)
            made.append(fed(captured, decoded))
        (compiled, compiled_labels), (interpreted, labels) = made
        assert_same_labels(compiled_labels, labels)
        assert_same_tables(compiled, interpreted)

    agree()


# ---------------------------------------------------------------- tables that grow


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruct, "FIRST_ROWS", 256)


@pytest.mark.usefixtures("small_tables")
def test_tables_grow_with_their_connections() -> None:
    count = 3 * 256
    hosts: Hosts = {"S": ("10.0.0.2", 80)}
    segments: list[Segment] = []
    for k in range(count):
        hosts[f"C{k}"] = (f"10.1.{k >> 8}.{k & 255}", 40000)
        segments.append(Segment(k, f"C{k}", "S", 2, seq=k))
    segments += [Segment(count + k, "S", f"C{k}", 18, seq=5, ack=k + 1) for k in reversed(range(count))]
    made, labels = fed(frames(segments, hosts), packets(segments, hosts))
    assert made.count == count
    assert labels.connection.tolist() == [*range(1, count + 1), *reversed(range(1, count + 1))]
    assert made.endpoints[:count]["packets"].tolist() == [[1, 1]] * count
    assert len(made.connections) >= count


@pytest.mark.usefixtures("small_tables")
def test_tables_grow_with_connections_that_use_ports_again() -> None:
    """Rows and slots fill at different times: an incarnation takes a row, but no slot."""
    hosts: Hosts = {"S": ("10.0.0.2", 80)} | {f"C{k}": (f"10.1.{k >> 8}.{k & 255}", 40000) for k in range(600)}
    segments = [Segment(k, "C0", "S", 2, seq=10 * k) for k in range(100)]
    segments += [Segment(100 + k, f"C{k}", "S", 2, seq=5) for k in range(1, 600)]
    segments += [Segment(1000 + k, f"C{k}", "S", 2, seq=5) for k in range(1, 600)]
    made, labels = fed(frames(segments, hosts), packets(segments, hosts))
    assert made.count == 699
    assert labels.connection.tolist() == [*range(1, 700), *range(101, 700)]


def test_connections_are_told_apart_by_their_protocol_and_by_their_family() -> None:
    hosts: Hosts = {"C": ("0.0.0.1", 40000), "S": ("0.0.0.2", 80), "A": ("::1", 40000), "B": ("::2", 80)}
    said = columns(play("C > S S 1\nC > S UDP 3\nA > B S 1\nB > A SA 1 ack 2\nS > C UDP 3", hosts).labels)
    assert [words.split()[0] for words in said] == ["handshake", "#2", "#3", "#3", "#2"]


# ---------------------------------------------------------------- others than TCP


def test_udp_has_conversations_without_states() -> None:
    made = play("""
        S > C  UDP 5
        C > S  UDP 0
        C > S  UDP 7
    """)
    row, (client, server) = made.reconstruction.connections[0], made.reconstruction.endpoints[0]
    assert made.reconstruction.count == 1
    assert (row["protocol"], row["client_port"], row["server_port"]) == (Protocol.UDP, 40000, 80)
    assert made.labels.side.tolist() == [1, 0, 0]
    assert made.labels.phase.tolist() == made.labels.events.tolist() == [0, 0, 0]
    assert (client["packets"], client["payload_bytes"], client["data_packets"]) == (2, 7, 1)
    assert (server["packets"], server["unique_bytes"], server["data_packets"]) == (1, 5, 1)


def test_packets_that_are_no_segments_have_no_connection() -> None:
    segments = parse("C > S S 1\nS > C SA 1 ack 2\nC > S A 2 ack 2\nC > S UDP 4")
    decoded = packets(segments)
    decoded.status[1] = 1
    decoded.protocol[2] = Protocol.ICMP
    made, labels = fed(frames(segments), decoded)
    assert labels.connection.tolist() == [1, 0, 0, 2]
    assert made.count == 2


def test_an_empty_batch_is_nothing() -> None:
    made, labels = fed(frames([]), packets([]))
    assert made.count == 0
    assert len(labels.connection) == 0


def test_acknowledgements_of_a_client_that_is_never_heard() -> None:
    """The SYN-ACK tells its initial sequence number, and later ACKs count from there."""
    labels = play("S > C SA 100 ack 1001\nS > C A 101 ack 1402\nS > C PA 101:301 ack 1780").labels
    assert labels.ack.tolist() == [1, 402, 780]
    assert labels.seq.tolist() == [0, 1, 1]


def test_a_conversation_with_oneself_is_all_the_clients() -> None:
    made = play("C > S S 1\nS > C SA 1 ack 2", {"C": ("127.0.0.1", 5), "S": ("127.0.0.1", 5)})
    assert made.labels.side.tolist() == [0, 0]
    assert made.reconstruction.count == 1
