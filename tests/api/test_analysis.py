"""``analyze``: whatever holds a capture, its connections, their packets and octets, held against the commands."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner

import analyzer
from analyzer import (
    Analysis,
    CaptureFormatError,
    CaptureOpenError,
    Endpoint,
    FilterError,
    MissingOctetsError,
    UsageError,
    analyze,
    jit,
)
from analyzer.api import analysis as analysis_module
from analyzer.api.connection import SideName
from analyzer.cli.export import command as export
from analyzer.cli.follow import command as follow
from analyzer.cli.read import command as read
from analyzer.render import screen
from tests.capture.brought import bringing
from tests.cli.spoken import CLIENT, OPENING, SERVER, Said, closing, write

MADE = Path(__file__).parents[2] / "captures" / "made"
CAPTURES = sorted([*MADE.glob("*.pcap"), *MADE.glob("*.pcapng")])
ECHO = MADE / "loopback-echo-1235.pcap"


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_locale_is_utf8", lambda: True)


def records(path: Path, *options: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(export, [str(path), *options])
    return [json.loads(line) for line in result.stdout.splitlines()]


def opened(path: Path) -> Any:
    """A file that can be read again."""
    return path.open("rb")


def piped(octets: bytes) -> Any:
    """A file that can be read once."""
    reading, writing = os.pipe()

    def fill() -> None:
        with open(writing, "wb") as end:
            end.write(octets)

    threading.Thread(target=fill).start()
    return open(reading, "rb")


@pytest.mark.parametrize(
    "given",
    [str, Path, opened, bytes, bytearray, memoryview, io.BytesIO, piped],
    ids=["name", "path", "file", "bytes", "bytearray", "memoryview", "BytesIO", "pipe"],
)
def test_whatever_holds_a_capture(given: Callable[[Any], Any]) -> None:
    made = given(ECHO if given in (str, Path, opened) else ECHO.read_bytes())
    try:
        (connection,) = analyze(made).connections
        assert connection.record() == records(ECHO)[0]
        assert connection.states.server[-2:] == ("FIN-WAIT-2", "TIME-WAIT")
        assert (connection.bytes_from("client"), connection.bytes_from("server")) == (b"clien", b"hi")
    finally:
        if hasattr(made, "close"):
            made.close()


def test_a_pipe_by_its_name() -> None:
    """What a shell makes of <(zcat capture.pcap.gz): it is read again for the packets."""
    with bringing(ECHO.read_bytes()) as reading:
        analysis = analyze(f"/dev/fd/{reading}")
    (connection,) = analysis.connections
    assert analysis.path == f"/dev/fd/{reading}"
    assert connection.bytes_from("client") == b"clien"
    assert len(analysis.packets) == 10


def test_a_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"something before" + ECHO.read_bytes())
    file.seek(len(b"something before"))
    (connection,) = analyze(file).connections
    assert len(connection.packets) == 10


def test_standard_input() -> None:
    script = "import analyzer; [one] = analyzer.analyze('-').connections; print(one, one.lifecycle, len(one.packets))"
    with ECHO.open("rb") as capture:
        done = subprocess.run([sys.executable, "-c", script], stdin=capture, capture_output=True, text=True, check=True)
    assert done.stdout == "1: 127.0.0.1:48994 → 127.0.0.1:1235, closed_by_server handshake data teardown 10\n"


def test_packets_of_scapy() -> None:
    utils = pytest.importorskip("scapy.utils")
    pytest.importorskip("scapy.layers.inet")
    packets = utils.rdpcap(str(ECHO))
    expected = records(ECHO)[0]
    assert [one.record() for one in analyze(packets).connections] == [expected]
    assert [one.record() for one in analyze(list(packets)).connections] == [expected]
    assert [one.record() for one in analyze(iter(packets)).connections] == [expected]
    assert analyze(packets[0]).packet_count == 1
    assert analyze([]).packet_count == 0
    (without_link,) = analyze([packet.payload for packet in packets]).connections
    assert without_link.lifecycle == "handshake data teardown"
    with pytest.raises(UsageError, match="different layers"):
        analyze([packets[0], packets[1].payload])
    with pytest.raises(UsageError, match="TCP is no layer"):
        analyze(packets[0]["TCP"])


@pytest.mark.parametrize(
    ("capture", "error", "told"),
    [
        (7, UsageError, "this is no capture: int"),
        (["packet"], UsageError, "this is no capture: str"),
        (io.StringIO("text"), UsageError, "binary mode"),
        (b"GET / HTTP/1.1", CaptureFormatError, "neither pcap nor pcapng"),
        (b"", CaptureFormatError, "empty"),
        ("nowhere.pcap", CaptureOpenError, "no such file"),
    ],
)
def test_what_is_no_capture(capture: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        analyze(capture)


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(FilterError):
        analyze(ECHO, "prot 1235")
    with pytest.raises(UsageError, match="“nobody” is no server"):
        analyze(ECHO, servers=["nobody"])
    (connection,) = analyze(ECHO).connections
    with pytest.raises(UsageError, match="client or server, not sender"):
        connection.bytes_from("sender")  # type: ignore[arg-type]
    udp = analyze(MADE / "echo-udp-23333.pcap").connections[0]
    with pytest.raises(UsageError, match="no phases"):
        udp.phases  # noqa: B018


def test_a_file_that_was_closed_or_changed(tmp_path: Path) -> None:
    with ECHO.open("rb") as file:
        analysis = analyze(file)
        (connection,) = analysis.connections
    assert connection.cause == "closed_by_server"
    with pytest.raises(CaptureOpenError, match="it was closed"):
        connection.packets  # noqa: B018
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(ECHO.read_bytes())
    (connection,) = analyze(copy).connections
    copy.write_bytes((MADE / "echo-udp-23333.pcap").read_bytes()[:24])
    with pytest.raises(CaptureOpenError, match="changed while it was read"):
        connection.packets  # noqa: B018


def test_damage_is_told(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(ECHO.read_bytes()[:-7])
    analysis = analyze(cut)
    assert analysis.damage is not None
    assert "cut.pcap" in analysis.damage
    assert analysis.packet_count == 9
    assert analyze(ECHO).damage is None


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_views_say_what_the_records_say(path: Path) -> None:
    analysis = analyze(path)
    expected = records(path)
    assert [one.record() for one in analysis.connections] == expected
    packets = [record for record in records(path, "--records", "packets") if record["connection"]]
    for connection, record in zip(analysis.connections, expected, strict=True):
        assert [connection.client, connection.server] == [Endpoint(**record[side]) for side in get_args(SideName)]
        for name in ("number", "protocol", "first_ns", "last_ns", "client_state", "server_state", "cause", "verdict"):
            assert getattr(connection, name) == record.get(name, record["connection"])
        assert connection.client_sent.packets + connection.server_sent.packets == len(connection.packets)
        assert connection.evidence == tuple(record["evidence"] or ())
        own = [record for record in packets if record["connection"] == connection.number]
        names = {
            "number": "packet", "ts_ns": "ts_ns", "sender": "sender", "phase": "phase", "ack": "ack",
            "client_state": "client_state", "server_state": "server_state", "window": "window",
            "payload_len": "payload_len",
        }  # fmt: skip
        if connection.protocol == "udp":
            assert (connection.lifecycle, connection.states.client, connection.events) == ("", (), ())
            continue
        for packet, of_export in zip(connection.packets, own, strict=True):
            assert {name: getattr(packet, name) for name in names} == {
                name: of_export[theirs] for name, theirs in names.items()
            }
            assert (packet.flags, list(packet.events)) == (of_export["flags"], of_export["events"])
            assert packet.seq == of_export["seq"]
        assert (connection.states.client[-1], connection.states.server[-1]) == (
            connection.client_state,
            connection.server_state,
        )
        phases = [name for name, span in record["phases"].items() if span["packets"]]
        assert connection.lifecycle.split() == phases
        assert [event.packet for event in connection.events] == [
            packet["packet"] for packet in own for _event in packet["events"]
        ]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_what_sides_said_is_what_follow_gives(path: Path) -> None:
    for connection in analyze(path).connections:
        for side in get_args(SideName):
            raw = CliRunner().invoke(follow, [str(path), "-c", str(connection.number), "--raw", side, "-o", "-"])
            assert connection.bytes_from(side, gaps=b"") == raw.stdout_bytes


def test_octets_that_are_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "gap.pcap", [
        *OPENING,
        Said(CLIENT, 0, b"before"),
        Said(CLIENT, 9, b"behind"),
        Said(SERVER, 0, b"x" * 100, ack=15, captured=54 + 40),
        *closing(15, 100),
    ])  # fmt: skip
    (connection,) = analyze(path).connections
    for side in get_args(SideName):
        with pytest.raises(MissingOctetsError, match="bytes are not in the capture"):
            connection.bytes_from(side)
    assert connection.bytes_from("client", gaps=b"\0") == b"before\0\0\0behind"
    assert connection.bytes_from("client", gaps=b"") == b"beforebehind"
    server = connection.bytes_from("server", gaps=b"?")
    assert len(server) == 100
    assert set(server) == {ord("x"), ord("?")}


def test_the_ladder_is_that_of_read() -> None:
    whole = CliRunner().invoke(read, [str(ECHO), "--no-calls"], env={"COLUMNS": "80"}).stdout
    (connection,) = analyze(ECHO).connections
    assert connection.ladder(80) in whole
    assert analyze(ECHO).summary(80).splitlines()[0] in whole


def test_connections_are_a_sequence() -> None:
    connections = analyze(MADE / "select-5000.pcapng").connections
    assert len(connections) > 2
    assert connections[-1] == connections[len(connections) - 1]
    assert connections[:2] == [connections[0], connections[1]]
    assert len({*connections, *connections}) == len(connections)
    assert connections[0] != analyze(ECHO).connections[0]
    with pytest.raises(IndexError):
        connections[len(connections)]
    packets = connections[0].packets
    assert packets[-1] == list(packets)[-1] == packets[len(packets) - 1]
    assert packets[:2] == [packets[0], packets[1]]
    with pytest.raises(IndexError):
        packets[len(packets)]


def test_choosing_connections() -> None:
    connections = analyze(MADE / "select-5000.pcapng").connections
    assert connections.of(port=5000) == list(connections)
    assert connections.of(port=connections[1].client.port) == [connections[1]]
    assert connections.of(host="192.0.2.1", port=5000) == []
    assert connections.of(protocol="udp") == []
    for wrong in ({"port": "5000"}, {"protocol": "TCP"}):
        with pytest.raises(UsageError, match="a port is a number"):
            connections.of(**wrong)
    assert [one.number for one in analyze(MADE / "select-5000.pcapng", f"port {connections[1].client.port}").connections
            ] == [1]  # fmt: skip


@pytest.mark.parametrize("most", [0, 1, 25, 10**6])
def test_whatever_is_kept_together(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the same, in whatever order and however few connections are read at a time."""
    path = MADE / "select-5000.pcapng"
    expected = [(one.record(), list(one.packets), one.bytes_from("client")) for one in analyze(path).connections]
    monkeypatch.setattr(analysis_module, "_BLOCK_CONNECTIONS", max(most, 1))
    monkeypatch.setattr(analysis_module, "_BLOCK_PACKETS", most)
    monkeypatch.setattr(analysis_module, "_BLOCK_OCTETS", most)
    connections = analyze(path).connections
    for row in reversed(range(len(connections))):
        one = connections[row]
        assert (one.record(), list(one.packets), one.bytes_from("client")) == expected[row]


def test_few_passes_over_the_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    lives = analysis_module.lives
    monkeypatch.setattr(analysis_module, "lives", lambda *given, **named: passes.append(1) or lives(*given, **named))
    for connection in analyze(MADE / "select-5000.pcapng").connections:
        assert connection.packets
        assert connection.states
    assert len(passes) == 1


def test_no_compile_for_many_small_captures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "_expected_now", jit.COLD_PACKETS)
    analyze(ECHO)
    assert jit._expected_now < 1_000


def test_a_record_is_the_callers() -> None:
    (connection,) = analyze(ECHO).connections
    connection.record()["client"]["port"] = 0
    assert connection.record()["client"]["port"] == 48994


def test_texts() -> None:
    analysis = analyze(ECHO)
    (connection,) = analysis.connections
    assert str(connection) == "1: 127.0.0.1:48994 → 127.0.0.1:1235, closed_by_server"
    assert repr(connection) == f"<Connection {connection}>"
    assert repr(analysis) == f"<Analysis of {ECHO}: 10 packets, 1 connections>"
    assert str(Endpoint("::1", 80)) == "[::1]:80"
    assert str(connection.phases) == "handshake data teardown"


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    script = "import sys, analyzer; print([name for name in sys.modules if name.startswith(('analyzer', 'numpy'))])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "['analyzer']\n"


def test_every_public_name_is_there() -> None:
    for name in analyzer.__all__:
        assert getattr(analyzer, name).__name__ == name
    assert set(analyzer.__all__) <= set(dir(analyzer))
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        analyzer.analyse  # noqa: B018
    assert analyzer.Analysis is Analysis
