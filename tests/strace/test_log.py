"""Lines of strace logs, in all its forms."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.strace.log import Began, Clock, Ended, Signal, SystemCall, parse
from analyzer.strace.sockets import Deed, SocketCall, Sockets

SECOND = 1_000_000_000

TALK = Path(__file__).with_name("talk.py")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def calls_of(text: str) -> list[SystemCall]:
    return [record for record in parse(text.splitlines())[1] if isinstance(record, SystemCall)]


@pytest.mark.parametrize(
    ("head", "pid", "clock", "ts_ns", "precision_ns"),
    [
        ("", 0, Clock.NONE, 0, SECOND),
        ("22579 ", 22579, Clock.NONE, 0, SECOND),
        ("[pid 22579] ", 22579, Clock.NONE, 0, SECOND),
        ("1795179768.916334 ", 0, Clock.UNIX, 1795179768_916334000, 1_000),
        ("1795179768 ", 0, Clock.UNIX, 1795179768 * SECOND, SECOND),
        ("1795179768.916 ", 0, Clock.UNIX, 1795179768_916000000, 1_000_000),
        ("1795179768.916334123 ", 0, Clock.UNIX, 1795179768_916334123, 1),
        ("22579 1795179768.916334 ", 22579, Clock.UNIX, 1795179768_916334000, 1_000),
        ("22579 1795179768 ", 22579, Clock.UNIX, 1795179768 * SECOND, SECOND),
        ("[pid   579] 13:02:49 ", 579, Clock.DAY, (13 * 3600 + 2 * 60 + 49) * SECOND, SECOND),
        ("579   13:02:49.802517 ", 579, Clock.DAY, (13 * 3600 + 2 * 60 + 49) * SECOND + 802517000, 1_000),
        ("     0.000224 ", 0, Clock.RELATIVE, 224_000, 1_000),
        ("22717      0.000224 ", 22717, Clock.RELATIVE, 224_000, 1_000),
        ("     2 ", 0, Clock.RELATIVE, 2 * SECOND, SECOND),
        ("13:02:49 (+     0.000224) ", 0, Clock.DAY, (13 * 3600 + 2 * 60 + 49) * SECOND, SECOND),
        ("22936 1795179774.965299 [  45] [00007fb296928929] ", 22936, Clock.UNIX, 1795179774_965299000, 1_000),
        ("[00007fb296928929] ", 0, Clock.NONE, 0, SECOND),
    ],
)
def test_heads(head: str, pid: int, clock: Clock, ts_ns: int, precision_ns: int) -> None:
    log, records = parse([f'{head}write(3, "a", 1)             = 1\n'])
    (call,) = records
    assert isinstance(call, SystemCall)
    assert (call.pid, log.clock, call.ts_ns, log.precision_ns) == (pid, clock, ts_ns, precision_ns)
    assert (call.name, call.arguments, call.value, log.unreadable) == ("write", ["3", '"a"', "1"], 1, 0)


def test_relative_times_add_up_and_days_end() -> None:
    assert [call.ts_ns for call in calls_of("     0.5 a() = 0\n     0.25 b() = 0")] == [SECOND // 2, SECOND * 3 // 4]
    late, early = calls_of("23:59:59 a() = 0\n00:00:01 b() = 0")
    assert early.ts_ns - late.ts_ns == 2 * SECOND


@pytest.mark.parametrize(
    ("told", "result", "errno", "duration_ns"),
    [
        ("= 5", "5", "", None),
        ("= 3<TCP:[127.0.0.1:80]>", "3<TCP:[127.0.0.1:80]>", "", None),
        ("= -1 EAGAIN (Resource temporarily unavailable)", "-1", "EAGAIN", None),
        ("= -1 EPIPE (Broken pipe) <0.000012>", "-1", "EPIPE", 12_000),
        ("= ? ERESTARTSYS (To be restarted if SA_RESTART is set)", "?", "ERESTARTSYS", None),
        ("= ?", "?", "", None),
        ("= ? <unavailable>", "?", "", None),
        ("= 0 (Timeout) <1.001>", "0", "", 1_001_000_000),
        ("= 1 ([{fd=3, revents=POLLIN}])", "1", "", None),
        ("= 0x7f1abe266e50", "0x7f1abe266e50", "", None),
    ],
)
def test_results(told: str, result: str, errno: str, duration_ns: int | None) -> None:
    (call,) = calls_of(f'1.0 read(3, "", 1)  {told}')
    assert (call.result, call.errno, call.duration_ns) == (result, errno, duration_ns)


def test_interrupted_calls_are_put_together() -> None:
    first, second, third = calls_of(
        "7 100000001.000000 accept4(3,  <unfinished ...>\n"
        "8 100000001.500000 connect(3, {sa_family=AF_UNIX}, 16) = 0\n"
        "7 100000002.000000 <... accept4 resumed>{sa_family=AF_UNIX}, [16], 0) = 4\n"
        "8 100000002.500000 read(3,  <unfinished ...>) = ?\n"
        "8 100000003.000000 +++ killed by SIGKILL (core dumped) +++\n"
    )
    assert (first.name, first.pid) == ("connect", 8)
    assert (second.arguments, second.result, second.ts_ns, second.end_ns, second.line) == (
        ["3", "{sa_family=AF_UNIX}", "[16]", "0"], "4", 100_000_001 * SECOND, 100_000_002 * SECOND, 1,
    )  # fmt: skip
    assert (third.name, third.result, third.arguments) == ("read", "?", ["3"])


def test_times_of_relative_logs_count_from_the_line_before() -> None:
    calls = calls_of('7      1.000000 read(3,  <unfinished ...>\n7      1.000000 <... read resumed>"", 1) = 0')
    assert [(call.ts_ns, call.end_ns) for call in calls] == [(SECOND, 2 * SECOND)]


def test_the_next_line_of_a_process_says_when_a_call_had_returned() -> None:
    first, second = calls_of("1000000000.1 a() = 0\n1000000000.3 b() = 0")
    assert (first.end_ns, second.end_ns) == (second.ts_ns, None)


def test_signals_and_ends() -> None:
    _, records = parse(
        [
            "7 --- SIGPIPE {si_signo=SIGPIPE, si_code=SI_USER, si_pid=7, si_uid=0} ---",
            "7 --- stopped by SIGSTOP ---",
            "7 +++ exited with 3 +++",
        ]
    )
    assert [type(record) for record in records] == [Signal, Signal, Ended]
    assert (records[0].name, records[2].how) == ("SIGPIPE", "exited with 3")  # type: ignore[union-attr]


def test_a_terminal_names_processes_only_where_there_are_several() -> None:
    log, records = parse(
        [
            'execve("/bin/x", ["x"], 0x7ffc /* 9 vars */) = 0',
            "clone(child_stack=NULL, flags=SIGCHLD) = 12",
            "strace: Process 12 attached",
            "[pid    11] close(3) = 0",
            "[pid    12] close(3) = 0",
            "[pid    12] +++ exited with 0 +++",
            "close(4) = 0",
        ]
    )
    assert [record.pid for record in records] == [11, 11, 11, 12, 12, 11]
    assert log.unreadable == 0


def test_a_child_may_be_heard_of_before_its_parent_knows() -> None:
    _, records = parse(["1 clone(flags=CLONE_FILES <unfinished ...>", "2 close(3) = 0", "1 <... clone resumed>) = 2"])
    assert [record for record in records if isinstance(record, Began)] == [Began(2, 0, 1, "clone(flags=CLONE_FILES", 2)]


def test_a_child_may_be_heard_of_before_its_parent_has_a_name() -> None:
    _, records = parse(
        [
            "socket(AF_INET, SOCK_STREAM, 0) = 3",
            "clone(flags=SIGCHLDstrace: Process 12 attached",
            " <unfinished ...>",
            "[pid    12] close(3 <unfinished ...>",
            "[pid    11] <... clone resumed>) = 12",
            "[pid    11] close(3 <unfinished ...>",
            "[pid    12] <... close resumed>) = 0",
            "[pid    11] <... close resumed>) = 0",
        ]
    )
    assert [record for record in records if isinstance(record, Began)] == [Began(12, 0, 11, "clone(flags=SIGCHLD", 4)]
    sockets = Sockets()
    closes = [call for record in records for call in sockets.feed(record) if call.deed == Deed.CLOSE]
    assert [(call.call.pid, call.is_last) for call in closes] == [(12, False), (11, True)]


def test_a_process_that_was_there_before_is_nobodys_child() -> None:
    _, records = parse(
        [
            "strace: Process 5 attached",
            "strace: Process 6 attached",
            "[pid 5] clone(flags=SIGCHLDstrace: Process 7 attached",
            ") = 7",
            "[pid 5] vfork( <unfinished ...>",
            "[pid 6] close(3) = 0",
            "[pid 7] close(3) = 0",
        ]
    )
    assert not [record for record in records if isinstance(record, Began)]


@pytest.mark.parametrize(
    "line",
    ["nonsense", "read(3", "read(3, 1)", "<... read resumed>) = 3", '5 1.0 write(3, "abc', "+++ ???", "\x00\xff", "12"],
)
def test_what_cannot_be_read_is_counted(line: str) -> None:
    log, records = parse(['read(3, "", 1) = 0\n', line + "\n"])
    assert len(records) == 1
    assert (log.unreadable, log.lines) == (1, 2)
    assert log.first_unreadable == (2, line)


@pytest.mark.parametrize(
    "line",
    ["", "strace: Process 12 attached", "Process 12 detached", " > /lib/libc.so(read+0x12) [0x110a8e]",
     " | 00000  68 65 6c 6c 6f  hello |", "[ Process PID=12 runs in 32 bit mode. ]"],
)  # fmt: skip
def test_what_strace_says_besides_is_passed_over(line: str) -> None:
    log, records = parse([line])
    assert (records, log.unreadable) == ([], 0)


# ---------------------------------------------------------------- strace itself

_TRACE = "trace=network,read,write,readv,writev,close,shutdown,dup,dup2,fcntl,clone,fork,vfork,execve"

FORMS = (
    "-f -ttt -yy", "-f -tt -T -y", "-f -t", "-f -r", "-f", "-ff -ttt", "-ff -r -y", "-f -ttt -x -s 3",
    "-f -ttt -xx -yy", "-f --absolute-timestamps=format:unix,precision:ns --relative-timestamps=ms -T",
    "-f --absolute-timestamps=precision:ms", "-f -ttt -i -n -k -s 0", "-f -r --relative-timestamps=s",
    "-f -ttt -e decode-fds=socket", "-f -yy -tt (a terminal)",
)  # fmt: skip


def logs_of(form: str, folder: Path, address: str = "127.0.0.1") -> list[SocketCall]:
    """The socket calls of talk.py as this form of strace tells them."""
    to_terminal = form.endswith("(a terminal)")
    words = form.removesuffix("(a terminal)").split()
    path = folder / "log"
    where = [] if to_terminal else ["-o", str(path)]
    command = ["strace", *words, *where, "-e", _TRACE, sys.executable, str(TALK), address]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=60, check=False)
    if done.returncode and re.search(rb"invalid|unrecognized|not supported|option", done.stderr[:200]):
        pytest.skip(done.stderr.decode().splitlines()[0])
    assert done.returncode == 0, done.stderr
    if to_terminal:
        path.write_bytes(done.stderr)
    found: list[SocketCall] = []
    sockets = Sockets()
    records = []
    for file in sorted(folder.glob("log*")):
        pid = int(file.suffix[1:]) if file.suffix else 0
        log, some = parse(file.read_text(errors="surrogateescape").splitlines(), pid)
        assert log.unreadable == 0, log.first_unreadable
        records += some
    for record in records:
        found += sockets.feed(record)
    return found


def story(calls: list[SocketCall], deeds: set[Deed]) -> list[tuple[str, int, str]]:
    return sorted((one.call.name, one.octets, one.call.errno) for one in calls if one.deed in deeds)


@needs_strace
@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_the_same(form: str, tmp_path: Path) -> None:
    calls = logs_of(form, tmp_path)
    assert sum(one.octets for one in calls if one.deed == Deed.WRITE) == 70
    if "-ff" in form and "-y" not in form:
        return  # descriptors of a child are followed only in a log that tells who made it
    assert sum(one.octets for one in calls if one.deed == Deed.READ) == 70
    deeds = [one.deed for one in calls]
    counts = {Deed.BIND: 1, Deed.LISTEN: 1, Deed.CONNECT: 1, Deed.ACCEPT: 1, Deed.SHUTDOWN: 1, Deed.SOCKET: 2}
    assert {deed: deeds.count(deed) for deed in counts} == counts
    assert story(calls, {Deed.WRITE}) == [("sendmsg", 6, ""), ("sendto", 7, ""), ("write", 5, ""), ("writev", 52, "")]
    assert sum(one.is_last for one in calls) == 3
    assert {one.socket.protocol for one in calls} == {"TCP"}


@needs_strace
def test_ipv6(tmp_path: Path) -> None:
    calls = logs_of("-f -ttt -yy", tmp_path, "::1")
    (client,) = {one.socket for one in calls if one.deed == Deed.CONNECT}
    (accepted,) = {one.socket for one in calls if one.deed == Deed.ACCEPT}
    assert client.local == accepted.remote
    assert client.remote == accepted.local
    assert client.remote is not None
    assert client.remote[0] == bytes(15) + b"\1"
