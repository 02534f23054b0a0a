"""Files of expectations: where they are looked for, the lines of their keys, what is said of bad ones."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.expect.expectations import (
    CAPTURES,
    COMPRESSED,
    BadExpectations,
    beside,
    is_capture,
    load,
    path_text,
    read,
)

WRITTEN = """\
# a comment = 1
capture.others = "forbidden"

[[connection]]   # the first
server.port = 1235
"closed_by" = "server"
said.client = '''
[[connection]]
closed_by = no
'''
events = { retransmission = 0, reset = "<= 1" }
no = [
    "reset",
]

  [connection.states]
  client = "… CLOSED"

[[ connection ]]
nth = 2
[connection.said.server]
bytes = 5
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("capture", "others"), 2),
        (("connection", 0), 4),
        (("connection", 0, "server", "port"), 5),
        (("connection", 0, "closed_by"), 6),
        (("connection", 0, "said", "client"), 7),
        (("connection", 0, "events", "reset"), 11),
        (("connection", 0, "no"), 12),
        (("connection", 0, "states", "client"), 17),
        (("connection", 1), 19),
        (("connection", 1, "nth"), 20),
        (("connection", 1, "said", "server", "bytes"), 22),
        (("connection", 1, "cause"), 19),
        (("connection", 2), 0),
        (("capture", "damaged"), 0),
    ],
)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    assert read(WRITTEN.encode(), "x").line(path) == line


@given(st.lists(st.lists(st.sampled_from(["cause", "closed_by", "verdict", "name"]), unique=True), max_size=4))
def test_every_key_has_its_line(tables: list[list[str]]) -> None:
    values = {"cause": "refused", "closed_by": "client", "verdict": "SF", "name": "[[connection]] a = 1"}
    lines: list[str] = []
    expected = {}
    for place, keys in enumerate(tables):
        lines += ["", "[[connection]]"]
        expected["connection", place] = len(lines)
        for key in keys:
            lines.append(f'{key} = "{values[key]}"')
            expected["connection", place, key] = len(lines)
    found = read("\n".join(lines).encode(), "x")
    assert {path: found.line(path) for path in expected} == expected


@pytest.mark.parametrize(
    ("capture", "toml"),
    [
        ("capture.pcap", "capture.expect.toml"),
        ("a/capture.pcapng.gz", "a/capture.expect.toml"),
        ("/x/capture.pcap.zst", "/x/capture.expect.toml"),
        ("v1.2.pcap", "v1.2.expect.toml"),
        ("capture", "capture.expect.toml"),
        ("../capture.cap", "../capture.expect.toml"),
        (".gz", ".gz.expect.toml"),
        (".", "..expect.toml"),
        ("/", "/.expect.toml"),
        ("", "..expect.toml"),
    ],
)
def test_beside_its_capture(capture: str, toml: str) -> None:
    assert beside(capture) == toml


def test_paths_count_from_one() -> None:
    assert path_text(("connection", 1, "no", 0)) == "connection[2].no[1]"
    assert path_text(("capture", "filter")) == "capture.filter"


def test_every_problem_has_its_line() -> None:
    written = b'[[connection]]\ncolsed_by = "client"\n\n[[connection]]\nno = ["x\\u001b"]\n'
    with pytest.raises(BadExpectations) as raised:
        read(written, "x.toml")
    first, second = raised.value.problems
    assert str(first) == "x.toml:2: connection[1].colsed_by: there is no key “colsed_by”; did you mean closed_by?"
    assert str(second).startswith("x.toml:5: connection[2].no[1]: there is no event “x\\x1b”")
    assert str(raised.value) == f"{first} (1 more problem)"


@pytest.mark.parametrize(
    "written", [b"a = ", b"\xff", b"a = 1\na = 2", b"a = " + b"[" * 100_000, b"a = " + b"1" * 5_000]
)
def test_what_is_no_toml(written: bytes) -> None:
    with pytest.raises(BadExpectations, match=r"x\.toml(:\d)?: this is no TOML: "):
        read(written, "x.toml")


@given(st.text(max_size=60))
def test_whatever_is_written_is_read_or_refused(written: str) -> None:
    with suppress(UsageError):
        read(written.encode("utf-8", "surrogatepass"), "x")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((f"a{ending}{packed}", True) for ending in CAPTURES for packed in ("", *COMPRESSED)),
        ("a.gz", False), ("a.txt", False), ("pcap", False), (".pcap", False), ("a.pcap.gz.gz", False), ("", False),
    ],
)  # fmt: skip
def test_names_of_captures(name: str, is_one: bool) -> None:
    assert is_capture(Path(name)) == is_one


def test_a_capture_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadExpectations, match=f"^{tmp_path}: Is a directory$"):
        load(beside(str(tmp_path)), str(tmp_path))
    with pytest.raises(BadExpectations, match=r"^not-there\.pcap: No such file or directory$"):
        load(beside("not-there.pcap"), "not-there.pcap")


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my capture.pcap").touch()
    path = str(tmp_path / "capture.expect.toml")
    with pytest.raises(UsageError, match="No such file"):
        load(path)
    with pytest.raises(UsageError, match=r"this writes it: tcpflow-view check --record 'my capture\.pcap'$"):
        load(path, "my capture.pcap")
