"""What becomes of each socket: descriptors followed where the log does not say what they are."""

from __future__ import annotations

import random

from analyzer.strace.log import parse
from analyzer.strace.sockets import Deed, Socket, SocketCall, Sockets

LISTENING = """\
1 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3
1 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("0.0.0.0")}, 16) = 0
1 listen(3, 5) = 0
1 accept4(3, {sa_family=AF_INET, sin_port=htons(5000), sin_addr=inet_addr("127.0.0.1")}, [16], 0) = 4
"""


def followed(text: str) -> tuple[Sockets, list[SocketCall]]:
    sockets = Sockets()
    return sockets, [call for record in parse(text.splitlines())[1] for call in sockets.feed(record)]


def deeds(text: str) -> list[tuple[str, Deed, int, bool]]:
    return [(one.call.name, one.deed, one.octets, one.is_last) for one in followed(text)[1]]


def test_an_accepted_socket_has_both_ends() -> None:
    accepted: Socket = followed(LISTENING)[1][-1].socket
    assert (accepted.local, accepted.remote) == ((bytes(4), 80), (b"\x7f\0\0\1", 5000))
    assert accepted.listener is not None
    assert accepted.listener.listens


def test_a_duplicate_keeps_a_socket_open() -> None:
    told = deeds(LISTENING + '1 dup2(4, 9) = 9\n1 close(4) = 0\n1 write(9, "hi", 2) = 2\n1 close(9) = 0\n')
    assert told[4:] == [
        ("dup2", Deed.OTHER, 0, False), ("close", Deed.CLOSE, 0, False), ("write", Deed.WRITE, 2, False),
        ("close", Deed.CLOSE, 0, True),
    ]  # fmt: skip


def test_a_child_holds_what_its_parent_held() -> None:
    told = deeds(LISTENING + '1 fork() = 2\n1 close(4) = 0\n2 write(4, "hi", 2) = 2\n2 +++ exited with 0 +++\n')
    assert told[4:] == [
        ("close", Deed.CLOSE, 0, False), ("write", Deed.WRITE, 2, False), ("exit", Deed.EXIT, 0, True),
    ]  # fmt: skip


def test_a_child_may_speak_before_fork_returns() -> None:
    text = '1 fork( <unfinished ...>\n2 write(4, "hi", 2) = 2\n1 <... fork resumed>) = 2\n1 close(4) = 0\n'
    assert deeds(LISTENING + text)[4:] == [("write", Deed.WRITE, 2, False), ("close", Deed.CLOSE, 0, False)]


def test_threads_share_descriptors() -> None:
    text = "1 clone(flags=CLONE_VM|CLONE_FILES|CLONE_THREAD) = 2\n2 close(4) = 0\n1 read(4, 0x1, 5) = -1 EBADF (Bad)\n"
    assert deeds(LISTENING + text)[4:] == [("close", Deed.CLOSE, 0, True)]
    assert deeds(LISTENING + "1 clone(flags=CLONE_FILES) = 2\n2 +++ exited with 0 +++\n")[4:] == []


def test_execve_closes_what_says_so() -> None:
    sockets, calls = followed(
        LISTENING
        + '1 execve("/bin/cat", ["cat", "x"], 0x7f /* 9 vars */) = 0\n1 read(3, "", 9) = 0\n1 read(4, "a", 9) = 1\n'
    )
    assert [one.call.arguments[0] for one in calls[4:]] == ["4"]
    assert sockets.processes[1].words == ["cat", "x"]


def test_what_is_no_socket_is_counted() -> None:
    sockets, calls = followed(
        'read(0</dev/tty>, "a", 1) = 1\nopenat(AT_FDCWD, "x", O_RDONLY) = 3\nread(3, "a", 1) = 1\nclose(3) = 0\n'
        "socket(AF_UNIX, SOCK_STREAM, 0) = 3\n"
    )
    assert (calls, sockets.elsewhere) == ([], 4)


def test_octets_of_many_messages() -> None:
    text = (
        "1 sendmmsg(4, [{msg_hdr={}, msg_len=5}, {msg_hdr={}, msg_len=2}, {msg_hdr={}}], 3, 0) = 2\n"
        '1 recvfrom(4, "abc", 9, MSG_PEEK, NULL, NULL) = 3\n'
        '1 recvfrom(4, "abc", 9, 0, NULL, NULL) = 3\n'
        "1 sendfile(4, 7, NULL, 100) = 100\n"
        '1 write(4, "a", 1) = -1 EPIPE (Broken pipe)\n'
    )
    assert [octets for _, _, octets, _ in deeds(LISTENING + text)[4:]] == [7, 0, 3, 100, 0]


def test_a_log_that_begins_later_says_what_it_can() -> None:
    _, calls = followed(
        '1 read(7<TCP:[127.0.0.1:80->127.0.0.1:5000]>, "a", 1) = 1\n'
        '1 write(8<TCP:[127.0.0.1:80->127.0.0.1:5000]>, "a", 1) = 1\n'
        '1 write(7<TCP:[127.0.0.1:80->127.0.0.1:6000]>, "a", 1) = 1\n'
        '1 write(9<socket:[77]>, "a", 1) = 1\n'
        "1 close(9</etc/hosts>) = 0\n"
    )
    first, again, other = (one.socket for one in calls)
    assert first is again
    assert first is not other
    assert other.remote == (b"\x7f\0\0\1", 6000)


def test_a_range_of_descriptors_is_closed() -> None:
    assert deeds(LISTENING + "1 close_range(3, 4294967295, 0) = 0\n")[4:] == [
        ("close_range", Deed.CLOSE, 0, True), ("close_range", Deed.CLOSE, 0, True),
    ]  # fmt: skip


def test_no_log_is_too_broken() -> None:
    """Lines that are cut, doubled and mixed up."""
    chance = random.Random(5)
    lines = [
        *LISTENING.splitlines(), "1 fork( <unfinished ...>", "1 <... fork resumed>) = 2",
        '1 execve("/bin/cat", ["cat", "x"], 0x7f /* 9 vars */) = 0', "1 close_range(3, 4294967295, 0) = 0",
        '1 sendmmsg(4, [{msg_hdr={}, msg_len=5}], 1, 0) = 1 <0.000012>', "1 dup2(4, 9) = 9", "1 close(4) = 0",
        '1 write(7<TCP:[127.0.0.1:80->127.0.0.1:6000]>, "a"..., 1) = 1', "1 +++ exited with 0 +++",
    ]  # fmt: skip
    for _ in range(300):
        broken = []
        for line in chance.choices(lines, k=30):
            start, end = sorted((chance.randrange(len(line)), chance.randrange(len(line))))
            middle = chance.choice(
                ("", line[start:end] * 2, chance.choice('()[]{}<>",= 0-\\\x00'), chance.choice(lines))
            )
            broken.append(chance.choice((line, line[:start] + middle + line[end:], line[:end])))
        followed("\n".join(broken))
