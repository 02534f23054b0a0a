"""What comes once is there to be read twice, and gone afterwards; a file is read by its name."""

from __future__ import annotations

import io
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from analyzer.capture import kept as place
from analyzer.capture.kept import comes_once, kept, rereadable
from analyzer.errors import CaptureOpenError, UsageError
from tests.capture.brought import bringing

LONG = bytes(range(256)) * 10_000


def twice(name: str) -> list[bytes]:
    with rereadable(name) as source:
        assert not isinstance(source, str)
        assert source.name == name
        found = []
        for _ in range(2):
            found.append(source.read())
            source.seek(0)
    assert source.closed
    return found


def test_a_shells_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with bringing(LONG) as reading:
        assert twice(f"/dev/fd/{reading}") == [LONG, LONG]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(LONG,))
    writer.start()
    assert twice(str(path)) == [LONG, LONG]
    writer.join()


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with bringing(LONG) as reading, open(reading, closefd=False, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert twice("-") == [LONG, LONG]


def test_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CaptureOpenError, match=r"^-: standard input is closed"), rereadable("-"):
        pass


def test_a_socket_that_does_not_block() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    writer = threading.Thread(target=lambda: (theirs.sendall(LONG), theirs.close()))
    writer.start()
    with ours, ours.makefile("rb", buffering=0) as file, kept(file, "a socket") as copy:
        assert (copy.read(), copy.name) == (LONG, "a socket")
    writer.join()


def test_files_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for name in (tmp_path / "file", tmp_path / "none", tmp_path, "a\0b", ""):
        assert not comes_once(str(name))
        with rereadable(str(name)) as source:
            assert source == str(name)


def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "comes_once", lambda _name: True)
    with pytest.raises(CaptureOpenError, match="none: no such file"), rereadable(str(tmp_path / "none")):
        pass


def test_the_disk_is_full() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(UsageError, match="full: cannot keep a copy of"):
        place.keep(memoryview(b"x"), full)


def test_what_breaks_off(tmp_path: Path) -> None:
    class Broken(io.RawIOBase):
        def readinto(self, _room: object) -> int:
            raise ConnectionResetError(104, "Connection reset by peer")

        def readable(self) -> bool:
            return True

    with pytest.raises(CaptureOpenError, match=r"^a socket: cannot be read further: Connection reset by peer"):
        kept(Broken(), "a socket")  # type: ignore[arg-type]
