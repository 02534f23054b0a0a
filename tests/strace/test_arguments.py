"""Values as strace writes them."""

from __future__ import annotations

import pytest

from analyzer.strace.arguments import Descriptor, end_of, number, octets, sockaddr, split, strings


@pytest.mark.parametrize(
    ("text", "arguments", "rest"),
    [
        (") = 0", [], " = 0"),
        ("3, 5)        = 0", ["3", "5"], "        = 0"),
        ('3, "a, b)\\" = 1", 6) = 6', ["3", '"a, b)\\" = 1"', "6"], " = 6"),
        ("[{iov_base=\"a\", iov_len=1}, {}], 2) = 1", ['[{iov_base="a", iov_len=1}, {}]', "2"], " = 1"),
        ("1</tmp/a(b, c]>, \"\", 0) = 0", ["1</tmp/a(b, c]>", '""', "0"], " = 0"),
        ("3<TCP:[127.0.0.1:1->127.0.0.1:2]>, 1) = 0", ["3<TCP:[127.0.0.1:1->127.0.0.1:2]>", "1"], " = 0"),
        ("1</dev/null<char 1:3>>, \"x\", 1) = 1", ["1</dev/null<char 1:3>>", '"x"', "1"], " = 1"),
        ("-1, 0x7ffc /* 3 vars, 2) */) = 3", ["-1", "0x7ffc /* 3 vars, 2) */"], " = 3"),
        ("1<<3, 2) = 0", ["1<<3", "2"], " = 0"),
    ],
)  # fmt: skip
def test_arguments_are_parted(text: str, arguments: list[str], rest: str) -> None:
    assert split(text) == (arguments, rest)


def test_what_never_ends_is_no_arguments() -> None:
    assert split('3, "abc') is None


@pytest.mark.parametrize(
    ("quoted", "expected"),
    [
        ("abc", b"abc"),
        (r"a\0\377\"\n1\\", b'a\0\xff"\n1\\'),
        (r"\t\v\f\r", b"\t\v\f\r"),
        (r"\1231", b"S1"),
        (r"\x61\x62\x00", b"ab\0"),
        ("ü", "ü".encode()),
    ],
)
def test_strings_have_octets(quoted: str, expected: bytes) -> None:
    assert octets(quoted) == expected


def test_cut_strings_say_so() -> None:
    assert strings('3, "ab"..., [{iov_base="c"}]') == [(b"ab", True), (b"c", False)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("3", (3, "", None, None, None, False)),
        ("3<socket:[1234]>", (3, "", None, None, 1234, False)),
        ("3<TCP:[1234]>", (3, "TCP", None, None, 1234, False)),
        ("3<TCP:[0.0.0.0:80]>", (3, "TCP", (bytes(4), 80), None, None, False)),
        ("3<UDP:[127.0.0.1:5->127.0.0.1:6]>", (3, "UDP", (b"\x7f\0\0\1", 5), (b"\x7f\0\0\1", 6), None, False)),
        ("4<TCPv6:[[::1]:5->[::1]:6]>", (4, "TCP", (bytes(15) + b"\1", 5), (bytes(15) + b"\1", 6), None, False)),
        ("4<TCPv6:[[::ffff:127.0.0.1]:5->[::ffff:127.0.0.1]:6]>",
         (4, "TCP", (b"\x7f\0\0\1", 5), (b"\x7f\0\0\1", 6), None, False)),
        ("5<UNIX-STREAM:[11->12]>", (5, "", None, None, None, True)),
        ("6</etc/hosts>", (6, "", None, None, None, True)),
        ("7<pipe:[99]>", (7, "", None, None, None, True)),
        ("AT_FDCWD", (-1, "", None, None, None, False)),
    ],
)  # fmt: skip
def test_descriptors_say_what_they_are(text: str, told: tuple[object, ...]) -> None:
    fd = Descriptor(text)
    assert (fd.number, fd.protocol, fd.local, fd.remote, fd.inode, fd.is_other) == told


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ('{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}', (b"\x7f\0\0\1", 80)),
        (r'{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("\x31\x2e\x32\x2e\x33\x2e\x34")}',
         (b"\1\2\3\4", 80)),
        ('{sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), '
         "sin6_scope_id=0}", (bytes(15) + b"\1", 80)),
        ('{sa_family=AF_UNIX, sun_path="/run/x"}', None),
        ("0x7ffd", None),
        ('{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("nonsense")}', None),
    ],
)  # fmt: skip
def test_addresses_are_read(text: str, end: object) -> None:
    assert sockaddr(text) == end


def test_ends_and_numbers_that_are_none() -> None:
    assert end_of("nonsense") is None
    assert end_of("127.0.0.1:http") is None
    assert [number(text) for text in ("12", "-1", "0x10", "010", "?", "3<TCP:[1]>")] == [12, -1, 16, 8, None, 3]
