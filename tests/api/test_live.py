"""live(): from the first SYN on, all that was sent, and what is owed for it; files and threads are gone afterwards."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import socket
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import analyzer
from analyzer import Analysis, Connection, Recording, analyze, jit, live
from analyzer.api import live as place
from analyzer.capture import live as capturing
from analyzer.errors import AnalyzerError, CaptureOpenError, FilterError, UsageError
from tests.capture.namespaces import PATIENCE, converse, ip, namespace, needs_root, pair, send

pytestmark = needs_root


@pytest.fixture(autouse=True)
def loopback() -> Iterator[None]:
    """A namespace with nothing but loopback."""
    with namespace():
        yield


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], object], address: str = "127.0.0.1") -> Iterator[int]:
    """A server of one connection in a thread; gives its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        thread = threading.Thread(target=lambda: serve(listener.accept()[0]))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def echo(taken: socket.socket) -> None:
    with taken:
        while octets := taken.recv(1000):
            taken.sendall(octets)


def until(told: threading.Event) -> Callable[[socket.socket], None]:
    """A server that closes when it is told to."""

    def serve(taken: socket.socket) -> None:
        with taken:
            told.wait()

    return serve


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((address, port), PATIENCE)


def ask(port: int, address: str = "127.0.0.1") -> None:
    with connect(port, address) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


GONE = "near: the interface is gone; what came afterwards was not captured"


def the_only(capture: Recording) -> Connection:
    [connection] = capture.connections
    return connection


@pytest.mark.parametrize("interface", ["lo", "any"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_whole_life(address: str, interface: str) -> None:
    with serving(echo, address) as port:
        with live(interface, f"port {port}") as capture:
            ask(port, address)
        connection = the_only(capture)
    assert capture.unsettled == ()
    assert str(connection.phases) == "handshake data teardown"
    assert (connection.client_state, connection.server_state) == ("TIME-WAIT", "CLOSED")
    assert connection.bytes_from("server") == b"hello"
    assert connection.packets[0].flags == "S"
    assert len(capture.packets) == len(connection.packets)
    assert capture.analysis.path == interface
    assert capture.dropped == 0


def test_looking_while_it_goes_on() -> None:
    with serving(echo) as port, live() as capture:
        assert list(capture.connections) == []
        with connect(port) as client:
            opened = the_only(capture)
            assert (opened.client_state, opened.server_state) == ("ESTABLISHED", "ESTABLISHED")
            assert capture.analysis is capture.analyze()
            client.sendall(b"hello")
            client.recv(100)
            assert the_only(capture).bytes_from("client") == b"hello"
        assert the_only(capture).closed_by == "client"
        # What was found before stays what it was, and can still be looked at.
        assert opened.closed_by is None
        assert len(opened.packets) == 3
        assert len(opened.ladder()) < len(the_only(capture).ladder())
    assert the_only(capture).closed_by == "client"


def test_it_can_be_looked_at_long_after() -> None:
    def captured() -> Connection:
        with serving(echo) as port, live() as capture:
            ask(port)
        return the_only(capture)

    connection = captured()
    gc.collect()
    assert len(connection.packets) >= 9
    assert connection.bytes_from("client") == b"hello"


def test_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ask_once()
    gc.collect()
    before, threads = open_files(), threading.active_count()
    for _ in range(3):
        ask_once()
    gc.collect()
    assert open_files() == before
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []


def ask_once() -> None:
    with serving(echo) as port, live() as capture:
        ask(port)
        assert len(the_only(capture).packets) >= 9


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_file_of_it(tmp_path: Path) -> None:
    with serving(echo) as port, live() as capture:
        ask(port)
        capture.settle()
        capture.save(tmp_path / "before.pcap")
    capture.save(tmp_path / "after.pcap")
    assert (tmp_path / "before.pcap").read_bytes() == (tmp_path / "after.pcap").read_bytes()
    assert len(analyze(tmp_path / "after.pcap").connections) == 1


# ---------------------------------------------------------------- what is waited for


def test_a_delayed_acknowledgement_is_waited_for() -> None:
    held: list[socket.socket] = []
    with serving(held.append) as port, live() as capture, connect(port) as client:
        client.sendall(b"hello")
        last = the_only(capture).packets[-1]
        assert last.sender == "server"
        assert last.ack == 6
        assert capture.settle(0)
    held.pop().close()


def test_a_side_that_closes_later_is_waited_for() -> None:
    told = threading.Event()
    with serving(until(told)) as port, live() as capture:
        connect(port).close()
        assert not capture.settle(0)
        [missing] = capture.unsettled
        assert missing == f"connection 1: 127.0.0.1:{port} has not closed"
        threading.Timer(0.05, told.set).start()
        assert the_only(capture).server_state == "CLOSED"
        assert capture.unsettled == ()


def test_what_does_not_come_is_not_waited_for_longer() -> None:
    held: list[socket.socket] = []
    with serving(held.append) as port:
        with live(patience=0) as capture:
            connect(port).close()
            assert the_only(capture).server_state == "CLOSE-WAIT"
        assert capture.unsettled == (f"connection 1: 127.0.0.1:{port} has not closed",)
    held.pop().close()


def test_a_syn_that_nobody_answers() -> None:
    with socket.socket() as full, live(patience=0) as capture:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with connect(port), socket.socket() as waiting:
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
            assert len(capture.connections) == 2
            told = f"connection 2: 127.0.0.1:{port} has not acknowledged all that was sent to it"
            assert told in capture.unsettled


def test_what_comes_to_be_owed_meanwhile_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told, held = threading.Event(), list[socket.socket]()
    with serving(until(told)) as port, live(patience=0) as capture:
        connect(port).close()
        await_more = capture._await_more

        def another_begins_to_end(analysis: Analysis, until: float) -> None:
            if not told.is_set():
                with serving(held.append) as other:
                    connect(other).close()
                told.set()
            await_more(analysis, until)

        monkeypatch.setattr(capture, "_await_more", another_begins_to_end)
        assert capture.settle(60)
        assert len(capture.so_far()) == 2
        assert not capture.settle(0)
    held.pop().close()


def test_markers_are_not_in_it_and_pass_every_filter() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        for expression in ("", "tcp", "udp", f"udp port {sink.getsockname()[1]}", "vlan 5 and tcp", "inbound and udp"):
            with live("lo", expression) as capture:
                send("127.0.0.1", sink.getsockname()[1], b"datagram")
                assert capture.settle()
            assert len(capture.packets) == (expression == "" or "udp" in expression)


def test_connections_that_were_there_before() -> None:
    with serving(echo) as port, connect(port) as old:
        with live() as everything, live(opened_only=True) as opened:
            old.sendall(b"hello")
            old.recv(100)
            with serving(echo) as other:
                ask(other)
        assert [one.server.port for one in everything.connections] == [port, other]
        assert [one.server.port for one in opened.connections] == [other]
        assert [one.number for one in opened.connections] == [2]
        assert opened.connections.of(port=port) == []
        assert len(opened.connections.table().splitlines()) == 2
        assert opened.connections[-1] == opened.connections[0] == opened.connections[:1][0]


@pytest.mark.parametrize("expression", ["tcp", "tcp and not vlan 5"], ids=["in_linux", "here"])
def test_an_interface_that_is_not_loopback(expression: str) -> None:
    with pair() as there, live("near", expression) as capture:
        send("10.9.0.2", 7, b"datagram")
        converse("10.9.0.2", 3, there)
        assert len(capture.connections) == 3
        send("10.9.0.2", 7, b"datagram")
        assert capture.settle()
    assert capture.unsettled == ()
    assert [str(one.phases) for one in capture.connections] == ["handshake data teardown"] * 3
    assert {one.server.address for one in capture.connections} == {"10.9.0.2"}


# ---------------------------------------------------------------- what may go wrong


def test_errors_before_the_first_packet() -> None:
    with pytest.raises(FilterError, match="filter “tpc”"), live("lo", "tpc"):
        pass
    with pytest.raises(CaptureOpenError, match="eth7: no such interface; there are any, lo"), live("eth7"):
        pass
    with pytest.raises(UsageError, match="there is no capture before its block"):
        live().connections  # noqa: B018
    ip("link", "set", "lo", "down")
    with pytest.raises(CaptureOpenError, match="the interface is down"), live():
        pass


def test_an_error_of_the_thread_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise AnalyzerError("the disk is full")

    monkeypatch.setattr(place.CaptureWriter, "write", full)
    with serving(echo) as port:
        capture = live()
        with pytest.raises(AnalyzerError, match="the disk is full"), capture:
            ask(port)
        with pytest.raises(AnalyzerError, match="the disk is full"):
            capture.so_far()


def test_an_error_of_the_block_is_what_is_raised() -> None:
    with serving(echo) as port:
        capture = live(patience=60)
        with pytest.raises(ZeroDivisionError), capture:
            fail_after(ask, port)
    assert capture.connections[0].server.port == port


def fail_after(call: Callable[[int], None], port: int) -> None:
    call(port)
    raise ZeroDivisionError


def test_an_interface_that_vanishes() -> None:
    with pair() as there:
        with live("near") as capture:
            converse("10.9.0.2", 1, there)
            assert capture.settle()
            ip("link", "delete", "near")
            capture._thread.join()
            assert not capture.settle()
            assert capture.unsettled == (GONE,)
        assert capture.unsettled == (GONE,)
    assert len(capture.connections.of(protocol="tcp")) == 1


def test_an_interface_that_vanishes_while_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pair() as _far, live("near") as capture:
        taken = capture._take_all

        def vanishing() -> bool:
            ip("link", "delete", "near")
            capture._thread.join()
            return taken()

        monkeypatch.setattr(capture, "_take_all", vanishing)
        assert not capture.settle()
        assert capture.unsettled == (GONE,)


def test_an_interface_that_goes_down() -> None:
    with live() as capture:
        ip("link", "set", "lo", "down")
        capture._thread.join()
    assert capture.unsettled == ("lo: the interface went down; what came afterwards was not captured",)


def test_one_block_each() -> None:
    with live() as capture, pytest.raises(UsageError, match=r"had its block; for another one call live\(…\) again"):
        capture.__enter__()
    capture.so_far()
    with pytest.raises(UsageError, match="had its block"), capture:
        pass


@pytest.mark.parametrize(
    "ask_for",
    [
        lambda capture: capture.stop(), lambda capture: capture.dropped, lambda capture: capture.save("x.pcap"),
        lambda capture: capture.settle(), lambda capture: capture.so_far(), lambda capture: capture.packets,
        lambda capture: capture.analysis,
    ],
    ids=["stop", "dropped", "save", "settle", "so_far", "packets", "analysis"],
)  # fmt: skip
def test_there_is_nothing_before_the_block(
    ask_for: Callable[[Recording], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no capture before its block"):
        ask_for(live())
    assert list(tmp_path.iterdir()) == []


def test_markers_that_come_late_are_forgotten() -> None:
    with live() as capture:
        capture._markers.send()
        assert capture.settle()
        capture._markers.send()
        assert capture._take_all()
        assert capture._seen == set()
        assert capture.settle()


def test_a_child_process_ends_nothing() -> None:
    with serving(echo) as port, live() as capture:
        child = os.fork()
        if not child:
            capture.stop()
            os._exit(0)
        os.waitpid(child, 0)
        ask(port)
        assert the_only(capture).closed_by == "client"


def test_nothing_is_changed_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_arguments: object, **_named: object) -> None:
        raise AssertionError("a process")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(capturing, "rehearse", started)
    monkeypatch.setattr("analyzer.capture.ahead.PATIENCE_S", 0)
    with serving(echo) as port, live() as capture:
        ask(port)
        assert capture.settle()
    assert not jit._only_from_disk


def test_names_are_what_they_were() -> None:
    code = (
        "import analyzer, analyzer.capture.live, analyzer.cli.live; from analyzer import live; print(live.__module__)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "analyzer.api.live"
    assert analyzer.live is place.live


# ---------------------------------------------------------------- the file


def test_a_part_of_a_file_that_grows() -> None:
    stored = place._Stored()
    with stored.writer(1) as _writer:
        whole = stored.size()
        part = place._Past(stored, whole - 4, "lo")
        buffered = io.BufferedReader(part)
        assert len(buffered.read()) == whole - 4
        assert part.tell() == part.seek(0, os.SEEK_END) == whole - 4
        assert part.read(1) == b""
        part.seek(-4, os.SEEK_CUR)
        assert part.read() == place._Past(stored, whole, "lo").read()[-8:-4]
        assert struct.unpack("<I", place._Past(stored, whole, "lo").read(4)) == (0xA1B23C4D,)
    gone = weakref.ref(stored)
    descriptor = stored.descriptor
    del stored, part, buffered
    gc.collect()
    assert gone() is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
