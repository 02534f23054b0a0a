"""Programs that listen and do not accept."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from analyzer.explain.causes import Cause
from analyzer.explain.listening import Queued
from analyzer.explain.seen_calls import SeenCalls
from analyzer.explain.seen_ends import How, SeenEnd, seen_end, unaccepted
from analyzer.pipeline import survey
from analyzer.render.listening import never_accepted
from analyzer.tables import Side
from tests.cli.spoken import CLIENT, OPENING, SERVER, Said, packets, write
from tests.explain.test_seen_calls import drawn, seen

BEGAN_S = 1_600_000_000
RST = 0x14


def at(second: int, said: list[Said]) -> list[Said]:
    """The same so many seconds after all began."""
    return [said[0]._replace(wait_ns=(BEGAN_S + second) * 10**9), *said[1:]]


WAITED = at(10, [*OPENING, Said(CLIENT, 0, b"hello"), Said(SERVER, 0, flags=0x10, ack=5)])
UNANSWERED = at(11, [Said(CLIENT, -1, flags=2), Said(CLIENT, -1, flags=2, wait_ns=10**9)])
RESET = [*WAITED, Said(SERVER, 0, flags=RST, ack=5, wait_ns=5 * 10**9)]

LISTENS = """\
7 {0}.000000 execve("/usr/bin/php", ["php", "server.php"], 0x7f /* 9 vars */) = 0
7 {0}.100000 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4
7 {0}.200000 bind(4, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{address}")}}, 16) = 0
7 {0}.300000 listen(4, {backlog}) = 0
"""
CLOSES = "7 {}.000000 close(4) = 0\n"
KILLED = "7 {}.000000 +++ killed by SIGKILL +++\n"
ACCEPTS = '7 {}.000000 accept(4, {{sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.9")}}, [16]) = 5\n'


def capture(folder: Path, *spoken: list[Said]) -> Path:
    """Connections of clients at ports 40000, 40001, …"""
    path = write(folder / "a.pcap", spoken[0])
    path.write_bytes(path.read_bytes() + b"".join(packets(one, 40_001 + k) for k, one in enumerate(spoken[1:])))
    return path


def server_of(path: Path) -> tuple[str, int]:
    row = survey(str(path)).connections[0]
    return socket.inet_ntoa(int(row["address"][7]).to_bytes(4)), int(row["server_port"])


def watched(path: Path, *after: str, backlog: int = 0, since: int = 0, address: str = "") -> SeenCalls:
    own, port = server_of(path)
    began = LISTENS.format(BEGAN_S + since, port=port, backlog=backlog, address=address or own)
    return seen(str(path), began + "".join(after))


def test_a_program_that_never_accepts(tmp_path: Path) -> None:
    path = capture(tmp_path, RESET, UNANSWERED)
    found = watched(path, CLOSES.format(BEGAN_S + 15))
    assert found.numbers == [1, 2]
    waits, refused = found.queued[1], found.queued[2]
    assert (waits.is_established, waits.met_full_queue) == (True, False)
    assert (refused.is_established, refused.met_full_queue) == (False, True)
    assert sorted(drawn(found.of(1))) == sorted([
        (1, "socket()", "= 4", False), (1, f"bind {':'.join(map(str, server_of(path)))}", "= 0", False),
        (1, "listen(0)", "= 0", False), (3, "accept() not called", "", True),
        (6, "close 4, the listening socket", "= 0", False),
    ])  # fmt: skip
    assert {call.process for call in found.of(1)} == {"server.php (7)"}
    assert found.of(2) == []
    assert found.apart() == []
    told = never_accepted(waits.listener, found.queued.values(), "server.php (7)")
    assert told.endswith(
        "(backlog 0) and never called accept(): 1 connection waited in its queue, 1 found the queue full."
    )
    told = unaccepted(Cause.UNANSWERED, 7, refused, None, "server.php (7)")
    assert told.startswith("No SYN-ACK answered the client's SYN (packet 7): server.php (7) listens on port ")
    assert "its accept queue was full" in told
    told = unaccepted(Cause.ABORTED_BY_SERVER, 1, waits, SeenEnd(Side.SERVER, How.CLOSED, 6), "server.php (7)")
    assert "(RST in packet 6): strace saw server.php (7) call close() while the connection waited" in told
    assert unaccepted(Cause.OPEN, 1, waits, None, "x").startswith(
        "The connection waited in the accept queue: x listens"
    )


def test_a_program_that_is_killed_while_connections_wait(tmp_path: Path) -> None:
    found = watched(capture(tmp_path, RESET), KILLED.format(BEGAN_S + 15))
    end = seen_end(Side.SERVER, found.sided(1)[0].ties, found.packets(1))
    assert end == SeenEnd(Side.SERVER, How.KILLED, 6, "SIGKILL", pid=7)


def test_a_reset_before_the_socket_was_closed_is_not_its(tmp_path: Path) -> None:
    found = watched(capture(tmp_path, RESET), CLOSES.format(BEGAN_S + 60))
    assert [call.told for call in found.of(1) if call.told.startswith("close")] == []


def test_a_queue_with_room_is_not_called_full(tmp_path: Path) -> None:
    found = watched(capture(tmp_path, WAITED, UNANSWERED), CLOSES.format(BEGAN_S + 60), backlog=1)
    one = found.queued[2]
    assert not one.met_full_queue
    assert "A firewall dropped the SYN, its accept queue was full, or" in unaccepted(
        Cause.UNANSWERED, 6, one, None, "x"
    )


def test_one_that_accepts_others(tmp_path: Path) -> None:
    found = watched(capture(tmp_path, WAITED), ACCEPTS.format(BEGAN_S + 5), CLOSES.format(BEGAN_S + 60))
    assert [call.told for call in found.of(1)] == ["not accepted"]
    told = never_accepted(found.listeners[0], found.queued.values(), "x")
    assert "did not accept all that came: 1 connection waited" in told


ANSWERED = [*WAITED, Said(SERVER, 0, b"hi", ack=5)]


@pytest.mark.parametrize(
    ("said", "since", "after"),
    [
        (ANSWERED, 0, CLOSES.format(BEGAN_S + 60)),  # somebody accepted it
        (WAITED, 20, CLOSES.format(BEGAN_S + 60)),  # it listened later
        (WAITED, 0, CLOSES.format(BEGAN_S + 5)),  # it had been closed
        (WAITED, 0, ""),  # the log had ended
        (WAITED, 0, f"7 {BEGAN_S + 1}.000000 clone(flags=SIGCHLD) = 8\n" + CLOSES.format(BEGAN_S + 60)),
        (WAITED, 0, f"7 {BEGAN_S + 1}.000000 accept(4, NULL, NULL) = 5\n" + CLOSES.format(BEGAN_S + 60)),
    ],
)  # fmt: skip
def test_what_the_log_does_not_tell_is_not_said(tmp_path: Path, said: list[Said], since: int, after: str) -> None:
    assert watched(capture(tmp_path, said), after, since=since).queued == {}


def test_another_machine_s_server_on_the_same_port_is_none_of_this_program(tmp_path: Path) -> None:
    path, closes = capture(tmp_path, WAITED), CLOSES.format(BEGAN_S + 60)
    assert watched(path, closes, address="192.0.2.99").queued == {}
    assert watched(path, closes, address="0.0.0.0").queued == {}
    own = f"7 {BEGAN_S + 1}.000000 getsockname(5<TCP:[{server_of(path)[0]}:9->192.0.2.9:9]>, NULL) = 0\n"
    assert list(watched(path, own, closes, address="0.0.0.0").queued) == [1]


def test_a_port_that_may_be_shared_tells_nothing(tmp_path: Path) -> None:
    shared = f"7 {BEGAN_S}.400000 setsockopt(4, SOL_SOCKET, SO_REUSEPORT, [1], 4) = 0\n"
    assert watched(capture(tmp_path, WAITED), shared, CLOSES.format(BEGAN_S + 60)).queued == {}


def test_a_log_without_times_tells_nothing(tmp_path: Path) -> None:
    path = capture(tmp_path, WAITED)
    own, port = server_of(path)
    lines = LISTENS.format(BEGAN_S, port=port, backlog=0, address=own).splitlines()
    assert seen(str(path), "\n".join(f"7 {line.split(' ', 2)[2]}" for line in lines)).queued == {}


def test_an_established_connection_is_none_that_met_a_full_queue(tmp_path: Path) -> None:
    found = watched(capture(tmp_path, WAITED), CLOSES.format(BEGAN_S + 60))
    assert not Queued(found.listeners[0], True, 9).met_full_queue
    assert Queued(found.listeners[0], False, 1).met_full_queue
